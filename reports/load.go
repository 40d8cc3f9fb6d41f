package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports/stats"
)

// Load holds the measurements of a load: the arrivals, operations and beacons that
// were due after the warm-up.
type Load struct {
	Executor string `json:"executor"`
	Server   string `json:"server"` // host:port, or a text for a server that the run started
	// Invalid lists the reasons why the generator was the bottleneck. If it is not
	// empty, the figures do not describe the server.
	Invalid []string `json:"invalid,omitempty"`
	// Aborted is the name of the threshold that ended the load early; otherwise empty.
	Aborted string `json:"aborted,omitempty"`

	WarmUpSeconds float64  `json:"warm_up_seconds"`
	Seconds       float64  `json:"seconds"` // of arrivals
	Arrivals      Arrivals `json:"arrivals"`
	// Sessions reports whether an arrival is a session of several operations; otherwise it is one of a mix.
	Sessions bool `json:"sessions"`
	// Expected are the response times from which the due time of a session's next
	// operation was computed.
	Expected   []ExpectedTime  `json:"expected"`
	Operations []LoadOperation `json:"operations"`
	// All holds all operations together.
	All       LoadOperation `json:"all"`
	Beacons   LoadBeacons   `json:"beacons"`
	Generator *ProcessUse   `json:"generator,omitempty"`
	// Generators are those of a load on several machines; nil for one. Generator is then the sum of their use.
	Generators []GeneratorPart `json:"generators,omitempty"`
	// Budgets are the limits of the generator, above which the figures are invalid.
	Budgets GeneratorBudgets `json:"budgets"`
	// ServerUse is nil if the run did not start the server.
	ServerUse *ProcessUse `json:"server_use,omitempty"`
	// Timeline is the run second by second, beginning with the warm-up.
	Timeline []LoadSecond `json:"timeline"`
	// Use holds the usage of the processes about once a second, beginning with the warm-up.
	Use []UseSample `json:"use,omitempty"`
	// Outage is nil if the server accepted connections to the end.
	Outage *Outage `json:"outage,omitempty"`
	// Limits are the thresholds on response times that have an upper bound.
	Limits []SearchLimit `json:"limits"`
	// Search is nil for another executor. The figures above are then those of one
	// step (Search.ReportedStep).
	Search *Search `json:"search,omitempty"`

	Conditions *Conditions `json:"conditions,omitempty"`
	Histograms *Histograms `json:"histograms,omitempty"`
}

// Arrivals counts the arrivals of sessions: Due = Started + Dropped, and Started = OK +
// Failed + Unknown + Open.
type Arrivals struct {
	Due         uint64 `json:"due"`
	Started     uint64 `json:"started"`
	Dropped     uint64 `json:"dropped"`
	InFlightMax int    `json:"in_flight_max"` // most sessions at a time, including the warm-up
	// The last operation of a session decides its outcome. Open sessions had not ended
	// at the end of the load.
	OK      uint64 `json:"ok"`
	Failed  uint64 `json:"failed"`
	Unknown uint64 `json:"unknown"`
	Open    uint64 `json:"open"`
}

// GeneratorBudgets are the limits of the generator of a load.
type GeneratorBudgets struct {
	LagMs    float64 `json:"lag_ms"`    // p99 of the schedule lag
	CPUShare float64 `json:"cpu_share"` // 0 to 1
}

// minLags is the number of samples from which on the lag of one operation counts.
const minLags = 100

// WorstLag returns the p99 of the lag that decides whether the generator kept its budget: that of all operations, whose
// name is then "", or if that is within the budget and the load has sessions, the largest of a single operation. In a
// session one late operation delays all after it, whose own lag is then 0, so that ten operations a session would hide a
// late tenth of all connections.
func (l *Load) WorstLag() (of string, ms float64) {
	if h := l.All.Lag; h != nil {
		ms = milliseconds(stats.Quantile(h, 99))
	}
	if ms > l.Budgets.LagMs || !l.Sessions {
		return "", ms
	}
	for _, o := range l.Operations {
		if o.Lag == nil || o.Lag.TotalCount() < minLags {
			continue
		}
		if p99 := milliseconds(stats.Quantile(o.Lag, 99)); p99 > ms {
			of, ms = o.Name, p99
		}
	}
	return of, ms
}

// ExpectedTime is the expected response time of an operation.
type ExpectedTime struct {
	Operation string  `json:"operation"`
	Ms        float64 `json:"ms"`
	WarmUp    bool    `json:"warm_up"` // the median of the warm-up; otherwise given by the scenario
}

