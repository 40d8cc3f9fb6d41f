package reports

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"bluetrace/reports/stats"
)

// Meter holds the metrics of one run, during the run and after it, in a registry
// of its own. Every metric has the labels scenario and run_id. The other labels
// are phase, operation and outcome. Their values come from a fixed set: a phone, an
// address, a TempID or the text of an error is never a value. docs/METRICS.md lists
// the metrics.
//
// A load feeds the meter from many goroutines. It resolves its phases and
// operations beforehand (Phase, Operation); after that no call waits or, once a
// bucket is in use, allocates. Any other run is passed to SetResult.
type Meter struct {
	registry *prometheus.Registry

	target   atomic.Uint64              // bits of a float64: arrivals per second
	budget   atomic.Int64               // of the generator's lag, in nanoseconds
	inFlight atomic.Int64               // sessions
	server   atomic.Pointer[ProcessUse] // nil before SetServerUse
	beacons  BeaconMeter

	mu         sync.Mutex
	thresholds [3]int // the number that is held, broken, undecided
	phases     []*PhaseMeter
	active     *PhaseMeter         // nil before and after the run
	result     []prometheus.Metric // of a run without a load; nil before SetResult
}

// NewMeter returns the meter of one run. runID distinguishes it from other runs
// of the scenario.
func NewMeter(scenario, runID string) *Meter {
	m := &Meter{registry: prometheus.NewRegistry()}
	m.beacons.delay = newHistogram(beaconDelayFamily)
	labels := prometheus.Labels{"scenario": Escape(scenario), "run_id": Escape(runID)}
	prometheus.WrapRegistererWith(labels, m.registry).MustRegister(m)
	return m
}

// newHistogram returns a histogram with classic and native buckets, with these
// values of the family's labels.
func newHistogram(of family, labels ...string) prometheus.Histogram {
	own := prometheus.Labels{}
	for i, name := range of.labels {
		own[name] = labels[i]
	}
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: of.name, Help: of.help, ConstLabels: own,
		Buckets: classicBounds(), NativeHistogramBucketFactor: 1.1})
}

// Gatherer returns the source of the metrics as they are now.
func (m *Meter) Gatherer() prometheus.Gatherer { return m.registry }

// Phase returns the phase of the run with this name. The first call with a name
// creates the phase.
func (m *Meter) Phase(name string) *PhaseMeter {
	name = Escape(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.phases, func(p *PhaseMeter) bool { return p.name == name }); i >= 0 {
		return m.phases[i]
	}
	p := &PhaseMeter{meter: m, name: name}
	m.phases = append(m.phases, p)
	return p
}

// SetPhase sets the phase that the run is in; nil when the run is over.
func (m *Meter) SetPhase(p *PhaseMeter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active = p
}

// SetTarget sets the target rate in arrivals per second.
func (m *Meter) SetTarget(perSecond float64) { m.target.Store(math.Float64bits(perSecond)) }

// SetLagBudget sets the p99 of the schedule lag above which the load is invalid.
func (m *Meter) SetLagBudget(d time.Duration) { m.budget.Store(int64(d)) }

// AddInFlight adds to the number of sessions that have begun and not ended.
func (m *Meter) AddInFlight(delta int) { m.inFlight.Add(int64(delta)) }

// SetThresholds sets the number of thresholds that hold, that are broken, and
// that cannot be judged yet.
func (m *Meter) SetThresholds(held, broken, undecided int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.thresholds = [3]int{held, broken, undecided}
}

// SetServerUse sets the resources that the server's process has used since it began. The first call makes their
// metrics.
func (m *Meter) SetServerUse(u *ProcessUse) { m.server.Store(u) }

// Beacons returns the meter of the beacons of the whole run.
func (m *Meter) Beacons() *BeaconMeter { return &m.beacons }

// The phase of a result: of a run without a load, and of a load.
const (
	runPhase  = "run"
	loadPhase = "load"
)

