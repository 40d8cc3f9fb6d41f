package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/event"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// script carries out the steps of a scenario and decides their expectations. A step without a time begins when the
// step before it is settled, and a step with a label begins a given time after the step with that label took effect.
type script struct {
	scenario *scenarios.Scenario
	place    func(scenarios.Pos) string
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
	extra     []extraProgram
	loggingIn []bool  // by program: the script has connected it and not yet typed the password
	open      []*step // the steps that have begun and are not settled, in the order of their beginning
	unsettled int
	undecided []*expectation           // of the steps that have begun
	labels    map[string]time.Duration // the time of each label that is set
}

// step is a step of the script with its state.
type step struct {
	*scenarios.Step
	index        int
	program      uint32 // the phone's program that carries it out
	stage        stepStage
	at           time.Duration // when it began
	effect       effect
	expectations []*expectation
	forge        rand.PCG
	toRead       int // bytes that the server must read before the step takes effect
	result       stepResult
	overdue      bool   // the time limit of its effect is over
	because      string // why it could not begin
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
	answered          bool // the program has ended the operation
	lost              bool // the operation ended without a decision of the server
}

// extraProgram is an additional program of a phone, for a login that begins during another login of the phone.
type extraProgram struct {
	phone   int
	program uint32
}

// newScript prepares the steps of a scenario. Its fields from world to earliestEnd are set before start.
func newScript(s *scenarios.Scenario, phones int, place func(scenarios.Pos) string) *script {
	sc := &script{scenario: s, place: place, labels: map[string]time.Duration{}}
	sc.steps = make([]step, len(s.Script))
	sc.unsettled = len(sc.steps)
	logins := map[int]int{}
	for i := range s.Script {
		st := &sc.steps[i]
		st.Step, st.index, st.program = &s.Script[i], i, uint32(s.Script[i].Phone)
		st.forge = virtual.Stream(s.Seed, fmt.Sprintf("step %d", i), "forged TempID")
		if st.Login != nil {
			if logins[st.Phone]++; logins[st.Phone] > 1 {
				sc.extra = append(sc.extra, extraProgram{st.Phone, uint32(phones + len(sc.extra))})
			}
		}
		if st.Optional {
			continue
		}
		for k := range st.Expect {
			st.expectations = append(st.expectations, newExpectation(sc, st, &st.Expect[k]))
		}
	}
	sc.loggingIn = make([]bool, phones+len(sc.extra))
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
		st := &sc.steps[i]
		switch {
		case st.At.AfterPrevious && i == 0:
			sc.schedule(st, 0)
		case st.At.AfterPrevious, st.At.Label != "":
		default:
			sc.schedule(st, st.At.Offset)
		}
	}
}

