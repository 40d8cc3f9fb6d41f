package swarm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"bluetrace/reports"
)

// Bounds of what is read: what a file says is no reason to count wrong.
const (
	mostCount   = 1 << 53       // of anything; every reader of JSON can write it
	mostSeconds = 1_000_000_000 // some thirty years
	mostJobs    = 1 << 20
)

// ReadJSON reads what JSON wrote. Its verdict is that of what failed: passed, failed,
// or interrupted if nothing failed and the file says so.
func ReadJSON(r io.Reader) (*Summary, error) {
	s := NewSummary()
	s.Kind, s.Verdict = "", ""
	d := json.NewDecoder(r)
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("reading the JSON result of a swarm: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading the JSON result of a swarm: more stands behind it")
	}
	if s.Kind != kind {
		return nil, fmt.Errorf("this is no JSON result of a swarm: its kind is %q, not %q", s.Kind, kind)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("the JSON result of a swarm is wrong: %w", err)
	}
	switch {
	case s.Failed > 0:
		s.Verdict = reports.Failed
	case s.Verdict != reports.Interrupted:
		s.Verdict = reports.Passed // all that it failed for was for want of situations, which others may have
	}
	s.Reasons = nil
	return s, nil
}

// Validate says what contradicts itself, or is beyond all bounds.
func (s *Summary) Validate() error {
	counts := []uint64{s.Runs, s.Failed, s.Repeated, s.Events, s.VirtualMs, s.MoreCauses}
	for _, list := range [][]reports.KindCount{s.Faults, s.Adversaries} {
		for _, k := range list {
			counts = append(counts, k.Count)
		}
	}
	for _, m := range s.Situations {
		counts = append(counts, m.Count)
	}
	most := slices.Max(counts)
	switch {
	case most > mostCount:
		return fmt.Errorf("it counts %d of something; at most %d", most, uint64(mostCount))
	case !(s.WallSeconds >= 0 && s.WallSeconds <= mostSeconds):
		return fmt.Errorf("wall_seconds %g are not from 0 to %d", s.WallSeconds, mostSeconds)
	case s.Jobs < 0 || s.Jobs > mostJobs:
		return fmt.Errorf("jobs %d are not from 0 to %d", s.Jobs, mostJobs)
	case s.Repeated > s.Runs:
		return fmt.Errorf("of %d runs %d were run twice", s.Runs, s.Repeated)
	}
	if err := checkRanges(s.Ranges); err != nil {
		return err
	}
	if err := s.checkFiles(); err != nil {
		return err
	}
	return s.checkFailures()
}

// checkFiles compares the runs of each file with its seeds, and all with the sums.
func (s *Summary) checkFiles() error {
	if s.Runs == 0 || len(s.Files) == 0 {
		return errors.New("it has no run")
	}
	var all []Range
	var runs, failed uint64
	names := map[string]bool{}
	for _, f := range s.Files {
		if err := checkRanges(f.Ranges); err != nil {
			return fmt.Errorf("%q: %w", f.File, err)
		}
		var seeds uint64
		for _, r := range f.Ranges {
			if size := r.size(); size > mostCount || size == 0 {
				return fmt.Errorf("%q has %d to %d as its seeds: more than can have been run", f.File, r.First, r.Last)
			} else if seeds += size; seeds > mostCount {
				return fmt.Errorf("%q has more seeds than can have been run", f.File)
			}
		}
		switch {
		case f.File == "" || names[f.File]:
			return fmt.Errorf("the file %q has no name, or is there twice", f.File)
		case f.Runs != seeds:
			return fmt.Errorf("%q has %d runs and %d seeds", f.File, f.Runs, seeds)
		case f.Failed > f.Runs:
			return fmt.Errorf("of %d runs of %q %d failed", f.Runs, f.File, f.Failed)
		}
		names[f.File] = true
		all = mergeRanges(all, f.Ranges)
		if runs, failed = runs+f.Runs, failed+f.Failed; runs > mostCount {
			return errors.New("its files have more runs than can have been run")
		}
	}
	switch {
	case runs != s.Runs || failed != s.Failed:
		return fmt.Errorf("its files have %d runs, of which %d failed, and it says %d and %d", runs, failed, s.Runs, s.Failed)
	case !slices.Equal(all, s.Ranges):
		return errors.New("the seeds of its files are not its seeds")
	}
	return nil
}

func checkRanges(ranges []Range) error {
	if len(ranges) == 0 {
		return errors.New("no seeds were run")
	}
	for i, r := range ranges {
		if r.Last < r.First || i > 0 && r.First <= ranges[i-1].Last {
			return fmt.Errorf("the seeds from %d to %d are no range behind those before it", r.First, r.Last)
		}
	}
	return nil
}

// checkFailures looks for causes without a run, and failed runs without a cause.
func (s *Summary) checkFailures() error {
	if len(s.Failures) > mostCauses {
		return fmt.Errorf("it has %d causes; at most %d", len(s.Failures), mostCauses)
	}
	runs := s.MoreCauses
	for i := range s.Failures {
		g := &s.Failures[i]
		at := g.Check.AtSeconds
		switch {
		case g.Cause == "" || slices.ContainsFunc(s.Failures[:i], func(h Group) bool { return h.Cause == g.Cause }):
			return fmt.Errorf("the cause %q has no name, or is there twice", g.Cause)
		case g.Runs == 0 || g.Runs > s.Failed:
			return fmt.Errorf("the cause %q has %d runs of %d that failed", g.Cause, g.Runs, s.Failed)
		case at != nil && !(*at >= 0 && *at <= mostSeconds) || g.Plan.Heal < 0:
			return fmt.Errorf("the cause %q came at no time that there is", g.Cause)
		case slices.ContainsFunc(g.Later, func(a LaterCause) bool { return a.Runs > g.Runs }):
			return fmt.Errorf("behind the cause %q is one of more runs", g.Cause)
		case !s.ran(g.File, g.Seed):
			return fmt.Errorf("the cause %q is of seed %d of %q, which was not run", g.Cause, g.Seed, g.File)
		}
		runs += g.Runs
	}
	if runs != s.Failed { // each has one that came first
		return fmt.Errorf("%d runs failed, and its causes have %d", s.Failed, runs)
	}
	return nil
}

func (s *Summary) ran(file string, seed uint64) bool {
	return slices.ContainsFunc(s.Files, func(f FileRuns) bool {
		return f.File == file && slices.ContainsFunc(f.Ranges, func(r Range) bool { return r.First <= seed && seed <= r.Last })
	})
}

// Overlap is a file of which both have the same seeds, and which.
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
