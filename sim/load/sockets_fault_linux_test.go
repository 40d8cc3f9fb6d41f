package load

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bluetrace/nodes/socket/epoll"
	"bluetrace/scenarios"
)

// faultySystem is the kernel with faults that a test injects.
type faultySystem struct {
	epoll.System
	connect    func(n int32) error // error of the nth Connect, from 1; nil for none
	shortWrite bool                // Write sends one byte less
	attempts   atomic.Int32
}

func (f *faultySystem) Connect(to netip.AddrPort) (int, error) {
	if n := f.attempts.Add(1); f.connect != nil {
		if err := f.connect(n); err != nil {
			return 0, err
		}
	}
	return f.System.Connect(to)
}

func (f *faultySystem) Write(fd int, p []byte) (int, error) {
	if f.shortWrite {
		p = p[:len(p)-1]
	}
	return f.System.Write(fd, p)
}

// TestFaultsOfTheKernelAreOutcomes injects faults into the system calls of the
// sockets: no operation is lost from the figures, and a lack of descriptors or ports
// is counted as the generator's.
func TestFaultsOfTheKernelAreOutcomes(t *testing.T) {
	everyThird := func(err error) func(int32) error {
		return func(n int32) error {
			if n%3 == 0 {
				return err
			}
			return nil
		}
	}
	for name, row := range map[string]struct {
		system           *faultySystem
		failed, unknown  bool // outcomes of some operations
		resourceFailures bool
	}{
		"no fault": {system: &faultySystem{}},
		"no descriptor": {system: &faultySystem{connect: everyThird(syscall.EMFILE)}, failed: true,
			resourceFailures: true},
		"no port": {system: &faultySystem{connect: everyThird(syscall.EADDRNOTAVAIL)}, failed: true,
			resourceFailures: true},
		"refused":        {system: &faultySystem{connect: everyThird(syscall.ECONNREFUSED)}, failed: true},
		"short of space": {system: &faultySystem{shortWrite: true}, unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go echoOne(c)
				}
			}()
			load := scenarios.Traffic{StartRate: 100, Session: []scenarios.Verb{scenarios.VerbLogin,
				scenarios.VerbDownload},
				Stages:   []scenarios.Stage{{Duration: 300 * time.Millisecond, Rate: 100}},
				Expected: map[string]time.Duration{"connect": 0, "login": 0}}
			c := benched(20, l.Addr().String(), load)
			row.system.System = epoll.Kernel()
			sockets := c.Network.(*Sockets)
			sockets.system = row.system
			m := ran(t, c)
			var all [3]uint64
			for o := range operations {
				for i, n := range m.figures.kinds[o].outcomes {
					all[i] += n
				}
			}
			begun := m.figures.kinds[Connect].outcomes
			if begun[OK]+begun[Failed]+begun[Unknown] != m.Arrivals.Started {
				t.Errorf("connects %v of %d arrivals", begun, m.Arrivals.Started)
			}
			if (all[Failed] > 0) != row.failed || (all[Unknown] > 0) != row.unknown {
				t.Errorf("operations ok, failed, unknown: %v", all)
			}
			if n := sockets.ResourceFailures.Load(); (n > 0) != row.resourceFailures {
				t.Errorf("%d connections lacked a descriptor or a port", n)
			}
		})
	}
	broken := &Sockets{Server: "127.0.0.1:1", system: &noPoller{System: epoll.Kernel()}}
	h := newRecorder()
	_ = broken.Dial(h).Close()
	if err := <-h.opened; !errors.Is(err, syscall.EMFILE) {
		t.Errorf("without a poller: %v", err)
	}
}

type noPoller struct{ epoll.System }

func (*noPoller) NewPoller() (epoll.Poller, error) { return nil, syscall.EMFILE }
