package supervisor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A supervisor is this executable, started once more for each program. It prepares the name spaces, limits and
// privileges of the program, starts it, and reports its end. All processes of the program are its descendants. In a
// process name space it is process 1, and every process of the program ends with it.

// Order is the description of the program that the supervisor reads, as a line of JSON. The byte Terminate may
// follow. The end of the pipe means the end of the caller, and ends the program.
type Order struct {
	Shell    string // the command
	Folder   string
	Env      []string
	Mounts   bool // it has a mount name space
	Confine  bool
	Shared   bool // it gets shared memory of its own
	Hide     []string
	Terminal bool
	File     uint64 // bytes of one file
	Open     uint64 // descriptors of one process
}

// Report is written by the supervisor, as a line of JSON: first after the start of the program, then after its end.
type Report struct {
	Error     string             // the program was not started
	Processes string             // other processes are in the program's /proc, because of this
	Files     string             // files are neither hidden nor write-protected, because of this
	Status    syscall.WaitStatus // at the end
}

const (
	// Name is argument 0 of a supervisor.
	Name = "bluetrace-supervisor"
	// Terminate is the byte that sends SIGTERM to the processes of the program.
	Terminate = 'T'
	// processesMax bounds all processes and threads of the user of a program, in Linux 5.14 and later of the program
	// alone. Limits.Processes is much lower.
	processesMax = 4096
)

// init makes this process a supervisor, if it was started as one. An init function is needed, because programs are
// started in tests too, whose main function is not this project's.
func init() {
	if os.Args[0] == Name {
		os.Exit(supervise(os.NewFile(3, "orders"), os.NewFile(4, "reports")))
	}
}

// supervise runs a program, and returns an exit status.
func supervise(orders, reports *os.File) int {
	syscall.CloseOnExec(int(orders.Fd()))
	syscall.CloseOnExec(int(reports.Fd()))
	answers := json.NewEncoder(reports)
	r := bufio.NewReader(orders)
	line, err := r.ReadBytes('\n')
	var o Order
	if err != nil || json.Unmarshal(line, &o) != nil {
		return 1
	}
	var started Report
	if o.Mounts {
		started.Processes, started.Files = o.mount()
	}
	pid, err := o.start()
	if err != nil {
		started.Error = err.Error()
	}
	if answers.Encode(started) != nil || err != nil {
		return 1
	}
	go func() {
		for {
			b, err := r.ReadByte()
			if err != nil {
				signalAll(pid, syscall.SIGKILL)
				os.Exit(1)
			}
			if b == Terminate {
				signalAll(pid, syscall.SIGTERM)
			}
		}
	}()
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		if ended == pid || err != nil && !errors.Is(err, syscall.EINTR) {
			_ = answers.Encode(Report{Status: status}) // without it the caller knows of the end only
			signalAll(pid, syscall.SIGKILL)
			return 0
		}
	}
}

// signalAll signals all processes of the program in a process name space. Elsewhere SIGKILL ends all of them too, and
// another signal reaches the process group.
func signalAll(pid int, s syscall.Signal) {
	switch {
	case os.Getpid() == 1:
		_ = syscall.Kill(-1, s) // every process except this one
	case s == syscall.SIGKILL:
		Kill(os.Getpid(), os.Getenv(TokenName))
	default:
		_ = syscall.Kill(-pid, s)
	}
}

