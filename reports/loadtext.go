package reports

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// loadHeadline writes the result of a search, and a warning if the figures of the
// load do not describe the server. Both stand directly below the verdict.
func (p *page) loadHeadline(r *Run) {
	l := r.Load
	switch {
	case l == nil:
	case l.Search != nil:
		p.capacity(l)
	case len(l.Invalid) > 0:
		p.bottleneck(l)
		p.Line("  the figures below are those of the generator, not of the server")
	}
}

func (p *page) bottleneck(l *Load) {
	for _, reason := range l.Invalid {
		p.Line("  the generator was the bottleneck: %s", Escape(reason))
	}
}

// load writes the figures of a load.
func (p *page) load(l *Load) {
	p.Gap()
	p.search(l.Search)
	perSecond := func(n uint64) float64 { return ratio(float64(n), l.Seconds) }
	a := l.Arrivals
	p.Line("  load        %s, %.1f s after a warm-up of %.1f s; server %s",
		l.Executor, l.Seconds, l.WarmUpSeconds, Escape(l.Server))
	p.Line("  arrivals    %d due (%.1f/s), %d began (%.1f/s), %d dropped; at most %s at a time",
		a.Due, perSecond(a.Due), a.Started, perSecond(a.Started), a.Dropped,
		Plural(a.InFlightMax, "session", "sessions"))
	if a.OK < a.Started {
		p.Line("  sessions    %d ok, %d failed, %d without an answer, %d still open at the end",
			a.OK, a.Failed, a.Unknown, a.Open)
	}
	p.Line("  operations  %d (%.1f/s): %d ok, %d failed, %d without an answer",
		l.All.Count(), perSecond(l.All.Count()), l.All.OK, l.All.Failed, l.All.Unknown)
	for i := range l.Operations {
		if o := &l.Operations[i]; o.Failed+o.Unknown > 0 {
			p.Line("    %-10s %d failed, %d without an answer", o.Name, o.Failed, o.Unknown)
		}
	}
	type histogram = *hdrhistogram.Histogram
	p.times("response time, from when it was due", l, func(o *LoadOperation) histogram { return o.Response })
	p.intervals(l)
	p.times("service time, from when it was sent", l, func(o *LoadOperation) histogram { return o.Service })
	p.times("schedule lag, the generator's own", l, func(o *LoadOperation) histogram { return o.Lag })
	p.expectedTimes(l)
	p.loadBeacons(&l.Beacons)
	p.processUse("generator", l.Generator)
	for i := range l.Generators {
		p.Line("    %-20s %s", Escape(l.Generators[i].Name), l.Generators[i].Summary())
	}
	p.processUse("server", l.ServerUse)
}

// times writes a table of one kind of time in milliseconds, with a line for each
// operation and one for all operations together.
func (p *page) times(title string, l *Load, of func(*LoadOperation) *hdrhistogram.Histogram) {
	p.Gap()
	p.Line("  %-36s %9s %8s %8s %8s %8s %8s %8s",
		title+"; ms", "samples", "p50", "p95", "p99", "p99.9", "p99.99", "max")
	for i := range l.Operations {
		p.timesOf(l.Operations[i].Name, of(&l.Operations[i]))
	}
	if len(l.Operations) > 1 {
		p.timesOf(l.All.Name, of(&l.All))
	}
}

// timesOf writes the line of an operation. A quantile without a sample beyond it is
// "-". The 0.9 quantile is in the JSON form only.
func (p *page) timesOf(operation string, h *hdrhistogram.Histogram) {
	if h == nil || h.TotalCount() == 0 {
		p.Line("    %-34s %9d", operation, 0)
		return
	}
	line := fmt.Sprintf("    %-34s %9d", operation, h.TotalCount())
	for _, q := range QuantilesOf(h) {
		switch {
		case q.Quantile == .9:
		case q.Beyond < 1:
			line += fmt.Sprintf(" %8s", "-")
		default:
			line += fmt.Sprintf(" %8s", FormatMs(q.Ms))
		}
	}
	p.Line("%s %8s", line, FormatMs(milliseconds(h.Max())))
}

