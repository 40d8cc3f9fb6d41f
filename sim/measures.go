package sim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bluetrace/protocol/dialect"
	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
	"bluetrace/sim/load"
	"bluetrace/sim/scene"
	"bluetrace/sim/world"
)

// measures evaluates the values of the language and reports the run: its counts, its checks and its verdict.
type measures struct {
	scenario    *scenarios.Scenario
	live        *Live            // nil in virtual time
	dialect     *dialect.Dialect // in virtual time; nil for that of PROTOCOL.md
	server      *startedServer   // nil if --server-command started none
	begin       time.Duration
	world       world.World
	records     *world.Records
	rules       *check.Invariants
	faults      *faults
	adversaries *adversaries
	script      *script
	scene       *scene.Collector // nil if none is requested
	// withoutDelays leaves the delays of operations out of the report.
	withoutDelays bool

	atLabels   map[*scenarios.Path][]float64 // values of paths with a label
	violations []violation
	// misunderstood is the first message in the dialect that a side did not understand; empty if there was none.
	misunderstood string
}

// violation is the first violation of an invariant, with the last events before it.
type violation struct {
	check.Violation
	events []string
}

// maxEventsAround is the maximum number of events shown with a failure.
const maxEventsAround = 12

// violated records a violation. The invariants call it.
func (m *measures) violated(v check.Violation) {
	if !m.judges(v.Invariant) {
		return
	}
	m.scene.Failed(v.Invariant.String(), time.Duration(v.At), v.Phone)
	m.violations = append(m.violations, violation{v, m.records.Recent(v.Phone, maxEventsAround)})
}

// counter returns the count of the run that has a name in the language.
func (m *measures) counter(name string) float64 {
	if name == "adversaries.sent" {
		return float64(m.adversaries.count())
	}
	if kind, ok := strings.CutPrefix(name, "faults."); ok {
		return float64(m.faults.count(kind))
	}
	if name == "events" {
		return float64(m.world.Events())
	}
	v, ok := m.records.Totals().Value(name)
	if !ok {
		panic(fmt.Sprintf("sim: the language has a counter %q that the run does not have", name))
	}
	return float64(v)
}

// stepValue returns a field of a step with a label, or NaN if the step has no such value.
func (m *measures) stepValue(i int, field string) float64 {
	st := &m.script.steps[i]
	res := st.result
	switch {
	case field == "at" && st.effect.known:
		return seconds(st.effect.at)
	case field == "entries" && res.upload:
		return float64(res.entries)
	case field == "resolved" && res.upload:
		return float64(res.resolved)
	case field == "delay" && res.timed:
		return seconds(res.delay)
	}
	return math.NaN()
}

func (m *measures) phoneValue(phone int, field string) float64 {
	who := uint32(phone)
	n := m.world.Phone(who)
	switch field {
	case "log":
		if m.script.programs.has(who) {
			return float64(len(m.script.programs.world.Logged(who)))
		}
		return float64(m.world.Log(who).Len())
	case "log.age_max":
		return seconds(time.Duration(n.AgeMax))
	case "beacons.sent":
		return float64(n.Sent)
	case "beacons.valid":
		return float64(n.Valid)
	case "beacons.invalid":
		return float64(n.Invalid)
	}
	panic(fmt.Sprintf("sim: the language has a value %q of a phone that the run does not have", field))
}

// values returns the present values of a path: one value, or one for each phone of a pattern.
func (m *measures) values(p *scenarios.Path) []float64 {
	switch {
	case p.Counter != "":
		return []float64{m.counter(p.Counter)}
	case p.Step >= 0:
		return []float64{m.stepValue(p.Step, p.Field)}
	}
	all := make([]float64, len(p.Phones))
	for i, phone := range p.Phones {
		all[i] = m.phoneValue(phone, p.Field)
	}
	return all
}

// labelSet stores the values that expectations need at the time of a label, which is now.
func (m *measures) labelSet(label string) {
	for i := range m.scenario.Expect {
		for _, t := range terms(&m.scenario.Expect[i]) {
			if p := t.Operand.Path; p != nil && p.At == label {
				m.atLabels[p] = m.values(p)
			}
		}
	}
}

