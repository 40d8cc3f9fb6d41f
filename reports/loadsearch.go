package reports

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
