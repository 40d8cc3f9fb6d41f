package swarm

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/shrink"
)

// TestRunsThatAreNotShrunk: a run that passes, a run that does not end, and a run that differs from its repetition.
func TestRunsThatAreNotShrunk(t *testing.T) {
	base := classroom(t)
	base.Server.TempIDLifetime = 0 // what is drawn raises it
	s, _ := Draw(base, 2)
	last := s.Script[len(s.Script)-1]
	g := &Group{Cause: "liveness: do: Upload_contact_log: nothing", Seed: 2, File: base.File,
		Check: reports.Check{Kind: reports.ExpectationCheck, Name: last.Text, Expected: "an upload", Found: "nothing"}}
	if _, err := Shrink(context.Background(), base, g, "found-x", "x.yaml", shrink.Options{MaxRuns: 5}); err == nil ||
		!strings.Contains(err.Error(), "seed 2 of") {
		t.Errorf("a run that holds was shrunk: %v", err)
	}
	for _, name := range []string{RunEnds, SameRun} {
		g.Cause, g.Check.Name = "x", name
		if small, err := Shrink(context.Background(), base, g, "found-x", "x.yaml", shrink.Options{}); small != nil ||
			err != nil {
			t.Errorf("%q was shrunk: %v, %v", name, small, err)
		}
	}
	if _, err := scenarios.Parse("x.yaml", s.AppendYAML(nil), scenarios.Options{}); err != nil {
		t.Error(err)
	}
}

// drawnLesson returns a generated scenario with faults and adversaries, and its reduction. fails returns the causes of
// a
// candidate.
func drawnLesson(
	t *testing.T, cause string, fails func(*scenarios.Scenario) []string,
) (*scenarios.Scenario, Plan, *shrinking) {
	t.Helper()
	base := classroom(t)
	s, plan := Draw(base, 1)
	for seed := uint64(2); len(s.Adversaries) == 0 || len(s.Faults) < 4; seed++ {
		s, plan = Draw(base, seed)
	}
	g := &Group{Cause: cause, Seed: plan.Seed, File: base.File, Check: reports.Check{Kind: reports.InvariantCheck,
		Expected: "that of the swarm", Found: "at 9 s"}}
	sh := &shrinking{group: g, naming: newCauseNames(base), name: "found-x", path: "x.yaml",
		accepted: []*scenarios.Scenario{s},
		try: func(_ context.Context, s *scenarios.Scenario, record bool) (shrink.TryResult, error) {
			t := shrink.TryResult{Causes: fails(s)}
			if record {
				t.Recording.Steps = s.Script
			}
			return t, nil
		},
		failed: func(context.Context, *scenarios.Scenario) *reports.Check {
			return &reports.Check{Expected: "what is small", Found: "at 1 s"}
		}}
	return s, plan, sh
}

