package shrink

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
)

// reduceWhile reduces a scenario that fails with the cause "lost" while needed is true.
func reduceWhile(
	t *testing.T, base *scenarios.Scenario, o Options, needed func(*scenarios.Scenario) bool,
) (*scenarios.Scenario, Report) {
	t.Helper()
	try := func(_ context.Context, s *scenarios.Scenario, record bool) (TryResult, error) {
		var out TryResult
		if needed(s) {
			out.Causes = []string{"lost"}
		}
		if record {
			out.Recording.Steps = s.Script
		}
		return out, nil
	}
	got, report, err := Reduce(context.Background(), base, "lost", try, o)
	if err != nil {
		t.Fatal(err)
	}
	return got, report
}

// TestReduceSetsDefaults: each setting gets its default, except the one that the failure needs.
func TestReduceSetsDefaults(t *testing.T) {
	uniform := scenarios.Distribution{Min: time.Second, Max: 2 * time.Second}
	unusual := func() *scenarios.Scenario {
		s := failing()
		s.Start, s.Zone = 1234567, time.FixedZone("x", 3600)
		s.Network = scenarios.Network{
			TCP: scenarios.TCPNetwork{Delay: uniform, Split: 7, Join: time.Second},
			UDP: scenarios.UDPNetwork{Delay: uniform, Lose: 0.5},
		}
		s.Server = scenarios.Server{BlockDuration: 7 * time.Second, TempIDLifetime: 8 * time.Second,
			LoginTimeout: 9 * time.Second, IdleTimeout: 11 * time.Second, MaxUpload: 12, MaxConnections: 13,
			MaxBlocked: 14, DiskDelay: uniform}
		g := &s.Phones[0]
		g.Retention, g.Form, g.PasswordPause = 15*time.Second, scenarios.FormSplit, 16*time.Second
		return s
	}
	settings := map[string]struct {
		get     func(s *scenarios.Scenario) any
		initial any
	}{
		"tcp":           {func(s *scenarios.Scenario) any { return s.Network.TCP }, scenarios.TCPNetwork{}},
		"udp":           {func(s *scenarios.Scenario) any { return s.Network.UDP }, scenarios.UDPNetwork{}},
		"disk":          {func(s *scenarios.Scenario) any { return s.Server.DiskDelay }, scenarios.Distribution{}},
		"block":         {func(s *scenarios.Scenario) any { return s.Server.BlockDuration }, time.Minute},
		"lifetime":      {func(s *scenarios.Scenario) any { return s.Server.TempIDLifetime }, 15 * time.Minute},
		"login timeout": {func(s *scenarios.Scenario) any { return s.Server.LoginTimeout }, 2 * time.Minute},
		"idle timeout":  {func(s *scenarios.Scenario) any { return s.Server.IdleTimeout }, time.Hour},
		"upload":        {func(s *scenarios.Scenario) any { return s.Server.MaxUpload }, 300_000},
		"connections":   {func(s *scenarios.Scenario) any { return s.Server.MaxConnections }, 0},
		"blocked":       {func(s *scenarios.Scenario) any { return s.Server.MaxBlocked }, 128 << 20},
		"retention":     {func(s *scenarios.Scenario) any { return s.Phones[0].Retention }, 3 * time.Minute},
		"form":          {func(s *scenarios.Scenario) any { return s.Phones[0].Form }, scenarios.FormSingle},
		"pause":         {func(s *scenarios.Scenario) any { return s.Phones[0].PasswordPause }, 50 * time.Millisecond},
		"start":         {func(s *scenarios.Scenario) any { return s.Start }, int64(1767225600)},
	}
	for name, kept := range settings {
		base := unusual()
		got, _ := reduceWhile(t, base, Options{}, func(s *scenarios.Scenario) bool {
			return kept.get(s) == kept.get(base)
		})
		for other, c := range settings {
			want := c.initial
			if other == name {
				want = c.get(base)
			}
			if c.get(got) != want {
				t.Errorf("%s is needed: %s is %v, want %v", name, other, c.get(got), want)
			}
		}
		if len(got.Script)+len(got.Faults) > 0 || len(got.PhoneNames()) != 1 || (got.Zone == time.UTC) == (name == "start") {
			t.Errorf("%s is needed: left are %d steps, %d faults, the phones %v and the zone %v", name, len(got.Script),
				len(got.Faults), got.PhoneNames(), got.Zone)
		}
	}
}

