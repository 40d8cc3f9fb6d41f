package virtual

import (
	"math"
	"time"
)

// never is a time after the end of every run.
const never = math.MaxInt64

// entryKind is the kind of an entry of the queue.
type entryKind uint8

const (
	wakePhone entryKind = iota
	wakeServer
	datagramArrives
	tickDue
	callDue
	connArrives      // at the server
	connectedArrives // at the phone, as the answer to connArrives
	refusedArrives   // at the phone, as the answer to connArrives
	segmentArrives
	serverReads // a delayed read
	phoneReads  // a delayed read
	storeDue
)

// scheduler is the virtual time of a world and the queue of entries that are due.
type scheduler struct {
	now     int64 // virtual nanoseconds from time zero
	queue   queue
	calls   pool[func()]
	handled uint64 // number of entries handled
	stopped bool

	nextStep, step int64 // nextStep is never if there are no steps
	stepped        func(time.Duration)
}

// input schedules an input of a node. At one instant wake-ups come before inputs.
func (s *scheduler) input(at int64, kind entryKind, who, arg uint32) {
	s.queue.push(at, inputClass, kind, who, arg)
}

// wakeUp schedules a wake-up of a node.
func (s *scheduler) wakeUp(at int64, kind entryKind, who uint32) {
	s.queue.push(at, wakeUpClass, kind, who, 0)
}

// call runs f at the given time, or later in this instant if that has passed.
func (s *scheduler) call(at int64, f func()) {
	slot := s.calls.take()
	*s.calls.at(slot) = f
	s.input(max(at, s.now), callDue, 0, slot)
}

// runCall runs the call in the slot and frees the slot.
func (s *scheduler) runCall(slot uint32) {
	f := *s.calls.at(slot)
	*s.calls.at(slot) = nil
	s.calls.put(slot)
	f()
}

// maxPostponed is the number of times that a call of callLast lets the other entries of
// its instant run first. No chain of such entries is longer. Without the limit, two calls
// of callLast at the same time would wait for each other for ever.
const maxPostponed = 16

// callLast runs f at the given time, after the other entries of that instant.
func (s *scheduler) callLast(at int64, f func()) {
	postponed := 0
	var try func()
	try = func() {
		first := s.queue.first()
		if postponed++; postponed < maxPostponed && first != nil && first.at == s.now {
			s.call(s.now, try)
			return
		}
		f()
	}
	s.call(at, try)
}

// runStep calls stepped for the next step.
func (s *scheduler) runStep() {
	at := s.nextStep
	s.stepped(time.Duration(at))
	s.nextStep = at + s.step
}

// pool is a slice whose unused elements are used again. An element is referred to by its
// index, because the slice moves when it grows.
type pool[T any] struct {
	items []T
	free  []uint32 // indices of unused elements
}

// take returns the index of an unused element, with its last value.
func (p *pool[T]) take() uint32 {
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		return i
	}
	var zero T
	p.items = append(p.items, zero)
	return uint32(len(p.items) - 1)
}

// put frees an element.
func (p *pool[T]) put(i uint32) { p.free = append(p.free, i) }

// at returns an element. The pointer is valid until the next take.
func (p *pool[T]) at(i uint32) *T { return &p.items[i] }
