package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/spf13/pflag"

	"bluetrace/reports"
	"bluetrace/reports/livepage"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/swarm"
)

// swarmFlags are the settings of one call of sim swarm.
type swarmFlags struct {
	options      scenarios.Options
	sets         []string
	seeds        swarm.SeedRange
	seedText     string        // --seeds
	from         string        // --from
	limit        time.Duration // --for; 0 if only the seeds end the swarm
	jobs         int
	jobsGiven    bool     // jobs is the user's, not the default
	require      []string // --require
	repeatEvery  uint64   // --twice
	out          string   // folder of --out; empty if no files are written
	forms        *formsFlag
	merge        bool
	verbose      bool
	shrink       bool
	shrinkTime   time.Duration // for each cause
	requireMarks bool
	failFast     bool
	metrics      metricsFlags
	noColor      bool
	share        swarmShare
}

const (
	defaultSeeds       = "1-100"
	defaultRepeatEvery = 10
	defaultShrinkTime  = 30 * time.Second
	maxJobs            = 1024 // each job holds a run in memory
)

// Limits of one run. classroom, the whole lesson under faults, has about 100,000
// events and takes 0.1 s.
const (
	maxEvents = 50_000_000
	maxWall   = 2 * time.Minute
)

func (f *swarmFlags) define(set *pflag.FlagSet) {
	set.StringVar(&f.seedText, "seeds", defaultSeeds,
		"run the seeds `A-B`; A+N: N seeds from A on; A-: no end, with --for;\nA may be a commit's hash behind 0x, "+
			"whose first 12 digits count")
	f.share.define(set)
	set.DurationVar(&f.limit, "for", 0, "start no run after this `DURATION`")
	set.StringVar(&f.from, "from", "", "with --for: start with this `SEED` instead of 1")
	set.IntVar(&f.jobs, "jobs", min(runtime.GOMAXPROCS(0), maxJobs), "run `N` seeds at a time")
	set.StringArrayVar(&f.sets, "set", nil, "replace ${NAME} in the scenarios: `NAME=VALUE`; may be repeated")
	set.StringVar(&f.out, "out", "",
		"write the summary, its page, and the drawn and shrunk scenario of each cause of failures, to `DIR`")
	f.forms = defineForms(set, "text", "json", "html")
	set.BoolVar(&f.merge, "merge", false,
		"run nothing: merge the JSON results of other swarms, named instead of scenarios")
	set.BoolVar(&f.verbose, "verbose", false, "print the draws of each seed and the last events before each failure")
	set.Uint64Var(&f.repeatEvery, "twice", defaultRepeatEvery,
		"run every seed that `N` divides twice and compare the runs; 0: none")
	set.StringSliceVar(&f.require, "require", nil,
		"fail if a situation was never reached or an invariant never exercised;\n--require=`KIND`: only situations, "+
			"or only invariants")
	set.Lookup("require").NoOptDefVal = "situations,invariants"
	set.BoolVar(&f.requireMarks, "require-marks", false, "the same as --require=situations")
	set.BoolVar(&f.failFast, "fail-fast", false, "start no run after the first failure")
	set.BoolVar(&f.shrink, "shrink", true, "with --out: shrink the first failure of each cause")
	f.metrics.define(set)
	set.DurationVar(&f.shrinkTime, "shrink-time", defaultShrinkTime, "shrink each failure for at most this `DURATION`")
	defineNoColor(set, &f.noColor)
}

