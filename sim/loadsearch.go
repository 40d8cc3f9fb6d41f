package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
	"bluetrace/sim/load"
)

// recoveryMax limits the time that a server may take to recover from a step.
const recoveryMax = time.Minute

// phasesMax is the number of steps of a search that have a phase of their own in the
// metrics. Later steps share one.
const phasesMax = 24

func phaseOfStep(n int) string {
	if n >= phasesMax {
		return "later-steps"
	}
	return fmt.Sprintf("step-%d", n)
}

// searching is a search in progress.
type searching struct {
	*loadRun
	began time.Time
	state load.Search
	out   *reports.Search
	shown *measuredLoad // of the step that is reported; nil if it measured nothing
	idle  time.Duration // duration of a probe before the first step
	// unbalanced is the failed check of the first step whose figures do not agree; nil
	// if there is none.
	unbalanced *reports.Check
}

// search finds the highest rate at which the thresholds hold.
func (r *loadRun) search(ctx context.Context) (*reports.Run, error) {
	how := r.traffic.Search
	start := r.traffic.StartRate
	s := &searching{loadRun: r, began: time.Now(), state: load.NewSearch(start, how.MaxRate, how.Resolution)}
	s.out = &reports.Search{
		StartRate: start, MaxRate: how.MaxRate, Resolution: how.Resolution, MinConfidence: how.Confidence,
		Limits: limitsOf(r.scenario), Steps: []reports.SearchStep{},
	}
	probing := r.config(r.traffic)
	var err error
	if s.idle, err = load.Probe(ctx, probing); err != nil {
		return nil, fmt.Errorf("trying the server before the search: %w", err)
	}
	for step, ok := s.state.Next(); ok && s.out.Stopped == ""; step, ok = s.state.Next() {
		if err := s.step(ctx, step); err != nil {
			return nil, err
		}
		if _, more := s.state.Next(); !more || s.out.Stopped != "" {
			break
		}
		if err := load.Recover(ctx, probing, s.idle, recoveryMax); err != nil {
			s.out.Stopped = fmt.Sprintf("after the step at %s/s: %v", reports.FormatRate(step.Rate), err)
			if ctx.Err() != nil {
				s.out.Stopped = stoppedByUser
			}
		}
	}
	return s.result(ctx.Err() != nil), nil
}

const stoppedByUser = "interrupted"

// step measures the rate of one step, and adds the answer to the search. An error
// means that the search cannot continue.
func (s *searching) step(ctx context.Context, step load.Step) error {
	c := s.config(trafficOf(s.traffic, step))
	n := len(s.out.Steps) + 1
	c.Seed += uint64(n)
	c.Phase, c.Step = phaseOfStep(n), n
	if c.Meter != nil {
		all := load.ThresholdStatus(s.scenario, load.EmptyReport(s.traffic), 0)
		c.Meter.SetThresholds(0, 0, all.Held+all.Broken+all.Undecided)
	}
	if s.options.Progress != nil {
		doing := fmt.Sprintf("step %d, %s/s", n, reports.FormatRate(step.Rate))
		if step.Confirming {
			doing += ", confirming"
		}
		c.Progress = func(_, _ time.Duration, now *reports.LoadNow) {
			s.options.Progress(Progress{At: time.Since(s.began), Doing: doing, Load: now, Checks: s.thresholdsSoFar(now)})
		}
	}
	m, err := s.measure(ctx, c)
	switch {
	case ctx.Err() != nil && m == nil: // interrupted while phones logged in
		s.out.Stopped = stoppedByUser
	case err != nil:
		return err
	default:
		s.judge(step, m)
	}
	return nil
}

// judge adds the answer of a measured step.
func (s *searching) judge(step load.Step, m *measuredLoad) {
	if m.balance.Verdict == reports.Failed && s.unbalanced == nil {
		s.unbalanced = &m.balance
	}
	if m.Interrupted {
		s.out.Stopped = stoppedByUser
		s.addStep(step, m, reports.StepFailed, nil, nil)
		return
	}
	answer, why, confidence := s.answer(step, m)
	s.addStep(step, m, answer, why, confidence)
}

// trafficOf returns the load of one step.
func trafficOf(t *scenarios.Traffic, step load.Step) *scenarios.Traffic {
	c := *t
	length := t.Search.Step
	if step.Confirming {
		length = t.Search.Confirm
	}
	c.StartRate = step.Rate
	c.Stages = []scenarios.Stage{{Duration: length, Rate: step.Rate}}
	return &c
}

// answer returns the answer of a step, the reasons if its rate does not hold, and the
// confidence of a confirming step.
func (s *searching) answer(step load.Step, m *measuredLoad) (a reports.StepOutcome, why []string, confidence *float64) {
	if step.Confirming {
		if share, ok := m.Confidence(s.scenario.Thresholds); ok {
			confidence = &share
		}
	}
	if len(m.overload) > 0 {
		return reports.StepGeneratorLimited, m.overload, confidence
	}
	if m.unanswered != nil {
		return reports.StepFailed, []string{m.unanswered.Error()}, nil
	}
	for _, c := range m.checks {
		if c.Verdict == reports.Failed {
			why = append(why, c.Name+" ("+c.Found+")")
		}
	}
	switch {
	case len(why) > 0:
		return reports.StepFailed, why, confidence
	case confidence != nil && *confidence < s.out.MinConfidence:
		low := fmt.Sprintf("the confidence is %s, below %s",
			reports.FormatPercent(*confidence), reports.FormatPercent(s.out.MinConfidence))
		return reports.StepUncertain, []string{low}, confidence
	}
	return reports.StepPassed, nil, confidence
}