// LoadOperation holds the outcomes and times of one kind of operation. The
// histograms are in nanoseconds. Response and Service contain the operations that are
// OK, and with the time until then those without an answer within the timeout. Lag
// contains the operations that could be sent. Of a JSON form only the name and the outcomes are read.
type LoadOperation struct {
	Name                   string                  `json:"name"`
	OK                     uint64                  `json:"ok"`
	Failed                 uint64                  `json:"failed"`
	Unknown                uint64                  `json:"unknown"`
	Response, Service, Lag *hdrhistogram.Histogram `json:"-"`
	// Intervals are the confidence intervals of the response time; empty if the run
	// was too short.
	Intervals []Interval `json:"-"`
}

// Interval is the 95 % confidence interval of a quantile.
type Interval struct {
	Quantile float64 `json:"quantile"` // 0 to 1
	LowMs    float64 `json:"low_ms"`
	HighMs   float64 `json:"high_ms"`
}

// LoadBeacons counts beacons over real UDP: Sent = Received + Lost.
type LoadBeacons struct {
	Sent      uint64 `json:"sent"`
	Received  uint64 `json:"received"`
	Lost      uint64 `json:"lost"`
	Doubled   uint64 `json:"doubled"`
	Late      uint64 `json:"late"`
	Malformed uint64 `json:"malformed"`
	Dropped   uint64 `json:"dropped"` // datagrams that sockets dropped, by the kernel's counter
}

// ProcessUse holds the resources that a process used in the measured time.
type ProcessUse struct {
	UserSeconds   float64 `json:"user_seconds"`
	SystemSeconds float64 `json:"system_seconds"`
	// CPUShare is the share of the processors that the process may use, 0 to 1.
	CPUShare float64 `json:"cpu_share"`
	// CPUQuota is the number of processors that its control group allows; 0 if that
	// allows all.
	CPUQuota       float64  `json:"cpu_quota,omitempty"`
	ResidentBytes  int64    `json:"resident_bytes"`
	PeakBytes      int64    `json:"peak_bytes"`
	GCPauseSeconds *float64 `json:"gc_pause_seconds,omitempty"` // nil if unknown
}

// GeneratorPart describes one of several generators of a load.
type GeneratorPart struct {
	Name     string   `json:"name"`
	Arrivals uint64   `json:"arrivals"` // that it started
	Dropped  uint64   `json:"dropped"`  // arrivals
	LagP99Ms float64  `json:"lag_p99_ms"`
	CPUShare *float64 `json:"cpu_share,omitempty"` // of its processors, 0 to 1; nil if unknown
	// ClockErrorMs limits the difference between its clock and that of the coordinator.
	ClockErrorMs float64 `json:"clock_error_ms"`
}

// Summary describes the generator in one line.
func (g *GeneratorPart) Summary() string {
	cpu := "unknown"
	if g.CPUShare != nil {
		cpu = FormatPercent(*g.CPUShare)
	}
	return fmt.Sprintf("%s began, %d dropped; lag p99 %s ms; processors %s; clock known to %s ms",
		Plural(int(g.Arrivals), "session", "sessions"), g.Dropped, FormatMs(g.LagP99Ms), cpu, FormatMs(g.ClockErrorMs))
}

// GCPause returns the pauses in seconds, or 0 if they are unknown.
func (u *ProcessUse) GCPause() float64 {
	if u.GCPauseSeconds == nil {
		return 0
	}
	return *u.GCPauseSeconds
}

// Processors names the processors of which CPUShare is a share.
func (u *ProcessUse) Processors() string {
	if u.CPUQuota == 0 {
		return "all processors"
	}
	return "the " + strconv.FormatFloat(u.CPUQuota, 'f', -1, 64) + " processors of its control group"
}

// Count returns the number of operations of all outcomes.
func (o *LoadOperation) Count() uint64 { return o.OK + o.Failed + o.Unknown }

// QuantileMs is a quantile with the number of samples at or above it.
type QuantileMs struct {
	Quantile float64 `json:"quantile"`
	Ms       float64 `json:"ms"`
	Beyond   int64   `json:"samples_beyond"`
}

