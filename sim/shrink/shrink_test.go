package shrink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"bluetrace/scenarios"
)

func TestLeast(t *testing.T) {
	for n := range 40 {
		for _, needed := range [][]int{{}, {0}, {n - 1}, {n / 2, n - 1}, {0, n / 3, n - 1}} {
			needed = slices.DeleteFunc(slices.Compact(slices.Clone(needed)), func(i int) bool { return i < 0 || i >= n })
			tries := 0
			got := minimize(n, func(left []int) bool {
				tries++
				return !slices.ContainsFunc(needed, func(i int) bool { return !slices.Contains(left, i) })
			})
			if !slices.Equal(got, needed) && (len(got) > 0 || len(needed) > 0) {
				t.Errorf("of %d with %v needed: left %v", n, needed, got)
			}
			if tries > 12*(len(needed)+1)+4*n {
				t.Errorf("of %d with %v needed: %d tries", n, needed, tries)
			}
		}
	}
}

// failing is a scenario of many phones, steps and faults.
func failing() *scenarios.Scenario {
	s := &scenarios.Scenario{Name: "many", Length: time.Hour, Seed: 9, Zone: time.UTC}
	s.Phones = []scenarios.PhoneGroup{{Name: "p", Counted: true, Count: 10, Account: "own", Retention: time.Minute}}
	s.Network.UDP.Delay = scenarios.Distribution{Mean: time.Second}
	for i := range 30 {
		st := scenarios.Step{Phone: i % 10, Do: &scenarios.Command{Verb: scenarios.VerbDownload, Count: 1}, Optional: true}
		st.At.Offset = time.Duration(i) * 17777 * time.Millisecond
		s.Script = append(s.Script, st)
	}
	for i := range 12 {
		s.Faults = append(s.Faults, scenarios.Fault{Kind: scenarios.FaultCrash, Chance: 1, At: time.Duration(i) * time.Minute, For: time.Second,
			Of: scenarios.Nodes{Phones: []int{i % 10}}})
	}
	return s
}

// A failure that needs a crash of p-4 and later a download of p-7 is shrunk to
// just these, with phones of new numbers and round times.
func TestReduceLeavesWhatIsNeeded(t *testing.T) {
	broken := func(s *scenarios.Scenario) bool {
		names := s.PhoneNames()
		for _, f := range s.Faults {
			for _, st := range s.Script {
				if len(names) > 1 && len(f.Of.Phones) == 1 && st.At.Offset > f.At && f.For > 0 && f.Of.Phones[0] != st.Phone && s.Length > st.At.Offset {
					return true
				}
			}
		}
		return false
	}
	try := func(_ context.Context, s *scenarios.Scenario, record bool) (TryResult, error) {
		var out TryResult
		if broken(s) {
			out.Causes = []string{"lost"}
		}
		if record {
			out.Recording.Steps = s.Script
		}
		return out, nil
	}
	got, report, err := Reduce(context.Background(), failing(), "lost", try, Options{Seeds: []uint64{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Script) != 1 || len(got.Faults) != 1 || len(got.PhoneNames()) != 2 {
		t.Errorf("left are %d steps, %d faults, phones %v; want 1, 1 and 2", len(got.Script), len(got.Faults), got.PhoneNames())
	}
	if !broken(got) || got.Script[0].At.Offset > time.Second || got.Faults[0].At != 0 {
		t.Errorf("the step is at %v, the fault at %v", got.Script[0].At.Offset, got.Faults[0].At)
	}
	if got.Script[0].Optional {
		t.Error("a step that takes place is still marked optional")
	}
	if want := (Report{Runs: report.Runs, SeedIndependent: true, Seeds: []uint64{1, 2}, Steps: 2, Phones: 2, Complete: true}); fmt.Sprint(report) != fmt.Sprint(want) {
		t.Errorf("report %+v, want %+v", report, want)
	}
	if n := failing(); len(n.Script) != 30 || len(n.Faults) != 12 {
		t.Error("the failing scenario was changed")
	}
}

func TestReduceEnds(t *testing.T) {
	always := func(context.Context, *scenarios.Scenario, bool) (TryResult, error) {
		return TryResult{Causes: []string{"c"}}, nil
	}
	_, report, err := Reduce(context.Background(), failing(), "c", always, Options{MaxRuns: 5})
	if err != nil || report.Runs != 5 || report.Complete {
		t.Errorf("with 5 tries: %+v, %v", report, err)
	}
	if _, _, err := Reduce(context.Background(), failing(), "another", always, Options{}); !errors.Is(err, ErrNotFailing) {
		t.Errorf("another cause: %v", err)
	}
	bad := errors.New("disk")
	fails := func(context.Context, *scenarios.Scenario, bool) (TryResult, error) { return TryResult{}, bad }
	if _, _, err := Reduce(context.Background(), failing(), "c", fails, Options{}); !errors.Is(err, bad) {
		t.Errorf("the error of a try: %v", err)
	}
}

// TestAnInstantGetsNoLength: no file may give one to a step of a clock.
func TestAnInstantGetsNoLength(t *testing.T) {
	base := failing()
	base.Faults = []scenarios.Fault{{Kind: scenarios.FaultClock, Step: time.Hour, At: time.Second, Chance: 1, Of: scenarios.Nodes{Server: true}}}
	try := func(_ context.Context, s *scenarios.Scenario, _ bool) (TryResult, error) {
		if len(s.Faults) == 0 {
			return TryResult{}, nil
		}
		return TryResult{Causes: []string{"lost"}}, nil
	}
	got, _, err := Reduce(context.Background(), base, "lost", try, Options{})
	if err != nil || len(got.Faults) != 1 || got.Faults[0].For != 0 {
		t.Errorf("%+v and %v, want the one step, without a length", got.Faults, err)
	}
}
