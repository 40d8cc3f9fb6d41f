package swarm

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// library returns the scenarios of the library that a swarm can run, except the largest.
func library(t testing.TB) []*scenarios.Scenario {
	t.Helper()
	files, err := filepath.Glob("../../scenarios/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("../../scenarios/faults/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []*scenarios.Scenario
	for _, f := range append(files, more...) {
		s, err := scenarios.Load(f, scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !s.Manual && len(s.Contacts.Trace) == 0 {
			all = append(all, s)
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d scenarios found", len(all))
	}
	return all
}

func classroom(t testing.TB) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Load("../../scenarios/classroom.yaml", scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestASeedIsOneScenario: two draws of a seed are equal, two seeds differ, and the base scenario is not changed.
func TestASeedIsOneScenario(t *testing.T) {
	for _, base := range library(t) {
		before := string(base.AppendYAML(nil))
		seen := map[string]uint64{}
		for seed := range uint64(6) {
			a, planA := Draw(base, seed)
			b, planB := Draw(base, seed)
			text := string(a.AppendYAML(nil))
			if diff := cmp.Diff(text, string(b.AppendYAML(nil))); diff != "" {
				t.Errorf("%s, seed %d: drawn twice:\n%s", base.Name, seed, diff)
			}
			if diff := cmp.Diff(planA, planB); diff != "" {
				t.Errorf("%s, seed %d: drawn twice:\n%s", base.Name, seed, diff)
			}
			if other, ok := seen[text]; ok {
				t.Errorf("%s: seeds %d and %d are the same", base.Name, other, seed)
			}
			seen[text] = seed
		}
		if diff := cmp.Diff(before, string(base.AppendYAML(nil))); diff != "" {
			t.Errorf("%s was changed by drawing:\n%s", base.Name, diff)
		}
	}
}

// TestStartsBeforeClocksChange draws from scenarios that begin near the turn of a leap year: a seed that begins before
// clocks change does, and the change is before the heal.
func TestStartsBeforeClocksChange(t *testing.T) {
	for _, base := range []struct{ zone, start string }{
		{"Europe/London", "10/11/2024 09:00:00"}, {"America/New_York", "31/12/2024 12:00:00"},
		{"Australia/Sydney", "01/01/2025 00:00:00"}, {"UTC", "31/12/2024 12:00:00"},
	} {
		text := "name: t\nzone: " + base.zone + "\nstart: " + base.start +
			"\nlength: 3m\nphones: [{name: p, count: 2}]\n" +
			"contacts: {everyone: p}\nroutine: [{phones: p, every: 10s, do: Beacon, to: contacts}]\ninvariants: true\n"
		s, err := scenarios.Parse("t.yaml", []byte(text), scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		changes := 0
		for seed := range uint64(100) {
			drawn, plan := Draw(s, seed)
			if drawn.Start == s.Start {
				continue
			}
			changes++
			_, before := time.Unix(drawn.Start, 0).In(drawn.Zone).Zone()
			_, after := time.Unix(drawn.Start, 0).Add(plan.Heal).In(drawn.Zone).Zone()
			if before == after {
				t.Errorf("%s, seed %d: no change of clocks in %v after %s", base.zone, seed, plan.Heal,
					time.Unix(drawn.Start, 0).In(drawn.Zone))
			}
		}
		if changes < 5 {
			t.Errorf("%s: %d of 100 seeds begin before clocks change, want at least 5", base.zone, changes)
		}
	}
}

// TestDrawnScenariosCanBeWritten: every generated scenario can be written and parsed, and is that of earlier programs.
func TestDrawnScenariosCanBeWritten(t *testing.T) {
	var digests []string
	for _, base := range library(t) {
		h := xxhash.New()
		for seed := range uint64(30) {
			s, plan := Draw(base, seed)
			text := s.AppendYAML(nil)
			fmt.Fprintf(h, "%s%+v", text, plan)
			got, err := scenarios.Parse(s.File, text, scenarios.Options{})
			if err != nil {
				t.Fatalf("%s, seed %d: %v", base.Name, seed, err)
			}
			if diff := cmp.Diff(string(text), string(got.AppendYAML(nil))); diff != "" {
				t.Fatalf("%s, seed %d: read and written again:\n%s", base.Name, seed, diff)
			}
		}
		digests = append(digests, fmt.Sprintf("%s %016x", base.Name, h.Sum64()))
	}
	checkDraws(t, digests)
}

// TestTheFileOfADrawIsTheSameRun: the scenario and its file have the same digest.
func TestTheFileOfADrawIsTheSameRun(t *testing.T) {
	base := classroom(t)
	for seed := range uint64(12) {
		s, _ := Draw(base, seed)
		read, err := scenarios.Parse(s.File, s.AppendYAML(nil), scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := digest(t, s), digest(t, read); a != b {
			t.Errorf("seed %d: digest %s, of its file %s", seed, a, b)
		}
	}
}

func digest(t *testing.T, s *scenarios.Scenario) string {
	t.Helper()
	r, err := sim.Run(context.Background(), s, sim.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Run.Digest
}

// TestEverythingIsOverAtTheHeal: every fault and adversary has ended, and clocks are right.
func TestEverythingIsOverAtTheHeal(t *testing.T) {
	for _, base := range library(t) {
		for seed := range uint64(60) {
			s, plan := Draw(base, seed)
			for i := range s.Faults {
				if !isOver(&s.Faults[i], plan.Heal) {
					t.Errorf("%s, seed %d: %s: not over at %v", base.Name, seed, s.Faults[i].Text, plan.Heal)
				}
			}
			for _, a := range s.Adversaries {
				if a.Until == 0 || a.Until > plan.Heal {
					t.Errorf("%s, seed %d: %s: not over at %v", base.Name, seed, a.Text, plan.Heal)
				}
			}
			if off := clockErrorsAtHeal(s, plan.Heal); len(off) > 0 {
				t.Errorf("%s, seed %d: clocks are wrong by %v after the heal", base.Name, seed, off)
			}
		}
	}
}
