// Package load sends requests of phones to a server over real sockets, at a given
// rate of arrivals, and measures the server's answers (docs/LOAD.md). The loop is
// open: the time at which a session is due never depends on the answers to another
// session.
//
// A phone of a load has no goroutine. The pacing thread takes each operation when it
// is due, and sends it. On Linux a thread for every two processors waits with epoll
// for the sockets of all phones and handles their answers. On other systems a
// goroutine reads each socket. Each phone has a lock, which is never held while its
// holder waits.
//
// The times of a run are durations since its origin, on one monotonic clock.
package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

// Config is the configuration of a run.
type Config struct {
	Traffic *scenarios.Traffic
	Phones  []Phone
	Seed    uint64
	Clock   clock.Clock
	// Sleep is the sleep of the pacing goroutine. If it is nil the goroutine has a
	// thread of its own with a precise sleep.
	Sleep   func(time.Duration)
	Network Network
	// Generators carry out the load in other processes, with Phones. If it is nil, this process does.
	Generators Generators
	Address    string // host:port of the server, for them
	// Share is what this process carries out of a load that Leader coordinates, with Phones of its own. Without a Leader
	// it is the whole load.
	Share  Share
	Leader Leader
	Server string         // its address in messages
	Meter  *reports.Meter // nil if there are no live metrics
	// Phase is the name of the measured part in the metrics; "" stands for load.
	Phase string
	// Rows gets one row for each operation that is measured, also in the warm-up. It may be nil. Step is the number of
	// the step of a search that the load is, from 1, or 0.
	Rows *Rows
	Step int
	// Judge returns the status of the thresholds by the figures so far, which are those
	// of the time at since the warm-up. It is called once a second, unless it is nil.
	Judge func(so *reports.Load, at time.Duration) Status
	// OwnUsage and ServerUsage return the resources that this process and the server
	// have used since their start, or false if that is not known. They may be nil.
	OwnUsage, ServerUsage func() (Usage, bool)
	// Progress is called ten times a second, unless it is nil or its last call has not returned.
	Progress func(at, length time.Duration, now *reports.LoadNow)
}

// Phone is one account with its settings.
type Phone struct {
	Name           string // in the scenario
	User, Password string
	Single         bool          // its beacons are single datagrams
	PasswordPause  time.Duration // if it is 0 name and password are one message
}

// Usage is the use of resources by a process since its start.
type Usage struct {
	User, System  time.Duration // processor time
	ResidentBytes int64
	PeakBytes     int64
	GCPause       time.Duration // in which garbage collection stopped it
	HasGCPause    bool          // GCPause is known
}

// Measurement is the result of a run.
type Measurement struct {
	figures  *figures
	warm     *figures            // of the warm-up
	arrivals [2]arrivalsBySecond // of the warm-up and of the measured part
	seed     uint64
	share    Share
	Expected Times            // response times from which due times were computed
	Frozen   [operations]bool // true for those that are medians of the warm-up
	Arrivals Arrivals
	Beacons  Beacons
	Length   time.Duration // of the measured part
	// Own and Server are the usage in that time. Their memory is that at its end.
	Own, Server       Usage
	HasOwn, HasServer bool
	CPUQuota          float64 // processors that this process may use; 0 if all
	Interrupted       bool
	// Aborted is the name of the threshold that ended the run early, or "".
	Aborted string
	// Outage describes the failure of all connections from some time to the end of the
	// run; "" if there was none.
	Outage      string
	OutageSince time.Duration // its begin, since the warm-up began

	parts      []*Part       // of a load on several generators
	inFlight   int           // of the parts so far
	at         time.Duration // time of the run of the oldest of them
	processors float64       // that the parts may use; 0 for a load of one process
	samples    []useSample   // about once a second
	unanswered bool          // the warm-up ended with a *NoMedianError

	tallies [2]tally            // of the warm-up and of the measured part
	phase   *reports.PhaseMeter // nil if it has figures of other runs too
	meters  *[operations]*reports.OperationMeter
}

// Arrivals counts the arrivals of the measured part.
type Arrivals = reports.Arrivals

// Beacons counts the beacons of the measured part.
type Beacons = reports.LoadBeacons

