package reports

import (
	"slices"
	"sync/atomic"
	"time"
)

// PhaseMeter measures one part of a run, such as its warm-up.
type PhaseMeter struct {
	meter *Meter
	name  string

	// Arrivals that were due, that began, that were dropped because too many
	// sessions were in flight, and that ended without an answer.
	Due, Started, Dropped, Unknown Counter

	operations []*OperationMeter // guarded by meter.mu
}

// Operation is the one with this name, in this phase; asked for the first time,
// it is made. It is to be asked for before the load begins.
func (p *PhaseMeter) Operation(name string) *OperationMeter {
	name = Escape(name)
	p.meter.mu.Lock()
	defer p.meter.mu.Unlock()
	if i := slices.IndexFunc(p.operations, func(o *OperationMeter) bool { return o.name == name }); i >= 0 {
		return p.operations[i]
	}
	o := &OperationMeter{name: name}
	o.response.grid, o.service.grid, o.lag.grid = p.meter.grid, p.meter.grid, p.meter.grid
	p.operations = append(p.operations, o)
	return o
}

// Outcome of an operation.
type Outcome int

// The outcomes.
const (
	OutcomeOK      Outcome = iota // answered as it should be
	OutcomeFailed                 // answered otherwise, or the connection broke
	OutcomeUnknown                // not answered while it was waited for
	outcomeCount
)

func (o Outcome) String() string {
	return [outcomeCount]string{"ok", "failed", "unknown"}[o]
}

// OperationMeter measures one kind of operation in one phase.
type OperationMeter struct {
	name                   string
	outcomes               [outcomeCount]atomic.Uint64
	response, service, lag histogram
}

// Done counts an operation. The response time is counted from when it was due,
// the service time from when it was sent; the lag is how much later it was sent
// than the generator could have. Of one without an answer the times end when the
// waiting ended: they are the least that they can have been.
func (o *OperationMeter) Done(outcome Outcome, response, service, lag time.Duration) {
	o.outcomes[outcome].Add(1)
	o.response.observe(response)
	o.service.observe(service)
	o.lag.observe(lag)
}

// BeaconMeter counts beacons over real sockets: each one sent is received or
// lost in the end. One that came more than once is counted as doubled for each
// time after the first; one that came after its sender had stopped waiting is
// late; Malformed is what was received and is no beacon; Dropped is datagrams
// that the kernel threw away because a socket's buffer was full.
type BeaconMeter struct {
	Sent, Received, Lost, Doubled, Late, Malformed, Dropped Counter

	delay histogram
}

// Delay is from the sending of a beacon to its reception.
func (b *BeaconMeter) Delay(d time.Duration) { b.delay.observe(d) }