// check validates the flags and completes the settings that follow from them.
func (f *swarmFlags) check(set *pflag.FlagSet) (err error) {
	f.jobsGiven = set.Changed("jobs")
	if f.options.Vars, err = parseVariables(f.sets); err != nil {
		return err
	}
	if err := f.chooseSeeds(set); err != nil {
		return err
	}
	if err := f.share.choose(set, f); err != nil {
		return err
	}
	switch {
	case f.jobs < 1 || f.jobs > maxJobs:
		return fmt.Errorf("invalid --jobs %d: must be 1 to %d", f.jobs, maxJobs)
	case set.Changed("for") && f.limit <= 0:
		return fmt.Errorf("invalid --for %v: must be above 0", f.limit)
	case f.shrinkTime <= 0:
		return fmt.Errorf("invalid --shrink-time %v: must be above 0", f.shrinkTime)
	}
	for _, kind := range f.require {
		if kind != swarm.RequireSituations && kind != swarm.RequireInvariants {
			return fmt.Errorf("invalid --require %q: must be situations or invariants", kind)
		}
	}
	for _, name := range []string{"seeds", "for", "from", "jobs", "twice", "set", "verbose", "fail-fast", "shrink",
		"shrink-time", "metrics", "linger", "part", "plant", "plan"} {
		if f.merge && set.Changed(name) && !f.share.takes(set, name) {
			return fmt.Errorf("--%s cannot be used with --merge, which runs nothing", name)
		}
	}
	if err := refuseEmpty(set, "out", "metrics"); err != nil {
		return err
	}
	return f.metrics.check(set)
}

// chooseSeeds reads --seeds and --from.
func (f *swarmFlags) chooseSeeds(set *pflag.FlagSet) (err error) {
	seeds := f.seedText
	switch {
	case set.Changed("from") && set.Changed("seeds"):
		return errors.New("--from and --seeds both give the first seed: use one of them")
	case set.Changed("from") && f.limit <= 0:
		return errors.New("--from needs --for; --seeds A+N runs N seeds from A on")
	case set.Changed("from"):
		seeds = f.from + "-"
	case f.limit > 0 && !set.Changed("seeds"):
		seeds = "1-"
	}
	if f.seeds, err = swarm.ParseRange(seeds); err != nil {
		return fmt.Errorf("reading the seeds: %w", err)
	}
	if f.seeds.Unbounded && f.limit <= 0 {
		return fmt.Errorf("the seeds %q have no end: add --for, or the last seed", seeds)
	}
	return nil
}

// swarmCommand is one call of sim swarm.
type swarmCommand struct {
	output
	swarmFlags
	summary *swarm.Summary
	stories map[string]*swarm.Story // by cause
	bases   []*scenarios.Scenario
	started time.Time
	failed  atomic.Bool // set at the first failure

	exporter *exporter      // nil without --metrics
	live     *livepage.Live // the page of the swarm
	shown    time.Time      // when its last state was shown
}

// run runs the scenarios until the seeds, the time or the context end.
func (c *swarmCommand) run(ctx context.Context, paths []string) status {
	c.summary, c.stories, c.started = swarm.NewSummary(), map[string]*swarm.Story{}, c.now()
	if c.out != "" {
		c.removeSummary(paths)
	}
	if c.merge {
		return max(c.worst, c.mergeResults(ctx, paths))
	}
	if c.seeds.Truncated {
		fmt.Fprintf(c.stderr, "only the first %d digits of the long number count: the first seed is %d\n",
			swarm.HashDigits, c.seeds.First)
	}
	build, err := buildOfProgram()
	if err != nil {
		return c.fail(err, "", statusError)
	}
	c.summary.Build, c.summary.Part = build, c.share.part
	if c.share.plan && len(paths) == 0 { // of a worker, which only needs the build
		return c.share.printPlan(c)
	}
	if s := c.loadScenarios(ctx, paths); s != statusPassed {
		return max(c.worst, s)
	}
	if s := c.prepareFolder(); s != statusPassed {
		return max(c.worst, s)
	}
	if c.share.plan {
		return max(c.worst, c.share.printPlan(c))
	}
	c.program = c.share.plant(c.program, c.summary)
	c.live = livepage.New("swarm", "")
	if c.exporter, err = c.metrics.serve(&c.output, false); err != nil {
		return c.fail(err, "name a free port with --metrics, or 0 for any", statusError)
	}
	if c.exporter != nil {
		c.exporter.pages.begin(c.live)
	}
	defer collectRarely()()
	c.runSeeds(ctx)
	c.shrinkAll(ctx)
	c.finish()
	c.live.End(endOf(c.summary), causesOf(c.summary.Failures))
	c.exporter.end(ctx, &c.output, &c.metrics, false,
		func(w io.Writer) error { return c.summary.HTML(w, c.stories, "") })
	return c.worst
}