// addStep adds a step to the report, and moves the search to the next one.
func (s *searching) addStep(step load.Step, m *measuredLoad, a reports.StepOutcome, why []string, confidence *float64) {
	row := reports.SearchStep{
		Rate: step.Rate, Confirming: step.Confirming,
		Outcome: a, Reasons: why, Confidence: confidence,
	}
	row.Seconds = m.Length.Seconds()
	if row.Seconds > 0 {
		row.Achieved = float64(m.report.Arrivals.Started) / row.Seconds
	}
	all := &m.report.All
	row.Operations, row.Failed, row.Unknown = all.Count(), all.Failed, all.Unknown
	row.Dropped = m.report.Arrivals.Dropped
	row.Response, row.Service = reports.StepTimesOf(all.Response), reports.StepTimesOf(all.Service)
	row.Lag = reports.StepTimesOf(all.Lag)
	if s.out.Stopped != "" {
		row.Outcome = reports.StepInterrupted
	}
	s.out.Steps = append(s.out.Steps, row)
	holds := step.Confirming && row.Outcome == reports.StepPassed
	if holds || s.out.Capacity == 0 {
		s.shown, s.out.ReportedStep = m, len(s.out.Steps)-1
	}
	if holds {
		s.out.Capacity, s.out.Confidence = step.Rate, confidence
	}
	if s.out.Stopped == "" {
		s.state = s.state.After(a)
	}
}

// limitsOf returns the thresholds on response times that have an upper bound.
func limitsOf(s *scenarios.Scenario) []reports.SearchLimit {
	limits := []reports.SearchLimit{}
	for _, t := range s.Thresholds {
		if load.IsResponseTime(t.Metric) && (t.Op == "<" || t.Op == "<=") {
			limits = append(limits, reports.SearchLimit{Name: t.Metric + ": " + t.Text, Ms: t.Value})
		}
	}
	return limits
}

// result returns the report of the search.
func (s *searching) result(interrupted bool) *reports.Run {
	found := s.state.Found()
	out := &reports.Run{VirtualSeconds: time.Since(s.began).Seconds()}
	if s.shown != nil {
		s.shown.report.Histograms = s.shown.Histograms()
		out.Load, out.Checks = s.shown.report, s.shown.checks
	} else {
		out.Load = load.EmptyReport(s.traffic)
		out.Load.Server = s.target
	}
	out.Load.Search = s.out
	if found.Refused > 0 {
		s.out.FailedRate, s.out.FailedBy = found.Refused, found.Why
	}
	limited := s.out.FailedBy == reports.StepGeneratorLimited
	s.out.AtLeast = s.out.Capacity > 0 && (limited || found.Refused == 0)
	switch why := s.whyLimited(found.Refused); {
	case limited && s.out.AtLeast: // the capacity found is the server's all the same
		for _, reason := range why {
			out.Notes = append(out.Notes, "search: above the capacity the generator was the bottleneck: "+reason)
		}
		limited = false
	case limited:
		out.Load.Invalid = why
	}
	one := s.check(interrupted, limited)
	out.Checks = append(out.Checks, one)
	if s.unbalanced != nil && !slices.ContainsFunc(out.Checks, isFailedInvariant) {
		out.Checks = slices.Insert(out.Checks, 0, *s.unbalanced)
	}
	switch {
	case s.unbalanced != nil:
		out.Verdict = reports.Failed
	case interrupted:
		out.Verdict = reports.Interrupted
	case s.out.Stopped != "":
		out.Verdict = reports.Failed
	case limited:
		out.Verdict = reports.Invalid
	default:
		out.Verdict = one.Verdict
	}
	return out
}

func isFailedInvariant(c reports.Check) bool {
	return c.Kind == reports.InvariantCheck && c.Verdict == reports.Failed
}

// whyLimited returns the reasons why the generator was the bottleneck at a rate.
func (s *searching) whyLimited(rate float64) (why []string) {
	for _, step := range s.out.Steps {
		if step.Rate == rate && step.Outcome == reports.StepGeneratorLimited {
			why = why[:0]
			for _, w := range step.Reasons {
				why = append(why, fmt.Sprintf("at %s/s %s", reports.FormatRate(rate), w))
			}
		}
	}
	return why
}

// check returns the search as one of the run's checks.
func (s *searching) check(interrupted, limited bool) reports.Check {
	c := reports.Check{
		Kind: reports.ThresholdCheck, Verdict: reports.Passed,
		Evaluations: uint64(len(s.out.Steps)), Place: s.scenario.Place(s.traffic.Pos),
		Name: fmt.Sprintf("search: the thresholds hold at a rate from %s/s to %s/s",
			check.Number(s.out.StartRate), check.Number(s.out.MaxRate)),
	}
	switch {
	case s.out.Capacity > 0:
		c.Found = s.out.Summary()
	case interrupted || limited:
		c.Verdict = reports.Unknown
	default:
		c.Verdict, c.Expected = reports.Failed, "a rate at which they hold"
		c.Found = fmt.Sprintf("not even at %s/s", check.Number(s.out.StartRate))
		if s.out.FailedBy == reports.StepUncertain {
			c.Found += " with the confidence that is asked for"
		}
	}
	if s.out.Stopped != "" && !interrupted {
		c.Verdict, c.Expected, c.Found = reports.Failed, "a server that recovers from every step", s.out.Stopped
	}
	return c
}
