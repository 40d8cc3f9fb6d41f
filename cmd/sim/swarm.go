package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/shrink"
	"bluetrace/sim/swarm"
)

// brood is one `sim swarm`.
type brood struct {
	*program
	swarmFlags
	summary *swarm.Summary
	bases   []*scenarios.Scenario
	began   time.Time
	worst   status
	// failed is set at the first failure.
	failed atomic.Bool
}

// Bounds of one run: classroom, the whole lesson under faults, has about a
// hundred thousand events and takes a tenth of a second.
const (
	mostEvents = 50_000_000
	mostWall   = 2 * time.Minute
)

// swarm runs scenarios with many seeds until they, the time or the context end.
func (p *program) swarm(ctx context.Context, arguments []string) status {
	flags, help, err := parseSwarmFlags(arguments)
	if err != nil {
		return p.refuseFlags("swarm", help, err)
	}
	b := &brood{program: p, swarmFlags: flags, summary: swarm.NewSummary(), began: p.now()}
	if b.merge {
		return b.mergeFiles()
	}
	if s := b.takeBases(); s != held {
		return s
	}
	if err := (&batch{program: p, runFlags: runFlags{out: b.out}}).makeFolder(); err != nil {
		p.complain(err, "name a folder that can be written with --out")
		return impossible
	}
	defer collectRarely()()
	b.run(ctx)
	b.shrinkAll(ctx)
	b.finish()
	return b.worst
}

// takeBases reads the scenarios, all of which must be good.
func (b *brood) takeBases() status {
	files, worst := b.selected(b.paths)
	if worst != held {
		return worst
	}
	for _, file := range files {
		s, err := b.load(file, b.options)
		if err != nil {
			b.complain(err, "")
			worst = max(worst, statusOfLoading(err))
			continue
		}
		if s.Load != nil {
			b.complain(fmt.Errorf("%s is a load run, on real sockets: a swarm is in virtual time", file), "leave it out")
			worst = max(worst, invalid)
		}
		b.bases = append(b.bases, s)
	}
	return worst
}

// run lets the seeds run.
func (b *brood) run(ctx context.Context) {
	progress := &swarmProgress{brood: b}
	o := swarm.Options{
		Bases: b.bases, Seeds: b.untilTimeIsUp(), Jobs: b.jobs, Twice: b.twice, Marks: true, Engine: b.engine,
		Limits: swarm.Limits{Events: mostEvents, Wall: mostWall, After: b.after},
		Each: func(out *swarm.Outcome) {
			if b.failFast && b.failed.Load() {
				return // it was begun before
			}
			b.summary.Add(out)
			b.failed.Store(b.summary.Failed > 0)
			if b.verbose && b.text {
				progress.end()
				b.say(out)
			}
			progress.show()
		},
	}
	err := swarm.Run(ctx, o)
	progress.end()
	b.summary.Jobs = b.jobs
	b.summary.WallSeconds = b.now().Sub(b.began).Seconds()
	for i := range b.summary.Failures {
		g := &b.summary.Failures[i]
		g.Repeat = b.repeat(g)
	}
	if err != nil {
		b.worst = max(b.worst, interrupted)
		if b.summary.Verdict == reports.Passed {
			b.summary.Verdict = reports.Interrupted
		}
	}
	if b.summary.Runs == 0 && err == nil {
		b.complain(errors.New("no seed was run"), "give --for more time")
		b.worst = max(b.worst, invalid)
	}
}

// untilTimeIsUp are the seeds that begin in time, and with --fail-fast before
// the first failure.
func (b *brood) untilTimeIsUp() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for seed := range b.seeds.Seeds() {
			if b.failFast && b.failed.Load() || b.lasts > 0 && b.now().Sub(b.began) >= b.lasts || !yield(seed) {
				return
			}
		}
	}
}

// repeat is what a shell runs to see a failure again.
func (b *brood) repeat(g *swarm.Group) string {
	words := []string{b.name, "swarm", "--seeds", fmt.Sprintf("%d-%d", g.Seed, g.Seed), "--verbose"}
	if g.Check.Name == swarm.SameRun {
		words = append(words, "--twice", "1")
	}
	for _, set := range b.sets {
		words = append(words, "--set", shellQuoted(set))
	}
	file := g.File
	if strings.HasPrefix(file, "-") {
		file = "./" + file
	}
	return strings.Join(append(words, shellQuoted(file)), " ")
}

// say prints what a seed drew, and what came of it.
func (b *brood) say(out *swarm.Outcome) {
	var t strings.Builder
	fmt.Fprintf(&t, "seed %d of %s: %s, %s, %.0f s, %s", out.Plan.Seed, reports.Plain(out.Base.File), out.Verdict,
		reports.Plural(out.Plan.Phones, "phone", "phones"), out.VirtualSeconds, reports.Plural(out.Events, "event", "events"))
	if out.Digest != "" {
		fmt.Fprintf(&t, ", digest %s", out.Digest)
	}
	t.WriteString("\n")
	for _, line := range out.Plan.Drawn {
		fmt.Fprintf(&t, "  %s\n", reports.Plain(line))
	}
	for i := range out.Failures {
		fmt.Fprintf(&t, "  FAILED %s\n", reports.Plain(out.Failures[i].Cause))
	}
	b.worst = max(b.worst, b.print(t.String()))
}