// engine is a run in progress.
type engine struct {
	Config
	m           *Measurement // so far
	ctx         context.Context
	origin      time.Time     // zero of the machines' elapsed time
	begin       time.Duration // zero of the run's times, after origin
	warmUp      time.Duration // begin of the measured part
	pacer       *Pacer
	schedule    schedule
	phones      []*phone
	scripts     scripts
	outboxes    sync.Pool                              // of *nodes.PhoneOutbox
	meters      [2][operations]*reports.OperationMeter // of the warm-up and of the measured part
	phases      [2]*reports.PhaseMeter
	expected    atomic.Pointer[Times]
	others      atomic.Pointer[Measurement] // the last figures of the generators; nil without them
	stopping    atomic.Bool                 // no operation begins any more
	socketsOpen atomic.Bool                 // every phone has its UDP socket
	beacons     beaconCounts
	outage      outage
	aborted     atomic.Pointer[string] // name of a threshold; nil unless it ended the run
	closeOnce   sync.Once
	closeError  error

	mu       sync.Mutex // of the arrivals in m, too
	free     []*phone   // without a session, the longest first
	inFlight int
}

func newEngine(ctx context.Context, c Config) *engine {
	e := &engine{Config: c, ctx: ctx, origin: c.Clock.Now(), warmUp: c.Traffic.WarmUp, scripts: newScripts(c.Traffic)}
	e.outboxes.New = func() any { return new(nodes.PhoneOutbox) }
	e.m = &Measurement{warm: newFigures(0), figures: newFigures(e.warmUp), seed: c.Seed, share: c.Share,
		meters: &e.meters[1]}
	e.expected.Store(&Times{})
	if e.Generators == nil {
		e.makePhones()
	} else {
		none, _ := merged(nil, c.Seed)
		e.others.Store(none)
	}
	return e
}

// now returns the time of the run.
func (e *engine) now() time.Duration { return e.Clock.Since(e.origin) - e.begin }

// machineNow reads the clock for a machine, and runTime converts that to the time
// of the run.
func (e *engine) machineNow() nodes.Now {
	t := e.Clock.Now()
	return nodes.Now{Elapsed: t.Sub(e.origin), Wall: t.UnixNano()}
}

func (e *engine) runTime(n nodes.Now) time.Duration { return n.Elapsed - e.begin }

func (e *engine) takeOutbox() *nodes.PhoneOutbox { return e.outboxes.Get().(*nodes.PhoneOutbox) }

func (e *engine) putOutbox(out *nodes.PhoneOutbox) {
	out.Effects = out.Effects[:0]
	e.outboxes.Put(out)
}

// Run runs the load and returns its measurement. Failures of the server are part of
// the measurement. An error means that the load itself was not possible.
func Run(ctx context.Context, c Config) (m *Measurement, err error) {
	if c.Meter == nil {
		c.Meter = reports.NewMeter("", "")
	}
	e := newEngine(ctx, c)
	e.pacer = NewPacer(c.Traffic)
	for i, name := range []string{"warm-up", cmp.Or(e.Phase, "load")} {
		e.phases[i] = e.Meter.Phase(name)
		for o := range operations {
			e.meters[i][o] = e.phases[i].Operation(scenarios.LoadOperations[o])
		}
	}
	c.Meter.SetLagBudget(c.Traffic.LagBudget)
	defer func() { err = errors.Join(err, e.close()) }()
	if err := e.prepare(); err != nil {
		return nil, err
	}
	return e.play()
}

// play starts sessions until the last stage is over, and waits for their end. If the
// error is a *NoMedianError the measurement has the figures of the warm-up.
func (e *engine) play() (*Measurement, error) {
	if err := e.openSockets(); err != nil {
		return nil, err
	}
	if err := e.beginTime(); err != nil {
		return nil, err
	}
	e.free = append(e.free, e.phones...)
	m := e.m
	if e.phases[1].Due.Value() == 0 {
		m.phase = e.phases[1]
	}
	e.Meter.SetPhase(e.phases[0])
	watch := &watch{engine: e}
	var err error
	if e.Sleep != nil {
		err = e.pace(watch, e.Sleep)
	} else {
		onOwnThread(func() { err = e.pace(watch, preciseSleep) })
	}
	if m.unanswered = err != nil; m.unanswered {
		m.Length = 0
	}
	m.Interrupted = e.ctx.Err() != nil
	e.abort()
	e.awaitBeacons()
	dropped := e.dropped()
	if closed := e.close(); closed != nil { // before the beacons are counted
		return nil, closed
	}
	ended := &m.tallies[1].sessions
	m.Arrivals.OK, m.Arrivals.Failed = ended[OK].Load(), ended[Failed].Load()
	m.Arrivals.Unknown, m.Arrivals.Open = ended[Unknown].Load(), ended[stillOpen].Load()
	if e.Generators == nil {
		e.countBeacons(dropped)
		m.Outage, m.OutageSince = e.outage.lasting()
	}
	m.CPUQuota = cpuQuota(os.DirFS("/"))
	if name := e.aborted.Load(); name != nil {
		m.Aborted = *name
	}
	return m, err
}

