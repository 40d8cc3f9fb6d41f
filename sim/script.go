package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"bluetrace/nodes/files"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/scene"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// script carries out the steps of a scenario and decides their expectations. A step without a time begins when the
// step before it is settled, and a step with a label begins a given time after the step with that label took effect.
type script struct {
	scenario *scenarios.Scenario
	server   *startedServer // that the run has started, or nil
	folder   *files.Memory  // of this project's own server in virtual time; nil if nothing is stored
	tempIDs  []string       // that phones were seen to have, without repetitions
	accounts []account
	world    world.World
	records  *world.Records
	commands *commands
	forger   *forger
	faults   *faults
	// labelSet is called when a label is set.
	labelSet func(label string)
	// earliestEnd is the earliest time at which a run without a length may end: traces, routines and adversaries with
	// an end are over.
	earliestEnd time.Duration

	steps     []step
	extra     []int              // by additional program, for a login that begins during another login: its phone
	extraOf   map[int][]uint32   // by phone: its additional programs
	using     map[uint32][]*step // by additional program: the steps that it carries out
	loggingIn []bool             // by program: the script has connected it and not yet typed the password
	unsettled int
	labelled  map[string]*step // by label: its step

	owners   *owners
	causes   *causes
	programs programs
	sending  map[uint32][]*step        // by phone: the steps that have begun to send datagrams, in order
	scene    *scene.Collector          // nil if none is requested
	screens  map[uint32][]*expectation // by program: those that have begun to watch its screen, or the server's output
}

// step is a step of the script with its state.
type step struct {
	*scenarios.Step
	index        int
	program      uint32 // the phone's program that carries it out
	ofProgram    bool   // its action is typed at a program of another implementation
	stage        stepStage
	at           time.Duration // when it began
	effect       effect
	followers    []*step // whose time its label determines
	expectations []*expectation
	forge        rand.PCG
	toRead       int // bytes that the server, or lines that a program, must read before the step takes effect
	result       stepResult
	overdue      bool     // the time limit of its effect is over
	session      *session // in which it takes part; nil if there is none
	asked        int      // requests that it owns
	expected     int      // answers that it expects
	because      string   // why it could not begin
	blamed       *step    // the step because of which it could not begin; nil if there is none
}

type stepStage uint8

const (
	waiting stepStage = iota // for its time
	began
	settled
)

// effect is the time at which a step took effect.
type effect struct {
	at    time.Duration
	known bool
}

// stepResult is the result of the operation of a step.
type stepResult struct {
	entries, resolved int
	upload            bool // entries and resolved are valid
	delay             time.Duration
	timed             bool // delay is valid
	answered          bool // the program has ended the operation
	succeeded         bool
	lost              bool // the operation ended without a decision of the server
}

// newScript prepares the steps of a scenario. Its fields from world to earliestEnd are set before start.
func newScript(s *scenarios.Scenario, phones int, foreign programs) *script {
	sc := &script{
		scenario: s, programs: foreign, labelled: map[string]*step{},
		extraOf: map[int][]uint32{}, using: map[uint32][]*step{},
		sending: map[uint32][]*step{}, screens: map[uint32][]*expectation{},
	}
	sc.causes = &causes{script: sc, before: map[dependency]*step{}}
	sc.steps = make([]step, len(s.Script))
	sc.unsettled = len(sc.steps)
	logins := map[int]int{}
	for i := range s.Script {
		st := &sc.steps[i]
		st.Step, st.index, st.program = &s.Script[i], i, uint32(s.Script[i].Phone)
		st.forge = virtual.Stream(s.Seed, fmt.Sprintf("step %d", i), "forged TempID")
		st.ofProgram = st.HasAction() && st.Phone >= 0 && foreign.has(st.program)
		if st.Login != nil && !st.ofProgram {
			if logins[st.Phone]++; logins[st.Phone] > 1 {
				program := uint32(phones + len(sc.extra))
				sc.extra = append(sc.extra, st.Phone)
				sc.extraOf[st.Phone] = append(sc.extraOf[st.Phone], program)
			}
		}
		if st.As != "" {
			sc.labelled[st.As] = st
		}
		for k := range st.Expect {
			st.expectations = append(st.expectations, newExpectation(st, sc, &st.Expect[k]))
			st.expected = max(st.expected, len(st.Expect[k].Replies))
		}
	}
	for i := range sc.steps {
		if of := sc.labelled[sc.steps[i].At.Label]; of != nil {
			of.followers = append(of.followers, &sc.steps[i])
		}
	}
	sc.loggingIn = make([]bool, phones+len(sc.extra))
	sc.owners = newOwners(phones, len(sc.extra), sc.steps)
	return sc
}

// begin returns the time of the first event of the script: zero, or an earlier time if the first steps need it.
func (sc *script) begin() (begin time.Duration) {
	for i := range sc.steps {
		if st := &sc.steps[i]; !st.At.AfterPrevious && st.At.Label == "" {
			begin = min(begin, st.At.Offset-sc.lead(st))
		}
	}
	return begin
}

