package socket

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"bluetrace/protocol"
)

// stages bring a peer to each stage of a session.
var stages = []struct {
	name string
	to   func(p *peer)
}{
	{"before anything", func(*peer) {}},
	{"after the username", func(p *peer) { p.piece(userA) }},
	{"after a wrong password", func(p *peer) {
		p.piece(userA)
		p.say("wrong")
		p.hear(protocol.TryAgain)
		q := p.rig.dial() // sets the count to zero
		q.login(userA, passwordA)
		q.reset()
	}},
	{"logged in", func(p *peer) { p.login(userA, passwordA) }},
	{"in the middle of a command", func(p *peer) {
		p.login(userA, passwordA)
		p.piece("Downl")
	}},
	{"with an answer unread", func(p *peer) {
		p.login(userA, passwordA)
		p.piece(protocol.CommandDownload)
	}},
	{"before the count", func(p *peer) {
		p.login(userA, passwordA)
		p.say(protocol.CommandUpload)
		p.hear("1")
	}},
	{"in the middle of a line", func(p *peer) {
		p.login(userA, passwordA)
		p.say(protocol.CommandUpload)
		p.hear("1")
		p.say("3")
		p.hear("1")
		p.piece("82071592779")
	}},
}

// A connection may break at any stage: the session ends, and its socket is closed.
func TestResetInEveryStage(t *testing.T) {
	for _, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			r := newRig(t, nil)
			p := r.dial()
			stage.to(p)
			p.reset()
			r.awaitAlive(0)
			r.dial().login(userA, passwordA)
		})
	}
}

// A peer may end its sending at any stage: earlier requests are answered, and it
// gets the end of file.
func TestHalfCloseInEveryStage(t *testing.T) {
	for _, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			r := newRig(t, nil)
			p := r.dial()
			stage.to(p)
			p.CloseWrite()
			if strings.Contains(stage.name, "unread") {
				p.tempID()
			}
			p.hearEnd()
			r.awaitAlive(0)
			r.dial().login(userA, passwordA)
		})
	}
}

// Requests that come together with the end of file are answered, too.
func TestAHalfCloseBehindACommand(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.login(userA, passwordA)
	gate := make(chan struct{})
	r.disk.set(func() { r.disk.gate = gate })
	p.say(protocol.CommandDownload)
	p.CloseWrite()
	r.awaitDisk(1)
	gate <- struct{}{}
	p.tempID()
	p.hearEnd()
	r.awaitOutput("+61410888888 logout\n")
}

// lasting lets every connection linger as long as its peer needs.
func (r *rig) lasting() {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.server.linger.time = time.Hour
}

// The server reads the bytes after its last answer: closing a socket with unread
// bytes would reset the connection.
func TestTheEndDoesNotResetTheConnection(t *testing.T) {
	r := newRig(t, nil)
	r.lasting()
	p := r.dial()
	p.login(userA, passwordA)
	p.say(protocol.CommandLogout)
	if n, err := p.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("read %d bytes (%v), want the end of file", n, err)
	}
	for range 500 {
		p.say(protocol.CommandDownload)
		yield()
	}
	r.await("nothing", func() bool { return len(r.server.alive) == 1 })
	p.Close()
	r.awaitAlive(0)
}

// A lingering close ends after its limit of time or of bytes.
func TestAFarewellIsBoundedInBytes(t *testing.T) {
	r := newRig(t, nil)
	r.lasting()
	p := r.dial()
	p.login(userA, passwordA)
	p.say(protocol.CommandLogout)
	for err := error(nil); err == nil; {
		_, err = p.Write(make([]byte, 4096))
	}
	r.awaitAlive(0)
}

func TestAFarewellIsBoundedInTime(t *testing.T) {
	r := newRig(t, nil)
	r.lock.Lock()
	r.server.linger.time = time.Nanosecond
	r.lock.Unlock()
	p := r.dial()
	p.login(userA, passwordA)
	p.say(protocol.CommandLogout)
	r.awaitAlive(0) // although p does not close
}

// If many connections linger each has only the short limit.
func TestFarewellsAreBoundedInNumber(t *testing.T) {
	r := newRig(t, nil)
	r.lasting()
	r.lock.Lock()
	r.server.linger.many = 2
	r.server.linger.short = time.Nanosecond
	r.lock.Unlock()
	for range 5 {
		p := r.dial()
		p.login(userA, passwordA)
		p.say(protocol.CommandLogout)
	}
	r.await("five ends", func() bool { return len(r.watch.reasons) == 5 })
	r.awaitAlive(2)
}

// openFiles returns the number of file descriptors of the process.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("SKIPPED: this system has no list of a process's file descriptors (%v): run it on Linux", err)
	}
	return len(list)
}

// Ten thousand sessions, of which a third break, leave no goroutine and no file
// descriptor.
func TestNothingIsLeftOfTenThousandSessions(t *testing.T) {
	sessions := 10_000
	if testing.Short() {
		sessions = 600
	}
	r := newRig(t, nil)
	r.dial().login(userA, passwordA) // allocates memory that is allocated only once
	r.await("the accounts to be known", func() bool { return len(r.server.alive) == 1 })
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	var left, done sync.WaitGroup
	next := make(chan int)
	for range 20 {
		done.Go(func() {
			for i := range next {
				r.session(i)
				left.Done()
			}
		})
	}
	for i := range sessions {
		left.Add(1)
		next <- i
	}
	left.Wait()
	close(next)
	done.Wait()
	r.awaitAlive(1)
	r.await("goroutines and files to return to their number", func() bool {
		return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files
	})
	r.dial().login(userB, passwordB)
}

// session is one of many. Every third breaks in a different way.
func (r *rig) session(i int) {
	c, err := dialPlain(r.at)
	if err != nil {
		r.t.Error(err)
		return
	}
	p := &peer{TCPConn: c, t: r.t, rig: r}
	defer p.Close()
	switch i % 9 {
	case 0:
		p.SetLinger(0)
		return
	case 3:
		// Of one with an account this would be a wrong password.
		fmt.Fprint(p, "nobody"+passwordA+protocol.CommandDownload)
		p.SetLinger(0)
		return
	case 6:
		fmt.Fprint(p, userB+passwordB)
		if err := p.expect(protocol.Welcome); err != nil {
			r.t.Errorf("session %d: %v", i, err)
		}
		fmt.Fprint(p, protocol.CommandUpload+"30"+"8207")
		p.SetLinger(0)
		return
	}
	fmt.Fprint(p, userA+passwordA)
	if err := p.expect(protocol.Welcome); err != nil {
		r.t.Errorf("session %d: %v", i, err)
		return
	}
	fmt.Fprint(p, protocol.CommandLogout)
	if err := p.expect(""); err != nil {
		r.t.Errorf("session %d: %v", i, err)
	}
}
