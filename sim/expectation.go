package sim

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

// expectation is one expectation of a step. It observes events from the beginning of the step until all of them have
// come or its time is over.
type expectation struct {
	script  *script
	step    *step
	expect  *scenarios.StepExpect
	decided bool
	check   reports.Check

	replies       []string // of the server
	repliesFound  int      // the number of patterns that have matched
	lines         []string // of the screen
	linesFound    int
	serverLines   []string // of the server's output
	serverFound   int
	ended         bool // the connection has ended
	logWasChecked bool
}

func newExpectation(sc *script, st *step, e *scenarios.StepExpect) *expectation {
	return &expectation{script: sc, step: st, expect: e, check: reports.Check{
		Kind: reports.ExpectationCheck, Name: st.Text, Verdict: reports.Unknown,
	}}
}

// forbids reports whether something must not happen. Such an expectation is decided at its deadline.
func (x *expectation) forbids() bool {
	e := x.expect
	return e.NoReply || e.PrintsNothing || e.ServerPrintsNothing || e.Closed != nil && !*e.Closed
}

// begin schedules the deadline.
func (x *expectation) begin() {
	x.setPlace()
	w := x.script.world
	deadline := w.Now() + x.expect.Within
	// Events at the deadline itself still fulfil an expectation, and no longer violate one.
	call := w.CallLast
	if x.forbids() {
		call = w.Call
	}
	call(deadline, x.timeIsUp)
	if !x.step.HasAction() {
		x.checkLog()
	}
}

func (x *expectation) setPlace() {
	x.check.Place, x.check.Evaluations = x.script.place(x.expect.Pos), 1
}

// stepTookEffect checks the log, whose expected state is that at the time at which the step takes effect.
func (x *expectation) stepTookEffect() {
	if x.step.stage == began {
		x.checkLog()
		x.passIfComplete()
	}
}

// checkLog compares the contact log with the expected one, once.
func (x *expectation) checkLog() {
	l := x.expect.Log
	if l == nil || x.logWasChecked || x.decided {
		return
	}
	x.logWasChecked = true
	log := x.script.world.Log(uint32(x.expect.Phone))
	name := x.script.world.Name(uint32(x.expect.Phone))
	if l.Entries >= 0 && log.Len() != l.Entries {
		x.fail(fmt.Sprintf("%s in the log of %s", entriesText(l.Entries), name),
			entriesText(log.Len())+x.agesText(log))
		return
	}
	if l.TempIDs == nil {
		return
	}
	var ids []string
	for i := range log.Len() {
		ids = append(ids, log.At(i).TempID.String())
	}
	if !slices.EqualFunc(l.TempIDs, ids, scenarios.Pattern.Match) {
		x.fail(fmt.Sprintf("TempIDs %s in the log of %s", patternsText(l.TempIDs), name), strings.Join(ids, ", "))
	}
}

func entriesText(n int) string { return reports.Plural(uint64(n), "entry", "entries") }

// agesText lists the ages of the entries of a log, the oldest first.
func (x *expectation) agesText(log *nodes.ContactLog) string {
	const shown = 6
	var ages []string
	for i := range min(log.Len(), shown) {
		ages = append(ages, (x.script.world.Now() - log.At(i).Received).String())
	}
	switch {
	case log.Len() == 0:
		return ""
	case log.Len() > shown:
		ages = append(ages, "…")
	}
	return ", received " + strings.Join(ages, ", ") + " ago"
}

func patternsText(ps []scenarios.Pattern) string {
	var texts []string
	for _, p := range ps {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ", ")
}

// concernsConnection reports whether the expectation is about the connection of the step's program, or about the
// connection that the step drives itself if raw is true.
func (x *expectation) concernsConnection(program uint32, raw bool) bool {
	return x.step.program == program && raw == (x.step.TCP != nil)
}

// screen returns the program whose screen the expectation concerns. For the step's own phone it is the program that
// carries out the step.
func (x *expectation) screen() uint32 {
	if x.expect.Phone == x.step.Phone {
		return x.step.program
	}
	return uint32(x.expect.Phone)
}

// replied handles a reply of the server.
func (x *expectation) replied(p []byte) {
	if x.decided {
		return
	}
	if x.expect.NoReply {
		x.fail("no reply", strconv.Quote(string(p)))
		return
	}
	if x.expect.Replies == nil {
		return
	}
	reply := string(p)
	x.replies = append(x.replies, reply)
	if x.repliesFound == len(x.expect.Replies) || !x.expect.Replies[x.repliesFound].Match(reply) {
		x.fail("replies "+patternsText(x.expect.Replies)+hint(x.expect.Replies, x.replies), quoted(x.replies))
		return
	}
	x.repliesFound++
	x.passIfComplete()
}

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

func quoted(texts []string) string {
	if len(texts) == 0 {
		return "nothing"
	}
	var q []string
	for _, t := range texts {
		q = append(q, strconv.Quote(t))
	}
	return strings.Join(q, ", ")
}

