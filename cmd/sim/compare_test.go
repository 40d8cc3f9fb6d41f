package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bluetrace/reports"
	"bluetrace/reports/stats"
)

// loadResult writes the JSON of a made-up load run whose logins take about the
// given time.
func loadResult(t *testing.T, path string, nanoseconds int64, verdict reports.Verdict) {
	t.Helper()
	var seconds []string
	for s := range 12 {
		samples := stats.Second{}
		for i := range 50 {
			samples[stats.CellOf(nanoseconds*int64(100+(i*37+s*11)%50)/100)]++
		}
		text, err := stats.EncodeSecond(samples.Bins())
		if err != nil {
			t.Fatal(err)
		}
		seconds = append(seconds, text)
	}
	r := &reports.Run{Scenario: "steady", World: reports.Live, Verdict: verdict, Load: &reports.Load{Seconds: 12,
		Conditions: &reports.Conditions{},
		Histograms: &reports.Histograms{Schema: stats.Schema, Operations: []reports.OperationHistograms{{Name: "login",
			Response: seconds, Service: seconds}}}}}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := reports.JSON(f, []*reports.Run{r}); err != nil {
		t.Fatal(err)
	}
}

// TestCompareStatuses checks each exit status and the stream of its message.
func TestCompareStatuses(t *testing.T) {
	dir := t.TempDir()
	for i := range int64(3) {
		loadResult(t, filepath.Join(dir, "a", fmt.Sprint(i), "steady.json"), 1_000_000+20_000*i, reports.Passed)
		loadResult(t, filepath.Join(dir, "b", fmt.Sprint(i), "steady.json"), 1_500_000+30_000*i, reports.Passed)
	}
	loadResult(t, filepath.Join(dir, "unfit.json"), 1_000_000, reports.Invalid)
	if err := os.WriteFile(filepath.Join(dir, "cut.json"), []byte("{\n  \"scenario\": \"x\","), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, c := range []struct {
		arguments string
		want      status
		out, err  string
	}{
		{"a b", statusPassed, "COMPARED  steady: 6 of 6 times moved; 3 runs of A (36 s) and 3 of B (36 s)\n", ""},
		{"a a", statusPassed, "COMPARED  steady: 0 of 6 times moved; ", ""},
		{"a b --budget response_time:p50=+10%", statusFailed, "BUDGET EXCEEDED  steady: ", ""},
		{"a b --budget response_time:p50=+80%", statusPassed, "HELD  steady: ", ""},
		{"--budget login.service_time:p(95)=+2ms a/0/steady.json,a/1/steady.json b/*/*.json", statusPassed,
			"HELD  steady: ", ""},
		{"a", statusInvalid, "", "sim: compare: expected two sets of results, found 1"},
		{"a none", statusInvalid, "", "none: no such file or folder"},
		{"a cut.json", statusInvalid, "", "cut.json:2:19: incomplete file"},
		{"a unfit.json", statusInvalid, "", "unfit.json: invalid run"},
		{"a b --budget response_time:p50=10", statusInvalid, "", "missing unit"},
		{"a b --budget x", statusInvalid, "", "expected METRIC:FIGURE=LIMIT"},
		{"a b --budget tempid.response_time:p50=+1%", statusInvalid, "", "no scenario has this figure on both sides"},
		{"a b --confidence 40%", statusInvalid, "", `invalid --confidence "40%": must be 50% to 99.99%`},
		{"a b --report junit", statusInvalid, "", `unknown form "junit": must be text, json or html`},
		{"--help", statusPassed, "  sim compare [flags] A B\n", ""},
	} {
		t.Run(c.arguments, func(t *testing.T) {
			b := newBench()
			got := b.command(t.Context(), append([]string{"compare"}, strings.Fields(c.arguments)...))
			if got != c.want || !strings.Contains(b.out.String(), c.out) || !strings.Contains(b.err.String(), c.err) ||
				(c.err == "") != (b.err.String() == "") {
				t.Errorf("compare %s: status %d, want %d\n%s%s", c.arguments, got, c.want, b.out.String(),
					b.err.String())
			}
		})
	}
}

// TestAnInterruptedComparisonNamesEachFile checks that an interrupt names the files of both sides apart.
func TestAnInterruptedComparisonNamesEachFile(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := newBench()
	b.stdin = in
	got := b.command(ctx, []string{"compare", "-", "a.json,b.json"})
	if want := "sim: interrupted while waiting for \"-\", \"a.json\", \"b.json\"\n"; got != statusInterrupted ||
		b.err.String() != want {
		t.Errorf("status %d and %q, want %d and %q", got, b.err.String(), statusInterrupted, want)
	}
}

func TestCompareAsJSON(t *testing.T) {
	dir := t.TempDir()
	loadResult(t, filepath.Join(dir, "a.json"), 1_000_000, reports.Passed)
	b := newBench()
	if got := b.command(t.Context(), []string{"compare", filepath.Join(dir, "a.json"), filepath.Join(dir, "a.json"),
		"--report", "json"}); got != statusPassed {
		t.Fatalf("status %d: %s", got, b.err.String())
	}
	var c struct {
		Verdict string
		Loads   []struct{ Rows []struct{ Metric string } }
	}
	if err := json.Unmarshal(b.out.Bytes(), &c); err != nil || c.Verdict != "held" || len(c.Loads[0].Rows) != 8 ||
		c.Loads[0].Rows[0].Metric != "response_time" {
		t.Errorf("%v\n%s", err, b.out.String())
	}
}

// TestCompareToAFullDisk checks that an output that fails gives an error.
func TestCompareToAFullDisk(t *testing.T) {
	dir := t.TempDir()
	loadResult(t, filepath.Join(dir, "a.json"), 1_000_000, reports.Passed)
	b := newBench()
	b.stdout = fullDisk{}
	if got := b.command(t.Context(), []string{"compare", filepath.Join(dir, "a.json"),
		filepath.Join(dir, "a.json")}); got != statusError {
		t.Errorf("status %d", got)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrClosed }

// TestComparePage checks the page of --out and that of standard output. A refused comparison leaves no earlier page.
func TestComparePage(t *testing.T) {
	dir := t.TempDir()
	loadResult(t, filepath.Join(dir, "a", "steady.json"), 1_000_000, reports.Passed)
	loadResult(t, filepath.Join(dir, "b", "steady.json"), 1_500_000, reports.Passed)
	t.Chdir(dir)
	compare := func(want status, arguments ...string) string {
		t.Helper()
		p, out, errs := whole()
		if got := p.command(t.Context(), append([]string{"compare"}, arguments...)); got != want {
			t.Errorf("%v: status %d, want %d\n%s", arguments, got, want, errs)
		}
		return out.String()
	}
	printed := compare(statusPassed, "--report", "html", "a", "b")
	if text := compare(statusPassed, "--out", "out", "a", "b"); !strings.HasPrefix(text, "COMPARED  steady: ") {
		t.Errorf("printed %s", text)
	}
	if page := contentOf(t, filepath.Join("out", comparePage)); page != printed ||
		!strings.Contains(page, "<h1>Comparison of B with A</h1>") || !strings.Contains(page, `<svg class="intervals"`) {
		t.Errorf("the page is\n%s", page)
	}
	compare(statusInvalid, "--out", "out", "a", "none")
	if names := namesIn(t, "out"); len(names) != 0 {
		t.Errorf("a refused comparison left %q", names)
	}
	compare(statusInvalid, "--out", "", "a", "b")
}
