package reports

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

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
