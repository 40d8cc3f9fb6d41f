package swarm

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"bluetrace/reports"
	"bluetrace/sim/situations"
)

// Summary is the result of a swarm. Its JSON form is stable: names are only added. The merged summaries of the parts of
// a range equal the summary of the range, except for measurements of real time.
type Summary struct {
	Format  int             `json:"format"` // reports.Format
	Kind    string          `json:"kind"`   // "swarm", which tells the form from other JSON results
	Build   reports.Build   `json:"build"`
	Verdict reports.Verdict `json:"verdict"`
	// Reasons are the reasons other than failures for which a swarm failed or ended.
	Reasons   []string   `json:"reasons,omitempty"`
	Ranges    []Range    `json:"seeds"`          // the seeds that were run, in order, with ranges that touch combined
	Part      *Part      `json:"part,omitempty"` // nil if the swarm is not a part; merged parts are none
	Files     []FileRuns `json:"files"`
	Runs      uint64     `json:"runs"`
	Failed    uint64     `json:"failed"` // runs
	Repeated  uint64     `json:"twice"`  // runs that were compared with a second run
	Events    uint64     `json:"events"`
	VirtualMs uint64     `json:"virtual_ms"` // the virtual time of all runs, in milliseconds

	WallSeconds float64 `json:"wall_seconds"` // real time; the sum for merged summaries
	Jobs        int     `json:"jobs"`         // the number of workers; the maximum for merged summaries

	Faults      []reports.KindCount `json:"faults"`
	Adversaries []reports.KindCount `json:"adversaries"`
	Invariants  []reports.KindCount `json:"invariants"` // the number of evaluations of each
	Situations  []Situation         `json:"marks"`
	Failures    []Group             `json:"failures"`
	// MoreCauses counts the failed runs whose cause was not kept because there were maxCauses causes.
	MoreCauses uint64 `json:"more_causes,omitempty"`
}

// FileRuns counts the runs of one base scenario.
type FileRuns struct {
	File   string  `json:"file"`
	Ranges []Range `json:"seeds"`
	Runs   uint64  `json:"runs"`
	Failed uint64  `json:"failed"`
}

// Situation is a situation that a swarm should reach, and the number of times that it did.
type Situation struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Count uint64 `json:"count"`
}

// Group is the failures of one cause. Seed, File, Plan and Check are those of the smallest seed.
type Group struct {
	Cause  string        `json:"cause"`
	Runs   uint64        `json:"runs"`                  // the runs whose first failure has this cause
	Seeds  []uint64      `json:"first_seeds,omitempty"` // of these runs, at most maxSeeds
	Seed   uint64        `json:"seed"`
	File   string        `json:"file"`
	Plan   Plan          `json:"plan"`
	Check  reports.Check `json:"check"`
	Repeat string        `json:"repeat"` // the command that repeats the run
	// Drawn is the file of the generated scenario, and Shrunk that of a small scenario with the same cause. They are
	// empty if no file was written.
	Drawn  string `json:"drawn,omitempty"`
	Shrunk string `json:"shrunk,omitempty"`
	// ShrunkNote describes the small scenario, or gives the reason why there is none.
	ShrunkNote string `json:"shrunk_note,omitempty"`
	// Later are the causes of later failures in the same runs, the most frequent first.
	Later []LaterCause `json:"also,omitempty"`
}

// LaterCause is the cause of a failure after the first one of a run, and the number of runs that had it.
type LaterCause struct {
	Cause string `json:"cause"`
	Runs  uint64 `json:"runs"`
}

// summaryKind is the value of Summary.Kind.
const summaryKind = "swarm"

// maxCauses is the maximum number of causes that a summary keeps.
const maxCauses = 200

// NewSummary returns the summary of no runs.
func NewSummary() *Summary {
	return &Summary{
		Format: reports.Format, Kind: summaryKind, Verdict: reports.Passed, Ranges: []Range{}, Files: []FileRuns{},
		Faults: []reports.KindCount{}, Adversaries: []reports.KindCount{}, Invariants: []reports.KindCount{},
		Situations: []Situation{}, Failures: []Group{},
	}
}

