package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// fakeEngine is an engine whose results depend on the seed only: seeds that 5 divides fail an invariant, seeds that 7
// divides fail a step of liveness.
func fakeEngine(_ context.Context, s *scenarios.Scenario, _ sim.Options) (*sim.Result, error) {
	r := reports.Run{Verdict: reports.Passed, Digest: fmt.Sprintf("%016x", s.Seed), Events: 10, VirtualSeconds: 60.5,
		Faults: []reports.KindCount{{Kind: "crash", Count: 2}}}
	fail := func(c reports.Check) {
		r.Verdict, c.Verdict = reports.Failed, reports.Failed
		r.Checks = append(r.Checks, c)
	}
	at := 61.0
	if s.Seed%5 == 0 {
		fail(reports.Check{Kind: reports.InvariantCheck, Name: "nothing is lost", Expected: "3 entries",
			Found: fmt.Sprintf("%d entries of pupil-%d", s.Seed, s.Seed%9), AtSeconds: &at})
		fail(reports.Check{Kind: reports.InvariantCheck, Name: "nothing is lost", Found: "7 entries of teacher"})
	}
	if s.Seed%7 == 0 {
		fail(reports.Check{Kind: reports.ExpectationCheck, Name: fmt.Sprintf("at: %ds, phone: pupil-2, login: right",
			s.Seed),
			Expected: "replies Welcome", Found: "nothing", AtSeconds: &at})
	}
	return &sim.Result{Run: r}, nil
}

func swarmOf(t *testing.T, o Options) *Summary {
	t.Helper()
	s := NewSummary()
	if o.Bases == nil {
		o.Bases = []*scenarios.Scenario{classroom(t)}
	}
	o.OnOutcome = s.Add
	if err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	return s
}

func jsonOf(t *testing.T, s *Summary) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.JSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestJobsDoNotChangeResults compares one worker with four, also with the real engine.
func TestJobsDoNotChangeResults(t *testing.T) {
	for name, engine := range map[string]func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result,
		error){"made up": fakeEngine, "real": nil} {
		var got [2]string
		for i, jobs := range []int{1, 4} {
			got[i] = jsonOf(t, swarmOf(t, Options{Seeds: Range{1, 12}.Seeds(), Jobs: jobs, RepeatEvery: 4,
				Engine: engine}))
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			t.Errorf("%s: one worker (-) and four (+):\n%s", name, diff)
		}
		if !strings.Contains(got[0], `"twice": 3`) {
			t.Errorf("%s: three runs should be run twice:\n%s", name, got[0])
		}
	}
}

// TestOutcomesComeInOrder of seeds, then of files, although a later run finishes first.
func TestOutcomesComeInOrder(t *testing.T) {
	a, b := *classroom(t), *classroom(t)
	a.File, b.File = "a.yaml", "b.yaml"
	release := make(chan struct{})
	var done atomic.Int32
	slowFirst := func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		if s.Seed == 1 && s.File == "a.yaml" {
			<-release
		} else if done.Add(1) == 5 {
			close(release)
		}
		return fakeEngine(ctx, s, o)
	}
	var got []string
	err := Run(context.Background(), Options{Bases: []*scenarios.Scenario{&a, &b}, Seeds: Range{1, 4}.Seeds(), Jobs: 3,
		Engine:    slowFirst,
		OnOutcome: func(o *Outcome) { got = append(got, fmt.Sprint(o.Base.File, o.Plan.Seed)) }})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"a.yaml1", "b.yaml1", "a.yaml2", "b.yaml2", "a.yaml3", "b.yaml3", "a.yaml4", "b.yaml4"}
	if !slices.Equal(got, want) {
		t.Errorf("outcomes came as %v, want %v", got, want)
	}
}

