package check

import (
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// DatagramChanged follows one that is not as it was sent, or not in its place.
func (v *Invariants) DatagramChanged(_ int64, sender uint32) { v.logs.forged(sender) }

// PhoneStopped follows the end of a phone's program.
func (v *Invariants) PhoneStopped(at int64, phone uint32) { v.logs.own(at, phone).stop(at) }

// PhoneStarted follows the start of another, with what its disk gave back.
func (v *Invariants) PhoneStarted(at int64, phone uint32, log *nodes.ContactLog) {
	v.logs.own(at, phone).start(v, at, log)
}

// Written follows what a phone's disk holds.
func (v *Invariants) Written(at int64, phone uint32, kept []nodes.Kept) {
	v.logs.own(at, phone).durable = append([]nodes.Kept(nil), kept...)
}

// ServerStopped follows the end of the server's program; ServerRestarted was told
// before.
func (v *Invariants) ServerStopped(int64) { v.uploads.owed = v.uploads.owed[:0] }

// ServerStarted follows the start of another; resolve asks it for a TempID.
func (v *Invariants) ServerStarted(at int64, resolve func(protocol.TempID) (nodes.Issue, bool)) {
	v.accounts.started(at)
	v.tempIDs.outlive(at, resolve)
}

// StoreAsked follows what the server wants on its disk.
func (v *Invariants) StoreAsked(_ int64, records []nodes.Record) {
	v.accounts.stores(records, true, nil)
}

// StoreDone follows what came of it.
func (v *Invariants) StoreDone(_ int64, records []nodes.Record, err error) {
	v.accounts.stores(records, false, err)
}

// ClockSet follows the clocks of a node.
func (v *Invariants) ClockSet(at int64, who uint32, elapsed time.Duration, wall int64, drift float64) {
	c := world.NodeClock{At: at, Elapsed: elapsed, Wall: wall, PPM: drift}
	if who == world.Nobody {
		v.accounts.clock = c
		return
	}
	o := v.logs.own(at, who)
	if o.clock.ElapsedAt(at) != elapsed {
		v.violate(NothingStays, at, int(who), fmt.Sprintf("elapsed time %s, which nobody can step", o.clock.ElapsedAt(at)), elapsed.String())
	}
	o.clock = c
}

// FaultApplied follows what a fault did while it was in force, or after that.
func (v *Invariants) FaultApplied(at int64, inForce bool, what string) {
	v.times[FaultsEnd]++
	if !inForce {
		v.violate(FaultsEnd, at, -1, "nothing of a fault that is over", what)
	}
}

// outlive looks for every TempID that ever left the server in one that has read
// its files.
func (t *tempIDs) outlive(at int64, resolve func(protocol.TempID) (nodes.Issue, bool)) {
	for id, is := range t.owners {
		t.v.times[TempIDsOutlive]++
		switch got, ok := resolve(id); {
		case !ok:
			t.v.violate(TempIDsOutlive, at, -1, fmt.Sprintf("%s of %s, sent at %s s", id, is.owner, world.Seconds(is.sent)), "it is lost")
		case got.User != is.owner:
			t.v.violate(TempIDsOutlive, at, -1, fmt.Sprintf("%s of %s, sent at %s s", id, is.owner, world.Seconds(is.sent)), "it is of "+got.User)
		default:
			continue
		}
		return
	}
}
