package swarm

import (
	"testing"
	"time"

	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
)

// TestSeedsThatOnceFailed runs seeds in which liveness once failed because of an error in the generator: a fault after an
// action that never took effect, a login left half done, or a slow path with a backlog of minutes.
func TestSeedsThatOnceFailed(t *testing.T) {
	for name, seeds := range map[string][]uint64{
		"classroom": {3128, 5033, 5182, 5221, 7191},
		"tempids":   {3493},
		"blocking":  {5320},
		"uploads":   {1355},
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
