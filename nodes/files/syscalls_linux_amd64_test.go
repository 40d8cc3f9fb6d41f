package files

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// tracedVariable names the folder of a process that stores on a real disk while the test traces it.
const tracedVariable = "BLUETRACE_TRACED_FOLDER"

// begins marks in the trace that a part of the work begins: it opens a file that does not exist.
func begins(part string) { _, _ = os.Open("/begins/" + part) }

// TestTracedProcess is the process that TestOrderOfSystemCalls traces. By itself it does nothing.
func TestTracedProcess(t *testing.T) {
	dir := os.Getenv(tracedVariable)
	if dir == "" {
		return
	}
	runtime.LockOSThread()
	d := Disk(dir)
	s := openServer(t, d)
	begins("first TempID")
	store(t, s, issue(alice, 1))
	begins("second TempID")
	store(t, s, issue(alice, 2))
	begins("full write-ahead log")
	store(t, s, issue(alice, 3), issue(alice, 4), issue(alice, 5), issue(alice, 6))
	begins("first attempt")
	store(t, s, wrong(bob, 1))
	begins("second attempt")
	store(t, s, wrong(bob, 2))
	begins("opened log")
	l := openLog(t, d)
	a, b := entry(1, 10), entry(2, 20)
	l.Add(a)
	begins("first log")
	write(t, l, a)
	l.Add(b)
	begins("longer log")
	write(t, l, a, b)
	begins("shorter log")
	write(t, l, b)
	begins("nothing")
}

