package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/swarm"
)

const small = `name: small
about: Two phones.
seed: 3
phones: [{name: anna}, {name: ben}]
contacts: {everyone: [anna, ben]}
routine:
  - {phones: [anna, ben], within: 5s, do: [login, Download_tempID]}
  - {phones: [anna, ben], every: 10s, from: 10s, until: 1m, do: Beacon, to: contacts}
script:
  - {at: 70s, phone: anna, expect: {log: 6}}
`

// planted returns a program in which seeds that 3 divides fail an added check. Its
// clock stands still.
func planted(t *testing.T) (p *program, out, errs *bytes.Buffer, file string) {
	t.Helper()
	p, out, errs = whole()
	p.now = func() time.Time { return time.Unix(0, 0) }
	p.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		r, err := sim.Run(ctx, s, o)
		if err == nil && s.Seed%3 == 0 {
			at := 12.5
			r.Run.Verdict = reports.Failed
			r.Run.Checks = append(r.Run.Checks, reports.Check{Kind: reports.InvariantCheck,
				Name:    "no seed is a multiple of three",
				Verdict: reports.Failed, Evaluations: 1, Expected: "another", Found: "anna drew it", AtSeconds: &at,
				LastEvents: []string{"12.5 anna: prints"}})
		}
		return r, err
	}
	file = filepath.Join(t.TempDir(), "small.yaml")
	if err := os.WriteFile(file, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, out, errs, file
}

// TestSwarmFindsAPlantedFailure checks the report of a cause and its repeat command.
func TestSwarmFindsAPlantedFailure(t *testing.T) {
	p, out, errs, file := planted(t)
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "1-9", "--jobs", "2",
		file}); got != statusFailed {
		t.Errorf("status %d, want 99\n%s", got, errs)
	}
	want := "FAILED  swarm: 3 of 9 runs failed, of 1 cause\n" + `
  failed  no seed is a multiple of three: … drew it
    runs      3 of 9; first: seed 3 of ` + file + `
    expected  another
    found     anna drew it
    at        12.5s of virtual time, under faults (heal at DURATION)
    repeat    sim swarm --seeds 3-3 --verbose ` + file + `

  use --out DIR to write a small scenario for each cause

  seeds       1-9
  scenarios   ` + file + ": 9 runs, 3 failed\n"
	got := regexp.MustCompile(`heal at [0-9.ms]+`).ReplaceAllString(out.String(), "heal at DURATION")
	if got, _, _ = strings.Cut(got, "  faults "); got != want {
		t.Errorf("want (-), got (+):\n%s", cmp.Diff(want, got))
	}
	if errs.Len() > 0 {
		t.Errorf("standard error: %s", errs)
	}
}

// TestSwarmRepeatsASeed checks that the repeat command shows the failure with the
// draws and the last events.
func TestSwarmRepeatsASeed(t *testing.T) {
	p, out, _, file := planted(t)
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "3-3", "--verbose",
		file}); got != statusFailed {
		t.Errorf("status %d, want 99", got)
	}
	for _, want := range []string{"seed 3 of " + file + ": failed, 2 phones, ",
		"  FAILED no seed is a multiple of three: … drew it\n", "heals at ",
		"    drawn     see above: seed 3 of " + file + "\n",
		"    last events\n      12.5 anna: prints\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out.String(), "heals at "); n != 1 {
		t.Errorf("the draws are printed %d times:\n%s", n, out)
	}
}

// TestSwarmHalvesMerge checks that two merged halves of a range give the JSON of the
// whole range.
func TestSwarmHalvesMerge(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "small.yaml")
	if err := os.WriteFile(path, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(want status, arguments ...string) string {
		t.Helper()
		p, out, errs, _ := planted(t)
		if got := p.command(context.Background(), append([]string{"swarm", "--report", "json"},
			arguments...)); got != want {
			t.Errorf("%v: status %d, want %d\n%s", arguments, got, want, errs)
		}
		return out.String()
	}
	whole := run(statusFailed, "--seeds", "1-12", "--jobs", "2", path)
	var files []string
	for i, seeds := range []string{"8-12", "1-7"} {
		f := filepath.Join(folder, []string{"b.json", "a.json"}[i])
		if err := os.WriteFile(f, []byte(run(statusFailed, "--seeds", seeds, "--jobs", "2", path)), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if diff := cmp.Diff(whole, run(statusFailed, append([]string{"--merge"}, files...)...)); diff != "" {
		t.Errorf("the whole (-) and its halves (+):\n%s", diff)
	}
	var d struct {
		Runs   uint64
		Twice  uint64
		Seeds  []swarm.Range
		Faults []reports.KindCount
	}
	if err := json.Unmarshal([]byte(whole), &d); err != nil || d.Runs != 12 || d.Twice != 1 || len(d.Seeds) != 1 ||
		len(d.Faults) == 0 {
		t.Errorf("%v: %+v", err, d)
	}
}

// TestSwarmLeavesFiles checks for the summary in both forms and a drawn scenario
// that can be loaded.
func TestSwarmLeavesFiles(t *testing.T) {
	p, _, errs, file := planted(t)
	folder := filepath.Join(t.TempDir(), "out")
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "3-4", "--out", folder, "--shrink=false",
		file}); got != statusFailed {
		t.Errorf("status %d, want 99\n%s", got, errs)
	}
	found, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	if diff := cmp.Diff([]string{"drawn-no-seed-is-a-multiple-of-three-drew-it.yaml", "swarm.html", "swarm.json", "swarm.txt"},
		found); diff != "" {
		t.Error(diff)
	}
	if _, err := scenarios.Load(filepath.Join(folder, found[0]), scenarios.Options{}); err != nil {
		t.Error(err)
	}
}

