package main

import (
	"bufio"
	"cmp"
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
	names   fileNames
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
	b := &batch{program: p, runFlags: flags, names: fileNames{}, worst: worst}
	if err := b.makeFolder(); err != nil {
		p.complain(err, "name a folder that can be written with --out")
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
	return b.worst
}

// skip leaves out a file after an interrupt.
func (b *batch) skip(file string) {
	fmt.Fprintf(b.stderr, "not run, being interrupted: %s\n", reports.Plain(file))
	b.worst = max(b.worst, interrupted)
}

// one runs one file and reports on it.
func (b *batch) one(ctx context.Context, file string) {
	s, err := b.load(file, b.options)
	if err != nil {
		b.notRun(file, file, err, statusOfLoading(err))
		return
	}
	r, err := b.drive(ctx, s)
	if err != nil {
		b.notRun(s.Name, file, err, statusOfRunning(err))
		return
	}
	r.Repeat = repeatCommand(b.name, r.Seed, b.sets, file)
	b.worst = max(b.worst, statusOfVerdict(r.Verdict))
	b.report(r)
}

func (b *batch) notRun(name, file string, err error, s status) {
	b.complain(err, "")
	b.worst = max(b.worst, s)
	b.runs = append(b.runs, &reports.Run{Scenario: name, File: file, Verdict: reports.NotRun, Error: err.Error()})
}

// drive lets the engine run s, with the trace file and the progress line that
// were asked for.
func (b *batch) drive(ctx context.Context, s *scenarios.Scenario) (*reports.Run, error) {
	var o sim.Options
	if b.trace != "" {
		f, err := os.Create(b.trace)
		if err != nil {
			return nil, fmt.Errorf("creating the trace: %w", err)
		}
		w := bufio.NewWriterSize(f, 1<<16)
		o.Trace = w
		defer b.closeTrace(w, f)
	}
	if b.terminal && !b.quiet {
		p := &progress{w: b.stderr, columns: b.columns, now: b.now, name: s.Name, started: b.now()}
		o.Progress = p.show
		defer p.clear()
	}
	result, err := b.engine(ctx, s, o)
	if err != nil {
		return nil, err
	}
	return &result.Run, nil
}

// closeTrace complains of a trace that is not whole; the run still counts.
func (b *batch) closeTrace(w *bufio.Writer, f *os.File) {
	if err := cmp.Or(w.Flush(), f.Close()); err != nil {
		b.complain(fmt.Errorf("writing the trace: %w", err), "")
		b.worst = impossible
	}
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
