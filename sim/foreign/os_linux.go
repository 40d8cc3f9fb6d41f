package foreign

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bluetrace/sim/foreign/supervisor"
)

// pipes is this side of a supervisor's pipes.
type pipes struct {
	orders  *os.File
	reports *os.File
	decoder *json.Decoder
}

// launch starts the program.
func (p *Program) launch(c Config, shell string, env []string, stdin, stdout *os.File) error {
	parts := Isolation()
	p.apart = parts.Processes
	o := supervisor.Order{
		Shell: shell, Folder: c.Folder, Env: env, Mounts: parts.Processes, Confine: c.Confine, Shared: c.Hasten > 1,
		Terminal: c.Terminal, File: uint64(p.limits.Folder) + 1<<20, Open: uint64(p.limits.Open),
	}
	for _, path := range c.Hide {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		o.Hide = append(o.Hide, absolute)
	}
	var err error
	if o.Folder, err = filepath.Abs(c.Folder); err != nil {
		return err
	}
	if !parts.Files {
		o.Confine, o.Shared, o.Hide = false, false, nil
	}
	a := attributes(parts.Processes)
	if !parts.Processes {
		a.Pdeathsig = 0 // after the end of this process the supervisor ends the program
	}
	_, err = p.supervise(o, a, stdin, stdout)
	return err
}

// supervise starts a supervisor, which starts the program. A program without a process name space can kill its supervisor
// before that has reported. Then it has started like any other, and wait reports its end.
func (p *Program) supervise(o supervisor.Order, a *syscall.SysProcAttr, stdin, stdout *os.File) (r supervisor.Report, err error) {
	orders, write, err := os.Pipe()
	if err != nil {
		return r, err
	}
	defer func() { _ = orders.Close() }() // the supervisor has its own
	read, reports, err := os.Pipe()
	if err != nil {
		return r, errors.Join(err, write.Close())
	}
	p.pipes = &pipes{write, read, json.NewDecoder(read)}
	p.command = exec.Command("/proc/self/exe")
	p.command.Args = []string{supervisor.Name}
	p.command.Env = []string{"GOMAXPROCS=1", supervisor.TokenName + "=" + p.token}
	p.command.Stdin, p.command.Stdout, p.command.Stderr = stdin, stdout, stdout
	p.command.ExtraFiles = []*os.File{orders, reports}
	p.command.SysProcAttr = a
	err = p.command.Start()
	_ = reports.Close() // the supervisor has its own
	if err != nil {
		p.pipes.close()
		return r, err
	}
	late, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	stop := context.AfterFunc(late, func() { _ = p.command.Process.Kill() }) // it may have ended
	defer stop()
	line, err := json.Marshal(o)
	if err == nil {
		_, err = write.Write(append(line, '\n'))
	}
	if err == nil {
		err = p.pipes.decoder.Decode(&r)
	}
	if errors.Is(err, io.EOF) {
		return r, nil // there is no supervisor any more, but there may be processes of the program
	}
	if err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	if err != nil {
		_ = p.command.Process.Kill() // it may have ended
		_ = p.command.Wait()         // its error is known
		p.pipes.close()
	}
	return r, err
}

func (s *pipes) close() {
	_ = s.orders.Close() // nothing follows
	_ = s.reports.Close()
}

// wait waits for the end of the program, and returns an error that describes it, or nil for exit status 0.
func (p *Program) wait() error {
	err := p.command.Wait()
	var ended supervisor.Report
	if p.pipes.decoder.Decode(&ended) == nil {
		switch s := ended.Status; {
		case s.Signaled():
			err = fmt.Errorf("signal: %v", s.Signal())
		case s.ExitStatus() != 0:
			err = fmt.Errorf("exit status %d", s.ExitStatus())
		}
	}
	p.pipes.close()
	return err
}

func (p *Program) terminate() {
	_, _ = p.pipes.orders.Write([]byte{supervisor.Terminate}) // it may have ended
}

// killAll ends all processes of the program. In a process name space they end with the supervisor.
func (p *Program) killAll() {
	_ = p.command.Process.Kill() // it may have ended
	if !p.apart {
		supervisor.Kill(p.command.Process.Pid, p.token)
	}
}

// lastProcesses is a list of all processes that programs without a process name space share: a judge watches many.
var lastProcesses struct {
	mu    sync.Mutex
	taken time.Time
	list  []supervisor.Process
}

