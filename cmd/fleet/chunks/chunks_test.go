package chunks

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// summaryOf returns the result of a range, in which the given seeds failed.
func summaryOf(r swarm.Range, failed ...uint64) *swarm.Summary {
	s := swarm.NewSummary()
	s.Build = reports.Build{Go: "go1.26", Revision: "abc"}
	n := r.Last - r.First + 1
	s.Ranges, s.Runs, s.Failed, s.WallSeconds, s.Jobs = []swarm.Range{r}, n, uint64(len(failed)), float64(n)/10, 1
	s.Files = []swarm.FileRuns{{File: "x.yaml", Ranges: []swarm.Range{r}, Runs: n, Failed: uint64(len(failed))}}
	if len(failed) > 0 {
		s.Verdict = reports.Failed
		s.Failures = []swarm.Group{{Cause: "c", Runs: uint64(len(failed)), Seed: failed[0], File: "x.yaml"}}
	}
	return s
}

func resultOf(t *testing.T, c *Collector, one Chunk, worker string, s *swarm.Summary) *Result {
	t.Helper()
	var text strings.Builder
	if err := s.JSON(&text); err != nil {
		t.Fatal(err)
	}
	return &Result{Run: c.Run, Chunk: one.ID, Worker: worker, Summary: json.RawMessage(text.String())}
}

func sharedOf(failFast bool) *swarm.Shared {
	return &swarm.Shared{Build: reports.Build{Go: "go1.26", Revision: "abc"}, Seeds: swarm.Range{First: 1, Last: 30},
		Scenarios: []string{"x.yaml"}, FailFast: failFast}
}

