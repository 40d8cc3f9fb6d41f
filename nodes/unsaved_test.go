package nodes

import (
	"fmt"
	"testing"
	"time"
)

// A name and a wrong password in one read make no difference that another session, or the
// next answer of this one, could show: the session does not wait, and the attempt is stored
// together with the next one.
func TestAJoinedAttemptIsStoredWithTheNext(t *testing.T) {
	for _, user := range []string{alice, "nobody"} {
		r := newServerRig(t, nil)
		r.hold = true
		r.accept(0)
		same(t, user+" joined", r.read(0, user+"bad"))
		equal(t, user+": stores", len(r.waiting), 0)
		equal(t, user+": it is read from", r.s.Reading(0), true)
		same(t, user+" and a password", r.read(0, "x"))
		equal(t, user+": stores", len(r.waiting), 1)
		same(t, user+": stored", r.storedAs(1, nil), "0> "+tryAgain)
		if user == alice {
			equal(t, "records", len(r.stored), 2)
			equal(t, "the first", r.stored[0].Attempts, Attempts{Known: true, User: alice, Wrong: 1})
			equal(t, "the second is of a known name", r.stored[1].Attempts.Known, false)
		}
		equal(t, user+": more to store", r.s.accounts.unsaved.armed, false)
	}
}

// The attempts of any other session take it along, too.
func TestAnotherSessionStoresAJoinedAttempt(t *testing.T) {
	r := newServerRig(t, nil)
	r.accept(0)
	r.read(0, alice+"bad")
	r.tryLogin(1, bob, "bad")
	equal(t, "records", len(r.stored), 2)
	equal(t, "the first", r.stored[0].Attempts, Attempts{Known: true, User: alice, Wrong: 1})
	equal(t, "the second", r.stored[1].Attempts, Attempts{Known: true, User: bob, Wrong: 1})
}

// Without other attempts it is stored within 1.25 s, at a time that differs.
func TestAJoinedAttemptIsStoredInTime(t *testing.T) {
	times := map[time.Duration]bool{}
	for i := range 20 {
		r := newServerRig(t, nil)
		r.accept(0)
		r.at(time.Minute).read(0, alice+fmt.Sprint("bad", i))
		at := r.next()
		if at < time.Minute+postponeLeast || at >= time.Minute+postponeLeast+postponeRange {
			t.Errorf("stored after %v", at-time.Minute)
		}
		times[at] = true
		same(t, "before", r.at(at-1).wake())
		equal(t, "records", len(r.stored), 0)
		same(t, "then", r.at(at).wake())
		equal(t, "records", len(r.stored), 1)
		equal(t, "record", r.stored[0].Attempts, Attempts{Known: true, User: alice, Wrong: 1})
		equal(t, "next", r.next(), 2*time.Minute)
	}
	if len(times) < 15 {
		t.Errorf("%d times of 20 differ", len(times))
	}
}

// A block by joined attempts is stored with its rest, once for all of them.
func TestAJoinedBlockIsStoredWithItsEnd(t *testing.T) {
	r := newServerRig(t, nil)
	for c := range Conn(3) {
		r.accept(c)
		r.read(c, alice+"bad")
	}
	r.at(200 * time.Millisecond)
	r.s.Save(r.now, &r.out)
	r.runEffects()
	want := Attempts{Known: true, User: alice, BlockedUntil: startWall + int64(time.Minute), BlockDuration: time.Minute}
	equal(t, "records", len(r.stored), 1)
	equal(t, "record", r.stored[0].Attempts, want)
	r.s.Save(r.now, &r.out)
	same(t, "nothing is left", r.runEffects())
	equal(t, "records", len(r.stored), 1)
}

