package reports

import (
	"fmt"
	"slices"
	"strings"

	"bluetrace/reports/stats"
)

// LoadNow holds the figures of a load in progress.
type LoadNow struct {
	WarmUp   bool    // the measured part has not begun
	Target   float64 // requested arrivals per second
	Achieved float64 // arrivals that began in the last whole second
	InFlight int     // sessions
	// SoFar has the arrivals, the sent beacons and the operations of the measured part, by which its thresholds were
	// judged last. It is nil in the first second. It must not be changed.
	SoFar *Load
}

// String returns the figures in one line.
func (n *LoadNow) String() string {
	now := n.Now()
	return strings.Join(slices.Insert(now, len(now)-1, n.Measured()...), "  ")
}

// Now returns the parts of that line about the last second.
func (n *LoadNow) Now() []string {
	parts := []string{fmt.Sprintf("%s of %s/s", FormatRate(n.Achieved), FormatRate(n.Target))}
	if n.WarmUp {
		parts = append(parts, "warm-up")
	}
	return append(parts, FormatCount(uint64(n.InFlight))+" in flight")
}

// Measured returns the parts of that line about the measured part of the load until now.
func (n *LoadNow) Measured() (parts []string) {
	if l := n.SoFar; l != nil {
		if h := l.All.Response; h != nil && h.TotalCount() > 0 {
			parts = append(parts, fmt.Sprintf("p50 %s, p99 %s ms", FormatMs(milliseconds(stats.Quantile(h, 50))),
				FormatMs(milliseconds(stats.Quantile(h, 99)))))
		}
		parts = append(parts, FormatCount(l.All.Failed)+" failed")
		if l.All.Unknown > 0 {
			parts = append(parts, FormatCount(l.All.Unknown)+" without an answer")
		}
		if l.Arrivals.Dropped > 0 {
			parts = append(parts, FormatCount(l.Arrivals.Dropped)+" dropped")
		}
	}
	return parts
}

// maxSummed is the number of names that Sum lists for each verdict.
const maxSummed = 5

// Sum returns the number of runs by their verdict, with the names of those that did not pass, such as
// "14 scenarios: 13 passed, 1 failed (blocking)". So many other scenarios were not begun.
func Sum(runs []*Run, notBegun int) string {
	names, order := map[Verdict][]string{}, []Verdict{Passed, Failed}
	for _, r := range runs {
		if names[r.Verdict] = append(names[r.Verdict], Escape(r.Scenario)); !slices.Contains(order, r.Verdict) {
			order = append(order, r.Verdict)
		}
	}
	var parts []string
	for _, v := range order {
		of := names[v]
		switch part := fmt.Sprintf("%d %s", len(of), v); {
		case len(of) == 0:
		case v == Passed:
			parts = append(parts, part)
		case len(of) > maxSummed:
			parts = append(parts, fmt.Sprintf("%s (%s and %d more)", part, strings.Join(of[:maxSummed], ", "),
				len(of)-maxSummed))
		default:
			parts = append(parts, fmt.Sprintf("%s (%s)", part, strings.Join(of, ", ")))
		}
	}
	if notBegun > 0 {
		parts = append(parts, fmt.Sprintf("%d not begun", notBegun))
	}
	return Plural(len(runs)+notBegun, "scenario", "scenarios") + ": " + strings.Join(parts, ", ")
}