// terms returns the terms of both sides of an expectation.
func terms(e *scenarios.Expectation) []scenarios.Term {
	return slices.Concat(e.Left.Terms, e.Right.Terms)
}

// sumValue is the value of a sum of operands. It has as many values as the operand with the most values.
type sumValue struct {
	values []float64
	phones []int  // the phones of the values; nil if there is one value for all
	absent string // the operand that has no value; "" if all have one
	byZero bool   // an operand that divides another is 0
}

func (m *measures) sum(s scenarios.Sum) (out sumValue) {
	operands, n := make([][]float64, len(s.Terms)), 1
	for k, t := range s.Terms {
		operands[k] = []float64{t.Operand.Number}
		if p := t.Operand.Path; p != nil {
			operands[k] = m.atLabels[p]
			if p.At == "" {
				operands[k] = m.values(p)
			}
			if vs := operands[k]; len(vs) == 0 || math.IsNaN(vs[0]) {
				return sumValue{absent: pathText(p)}
			}
			if len(p.Phones) > 1 {
				out.phones = p.Phones
			}
		}
		n = max(n, len(operands[k]))
	}
	for i := range n {
		total, product := 0.0, 0.0
		for k, t := range s.Terms {
			v := operands[k][min(i, len(operands[k])-1)]
			switch t.Sign {
			case '*':
				product *= v
			case '/':
				out.byZero = out.byZero || v == 0
				product /= v
			case '-':
				total, product = total+product, -v
			default:
				total, product = total+product, v
			}
		}
		out.values = append(out.values, total+product)
	}
	return out
}

// pathText returns a path with its label.
func pathText(p *scenarios.Path) string {
	if p.At == "" {
		return p.Text
	}
	return p.Text + " at " + p.At
}

// at returns the i-th value, and the phone that it belongs to or -1.
func (s *sumValue) at(i int) (value float64, phone int) {
	phone = -1
	if i < len(s.phones) {
		phone = s.phones[i]
	}
	return s.values[min(i, len(s.values)-1)], phone
}

// expectation evaluates an expectation of the run.
func (m *measures) expectation(e *scenarios.Expectation, interrupted bool) reports.Check {
	c := reports.Check{Kind: reports.ExpectationCheck, Name: e.Text, Place: m.scenario.Place(e.Pos),
		Verdict: reports.Unknown, Evaluations: 1}
	if interrupted {
		return c
	}
	c.Verdict = reports.Passed
	left, right := m.sum(e.Left), m.sum(e.Right)
	fails := func(found string) reports.Check {
		c.Verdict, c.Expected, c.Found = reports.Failed, e.Text, found
		return c
	}
	if absent := joined(" and ", left.absent, right.absent); absent != "" {
		return fails("no value for " + absent + ": its step never came to one")
	}
	if left.byZero || right.byZero {
		return fails("a division by 0")
	}
	c.Evaluations = uint64(max(len(left.values), len(right.values)))
	for i := range int(c.Evaluations) {
		l, phone := left.at(i)
		r, other := right.at(i)
		if !check.Compare(l, e.Op, r) {
			leftText, rightText, _ := strings.Cut(e.Text, e.Op)
			return fails(joined(", and ", m.sideText(leftText, e.Left, valueText(e, l), phone),
				m.sideText(rightText, e.Right, valueText(e, r), other)))
		}
	}
	if c.Evaluations == 1 {
		c.Found = valueText(e, left.values[0])
	}
	return c
}

// joined joins the texts that are not empty.
func joined(separator string, texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), separator)
}

// sideText renders a side of a comparison with its value, or returns "" for a number. phone is the phone that the value
// belongs to, or -1.
func (m *measures) sideText(text string, s scenarios.Sum, value string, phone int) string {
	if len(s.Terms) == 1 && s.Terms[0].Operand.Path == nil {
		return ""
	}
	text = strings.TrimSpace(text) + " is " + value
	if phone >= 0 {
		text += " for " + m.world.Name(uint32(phone))
	}
	return text
}

// measuresTime reports whether a side of the expectation has a measured time.
func measuresTime(e *scenarios.Expectation) bool {
	return slices.ContainsFunc(terms(e), func(t scenarios.Term) bool {
		p := t.Operand.Path
		return p != nil && (p.Field == "at" || p.Field == "delay" || p.Field == "log.age_max")
	})
}