// Add adds one outcome.
func (s *Summary) Add(out *Outcome) {
	seed, file := out.Plan.Seed, out.Base.File
	one := NewSummary()
	one.Ranges = []Range{{seed, seed}}
	one.Files = []FileRuns{{File: file, Ranges: []Range{{seed, seed}}, Runs: 1}}
	one.Runs, one.Events = 1, out.Events
	virtual := time.Duration(out.VirtualSeconds * float64(time.Second))
	one.VirtualMs = uint64(virtual.Round(time.Millisecond).Milliseconds())
	one.Faults, one.Adversaries, one.Invariants = out.Faults, out.Adversaries, out.Invariants
	if out.Repeated {
		one.Repeated = 1
	}
	if out.Situations != nil {
		for i, m := range situations.All() {
			one.Situations = append(one.Situations, Situation{m.Name(), m.About(), out.Situations[i]})
		}
	}
	for i, f := range out.Failures {
		if i == 0 {
			one.Verdict, one.Failed, one.Files[0].Failed = reports.Failed, 1, 1
			one.Failures = []Group{{Cause: f.Cause, Runs: 1, Seeds: []uint64{seed}, Seed: seed, File: file, Plan: out.Plan,
				Check: f.Check}}
			continue
		}
		one.Failures[0].Later = mergeLaterCauses(one.Failures[0].Later, []LaterCause{{f.Cause, 1}})
	}
	s.Merge(one)
}

// Merge adds the summary of another swarm of the same build.
func (s *Summary) Merge(o *Summary) {
	s.Verdict = worseVerdict(s.Verdict, o.Verdict)
	s.Ranges = mergeRanges(s.Ranges, o.Ranges)
	s.Runs += o.Runs
	s.Failed += o.Failed
	s.Repeated += o.Repeated
	s.Events += o.Events
	s.VirtualMs += o.VirtualMs
	s.WallSeconds += o.WallSeconds
	s.Jobs = max(s.Jobs, o.Jobs)
	s.Faults = mergeKindCounts(s.Faults, o.Faults)
	s.Adversaries = mergeKindCounts(s.Adversaries, o.Adversaries)
	s.Invariants = mergeKindCounts(s.Invariants, o.Invariants)
	s.MoreCauses += o.MoreCauses
	for _, f := range o.Files {
		i := slices.IndexFunc(s.Files, func(g FileRuns) bool { return g.File == f.File })
		if i < 0 {
			i = len(s.Files)
			s.Files = append(s.Files, FileRuns{File: f.File})
		}
		s.Files[i].Ranges = mergeRanges(s.Files[i].Ranges, f.Ranges)
		s.Files[i].Runs += f.Runs
		s.Files[i].Failed += f.Failed
	}
	for _, m := range o.Situations {
		i := slices.IndexFunc(s.Situations, func(n Situation) bool { return n.Name == m.Name })
		if i < 0 {
			s.Situations = append(s.Situations, m)
			continue
		}
		s.Situations[i].Count += m.Count
	}
	for i := range o.Failures {
		s.addGroup(&o.Failures[i])
	}
}

// addGroup adds the failures of one cause.
func (s *Summary) addGroup(g *Group) {
	i := slices.IndexFunc(s.Failures, func(h Group) bool { return h.Cause == g.Cause })
	switch {
	case i >= 0:
		h := &s.Failures[i]
		runs, later := h.Runs+g.Runs, mergeLaterCauses(h.Later, g.Later)
		seeds := firstSeeds(h.Seeds, g.Seeds)
		if g.Seed < h.Seed {
			*h = *g
		}
		h.Runs, h.Later, h.Seeds = runs, later, seeds
	case len(s.Failures) < maxCauses:
		s.Failures = append(s.Failures, *g)
	default:
		s.MoreCauses += g.Runs
	}
}

// maxSeeds is the maximum number of seeds that a summary keeps of a cause.
const maxSeeds = 5

