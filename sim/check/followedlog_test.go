package check

import (
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// clockedPhone is phone 0 of a rig, with a clock and a disk of its own. The test
// decides what it does, correct or not.
type clockedPhone struct {
	*rig
	own event.NodeClock
}

func newClockedPhone(w *rig) *clockedPhone {
	return &clockedPhone{w, event.NodeClock{Wall: start * int64(second)}}
}

// setClock steps the wall clock and sets the drift of both clocks from now on.
func (p *clockedPhone) setClock(at, step time.Duration, ppm float64) {
	p.own = event.NodeClock{At: int64(at), Elapsed: p.own.ElapsedAt(int64(at)), Wall: p.own.WallAt(int64(at)) + int64(step), PPM: ppm}
	p.ClockSet(int64(at), 0, p.own.Elapsed, p.own.Wall, ppm)
}

// receive judges as valid a beacon that began a second ago by the phone's clock.
func (p *clockedPhone) receive(at time.Duration, id byte) {
	wall := p.own.WallAt(int64(at))
	e := p.judgement(id, time.Duration(wall-start*int64(second))-second, 900*second, nil)
	e.At = nodes.Now{Elapsed: p.own.ElapsedAt(int64(at)), Wall: wall}
	p.Judged(int64(at), 0, 9, e)
}

// checkLog compares the phone's log with the entries. Their times are elapsed times
// of the phone.
func (p *clockedPhone) checkLog(at time.Duration, entries ...entry) {
	log := p.logOf(entries...)
	p.Stepped(int64(at), 0, log)
	p.Compare(int64(at), 0, log)
}

// writeLog emits that the disk now holds these entries. Their times are wall times,
// counted from the start.
func (p *clockedPhone) writeLog(at time.Duration, entries ...entry) {
	var kept []nodes.StoredContact
	for _, en := range entries {
		kept = append(kept, nodes.StoredContact{TempID: idOf(en.id), Received: start*int64(second) + int64(en.at)})
	}
	p.LogWritten(int64(at), 0, kept)
}

func (p *clockedPhone) stops(at time.Duration) { p.PhoneStopped(int64(at), 0) }
func (p *clockedPhone) starts(at time.Duration, entries ...entry) {
	p.PhoneStarted(int64(at), 0, p.logOf(entries...))
}

func idOf(id byte) protocol.TempID {
	return protocol.TempID([]byte(strings.Repeat(string(id), protocol.TempIDSize)))
}

// phoneHistory is a history of phone 0.
type phoneHistory struct {
	name string
	feed func(p *clockedPhone)
	want []Invariant
}

func phoneHistories(all []phoneHistory) []history {
	var list []history
	for _, c := range all {
		list = append(list, history{c.name, func(w *rig) { c.feed(newClockedPhone(w)) }, c.want})
	}
	return list
}

const min3 = 3 * time.Minute

// TestLogsByThePhonesClock checks that an entry is in the log for its three minutes
// of the phone's elapsed time, whatever its wall clock shows.
func TestLogsByThePhonesClock(t *testing.T) {
	// At 1000 ppm the phone's 180 s are 179.82018 s of the world.
	const fast = 179820179821 * time.Nanosecond
	checkHistories(t, phoneHistories([]phoneHistory{
		{"a fast clock", func(p *clockedPhone) {
			p.setClock(0, 0, 1000)
			p.receive(0, '1')
			p.checkLog(0, entry{'1', 0})
			p.checkLog(fast-2, entry{'1', 0})
			p.checkLog(fast)
		}, nil},
		{"a fast clock, and kept for three minutes of the world", func(p *clockedPhone) {
			p.setClock(0, 0, 1000)
			p.receive(0, '1')
			p.checkLog(min3-1, entry{'1', 0})
		}, []Invariant{NothingStays}},
		{"a slow clock", func(p *clockedPhone) {
			p.setClock(0, 0, -1000)
			p.receive(0, '1')
			p.checkLog(min3, entry{'1', 0})
			p.checkLog(min3+180*time.Millisecond, entry{'1', 0})
			p.checkLog(min3 + 181*time.Millisecond)
		}, nil},
		{"a slow clock, and gone after three minutes of the world", func(p *clockedPhone) {
			p.setClock(0, 0, -1000)
			p.receive(0, '1')
			p.checkLog(min3)
		}, []Invariant{NothingLeavesEarly}},
		{"stepped ahead", func(p *clockedPhone) {
			p.receive(0, '1')
			p.setClock(second, time.Hour, 0)
			p.checkLog(min3-1, entry{'1', 0})
			p.checkLog(min3)
		}, nil},
		{"stepped ahead, and gone with it", func(p *clockedPhone) {
			p.receive(0, '1')
			p.setClock(second, time.Hour, 0)
			p.checkLog(second)
		}, []Invariant{NothingLeavesEarly}},
		{"stepped back, and kept with it", func(p *clockedPhone) {
			p.receive(0, '1')
			p.setClock(second, -time.Hour, 0)
			p.checkLog(min3, entry{'1', 0})
		}, []Invariant{NothingStays}},
		{"elapsed time is stepped", func(p *clockedPhone) {
			p.setClock(second, 0, 0)
			p.ClockSet(int64(2*second), 0, 3*second, (start+2)*int64(second), 0)
		}, []Invariant{NothingStays}},
		{"judged by its own clock", func(p *clockedPhone) {
			p.setClock(0, 2*time.Hour, 0)
			p.receive(second, '1')
			p.checkLog(second, entry{'1', second})
		}, nil},
		{"judged by the world's", func(p *clockedPhone) {
			p.setClock(0, 2*time.Hour, 0)
			e := p.judgement('1', 0, 900*second, nil)
			e.At = nodes.Now{Elapsed: second, Wall: (start + 7201) * int64(second)}
			p.Judged(int64(second), 0, 9, e)
		}, []Invariant{NothingInvalidKept}},
		{"a verdict at another time than now", func(p *clockedPhone) {
			p.setClock(0, 0, 0)
			e := p.judgement('1', 0, 900*second, nil)
			e.At = nodes.Now{Elapsed: second + 1, Wall: (start+1)*int64(second) + 1}
			p.Judged(int64(second), 0, 9, e)
		}, []Invariant{NothingLeavesEarly}},
		{"entries from before the phone was followed on its own", func(p *clockedPhone) {
			p.receive(second, '1')
			p.checkLog(second, entry{'1', second})
			p.receive(2*second, '2')
			p.setClock(3*second, time.Hour, 0)
			p.checkLog(3*second, entry{'1', second}, entry{'2', 2 * second})
			p.checkLog(min3+second, entry{'2', 2 * second})
		}, nil},
		{"kept, though invalid", func(p *clockedPhone) {
			p.setClock(0, 0, 0)
			p.checkLog(second, entry{'1', second})
		}, []Invariant{NothingInvalidKept}},
		{"not kept, though valid", func(p *clockedPhone) {
			p.setClock(0, 0, 0)
			p.receive(second, '1')
			p.checkLog(second)
		}, []Invariant{NothingValidMissing}},
		{"the wrong one of two has gone", func(p *clockedPhone) {
			p.setClock(0, 0, 0)
			p.receive(0, '1')
			p.receive(second, '2')
			p.checkLog(2*second, entry{'1', 0}, entry{'2', 2 * second})
		}, []Invariant{NothingLeavesEarly}},
	}))
}

// TestLogsOutlivePrograms checks that the entries on the disk return with their age
// by wall time, and that no others do.
func TestLogsOutlivePrograms(t *testing.T) {
	// two are on the disk when the phone stops at 10 s.
	two := func(p *clockedPhone) {
		p.receive(0, '1')
		p.writeLog(0, entry{'1', 0})
		p.receive(5*second, '2')
		p.writeLog(5*second, entry{'1', 0}, entry{'2', 5 * second})
		p.stops(10 * second)
	}
	both := []entry{{'1', 0}, {'2', 5 * second}}
	checkHistories(t, phoneHistories([]phoneHistory{
		{"both come back", func(p *clockedPhone) {
			two(p)
			p.checkLog(11 * second) // it is off
			p.starts(20*second, both...)
			p.checkLog(min3-1, both...)
			p.checkLog(min3, both[1])
			p.checkLog(min3 + 5*second)
		}, nil},
		{"one is lost", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, both[1])
		}, []Invariant{LogsOutlive}},
		{"all are lost", func(p *clockedPhone) {
			two(p)
			p.starts(20 * second)
		}, []Invariant{LogsOutlive}},
		{"one is younger than it is", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, entry{'1', 1}, both[1])
		}, []Invariant{LogsOutlive}},
		{"one counts as received at the start", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, both[0], entry{'2', 20 * second})
		}, []Invariant{LogsOutlive}},
		{"one that was never received", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, both[0], both[1], entry{'3', 5 * second})
		}, []Invariant{LogsOutlive}},
		{"one comes back twice", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, both[0], both[1], both[1])
		}, []Invariant{LogsOutlive}},
		{"the same TempID twice, the younger one twice", func(p *clockedPhone) {
			p.setClock(0, 0, 0)
			p.receive(0, '1')
			p.receive(5*second, '1')
			p.writeLog(5*second, entry{'1', 0}, entry{'1', 5 * second})
			p.stops(10 * second)
			p.starts(20*second, entry{'1', 5 * second}, entry{'1', 5 * second})
		}, []Invariant{LogsOutlive}},
		{"in another order", func(p *clockedPhone) {
			p.setClock(0, 0, 0)
			two(p)
			p.starts(20*second, both[1], entry{'1', 5 * second})
		}, []Invariant{LogsOutlive}},
		{"an entry that is not on the disk yet may come back", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, both...)
			p.receive(30*second, '3')
			p.stops(30 * second)
			p.starts(40*second, both[0], both[1], entry{'3', 30 * second})
		}, nil},
		{"an entry that is not on the disk yet may be lost", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, both...)
			p.receive(30*second, '3')
			p.stops(30 * second)
			p.starts(40*second, both...)
		}, nil},
		{"expired while off", func(p *clockedPhone) {
			two(p)
			p.starts(min3, both[1])
		}, nil},
		{"expired while off, and comes back", func(p *clockedPhone) {
			two(p)
			p.starts(min3, both...)
			p.Stepped(int64(min3), 0, p.logOf(both...))
		}, []Invariant{NothingStays}},
		{"a nanosecond before it expires", func(p *clockedPhone) {
			two(p)
			p.starts(min3-1, both[1])
		}, []Invariant{LogsOutlive}},
		{"stays too long after its phone came back", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, both...)
			p.Stepped(int64(min3), 0, p.logOf(both...))
		}, []Invariant{NothingStays}},
		{"goes too early after its phone came back", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, both...)
			p.checkLog(21*second, both[1])
		}, []Invariant{NothingLeavesEarly}},
		{"gone from the disk as well, and comes back", func(p *clockedPhone) {
			two(p)
			p.starts(min3, both[1])
			p.writeLog(min3, both[1])
			p.stops(min3 + second)
			p.setClock(min3+second, -2*time.Minute, 0)
			p.starts(min3+2*second, entry{'1', 2 * time.Minute}, entry{'2', 2 * time.Minute})
		}, []Invariant{LogsOutlive}},
		{"over in memory, and leaves the disk in the moment of the stop", func(p *clockedPhone) {
			p.setClock(0, 0, 0)
			two(p)
			p.starts(20*second, both...)
			p.stops(min3)
			p.setClock(min3+second, -time.Minute, 0)
			p.starts(min3+second, entry{'2', time.Minute + 5*second})
		}, nil},
		{"stepped ahead while off: over", func(p *clockedPhone) {
			two(p)
			p.setClock(15*second, time.Hour, 0)
			p.starts(20 * second)
		}, nil},
		{"stepped ahead while off, and as young as before", func(p *clockedPhone) {
			two(p)
			p.setClock(15*second, time.Hour, 0)
			p.starts(20*second, both...)
		}, []Invariant{LogsOutlive}},
		{"stepped back while off: three minutes at most", func(p *clockedPhone) {
			two(p)
			p.setClock(15*second, -time.Hour, 0)
			p.starts(20*second, entry{'1', 20 * second}, entry{'2', 20 * second})
			p.checkLog(20*second+min3-1, entry{'1', 20 * second}, entry{'2', 20 * second})
			p.checkLog(20*second + min3)
		}, nil},
		{"stepped back while off, and kept for the hour", func(p *clockedPhone) {
			two(p)
			p.setClock(15*second, -time.Hour, 0)
			p.starts(20*second, entry{'1', 20 * second}, entry{'2', 20 * second})
			p.checkLog(20*second+min3, entry{'1', 20 * second}, entry{'2', 20 * second})
		}, []Invariant{NothingStays}},
		{"stepped back and ahead again: the last entry on the disk expires with all before it", func(p *clockedPhone) {
			two(p)
			p.starts(20*second, both...)
			p.setClock(21*second, -time.Hour, 0)
			p.receive(22*second, '3')
			p.stops(22 * second) // in the middle of a write
			p.setClock(23*second, time.Hour, 0)
			p.starts(24 * second)
		}, nil},
		{"a phone without a disk", func(p *clockedPhone) {
			p.receive(0, '1')
			p.stops(second)
			p.starts(2 * second)
			p.checkLog(2 * second)
			p.receive(3*second, '2')
			p.checkLog(3*second, entry{'2', 3 * second})
		}, nil},
		{"drifting, over a restart", func(p *clockedPhone) {
			p.setClock(0, 0, 1000)
			p.receive(0, '1')
			p.writeLog(0, entry{'1', 0})
			p.stops(10 * second)
			p.starts(100*second, entry{'1', 0})
			p.checkLog(179820179819, entry{'1', 0})
			p.checkLog(179820179821)
		}, nil},
	}))
}