func TestSwarmIsInterrupted(t *testing.T) {
	p, out, _, file := planted(t)
	ctx, stop := context.WithCancel(context.Background())
	engine := p.engine
	p.engine = func(c context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		if s.Seed == 5 {
			stop()
			return nil, c.Err()
		}
		return engine(c, s, o)
	}
	if got := p.command(ctx, []string{"swarm", "--seeds", "1-1000000", "--jobs", "1", file}); got != statusInterrupted {
		t.Errorf("status %d, want 105", got)
	}
	for _, want := range []string{"FAILED  swarm: 1 of 4 runs failed, of 1 cause; interrupted\n",
		"  seeds       1-4\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestSwarmEndsInTime(t *testing.T) {
	p, out, errs, file := planted(t)
	var looks atomic.Int64
	p.now = func() time.Time { return time.Unix(looks.Add(1), 0) } // each call is a second later
	p.engine = sim.Run
	if got := p.command(context.Background(), []string{"swarm", "--for", "10s", "--from", "0xabc", "--jobs", "1",
		file}); got != statusPassed {
		t.Errorf("status %d, want 0\n%s%s", got, out, errs)
	}
	if !strings.Contains(out.String(), "\n  seeds       2748-27") {
		t.Errorf("it did not begin with 0xabc:\n%s", out)
	}
}

// TestASwarmWithoutARunHasNotPassed checks the summary and the files of a swarm that had no time for a run.
func TestASwarmWithoutARunHasNotPassed(t *testing.T) {
	p, out, errs, file := planted(t)
	var looks atomic.Int64
	p.now = func() time.Time { return time.Unix(looks.Add(1), 0) } // each call is a second later
	folder := filepath.Join(t.TempDir(), "out")
	arguments := []string{"swarm", "--for", "1ns", "--require", "--out", folder, "--report", "text,json", file}
	if got := p.command(context.Background(), arguments); got != statusInvalid {
		t.Errorf("status %d, want 104", got)
	}
	if want := "sim: no seed was run\nhint: give --for more time\n"; errs.String() != want {
		t.Errorf("said %q, want %q", errs, want)
	}
	if !strings.HasPrefix(out.String(), "NOT RUN  swarm: no seed was run\n") || !strings.Contains(out.String(),
		`"verdict": "not run"`) {
		t.Errorf("a swarm without a run:\n%s", out)
	}
	text, err := os.ReadFile(filepath.Join(folder, swarmJSON))
	if err != nil || !strings.Contains(string(text), `"verdict": "not run"`) {
		t.Errorf("%v: %s", err, text)
	}
	if got := p.command(context.Background(), []string{"swarm", "--merge", folder}); got != statusInvalid {
		t.Errorf("merged: status %d, want 104", got)
	}
}

// TestTheLastSeedIsOne checks ranges that end with the largest seed, and the message
// about a long number.
func TestTheLastSeedIsOne(t *testing.T) {
	for seeds, want := range map[string]string{
		"18446744073709551615":                   "18446744073709551615",
		"18446744073709551614+2":                 "18446744073709551614-18446744073709551615",
		"0x0000000000000001":                     "1",
		"0x630fbe9c0ffee0123456789abcdef0123456": "108919273558014",
	} {
		p, out, errs, file := planted(t)
		p.engine = sim.Run
		if got := p.command(context.Background(), []string{"swarm", "--seeds", seeds, file}); got != statusPassed ||
			!strings.Contains(out.String(), "\n  seeds       "+want+"\n") {
			t.Errorf("%s: status %d\n%s%s", seeds, got, out, errs)
		}
		shortened := "only the first 12 digits of the long number count: the first seed is 108919273558014\n"
		if (errs.String() == shortened) != (len(seeds) > 30) {
			t.Errorf("%s: said %q", seeds, errs)
		}
	}
}

// TestSwarmFailsFast checks that no run after the first failure counts, with any
// number of jobs.
func TestSwarmFailsFast(t *testing.T) {
	for _, jobs := range []string{"1", "2"} {
		p, out, errs, file := planted(t)
		if got := p.command(context.Background(), []string{"swarm", "--seeds", "1-9", "--jobs", jobs, "--fail-fast",
			"--report", "json", file}); got != statusFailed {
			t.Errorf("status %d, want %d; said %q", got, statusFailed, errs)
		}
		var s swarm.Summary
		if err := json.Unmarshal(out.Bytes(), &s); err != nil || s.Runs != 3 || s.Failed != 1 ||
			s.Failures[0].Seed != 3 {
			t.Errorf("jobs %s: %d runs, %d failed (%v), want 3 and 1", jobs, s.Runs, s.Failed, err)
		}
	}
}

// TestSwarmReadsContactsFirst checks that no seed runs without the contact trace.
func TestSwarmReadsContactsFirst(t *testing.T) {
	p, out, errs, file := planted(t)
	writeFile(t, file, strings.Replace(small, "contacts: {everyone: [anna, ben]}",
		"contacts: {trace: {file: absent.csv, phones: [anna, ben]}}", 1))
	if got := p.command(context.Background(), []string{"swarm", "--seeds", "1-9", file}); got != statusInvalid ||
		out.Len() > 0 {
		t.Errorf("status %d, want 104 and no summary\n%s", got, out)
	}
	if said := errs.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "absent.csv") ||
		!strings.HasPrefix(said, file+":5:") {
		t.Errorf("said %q", said)
	}
}