// schedule schedules the beginning of a step, and of the connection that a login needs before it.
func (sc *script) schedule(st *step, at time.Duration) {
	if !st.HasAction() || st.Optional && st.Do != nil { // it may depend on the other events of this instant
		sc.world.CallLast(at, func() { sc.beginStep(st) })
		return
	}
	if st.Login == nil {
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
	sc.open = append(sc.open, st)
	sc.watchScreens(st)
	sc.undecided = append(sc.undecided, st.expectations...)
	for _, x := range st.expectations {
		x.begin()
	}
	sc.commands.acting = st.Step
	defer func() { sc.commands.acting = nil }()
	if st.HasAction() && (st.Do == nil || st.Do.Verb != scenarios.VerbBeacon) {
		sc.commands.record(*st.Step)
	}
	if why := sc.act(st); why != "" {
		sc.refuse(st, why)
		return
	}
	if !st.HasAction() {
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

// minEffectLimit is the minimum of effectLimit.
const minEffectLimit = 10 * time.Second

// effectLimit returns the time that a step without an answer of its own has to take effect. After it the script
// continues without the effect.
func (sc *script) effectLimit() time.Duration {
	n := &sc.scenario.Network
	return minEffectLimit + 4*(n.TCP.Delay.Longest()+n.UDP.Delay.Longest()+n.TCP.Join)
}

// watchScreens makes the world show the screens that the expectations of a step concern.
func (sc *script) watchScreens(st *step) {
	for _, x := range st.expectations {
		if len(x.expect.Prints) > 0 || x.expect.PrintsNothing {
			sc.world.Watch(uint32(x.expect.Phone))
			for _, e := range sc.extra {
				if e.phone == x.expect.Phone {
					sc.world.Watch(e.program)
				}
			}
		}
	}
}

// refuse fails a step that cannot take place.
func (sc *script) refuse(st *step, why string) {
	if st.stage == waiting {
		sc.open = append(sc.open, st)
	}
	st.because = why
	st.at = sc.world.Now()
	st.stage = began
	for _, x := range st.expectations {
		x.fail(stepTakesPlace, why)
	}
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
		sc.labels[st.As] = now
		sc.labelSet(st.As)
		for i := range sc.steps {
			if next := &sc.steps[i]; next.At.Label == st.As && next.stage == waiting {
				sc.schedule(next, now+next.At.Offset)
			}
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

func (st *step) hasOpenExpectation() bool {
	return slices.ContainsFunc(st.expectations, func(x *expectation) bool { return !x.decided })
}

// settle ends a step. The next step begins if it has no time of its own.
func (sc *script) settle(st *step) {
	if st.stage == settled || st.hasOpenExpectation() {
		return
	}
	st.stage = settled
	sc.unsettled--
	sc.open = slices.DeleteFunc(sc.open, func(o *step) bool { return o == st })
	sc.refuseSuccessors(st)
	if next := st.index + 1; next < len(sc.steps) && sc.steps[next].At.AfterPrevious {
		sc.schedule(&sc.steps[next], sc.world.Now())
	}
	sc.stopWhenDone()
}

// refuseSuccessors fails the steps that wait for the label of a step that took no effect.
func (sc *script) refuseSuccessors(st *step) {
	if st.As == "" || st.effect.known {
		return
	}
	for i := range sc.steps {
		if next := &sc.steps[i]; next.stage == waiting && next.At.Label == st.As {
			sc.refuse(next, labelNeverSet(st.As))
		}
	}
}

func labelNeverSet(label string) string { return "its label " + label + " was never set" }

// stopWhenDone ends a run without a length if every step is settled and earliestEnd has passed.
func (sc *script) stopWhenDone() {
	if sc.scenario.Length > 0 || sc.world.Now() < sc.earliestEnd {
		return
	}
	if sc.unsettled == 0 {
		sc.world.Stop()
	}
}

// subscribe has the script observe the events that steps and expectations wait for.
func (sc *script) subscribe(s *event.Stream) {
	if len(sc.steps) == 0 {
		return
	}
	s.On(event.BeaconJudged, sc.judged)
	s.On(event.Replied, func(e *event.Event) {
		for _, x := range sc.undecided {
			if x.concernsConnection(e.Node, e.Scripted) {
				x.replied(e.Bytes)
			}
		}
	})
	s.On(event.HungUp, func(e *event.Event) {
		for _, x := range sc.undecided {
			if x.concernsConnection(e.Node, e.Scripted) {
				x.connectionEnded()
			}
		}
	})
	s.On(event.ScreenShown, func(e *event.Event) {
		for _, x := range sc.undecided {
			if x.screen() == e.Node && (x.expect.PrintsNothing || len(x.expect.Prints) > 0) {
				x.printed(e.Text)
			}
		}
	})
	s.On(event.OperationDone, func(e *event.Event) { sc.operationDone(e.Node, e.Phone) })
	s.On(event.ServerDecided, func(e *event.Event) { sc.serverDecided(e.Peer, e.Scripted, e.Decision) })
	s.On(event.ServerHandled, func(e *event.Event) {
		if e.Scripted {
			sc.serverHandled(e.Peer, e.Size)
		}
	})
	s.On(event.ServerPrinted, func(e *event.Event) {
		for _, x := range sc.undecided {
			if len(x.expect.ServerPrints) > 0 || x.expect.ServerPrintsNothing {
				x.serverPrinted(e.Text)
			}
		}
	})
}

// judged handles the verdict of a receiver. The verdict concerns the sender's last step that began before the beacon
// was sent, or the sender's first step that waits for a verdict if the time of sending is not known.
func (sc *script) judged(e *event.Event) {
	sender, phone, sent := e.Peer, e.Node, e.Sent
	if !e.SentKnown {
		sent = 0
	}
	var found *step
	for _, st := range sc.open {
		if st.effect.known || st.Phone != int(sender) || !st.sendsTo(int(phone)) {
			continue
		}
		if found == nil || st.at <= sent && st.at >= found.at {
			found = st
		}
	}
	if found != nil {
		sc.takeEffect(found)
	}
}

// sendsTo reports whether the step sends something to the phone.
func (st *step) sendsTo(phone int) bool {
	if st.Do != nil && st.Do.Verb == scenarios.VerbBeacon && st.Do.Contacts {
		return true
	}
	return slices.Contains(st.receivers(), phone)
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

// operationDone handles the end of an operation of a program.
func (sc *script) operationDone(program uint32, e *nodes.PhoneEffect) {
	for _, st := range sc.open {
		if st.program != program || st.result.answered || st.operation() != e.Op {
			continue
		}
		st.result.answered = true
		st.result.delay = sc.world.Now() - e.Began
		switch e.Outcome {
		case nodes.OutcomeNoAnswer, nodes.OutcomeConnectionLost, nodes.OutcomeUnexpectedAnswer:
			st.result.lost = true
		}
		sc.progress(st)
		break
	}
	if int(program) >= len(sc.accounts) && e.Op == nodes.OpLogin && e.Outcome == nodes.OutcomeOK {
		sc.world.Call(sc.world.Now(), func() { sc.takeOver(program) })
	}
}

// serverDecided handles a decision of the server about a session of the program. raw is true for a connection that the
// script drives itself.
func (sc *script) serverDecided(program uint32, raw bool, e *nodes.ServerEvent) {
	for _, st := range slices.Clone(sc.open) {
		if st.stage != began || st.program != program || raw != (st.TCP != nil) {
			continue
		}
		if e.Kind == nodes.EventUploadDone && !st.result.upload && (raw || st.operation() == nodes.OpUpload) {
			st.result.upload, st.result.entries, st.result.resolved = true, e.Entries, e.Resolved
			for _, x := range st.expectations {
				x.uploaded()
			}
			sc.progress(st)
		}
		// A decision after the program has ended the operation concerns another step. Only a logout ends without
		// an answer.
		late := st.result.answered && st.operation() != nodes.OpLogout
		if !raw && !late && decides(e.Kind, st.operation()) {
			sc.takeEffect(st)
		}
	}
}

// decides reports whether a decision of the server is about an operation.
func decides(k nodes.ServerEventKind, op nodes.Operation) bool {
	switch k {
	case nodes.EventLoggedIn, nodes.EventWrongPassword, nodes.EventBlockBegan, nodes.EventRefused:
		return op == nodes.OpLogin
	case nodes.EventIssued:
		return op == nodes.OpDownload
	case nodes.EventSessionEnded:
		return op == nodes.OpLogout
	}
	return false
}

// serverHandled counts n bytes of a scripted connection that the server has handled.
func (sc *script) serverHandled(phone uint32, n int) {
	for _, st := range sc.open {
		if st.TCP == nil || st.Phone != int(phone) || st.toRead == 0 {
			continue
		}
		if st.toRead -= min(n, st.toRead); st.toRead == 0 {
			sc.takeEffect(st)
		}
		return
	}
}

// checks decides the expectations that are still open at the end of the run, and returns all of them in the order of
// the script. A step without expectations that did not take place is a failed check.
func (sc *script) checks(interrupted bool) []reports.Check {
	var all []reports.Check
	for i := range sc.steps {
		st := &sc.steps[i]
		for _, x := range st.expectations {
			x.close(interrupted)
			all = append(all, x.check)
		}
		if len(st.expectations) > 0 || st.Optional || interrupted || st.stage != waiting && st.because == "" {
			continue
		}
		found := st.because
		if found == "" {
			found = sc.whyWaiting(st)
		}
		all = append(all, reports.Check{
			Kind: reports.ExpectationCheck, Name: st.Text, Place: sc.place(st.Pos), Verdict: reports.Failed,
			Evaluations: 1, Expected: stepTakesPlace, Found: found,
		})
	}
	return all
}

// whyWaiting returns the reason why a step never began.
func (sc *script) whyWaiting(st *step) string {
	if label := st.At.Label; label != "" {
		if _, set := sc.labels[label]; !set {
			return labelNeverSet(label)
		}
	}
	return "the run ended before its time"
}
