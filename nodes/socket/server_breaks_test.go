package socket

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"bluetrace/protocol"
)

// stages bring a peer to each point of a session.
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

// A connection may break anywhere: the session ends, and its socket goes.
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

// A peer may end its sending anywhere: what it asked before is answered, and it
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

// What came before the end of file is answered also when it came with it.
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

// The last answer survives although the peer goes on sending: a socket that is
// closed with unread bytes would reset the connection.
func TestTheLastAnswerSurvivesWhatThePeerStillSends(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.piece(userA)
	for range 2 {
		p.say("wrong")
		p.hear(protocol.TryAgain)
	}
	p.say("wrong")
	r.awaitReasons("blocked")
	for range 20 {
		p.say(protocol.CommandDownload)
	}
	p.hear(protocol.NowBlocked)
	p.hearEnd()
	r.awaitAlive(0)
}

// openFiles is how many file descriptors the process has.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("no list of file descriptors on this system: %v", err)
	}
	return len(list)
}

// Ten thousand sessions, of which a third die badly, leave no goroutine and no
// file descriptor.
func TestNothingIsLeftOfTenThousandSessions(t *testing.T) {
	sessions := 10_000
	if testing.Short() {
		sessions = 600
	}
	r := newRig(t, nil)
	r.dial().login(userA, passwordA) // what is made once is made
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

// session is one of many; every third dies badly, in a way of its own.
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
		fmt.Fprint(p, userA+passwordA+protocol.CommandDownload)
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