// valueText renders a side of a comparison.
func valueText(e *scenarios.Expectation, v float64) string {
	if e.Durations {
		return time.Duration(math.Round(v * float64(time.Second))).String()
	}
	return check.Number(math.Round(v*1e6) / 1e6) // of a quotient
}

// namedDelays are the delays of one kind of operation.
type namedDelays struct {
	name   string
	delays *stats.Histogram
}

// allDelays returns the delays of every kind of operation, in the order of reports.
func (m *measures) allDelays() []namedDelays {
	d := m.records.Latencies()
	return []namedDelays{
		{"beacon", &d.Beacon}, {"login", &d.Login}, {"logout", &d.Logout}, {"tempid", &d.TempID}, {"upload", &d.Upload},
	}
}

// sample returns the samples of the metric of a threshold.
func (m *measures) sample(metric string) check.Sample {
	for _, o := range m.allDelays() {
		if metric == o.name+"_delay" {
			return check.Sample{Trend: o.delays.HDR()}
		}
	}
	n := m.records.Totals()
	switch metric {
	case "datagrams_lost":
		return check.Share(n.Datagrams.Lost, n.Datagrams.Sent)
	case "logins_failed":
		failed := n.Logins.Wrong + n.Logins.Refused
		return check.Share(failed, failed+n.Logins.Welcomed)
	}
	v := m.counter(metric)
	elapsed := (m.world.Now() - m.begin).Seconds()
	if elapsed <= 0 {
		return check.Sample{Count: v}
	}
	return check.Sample{Count: v, Rate: v / elapsed}
}

// outcome checks the final state of the run and reports it. notes are those of its parts.
func (m *measures) outcome(interrupted bool, programs int, notes []string) *Result {
	w := m.world
	for who := range uint32(programs) {
		m.rules.Compare(int64(w.Now()), who, w.Log(who))
	}
	m.checkMemory(programs)
	m.rules.Balance(int64(w.Now()), m.records.Totals(), w.DatagramsInFlight())
	out := m.runSoFar()
	out.About = m.scenario.About
	out.Notes = notes
	if !interrupted {
		out.Notes = append(out.Notes, m.faults.notes()...)
	}
	out.Checks = m.checks(interrupted)
	if m.live == nil { // a live run is never repeated exactly
		out.Digest = m.records.Digest()
	}
	out.Verdict = verdict(out.Checks, interrupted)
	return &Result{Run: *out, Ended: w.Now()}
}

// checkMemory passes to the invariants the sizes of the state that the nodes hold at the end.
func (m *measures) checkMemory(programs int) {
	w, ok := m.world.(world.Holder)
	if !ok {
		return
	}
	at := int64(m.world.Now())
	if h, ok := w.ServerHolds(); ok {
		m.rules.ServerHolds(at, h)
	}
	for who := range uint32(programs) {
		if h, ok := w.PhoneHolds(who); ok {
			m.rules.PhoneHolds(at, who, h)
		}
	}
}

// runSoFar reports the run until now, without its checks.
func (m *measures) runSoFar() *reports.Run {
	w, s := m.world, m.scenario
	out := &reports.Run{
		Scenario: s.Name, File: s.File, World: reports.Virtual,
		Seed:           s.Seed,
		VirtualSeconds: seconds(w.Now() - m.begin),
		Events:         w.Events(),
		Phones:         len(m.script.accounts),
		Operations:     m.operations(),
		Counts:         *m.records.Totals(),
		Faults:         kindCounts(m.faults.counts),
		Adversaries:    m.adversaries.kindCounts(),
	}
	if m.live != nil {
		out.World = reports.Live
		out.Uploads.ResolvedUnknown = m.live.isRemote()
	}
	return out
}

// operations returns the delays of each kind of operation that took place.
func (m *measures) operations() []reports.Operation {
	if m.withoutDelays {
		return nil
	}
	var ops []reports.Operation
	for _, o := range m.allDelays() {
		if o.delays.Count() > 0 {
			ops = append(ops, reports.Operation{Name: o.name, Histogram: o.delays.HDR()})
		}
	}
	return ops
}

