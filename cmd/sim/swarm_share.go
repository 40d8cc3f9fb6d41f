package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/swarm"
)

// swarmShare shares the seeds of a swarm among machines.
type swarmShare struct {
	partText string      // --part
	part     *swarm.Part // nil without --part
	again    bool        // with --merge: draw and shrink the first failure of each cause
	plan     bool        // print the swarm for cmd/fleet, and run nothing
	bug      string      // --plant
}

// unsynced is the planted bug of a server that does not sync its files.
const unsynced = "unsynced"

func (s *swarmShare) define(set *pflag.FlagSet) {
	set.StringVar(&s.partText, "part", "",
		"run part `I/N` of the seeds, I from 1; auto or auto/N: as the variables of\na cluster give them "+
			"(JOB_COMPLETION_INDEX, CI_NODE_INDEX, SLURM_ARRAY_TASK_ID)")
	set.BoolVar(&s.plan, "plan", false, "print the swarm as JSON for the program fleet, and run nothing")
	set.StringVar(&s.bug, "plant", "", "plant the bug `NAME`, to see that the checks find it: "+unsynced)
	for _, name := range []string{"plan", "plant"} {
		_ = set.MarkHidden(name) // it exists
	}
}

// choose reads --part and reduces the seeds to those of the part. It also checks --plant.
func (s *swarmShare) choose(set *pflag.FlagSet, f *swarmFlags) error {
	if set.Changed("plant") && s.bug != unsynced {
		return fmt.Errorf("invalid --plant %q: must be %s", s.bug, unsynced)
	}
	if !set.Changed("part") || f.merge {
		return nil
	}
	if f.seeds.Unbounded {
		return errors.New("--part needs a last seed: the seeds have no end")
	}
	part, err := parsePart(s.partText, os.Getenv)
	if err != nil {
		return err
	}
	part.All = f.seeds.Range
	if err := part.Validate(); err != nil {
		return fmt.Errorf("invalid --part %s: %w", s.partText, err)
	}
	f.seeds.Range, s.part = part.Seeds(), &part
	return nil
}

// takes reports whether the flag is one that --merge takes with --shrink.
func (s *swarmShare) takes(set *pflag.FlagSet, name string) bool {
	s.again = set.Changed("shrink") && set.Changed("out")
	return s.again && slices.Contains([]string{"shrink", "shrink-time", "set"}, name)
}

// shrinkMerged draws and shrinks the first failure of each cause of merged results, as if one swarm had run them.
// Without --shrink, it reads the small scenarios of the results.
func (s *swarmShare) shrinkMerged(ctx context.Context, c *swarmCommand) status {
	if !s.again || len(c.summary.Failures) == 0 {
		s.readStories(ctx, c)
		return statusPassed
	}
	build, err := buildOfProgram()
	if err != nil {
		return c.fail(err, "", statusError)
	}
	if build != c.summary.Build {
		return c.fail(fmt.Errorf("the results are of the build %s and this is the build %s, where a seed may give another "+
			"run", c.summary.Build, build), "use that build, or leave out --shrink", statusInvalid)
	}
	var files []string
	for i := range c.summary.Failures {
		g := &c.summary.Failures[i]
		g.Drawn, g.Shrunk, g.ShrunkNote = "", "", ""
		files = addNew(files, []string{g.File})
	}
	if worst := c.loadScenarios(ctx, files); worst != statusPassed {
		return worst
	}
	c.shrinkAll(ctx)
	return statusPassed
}

// readStories runs the small scenarios of merged results again, for the diagrams of the page. A result of another build
// has none: there, a run may differ.
func (s *swarmShare) readStories(ctx context.Context, c *swarmCommand) {
	if c.out == "" && !c.forms.has("html") {
		return
	}
	if build, err := buildOfProgram(); err != nil || build != c.summary.Build {
		return
	}
	for i, g := range c.summary.Sorted() {
		if i == swarm.MaxStories || ctx.Err() != nil {
			return
		}
		if g.Shrunk == "" || !isFile(g.Shrunk) || !isGenerated(g.Shrunk) {
			continue
		}
		text, err := os.ReadFile(g.Shrunk)
		if err != nil {
			continue
		}
		if small, err := swarm.Again(ctx, g, g.Shrunk, text); err == nil && small.Check != nil {
			again := commandLine([]string{c.name, "run"}, nil, g.Shrunk)
			c.stories[g.Cause] = &swarm.Story{Shrunk: small, Repeat: again}
		}
	}
}

// partSource is a kind of cluster that numbers the processes of a job.
type partSource struct {
	index, total string // names of variables; total is empty if there is none
	first, step  string // names of the variables with the first index and the distance of two; may be empty
	from         uint64 // the first index where first is not set
}

var partSources = []partSource{
	{index: "JOB_COMPLETION_INDEX", from: 0},
	{index: "CI_NODE_INDEX", total: "CI_NODE_TOTAL", from: 1},
	{index: "SLURM_ARRAY_TASK_ID", total: "SLURM_ARRAY_TASK_COUNT", first: "SLURM_ARRAY_TASK_MIN",
		step: "SLURM_ARRAY_TASK_STEP", from: 1},
}

