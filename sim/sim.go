// Package sim runs scenarios. A run has a world (sim/virtual or sim/live), parts that act on it (script, routines,
// contacts, faults, adversaries) and observers of its events (records, invariants, expectations). The measures evaluate
// the checks and report the run. A scenario with a load runs in sim/load instead.
package sim

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"bluetrace/nodes/files"
	"bluetrace/protocol/dialect"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/event"
)

// Options are the options of one run.
type Options struct {
	// Trace gets one readable line for each event. It may be nil.
	Trace io.Writer
	// Events gets one JSON object for each event, or for each operation of a load, one in a line (docs/EVENTS.md). It
	// may be nil. With EventsCSV, those of a load are CSV.
	Events    io.Writer
	EventsCSV bool
	// Scene requests the Scene of the result, for the page of the run. A load has none.
	Scene bool
	// SceneEvents is the number of events before each moment of the Scene, up to scene.MaxEvents, or 0 for the usual
	// one.
	SceneEvents int
	// Pcap gets the packets of a run in virtual time, in pcapng: all of them, or those that the node PcapAt sends and
	// receives. Pcap may be nil, and PcapAt empty.
	Pcap   io.Writer
	PcapAt string
	// Perfetto gets the run as a trace of TrackEvents. It may be nil.
	Perfetto io.Writer
	// Progress is called every few thousand events in virtual time, and ten times a second in a live run. It may be
	// nil.
	Progress func(Progress)
	// Warn is called before a load with each limit of this machine that the load may exceed. It may be nil. The notes
	// of the run contain the warnings too.
	Warn func(text string)
	// Stepped is called in virtual time at time zero and then every Step, after the events up to that time. It is never
	// called if Step is 0.
	Step    time.Duration
	Stepped func(Progress)
	// Meter receives the figures of a load during its run. It may be nil. For other runs, the caller passes them to the
	// meter in Progress.
	Meter *reports.Meter
	// Live requests a run on real sockets. If it is nil, the run is in virtual time.
	Live *Live
	// Dialect is the wire between this project's phones and its server in virtual time; nil for that of PROTOCOL.md.
	// The messages of every program pass the translators of both sides. A live run has Live.Dialect.
	Dialect *dialect.Dialect
	// Load is required by a scenario with a load. A load always uses real sockets. For it, Live only names a remote
	// server.
	Load *Load

	// WithoutDelays leaves out the Operations of the result. This saves time in many short runs.
	WithoutDelays bool
	// Commanded is called for each action of a routine, an adversary or the script, with a step that does the same at
	// the given time. It may be nil.
	Commanded func(at time.Duration, st scenarios.Step)
	// Subscribe subscribes observers to the events of the run. At each event they are called before the invariants and
	// the script. It may be nil.
	Subscribe func(*event.Stream)

	// Unsynced plants a bug in a run in virtual time: the server does not sync its files, so that a crash loses records
	// that were acknowledged. The checks must find it.
	Unsynced bool

	// Tests set a function that gets the run before it begins, and a folder for the files of the server. Both may be
	// nil.
	built  func(*run)
	folder *files.Memory
}

// Progress is the progress of a run.
type Progress struct {
	At, Length time.Duration // of the world's time; Length is 0 if it is not known
	Events     uint64
	// Doing describes the step of a search, or the step that the script of a live run waits for. It may be empty.
	Doing string
	Load  *reports.LoadNow // nil for a run without a load
	// Run reports the run until now, without its checks. It is nil in a load run. It must be called before the callback
	// returns, and the histograms of its result must not be read later.
	Run func() *reports.Run
	// Checks returns the checks until now; those that are not decided are Unknown. Of a load it returns the thresholds.
	// It must be called before the callback returns.
	Checks func() []reports.Check
}

// Result is the result of one scenario.
type Result struct {
	Run reports.Run
	// Ended is the time since time zero at which the run ended. It is 0 for a load.
	Ended time.Duration
}

// Invalid is the error of a run whose input is wrong although the parser accepted the scenario: for example, a trace
// file is missing or has too many people.
type Invalid struct {
	Place string // file:line:column of the key that names the input
	Err   error
}

func (e *Invalid) Error() string {
	if e.Place == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %s", e.Place, e.Err)
}

func (e *Invalid) Unwrap() error { return e.Err }

// Broken is the error of a run that found an error in the program itself: a state machine or the world violated a rule
// of its own and panicked.
type Broken struct {
	Why string
	// At and Around are the time of the error and the last events before it. They are empty in a live run, and if the
	// error came before the first event.
	At     time.Duration
	Around []string
	Stack  []byte
}

func (e *Broken) Error() string {
	return "the program itself is wrong, not the scenario; please report it with the scenario and its seed: " + e.Why
}

// broke returns the error of a run that panicked. r is nil if the panic came before the run was prepared.
func (r *run) broke(why any, stack []byte) (b *Broken) {
	b = &Broken{Why: fmt.Sprint(why), Stack: stack}
	if r == nil || r.options.Live != nil {
		return b
	}
	defer func() { _ = recover() }() // a world that violated a rule of its own may panic again
	b.At, b.Around = r.world.Now(), r.records.Recent(-1, maxEventsAround)
	return b
}

// Run runs a scenario. If ctx is cancelled during the run, the result is that until then, with the verdict Interrupted.
// If ctx is cancelled before the first event, the error is that of ctx. The error is an *Invalid if the input of the
// scenario is wrong, a *Broken if the program is, and another error if the run was not possible.
func Run(ctx context.Context, s *scenarios.Scenario, o Options) (result *Result, err error) {
	began := time.Now()
	var r *run
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, r.broke(p, debug.Stack())
		}
	}()
	if o.Live == nil || s.Load != nil {
		if err := refusePrograms(s); err != nil {
			return nil, err
		}
	}
	if s.Load != nil {
		return runLoad(ctx, s, o)
	}
	if r, err = newRun(ctx, s, o); err != nil {
		return nil, err
	}
	defer func() {
		if e := r.closeWorld(); e != nil && err == nil {
			result, err = nil, e
		}
	}()
	played := r.play(ctx)
	for _, end := range r.exported {
		if err := end(); err != nil {
			return nil, err
		}
	}
	if err := r.failure(played); err != nil {
		return nil, err
	}
	result = r.outcome(played != nil)
	result.Run.WallSeconds = seconds(time.Since(began))
	result.Run.PeakRSSBytes = peakRSS()
	return result, nil
}

// Ready checks the input of a scenario, and reads recorded contacts completely. It returns the error that Run would
// return before the first event, or nil.
func Ready(ctx context.Context, s *scenarios.Scenario) error {
	r, err := newRun(ctx, s, Options{})
	if err != nil {
		return err
	}
	return r.closeWorld()
}
