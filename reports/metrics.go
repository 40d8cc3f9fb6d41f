package reports

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"

	"bluetrace/reports/counts"
	"bluetrace/reports/stats"
)

// WriteMetrics writes the metrics of a finished run in the OpenMetrics text
// form. They have the names and labels of a Meter; the run_id names the seed.
func WriteMetrics(w io.Writer, r *Run) error {
	m := NewMeter(r.Scenario, fmt.Sprintf("seed-%d", r.Seed))
	if err := m.Finish(r); err != nil {
		return err
	}
	return OpenMetrics(w, m.Gatherer())
}

// OpenMetrics writes the gathered metrics in the OpenMetrics text form, with the
// final # EOF. The text form has classic buckets only.
func OpenMetrics(w io.Writer, g prometheus.Gatherer) error {
	families, err := g.Gather()
	if err != nil {
		return fmt.Errorf("gathering metrics: %w", err)
	}
	return writeOpenMetrics(w, families)
}

func writeOpenMetrics(w io.Writer, families []*dto.MetricFamily) error {
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToOpenMetrics(w, family); err != nil {
			return fmt.Errorf("writing metric %q: %w", family.GetName(), err)
		}
	}
	if _, err := expfmt.FinalizeOpenMetrics(w); err != nil {
		return fmt.Errorf("writing the end of the metrics: %w", err)
	}
	return nil
}

// family is the name of a metric with its help text and its labels.
type family struct {
	name, help string
	labels     []string
}

func (f family) desc() *prometheus.Desc { return prometheus.NewDesc(f.name, f.help, f.labels, nil) }

// The families that a Meter has of a load and of any other run.
var (
	operationsFamily = family{"bluetrace_operations_total", "Operations by how they ended.",
		[]string{"operation", "phase", "outcome"}}
	responseFamily = family{"bluetrace_operation_response_seconds",
		"From when an operation was due to when it was done.", []string{"operation", "phase"}}
	serviceFamily = family{"bluetrace_operation_service_seconds",
		"From when an operation was sent to when it was done.", []string{"operation", "phase"}}
	lagFamily = family{"bluetrace_operation_lag_seconds",
		"How much later an operation was sent than the generator could have sent it: " +
			"when it was due and what it waits for was there.",
		[]string{"operation", "phase"}}
	beaconDelayFamily = family{"bluetrace_beacon_delay_seconds", "From the sending of a beacon to its reception.", nil}
	lagBudgetFamily   = family{"bluetrace_generator_lag_budget_seconds",
		"The p99 of the schedule lag above which the load is invalid.", nil}
	inFlightFamily   = family{"bluetrace_sessions_in_flight", "Sessions that have begun and not ended.", nil}
	phaseFamily      = family{"bluetrace_phase_active", "1 while the run is in this phase, else 0.", []string{"phase"}}
	thresholdsFamily = family{"bluetrace_thresholds",
		"Thresholds of the run by whether they hold: held, broken or undecided.", []string{"outcome"}}
	checksFamily = family{"bluetrace_checks_total",
		"Expectations, thresholds and invariants by their verdict.", []string{"outcome"}}
)

// arrivalFamilies returns the counters of arrivals in a phase.
func arrivalFamilies() []family {
	phase := []string{"phase"}
	return []family{
		{"bluetrace_arrivals_due_total", "Arrivals whose time has come.", phase},
		{"bluetrace_arrivals_started_total", "Arrivals that began.", phase},
		{"bluetrace_arrivals_dropped_total",
			"Arrivals that were dropped because too many sessions were in flight.", phase},
		{"bluetrace_arrivals_failed_total", "Arrivals whose last operation failed.", phase},
		{"bluetrace_arrivals_unknown_total", "Arrivals that ended without an answer.", phase},
	}
}

// beaconFamilies returns the counters of beacons over real sockets.
func beaconFamilies() []family {
	return []family{
		{"bluetrace_beacons_sent_total", "Beacons that phones sent.", nil},
		{"bluetrace_beacons_received_total", "Beacons that were received, each counted once.", nil},
		{"bluetrace_beacons_lost_total", "Beacons that were not received while they were waited for.", nil},
		{"bluetrace_beacons_doubled_total", "Receptions of a beacon after its first.", nil},
		{"bluetrace_beacons_late_total", "Beacons that were received after they had been given up.", nil},
		{"bluetrace_beacons_malformed_total", "Received data that is not a beacon.", nil},
		{"bluetrace_datagrams_dropped_total",
			"UDP datagrams that the kernel dropped because a socket's buffer was full.", nil},
	}
}

// constant collects metrics that do not change.
type constant struct {
	metrics []prometheus.Metric
	err     error
}

func (c *constant) add(m prometheus.Metric, err error) {
	c.metrics, c.err = append(c.metrics, m), errors.Join(c.err, err)
}