// loadScenarios reads the scenarios, all of which must be valid.
func (c *swarmCommand) loadScenarios(ctx context.Context, paths []string) status {
	files, _, worst := c.selectScenarios(paths)
	if worst != statusPassed {
		return worst
	}
	options := c.sharing(files, c.options)
	for _, file := range files {
		s, err := c.load(file, options)
		if err != nil {
			worst = max(worst, c.fail(err, "", statusOfLoading(err)))
			continue
		}
		if s.Load != nil {
			err := fmt.Errorf("%s is a load run on real sockets, but a swarm runs in virtual time", file)
			worst = max(worst, c.fail(err, "leave it out", statusInvalid))
			continue
		}
		if len(s.Contacts.Trace) > 0 { // read now, so that a bad trace does not fail every seed
			if err := sim.Ready(ctx, s); err != nil {
				worst = max(worst, c.fail(err, "", statusOfRunning(err)))
				continue
			}
		}
		c.bases = append(c.bases, s)
		c.inputs = append(c.inputs, input{"the scenario", file})
		c.inputs = append(c.inputs, contactInputs(s)...)
	}
	return worst
}

// runSeeds runs the seeds and adds their outcomes to the summary.
func (c *swarmCommand) runSeeds(ctx context.Context) {
	line := newProgress(c.stderr, c.columns, c.now)
	line.started, line.plain = c.started, !c.terminal
	err := swarm.Run(ctx, swarm.Options{
		Bases: c.bases, Seeds: c.seedsToStart(), Jobs: c.jobs, RepeatEvery: c.repeatEvery, Situations: true,
		Engine: c.engine,
		Limits: swarm.Limits{Events: maxEvents, Wall: maxWall, Timer: c.after},
		OnOutcome: func(out *swarm.Outcome) {
			if c.failFast && c.failed.Load() {
				return // it was started before the failure
			}
			c.summary.Add(out)
			c.failed.Store(c.summary.Failed > 0)
			if c.verbose && c.forms.has("text") {
				line.clear()
				c.printOutcome(out)
			}
			c.showProgress("")
			line.draw(func(now time.Time) string { return c.progressLine(now.Sub(c.started)) })
		},
	})
	line.clear()
	c.summary.Jobs = int(min(uint64(c.jobs), c.summary.Runs+c.summary.Repeated)) // jobs that had a run
	c.summary.WallSeconds = c.now().Sub(c.started).Seconds()
	for i := range c.summary.Failures {
		g := &c.summary.Failures[i]
		g.Repeat = c.repeatCommand(g)
	}
	if err != nil {
		c.worst = max(c.worst, statusInterrupted)
		c.summary.SetInterrupted("interrupted")
	}
	if c.summary.Runs == 0 && err == nil {
		c.summary.Verdict = reports.NotRun
		c.worst = max(c.worst, c.fail(errors.New("no seed was run"), "give --for more time", statusInvalid))
	}
}

// seedsToStart returns the seeds until the time of --for is over or, with
// --fail-fast, until the first failure.
func (c *swarmCommand) seedsToStart() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for seed := range c.seeds.Seeds() {
			late := c.limit > 0 && c.now().Sub(c.started) >= c.limit
			if late || c.failFast && c.failed.Load() || !yield(seed) {
				return
			}
		}
	}
}

// repeatCommand returns the shell command that repeats a failure.
func (c *swarmCommand) repeatCommand(g *swarm.Group) string {
	words := []string{c.name, "swarm", "--seeds", fmt.Sprintf("%d-%d", g.Seed, g.Seed), "--verbose"}
	if g.Check.Name == swarm.SameRun {
		words = append(words, "--twice", "1")
	}
	return commandLine(words, c.sets, g.File)
}

// printOutcome prints the draws of a seed and its failures.
func (c *swarmCommand) printOutcome(out *swarm.Outcome) {
	var t strings.Builder
	fmt.Fprintf(&t, "seed %d of %s: %s, %s, %.0f s, %s", out.Plan.Seed, reports.Escape(out.Base.File), out.Verdict,
		reports.Plural(out.Plan.Phones, "phone", "phones"), out.VirtualSeconds,
		reports.Plural(out.Events, "event", "events"))
	if out.Digest != "" {
		fmt.Fprintf(&t, ", digest %s", out.Digest)
	}
	t.WriteString("\n")
	for _, line := range out.Plan.Drawn {
		fmt.Fprintf(&t, "  %s\n", reports.Escape(line))
	}
	for i := range out.Failures {
		label := "FAILED"
		if i > 0 {
			label = "also, later:"
		}
		fmt.Fprintf(&t, "  %s %s\n", label, reports.Escape(out.Failures[i].Cause))
	}
	c.worst = max(c.worst, c.print(t.String()))
}