// printed handles new lines of the screen.
func (x *expectation) printed(text string) {
	if x.decided {
		return
	}
	if x.expect.PrintsNothing {
		x.fail("nothing on the screen", strconv.Quote(text))
		return
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		x.lines = append(x.lines, line)
		if x.linesFound < len(x.expect.Prints) && x.expect.Prints[x.linesFound].Match(line) {
			x.linesFound++
		}
	}
	x.passIfComplete()
}

// serverPrinted handles new lines of the server's output.
func (x *expectation) serverPrinted(text string) {
	if x.expect.ServerPrintsNothing {
		x.fail("nothing in the server's output", strconv.Quote(text))
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		x.serverLines = append(x.serverLines, line)
		if x.serverFound < len(x.expect.ServerPrints) && x.expect.ServerPrints[x.serverFound].Match(line) {
			x.serverFound++
		}
	}
	x.passIfComplete()
}

func (x *expectation) connectionEnded() {
	x.ended = true
	if x.expect.Closed != nil && !*x.expect.Closed {
		x.fail("the connection stays open", "closed by the server")
		return
	}
	x.passIfComplete()
}

// uploaded compares the result of an upload, which is in the step's result.
func (x *expectation) uploaded() {
	res, e := x.step.result, x.expect
	if e.Entries != nil && res.entries != *e.Entries {
		x.fail(fmt.Sprintf("%d entries uploaded", *e.Entries), strconv.Itoa(res.entries))
		return
	}
	if e.Resolved != nil && res.resolved != *e.Resolved {
		x.fail(fmt.Sprintf("%d entries resolved", *e.Resolved), strconv.Itoa(res.resolved))
		return
	}
	x.passIfComplete()
}

// missing describes the first expected effect that has not occurred, and the effects found instead. Both are "" if
// nothing is missing.
func (x *expectation) missing() (expected, found string) {
	e := x.expect
	switch {
	case x.repliesFound < len(e.Replies):
		return "replies " + patternsText(e.Replies), quoted(x.replies)
	case x.linesFound < len(e.Prints):
		left := e.Prints[x.linesFound:]
		return fmt.Sprintf("%q on the screen", left[0].String()) + hint(left, x.lines), lastLines(x.lines)
	case x.serverFound < len(e.ServerPrints):
		return fmt.Sprintf("%q in the server's output", e.ServerPrints[x.serverFound].String()),
			lastLines(x.serverLines)
	case e.Closed != nil && *e.Closed && !x.ended:
		return "the connection is closed by the server", "it is open"
	case (e.Entries != nil || e.Resolved != nil) && !x.step.result.upload:
		return "an upload that ends", "none"
	case e.Log != nil && !x.logWasChecked:
		return "a look at the log when the step took effect", "it never did"
	}
	return "", ""
}

// lastLines quotes the last lines of many.
func lastLines(lines []string) string {
	const shown = 12
	if len(lines) > shown {
		lines = lines[len(lines)-shown:]
	}
	return quoted(lines)
}

// passIfComplete passes an expectation of which nothing is missing, unless it is decided at its deadline only.
func (x *expectation) passIfComplete() {
	if x.decided || x.forbids() || x.step.stage != began {
		return
	}
	if expected, _ := x.missing(); expected == "" {
		x.decide(reports.Passed)
	}
}

// timeIsUp decides the expectation at its deadline.
func (x *expectation) timeIsUp() {
	if x.decided {
		return
	}
	if expected, found := x.missing(); expected != "" {
		x.fail(expected, found)
		return
	}
	x.decide(reports.Passed)
}

// close decides an expectation that is open at the end of the run.
func (x *expectation) close(interrupted bool) {
	if x.decided {
		return
	}
	x.check.Place = x.script.place(x.expect.Pos)
	switch {
	case interrupted:
		x.decided = true
	case x.step.stage == waiting:
		x.fail(stepTakesPlace, x.script.whyWaiting(x.step))
	default:
		x.timeIsUp()
	}
}

func (x *expectation) fail(expected, found string) {
	if x.decided {
		return
	}
	if x.check.Place == "" {
		x.setPlace()
	}
	at := seconds(x.script.world.Now())
	x.check.Expected, x.check.Found, x.check.AtSeconds = expected, found, &at
	x.check.LastEvents = x.eventsAround()
	x.decide(reports.Failed)
}

// eventsAround returns the events since the beginning of the step that concern its phone, the phone of the expectation
// and the receivers of the step. Without such events it returns the last events of one phone.
func (x *expectation) eventsAround() []string {
	st := x.step
	phones := append([]int{int(st.program), st.Phone, x.expect.Phone}, st.receivers()...)
	from := st.at - x.script.lead(st)
	if st.HasAction() && st.stage != waiting {
		if lines := x.script.records.Since(from, phones, maxEventsAround); len(lines) > 0 {
			return lines
		}
	}
	return x.script.records.Recent(max(x.expect.Phone, st.Phone), maxEventsAround)
}

func (x *expectation) decide(v reports.Verdict) {
	x.decided = true
	x.check.Verdict = v
	others := slices.Clone(x.script.undecided) // a caller may range over the old list
	x.script.undecided = slices.DeleteFunc(others, func(o *expectation) bool { return o == x })
	x.script.progress(x.step)
}
