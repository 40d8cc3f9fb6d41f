package load

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"bluetrace/scenarios"
)

// Pacer computes the time at which each arrival is due. The number of arrivals that
// are due before t is the integral of the rate up to t. Arrival 0 is due when the
// rate is first above zero.
type Pacer struct {
	pieces []piece
	total  float64 // the integral of all
}

// piece is a time in which the rate changes linearly.
type piece struct {
	begin, length float64 // seconds
	from, to      float64 // arrivals per second
	before        float64 // arrivals that are due before it
}

// NewPacer paces a warm-up at the start rate, and then the stages.
func NewPacer(t *scenarios.Traffic) *Pacer {
	p := &Pacer{}
	at, rate := p.add(0, t.WarmUp, t.StartRate, t.StartRate), t.StartRate
	for _, s := range t.Stages {
		at = p.add(at, s.Duration, rate, s.Rate)
		rate = s.Rate
	}
	return p
}

func (p *Pacer) add(begin float64, length time.Duration, from, to float64) (end float64) {
	seconds := length.Seconds()
	if seconds > 0 {
		p.pieces = append(p.pieces, piece{begin, seconds, from, to, p.total})
		p.total += (from + to) / 2 * seconds
	}
	return begin + seconds
}

// Due returns the time at which arrival n, from 0, is due, or false if there are
// fewer. The times never decrease with n.
func (p *Pacer) Due(n int) (time.Duration, bool) {
	if float64(n) >= p.total-rounding {
		return 0, false
	}
	for i := range p.pieces {
		last := i == len(p.pieces)-1
		if one := &p.pieces[i]; last || float64(n) < p.pieces[i+1].before {
			return one.due(float64(n)), true
		}
	}
	return 0, false
}

// rounding is the largest error of a sum of stages that should be a whole number of
// arrivals. An arrival at the very end of the last stage does not belong to it.
const rounding = 1e-6

// due solves from*x + (to-from)/(2*length)*x² = n-before for x, in the form that
// loses no digits if the rate hardly changes.
func (p *piece) due(n float64) time.Duration {
	left, slope := n-p.before, (p.to-p.from)/p.length
	x := 0.0
	if left > 0 {
		x = 2 * left / (p.from + math.Sqrt(max(0, p.from*p.from+2*slope*left)))
	}
	return time.Duration((p.begin + min(x, p.length)) * float64(time.Second))
}

// Rate returns the arrivals per second at a time, which is 0 after the last stage.
func (p *Pacer) Rate(at time.Duration) float64 {
	t := at.Seconds()
	for i := range p.pieces {
		if one := &p.pieces[i]; t < one.begin+one.length {
			return one.from + (one.to-one.from)*max(0, t-one.begin)/one.length
		}
	}
	return 0
}

// End returns the end of the last stage.
func (p *Pacer) End() time.Duration {
	last := p.pieces[len(p.pieces)-1]
	return time.Duration((last.begin + last.length) * float64(time.Second))
}

// The pacing goroutine sleeps for maxSleep at most, so that an alarm that is set
// meanwhile is late by no more. It sleeps for minSleep at least, since a sleep costs
// some microseconds. Events that are due within that time are handled together.
const (
	maxSleep = 200 * time.Microsecond
	minSleep = 50 * time.Microsecond
)

// pace is the pacing goroutine, from the first arrival to the end of the last
// session.
func (e *engine) pace(w *watch, sleep func(time.Duration)) error {
	err := e.startSessions(w, sleep)
	w.end()
	if e.Generators != nil {
		w.running.Wait()
		return w.collect(err)
	}
	if err == nil {
		e.awaitSessions(e.now()+e.Traffic.GracefulStop, sleep)
	}
	w.running.Wait()
	return err
}

// startSessions lets phones arrive, and runs alarms, until the last stage is over or a
// threshold ends the run.
func (e *engine) startSessions(w *watch, sleep func(time.Duration)) error {
	end := e.pacer.End()
	draws := rand.New(rand.NewPCG(e.Seed, 1))
	for n := 0; e.ctx.Err() == nil && e.aborted.Load() == nil; {
		now := e.now()
		if err := w.at(now); err != nil {
			return err
		}
		next := min(end, now+maxSleep)
		for e.Generators == nil {
			due, ok := e.pacer.Due(n)
			if !ok {
				break
			}
			if due > now {
				next = min(next, due)
				break
			}
			o := Connect
			if e.Traffic.Session == nil {
				o = drawOperation(e.Traffic.Mix, draws)
			}
			if e.Share.has(n) {
				e.arrive(due, o)
			}
			n++
		}
		if now >= end {
			break
		}
		if e.Leader != nil {
			if at, why := e.Leader.End(); why != "" && now >= at {
				e.aborted.Store(&why)
			}
		}
		if due, ok := e.schedule.run(e.now()); ok {
			next = min(next, due)
		}
		if left := next - e.now(); left > 0 {
			sleep(max(left, minSleep))
		}
	}
	return nil
}

