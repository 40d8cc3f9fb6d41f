package socket

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"bluetrace/nodes/socket/epoll"
	"bluetrace/protocol"
)

// stormySystem is the kernel with everything that its manual pages allow: a write that would block or that takes a part
// only, a read that finds nothing after a wake-up, and events of connections that have no input or that have
// left the poll.
type stormySystem struct {
	epoll.System
	mu      sync.Mutex
	draw    *rand.Rand
	short   int // calls so far of each kind
	blocked int
	idle    int
}

func (s *stormySystem) intN(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draw.IntN(n)
}

func (s *stormySystem) count(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

func (s *stormySystem) NewPoller() (epoll.Poller, error) {
	p, err := s.System.NewPoller()
	return &stormyPoller{Poller: p, system: s}, err
}

func (s *stormySystem) Read(fd int, p []byte) (int, error) {
	n, err := s.System.Read(fd, p)
	if epoll.WouldBlock(err) {
		s.count(&s.idle)
	}
	return n, err
}

func (s *stormySystem) Write(fd int, p []byte) (int, error) {
	switch s.intN(12) {
	case 0:
		s.count(&s.blocked)
		return 0, unix.EAGAIN
	case 1:
		if len(p) > 1 {
			s.count(&s.short)
			p = p[:1+s.intN(len(p)-1)]
		}
	}
	return s.System.Write(fd, p)
}

type stormyPoller struct {
	epoll.Poller
	system *stormySystem
	keys   atomic.Int32 // the keys that were ever watched are below it
}

func (p *stormyPoller) Watch(fd int, key int32, i epoll.Interest) error {
	for most := p.keys.Load(); key >= most; most = p.keys.Load() {
		p.keys.CompareAndSwap(most, key+1)
	}
	return p.Poller.Watch(fd, key, i)
}

// Wait returns the events of the kernel and some that mean nothing.
func (p *stormyPoller) Wait(events []epoll.Event) (n int, stopped bool) {
	n, stopped = p.Poller.Wait(events[:len(events)/2])
	if stopped {
		return n, stopped
	}
	for range p.system.intN(len(events) - n) {
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(p.system.intN(int(p.keys.Load())))}
		*(*unix.EpollEvent)(unsafe.Pointer(&events[n])) = e
		n++
	}
	return n, stopped
}

// stormySession is a session with its answers: it sends texts and awaits each answer, in order.
func stormySession(p *peer, draw *rand.Rand) (downloads, uploads int) {
	const line = "11111111111111111111" + "30/07/2020 09:00:00" + "30/07/2020 09:15:00"
	p.login(userA, passwordA)
	for range 1 + draw.IntN(8) {
		switch draw.IntN(4) {
		case 0:
			p.say(protocol.CommandDownload)
			p.tempID()
			downloads++
		case 1:
			n := 1 + draw.IntN(40)
			p.say(strings.Repeat(protocol.CommandDownload, n))
			for range n {
				p.tempID()
			}
			downloads += n
		case 2:
			p.piece("Download_")
			p.say("tempID")
			p.tempID()
			downloads++
		default:
			n := draw.IntN(30)
			p.say(protocol.CommandUpload)
			p.hear("1")
			p.say(fmt.Sprint(3 * n))
			p.hear("1")
			p.say(strings.Repeat(line, n))
			p.hear(strings.Repeat("1", 3*n))
			uploads++
		}
	}
	p.say(protocol.CommandLogout)
	p.hearEnd()
	return downloads, uploads
}

// TestSessionsInAStorm has sessions get every answer once, in order, whatever the system calls do.
func TestSessionsInAStorm(t *testing.T) {
	if os.Getenv(plainVariable) != "" {
		t.Skip("SKIPPED: there are no polls in this run; the one with them has this test")
	}
	short, blocked, idle := 0, 0, 0
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			system := &stormySystem{System: epoll.Kernel(), draw: rand.New(rand.NewPCG(seed, 1))}
			r := newRig(t, func(_ *rig, c *ServerConfig) { c.system = system })
			draw := rand.New(rand.NewPCG(seed, 2))
			for range 3 { // idle sessions, which the events without meaning may wake
				r.dial().login(userB, passwordB)
			}
			downloads, uploads := 0, 0
			for range 25 {
				d, u := stormySession(r.dial(), draw)
				downloads, uploads = downloads+d, uploads+u
			}
			r.awaitAlive(3)
			r.await("the line of the last logout", func() bool { // the output is written by a goroutine of its own
				return strings.Count(r.output.String(), userA+" logout\n") >= 25
			})
			out := r.output.String()
			for text, want := range map[string]int{
				"users: " + userA + "\n": 25, userA + " logout\n": 25, userB + " logout\n": 0,
				"user: " + userA + "\nTempID:\n": downloads, "received contact log from " + userA + "\n": uploads,
			} {
				if got := strings.Count(out, text); got != want {
					t.Errorf("%q was printed %d times, want %d", text, got, want)
				}
			}
			if n := len(r.disk.kept()); n != downloads {
				t.Errorf("%d TempIDs were stored, want %d", n, downloads)
			}
			system.mu.Lock()
			defer system.mu.Unlock()
			short, blocked, idle = short+system.short, blocked+system.blocked, idle+system.idle
		})
	}
	if short == 0 || blocked == 0 || idle == 0 {
		t.Errorf("%d short writes, %d that would block, %d reads of nothing: want some of each", short, blocked, idle)
	}
}
