package load

import (
	"fmt"
	"sync"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// watch sees to what happens once at a time: the end of the warm-up, progress.
type watch struct {
	*engine
	m        *Measurement
	begun    bool // the measured part
	own      Usage
	server   Usage
	looking  sync.WaitGroup // at what has been used
	nextTell time.Duration
	nextLook time.Duration
}

// tellEvery is how often progress and the asked rate are told; lookEvery, how
// often what the server uses and how the thresholds stand.
const (
	tellEvery = 100 * time.Millisecond
	lookEvery = time.Second
)

func newWatch(e *engine, m *Measurement) *watch {
	e.Meter.SetPhase(e.phases[0])
	return &watch{engine: e, m: m}
}

// at is called with every time that the pacing goroutine sees, before what is
// due then.
func (w *watch) at(now time.Duration) error {
	if !w.begun && now >= w.warmUp {
		w.begun = true
		if err := w.freeze(); err != nil {
			return err
		}
		w.Meter.SetPhase(w.phases[1])
		w.looking.Go(func() { // the pace goes on meanwhile
			w.own, w.m.HasOwn = used(w.OwnUsage)
			w.server, w.m.HasServer = used(w.ServerUsage)
		})
	}
	if now >= w.nextTell {
		w.nextTell = now + tellEvery
		w.Meter.SetTarget(w.pacer.Rate(now))
		if w.Progress != nil {
			w.Progress(now, w.pacer.End())
		}
	}
	if now >= w.nextLook {
		w.nextLook = now + lookEvery
		if w.ServerUsage != nil {
			w.looking.Go(w.tellUse)
		}
		if w.Judge != nil && w.begun {
			w.looking.Go(func() { w.Meter.SetThresholds(w.Judge(w.present())) })
		}
	}
	return nil
}

// tellUse feeds the meter with what the server has used.
func (w *watch) tellUse() {
	if u, ok := w.ServerUsage(); ok {
		w.Meter.SetServerUse(reports.ServerUse{UserSeconds: u.User.Seconds(), SystemSeconds: u.System.Seconds(),
			GCPauseSeconds: u.GCPause.Seconds(), ResidentBytes: u.ResidentBytes})
	}
}

// ended closes what was measured, at the end of the last stage; nobody looks any
// more.
func (w *watch) ended() {
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

// difference is what was used since before.
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

// NoMedianError is the error of a run in whose warm-up nothing of a kind was
// answered.
type NoMedianError struct {
	WarmUp    time.Duration
	Lag       time.Duration // p99 of the generator's own in it
	Operation string
	Failed    uint64 // of these operations
}

func (e *NoMedianError) Error() string {
	came := "none was tried"
	if e.Failed > 0 {
		came = fmt.Sprintf("%d failed", e.Failed)
	}
	return fmt.Sprintf("in the warm-up of %v no %s was answered as it should be (%s): is the server there, and does it speak the protocol? Else make `warm_up` longer; the median of these says when the next operation is due, unless `expected: {%s: …}` does",
		e.WarmUp, e.Operation, came, e.Operation)
}

// freeze decides the expected response times for the measured part.
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
	for i, n := range scenarios.LoadOperations {
		if n == name {
			return Operation(i)
		}
	}
	panic(fmt.Sprintf("load: %q is no operation", name))
}
