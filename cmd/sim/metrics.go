package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/spf13/pflag"

	"bluetrace/cmd/internal/scraping"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// metricsFlags are the settings of a run's metrics.
type metricsFlags struct {
	address string // host:port of --metrics; empty if no metrics are served
	linger  time.Duration
	step    time.Duration // 0 if no history is written
}

const maxLinger = time.Minute

func (f *metricsFlags) define(set *pflag.FlagSet) {
	set.StringVar(&f.address, "metrics", "",
		"serve the metrics at `HOST:PORT`, path /metrics; a port alone is on\nthe loopback, port 0 is any free one")
	set.DurationVar(&f.linger, "linger", 0, "with --metrics: serve them after the end until they are read "+
		"once\nmore, for at most this `DURATION`, up to 1m")
}

// defineStep defines the flag of a run's history.
func (f *metricsFlags) defineStep(set *pflag.FlagSet) {
	set.DurationVar(&f.step, "step", 0, "with --out: write the metrics at every `DURATION` of virtual time "+
		"to\nNAME.steps.openmetrics.txt, for Prometheus to import")
}

// check validates the flags and completes the address.
func (f *metricsFlags) check(set *pflag.FlagSet) error {
	switch {
	case set.Changed("linger") && !set.Changed("metrics"):
		return errors.New("--linger needs --metrics")
	case set.Changed("linger") && (f.linger <= 0 || f.linger > maxLinger):
		return fmt.Errorf("invalid --linger %v: must be above 0 and at most %v", f.linger, maxLinger)
	case set.Changed("step") && f.step < time.Millisecond:
		return fmt.Errorf("invalid --step %v: must be 1ms or more", f.step)
	case set.Changed("step") && !set.Changed("out"):
		return errors.New("--step needs --out, where it writes a file")
	case set.Changed("step") && set.Changed("live"):
		return errors.New("--step cannot be used with --live: use --metrics and scrape the run")
	case !set.Changed("metrics"):
		return nil
	}
	var err error
	f.address, err = scraping.ParseAddress(f.address)
	return err
}

// serve starts to serve metrics and pages. It returns nil without --metrics.
func (f *metricsFlags) serve(o *output, quiet bool) (*exporter, error) {
	if f.address == "" {
		return nil, nil
	}
	e, err := newExporter(f.address, newPages(o.after))
	if err != nil {
		return nil, err
	}
	if _, port, _ := net.SplitHostPort(f.address); port == "0" || !quiet {
		fmt.Fprintf(o.stderr, "metrics at http://%s/metrics\n", e.Address())
	}
	if !quiet {
		fmt.Fprintf(o.stderr, "the run as a page at http://%s/\n", e.Address())
	}
	return e, nil
}

// updateEvery is the wall time between two updates of the served metrics.
const updateEvery = 500 * time.Millisecond

// newMeter returns the meter of a run, and sets the options of the run that
// update it. It returns nil if no flag needs a meter.
func (r *runCommand) newMeter(s *scenarios.Scenario, o *sim.Options) *reports.Meter {
	step := r.metrics.step
	r.history = nil
	if r.exporter == nil && step == 0 {
		return nil
	}
	id := fmt.Sprintf("%s-%d", r.now().UTC().Format("20060102T150405Z"), len(r.runs)+1)
	m := reports.NewMeter(s.Name, id)
	m.SetThresholds(0, 0, len(s.Thresholds))
	o.Meter = m
	if r.exporter != nil {
		r.exporter.add(m.Gatherer())
		r.updateDuringRun(m, o, newCourse(s))
	}
	switch {
	case step > 0 && s.Load != nil:
		fmt.Fprintf(r.stderr, "%s: --step writes no file for a load: scrape it with --metrics\n",
			reports.Escape(s.File))
	case step > 0:
		r.history = &reports.History{}
		o.Step = step
		o.Stepped = func(at sim.Progress) {
			r.update(m, at.Run())
			r.addToHistory(m, s, at.At)
		}
	}
	return m
}

// updateDuringRun updates the meter and the live page at intervals of wall time, with the run's progress.
func (r *runCommand) updateDuringRun(m *reports.Meter, o *sim.Options, c *course) {
	r.exporter.pages.begin(c.live)
	next := o.Progress
	var updated time.Time
	o.Progress = func(at sim.Progress) {
		if now := r.now(); now.Sub(updated) >= updateEvery {
			updated = now
			var run *reports.Run
			if at.Run != nil {
				run = at.Run()
				r.update(m, run)
			}
			c.update(now, &at, run)
		}
		if next != nil {
			next(at)
		}
	}
}