// start schedules the steps that have a time.
func (sc *script) start() {
	sc.world.Call(sc.earliestEnd, sc.stopWhenDone)
	for i := range sc.steps {
		if st := &sc.steps[i]; st.At.Label == "" && (i == 0 || !st.At.AfterPrevious) {
			sc.schedule(st, st.At.Offset)
		}
	}
}

// schedule schedules the beginning of a step, and of the connection that a login needs before it.
func (sc *script) schedule(st *step, at time.Duration) {
	if st.Before > 0 && at >= st.Before {
		sc.refuse(st, fmt.Sprintf("its time is %s, and it must begin before %s", at, st.Before))
		return
	}
	if !st.HasAction() || st.Optional && st.Do != nil { // it may depend on the other events of this instant
		sc.world.CallLast(at, func() { sc.beginStep(st) })
		return
	}
	if st.Login == nil || st.ofProgram {
		sc.world.Call(at, func() { sc.beginStep(st) })
		return
	}
	connect := at - sc.lead(st)
	if st.At.AfterPrevious {
		connect = at
		at += sc.lead(st)
	}
	if connect < sc.world.Now() {
		sc.refuse(st, fmt.Sprintf("a login begins %s before its time, and that time had passed", sc.lead(st)))
		return
	}
	sc.world.Call(connect, func() { sc.connectFor(st, at) })
}

// beginStep carries out a step. Its expectations observe events from now on.
func (sc *script) beginStep(st *step) {
	st.stage, st.at = began, sc.world.Now()
	if st.Password != nil {
		sc.findPasswordPrompt(st)
	}
	sc.watch(st)
	for _, x := range st.expectations {
		x.begin()
	}
	if p := sc.owners.programs[st.program]; st.Login != nil || st.Password != nil || st.Do != nil {
		p.session.join(st)
	}
	if len(st.receivers()) > 0 || st.sendsToContacts() {
		sc.sending[uint32(st.Phone)] = append(sc.sending[uint32(st.Phone)], st)
	}
	why := ""
	sc.as(st, func() {
		if st.HasAction() && !st.sendsBeacon() {
			sc.commands.record(*st.Step, 0)
		}
		why = sc.act(st)
	})
	if why != "" {
		sc.refuse(st, why)
		return
	}
	sc.causes.acted(st)
	if !st.HasAction() || sc.sendsToProgramsOnly(st) {
		sc.takeEffect(st)
	}
	if st.operation() == noOperation && (len(st.expectations) == 0 || st.As != "") {
		sc.world.Call(st.at+sc.effectLimit(), func() {
			st.overdue = true
			sc.progress(st)
		})
	}
	sc.progress(st)
}

// as calls act, whose inputs of programs belong to the step.
func (sc *script) as(st *step, act func()) {
	sc.owners.acting = st
	act()
	sc.owners.acting = nil
}

// minEffectLimit is the minimum of effectLimit.
const minEffectLimit = 10 * time.Second

// effectLimit returns the time that a step without an answer of its own has to take effect. After it the script
// continues without the effect.
func (sc *script) effectLimit() time.Duration {
	n := &sc.scenario.Network
	return minEffectLimit + 4*(n.TCP.Delay.Longest()+n.UDP.Delay.Longest()+n.TCP.Join)
}

// refuse fails a step that cannot take place.
func (sc *script) refuse(st *step, why string) {
	st.blamed, st.because = sc.causes.ofRefusal(st, why)
	st.at = sc.world.Now()
	st.stage = began
	for _, x := range st.expectations {
		x.fail(stepTakesPlace, st.because)
	}
	sc.causes.acted(st)
	sc.settle(st)
}

const stepTakesPlace = "the step takes place"

// takeEffect sets the time at which a step takes effect, with its label, and schedules the steps that wait for the
// label.
func (sc *script) takeEffect(st *step) {
	if st.effect.known || st.stage == settled {
		return
	}
	now := sc.world.Now()
	st.effect = effect{now, true}
	for _, x := range st.expectations {
		x.stepTookEffect()
	}
	if st.As != "" {
		sc.scene.Named(st.As, now, st.phones()...)
		sc.labelSet(st.As)
	}
	for _, next := range st.followers {
		if next.stage == waiting {
			sc.schedule(next, now+next.At.Offset)
		}
	}
	sc.progress(st)
}

// progress settles a step if nothing of it is open.
func (sc *script) progress(st *step) {
	if st.stage != began || st.hasOpenExpectation() {
		return
	}
	if st.operation() != noOperation && !st.result.answered {
		return
	}
	if st.effect.known || st.result.lost || st.overdue || len(st.expectations) > 0 && st.As == "" {
		sc.settle(st)
	}
}

// each calls f for each undecided expectation of a step that has begun. The step may be nil.
func (st *step) each(f func(*expectation)) {
	if st == nil || st.stage != began {
		return
	}
	for _, x := range st.expectations {
		if !x.decided {
			f(x)
		}
	}
}

func (st *step) hasOpenExpectation() bool {
	return slices.ContainsFunc(st.expectations, func(x *expectation) bool { return !x.decided })
}