// checks evaluates all checks: the expectations of the script in their order, those of the run, its thresholds and the
// invariants.
func (m *measures) checks(interrupted bool) []reports.Check {
	script := m.script.checks(interrupted)
	broken := slices.ContainsFunc(script, func(c reports.Check) bool { return c.Verdict == reports.Failed })
	all := slices.Concat(m.server.check(broken), m.understood(), script)
	for i := range m.scenario.Expect {
		if e := &m.scenario.Expect[i]; !m.live.cannotCompare(e) {
			all = append(all, m.expectation(e, interrupted))
		}
	}
	for i := range m.scenario.Thresholds {
		t := &m.scenario.Thresholds[i]
		c := load.ThresholdCheck(t, m.sample(t.Metric), interrupted, 1e3)
		c.Place = m.scenario.Place(t.Pos)
		all = append(all, c)
	}
	return append(all, m.invariants()...)
}

// checksSoFar returns the checks of the script, the thresholds and the invariants until now.
func (m *measures) checksSoFar() []reports.Check {
	all := m.script.checksSoFar()
	for i := range m.scenario.Thresholds {
		t := &m.scenario.Thresholds[i]
		all = append(all, load.ThresholdSoFar(t, m.sample(t.Metric), 1e3))
	}
	return append(all, m.invariants()...)
}

// invariants returns the checks of the invariants.
func (m *measures) invariants() (all []reports.Check) {
	for _, i := range check.All() {
		if i.Rare() && m.rules.Evaluated(i) == 0 || !m.judges(i) {
			continue
		}
		all = append(all, m.invariant(i))
	}
	return all
}

// judges reports whether the run checks an invariant. With a dialect the messages of a program are not those that the
// server gets, so those that compare the two are not checked.
func (m *measures) judges(i check.Invariant) bool {
	compares := []check.Invariant{check.UploadsWhole, check.CommandsSentOnce, check.AnswersCome, check.OwedAnswers}
	return m.live.judges(i) && (m.dialect == nil || !slices.Contains(compares, i))
}

// notUnderstood records that a side of the connection of a phone does not understand the other.
func (m *measures) notUnderstood(phone uint32, text string) {
	if m.misunderstood == "" {
		m.misunderstood = fmt.Sprintf("%s: %s", m.world.Name(phone), text)
	}
}

// understood checks that the phones and the server have understood each other in the dialect, if there is one.
func (m *measures) understood() []reports.Check {
	if m.dialect == nil {
		return nil
	}
	c := reports.Check{
		Kind: reports.ExpectationCheck, Verdict: reports.Passed, Evaluations: 1,
		Name:     "the phones and the server understand each other in the dialect " + m.dialect.Name,
		Expected: "messages of the dialect", Found: m.misunderstood,
	}
	if m.misunderstood != "" {
		c.Verdict = reports.Failed
	}
	return []reports.Check{c}
}

// Invariants returns the names of all invariants, in the order of the reports.
func Invariants() (names []string) {
	for _, i := range check.All() {
		names = append(names, i.String())
	}
	return names
}

// invariant reports whether an invariant held.
func (m *measures) invariant(i check.Invariant) reports.Check {
	c := m.rules.Check(i)
	for _, v := range m.violations {
		if v.Invariant == i {
			at := seconds(time.Duration(v.At))
			c.Verdict, c.Expected, c.Found = reports.Failed, v.Expected, v.Found
			c.AtSeconds, c.LastEvents = &at, v.events
			if v.Phone >= 0 {
				c.Expected = "of " + m.world.Name(uint32(v.Phone)) + ": " + v.Expected
			}
		}
	}
	return c
}

// verdict returns the verdict of a run with these checks. A run with a skipped step does not pass.
func verdict(checks []reports.Check, interrupted bool) reports.Verdict {
	v := reports.Passed
	if interrupted {
		v = reports.Interrupted
	}
	for i := range checks {
		if v := checks[i].Verdict; v == reports.Failed || v == reports.Skipped {
			return reports.Failed
		}
	}
	return v
}

// seconds returns the nearest number to d in seconds. d.Seconds() rounds twice.
func seconds(d time.Duration) float64 { return float64(d) / float64(time.Second) }
