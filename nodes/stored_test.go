package nodes

import (
	"errors"
	"testing"
	"time"

	"bluetrace/protocol"
)

var errDisk = errors.New("no space left")

// Attempts change before EffectStore. Their answers go out at Stored.
func TestAttemptsCountBeforeTheyAreStored(t *testing.T) {
	r := newServerRig(t, nil)
	r.hold = true
	r.accept(0, 1, 2, 3)
	for c := range Conn(4) {
		r.read(c, alice)
	}
	same(t, "first", r.read(0, "a"))
	same(t, "second", r.read(1, "b"))
	same(t, "third", r.at(time.Second).read(2, "c"))
	equal(t, "the block is there", r.count(EventBlockBegan), 1)
	same(t, "refused before any Stored", r.read(3, alicePassword), "3> "+protocol.IsBlocked, "3> FIN")
	equal(t, "connection 2 waits", r.s.Reading(2), false)
	same(t, "third is stored first", r.storedAs(3, nil), "2> "+protocol.NowBlocked, "2> FIN")
	same(t, "first", r.storedAs(1, nil), "0> "+tryAgain)
	same(t, "second, on a full disk", r.storedAs(2, errDisk),
		"attempts of "+alice+" could not be saved: no space left", "1> "+tryAgain)
	want := []Record{
		{Kind: RecordAttempts, Attempts: Attempts{Known: true, User: alice, Wrong: 1}},
		{Kind: RecordAttempts, Attempts: Attempts{Known: true, User: alice, Wrong: 2}},
		{Kind: RecordAttempts, Attempts: Attempts{Known: true, User: alice,
			BlockedUntil: startWall + int64(61*time.Second), BlockDuration: time.Minute}},
	}
	for i := range want {
		equal(t, "record", r.stored[i], want[i])
	}
	same(t, "its end is saved", r.at(61*time.Second).login(4, alice, alicePassword))
	same(t, "what was refused is stored again", r.storedAs(4, nil),
		"the attempts that could not be saved are saved now")
	same(t, "the block counts from the password, not from the disk", r.storedAs(5, nil), "4> "+welcome, "users: "+alice)
}

func TestRightPasswordStoresTheResetFirst(t *testing.T) {
	r := newServerRig(t, nil)
	r.hold = true
	r.accept(0)
	r.read(0, alice)
	r.read(0, "a")
	r.storedAs(1, nil)
	same(t, "right", r.read(0, alicePassword))
	equal(t, "the reset", r.stored[1], Record{Kind: RecordAttempts, Attempts: Attempts{Known: true, User: alice}})
	same(t, "stored, whatever the disk says", r.storedAs(2, errDisk),
		"attempts of "+alice+" could not be saved: no space left", "0> "+welcome, "users: "+alice)
	same(t, "the disk may still count one", r.login(1, alice, alicePassword))
	same(t, "stored", r.storedAs(3, nil), "the attempts that could not be saved are saved now", "1> "+welcome,
		"users: "+alice)
	same(t, "with a count of zero nothing is stored", r.login(2, alice, alicePassword), "2> "+welcome, "users: "+alice)
}

// A welcome waits until the reset of the count is stored, even if it is the reset of
// an earlier right password.
func TestEveryWelcomeWaitsForTheReset(t *testing.T) {
	r := newServerRig(t, nil)
	r.hold = true
	r.accept(0)
	r.read(0, alice)
	r.read(0, "a")
	r.storedAs(1, nil)
	same(t, "right", r.read(0, alicePassword))                                                             // store 2
	same(t, "right elsewhere, meanwhile", r.login(1, alice, alicePassword))                                // store 3
	same(t, "joined, meanwhile", func() []string { r.accept(2); return r.read(2, alice+alicePassword) }()) // store 4
	same(t, "the first is stored", r.storedAs(2, nil), "0> "+welcome, "users: "+alice)
	same(t, "the second", r.storedAs(3, nil), "1> "+welcome, "users: "+alice)
	same(t, "the third", r.storedAs(4, nil), "2> "+welcome, "users: "+alice)
	same(t, "nothing more to store", r.login(3, alice, alicePassword), "3> "+welcome, "users: "+alice)
}

// A wrong password during the store of a reset counts from zero, and its record
// replaces that of the reset.
func TestAWrongPasswordBehindAReset(t *testing.T) {
	r := newServerRig(t, nil)
	r.hold = true
	r.accept(0, 1)
	r.read(0, alice)
	r.read(1, alice)
	r.read(0, "a")
	r.storedAs(1, nil)
	same(t, "right", r.read(0, alicePassword)) // store 2
	same(t, "wrong", r.read(1, "b"))           // store 3
	same(t, "the reset is stored", r.storedAs(2, nil), "0> "+welcome, "users: "+alice)
	same(t, "the wrong one is stored", r.storedAs(3, nil), "1> "+tryAgain)
	same(t, "right again: the disk has one", r.login(2, alice, alicePassword))
	equal(t, "records", r.stored[2].Attempts.Wrong, 1)
	equal(t, "the last record", r.stored[3], Record{Kind: RecordAttempts, Attempts: Attempts{Known: true, User: alice}})
}

