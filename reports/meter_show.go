package reports

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// showPhase is the one phase of a run that is no load run.
const showPhase = "run"

// SetResult makes the meter show what a run that is no load run has come to so far.
// Nothing of such a run is due before it is sent: response and service time are
// both the delay, and every operation that was answered is ok. r may change
// afterwards.
func (m *Meter) SetResult(r *Run) error {
	f := finished{}
	f.counts(r)
	f.outcomes(r)
	f.gauges(r)
	f.gauge(inFlightFamily(), float64(r.Sessions.Opened)-float64(r.Sessions.Closed))
	for _, o := range r.Operations {
		if o.Count() == 0 {
			continue
		}
		if o.Name == "beacon" {
			f.delay(newDelayMetric(meterBounds(), beaconDelayFamily().desc(), o.Histogram))
			continue
		}
		name := Escape(o.Name)
		f.counter(operationsFamily(), float64(o.Count()), name, showPhase, OutcomeOK.String())
		response, err := newDelayMetric(meterBounds(), responseFamily().desc(), o.Histogram, name, showPhase)
		f.delay(response, err)
		if err == nil {
			f.delay(response.as(serviceFamily().desc()), nil)
		}
	}
	if f.err != nil {
		return fmt.Errorf("making the metrics of %q: %w", r.Scenario, f.err)
	}
	m.judge(r)
	p := m.Phase(showPhase)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown == nil {
		m.active = p
	}
	m.shown = append([]prometheus.Metric(nil), f.metrics...)
	return nil
}

// Finish takes over how the run ended: its thresholds, that it is in no phase
// any more and, of one that is no load run, its counts.
func (m *Meter) Finish(r *Run) error {
	m.mu.Lock()
	load := m.shown == nil && len(m.phases) > 0
	m.mu.Unlock()
	defer m.SetPhase(nil)
	if load {
		m.judge(r)
		return nil
	}
	return m.SetResult(r)
}

// judge takes over what was decided of the run's thresholds.
func (m *Meter) judge(r *Run) {
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
