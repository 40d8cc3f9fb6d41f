package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/virtual"
)

// step is one step of the script under way.
type step struct {
	*scenarios.Step
	index   int
	program uint32 // the phone's program that does it
	stage   stepStage
	at      time.Duration // when it began
	moment  moment        // when it took effect
	waits   []*wait
	forge   rand.PCG
	toRead  int // bytes that the server must read before the step has taken effect
	result  stepResult
	overdue bool   // it had its time to take effect
	because string // why it could not begin
}

type stepStage uint8

const (
	waiting stepStage = iota // for its moment
	began
	settled
)

// stepResult is what a step came to.
type stepResult struct {
	entries, resolved int
	upload            bool
	delay             time.Duration
	answered          bool
	lost              bool // it ended without a decision of the server
}

const leastEffectLimit = 10 * time.Second

// effectLimit is how long a step without an answer of its own may take to have
// its effect before the script goes on without it.
func (r *run) effectLimit() time.Duration {
	n := &r.scenario.Network
	return leastEffectLimit + 4*(n.TCP.Delay.Longest()+n.UDP.Delay.Longest()+n.TCP.Join)
}

// readScript prepares the steps, and moves the begin of the run before time
// zero when the first ones need it.
func (r *run) readScript() {
	s := r.scenario
	r.steps = make([]step, len(s.Script))
	r.unsettled = len(r.steps)
	for i := range s.Script {
		st := &r.steps[i]
		st.Step, st.index, st.program = &s.Script[i], i, uint32(s.Script[i].Phone)
		st.forge = virtual.Stream(s.Seed, fmt.Sprintf("step %d", i), "forged TempID")
		if !st.At.AfterPrevious && st.At.Label == "" {
			r.begin = min(r.begin, st.At.Offset-r.lead(st))
		}
		if st.Optional {
			continue
		}
		for k := range st.Expect {
			st.waits = append(st.waits, newWait(st, &st.Expect[k]))
		}
	}
}

// watchScreens has the world show the screens that a step's expectations look
// at.
func (r *run) watchScreens(st *step) {
	for _, w := range st.waits {
		if len(w.expect.Prints) > 0 || w.expect.PrintsNothing {
			r.world.Watch(uint32(w.expect.Phone))
			for _, sec := range r.extra {
				if sec.phone == w.expect.Phone {
					r.world.Watch(sec.program)
				}
			}
		}
	}
}

func (r *run) startScript() {
	r.world.Call(r.atLeast, r.stopWhenDone)
	for i := range r.steps {
		st := &r.steps[i]
		switch {
		case st.At.AfterPrevious && i == 0:
			r.schedule(st, 0)
		case st.At.AfterPrevious, st.At.Label != "":
		default:
			r.schedule(st, st.At.Offset)
		}
	}
}

// schedule begins a step at its time, or what leads up to it before that.
func (r *run) schedule(st *step, at time.Duration) {
	if st.looksOnly() || st.Optional && st.Do != nil { // it may hang on what else happens in this instant
		r.world.CallLast(at, func() { r.beginStep(st) })
		return
	}
	if st.Login == nil {
		r.world.Call(at, func() { r.beginStep(st) })
		return
	}
	connect := at - r.lead(st)
	if st.At.AfterPrevious {
		connect = at
		at += r.lead(st)
	}
	if connect < r.world.Now() {
		r.refuse(st, fmt.Sprintf("a login begins %s before its moment, and that had passed", r.lead(st)))
		return
	}
	r.world.Call(connect, func() { r.connectFor(st, at) })
}

func (r *run) refuse(st *step, why string) {
	if st.stage == waiting {
		r.open = append(r.open, st)
	}
	st.because = why
	st.at = r.world.Now()
	st.stage = began
	for _, w := range st.waits {
		w.fail(r, "the step takes place", why)
	}
	r.settle(st)
}

// beginStep carries a step out; its expectations look from now on.
func (r *run) beginStep(st *step) {
	st.stage, st.at = began, r.world.Now()
	r.open = append(r.open, st)
	r.watchScreens(st)
	r.active = append(r.active, st.waits...)
	for _, w := range st.waits {
		w.begin(r)
	}
	r.commands.acting = st.Step
	defer func() { r.commands.acting = nil }()
	if !st.looksOnly() && (st.Do == nil || st.Do.Verb != scenarios.VerbBeacon) {
		r.commands.record(*st.Step)
	}
	if why := r.act(st); why != "" {
		r.refuse(st, why)
		return
	}
	if st.looksOnly() {
		r.tookEffect(st)
	}
	if st.operation() == noOperation && (len(st.waits) == 0 || st.As != "") {
		r.world.Call(st.at+r.effectLimit(), func() {
			st.overdue = true
			r.progress(st)
		})
	}
	r.progress(st)
}

// progress settles a step when nothing of it is open.
func (r *run) progress(st *step) {
	if st.stage != began {
		return
	}
	for _, w := range st.waits {
		if !w.over {
			return
		}
	}
	if st.operation() != noOperation && !st.result.answered {
		return
	}
	if st.moment.known || st.result.lost || st.overdue || len(st.waits) > 0 && st.As == "" {
		r.settle(st)
	}
}

// settle ends a step: the one that stands after it without a time begins.
func (r *run) settle(st *step) {
	if st.stage == settled {
		return
	}
	for _, w := range st.waits {
		if !w.over {
			return
		}
	}
	st.stage = settled
	r.unsettled--
	r.open = slices.DeleteFunc(r.open, func(o *step) bool { return o == st })
	r.giveUpWaiting(st)
	if next := st.index + 1; next < len(r.steps) && r.steps[next].At.AfterPrevious {
		r.schedule(&r.steps[next], r.world.Now())
	}
	r.stopWhenDone()
}

// stopWhenDone ends a run without a length when every step is settled, and
// what goes on beside the script is over.
func (r *run) stopWhenDone() {
	if r.length > 0 || r.world.Now() < r.atLeast {
		return
	}
	if r.unsettled == 0 {
		r.world.Stop()
	}
}

// giveUpWaiting fails the steps that wait for a moment that will not come.
func (r *run) giveUpWaiting(st *step) {
	if st.As == "" || st.moment.known {
		return
	}
	for i := range r.steps {
		if next := &r.steps[i]; next.stage == waiting && next.At.Label == st.As {
			r.refuse(next, "its moment "+st.As+" never came")
		}
	}
}