func TestSwarmRefuses(t *testing.T) {
	p, _, errs, file := planted(t)
	notJSON := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(notJSON, []byte("{}x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		arguments string
		want      status
		says      string
	}{
		{"swarm", statusInvalid, "no scenario was named"},
		{"swarm --seeds 5-4 FILE", statusInvalid, "4 is before 5"},
		{"swarm --seeds 5- FILE", statusInvalid, "have no end: add --for"},
		{"swarm --for 0s FILE", statusInvalid, "invalid --for 0s: must be above 0"},
		{"swarm --from 5 FILE", statusInvalid, "--from needs --for"},
		{"swarm --for 1s --from 5 --seeds 1-2 FILE", statusInvalid, "use one of them"},
		{"swarm --jobs 0 FILE", statusInvalid, "invalid --jobs 0: must be 1 to 1024"},
		{"swarm --jobs 1025 FILE", statusInvalid, "invalid --jobs 1025: must be 1 to 1024"},
		{"swarm --jobs 99999999 FILE", statusInvalid, "invalid --jobs 99999999: must be 1 to 1024"},
		{"swarm --seeds 0x123456789012GARBAGE FILE", statusInvalid, "invalid seed"},
		{"swarm --seeds 1-18446744073709551616 FILE", statusInvalid, "must be at most 18446744073709551615"},
		{"swarm --report junit FILE", statusInvalid, `unknown form "junit": must be text, json or html`},
		{"swarm --require=marks FILE", statusInvalid, `invalid --require "marks": must be situations or invariants`},
		{"swarm --merge --seeds 1-2 a.json", statusInvalid, "--seeds cannot be used with --merge"},
		{"swarm --merge", statusInvalid, "no result was named"},
		{"swarm --merge absent.json", statusInvalid, "no such file"},
		{"swarm --merge NOTJSON", statusInvalid, "x.json: "},
		{"swarm absent.yaml", statusInvalid, "absent.yaml"},
		{"swarm ../../scenarios/load", statusInvalid, ""},
	} {
		t.Run(c.arguments, func(t *testing.T) {
			errs.Reset()
			arguments := strings.NewReplacer("NOTJSON", notJSON, "FILE", file).Replace(c.arguments)
			if got := p.command(context.Background(), strings.Fields(arguments)); got != c.want ||
				!strings.Contains(errs.String(), c.says) {
				t.Errorf("%s: status %d, want %d and %q\n%s", c.arguments, got, c.want, c.says, errs)
			}
		})
	}
}

// TestSwarmPage checks that the page of --out and that of standard output have the cause and the numbers of runs.
func TestSwarmPage(t *testing.T) {
	p, out, errs, file := planted(t)
	folder := t.TempDir()
	if got := p.command(t.Context(), []string{"swarm", "--seeds", "1-9", "--shrink=false", "--report", "html", "--out",
		folder, file}); got != statusFailed {
		t.Errorf("status %d, want 99\n%s", got, errs)
	}
	page := contentOf(t, filepath.Join(folder, swarmPage))
	for _, want := range []string{"failed: 3 of 9 runs failed, of 1 cause", "first: seed 3 of ",
		"no seed is a multiple of three: … drew it", `href="./drawn-no-seed-is-a-multiple-of-three-drew-it.yaml"`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if text := out.String(); !strings.HasPrefix(text, "<!DOCTYPE html>") || strings.Contains(text, "href=\"./drawn-") {
		t.Errorf("printed %s", text)
	}
}
