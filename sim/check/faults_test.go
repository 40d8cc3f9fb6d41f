package check

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// file is the contents of the server's files after a restart.
type file map[protocol.TempID]nodes.Issue

// read restarts the server with these files.
func (w *rig) read(at time.Duration, f file) {
	w.ServerStopped(int64(at))
	w.ServerStarted(int64(at), func(id protocol.TempID) (nodes.Issue, bool) {
		i, ok := f[id]
		return i, ok
	})
}

func issued(user string, id byte, from time.Duration) nodes.Issue {
	return nodes.Issue{User: user, TempID: idOf(id), Start: start + int64(from/second), Expiry: start +
		int64((from+900*second)/second)}
}

func TestTempIDsOutlive(t *testing.T) {
	checkHistories(t, []history{
		{"all are there, and more that were not sent", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.downloads(second, 1, "ben", "comp1", idTwo)
			w.read(2*second, file{idOf('1'): issued("anna", '1', 0), idOf('2'): issued("ben", '2', second),
				idOf('3'): issued("ben", '3', 0)})
		}, nil},
		{"one is lost", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.downloads(second, 1, "ben", "comp1", idTwo)
			w.read(2*second, file{idOf('1'): issued("anna", '1', 0)})
		}, []Invariant{TempIDsOutlive}},
		{"one is of another", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.read(2*second, file{idOf('1'): issued("ben", '1', 0)})
		}, []Invariant{TempIDsOutlive}},
		{"one is of another time", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.read(2*second, file{idOf('1'): issued("anna", '1', second)})
		}, []Invariant{TempIDsOutlive}},
		{"the second restart loses one", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.read(2*second, file{idOf('1'): issued("anna", '1', 0)})
			w.read(3*second, file{})
		}, []Invariant{TempIDsOutlive}},
		{"the clock was stepped between the request and the answer", func(w *rig) {
			w.attempt(0, 0, "right", protocol.Welcome)
			w.ServerRead(int64(second), 0, []byte(protocol.CommandDownload))
			w.ClockSet(int64(2*second), event.Server, 2*second, start*int64(second)+int64(2*second+time.Hour), 0)
			w.ServerSent(int64(3*second), 0, []byte(idOne))
			w.read(4*second, file{idOf('1'): issued("anna", '1', second)})
			w.read(5*second, file{idOf('1'): issued("anna", '1', 3*second+time.Hour)})
		}, nil},
	})
	w := newRig(t)
	w.downloads(second, 0, "anna", "right", idTwo)
	w.downloads(2*second, 1, "ben", "comp1", idOne)
	w.read(3*second, file{})
	want := Violation{TempIDsOutlive, int64(3 * second), -1, idTwo + " of anna, sent at 1.000000000 s", "it is lost"}
	if len(w.broken) != 1 || w.broken[0] != want || w.Evaluated(TempIDsOutlive) != 2 {
		t.Errorf("%+v after %d evaluations, want the first that was sent, %+v, after 2", w.broken,
			w.Evaluated(TempIDsOutlive), want)
	}
}

// uploads makes ben upload this number of entries, a line each, on connection 3. The
// last unsent answers are not sent.
func (w *rig) uploads(at time.Duration, entries, unsent int) {
	w.Accepted(int64(at), 3)
	w.exchange(at, 3, "ben")
	w.exchange(at, 3, "comp1", protocol.Welcome)
	w.exchange(at, 3, protocol.CommandUpload, protocol.Ack)
	lines := []string{[]string{"0", "3", "6"}[entries]}
	for range entries {
		lines = append(lines, uploaded(idTwo)...)
	}
	for i, l := range lines {
		if i < len(lines)-unsent {
			w.exchange(at, 3, l, protocol.Ack)
		} else {
			w.exchange(at, 3, l)
		}
	}
}

