package socket

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// If the disk is full the phone gets no TempID, and the session goes on. Once
// there is room the server issues again.
func TestAFullDisk(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.login(userA, passwordA)
	r.disk.set(func() { r.disk.issues = syscall.ENOSPC })
	p.piece(protocol.CommandDownload)
	r.awaitOutput("+61410888888: a TempID could not be saved: no space left on device\n")
	p.say(protocol.CommandUpload) // the session goes on, and the "1" is its first answer
	p.hear("1")
	p.say("0")
	p.hear("1")
	r.disk.set(func() { r.disk.issues = nil })
	p.say(protocol.CommandDownload)
	id := p.tempID()
	if got := r.disk.kept(); len(got) != 1 || got[0].Issue.TempID != id {
		t.Errorf("stored %+v, want only %s", got, id)
	}
}

// An error of one file does not concern records of the other, even in the same
// batch.
func TestAnErrorIsThatOfItsOwnFile(t *testing.T) {
	issue := nodes.Record{Kind: nodes.RecordIssue}
	attempts := nodes.Record{Kind: nodes.RecordAttempts}
	unsaved := nodes.Record{Kind: nodes.RecordUnsaved}
	of := errors.New("of issues")
	for _, row := range []struct {
		record     nodes.Record
		i, a, want error
	}{
		{issue, of, nil, of},
		{attempts, of, nil, nil},
		{attempts, nil, of, of},
		{issue, nil, of, nil},
		{unsaved, nil, of, of},
		{unsaved, of, nil, nil},
	} {
		r := request{records: []nodes.Record{row.record}}
		if got := r.errorOf(row.i, row.a); !errors.Is(got, row.want) || got != nil && row.want == nil {
			t.Errorf("errorOf(%v, %v) for %v = %v, want %v", row.i, row.a, row.record, got, row.want)
		}
	}
}

// Requests that come during a store are stored together afterwards.
func TestWaitingRequestsShareTheNextStore(t *testing.T) {
	r := newRig(t, nil)
	peers := make([]*peer, 5)
	for i := range peers {
		peers[i] = r.dial()
		peers[i].login(userA, passwordA)
	}
	gate := make(chan struct{})
	r.disk.set(func() { r.disk.gate = gate })
	peers[0].say(protocol.CommandDownload)
	r.awaitDisk(1)
	for _, p := range peers[1:] {
		p.piece(protocol.CommandDownload)
	}
	slow := r.dial()
	slow.login(userB, passwordB) // no other session waits for the disk
	close(gate)
	for _, p := range peers {
		p.tempID()
	}
	if got := r.disk.sizes(); !slices.Equal(got, []int{1, 4}) {
		t.Errorf("batches of %v, want one, then the four that had come", got)
	}
}

// No request is answered before it is stored.
func TestNoTempIDBeforeItIsOnDisk(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.login(userA, passwordA)
	gate := make(chan struct{})
	r.disk.set(func() { r.disk.gate = gate })
	p.piece(protocol.CommandDownload)
	r.awaitDisk(1)
	p.SetReadDeadline(time.Unix(1, 0))
	if n, err := p.Read(make([]byte, 20)); n != 0 || !isTimeout(err) {
		t.Fatalf("read %d bytes (%v) before the TempID was stored", n, err)
	}
	p.SetReadDeadline(time.Now().Add(hang))
	gate <- struct{}{}
	p.tempID()
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// A wrong password in one read with its name has no answer, and is stored later. The end of
// the server stores it, too.
func TestTheEndStoresAJoinedAttempt(t *testing.T) {
	for _, inline := range []bool{false, true} {
		r := newRig(t, func(_ *rig, c *ServerConfig) { c.Inline = inline })
		r.dial().piece(userA + "wrong")
		r.close()
		want := nodes.Attempts{Known: true, User: userA, Wrong: 1}
		if got := r.disk.kept(); len(got) != 1 || got[0].Attempts != want {
			t.Errorf("inline %v: stored %+v, want %+v", inline, got, want)
		}
	}
}

// An inline disk is called at once, in the goroutine that asked.
func TestAnInlineDisk(t *testing.T) {
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Inline = true })
	p := r.dial()
	p.login(userA, passwordA)
	p.say("Download_tempIDDownload_tempIDDownload_tempIDlog out")
	for range 3 {
		p.tempID()
	}
	p.hearEnd()
	if got := r.disk.sizes(); !slices.Equal(got, []int{1, 1, 1}) {
		t.Errorf("batches of %v, want each by itself", got)
	}
}

// Wrong passwords that cannot be saved are counted.
func TestAttemptsThatCannotBeSavedCount(t *testing.T) {
	r := newRig(t, nil)
	r.disk.set(func() { r.disk.attempts = syscall.EIO })
	p := r.dial()
	p.piece(userA)
	for _, answer := range []string{protocol.TryAgain, protocol.TryAgain, protocol.NowBlocked} {
		p.say("wrong")
		p.hear(answer)
	}
	p.hearEnd()
	r.awaitOutput("attempts of +61410888888 could not be saved: input/output error\n")
}