// parsePart reads the value of --part: I/N, auto or auto/N. getenv returns a variable of the environment.
func parsePart(text string, getenv func(string) string) (swarm.Part, error) {
	index, total, hasTotal := strings.Cut(text, "/")
	of, err := uint64(0), error(nil)
	if hasTotal {
		of, err = strconv.ParseUint(total, 10, 64)
	}
	if index == "auto" && err == nil && (!hasTotal || of > 0) {
		return partOfEnvironment(of, getenv)
	}
	i, indexErr := strconv.ParseUint(index, 10, 64)
	if err != nil || indexErr != nil || of == 0 {
		return swarm.Part{}, fmt.Errorf("invalid --part %q: must be I/N, auto or auto/N", text)
	}
	return swarm.Part{Index: i, Of: of}, nil
}

// partOfEnvironment returns the part that the variables of a cluster give. of is the number of parts, or 0 if the
// environment must have it.
func partOfEnvironment(of uint64, getenv func(string) string) (swarm.Part, error) {
	isSet := func(s partSource) bool { return getenv(s.index) != "" }
	i := slices.IndexFunc(partSources, isSet)
	if i < 0 {
		return swarm.Part{}, errors.New("--part auto needs JOB_COMPLETION_INDEX, CI_NODE_INDEX or " +
			"SLURM_ARRAY_TASK_ID in the environment")
	}
	s := partSources[i]
	if more := slices.IndexFunc(partSources[i+1:], isSet); more >= 0 {
		return swarm.Part{}, fmt.Errorf("--part auto: %s and %s are both set: use --part I/N", s.index,
			partSources[i+1+more].index)
	}
	var index, total, first, step uint64
	for _, v := range []struct {
		name  string
		value *uint64
		unset uint64
	}{{s.index, &index, 0}, {s.total, &total, of}, {s.first, &first, s.from}, {s.step, &step, 1}} {
		text := getenv(v.name)
		if *v.value = v.unset; text == "" {
			continue
		}
		var err error
		if *v.value, err = strconv.ParseUint(text, 10, 64); err != nil {
			return swarm.Part{}, fmt.Errorf("--part auto: invalid %s %q: must be a number", v.name, text)
		}
	}
	switch {
	case total == 0:
		return swarm.Part{}, fmt.Errorf("--part auto: %s has no total: use --part auto/N", s.index)
	case of != 0 && of != total:
		return swarm.Part{}, fmt.Errorf("--part auto/%d: %s is %d: they must be equal", of, s.total, total)
	case step == 0:
		step = 1
	}
	part := swarm.Part{Index: (index-first)/step + 1, Of: total}
	if index < first || part.Index > total {
		return part, fmt.Errorf("--part auto: %s is %d, which is none of %d parts from %d on", s.index, index, total,
			first)
	}
	return part, nil
}

// plant returns a program whose runs have the bug of --plant. The build of the result has its name, so that the result is
// never merged with others.
func (s *swarmShare) plant(p *program, summary *swarm.Summary) *program {
	if s.bug == "" {
		return p
	}
	summary.Build.Planted = s.bug
	changed := *p
	changed.engine = func(ctx context.Context, of *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		o.Unsynced = true
		return p.engine(ctx, of, o)
	}
	return &changed
}

// printPlan prints the swarm for the program fleet. The folder of --out is ready then.
func (s *swarmShare) printPlan(c *swarmCommand) status {
	refused := map[string]bool{"--part": s.part != nil, "--verbose": c.verbose, "--plant": s.bug != ""}
	for _, name := range []string{"--part", "--verbose", "--plant"} {
		if refused[name] {
			return c.fail(fmt.Errorf("%s cannot be used in a fleet", name), "use sim swarm", statusInvalid)
		}
	}
	plan := swarm.Shared{
		Build: c.summary.Build, Seeds: c.seeds.Range, Unbounded: c.seeds.Unbounded, Limit: c.limit, Out: c.out,
		FailFast: c.failFast, Run: []string{fmt.Sprintf("--twice=%d", c.repeatEvery)},
		Merge: []string{fmt.Sprintf("--report=%v", c.forms), fmt.Sprintf("--no-color=%t", c.noColor)},
	}
	if c.jobsGiven {
		plan.Run = append(plan.Run, fmt.Sprintf("--jobs=%d", c.jobs))
	}
	if c.failFast {
		plan.Run = append(plan.Run, "--fail-fast")
	}
	if c.requireMarks {
		plan.Merge = append(plan.Merge, "--require-marks")
	}
	for _, kind := range c.require {
		plan.Merge = append(plan.Merge, "--require="+kind)
	}
	if c.out != "" {
		if !c.removeGenerated() {
			return c.worst
		}
		plan.Merge = append(plan.Merge, "--out="+c.out, fmt.Sprintf("--shrink=%t", c.shrink),
			fmt.Sprintf("--shrink-time=%v", c.shrinkTime))
	}
	for _, set := range c.sets {
		plan.Run = append(plan.Run, "--set="+set)
		if c.out != "" {
			plan.Merge = append(plan.Merge, "--set="+set)
		}
	}
	for _, base := range c.bases {
		plan.Scenarios = append(plan.Scenarios, base.File)
	}
	for _, in := range c.inputs {
		if in.path == standardInput {
			return c.fail(errors.New("a fleet cannot read a scenario on standard input"), "write it to a file",
				statusInvalid)
		}
		plan.Inputs = append(plan.Inputs, in.path)
	}
	c.toStdout(func(w io.Writer) error { return reports.WriteJSON(w, plan, "the plan of the swarm") })
	return c.worst
}
