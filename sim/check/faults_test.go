package check

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// file is what a server that was started again has read.
type file map[protocol.TempID]nodes.Issue

// read has the server started again with these files.
func (w *rig) read(at time.Duration, f file) {
	w.ServerStopped(int64(at))
	w.ServerStarted(int64(at), func(id protocol.TempID) (nodes.Issue, bool) {
		i, ok := f[id]
		return i, ok
	})
}

func issued(user string, id byte, from time.Duration) nodes.Issue {
	return nodes.Issue{User: user, TempID: idOf(id), Start: start + int64(from/second), Expiry: start + int64((from+900*second)/second)}
}

func TestTempIDsOutlive(t *testing.T) {
	tell(t, []history{
		{"all are there, and more that nobody was told of", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.downloads(second, 1, "ben", "comp1", idTwo)
			w.read(2*second, file{idOf('1'): issued("anna", '1', 0), idOf('2'): issued("ben", '2', second), idOf('3'): issued("ben", '3', 0)})
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
		{"the clock was stepped between the asking and the answer", func(w *rig) {
			w.attempt(0, 0, "right", protocol.Welcome)
			w.ServerRead(int64(second), 0, []byte(protocol.CommandDownload))
			w.clock(2*second, 0, time.Hour, 0)
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
		t.Errorf("%+v after %d looks, want the first that was sent, %+v, after 2", w.broken, w.Evaluated(TempIDsOutlive), want)
	}
}

// uploads has ben upload so many entries, a line each, on connection 3; the last
// ones of its answers are left out.
func (w *rig) uploads(at time.Duration, entries, unsent int) {
	w.Accepted(int64(at), 3)
	w.says(at, 3, "ben")
	w.says(at, 3, "comp1", protocol.Welcome)
	w.says(at, 3, protocol.CommandUpload, protocol.Ack)
	lines := []string{[]string{"0", "3", "6"}[entries]}
	for range entries {
		lines = append(lines, uploaded(idTwo)...)
	}
	for i, l := range lines {
		if i < len(lines)-unsent {
			w.says(at, 3, l, protocol.Ack)
		} else {
			w.says(at, 3, l)
		}
	}
}

func TestUploadsWhole(t *testing.T) {
	whole := func(w *rig, at time.Duration, entries int) {
		w.ServerPrinted(int64(at), uploadBlock("ben", strings.Split(strings.Repeat(idTwo+" ", 3*entries), " ")[:3*entries], nil))
	}
	tell(t, []history{
		{"told of at once", func(w *rig) {
			w.uploads(0, 1, 0)
			whole(w, 0, 1)
			w.says(second, 3, protocol.CommandUpload, protocol.Ack)
			w.says(second, 3, "0", protocol.Ack)
			whole(w, second, 0)
			w.says(2*second, 3, protocol.CommandUpload)
		}, nil},
		{"never told of, seen at what is read next", func(w *rig) {
			w.uploads(0, 1, 0)
			w.says(1, 3, protocol.CommandUpload)
		}, []Invariant{UploadsWhole}},
		{"told of too late", func(w *rig) {
			w.uploads(0, 1, 0)
			whole(w, 1, 1)
		}, []Invariant{UploadsWhole}},
		{"told of as broken off", func(w *rig) {
			w.uploads(0, 1, 0)
			w.ServerPrinted(0, "received contact log from ben\nben: incomplete upload: 3 of 3 lines")
			w.says(1, 3, protocol.CommandUpload)
		}, []Invariant{UploadsWhole}},
		{"told of another", func(w *rig) {
			w.uploads(0, 2, 0)
			whole(w, 0, 1)
			w.says(1, 3, protocol.CommandUpload)
		}, []Invariant{UploadsWhole}},
		{"one of two that end at once is told of", func(w *rig) {
			w.uploads(0, 1, 0)
			w.says(0, 3, protocol.CommandUpload, protocol.Ack)
			w.says(0, 3, "3", protocol.Ack)
			for _, l := range uploaded(idTwo) {
				w.says(0, 3, l, protocol.Ack)
			}
			whole(w, 0, 1)
			w.says(1, 3, protocol.CommandUpload)
		}, []Invariant{UploadsWhole}},
		{"lines that read like a command and a count are lines", func(w *rig) {
			w.Accepted(0, 20)
			w.says(0, 20, "ben")
			w.says(0, 20, "comp1", protocol.Welcome)
			w.says(0, 20, protocol.CommandUpload, protocol.Ack)
			w.says(0, 20, "6", protocol.Ack)
			w.says(0, 20, protocol.CommandUpload)
			w.says(0, 20, "3", slices.Repeat([]string{protocol.Ack}, 4)...)
			w.ServerRead(int64(2*second), 20, []byte(idOne))
		}, nil},
		{"the last line is not acknowledged: nothing is owed", func(w *rig) {
			w.uploads(0, 1, 1)
			w.says(second, 3, protocol.CommandUpload)
		}, nil},
		{"killed in the instant of the last acknowledgement", func(w *rig) {
			w.uploads(0, 1, 0)
			w.restarts(0, second)
			w.attempt(2*second, 0, "right", protocol.Welcome)
			w.says(2*second, 0, protocol.CommandDownload, idOne)
		}, nil},
		{"half of one is told of as whole", func(w *rig) {
			w.uploads(0, 2, 3)
			whole(w, 0, 2)
		}, []Invariant{UploadsWhole}},
		{"one is told of twice", func(w *rig) {
			w.uploads(0, 1, 0)
			whole(w, 0, 1)
			whole(w, 0, 1)
		}, []Invariant{UploadsWhole}},
		{"one of somebody else is told of", func(w *rig) {
			w.uploads(0, 1, 0)
			w.ServerPrinted(0, uploadBlock("anna", uploaded(idTwo), nil))
			whole(w, 0, 1)
		}, []Invariant{UploadsWhole}},
	})
}

func TestFaultsEnd(t *testing.T) {
	tell(t, []history{
		{"while it is in force", func(w *rig) { w.FaultApplied(0, true, "anna to ben: a datagram is lost") }, nil},
		{"after its end", func(w *rig) {
			w.FaultApplied(0, true, "anna to ben: a datagram is lost")
			w.FaultApplied(1, false, "anna to ben: a datagram is lost")
		}, []Invariant{FaultsEnd}},
	})
}

func TestDatagramsUnderFaults(t *testing.T) {
	changed := func(w *rig) {
		one := w.heard('1', 0, 900*second, nil)
		w.BeaconSent(0, 1, &one.Raw)
		w.Judged(0, 0, 1, w.heard('2', 0, 900*second, nil))
	}
	tell(t, []history{
		{"doubled, and both arrive", func(w *rig) {
			w.DatagramSent(0, 5)
			w.DatagramCopied(0, 7)
			w.DatagramDelivered(5)
			w.DatagramDelivered(7)
			w.DatagramSent(9, 9)
			w.Balance(8, world.Datagrams{Sent: 3, Delivered: 2, InFlight: 1}, 1)
		}, nil},
		{"doubled, and one never arrives", func(w *rig) {
			w.DatagramSent(0, 5)
			w.DatagramCopied(0, 7)
			w.DatagramDelivered(5)
			w.DatagramSent(9, 9)
		}, []Invariant{DatagramsBalance}},
		{"doubled, and not counted by the world", func(w *rig) {
			w.DatagramSent(0, 5)
			w.DatagramCopied(0, 7)
			w.Balance(1, world.Datagrams{Sent: 1, InFlight: 1}, 1)
		}, []Invariant{DatagramsBalance}},
		{"it found nobody", func(w *rig) {
			w.DatagramSent(0, 5)
			w.DatagramDropped(5)
			w.Balance(6, world.Datagrams{Sent: 1, Lost: 1}, 0)
		}, nil},
		{"it found nobody, and arrived", func(w *rig) {
			w.DatagramSent(0, 5)
			w.DatagramDropped(5)
			w.DatagramDelivered(5)
		}, []Invariant{DatagramsBalance}},
		{"it arrived, and found nobody", func(w *rig) {
			w.DatagramSent(0, 5)
			w.DatagramDelivered(5)
			w.DatagramDropped(5)
		}, []Invariant{DatagramsBalance}},
		{"changed on its way", func(w *rig) {
			w.DatagramChanged(0, 1)
			changed(w)
		}, nil},
		{"that of another was changed", func(w *rig) {
			w.DatagramChanged(0, 2)
			changed(w)
		}, []Invariant{NothingInvalidKept}},
	})
}

// TestDoubledStart: in the hour that clocks show twice, a start that was doubled
// can stand for an expiry an hour later.
func TestDoubledStart(t *testing.T) {
	zone, err := time.LoadLocation("Australia/Sydney")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2021, 4, 3, 15, 30, 0, 0, time.UTC) // 02:30 for the first time
	for _, doubled := range []bool{true, false} {
		v := newRigWith(t, Rules{Start: begin.Unix(), Location: zone, Retention: []time.Duration{min3, min3}})
		text := begin.In(zone).Format(wireLayout)
		e := &nodes.PhoneEffect{Kind: nodes.PhoneJudged, HasVersion: true, Raw: [protocol.BeaconSize]byte([]byte(idOne + text + text + "1"))}
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

// TestAPhoneTakesForDoneWhatWasToldOf: one upload for each that was told of whole
// with as many entries.
func TestAPhoneTakesForDoneWhatWasToldOf(t *testing.T) {
	v := newRigWith(t, Rules{Location: time.UTC})
	v.Invariants.uploads.complete = map[int]int{2: 1}
	if v.Uploaded(1, 0, 2); len(v.broken) > 0 {
		t.Errorf("told of and done: %+v", v.broken)
	}
	if v.Uploaded(2, 1, 2); len(v.broken) != 1 || v.broken[0].Invariant != UploadsWhole || v.broken[0].At != 2 || v.broken[0].Phone != 1 {
		t.Errorf("done and not told of: %+v", v.broken)
	}
}