func TestUploadsWhole(t *testing.T) {
	whole := func(w *rig, at time.Duration, entries int) {
		w.ServerPrinted(int64(at), uploadBlock("ben", strings.Split(strings.Repeat(idTwo+" ", 3*entries),
			" ")[:3*entries], nil))
	}
	checkHistories(t, []history{
		{"printed at once", func(w *rig) {
			w.uploads(0, 1, 0)
			whole(w, 0, 1)
			w.exchange(second, 3, protocol.CommandUpload, protocol.Ack)
			w.exchange(second, 3, "0", protocol.Ack)
			whole(w, second, 0)
			w.exchange(2*second, 3, protocol.CommandUpload)
		}, nil},
		{"never printed, noticed at the next read", func(w *rig) {
			w.uploads(0, 1, 0)
			w.exchange(1, 3, protocol.CommandUpload)
		}, []Invariant{UploadsWhole}},
		{"printed too late", func(w *rig) {
			w.uploads(0, 1, 0)
			whole(w, 1, 1)
		}, []Invariant{UploadsWhole}},
		{"printed as incomplete", func(w *rig) {
			w.uploads(0, 1, 0)
			w.ServerPrinted(0, "received contact log from ben\nben: incomplete upload: 3 of 3 lines")
			w.exchange(1, 3, protocol.CommandUpload)
		}, []Invariant{UploadsWhole}},
		{"another one is printed", func(w *rig) {
			w.uploads(0, 2, 0)
			whole(w, 0, 1)
			w.exchange(1, 3, protocol.CommandUpload)
		}, []Invariant{UploadsWhole}},
		{"one of two that end at once is printed", func(w *rig) {
			w.uploads(0, 1, 0)
			w.exchange(0, 3, protocol.CommandUpload, protocol.Ack)
			w.exchange(0, 3, "3", protocol.Ack)
			for _, l := range uploaded(idTwo) {
				w.exchange(0, 3, l, protocol.Ack)
			}
			whole(w, 0, 1)
			w.exchange(1, 3, protocol.CommandUpload)
		}, []Invariant{UploadsWhole}},
		{"lines that read like a command and a count are lines", func(w *rig) {
			w.Accepted(0, 20)
			w.exchange(0, 20, "ben")
			w.exchange(0, 20, "comp1", protocol.Welcome)
			w.exchange(0, 20, protocol.CommandUpload, protocol.Ack)
			w.exchange(0, 20, "6", protocol.Ack)
			w.exchange(0, 20, protocol.CommandUpload)
			w.exchange(0, 20, "3", slices.Repeat([]string{protocol.Ack}, 4)...)
			w.ServerRead(int64(2*second), 20, []byte(idOne))
		}, nil},
		{"the last line is not acknowledged: nothing is owed", func(w *rig) {
			w.uploads(0, 1, 1)
			w.exchange(second, 3, protocol.CommandUpload)
		}, nil},
		{"killed in the instant of the last acknowledgement", func(w *rig) {
			w.uploads(0, 1, 0)
			w.restarts(0, second)
			w.attempt(2*second, 0, "right", protocol.Welcome)
			w.exchange(2*second, 0, protocol.CommandDownload, idOne)
		}, nil},
		{"half of one is printed as complete", func(w *rig) {
			w.uploads(0, 2, 3)
			whole(w, 0, 2)
		}, []Invariant{UploadsWhole}},
		{"one is printed twice", func(w *rig) {
			w.uploads(0, 1, 0)
			whole(w, 0, 1)
			whole(w, 0, 1)
		}, []Invariant{UploadsWhole}},
		{"one of another user is printed", func(w *rig) {
			w.uploads(0, 1, 0)
			w.ServerPrinted(0, uploadBlock("anna", uploaded(idTwo), nil))
			whole(w, 0, 1)
		}, []Invariant{UploadsWhole}},
	})
}

func TestFaultsEnd(t *testing.T) {
	checkHistories(t, []history{
		{"while it is in force", func(w *rig) { w.FaultApplied(0, true, "anna to ben: a datagram is lost") }, nil},
		{"after its end", func(w *rig) {
			w.FaultApplied(0, true, "anna to ben: a datagram is lost")
			w.FaultApplied(1, false, "anna to ben: a datagram is lost")
		}, []Invariant{FaultsEnd}},
	})
}