// progressLine returns the progress after some wall time.
func (c *swarmCommand) progressLine(lasted time.Duration) string {
	runs := reports.Plural(c.summary.Runs, "run", "runs")
	if all := c.expectedRuns(); all > 0 {
		runs = fmt.Sprintf("%s of %s", reports.FormatCount(c.summary.Runs), reports.Plural(all, "run", "runs"))
	}
	line := fmt.Sprintf("%s, %s failed, %.1f per second", runs, reports.FormatCount(c.summary.Failed),
		float64(c.summary.Runs)/lasted.Seconds())
	if c.limit > 0 {
		line += fmt.Sprintf(", %s left", max(c.limit-lasted, 0).Round(time.Second))
	}
	return line
}

// expectedRuns returns the number of runs if --for does not end them, or 0 if it
// is unknown.
func (c *swarmCommand) expectedRuns() uint64 {
	seeds, files := c.seeds.Last-c.seeds.First, uint64(len(c.bases))
	if c.seeds.Unbounded || files == 0 || seeds >= math.MaxUint64/files {
		return 0
	}
	return (seeds + 1) * files
}

// finish prints the summary and writes its files.
func (c *swarmCommand) finish() {
	if c.summary.Runs > 0 {
		if c.requireMarks {
			c.summary.Require(swarm.RequireSituations, "(--require-marks)")
		}
		for _, kind := range c.require {
			c.summary.Require(kind, "(--require)")
		}
		c.worst = max(c.worst, statusOfVerdict(c.summary.Verdict))
	}
	if c.out != "" {
		text := func(w io.Writer) error {
			return c.summary.Text(w, swarm.TextOptions{ShowDraws: true})
		}
		html := func(w io.Writer) error { return c.summary.HTML(w, c.stories, c.out) }
		for i, write := range []func(io.Writer) error{text, c.summary.JSON, html} {
			path := c.summaryFiles()[i]
			if !c.writeFile(path, c.refuseOverwriting(path), write) {
				break
			}
		}
	}
	if c.forms.has("text") {
		c.toStdout(func(w io.Writer) error {
			return c.summary.Text(w,
				swarm.TextOptions{Color: c.colour && !c.noColor, ShowDraws: c.verbose, DrawsPrinted: c.verbose,
					NoOutputFolder: c.out == "" && !c.merge})
		})
	}
	if c.forms.has("json") {
		c.toStdout(c.summary.JSON)
	}
	if c.forms.has("html") {
		c.toStdout(func(w io.Writer) error { return c.summary.HTML(w, c.stories, "") })
	}
}

// swarmMemoryLimit is the memory in bytes above which the garbage collector runs as
// often as needed, since a scenario may be large.
const swarmMemoryLimit = 1 << 30

// buildOfProgram returns the build of this program. If no revision identifies the source, it has the hash of the
// program.
func buildOfProgram() (reports.Build, error) {
	b := sim.Build()
	if b.Revision != "" && !strings.HasSuffix(b.Revision, "+") {
		return b, nil
	}
	path, err := os.Executable()
	var program []byte
	if err == nil {
		program, err = os.ReadFile(path)
	}
	if err != nil {
		return b, fmt.Errorf("identifying this program: %w", err)
	}
	b.Program = fmt.Sprintf("%016x", xxhash.Sum64(program))
	return b, nil
}

// collectRarely makes the garbage collector run rarely during a swarm, unless the
// user has set GOGC or GOMEMLIMIT. It returns the function that restores the former
// setting.
func collectRarely() (restore func()) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	percent := debug.SetGCPercent(swarm.GCPercent)
	limit := debug.SetMemoryLimit(swarmMemoryLimit)
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}
}
