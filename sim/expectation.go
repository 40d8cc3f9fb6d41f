package sim

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/event"
	"bluetrace/sim/foreign"
)

// expectation is one expectation of a step. It observes events from the beginning of the step until each of its parts
// holds or does not, or its time is over.
type expectation struct {
	script  *script
	step    *step
	expect  *scenarios.StepExpect
	decided bool
	check   reports.Check
	parts   [partKinds]partState
	// expected and found describe the parts that do not hold.
	expected, found []string

	replies     texts // of the server
	screenLines texts
	outputLines texts // of the server
	// logExpected and logFound describe the last difference of the contact log of a program.
	logExpected, logFound string

	before   foreign.Usage // of the program, at the beginning
	had      []string      // the TempIDs of the run at the beginning
	unbroken brokenLog

	began, deadline time.Duration
}

// texts are the texts that an expectation has observed.
type texts struct {
	all     []string
	matched int // the number of expected texts that were among them, in their order
}

// add adds a text. It reports whether the text is the next expected one.
func (t *texts) add(text string, expected []scenarios.Pattern) bool {
	t.all = append(t.all, text)
	if t.matched == len(expected) || !expected[t.matched].Match(text) {
		return false
	}
	t.matched++
	return true
}

// missing describes the expected lines, and the lines found instead. shows and showed are the beginnings of the two
// sentences.
func (t *texts) missing(expected []scenarios.Pattern, shows, showed string) (want, found string) {
	var names []string
	for _, p := range expected {
		names = append(names, strconv.Quote(p.String()))
	}
	want = shows + strings.Join(names, ", then ") + hint(expected[t.matched:], t.all)
	found = showed + lastLines(t.all)
	switch {
	case t.matched > 0:
		found = fmt.Sprintf("%s is missing after %s; %s", names[t.matched], names[t.matched-1], found)
	case len(names) > 1:
		found = names[0] + " is missing; " + found
	}
	return want, found
}

// part is a key of an expectation.
type part uint8

const (
	repliesPart part = iota
	silentPart
	closedPart
	staysOpenPart // closed: false
	printsPart
	noPrintsPart
	serverPrintsPart
	noServerPrintsPart
	logPart
	entriesPart
	resolvedPart
	storesPart
	endsPart
	runsOnPart // ends: false
	tempIDPart
	busyPart
	growthPart
	unbrokenPart
	partKinds
)

// partState is the state of a part.
type partState uint8

const (
	partAbsent partState = iota
	partOpen
	partHeld
	partViolated
)

func newExpectation(st *step, sc *script, e *scenarios.StepExpect) *expectation {
	x := &expectation{script: sc, step: st, expect: e, check: reports.Check{
		Kind: reports.ExpectationCheck, Name: st.Text, Place: sc.scenario.Place(e.Pos), Verdict: reports.Unknown,
	}}
	for p, written := range [partKinds]bool{
		repliesPart: len(e.Replies) > 0, silentPart: e.NoReply,
		closedPart: e.Closed != nil && *e.Closed, staysOpenPart: e.Closed != nil && !*e.Closed,
		printsPart: len(e.Prints) > 0, noPrintsPart: e.PrintsNothing,
		serverPrintsPart: len(e.ServerPrints) > 0, noServerPrintsPart: e.ServerPrintsNothing,
		logPart: e.Log != nil, entriesPart: e.Entries != nil, resolvedPart: e.Resolved != nil,
		storesPart: e.Stores || e.Lifetime > 0,
		endsPart:   e.Ends != nil && *e.Ends, runsOnPart: e.Ends != nil && !*e.Ends,
		tempIDPart: e.TempID != "", busyPart: e.Busy > 0, growthPart: e.Growth > 0, unbrokenPart: e.LogUnbroken,
	} {
		if written {
			x.parts[p] = partOpen
		}
	}
	return x
}

func (x *expectation) isOpen(p part) bool { return x.parts[p] == partOpen }

