package main

import (
	"context"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// loads makes the engine return a load run, which is a search if the scenario's name
// is search.
func (b *bench) loads(verdict reports.Verdict) {
	b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		r, err := b.engine(ctx, s, o)
		if err != nil {
			return nil, err
		}
		r.Run.Scene = nil
		r.Run.World, r.Run.Digest, r.Run.Verdict = reports.Live, "", verdict
		r.Run.Load = &reports.Load{Executor: "x", Timeline: []reports.LoadSecond{{Seconds: 1, Target: 5, Achieved: 5,
			Samples: 9, P50Ms: 1, P99Ms: 2}}}
		if s.Name == "search" {
			r.Run.Load.Search = &reports.Search{StartRate: 5, MaxRate: 50, Capacity: 5,
				Steps: []reports.SearchStep{{Rate: 5, Achieved: 5, Confirming: true, Outcome: reports.StepPassed,
					Operations: 9}}}
		}
		return r, nil
	}
}

func TestPlotsAreWritten(t *testing.T) {
	b := newBench()
	b.loads(reports.Passed)
	folder := t.TempDir()
	for _, old := range []string{"steady.time.png", "search.search.png"} {
		writeFile(t, filepath.Join(folder, old), "a picture of an earlier version")
	}
	if got := b.command(t.Context(), []string{"run", "--out", folder, "steady.yaml",
		"search.yaml"}); got != statusPassed {
		t.Fatalf("status %d\n%s", got, b.err.String())
	}
	want := []string{manifestFile, "index.html", "junit.xml", "search.html", "search.json",
		"search.openmetrics.txt", "search.search.svg", "search.time.svg", "search.txt",
		"steady.html", "steady.json", "steady.openmetrics.txt", "steady.time.svg", "steady.txt"}
	if d := cmp.Diff(want, namesIn(t, folder)); d != "" {
		t.Error(d)
	}
	for _, name := range []string{"search.search.svg", "search.time.svg", "steady.time.svg"} {
		var root struct{ XMLName xml.Name }
		if err := xml.Unmarshal([]byte(contentOf(t, filepath.Join(folder, name))), &root); err != nil ||
			root.XMLName != (xml.Name{Space: "http://www.w3.org/2000/svg", Local: "svg"}) {
			t.Errorf("%s: %v, %v", name, root.XMLName, err)
		}
	}
	for _, want := range []string{"\n  plots       steady.time.svg\n",
		"\n  plots       search.search.svg, search.time.svg\n"} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("no %q in\n%s", want, b.out.String())
		}
	}
	if text := contentOf(t, filepath.Join(folder, "search.json")); !strings.Contains(text, `"plots": [`) {
		t.Errorf("search.json names no plots:\n%s", text)
	}
}

// TestPageOfALoad checks that the page of a load is printed, and linked from the page over all runs.
func TestPageOfALoad(t *testing.T) {
	b := newBench()
	b.loads(reports.Passed)
	if got := b.command(t.Context(), []string{"run", "--report", "html", "steady.yaml"}); got != statusPassed ||
		!strings.Contains(b.out.String(), `<h2 id="course-title">Course of the load</h2>`) {
		t.Errorf("status %d\n%s%s", got, b.out.String(), b.err.String())
	}
	folder := t.TempDir()
	b.command(t.Context(), []string{"run", "--out", folder, "steady.yaml"})
	if text := contentOf(t, filepath.Join(folder, indexFile)); !strings.Contains(text, `<a href="./steady.html">`) {
		t.Errorf("the page over all runs has no link:\n%s", text)
	}
}

// TestNoPlotsWithoutAFolder checks that pictures need --out.
func TestNoPlotsWithoutAFolder(t *testing.T) {
	b := newBench()
	b.loads(reports.Passed)
	if got := b.command(t.Context(), []string{"run", "search.yaml"}); got != statusPassed ||
		strings.Contains(b.out.String(), ".svg") {
		t.Errorf("status %d\n%s", got, b.out.String())
	}
}

// TestPlotOverAScenario checks that a picture does not replace an input.
func TestPlotOverAScenario(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"search.search.svg", "search.time.svg"} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("name: search\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b := newBench()
		b.loads(reports.Passed)
		b.program.load = func(path string, _ scenarios.Options) (*scenarios.Scenario, error) {
			return &scenarios.Scenario{File: path, Name: "search"}, nil
		}
		if got := b.command(t.Context(), []string{"run", "--out", folder, path}); got != statusInvalid ||
			!strings.Contains(b.err.String(), "would overwrite the scenario") {
			t.Errorf("%s: status %d\n%s", name, got, b.err.String())
		}
		if contentOf(t, path) != "name: search\n" {
			t.Errorf("%s was replaced", name)
		}
	}
}

// TestStatusesOfASearch has four results: found, failed at the lowest rate, limited
// by the generator, interrupted.
func TestStatusesOfASearch(t *testing.T) {
	for v, want := range map[reports.Verdict]status{
		reports.Passed: statusPassed, reports.Failed: statusFailed, reports.Invalid: statusOverloaded,
		reports.Interrupted: statusInterrupted,
	} {
		b := newBench()
		b.loads(v)
		if got := b.command(t.Context(), []string{"run", "search.yaml"}); got != want {
			t.Errorf("%s: status %d, want %d", v, got, want)
		}
	}
}

func TestProgressOfASearch(t *testing.T) {
	at := sim.Progress{At: 90_400_000_000, Doing: "step 3, 400/s"}
	if got, want := new(progress).runProgress("search", at, 0), "search  1m30s  step 3, 400/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
