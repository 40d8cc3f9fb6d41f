package nodes

import (
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
)

// restart returns a new server with the records of r, at a time of both clocks.
func restart(t *testing.T, r *serverRig, now Now) *serverRig {
	t.Helper()
	next := newServerRig(t, nil)
	next.now = now
	for _, rec := range r.stored {
		if err := next.s.Restore(now, rec); err != nil {
			t.Fatal(err)
		}
	}
	return next
}

// A block continues by wall time across a restart. Elapsed time starts again.
func TestBlockSurvivesARestart(t *testing.T) {
	tests := []struct {
		title string
		down  time.Duration // wall time from the block's begin to the restart
		left  time.Duration
	}{
		{"at once", 0, time.Minute},
		{"in the middle", 20 * time.Second, 40 * time.Second},
		{"a nanosecond before the end", time.Minute - 1, 1},
		{"at the end", time.Minute, 0},
		{"long after", time.Hour, 0},
		{"the wall clock went back: never above its full length", -time.Hour, time.Minute},
	}
	for _, e := range tests {
		t.Run(e.title, func(t *testing.T) {
			const begun = 700*time.Millisecond + 1 // no whole second: nothing is cut
			r := newServerRig(t, nil).at(begun)
			for i := range 3 {
				r.tryLogin(Conn(i), alice, "bad")
				r.tryLogin(Conn(i)+10, "nobody", "bad")
			}
			up := Now{Elapsed: 7 * time.Second, Wall: startWall + int64(begun+e.down)}
			next := restart(t, r, up)
			moment := func(d time.Duration) *serverRig {
				next.now = Now{Elapsed: up.Elapsed + d, Wall: up.Wall + int64(d)}
				return next
			}
			if e.left > 0 {
				equal(t, "known, before", moment(e.left-1).tryLogin(0, alice, alicePassword), refused)
				equal(t, "unknown, before", moment(e.left-1).tryLogin(1, "nobody", "x"), refused)
			}
			equal(t, "known, at the end", moment(e.left).tryLogin(2, alice, alicePassword), welcome)
			equal(t, "unknown, at the end", moment(e.left).tryLogin(3, "nobody", "x"), tryAgain)
		})
	}
}

// A restart does not block an account again that was welcomed after its block, even
// if the wall clock steps. The welcome waits for the store of the reset.
func TestBlockThatIsOverStaysOver(t *testing.T) {
	r := newServerRig(t, nil)
	for i := range 3 {
		r.tryLogin(Conn(i), alice, "bad")
	}
	r.at(time.Minute)
	equal(t, "at the end", r.tryLogin(3, alice, alicePassword), welcome)
	equal(t, "the last record", r.stored[len(r.stored)-1], Record{Kind: RecordAttempts, Attempts: Attempts{Known: true,
		User: alice}})
	stored := len(r.stored)
	equal(t, "once more", r.tryLogin(4, alice, alicePassword), welcome)
	equal(t, "records of it", len(r.stored)-stored, 0)
	back := Now{Wall: startWall - int64(time.Hour)}
	equal(t, "an hour back", restart(t, r, back).tryLogin(0, alice, alicePassword), welcome)

	over := restart(t, &serverRig{stored: r.stored[:3]}, at(time.Hour))
	equal(t, "over while it was down", over.tryLogin(0, alice, alicePassword), welcome)
	equal(t, "an hour back, after that", restart(t, &serverRig{stored: append(r.stored[:3:3], over.stored...)},
		back).tryLogin(0, alice, alicePassword), welcome)
}

func TestCountSurvivesARestart(t *testing.T) {
	r := newServerRig(t, nil)
	r.tryLogin(0, alice, "a")
	r.tryLogin(1, alice, "b")
	r.tryLogin(2, bob, "a")
	r.tryLogin(3, bob, bobPassword)
	next := restart(t, r, at(time.Hour))
	equal(t, "third", next.tryLogin(0, alice, "c"), blocks)
	equal(t, "reset", next.tryLogin(1, bob, "b"), tryAgain)
}

func TestTempIDsSurviveARestart(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	first := r.download(0)
	next := restart(t, r, at(time.Hour))
	issue, ok := next.s.Resolve(first)
	equal(t, "resolves", ok && issue == r.stored[0].Issue, true)
	// The same entropy would draw the same TempID again.
	next.login(0, bob, bobPassword)
	if again := next.download(0); again == first {
		t.Errorf("TempID %s was issued twice", again)
	}
}

func TestRestoreRefuses(t *testing.T) {
	id := protocol.TempID([]byte("12345678901234567890"))
	issue := func(user string, start, expiry int64) Record {
		return Record{Kind: RecordIssue, Issue: Issue{User: user, TempID: id, Start: start, Expiry: expiry}}
	}
	r := newServerRig(t, nil)
	for range 2 { // the same line twice is one issue
		if err := r.s.Restore(r.now, issue(alice, 0, 900)); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]Record{
		"it was issued to":   issue(bob, 0, 900),
		"from 900 to 900":    issue(bob, 900, 900),
		"valid from 0 to 99": issue(bob, 0, 999_999_999_999),
		"-1 wrong passwords": {Kind: RecordAttempts, Attempts: Attempts{User: alice, Known: true, Wrong: -1}},
		"a block of 0s":      {Kind: RecordAttempts, Attempts: Attempts{User: alice, Known: true, BlockedUntil: 5}},
		"kind 9":             {Kind: 9},
	}
	for want, rec := range tests {
		t.Run(want, func(t *testing.T) {
			if err := r.s.Restore(r.now, rec); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("restoring %+v: got %v, want %q", rec, err, want)
			}
		})
	}
}

// Issues of the years 1 to 9998 are restored.
func TestRestoreTakesEveryYearThatIsPrinted(t *testing.T) {
	for _, test := range []struct {
		start, expiry int64
		refused       bool
	}{
		{earliestIssue, earliestIssue + 1, false}, {earliestIssue - 1, earliestIssue + 1, true},
		{latestIssue - 1, latestIssue, false}, {latestIssue - 1, latestIssue + 1, true},
	} {
		r := newServerRig(t, nil)
		i := Issue{User: alice, TempID: protocol.TempID([]byte(someID)), Start: test.start, Expiry: test.expiry}
		equal(t, "refused", r.s.Restore(r.now, Record{Issue: i}) != nil, test.refused)
		got, ok := r.s.Resolve(i.TempID)
		equal(t, "resolves", ok && got == i, !test.refused)
	}
	equal(t, "the first", protocol.LocalTime(earliestIssue).String(), "01/01/0001 00:00:00")
	equal(t, "the last", protocol.LocalTime(latestIssue).String(), "31/12/9998 23:59:59")
}
