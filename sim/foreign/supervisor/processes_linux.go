package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a running process.
type Process struct {
	ID, Parent int
	CPU        time.Duration // also of children that have ended
	Waited     time.Duration // the part of such children
	Threads    int
	Memory     int64 // resident bytes
}

// ticks is the number of clock ticks in a second of /proc/PID/stat, a constant of Linux on all supported machines.
const ticks = 100

// ReadProcess reads /proc/PID/stat. It returns false if the process has ended.
func ReadProcess(pid int) (Process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, false
	}
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name may have blanks
	const fields = 22                                                    // state, parent, …, resident pages
	if len(f) < fields || f[0] == "Z" || f[0] == "X" {
		return Process{}, false
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(f[i], 10, 64) // the kernel writes numbers
		return n
	}
	waited := number(13) + number(14)
	return Process{
		ID: pid, Parent: int(number(1)), Threads: int(number(17)), Memory: number(21) * int64(os.Getpagesize()),
		CPU:    time.Duration(number(11)+number(12)+waited) * time.Second / ticks,
		Waited: time.Duration(waited) * time.Second / ticks,
	}, true
}

// All returns all processes of the system.
func All() (list []Process) {
	for _, pid := range numbersIn("/proc") {
		if p, ok := ReadProcess(pid); ok {
			list = append(list, p)
		}
	}
	return list
}

// numbersIn returns the names of a folder that are numbers.
func numbersIn(folder string) (numbers []int) {
	f, err := os.Open(folder)
	if err != nil {
		return nil // the process has ended
	}
	defer func() { _ = f.Close() }() // it was only read
	names, _ := f.Readdirnames(-1)   // what was read counts
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// listsChildren reports whether the kernel lists the children of a process.
var listsChildren = sync.OnceValue(func() bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	return err == nil
})

// Descendants returns the descendants of a process. In contrast to Of it does not read all processes of the system,
// where the kernel permits that.
func Descendants(ancestor int) (found []Process) {
	if !listsChildren() {
		return Of(All(), ancestor, "")
	}
	parents := []int{ancestor}
	for i := 0; i < len(parents); i++ {
		for _, thread := range numbersIn(fmt.Sprintf("/proc/%d/task", parents[i])) {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", parents[i], thread)) // it may have ended
			for _, word := range strings.Fields(string(text)) {
				pid, err := strconv.Atoi(word)
				if err != nil {
					continue
				}
				if p, ok := ReadProcess(pid); ok {
					found, parents = append(found, p), append(parents, pid)
				}
			}
		}
	}
	return found
}

// Of returns the descendants of a process, and of those whose environment has the token, if it is not "".
func Of(all []Process, ancestor int, token string) (found []Process) {
	children := map[int][]Process{}
	variable := []byte("\x00" + TokenName + "=" + token + "\x00")
	for _, p := range all {
		if token != "" && p.ID != ancestor {
			environment, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.ID)) // others' is not readable
			if bytes.Contains(append([]byte{0}, environment...), variable) {
				p.Parent = ancestor
			}
		}
		children[p.Parent] = append(children[p.Parent], p)
	}
	parents := []int{ancestor}
	for i := 0; i < len(parents); i++ {
		for _, p := range children[parents[i]] {
			found = append(found, p)
			parents = append(parents, p.ID)
		}
	}
	return found
}

// Kill ends the processes of a program without a process name space, except its supervisor.
func Kill(supervisor int, token string) {
	const rounds = 100 // a process may start others meanwhile
	for range rounds {
		found := Of(All(), supervisor, token)
		for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} { // a stopped process starts no others
			for _, q := range found {
				_ = syscall.Kill(q.ID, s) // it may have ended
			}
		}
		if len(found) == 0 {
			return
		}
	}
}

// Sockets returns the numbers of the sockets that a process has open.
func Sockets(pid int) (inodes []string, err error) {
	folder := fmt.Sprintf("/proc/%d/fd/", pid)
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	for _, fd := range numbersIn(folder) {
		target, _ := os.Readlink(folder + strconv.Itoa(fd)) // it may be closed
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes, nil
}

// Open returns the number of open descriptors of a process.
func Open(pid int) int { return len(numbersIn(fmt.Sprintf("/proc/%d/fd", pid))) }
