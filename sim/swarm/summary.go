package swarm

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"bluetrace/reports"
	"bluetrace/sim/situations"
)

// Summary is what a swarm found. Its JSON form is stable: names are only ever
// added. Those of the halves of a range, merged, are that of the whole but for what
// is measured in real time.
type Summary struct {
	Kind    string          `json:"kind"` // "swarm", so that nothing else is taken for one
	Build   reports.Build   `json:"build"`
	Verdict reports.Verdict `json:"verdict"`
	// Reasons are why a swarm failed or ended, but for its failures.
	Reasons   []string   `json:"reasons,omitempty"`
	Ranges    []Range    `json:"seeds"` // that were run, joined where they touch
	Files     []FileRuns `json:"files"`
	Runs      uint64     `json:"runs"`
	Failed    uint64     `json:"failed"`
	Repeated  uint64     `json:"twice"` // runs that were run a second time
	Events    uint64     `json:"events"`
	VirtualMs uint64     `json:"virtual_ms"` // of all runs together

	WallSeconds float64 `json:"wall_seconds"` // of merged ones together
	Jobs        int     `json:"jobs"`         // of merged ones the most

	Faults      []reports.KindCount `json:"faults"`
	Adversaries []reports.KindCount `json:"adversaries"`
	Situations  []Situation         `json:"marks"`
	Failures    []Group             `json:"failures"`
	// MoreCauses are failures whose cause was one too many to be kept.
	MoreCauses uint64 `json:"more_causes,omitempty"`
}

// FileRuns are the runs of one file.
type FileRuns struct {
	File   string  `json:"file"`
	Ranges []Range `json:"seeds"` // of its runs, as those of all
	Runs   uint64  `json:"runs"`
	Failed uint64  `json:"failed"`
}

// Situation is a situation that a swarm should come to, and how many times it did.
type Situation struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Count uint64 `json:"count"`
}

// Group is failures of one cause. What it shows of them is of the first seed.
type Group struct {
	Cause  string        `json:"cause"`
	Runs   uint64        `json:"runs"` // in which it came, before anything else failed
	Seed   uint64        `json:"seed"`
	File   string        `json:"file"`
	Plan   Plan          `json:"plan"`
	Check  reports.Check `json:"check"`
	Repeat string        `json:"repeat"` // the command that shows it again
	// Drawn is the file of the scenario as it was drawn, Shrunk that of a small one
	// that fails with the same cause; empty: none was written.
	Drawn  string `json:"drawn,omitempty"`
	Shrunk string `json:"shrunk,omitempty"`
	// ShrunkNote says what is small about it, or why there is none.
	ShrunkNote string `json:"shrunk_note,omitempty"`
	// Also are the causes of what failed later in these runs, those of many runs first.
	Later []LaterCause `json:"also,omitempty"`
}

// Also is a cause that came behind another, and in how many runs.
type LaterCause struct {
	Cause string `json:"cause"`
	Runs  uint64 `json:"runs"`
}

// mostCauses are the most groups that are kept.
const mostCauses = 200

// kind of a summary.
const kind = "swarm"

// NewSummary is one of no runs.
func NewSummary() *Summary {
	return &Summary{Kind: kind, Verdict: reports.Passed, Ranges: []Range{}, Files: []FileRuns{}, Faults: []reports.KindCount{},
		Adversaries: []reports.KindCount{}, Situations: []Situation{}, Failures: []Group{}}
}

// Add takes one outcome.
func (s *Summary) Add(out *Outcome) {
	one := NewSummary()
	seed := out.Plan.Seed
	one.Ranges = []Range{{seed, seed}}
	one.Files = []FileRuns{{File: out.Base.File, Ranges: []Range{{seed, seed}}, Runs: 1}}
	one.Runs, one.Events = 1, out.Events
	one.VirtualMs = uint64(time.Duration(out.VirtualSeconds * float64(time.Second)).Round(time.Millisecond).Milliseconds())
	one.Faults, one.Adversaries = out.Faults, out.Adversaries
	if out.Repeated {
		one.Repeated = 1
	}
	if out.Situations != nil {
		for i, m := range situations.All() {
			one.Situations = append(one.Situations, Situation{m.Name(), m.About(), out.Situations[i]})
		}
	}
	if len(out.Failures) > 0 {
		one.Verdict, one.Failed, one.Files[0].Failed = reports.Failed, 1, 1
	}
	for i, f := range out.Failures {
		if i == 0 {
			one.Failures = []Group{{Cause: f.Cause, Runs: 1, Seed: seed, File: out.Base.File, Plan: out.Plan, Check: f.Check}}
			continue
		}
		one.Failures[0].Later = mergeLaterCauses(one.Failures[0].Later, []LaterCause{{f.Cause, 1}})
	}
	s.Merge(one)
}

// Merge adds what another swarm of the same build found.
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

