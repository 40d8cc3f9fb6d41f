package foreign

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"bluetrace/sim/foreign/supervisor"
)

const (
	reexecuted = "BLUETRACE_NETWORK" // the variable that marks the process that Reexec has started
	// networkStarted is its answer to the first process, instead of the text of an error.
	networkStarted = "started"
	programSets    = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC
)

// sharedNetwork is the reason for which this process has no network of its own, or "".
var sharedNetwork = "no other was asked for"

// Isolation returns the protections that work here. It tries them once, with a program.
func Isolation() Parts { return isolation() }

var isolation = sync.OnceValue(func() (parts Parts) {
	miss := func(format string, a ...any) { parts.Missing = append(parts.Missing, fmt.Sprintf(format, a...)) }
	if parts.Network = sharedNetwork == ""; !parts.Network {
		miss("the programs share the network of this machine: %s", sharedNetwork)
	}
	r, err := tryNameSpaces()
	if err != nil {
		miss("programs see and can end other processes: a name space is refused: %v", err)
		miss("programs can read and write the files of this user: a name space is refused: %v", err)
		return parts
	}
	parts.Processes, parts.Files = true, r.Files == ""
	if r.Processes != "" {
		miss("programs see the list of other processes: %s", r.Processes)
	}
	if r.Files != "" {
		miss("programs can read and write the files of this user: %s", r.Files)
	}
	return parts
})

// tryNameSpaces runs a program in name spaces, with all protections.
func tryNameSpaces() (r supervisor.Report, err error) {
	dir, err := os.MkdirTemp("", "bluetrace-isolation-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return r, err
	}
	defer func() { _ = null.Close() }()
	limits := Limits{}.withDefaults()
	p := &Program{}
	o := supervisor.Order{
		Shell: ":", Folder: dir, Env: []string{"PATH="}, Mounts: true, Confine: true, File: uint64(limits.Folder),
		Open: uint64(limits.Open),
	}
	if r, err = p.supervise(o, attributes(true), null, null); err != nil {
		return r, err
	}
	return r, p.wait()
}

// attributes give a supervisor a process group and, if isolated, name spaces.
func attributes(isolated bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if isolated {
		nameSpaces(a, programSets)
	}
	return a
}

// nameSpaces makes a process start in name spaces.
func nameSpaces(a *syscall.SysProcAttr, flags uintptr) {
	a.Cloneflags = flags
	if flags&syscall.CLONE_NEWUSER != 0 {
		a.UidMappings, a.GidMappings = sameIDs("uid", os.Geteuid()), sameIDs("gid", os.Getegid())
		groups, err := os.ReadFile("/proc/self/setgroups") // of this name space
		a.GidMappingsEnableSetgroups = err == nil && os.Geteuid() == 0 && string(groups) == "allow\n"
	}
}

// sameIDs returns the mappings of a user name space: of all IDs to themselves for root, and else of root to the caller.
func sameIDs(kind string, own int) (mappings []syscall.SysProcIDMap) {
	text, err := os.ReadFile("/proc/self/" + kind + "_map")
	if err != nil || os.Geteuid() != 0 {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: own, Size: 1}}
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line) // first inside, first outside, number
		if len(f) != 3 {
			continue
		}
		first, err := strconv.Atoi(f[0])
		number, err2 := strconv.Atoi(f[2])
		if err == nil && err2 == nil {
			mappings = append(mappings, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: number})
		}
	}
	return mappings
}

// Reexec gives this process and the programs that it starts a network of their own: a loopback, and a host name that
// has the address 127.0.0.1. For that it executes this program once more in name spaces, passes signals on to it and
// awaits its end. It then returns true and the exit status, with which the caller must exit. Otherwise it returns
// false: in the second process, and if the system refuses name spaces. Isolation reports which. It must be called
// before the first call of Isolation and Start.
func Reexec() (status int, ended bool) {
	if os.Getenv(reexecuted) != "" {
		answer := os.NewFile(3, "answer")
		err := errors.Join(os.Unsetenv(reexecuted), startNetwork())
		if err == nil {
			_, err = answer.WriteString(networkStarted)
		} else {
			_, _ = answer.WriteString(err.Error()) // the exit status is the same
		}
		if err := errors.Join(err, answer.Close()); err != nil {
			return 1, true
		}
		sharedNetwork = ""
		return 0, false
	}
	sets := []uintptr{syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWUSER}
	if os.Geteuid() == 0 { // a user name space would take rights on files of others
		sets = []uintptr{sets[0] &^ syscall.CLONE_NEWUSER, sets[0]}
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	for _, flags := range sets {
		child, err := reexec(flags)
		if err != nil {
			sharedNetwork = err.Error()
			continue
		}
		done := make(chan struct{})
		go func() {
			for {
				select {
				case s := <-signals:
					_ = child.Process.Signal(s) // it may have ended
				case <-done:
					return
				}
			}
		}()
		_ = child.Wait() // the exit status follows
		close(done)
		if w := child.ProcessState.Sys().(syscall.WaitStatus); w.Signaled() {
			return 128 + int(w.Signal()), true
		}
		return child.ProcessState.ExitCode(), true
	}
	return 0, false
}

// reexec starts this program in name spaces. It returns an error if the network does not start there.
func reexec(flags uintptr) (*exec.Cmd, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = read.Close() }() // it was only read
	child := exec.Command("/proc/self/exe", os.Args[1:]...)
	child.Args[0] = os.Args[0]
	child.Env = append(os.Environ(), reexecuted+"=1")
	child.Stdin, child.Stdout, child.Stderr, child.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{write}
	child.SysProcAttr = attributes(false) // with a group of its own, so that a Ctrl-C reaches it once, from here
	nameSpaces(child.SysProcAttr, flags)
	err = child.Start()
	_ = write.Close() // the second process has its own
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(read)
	if err == nil && string(answer) != networkStarted {
		err = errors.New(string(answer))
	}
	if err != nil {
		_ = child.Wait() // it ends after that answer
		return nil, err
	}
	return child, nil
}

// startNetwork starts the loopback, and gives the machine a name that has the loopback's address.
func startNetwork() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("starting the loopback: %w", err)
	}
	defer func() { _ = unix.Close(s) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("starting the loopback: %w", err)
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("starting the loopback: %w", err)
	}
	const name = "localhost"
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	if addresses, err := net.LookupHost(name); err != nil || len(addresses) == 0 {
		return fmt.Errorf("the host name %s has no address: %w", name, err)
	}
	return nil
}
