package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"bluetrace/nodes"
	"bluetrace/scenarios"
	"bluetrace/sim/virtual"
)

// routine is what a selection of phones does by itself, with a random stream
// for each of them.
type routine struct {
	*scenarios.Routine
	streams []rand.PCG // by phone
}

func (r *run) startRoutines(names []string) {
	r.routines = make([]routine, len(r.scenario.Routine))
	r.idle = make([]uint64, len(r.routines))
	for i := range r.routines {
		ro := &r.routines[i]
		ro.Routine = &r.scenario.Routine[i]
		r.atLeast = max(r.atLeast, ro.Until, ro.From+ro.Within)
		ro.streams = make([]rand.PCG, len(names))
		purpose := fmt.Sprintf("routine %d", i)
		for _, who := range ro.Phones {
			ro.streams[who] = virtual.Stream(r.scenario.Seed, names[who], purpose)
			spread := ro.Every
			if ro.Within > 0 {
				spread = ro.Within
			}
			r.tickRoutine(i, uint32(who), ro.From+virtual.Delay{Max: max(spread-1, 0)}.Draw(&ro.streams[who]))
		}
	}
}

func (r *run) tickRoutine(i int, who uint32, at time.Duration) {
	if ro := &r.routines[i]; ro.Until > 0 && at >= ro.Until {
		return
	}
	r.world.Tick(at, who, tickRoutine|uint32(i))
}

// tick handles a time that a routine or a contact asked for.
func (r *run) tick(who, arg uint32) {
	switch arg & tickKind {
	case tickRoutine:
		r.routineTicks(int(arg&^tickKind), who)
	case tickVisit:
		r.moveOn(who)
	case tickMixing:
		r.mix(who, arg&^tickKind)
	case tickReplay:
		r.interval(who)
	}
}

func (r *run) routineTicks(i int, who uint32) {
	ro := &r.routines[i]
	if ro.Every > 0 {
		r.tickRoutine(i, who, r.world.Now()+period(ro.Every, ro.Jitter, &ro.streams[who]))
	}
	if len(ro.Do) == 1 {
		r.command(who, i, &ro.Do[0])
		return
	}
	ph := &r.phones[who]
	if ph.routine >= 0 {
		r.idle[i]++ // it is still at another list
		return
	}
	ph.routine, ph.next = int32(i), 0
	r.continueList(who)
}

// period draws one period of every ± jitter.
func period(every time.Duration, jitter float64, src rand.Source) time.Duration {
	half := time.Duration(float64(every) * jitter)
	return max(virtual.Delay{Min: every - half, Max: every + half}.Draw(src), 1)
}

// continueList goes on with a phone's list of commands until one has to be
// waited for.
func (r *run) continueList(who uint32) {
	ph := &r.phones[who]
	for ph.routine >= 0 {
		do := r.routines[ph.routine].Do
		if int(ph.next) == len(do) {
			ph.routine = -1
			return
		}
		c := &do[ph.next]
		i := int(ph.routine)
		ph.next++
		if r.command(who, i, c) {
			return
		}
	}
}

// command has a phone do one thing; it answers whether an answer must be
// waited for.
func (r *run) command(who uint32, i int, c *scenarios.Command) bool {
	w := r.world
	switch c.Verb {
	case scenarios.VerbBeacon:
		r.sendBeacons(who, c)
		return false
	case scenarios.VerbLogin:
		if st := w.Stage(who); st != nodes.StageOffline && st != nodes.StageLoggedOut {
			r.idle[i]++
			return false
		}
		if r.options.Commanded != nil {
			r.commandedLogin(who, c)
		}
		a := r.accounts[who]
		w.Open(who)
		w.Type(who, a.user)
		w.Type(who, a.password)
		return true
	}
	if st := w.Stage(who); st != nodes.StageReady && st != nodes.StageBusy {
		r.idle[i]++
		return false
	}
	if r.options.Commanded != nil {
		r.commanded(scenarios.Step{Pos: c.Pos, Text: string(c.Verb), Phone: int(who), Do: c})
	}
	text := string(c.Verb)
	if c.Verb == scenarios.VerbType {
		text = c.Text
	}
	for range c.Count {
		w.Type(who, text)
	}
	return c.Verb != scenarios.VerbType
}

// maxAtOnce is how many beacons one command may send in one instant: each is
// four events and four datagrams under way.
const (
	maxAtOnce      = 1 << 20
	bytesPerBeacon = 4 * (24 + 112)
)

// sendBeacons has a phone send its beacon to whom the command names.
func (r *run) sendBeacons(who uint32, c *scenarios.Command) {
	to := r.dests[:0]
	if c.Contacts {
		for _, m := range r.contacts.of[who] {
			to = append(to, m.peer)
		}
	}
	for _, t := range c.To {
		to = append(to, uint32(t))
	}
	r.dests = to
	if n := len(to) * c.Count; n > maxAtOnce {
		r.fail(&Invalid{r.place(c.Pos), fmt.Errorf("%d times to %d phones are %d beacons in one instant, which need about %d MiB; at most %d",
			c.Count, len(to), n, n*bytesPerBeacon>>20, maxAtOnce)})
		return
	}
	if r.options.Commanded != nil && len(to) > 0 {
		r.commandedBeacon(who, c, to)
	}
	for range c.Count {
		r.world.SendBeacons(who, to)
	}
}

// Done goes on with the list of a phone whose operation is through.
func (r *run) operationDone(phone uint32, e *nodes.PhoneEffect) {
	r.scriptDone(phone, e)
	if e.Op == nodes.OpUpload && e.Outcome == nodes.OutcomeOK && r.faults.world != nil {
		r.rules.Uploaded(int64(r.world.Now()), phone, e.Entries)
	}
	ph := &r.phones[phone]
	if ph.routine < 0 {
		return
	}
	if e.Outcome != nodes.OutcomeOK {
		ph.routine = -1
		return
	}
	r.world.Call(r.world.Now(), func() { r.continueList(phone) })
}

// routineNotes say what routines could not do.
func (r *run) routineNotes() []string {
	var notes []string
	for i, n := range r.idle {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("%s: %d times a phone was not at its prompt, and this routine did nothing",
				r.place(r.routines[i].Pos), n))
		}
	}
	return notes
}