func (r *runCommand) update(m *reports.Meter, run *reports.Run) {
	if err := m.SetResult(run); err != nil {
		r.raise(r.fail(err, "", statusError))
	}
}

// addToHistory adds the meter's values to the history, with a virtual time.
func (r *runCommand) addToHistory(m *reports.Meter, s *scenarios.Scenario, at time.Duration) {
	if r.history == nil {
		return
	}
	if err := r.history.Add(time.Unix(s.Start, 0).Add(at), m.Gatherer()); err != nil {
		r.raise(r.fail(fmt.Errorf("%s: %w", s.File, err), "choose a longer --step", statusError))
		r.history = nil
	}
}

// showEnd shows the result of a run on its live page.
func (r *runCommand) showEnd(run *reports.Run, name string) {
	if r.exporter == nil {
		return
	}
	if name == "" {
		name = r.names.take(run.Scenario)
	}
	var err error
	if run.Page, err = r.exporter.pages.end(run, name); err != nil {
		r.raise(r.fail(err, "", statusError))
	}
}

// finalPage returns the writer of the page that is served after all runs: that of one run, or of several runs.
func (r *runCommand) finalPage() pageWriter {
	switch {
	case r.exporter == nil || len(r.runs) == 0:
		return nil
	case len(r.runs) > 1:
		return func(w io.Writer) error { return writeIndex(w, r.runs, r.program) }
	}
	kept := r.exporter.pages.kept[r.runs[0].Page]
	if kept == nil {
		return nil
	}
	return func(w io.Writer) error { _, err := w.Write(kept); return err }
}

// exporter serves the metrics of runs and of this process, and the pages of the runs, over HTTP.
type exporter struct {
	*scraping.Server
	pages *pages

	mu   sync.Mutex
	runs prometheus.Gatherers

	scraped   atomic.Bool   // the metrics were read while a run lasted
	final     atomic.Bool   // the runs have ended
	finalRead chan struct{} // closed when the final metrics were read
	closeOnce sync.Once     // of finalRead
}

func newExporter(address string, p *pages) (*exporter, error) {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e := &exporter{pages: p, runs: prometheus.Gatherers{process}, finalRead: make(chan struct{})}
	metrics := scraping.Handler(prometheus.GathererFunc(e.gather))
	var err error
	e.Server, err = scraping.Listen(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		final := e.final.Load()
		metrics.ServeHTTP(w, r)
		switch {
		case r.Method != http.MethodGet:
		case final:
			e.closeOnce.Do(func() { close(e.finalRead) })
		default:
			e.scraped.Store(true)
		}
	}), p.routes())
	if err != nil {
		return nil, fmt.Errorf("serving metrics at %q: %w", address, err)
	}
	return e, nil
}

// add serves the metrics of one more run. Those of earlier runs stay.
func (e *exporter) add(g prometheus.Gatherer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.runs = append(e.runs, g)
}

func (e *exporter) gather() ([]*dto.MetricFamily, error) {
	e.mu.Lock()
	runs := e.runs
	e.mu.Unlock()
	return runs.Gather()
}

// linger waits until a request that began after this call has read the metrics, and each browser that followed the run
// has read the final page, or until timeout, or until ctx is cancelled. It does not wait for a reader of the metrics if
// only browsers have read anything.
func (e *exporter) linger(ctx context.Context, browsers int, timeout <-chan time.Time) {
	e.final.Store(true)
	metrics := e.finalRead
	if browsers > 0 && !e.scraped.Load() {
		metrics = nil
	}
	for metrics != nil || browsers > 0 {
		select {
		case <-metrics:
			metrics = nil
		case <-e.pages.read:
			browsers--
		case <-timeout:
			return
		case <-ctx.Done():
			return
		}
	}
}

// end serves the final metrics and the final page for the time of --linger, and closes the server, which may be nil.
// page writes the final page; if it is nil, the live page stays.
func (e *exporter) end(ctx context.Context, o *output, f *metricsFlags, quiet bool, page pageWriter) {
	if e == nil {
		return
	}
	lingers := f.linger > 0 && ctx.Err() == nil
	streams, err := e.pages.finish(page, lingers)
	if err != nil {
		o.raise(o.fail(err, "", statusError))
	}
	if lingers {
		if !quiet {
			fmt.Fprintf(o.stderr, "metrics are served until they are read once more, for at most %v\n", f.linger)
		}
		e.linger(ctx, streams, o.after(f.linger))
	}
	if err := e.Close(); err != nil {
		o.raise(o.fail(fmt.Errorf("serving the metrics: %w", err), "", statusError))
	}
}
