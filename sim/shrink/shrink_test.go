package shrink

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

func TestMinimizeKeepsTheElementsNeeded(t *testing.T) {
	for n := range 40 {
		for _, needed := range [][]int{{}, {0}, {n - 1}, {n / 2, n - 1}, {0, n / 3, n - 1}} {
			needed = slices.DeleteFunc(slices.Compact(slices.Clone(needed)),
				func(i int) bool { return i < 0 || i >= n })
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

// failing returns a scenario with many phones, steps and faults.
func failing() *scenarios.Scenario {
	s := &scenarios.Scenario{Name: "many", Length: time.Hour, Seed: 9, Zone: time.UTC}
	s.Phones = []scenarios.PhoneGroup{{Name: "p", Counted: true, Count: 10, Account: "own", Retention: time.Minute}}
	s.Network.UDP.Delay = scenarios.Distribution{Mean: time.Second}
	for i := range 30 {
		st := scenarios.Step{Phone: i % 10, Do: &scenarios.Command{Verb: scenarios.VerbDownload, Count: 1},
			Optional: true}
		st.At.Offset = time.Duration(i) * 17777 * time.Millisecond
		s.Script = append(s.Script, st)
	}
	for i := range 12 {
		s.Faults = append(s.Faults, scenarios.Fault{Kind: fault.Crash, Chance: 1,
			At: time.Duration(i) * time.Minute, For: time.Second,
			Of: scenarios.Nodes{Phones: []int{i % 10}}})
	}
	return s
}

// TestReduceLeavesTheStepsNeeded reduces a failure that needs a crash of one phone and a later download of another. The
// result has these two events, two phones with new numbers, and round times.
func TestReduceLeavesTheStepsNeeded(t *testing.T) {
	broken := func(s *scenarios.Scenario) bool {
		names := s.PhoneNames()
		for _, f := range s.Faults {
			for _, st := range s.Script {
				if len(names) > 1 && len(f.Of.Phones) == 1 && st.At.Offset > f.At && f.For > 0 &&
					f.Of.Phones[0] != st.Phone && s.Length > st.At.Offset {
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
		t.Errorf("left are %d steps, %d faults, phones %v; want 1, 1 and 2", len(got.Script), len(got.Faults),
			got.PhoneNames())
	}
	if !broken(got) || got.Script[0].At.Offset > time.Second || got.Faults[0].At != 0 {
		t.Errorf("the step is at %v, the fault at %v", got.Script[0].At.Offset, got.Faults[0].At)
	}
	if got.Script[0].Optional {
		t.Error("a step that takes place is still marked optional")
	}
	if want := (Report{Runs: report.Runs, SeedIndependent: true, Seeds: []uint64{1, 2}, Steps: 2, Phones: 2,
		Complete: true}); fmt.Sprint(report) != fmt.Sprint(want) {
		t.Errorf("report %+v, want %+v", report, want)
	}
	if n := failing(); len(n.Script) != 30 || len(n.Faults) != 12 {
		t.Error("the failing scenario was changed")
	}
}

func TestReduceEndsAtALimit(t *testing.T) {
	always := func(context.Context, *scenarios.Scenario, bool) (TryResult, error) {
		return TryResult{Causes: []string{"c"}}, nil
	}
	_, report, err := Reduce(context.Background(), failing(), "c", always, Options{MaxRuns: 5})
	if err != nil || report.Runs != 5 || report.Complete {
		t.Errorf("with 5 tries: %+v, %v", report, err)
	}
	_, _, err = Reduce(context.Background(), failing(), "another", always, Options{})
	if !errors.Is(err, ErrNotFailing) {
		t.Errorf("another cause: %v", err)
	}
	bad := errors.New("disk")
	fails := func(context.Context, *scenarios.Scenario, bool) (TryResult, error) { return TryResult{}, bad }
	if _, _, err := Reduce(context.Background(), failing(), "c", fails, Options{}); !errors.Is(err, bad) {
		t.Errorf("the error of a try: %v", err)
	}
}

// TestInstantFaultGetsNoDuration: the language rejects a step of a clock with a duration.
func TestInstantFaultGetsNoDuration(t *testing.T) {
	base := failing()
	base.Faults = []scenarios.Fault{{Kind: fault.Clock, Step: time.Hour, At: time.Second, Chance: 1,
		Of: scenarios.Nodes{Server: true}}}
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

// TestExplicitFaults: a random fault becomes one fault for each recorded effect, and a deterministic fault stays.
func TestExplicitFaults(t *testing.T) {
	server := scenarios.Nodes{Server: true}
	phone := func(i int) scenarios.Nodes { return scenarios.Nodes{Phones: []int{i}} }
	effect := func(who, peer uint32) Effect {
		return Effect{At: 2 * time.Second, Node: who, Peer: peer, Nth: 3, Amount: 7}
	}
	for name, c := range map[string]struct {
		fault  scenarios.Fault
		effect Effect
		want   []scenarios.Fault
	}{
		"deterministic": {scenarios.Fault{Kind: fault.Stall, Chance: 1, For: time.Minute, Of: server},
			effect(1, event.Server),
			[]scenarios.Fault{{Kind: fault.Stall, Chance: 1, For: time.Minute, Of: server}}},
		"per node": {scenarios.Fault{Kind: fault.Stall, Chance: 0.5, For: time.Minute,
			Of: scenarios.Nodes{Any: true}}, effect(1, event.Server),
			[]scenarios.Fault{{Kind: fault.Stall, Chance: 1, At: 2 * time.Second, For: time.Minute, Of: phone(1)}}},
		"of the server": {scenarios.Fault{Kind: fault.Crash, Chance: 0.5, For: time.Minute,
			Of: scenarios.Nodes{Any: true}}, effect(event.Server, event.Server),
			[]scenarios.Fault{{Kind: fault.Crash, Chance: 1, At: 2 * time.Second, For: time.Minute, Of: server}}},
		"a repeated fault": {scenarios.Fault{Kind: fault.Pause, Chance: 1, For: time.Second, Every: time.Minute,
			Until: time.Hour, Of: phone(0)}, effect(0, event.Server),
			[]scenarios.Fault{{Kind: fault.Pause, Chance: 1, At: 2 * time.Second, For: time.Second, Of: phone(0)}}},
		"one datagram": {scenarios.Fault{Kind: fault.Delay, Chance: 0.1,
			Delay: scenarios.Distribution{Mean: time.Second}}, effect(4, 5),
			[]scenarios.Fault{{Kind: fault.Delay, Chance: 1, At: 2 * time.Second, For: time.Nanosecond,
				From: phone(4), To: phone(5), Skip: 3, Count: 1,
				Delay: scenarios.Distribution{Min: 7, Max: 7}}}},
		"one reset": {scenarios.Fault{Kind: fault.Reset, Chance: 0.1, For: time.Minute}, effect(4, event.Server),
			[]scenarios.Fault{{Kind: fault.Reset, Chance: 1, At: 2 * time.Second, Of: phone(4)}}},
		"one random byte": {scenarios.Fault{Kind: fault.Corrupt, Chance: 1, For: time.Minute}, effect(4, event.Server),
			[]scenarios.Fault{{Kind: fault.Corrupt, Chance: 1, At: 2 * time.Second, For: time.Nanosecond, Bytes: 7,
				From: phone(4), To: server, Skip: 3, Count: 1}}},
		"a named byte": {scenarios.Fault{Kind: fault.Corrupt, Chance: 1, Bytes: 2}, effect(4, 5),
			[]scenarios.Fault{{Kind: fault.Corrupt, Chance: 1, Bytes: 2}}},
		"a random size": {scenarios.Fault{Kind: fault.Truncate, Chance: 1, Bytes: -1}, effect(4, 5),
			[]scenarios.Fault{{Kind: fault.Truncate, Chance: 1, At: 2 * time.Second, For: time.Nanosecond, Bytes: 7,
				From: phone(4), To: phone(5), Skip: 3, Count: 1}}},
		"a size of nothing": {scenarios.Fault{Kind: fault.Truncate, Chance: 1}, effect(4, 5),
			[]scenarios.Fault{{Kind: fault.Truncate, Chance: 1}}},
		"a random time": {scenarios.Fault{Kind: fault.Reorder, Chance: 1, Delay: scenarios.Distribution{Max: 9}},
			effect(4, 5), []scenarios.Fault{{Kind: fault.Reorder, Chance: 1, At: 2 * time.Second, For: time.Nanosecond,
				From: phone(4), To: phone(5), Skip: 3, Count: 1, Delay: scenarios.Distribution{Min: 7, Max: 7}}}},
		"a constant time": {scenarios.Fault{Kind: fault.Delay, Chance: 1, Delay: scenarios.Distribution{Min: 9, Max: 9}},
			effect(4, 5), []scenarios.Fault{{Kind: fault.Delay, Chance: 1, Delay: scenarios.Distribution{Min: 9, Max: 9}}}},
		"one connect": {scenarios.Fault{Kind: fault.Refuse, Chance: 0.5, Of: scenarios.Nodes{Any: true}},
			effect(4, event.Server), []scenarios.Fault{{Kind: fault.Refuse, Chance: 1, At: 2 * time.Second,
				For: time.Nanosecond, Of: phone(4), Skip: 3, Count: 1}}},
		"one operation of a disk": {scenarios.Fault{Kind: fault.Disk, Chance: 0.5, Disk: "failing", For: time.Hour,
			Of: scenarios.Nodes{Any: true}}, effect(event.Server, event.Server),
			[]scenarios.Fault{{Kind: fault.Disk, Chance: 1, Disk: "failing", At: 2 * time.Second, For: time.Nanosecond,
				Of: server, Skip: 3, Count: 1}}},
		// Phone numbers from 10 on are additional programs, which the language cannot name.
		"an additional program": {scenarios.Fault{Kind: fault.Stall, Chance: 0.5, For: time.Minute,
			Of: phone(1)}, effect(10, event.Server), nil},
		"to an additional program": {scenarios.Fault{Kind: fault.Lose, Chance: 0.5, For: time.Minute},
			effect(1, 10), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := failing()
			s.Faults = []scenarios.Fault{c.fault}
			got := explicitFaults(s, &Recording{Effects: []Effect{c.effect, {Fault: 1, Node: 1}}})
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestReduceKeepsTheTimingIfAsked: with KeepTiming the steps and faults stay at their times.
func TestReduceKeepsTheTimingIfAsked(t *testing.T) {
	base := failing()
	try := func(_ context.Context, s *scenarios.Scenario, _ bool) (TryResult, error) {
		if len(s.Script) == 0 || len(s.Faults) == 0 || s.Length == 0 {
			return TryResult{}, nil
		}
		return TryResult{Causes: []string{"lost"}}, nil
	}
	got, _, err := Reduce(context.Background(), base, "lost", try, Options{KeepTiming: true})
	if err != nil {
		t.Fatal(err)
	}
	isOfBase := func(s *scenarios.Step) bool {
		return slices.ContainsFunc(base.Script, func(b scenarios.Step) bool { return b.At.Offset == s.At.Offset })
	}
	if len(got.Script) != 1 || !isOfBase(&got.Script[0]) || got.Faults[0].At%time.Minute != 0 ||
		got.Length != base.Length {
		t.Errorf("left are %+v and %+v of %v", got.Script, got.Faults, got.Length)
	}
}

// TestOptionalStepsStayIfAnotherCheckFails: a step that does not take place must stay optional.
func TestOptionalStepsStayIfAnotherCheckFails(t *testing.T) {
	try := func(_ context.Context, s *scenarios.Scenario, record bool) (TryResult, error) {
		if len(s.Script) < 2 {
			return TryResult{}, nil
		}
		out := TryResult{Causes: []string{"lost"}}
		if record {
			out.Recording.Steps = s.Script
		}
		if !s.Script[1].Optional {
			out.Causes = append(out.Causes, "the step takes place")
		}
		return out, nil
	}
	got, _, err := Reduce(context.Background(), failing(), "lost", try, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Script) != 2 || got.Script[0].Optional || !got.Script[1].Optional {
		t.Errorf("left are %+v, want a mandatory and an optional step", got.Script)
	}
}

// TestReduceUsesOnlyAcceptedCandidates: Accept can reject a candidate that fails.
func TestReduceUsesOnlyAcceptedCandidates(t *testing.T) {
	always := func(context.Context, *scenarios.Scenario, bool) (TryResult, error) {
		return TryResult{Causes: []string{"lost"}}, nil
	}
	accept := func(s *scenarios.Scenario) bool { return len(s.Faults) >= 2 }
	got, _, err := Reduce(context.Background(), failing(), "lost", always, Options{Accept: accept})
	if err != nil || len(got.Faults) != 2 {
		t.Errorf("%d faults and %v, want the two that Accept asks for", len(got.Faults), err)
	}
}

// TestFileNamesTheOtherSeeds: the comment of a file names each seed with which the failure occurs once.
func TestFileNamesTheOtherSeeds(t *testing.T) {
	s := failing()
	s.Seed, s.Manual = 4, true
	for _, c := range []struct {
		seeds []uint64
		want  string
	}{
		{nil, "It occurs only with this seed.\n"},
		{[]uint64{4}, "It occurs only with this seed.\n"},
		{[]uint64{4, 7, 9}, "It occurs with the seeds 4 and 7, 9.\n"},
	} {
		text := string(File(s, Description{Name: "n"}, Report{Seeds: c.seeds}))
		if !strings.Contains(text, c.want) || strings.Contains(text, "manual") {
			t.Errorf("%v: no %q in\n%s", c.seeds, c.want, text[:min(300, len(text))])
		}
	}
}