// A block that a full disk refused is stored again every second, until there is room.
func TestRefusedAttemptsAreStoredAgain(t *testing.T) {
	r := newServerRig(t, nil)
	r.fail = errDisk
	for range 2 {
		r.tryLogin(0, alice, "bad")
		r.eof(0)
	}
	same(t, "the third", r.login(0, alice, "bad"), "attempts of "+alice+" could not be saved: no space left",
		"0> Invalid Password. Your account has been blocked. Please try again later", "0> FIN")
	r.stored = nil
	for i := 1; i <= 50; i++ {
		now := time.Duration(i) * retrySaving
		equal(t, "due", r.next(), now)
		same(t, "a nanosecond before", r.at(now-1).wake())
		same(t, "on a full disk", r.at(now).wake())
		equal(t, "tries", len(r.stored), i)
	}
	equal(t, "record", r.stored[0], Record{Kind: RecordUnsaved})
	r.fail = nil
	same(t, "with room", r.at(51*retrySaving).wake(), "the attempts that could not be saved are saved now")
	equal(t, "nothing is due", r.next(), -1)
}

// A postponed attempt that the disk refuses is reported once.
func TestARefusedJoinedAttemptIsReported(t *testing.T) {
	r := newServerRig(t, nil)
	r.fail = errDisk
	r.accept(0)
	r.read(0, alice+"bad")
	same(t, "the first try", r.at(2*time.Second).wake(), "attempts could not be saved: no space left")
	same(t, "the second", r.at(3*time.Second).wake())
	r.fail = nil
	same(t, "with room", r.at(4*time.Second).wake(), "the attempts that could not be saved are saved now")
}

// Attempts that are saved with those of another name are not stored again.
func TestRefusedAttemptsAreSavedWithOthers(t *testing.T) {
	r := newServerRig(t, nil)
	r.fail = errDisk
	r.tryLogin(0, alice, "bad")
	r.eof(0)
	r.fail = nil
	same(t, "another name", r.login(1, bob, "bad"), "the attempts that could not be saved are saved now",
		"1> "+tryAgain)
	r.eof(1)
	equal(t, "nothing is due", r.next(), -1)
}

// While a store is in progress, no second one begins.
func TestOneTryAtATime(t *testing.T) {
	r := newServerRig(t, nil)
	r.fail = errDisk
	r.tryLogin(0, alice, "bad")
	r.eof(0)
	r.hold = true
	r.at(time.Second).wake()
	equal(t, "tries", len(r.waiting), 1)
	equal(t, "nothing is due", r.next(), -1)
	same(t, "it fails", r.at(time.Minute).storedAs(r.waiting[0], errDisk))
	equal(t, "the next", r.next(), time.Minute+retrySaving)
}

// The end of a store leaves an attempt that was postponed meanwhile to a store of its own.
func TestAPostponedAttemptOutlastsAStore(t *testing.T) {
	r := newServerRig(t, nil)
	r.fail = errDisk
	r.tryLogin(0, alice, "bad")
	r.eof(0)
	r.hold, r.fail = true, nil
	r.at(time.Second).wake()
	r.accept(0)
	r.read(0, bob+"bad")
	same(t, "the store", r.storedAs(r.waiting[0], nil), "the attempts that could not be saved are saved now")
	at := r.next()
	if at < time.Second+postponeLeast || at >= time.Second+postponeLeast+postponeRange {
		t.Fatalf("the next store is due at %v", at)
	}
	r.at(at).wake()
	equal(t, "record", r.stored[len(r.stored)-1].Attempts, Attempts{Known: true, User: bob, Wrong: 1})
}

// A postponed attempt is stored in its time, also if another store is due later. The earlier of the two is next.
func TestTheEarlierStoreIsNext(t *testing.T) {
	earlier := 0
	for i := range 20 {
		r := newServerRig(t, nil)
		r.fail = errDisk
		r.tryLogin(0, alice, "bad")
		equal(t, "the next try", r.next(), retrySaving)
		r.accept(1)
		r.read(1, bob+fmt.Sprint("bad", i))
		if r.next() > retrySaving {
			t.Errorf("the next store is due at %v", r.next())
		}
		if r.next() < retrySaving {
			earlier++
		}
	}
	if earlier < 5 {
		t.Errorf("%d of 20 postponed attempts are stored before the next try", earlier)
	}
}
