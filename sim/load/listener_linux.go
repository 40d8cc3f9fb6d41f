package load

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// listener is a thread that waits for many sockets at once.
type listener struct {
	poll  int    // epoll
	stop  [2]int // a pipe; closing its second end ends the thread
	ended chan struct{}

	mu      sync.Mutex
	sockets map[int32]*heard
}

func newListener() (*listener, error) {
	l := &listener{ended: make(chan struct{}), sockets: map[int32]*heard{}}
	var err error
	if l.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.Pipe2(l.stop[:], unix.O_CLOEXEC); err != nil {
		return nil, errors.Join(os.NewSyscallError("pipe2", err), unix.Close(l.poll))
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.stop[0])}
	if err := unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, l.stop[0], &e); err != nil {
		return nil, errors.Join(os.NewSyscallError("epoll_ctl", err), unix.Close(l.poll), unix.Close(l.stop[0]), unix.Close(l.stop[1]))
	}
	go l.listen()
	return l, nil
}

func (l *listener) close() error {
	err := unix.Close(l.stop[1])
	<-l.ended
	return errors.Join(err, unix.Close(l.stop[0]), unix.Close(l.poll))
}

// add has a socket's take called when an event happens to it.
func (l *listener) add(h *heard, events uint32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listener = l
	l.mu.Lock()
	l.sockets[int32(h.fd)] = h
	l.mu.Unlock()
	return l.control(unix.EPOLL_CTL_ADD, h.fd, events)
}

func (l *listener) change(h *heard, events uint32) error {
	return l.control(unix.EPOLL_CTL_MOD, h.fd, events)
}

// ignore waits for nothing of a socket any more.
func (l *listener) ignore(fd int) { _ = l.control(unix.EPOLL_CTL_DEL, fd, 0) }

func (l *listener) control(what, fd int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.poll, what, fd, &e))
}

// forget is for a socket that is about to be closed, which takes it from epoll.
func (l *listener) forget(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sockets, int32(fd))
}

// listen is the thread. An event of a socket that was closed meanwhile may find
// another one with its number: reading that, there is nothing.
func (l *listener) listen() {
	defer close(l.ended)
	events := make([]unix.EpollEvent, 128)
	buffer := make([]byte, heardAtOnce)
	for {
		n, err := unix.EpollWait(l.poll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic("load: waiting for sockets: " + err.Error()) // the kernel names only mistakes of ours
		}
		for i := range max(n, 0) {
			fd := events[i].Fd
			if fd == int32(l.stop[0]) {
				return
			}
			l.mu.Lock()
			h := l.sockets[fd]
			l.mu.Unlock()
			if h != nil {
				h.take(buffer)
			}
		}
	}
}
