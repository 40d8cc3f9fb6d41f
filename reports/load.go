package reports

import (
	"encoding/json"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Load is what a load run measured: arrivals, operations and beacons that were
// due after the warm-up.
type Load struct {
	Executor string `json:"executor"`
	Server   string `json:"server"` // host:port, or that it was a process of the run's own
	// Invalid is why the run says nothing about the server: what the generator
	// itself lacked. Empty: it lacked nothing.
	Invalid []string `json:"invalid,omitempty"`

	WarmUpSeconds float64  `json:"warm_up_seconds"`
	Seconds       float64  `json:"seconds"` // of arrivals
	Arrivals      Arrivals `json:"arrivals"`
	// Expected response times, from which due times counted.
	Expected   []ExpectedTime  `json:"expected"`
	Operations []LoadOperation `json:"operations"`
	// All is every operation together.
	All       LoadOperation `json:"all"`
	Beacons   LoadBeacons   `json:"beacons"`
	Generator *ProcessUse   `json:"generator,omitempty"`
	// ServerUse is missing when the server is elsewhere.
	ServerUse *ProcessUse `json:"server_use,omitempty"`
	// Timeline is the run second by second, its warm-up first.
	Timeline []LoadSecond `json:"timeline"`
	// Search is of that executor only. Then the figures above are those of one of
	// its steps (Search.Shown).
	Search *Search `json:"search,omitempty"`

	Conditions *Conditions `json:"conditions,omitempty"`
	Histograms *Histograms `json:"histograms,omitempty"`
}

// Arrivals counts them: Due = Started + Dropped.
type Arrivals struct {
	Due         uint64 `json:"due"`
	Started     uint64 `json:"started"`
	Dropped     uint64 `json:"dropped"`
	InFlightMax int    `json:"in_flight_max"` // sessions, the warm-up included
}

// ExpectedTime is the response time that an operation was expected to have.
type ExpectedTime struct {
	Operation string  `json:"operation"`
	Ms        float64 `json:"ms"`
	WarmUp    bool    `json:"warm_up"` // the median of the warm-up; else the scenario gives it
}

// LoadOperation is one kind of operation. Its histograms hold nanoseconds; those
// that failed are not in Response and Service, those without an answer are, with
// the time for which it was waited.
type LoadOperation struct {
	Name                   string                  `json:"-"`
	OK, Failed, Unknown    uint64                  `json:"-"`
	Response, Service, Lag *hdrhistogram.Histogram `json:"-"`
	// Intervals are those of the response time; none when the run was too short.
	Intervals []Interval `json:"-"`
}

// Interval is a quantile's confidence interval of 95 %.
type Interval struct {
	Quantile float64 `json:"quantile"` // 0 to 1
	LowMs    float64 `json:"low_ms"`
	HighMs   float64 `json:"high_ms"`
}

// LoadBeacons counts those over real UDP: Sent = Received + Lost.
type LoadBeacons struct {
	Sent      uint64 `json:"sent"`
	Received  uint64 `json:"received"`
	Lost      uint64 `json:"lost"`
	Doubled   uint64 `json:"doubled"`
	Late      uint64 `json:"late"`
	Malformed uint64 `json:"malformed"`
	Dropped   uint64 `json:"dropped"` // datagrams, by the sockets: the kernel's counter
}

// ProcessUse is what a process used in the measured time.
type ProcessUse struct {
	UserSeconds    float64 `json:"user_seconds"`
	SystemSeconds  float64 `json:"system_seconds"`
	CPUShare       float64 `json:"cpu_share"` // of all processors, 0 to 1
	ResidentBytes  int64   `json:"resident_bytes"`
	PeakBytes      int64   `json:"peak_bytes"`
	GCPauseSeconds float64 `json:"gc_pause_seconds"`
}

// Count of all outcomes.
func (o *LoadOperation) Count() uint64 { return o.OK + o.Failed + o.Unknown }

// loadQuantiles are those that are reported, 0 to 1.
func loadQuantiles() []float64 { return []float64{.5, .9, .95, .99, .999, .9999} }

// QuantileMs is one quantile with the number of samples at it or beyond it.
type QuantileMs struct {
	Quantile float64 `json:"quantile"`
	Ms       float64 `json:"ms"`
	Beyond   int64   `json:"samples_beyond"`
}

func quantilesOf(h *hdrhistogram.Histogram) []QuantileMs {
	out := make([]QuantileMs, 0, len(loadQuantiles()))
	if h == nil || h.TotalCount() == 0 {
		return out
	}
	for _, q := range loadQuantiles() {
		out = append(out, QuantileMs{q, milliseconds(float64(h.ValueAtQuantile(100 * q))), beyond(h, q)})
	}
	return out
}

// beyond is how many samples a quantile rests on.
func beyond(h *hdrhistogram.Histogram, q float64) int64 {
	return int64(float64(h.TotalCount()) * (1 - q) * (1 + 1e-12))
}

// MarshalJSON writes counts, and the three times with their quantiles.
func (o LoadOperation) MarshalJSON() ([]byte, error) {
	type times struct {
		Count     int64        `json:"count"`
		Quantiles []QuantileMs `json:"quantiles"`
		MaxMs     float64      `json:"max_ms"`
		Intervals []Interval   `json:"intervals,omitempty"`
	}
	of := func(h *hdrhistogram.Histogram) times {
		if h == nil {
			return times{Quantiles: quantilesOf(nil)}
		}
		return times{Count: h.TotalCount(), Quantiles: quantilesOf(h), MaxMs: milliseconds(float64(h.Max()))}
	}
	response := of(o.Response)
	response.Intervals = o.Intervals
	return json.Marshal(struct {
		Name     string `json:"name"`
		OK       uint64 `json:"ok"`
		Failed   uint64 `json:"failed"`
		Unknown  uint64 `json:"unknown"`
		Response times  `json:"response"`
		Service  times  `json:"service"`
		Lag      times  `json:"lag"`
	}{o.Name, o.OK, o.Failed, o.Unknown, response, of(o.Service), of(o.Lag)})
}
