package check

import (
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/sim/event"
)

func idOf(id byte) protocol.TempID {
	return protocol.TempID([]byte(strings.Repeat(string(id), protocol.TempIDSize)))
}

const min3 = 3 * time.Minute

// TestRemovedEntriesAreForgotten checks that the model keeps no entry that is
// neither on the phone's disk nor in its memory.
func TestRemovedEntriesAreForgotten(t *testing.T) {
	p := newPlayer(newRig(t))
	p.play("clock wall 0s")
	for i := range 1000 {
		p.at = time.Duration(i) * time.Minute
		p.receive(byte('0' + i%10))
		p.Stepped(int64(p.at), 0, p.logOf(last3(i)...))
		p.saveLog(last3(i)...)
	}
	o := p.logs.followed[0]
	if len(o.all) > 10 || len(p.broken) > 0 {
		t.Errorf("%d entries are kept of a phone that has 3; %+v", len(o.all), p.broken)
	}
}

// last3 returns the entries that are left if a beacon arrives every minute.
func last3(i int) []entry {
	var all []entry
	for j := max(0, i-2); j <= i; j++ {
		all = append(all, entry{byte('0' + j%10), time.Duration(j) * time.Minute})
	}
	return all
}

// TestSteppedClockIsRoundedAsBefore checks that a step of the wall clock does not
// change the rounding of a clock that drifts.
func TestSteppedClockIsRoundedAsBefore(t *testing.T) {
	was := event.NodeClock{At: 7, Elapsed: 7, Wall: start * int64(second), PPM: 333.333}
	for at := int64(8); at < 5_000_000; at += 99_991 {
		now := newClock(was, at, event.NodeClock{At: at, Elapsed: was.ElapsedAt(at), Wall: was.WallAt(at) +
			int64(time.Hour), PPM: was.PPM})
		for after := at; after < at+100_000; after += 997 {
			if now.ElapsedAt(after) != was.ElapsedAt(after) || now.WallAt(after) != was.WallAt(after)+int64(time.Hour) {
				t.Fatalf("stepped at %d: at %d it shows %d, and %d if it had not been", at, after, now.ElapsedAt(after),
					was.ElapsedAt(after))
			}
		}
	}
	other := newClock(was, 1000, event.NodeClock{At: 1000, Elapsed: was.ElapsedAt(1000), Wall: was.WallAt(1000),
		PPM: -200})
	if want := (event.NodeClock{At: 1000, Elapsed: was.ElapsedAt(1000), Wall: was.WallAt(1000),
		PPM: -200}); other != want {
		t.Errorf("another drift: %+v, want %+v", other, want)
	}
}