// firstSeeds returns the smallest of some seeds, at most maxSeeds.
func firstSeeds(a, b []uint64) []uint64 {
	all := slices.Concat(a, b)
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), maxSeeds)]
}

// mergeLaterCauses adds the runs by cause, the most frequent first.
func mergeLaterCauses(a, b []LaterCause) []LaterCause {
	if len(b) == 0 {
		return a
	}
	sum := slices.Clone(a)
	for _, one := range b {
		if i := slices.IndexFunc(sum, func(s LaterCause) bool { return s.Cause == one.Cause }); i >= 0 {
			sum[i].Runs += one.Runs
		} else if len(sum) < maxCauses {
			sum = append(sum, one)
		}
	}
	slices.SortFunc(sum, func(x, y LaterCause) int {
		return cmp.Or(cmp.Compare(y.Runs, x.Runs), cmp.Compare(x.Cause, y.Cause))
	})
	return sum
}

// worseVerdict returns the worse of two verdicts: failed, then interrupted, then passed.
func worseVerdict(a, b reports.Verdict) reports.Verdict {
	order := []reports.Verdict{reports.Passed, reports.Interrupted, reports.Failed}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// mergeKindCounts adds the counts by kind and orders them by kind.
func mergeKindCounts(a, b []reports.KindCount) []reports.KindCount {
	sum := map[string]uint64{}
	for _, k := range slices.Concat(a, b) {
		sum[k.Kind] += k.Count
	}
	merged := []reports.KindCount{}
	for _, kind := range slices.Sorted(maps.Keys(sum)) {
		merged = append(merged, reports.KindCount{Kind: kind, Count: sum[kind]})
	}
	return merged
}

// Unreached returns the names of the situations that no run reached.
func (s *Summary) Unreached() []string {
	return uncounted(s.Situations, func(m Situation) (string, uint64) { return m.Name, m.Count })
}

// Unexercised returns the names of the invariants that no run evaluated, because nothing that they are about happened.
func (s *Summary) Unexercised() []string {
	return uncounted(s.Invariants, func(k reports.KindCount) (string, uint64) { return k.Kind, k.Count })
}

// uncounted returns the names whose count is 0.
func uncounted[T any](all []T, of func(T) (string, uint64)) (names []string) {
	for _, one := range all {
		if name, count := of(one); count == 0 {
			names = append(names, name)
		}
	}
	return names
}

// Kinds of what a swarm can require.
const (
	RequireSituations = "situations"
	RequireInvariants = "invariants"
)

// Require fails the swarm if nothing of the kind was counted, if a situation was never reached, or if an invariant was
// never exercised. option names the flag that requires this, and ends the reason.
func (s *Summary) Require(kind, option string) {
	missing, all, participle := len(s.Unreached()), len(s.Situations), "reached"
	if kind == RequireInvariants {
		missing, all, participle = len(s.Unexercised()), len(s.Invariants), "exercised"
	}
	reason := fmt.Sprintf("no %s were counted", kind)
	if all > 0 {
		were := "were"
		switch missing {
		case 0:
			return
		case 1:
			were = "was"
		}
		reason = fmt.Sprintf("%d of %d %s %s never %s", missing, all, kind, were, participle)
	}
	s.Verdict, s.Reasons = reports.Failed, append(s.Reasons, reason+" "+option)
}

// SetInterrupted records that the swarm was ended early for the given reason.
func (s *Summary) SetInterrupted(reason string) {
	s.Verdict = worseVerdict(s.Verdict, reports.Interrupted)
	s.Reasons = append(s.Reasons, reason)
}

// Sorted returns the failures in the order of a report: broken runs and invariants, then liveness; within each, by the
// virtual time of the failure.
func (s *Summary) Sorted() []*Group {
	all := make([]*Group, 0, len(s.Failures))
	for i := range s.Failures {
		all = append(all, &s.Failures[i])
	}
	rank := func(g *Group) int {
		if g.Check.Kind == reports.InvariantCheck {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), compareTimes(&a.Check, &b.Check), cmp.Compare(b.Runs, a.Runs),
			cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Cause, b.Cause))
	})
	return all
}

