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
		w.running.Go(func() { // the pacing goes on meanwhile
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
			w.running.Go(func() { w.Meter.SetThresholds(w.Judge(w.soFar())) })
		}
	}
	return nil
}

// reportUsage sets the server's usage in the meter.
func (w *watch) reportUsage() {
	if u, ok := w.ServerUsage(); ok {
		w.Meter.SetServerUse(reports.ServerUse{UserSeconds: u.User.Seconds(), SystemSeconds: u.System.Seconds(),
			GCPauseSeconds: u.GCPause.Seconds(), ResidentBytes: u.ResidentBytes})
	}
}

// end completes the measurement at the end of the last stage. No call of OwnUsage,
// ServerUsage or Judge is in progress.
func (w *watch) end() {
	w.Meter.SetTarget(0)
	w.m.Length = max(0, min(w.now(), w.pacer.End())-w.warmUp)
	if !w.begun {
		return
	}
	w.m.Own = difference(w.OwnUsage, w.own)
	w.m.Server = difference(w.ServerUsage, w.server)
}

func used(of func() (Usage, bool)) (Usage, bool) {
	if of == nil {
		return Usage{}, false
	}
	return of()
}

// difference returns the usage since an earlier one.
func difference(of func() (Usage, bool), before Usage) Usage {
	u, ok := used(of)
	if !ok {
		return Usage{}
	}
	u.User -= before.User
	u.System -= before.System
	u.GCPause -= before.GCPause
	return u
}

// NoMedianError is the error of a run whose warm-up had no answered operation of some
// kind, so that the median response time of this kind is not known.
type NoMedianError struct {
	WarmUp    time.Duration
	Lag       time.Duration // p99 of the schedule lag in it
	Operation string
	Failed    uint64 // number of these operations that failed
}

func (e *NoMedianError) Error() string {
	came := "none was tried"
	if e.Failed > 0 {
		came = fmt.Sprintf("%d failed", e.Failed)
	}
	return fmt.Sprintf("in the warm-up of %v no %s was answered as it should be (%s): is the server there, "+
		"and does it speak the protocol? Else make `warm_up` longer; the median of these says when the next "+
		"operation is due, unless `expected: {%s: …}` does", e.WarmUp, e.Operation, came, e.Operation)
}

// freeze sets the expected response times for the measured part.
func (w *watch) freeze() error {
	var all [operations]time.Duration
	for _, name := range w.Traffic.AwaitedOperations() {
		o := operationNamed(name)
		given, ok := w.Traffic.Expected[name]
		if !ok {
			if given, ok = w.warm.median(o); !ok {
				return &NoMedianError{w.warmUp, w.warm.lag(), name, w.warm.failed(o)}
			}
			w.frozen[o] = true
		}
		all[o] = given
	}
	w.expected.Store(&all)
	return nil
}

func operationNamed(name string) Operation {
	if i := slices.Index(scenarios.LoadOperations[:], name); i >= 0 {
		return Operation(i)
	}
	panic(fmt.Sprintf("load: %q is no operation", name))
}
