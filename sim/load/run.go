package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// Config of a run.
type Config struct {
	Traffic *scenarios.Traffic
	Phones  []Phone
	Seed    uint64
	Clock   clock.Clock
	// Sleep is the sleep of the one goroutine that says when what is due; nil: an
	// exact one of the machine.
	Sleep   func(time.Duration)
	Network Network
	Meter   *reports.Meter // nil: nobody looks
	// Phase is how the measured part is called in the metrics; "": load.
	Phase string
	// Judge says of figures so far how many thresholds hold, are broken and cannot
	// be judged yet: asked once a second for the meter; nil: not at all.
	Judge func(*reports.Load) (held, broken, undecided int)
	// OwnUsage and ServerUsage are what this process and the server have used so far; nil: not known.
	OwnUsage, ServerUsage func() (Usage, bool)
	// Progress is called ten times a second; nil: never.
	Progress func(at, length time.Duration)
}

// Phone is one account with its settings.
type Phone struct {
	User, Password string
	Single         bool          // form of its beacons
	PasswordPause  time.Duration // 0: name and password are one send
}

// Usage of a process.
type Usage struct {
	User, System  time.Duration // of processors, since it began
	ResidentBytes int64
	PeakBytes     int64
	GCPause       time.Duration // in which it stood still, since it began
}

// Measurement is what a run came to.
type Measurement struct {
	figures  *figures
	warm     *figures    // of the warm-up
	bySecond [2]bySecond // arrivals of the warm-up, and of the measured part
	seed     uint64
	Expected [operations]time.Duration // response times that due times counted from
	Frozen   [operations]bool          // of those, medians of the warm-up
	Arrivals Arrivals
	Beacons  Beacons
	Length   time.Duration // of the measured arrivals
	// What was used in that time; Peak and Resident at its end.
	Own, Server       Usage
	HasOwn, HasServer bool
	Interrupted       bool
}

// Arrivals of the measured part.
type Arrivals struct {
	Due, Started, Dropped uint64
	InFlightMax           int
}

// Beacons of the measured part: Sent = Received + Lost.
type Beacons struct {
	Sent, Received, Lost, Doubled, Late, Malformed, Dropped uint64
}

// engine is a run under way.
type engine struct {
	Config
	ctx      context.Context
	origin   time.Time
	warmUp   time.Duration // the measured part begins
	pacer    *Pacer
	schedule schedule
	phones   []*phone
	scripts  scripts
	warm     *figures
	measured *figures
	meters   [2][operations]*reports.OperationMeter // of the warm-up, and of what is measured
	phases   [2]*reports.PhaseMeter
	expected atomic.Pointer[[operations]time.Duration]
	frozen   [operations]bool
	stopping atomic.Bool // no operation is begun any more
	seated   atomic.Bool // every phone has its UDP socket

	mu          sync.Mutex
	free        []*phone // waiting for an arrival, the longest first
	inFlight    int
	inFlightMax int
	arrivals    Arrivals
	bySecond    [2]bySecond

	beacons beaconCounts
}

// now is the run's time.
func (e *engine) now() time.Duration { return e.Clock.Since(e.origin) }

// Run makes the load. The error says why it could not be made; what the server
// did wrong is in the figures.
func Run(ctx context.Context, c Config) (m *Measurement, err error) {
	if c.Meter == nil {
		c.Meter = reports.NewMeter("", "")
	}
	e := &engine{Config: c, ctx: ctx, warmUp: c.Traffic.WarmUp, pacer: NewPacer(c.Traffic), origin: c.Clock.Now(), scripts: scriptsOf(c.Traffic)}
	e.warm, e.measured = newFigures(0), newFigures(e.warmUp)
	e.meter()
	defer func() { err = errors.Join(err, e.close()) }()
	e.makePhones()
	e.expected.Store(&[operations]time.Duration{})
	if err := e.prepare(); err != nil {
		return nil, err
	}
	return e.play()
}

func (e *engine) meter() {
	for i, name := range []string{"warm-up", cmp.Or(e.Phase, "load")} {
		e.phases[i] = e.Meter.Phase(name)
		for o := range operations {
			e.meters[i][o] = e.phases[i].Operation(scenarios.LoadOperations[o])
		}
	}
}

// play lets arrivals come until the last stage is over, and sessions end.
func (e *engine) play() (*Measurement, error) {
	e.beginTime()
	if err := e.openSockets(); err != nil {
		return nil, err
	}
	e.free = append(e.free, e.phones...)
	m := &Measurement{figures: e.measured, warm: e.warm, seed: e.Seed}
	watch := newWatch(e, m)
	var err error
	if e.Sleep != nil {
		err = e.playOut(watch, e.Sleep)
	} else {
		onThreadOfItsOwn(func() { err = e.playOut(watch, preciseSleep) })
	}
	m.Interrupted = e.ctx.Err() != nil
	e.settle(m)
	if err != nil {
		return nil, err
	}
	m.Expected, m.Frozen = *e.expected.Load(), e.frozen
	m.Arrivals, m.bySecond = e.arrivals, e.bySecond
	m.Arrivals.InFlightMax = e.inFlightMax
	m.Beacons = e.beacons.count()
	m.Beacons.Dropped = e.dropped()
	e.measured.lost(m.Beacons.Lost)
	return m, nil
}

// beginTime sets the run's time to 0: nothing is under way.
func (e *engine) beginTime() {
	e.schedule.clear()
	for _, p := range e.phones {
		p.watched = false
	}
	e.origin = e.Clock.Now()
}