// intervals writes the confidence intervals of the response times.
func (p *page) intervals(l *Load) {
	if len(l.All.Intervals) == 0 {
		p.Line("    (too short for confidence intervals)")
		return
	}
	p.Gap()
	p.Line("  95 %% confidence of the response time; ms (block bootstrap over seconds)")
	for _, o := range slices.Concat(l.Operations, []LoadOperation{l.All}) {
		var parts []string
		for _, i := range o.Intervals {
			part := fmt.Sprintf("p%g %s to %s", 100*i.Quantile, FormatMs(i.LowMs), FormatMs(i.HighMs))
			parts = append(parts, part)
		}
		if len(parts) > 0 {
			p.Line("    %-10s %s", o.Name, strings.Join(parts, ", "))
		}
	}
}

// expectedTimes writes the times after which the next operation of a session was
// due.
func (p *page) expectedTimes(l *Load) {
	if len(l.Expected) == 0 {
		return
	}
	p.Gap()
	var parts []string
	for _, e := range l.Expected {
		source := "given"
		if e.WarmUp {
			source = "median of the warm-up"
		}
		parts = append(parts, fmt.Sprintf("%s %s ms (%s)", e.Operation, FormatMs(e.Ms), source))
	}
	p.Line("  next operation due after  %s", strings.Join(parts, ", "))
}

func (p *page) loadBeacons(b *LoadBeacons) {
	if b.Sent == 0 {
		return
	}
	p.Gap()
	p.Line("  beacons     %d sent, %d received, %d lost, %d doubled, %d late, %d malformed; "+
		"%d datagrams dropped by sockets",
		b.Sent, b.Received, b.Lost, b.Doubled, b.Late, b.Malformed, b.Dropped)
}

// processUse writes the resources that a process used. It writes nothing for nil.
func (p *page) processUse(name string, u *ProcessUse) {
	if u == nil {
		return
	}
	p.Line("  %-11s %s", name, u.Summary())
}

// Summary returns the usage on one line.
func (u *ProcessUse) Summary() string {
	const mib = 1 << 20
	line := fmt.Sprintf("%.1f s user, %.1f s system (%.0f %% of %s), %.0f MiB (at most %.0f)",
		u.UserSeconds, u.SystemSeconds, 100*u.CPUShare, u.Processors(),
		float64(u.ResidentBytes)/mib, float64(u.PeakBytes)/mib)
	if u.GCPauseSeconds != nil {
		line += fmt.Sprintf(", %.1f ms of GC pauses", 1000**u.GCPauseSeconds)
	}
	return line
}

// Summary returns the capacity with its confidence, on one line.
func (s *Search) Summary() string {
	text := FormatRate(s.Capacity) + " arrivals/s"
	if s.AtLeast {
		text = "at least " + text
	}
	if s.Confidence != nil {
		text += ", confidence " + FormatPercent(*s.Confidence)
	}
	return text
}

// capacity writes the result of a search and the evidence for it.
func (p *page) capacity(l *Load) {
	s := l.Search
	lowest := FormatRate(s.StartRate)
	switch {
	case s.Capacity > 0:
		p.Line("  capacity      %s", s.Summary())
	case s.Stopped != "":
		p.Line("  capacity      not found")
	case s.FailedBy == StepGeneratorLimited:
		p.Line("  capacity      not found: the generator is the limit even at %s arrivals/s, the lowest rate", lowest)
	case s.FailedBy == StepUncertain:
		p.Line("  capacity      none: the thresholds hold at %s arrivals/s, the lowest rate, "+
			"but with too little confidence", lowest)
	default:
		p.Line("  capacity      none: the thresholds do not hold even at %s arrivals/s, the lowest rate", lowest)
	}
	if s.Stopped != "" {
		p.Line("  ended early   %s", Escape(s.Stopped))
	}
	p.aboveCapacity(s)
	p.bottleneck(l)
	if s.Capacity == 0 {
		return
	}
	step := s.Steps[s.ReportedStep]
	p.Line("  confirmed by  %.0f s at that rate: %s operations, p99 of the response time %s ms, "+
		"of the generator's lag %s ms",
		step.Seconds, FormatCount(step.Operations), FormatMs(step.Response.P99), FormatMs(step.Lag.P99))
	if s.Confidence != nil {
		p.Line("  confidence    share of the step's resampled runs (block bootstrap over seconds) that keep")
		p.Line("                every threshold on response times; at least %s was required",
			FormatPercent(s.MinConfidence))
	}
}