// start starts the program with its limits and without privileges, and returns its process id. It must run on the
// thread that is the parent of the program to its end.
func (o *Order) start() (int, error) {
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: o.File, unix.RLIMIT_NOFILE: o.Open, unix.RLIMIT_NPROC: processesMax,
	} {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(resource, &now); err != nil {
			return 0, fmt.Errorf("reading a limit: %w", err)
		}
		limit = min(limit, now.Max)
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return 0, fmt.Errorf("setting a limit: %w", err)
		}
	}
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) { // it has no right to, or that was the last
			break
		}
	}
	for _, option := range []int{unix.PR_SET_NO_NEW_PRIVS, unix.PR_SET_CHILD_SUBREAPER} {
		if err := unix.Prctl(option, 1, 0, 0, 0); err != nil {
			return 0, fmt.Errorf("giving up privileges: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 0, err
	}
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if o.Terminal {
		a = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	}
	return syscall.ForkExec("/bin/sh", []string{"sh", "-c", o.Shell},
		&syscall.ProcAttr{Dir: o.Folder, Env: o.Env, Files: []uintptr{0, 1, 2}, Sys: a})
}

// mount changes the mount name space for the program. It returns the errors of the two parts, which may be "".
func (o *Order) mount() (processes, files string) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		text := "making the mounts private: " + err.Error()
		return text, text
	}
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RDONLY)
	if err := unix.Mount("proc", "/proc", "proc", flags, ""); err != nil {
		processes = "mounting /proc: " + err.Error()
	}
	if err := o.protect(); err != nil {
		files = err.Error()
	}
	return processes, files
}

// protect hides the folders of Hide and, with Confine, makes the others read-only.
func (o *Order) protect() error {
	visible := map[string]int{} // mounts by path
	for _, path := range append(o.shown(), o.Folder) {
		tree, err := cloneTree(path)
		if err != nil {
			return err
		}
		visible[path] = tree
	}
	hide := slices.Clone(o.Hide)
	if o.Confine {
		if err := privateDevices(); err != nil {
			return err
		}
		err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE,
			&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID})
		if err != nil {
			return fmt.Errorf("write-protecting the files: %w", err)
		}
		hide = append(hide, "/run/user", "/run/dbus", "/run/systemd", "/run/docker.sock", "/run/containerd")
	}
	if o.Confine || o.Shared {
		if err := tmpfs("/dev/shm", "mode=1777,size=64m"); err != nil {
			return err
		}
	}
	for _, path := range hide {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("hiding %s: %w", path, err)
		case info.IsDir():
			if err := tmpfs(path, "mode=755,size=64k"); err != nil {
				return err
			}
		default:
			if err := unix.Mount(os.DevNull, path, "", unix.MS_BIND, ""); err != nil {
				return fmt.Errorf("hiding %s: %w", path, err)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(visible)) {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	for _, path := range hide { // of the ones that do not exist the error is expected
		_ = unix.MountSetattr(unix.AT_FDCWD, path, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	for _, path := range slices.Sorted(maps.Keys(visible)) {
		if err := moveTree(visible[path], path); err != nil {
			return err
		}
	}
	return nil
}

// shown returns the folders below the hidden ones that PATH needs.
func (o *Order) shown() (folders []string) {
	for _, entry := range filepath.SplitList(strings.TrimPrefix(o.Env[0], "PATH=")) {
		for _, hidden := range o.Hide {
			relative, err := filepath.Rel(hidden, entry)
			if err != nil || relative == "." || !filepath.IsLocal(relative) {
				continue
			}
			first, _, _ := strings.Cut(relative, string(filepath.Separator))
			folder := filepath.Join(hidden, first)
			if info, err := os.Stat(folder); err == nil && info.IsDir() {
				folders = append(folders, folder)
			}
		}
	}
	return folders
}

// privateDevices replaces /dev by a folder with the devices that programs need.
func privateDevices() error {
	trees := map[string]int{}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty", "pts"} {
		tree, err := cloneTree("/dev/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		trees[name] = tree
	}
	if err := tmpfs("/dev", "mode=755,size=64k"); err != nil {
		return err
	}
	for name, tree := range trees {
		path := "/dev/" + name
		var err error
		if name == "pts" {
			err = os.Mkdir(path, 0o755)
		} else {
			err = os.WriteFile(path, nil, 0o600)
		}
		if err := errors.Join(err, moveTree(tree, path)); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	return os.Mkdir("/dev/shm", 0o755)
}

func tmpfs(path, options string) error {
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mounting an empty folder on %s: %w", path, err)
	}
	return nil
}

func cloneTree(path string) (int, error) {
	tree, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return 0, fmt.Errorf("copying the mount of %s: %w", path, err)
	}
	return tree, nil
}

func moveTree(tree int, path string) error {
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mounting %s: %w", path, err)
	}
	return unix.Close(tree)
}