// forbids reports whether a part forbids something. It is decided at the deadline.
func (p part) forbids() bool {
	return slices.Contains([]part{
		silentPart, staysOpenPart, noPrintsPart, noServerPrintsPart, runsOnPart, unbrokenPart,
	}, p)
}

// hold records that a part holds, if it is open.
func (x *expectation) hold(p part) {
	if x.isOpen(p) {
		x.parts[p] = partHeld
		x.progress()
	}
}

// violate records that a part does not hold, also if it has held until now.
func (x *expectation) violate(p part, expected, found string) {
	if x.parts[p] != partOpen && x.parts[p] != partHeld {
		return
	}
	x.parts[p] = partViolated
	x.note(expected, found)
	x.progress()
}

// note records a failure. The first one has the time and the events.
func (x *expectation) note(expected, found string) {
	x.expected, x.found = append(x.expected, expected), append(x.found, found)
	if x.check.AtSeconds == nil {
		at := seconds(x.script.world.Now())
		x.check.AtSeconds, x.check.LastEvents = &at, x.eventsAround()
		x.script.scene.Failed(x.check.Place, x.script.world.Now(), append(x.step.phones(), x.expect.Phone)...)
	}
}

// progress decides the expectation once no part is open.
func (x *expectation) progress() {
	if x.decided || slices.Contains(x.parts[:], partOpen) {
		return
	}
	x.decide()
}

// begin schedules the deadline.
func (x *expectation) begin() {
	x.check.Evaluations = 1
	w := x.script.world
	x.began, x.deadline = w.Now(), w.Now()+x.expect.Within
	// Events at the deadline itself still fulfil an expectation, and no longer violate one.
	call := w.CallLast
	for p := range partKinds {
		if p.forbids() && x.isOpen(p) {
			call = w.Call
		}
	}
	call(x.deadline, x.timeIsUp)
	if ended := x.script.programs.ended[x.screen()]; ended != "" { // the step acts first
		w.Call(w.Now(), func() { x.programEnded(ended) })
	}
	if !x.step.HasAction() {
		x.checkLog()
	}
	x.beginLooks()
}

// stepTookEffect checks the log, whose expected state is that at the time at which the step takes effect.
func (x *expectation) stepTookEffect() {
	if x.step.stage == began {
		x.checkLog()
	}
}

// screen returns the program whose screen the expectation concerns. For the step's own phone it is the program that
// carries out the step.
func (x *expectation) screen() uint32 {
	if x.expect.Phone == x.step.Phone {
		return x.step.program
	}
	return uint32(x.expect.Phone)
}

// replied handles an answer of the server that belongs to the step.
func (x *expectation) replied(reply string) {
	x.violate(silentPart, "no reply to "+x.name(x.step.program), strconv.Quote(reply))
	if x.expect.Replies == nil {
		return
	}
	if !x.replies.add(reply, x.expect.Replies) {
		x.violateReplies("")
	} else if x.replies.matched == len(x.expect.Replies) {
		x.hold(repliesPart)
	}
}

// violateReplies records that the replies are not the expected ones. end is the end of the found text.
func (x *expectation) violateReplies(end string) {
	ps, noun := x.expect.Replies, "the replies "
	if len(ps) == 1 {
		noun = "the reply "
	}
	expected := noun + patternsText(ps) + " to " + x.name(x.step.program) + hint(ps, x.replies.all)
	x.violate(repliesPart, expected, quoted(x.replies.all)+end)
}

func (x *expectation) name(program uint32) string { return x.script.world.Name(program) }

// hint suggests a regular expression if an expected text is only a part of one that was found.
func hint(ps []scenarios.Pattern, found []string) string {
	for _, p := range ps {
		for _, f := range found {
			if p.Re == nil && f != p.Text && strings.Contains(f, p.Text) {
				return fmt.Sprintf(" (a text must be equal; /%s/ matches a part)", regexp.QuoteMeta(p.Text))
			}
		}
	}
	return ""
}