func (c *constant) counter(of family, value float64, labels ...string) {
	c.add(prometheus.NewConstMetric(of.desc(), prometheus.CounterValue, value, labels...))
}

// counters adds a counter for each value, with the same labels. The families are in
// the order of the values.
func (c *constant) counters(families []family, labels []string, values ...uint64) {
	for i, value := range values {
		c.counter(families[i], float64(value), labels...)
	}
}

func (c *constant) gauge(of family, value float64, labels ...string) {
	c.add(prometheus.NewConstMetric(of.desc(), prometheus.GaugeValue, value, labels...))
}

// histogram adds the histogram h of nanoseconds; nothing if h has no samples.
func (c *constant) histogram(of family, h *hdrhistogram.Histogram, labels ...string) {
	if h != nil && h.TotalCount() > 0 {
		m, err := convertHistogram(of.desc(), h, labels...)
		c.add(m, err)
	}
}

// run adds the result of a run.
func (c *constant) run(r *Run) {
	c.sizes(r)
	if r.Load != nil {
		c.load(r.Load)
		return
	}
	for _, row := range counts.Rows() {
		of := family{name: row.Metric, help: row.MetricHelp()}
		switch {
		case !row.IsKnown(&r.Counts):
		case row.Gauge:
			c.gauge(of, float64(row.Of(&r.Counts)))
		case row.Outcome != "":
			of.labels = []string{"outcome"}
			c.counter(of, float64(row.Of(&r.Counts)), row.Outcome)
		default:
			c.counter(of, float64(row.Of(&r.Counts)))
		}
	}
	c.gauge(inFlightFamily, float64(r.Sessions.Opened)-float64(r.Sessions.Closed))
	for _, o := range r.Operations {
		switch name := Escape(o.Name); {
		case o.Count() == 0:
		case o.Name == "beacon":
			c.histogram(beaconDelayFamily, o.Histogram)
		default: // nothing is due before it is sent
			c.counter(operationsFamily, float64(o.Count()), name, runPhase, OutcomeOK.String())
			c.histogram(responseFamily, o.Histogram, name, runPhase)
			c.histogram(serviceFamily, o.Histogram, name, runPhase)
		}
	}
}

// sizes adds the verdicts and what every run has.
func (c *constant) sizes(r *Run) {
	c.counter(family{name: "bluetrace_events_total", help: "Events of the run."}, float64(r.Events))
	verdicts := map[Verdict]uint64{}
	for _, check := range r.Checks {
		verdicts[check.Reported()]++
	}
	for _, v := range []Verdict{Passed, Failed, Skipped, Unknown, NotExercised} {
		c.counter(checksFamily, float64(verdicts[v]), strings.ReplaceAll(string(v), " ", "_"))
	}
	for _, g := range []struct {
		name, help string
		value      float64
	}{
		{"bluetrace_phones", "Phones of the scenario.", float64(r.Phones)},
		{"bluetrace_run_virtual_seconds", "Virtual time that the run took.", r.VirtualSeconds},
		{"bluetrace_run_wall_seconds", "Wall time that the run took.", r.WallSeconds},
		{"bluetrace_run_peak_rss_bytes", "Largest resident memory of the process.", float64(r.PeakRSSBytes)},
	} {
		c.gauge(family{name: g.name, help: g.help}, g.value)
	}
}

// load adds the figures of a finished load.
func (c *constant) load(l *Load) {
	a, b := &l.Arrivals, &l.Beacons
	c.counters(arrivalFamilies(), []string{loadPhase}, a.Due, a.Started, a.Dropped, a.Failed, a.Unknown)
	c.gauge(lagBudgetFamily, l.Budgets.LagMs/1e3)
	for i := range l.Operations {
		o := &l.Operations[i]
		name := Escape(o.Name)
		for outcome, n := range []uint64{o.OK, o.Failed, o.Unknown} {
			c.counter(operationsFamily, float64(n), name, loadPhase, Outcome(outcome).String())
		}
		c.histogram(responseFamily, o.Response, name, loadPhase)
		c.histogram(serviceFamily, o.Service, name, loadPhase)
		c.histogram(lagFamily, o.Lag, name, loadPhase)
	}
	c.counters(beaconFamilies(), nil, b.Sent, b.Received, b.Lost, b.Doubled, b.Late, b.Malformed, b.Dropped)
}

// nativeSchema gives eight native buckets to each doubling: bucket i holds the
// values above 2^((i-1)/8) and at most 2^(i/8) seconds.
const nativeSchema = 3

