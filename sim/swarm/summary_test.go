package swarm

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// TestValidateRefusesContradictions changes a valid summary: an empty text stands for a change that leaves it valid.
func TestValidateRefusesContradictions(t *testing.T) {
	group := func(change func(g *Group)) func(*Summary) { return func(s *Summary) { change(&s.Failures[0]) } }
	at := func(seconds float64) func(*Summary) {
		return group(func(g *Group) { g.Check.AtSeconds = &seconds })
	}
	ranges := func(files, all []Range) func(*Summary) {
		return func(s *Summary) { s.Files[0].Ranges, s.Ranges = files, all }
	}
	part := func(index, of, last uint64) func(*Summary) {
		return func(s *Summary) { s.Part = &Part{index, of, Range{1, last}} }
	}
	whole := []Range{{1, 10}}
	valid := swarmOf(t, Options{Seeds: Range{1, 10}.Seeds(), Engine: fakeEngine})
	for name, c := range map[string]struct {
		change func(s *Summary)
		want   string
	}{
		"nothing":                    {func(*Summary) {}, ""},
		"many events":                {func(s *Summary) { s.Events = maxCount }, ""},
		"too many events":            {func(s *Summary) { s.Events = maxCount + 1 }, "too large"},
		"too much virtual time":      {func(s *Summary) { s.VirtualMs = maxCount + 1 }, "too large"},
		"too many faults":            {func(s *Summary) { s.Faults[0].Count = maxCount + 1 }, "too large"},
		"too many times a situation": {func(s *Summary) { s.Situations = []Situation{{Count: maxCount + 1}} }, "too large"},
		"no time":                    {func(s *Summary) { s.WallSeconds = 0 }, ""},
		"a long time":                {func(s *Summary) { s.WallSeconds = maxSeconds }, ""},
		"too long a time":            {func(s *Summary) { s.WallSeconds = maxSeconds + 1 }, "wall_seconds"},
		"a negative time":            {func(s *Summary) { s.WallSeconds = -1 }, "wall_seconds"},
		"no number":                  {func(s *Summary) { s.WallSeconds = math.NaN() }, "wall_seconds"},
		"every run twice":            {func(s *Summary) { s.Repeated = 10 }, ""},
		"more runs twice":            {func(s *Summary) { s.Repeated = 11 }, "11 of 10 runs"},
		"no workers":                 {func(s *Summary) { s.Jobs = 0 }, ""},
		"fewer workers":              {func(s *Summary) { s.Jobs = -1 }, "by -1 workers"},
		"no files":                   {func(s *Summary) { s.Files = nil }, "no runs"},
		"a file without a name":      {func(s *Summary) { s.Files[0].File = "" }, "no name"},
		"a file without seeds":       {ranges(nil, nil), "no seeds"},
		"a file twice":               {func(s *Summary) { s.Files = append(s.Files, s.Files[0]) }, "listed twice"},
		"another number of runs":     {func(s *Summary) { s.Runs = 11 }, "the files have 10 runs"},
		"another number of failures": {func(s *Summary) { s.Failed = 4 }, "3 failed, but the result has"},
		"more failures than runs":    {func(s *Summary) { s.Files[0].Failed = 11 }, "10 runs, 11 failed"},
		"fewer runs than seeds":      {func(s *Summary) { s.Files[0].Runs = 9 }, "10 seeds, but 9 runs"},
		"ranges that touch":          {ranges([]Range{{1, 5}, {6, 10}}, whole), ""},
		"ranges that overlap":        {ranges([]Range{{1, 5}, {5, 10}}, whole), "must be in order"},
		"a range from its end":       {ranges([]Range{{10, 1}}, whole), "must be in order"},
		"too many seeds":             {ranges([]Range{{1, maxCount + 1}}, whole), "more than can have been run"},
		"other seeds":                {ranges(whole, []Range{{2, 11}}), "differ from the seeds"},
		"a cause without a name":     {group(func(g *Group) { g.Cause = "" }), "has no name"},
		"a cause twice":              {group(func(g *Group) { *g = Group{Cause: "x"} }), "0 runs of 3"},
		"a cause of more runs":       {group(func(g *Group) { g.Runs = 4 }), "4 runs of 3"},
		"a cause of fewer runs":      {group(func(g *Group) { g.Runs = 1 }), "3 runs failed, but 2 causes have 2 runs"},
		"causes that were not kept":  {func(s *Summary) { s.MoreCauses = 1 }, "have 4 runs"},
		"a seed that was not run":    {group(func(g *Group) { g.Seed = 11 }), "was not run"},
		"a file that was not run":    {group(func(g *Group) { g.File = "x" }), "was not run"},
		"a heal before the begin":    {group(func(g *Group) { g.Plan.Heal = -1 }), "out of bounds"},
		"a failure at the begin":     {at(0), ""},
		"a failure before it":        {at(-1), "out of bounds"},
		"a late failure":             {at(maxSeconds), ""},
		"too late a failure":         {at(maxSeconds + 1), "out of bounds"},
		"its part":                   {part(1, 2, 20), ""},
		"another part":               {part(2, 2, 20), "are not in part 2 of 2"},
		"a part of fewer seeds":      {part(1, 2, 19), ""},
		"a part with other seeds":    {part(1, 2, 18), "are not in part 1 of 2"},
		"part 0":                     {part(0, 2, 20), "does not exist"},
		"a part too many":            {part(3, 2, 20), "does not exist"},
		"more parts than seeds":      {part(1, 21, 20), "21 parts, but only 20 seeds"},
	} {
		s := NewSummary()
		s.Merge(valid)
		c.change(s)
		if err := s.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// failedOutcome returns the outcome of a seed whose failures have these causes.
func failedOutcome(seed uint64, causes ...string) *Outcome {
	out := &Outcome{Base: &scenarios.Scenario{File: "x.yaml"}, Plan: Plan{Seed: seed, Heal: time.Minute}}
	for _, cause := range causes {
		out.Failures = append(out.Failures, Failure{cause, reports.Check{Found: fmt.Sprint("seed ", seed)}})
	}
	return out
}

// TestSummaryKeepsFewCausesAndSeeds: of many causes the first, of many seeds of a cause the smallest.
func TestSummaryKeepsFewCausesAndSeeds(t *testing.T) {
	s := NewSummary()
	for seed := range uint64(maxCauses + 50) {
		s.Add(failedOutcome(seed, fmt.Sprint("cause ", seed)))
	}
	if len(s.Failures) != maxCauses || s.MoreCauses != 50 || s.Failed != maxCauses+50 || s.Validate() != nil {
		t.Errorf("%d causes and %d more of %d runs: %v", len(s.Failures), s.MoreCauses, s.Failed, s.Validate())
	}
	var text strings.Builder
	if err := s.Text(&text, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"250 of 250 runs failed, of 250 causes\n", "\n  and 50 failures of further causes\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in the text", want)
		}
	}
	s = NewSummary()
	for _, seed := range []uint64{9, 4, 8, 2, 7, 6, 3, 5} {
		s.Add(failedOutcome(seed, "one", "b", "a", "b"))
	}
	s.Add(failedOutcome(11, "one", "c"))
	g := s.Failures[0]
	if g.Runs != 9 || g.Seed != 2 || g.Check.Found != "seed 2" || g.Plan.Seed != 2 ||
		!slices.Equal(g.Seeds, []uint64{2, 3, 4, 5, 6}) {
		t.Errorf("a cause of nine runs: %+v", g)
	}
	if want := []LaterCause{{"b", 16}, {"a", 8}, {"c", 1}}; !slices.Equal(g.Later, want) {
		t.Errorf("its later causes are %+v, want %+v", g.Later, want)
	}
}