// A block that begins during the store of a reset holds.
func TestNoWelcomeDuringABlock(t *testing.T) {
	r := newServerRig(t, nil)
	r.hold = true
	r.accept(0, 1, 2, 3, 4)
	for c := range Conn(5) {
		r.read(c, alice)
	}
	r.read(0, "a")
	r.read(1, alicePassword) // store 2
	r.read(2, "b")
	r.read(3, "c")
	r.read(4, "d")
	equal(t, "blocked", r.count(EventBlockBegan), 1)
	same(t, "stored", r.storedAs(2, nil), "1> "+protocol.IsBlocked, "1> FIN")
	equal(t, "event", r.lastEvent(EventRefused), ServerEvent{Kind: EventRefused, User: alice, Reason: ReasonBlocked})
}

func TestOwnersChangeAtStored(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	r.login(1, bob, bobPassword)
	r.hold = true
	same(t, "download", r.at(1500*time.Millisecond).read(0, "Download_tempIDDownload_tempID"))
	i := r.stored[0].Issue
	equal(t, "start is the second", i.Start, startWall/int64(time.Second)+1)
	equal(t, "lifetime", i.Expiry-i.Start, 900)
	_, ok := r.s.Resolve(i.TempID)
	equal(t, "resolves before it is stored", ok, false)
	equal(t, "reading", r.s.Reading(0), false)
	same(t, "others go on", r.read(1, "bob's noise"), bob+`: no command: "bob's noise"`)
	same(t, "stored", r.storedAs(1, nil), "0> "+i.TempID.String(), "user: "+alice+"\nTempID:\n"+i.TempID.String())
	equal(t, "event", r.lastEvent(EventIssued), ServerEvent{Kind: EventIssued, User: alice, TempID: i.TempID})
	got, ok := r.s.Resolve(i.TempID)
	equal(t, "resolves now", ok && got == i, true)
	equal(t, "the second command of the read", len(r.stored), 2)
	second := r.stored[1].Issue.TempID
	same(t, "on a full disk", r.storedAs(2, errDisk), alice+": a TempID could not be saved: no space left")
	equal(t, "event", r.lastEvent(EventNotIssued), ServerEvent{Kind: EventNotIssued, User: alice, TempID: second})
	_, ok = r.s.Resolve(second)
	equal(t, "the second resolves", ok, false)
	equal(t, "the session goes on", r.s.Reading(0), true)
}

func TestStoredAfterTheSessionEnded(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	r.hold = true
	r.read(0, "Download_tempIDlog out")
	same(t, "the connection breaks", r.eof(0), alice+" logout", "0> FIN")
	r.accept(0) // the number is used again
	same(t, "stored", r.storedAs(1, nil))
	_, ok := r.s.Resolve(r.stored[0].Issue.TempID)
	equal(t, "it was issued all the same", ok, true)
	equal(t, "the new session is not concerned", r.s.Reading(0), true)
	same(t, "and awaits a username", r.read(0, bob))
	equal(t, "and a password", sent(r.read(0, bobPassword)), welcome)
}

// The answer to a login is not sent after its session has ended, also not to the next session of the connection.
func TestALoginIsNotAnsweredAfterTheSessionEnded(t *testing.T) {
	for _, passwords := range [][]string{{"a"}, {"a", alicePassword}, {"a", "b", "c"}} {
		r := newServerRig(t, nil)
		r.accept(0)
		r.read(0, alice)
		last := len(passwords) - 1
		for _, p := range passwords[:last] {
			r.read(0, p)
		}
		r.hold = true
		same(t, "the last password", r.read(0, passwords[last]))
		same(t, "the connection breaks", r.eof(0), "0> FIN")
		r.accept(0)
		same(t, "stored", r.storedAs(r.waiting[0], nil))
		same(t, "a username", r.read(0, bob))
		equal(t, "and a password", sent(r.read(0, bobPassword)), welcome)
	}
}

func TestStoredTwicePanics(t *testing.T) {
	r := newServerRig(t, nil)
	defer func() {
		equal(t, "panic", recover(), any("store 7: stored, but nothing waits for it (last: 0)"))
	}()
	r.storedAs(7, nil)
}

func TestTempIDsAreNeverIssuedTwice(t *testing.T) {
	const a, b, c = 1<<60 + 1, 2<<60 + 1, 3<<60 + 1
	src := &constantSource{list: []uint64{a, b, a, b, a, b, a, c, a, b, a, c, b, b}}
	r := newServerRig(t, func(s *ServerSettings) { s.Entropy = src })
	r.login(0, alice, alicePassword)
	seen := map[protocol.TempID]bool{}
	for range 3 {
		id := r.download(0)
		equal(t, "seen before", seen[id], false)
		seen[id] = true
	}
	equal(t, "every number was drawn", src.at, len(src.list))
}

func TestAStuckSourcePanics(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.Entropy = &constantSource{list: []uint64{1}} })
	r.login(0, alice, alicePassword)
	r.download(0)
	defer func() {
		equal(t, "panic", recover(), any("drawing a TempID: the source gave 128 in a row of the 1 that exist"))
	}()
	r.download(0)
}
