package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/swarm"
)

// crowded returns a program with the real engine in which each seed fails a check
// of its own.
func crowded(t *testing.T) (p *program, file string) {
	t.Helper()
	p, _, _, file = planted(t)
	p.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		r, err := sim.Run(ctx, s, o)
		if err == nil {
			r.Run.Verdict = reports.Failed
			name := "no seed is " + []string{"nil", "one", "two", "three"}[s.Seed%4]
			r.Run.Checks = append(r.Run.Checks, reports.Check{Kind: reports.InvariantCheck, Name: name,
				Verdict: reports.Failed, Expected: "another", Found: "it"})
		}
		return r, err
	}
	return p, file
}

func notesOf(t *testing.T, folder string) (s swarm.Summary, notes []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, swarmJSON))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	for i := range s.Failures {
		notes = append(notes, s.Failures[i].ShrunkNote)
	}
	return s, notes
}

// TestSwarmRemovesOnlyItsOwnFiles checks which files of an earlier swarm a swarm
// removes before it writes.
func TestSwarmRemovesOnlyItsOwnFiles(t *testing.T) {
	p, _, errs, file := planted(t)
	folder := t.TempDir()
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "3-4", "--out", folder,
		file}); got != statusFailed {
		t.Errorf("status %d, want 99\n%s", got, errs)
	}
	drawn := "drawn-no-seed-is-a-multiple-of-three-drew-it.yaml"
	if got := namesIn(t, folder); !slices.Contains(got, drawn) {
		t.Fatalf("there are %q", got)
	}
	writeFile(t, filepath.Join(folder, "found-old.md"), "# sim swarm: `old`\n")
	others := []string{"drawn-mine.yaml", "found-mine.md", "found-mine.yaml", "notes.txt"}
	for _, name := range others {
		writeFile(t, filepath.Join(folder, name), "# mine, to be kept\n")
	}
	p.engine = sim.Run
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "3-4", "--out", folder,
		file}); got != statusPassed {
		t.Errorf("status %d, want 0\n%s", got, errs)
	}
	if got := namesIn(t, folder); !slices.Equal(got, slices.Concat(others, []string{swarmPage, swarmJSON, swarmText})) {
		t.Errorf("after a swarm that held there are %q", got)
	}
}

// TestDrawnFilesFindRecordedContacts loads a drawn file from its own folder.
func TestDrawnFilesFindRecordedContacts(t *testing.T) {
	p, _, errs, file := planted(t)
	writeFile(t, filepath.Join(filepath.Dir(file), "day.dat"), "20\t1\t2\n40\t1\t2\n")
	writeFile(t, file, strings.Replace(small, "contacts: {everyone: [anna, ben]}",
		"contacts: {trace: {file: day.dat, phones: [anna, ben]}}", 1))
	folder := filepath.Join(filepath.Dir(file), "deep", "out")
	t.Chdir(filepath.Dir(file))
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "3-3", "--out", "deep/out", "--shrink=false",
		filepath.Base(file)}); got != statusFailed {
		t.Fatalf("status %d, want 99\n%s", got, errs)
	}
	s, err := scenarios.Load(filepath.Join(folder, namesIn(t, folder)[0]), scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Ready(context.Background(), s); err != nil {
		t.Error(err)
	}
}

// TestSwarmKeepsItsInputs runs a drawn file in its own folder. A file of the user
// with such a name stays too.
func TestSwarmKeepsItsInputs(t *testing.T) {
	p, _, errs, file := planted(t)
	folder := t.TempDir()
	drawn := filepath.Join(folder, "drawn-no-seed-is-a-multiple-of-three-drew-it.yaml")
	writeFile(t, drawn, "# mine, to be kept\n")
	arguments := []string{"swarm", "--seeds", "3-3", "--shrink=false", "--out", folder}
	if got := p.command(context.Background(), append(arguments, file)); got != statusFailed {
		t.Errorf("status %d, want 99\n%s", got, errs)
	}
	second := strings.Replace(drawn, ".yaml", "-2.yaml", 1)
	if text, err := os.ReadFile(drawn); err != nil || string(text) != "# mine, to be kept\n" || !isFile(second) {
		t.Errorf("%v: it is %q now; %q", err, text, namesIn(t, folder))
	}
	if got := p.command(context.Background(), append(arguments, second)); got != statusInvalid ||
		!strings.Contains(errs.String(), "would overwrite the scenario") {
		t.Errorf("status %d, want 104\n%s", got, errs)
	}
	if !isFile(second) {
		t.Error("the scenario was removed")
	}
}

