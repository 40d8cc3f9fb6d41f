package swarm

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
	"bluetrace/sim"
	"bluetrace/sim/event"
)

// TestSeedsThatOnceFailed runs seeds in which liveness once failed because of an error in the generator: a fault after
// an
// action that never took effect, a login left half done, or a slow path with a backlog of minutes.
func TestSeedsThatOnceFailed(t *testing.T) {
	for name, seeds := range map[string][]uint64{
		"classroom": {3128, 5033, 5182, 5221, 7191, 9001724},
		"tempids":   {3493},
		"blocking":  {5320},
		"uploads":   {1355},

		"logout":           {9000218, 5000245},
		"joined-and-split": {5000817}, // a step without a time of its own, long after the heal
		"slow-disk":        {9000234},
		"faults/partition": {9001631}, // an owed TempID acknowledged an upload
	} {
		base, err := scenarios.Load("../../scenarios/"+name+".yaml", scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, seed := range seeds {
			o := Options{Bases: []*scenarios.Scenario{base}, Seeds: Range{seed, seed}.Seeds()}
			for _, g := range swarmOf(t, o).Sorted() {
				t.Errorf("%s, seed %d: %s: expected %s, found %s", name, seed, g.Cause, g.Check.Expected, g.Check.Found)
			}
		}
	}
}

// TestNoFaultBeginsAfterTheHeal: an action whose answer comes after the heal has no fault after it. A run with a fault
// after its heal fails, whatever else holds.
func TestNoFaultBeginsAfterTheHeal(t *testing.T) {
	fromLabels := 0
	for _, base := range library(t) {
		for seed := range uint64(40) {
			s, plan := Draw(base, seed)
			for i := range s.Script {
				st := &s.Script[i]
				if !st.Optional || st.At.Label == "" && !st.At.AfterPrevious {
					continue
				}
				if fromLabels++; st.Before == 0 || st.Before > plan.Heal {
					t.Errorf("%s, seed %d: %s: may begin until %v, after the heal at %v", base.Name, seed, st.Text,
						st.Before, plan.Heal)
				}
			}
		}
	}
	if fromLabels < 1000 {
		t.Errorf("only %d steps without a time of their own", fromLabels)
	}
	late := time.Nanosecond
	engine := func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		_, plan := Draw(classroom(t), s.Seed)
		var stream event.Stream
		o.Subscribe(&stream)
		stream.Emit(&event.Event{Kind: event.FaultBegins, At: plan.Heal, Text: "clock: teacher, step: 1s"})
		stream.Emit(&event.Event{Kind: event.FaultBegins, At: plan.Heal + late, Text: "crash: pupil-7, for: 4s"})
		return fakeEngine(ctx, s, o)
	}
	o := Options{Bases: []*scenarios.Scenario{classroom(t)}, Seeds: Range{3, 3}.Seeds(), Engine: engine}
	got := swarmOf(t, o)
	if len(got.Failures) != 1 || got.Failures[0].Cause != "no fault begins after the heal: crash: …, for: #" {
		t.Errorf("%s: %+v", got.Verdict, got.Failures)
	}
	late = 0
	o.Seeds = Range{3, 3}.Seeds()
	if got := swarmOf(t, o); got.Verdict != reports.Passed {
		t.Errorf("a fault in the instant of the heal: %s: %+v", got.Verdict, got.Failures)
	}
}

