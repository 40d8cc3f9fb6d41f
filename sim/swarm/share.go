package swarm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bluetrace/reports"
)

// Part is one of several shares of a range of seeds. Each share is a range of its own, and their sizes differ by at
// most one seed.
type Part struct {
	Index uint64 `json:"index"` // 1 to Of
	Of    uint64 `json:"of"`
	All   Range  `json:"seeds"` // of all parts
}

// Validate returns an error if there is no such part, or if it has no seed.
func (p Part) Validate() error {
	switch {
	case p.Index < 1 || p.Index > p.Of:
		return fmt.Errorf("part %d of %d does not exist", p.Index, p.Of)
	case p.All.Last < p.All.First:
		return fmt.Errorf("seeds %d-%d: ranges must be in order", p.All.First, p.All.Last)
	case p.Of-1 > p.All.Last-p.All.First:
		return fmt.Errorf("there are %d parts, but only %s", p.Of, reports.Plural(p.All.size(), "seed", "seeds"))
	}
	return nil
}

// Seeds returns the seeds of a valid part.
func (p Part) Seeds() Range {
	size, larger := (p.All.Last-p.All.First)/p.Of, (p.All.Last-p.All.First)%p.Of+1 // the first ones have a seed more
	start := func(index uint64) uint64 { return p.All.First + index*size + min(index, larger) }
	return Range{start(p.Index - 1), start(p.Index) - 1}
}

func (p Part) String() string {
	return fmt.Sprintf("part %d of %d of the seeds %d-%d", p.Index, p.Of, p.All.First, p.All.Last)
}

// validatePart returns an error if the summary has seeds outside its part.
func (s *Summary) validatePart() error {
	if s.Part == nil {
		return nil
	}
	if err := s.Part.Validate(); err != nil {
		return err
	}
	own := s.Part.Seeds()
	for _, r := range s.Ranges {
		if r.First < own.First || r.Last > own.Last {
			return fmt.Errorf("seeds %d-%d are not in %s", r.First, r.Last, s.Part)
		}
	}
	return nil
}

// PartConflict returns the reason for which two summaries are not parts of one swarm, or nil. Two summaries without a
// part have no conflict.
func (s *Summary) PartConflict(o *Summary) error {
	switch {
	case s.Part == nil && o.Part == nil:
		return nil
	case s.Part == nil || o.Part == nil:
		return errors.New("one is a part and the other is not: merge parts with parts only")
	case s.Part.Of != o.Part.Of || s.Part.All != o.Part.All:
		return fmt.Errorf("one is %s and the other is %s: merge the parts of one swarm", s.Part, o.Part)
	case s.Part.Index == o.Part.Index:
		return fmt.Errorf("both are %s: leave one of them out", s.Part)
	case !slices.EqualFunc(s.Files, o.Files, func(a, b FileRuns) bool { return a.File == b.File }):
		return fmt.Errorf("%s and %s have other scenarios: run all parts with the same ones", s.Part, o.Part)
	}
	return nil
}

// MissingParts returns an error that names the parts that are missing among summaries without a conflict, or nil.
func MissingParts(all []*Summary) error {
	if len(all) == 0 || all[0].Part == nil || uint64(len(all)) == all[0].Part.Of {
		return nil
	}
	part := all[0].Part
	has := map[uint64]bool{}
	for _, s := range all {
		has[s.Part.Index] = true
	}
	var missing []string
	for i := uint64(1); i <= part.Of && len(missing) < maxRanges; i++ {
		if !has[i] {
			missing = append(missing, fmt.Sprint(i))
		}
	}
	text := "part " + strings.Join(missing, ", ")
	if more := part.Of - uint64(len(all)+len(missing)); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("missing: %s of %d of the seeds %d-%d", text, part.Of, part.All.First, part.All.Last)
}

// Shared is a swarm as a program sees it that shares the work among machines: such a program runs the chunks of the
// seeds and merges their results with two commands.
type Shared struct {
	Build     reports.Build `json:"build"`
	Seeds     Range         `json:"seeds"`
	Unbounded bool          `json:"unbounded"` // the seeds have no end
	Limit     time.Duration `json:"limit_ns"`  // no chunk starts after it; 0 if only the seeds end the swarm
	Scenarios []string      `json:"scenarios"` // the files, in the order of the runs of a seed
	Inputs    []string      `json:"inputs"`    // the files that a run reads
	Out       string        `json:"out"`       // the folder of the results; empty if there is none
	FailFast  bool          `json:"fail_fast"` // start no run after the first failure
	// Run and Merge are the flags of the commands that run seeds, and that merge results.
	Run   []string `json:"run"`
	Merge []string `json:"merge"`
}