// QuantilesOf returns the reported quantiles of a histogram in nanoseconds; none
// without a sample.
func QuantilesOf(h *hdrhistogram.Histogram) []QuantileMs {
	out := []QuantileMs{}
	if h == nil || h.TotalCount() == 0 {
		return out
	}
	for _, q := range []float64{.5, .9, .95, .99, .999, .9999} {
		beyond := float64(h.TotalCount()) * (1 - q) * (1 + 1e-12) // the last factor absorbs rounding
		out = append(out, QuantileMs{q, milliseconds(stats.Quantile(h, 100*q)), int64(beyond)})
	}
	return out
}

// Quantiles returns the reported quantiles of the response time.
func (o *LoadOperation) Quantiles() []QuantileMs { return QuantilesOf(o.Response) }

// MarshalJSON returns the counts, and the three times with their quantiles.
func (o LoadOperation) MarshalJSON() ([]byte, error) {
	type times struct {
		Count     int64        `json:"count"`
		Quantiles []QuantileMs `json:"quantiles"`
		MaxMs     float64      `json:"max_ms"`
		Intervals []Interval   `json:"intervals,omitempty"`
	}
	of := func(h *hdrhistogram.Histogram) times {
		if h == nil {
			return times{Quantiles: QuantilesOf(nil)}
		}
		return times{Count: h.TotalCount(), Quantiles: QuantilesOf(h), MaxMs: milliseconds(h.Max())}
	}
	response := of(o.Response)
	response.Intervals = o.Intervals
	type outcomes LoadOperation
	return json.Marshal(struct {
		outcomes
		Response times `json:"response"`
		Service  times `json:"service"`
		Lag      times `json:"lag"`
	}{outcomes(o), response, of(o.Service), of(o.Lag)})
}

// LoadSecond is one second of a load. The last second of the warm-up and of the
// load may be shorter.
type LoadSecond struct {
	FromSeconds float64 `json:"from_seconds"` // from the start of the warm-up
	Seconds     float64 `json:"seconds"`
	WarmUp      bool    `json:"warm_up,omitempty"`
	Target      float64 `json:"target"`   // requested arrivals per second
	Achieved    float64 `json:"achieved"` // started arrivals per second
	// Failed and Unknown count the operations that were due in the second, without lost
	// beacons. Dropped counts arrivals.
	Failed  uint64 `json:"failed,omitempty"`
	Unknown uint64 `json:"unknown,omitempty"`
	Dropped uint64 `json:"dropped,omitempty"`
	// Samples, P50Ms and P99Ms describe the response times of all operations that
	// were due in the second, within 0.8 %. They are 0 without a sample.
	Samples uint64  `json:"samples"`
	P50Ms   float64 `json:"p50_ms"`
	P99Ms   float64 `json:"p99_ms"`
	// The service times are of the same operations, the lags of those that could be sent.
	ServiceP50Ms float64 `json:"service_p50_ms"`
	ServiceP99Ms float64 `json:"service_p99_ms"`
	LagP99Ms     float64 `json:"lag_p99_ms"`
	// Rows are the response times for a heatmap.
	Rows []stats.Row `json:"-"`
}

// UseSample is the usage of the processes of a load since the sample before. A process that did not run, or whose usage
// is not known, is nil.
type UseSample struct {
	AtSeconds float64     `json:"at_seconds"` // from the start of the warm-up
	Generator *SampledUse `json:"generator,omitempty"`
	Server    *SampledUse `json:"server,omitempty"`
}

// SampledUse is the usage of one process.
type SampledUse struct {
	CPUShare      float64 `json:"cpu_share"` // as ProcessUse.CPUShare
	ResidentBytes int64   `json:"resident_bytes"`
}

// ServerLasts is the name of the check that the run's own server lasts to the end of a load.
const ServerLasts = "the run's server lasts to its end"

// Outage is a failure of all connections from some time to the end of a load.
type Outage struct {
	Text         string  `json:"text"` // such as "connection refused since 5.0 s"
	SinceSeconds float64 `json:"since_seconds"`
}