// TestReduceMakesDelaysConstant: a random delay becomes its mean, and the network loses no datagram by chance.
func TestReduceMakesDelaysConstant(t *testing.T) {
	base := failing()
	base.Network.TCP.Delay = scenarios.Distribution{Min: time.Second, Max: 3 * time.Second}
	base.Network.UDP = scenarios.UDPNetwork{Delay: scenarios.Distribution{Mean: 5 * time.Second}, Lose: 0.5}
	base.Server.DiskDelay = scenarios.Distribution{Min: 2 * time.Second, Max: 4 * time.Second}
	slow := func(s *scenarios.Scenario) bool {
		return s.Network.TCP.Delay.Max > 0 && s.Network.UDP.Delay.Longest() > 0 && s.Server.DiskDelay.Max > 0
	}
	got, report := reduceWhile(t, base, Options{}, slow)
	constant := func(d time.Duration) scenarios.Distribution { return scenarios.Distribution{Min: d, Max: d} }
	want := scenarios.Network{TCP: scenarios.TCPNetwork{Delay: constant(2 * time.Second)},
		UDP: scenarios.UDPNetwork{Delay: constant(5 * time.Second)}}
	if got.Network != want || got.Server.DiskDelay != constant(3*time.Second) || !report.SeedIndependent {
		t.Errorf("network %+v, disk %+v, %+v", got.Network, got.Server.DiskDelay, report)
	}
	base.Network.UDP.Lose = 1
	got, _ = reduceWhile(t, base, Options{}, func(s *scenarios.Scenario) bool {
		return slow(s) && s.Network.UDP.Lose > 0
	})
	if got.Network.UDP.Lose != 1 || got.Network.UDP.Delay != constant(5*time.Second) {
		t.Errorf("a network that loses each datagram is now %+v", got.Network.UDP)
	}
}

// TestReduceSimplifiesFaults: each property of a fault gets its default, except the one that the failure needs.
func TestReduceSimplifiesFaults(t *testing.T) {
	lose := scenarios.Fault{Kind: fault.Lose, Chance: 0.25, Skip: 2, Count: 3, For: 1500 * time.Millisecond,
		Every: 10 * time.Second, Until: time.Minute, From: scenarios.Nodes{Phones: []int{0}}}
	crash := scenarios.Fault{Kind: fault.Crash, Chance: 1, For: 500 * time.Millisecond, Unsynced: "torn",
		Of: scenarios.Nodes{Server: true}}
	plain := scenarios.Fault{Kind: fault.Lose, Chance: 1, For: time.Second, From: scenarios.Nodes{Any: true}}
	with := func(f scenarios.Fault, change func(*scenarios.Fault)) scenarios.Fault {
		change(&f)
		return f
	}
	for name, c := range map[string]struct {
		base   scenarios.Fault
		needed func(f *scenarios.Fault) bool
		want   scenarios.Fault
	}{
		"nothing": {lose, func(*scenarios.Fault) bool { return true }, plain},
		"from the server": {with(lose, func(f *scenarios.Fault) { f.From = scenarios.Nodes{Server: true} }),
			func(*scenarios.Fault) bool { return true }, plain},
		"a later traffic": {lose, func(f *scenarios.Fault) bool { return f.Skip == 2 && f.Count == 3 },
			with(plain, func(f *scenarios.Fault) { f.Skip, f.Count = 2, 3 })},
		"a repetition": {lose, func(f *scenarios.Fault) bool { return f.Every > 0 },
			with(plain, func(f *scenarios.Fault) { f.Every, f.Until = lose.Every, lose.Until })},
		"its chance": {lose, func(f *scenarios.Fault) bool { return f.Chance < 1 },
			with(plain, func(f *scenarios.Fault) { f.Chance = 0.25 })},
		"its length": {lose, func(f *scenarios.Fault) bool { return f.For > time.Second },
			with(plain, func(f *scenarios.Fault) { f.For = lose.For })},
		"its sender": {lose, func(f *scenarios.Fault) bool { return len(f.From.Phones) == 1 },
			with(plain, func(f *scenarios.Fault) { f.From = lose.From })},
		"one datagram": {with(lose, func(f *scenarios.Fault) { f.For, f.Every, f.Until = time.Nanosecond, 0, 0 }),
			func(*scenarios.Fault) bool { return true }, plain},
		"a crash of any kind": {crash, func(*scenarios.Fault) bool { return true },
			with(crash, func(f *scenarios.Fault) { f.Unsynced, f.For = "kept", time.Second })},
		"a crash that loses": {crash, func(f *scenarios.Fault) bool { return f.Unsynced != "kept" },
			with(crash, func(f *scenarios.Fault) { f.Unsynced, f.For = "lost", time.Second })},
		"a crash that tears": {crash, func(f *scenarios.Fault) bool { return f.Unsynced == "torn" },
			with(crash, func(f *scenarios.Fault) { f.For = time.Second })},
		"a short crash": {crash, func(f *scenarios.Fault) bool { return f.For < time.Second },
			with(crash, func(f *scenarios.Fault) { f.Unsynced = "kept" })},
	} {
		base := failing()
		base.Faults = []scenarios.Fault{c.base}
		got, _ := reduceWhile(t, base, Options{}, func(s *scenarios.Scenario) bool {
			return len(s.Faults) == 1 && c.needed(&s.Faults[0])
		})
		if !reflect.DeepEqual(got.Faults[0], c.want) {
			t.Errorf("%s is needed: left is\n%+v, want\n%+v", name, got.Faults[0], c.want)
		}
	}
}

