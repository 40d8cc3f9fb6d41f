package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// unfit says first, before anything else, that a load run cannot be believed.
func (p *page) unfit(r *Run) {
	if r.Load == nil {
		return
	}
	if r.Load.Search != nil {
		p.capacity(r.Load)
		return
	}
	for _, why := range r.Load.Invalid {
		p.line("  the generator was the bottleneck: %s", Escape(why))
	}
	if len(r.Load.Invalid) > 0 {
		p.line("  the figures below are those of the generator, not of the server")
	}
}

// load is the part of a load run's summary that no other run has.
func (p *page) load(r *Run) {
	l := r.Load
	p.gap()
	p.search(l.Search)
	a := l.Arrivals
	p.line("  load        %s, %.1f s after a warm-up of %.1f s; server %s", l.Executor, l.Seconds, l.WarmUpSeconds, Escape(l.Server))
	p.line("  arrivals    %d due (%.1f/s), %d began (%.1f/s), %d dropped; at most %s at a time",
		a.Due, ratio(float64(a.Due), l.Seconds), a.Started, ratio(float64(a.Started), l.Seconds), a.Dropped, Plural(a.InFlightMax, "session", "sessions"))
	p.line("  operations  %d (%.1f/s): %d ok, %d failed, %d without an answer",
		l.All.Count(), ratio(float64(l.All.Count()), l.Seconds), l.All.OK, l.All.Failed, l.All.Unknown)
	for i := range l.Operations {
		if o := &l.Operations[i]; o.Failed+o.Unknown > 0 {
			p.line("    %-10s %d failed, %d without an answer", o.Name, o.Failed, o.Unknown)
		}
	}
	p.times("response time, from when it was due", l, func(o *LoadOperation) *hdrhistogram.Histogram { return o.Response })
	p.intervals(l)
	p.times("service time, from when it was sent", l, func(o *LoadOperation) *hdrhistogram.Histogram { return o.Service })
	p.times("schedule lag, the generator's own", l, func(o *LoadOperation) *hdrhistogram.Histogram { return o.Lag })
	p.expectedTimes(l)
	p.loadBeacons(&l.Beacons)
	p.use("generator", l.Generator)
	p.use("server", l.ServerUse)
}

// times is a table of one kind of time, an operation a line, in milliseconds.
func (p *page) times(title string, l *Load, of func(*LoadOperation) *hdrhistogram.Histogram) {
	p.gap()
	p.line("  %-36s %9s %8s %8s %8s %8s %8s %8s", title+"; ms", "samples", "p50", "p95", "p99", "p99.9", "p99.99", "max")
	for i := range l.Operations {
		p.timesOf(&l.Operations[i], of(&l.Operations[i]))
	}
	if len(l.Operations) > 1 {
		p.timesOf(&l.All, of(&l.All))
	}
}

// timesOf leaves out a quantile that no sample lies beyond.
func (p *page) timesOf(o *LoadOperation, h *hdrhistogram.Histogram) {
	if h == nil || h.TotalCount() == 0 {
		p.line("    %-34s %9d", o.Name, 0)
		return
	}
	line := fmt.Sprintf("    %-34s %9d", o.Name, h.TotalCount())
	for _, q := range []float64{.5, .95, .99, .999, .9999} {
		text := "-"
		if beyond(h, q) >= 1 {
			text = shortMs(milliseconds(float64(h.ValueAtQuantile(100 * q))))
		}
		line += fmt.Sprintf(" %8s", text)
	}
	p.line("%s %8s", line, shortMs(milliseconds(float64(h.Max()))))
}