// countBeacons counts the beacons, of which none arrives any more. The kernel has dropped some datagrams.
func (e *engine) countBeacons(dropped uint64) {
	m := e.m
	for _, p := range e.phones {
		for i := range p.flights {
			p.flights[i].writeLost(p.Rows, p.Name)
		}
	}
	m.Beacons = e.beacons.count()
	m.Beacons.Dropped = dropped
	m.figures.addLost(m.Beacons.Lost)
	m.meters[Beacon].Lost(m.Beacons.Lost)
	b := e.Meter.Beacons()
	b.Lost.RaiseTo(b.Sent.Value() - min(b.Sent.Value(), b.Received.Value()))
}

// beginTime sets the time at which the run's time is 0: now, or when all shares begin. No session is in progress.
func (e *engine) beginTime() error {
	e.schedule.clear()
	for _, p := range e.phones {
		p.timing = false
	}
	begin := e.Clock.Now()
	switch {
	case e.Generators != nil:
		begin = begin.Add(beginLead)
		e.Generators.Begin(begin)
	case e.Leader != nil:
		var err error
		if begin, err = e.Leader.Ready(e.ctx); err != nil {
			return err
		}
	}
	e.begin = begin.Sub(e.origin)
	if e.Rows != nil {
		e.Rows.begin(e.origin.Add(e.begin), e.Step)
	}
	return nil
}

// release makes a phone free for another arrival.
func (e *engine) release(p *phone) {
	e.Meter.AddInFlight(-1)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inFlight--
	e.free = append(e.free, p)
}

const (
	// lateAfter is the time after its sending at which a beacon is late. A receiver
	// forgets an incomplete beacon by then (PROTOCOL.md section 3).
	lateAfter = time.Second
	// reception is the time for which beacons are received after the last sending.
	reception = 2 * time.Second
)

// awaitBeacons receives the beacons that are still in flight.
func (e *engine) awaitBeacons() {
	if e.beacons.sent.Load() > 0 && !e.m.Interrupted {
		e.Clock.Sleep(reception)
	}
}

// dropped returns the number of datagrams that the kernel dropped at the sockets of
// the phones.
func (e *engine) dropped() uint64 {
	sockets := map[netip.AddrPort]bool{}
	for _, p := range e.phones {
		if p.udp != nil {
			sockets[p.udp.Address()] = true
		}
	}
	n := e.Network.Dropped(sockets)
	e.Meter.Beacons().Dropped.Add(n)
	return n
}

// makePhones makes the phones and arranges them in a ring, in which each sends its
// beacons to the next one.
func (e *engine) makePhones() {
	settings := map[time.Duration]*nodes.PhoneSettings{} // by password pause
	phones := make([]phone, len(e.Phones))
	for i := range e.Phones {
		p := &phones[i]
		p.Phone, p.engine = e.Phones[i], e
		if settings[p.PasswordPause] == nil {
			settings[p.PasswordPause] = phoneSettings(e.Traffic, p.PasswordPause)
		}
		p.machine.Init(settings[p.PasswordPause])
		p.departure.ring, p.timeout.ring = p.onDue, p.onTimeout
		e.phones = append(e.phones, p)
	}
	for i, p := range e.phones {
		p.to = e.phones[(i+1)%len(e.phones)]
		p.to.from = p
	}
}

// phoneSettings returns the settings of a phone's machine under load: it never
// retries an operation, and prints nothing. Its contact log holds the entries of one
// upload.
func phoneSettings(t *scenarios.Traffic, passwordPause time.Duration) *nodes.PhoneSettings {
	s := nodes.DefaultPhoneSettings()
	s.PasswordPause, s.RetryPause = passwordPause, passwordPause
	s.JoinLogin = passwordPause == 0
	s.NoRetry, s.Quiet = true, true
	s.AnswerLimit = t.Timeout
	s.MaxEntries = max(1, t.Entries)
	return &s
}

// openSockets opens the UDP sockets of the phones if the load has beacons.
func (e *engine) openSockets() error {
	if !e.Traffic.HasBeacons() {
		return nil
	}
	for i, p := range e.phones {
		var err error
		if p.udp, err = e.Network.Listen(p.receive); err != nil {
			return fmt.Errorf("opening the UDP socket of phone %d of %d: %w", i+1, len(e.phones), err)
		}
	}
	e.socketsOpen.Store(true)
	return nil
}