// TestShrinkingIsInterrupted checks the notes of all causes. The verdict and the
// status are those of the failures found.
func TestShrinkingIsInterrupted(t *testing.T) {
	p, file := crowded(t)
	out := p.stdout.(interface{ String() string })
	ctx, stop := context.WithCancel(context.Background())
	looks := 0
	p.now = func() time.Time {
		if looks++; isFile(filepath.Join(filepath.Dir(file), "out", "drawn-no-seed-is-two-it.yaml")) {
			stop()
		}
		return time.Unix(0, 0)
	}
	folder := filepath.Join(filepath.Dir(file), "out")
	if got := p.command(ctx, []string{"swarm", "--seeds", "1-3", "--jobs", "1", "--out", folder,
		file}); got != statusFailed {
		t.Errorf("status %d, want 99", got)
	}
	want := "FAILED  swarm: 3 of 3 runs failed, of 3 causes; shrinking was interrupted\n"
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("no %q in\n%s", want, out.String())
	}
	s, notes := notesOf(t, folder)
	if s.Verdict != reports.Failed || len(notes) != 3 || !strings.HasPrefix(notes[0],
		"not shrunk: shrinking seed 1 of ") ||
		notes[1] != "not shrunk: interrupted" || notes[2] != "not shrunk: interrupted" {
		t.Errorf("verdict %s, notes %q", s.Verdict, notes)
	}
}

// TestShrinkingShowsItsProgress checks the lines of progress, which name the causes: on a terminal one that is redrawn,
// elsewhere one every ten seconds.
func TestShrinkingShowsItsProgress(t *testing.T) {
	for terminal, form := range map[bool]string{
		true:  "\r(shrinking \\d of 3, \\d+s: no seed is \\w+: it)\x1b\\[K",
		false: "(?m)^(shrinking \\d of 3, \\d+s: no seed is \\w+: it)$",
	} {
		p, file := crowded(t)
		p.terminal, p.columns = terminal, func() int { return 80 }
		now := time.Unix(0, 0)
		p.now = func() time.Time { now = now.Add(10 * time.Second); return now }
		folder := filepath.Join(filepath.Dir(file), "out")
		if got := p.command(t.Context(), []string{"swarm", "--seeds", "1-3", "--jobs", "1", "--out", folder,
			file}); got != statusFailed {
			t.Errorf("status %d, want 99", got)
		}
		said := p.stderr.(interface{ String() string }).String()
		lines := regexp.MustCompile(form).FindAllStringSubmatch(said, -1)
		if len(lines) != 3 || !strings.HasPrefix(lines[1][1], "shrinking 2 of 3, 10s: no seed is two") {
			t.Errorf("terminal %v: %q of %q", terminal, lines, said)
		}
	}
}

// TestShrinkingHasAnEnd checks the limit of all shrinking: five minutes or --for.
func TestShrinkingHasAnEnd(t *testing.T) {
	for _, c := range []struct {
		more []string
		last int // how many causes have time, at a minute for each
	}{{[]string{"--seeds", "1-3"}, 3}, {[]string{"--from", "1", "--for", "1h", "--fail-fast"}, 1}} {
		p, file := crowded(t)
		folder := filepath.Join(filepath.Dir(file), "out")
		var asked atomic.Int64
		p.now = func() time.Time { return time.Unix(30*asked.Add(1), 0) }
		if c.last == 3 {
			p.now = func() time.Time {
				if isFile(filepath.Join(folder, "drawn-no-seed-is-two-it.yaml")) {
					return time.Unix(int64(maxShrinking/time.Second), 0)
				}
				return time.Unix(0, 0)
			}
		}
		if got := p.command(context.Background(), append(append([]string{"swarm", "--jobs", "1", "--out", folder},
			c.more...), file)); got != statusFailed {
			t.Errorf("status %d, want 99", got)
		}
		_, notes := notesOf(t, folder)
		if c.last == 3 && (notes[1] != "not shrunk: no time left" || notes[2] != "not shrunk: no time left") {
			t.Errorf("notes %q", notes)
		}
		if len(notes) != c.last || strings.HasPrefix(notes[0], "not shrunk: no time left") {
			t.Errorf("%v: notes %q", c.more, notes)
		}
	}
}