// TestFailuresAreGrouped by cause, each with its smallest seed.
func TestFailuresAreGrouped(t *testing.T) {
	s := swarmOf(t, Options{Seeds: Range{1, 35}.Seeds(), Jobs: 2, Engine: fakeEngine})
	if s.Verdict != reports.Failed || s.Runs != 35 || s.Failed != 11 || len(s.Failures) != 2 {
		t.Fatalf("%s, %d runs, %d failed, %d causes; want failed, 35, 11, 2", s.Verdict, s.Runs, s.Failed,
			len(s.Failures))
	}
	var got []string
	for _, g := range s.Sorted() {
		got = append(got, fmt.Sprintf("%s | %d runs, first %d: %s", g.Cause, g.Runs, g.Seed, g.Check.Found))
	}
	want := []string{
		"nothing is lost: # entries of … | 7 runs, first 5: 5 entries of pupil-5",
		"liveness: login: right: nothing | 4 runs, first 7: nothing",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if also := s.Sorted()[0].Later; !slices.Equal(also, []LaterCause{{"liveness: login: right: nothing", 1}}) {
		t.Errorf("behind the first cause are %+v", also)
	}
}

// TestTheEarliestFailureIsTheCause in any order of the checks. Causes are ordered by kind and time.
func TestTheEarliestFailureIsTheCause(t *testing.T) {
	at := func(seconds float64) *float64 { return &seconds }
	check := func(kind reports.CheckKind, name string, at *float64) reports.Check {
		return reports.Check{Kind: kind, Name: name, Verdict: reports.Failed, AtSeconds: at, Found: "it"}
	}
	runs := map[uint64][]reports.Check{
		1: {check(reports.InvariantCheck, "end", nil), check(reports.InvariantCheck, "late", at(9)),
			check(reports.ExpectationCheck, "step", at(3))},
		2: {check(reports.InvariantCheck, "late", at(8)), check(reports.InvariantCheck, "early", at(7))},
		3: {check(reports.InvariantCheck, "late", at(5))},
		4: {check(reports.ExpectationCheck, "step", at(1)), check(reports.InvariantCheck, "late", at(9))},
	}
	s := swarmOf(t, Options{Seeds: Range{1, 4}.Seeds(), Engine: func(_ context.Context, sc *scenarios.Scenario,
		_ sim.Options) (*sim.Result, error) {
		return &sim.Result{Run: reports.Run{Verdict: reports.Failed, Digest: "d", Checks: runs[sc.Seed]}}, nil
	}})
	var got []string
	for _, g := range s.Sorted() {
		got = append(got, fmt.Sprint(g.Cause, " ", g.Runs, " ", g.Later))
	}
	want := []string{"late: it 1 []", "early: it 1 [{late: it 1}]", "liveness: step: it 2 [{late: it 2} {end: it 1}]"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestHalvesMergeToTheWhole in either order, written as JSON and read back after a byte order mark.
func TestHalvesMergeToTheWhole(t *testing.T) {
	of := func(first, last uint64) *Summary {
		s := swarmOf(t, Options{Seeds: Range{first, last}.Seeds(), Jobs: 2, RepeatEvery: 5, Engine: fakeEngine})
		s.Situations = []Situation{{Name: "a crash", About: "x", Count: last - first + 1}, {Name: "never", About: "y"}}
		return s
	}
	whole := jsonOf(t, of(1, 40))
	for _, halves := range [][2]*Summary{{of(1, 17), of(18, 40)}, {of(18, 40), of(1, 17)}} {
		merged := NewSummary()
		for _, h := range halves {
			read, err := ReadJSON(strings.NewReader("\ufeff" + jsonOf(t, h)))
			if err != nil {
				t.Fatal(err)
			}
			merged.Merge(read)
		}
		if diff := cmp.Diff(whole, jsonOf(t, merged)); diff != "" {
			t.Errorf("the whole (-) and its halves (+):\n%s", diff)
		}
	}
}

func TestASummaryInUTF16IsNamed(t *testing.T) {
	want := "reading the JSON result of a swarm: the file is UTF-16 text; " +
		"save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)"
	for _, text := range []string{"\xff\xfe{\x00", "\xfe\xff\x00{", "{\x00}\x00", "\x00{\x00}"} {
		if _, err := ReadJSON(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRangesAreJoined(t *testing.T) {
	for _, c := range []struct{ a, b, want []Range }{
		{[]Range{{1, 5}}, []Range{{6, 6}}, []Range{{1, 6}}},
		{[]Range{{6, 9}}, []Range{{1, 5}}, []Range{{1, 9}}},
		{[]Range{{1, 5}}, []Range{{3, 9}, {20, 21}}, []Range{{1, 9}, {20, 21}}},
		{[]Range{{1, 5}}, []Range{{2, 2}}, []Range{{1, 5}}},
		{[]Range{{8, 9}}, []Range{{2, 2}}, []Range{{2, 2}, {8, 9}}},
		{nil, []Range{{2, 2}}, []Range{{2, 2}}},
	} {
		if got := mergeRanges(slices.Clone(c.a), c.b); !slices.Equal(got, c.want) {
			t.Errorf("%v and %v are %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestAnInterruptKeepsResults: an interrupt omits only the runs in progress.
func TestAnInterruptKeepsResults(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	s := NewSummary()
	err := Run(ctx, Options{Bases: []*scenarios.Scenario{classroom(t)}, Seeds: Range{1, 1 << 40}.Seeds(), Jobs: 1,
		OnOutcome: s.Add, Engine: func(ctx context.Context, sc *scenarios.Scenario, o sim.Options) (*sim.Result,
			error) {
			if sc.Seed == 8 {
				stop()
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return fakeEngine(ctx, sc, o)
		}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if diff := cmp.Diff([]Range{{1, 7}}, s.Ranges); diff != "" || s.Failed != 2 {
		t.Errorf("%d failed, want 2; seeds: %s", s.Failed, diff)
	}
}

// TestARunThatBreaksIsAFailure of its seed, with the stack as last events. Other seeds continue.
func TestARunThatBreaksIsAFailure(t *testing.T) {
	s := swarmOf(t, Options{Seeds: Range{1, 9}.Seeds(), Jobs: 2, Engine: func(ctx context.Context,
		sc *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		if sc.Seed%4 == 0 {
			return nil, &sim.Broken{Why: fmt.Sprintf("virtual: event at %d ns is before now", sc.Seed),
				Stack: []byte("goroutine 1\nworld.go:7\n")}
		}
		return fakeEngine(ctx, sc, o)
	}})
	g := s.Sorted()
	if s.Runs != 9 || len(g) != 3 {
		t.Fatalf("%d runs, %d causes: %+v", s.Runs, len(g), s.Failures)
	}
	want := "the run breaks: virtual: event at # ns is before now"
	if g[0].Cause != want || g[0].Runs != 2 || g[0].Seed != 4 ||
		!slices.Equal(g[0].Check.LastEvents, []string{"goroutine 1", "world.go:7"}) {
		t.Errorf("the first group is %+v, want %q of seed 4, twice, with its stack", g[0], want)
	}
}

// TestARunWithoutEndIsAFailure: a run with too many events, and a run that blocks.
func TestARunWithoutEndIsAFailure(t *testing.T) {
	times := make(chan time.Time, 1)
	times <- time.Time{}
	hang := make(chan struct{})
	defer close(hang)
	limits := Limits{Events: 100, Wall: time.Minute, Timer: func(d time.Duration) <-chan time.Time {
		if d != time.Minute {
			t.Errorf("asked for %v", d)
		}
		return times
	}}
	onward := func(ctx context.Context, _ *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		for n := uint64(0); ctx.Err() == nil; n++ {
			o.Progress(sim.Progress{At: time.Duration(n) * time.Second, Events: n})
		}
		return &sim.Result{Run: reports.Run{Verdict: reports.Interrupted}}, nil
	}
	stuck := func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error) {
		<-hang
		return nil, nil
	}
	for _, c := range []struct {
		engine func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error)
		limits Limits
		cause  string
		found  string
	}{
		{onward, Limits{Events: 100}, "the run does not end",
			"at 1m41s of virtual time, after 101 events: the limit of events was exceeded"},
		{stuck, limits, "the run was not finished in 1m0s of real time",
			"at 0s of virtual time, after 0 events: not finished after 1m0s of real time, a limit that depends on " +
				"the machine"},
	} {
		s := swarmOf(t, Options{Seeds: Range{3, 3}.Seeds(), Jobs: 1, Engine: c.engine, Limits: c.limits})
		if len(s.Failures) != 1 || s.Failures[0].Cause != c.cause || s.Failures[0].Check.Found != c.found {
			t.Errorf("failures %+v, want %q that found %q", s.Failures, c.cause, c.found)
		}
	}
}

// TestASlowRunIsNoFailure: the limit of real time is one for a run whose events do not go on.
func TestASlowRunIsNoFailure(t *testing.T) {
	asked, times := make(chan bool), make(chan time.Time)
	for ends, want := range map[int]string{
		slowdown - 1: "", slowdown: "the run was not finished in 10m0s of real time",
	} {
		s := swarmOf(t, Options{Seeds: Range{3, 3}.Seeds(), Jobs: 1,
			Limits: Limits{Wall: time.Minute, Timer: func(time.Duration) <-chan time.Time {
				go func() { asked <- true }()
				return times
			}},
			Engine: func(_ context.Context, _ *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
				for n := range ends {
					<-asked
					o.Progress(sim.Progress{Events: uint64(n + 1)})
					times <- time.Time{}
				}
				if want == "" {
					<-asked
				}
				return &sim.Result{Run: reports.Run{Verdict: reports.Passed, Digest: "abc"}}, nil
			}})
		if want == "" && len(s.Failures) > 0 || want != "" && (len(s.Failures) != 1 || s.Failures[0].Cause != want) {
			t.Errorf("%d periods: failures %+v, want %q", ends, s.Failures, want)
		}
	}
}

// TestAnotherRunIsAFailure: the failure names the first event that differs and its time.
func TestAnotherRunIsAFailure(t *testing.T) {
	var runs atomic.Int64
	s := swarmOf(t, Options{Seeds: Range{10, 10}.Seeds(), Jobs: 2, RepeatEvery: 10,
		Engine: func(_ context.Context, _ *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
			n := runs.Add(1)
			if o.Trace != nil {
				_, err := fmt.Fprintf(o.Trace, "0.0 anna: prints\n12.5 anna: run %d\n", n)
				if err != nil {
					return nil, err
				}
			}
			return &sim.Result{Run: reports.Run{Verdict: reports.Passed, Digest: fmt.Sprint(n % 2)}}, nil
		}})
	if len(s.Failures) != 1 || s.Failures[0].Cause != "a second run differs" {
		t.Fatalf("failures %+v", s.Failures)
	}
	want := "; the first event that differs: 12.5 anna: run 3 | 12.5 anna: run 4"
	if found := s.Failures[0].Check.Found; !strings.HasSuffix(found, want) {
		t.Errorf("found %q, want the end %q", found, want)
	}
	if s.Repeated != 1 {
		t.Errorf("%d runs twice, want 1", s.Repeated)
	}
}

// TestASecondRunThatDoesNotEndIsNotAnother: the failure has the cause of the second run.
func TestASecondRunThatDoesNotEndIsNotAnother(t *testing.T) {
	expired := make(chan time.Time, 1)
	hang := make(chan struct{})
	defer close(hang)
	for cause, second := range map[string]func() (*sim.Result, error){
		"the run breaks: out of memory": func() (*sim.Result, error) { return nil, &sim.Broken{Why: "out of memory"} },
		"the run was not finished in 2m0s of real time": func() (*sim.Result, error) {
			expired <- time.Time{}
			<-hang
			return nil, nil
		},
	} {
		var runs atomic.Int64
		s := swarmOf(t, Options{Seeds: Range{10, 10}.Seeds(), Jobs: 1, RepeatEvery: 10,
			Limits: Limits{Wall: 2 * time.Minute, Timer: func(time.Duration) <-chan time.Time { return expired }},
			Engine: func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error) {
				if runs.Add(1) == 2 {
					return second()
				}
				return &sim.Result{Run: reports.Run{Verdict: reports.Passed, Digest: "abc"}}, nil
			}})
		if len(s.Failures) != 1 || s.Failures[0].Cause != cause ||
			!strings.HasPrefix(s.Failures[0].Check.Found, "in a second run: ") {
			t.Errorf("failures %+v, want one: %q", s.Failures, cause)
		}
	}
}

// TestAnInterruptGetsThrough: Run returns although a run blocks.
func TestAnInterruptGetsThrough(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	hang := make(chan struct{})
	defer close(hang)
	err := Run(ctx, Options{Bases: []*scenarios.Scenario{classroom(t)}, Seeds: Range{1, 9}.Seeds(), Jobs: 2,
		Limits: Limits{Wall: time.Hour, Timer: time.After},
		Engine: func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error) {
			stop()
			<-hang
			return nil, nil
		}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}