// TestEachPersonOfATraceHasAPhone: a drawn scenario has all phones of its trace.
func TestEachPersonOfATraceHasAPhone(t *testing.T) {
	const text = `name: traced
phones: [{name: visitor, count: 40}, {name: person, count: 5}]
contacts: {trace: {file: contacts.csv, phones: person}}
routine: [{phones: "*", within: 15s, do: [login, Download_tempID]}]
script: [{at: 2m, phone: person-1, expect: {log: 0}}]
`
	file := filepath.Join(t.TempDir(), "traced.yaml")
	base, err := scenarios.Parse(file, []byte(text), scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	contacts := "20 1 2\n20 3 4\n40 5 1\n60 2 5\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "contacts.csv"), []byte(contacts), 0o600); err != nil {
		t.Fatal(err)
	}
	fewer := 0
	for seed := range uint64(20) {
		s, plan := Draw(base, seed)
		if n := len(s.Contacts.Trace[0].Phones); n != 5 {
			t.Errorf("seed %d: %d phones for 5 people", seed, n)
		}
		if plan.Phones < 45 {
			fewer++
		}
	}
	if fewer < 10 {
		t.Errorf("only %d of 20 seeds have fewer phones", fewer)
	}
	o := Options{Bases: []*scenarios.Scenario{base}, Seeds: Range{1, 20}.Seeds()}
	for _, g := range swarmOf(t, o).Sorted() {
		t.Errorf("seed %d: %s: expected %s, found %s", g.Seed, g.Cause, g.Check.Expected, g.Check.Found)
	}
}

// TestLivenessWaitsForTheDisk: each step waits for the steps that it needs, also with a slow disk.
func TestLivenessWaitsForTheDisk(t *testing.T) {
	base, err := scenarios.Load("../../scenarios/slow-disk.yaml", scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	base.Server.DiskDelay = scenarios.Distribution{Min: 8 * time.Second, Max: 8 * time.Second}
	o := Options{Bases: []*scenarios.Scenario{base}, Seeds: Range{1, 30}.Seeds()}
	for _, g := range swarmOf(t, o).Sorted() {
		t.Errorf("first with seed %d: %s: expected %s, found %s", g.Seed, g.Cause, g.Check.Expected, g.Check.Found)
	}
}

// TestLivenessWaitsUntilNothingIsLeft from before the heal: a datagram on a slow path, a login, a block, a log entry.
func TestLivenessWaitsUntilNothingIsLeft(t *testing.T) {
	slow, lateLogins := 0, 0
	for _, base := range append(library(t), slowWay(t)) {
		for seed := range uint64(40) {
			s, plan := Draw(base, seed)
			var behind time.Duration
			for i := range s.Faults {
				if f := &s.Faults[i]; f.Kind == fault.Slow && !f.Stream {
					behind = max(behind, carried(t, f))
					slow++
				}
			}
			for i := range s.Script {
				if f := s.Script[i].Fault; f != nil && f.Kind == fault.Slow && !f.Stream {
					behind = max(behind, carried(t, f))
					slow++
				}
			}
			server := &s.Server
			longest := max(server.BlockDuration, server.LoginTimeout)
			for _, g := range s.Phones {
				longest = max(longest, g.Retention)
			}
			if longest == server.LoginTimeout {
				lateLogins++
			}
			first := firstExpected(s)
			if least := plan.Heal + behind + longest + recovery; first > 0 && first < least {
				t.Errorf("%s, seed %d: liveness begins at %v, before %v", base.Name, seed, first, least)
			}
		}
	}
	if slow < 50 || lateLogins < 10 {
		t.Errorf("only %d slow ways, %d times the login_timeout is the longest", slow, lateLogins)
	}
}

// carried returns the time in which a slow path delivers a full queue.
func carried(t *testing.T, f *scenarios.Fault) time.Duration {
	t.Helper()
	if f.Room <= 0 {
		t.Errorf("%s: its queue has no limit", f.Text)
		return 0
	}
	return time.Duration(float64(f.Room) / float64(f.Bytes) * float64(time.Second))
}

// firstExpected returns the time at which liveness begins, or 0 if no phone has an account.
func firstExpected(s *scenarios.Scenario) time.Duration {
	for i := range s.Script {
		if len(s.Script[i].Expect) > 0 {
			return s.Script[i].At.Offset
		}
	}
	return 0
}

// slowWay returns a scenario with slow paths without a limit of their queue, one of them in a step.
func slowWay(t *testing.T) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Parse("slow-way.yaml", []byte(`name: slow-way
phones: [{name: a, retention: 15s}, {name: b, retention: 15s}]
script:
  - {at: 1s, phone: a, login: right}
  - {at: 5s, fault: {slow: 70, from: a, for: 20s}}
faults:
  - {slow: 100, at: 2s, for: 10s}
`), scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
