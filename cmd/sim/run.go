package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// batch is one `sim run`: some scenarios one after the other.
type batch struct {
	*program
	runFlags
	live    *sim.Live        // nil: in virtual time
	metrics *exporter        // nil: none are served
	history *reports.History // of --step; nil: none is kept
	names   fileNames
	inputs  []input // files that must not be overwritten
	runs    []*reports.Run
	worst   status
	printed bool // a summary stands on standard output
	full    bool // a report could not be written: no more are
	// stdoutBroken: standard output took no more: nothing is printed.
	stdoutBroken bool
}

// run runs scenarios. Each one is run, whatever became of those before it,
// until the context ends.
func (p *program) run(ctx context.Context, arguments []string) status {
	flags, help, err := parseRunFlags(arguments)
	if err != nil {
		return p.refuseFlags("run", help, err)
	}
	files, worst := p.selected(flags.paths)
	if len(files) == 0 {
		return worst
	}
	if flags.trace != "" && len(files) > 1 {
		p.complain(fmt.Errorf("--trace takes the events of one scenario, and %d are named", len(files)), "name one file")
		return invalid
	}
	live, err := flags.liveOptions()
	if err != nil {
		p.complain(err, "")
		return statusOfRunning(err)
	}
	b := &batch{program: p, live: live, runFlags: flags, names: fileNames{}, inputs: scenarioInputs(files), worst: worst}
	if err := b.refuseOverwriting(junitFile); err != nil {
		p.complain(err, "")
		return invalid
	}
	if err := b.makeFolder(); err != nil {
		p.complain(err, "name a folder that can be written with --out")
		return impossible
	}
	if err := b.serveMetrics(); err != nil {
		p.complain(err, "name a free port with --metrics, or 0 for any")
		return impossible
	}
	for _, file := range files {
		if ctx.Err() != nil {
			b.skip(file)
			continue
		}
		b.one(ctx, file)
	}
	b.finish()
	b.endMetrics(ctx)
	return b.worst
}

// skip leaves out a file after an interrupt.
func (b *batch) skip(file string) {
	fmt.Fprintf(b.stderr, "not run, being interrupted: %s\n", reports.Escape(file))
	b.worst = max(b.worst, interrupted)
}

// one runs one file and reports on it.
func (b *batch) one(ctx context.Context, file string) {
	s, err := b.load(file, b.options)
	if err != nil {
		b.notRun(file, file, err, statusOfLoading(err))
		return
	}
	b.addContacts(s)
	name := b.names.take(s.Name)
	if err := b.refuseOverwriting(append(reportFiles(name), junitFile)...); err != nil {
		b.notRun(s.Name, file, err, invalid)
		return
	}
	r, err := b.drive(ctx, s)
	if err != nil {
		b.notRun(s.Name, file, err, statusOfRunning(err))
		return
	}
	r.Repeat = repeatCommand(b.name, r.Seed, &b.runFlags, file)
	b.worst = max(b.worst, statusOfVerdict(r.Verdict))
	b.report(r, name)
}

func (b *batch) notRun(name, file string, err error, s status) {
	b.complain(err, "")
	b.worst = max(b.worst, s)
	b.runs = append(b.runs, &reports.Run{Scenario: name, File: file, Verdict: reports.NotRun, Error: err.Error()})
}

// drive lets the engine run s, with the trace that was asked for.
func (b *batch) drive(ctx context.Context, s *scenarios.Scenario) (*reports.Run, error) {
	if err := b.onlyOfLoad(s); err != nil {
		return nil, err
	}
	if b.trace == "" {
		return b.watch(ctx, s, sim.Options{Live: b.live, Load: &b.loading})
	}
	t, err := b.openTrace(b.trace)
	if err != nil {
		return nil, err
	}
	defer t.drop() // of no effect on a trace that was kept
	r, err := b.watch(ctx, s, sim.Options{Trace: t, Live: b.live, Load: &b.loading})
	switch {
	case err != nil && t.err != nil:
		return nil, t.err
	case err != nil:
		return nil, err
	}
	if err := t.keep(); err != nil {
		b.complain(err, "") // the run still counts
		b.worst = impossible
	}
	return r, nil
}

// onlyOfLoad refuses flags that would say nothing of s, and names the server of
// a load's own.
func (b *batch) onlyOfLoad(s *scenarios.Scenario) error {
	if s.Load == nil && (b.loading.Duration > 0 || b.loading.Rate > 0) {
		return &sim.Invalid{Place: s.File, Err: errors.New("--duration and --rate are of a load, and the file has no `load`")}
	}
	b.loading.Program = b.ownServer
	return nil
}

// watch lets the engine run s, with the progress line if there is to be one.
func (b *batch) watch(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*reports.Run, error) {
	if b.terminal && !b.quiet {
		p := &progress{w: b.stderr, columns: b.columns, now: b.now, name: s.Name, started: b.now()}
		o.Progress = p.show
		defer p.clear()
	}
	if !b.quiet {
		o.Warn = func(text string) { fmt.Fprintf(b.stderr, "%s: %s\n", reports.Escape(s.File), text) }
	}
	meter := b.measure(s, &o)
	result, err := b.engine(ctx, s, o)
	if err != nil {
		return nil, err
	}
	if err := b.measured(meter, s, result); err != nil {
		return nil, err
	}
	return &result.Run, nil
}

// makeFolder makes the folder of --out and tries to write there, before hours
// are spent on runs whose reports would be lost.
func (b *batch) makeFolder() error {
	if b.out == "" {
		return nil
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return fmt.Errorf("making the folder of --out: %w", err)
	}
	f, err := os.CreateTemp(b.out, ".writable.*")
	if err != nil {
		return fmt.Errorf("writing in %q: %w", b.out, errors.Unwrap(err))
	}
	return errors.Join(f.Close(), os.Remove(filepath.Clean(f.Name())))
}
