package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

const (
	// pollBatch is how many connections are read from before any is answered.
	pollBatch = 64
	// pollEvents: bytes, and the peer's end, which may come with the last bytes;
	// each is told once.
	pollEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	pollEnd    = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	// ofBell is in place of a connection's number.
	ofBell = -1
)

// poll is one goroutine that serves many connections in passes: it reads from all
// that have something, brings that to the machine under one lock, and sends the
// answers.
type poll struct {
	server *Server
	epoll  int
	bell   int  // an eventfd: the end
	over   bool // both are closed; with the server's lock held

	events [pollBatch]unix.EpollEvent
	pass   []*conn
	in     [pollBatch][protocol.MaxMessage]byte // by place in the pass
	read   [pollBatch]struct {
		n   int
		err error
	}
}

// newPolls makes one for every two processors, since what the disk and the kernel
// need takes as much. When the system gives none, connections have a goroutine
// each.
func newPolls(s *Server) (polls []*poll) {
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		p, err := newPoll(s)
		if err != nil {
			break
		}
		polls = append(polls, p)
	}
	return polls
}

func newPoll(s *Server) (*poll, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(err, unix.Close(epoll))
	}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: ofBell}); err != nil {
		return nil, errors.Join(err, unix.Close(bell), unix.Close(epoll))
	}
	return &poll{server: s, epoll: epoll, bell: bell}, nil
}

// run serves until close.
func (p *poll) run() {
	defer p.server.tasks.Done()
	for {
		events := p.wait()
		p.server.printer.await()
		if !p.take(events) {
			break
		}
		for i, x := range p.pass {
			p.read[i].n, p.read[i].err = readNow(x.descriptor, p.in[i][:])
		}
		p.bring()
	}
	_ = unix.Close(p.bell)
	_ = unix.Close(p.epoll)
}

// close ends the goroutine. The lock must not be held.
func (p *poll) close() {
	p.server.lock.Lock()
	defer p.server.lock.Unlock()
	if !p.over {
		_, _ = unix.Write(p.bell, []byte{7: 1}) // there is room for it
	}
}

// wait returns the events there are, at least one.
func (p *poll) wait() []unix.EpollEvent {
	for {
		n, err := unix.EpollWait(p.epoll, p.events[:], -1)
		switch err {
		case nil:
			return p.events[:n]
		case unix.EINTR:
		default:
			panic(fmt.Sprintf("socket: waiting with epoll %d: %v", p.epoll, err))
		}
	}
}

// take begins a pass with the conns that have something, and may be read from.
// False: the bell has rung.
func (p *poll) take(events []unix.EpollEvent) bool {
	s := p.server
	s.lock.Lock()
	defer s.lock.Unlock()
	for i := range events {
		e := &events[i]
		if e.Fd == ofBell {
			p.over = true
			return false
		}
		x := s.conns[e.Fd]
		if x == nil || x.poll != p {
			continue // of one that is gone
		}
		x.ending = x.ending || e.Events&pollEnd != 0
		if x.taken || s.phase != serving || !s.machine.Reading(x.number) {
			x.unread = true
			continue
		}
		x.taken = true
		p.pass = append(p.pass, x)
	}
	return true
}

// bring brings what was read to the machine, and sends the answers.
func (p *poll) bring() {
	s := p.server
	s.lock.Lock()
	for i, x := range p.pass {
		if s.phase != serving || x.closed {
			continue
		}
		switch n, err := p.read[i].n, p.read[i].err; {
		case n > 0:
			x.unread = x.unread || x.ending || n == len(p.in[i])
			s.bring(x, p.in[i][:n])
		case err == nil || !wouldWait(err):
			x.over = true
			s.hangUp(s.now(), x)
		}
	}
	p.pass = s.settle(p.pass)
}

// watch begins to watch a connection; the lock is held.
func (p *poll) watch(x *conn, descriptor int) error {
	return p.control(unix.EPOLL_CTL_ADD, descriptor, x.number)
}

// again tells also of what is there already; the lock is held.
func (p *poll) again(x *conn) {
	_ = p.control(unix.EPOLL_CTL_MOD, x.descriptor, x.number) // cannot fail: it is watched
}

// release gives a connection back, for a goroutine; the lock is held.
func (p *poll) release(x *conn) stream {
	_ = p.control(unix.EPOLL_CTL_DEL, x.descriptor, x.number) // cannot fail: it is watched
	return &socketFile{os.NewFile(uintptr(x.descriptor), "connection")}
}

func (p *poll) control(operation, descriptor int, number nodes.Conn) error {
	if p.over {
		return os.ErrClosed
	}
	return unix.EpollCtl(p.epoll, operation, descriptor, &unix.EpollEvent{Events: pollEvents, Fd: int32(number)})
}

// socketFile is a TCP connection as a file.
type socketFile struct{ *os.File }

// CloseWrite ends the sending.
func (f *socketFile) CloseWrite() error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.Shutdown(int(fd), unix.SHUT_WR) })
	return errors.Join(err, failed)
}

// descriptorOf is another descriptor of the same connection. The runtime does not
// watch it: what arrives would wake two.
func descriptorOf(tcp stream) (descriptor int, ok bool) {
	t, ok := tcp.(*net.TCPConn)
	if !ok {
		return 0, false
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return 0, false
	}
	var failed error
	err = raw.Control(func(fd uintptr) { descriptor, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return descriptor, err == nil && failed == nil
}

func closeDescriptor(descriptor int) { _ = unix.Close(descriptor) }

// readNow reads what is there. It never waits, so the scheduler is not told of it.
func readNow(descriptor int, p []byte) (int, error) { return transfer(unix.SYS_READ, descriptor, p) }

// writeNow writes what there is room for; it never waits either.
func writeNow(descriptor int, p []byte) (int, error) { return transfer(unix.SYS_WRITE, descriptor, p) }

func transfer(call uintptr, descriptor int, p []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall(call, uintptr(descriptor), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}

// wouldWait is true of the error of a transfer that has to wait.
func wouldWait(err error) bool { return errors.Is(err, unix.EAGAIN) }