// playOut is the one goroutine that says when what is due, from the first arrival
// to the end of the last session.
func (e *engine) playOut(w *watch, sleep func(time.Duration)) error {
	err := e.pace(w, sleep)
	w.looking.Wait()
	if err == nil {
		w.ended()
		e.awaitSessions(e.now()+e.Traffic.GracefulStop, sleep)
	}
	return err
}

// quantum is how long the pacing goroutine sleeps at most: what is asked for
// meanwhile is late by no more. It sleeps no less than nap: to sleep and wake
// costs some microseconds, so that what is due soon after each other waits for
// the last of it.
const (
	quantum = 200 * time.Microsecond
	nap     = 50 * time.Microsecond
)

// pace lets arrivals come, and wakes sessions, until the last stage is over.
func (e *engine) pace(w *watch, sleep func(time.Duration)) error {
	end := e.pacer.End()
	draws := rand.New(rand.NewPCG(e.Seed, 1))
	for n := 0; e.ctx.Err() == nil; {
		now := e.now()
		if err := w.at(now); err != nil {
			return err
		}
		next := min(end, now+quantum)
		for {
			due, ok := e.pacer.Due(n)
			if !ok {
				break
			}
			if due > now {
				next = min(next, due)
				break
			}
			e.arrive(due, draws)
			n++
		}
		if now >= end {
			break
		}
		if due, ok := e.schedule.due(e.now()); ok {
			next = min(next, due)
		}
		if left := next - e.now(); left > 0 {
			sleep(max(left, nap))
		}
	}
	return nil
}

// arrive gives the arrival to the phone that has been free the longest.
func (e *engine) arrive(due time.Duration, draws *rand.Rand) {
	measured := due >= e.warmUp
	phase := e.phases[phaseOf(measured)]
	phase.Due.Add(1)
	e.mu.Lock()
	var p *phone
	if e.inFlight < e.Traffic.MaxInFlight && len(e.free) > 0 {
		p = e.free[0]
		e.free = e.free[1:]
		e.inFlight++
		e.inFlightMax = max(e.inFlightMax, e.inFlight)
	}
	if measured {
		e.arrivals.Due++
		if p == nil {
			e.arrivals.Dropped++
		} else {
			e.arrivals.Started++
		}
	}
	e.bySecond[phaseOf(measured)].count(due-e.beginOf(measured), p != nil)
	e.mu.Unlock()
	if p == nil {
		phase.Dropped.Add(1)
		return
	}
	phase.Started.Add(1)
	e.Meter.AddInFlight(1)
	s := session{script: e.scripts.session, measured: measured}
	if e.Traffic.Session == nil {
		s.script = e.scripts.single[e.draw(draws)][:]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.start(s, due)
}

// draw is an operation of the mix.
func (e *engine) draw(draws *rand.Rand) Operation {
	sum := 0
	for _, w := range e.Traffic.Mix {
		sum += w.Weight
	}
	if sum == 0 {
		return Connect
	}
	left := draws.IntN(sum)
	for _, w := range e.Traffic.Mix {
		if left -= w.Weight; left < 0 {
			return operationOf(w.Verb)
		}
	}
	panic(fmt.Sprintf("load: %d of a mix is beyond its sum %d", left, sum))
}

func (e *engine) release(p *phone) {
	e.Meter.AddInFlight(-1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inFlight--
	e.free = append(e.free, p)
}

// Reception goes on for so long after the last sending; a beacon that came more
// than lateAfter after its sending is late (a receiver forgets a begun one by
// then, PROTOCOL.md section 3).
const (
	lateAfter = time.Second
	reception = 2 * time.Second
)

// settle ends what goes on, and then hears beacons that are still under way.
func (e *engine) settle(m *Measurement) {
	e.abandon()
	if m.Beacons.Sent = e.beacons.sent.Load(); m.Beacons.Sent > 0 && !m.Interrupted {
		e.Clock.Sleep(reception)
	}
	b := e.Meter.Beacons()
	b.Lost.RaiseTo(b.Sent.Value() - min(b.Sent.Value(), b.Received.Value()))
}

// dropped is what the kernel threw away at the phones' sockets.
func (e *engine) dropped() uint64 {
	sockets := map[netip.AddrPort]bool{}
	for _, p := range e.phones {
		if p.udp != nil {
			sockets[p.udp.Address()] = true
		}
	}
	n := e.Network.Dropped(sockets)
	e.Meter.Beacons().Dropped.Add(n) // sockets are a run's own
	return n
}

// awaitSessions wakes those that wait, until all have ended or time is up.
func (e *engine) awaitSessions(until time.Duration, sleep func(time.Duration)) {
	for now := e.now(); now < until && e.ctx.Err() == nil; now = e.now() {
		next := now + quantum
		if due, ok := e.schedule.due(now); ok {
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

// abandon ends every session, and lets none go on.
func (e *engine) abandon() {
	e.stopping.Store(true)
	e.schedule.close()
	for _, p := range e.phones {
		p.abandon()
	}
}

// close ends everything that the run began.
func (e *engine) close() error {
	e.abandon()
	var errs []error
	for _, p := range e.phones {
		if p.udp != nil {
			errs = append(errs, p.udp.Close())
		}
	}
	return errors.Join(append(errs, e.Network.Close())...)
}

// beginOf is when the measured part begins, or the warm-up.
func (e *engine) beginOf(measured bool) time.Duration {
	if measured {
		return e.warmUp
	}
	return 0
}

func phaseOf(measured bool) int {
	if measured {
		return 1
	}
	return 0
}