// TestLongListsAreCut: later causes and ranges of seeds. One more than the limit of causes is listed.
func TestLongListsAreCut(t *testing.T) {
	for n, last := range map[int]string{maxLater: "cause h\n", maxLater + 1: "cause i\n",
		maxLater + 2: "and 2 further causes\n"} {
		causes := []string{"first"}
		for i := range n {
			causes = append(causes, "cause "+string(rune('a'+i)))
		}
		s := NewSummary()
		s.Add(failedOutcome(1, causes...))
		var text strings.Builder
		if err := s.Text(&text, TextOptions{}); err != nil {
			t.Fatal(err)
		}
		_, list, _ := strings.Cut(text.String(), "later in these runs:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		if !strings.HasSuffix(list+"\n", last) || strings.Count(list, "\n")+1 > maxLater+1 {
			t.Errorf("%d later causes:\n%s", n, list)
		}
	}
	var ranges []Range
	for i := range uint64(maxRanges + 2) {
		if ranges = append(ranges, Range{10 * i, 10*i + i%2}); i == maxRanges-1 {
			if got := seedsText(ranges); got != "0, 10-11, 20, 30-31, 40, 50-51, 60, 70-71" {
				t.Errorf("seeds %s", got)
			}
		}
	}
	if got := seedsText(ranges); !strings.HasSuffix(got, "60, 70-71 and 2 more ranges") {
		t.Errorf("seeds %s", got)
	}
}

// TestPartsAreTheWhole: each seed is in one part, the sizes differ by at most one, and missing parts are named.
func TestPartsAreTheWhole(t *testing.T) {
	for _, c := range []struct {
		all  Range
		want []Range
	}{
		{Range{1, 10}, []Range{{1, 4}, {5, 7}, {8, 10}}},
		{Range{1, 11}, []Range{{1, 4}, {5, 8}, {9, 11}}},
		{Range{5, 7}, []Range{{5, 5}, {6, 6}, {7, 7}}},
		{Range{0, math.MaxUint64}, []Range{{0, math.MaxUint64 / 2}, {math.MaxUint64/2 + 1, math.MaxUint64}}},
	} {
		var got []Range
		for i := range uint64(len(c.want)) {
			p := Part{i + 1, uint64(len(c.want)), c.all}
			if err := p.Validate(); err != nil {
				t.Error(err)
			}
			got = append(got, p.Seeds())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("the parts of %v are %v, want %v", c.all, got, c.want)
		}
	}
	parts := func(of uint64, has ...uint64) (all []*Summary) {
		for _, i := range has {
			all = append(all, &Summary{Part: &Part{i, of, Range{1, 100}}})
		}
		return all
	}
	for want, all := range map[string][]*Summary{
		"<nil>": parts(3, 1, 2, 3),
		"missing: part 1, 3 of 3 of the seeds 1-100":                                parts(3, 2),
		"missing: part 3 of 3 of the seeds 1-100":                                   parts(3, 1, 2),
		"missing: part 2, 3, 4, 5, 6, 7, 8, 9 and 11 more of 20 of the seeds 1-100": parts(20, 1),
	} {
		if got := fmt.Sprint(MissingParts(all)); got != want {
			t.Errorf("%d parts: %s, want %s", len(all), got, want)
		}
	}
	if MissingParts(nil) != nil || MissingParts([]*Summary{{}}) != nil {
		t.Error("parts are missing of a swarm that has none")
	}
}
