package swarm

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

var update = flag.Bool("update", false, "write "+drawsFile+" anew")

// readKnown returns the lines of a file of digests: a name, a space and a digest.
func readKnown(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, digest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			known[name] = digest
		}
	}
	if len(known) < 20 {
		t.Fatalf("%s: only %d digests", path, len(known))
	}
	return known
}

// needsThisProcessor skips a test of digests: other processors round the draws of delays in another way.
func needsThisProcessor(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("SKIPPED: the digests in files are those of amd64; run the test on such a machine")
	}
}

// drawsFile has a digest of the scenarios that some seeds draw from each scenario of the library. So a seed in a report
// or in a test stands for the same run in later programs. -update writes it after a change on purpose.
const drawsFile = "testdata/draws.txt"

// checkDraws compares the lines of drawsFile.
func checkDraws(t *testing.T, lines []string) {
	t.Helper()
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(drawsFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(drawsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the draws are not those of %s (-), but (+):\n%s", drawsFile, diff)
	}
}

// TestKnownRuns: the scenarios of the library, and the first seeds of some, are the same runs as those of an earlier
// program. A change on purpose writes the file of the digests anew (CONTRIBUTING.md).
func TestKnownRuns(t *testing.T) {
	needsThisProcessor(t)
	known := readKnown(t, "../../.ci/baseline-digests.txt")
	got := map[string]string{}
	for _, folder := range []string{"", "faults", "found"} {
		paths, err := filepath.Glob(filepath.Join("../../scenarios", folder, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			s, err := scenarios.Load(path, scenarios.Options{})
			if err != nil || s.Manual || s.Load != nil {
				continue // it needs recorded contacts or real time, or is too long
			}
			got[s.Name] = digest(t, s)
		}
	}
	var bases []*scenarios.Scenario
	for _, name := range []string{"blocking", "tempids", "expiry", "uploads", "classroom"} {
		base, err := scenarios.Load("../../scenarios/"+name+".yaml", scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		bases = append(bases, base)
	}
	err := Run(context.Background(), Options{Bases: bases, Seeds: Range{1, 12}.Seeds(), Engine: sim.Run,
		OnOutcome: func(o *Outcome) { got[fmt.Sprintf("%s/seed-%d", o.Base.Name, o.Plan.Seed)] = o.Digest }})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 80 {
		t.Errorf("only %d runs", len(got))
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if got[name] != known[name] {
			t.Errorf("%s: digest %s, want %s", name, got[name], known[name])
		}
	}
}