// compareTimes compares failed checks by the virtual time of their failure. Checks of the run as a whole come first,
// checks made at the end of the run last.
func compareTimes(a, b *reports.Check) int {
	at := func(c *reports.Check) float64 {
		switch {
		case c.Name == RunEnds || c.Name == SameRun:
			return -1
		case c.AtSeconds == nil:
			return math.Inf(1)
		}
		return *c.AtSeconds
	}
	return cmp.Compare(at(a), at(b))
}

// throughput is the part of the JSON form that is calculated from the measured time.
type throughput struct {
	RunsPerSecond        float64 `json:"runs_per_second"`
	RunsPerSecondPerCore float64 `json:"runs_per_second_per_core"`
	VirtualPerWall       float64 `json:"virtual_per_wall"`
}

func (s *Summary) throughput() throughput {
	if s.WallSeconds <= 0 {
		return throughput{}
	}
	perSecond := float64(s.Runs) / s.WallSeconds
	return throughput{
		RunsPerSecond: perSecond, RunsPerSecondPerCore: perSecond / float64(max(s.Jobs, 1)),
		VirtualPerWall: float64(s.VirtualMs) / 1000 / s.WallSeconds,
	}
}

// JSON writes the summary as one indented object (docs/RESULTS.md). It escapes every character that could control a
// terminal.
func (s *Summary) JSON(w io.Writer) error {
	document := struct {
		*Summary
		Failures   []*Group   `json:"failures"`
		Throughput throughput `json:"throughput"`
	}{s, s.Sorted(), s.throughput()}
	return reports.WriteJSON(w, document, "the JSON result of the swarm")
}

// maxSummary is the size of the largest result that ReadJSON reads, in bytes.
const maxSummary = 64 << 20

// ReadJSON reads a summary that JSON wrote and validates it. The verdict is failed if a run failed. Otherwise it is
// interrupted if the file has that verdict, and passed if not. ReadJSON drops the reasons, because other swarms may
// reach the situations that this one did not reach.
func ReadJSON(r io.Reader) (*Summary, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSummary+1))
	if err == nil && len(text) > maxSummary {
		err = fmt.Errorf("it has more than %d MiB", maxSummary>>20)
	}
	if err == nil {
		text, err = reports.TrimMark(text)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the JSON result of a swarm: %w", err)
	}
	s := NewSummary()
	s.Kind, s.Verdict = "", ""
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("reading the JSON result of a swarm: %w", err)
	}
	if s.Kind != summaryKind {
		return nil, fmt.Errorf("not a JSON result of a swarm: kind is %q, must be %q", s.Kind, summaryKind)
	}
	if err := reports.CheckFormat(s.Format); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("invalid JSON result of a swarm: %w", err)
	}
	switch {
	case s.Failed > 0:
		s.Verdict = reports.Failed
	case s.Verdict != reports.Interrupted:
		s.Verdict = reports.Passed
	}
	s.Reasons = nil
	return s, nil
}

// Bounds of a valid summary.
const (
	maxCount   = 1 << 53       // every JSON reader can represent it
	maxSeconds = 1_000_000_000 // about thirty years
)

