package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// TestViolationNamesTimeAndPhone checks the first violation of each invariant, its
// time and its phone.
func TestViolationNamesTimeAndPhone(t *testing.T) {
	w := newRig(t)
	w.blocked()
	w.attempt(32*second, 1, "right", protocol.Welcome)
	w.attempt(33*second, 2, "right", protocol.Welcome) // not reported again
	w.Judged(int64(40*second), 2, 9, w.judgement('1', 0, 900*second, protocol.ErrEarly))
	w.DatagramDelivered(int64(41 * second))
	want := []Violation{
		{NoWelcomeDuringBlock, int64(32 * second), -1,
			fmt.Sprintf("%q, 30s after the third wrong password; the last block of anna began at 2.000000000 s, "+
				"block_duration is 1m0s, and the server was not restarted since", protocol.IsBlocked),
			fmt.Sprintf("%q to anna", protocol.Welcome)},
		{NothingValidMissing, int64(40 * second), 2,
			`valid: "1111111111111111111130/07/2020 09:00:0030/07/2020 09:15:00"`, "invalid: " +
				protocol.ErrEarly.Error()},
		{DatagramsBalance, int64(41 * second), -1, "no more delivered and lost than sent",
			"0 sent, 1 delivered, 0 lost"},
	}
	if !slices.Equal(w.broken, want) {
		t.Errorf("violations\n%+v\nwant\n%+v", w.broken, want)
	}
}

// TestOddEntries checks that the report about a log names the differing entry, the
// time of its reception and its age.
func TestOddEntries(t *testing.T) {
	for _, c := range []struct {
		name            string
		feed            func(w *rig)
		invariant       Invariant
		expected, found string
	}{
		{"the only entry left early", func(w *rig) {
			w.keepBeacon(5*second, '1', w.logOf(entry{'1', 5 * second}))
			w.Stepped(int64(15*second), 0, w.logOf())
		}, NothingLeavesEarly, "1 entry, which was received at 5.000000000 s, 10s ago, with a retention of 3m0s",
			"0 entries"},
		{"one of two left early", func(w *rig) {
			w.keepBeacon(5*second, '1', w.logOf(entry{'1', 5 * second}))
			w.keepBeacon(7*second, '2', w.logOf(entry{'1', 5 * second}, entry{'2', 7 * second}))
			w.Stepped(int64(15*second), 0, w.logOf(entry{'1', 5 * second}))
		}, NothingLeavesEarly, "2 entries, one of them received at 7.000000000 s, 8s ago, with a retention of 3m0s",
			"1 entry"},
		{"one too many", func(w *rig) {
			w.Stepped(int64(15*second), 0, w.logOf(entry{'3', 14 * second}))
		}, NothingInvalidKept, "0 entries, and not 33333333333333333333, received at 14.000000000 s, 1s ago, with a " +
			"retention of 3m0s", "1 entry"},
		{"of a phone with a clock of its own", func(w *rig) {
			w.ClockSet(0, 0, 0, start*int64(second)+int64(second), 0)
			e := w.judgement('1', 4*second, 900*second, nil)
			e.At = nodes.Now{Elapsed: 5 * second, Wall: start*int64(second) + int64(6*second)}
			w.Judged(int64(5*second), 0, 9, e)
			w.Stepped(int64(15*second), 0, w.logOf())
		}, NothingLeavesEarly, "1 entry, which was received at 5.000000000 s of its clock, 10s ago, with a retention " +
			"of 3m0s", "0 entries"},
	} {
		w := newRig(t)
		c.feed(w)
		i := slices.IndexFunc(w.broken, func(v Violation) bool { return v.Invariant == c.invariant })
		if i < 0 {
			t.Errorf("%s: %+v", c.name, w.broken)
			continue
		}
		if v := w.broken[i]; v.Phone != 0 || v.Expected != c.expected || v.Found != c.found {
			t.Errorf("%s: of %d: expected %q, found %q; want %q and %q", c.name, v.Phone, v.Expected, v.Found,
				c.expected, c.found)
		}
	}
}

// TestBlockAcrossARestart checks that the report of an answer names the begin of the
// block, and the restart of the server since.
func TestBlockAcrossARestart(t *testing.T) {
	w := newRig(t)
	w.blocked()
	w.ServerStopped(int64(10 * second))
	w.ServerStarted(int64(10*second), nil)
	w.attempt(32*second, 1, "right", protocol.Welcome)
	const want = "; the last block of anna began at 2.000000000 s, block_duration is 1m0s, and the server was " +
		"restarted since"
	if len(w.broken) != 1 || !strings.HasSuffix(w.broken[0].Expected, want) {
		t.Errorf("%+v, want an expectation that ends in %q", w.broken, want)
	}
}

