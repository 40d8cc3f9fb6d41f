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
func (v *Invariants) PhoneStopped(at int64, phone uint32) {
	v.logs.own(at, phone).stop(at)
	v.asked.of(phone).hasID = false
}

// PhoneStarted follows the start of another, with what its disk gave back.
func (v *Invariants) PhoneStarted(at int64, phone uint32, log *nodes.ContactLog) {
	v.logs.own(at, phone).start(v, at, log)
}

// Written follows what a phone's disk holds.
func (v *Invariants) Written(at int64, phone uint32, kept []nodes.StoredContact) {
	v.logs.own(at, phone).wrote(kept, v.logs.had)
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
func (v *Invariants) StoreAsked(_ int64, records []nodes.Record) { v.accounts.storeAsked(records) }

// StoreDone follows what came of it.
func (v *Invariants) StoreDone(_ int64, records []nodes.Record, err error) {
	v.accounts.storeDone(records, err)
}

// StoreAnswered follows what the server does once it knows what became of an
// attempt.
func (v *Invariants) StoreAnswered(at int64, conn nodes.Conn) {
	v.accounts.storeAnswered(at, v.accounts.session(conn))
}

// ClockSet follows the clocks of a node.
func (v *Invariants) ClockSet(at int64, who uint32, elapsed time.Duration, wall int64, drift float64) {
	if who == world.Nobody {
		v.accounts.clock = setClock(v.accounts.clock, at, elapsed, wall, drift)
		return
	}
	o := v.logs.own(at, who)
	if o.clock.ElapsedAt(at) != elapsed {
		v.violate(NothingStays, at, int(who), fmt.Sprintf("elapsed time %s, which nobody can step", o.clock.ElapsedAt(at)), elapsed.String())
	}
	o.clock = setClock(o.clock, at, elapsed, wall, drift)
}

// setClock is a clock from now on. One that is only stepped keeps the moment from
// which it drifts, so that it is rounded as the node's own is.
func setClock(was world.NodeClock, at int64, elapsed time.Duration, wall int64, drift float64) world.NodeClock {
	if drift != was.PPM || elapsed != was.ElapsedAt(at) {
		return world.NodeClock{At: at, Elapsed: elapsed, Wall: wall, PPM: drift}
	}
	was.Wall += wall - was.WallAt(at)
	return was
}

// FaultInForce is nothing that a check depends on.
func (*Invariants) FaultInForce(int64, world.FaultKind, bool) {}

// FaultApplied follows what a fault did while it was in force, or after that.
func (v *Invariants) FaultApplied(at int64, inForce bool, what string) {
	v.times[FaultsEnd]++
	if !inForce {
		v.violate(FaultsEnd, at, -1, "nothing of a fault that is over", what)
	}
}

// outlive looks for every TempID that ever left the server in one that has read
// its files. Of several that are wrong the first that was sent is told.
func (t *tempIDs) outlive(at int64, resolve func(protocol.TempID) (nodes.Issue, bool)) {
	var first protocol.TempID
	wrong := ""
	for id, is := range t.owners {
		t.v.times[TempIDsOutlive]++
		found := t.resolves(id, is, resolve)
		if found == "" {
			continue
		}
		if was := t.owners[first]; wrong == "" || is.sent < was.sent || is.sent == was.sent && id.String() < first.String() {
			first, wrong = id, found
		}
	}
	if wrong != "" {
		is := t.owners[first]
		t.v.violate(TempIDsOutlive, at, -1, fmt.Sprintf("%s of %s, sent at %s s", first, is.owner, world.Seconds(is.sent)), wrong)
	}
}

// resolves says what is wrong with what a TempID resolves to.
func (t *tempIDs) resolves(id protocol.TempID, is issue, resolve func(protocol.TempID) (nodes.Issue, bool)) string {
	got, ok := resolve(id)
	start, expiry := t.wireTime(got.Start*int64(time.Second), 0), t.wireTime(got.Expiry*int64(time.Second), 0)
	switch {
	case !ok:
		return "it is lost"
	case got.User != is.owner:
		return "it is of " + got.User
	case !t.describes(is, []string{got.User, start, expiry}):
		return fmt.Sprintf("it is from %s to %s", start, expiry)
	}
	return ""
}
