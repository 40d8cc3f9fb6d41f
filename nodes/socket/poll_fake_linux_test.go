package socket

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"

	"bluetrace/nodes/socket/epoll"
	"bluetrace/protocol"
)

// faultySystem is the kernel with faults that a test injects.
type faultySystem struct {
	epoll.System
	noPoller error        // error of NewPoller
	noWatch  error        // error of Watch
	writes   atomic.Int32 // the number of bytes that each Write sends at most; 0 is no limit
	broken   atomic.Bool  // each Write fails
	watched  atomic.Int32 // calls of Watch for connections
}

func (f *faultySystem) NewPoller() (epoll.Poller, error) {
	if f.noPoller != nil {
		return nil, f.noPoller
	}
	p, err := f.System.NewPoller()
	return &faultyPoller{p, f}, err
}

func (f *faultySystem) Write(fd int, p []byte) (int, error) {
	if f.broken.Load() {
		return 0, os.ErrClosed
	}
	if most := int(f.writes.Load()); most > 0 && len(p) > most {
		p = p[:most]
	}
	return f.System.Write(fd, p)
}

type faultyPoller struct {
	epoll.Poller
	system *faultySystem
}

func (p *faultyPoller) Watch(fd int, key int32, i epoll.Interest) error {
	p.system.watched.Add(1)
	if p.system.noWatch != nil {
		return p.system.noWatch
	}
	return p.Poller.Watch(fd, key, i)
}

// TestSessionsSurviveFaultsOfTheKernel injects faults into the system calls of the
// polls. Every answer must arrive, in order, whether a poll or a goroutine serves
// the connection.
func TestSessionsSurviveFaultsOfTheKernel(t *testing.T) {
	if os.Getenv(plainVariable) != "" {
		t.Skip("SKIPPED: there are no polls in this run; the one with them has this test")
	}
	for name, system := range map[string]*faultySystem{
		"no poller":           {noPoller: errors.New("too many epoll instances")},
		"no room to watch":    {noWatch: errors.New("too many watches")},
		"writes of few bytes": {},
	} {
		t.Run(name, func(t *testing.T) {
			system.System = epoll.Kernel()
			r := newRig(t, func(_ *rig, c *ServerConfig) { c.system = system })
			p := r.dial()
			p.login(userA, passwordA)
			faultless := system.noPoller == nil && system.noWatch == nil
			if faultless {
				r.awaitWatched(1)
				system.writes.Store(7)
			}
			for i := range 3 {
				p.say(protocol.CommandDownload)
				if id := p.tempID(); r.disk.kept()[i].Issue.TempID != id {
					t.Errorf("answer %d is %s, which is not the stored one", i, id)
				}
			}
			if n := system.watched.Load(); (n > 0) != (system.noPoller == nil) {
				t.Errorf("%d connections were offered to a poll", n)
			}
			p.say(protocol.CommandLogout)
			p.hearEnd()
			r.awaitAlive(0)
		})
	}
}

// TestASessionEndsWhenAPollCannotSend breaks the writes of a watched connection. The
// session must end as it does when the peer closes the connection.
func TestASessionEndsWhenAPollCannotSend(t *testing.T) {
	if os.Getenv(plainVariable) != "" {
		t.Skip("SKIPPED: there are no polls in this run; the one with them has this test")
	}
	system := &faultySystem{System: epoll.Kernel()}
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.system = system })
	p := r.dial()
	p.login(userA, passwordA)
	r.awaitWatched(1)
	system.broken.Store(true)
	p.say(protocol.CommandDownload)
	r.awaitOutput(userA + " logout\n")
	r.awaitAlive(0)
}
