package nodes

import (
	"math"
	"testing"
	"time"

	"bluetrace/protocol"
)

// The retention continues by wall time across a restart. A step of the wall clock
// neither shortens nor extends it beyond its bounds.
func TestLogSurvivesARestart(t *testing.T) {
	const up = 5 * time.Hour // elapsed time of the new program: it begins anew
	wall := startWall + int64(time.Hour)
	ago := func(d time.Duration) int64 { return wall - int64(d) }
	tests := []struct {
		title    string
		received []int64
		left     []time.Duration // of those that are still there
	}{
		{"nothing", nil, nil},
		{"at once", []int64{ago(0)}, []time.Duration{3 * time.Minute}},
		{"in between", []int64{ago(3*time.Minute - 1), ago(time.Minute)}, []time.Duration{1, 2 * time.Minute}},
		{"at its end it is gone", []int64{ago(3 * time.Minute), ago(1)}, []time.Duration{3*time.Minute - 1}},
		{"long gone", []int64{ago(time.Hour), math.MinInt64}, nil},
		{"the wall clock went back: never above its full length", []int64{ago(-time.Hour), ago(-time.Minute),
			math.MaxInt64},
			[]time.Duration{3 * time.Minute, 3 * time.Minute, 3 * time.Minute}},
		{"it went back between two: the first does not outlive the second", []int64{ago(-time.Hour), ago(time.Minute)},
			[]time.Duration{2 * time.Minute, 2 * time.Minute}},
	}
	for _, e := range tests {
		t.Run(e.title, func(t *testing.T) {
			var kept []StoredContact
			for i, r := range e.received {
				kept = append(kept, StoredContact{Received: r, Beacon: protocol.Beacon{
					TempID: protocol.TempID([]byte("1234567890123456789" + string(rune('0'+i)))), Start: 5, Expiry: 9}})
			}
			r := newPhoneRig(t, nil)
			r.now = Now{Elapsed: up, Wall: wall}
			r.p.Restore(r.now, kept)
			equal(t, "entries", r.p.Log().Len(), len(e.left))
			for i := range min(len(e.left), r.p.Log().Len()) {
				want := kept[len(kept)-len(e.left)+i]
				got := r.p.Log().At(i)
				equal(t, "entry", got, Contact{want.Beacon, up + e.left[i] - 3*time.Minute})
			}
			for i, left := range e.left {
				r.now = Now{Elapsed: up + left, Wall: wall + int64(left)}
				r.p.Wake(r.now, &r.out)
				if n := r.p.Log().Len(); n >= len(e.left)-i {
					t.Errorf("%v after the restart: %d entries, want less than %d", left, n, len(e.left)-i)
				}
			}
		})
	}
}

// A log that is restored has the newest entries up to its limit.
func TestRestoreOfMoreThanTheLimit(t *testing.T) {
	for limit, want := range map[int]int{0: 3, 1: 1, 2: 2, 3: 3, 4: 3} {
		r := newPhoneRig(t, func(s *PhoneSettings) { s.MaxEntries = limit })
		var stored []StoredContact
		for i := range 3 {
			stored = append(stored, StoredContact{Beacon: *beaconNumber(i), Received: startWall - int64(3-i)})
		}
		r.p.Restore(r.now, stored)
		equal(t, "entries", r.p.Log().Len(), want)
		for i := range want {
			equal(t, "entry", r.p.Log().At(i).Beacon, stored[3-want+i].Beacon)
		}
	}
}

func TestRestoreIsForTheBeginning(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.p.Restore(r.now, []StoredContact{{Received: r.now.Wall}})
	defer func() {
		equal(t, "panic", recover(), any("restoring a contact log: it has entries already"))
	}()
	r.p.Restore(r.now, []StoredContact{{Received: r.now.Wall}})
}