// TestDoubledStart checks that in an hour that clocks show twice, a duplicated start
// can serve as an expiry an hour later.
func TestDoubledStart(t *testing.T) {
	zone, err := time.LoadLocation("Australia/Sydney")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2021, 4, 3, 15, 30, 0, 0, time.UTC) // 02:30 for the first time
	for _, doubled := range []bool{true, false} {
		v := newRigWith(t, Rules{Start: begin.Unix(), Location: zone, Retention: []time.Duration{min3, min3}})
		text := begin.In(zone).Format(wireLayout)
		e := &nodes.PhoneEffect{Kind: nodes.PhoneJudged, HasVersion: true,
			Raw: [protocol.BeaconSize]byte([]byte(idOne + text + text + "1"))}
		if doubled {
			v.DatagramSent(0, 0)
			v.DatagramCopied(0, 0)
		}
		v.Judged(0, 0, 1, e)
		if want := !doubled; (len(v.broken) > 0) != want {
			t.Errorf("doubled %v: %+v", doubled, v.broken)
		}
	}
}

// TestUploadsReportedAsDoneWerePrinted checks that the server has printed a complete
// upload with as many entries for each one that a phone reports as done.
func TestUploadsReportedAsDoneWerePrinted(t *testing.T) {
	v := newExactRig(t)
	done := func(at int64, phone event.Node, op nodes.Operation, o nodes.Outcome) {
		v.emit(at, event.OperationDone, event.Event{Node: phone, Phone: &nodes.PhoneEffect{Op: op, Outcome: o,
			Entries: 2}})
	}
	v.Invariants.uploads.complete = map[int]int{2: 1}
	done(1, 0, nodes.OpLogin, nodes.OutcomeOK)
	done(1, 0, nodes.OpUpload, nodes.OutcomeConnectionLost)
	if done(1, 0, nodes.OpUpload, nodes.OutcomeOK); len(v.broken) > 0 {
		t.Errorf("printed and done: %+v", v.broken)
	}
	if done(2, 1, nodes.OpUpload, nodes.OutcomeOK); len(v.broken) != 1 || v.broken[0].Invariant != UploadsWhole ||
		v.broken[0].At != 2 || v.broken[0].Phone != 1 {
		t.Errorf("done and not printed: %+v", v.broken)
	}
}

// TestUploadsBalance checks the counts of uploads of a world against the model: complete, cut off by the end of the
// session or of the server, and under way.
func TestUploadsBalance(t *testing.T) {
	whole := func(w *rig) {
		w.uploads(0, 1, 0)
		w.ServerPrinted(0, uploadBlock("ben", []string{idTwo, idTwo, idTwo}, nil))
	}
	ended := func(w *rig, closed bool) { w.emit(1, event.ServerEnded, event.Event{Closed: closed}) }
	for name, c := range map[string]struct {
		play             func(*rig)
		complete, broken uint64
	}{
		"complete":                  {whole, 1, 0},
		"under way":                 {func(w *rig) { w.uploads(0, 1, 1) }, 0, 0},
		"the end of the phone read": {func(w *rig) { w.uploads(0, 1, 1); ended(w, false) }, 0, 0},
		"its session has ended":     {func(w *rig) { w.uploads(0, 1, 1); ended(w, true); ended(w, true) }, 0, 1},
		"a session without one":     {func(w *rig) { whole(w); ended(w, true); w.ServerStopped(1) }, 1, 0},
		"the server has stopped":    {func(w *rig) { w.uploads(0, 1, 3); w.ServerStopped(1); ended(w, true) }, 0, 1},
		"one after the other": {func(w *rig) {
			whole(w)
			w.exchange(0, 3, protocol.CommandUpload,
				protocol.Ack)
			w.ServerStopped(1)
		},
			1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []world.Uploads{{Complete: c.complete, Broken: c.broken}, {Complete: c.complete + 1,
				Broken: c.broken},
				{Complete: c.complete, Broken: c.broken + 1}} {
				w := newRig(t)
				c.play(w)
				w.Balance(2, &world.Counts{Uploads: n}, 0)
				right := n == world.Uploads{Complete: c.complete, Broken: c.broken}
				if right != (len(w.broken) == 0) || !right && w.broken[0].Invariant != UploadsBalance ||
					w.Evaluated(UploadsBalance) != 1 {
					t.Errorf("%+v: %+v after %d evaluations", n, w.broken, w.Evaluated(UploadsBalance))
				}
			}
		})
	}
	w := newRig(t)
	w.Balance(2, &world.Counts{Uploads: world.Uploads{Complete: 1}}, 0) // of a server that is not observed
	if len(w.broken) > 0 || w.Evaluated(UploadsBalance) > 0 {
		t.Errorf("%+v without an acknowledgement", w.broken)
	}
}