// TestAllInvariants checks the number of invariants, each with a name of its own and
// a number of evaluations.
func TestAllInvariants(t *testing.T) {
	w := newRig(t)
	for _, i := range All() {
		if w.Evaluated(i) != 0 {
			t.Errorf("%s was looked at %d times before anything happened", i, w.Evaluated(i))
		}
	}
	w.downloads(0, 0, "anna", "right", idOne)
	w.keepBeacon(0, '1', w.logOf(entry{'1', 0}))
	w.DatagramSent(0, 0)
	w.printUpload(0, uploaded(idOne), []string{"anna", atStart, "30/07/2020 09:15:00"})
	seen := map[string]bool{}
	for _, i := range All() {
		want := uint64(1)
		switch {
		case i.Rare() || i <= ThirdWrongBlocks || i == NothingInvalidKept: // right passwords and a valid beacon
			want = 0
		}
		if w.Evaluated(i) != want {
			t.Errorf("%s was looked at %d times, want %d", i, w.Evaluated(i), want)
		}
		c := w.Check(i)
		if c.Name != i.String() || c.Evaluations != want || c.Verdict != "passed" || c.Kind != "invariant" ||
			c.Place != "" {
			t.Errorf("its report is %+v", c)
		}
		seen[c.Name] = true
	}
	if len(seen) != 24 || len(w.broken) != 0 {
		t.Errorf("%d names and %d violations, want 24 and none", len(seen), len(w.broken))
	}
}

// TestAnswersAreEvaluated counts the evaluations of the invariants about blocks: before a block, in it and after it.
func TestAnswersAreEvaluated(t *testing.T) {
	w := newRig(t)
	has := func(noWelcome, exactly, third uint64) {
		t.Helper()
		got := [3]uint64{w.Evaluated(NoWelcomeDuringBlock), w.Evaluated(BlockLastsExactly), w.Evaluated(ThirdWrongBlocks)}
		if want := [3]uint64{noWelcome, exactly, third}; got != want {
			t.Errorf("evaluated %v times, want %v", got, want)
		}
	}
	w.blocked()
	has(0, 0, 3)
	w.attempt(3*second, 1, "right", protocol.IsBlocked)
	has(1, 1, 3)
	w.attempt(62*second, 2, "right", protocol.Welcome)
	has(1, 2, 3)
}

// TestReceptionsByBothClocks: the reception of a beacon has the elapsed time and the wall time of the phone.
func TestReceptionsByBothClocks(t *testing.T) {
	for _, off := range []nodes.Now{{}, {Elapsed: 1}, {Wall: 1}} {
		w := newRig(t)
		w.ClockSet(0, 0, 0, start*int64(second)+int64(second), 0)
		e := w.judgement('1', 4*second, 900*second, nil)
		e.At = nodes.Now{Elapsed: 5*second + off.Elapsed, Wall: start*int64(second) + int64(6*second) + off.Wall}
		w.Judged(int64(5*second), 0, 9, e)
		if right := off == (nodes.Now{}); right != (len(w.broken) == 0) {
			t.Errorf("%+v wrong: %+v", off, w.broken)
		}
	}
}

// TestManyRetentions checks phones that each have a retention of their own.
func TestManyRetentions(t *testing.T) {
	const phones = 1000
	rules := Rules{Start: start, Location: time.UTC}
	for i := range phones {
		rules.Retention = append(rules.Retention, time.Duration(i+1)*second)
	}
	w := newRigWith(t, rules)
	one := w.logOf(entry{'1', 0})
	for phone := range uint32(phones) {
		w.Judged(0, phone, 9999, w.judgement('1', 0, 900*second, nil))
		w.Stepped(0, phone, one)
	}
	for phone := range uint32(phones) {
		w.Stepped(int64(time.Duration(phone+1)*second)-1, phone, one)
		w.Stepped(int64(time.Duration(phone+1)*second), phone, w.logOf())
	}
	if len(w.broken) != 0 {
		t.Errorf("%+v", w.broken[0])
	}
	w.Stepped(int64(phones*second), 0, one)
	if len(w.broken) != 1 || w.broken[0].Invariant != NothingStays {
		t.Errorf("%+v, want the entry that stays", w.broken)
	}
}
