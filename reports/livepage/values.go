package livepage

import (
	"fmt"
	"math"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports"
	"bluetrace/reports/page"
	"bluetrace/reports/stats"
)

// OfLoad returns the charts and the facts of a load. The response times and the lag of the generator in the charts are
// those of the operations since before, which may be nil.
func OfLoad(now *reports.LoadNow, before *reports.Load) (values []Value, facts []page.Fact) {
	p50, p99, lag := math.NaN(), math.NaN(), math.NaN()
	var all reports.LoadOperation
	var arrivals reports.Arrivals
	if now.SoFar != nil {
		all, arrivals = now.SoFar.All, now.SoFar.Arrivals
		var old reports.LoadOperation
		if before != nil {
			old = before.All
		}
		response := since(all.Response, old.Response)
		p50, p99, lag = ms(response, 50), ms(response, 99), ms(since(all.Lag, old.Lag), 99)
	}
	count := reports.FormatCount
	values = []Value{
		{Chart: "Arrivals per second", Line: "asked", Number: now.Target},
		{Chart: "Arrivals per second", Line: "achieved", Number: now.Achieved},
		{Chart: "Response time of each second, ms", Line: "p50", Number: p50},
		{Chart: "Response time of each second, ms", Line: "p99", Number: p99},
		{Chart: "Failures per second", Line: "without an answer", Number: float64(all.Unknown), Total: true},
		{Chart: "Failures per second", Line: "arrivals dropped", Number: float64(arrivals.Dropped), Total: true},
		{Chart: "Failures per second", Line: "failed", Number: float64(all.Failed), Total: true},
		{Chart: "Lag of the generator, ms", Line: "p99", Number: lag},
		{Chart: "Sessions in flight", Line: "sessions", Number: float64(now.InFlight)},
	}
	facts = []page.Fact{{Name: "now", Text: strings.Join(now.Now(), "; ")},
		{Name: "since the warm-up", Text: strings.Join(now.Measured(), "; ")}}
	if now.SoFar != nil {
		facts = append(facts,
			page.Fact{Name: "arrivals", Text: fmt.Sprintf("%s due, %s began, %s dropped", count(arrivals.Due),
				count(arrivals.Started), count(arrivals.Dropped))},
			page.Fact{Name: "operations", Text: fmt.Sprintf("%s ok, %s failed, %s without an answer", count(all.OK),
				count(all.Failed), count(all.Unknown))})
		if p99 := ms(since(all.Lag, nil), 99); !math.IsNaN(p99) {
			facts = append(facts, page.Fact{Name: "generator", Text: fmt.Sprintf("lag p99 %s ms",
				reports.FormatMs(p99))})
		}
	}
	return values, facts
}

// ms returns a quantile of a histogram in milliseconds. Without a sample it is not a number.
func ms(h *hdrhistogram.Histogram, percent float64) float64 {
	if h.TotalCount() == 0 {
		return math.NaN()
	}
	return float64(stats.Quantile(h, percent)) / 1e6
}

// since returns the samples that a histogram has more than an earlier state of it, which may be nil. A histogram that
// has fewer is of another load.
func since(h, before *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	if h == nil {
		return hdrhistogram.New(1, 2, 1)
	}
	if before == nil || before.TotalCount() > h.TotalCount() {
		return h
	}
	s, old := h.Export(), before.Export()
	for i := range s.Counts {
		s.Counts[i] = max(0, s.Counts[i]-old.Counts[i])
	}
	return hdrhistogram.Import(s)
}

// OfRun returns the charts and the facts of any other run.
func OfRun(r *reports.Run) (values []Value, facts []page.Fact) {
	total := func(chart, line string, n uint64) Value { return Value{chart, line, float64(n), true} }
	now := func(chart, line string, more, less uint64) Value {
		return Value{chart, line, float64(more) - float64(less), false}
	}
	values = []Value{
		total("Beacons per second", "sent", r.Beacons.Sent),
		total("Beacons per second", "valid", r.Beacons.Valid),
		total("Beacons per second", "invalid", r.Beacons.Invalid),
		total("Beacons per second", "datagrams lost", r.Datagrams.Lost),
		now("Entries in contact logs", "entries", r.Beacons.Kept, r.Beacons.Expired),
		now("Sessions at the server", "open sessions", r.Sessions.Opened, r.Sessions.Closed),
		total("Logins per second", "wrong password", r.Logins.Wrong),
		total("Logins per second", "welcomed", r.Logins.Welcomed),
		total("Logins per second", "refused", r.Logins.Refused),
	}
	count := reports.FormatCount
	facts = []page.Fact{
		{Name: "world", Text: r.World},
		{Name: "phones", Text: count(uint64(r.Phones))},
		{Name: "events", Text: count(r.Events)},
		{Name: "beacons", Text: fmt.Sprintf("%s sent, %s valid, %s invalid", count(r.Beacons.Sent), count(r.Beacons.Valid),
			count(r.Beacons.Invalid))},
		{Name: "logins", Text: fmt.Sprintf("%s welcomed, %s wrong password, %s refused, %s blocks begun",
			count(r.Logins.Welcomed), count(r.Logins.Wrong), count(r.Logins.Refused), count(r.Logins.Blocked))},
		{Name: "uploads", Text: fmt.Sprintf("%s complete, %s broken", count(r.Uploads.Complete), count(r.Uploads.Broken))},
	}
	for _, f := range r.Faults {
		facts = append(facts, page.Fact{Name: "fault", Text: f.Kind + " " + count(f.Count)})
	}
	return values, facts
}
