package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"

	"bluetrace/nodes"
	"bluetrace/scenarios"
	"bluetrace/sim/event"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// routines lets phones carry out the routines of the scenario.
type routines struct {
	world    world.World
	commands *commands
	list     []routine
	skipped  []uint64          // by routine: how often a phone could not carry out its commands
	progress []routineProgress // by program
}

// routine is a routine of the scenario with a random stream for each phone.
type routine struct {
	*scenarios.Routine
	streams []rand.PCG // by phone
}

// routineProgress is the position of a program in a list of commands.
type routineProgress struct {
	routine int32 // the number of the routine whose list is in progress, from 1; 0 if none
	next    int32 // the index of the next command
}

func newRoutines(s *scenarios.Scenario, programs int) *routines {
	ro := &routines{list: make([]routine, len(s.Routine)), skipped: make([]uint64, len(s.Routine))}
	for i := range ro.list {
		ro.list[i].Routine = &s.Routine[i]
	}
	ro.progress = make([]routineProgress, programs)
	return ro
}

// end returns the time at which the routines that have an end are over.
func (ro *routines) end() (end time.Duration) {
	for i := range ro.list {
		one := &ro.list[i]
		end = max(end, one.Until, one.From+one.Within)
	}
	return end
}

// start schedules the first turn of each phone in each routine.
func (ro *routines) start(w world.World, c *commands, seed uint64, names []string) {
	ro.world, ro.commands = w, c
	for i := range ro.list {
		one := &ro.list[i]
		one.streams = make([]rand.PCG, len(names))
		spread := cmp.Or(one.Within, one.Every)
		for _, phone := range one.Phones {
			one.streams[phone] = virtual.Stream(seed, names[phone], fmt.Sprintf("routine %d", i))
			first := virtual.Delay{Max: max(spread-1, 0)}.Draw(&one.streams[phone])
			ro.schedule(i, uint32(phone), one.From+first)
		}
	}
}

// schedule schedules a turn of a phone, unless the routine is over by then.
func (ro *routines) schedule(i int, phone uint32, at time.Duration) {
	if until := ro.list[i].Until; until > 0 && at >= until {
		return
	}
	ro.world.Tick(at, phone, tickRoutine|uint32(i))
}

// tick begins a turn of a phone. It is skipped if a list of commands is in progress.
func (ro *routines) tick(i int, phone uint32) {
	one := &ro.list[i]
	if one.Every > 0 {
		ro.schedule(i, phone, ro.world.Now()+drawPeriod(one.Every, one.Jitter, &one.streams[phone]))
	}
	if len(one.Do) == 1 {
		ro.command(phone, i, &one.Do[0])
		return
	}
	p := &ro.progress[phone]
	if p.routine > 0 {
		ro.skipped[i]++
		return
	}
	p.routine, p.next = int32(i+1), 0
	ro.continueList(phone)
}

// drawPeriod draws a period of every ± jitter.
func drawPeriod(every time.Duration, jitter float64, src rand.Source) time.Duration {
	half := time.Duration(float64(every) * jitter)
	return max(virtual.Delay{Min: every - half, Max: every + half}.Draw(src), 1)
}

// continueList carries out the commands of a phone's list up to the next one that waits for an answer.
func (ro *routines) continueList(phone uint32) {
	p := &ro.progress[phone]
	for p.routine > 0 {
		i := int(p.routine - 1)
		do := ro.list[i].Do
		if int(p.next) == len(do) {
			p.routine = 0
			return
		}
		c := &do[p.next]
		p.next++
		if ro.command(phone, i, c) {
			return
		}
	}
}

// operationDone continues the list of a program whose operation has ended. A failed operation ends the list.
func (ro *routines) operationDone(done *event.Event) {
	program := done.Node
	p := &ro.progress[program]
	if p.routine == 0 {
		return
	}
	if done.Phone.Outcome != nodes.OutcomeOK {
		p.routine = 0
		return
	}
	ro.world.Call(ro.world.Now(), func() { ro.continueList(program) })
}

// command carries out one command of a routine. It returns true if the list must wait for an answer.
func (ro *routines) command(phone uint32, i int, c *scenarios.Command) bool {
	if c.Verb == scenarios.VerbBeacon {
		ro.commands.sendBeacons(phone, c)
		return false
	}
	switch stage := ro.world.Stage(phone); {
	case c.Verb == scenarios.VerbLogin && (stage == nodes.StageOffline || stage == nodes.StageLoggedOut):
		ro.commands.recordLogin(phone, c)
		ro.commands.login(phone)
		return true
	case c.Verb == scenarios.VerbLogin, stage != nodes.StageReady && stage != nodes.StageBusy:
		ro.skipped[i]++
		return false
	}
	ro.commands.record(scenarios.Step{Pos: c.Pos, Text: string(c.Verb), Phone: int(phone), Do: c}, 0)
	ro.commands.typeCommand(phone, c)
	return c.Verb != scenarios.VerbType
}

// notes lists the routines that were skipped.
func (ro *routines) notes(s *scenarios.Scenario) []string {
	var notes []string
	for i, n := range ro.skipped {
		if n > 0 {
			notes = append(notes,
				fmt.Sprintf("%s: %d times a phone was not at its prompt, and this routine did nothing",
					s.Place(ro.list[i].Pos), n))
		}
	}
	return notes
}