// addGroup adds failures of one cause.
func (s *Summary) addGroup(g *Group) {
	i := slices.IndexFunc(s.Failures, func(h Group) bool { return h.Cause == g.Cause })
	switch {
	case i >= 0:
		h := &s.Failures[i]
		runs, also := h.Runs+g.Runs, mergeLaterCauses(h.Later, g.Later)
		if g.Seed < h.Seed {
			*h = *g
		}
		h.Runs, h.Later = runs, also
	case len(s.Failures) < mostCauses:
		s.Failures = append(s.Failures, *g)
	default:
		s.MoreCauses += g.Runs
	}
}

// mergeLaterCauses are counts by cause, the most first.
func mergeLaterCauses(a, b []LaterCause) []LaterCause {
	if len(b) == 0 {
		return a
	}
	sum := slices.Clone(a)
	for _, one := range b {
		if i := slices.IndexFunc(sum, func(s LaterCause) bool { return s.Cause == one.Cause }); i >= 0 {
			sum[i].Runs += one.Runs
		} else if len(sum) < mostCauses {
			sum = append(sum, one)
		}
	}
	slices.SortFunc(sum, func(x, y LaterCause) int { return cmp.Or(cmp.Compare(y.Runs, x.Runs), cmp.Compare(x.Cause, y.Cause)) })
	return sum
}

// worse of two verdicts: what failed outweighs what was interrupted.
func worseVerdict(a, b reports.Verdict) reports.Verdict {
	rank := func(v reports.Verdict) int {
		return slices.Index([]reports.Verdict{reports.Passed, reports.Interrupted, reports.Failed}, v)
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// mergeRanges ranges are in order, and one where they touch or overlap.
func mergeRanges(a, b []Range) []Range {
	if n := len(a); n > 0 && len(b) == 1 && a[n-1].Last <= b[0].First && b[0].First-a[n-1].Last <= 1 { // the usual case
		a[n-1].Last = max(a[n-1].Last, b[0].Last)
		return a
	}
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y Range) int { return cmp.Or(cmp.Compare(x.First, y.First), cmp.Compare(x.Last, y.Last)) })
	out := []Range{}
	for _, r := range all {
		if n := len(out); n > 0 && (r.First <= out[n-1].Last || r.First-out[n-1].Last == 1) {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// mergeKindCounts are counts by kind, in the order of the kinds.
func mergeKindCounts(a, b []reports.KindCount) []reports.KindCount {
	sum := map[string]uint64{}
	for _, k := range slices.Concat(a, b) {
		sum[k.Kind] += k.Count
	}
	out := []reports.KindCount{}
	for _, kind := range slices.Sorted(maps.Keys(sum)) {
		out = append(out, reports.KindCount{Kind: kind, Count: sum[kind]})
	}
	return out
}

// Unreached are the marks that no run came to.
func (s *Summary) Unreached() []string {
	var names []string
	for _, m := range s.Situations {
		if m.Count == 0 {
			names = append(names, m.Name)
		}
	}
	return names
}

// RequireSituations fails the swarm when a situation was never reached, at the wish of
// whom the reason names.
func (s *Summary) RequireSituations(wish string) {
	missing := len(s.Unreached())
	switch {
	case len(s.Situations) == 0:
		s.Reasons = append(s.Reasons, "no situations were counted "+wish)
	case missing == 1:
		s.Reasons = append(s.Reasons, fmt.Sprintf("1 of %d situations was never reached %s", len(s.Situations), wish))
	case missing > 1:
		s.Reasons = append(s.Reasons, fmt.Sprintf("%d of %d situations were never reached %s", missing, len(s.Situations), wish))
	default:
		return
	}
	s.Verdict = reports.Failed
}

// SetInterrupted says that something was ended before its time.
func (s *Summary) SetInterrupted(reason string) {
	s.Verdict = worseVerdict(s.Verdict, reports.Interrupted)
	s.Reasons = append(s.Reasons, reason)
}

// Sorted has the failures that come first to a person first: broken runs and
// invariants, then liveness; of either, those that came at an earlier virtual time.
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
		return cmp.Or(cmp.Compare(rank(a), rank(b)), earlier(&a.Check, &b.Check), cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Cause, b.Cause))
	})
	return all
}

// earlier orders failed checks by the virtual time at which they failed. What is
// about the whole run comes first, what was seen at its end last.
func earlier(a, b *reports.Check) int {
	when := func(c *reports.Check) float64 {
		switch {
		case c.Name == RunEnds || c.Name == SameRun:
			return -1
		case c.AtSeconds == nil:
			return math.Inf(1)
		}
		return *c.AtSeconds
	}
	return cmp.Compare(when(a), when(b))
}

// SeedRanges is the ranges in words.
func (s *Summary) SeedRanges() string {
	const shown = 8
	text := ""
	for i, r := range s.Ranges {
		if i == shown {
			return text + fmt.Sprintf(" and %d more ranges", len(s.Ranges)-i)
		}
		if i > 0 {
			text += ", "
		}
		if text += fmt.Sprint(r.First); r.Last > r.First {
			text += fmt.Sprintf("-%d", r.Last)
		}
	}
	return text
}