// SetResult sets the metrics of a run that was not measured by this meter. A run
// without a load may still be going on. Its response and service time are both
// the delay, because nothing is due before it is sent, and every answered
// operation is ok. r may change afterwards.
func (m *Meter) SetResult(r *Run) error {
	var c constant
	c.run(r)
	if c.err != nil {
		return fmt.Errorf("making the metrics of %q: %w", r.Scenario, c.err)
	}
	m.setVerdicts(r)
	name := runPhase
	if r.Load != nil {
		name = loadPhase
	}
	p := m.Phase(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.result == nil {
		m.active = p
	}
	m.result = c.metrics
	return nil
}

// Finish sets the result of a run that is over: its thresholds and, without a
// load, its counts.
func (m *Meter) Finish(r *Run) error {
	defer m.SetPhase(nil)
	m.mu.Lock()
	load := m.result == nil && len(m.phases) > 0
	m.mu.Unlock()
	if load {
		m.setVerdicts(r)
		return nil
	}
	return m.SetResult(r)
}

// setVerdicts sets the verdicts of the thresholds, if the run has any.
func (m *Meter) setVerdicts(r *Run) {
	of := map[Verdict]int{}
	for _, c := range r.Checks {
		if c.Kind == ThresholdCheck {
			of[c.Verdict]++
		}
	}
	if len(of) > 0 {
		m.SetThresholds(of[Passed], of[Failed], of[Unknown])
	}
}

// Describe sends nothing: the metrics of a Meter follow from the kind of run.
func (m *Meter) Describe(chan<- *prometheus.Desc) {}

// Collect sends every metric as it is now.
func (m *Meter) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	thresholds, phases, active, result := m.thresholds, m.phases, m.active, m.result
	m.mu.Unlock()
	c := constant{}
	for i, outcome := range []string{"held", "broken", "undecided"} {
		c.gauge(thresholdsFamily, float64(thresholds[i]), outcome)
	}
	for _, p := range phases {
		on := 0.0
		if p == active {
			on = 1
		}
		c.gauge(phaseFamily, on, p.name)
	}
	if result == nil {
		m.load(&c, phases)
	}
	if u := m.server.Load(); u != nil {
		c.serverUse(u)
	}
	if c.err != nil {
		ch <- prometheus.NewInvalidMetric(thresholdsFamily.desc(), c.err)
		return
	}
	for _, metric := range slices.Concat(c.metrics, result) {
		ch <- metric
	}
}

// load adds the measurements of a load.
func (m *Meter) load(c *constant, phases []*PhaseMeter) {
	c.gauge(family{name: "bluetrace_arrivals_target_per_second", help: "Arrivals per second that are asked for."},
		math.Float64frombits(m.target.Load()))
	c.gauge(lagBudgetFamily, time.Duration(m.budget.Load()).Seconds())
	c.gauge(inFlightFamily, float64(m.inFlight.Load()))
	for _, p := range phases {
		m.mu.Lock()
		operations := p.operations
		m.mu.Unlock()
		c.counters(arrivalFamilies(), []string{p.name},
			p.Due.Value(), p.Started.Value(), p.Dropped.Value(), p.Failed.Value(), p.Unknown.Value())
		for _, o := range operations {
			for i := range o.outcomes {
				c.counter(operationsFamily, float64(o.outcomes[i].Load()), o.name, p.name, Outcome(i).String())
			}
			c.metrics = append(c.metrics, o.response, o.service, o.lag)
		}
	}
	b := &m.beacons
	c.counters(beaconFamilies(), nil, b.Sent.Value(), b.Received.Value(), b.Lost.Value(), b.Doubled.Value(),
		b.Late.Value(), b.Malformed.Value(), b.Dropped.Value())
	c.metrics = append(c.metrics, b.delay)
}

// serverUse adds the resources of the server.
func (c *constant) serverUse(u *ProcessUse) {
	seconds := func(name, help string, value float64) {
		c.counter(family{name: "bluetrace_server_" + name + "_seconds_total", help: help}, value)
	}
	seconds("cpu_user", "Processor time of the server in its own code.", u.UserSeconds)
	seconds("cpu_system", "Processor time of the server in the kernel.", u.SystemSeconds)
	seconds("gc_pause", "Time in which the server stood still to collect its memory.", u.GCPause())
	c.gauge(family{name: "bluetrace_server_resident_bytes", help: "Resident memory of the server."},
		float64(u.ResidentBytes))
}

// Counter is a count that only grows. Adding to it neither allocates nor waits.
type Counter struct{ n atomic.Uint64 }

// Add adds n.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Value returns the count so far.
func (c *Counter) Value() uint64 { return c.n.Load() }

// RaiseTo sets the count to a value from another source, such as the kernel. It
// ignores a value below the count.
func (c *Counter) RaiseTo(n uint64) {
	for {
		was := c.n.Load()
		if n <= was || c.n.CompareAndSwap(was, n) {
			return
		}
	}
}

// PhaseMeter measures one part of a load, such as its warm-up.
type PhaseMeter struct {
	meter *Meter
	name  string

	// Arrivals: due, begun, dropped because too many sessions were in flight, ended by
	// an operation that failed, and ended without an answer.
	Due, Started, Dropped, Failed, Unknown Counter

	operations []*OperationMeter // guarded by meter.mu
}