// TestReduceShortensTimes: the gap between two steps gets short and round. The failure needs the least gap.
func TestReduceShortensTimes(t *testing.T) {
	const first, second = 20*time.Second + 1, 40*time.Second + 7
	for least, want := range map[time.Duration]time.Duration{
		0:                      0,
		1:                      time.Millisecond,
		2 * time.Millisecond:   time.Second,
		2 * time.Second:        10 * time.Second, // 5 s, rounded
		9 * time.Second:        10 * time.Second, // half of the gap, rounded
		11 * time.Second:       20 * time.Second, // the gap, rounded
		20*time.Second + 1:     20*time.Second + 6,
		20*time.Second + 6:     20*time.Second + 6,
		10*time.Second - 1e8:   10 * time.Second,
		5*time.Second - 1:      10 * time.Second,
		999 * time.Millisecond: time.Second,
	} {
		base := failing()
		base.Faults = nil
		base.Script = base.Script[:2]
		base.Script[0].At.Offset, base.Script[1].At.Offset = first, second
		got, _ := reduceWhile(t, base, Options{}, func(s *scenarios.Scenario) bool {
			return len(s.Script) == 2 && s.Script[1].At.Offset-s.Script[0].At.Offset >= least
		})
		if a, b := got.Script[0].At.Offset, got.Script[1].At.Offset; a != 0 || b != want {
			t.Errorf("a gap of %v is needed: the steps are at %v and %v, want 0 and %v", least, a, b, want)
		}
	}
	got, _ := reduceWhile(t, failing(), Options{}, func(s *scenarios.Scenario) bool {
		return s.Length >= 100*time.Second
	})
	if got.Length != 113*time.Second {
		t.Errorf("100 s are needed: the length is %v, want an hour halved five times", got.Length)
	}
	got, _ = reduceWhile(t, failing(), Options{}, func(*scenarios.Scenario) bool { return true })
	if got.Length != 0 {
		t.Errorf("no length is needed: it is %v", got.Length)
	}
}

// TestReduceKeepsTimesFromLabels: a time that counts from another step is no time of the run.
func TestReduceKeepsTimesFromLabels(t *testing.T) {
	base := failing()
	base.Faults, base.Script = nil, base.Script[:3]
	for i := range base.Script {
		base.Script[i].Optional = false
	}
	base.Script[0].As, base.Script[0].At.Offset = "begin", time.Minute+1
	base.Script[1].At = scenarios.When{Label: "begin", Offset: time.Minute + 1234567}
	base.Script[2].At = scenarios.When{AfterPrevious: true, Offset: time.Minute + 7654321}
	got, _ := reduceWhile(t, base, Options{}, func(s *scenarios.Scenario) bool { return len(s.Script) == 3 })
	if got.Script[0].At.Offset != 0 || got.Script[1].At != base.Script[1].At || got.Script[2].At != base.Script[2].At {
		t.Errorf("the steps are at %+v, %+v and %+v", got.Script[0].At, got.Script[1].At, got.Script[2].At)
	}
	left := withoutUndefinedLabels([]scenarios.Step{{At: scenarios.When{Label: "b"}},
		{As: "b", At: scenarios.When{Label: "a"}}, {As: "c"}, {At: scenarios.When{Label: "c"}}})
	if len(left) != 2 || left[0].As != "c" {
		t.Errorf("left are %+v, want the step c and the one that counts from it", left)
	}
}