// TestAFailureOfAnAdversaryKeepsItsLength: only the length ends such a run. The file describes the failure of its own
// run.
func TestAFailureOfAnAdversaryKeepsItsLength(t *testing.T) {
	s, plan, sh := drawnLesson(t, "c", func(s *scenarios.Scenario) []string {
		if len(s.Adversaries) > 0 {
			return []string{"c"}
		}
		return nil
	})
	small, err := sh.shrink(context.Background(), s, plan, shrink.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := scenarios.Parse("x.yaml", small.File, scenarios.Options{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, small.File)
	}
	if len(got.Adversaries) != 1 || len(got.Script)+len(got.Faults)+len(got.Routine) > 0 || got.Length <= 0 {
		t.Errorf("left is\n%s", small.File)
	}
	// the phones may be the attacker and its target, or one of them
	if !regexp.MustCompile(`^\((1 phone|2 phones), 1 step or fault; \d+ runs\)$`).MatchString(small.Note) {
		t.Errorf("noted is %q", small.Note)
	}
	if text := string(small.File); !strings.Contains(text, "expected what is small, found at 1 s") ||
		strings.Contains(text, "that of the swarm") || !IsGenerated(small.File) {
		t.Errorf("the file describes another run:\n%s", text)
	}
}

// TestALargerScenarioIsWritten if the file of the smallest does not fail.
func TestALargerScenarioIsWritten(t *testing.T) {
	files := 0
	s, plan, sh := drawnLesson(t, "c", func(s *scenarios.Scenario) []string {
		if s.File == "read.yaml" && len(s.Faults) < 2 {
			files++
			return nil
		}
		if len(s.Faults) > 0 {
			return []string{"c"}
		}
		return nil
	})
	sh.path, sh.accepted = "read.yaml", []*scenarios.Scenario{s}
	small, err := sh.shrink(context.Background(), s, plan, shrink.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := scenarios.Parse("x.yaml", small.File, scenarios.Options{})
	if err != nil || len(got.Faults) < 2 || files == 0 || !strings.HasSuffix(small.Note,
		"; the file of a smaller scenario does not fail") {
		t.Errorf("%v, after %d bad files: %d faults in\n%s", err, files, len(got.Faults), small.File)
	}
}

// TestPreconditions: each precondition of liveness that a candidate lacks is found.
func TestPreconditions(t *testing.T) {
	s, plan := Draw(classroom(t), 2)
	prepared := preconditions(s, plan.Heal)
	if !prepared(s) {
		t.Fatal("the generated scenario lacks a precondition")
	}
	first := func(s *scenarios.Scenario, fits func(*scenarios.Step) bool) int {
		return slices.IndexFunc(s.Script, func(st scenarios.Step) bool { return len(st.Expect) > 0 && fits(&st) })
	}
	does := func(v scenarios.Verb) func(*scenarios.Step) bool {
		return func(st *scenarios.Step) bool { return st.Do != nil && st.Do.Verb == v }
	}
	without := func(fits func(*scenarios.Step) bool) func(*scenarios.Scenario) {
		return func(s *scenarios.Scenario) {
			i := first(s, fits)
			s.Script = slices.Delete(slices.Clone(s.Script), i, i+1)
		}
	}
	for name, c := range map[string]struct {
		change func(*scenarios.Scenario)
		lacks  bool
	}{
		"a login":    {without(func(st *scenarios.Step) bool { return st.Login != nil }), true},
		"a download": {without(does(scenarios.VerbDownload)), true},
		"a beacon":   {without(does(scenarios.VerbBeacon)), true},
		"an upload":  {without(does(scenarios.VerbUpload)), false},
		"logins alone": {func(s *scenarios.Scenario) { s.Script = s.Script[:first(s, does(scenarios.VerbDownload))] },
			false},
		"no faults":    {func(s *scenarios.Scenario) { s.Faults = nil }, false},
		"a long block": {func(s *scenarios.Scenario) { s.Server.BlockDuration = time.Hour }, true},
		"no end": {func(s *scenarios.Scenario) {
			s.Faults = []scenarios.Fault{{Kind: fault.Lose, Chance: 1}}
		}, true},
		"a wrong clock": {func(s *scenarios.Scenario) {
			s.Faults = []scenarios.Fault{{Kind: fault.Clock, Step: time.Hour, Of: serverNode()}}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			smaller := *s
			c.change(&smaller)
			if prepared(&smaller) == c.lacks {
				t.Errorf("the candidate lacks a precondition: %t, want %t", !c.lacks, c.lacks)
			}
		})
	}
}

// TestDrawsMeetThePreconditions of liveness.
func TestDrawsMeetThePreconditions(t *testing.T) {
	for _, base := range library(t) {
		for seed := range uint64(40) {
			s, plan := Draw(base, seed)
			if !preconditions(s, plan.Heal)(s) {
				t.Errorf("%s, seed %d lacks a precondition", base.Name, seed)
			}
		}
	}
}

// TestLivenessMustHoldWithoutFaults: a candidate that also fails without its faults does not count.
func TestLivenessMustHoldWithoutFaults(t *testing.T) {
	s, plan := Draw(classroom(t), 2)
	cause := livenessCause + "x"
	for without, want := range map[string][]string{"": {cause}, cause: {}, livenessCause + "another": {}} {
		try := onlyWithFaults(func(_ context.Context, s *scenarios.Scenario, _ bool) (shrink.TryResult, error) {
			if len(s.Faults) > 0 {
				return shrink.TryResult{Causes: []string{cause}}, nil
			}
			return shrink.TryResult{Causes: slices.DeleteFunc([]string{without},
				func(c string) bool { return c == "" })}, nil
		}, cause, preconditions(s, plan.Heal))
		got, err := try(context.Background(), s, false)
		if err != nil || !slices.Equal(got.Causes, want) {
			t.Errorf("with %q without faults: causes %q, %v; want %q", without, got.Causes, err, want)
		}
	}
	_, plan, sh := drawnLesson(t, cause, func(*scenarios.Scenario) []string { return []string{cause} })
	if _, err := sh.shrink(context.Background(), s, plan, shrink.Options{}); !errors.Is(err, errFailsWithoutFaults) {
		t.Errorf("a failure without faults: %v", err)
	}
}
