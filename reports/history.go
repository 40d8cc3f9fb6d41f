package reports

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

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
				m.Histogram = &dto.Histogram{SampleCount: m.Histogram.SampleCount, SampleSum: m.Histogram.SampleSum, Bucket: m.Histogram.Bucket}
			}
			known.Metric = append(known.Metric, m)
		}
	}
	return nil
}

// OpenMetrics writes the history in the OpenMetrics text form with timestamps,
// each family in one piece and each series in the order of time. `promtool tsdb create-blocks-from openmetrics` reads it.
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