func quoted(texts []string) string { return cmp.Or(reports.Quoted(texts), "nothing") }

// shown handles new lines of the server's output or of the screen. During an operation of another step, a step with an
// operation ignores its own screen.
func (x *expectation) shown(e *event.Event) {
	text := strings.TrimSuffix(e.Text, "\n")
	if e.Node == event.Server {
		x.violate(noServerPrintsPart, "nothing in the server's output", strconv.Quote(e.Text))
		x.addLines(serverPrintsPart, &x.outputLines, text, x.expect.ServerPrints)
		return
	}
	p := x.script.owners.programs[x.step.program]
	ignores := x.step.operation() != noOperation && x.screen() == x.step.program && p.busy && p.acting != x.step
	if x.screen() == e.Node && !ignores {
		x.violate(noPrintsPart, "nothing on the screen of "+x.name(x.screen()), strconv.Quote(e.Text))
		x.addLines(printsPart, &x.screenLines, text, x.expect.Prints)
	}
}

// addLines adds the lines of a text. The part holds once all expected lines are among them.
func (x *expectation) addLines(p part, t *texts, text string, expected []scenarios.Pattern) {
	for line := range strings.SplitSeq(text, "\n") {
		t.add(line, expected)
	}
	if t.matched == len(expected) {
		x.hold(p)
	}
}

// sessionEnded decides the parts for which the phone would have to read more in the session of the step.
func (x *expectation) sessionEnded() {
	if x.isOpen(repliesPart) {
		x.violateReplies(", and " + x.step.session.ended)
	}
	x.hold(silentPart)
	why := "none, and " + x.step.session.ended
	for _, p := range []part{entriesPart, resolvedPart} {
		if x.isOpen(p) {
			expected, _ := x.missing(p)
			x.violate(p, expected, why)
			why = "none"
		}
	}
}

// hungUp handles the end of the server's side of the connection. closed reports that the server closed it on its own
// account. later is the later step whose bytes made the server close it, or nil.
func (x *expectation) hungUp(closed bool, later *step) {
	found := x.step.session.ended
	if closed && later == nil {
		x.hold(closedPart)
		x.violate(staysOpenPart, "the connection of "+x.name(x.step.program)+" stays open", found)
		return
	}
	if closed {
		found = fmt.Sprintf("it was closed because of the step at line %d", later.Pos.Line)
	}
	if x.isOpen(closedPart) {
		expected, _ := x.missing(closedPart)
		x.violate(closedPart, expected, found)
	}
	x.hold(staysOpenPart)
}

// uploaded compares the result of an upload, which is in the step's result.
func (x *expectation) uploaded() {
	res, e := x.step.result, x.expect
	compare := func(p part, want *int, got int) {
		if want != nil && got != *want {
			expected, _ := x.missing(p)
			x.violate(p, expected, strconv.Itoa(got))
		}
		x.hold(p)
	}
	compare(entriesPart, e.Entries, res.entries)
	compare(resolvedPart, e.Resolved, res.resolved)
}

// missing describes the expected effect of a part that has not occurred at the deadline, and the effects found instead.
func (x *expectation) missing(p part) (expected, found string) {
	e := x.expect
	switch p {
	case printsPart:
		return x.screenLines.missing(e.Prints, "the screen of "+x.name(x.screen())+" shows ", "it showed ")
	case serverPrintsPart:
		return x.outputLines.missing(e.ServerPrints, "the server prints ", "it printed ")
	case closedPart:
		found = "it is open"
		if s := x.step.session; s == nil {
			found = "there was none"
		} else if s.ended != "" {
			found = s.ended
		}
		return "the server closes the connection of " + x.name(x.step.program), found
	case entriesPart:
		return fmt.Sprintf("an upload of %s by %s", entriesText(*e.Entries), x.name(x.step.program)), "none that ended"
	case storesPart:
		return x.stored()
	case tempIDPart:
		return x.tempID()
	case resolvedPart:
		return fmt.Sprintf("an upload by %s of which %s resolved", x.name(x.step.program),
			reports.Plural(uint64(*e.Resolved), "entry is", "entries are")), "none that ended"
	case endsPart:
		return "the program of " + x.name(x.screen()) + " ends", "it runs"
	case logPart:
		if x.logExpected != "" {
			return x.logExpected, x.logFound
		}
	}
	return "a look at the log when the step took effect", "it never did"
}