// classicBounds are the upper bounds of the classic buckets, in seconds.
func classicBounds() []float64 {
	return []float64{.00001, .000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05,
		.1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// convertedHistogram is a metric with classic and native buckets.
type convertedHistogram struct {
	prometheus.Metric // with native buckets only
	classic           []*dto.Bucket
}

// Write implements prometheus.Metric.
func (m *convertedHistogram) Write(out *dto.Metric) error {
	err := m.Metric.Write(out)
	if out.Histogram != nil {
		out.Histogram.Bucket, out.Histogram.CreatedTimestamp = m.classic, nil
	}
	return err
}

// convertHistogram converts an HDR histogram of nanoseconds to seconds.
//
// The HDR histogram knows the cell of a sample, which is at most 0.1 % wide. Each
// sample is placed at the low end of its cell. A sample at the upper bound of a
// bucket therefore counts as at or below it, and a cumulative count is never too
// low. It is too high by at most the samples of the one cell that the bound cuts.
// The sum is made from the middles of the cells: it is within 0.05 %. The count
// is exact.
func convertHistogram(desc *prometheus.Desc, h *hdrhistogram.Histogram, labels ...string) (prometheus.Metric, error) {
	native := map[int]int64{}
	var zero, cumulative uint64
	var classic []*dto.Bucket
	sum, bounds := 0.0, classicBounds()
	closeBuckets := func(below float64) { // the buckets whose bound is below
		for ; len(bounds) > 0 && bounds[0] < below; bounds = bounds[1:] {
			classic = append(classic, &dto.Bucket{UpperBound: new(bounds[0]), CumulativeCount: new(cumulative)})
		}
	}
	for bar := range stats.Bars(h) {
		seconds := float64(bar.Low) / float64(time.Second)
		closeBuckets(seconds)
		cumulative += uint64(bar.Count)
		sum += float64(bar.Middle) / float64(time.Second) * float64(bar.Count)
		if seconds <= prometheus.DefNativeHistogramZeroThreshold {
			zero += uint64(bar.Count)
		} else {
			native[int(math.Ceil(math.Log2(seconds)*(1<<nativeSchema)))] += bar.Count
		}
	}
	closeBuckets(math.Inf(1))
	m, err := prometheus.NewConstNativeHistogram(desc, uint64(h.TotalCount()), sum, native, nil, zero, nativeSchema,
		prometheus.DefNativeHistogramZeroThreshold, time.Time{}, labels...)
	return &convertedHistogram{m, classic}, err
}

// History holds the metrics of a run at successive times, as if Prometheus had
// scraped them then.
type History struct {
	families []*dto.MetricFamily // with the metrics of all times
	byName   map[string]*dto.MetricFamily
	samples  int
	last     int64 // milliseconds
}

// HistoryMax is the largest number of times in a History.
const HistoryMax = 10_000

// Add records the gathered metrics as of a time, to the millisecond. A time that
// is not after the last one counts as the millisecond after it. Native buckets
// are left out: the text form has none.
func (h *History) Add(at time.Time, g prometheus.Gatherer) error {
	if h.samples == HistoryMax {
		return fmt.Errorf("keeping metrics: the run is longer than %s steps", FormatCount(HistoryMax))
	}
	ms := at.UnixMilli()
	if h.samples > 0 {
		ms = max(ms, h.last+1)
	}
	h.samples, h.last = h.samples+1, ms
	families, err := g.Gather()
	if err != nil {
		return fmt.Errorf("gathering metrics: %w", err)
	}
	if h.byName == nil {
		h.byName = map[string]*dto.MetricFamily{}
	}
	for _, f := range families {
		known := h.byName[f.GetName()]
		if known == nil {
			known = &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type}
			h.byName[f.GetName()] = known
			h.families = append(h.families, known)
		}
		for _, m := range f.Metric {
			m = proto.CloneOf(m)
			m.TimestampMs = &ms
			if m.Histogram != nil {
				m.Histogram = &dto.Histogram{
					SampleCount: m.Histogram.SampleCount, SampleSum: m.Histogram.SampleSum, Bucket: m.Histogram.Bucket,
				}
			}
			known.Metric = append(known.Metric, m)
		}
	}
	return nil
}

// OpenMetrics writes the history in the OpenMetrics text form with timestamps. The
// metrics of a family are together, and each series is in the order of time, as
// `promtool tsdb create-blocks-from openmetrics` requires.
func (h *History) OpenMetrics(w io.Writer) error {
	slices.SortFunc(h.families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	for _, f := range h.families {
		slices.SortStableFunc(f.Metric, func(a, b *dto.Metric) int {
			return slices.CompareFunc(a.Label, b.Label, func(x, y *dto.LabelPair) int {
				return cmp.Or(strings.Compare(x.GetName(), y.GetName()), strings.Compare(x.GetValue(), y.GetValue()))
			})
		})
	}
	return writeOpenMetrics(w, h.families)
}