// maxPreLogins is the number of phones of a mix that log in at the same time.
const maxPreLogins = 128

// prepare logs in the phones of a mix. It does nothing for a load with sessions,
// whose phones log in themselves.
func (e *engine) prepare() error {
	if e.Generators != nil {
		return e.Generators.Prepare(e.ctx, &e.Config)
	}
	if e.Traffic.Session != nil {
		return nil
	}
	e.expected.Store(&Times{})
	results := make(chan error, len(e.phones))
	interrupted := &Interrupted{"the phones logged in, before the load"}
	tick := e.Clock.Ticker(time.Millisecond)
	defer tick.Stop()
	for begun, ended := 0, 0; ended < len(e.phones); {
		for begun < len(e.phones) && begun-ended < maxPreLogins {
			p, n := e.phones[begun], begun+1
			begun++
			p.mu.Lock()
			p.preLogin(e.now(), func(l loginEnd) { results <- loginError(n, e, l) })
			p.mu.Unlock()
		}
		select {
		case err := <-results:
			switch {
			case err != nil && e.ctx.Err() != nil: // the signal ended the connection
				return interrupted
			case err != nil:
				return err
			}
			ended++
		case <-tick.C: // for phones with a password pause
			e.schedule.run(e.now())
		case <-e.ctx.Done():
			return interrupted
		}
	}
	return nil
}

// loginError returns the error of a login of phone n before the load, from 1; nil if it succeeded.
func loginError(n int, e *engine, l loginEnd) error {
	if l.outcome == OK {
		return nil
	}
	o := e.scripts.preLogin[max(0, len(e.scripts.preLogin)-1-l.left)]
	came := "the server refused it, or gave an answer that is not of the protocol"
	switch outage, _ := e.outage.lasting(); {
	case o == Connect && outage != "":
		came = outage
	case l.waited:
		came = fmt.Sprintf("no answer within %v", e.Traffic.Timeout)
	case l.outcome != Failed:
		came = "the connection ended without an answer"
	}
	return fmt.Errorf("logging in phone %d of %d (%s) at the server %s, before the load: %s: %s; check that "+
		"this server runs, speaks the protocol and has this account with its password", n, len(e.phones),
		e.Phones[n-1].User,
		cmp.Or(e.Server, "of the load"), scenarios.LoadOperations[o], came)
}

// Interrupted is the error of a step before or between loads that a signal ended. It wraps context.Canceled.
type Interrupted struct {
	While string // a clause, such as "the server started"
}

func (i *Interrupted) Error() string { return "interrupted by a signal while " + i.While }

// Unwrap returns context.Canceled.
func (i *Interrupted) Unwrap() error { return context.Canceled }

// add adds the measured times of one operation of a phone.
func (e *engine) add(of *phone, r *Row, measured bool) {
	if e.Rows != nil {
		e.Rows.add(r, of.Name, measured)
	}
	[2]*figures{e.m.warm, e.m.figures}[phaseIndex(measured)].add(r)
	meter := e.meters[phaseIndex(measured)][r.Operation]
	meter.Ended(r.Outcome)
	if r.timed() {
		meter.Took(r.Response(), r.Service())
	}
	if !r.NotSent {
		meter.Lagged(r.Lag())
	}
}

// measureBeacon measures a beacon of a phone that arrived for the first time.
func (e *engine) measureBeacon(from *phone, f *flight, now time.Duration) {
	late := now-f.sent > lateAfter
	if f.measured {
		e.beacons.received.Add(1)
		if late {
			e.beacons.late.Add(1)
		}
	}
	m := e.Meter.Beacons()
	m.Received.Add(1)
	if late {
		m.Late.Add(1)
	}
	m.Delay(now - f.sent)
	e.add(from, &Row{Operation: Beacon, Due: f.due, Ready: f.ready, Sent: f.sent, Done: now}, f.measured)
}

// abort ends every session, and lets none begin.
func (e *engine) abort() {
	e.stopping.Store(true)
	e.schedule.close()
	for _, p := range e.phones {
		p.abort()
	}
}

// close closes every connection and socket of the run.
func (e *engine) close() error {
	e.closeOnce.Do(func() {
		e.abort()
		var errs []error
		for _, p := range e.phones {
			if p.udp != nil {
				errs = append(errs, p.udp.Close())
			}
		}
		e.closeError = errors.Join(append(errs, e.Network.Close())...)
	})
	return e.closeError
}

// phaseIndex is the index of a part in arrays of both.
func phaseIndex(measured bool) int {
	if measured {
		return 1
	}
	return 0
}
