package load

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// watch handles the end of the warm-up and the periodic reports of a run.
type watch struct {
	*engine
	m       *Measurement
	begun   bool           // the measured part has begun
	own     Usage          // at the begin of the measured part
	server  Usage          // at that time
	first   sync.WaitGroup // the call that sets own and server
	running sync.WaitGroup // calls of OwnUsage, ServerUsage and Judge

	nextProgress time.Duration
	nextUsage    time.Duration
}

const (
	progressInterval = 100 * time.Millisecond // of the progress and the target rate
	usageInterval    = time.Second            // of the server's usage and the status of the thresholds
)

func newWatch(e *engine, m *Measurement) *watch {
	e.Meter.SetPhase(e.phases[0])
	return &watch{engine: e, m: m}
}

// at handles the events of the watch that are due by the time now. The pacing
// goroutine calls it with each reading of its clock, before it handles its own events
// of that time. The error is a *NoMedianError.
func (w *watch) at(now time.Duration) error {
	if !w.begun && now >= w.warmUp {
		w.begun = true
		if err := w.freeze(); err != nil {
			return err
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
		if w.Progress != nil {
			w.Progress(now, w.pacer.End())
		}
	}
	if now >= w.nextUsage {
		w.nextUsage = now + usageInterval
		if w.ServerUsage != nil {
			w.running.Go(w.reportUsage)
		}
		if w.Judge != nil && w.begun {
			w.running.Go(func() { w.judge(now - w.warmUp) })
		}
	}
	return nil
}

// judge sets the status of the thresholds in the meter, and ends the run if one of
// them demands it.
func (w *watch) judge(at time.Duration) {
	s := w.Judge(w.soFar(), at)
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
	arrivals := w.arrivals
	w.mu.Unlock()
	l := &reports.Load{Arrivals: arrivals}
	l.Beacons.Sent = w.beacons.sent.Load()
	all := &kind{}
	for o := range operations {
		k := w.measured.copied(o)
		if k == nil {
			continue
		}
		l.Operations = append(l.Operations, k.times(scenarios.LoadOperations[o]))
		all.merge(k)
	}
	l.All = all.times(allOperations)
	return l
}

// reportUsage sets the server's usage in the meter.
func (w *watch) reportUsage() {
	if u, ok := w.ServerUsage(); ok && u.HasGCPause { // a server that stands still has none
		w.Meter.SetServerUse(reports.ServerUse{UserSeconds: u.User.Seconds(), SystemSeconds: u.System.Seconds(),
			GCPauseSeconds: u.GCPause.Seconds(), ResidentBytes: u.ResidentBytes})
	}
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
		w.m.Own, w.m.HasOwn = own.since(w.own), hasOwn && w.m.HasOwn
		w.m.Server, w.m.HasServer = server.since(w.server), hasServer && w.m.HasServer
	})
}

func used(of func() (Usage, bool)) (Usage, bool) {
	if of == nil {
		return Usage{}, false
	}
	return of()
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
	var all [operations]time.Duration
	var frozen [operations]bool
	for _, name := range w.Traffic.AwaitedOperations() {
		o := operationNamed(name)
		given, ok := w.Traffic.Expected[name]
		if !ok {
			if given, ok = w.warm.median(o); !ok {
				n := w.warm.outcomes(o)
				return &NoMedianError{
					w.warmUp, w.warm.lag(), name, w.tallies[0].begun[o].Load(), n[Failed], n[Unknown], w.outage.lasting(),
				}
			}
			frozen[o] = true
		}
		all[o] = given
	}
	w.expected.Store(&all)
	w.frozen = frozen
	return nil
}

func operationNamed(name string) Operation {
	if i := slices.Index(scenarios.LoadOperations[:], name); i >= 0 {
		return Operation(i)
	}
	panic(fmt.Sprintf("load: %q is no operation", name))
}
