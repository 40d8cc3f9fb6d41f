package sim

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

// wait is one expectation of a step: it looks at what comes from the step's
// beginning on, until all of it has come or its time is over.
type wait struct {
	step   *step
	expect *scenarios.StepExpect
	over   bool
	check  reports.Check

	chunks      []string // answers of the server
	replies     int      // patterns that have been met
	lines       []string
	prints      int
	serverLines []string
	serverSeen  int
	ended       bool
	looked      bool // at the log
}

func newWait(st *step, e *scenarios.StepExpect) *wait {
	return &wait{step: st, expect: e, check: reports.Check{
		Kind: reports.ExpectationCheck, Name: st.Text, Verdict: reports.Unknown,
	}}
}

// quiet says whether something must not happen: then the whole time has to
// pass.
func (w *wait) quiet() bool {
	e := w.expect
	return e.NoReply || e.PrintsNothing || e.ServerPrintsNothing || e.Closed != nil && !*e.Closed
}

func (w *wait) begin(r *run) {
	w.check.Place = r.place(w.expect.Pos)
	w.check.Evaluations = 1
	deadline := r.world.Now() + w.expect.Within
	// Silence is asked for up to the deadline, an answer may come in that instant.
	call := r.world.CallLast
	if w.quiet() {
		call = r.world.Call
	}
	call(deadline, func() { w.timeIsUp(r) })
	if w.step.looksOnly() {
		w.lookAtLog(r)
	}
}

// lookAtEffect looks at what is fixed by the moment at which the step took
// effect.
func (w *wait) lookAtEffect(r *run) {
	if w.step.stage == began {
		w.lookAtLog(r)
		w.maybe(r)
	}
}

func (w *wait) lookAtLog(r *run) {
	l := w.expect.Log
	if l == nil || w.looked || w.over {
		return
	}
	w.looked = true
	log := r.world.Log(uint32(w.expect.Phone))
	name := r.world.Name(uint32(w.expect.Phone))
	if l.Entries >= 0 && log.Len() != l.Entries {
		w.fail(r, fmt.Sprintf("%s in the log of %s", entriesText(l.Entries), name), entriesText(log.Len())+r.agesText(log))
		return
	}
	if l.TempIDs == nil {
		return
	}
	var ids []string
	for i := range log.Len() {
		ids = append(ids, log.At(i).TempID.String())
	}
	same := len(ids) == len(l.TempIDs)
	for i := 0; same && i < len(ids); i++ {
		same = l.TempIDs[i].Match(ids[i])
	}
	if !same {
		w.fail(r, fmt.Sprintf("TempIDs %s in the log of %s", patternsText(l.TempIDs), name), strings.Join(ids, ", "))
	}
}

func entriesText(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return strconv.Itoa(n) + " entries"
}