// Validate returns an error if the summary contradicts itself or has a number that is out of bounds.
func (s *Summary) Validate() error {
	counts := []uint64{s.Runs, s.Failed, s.Repeated, s.Events, s.VirtualMs, s.MoreCauses}
	for _, k := range slices.Concat(s.Faults, s.Adversaries, s.Invariants) {
		counts = append(counts, k.Count)
	}
	for _, m := range s.Situations {
		counts = append(counts, m.Count)
	}
	switch largest := slices.Max(counts); {
	case largest > maxCount:
		return fmt.Errorf("count %d is too large: must be at most %d", largest, uint64(maxCount))
	case !(s.WallSeconds >= 0 && s.WallSeconds <= maxSeconds):
		return fmt.Errorf("wall_seconds is %g: must be 0 to %d", s.WallSeconds, maxSeconds)
	case s.Repeated > s.Runs || s.Jobs < 0:
		return fmt.Errorf("%d of %d runs were repeated, by %d workers", s.Repeated, s.Runs, s.Jobs)
	case len(s.Files) == 0:
		return errors.New("no runs")
	}
	total := NewSummary()
	for _, f := range s.Files {
		if err := f.validate(); err != nil {
			return fmt.Errorf("file %q: %w", f.File, err)
		}
		total.Merge(&Summary{Files: []FileRuns{f}, Ranges: f.Ranges, Runs: f.Runs, Failed: f.Failed})
		if total.Runs > maxCount {
			return errors.New("too many runs")
		}
	}
	switch {
	case len(total.Files) != len(s.Files):
		return errors.New("a file is listed twice")
	case total.Runs != s.Runs || total.Failed != s.Failed:
		return fmt.Errorf("the files have %d runs, %d failed, but the result has %d runs, %d failed",
			total.Runs, total.Failed, s.Runs, s.Failed)
	case !slices.Equal(total.Ranges, s.Ranges):
		return errors.New("the seeds differ from the seeds of the files")
	}
	return errors.Join(s.validatePart(), s.validateFailures())
}

// validate checks that the ranges are in order and that the counts match them.
func (f *FileRuns) validate() error {
	seeds := uint64(0)
	for i, r := range f.Ranges {
		if r.Last < r.First || i > 0 && r.First <= f.Ranges[i-1].Last {
			return fmt.Errorf("seeds %d-%d: ranges must be in order", r.First, r.Last)
		}
		if r.Last-r.First >= maxCount {
			return fmt.Errorf("seeds %d-%d: more than can have been run", r.First, r.Last)
		}
		seeds += r.size()
	}
	switch {
	case f.File == "":
		return errors.New("no name")
	case seeds == 0:
		return errors.New("no seeds")
	case seeds > maxCount || f.Runs != seeds || f.Failed > f.Runs:
		return fmt.Errorf("%d seeds, but %d runs, %d failed", seeds, f.Runs, f.Failed)
	}
	return nil
}

// validateFailures checks that each failed run has exactly one first cause.
func (s *Summary) validateFailures() error {
	failed, causes := s.MoreCauses, map[string]bool{}
	for i := range s.Failures {
		g := &s.Failures[i]
		at := g.Check.AtSeconds
		switch {
		case g.Cause == "" || causes[g.Cause]:
			return fmt.Errorf("cause %q has no name or is listed twice", g.Cause)
		case g.Runs == 0 || g.Runs > s.Failed:
			return fmt.Errorf("cause %q: %d runs of %d that failed", g.Cause, g.Runs, s.Failed)
		case at != nil && !(*at >= 0 && *at <= maxSeconds) || g.Plan.Heal < 0:
			return fmt.Errorf("cause %q: the time is out of bounds", g.Cause)
		case !s.ran(g.File, g.Seed):
			return fmt.Errorf("cause %q: seed %d of %q was not run", g.Cause, g.Seed, g.File)
		}
		causes[g.Cause] = true
		failed += g.Runs
	}
	if failed != s.Failed || len(causes) > maxCauses {
		return fmt.Errorf("%d runs failed, but %d causes have %d runs", s.Failed, len(causes), failed)
	}
	return nil
}

// ran reports whether the seed of a file was run.
func (s *Summary) ran(file string, seed uint64) bool {
	one := &Summary{Files: []FileRuns{{File: file, Ranges: []Range{{seed, seed}}}}}
	_, _, found := s.Overlap(one)
	return found
}

// Overlap returns a file and the first range of its seeds that both summaries contain.
func (s *Summary) Overlap(o *Summary) (file string, seeds Range, found bool) {
	for _, f := range s.Files {
		for _, g := range o.Files {
			if f.File != g.File {
				continue
			}
			for _, a := range f.Ranges {
				for _, b := range g.Ranges {
					if both := (Range{max(a.First, b.First), min(a.Last, b.Last)}); both.First <= both.Last {
						return f.File, both, true
					}
				}
			}
		}
	}
	return "", Range{}, false
}
