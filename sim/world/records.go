package world

import (
	"io"
	"slices"

	"bluetrace/sim/event"
)

// Records are the observers that every run has: a recorder, the counters and the
// delays.
type Records struct {
	*event.Recorder
	counters Counters
	delays   DelayMeter
}

// NewRecords returns the records of a run with phones of these names. trace is nil
// for no trace.
func NewRecords(names []string, trace io.Writer) *Records {
	return &Records{Recorder: event.NewRecorder(names, trace)}
}

// Subscribe subscribes the records to the kinds that they observe.
func (r *Records) Subscribe(s *event.Stream) {
	kinds := slices.Concat(event.Recorded(), CountedKinds(), DelayKinds())
	slices.Sort(kinds)
	s.Subscribe(r, slices.Compact(kinds)...)
}

// Observe records the event, then counts it, then measures the delay that it ends. One
// observer costs a crowd less than three: it calls the others directly.
func (r *Records) Observe(e *event.Event) {
	r.Recorder.Observe(e)
	r.counters.Observe(e)
	if e.Kind == event.BeaconJudged || e.Kind == event.OperationDone {
		r.delays.Observe(e)
	}
}

// Totals returns the counts of the run so far.
func (r *Records) Totals() *Counts { return &r.counters.Counts }

// Latencies returns the delays of the run so far.
func (r *Records) Latencies() *Delays { return &r.delays.Delays }