// agesText lists how old the entries of a log are, the oldest first.
func (r *run) agesText(log *nodes.ContactLog) string {
	const shown = 6
	var ages []string
	for i := range min(log.Len(), shown) {
		ages = append(ages, (r.world.Now() - log.At(i).Received).String())
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

// replied takes one send of the server.
func (w *wait) replied(r *run, p []byte) {
	if w.over {
		return
	}
	if w.expect.NoReply {
		w.fail(r, "no reply", strconv.Quote(string(p)))
		return
	}
	if w.expect.Replies == nil {
		return
	}
	reply := string(p)
	w.chunks = append(w.chunks, reply)
	if w.replies == len(w.expect.Replies) || !w.expect.Replies[w.replies].Match(reply) {
		w.failReplies(r)
		return
	}
	w.replies++
	w.maybe(r)
}

func (w *wait) failReplies(r *run) {
	w.fail(r, "replies "+patternsText(w.expect.Replies)+hint(w.expect.Replies, w.chunks), quoted(w.chunks))
}

// hint says how to match a part, when a text that was expected is only a part of
// what came.
func hint(ps []scenarios.Pattern, got []string) string {
	for _, p := range ps {
		for _, g := range got {
			if p.Re == nil && g != p.Text && strings.Contains(g, p.Text) {
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

// printed takes lines of a screen.
func (w *wait) printed(r *run, text string) {
	if w.over {
		return
	}
	if w.expect.PrintsNothing {
		w.fail(r, "nothing on the screen", strconv.Quote(text))
		return
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		w.lines = append(w.lines, line)
		if w.prints < len(w.expect.Prints) && w.expect.Prints[w.prints].Match(line) {
			w.prints++
		}
	}
	w.maybe(r)
}

func (w *wait) serverPrinted(r *run, text string) {
	if w.expect.ServerPrintsNothing {
		w.fail(r, "nothing in the server's output", strconv.Quote(text))
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		w.serverLines = append(w.serverLines, line)
		if w.serverSeen < len(w.expect.ServerPrints) && w.expect.ServerPrints[w.serverSeen].Match(line) {
			w.serverSeen++
		}
	}
	w.maybe(r)
}

func (w *wait) connectionEnded(r *run) {
	w.ended = true
	if w.expect.Closed != nil && !*w.expect.Closed {
		w.fail(r, "the connection stays open", "closed by the server")
		return
	}
	w.maybe(r)
}

func (w *wait) uploaded(r *run) {
	res, e := w.step.result, w.expect
	if e.Entries != nil && res.entries != *e.Entries {
		w.fail(r, fmt.Sprintf("%d entries uploaded", *e.Entries), strconv.Itoa(res.entries))
		return
	}
	if e.Resolved != nil && res.resolved != *e.Resolved {
		w.fail(r, fmt.Sprintf("%d entries resolved", *e.Resolved), strconv.Itoa(res.resolved))
		return
	}
	w.maybe(r)
}

// missing says what has not come yet; both are "" when nothing is missing.
func (w *wait) missing() (expected, found string) {
	e := w.expect
	switch {
	case w.replies < len(e.Replies):
		return "replies " + patternsText(e.Replies), quoted(w.chunks)
	case w.prints < len(e.Prints):
		return fmt.Sprintf("%q on the screen", e.Prints[w.prints].String()) + hint(e.Prints[w.prints:], w.lines), tail(w.lines)
	case w.serverSeen < len(e.ServerPrints):
		return fmt.Sprintf("%q in the server's output", e.ServerPrints[w.serverSeen].String()), tail(w.serverLines)
	case e.Closed != nil && *e.Closed && !w.ended:
		return "the connection is closed by the server", "it is open"
	case (e.Entries != nil || e.Resolved != nil) && !w.step.result.upload:
		return "an upload that ends", "none"
	case e.Log != nil && !w.looked:
		return "a look at the log when the step took effect", "it never did"
	}
	return "", ""
}

// tail shows the last lines of many.
func tail(lines []string) string {
	const shown = 12
	if len(lines) > shown {
		lines = lines[len(lines)-shown:]
	}
	return quoted(lines)
}

// maybe passes an expectation of which nothing is missing, unless something
// must go on not to happen.
func (w *wait) maybe(r *run) {
	if w.over || w.quiet() || w.step.stage != began {
		return
	}
	if expected, _ := w.missing(); expected == "" {
		w.end(r, reports.Passed)
	}
}

func (w *wait) timeIsUp(r *run) {
	if w.over {
		return
	}
	if expected, found := w.missing(); expected != "" {
		w.fail(r, expected, found)
		return
	}
	w.end(r, reports.Passed)
}

func (w *wait) fail(r *run, expected, found string) {
	if w.over {
		return
	}
	if w.check.Place == "" {
		w.check.Place, w.check.Evaluations = r.place(w.expect.Pos), 1
	}
	at := seconds(r.world.Now())
	w.check.Expected, w.check.Found, w.check.AtSeconds = expected, found, &at
	w.check.LastEvents = r.aroundStep(w)
	w.end(r, reports.Failed)
}

// aroundStep shows what happened since the step began to its phone, to the one
// that it looks at, and to those that it sends to.
func (r *run) aroundStep(w *wait) []string {
	st := w.step
	phones := append([]int{int(st.program), st.Phone, w.expect.Phone}, st.receivers()...)
	from := st.at
	if st.Login != nil {
		from -= r.lead(st)
	}
	if !st.looksOnly() && st.stage != waiting {
		if lines := r.records.Since(from, phones, eventsAround); len(lines) > 0 {
			return lines
		}
	}
	return r.records.Recent(max(w.expect.Phone, st.Phone), eventsAround)
}

func (w *wait) end(r *run, v reports.Verdict) {
	w.over = true
	w.check.Verdict = v
	for i, a := range r.active {
		if a == w {
			r.active = append(r.active[:i:i], r.active[i+1:]...)
			break
		}
	}
	r.progress(w.step)
}

// listens says whether the expectation is about this connection: that of the
// step's own phone, which its program has or the script itself.
func (w *wait) listens(phone uint32, raw bool) bool {
	return w.step.program == phone && raw == (w.step.TCP != nil)
}

// screen is the program whose screen the expectation looks at: of the step's own
// phone the one that does the step.
func (w *wait) screen() uint32 {
	if w.expect.Phone == w.step.Phone {
		return w.step.program
	}
	return uint32(w.expect.Phone)
}
