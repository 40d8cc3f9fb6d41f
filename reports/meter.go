package reports

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Meter is a run's metrics while it goes on, in a registry of its own. Every
// metric has the labels scenario and run_id; others are phase, operation and
// outcome, whose values are a fixed few: those the run's author wrote, never a
// phone, an address, a TempID or the text of an error. docs/METRICS.md names
// all of them.
//
// A load run feeds it from many goroutines: it resolves its phases and
// operations beforehand (Phase, Operation), and then nothing that it calls
// allocates or waits. Any other run is shown by Show.
type Meter struct {
	registry *prometheus.Registry
	grid     *grid

	target                     atomic.Uint64 // bits of a float64: arrivals per second
	inFlight                   atomic.Int64  // sessions
	held, broken, undecided    atomic.Int64  // thresholds
	cpuUser, cpuSystem, pauses atomic.Uint64 // bits of a float64: seconds
	resident                   atomic.Int64  // bytes
	server                     atomic.Bool   // the server was measured
	beacons                    BeaconMeter

	mu     sync.Mutex
	phases []*PhaseMeter
	active *PhaseMeter // nil: none
	shown  []prometheus.Metric
}

// NewMeter makes the meter of one run. runID tells it from other runs of the
// scenario.
func NewMeter(scenario, runID string) *Meter {
	m := &Meter{registry: prometheus.NewRegistry(), grid: newGrid(meterBounds())}
	m.beacons.delay.grid = m.grid
	labels := prometheus.Labels{"scenario": Escape(scenario), "run_id": Escape(runID)}
	prometheus.WrapRegistererWith(labels, m.registry).MustRegister(m)
	return m
}

// Gatherer answers with the run's metrics as they are now.
func (m *Meter) Gatherer() prometheus.Gatherer { return m.registry }

// Phase is the part of the run with this name; asked for the first time, it is
// made.
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

// SetPhase says which phase the run is in; nil: it is over.
func (m *Meter) SetPhase(p *PhaseMeter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active = p
}

// SetTarget says how many arrivals per second are asked for now.
func (m *Meter) SetTarget(perSecond float64) { m.target.Store(math.Float64bits(perSecond)) }

// AddInFlight adds to the number of sessions that have begun and not ended.
func (m *Meter) AddInFlight(delta int) { m.inFlight.Add(int64(delta)) }

// SetThresholds says how many of the run's thresholds hold, are broken, and cannot
// be judged yet.
func (m *Meter) SetThresholds(held, broken, undecided int) {
	m.held.Store(int64(held))
	m.broken.Store(int64(broken))
	m.undecided.Store(int64(undecided))
}

// ServerUse is what the server's process has used since it began.
type ServerUse struct {
	UserSeconds, SystemSeconds float64 // of a processor
	GCPauseSeconds             float64 // in which its memory was collected and it stood still
	ResidentBytes              int64   // now
}

// SetServerUse says what the server uses. Its metrics are there from the first call on.
func (m *Meter) SetServerUse(u ServerUse) {
	m.cpuUser.Store(math.Float64bits(u.UserSeconds))
	m.cpuSystem.Store(math.Float64bits(u.SystemSeconds))
	m.pauses.Store(math.Float64bits(u.GCPauseSeconds))
	m.resident.Store(u.ResidentBytes)
	m.server.Store(true)
}

// Beacons are those of the whole run.
func (m *Meter) Beacons() *BeaconMeter { return &m.beacons }

// Counter only grows. Adding to it neither allocates nor waits.
type Counter struct{ n atomic.Uint64 }

// Add counts n more.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Value is what was counted so far.
func (c *Counter) Value() uint64 { return c.n.Load() }

// RaiseTo is for a count that somebody else keeps, such as the kernel; less than
// before is ignored.
func (c *Counter) RaiseTo(n uint64) {
	for {
		was := c.n.Load()
		if n <= was || c.n.CompareAndSwap(was, n) {
			return
		}
	}
}
