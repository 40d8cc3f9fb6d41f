package socket

import (
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// Close stores the records that wait, sends the unsent answers, and ends every
// session with the end of file.
func TestCloseLosesNothing(t *testing.T) {
	r := newRig(t, nil)
	idle, asking, uploading, strange := r.dial(), r.dial(), r.dial(), r.dial()
	idle.login(userA, passwordA)
	asking.login(userA, passwordA)
	uploading.login(userB, passwordB)
	uploading.say(protocol.CommandUpload)
	uploading.hear("1")
	strange.piece("nobody")
	gate := make(chan struct{})
	r.disk.set(func() { r.disk.gate = gate })
	asking.piece(protocol.CommandDownload)
	r.awaitDisk(1)
	closed := make(chan error)
	go func() { closed <- r.server.Close() }()
	r.await("the closing to begin", func() bool { return r.server.phase == closing })
	select {
	case err := <-closed:
		t.Fatalf("Close returned (%v) while a store was at the disk", err)
	default:
	}
	close(gate)
	id := asking.tempID()
	for _, p := range []*peer{idle, asking, uploading, strange} {
		p.hearEnd()
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if got := r.disk.kept(); len(got) != 1 || got[0].Issue.TempID != id {
		t.Errorf("stored %+v, want %s", got, id)
	}
	for _, line := range []string{"+61410888888 logout\n", "+61410999999: incomplete upload: no count of " +
		"lines\n+61410999999 logout\n"} {
		if !strings.Contains(r.output.String(), line) {
			t.Errorf("the output has no %q:\n%s", line, r.output.String())
		}
	}
	if c, err := net.Dial("tcp", r.at); err == nil {
		c.Close()
		t.Error("a closed server accepts")
	}
}

// Close waits neither for a peer that does not end nor for one that does not read.
func TestCloseIsNotHeldUpByAPeer(t *testing.T) {
	before := runtime.NumGoroutine()
	r := newRig(t, nil)
	p := r.dial()
	p.login(userA, passwordA)
	p.SetReadBuffer(1)
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		for {
			if _, err := p.Write([]byte(protocol.CommandUpload + "0")); err != nil {
				return
			}
		}
	}()
	r.awaitStill()
	r.dial().login(userB, passwordB)
	r.close()
	p.Close()
	<-flooded
	r.await("its goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

// After Kill nothing reaches the disk, and the connections are broken.
func TestKill(t *testing.T) {
	r := newRig(t, nil)
	p, waiting := r.dial(), r.dial()
	p.login(userA, passwordA)
	waiting.login(userA, passwordA)
	gate := make(chan struct{})
	r.disk.set(func() { r.disk.gate = gate })
	p.piece(protocol.CommandDownload)
	r.awaitDisk(1)
	waiting.piece(protocol.CommandDownload) // behind it
	killed := make(chan struct{})
	go func() { defer close(killed); r.server.Kill() }()
	for _, q := range []*peer{p, waiting} {
		if got, _ := io.ReadAll(q); len(got) != 0 {
			t.Errorf("%q came out of a killed server", got)
		}
	}
	select {
	case <-killed:
		t.Fatal("Kill returned while a store was at the disk")
	default:
	}
	close(gate)
	select {
	case <-killed:
	case <-time.After(hang):
		t.Fatal("Kill hangs")
	}
	if got := r.disk.kept(); len(got) != 1 {
		t.Errorf("stored %d records, want the one that was at the disk", len(got))
	}
	if len(r.watch.stored) != 0 || strings.Contains(r.output.String(), "TempID") {
		t.Errorf("a killed server went on: %v\n%s", r.watch.stored, r.output.String())
	}
	r.mock.Add(2 * time.Hour)
	if got := r.watch.reasons; len(got) != 0 {
		t.Errorf("a killed server ended sessions: %q", got)
	}
}

// A new server knows the records of the former one.
func TestRestore(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.login(userA, passwordA)
	p.say(protocol.CommandDownload)
	id := p.tempID()
	q := r.dial()
	q.piece(userB)
	for range 2 {
		q.say("wrong")
		q.hear(protocol.TryAgain)
	}
	r.server.Kill()
	next := newRig(t, func(_ *rig, c *ServerConfig) {
		c.Restore = func(take func(nodes.Record) error) error {
			for _, record := range r.disk.kept() {
				if err := take(record); err != nil {
					return err
				}
			}
			return nil
		}
	})
	q = next.dial()
	q.piece(userB)
	q.say("wrong")
	q.hear(protocol.NowBlocked)
	next.lock.Lock()
	defer next.lock.Unlock()
	if got, ok := next.server.Machine().Resolve(id); !ok || got.User != userA {
		t.Errorf("TempID %s resolves to %+v, %v", id, got, ok)
	}
}

func TestNewServerRefuses(t *testing.T) {
	bad := errors.New("a strange line")
	for name, change := range map[string]func(*ServerConfig){
		"server settings: invalid zone <nil>: must be set": func(c *ServerConfig) { c.Settings.Zone = nil },
		"restoring what was stored: a strange line": func(c *ServerConfig) {
			c.Restore = func(func(nodes.Record) error) error { return bad }
		},
	} {
		var config ServerConfig
		newRig(t, func(_ *rig, c *ServerConfig) { config = *c })
		change(&config)
		if _, err := NewServer(config); err == nil || err.Error() != name {
			t.Errorf("refused with %v, want %s", err, name)
		}
	}
}

// With CloseTimeout Close returns even if the disk does not answer, with an error.
// The peers get no false answer, and the requests that waited are not stored
// later.
func TestCloseIsNotHeldUpByTheDisk(t *testing.T) {
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.CloseTimeout = time.Nanosecond })
	p, waiting := r.dial(), r.dial()
	p.login(userA, passwordA)
	waiting.login(userB, passwordB)
	gate := make(chan struct{})
	r.disk.set(func() { r.disk.gate = gate })
	p.piece(protocol.CommandDownload)
	r.awaitDisk(1)
	waiting.piece(protocol.CommandDownload)
	if err := r.server.Close(); !errors.Is(err, ErrUnsaved) {
		t.Errorf("Close returned %v", err)
	}
	for _, q := range []*peer{p, waiting} {
		if got, _ := io.ReadAll(q); len(got) != 0 {
			t.Errorf("%q came out of a server that has saved nothing", got)
		}
	}
	close(gate)
	r.server.tasks.Wait()
	if got := r.disk.kept(); len(got) != 1 {
		t.Errorf("stored %d records, want the one that was at the disk", len(got))
	}
}

// CloseTimeout applies to a blocked read of the accounts, too, which loses
// nothing.
func TestCloseIsNotHeldUpByTheCredentials(t *testing.T) {
	gate, stuck := make(chan struct{}), make(chan struct{})
	first := true
	r := newRig(t, func(_ *rig, c *ServerConfig) {
		c.CloseTimeout = time.Nanosecond
		c.Credentials = func() ([]nodes.Credential, bool) {
			if !first {
				close(stuck)
				<-gate
			}
			first = false
			return nil, false
		}
	})
	r.dial().say(userA)
	<-stuck
	if err := r.server.Close(); err != nil {
		t.Errorf("Close returned %v", err)
	}
	close(gate)
	r.server.tasks.Wait()
}
