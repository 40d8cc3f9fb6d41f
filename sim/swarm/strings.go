package swarm

import (
	"time"

	"bluetrace/scenarios"
)

// strings draws errands in a row with trouble in the right places: some faults
// show only by what comes after them, in an order that chance seldom finds.
func (h *hand) strings() {
	if len(h.callers) == 0 || !h.one(4) {
		return
	}
	for range 1 + h.IntN(2) {
		s := row{hand: h, who: h.caller(), gap: h.duration(time.Second, 2*time.Second, 4*time.Second)}
		s.gap = min(s.gap, h.plan.Heal/mostInARow)
		s.at = h.between(0, h.plan.Heal-mostInARow*s.gap)
		what := []struct {
			name string
			draw func()
		}{{"wrong passwords", s.wrongPasswords}, {"welcomes", s.welcomes}, {"downloads", s.downloads}, {"beacons", s.beacons}}[h.IntN(4)]
		h.note("a string of %s of %s, %v apart, from %v on", what.name, h.names[s.who], s.gap, s.at)
		what.draw()
	}
}

// mostInARow is how many gaps a string has at most.
const mostInARow = 16

// row is one string: of a caller, with the same gap between all that happens.
type row struct {
	*hand
	who int
	at  time.Duration
	gap time.Duration
}

func (h *hand) caller() int { return h.callers[h.IntN(len(h.callers))] }

// step appends one, and goes on to the next.
func (r *row) step(st *scenarios.Step) {
	st.Optional, st.At = true, scenarios.When{Offset: r.at}
	r.s.Script = append(r.s.Script, *st)
	r.at += r.gap
}

func (r *row) login(who int, kind string) {
	r.step(&scenarios.Step{Phone: who, Login: login(kind), Text: "login: " + kind})
}

func (r *row) command(v scenarios.Verb, to []int) {
	st := command(v, to)
	st.Phone = r.who
	r.step(st)
}

// times does something a few times, or not at all.
func (r *row) times(least, most int, do func()) {
	for range least + r.IntN(most-least+1) {
		do()
	}
}

// trouble has the server's disk fail for so many steps to come: in each thing that
// it does, or in one.
func (r *row) trouble(steps int) {
	f := scenarios.Fault{Kind: scenarios.FaultDisk, Chance: 1, Of: server(), At: max(r.at-r.gap/2, 0), For: time.Duration(steps) * r.gap}
	f.Disk = []string{"full", "failing", "fsync"}[r.IntN(3)]
	if f.Disk != "full" && r.one(2) {
		f.Count = 1 + r.IntN(2)
	}
	r.fault(f)
}

// crash stops a node between two steps.
func (r *row) crash(of scenarios.Nodes, at time.Duration, unsynced string) {
	r.fault(scenarios.Fault{Kind: scenarios.FaultCrash, Chance: 1, Of: of, At: at, For: r.between(time.Millisecond, r.gap/2), Unsynced: unsynced})
}

// wrongPasswords of a name that cannot be saved, another name that can, and a
// crash: what was counted before it counts behind it.
func (r *row) wrongPasswords() {
	wrong := func() { r.login(r.who, "wrong") }
	r.times(0, 1, wrong)
	failed := 1 + r.IntN(2)
	r.trouble(failed)
	for range failed {
		wrong()
	}
	r.times(0, 2, func() { r.login(r.caller(), []string{"wrong", "right", "unknown"}[r.IntN(3)]) })
	r.crash(server(), r.at, r.unsynced())
	r.at += r.gap
	for range 3 {
		wrong()
	}
}

// welcomes that wait for a slow disk, and a crash before it has what they wait for.
func (r *row) welcomes() {
	wrong := func() { r.login(r.who, "wrong") }
	r.times(1, 2, wrong)
	slow := scenarios.Fault{Kind: scenarios.FaultDisk, Chance: 1, Of: server(), At: r.at - r.gap/2, For: 4 * r.gap, Disk: "slow"}
	slow.Delay = scenarios.Distribution{Min: 3 * r.gap, Max: 3 * r.gap}
	r.fault(slow)
	r.times(1, 2, func() { r.login(r.who, "right") })
	r.crash(server(), r.at, r.unsynced())
	r.at += r.gap
	r.times(1, 3, wrong)
}

// downloads before, in and after a failure of the disk, and a crash.
func (r *row) downloads() {
	download := func() { r.command(scenarios.VerbDownload, nil) }
	r.login(r.who, "right")
	r.times(1, 3, download)
	failed := 1 + r.IntN(2)
	r.trouble(failed)
	for range failed {
		download()
	}
	r.times(0, 2, download)
	r.crash(server(), r.at, r.unsynced())
}

// beacons to a phone that crashes while it brings one of them to its disk, again
// and again.
func (r *row) beacons() {
	if r.phones < 2 {
		return
	}
	to := r.IntN(r.phones - 1)
	if to >= r.who {
		to++
	}
	r.login(r.who, "right")
	r.command(scenarios.VerbDownload, nil)
	beacon := func() { r.command(scenarios.VerbBeacon, []int{to}) }
	for range 4 {
		beacon()
		r.at -= r.gap - r.between(time.Millisecond, min(r.gap, time.Second)/2)
		at := r.at
		beacon() // it waits for the write of the next second
		r.crash(phone(to), at+r.between(time.Millisecond, min(r.gap, time.Second)/2), "torn")
		r.at += r.gap
	}
}
