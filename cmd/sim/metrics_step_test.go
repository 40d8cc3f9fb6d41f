package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

func TestStepFlag(t *testing.T) {
	for _, c := range []struct{ arguments, want string }{
		{"--step 1s", "--step needs --out, where it writes a file"},
		{"--step 0s --out x", "invalid --step 0s: must be 1ms or more"},
		{"--step 999us --out x", "invalid --step 999µs: must be 1ms or more"},
		{"--step 1s --out x --live", "--step cannot be used with --live: use --metrics and scrape the run"},
	} {
		t.Run(c.arguments, func(t *testing.T) {
			b := newBench()
			got := b.command(t.Context(), append(strings.Fields("run "+c.arguments), "held.yaml"))
			if want := "sim: run: " + c.want + "\nhint: sim run --help lists the flags\n"; got != statusInvalid ||
				b.err.String() != want {
				t.Errorf("%s: status %d, %q; want 104, %q", c.arguments, got, b.err.String(), want)
			}
		})
	}
}

// lessonSteps runs the classroom with --step and returns the file and the run's
// report.
func lessonSteps(t *testing.T, step string) (path string, r *reports.Run) {
	t.Helper()
	b := newBench()
	b.program.load = scenarios.Load
	b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		result, err := sim.Run(ctx, s, o)
		if err == nil {
			r = &result.Run
		}
		return result, err
	}
	folder := t.TempDir()
	arguments := []string{"run", "--quiet", "--out", folder, "../../scenarios/classroom.yaml"}
	if step != "" {
		arguments = append(arguments, "--step", step)
	}
	if got := b.command(t.Context(), arguments); got != statusPassed {
		t.Fatalf("status %d: %s", got, b.err.String())
	}
	return filepath.Join(folder, "classroom"+stepsEnd), r
}

func TestStepsAreThoseOfVirtualTime(t *testing.T) {
	path, stepped := lessonSteps(t, "5m")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sample := regexp.MustCompile(`(?m)^bluetrace_beacons_sent_total\{run_id="19700101T000000Z-1",` +
		`scenario="classroom"\} (\S+) (\S+)$`)
	var values, times []float64
	for _, m := range sample.FindAllStringSubmatch(string(text), -1) {
		value, _ := strconv.ParseFloat(m[1], 64)
		at, _ := strconv.ParseFloat(m[2], 64)
		values, times = append(values, value), append(times, at)
	}
	s, err := scenarios.Load("../../scenarios/classroom.yaml", scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var want []float64
	for at := 0; at <= 2700; at += 300 {
		want = append(want, float64(s.Start+int64(at)))
	}
	if !slices.Equal(times, want) {
		t.Errorf("samples at %v, want %v", times, want)
	}
	if last := values[len(values)-1]; last != float64(stepped.Beacons.Sent) || !slices.IsSorted(values) ||
		values[1] < 500 {
		t.Errorf("beacons sent %v, at the end %d", values, stepped.Beacons.Sent)
	}
	if !strings.Contains(string(text),
		`bluetrace_thresholds{outcome="held",run_id="19700101T000000Z-1",scenario="classroom"} 2.0 `+
			strconv.FormatFloat(want[9], 'g', -1, 64)) {
		t.Error("the last sample does not have the thresholds decided")
	}
	plain, alone := lessonSteps(t, "")
	if _, err := os.Stat(plain); !os.IsNotExist(err) {
		t.Errorf("%s without --step: %v", plain, err)
	}
	if alone.Digest != stepped.Digest || alone.Events != stepped.Events {
		t.Errorf("digest %s with %d events, with --step %s with %d", alone.Digest, alone.Events, stepped.Digest,
			stepped.Events)
	}
}

func TestPromtoolTakesTheSteps(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: there is no promtool on this machine: apt-get install prometheus (Debian)")
	}
	path, _ := lessonSteps(t, "1m")
	out, err := exec.CommandContext(t.Context(), promtool, "tsdb", "create-blocks-from", "openmetrics", path,
		t.TempDir()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "45m") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestMoreStepsThanAHistoryHolds checks for one message and no file.
func TestMoreStepsThanAHistoryHolds(t *testing.T) {
	full := &reports.History{}
	for i := range reports.HistoryMax {
		if err := full.Add(time.Unix(int64(i), 0), prometheus.NewRegistry()); err != nil {
			t.Fatal(err)
		}
	}
	b := newBench()
	one := runCommand{output: output{program: &b.program}, history: full, names: fileNames{}}
	one.out = t.TempDir()
	for i := range 2 {
		one.addToHistory(reports.NewMeter("held", "r"), &scenarios.Scenario{File: "held.yaml"},
			time.Duration(i)*time.Second)
	}
	const want = "sim: held.yaml: keeping metrics: the run is longer than 10,000 steps\nhint: choose a longer --step\n"
	if b.err.String() != want || one.worst != statusError {
		t.Errorf("status %d, %q", one.worst, b.err.String())
	}
	one.writeFiles(&reports.Run{Scenario: "held"}, "held")
	if diff := cmp.Diff([]string{"held.json", "held.openmetrics.txt", "held.txt"}, namesIn(t, one.out)); diff != "" {
		t.Error(diff)
	}
}

func TestALoadHasNoSteps(t *testing.T) {
	b := newBench()
	b.program.load = func(path string, _ scenarios.Options) (*scenarios.Scenario, error) {
		return &scenarios.Scenario{File: path, Name: "steady", Load: &scenarios.Traffic{}}, nil
	}
	folder := t.TempDir()
	got := b.command(t.Context(), []string{"run", "--quiet", "--out", folder, "--step", "1s", "steady.yaml"})
	const want = "steady.yaml: --step writes no file for a load: scrape it with --metrics\n"
	if got != statusPassed || b.err.String() != want || slices.Contains(namesIn(t, folder), "steady"+stepsEnd) {
		t.Errorf("status %d, %q, files %q", got, b.err.String(), namesIn(t, folder))
	}
}