// awaitSessions runs alarms until all sessions have ended, or until a time.
func (e *engine) awaitSessions(until time.Duration, sleep func(time.Duration)) {
	for now := e.now(); now < until && e.ctx.Err() == nil; now = e.now() {
		next := now + maxSleep
		if due, ok := e.schedule.run(now); ok {
			next = min(next, due)
		}
		e.mu.Lock()
		left := e.inFlight
		e.mu.Unlock()
		if left == 0 {
			return
		}
		sleep(max(0, next-e.now()))
	}
}

// arrive gives an arrival to the phone that has been free the longest, or drops it. The operation o is that of a mix.
func (e *engine) arrive(due time.Duration, o Operation) {
	measured := due >= e.warmUp
	phase := e.phases[phaseIndex(measured)]
	phase.Due.Add(1)
	p := e.takeFree(due, measured)
	if p == nil {
		phase.Dropped.Add(1)
		return
	}
	phase.Started.Add(1)
	e.Meter.AddInFlight(1)
	s := session{script: e.scripts.session, measured: measured}
	if e.Traffic.Session == nil {
		s.script = e.scripts.single[o][:]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start(s, due)
}

// takeFree counts an arrival and returns a free phone for it. It returns nil if the
// arrival is dropped.
func (e *engine) takeFree(due time.Duration, measured bool) (p *phone) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inFlight < e.Traffic.MaxInFlight && len(e.free) > 0 {
		p = e.free[0]
		e.free = e.free[1:]
		e.inFlight++
		e.m.Arrivals.InFlightMax = max(e.m.Arrivals.InFlightMax, e.inFlight)
	}
	sinceBegin := due // of the warm-up, or of the measured part
	if measured {
		sinceBegin -= e.warmUp
		e.m.Arrivals.Due++
		if p == nil {
			e.m.Arrivals.Dropped++
		} else {
			e.m.Arrivals.Started++
		}
	}
	e.m.arrivals[phaseIndex(measured)].count(sinceBegin, p != nil)
	return p
}

// drawOperation draws an operation of a mix.
func drawOperation(mix []scenarios.Weight, draws *rand.Rand) Operation {
	sum := 0
	for _, w := range mix {
		sum += w.Weight
	}
	if sum == 0 {
		return Connect
	}
	left := draws.IntN(sum)
	for _, w := range mix {
		if left -= w.Weight; left < 0 {
			return operationOf(w.Verb)
		}
	}
	panic(fmt.Sprintf("load: %d of a mix is beyond its sum %d", left, sum))
}

// arrivalsBySecond counts the arrivals of a phase by the second in which they were
// due.
type arrivalsBySecond []struct{ due, started uint32 }

func (a *arrivalsBySecond) count(sinceBegin time.Duration, started bool) {
	second := int(max(0, sinceBegin) / time.Second)
	*a = lengthened(*a, second)
	(*a)[second].due++
	if started {
		(*a)[second].started++
	}
}

// alarm rings once at a time. A schedule owns at while the alarm is set.
type alarm struct {
	at   time.Duration
	ring func(now time.Duration)
}

// schedule rings alarms in the order of their times.
type schedule struct {
	mu     sync.Mutex
	queue  alarmHeap
	closed bool
}

// set makes an alarm ring at the first call of run at or after a time. An alarm
// must ring before it is set again. After close no alarm rings.
func (s *schedule) set(a *alarm, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		a.at = at
		heap.Push(&s.queue, a)
	}
}

// run rings the alarms whose time is not after now. It returns the time of the
// first of the others.
func (s *schedule) run(now time.Duration) (next time.Duration, ok bool) {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.queue[0].at > now {
			break
		}
		a := heap.Pop(&s.queue).(*alarm)
		s.mu.Unlock()
		a.ring(now)
	}
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return 0, false
	}
	return s.queue[0].at, true
}

// clear forgets all alarms.
func (s *schedule) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
}

// close forgets all alarms, and takes no more.
func (s *schedule) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.queue = nil
}

// alarmHeap is a heap by time.
type alarmHeap []*alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h alarmHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *alarmHeap) Push(x any)        { *h = append(*h, x.(*alarm)) }
func (h *alarmHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	return last
}