// Operation returns the operation with this name in this phase. The first call with
// a name creates the operation, and allocates: call it before the load begins.
func (p *PhaseMeter) Operation(name string) *OperationMeter {
	name = Escape(name)
	p.meter.mu.Lock()
	defer p.meter.mu.Unlock()
	if i := slices.IndexFunc(p.operations, func(o *OperationMeter) bool { return o.name == name }); i >= 0 {
		return p.operations[i]
	}
	o := &OperationMeter{name: name, response: newHistogram(responseFamily, name, p.name),
		service: newHistogram(serviceFamily, name, p.name), lag: newHistogram(lagFamily, name, p.name)}
	p.operations = append(p.operations, o)
	return o
}

// Outcome of an operation.
type Outcome int

// The outcomes.
const (
	OutcomeOK      Outcome = iota // the expected answer
	OutcomeFailed                 // another answer, or a refused connection
	OutcomeUnknown                // no answer, or the connection broke before it
	outcomeCount
)

func (o Outcome) String() string {
	return [outcomeCount]string{"ok", "failed", "unknown"}[o]
}

// OperationMeter measures one kind of operation in one phase.
type OperationMeter struct {
	name                   string
	outcomes               [outcomeCount]atomic.Uint64
	response, service, lag prometheus.Histogram
}

// Ended counts an operation.
func (o *OperationMeter) Ended(outcome Outcome) { o.outcomes[outcome].Add(1) }

// Lost counts operations of which no answer can come any more.
func (o *OperationMeter) Lost(n uint64) { o.outcomes[OutcomeUnknown].Add(n) }

// Took records the times of an operation. The response time begins when it was due, the
// service time when it was sent. The times of an operation without an answer end at its
// timeout, so they are lower bounds.
func (o *OperationMeter) Took(response, service time.Duration) {
	o.response.Observe(max(0, response).Seconds())
	o.service.Observe(max(0, service).Seconds())
}

// Lagged records the delay of the sending of an operation that the generator caused.
func (o *OperationMeter) Lagged(lag time.Duration) { o.lag.Observe(max(0, lag).Seconds()) }

// AddSince adds the operations that another process has measured since before.
func (o *OperationMeter) AddSince(now, before *LoadOperation) {
	was := []uint64{before.OK, before.Failed, before.Unknown}
	for i, n := range []uint64{now.OK, now.Failed, now.Unknown} {
		o.outcomes[i].Add(n - was[i])
	}
	observeSince(o.response, now.Response, before.Response)
	observeSince(o.service, now.Service, before.Service)
	observeSince(o.lag, now.Lag, before.Lag)
}

// observeSince adds the durations that a histogram has and an earlier state of it had not.
func observeSince(to prometheus.Histogram, now, before *hdrhistogram.Histogram) {
	for b := range stats.BarsSince(now, before) {
		for range b.Count {
			to.Observe(time.Duration(b.Middle).Seconds())
		}
	}
}

// Figures returns the operations by outcome, and the histograms as a scraper gets them.
func (o *OperationMeter) Figures() (outcomes [outcomeCount]uint64, response, service, lag *dto.Histogram) {
	for i := range outcomes {
		outcomes[i] = o.outcomes[i].Load()
	}
	read := func(h prometheus.Histogram) *dto.Histogram {
		var m dto.Metric
		if err := h.Write(&m); err != nil {
			panic(fmt.Sprintf("reports: reading a histogram of %s: %v", o.name, err))
		}
		return m.Histogram
	}
	return outcomes, read(o.response), read(o.service), read(o.lag)
}

// BeaconMeter counts beacons over real sockets. Each sent beacon ends as received
// or lost. Doubled counts the receptions of a beacon after its first, Late the
// receptions after the sender stopped waiting, Malformed received data that is no
// beacon, and Dropped the datagrams that the kernel dropped because the buffer of
// a socket was full.
type BeaconMeter struct {
	Sent, Received, Lost, Doubled, Late, Malformed, Dropped Counter

	delay prometheus.Histogram
}

// Delay records the time from the sending of a beacon to its reception.
func (b *BeaconMeter) Delay(d time.Duration) { b.delay.Observe(max(0, d).Seconds()) }

// DelaysSince records the delays that another process has measured since before.
func (b *BeaconMeter) DelaysSince(now, before *hdrhistogram.Histogram) {
	observeSince(b.delay, now, before)
}