// processes returns the processes of the program except its supervisor, as they were at a time after since.
func (p *Program) processes(since time.Time) []supervisor.Process {
	if p.apart {
		return supervisor.Descendants(p.command.Process.Pid)
	}
	l := &lastProcesses
	l.mu.Lock()
	if !l.taken.After(since) {
		l.taken, l.list = p.clock.Now(), supervisor.All()
	}
	all := l.list
	l.mu.Unlock()
	return supervisor.Of(all, p.command.Process.Pid, p.token)
}

// Usage returns the use of resources by all processes of the program. It returns an error on other systems than Linux.
func (p *Program) Usage() (Usage, error) {
	u, err := p.usage(p.clock.Now())
	for _, q := range p.processes(p.clock.Now()) {
		u.Open += supervisor.Open(q.ID)
	}
	return u, err
}

// usage returns the use of resources without open descriptors.
func (p *Program) usage(since time.Time) (u Usage, err error) {
	for _, q := range p.processes(since) {
		u.Processes++
		u.Threads += q.Threads
		u.Memory += q.Memory
		u.CPU += q.CPU
	}
	if s, ok := supervisor.ReadProcess(p.command.Process.Pid); ok {
		u.CPU += s.Waited // of processes that the supervisor awaited
	}
	return u, nil
}

// Listening returns the addresses of the TCP sockets on which processes of the program listen. It returns an error on
// other systems than Linux.
func (p *Program) Listening() ([]netip.AddrPort, error) {
	own, err := p.sockets()
	if err != nil {
		return nil, err
	}
	var addresses []netip.AddrPort
	for _, s := range listeningSockets() {
		if own[s.inode] && !slices.Contains(addresses, s.address) {
			addresses = append(addresses, s.address)
		}
	}
	return addresses, nil
}

// sockets returns the numbers of the sockets that the program has open, or an error if they cannot be read.
func (p *Program) sockets() (own map[string]bool, err error) {
	own, err = map[string]bool{}, errors.New("the descriptors of the program cannot be read")
	for _, q := range p.processes(p.clock.Now()) {
		inodes, failed := supervisor.Sockets(q.ID)
		if failed != nil {
			continue // it has ended
		}
		err = nil
		for _, inode := range inodes {
			own[inode] = true
		}
	}
	return own, err
}

// owns reports whether a process of the program listens on the port. If its descriptors cannot be read, any process may.
// It opens no connection, which a server may not expect. The list of all sockets takes long, so it is read only for a
// program that has a socket.
func (p *Program) owns(port uint16) bool {
	own, err := p.sockets()
	return (err != nil || len(own) > 0) && slices.ContainsFunc(listeningSockets(), func(s listeningSocket) bool {
		return s.address.Port() == port && (err != nil || own[s.inode])
	})
}

type listeningSocket struct {
	address netip.AddrPort
	inode   string
}

// listeningSockets returns the listening TCP sockets of the network.
func listeningSockets() (sockets []listeningSocket) {
	const listening = "0A"
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // a machine may lack IPv6
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line) // number, local address, remote address, state, …, inode at 9
			if len(f) < 10 || f[3] != listening {
				continue
			}
			host, port, _ := strings.Cut(f[1], ":")
			address, err := hex.DecodeString(host)
			number, err2 := strconv.ParseUint(port, 16, 16)
			if err != nil || err2 != nil || len(address)%4 != 0 {
				continue
			}
			for word := range slices.Chunk(address, 4) { // a number of this machine
				binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
			}
			if ip, ok := netip.AddrFromSlice(address); ok {
				sockets = append(sockets, listeningSocket{netip.AddrPortFrom(ip.Unmap(), uint16(number)), f[9]})
			}
		}
	}
	return sockets
}

// openTerminal opens a terminal without echo and without changes of line ends.
func openTerminal() (master, slave *os.File, err error) {
	if master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	raw, err := master.SyscallConn()
	if err == nil {
		var inner error
		err = raw.Control(func(fd uintptr) { slave, inner = openSlave(int(fd)) })
		err = errors.Join(err, inner)
	}
	if err != nil {
		return nil, nil, errors.Join(err, master.Close())
	}
	return master, slave, nil
}

func openSlave(master int) (*os.File, error) {
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	settings, err := unix.IoctlGetTermios(master, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	settings.Lflag &^= unix.ECHO | unix.ECHONL
	settings.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(master, unix.TCSETS, settings); err != nil {
		return nil, err
	}
	return os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
}
