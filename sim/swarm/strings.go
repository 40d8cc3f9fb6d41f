package swarm

import (
	"time"

	"bluetrace/scenarios"
)

// sequences draws errands in a row with trouble in the right places: some faults
// show only by what comes after them, in an order that chance seldom finds.
func (h *generator) sequences() {
	if len(h.withAccount) == 0 || !h.oneIn(4) {
		return
	}
	for range 1 + h.IntN(2) {
		s := sequence{generator: h, phone: h.anyWithAccount(), gap: h.duration(time.Second, 2*time.Second, 4*time.Second)}
		s.gap = min(s.gap, h.plan.Heal/mostInARow)
		s.at = h.between(0, h.plan.Heal-mostInARow*s.gap)
		what := []struct {
			name string
			draw func()
		}{{"wrong passwords", s.wrongPasswords}, {"welcomes", s.welcomes}, {"downloads", s.downloads}, {"beacons", s.beacons}}[h.IntN(4)]
		h.note("a string of %s of %s, %v apart, from %v on", what.name, h.names[s.phone], s.gap, s.at)
		what.draw()
	}
}

// mostInARow is how many gaps a string has at most.
const mostInARow = 16

// sequence is one string: of a caller, with the same gap between all that happens.
type sequence struct {
	*generator
	phone int
	at    time.Duration
	gap   time.Duration
}

func (h *generator) anyWithAccount() int { return h.withAccount[h.IntN(len(h.withAccount))] }

// addStep appends one, and goes on to the next.
func (r *sequence) addStep(st *scenarios.Step) {
	st.Optional, st.At = true, scenarios.When{Offset: r.at}
	r.s.Script = append(r.s.Script, *st)
	r.at += r.gap
}

func (r *sequence) addLogin(who int, kind string) {
	r.addStep(&scenarios.Step{Phone: who, Login: login(kind), Text: "login: " + kind})
}

func (r *sequence) addCommand(v scenarios.Verb, to []int) {
	st := command(v, to)
	st.Phone = r.phone
	r.addStep(st)
}

// repeat does something a few times, or not at all.
func (r *sequence) repeat(least, most int, do func()) {
	for range least + r.IntN(most-least+1) {
		do()
	}
}

// addDiskFault has the server's disk fail for so many steps to come: in each thing that
// it does, or in one.
func (r *sequence) addDiskFault(steps int) {
	f := scenarios.Fault{Kind: scenarios.FaultDisk, Chance: 1, Of: serverNode(), At: max(r.at-r.gap/2, 0), For: time.Duration(steps) * r.gap}
	f.Disk = []string{"full", "failing", "fsync"}[r.IntN(3)]
	if f.Disk != "full" && r.oneIn(2) {
		f.Count = 1 + r.IntN(2)
	}
	r.addFault(f)
}

// addCrash stops a node between two steps.
func (r *sequence) addCrash(of scenarios.Nodes, at time.Duration, unsynced string) {
	r.addFault(scenarios.Fault{Kind: scenarios.FaultCrash, Chance: 1, Of: of, At: at, For: r.between(time.Millisecond, r.gap/2), Unsynced: unsynced})
}

// wrongPasswords of a name that cannot be saved, another name that can, and a
// crash: what was counted before it counts behind it.
func (r *sequence) wrongPasswords() {
	wrong := func() { r.addLogin(r.phone, "wrong") }
	r.repeat(0, 1, wrong)
	failed := 1 + r.IntN(2)
	r.addDiskFault(failed)
	for range failed {
		wrong()
	}
	r.repeat(0, 2, func() { r.addLogin(r.anyWithAccount(), []string{"wrong", "right", "unknown"}[r.IntN(3)]) })
	r.addCrash(serverNode(), r.at, r.unsynced())
	r.at += r.gap
	for range 3 {
		wrong()
	}
}

// welcomes that wait for a slow disk, and a crash before it has what they wait for.
func (r *sequence) welcomes() {
	wrong := func() { r.addLogin(r.phone, "wrong") }
	r.repeat(1, 2, wrong)
	slow := scenarios.Fault{Kind: scenarios.FaultDisk, Chance: 1, Of: serverNode(), At: r.at - r.gap/2, For: 4 * r.gap, Disk: "slow"}
	slow.Delay = scenarios.Distribution{Min: 3 * r.gap, Max: 3 * r.gap}
	r.addFault(slow)
	r.repeat(1, 2, func() { r.addLogin(r.phone, "right") })
	r.addCrash(serverNode(), r.at, r.unsynced())
	r.at += r.gap
	r.repeat(1, 3, wrong)
}

// downloads before, in and after a failure of the disk, and a crash.
func (r *sequence) downloads() {
	download := func() { r.addCommand(scenarios.VerbDownload, nil) }
	r.addLogin(r.phone, "right")
	r.repeat(1, 3, download)
	failed := 1 + r.IntN(2)
	r.addDiskFault(failed)
	for range failed {
		download()
	}
	r.repeat(0, 2, download)
	r.addCrash(serverNode(), r.at, r.unsynced())
}

// beacons to a phone that crashes while it brings one of them to its disk, again
// and again.
func (r *sequence) beacons() {
	if r.phones < 2 {
		return
	}
	to := r.IntN(r.phones - 1)
	if to >= r.phone {
		to++
	}
	r.addLogin(r.phone, "right")
	r.addCommand(scenarios.VerbDownload, nil)
	beacon := func() { r.addCommand(scenarios.VerbBeacon, []int{to}) }
	for range 4 {
		beacon()
		r.at -= r.gap - r.between(time.Millisecond, min(r.gap, time.Second)/2)
		at := r.at
		beacon() // it waits for the write of the next second
		r.addCrash(phoneNode(to), at+r.between(time.Millisecond, min(r.gap, time.Second)/2), "torn")
		r.at += r.gap
	}
}