// shortMs has three digits or so.
func shortMs(ms float64) string {
	switch {
	case ms < 1:
		return fmt.Sprintf("%.3f", ms)
	case ms < 100:
		return fmt.Sprintf("%.2f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

func (p *page) intervals(l *Load) {
	if len(l.All.Intervals) == 0 {
		p.line("    (too short for confidence intervals)")
		return
	}
	p.gap()
	p.line("  95 %% confidence of the response time; ms (block bootstrap over seconds)")
	for _, o := range append(append([]LoadOperation{}, l.Operations...), l.All) {
		var parts []string
		for _, i := range o.Intervals {
			parts = append(parts, fmt.Sprintf("p%g %s to %s", 100*i.Quantile, shortMs(i.LowMs), shortMs(i.HighMs)))
		}
		if len(parts) > 0 {
			p.line("    %-10s %s", o.Name, strings.Join(parts, ", "))
		}
	}
}

func (p *page) expectedTimes(l *Load) {
	if len(l.Expected) == 0 {
		return
	}
	p.gap()
	var parts []string
	for _, e := range l.Expected {
		from := "given"
		if e.WarmUp {
			from = "median of the warm-up"
		}
		parts = append(parts, fmt.Sprintf("%s %s ms (%s)", e.Operation, shortMs(e.Ms), from))
	}
	p.line("  next operation due after  %s", strings.Join(parts, ", "))
}

func (p *page) loadBeacons(b *LoadBeacons) {
	if b.Sent == 0 {
		return
	}
	p.gap()
	p.line("  beacons     %d sent, %d received, %d lost, %d doubled, %d late, %d malformed; %d datagrams dropped by sockets",
		b.Sent, b.Received, b.Lost, b.Doubled, b.Late, b.Malformed, b.Dropped)
}

func (p *page) use(who string, u *ProcessUse) {
	if u == nil {
		return
	}
	p.line("  %-11s %.1f s user, %.1f s system (%.0f %% of all processors), %.0f MiB (at most %.0f), %.1f ms of GC pauses",
		who, u.UserSeconds, u.SystemSeconds, 100*u.CPUShare, float64(u.ResidentBytes)/(1<<20), float64(u.PeakBytes)/(1<<20), 1000*u.GCPauseSeconds)
}

// FormatRate is arrivals per second with four digits at most.
func FormatRate(perSecond float64) string {
	if perSecond >= 1000 {
		return FormatCount(uint64(math.Round(perSecond)))
	}
	text := strconv.FormatFloat(finite(perSecond), 'f', 2, 64)
	if perSecond >= 100 {
		text = strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

// FormatPercent is a share, 0 to 1; what a thousand draws cannot tell from all is not
// called all.
func FormatPercent(share float64) string {
	switch {
	case share > 0.9990001:
		return "over 99.9 %"
	case share < 0.001:
		return "under 0.1 %"
	}
	return strconv.FormatFloat(math.Round(1000*share)/10, 'f', -1, 64) + " %"
}

// Summary is the capacity with its confidence, on one line.
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

// capacity says first what a search found, and how far it is to be believed.
func (p *page) capacity(l *Load) {
	s := l.Search
	switch {
	case s.Capacity > 0:
		p.line("  capacity      %s", s.Summary())
	case s.Stopped != "":
		p.line("  capacity      not found")
	case s.FailedBy == StepGeneratorLimited:
		p.line("  capacity      not found: the generator is the limit even at %s arrivals/s, the lowest rate", FormatRate(s.StartRate))
	case s.FailedBy == StepUncertain:
		p.line("  capacity      none: the thresholds hold at %s arrivals/s, the lowest rate, but with too little confidence", FormatRate(s.StartRate))
	default:
		p.line("  capacity      none: the thresholds do not hold even at %s arrivals/s, the lowest rate", FormatRate(s.StartRate))
	}
	if s.Stopped != "" {
		p.line("  ended early   %s", Escape(s.Stopped))
	}
	p.beyond(s)
	for _, why := range l.Invalid {
		p.line("  the generator was the bottleneck: %s", Escape(why))
	}
	if s.Capacity == 0 {
		return
	}
	step := s.Steps[s.ReportedStep]
	p.line("  confirmed by  %.0f s at that rate: %s operations, p99 of the response time %s ms, of the generator's lag %s ms",
		step.Seconds, FormatCount(step.Operations), shortMs(step.Response.P99), shortMs(step.Lag.P99))
	if s.Confidence != nil {
		p.line("  confidence    of runs put together anew from the seconds of that one (block bootstrap), the share that")
		p.line("                keeps every threshold on response times; %s or more was asked for", FormatPercent(s.MinConfidence))
	}
}

// beyond says what is known of the rates above the capacity.
func (p *page) beyond(s *Search) {
	switch {
	case s.Capacity == 0 || s.Stopped != "":
	case s.FailedRate == 0:
		p.line("  above it      nothing was tried: `max_rate` is %s/s", FormatRate(s.MaxRate))
	case s.FailedBy == StepGeneratorLimited:
		p.line("  above it      the generator is the limit, at %s/s: what the server can do there is not known", FormatRate(s.FailedRate))
	default:
		p.line("  above it      the thresholds do not hold at %s/s, %s more", FormatRate(s.FailedRate), strconv.FormatFloat(100*(s.FailedRate/s.Capacity-1), 'f', 1, 64)+" %")
	}
}

// search is the table of a search's steps.
func (p *page) search(s *Search) {
	if s == nil || len(s.Steps) == 0 {
		return
	}
	p.line("  %-16s %20s %20s %6s", "arrivals/s", "response time, ms", "service time, ms", "lag")
	p.line("  %7s %8s %6s %6s %6s %6s %6s %6s %6s %5s %4s %4s  %s",
		"asked", "achieved", "p50", "p95", "p99", "p50", "p95", "p99", "p99", "drop", "fail", "unkn", "answer")
	for i := range s.Steps {
		one := &s.Steps[i]
		p.line("  %7s %8s %6s %6s %6s %6s %6s %6s %6s %5d %4d %4d  %s", FormatRate(one.Rate), FormatRate(one.Achieved),
			shortMs(one.Response.P50), shortMs(one.Response.P95), shortMs(one.Response.P99),
			shortMs(one.Service.P50), shortMs(one.Service.P95), shortMs(one.Service.P99), shortMs(one.Lag.P99),
			one.Dropped, one.Failed, one.Unknown, one.said())
	}
	p.whyNot(s)
	p.gap()
	p.line("  The figures below are those of step %d, at %s/s.", s.ReportedStep+1, FormatRate(s.Steps[s.ReportedStep].Rate))
	p.gap()
}

// said is what a step says.
func (s *SearchStep) said() string {
	switch {
	case s.Confirming && s.Outcome == StepPassed:
		return "confirmed"
	case s.Confirming && s.Outcome == StepFailed:
		return "not confirmed"
	}
	return string(s.Outcome)
}

// whyNot is why rates did not hold, by the last step of each.
func (p *page) whyNot(s *Search) {
	p.gap()
	for i, one := range s.Steps {
		again := slices.ContainsFunc(s.Steps[i+1:], func(later SearchStep) bool { return later.Rate == one.Rate })
		for _, why := range one.Reasons {
			if why, _, _ = strings.Cut(why, "; "); !again { // what to do about it stands above
				p.line("    at %s/s: %s", FormatRate(one.Rate), Escape(why))
			}
		}
	}
}