// lastLines quotes the last lines of many.
func lastLines(lines []string) string {
	const shown = 12
	if left := len(lines) - shown; left > 0 {
		return fmt.Sprintf("%s before, then %s", reports.Plural(uint64(left), "line", "lines"), quoted(lines[left:]))
	}
	return quoted(lines)
}

// timeIsUp decides the open parts at the deadline.
func (x *expectation) timeIsUp() {
	for p := range partKinds {
		switch {
		case x.decided || !x.isOpen(p):
		case p.forbids():
			x.hold(p)
		case p == busyPart || p == growthPart:
			x.compareUse(p)
		case p == repliesPart:
			x.violateReplies(" in " + min(x.expect.Within, x.script.world.Now()-x.began).String())
		default:
			expected, found := x.missing(p)
			x.violate(p, expected, found)
		}
	}
}

// programEnded decides the parts that wait for the end of a program, or for its output.
func (x *expectation) programEnded(why string) {
	if x.decided {
		return
	}
	if x.isOpen(printsPart) {
		expected, found := x.missing(printsPart)
		x.violate(printsPart, expected, found+"; "+why)
	}
	x.hold(endsPart)
	x.violate(runsOnPart, "the program of "+x.name(x.screen())+" runs on", why)
}

// close decides an expectation that is open at the end of the run.
func (x *expectation) close(interrupted bool) {
	switch {
	case x.decided:
	case interrupted:
		x.decided = true
	case x.step.stage == waiting:
		x.fail(stepTakesPlace, x.step.because)
	default:
		x.runEnds()
		x.timeIsUp()
	}
}

// runEnds decides the parts that had to be observed until the deadline, if the run ends before it.
func (x *expectation) runEnds() {
	left := x.deadline - x.script.world.Now()
	for p := range partKinds {
		if left > 0 && !x.decided && x.isOpen(p) && (p.forbids() || p == busyPart || p == growthPart) {
			x.violate(p, fmt.Sprintf("a run that lasts until the end of `within`, %s after the step", x.expect.Within),
				fmt.Sprintf("the run ended %s before", left))
		}
	}
}

// fail decides that the whole expectation does not hold.
func (x *expectation) fail(expected, found string) {
	if x.decided {
		return
	}
	x.expected, x.found = nil, nil
	x.note(expected, found)
	x.decide()
}

// eventsAround returns the events since the beginning of the step that concern its phone, the phone of the expectation
// and the receivers of the step. Without such events it returns the last events of one phone.
func (x *expectation) eventsAround() []string {
	st := x.step
	phones := append(st.phones(), x.expect.Phone)
	from := st.at - x.script.lead(st)
	if st.HasAction() && st.stage != waiting {
		if lines := x.script.records.Since(from, phones, maxEventsAround); len(lines) > 0 {
			return lines
		}
	}
	return x.script.records.Recent(max(x.expect.Phone, st.Phone), maxEventsAround)
}

func (x *expectation) decide() {
	x.decided = true
	x.check.Evaluations = 1
	x.check.Verdict = reports.Passed
	if len(x.expected) > 0 {
		x.check.Verdict = reports.Failed
		x.check.Expected, x.check.Found = strings.Join(x.expected, "; "), strings.Join(x.found, "; ")
	}
	x.script.progress(x.step)
}
