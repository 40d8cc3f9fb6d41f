package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

func TestHistories(t *testing.T) {
	const min = time.Minute
	checkHistories(t, []history{
		// logins
		{"a right password", func(w *rig) { w.attempt(0, 0, "right", protocol.Welcome) }, nil},
		{"three wrong ones block", func(w *rig) { w.blocked() }, nil},
		{"refused to the last nanosecond", func(w *rig) {
			w.blocked()
			w.attempt(62*second-1, 1, "right", protocol.IsBlocked)
			w.attempt(62*second, 2, "right", protocol.Welcome)
		}, nil},
		{"refusals do not prolong a block", func(w *rig) {
			w.blocked()
			w.attempt(60*second, 1, "wrong", protocol.IsBlocked)
			w.attempt(62*second, 2, "wrong", protocol.TryAgain)
			w.exchange(62*second, 2, "wrong", protocol.TryAgain)
			w.exchange(62*second, 2, "wrong", protocol.NowBlocked)
		}, nil},
		{"welcomed a nanosecond early", func(w *rig) {
			w.blocked()
			w.attempt(62*second-1, 1, "right", protocol.Welcome)
		}, []Invariant{NoWelcomeDuringBlock}},
		{"a wrong password answered as wrong during a block", func(w *rig) {
			w.blocked()
			w.attempt(30*second, 1, "wrong", protocol.TryAgain)
		}, []Invariant{BlockLastsExactly}},
		{"still blocked at its end", func(w *rig) {
			w.blocked()
			w.attempt(62*second, 1, "right", protocol.IsBlocked)
		}, []Invariant{BlockLastsExactly}},
		{"the fourth wrong password blocks", func(w *rig) {
			w.opens(0, 0)
			for range 3 {
				w.exchange(0, 0, "wrong", protocol.TryAgain)
			}
		}, []Invariant{ThirdWrongBlocks}},
		{"the second wrong password blocks", func(w *rig) {
			w.opens(0, 0)
			w.exchange(0, 0, "wrong", protocol.TryAgain)
			w.exchange(0, 0, "wrong", protocol.NowBlocked)
		}, []Invariant{ThirdWrongBlocks}},
		{"the third is refused with the words of a block", func(w *rig) {
			w.opens(0, 0)
			w.exchange(0, 0, "wrong", protocol.TryAgain)
			w.exchange(0, 0, "wrong", protocol.TryAgain)
			w.exchange(0, 0, "wrong", protocol.IsBlocked)
		}, []Invariant{ThirdWrongBlocks}},
		{"counted across connections", func(w *rig) {
			w.attempt(0, 0, "wrong", protocol.TryAgain)
			w.attempt(1, 1, "wrong", protocol.TryAgain)
			w.attempt(2, 2, "wrong", protocol.NowBlocked)
		}, nil},
		{"counted for each connection", func(w *rig) {
			w.attempt(0, 0, "wrong", protocol.TryAgain)
			w.attempt(1, 1, "wrong", protocol.TryAgain)
			w.attempt(2, 2, "wrong", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"a right password sets the count to zero", func(w *rig) {
			w.attempt(0, 0, "wrong", protocol.TryAgain)
			w.attempt(1, 1, "wrong", protocol.TryAgain)
			w.attempt(2, 2, "right", protocol.Welcome)
			w.attempt(3, 3, "wrong", protocol.TryAgain)
		}, nil},
		{"the count is not set to zero", func(w *rig) {
			w.attempt(0, 0, "wrong", protocol.TryAgain)
			w.attempt(1, 1, "wrong", protocol.TryAgain)
			w.attempt(2, 2, "right", protocol.Welcome)
			w.attempt(3, 3, "wrong", protocol.NowBlocked)
		}, []Invariant{ThirdWrongBlocks}},
		{"another account is blocked as well", func(w *rig) {
			w.blocked()
			w.Accepted(int64(3*second), 1)
			w.exchange(3*second, 1, "ben")
			w.exchange(3*second, 1, "comp1", protocol.IsBlocked)
		}, []Invariant{BlockLastsExactly}},
		{"a right password is refused", func(w *rig) { w.attempt(0, 0, "right", protocol.TryAgain) }, []Invariant{ThirdWrongBlocks}},
		{"a wrong password is welcomed", func(w *rig) { w.attempt(0, 0, "wrong", protocol.Welcome) }, []Invariant{ThirdWrongBlocks}},
		{"an unknown name is blocked in the same way", func(w *rig) {
			for i, answer := range []string{protocol.TryAgain, protocol.TryAgain, protocol.NowBlocked, protocol.IsBlocked} {
				w.Accepted(0, nodes.Conn(i))
				w.exchange(0, nodes.Conn(i), "nobody")
				w.exchange(0, nodes.Conn(i), "x", answer)
			}
		}, nil},
		{"an unknown name is never blocked", func(w *rig) {
			for i := range nodes.Conn(3) {
				w.Accepted(0, i)
				w.exchange(0, i, "nobody")
				w.exchange(0, i, "x", protocol.TryAgain)
			}
		}, []Invariant{ThirdWrongBlocks}},
		{"an unknown name is welcomed", func(w *rig) {
			w.Accepted(0, 0)
			w.exchange(0, 0, "nobody")
			w.exchange(0, 0, "x", protocol.Welcome)
		}, []Invariant{ThirdWrongBlocks}},
		{"name and password in one read", func(w *rig) {
			w.Accepted(0, 0)
			w.exchange(0, 0, "annaright", protocol.Welcome)
		}, nil},
		{"of two names in one read, the longest", func(w *rig) {
			w.Accepted(0, 0)
			w.exchange(0, 0, "annabelother", protocol.Welcome)
		}, nil},
		{"a wrong one in one read counts, unanswered", func(w *rig) {
			for i := range nodes.Conn(2) {
				w.Accepted(0, i)
				w.exchange(0, i, "annawrong")
			}
			w.attempt(0, 2, "wrong", protocol.NowBlocked)
		}, nil},
		{"a wrong one in one read is answered", func(w *rig) {
			w.Accepted(0, 0)
			w.exchange(0, 0, "annawrong", protocol.TryAgain)
		}, []Invariant{ThirdWrongBlocks}},
		{"a restart keeps the block", func(w *rig) {
			w.blocked()
			w.ServerStopped(int64(10 * second))
			w.attempt(20*second, 1, "right", protocol.IsBlocked)
		}, nil},
		{"a restart forgets the block", func(w *rig) {
			w.blocked()
			w.ServerStopped(int64(10 * second))
			w.attempt(20*second, 1, "right", protocol.Welcome)
		}, []Invariant{NoWelcomeDuringBlock}},
		{"a kill before the answer leaves the count open", func(w *rig) {
			w.attempt(0, 0, "wrong", protocol.TryAgain)
			w.opens(0, 1)
			w.exchange(0, 1, "wrong")
			w.ServerStopped(1)
			w.attempt(2, 2, "wrong", protocol.NowBlocked)
			w.attempt(3, 3, "right", protocol.IsBlocked)
		}, nil},
		{"a session that is open goes on during a block", func(w *rig) {
			w.attempt(0, 5, "right", protocol.Welcome)
			w.blocked()
			w.exchange(3*second, 5, protocol.CommandDownload, idOne)
		}, nil},

		// TempIDs
		{"two TempIDs", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.exchange(0, 0, protocol.CommandDownload, idTwo)
		}, nil},
		{"a TempID twice for one account", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.exchange(0, 0, protocol.CommandDownload, idOne)
		}, []Invariant{IssuedOnce}},
		{"a TempID for two accounts", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.downloads(0, 1, "ben", "comp1", idOne)
		}, []Invariant{IssuedOnce}},
		{"an upload that resolves", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.printUpload(uploaded(idOne), []string{"anna", atStart, "30/07/2020 09:15:00"})
		}, nil},
		{"unknown TempIDs print nothing", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.printUpload(append(uploaded(idTwo), uploaded(idOne)...), []string{"anna", atStart, "30/07/2020 09:15:00"})
			w.printUpload(nil, nil)
		}, nil},
		{"an upload that broke off resolves nothing", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.ServerPrinted(0, "received contact log from ben\n"+idOne+"\nben: incomplete upload: 1 of 3 lines")
		}, nil},
		{"resolved to another", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.printUpload(uploaded(idOne), []string{"ben", atStart, "30/07/2020 09:15:00"})
		}, []Invariant{ResolvesToOwner}},
		{"resolved with another start", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.printUpload(uploaded(idOne), []string{"anna", "30/07/2020 09:00:01", "30/07/2020 09:15:01"})
		}, []Invariant{ResolvesToOwner}},
		{"resolved with another expiry", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.printUpload(uploaded(idOne), []string{"anna", atStart, "30/07/2020 09:14:59"})
		}, []Invariant{ResolvesToOwner}},
		{"not resolved", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.printUpload(uploaded(idOne), nil)
		}, []Invariant{ResolvesToOwner}},
		{"one too many resolved", func(w *rig) {
			w.downloads(0, 0, "anna", "right", idOne)
			w.printUpload(uploaded(idTwo), []string{"anna", atStart, "30/07/2020 09:15:00"})
		}, []Invariant{ResolvesToOwner}},
		{"the server's time lies between the asking and the answer", func(w *rig) {
			w.attempt(0, 0, "right", protocol.Welcome)
			w.ServerRead(int64(500*time.Millisecond), 0, []byte(protocol.CommandDownload))
			w.ServerSent(int64(2500*time.Millisecond), 0, []byte(idOne))
			w.printUpload(uploaded(idOne), []string{"anna", "30/07/2020 09:00:01", "30/07/2020 09:15:01"})
		}, nil},
		{"the server's time lies after the answer", func(w *rig) {
			w.attempt(0, 0, "right", protocol.Welcome)
			w.ServerRead(int64(500*time.Millisecond), 0, []byte(protocol.CommandDownload))
			w.ServerSent(int64(2500*time.Millisecond), 0, []byte(idOne))
			w.printUpload(uploaded(idOne), []string{"anna", "30/07/2020 09:00:03", "30/07/2020 09:15:03"})
		}, []Invariant{ResolvesToOwner}},

		// logs
		{"kept for its time", func(w *rig) {
			one := w.logOf(entry{'1', 0})
			w.keepBeacon(0, '1', one)
			w.Stepped(int64(3*min-1), 0, one)
			w.Stepped(int64(3*min), 0, w.logOf())
			w.Compare(int64(3*min), 0, w.logOf())
		}, nil},
		{"each phone has its own time", func(w *rig) {
			one := w.logOf(entry{'1', 0})
			for phone := range uint32(3) {
				w.Judged(0, phone, 9, w.judgement('1', 0, 900*second, nil))
				w.Stepped(0, phone, one)
			}
			w.Stepped(int64(min), 2, w.logOf())
			w.Stepped(int64(min), 1, one)
			w.Compare(int64(min), 0, one)
		}, nil},
		{"a nanosecond too long", func(w *rig) {
			one := w.logOf(entry{'1', 0})
			w.keepBeacon(0, '1', one)
			w.Stepped(int64(3*min), 0, one)
		}, []Invariant{NothingStays}},
		{"a nanosecond too short", func(w *rig) {
			w.keepBeacon(0, '1', w.logOf(entry{'1', 0}))
			w.Stepped(int64(3*min-1), 0, w.logOf())
		}, []Invariant{NothingLeavesEarly}},
		{"the same TempID twice is two entries", func(w *rig) {
			w.keepBeacon(0, '1', w.logOf(entry{'1', 0}))
			w.keepBeacon(second, '1', w.logOf(entry{'1', 0}, entry{'1', second}))
			w.Stepped(int64(3*min), 0, w.logOf(entry{'1', second}))
			w.Compare(int64(3*min), 0, w.logOf(entry{'1', second}))
			w.Stepped(int64(3*min+second), 0, w.logOf())
		}, nil},
		{"deleted by TempID instead of by age", func(w *rig) {
			w.keepBeacon(0, '1', w.logOf(entry{'1', 0}))
			w.keepBeacon(second, '1', w.logOf(entry{'1', 0}, entry{'1', second}))
			w.Stepped(int64(3*min), 0, w.logOf())
		}, []Invariant{NothingLeavesEarly}},
		{"the wrong one of two has gone", func(w *rig) {
			w.keepBeacon(0, '1', w.logOf(entry{'1', 0}))
			w.keepBeacon(second, '2', w.logOf(entry{'1', 0}, entry{'2', second}))
			w.Stepped(int64(2*second), 0, w.logOf(entry{'1', 0}, entry{'1', second}))
			w.Compare(int64(2*second), 0, w.logOf(entry{'1', 0}, entry{'1', second}))
		}, []Invariant{NothingLeavesEarly}},
		{"out of order", func(w *rig) {
			w.keepBeacon(0, '1', w.logOf(entry{'1', 0}))
			w.keepBeacon(second, '2', w.logOf(entry{'1', 0}, entry{'2', second}))
			w.Compare(int64(2*second), 0, w.logOf(entry{'2', second}, entry{'1', 0}))
		}, []Invariant{NothingLeavesEarly}},
		{"received at another moment", func(w *rig) {
			w.keepBeacon(second, '1', w.logOf(entry{'1', second}))
			w.Compare(int64(2*second), 0, w.logOf(entry{'1', second + 1}))
		}, []Invariant{NothingLeavesEarly}},
		{"invalid, and not kept", func(w *rig) {
			w.Judged(0, 0, 9, w.judgement('1', -900*second, 900*second, protocol.ErrExpired))
			w.Stepped(0, 0, w.logOf())
			w.Judged(0, 0, 9, &nodes.PhoneEffect{Kind: nodes.PhoneJudged, OutOfTurn: true, Err: protocol.ErrOutOfTurn})
			w.Stepped(0, 0, w.logOf())
		}, nil},
		{"expired, and judged valid", func(w *rig) {
			w.Judged(0, 0, 9, w.judgement('1', -900*second, 900*second, nil))
		}, []Invariant{NothingInvalidKept}},
		{"invalid, and kept all the same", func(w *rig) {
			w.Judged(0, 0, 9, w.judgement('1', -900*second, 900*second, protocol.ErrExpired))
			w.Stepped(0, 0, w.logOf(entry{'1', 0}))
		}, []Invariant{NothingInvalidKept}},
		{"another version, and judged valid", func(w *rig) {
			e := w.judgement('1', 0, 900*second, nil)
			e.Raw[58] = '2'
			w.Judged(0, 0, 9, e)
		}, []Invariant{NothingInvalidKept}},
		{"valid, and judged invalid", func(w *rig) {
			w.Judged(0, 0, 9, w.judgement('1', 0, 900*second, protocol.ErrEarly))
		}, []Invariant{NothingValidMissing}},
		{"valid, and not kept", func(w *rig) {
			w.keepBeacon(0, '1', w.logOf())
		}, []Invariant{NothingValidMissing}},
		{"the beacon as its sender sent it", func(w *rig) {
			e := w.judgement('1', 0, 900*second, nil)
			w.BeaconSent(0, 1, &e.Raw)
			w.Judged(0, 0, 1, e)
			w.Stepped(0, 0, w.logOf(entry{'1', 0}))
		}, nil},
		{"two beacons mixed into one", func(w *rig) {
			one, two := w.judgement('1', 0, 900*second, nil), w.judgement('2', 0, 900*second, nil)
			w.BeaconSent(0, 1, &one.Raw)
			w.BeaconSent(0, 2, &two.Raw)
			w.Judged(0, 0, 1, two)
		}, []Invariant{NothingInvalidKept}},
		{"datagrams of its own from a forger", func(w *rig) {
			w.DatagramsForged(0, 1)
			w.keepBeacon(0, '1', w.logOf(entry{'1', 0}))
			w.Judged(0, 0, 1, w.judgement('2', 0, 900*second, nil))
		}, nil},

		// a right password whose answer waits for the disk while others block
		{"refused after the wait", func(w *rig) {
			w.opens(0, 1)
			w.exchange(0, 1, "right")
			w.blocked()
			w.ServerSent(int64(5*second), 1, []byte(protocol.IsBlocked))
		}, nil},
		{"welcomed after the wait, during the block", func(w *rig) {
			w.opens(0, 1)
			w.exchange(0, 1, "right")
			w.blocked()
			w.ServerSent(int64(5*second), 1, []byte(protocol.Welcome))
		}, []Invariant{NoWelcomeDuringBlock}},
		{"welcomed after the wait, at the end of the block", func(w *rig) {
			w.opens(0, 1)
			w.exchange(0, 1, "right")
			w.blocked()
			w.ServerSent(int64(62*second), 1, []byte(protocol.Welcome))
		}, nil},
		// datagrams
		{"balanced", func(w *rig) {
			w.DatagramSent(0, 5)
			w.DatagramSent(1, 4)
			w.DatagramLost(2)
			w.DatagramDelivered(4)
			w.DatagramDelivered(5)
			w.DatagramSent(6, 7)
			w.Balance(6, world.Datagrams{Sent: 4, Delivered: 2, Lost: 1, InFlight: 1}, 1)
		}, nil},
		{"one that never arrives, seen at the next", func(w *rig) {
			w.DatagramSent(0, 5)
			w.DatagramSent(5, 9)
			w.DatagramDelivered(9)
			w.DatagramLost(10)
		}, []Invariant{DatagramsBalance}},
		{"one that never arrives, seen at the end", func(w *rig) {
			w.DatagramSent(0, 5)
			w.Balance(6, world.Datagrams{Sent: 1, InFlight: 1}, 0)
		}, []Invariant{DatagramsBalance}},
		{"one that the world counts without an event", func(w *rig) {
			w.Balance(6, world.Datagrams{Sent: 1, Delivered: 1}, 0)
		}, []Invariant{DatagramsBalance}},
		{"one that arrives before it was sent", func(w *rig) { w.DatagramSent(5, 4) }, []Invariant{DatagramsBalance}},
		{"one that is nowhere", func(w *rig) {
			w.DatagramSent(0, 5)
			w.Balance(3, world.Datagrams{Sent: 1, InFlight: 1}, 0)
		}, []Invariant{DatagramsBalance}},
		{"one that came twice", func(w *rig) {
			w.DatagramSent(0, 5)
			w.DatagramDelivered(5)
			w.DatagramDelivered(5)
		}, []Invariant{DatagramsBalance}},
	})
}

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
		{NoWelcomeDuringBlock, int64(32 * second), -1, fmt.Sprintf("%q, 30s after the third wrong password; the last block of anna began at 2.000000000 s, block_duration is 1m0s, and the server was not restarted since", protocol.IsBlocked),
			fmt.Sprintf("%q to anna", protocol.Welcome)},
		{NothingValidMissing, int64(40 * second), 2, `valid: "1111111111111111111130/07/2020 09:00:0030/07/2020 09:15:00"`, "invalid: " + protocol.ErrEarly.Error()},
		{DatagramsBalance, int64(41 * second), -1, "no more delivered and lost than sent", "0 sent, 1 delivered, 0 lost"},
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
		}, NothingLeavesEarly, "1 entry, which was received at 5.000000000 s, 10s ago, with a retention of 3m0s", "0 entries"},
		{"one of two left early", func(w *rig) {
			w.keepBeacon(5*second, '1', w.logOf(entry{'1', 5 * second}))
			w.keepBeacon(7*second, '2', w.logOf(entry{'1', 5 * second}, entry{'2', 7 * second}))
			w.Stepped(int64(15*second), 0, w.logOf(entry{'1', 5 * second}))
		}, NothingLeavesEarly, "2 entries, one of them received at 7.000000000 s, 8s ago, with a retention of 3m0s", "1 entry"},
		{"one too many", func(w *rig) {
			w.Stepped(int64(15*second), 0, w.logOf(entry{'3', 14 * second}))
		}, NothingInvalidKept, "0 entries, and not 33333333333333333333, received at 14.000000000 s, 1s ago, with a retention of 3m0s", "1 entry"},
		{"of a phone with a clock of its own", func(w *rig) {
			w.ClockSet(0, 0, 0, start*int64(second)+int64(second), 0)
			e := w.judgement('1', 4*second, 900*second, nil)
			e.At = nodes.Now{Elapsed: 5 * second, Wall: start*int64(second) + int64(6*second)}
			w.Judged(int64(5*second), 0, 9, e)
			w.Stepped(int64(15*second), 0, w.logOf())
		}, NothingLeavesEarly, "1 entry, which was received at 5.000000000 s of its clock, 10s ago, with a retention of 3m0s", "0 entries"},
	} {
		w := newRig(t)
		c.feed(w)
		i := slices.IndexFunc(w.broken, func(v Violation) bool { return v.Invariant == c.invariant })
		if i < 0 {
			t.Errorf("%s: %+v", c.name, w.broken)
			continue
		}
		if v := w.broken[i]; v.Phone != 0 || v.Expected != c.expected || v.Found != c.found {
			t.Errorf("%s: of %d: expected %q, found %q; want %q and %q", c.name, v.Phone, v.Expected, v.Found, c.expected, c.found)
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
	const want = "; the last block of anna began at 2.000000000 s, block_duration is 1m0s, and the server was restarted since"
	if len(w.broken) != 1 || !strings.HasSuffix(w.broken[0].Expected, want) {
		t.Errorf("%+v, want an expectation that ends in %q", w.broken, want)
	}
}

// TestAllInvariants checks that there are fourteen, each with a name of its own and
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
	w.printUpload(uploaded(idOne), []string{"anna", atStart, "30/07/2020 09:15:00"})
	seen := map[string]bool{}
	for _, i := range All() {
		want := uint64(1)
		switch {
		case i.Rare():
			want = 0
		case i <= ThirdWrongBlocks:
			want = 2 // logins
		}
		if w.Evaluated(i) != want {
			t.Errorf("%s was looked at %d times, want %d", i, w.Evaluated(i), want)
		}
		c := w.Check(i)
		if c.Name != i.String() || c.Evaluations != want || c.Verdict != "passed" || c.Kind != "invariant" || c.Place != "" {
			t.Errorf("its report is %+v", c)
		}
		seen[c.Name] = true
	}
	if len(seen) != 18 || len(w.broken) != 0 {
		t.Errorf("%d names and %d violations, want 18 and none", len(seen), len(w.broken))
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