// aboveCapacity writes the result of the search at rates above the capacity.
func (p *page) aboveCapacity(s *Search) {
	rate := FormatRate(s.FailedRate)
	switch {
	case s.Capacity == 0 || s.Stopped != "":
	case s.FailedRate == 0:
		p.Line("  above it      no higher rate was tried: `max_rate` is %s/s", FormatRate(s.MaxRate))
	case s.FailedBy == StepGeneratorLimited:
		p.Line("  above it      the generator is the limit, at %s/s: the server's capability there is unknown", rate)
	default:
		more := strconv.FormatFloat(100*(s.FailedRate/s.Capacity-1), 'f', 1, 64)
		p.Line("  above it      the thresholds do not hold at %s/s, %s %% more", rate, more)
	}
}

// search writes the table of the steps of a search.
func (p *page) search(s *Search) {
	if s == nil || len(s.Steps) == 0 {
		return
	}
	p.Line("  %-16s %20s %20s %6s", "arrivals/s", "response time, ms", "service time, ms", "lag")
	p.Line("  %7s %8s %6s %6s %6s %6s %6s %6s %6s %5s %4s %4s  %s",
		"asked", "achieved", "p50", "p95", "p99", "p50", "p95", "p99", "p99", "drop", "fail", "unkn", "answer")
	for i := range s.Steps {
		step := &s.Steps[i]
		r, service := &step.Response, &step.Service
		p.Line("  %7s %8s %6s %6s %6s %6s %6s %6s %6s %5d %4d %4d  %s",
			FormatRate(step.Rate), FormatRate(step.Achieved), msOrNone(r.P50), msOrNone(r.P95), msOrNone(r.P99),
			msOrNone(service.P50), msOrNone(service.P95), msOrNone(service.P99), FormatMs(step.Lag.P99),
			step.Dropped, step.Failed, step.Unknown, step.outcomeText())
	}
	p.stepReasons(s)
	p.Gap()
	p.Line("  The figures below are those of step %d, at %s/s.",
		s.ReportedStep+1, FormatRate(s.Steps[s.ReportedStep].Rate))
	p.Gap()
}

// msOrNone formats a time of a step, which is 0 if there is no sample.
func msOrNone(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return FormatMs(ms)
}

// outcomeText returns the outcome of a step for its line of the table.
func (s *SearchStep) outcomeText() string {
	switch {
	case s.Confirming && s.Outcome == StepPassed:
		return "confirmed"
	case s.Confirming && s.Outcome == StepFailed:
		return "not confirmed"
	}
	return string(s.Outcome)
}

// stepReasons writes the reasons of the last step at each rate that did not hold.
func (p *page) stepReasons(s *Search) {
	p.Gap()
	for i, step := range s.Steps {
		if slices.ContainsFunc(s.Steps[i+1:], func(later SearchStep) bool { return later.Rate == step.Rate }) {
			continue
		}
		for _, reason := range step.Reasons {
			reason, _, _ = strings.Cut(reason, "; ") // the advice after it stands below the verdict
			p.Line("    at %s/s: %s", FormatRate(step.Rate), Escape(reason))
		}
	}
}
