package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bluetrace/scenarios"
)

// inputFolder has a scenario held.yaml, day.txt, which it reads as a contact
// trace, and links to both.
func inputFolder(t *testing.T) (b *bench, folder string) {
	t.Helper()
	b, folder = newBench(), t.TempDir()
	day := filepath.Join(folder, "day.txt")
	writeFile(t, filepath.Join(folder, "held.yaml"), "a scenario")
	writeFile(t, day, "a recorded day")
	for from, to := range map[string]string{"link.yaml": "held.yaml", "link.csv": "day.txt"} {
		if err := os.Symlink(to, filepath.Join(folder, from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(folder, "held.yaml"), filepath.Join(folder, "hard.yaml")); err != nil {
		t.Fatal(err)
	}
	load := b.program.load
	b.program.load = func(path string, o scenarios.Options) (*scenarios.Scenario, error) {
		s, err := load(path, o)
		if err == nil && s.Name == "held" {
			s.Contacts.Trace = []scenarios.Trace{{File: day}}
		}
		return s, err
	}
	return b, folder
}

func TestTraceNeverOverwritesAnInput(t *testing.T) {
	for _, c := range []struct{ scenario, trace, want string }{
		{"held.yaml", "held.yaml", `the scenario "DIR/held.yaml"`},
		{"held.yaml", "x/../held.yaml", `the scenario "DIR/held.yaml"`},
		{"held.yaml", "link.yaml", `the scenario "DIR/held.yaml"`},
		{"held.yaml", "hard.yaml", `the scenario "DIR/held.yaml"`},
		{"link.yaml", "held.yaml", `the scenario "DIR/link.yaml"`},
		{"held.yaml", "day.txt", `the contact trace "DIR/day.txt"`},
		{"held.yaml", "link.csv", `the contact trace "DIR/day.txt"`},
	} {
		b, folder := inputFolder(t)
		trace := folder + "/" + c.trace
		if got := b.command(context.Background(), []string{"run", "--trace", trace, folder + "/" +
			c.scenario}); got != statusInvalid || len(b.ran) > 0 {
			t.Errorf("--trace %s %s: status %d, ran %v; want 104 and nothing", c.trace, c.scenario, got, b.ran)
		}
		want := fmt.Sprintf("sim: the trace %q would overwrite %s: name another file with --trace\n", trace,
			strings.ReplaceAll(c.want, "DIR", folder))
		if diff := cmp.Diff(want, b.err.String()); diff != "" {
			t.Error(diff)
		}
		if contentOf(t, folder+"/held.yaml") != "a scenario" || contentOf(t, folder+"/day.txt") != "a recorded day" {
			t.Errorf("--trace %s overwrote an input", c.trace)
		}
	}
}

// TestFilesOfEventsNeverOverwriteOneAnother: each needs a file of its own, also through a link. /dev/null is no file.
func TestFilesOfEventsNeverOverwriteOneAnother(t *testing.T) {
	for _, c := range []struct{ trace, perfetto, want string }{
		{"events", "x/../events", `sim: the perfetto "x/../events" would overwrite the trace "events": name another file ` +
			"with --perfetto\n"},
		{"day.txt", "link.csv", `sim: the perfetto "link.csv" would overwrite the trace "day.txt": name another file ` +
			"with --perfetto\n"},
		{os.DevNull, os.DevNull, ""},
	} {
		b, folder := inputFolder(t)
		t.Chdir(folder)
		wantStatus, wantRuns := statusInvalid, 0
		if c.want == "" {
			wantStatus, wantRuns = statusPassed, 1
		}
		got := b.command(t.Context(), []string{"run", "--quiet", "--perfetto", c.perfetto, "--trace", c.trace, "passed.yaml"})
		if got != wantStatus || len(b.ran) != wantRuns || b.err.String() != c.want {
			t.Errorf("%s and %s: status %d, %d runs, %q; want %d, %d, %q", c.trace, c.perfetto, got, len(b.ran),
				b.err.String(), wantStatus, wantRuns, c.want)
		}
	}
}

func TestReportsNeverOverwriteAnInput(t *testing.T) {
	for _, c := range []struct {
		link, scenario string // link is made and points to held.yaml
		flags          []string
		report, want   string
	}{
		{"", "day.txt", nil, "day.txt", `the scenario "DIR/day.txt"`},
		{"held.json", "held.yaml", nil, "held.json", `the scenario "DIR/held.yaml"`},
		{"held.openmetrics.txt", "held.yaml", nil, "held.openmetrics.txt", `the scenario "DIR/held.yaml"`},
		{"junit.xml", "held.yaml", nil, "junit.xml", `the scenario "DIR/held.yaml"`},
		{"", "held.yaml", []string{"--trace", "DIR/held.txt"}, "held.txt", `the trace "DIR/held.txt"`},
		{"", "held.yaml", []string{"--pcap", "DIR/.manifest"}, ".manifest", `the pcap "DIR/.manifest"`},
	} {
		b, folder := inputFolder(t)
		b.program.load = func(path string, _ scenarios.Options) (*scenarios.Scenario, error) {
			name, _, _ := strings.Cut(filepath.Base(path), ".")
			return &scenarios.Scenario{File: path, Name: name}, nil
		}
		if c.link != "" {
			if err := os.Symlink("held.yaml", filepath.Join(folder, c.link)); err != nil {
				t.Fatal(err)
			}
		}
		arguments := append([]string{"run", "--out", "DIR", "DIR/" + c.scenario}, c.flags...)
		for i := range arguments {
			arguments[i] = strings.ReplaceAll(arguments[i], "DIR", folder)
		}
		if got := b.command(context.Background(), arguments); got != statusInvalid || len(b.ran) > 0 {
			t.Errorf("%s: status %d, ran %v; want 104 and nothing", c.report, got, b.ran)
		}
		want := fmt.Sprintf("sim: the report %q would overwrite %s: name another folder with --out\n",
			folder+"/"+c.report, strings.ReplaceAll(c.want, "DIR", folder))
		if diff := cmp.Diff(want, b.err.String()); diff != "" {
			t.Error(diff)
		}
		if contentOf(t, folder+"/held.yaml") != "a scenario" || contentOf(t, folder+"/day.txt") != "a recorded day" {
			t.Errorf("%s overwrote an input", c.report)
		}
	}
}

// TestRefusedScenarioDoesNotStopTheOthers also checks that their report does not
// overwrite an input of the refused scenario.
func TestRefusedScenarioDoesNotStopTheOthers(t *testing.T) {
	b, folder := inputFolder(t)
	if err := os.Symlink("day.txt", filepath.Join(folder, "junit.xml")); err != nil {
		t.Fatal(err)
	}
	if got := b.command(context.Background(), []string{"run", "--out", folder, folder + "/failed.yaml",
		folder + "/held.yaml"}); got != statusInvalid {
		t.Errorf("status %d, want 104", got)
	}
	if len(b.ran) != 1 || contentOf(t, folder+"/day.txt") != "a recorded day" ||
		contentOf(t, folder+"/failed.txt") == "" {
		t.Errorf("ran %v, and the day is %q", b.ran, contentOf(t, folder+"/day.txt"))
	}
	if target, err := os.Readlink(folder + "/junit.xml"); err != nil || target != "day.txt" {
		t.Errorf("junit.xml: %q, %v", target, err)
	}
}
