package reports

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// family is a metric of the Meter's own: its name and labels, with what it
// measures.
type family struct {
	name, help string
	labels     []string
}

func (f family) desc() *prometheus.Desc { return prometheus.NewDesc(f.name, f.help, f.labels, nil) }

func operationsFamily() family {
	return family{"bluetrace_operations_total", "Operations by how they ended.", []string{"operation", "phase", "outcome"}}
}

func responseFamily() family {
	return family{"bluetrace_operation_response_seconds", "From when an operation was due to when it was done.", []string{"operation", "phase"}}
}

func serviceFamily() family {
	return family{"bluetrace_operation_service_seconds", "From when an operation was sent to when it was done.", []string{"operation", "phase"}}
}

func lagFamily() family {
	return family{"bluetrace_operation_lag_seconds", "How much later an operation was sent than the generator could have sent it: when it was due and what it waits for was there.", []string{"operation", "phase"}}
}

func beaconDelayFamily() family {
	return family{"bluetrace_beacon_delay_seconds", "From the sending of a beacon to its reception.", nil}
}

func inFlightFamily() family {
	return family{"bluetrace_sessions_in_flight", "Sessions that have begun and not ended.", nil}
}

func phaseFamily() family {
	return family{"bluetrace_phase_active", "1 while the run is in this phase, else 0.", []string{"phase"}}
}

func thresholdsFamily() family {
	return family{"bluetrace_thresholds", "Thresholds of the run by whether they hold: held, broken or undecided.", []string{"outcome"}}
}

// Describe sends nothing: what a Meter has follows from what the run is.
func (m *Meter) Describe(chan<- *prometheus.Desc) {}

// Collect sends every metric as it is now.
func (m *Meter) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	phases, active, shown := m.phases, m.active, m.shown
	m.mu.Unlock()
	f := finished{}
	for _, o := range []struct {
		name  string
		count int64
	}{{"held", m.held.Load()}, {"broken", m.broken.Load()}, {"undecided", m.undecided.Load()}} {
		f.gauge(thresholdsFamily(), float64(o.count), o.name)
	}
	for _, p := range phases {
		on := 0.0
		if p == active {
			on = 1
		}
		f.gauge(phaseFamily(), on, p.name)
	}
	if shown == nil {
		m.load(&f, phases)
	}
	if m.server.Load() {
		m.serverUse(&f)
	}
	if f.err != nil {
		ch <- prometheus.NewInvalidMetric(thresholdsFamily().desc(), f.err)
		return
	}
	f.metrics = append(f.metrics, shown...)
	f.Collect(ch)
}

// load adds what a load run measures.
func (m *Meter) load(f *finished, phases []*PhaseMeter) {
	f.gauge(family{name: "bluetrace_arrivals_target_per_second", help: "Arrivals per second that are asked for."}, math.Float64frombits(m.target.Load()))
	f.gauge(inFlightFamily(), float64(m.inFlight.Load()))
	for _, p := range phases {
		m.mu.Lock()
		operations := p.operations
		m.mu.Unlock()
		p.arrivals(f)
		for _, o := range operations {
			o.collect(f, p.name)
		}
	}
	m.beacons.collect(f)
}

func (p *PhaseMeter) arrivals(f *finished) {
	label := []string{"phase"}
	for _, c := range []struct {
		name, help string
		count      *Counter
	}{
		{"bluetrace_arrivals_due_total", "Arrivals whose time has come.", &p.Due},
		{"bluetrace_arrivals_started_total", "Arrivals that began.", &p.Started},
		{"bluetrace_arrivals_dropped_total", "Arrivals that were dropped because too many sessions were in flight.", &p.Dropped},
		{"bluetrace_arrivals_unknown_total", "Arrivals that ended without an answer.", &p.Unknown},
	} {
		f.counter(family{c.name, c.help, label}, float64(c.count.n.Load()), p.name)
	}
}

func (o *OperationMeter) collect(f *finished, phase string) {
	for i := range o.outcomes {
		f.counter(operationsFamily(), float64(o.outcomes[i].Load()), o.name, phase, Outcome(i).String())
	}
	f.delay(o.response.metric(responseFamily().desc(), o.name, phase))
	f.delay(o.service.metric(serviceFamily().desc(), o.name, phase))
	f.delay(o.lag.metric(lagFamily().desc(), o.name, phase))
}

func (b *BeaconMeter) collect(f *finished) {
	for _, c := range []struct {
		name, help string
		count      *Counter
	}{
		{"bluetrace_beacons_sent_total", "Beacons that phones sent.", &b.Sent},
		{"bluetrace_beacons_received_total", "Beacons that were received, each counted once.", &b.Received},
		{"bluetrace_beacons_lost_total", "Beacons that were not received while they were waited for.", &b.Lost},
		{"bluetrace_beacons_doubled_total", "Receptions of a beacon after its first.", &b.Doubled},
		{"bluetrace_beacons_late_total", "Beacons that were received after they had been given up.", &b.Late},
		{"bluetrace_beacons_malformed_total", "What was received and is no beacon.", &b.Malformed},
		{"bluetrace_datagrams_dropped_total", "UDP datagrams that the kernel dropped because a socket's buffer was full.", &b.Dropped},
	} {
		f.counter(family{name: c.name, help: c.help}, float64(c.count.n.Load()))
	}
	f.delay(b.delay.metric(beaconDelayFamily().desc()))
}

func (m *Meter) serverUse(f *finished) {
	f.counter(family{name: "bluetrace_server_cpu_user_seconds_total", help: "Processor time of the server in its own code."}, math.Float64frombits(m.cpuUser.Load()))
	f.counter(family{name: "bluetrace_server_cpu_system_seconds_total", help: "Processor time of the server in the kernel."}, math.Float64frombits(m.cpuSystem.Load()))
	f.counter(family{name: "bluetrace_server_gc_pause_seconds_total", help: "Time in which the server stood still to collect its memory."}, math.Float64frombits(m.pauses.Load()))
	f.gauge(family{name: "bluetrace_server_resident_bytes", help: "Resident memory of the server."}, float64(m.resident.Load()))
}

func (f *finished) counter(of family, value float64, labels ...string) {
	f.add(prometheus.NewConstMetric(of.desc(), prometheus.CounterValue, value, labels...))
}

func (f *finished) gauge(of family, value float64, labels ...string) {
	f.add(prometheus.NewConstMetric(of.desc(), prometheus.GaugeValue, value, labels...))
}