// TestRequireMarksGivesTheReason checks the reason of the failure in both forms.
func TestRequireMarksGivesTheReason(t *testing.T) {
	p, out, _, file := planted(t)
	p.engine = sim.Run
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "1-2", "--require-marks", "--report",
		"text,json", file}); got != statusFailed {
		t.Errorf("status %d, want 99", got)
	}
	first, _, _ := strings.Cut(out.String(), "\n")
	_, reason, found := strings.Cut(first, "2 runs held; ")
	if !found || !strings.HasSuffix(reason, " situations were never reached (--require-marks)") ||
		!strings.Contains(out.String(), `"reasons": [
    "`+reason+`"`) || !strings.Contains(out.String(), " torn-line-found") {
		t.Errorf("%q in\n%s", reason, out)
	}
	out.Reset()
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "1-2", file}); got != statusPassed ||
		!strings.Contains(out.String(), " torn-line-found") ||
		!strings.Contains(out.String(), " exercised\n") {
		t.Errorf("status %d, want 0, and the situations that were not reached\n%s", got, out)
	}
	for _, c := range []struct{ flag, says string }{
		{"--require", "invariants were never exercised (--require)"},
		{"--require=invariants", "invariants were never exercised (--require)"},
		{"--require=situations", "situations were never reached (--require)"},
	} {
		out.Reset()
		if got := p.command(context.Background(), []string{"swarm", "--seeds", "2-2", c.flag,
			file}); got != statusFailed ||
			!strings.Contains(out.String(), c.says) || !strings.Contains(out.String(), "  unexercised ") {
			t.Errorf("%s: status %d, want 99 and %q\n%s", c.flag, got, c.says, out)
		}
	}
}

// TestSwarmsProgress checks the progress line with the rest of the work.
func TestSwarmsProgress(t *testing.T) {
	for arguments, want := range map[string]string{
		"--seeds 1-100 x.yaml":                  "9 of 200 runs, 2 failed, 3.0 per second",
		"--for 10s x.yaml":                      "9 runs, 2 failed, 3.0 per second, 7s left",
		"--seeds 1-3 --for 1m x.yml":            "9 of 6 runs, 2 failed, 3.0 per second, 57s left",
		"--seeds 0-18446744073709551615 x.yaml": "9 runs, 2 failed, 3.0 per second",
	} {
		c := swarmCommand{summary: swarm.NewSummary(), bases: make([]*scenarios.Scenario, 2)}
		if _, err := parseAndCheck(&c.swarmFlags, strings.Fields(arguments)); err != nil {
			t.Fatal(err)
		}
		c.summary.Runs, c.summary.Failed = 9, 2
		if got := c.progressLine(3 * time.Second); got != want {
			t.Errorf("%s: %q, want %q", arguments, got, want)
		}
	}
}

// TestProgressOfASwarmWithoutATerminal: there is a line every ten seconds, as in a run.
func TestProgressOfASwarmWithoutATerminal(t *testing.T) {
	p, _, complained, file := planted(t)
	p.engine = sim.Run
	var seconds atomic.Int64
	p.now = func() time.Time { return time.Unix(seconds.Add(1), 0) }
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "1-40", "--jobs", "1", file}); got !=
		statusPassed {
		t.Fatalf("status %v: %s", got, complained)
	}
	if n := strings.Count(complained.String(), " of 40 runs, 0 failed, "); n < 2 || n > 8 ||
		strings.Contains(complained.String(), "\r") {
		t.Errorf("%d lines of progress: %q", n, complained)
	}
}

func TestWorkersWithoutWorkDoNotCount(t *testing.T) {
	p, out, _, file := planted(t)
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "1-2", "--jobs", "999", "--report", "json",
		file}); got != statusPassed || !strings.Contains(out.String(), `"jobs": 2,`) {
		t.Errorf("status %d\n%s", got, out)
	}
}
