package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/swarm"
)

// brood is one `sim swarm`.
type brood struct {
	*program
	swarmFlags
	summary *swarm.Summary
	bases   []*scenarios.Scenario
	inputs  []input // files that must not be overwritten
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
	b.summary.Build = sim.Build()
	if b.merge {
		return b.mergeFiles()
	}
	if b.seeds.Truncated {
		fmt.Fprintf(p.stderr, "of the long number the first %d digits count: the first seed is %d\n", swarm.HashDigits, b.seeds.First)
	}
	if s := b.takeBases(ctx); s != held {
		return s
	}
	if s := b.makeRoom(); s != held {
		return s
	}
	defer collectRarely()()
	b.run(ctx)
	b.shrinkAll(ctx)
	b.finish()
	return b.worst
}

// takeBases reads the scenarios, all of which must be good.
func (b *brood) takeBases(ctx context.Context) status {
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
			continue
		}
		if err := ready(ctx, s); err != nil {
			b.complain(err, "")
			worst = max(worst, statusOfRunning(err))
			continue
		}
		b.bases = append(b.bases, s)
		b.inputs = append(b.inputs, input{"the scenario", file})
		b.inputs = append(b.inputs, contactInputs(s)...)
	}
	return worst
}

// ready reads recorded contacts, so that what is wrong with them is no failure of
// every seed.
func ready(ctx context.Context, s *scenarios.Scenario) error {
	if len(s.Contacts.Trace) == 0 {
		return nil
	}
	return sim.Ready(ctx, s)
}

// run lets the seeds run.
func (b *brood) run(ctx context.Context) {
	progress := &swarmProgress{brood: b}
	o := swarm.Options{
		Bases: b.bases, Seeds: b.untilTimeIsUp(), Jobs: b.jobs, RepeatEvery: b.twice, Situations: true, Engine: b.engine,
		Limits: swarm.Limits{Events: mostEvents, Wall: mostWall, Timer: b.after},
		OnOutcome: func(out *swarm.Outcome) {
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
	b.summary.Jobs = int(min(uint64(b.jobs), b.summary.Runs+b.summary.Repeated)) // those that had something to do
	b.summary.WallSeconds = b.now().Sub(b.began).Seconds()
	for i := range b.summary.Failures {
		g := &b.summary.Failures[i]
		g.Repeat = b.repeat(g)
	}
	if err != nil {
		b.worst = max(b.worst, interrupted)
		b.summary.SetInterrupted("interrupted")
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
	fmt.Fprintf(&t, "seed %d of %s: %s, %s, %.0f s, %s", out.Plan.Seed, reports.Escape(out.Base.File), out.Verdict,
		reports.Plural(out.Plan.Phones, "phone", "phones"), out.VirtualSeconds, reports.Plural(out.Events, "event", "events"))
	if out.Digest != "" {
		fmt.Fprintf(&t, ", digest %s", out.Digest)
	}
	t.WriteString("\n")
	for _, line := range out.Plan.Drawn {
		fmt.Fprintf(&t, "  %s\n", reports.Escape(line))
	}
	for i := range out.Failures {
		word := "FAILED"
		if i > 0 {
			word = "also, later:"
		}
		fmt.Fprintf(&t, "  %s %s\n", word, reports.Escape(out.Failures[i].Cause))
	}
	b.worst = max(b.worst, b.print(t.String()))
}

// finish prints the summary and writes its files.
func (b *brood) finish() {
	if b.requireMarks {
		b.summary.RequireSituations("(--require-marks)")
	}
	b.worst = max(b.worst, statusOfVerdict(b.summary.Verdict))
	if b.out != "" {
		_ = b.write(filepath.Join(b.out, swarmText), func(w io.Writer) error {
			return b.summary.Text(w, swarm.TextOptions{ShowDraws: true, ListUnreached: true})
		}) &&
			b.write(filepath.Join(b.out, swarmJSON), b.summary.JSON)
	}
	if b.text {
		b.show(func(w io.Writer) error {
			return b.summary.Text(w, swarm.TextOptions{Color: b.colour && !b.noColor, ShowDraws: b.verbose, DrawsPrinted: b.verbose,
				ListUnreached: b.verbose || b.requireMarks, NoOutputFolder: b.out == "" && !b.merge})
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
	if err := b.spares(path); err != nil {
		b.complain(err, "")
		b.worst = max(b.worst, invalid)
		return false
	}
	if err := reports.WriteFile(path, write); err != nil {
		b.complain(err, "")
		b.worst = impossible
		return false
	}
	return true
}
