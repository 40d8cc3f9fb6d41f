package socket

import (
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// reasons returns the reasons for which sessions have ended, sorted.
func (r *rig) reasons() []string {
	r.lock.Lock()
	defer r.lock.Unlock()
	return slices.Sorted(slices.Values(r.watch.reasons))
}

func (r *rig) awaitReasons(want ...string) {
	r.t.Helper()
	r.await("the ends of sessions", func() bool { return len(r.watch.reasons) >= len(want) })
	if got := r.reasons(); !slices.Equal(got, want) {
		r.t.Fatalf("sessions ended with %q, want %q", got, want)
	}
}

// awaitAlive waits until n connections are left, including those that linger.
func (r *rig) awaitAlive(n int) {
	r.t.Helper()
	r.await("connections to go", func() bool { return len(r.server.alive) == n })
}

func TestTwoMinutesToLogIn(t *testing.T) {
	r := newRig(t, nil)
	silent, named, wrong := r.dial(), r.dial(), r.dial()
	named.piece(userA)
	wrong.piece(userA)
	wrong.say("wrong")
	wrong.hear(protocol.TryAgain) // does not prolong it
	r.await("three sessions", func() bool { return r.watch.accepted == 3 })
	r.mock.Add(2*time.Minute - 1)
	if got := r.reasons(); len(got) != 0 {
		t.Fatalf("ended a nanosecond early: %q", got)
	}
	r.mock.Add(1)
	for _, p := range []*peer{silent, named, wrong} {
		p.hearEnd()
	}
	r.awaitReasons(nodes.ReasonLoginTimeout, nodes.ReasonLoginTimeout, nodes.ReasonLoginTimeout)
	r.awaitAlive(0)
}

// A deadline that is set before the current one is kept.
func TestAnEarlierDeadline(t *testing.T) {
	r := newRig(t, nil)
	r.dial().login(userA, passwordA)
	r.mock.Add(2 * time.Minute) // the first alarm rings for nothing; the next is for an hour
	r.await("the next alarm", func() bool { return r.server.alarm.at == time.Hour })
	p := r.dial()
	r.await("the second session", func() bool { return r.watch.accepted == 2 })
	r.mock.Add(2 * time.Minute)
	p.hearEnd()
	r.awaitReasons(nodes.ReasonLoginTimeout)
}

func TestAnHourIdle(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.login(userA, passwordA)
	r.mock.Add(time.Hour - 1)
	p.say(protocol.CommandDownload) // begins the hour anew
	p.tempID()
	r.mock.Add(time.Hour - 1)
	if got := r.reasons(); len(got) != 0 {
		t.Fatalf("ended early: %q", got)
	}
	r.mock.Add(1)
	p.hearEnd()
	r.awaitReasons(nodes.ReasonIdleTimeout)
	r.awaitOutput("+61410888888: nothing received for 1h0m0s\n+61410888888 logout\n")
}

func TestTheOldestSessionNotLoggedInIsClosed(t *testing.T) {
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Settings.MaxConnections = 3 })
	peers := make([]*peer, 3)
	for i := range peers {
		peers[i] = r.dial()
		r.await("a session", func() bool { return r.watch.accepted == i+1 })
	}
	peers[0].login(userA, passwordA)
	peers[2].piece(userB)
	fourth := r.dial()
	peers[1].hearEnd()
	peers[2].say(passwordB)
	peers[2].hear(protocol.Welcome)
	fourth.login(userB, passwordB)
	r.dial() // all are logged in: of the account with two sessions, the one idle for longer goes
	peers[2].hearEnd()
	r.awaitReasons(nodes.ReasonTooMany, nodes.ReasonTooMany)
	r.awaitAlive(3)
	peers[0].say(protocol.CommandLogout)
	peers[0].hearEnd()
	r.awaitAlive(2)
	r.dial().login(userA, passwordA)
}

func TestAThousandAtOnce(t *testing.T) {
	r := newRig(t, nil)
	var done sync.WaitGroup
	var mu sync.Mutex
	seen := map[protocol.TempID]bool{}
	for range 1000 {
		done.Go(func() {
			c, err := net.Dial("tcp", r.at)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(hang))
			var id protocol.TempID
			welcome := make([]byte, len(protocol.Welcome))
			io.WriteString(c, userA+passwordA)
			if _, err := io.ReadFull(c, welcome); err != nil {
				t.Errorf("waiting for the welcome: %q, %v", welcome, err)
				return
			}
			io.WriteString(c, protocol.CommandDownload)
			if _, err := io.ReadFull(c, id[:]); err != nil {
				t.Errorf("waiting for a TempID: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[id] = true
		})
	}
	done.Wait()
	if len(seen) != 1000 || len(r.disk.kept()) != 1000 {
		t.Errorf("a thousand phones got %d TempIDs, and %d were stored", len(seen), len(r.disk.kept()))
	}
	r.awaitAlive(0)
}

// A peer that never reads fills the kernel's buffers with its answers, and is then
// not read from. Other sessions go on. It is closed an hour after its last input
// that was read.
func TestAPeerThatNeverReads(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.login(userA, passwordA)
	if err := p.SetReadBuffer(1); err != nil {
		t.Fatal(err)
	}
	flooded := make(chan error, 1)
	go func() {
		flood := []byte(strings.Repeat(protocol.CommandUpload+"0", 100))
		for {
			if _, err := p.Write(flood); err != nil {
				flooded <- err
				return
			}
		}
	}()
	r.awaitStill()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	if memory.HeapInuse > 64<<20 {
		t.Errorf("%d bytes of heap for one peer", memory.HeapInuse)
	}
	other := r.dial()
	other.login(userB, passwordB)
	other.say(protocol.CommandDownload)
	other.tempID()
	r.mock.Add(time.Hour)
	r.await("the idle end", func() bool { return slices.Contains(r.watch.reasons, nodes.ReasonIdleTimeout) })
	p.Close()
	if err := <-flooded; err == nil {
		t.Error("the flood never ended")
	}
}

// awaitStill waits until there was no read for a while. It fails if reading does
// not stop.
func (r *rig) awaitStill() {
	r.t.Helper()
	read, still := 0, 0
	r.await("the reading to stop", func() bool {
		if still++; r.watch.bytes != read {
			read, still = r.watch.bytes, 0
		}
		return still == 200
	})
}