// shrinkAll writes, for each cause, the scenario in which it was first seen, as
// it was drawn and made small.
func (b *brood) shrinkAll(ctx context.Context) {
	if b.out == "" {
		return
	}
	names := fileNames{}
	for _, g := range b.summary.Sorted() {
		base := b.base(g.File)
		name := names.take(swarm.FileName(g.Cause))
		drawn, _ := swarm.Draw(base, g.Seed)
		drawn.File = filepath.Join(b.out, "drawn-"+name+".yaml")
		if !b.write(drawn.File, func(w io.Writer) error { _, err := w.Write(drawn.AppendYAML(nil)); return err }) {
			return
		}
		g.Drawn = drawn.File
		if b.shrinks && ctx.Err() == nil {
			b.shrink(ctx, base, g, "found-"+name)
		}
	}
}

// shrink makes one failure small, as far as its time goes.
func (b *brood) shrink(ctx context.Context, base *scenarios.Scenario, g *swarm.Group, name string) {
	began := b.now()
	path := filepath.Join(b.out, name+".yaml")
	limits := shrink.Limits{Until: func() bool { return b.now().Sub(began) >= b.shrinkTime }}
	if b.terminal {
		fmt.Fprintf(b.stderr, "\rshrinking %s\x1b[K", reports.Plain(name))
		defer fmt.Fprint(b.stderr, "\r\x1b[K")
	}
	small, err := swarm.Shrink(ctx, base, g, name, path, limits)
	switch {
	case err != nil:
		g.ShrunkNote = "none: " + err.Error()
	case small == nil:
		g.ShrunkNote = "none: this is not shrunk"
	case b.write(path, func(w io.Writer) error { _, err := w.Write(small.File); return err }):
		g.Shrunk, g.ShrunkNote = path, small.Note
	}
}

func (b *brood) base(file string) *scenarios.Scenario {
	for _, s := range b.bases {
		if s.File == file {
			return s
		}
	}
	return b.bases[0]
}

// mergeFiles merges the results of other swarms.
func (b *brood) mergeFiles() status {
	if len(b.paths) == 0 {
		b.complain(errors.New("no result was named"), "name the JSON files of swarms, such as a/swarm.json b/swarm.json")
		return invalid
	}
	for _, path := range b.paths {
		one, err := readSummary(path)
		if err != nil {
			b.complain(err, "")
			return max(b.worst, statusOfFinding(err))
		}
		b.summary.Merge(one)
	}
	if err := (&batch{program: b.program, runFlags: runFlags{out: b.out}}).makeFolder(); err != nil {
		b.complain(err, "name a folder that can be written with --out")
		return impossible
	}
	b.finish()
	return b.worst
}

func readSummary(path string) (*swarm.Summary, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	s, err := swarm.ReadJSON(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Names of a swarm's files.
const (
	swarmText = "swarm.txt"
	swarmJSON = "swarm.json"
)

// finish prints the summary and writes its files.
func (b *brood) finish() {
	if missing := b.summary.Unreached(); b.requireMarks && (len(missing) > 0 || len(b.summary.Marks) == 0) {
		b.summary.Verdict = reports.Failed
	}
	b.worst = max(b.worst, statusOfVerdict(b.summary.Verdict))
	if b.out != "" {
		_ = b.write(filepath.Join(b.out, swarmText), func(w io.Writer) error { return b.summary.Text(w, swarm.TextOptions{Drawn: true}) }) &&
			b.write(filepath.Join(b.out, swarmJSON), b.summary.JSON)
	}
	if b.text {
		b.show(func(w io.Writer) error {
			return b.summary.Text(w, swarm.TextOptions{Color: b.colour && !b.noColor, Drawn: b.verbose})
		})
	}
	if b.json {
		b.show(b.summary.JSON)
	}
}

// show writes to standard output, and complains when that fails.
func (b *brood) show(write func(io.Writer) error) {
	if err := write(b.stdout); err != nil {
		b.complain(fmt.Errorf("printing to standard output: %w", err), "")
		b.worst = impossible
	}
}

// write writes a file of --out, whole or not at all.
func (b *brood) write(path string, write func(io.Writer) error) bool {
	if err := reports.WriteFile(path, write); err != nil {
		b.complain(err, "")
		b.worst = impossible
		return false
	}
	return true
}

// swarmProgress redraws one line on a terminal.
type swarmProgress struct {
	*brood
	drawn time.Time
}

func (p *swarmProgress) show() {
	now := p.now()
	if !p.terminal || now.Sub(p.began) < progressAfter || now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn = now
	s := p.summary
	line := fmt.Sprintf("%s, %s failed, %.1f per second", reports.Plural(s.Runs, "run", "runs"), reports.Grouped(s.Failed),
		float64(s.Runs)/now.Sub(p.began).Seconds())
	if len(line) >= p.columns() {
		line = line[:p.columns()-1]
	}
	fmt.Fprintf(p.stderr, "\r%s\x1b[K", line)
}

// end takes the line away.
func (p *swarmProgress) end() {
	if !p.drawn.IsZero() {
		fmt.Fprint(p.stderr, "\r\x1b[K")
		p.drawn = time.Time{}
	}
}