func open(t *testing.T, folder, key string, failFast bool) *Collector {
	t.Helper()
	c, err := Open(folder, key, "run-"+key, sharedOf(failFast))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// cutThree cuts three chunks of ten seeds.
func cutThree(t *testing.T, c *Collector) (all []Chunk) {
	t.Helper()
	for first := uint64(1); first < 30; first += 10 {
		one, err := c.Add(Seeds, swarm.Range{First: first, Last: first + 9})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

func take(t *testing.T, c *Collector, r *Result) {
	t.Helper()
	if err := c.Take(r); err != nil {
		t.Fatal(err)
	}
}

// TestResultsInAnyOrderMergeToTheWhole gives results in another order, one of them twice, and of another run.
func TestResultsInAnyOrderMergeToTheWhole(t *testing.T) {
	c := open(t, t.TempDir(), "a", false)
	all := cutThree(t, c)
	whole := swarm.NewSummary()
	whole.Build = reports.Build{Go: "go1.26", Revision: "abc"}
	for _, i := range []int{2, 0, 1} {
		take(t, c, resultOf(t, c, all[i], "w", summaryOf(all[i].Seeds, all[i].Seeds.First+3)))
	}
	for i := range all {
		whole.Merge(summaryOf(all[i].Seeds, all[i].Seeds.First+3))
	}
	again := summaryOf(all[1].Seeds, all[1].Seeds.First+3)
	again.WallSeconds, again.Jobs = 99, 8
	take(t, c, resultOf(t, c, all[1], "other", again))
	stranger := resultOf(t, c, all[1], "other", summaryOf(all[1].Seeds))
	stranger.Run = "another"
	take(t, c, stranger)
	if c.Progress.Repeated != 1 || len(c.Progress.Differences) != 0 || len(c.Outstanding()) != 0 {
		t.Errorf("%+v, outstanding %v", c.Progress, c.Outstanding())
	}
	merged, err := c.Merged()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole, merged); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// TestASecondResultIsCompared checks that another result of a chunk does not replace the first one, and is reported.
func TestASecondResultIsCompared(t *testing.T) {
	folder := t.TempDir()
	c := open(t, folder, "a", false)
	all := cutThree(t, c)
	take(t, c, resultOf(t, c, all[0], "one", summaryOf(all[0].Seeds)))
	take(t, c, resultOf(t, c, all[0], "two", summaryOf(all[0].Seeds, 4)))
	want := []string{`chunk 1 (seeds 1-10): the result of worker "two" differs from that of worker "one"`}
	if diff := cmp.Diff(want, c.Progress.Differences); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	merged, err := c.Merged()
	if err != nil || merged.Failed != 0 || merged.Runs != 10 {
		t.Errorf("%+v, %v", merged, err)
	}
	path := filepath.Join(folder, "results", "1-again.json")
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, open(t, folder, "a", false).Progress.Differences); diff != "" {
		t.Errorf("the next coordinator: want (-), got (+):\n%s", diff)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := len(open(t, folder, "a", false).Progress.Differences); n != 1 {
		t.Errorf("with a damaged file of the second result: %d differences, want 1", n)
	}
}

// TestResultThatIsNotOfItsChunkIsRefused has results of another sim, of another command, and of a part of the chunk.
func TestResultThatIsNotOfItsChunkIsRefused(t *testing.T) {
	of := func(first, last uint64) func(s *swarm.Summary) {
		return func(s *swarm.Summary) { *s = *summaryOf(swarm.Range{First: first, Last: last}, 4) }
	}
	inFile := func(name string) func(s *swarm.Summary) {
		return func(s *swarm.Summary) { s.Files[0].File, s.Failures[0].File = name, name }
	}
	for says, change := range map[string]func(s *swarm.Summary){
		`of the build (def, go1.26), not (abc, go1.26)`:     func(s *swarm.Summary) { s.Build.Revision = "def" },
		`of the build (abc, go1.26, planted bug: unsynced)`: func(s *swarm.Summary) { s.Build.Planted = PlantedBug },
		`of "x.yaml" has other seeds: [{1 9}]`:              of(1, 9),
		`of "x.yaml" has other seeds: [{2 10}]`:             of(2, 10),
		`of "x.yaml" has other seeds: [{1 11}]`:             of(1, 11),
		`has the scenario "y.yaml", which the run has not`:  inFile("y.yaml"),
		`names the files "" and "/x"`:                       func(s *swarm.Summary) { s.Failures[0].Shrunk = "/x" },
	} {
		c := open(t, t.TempDir(), "a", false)
		all := cutThree(t, c)
		s := summaryOf(all[0].Seeds, 4)
		change(s)
		r := resultOf(t, c, all[0], "w", s)
		take(t, c, r)
		if c.Progress.Done != 0 || c.Progress.Runs != 0 || !strings.Contains(r.Error, says) {
			t.Errorf("%s: error %q, %+v", says, r.Error, c.Progress)
		}
		take(t, c, resultOf(t, c, all[0], "w", summaryOf(all[0].Seeds)))
		take(t, c, resultOf(t, c, all[0], "w", s))
		if c.Progress.Done != 1 || len(c.Progress.Differences) != 0 {
			t.Errorf("%s: after the right result: %+v", says, c.Progress)
		}
	}
}

// TestEveryScenarioOfARunHasAResult has a result that lacks one of two scenarios. With fail-fast, it may.
func TestEveryScenarioOfARunHasAResult(t *testing.T) {
	for failFast, says := range map[bool]string{false: "the result has 1 of 2 scenarios", true: ""} {
		c := open(t, t.TempDir(), "a", failFast)
		c.shared.Scenarios = []string{"x.yaml", "y.yaml"}
		one := cutThree(t, c)[0]
		seeds := one.Seeds
		if failFast {
			seeds.Last = 4
		}
		r := resultOf(t, c, one, "w", summaryOf(seeds, 4))
		take(t, c, r)
		if r.Error != says || failFast != (c.Progress.Done == 1) {
			t.Errorf("fail-fast %t: error %q, %+v", failFast, r.Error, c.Progress)
		}
	}
}

// TestCoordinatorThatIsKilledContinues opens the folder again after each step, also with a torn line of the manifest and
// with a damaged result.
func TestCoordinatorThatIsKilledContinues(t *testing.T) {
	folder := t.TempDir()
	c := open(t, folder, "a", false)
	all := cutThree(t, c)
	take(t, c, resultOf(t, c, all[0], "w", summaryOf(all[0].Seeds)))
	take(t, c, resultOf(t, c, all[1], "w", summaryOf(all[1].Seeds, 14)))
	path := filepath.Join(folder, "manifest.ndjson")
	intact, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, torn := range []string{"", `{"done":{"chunk":3`, `{"cut":{"id":4,"kind":"see`} {
		if err := os.WriteFile(path, append(intact[:len(intact):len(intact)], torn...), 0o600); err != nil {
			t.Fatal(err)
		}
		c := open(t, folder, "a", false)
		if c.Run != "run-a" || !c.Cutter.Ended() || c.Progress.Runs != 20 || !c.Progress.Causes["c"] {
			t.Errorf("%q: run %q, %+v", torn, c.Run, c.Progress)
		}
		if diff := cmp.Diff(all[2:], c.Outstanding()); diff != "" {
			t.Errorf("%q: want (-), got (+):\n%s", torn, diff)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != string(intact) {
			t.Errorf("%q: the manifest is now %q, %v", torn, text, err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "results", "1.json"), []byte(`{"run":"run-a"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	c = open(t, folder, "a", false)
	if diff := cmp.Diff([]Chunk{all[0], all[2]}, c.Outstanding()); diff != "" {
		t.Errorf("with a damaged result: want (-), got (+):\n%s", diff)
	}
	take(t, c, resultOf(t, c, all[0], "w", summaryOf(all[0].Seeds))) // the manifest has it twice now
	if c = open(t, folder, "a", false); c.Progress.Runs != 20 || c.Progress.Done != 2 {
		t.Errorf("with a result that was run again: %+v", c.Progress)
	}
	if _, err := Open(folder, "b", "run-b", &swarm.Shared{}); err == nil ||
		!strings.Contains(err.Error(), "has an unfinished run of another command") {
		t.Errorf("another command: %v", err)
	}
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	if c := open(t, folder, "b", false); c.Run != "run-b" || len(c.Outstanding()) != 0 || c.Progress.Done != 0 {
		t.Errorf("after the end: %q, %+v", c.Run, c.Progress)
	}
}

// TestManifestThatLacksChunksIsRefused has files that are no manifest, or that lack a line or seeds.
func TestManifestThatLacksChunksIsRefused(t *testing.T) {
	const begin = `{"header":{"format":1,"run":"r","key":"a"}}` + "\n"
	cut := func(id, first, last int) string {
		return fmt.Sprintf(`{"cut":{"id":%d,"kind":"seeds","seeds":{"first":%d,"last":%d}}}`+"\n", id, first, last)
	}
	for text, says := range map[string]string{
		"{}\n":                               "it is no manifest of this version",
		"{\"header\":{\"format\":2}}\n":      "it is no manifest of this version",
		"no\n":                               "line 1: invalid character",
		begin + begin:                        "line 2: it is no record",
		begin + "{\"cuu\":{\"id\":1}}\n":     "line 2: it is no record",
		begin + "{\"cut\":{\"id\":0}}\n":     "line 2: invalid chunk",
		begin + cut(1, 1, 4) + cut(3, 9, 12): "line 3: chunk 3 (seeds 9-12) does not follow the lines before",
		begin + cut(1, 1, 4) + cut(1, 5, 8):  "line 3: chunk 1 (seeds 5-8) does not follow the lines before",
		begin + cut(1, 1, 3) + cut(2, 5, 8):  "line 3: chunk 2 (seeds 5-8) does not follow the lines before",
		begin + cut(1, 1, 4) + cut(2, 4, 8):  "line 3: chunk 2 (seeds 4-8) does not follow the lines before",
		begin + cut(1, 1, 31):                "line 2: chunk 1 (seeds 1-31) does not follow the lines before",
	} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "manifest.ndjson"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(folder, "a", "r", sharedOf(false)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestFailFastCountsTheSeedsUntilTheFirstFailure gives the failure of a later chunk first.
func TestFailFastCountsTheSeedsUntilTheFirstFailure(t *testing.T) {
	c := open(t, t.TempDir(), "a", true)
	all := cutThree(t, c)
	take(t, c, resultOf(t, c, all[1], "w", summaryOf(swarm.Range{First: 11, Last: 13}, 13)))
	if !c.Stopped() || c.Needed(all[2].ID) || len(c.Outstanding()) != 1 || c.Outstanding()[0].ID != all[0].ID {
		t.Errorf("stopped %t, outstanding %v", c.Stopped(), c.Outstanding())
	}
	take(t, c, resultOf(t, c, all[2], "w", summaryOf(all[2].Seeds, 22)))
	take(t, c, resultOf(t, c, all[0], "w", summaryOf(all[0].Seeds)))
	merged, err := c.Merged()
	if err != nil || merged.Runs != 13 || merged.Failed != 1 || merged.Failures[0].Seed != 13 {
		t.Errorf("%+v, %v", merged, err)
	}
}

// TestAChunkThatNoWorkerCanRunEndsTheRun gives three errors of a chunk, and then of the canary.
func TestAChunkThatNoWorkerCanRunEndsTheRun(t *testing.T) {
	c := open(t, t.TempDir(), "a", false)
	all := cutThree(t, c)
	canary, err := c.Add(Canary, swarm.Range{First: 1, Last: 60})
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range []Chunk{all[0], canary} {
		for n := range maxErrors {
			err := c.Take(&Result{Run: c.Run, Chunk: one.ID, Worker: fmt.Sprint(n), Error: "signal: killed"})
			failed, is := errors.AsType[*ChunkError](err)
			if last := n == maxErrors-1; is != last || err != nil && failed.Error() != one.String()+" failed 3 times: signal: killed" {
				t.Errorf("error %d of %v: %v", n+1, one, err)
			}
		}
		if c.Needed(one.ID) {
			t.Errorf("%d: it is still needed", i)
		}
	}
	if c.CanaryFound() {
		t.Error("the canary was found")
	}
}

// TestCanaryMustBeFoundByItsCause has a result of another cause, and one of the planted bug.
func TestCanaryMustBeFoundByItsCause(t *testing.T) {
	for cause, want := range map[string]bool{"c": false, canaryCause + ": it is lost": true} {
		c := open(t, t.TempDir(), "a", false)
		canary, err := c.Add(Canary, swarm.Range{First: 1, Last: 60})
		if err != nil {
			t.Fatal(err)
		}
		s := summaryOf(canary.Seeds, 7)
		s.Build.Planted, s.Failures[0].Cause = PlantedBug, cause
		take(t, c, resultOf(t, c, canary, "w", s))
		if c.CanaryFound() != want || c.Progress.Failed != 0 || len(c.Progress.Causes) != 0 {
			t.Errorf("%q: found %t, %+v", cause, c.CanaryFound(), c.Progress)
		}
	}
}

// TestDiskThatIsFullLosesNothing makes the folder of the results impossible to write.
func TestDiskThatIsFullLosesNothing(t *testing.T) {
	folder := t.TempDir()
	c := open(t, folder, "a", false)
	all := cutThree(t, c)
	results := filepath.Join(folder, "results")
	if err := os.Rename(results, results+"-away"); err != nil {
		t.Fatal(err)
	}
	r := resultOf(t, c, all[0], "w", summaryOf(all[0].Seeds))
	if err := c.Take(r); err == nil || len(c.Outstanding()) != 3 {
		t.Errorf("%v, outstanding %v", err, c.Outstanding())
	}
	if err := os.Rename(results+"-away", results); err != nil {
		t.Fatal(err)
	}
	take(t, c, r)
	if len(c.Outstanding()) != 2 || c.Progress.Repeated != 0 {
		t.Errorf("outstanding %v, %+v", c.Outstanding(), c.Progress)
	}
	again := resultOf(t, c, all[0], "x", summaryOf(all[0].Seeds, 4))
	if err := errors.Join(os.Rename(results, results+"-away"), c.Take(again)); err == nil ||
		errors.Join(os.Rename(results+"-away", results), c.Take(again)) != nil || len(c.Progress.Differences) != 1 {
		t.Errorf("a second result that was given twice: %v, %q", err, c.Progress.Differences)
	}
	if err := os.Rename(filepath.Join(results, "1-again.json"), filepath.Join(results, "1.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Merged(); err == nil || !strings.Contains(err.Error(), "chunk 1: its file was changed") {
		t.Errorf("with the file of another result: %v", err)
	}
}

// TestCutterFollowsTheSpeed checks the sizes of chunks, and that they are the range together.
func TestCutterFollowsTheSpeed(t *testing.T) {
	c := NewCutter(swarm.Range{First: 1, Last: 1000}, false)
	var sizes []uint64
	next := uint64(1)
	for !c.Ended() {
		r := c.Cut(2)
		if r.First != next {
			t.Errorf("chunk from %d on, want %d", r.First, next)
		}
		next = r.Last + 1
		sizes = append(sizes, r.Last-r.First+1)
		c.Measured(r.Last-r.First+1, float64(r.Last-r.First+1)/10) // ten seeds a second
	}
	want := []uint64{4, 200, 200, 200, 198, 100, 98}
	if diff := cmp.Diff(want, sizes); diff != "" || next != 1001 {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	c = NewCutter(swarm.Range{First: 1, Last: math.MaxUint64}, true)
	c.Measured(1000, 1)
	if r := c.Cut(2); r != (swarm.Range{First: 1, Last: 20000}) {
		t.Errorf("of a range without an end: %+v", r)
	}
	c.Return(swarm.Range{First: 1, Last: 20000})
	if r := c.Cut(2); r.First != 1 {
		t.Errorf("after the return of a cut: %+v", r)
	}
	c = NewCutter(swarm.Range{First: math.MaxUint64 - 1, Last: math.MaxUint64}, false)
	if r := c.Cut(2); r != (swarm.Range{First: math.MaxUint64 - 1, Last: math.MaxUint64}) || !c.Ended() {
		t.Errorf("of the last seeds: %+v", r)
	}
}
