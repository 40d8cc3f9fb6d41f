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
		out = append(out, QuantileMs{q, milliseconds(float64(h.ValueAtQuantile(100 * q))), samplesBeyond(h, q)})
	}
	return out
}

// samplesBeyond returns the number of samples at or above a quantile.
func samplesBeyond(h *hdrhistogram.Histogram, q float64) int64 {
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

// LoadSecond is one second of a load, or the part of one with which its warm-up
// or the load ends.
type LoadSecond struct {
	FromSeconds float64 `json:"from_seconds"` // from the beginning of the warm-up
	Seconds     float64 `json:"seconds"`
	WarmUp      bool    `json:"warm_up,omitempty"`
	Target      float64 `json:"target"`   // arrivals per second that were asked for
	Achieved    float64 `json:"achieved"` // that began
	// Of the response times of all operations that were due in it, within 0.8 %; 0
	// without a sample.
	Samples uint64  `json:"samples"`
	P50Ms   float64 `json:"p50_ms"`
	P99Ms   float64 `json:"p99_ms"`
}

// Search is how the highest rate at which the thresholds hold was looked for.
// Rates are arrivals per second.
type Search struct {
	StartRate  float64 `json:"start_rate"`
	MaxRate    float64 `json:"max_rate"`
	Resolution float64 `json:"resolution"` // as a share of the rate
	// Capacity is the highest rate at which a confirming step held; 0: none did.
	Capacity float64 `json:"capacity"`
	// FailedRate is the lowest rate above it at which a step did not hold, 0: none up
	// to MaxRate; RefusedBy, what its steps said.
	FailedRate float64     `json:"refused"`
	FailedBy   StepOutcome `json:"refused_by,omitempty"`
	// AtLeast says that it was not the server that ended the search: its capacity
	// may be higher.
	AtLeast bool `json:"at_least"`
	// Confidence of the step that confirms the capacity; nil: no threshold is on
	// response times.
	Confidence *float64 `json:"confidence,omitempty"`
	// MinConfidence is the least confidence of a step that confirms.
	MinConfidence float64 `json:"confidence_wanted"`
	// Limits are the thresholds on response times that have an upper bound.
	Limits []SearchLimit `json:"limits"`
	Steps  []SearchStep  `json:"steps"`
	// ReportedStep is the step, from 0, whose figures are those of the run: the one that
	// confirms the capacity, else the last.
	ReportedStep int `json:"shown"`
	// Stopped is why the search ended before it was over; empty: it was over.
	Stopped string `json:"stopped,omitempty"`
}

// SearchLimit is a threshold on response times.
type SearchLimit struct {
	Name string  `json:"name"` // as it stands in the file
	Ms   float64 `json:"ms"`
}

// StepOutcome is what a step of a search says of its rate.
type StepOutcome string

// The answers.
const (
	StepPassed           StepOutcome = "holds"
	StepFailed           StepOutcome = "breaks"      // a threshold did not hold
	StepUncertain        StepOutcome = "unsure"      // they held, with less confidence than is wanted
	StepGeneratorLimited StepOutcome = "generator"   // the generator was the bottleneck: nothing is known of the server
	StepInterrupted      StepOutcome = "interrupted" // it was not measured to its end
)

// SearchStep is one run of a search.
type SearchStep struct {
	Rate       float64     `json:"rate"`     // asked for
	Achieved   float64     `json:"achieved"` // that began
	Confirming bool        `json:"confirming"`
	Seconds    float64     `json:"seconds"` // measured
	Outcome    StepOutcome `json:"answer"`
	// Reasons are the thresholds that did not hold, or what the generator lacked.
	Reasons    []string `json:"why,omitempty"`
	Confidence *float64 `json:"confidence,omitempty"` // of a confirming step

	Operations uint64    `json:"operations"`
	Dropped    uint64    `json:"dropped"` // arrivals
	Failed     uint64    `json:"failed"`  // operations
	Unknown    uint64    `json:"unknown"` // operations without an answer
	Response   StepTimes `json:"response_ms"`
	Service    StepTimes `json:"service_ms"`
	Lag        StepTimes `json:"lag_ms"`
}

// StepTimes are quantiles in milliseconds, of all operations together.
type StepTimes struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// StepTimesOf is what a histogram of nanoseconds comes to.
func StepTimesOf(q interface{ ValueAtQuantile(float64) int64 }) StepTimes {
	at := func(quantile float64) float64 { return milliseconds(float64(q.ValueAtQuantile(quantile))) }
	return StepTimes{at(50), at(95), at(99)}
}

// Conditions are what two loads must share for their figures to be comparable.
type Conditions struct {
	// ScenarioSum is a hash of the scenario's text and of the values of its
	// ${NAME}, in hexadecimal digits.
	ScenarioSum string  `json:"scenario_sum"`
	StartRate   float64 `json:"start_rate"` // arrivals per second, before the first stage
	Stages      []Stage `json:"stages"`
	Machine     Machine `json:"machine"` // that of the generator
	Build       Build   `json:"build"`   // of sim, and so of the run's own server
}

// Stage changes the rate evenly to Rate, in arrivals per second.
type Stage struct {
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"`
}

// Machine is one that a load ran on.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu"` // its model; empty: not known
	CPUs int    `json:"cpus"`
	// Host is a hash of its name: enough to tell two machines apart, and no more.
	Host string `json:"host"`
}

// Build is a program.
type Build struct {
	Go       string `json:"go"`       // version of the compiler
	Revision string `json:"revision"` // of the source, with + when it was changed; empty: not known
}

// Histograms are the times of a load, second by second.
type Histograms struct {
	Schema     int                   `json:"schema"` // stats.Schema
	Operations []OperationHistograms `json:"operations"`
}

// OperationHistograms has a text for each second in which an operation was due,
// from the first after the warm-up on. stats.EncodeSecond writes the texts.
type OperationHistograms struct {
	Name     string   `json:"name"`
	Response []string `json:"response"`
	Service  []string `json:"service"`
}