// TestExplicitSteps: recorded commands replace the optional steps only, and have times of their own.
func TestExplicitSteps(t *testing.T) {
	step := func(phone int, at time.Duration, optional bool) scenarios.Step {
		return scenarios.Step{Phone: phone, At: scenarios.When{Offset: at}, Optional: optional}
	}
	s := failing()
	s.Script = []scenarios.Step{step(1, 5*time.Second, false), step(2, time.Second, true), step(3, time.Second, false)}
	late := step(4, 3*time.Second, true)
	late.Before = time.Minute
	got := explicitSteps(s, &Recording{Steps: []scenarios.Step{late, step(5, 5*time.Second, true),
		step(3, time.Second, false)}})
	var phones []int
	for _, st := range got {
		phones = append(phones, st.Phone)
	}
	if !slices.Equal(phones, []int{3, 4, 5, 1}) || got[1].Before != 0 {
		t.Errorf("the steps are of %v, the recorded one before %v", phones, got[1].Before)
	}
}

// TestReduceMakesExplicitOnlyPartly: if the failure needs the draws of the routines, those of faults become explicit.
func TestReduceMakesExplicitOnlyPartly(t *testing.T) {
	base := failing()
	base.Script = nil
	base.Routine = []scenarios.Routine{{Phones: []int{0}}}
	base.Adversaries = []scenarios.Adversary{{By: []int{0}}}
	base.Faults = []scenarios.Fault{{Kind: fault.Pause, Chance: 0.5, For: time.Second, Of: scenarios.Nodes{Any: true}}}
	try := func(_ context.Context, s *scenarios.Scenario, record bool) (TryResult, error) {
		var out TryResult
		if record {
			out.Recording.Effects = []Effect{{At: -time.Second, Node: 1}}
		}
		explicit := len(s.Faults) == 1 && s.Faults[0].Chance == 1 && len(s.Faults[0].Of.Phones) == 1
		if len(s.Routine) > 0 && len(s.Adversaries) > 0 && (record || explicit) {
			out.Causes = []string{"lost"}
		}
		return out, nil
	}
	got, report, err := Reduce(context.Background(), base, "lost", try, Options{})
	if err != nil || len(got.Routine) != 1 || len(got.Faults) != 1 || got.Faults[0].At != 0 ||
		report.SeedIndependent || report.Steps != 3 {
		t.Errorf("%v: left are %+v and %+v: %+v", err, got.Routine, got.Faults, report)
	}
}

// TestReduceReturnsTheSmallestSoFar: at a limit of time, at the end of the context, and with the seeds that fail.
func TestReduceReturnsTheSmallestSoFar(t *testing.T) {
	asked := 0
	got, report := reduceWhile(t, failing(), Options{Expired: func() bool { asked++; return asked > 12 }},
		func(*scenarios.Scenario) bool { return true })
	if report.Complete || len(got.Faults) > 0 || len(got.Script) > 0 {
		t.Errorf("the time is up: %+v with %d faults", report, len(got.Faults))
	}
	_, report = reduceWhile(t, failing(), Options{Seeds: []uint64{1, 2, 3}},
		func(s *scenarios.Scenario) bool { return s.Seed != 2 })
	if report.SeedIndependent || !slices.Equal(report.Seeds, []uint64{1, 3}) || !report.Complete {
		t.Errorf("seed 2 does not fail: %+v", report)
	}
	ctx, stop := context.WithCancel(context.Background())
	bad := errors.New("disk")
	for name, c := range map[string]struct {
		end  func() error
		want error
	}{"a context": {func() error { stop(); return ctx.Err() }, nil}, "an error": {func() error { return bad }, bad}} {
		runs := 0
		try := func(context.Context, *scenarios.Scenario, bool) (TryResult, error) {
			if runs++; runs == 4 {
				return TryResult{}, c.end()
			}
			return TryResult{Causes: []string{"lost"}}, nil
		}
		within := context.Background()
		if c.want == nil {
			within = ctx
		}
		_, report, err := Reduce(within, failing(), "lost", try, Options{})
		if !errors.Is(err, c.want) || report.Complete || report.Runs != 4 {
			t.Errorf("%s: %v, %+v", name, err, report)
		}
	}
}