// Search describes the search for the highest rate at which the thresholds hold.
// Rates are in arrivals per second.
type Search struct {
	StartRate  float64 `json:"start_rate"`
	MaxRate    float64 `json:"max_rate"`
	Resolution float64 `json:"resolution"` // as a share of the rate
	// Capacity is the highest rate at which a confirming step held; 0 if none did.
	Capacity float64 `json:"capacity"`
	// FailedRate is the lowest rate above Capacity at which a step did not hold; 0 if
	// there is none up to MaxRate.
	FailedRate float64 `json:"refused"`
	// FailedBy is the outcome at FailedRate.
	FailedBy StepOutcome `json:"refused_by,omitempty"`
	// AtLeast reports whether the server's capacity may be higher, because the
	// generator or MaxRate ended the search.
	AtLeast bool `json:"at_least"`
	// Confidence is that of the step that confirms the capacity; nil if no threshold
	// is on response times.
	Confidence *float64 `json:"confidence,omitempty"`
	// MinConfidence is the confidence that a confirming step needs.
	MinConfidence float64 `json:"confidence_wanted"`
	// Limits are the thresholds on response times that have an upper bound.
	Limits []SearchLimit `json:"limits"`
	Steps  []SearchStep  `json:"steps"`
	// ReportedStep is the index of the step whose figures are those of the run: the
	// step that confirms the capacity, else the last.
	ReportedStep int `json:"shown"`
	// Stopped is the reason if the search did not finish; otherwise empty.
	Stopped string `json:"stopped,omitempty"`
}

// SearchLimit is a threshold on response times.
type SearchLimit struct {
	Name string  `json:"name"` // its text in the scenario
	Ms   float64 `json:"ms"`
}

// StepOutcome is the outcome of a step of a search.
type StepOutcome string

// The outcomes of a step.
const (
	StepPassed           StepOutcome = "holds"       // the thresholds held
	StepFailed           StepOutcome = "breaks"      // a threshold did not hold
	StepUncertain        StepOutcome = "unsure"      // the thresholds held, with too little confidence
	StepGeneratorLimited StepOutcome = "generator"   // the generator was the bottleneck
	StepInterrupted      StepOutcome = "interrupted" // the step did not finish
)

// SearchStep is one run of a search.
type SearchStep struct {
	Rate       float64     `json:"rate"`     // requested
	Achieved   float64     `json:"achieved"` // started arrivals per second
	Confirming bool        `json:"confirming"`
	Seconds    float64     `json:"seconds"` // measured
	Outcome    StepOutcome `json:"answer"`
	// Reasons are the thresholds that did not hold, or the limits of the generator.
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

// StepTimesOf returns the quantiles of a histogram of nanoseconds.
func StepTimesOf(h *hdrhistogram.Histogram) StepTimes {
	at := func(quantile float64) float64 { return milliseconds(stats.Quantile(h, quantile)) }
	return StepTimes{at(50), at(95), at(99)}
}

// Conditions are the conditions of a load. The figures of two loads are comparable
// if they are equal.
type Conditions struct {
	// ScenarioSum is a hash of the scenario's text and of the values of its
	// ${NAME}, in hexadecimal digits.
	ScenarioSum string  `json:"scenario_sum"`
	StartRate   float64 `json:"start_rate"` // arrivals per second, before the first stage
	Stages      []Stage `json:"stages"`
	Machine     Machine `json:"machine"` // that of the generator
	Build       Build   `json:"build"`   // of sim, and so of the run's own server
	// Generators is the number of machines of the generator; 0 for one.
	Generators int `json:"generators,omitempty"`
}

// Stage changes the rate linearly to Rate, in arrivals per second.
type Stage struct {
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"`
}

// Machine describes the machine of the generator.
type Machine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	CPU  string `json:"cpu"` // its model; empty if unknown
	CPUs int    `json:"cpus"`
	// Host is a hash of the host name. It distinguishes machines without naming
	// them.
	Host string `json:"host"`
}

// Build describes the build of a program.
type Build struct {
	Go       string `json:"go"`       // version of the compiler
	Revision string `json:"revision"` // of the source, with + if it was modified; empty if unknown
	// Program is a hash of the program in 16 hexadecimal digits, where the revision does not identify the source.
	Program string `json:"program,omitempty"`
	// Planted is the bug that was planted to see whether the checks find it. It is empty if there is none.
	Planted string `json:"planted,omitempty"`
}

// String returns the build in one line.
func (b Build) String() string {
	text := cmp.Or(b.Revision, "unknown") + ", " + b.Go
	if b.Program != "" {
		text += ", program " + b.Program
	}
	if b.Planted != "" {
		text += ", planted bug: " + b.Planted
	}
	return "(" + text + ")"
}

// Histograms holds the times of a load second by second.
type Histograms struct {
	Schema     int                   `json:"schema"` // stats.Schema
	Operations []OperationHistograms `json:"operations"`
}

// OperationHistograms holds a text of stats.EncodeSecond for each second after the
// warm-up, for the operations that were due in it.
type OperationHistograms struct {
	Name     string   `json:"name"`
	Response []string `json:"response"`
	Service  []string `json:"service"`
}
