package world

import (
	"io"

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

// Subscribe subscribes the recorder, the counters and the delays, in this order.
func (r *Records) Subscribe(s *event.Stream) {
	s.Subscribe(r.Recorder, event.Recorded()...)
	s.Subscribe(&r.counters, CountedKinds()...)
	s.Subscribe(&r.delays, DelayKinds()...)
}

// Totals returns the counts of the run so far.
func (r *Records) Totals() *Counts { return &r.counters.Counts }

// Latencies returns the delays of the run so far.
func (r *Records) Latencies() *Delays { return &r.delays.Delays }
