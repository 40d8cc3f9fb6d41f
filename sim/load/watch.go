package load

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// watch handles the end of the warm-up and the periodic reports of a run.
type watch struct {
	*engine
	begun   bool           // the measured part has begun
	own     Usage          // at the begin of the measured part
	server  Usage          // at that time
	first   sync.WaitGroup // the call that sets own and server
	running sync.WaitGroup // calls of OwnUsage, ServerUsage, Judge and Progress

	judged       atomic.Pointer[reports.Load] // the figures of the last call of Judge; nil before the first
	reporting    atomic.Bool                  // Progress is being called
	sending      atomic.Bool                  // figures are on their way to Leader, in the order of their times
	nextProgress time.Duration
	nextUsage    time.Duration
	nextPart     time.Duration // of a share
	frozen       bool          // the generators have the expected response times
}

const (
	progressInterval = 100 * time.Millisecond // of the progress and the target rate
	usageInterval    = time.Second            // of the server's usage and the status of the thresholds
)

// at handles the events of the watch that are due by the time now. The pacing
// goroutine calls it with each reading of its clock, before it handles its own events
// of that time. The error is a *NoMedianError.
func (w *watch) at(now time.Duration) error {
	if err := w.coordinate(now); err != nil {
		return err
	}
	if !w.begun && now >= w.warmUp {
		w.begun = true
		if w.Generators == nil {
			if err := w.freeze(); err != nil {
				return err
			}
		}
		w.Meter.SetPhase(w.phases[1])
		w.first.Go(func() { // the pacing goes on meanwhile
			w.own, w.m.HasOwn = used(w.OwnUsage)
			w.server, w.m.HasServer = used(w.ServerUsage)
		})
	}
	if now >= w.nextProgress {
		w.nextProgress = now + progressInterval
		w.Meter.SetTarget(w.pacer.Rate(now))
		if w.Progress != nil && w.reporting.CompareAndSwap(false, true) {
			figures := w.figuresNow(now)
			w.running.Go(func() { // the pacing goes on meanwhile
				defer w.reporting.Store(false)
				w.Progress(now, w.pacer.End(), figures)
			})
		}
	}
	if now >= w.nextUsage {
		w.nextUsage = now + usageInterval
		if w.Generators != nil {
			if err := w.takeFigures(w.Generators.Figures()); err != nil {
				return err
			}
		}
		if w.OwnUsage != nil || w.ServerUsage != nil {
			w.running.Go(func() { w.sampleUsage(now) })
		}
		if w.Judge != nil && w.begun {
			w.running.Go(func() { w.judge(now - w.warmUp) })
		}
	}
	return nil
}

// coordinate exchanges the figures of the warm-up and so far with the other processes of a load, if there are some.
func (w *watch) coordinate(now time.Duration) error {
	if end := w.warmUp - leadOf(w.warmUp); w.Leader != nil && now >= w.nextPart &&
		w.sending.CompareAndSwap(false, true) {
		w.nextPart = now + usageInterval
		if now < end {
			w.nextPart = min(w.nextPart, end)
		}
		w.running.Go(func() {
			defer w.sending.Store(false)
			w.Leader.SoFar(w.partSoFar(now))
		})
	}
	if w.Generators != nil && !w.frozen && now >= w.warmUp-leadOf(w.warmUp)/2 {
		w.frozen = true
		if err := w.takeFigures(w.Generators.Figures()); err != nil {
			return err
		}
		if err := w.freeze(); err != nil {
			return err
		}
		w.Generators.Expect(*w.expected.Load())
	}
	return nil
}

// figuresNow returns the figures of the load at a time.
func (w *watch) figuresNow(now time.Duration) *reports.LoadNow {
	n := &reports.LoadNow{WarmUp: !w.begun, Target: w.pacer.Rate(now), SoFar: w.judged.Load()}
	begun := w.begun
	m := w.m
	w.mu.Lock()
	defer w.mu.Unlock()
	n.InFlight = w.inFlight
	if w.Generators != nil {
		m = w.others.Load()
		n.InFlight, now, begun = m.inFlight, m.at, m.at >= w.warmUp
	}
	switch {
	case begun && now < w.warmUp+time.Second && w.warmUp >= time.Second:
		now, begun = w.warmUp, false // the last whole second is one of the warm-up
	case begun:
		now -= w.warmUp
	}
	if of := m.arrivals[phaseIndex(begun)]; now >= time.Second {
		if i := int(now/time.Second) - 1; i < len(of) {
			n.Achieved = float64(of[i].started)
		}
	} else if len(of) > 0 && now > 0 {
		n.Achieved = float64(of[0].started) / now.Seconds()
	}
	return n
}

// judge sets the status of the thresholds in the meter, and ends the run if one of
// them demands it.
func (w *watch) judge(at time.Duration) {
	soFar := w.soFar()
	w.judged.Store(soFar)
	s := w.Judge(soFar, at)
	w.Meter.SetThresholds(s.Held, s.Broken, s.Undecided)
	if s.Abort != "" && at >= usageInterval {
		w.aborted.CompareAndSwap(nil, &s.Abort)
	}
}

// soFar returns a copy of the figures so far that thresholds use. It omits
// operations in progress, so that no beacon counts as lost before the end of the
// run.
func (w *watch) soFar() *reports.Load {
	w.mu.Lock()
	m, arrivals := w.m, w.m.Arrivals
	w.mu.Unlock()
	l := &reports.Load{Arrivals: arrivals}
	l.Beacons.Sent = w.beacons.sent.Load()
	if w.Generators != nil {
		m = w.others.Load()
		l.Arrivals, l.Beacons.Sent = m.Arrivals, m.Beacons.Sent
	}
	all := &kind{}
	for o := range operations {
		k := m.figures.copied(o)
		if k == nil {
			continue
		}
		l.Operations = append(l.Operations, k.times(scenarios.LoadOperations[o]))
		all.merge(k)
	}
	l.All = all.times(allOperations)
	return l
}