// TestRemovedEntriesAreForgotten checks that the model keeps no entry that is
// neither on the phone's disk nor in its memory.
func TestRemovedEntriesAreForgotten(t *testing.T) {
	p := newClockedPhone(newRig(t))
	p.setClock(0, 0, 0)
	for i := range 1000 {
		at := time.Duration(i) * time.Minute
		id := byte('0' + i%10)
		p.receive(at, id)
		p.Stepped(int64(at), 0, p.logOf(last3(i)...))
		p.writeLog(at, last3(i)...)
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
		now := newClock(was, at, event.NodeClock{At: at, Elapsed: was.ElapsedAt(at), Wall: was.WallAt(at) + int64(time.Hour), PPM: was.PPM})
		for after := at; after < at+100_000; after += 997 {
			if now.ElapsedAt(after) != was.ElapsedAt(after) || now.WallAt(after) != was.WallAt(after)+int64(time.Hour) {
				t.Fatalf("stepped at %d: at %d it shows %d, and %d if it had not been", at, after, now.ElapsedAt(after), was.ElapsedAt(after))
			}
		}
	}
	other := newClock(was, 1000, event.NodeClock{At: 1000, Elapsed: was.ElapsedAt(1000), Wall: was.WallAt(1000), PPM: -200})
	if want := (event.NodeClock{At: 1000, Elapsed: was.ElapsedAt(1000), Wall: was.WallAt(1000), PPM: -200}); other != want {
		t.Errorf("another drift: %+v, want %+v", other, want)
	}
}