// TestOrderOfSystemCalls checks the system calls by which each kind of change reaches a real disk. The tests of
// crashes use a disk in memory, which sees what the program asks for and not what Disk does.
func TestOrderOfSystemCalls(t *testing.T) {
	dir := t.TempDir()
	calls, err := trace(t, dir)
	if err != nil {
		t.Skip("SKIPPED: a process may not be traced here (allow ptrace to check the order of system calls): ", err)
	}
	const replace = "%[1]s.new: create, write, sync; rename %[1]s.new %[1]s; folder: sync"
	journal := logName + journalSuffix
	for part, want := range map[string]string{
		// A new tempIDs.txt is durable before its name, then the log of zeros, then the record in it.
		"first TempID": "tempIDs.txt: create, sync; folder: sync; tempIDs.txt: write; " +
			"tempIDs.txt.ahead.new: create, write, sync; rename tempIDs.txt.ahead.new tempIDs.txt.ahead; " +
			"folder: sync; tempIDs.txt.ahead: overwrite, sync content",
		"second TempID":        "tempIDs.txt: write; tempIDs.txt.ahead: overwrite, sync content",
		"full write-ahead log": "tempIDs.txt: write, sync",
		"first attempt":        fmt.Sprintf(replace, attemptsName),
		"second attempt":       attemptsName + ": write, sync",
		"first log":            fmt.Sprintf(replace, journal) + "; " + fmt.Sprintf(replace, logName),
		"longer log":           journal + ": write, sync; " + fmt.Sprintf(replace, logName),
		"shorter log":          fmt.Sprintf(replace, logName) + "; " + fmt.Sprintf(replace, journal),
	} {
		t.Run(part, func(t *testing.T) {
			if got := strings.Join(calls[part], "; "); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

// trace runs TestTracedProcess with a folder and returns the calls of each part that change or sync files in it.
func trace(t *testing.T, dir string) (map[string][]string, error) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := exec.Command(os.Args[0], "-test.run=^TestTracedProcess$", "-test.count=1")
	c.Env = append(os.Environ(), tracedVariable+"="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := c.Start(); err != nil {
		return nil, err
	}
	x := &tracer{dir: dir, paths: map[uint64]string{}, calls: map[string][]string{},
		entered: map[int]*syscall.PtraceRegs{}}
	err := x.follow(c.Process.Pid)
	_ = c.Process.Release()
	if err == nil && x.part != "nothing" {
		t.Fatalf("the traced process ended in part %q: %v", x.part, x.calls)
	}
	return x.calls, err
}

// tracer follows the system calls of a process.
type tracer struct {
	dir     string
	part    string
	paths   map[uint64]string // by descriptor: a file of the folder, or "folder"
	calls   map[string][]string
	last    string                      // the file of the last call
	entered map[int]*syscall.PtraceRegs // by thread: the call that it is in
}

// follow runs the process to its end.
func (x *tracer) follow(pid int) error {
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, syscall.WALL, nil); err != nil {
		return err
	}
	const options = syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACESYSGOOD
	if err := syscall.PtraceSetOptions(pid, options); err != nil {
		return err
	}
	if err := syscall.PtraceSyscall(pid, 0); err != nil {
		return err
	}
	for {
		thread, err := syscall.Wait4(-1, &status, syscall.WALL, nil)
		switch {
		case errors.Is(err, syscall.ECHILD):
			return nil
		case err != nil:
			return err
		case status.Exited() || status.Signaled():
			if thread == pid && status.ExitStatus() != 0 {
				return fmt.Errorf("the traced process ends with status %d", status.ExitStatus())
			}
			continue
		}
		signal := 0
		switch stop := status.StopSignal(); {
		case stop == syscall.SIGTRAP|0x80:
			x.stopped(thread)
		case stop != syscall.SIGTRAP && stop != syscall.SIGSTOP:
			signal = int(stop)
		}
		if err := syscall.PtraceSyscall(thread, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
}

// stopped handles the begin or the end of a system call.
func (x *tracer) stopped(thread int) {
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(thread, &regs) != nil {
		return
	}
	if before := x.entered[thread]; before == nil {
		x.entered[thread] = &regs
		return
	}
	x.called(thread, x.entered[thread], int64(regs.Rax))
	delete(x.entered, thread)
}

// called handles a system call that has returned result.
func (x *tracer) called(thread int, r *syscall.PtraceRegs, result int64) {
	const renameAt2 = 316
	switch fd := r.Rdi; r.Orig_rax {
	case syscall.SYS_OPENAT:
		path := text(thread, r.Rsi)
		if part, ok := strings.CutPrefix(path, "/begins/"); ok {
			x.part, x.last = part, ""
			return
		}
		name, ok := x.name(path)
		if result < 0 || !ok {
			delete(x.paths, uint64(max(result, 0)))
			return
		}
		x.paths[uint64(result)] = name
		if r.Rdx&syscall.O_CREAT != 0 {
			x.add(name, "create")
		}
	case syscall.SYS_CLOSE:
		delete(x.paths, fd)
	case syscall.SYS_WRITE:
		x.of(fd, "write")
	case syscall.SYS_PWRITE64:
		x.of(fd, "overwrite")
	case syscall.SYS_FTRUNCATE:
		x.of(fd, "truncate")
	case syscall.SYS_FSYNC:
		x.of(fd, "sync")
	case syscall.SYS_FDATASYNC:
		x.of(fd, "sync content")
	case syscall.SYS_RENAMEAT, renameAt2:
		from, _ := x.name(text(thread, r.Rsi))
		to, _ := x.name(text(thread, r.R10))
		x.add("rename "+from+" "+to, "")
		for fd, name := range x.paths {
			if name == from {
				x.paths[fd] = to
			}
		}
	case syscall.SYS_UNLINKAT:
		if name, ok := x.name(text(thread, r.Rsi)); ok && result == 0 {
			x.add("remove "+name, "")
		}
	}
}

// name returns the name of a file in the folder, or "folder".
func (x *tracer) name(path string) (string, bool) {
	if path == x.dir {
		return "folder", true
	}
	return filepath.Base(path), filepath.Dir(path) == x.dir
}

func (x *tracer) of(fd uint64, verb string) {
	if name, ok := x.paths[fd]; ok {
		x.add(name, verb)
	}
}

// add adds a call. Calls of one file in a row are joined, and repeated writes are one.
func (x *tracer) add(file, verb string) {
	all := x.calls[x.part]
	n := len(all)
	switch {
	case verb == "":
		all = append(all, file)
	case file != x.last || n == 0:
		all = append(all, file+": "+verb)
	case !strings.HasSuffix(all[n-1], " "+verb):
		all[n-1] += ", " + verb
	}
	x.last, x.calls[x.part] = file, slices.Clip(all)
}

// text reads a string of the traced process.
func text(thread int, at uint64) string {
	var b [4096]byte
	n, err := syscall.PtracePeekData(thread, uintptr(at), b[:256])
	if err != nil {
		return ""
	}
	s, _, _ := strings.Cut(string(b[:n]), "\x00")
	return s
}