// useSample is the usage of both processes at a time; nil if it is not known or the process has ended.
type useSample struct {
	at          time.Duration
	own, server *Usage
}

// sampleUsage adds the usage at a time to the measurement, and sets that of the server in the meter.
func (w *watch) sampleUsage(at time.Duration) {
	s := useSample{at: at}
	if u, ok := used(w.OwnUsage); ok {
		s.own = &u
	}
	if u, ok := used(w.ServerUsage); ok && u.ResidentBytes > 0 { // a process that was killed has no memory
		s.server = &u
		if u.HasGCPause { // a server that stands still has none
			w.Meter.SetServerUse(processUse(u, 0, 0))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.m.samples = append(w.m.samples, s)
}

// end measures the length and the usage at the end of the last stage. It does not wait
// for the usage: a server that stands still answers no request for its metrics.
func (w *watch) end() {
	w.Meter.SetTarget(0)
	w.m.Length = max(0, min(w.now(), w.pacer.End())-w.warmUp)
	if !w.begun {
		return
	}
	w.running.Go(func() {
		own, hasOwn := used(w.OwnUsage)
		server, hasServer := used(w.ServerUsage)
		w.first.Wait()
		if hasServer && server.ResidentBytes == 0 {
			server.ResidentBytes, server.PeakBytes = w.lastMemory()
		}
		w.m.Own, w.m.HasOwn = own.since(w.own), hasOwn && w.m.HasOwn
		w.m.Server, w.m.HasServer = server.since(w.server), hasServer && w.m.HasServer
	})
}

// lastMemory returns the memory of the server, now and at most, in the last sample before it was killed; 0 if none was
// taken.
func (w *watch) lastMemory() (now, peak int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := &useSample{at: -1}
	for i := range w.m.samples {
		if s := &w.m.samples[i]; s.server != nil && s.at > last.at {
			last = s
		}
	}
	if last.server == nil {
		return 0, 0
	}
	return last.server.ResidentBytes, last.server.PeakBytes
}

func used(of func() (Usage, bool)) (Usage, bool) {
	if of == nil {
		return Usage{}, false
	}
	return of()
}

// add adds the usage of another process.
func (u *Usage) add(more *Usage) {
	u.User += more.User
	u.System += more.System
	u.ResidentBytes += more.ResidentBytes
	u.PeakBytes += more.PeakBytes
	u.GCPause += more.GCPause
	u.HasGCPause = u.HasGCPause || more.HasGCPause
}

// since returns the usage after an earlier one.
func (u Usage) since(before Usage) Usage {
	u.User -= before.User
	u.System -= before.System
	u.GCPause -= before.GCPause
	u.HasGCPause = u.HasGCPause && before.HasGCPause
	return u
}

// NoMedianError is the error of a run whose warm-up had no answered operation of some
// kind, so that the median response time of this kind is not known.
type NoMedianError struct {
	WarmUp    time.Duration
	Lag       time.Duration // p99 of the schedule lag in it
	Operation string
	Begun     uint64 // number of these operations that were begun
	Failed    uint64 // number of these operations that failed
	Unknown   uint64 // number of these operations without an answer
	Outage    string // see Measurement.Outage
}

func (e *NoMedianError) Error() string {
	came := "none was tried"
	switch {
	case e.Failed+e.Unknown > 0:
		came = fmt.Sprintf("%d failed, %d without an answer", e.Failed, e.Unknown)
	case e.Begun > 0:
		came = fmt.Sprintf("%d sent, none answered until then", e.Begun)
	}
	if e.Outage != "" {
		came += "; " + e.Outage
	}
	return fmt.Sprintf("no %s succeeded in the warm-up of %v (%s): check that the server runs and speaks the "+
		"protocol, or write a longer `warm_up` or `expected: {%s: …}`", e.Operation, e.WarmUp, came, e.Operation)
}

// freeze sets the expected response times for the measured part.
func (w *watch) freeze() error {
	var all Times
	var frozen [operations]bool
	m := w.m
	if w.Generators != nil {
		m = w.others.Load()
	}
	for _, name := range w.Traffic.AwaitedOperations() {
		o := operationNamed(name)
		given, ok := w.Traffic.Expected[name]
		switch {
		case !ok && w.Leader != nil:
			expected, came := w.Leader.Expected()
			if !came {
				return lateExpected{}
			}
			given = expected[o]
			frozen[o] = true
		case !ok && w.Generators != nil && len(m.parts) < w.Generators.Size():
			return lateFigures{len(m.parts), w.Generators.Size()}
		case !ok:
			k := cmp.Or(m.warm.copied(o), &kind{})
			if n := k.outcomes; n[OK] == 0 {
				outage, _ := w.outage.lasting()
				return &NoMedianError{
					w.warmUp, m.warm.lag(), name, m.tallies[0].begun[o].Load(), n[Failed], n[Unknown], outage,
				}
			}
			given = time.Duration(stats.Quantile(k.response.HDR(), 50))
			frozen[o] = true
		}
		all[o] = given
	}
	w.expected.Store(&all)
	w.m.Expected, w.m.Frozen = all, frozen
	return nil
}

func operationNamed(name string) Operation {
	if i := slices.Index(scenarios.LoadOperations[:], name); i >= 0 {
		return Operation(i)
	}
	panic(fmt.Sprintf("load: %q is no operation", name))
}