// settle ends a step. If it took no effect, the steps that wait for its label fail. The next step begins if it
// has no time
// of its own.
func (sc *script) settle(st *step) {
	if st.stage == settled || st.hasOpenExpectation() {
		return
	}
	st.stage = settled
	sc.unsettled--
	for _, next := range st.followers {
		if next.stage == waiting && !st.effect.known {
			sc.refuse(next, labelNeverSet(st.As))
		}
	}
	if next := st.index + 1; next < len(sc.steps) && sc.steps[next].At.AfterPrevious {
		sc.schedule(&sc.steps[next], sc.world.Now())
	}
	sc.stopWhenDone()
}

func labelNeverSet(label string) string { return "its label " + label + " was never set" }

// stopWhenDone ends a run without a length if every step is settled and earliestEnd has passed.
func (sc *script) stopWhenDone() {
	if sc.scenario.Length == 0 && sc.world.Now() >= sc.earliestEnd && sc.unsettled == 0 {
		sc.world.Stop()
	}
}

// sendsBeacon reports whether the step has a program send its beacon.
func (st *step) sendsBeacon() bool { return st.Do != nil && st.Do.Verb == scenarios.VerbBeacon }

// sendsToContacts reports whether the receivers of the step are those that are near its phone.
func (st *step) sendsToContacts() bool { return st.sendsBeacon() && st.Do.Contacts }

// sendsTo reports whether the step sends something to the phone.
func (st *step) sendsTo(phone int) bool {
	return st.sendsToContacts() || slices.Contains(st.receivers(), phone)
}

// sendsToProgramsOnly reports whether every receiver of the step is a program of another implementation, whose verdict
// is seen on its screen only.
func (sc *script) sendsToProgramsOnly(st *step) bool {
	to := st.receivers()
	return len(to) > 0 && !st.ofProgram &&
		!slices.ContainsFunc(to, func(phone int) bool { return !sc.programs.has(uint32(phone)) })
}

// receivers returns the receivers that the step names.
func (st *step) receivers() []int {
	switch {
	case st.Do != nil:
		return st.Do.To
	case st.Forge != nil:
		return st.Forge.To
	case st.Datagrams != nil:
		return st.Datagrams.To
	}
	return nil
}

// phones returns the phones that the step concerns.
func (st *step) phones() []int { return append([]int{int(st.program), st.Phone}, st.receivers()...) }

// checks decides the expectations that are still open at the end of the run, and returns all of them in the order of
// the script. A step without expectations that did not take place is a failed check. A step that did not take place
// because another step failed is skipped.
func (sc *script) checks(interrupted bool) []reports.Check {
	for i := range sc.steps {
		st := &sc.steps[i]
		if st.stage == waiting && !interrupted {
			st.blamed, st.because = sc.causes.ofRefusal(st, sc.whyWaiting(st))
		}
		for _, x := range st.expectations {
			x.close(interrupted)
		}
	}
	var all []reports.Check
	for i := range sc.steps {
		st := &sc.steps[i]
		from := len(all)
		if st.Optional && st.because != "" {
			continue // it was skipped, which its user allows
		}
		for _, x := range st.expectations {
			all = append(all, x.check)
		}
		if len(st.expectations) == 0 && !interrupted && st.because != "" {
			all = append(all, reports.Check{
				Kind: reports.ExpectationCheck, Name: st.Text, Place: sc.scenario.Place(st.Pos),
				Verdict:     reports.Failed,
				Evaluations: 1, Expected: stepTakesPlace, Found: st.because,
			})
		}
		if st.blamed == nil || !st.blamed.isFailed() {
			continue
		}
		for k := range all[from:] {
			c := &all[from+k]
			c.Verdict = reports.Skipped
			c.Found = fmt.Sprintf("skipped because of line %d: %s", st.blamed.Pos.Line, st.because)
		}
	}
	return all
}

// checksSoFar returns the expectations of all steps until now.
func (sc *script) checksSoFar() (all []reports.Check) {
	for i := range sc.steps {
		for _, x := range sc.steps[i].expectations {
			c := x.check
			if !x.decided {
				c.Verdict = reports.Unknown
			}
			all = append(all, c)
		}
	}
	return all
}

// isFailed reports whether the step has failed or was skipped, at the end of the run.
func (st *step) isFailed() bool {
	if st.because != "" {
		return !st.Optional
	}
	return slices.ContainsFunc(st.expectations, func(x *expectation) bool { return x.check.Verdict == reports.Failed })
}

// awaited describes the step that the script waits for: the first that has begun and is not settled, or else the next
// one. It is empty after the last.
func (sc *script) awaited() string {
	for _, stage := range []stepStage{began, waiting} {
		for i := range sc.steps {
			if st := &sc.steps[i]; st.stage == stage {
				return fmt.Sprintf("step %d of %d, line %d: %s", i+1, len(sc.steps), st.Pos.Line, st.Text)
			}
		}
	}
	return ""
}

// whyWaiting returns the reason why a step never began.
func (sc *script) whyWaiting(st *step) string {
	if of := sc.labelled[st.At.Label]; of != nil && !of.effect.known {
		return labelNeverSet(of.As)
	}
	return "the run ended before its time"
}
