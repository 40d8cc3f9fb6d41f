package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	ossignal "os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	yaml "go.yaml.in/yaml/v4"

	"bluetrace/cmd/fleet/broker"
	"bluetrace/cmd/fleet/chunks"
	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// fakeVariable makes the program of the tests a sim: its value is the name of the kind.
const fakeVariable = "FLEET_TEST_SIM"

func TestMain(m *testing.M) {
	if kind := os.Getenv(fakeVariable); kind != "" {
		os.Exit(fakeSim(kind, os.Args[1:]))
	}
	os.Exit(m.Run())
}

var fakeBuild = reports.Build{Go: "go1.26", Revision: "abc"}

// fakeSim is a sim whose every seventh seed fails. The kind "blind" never finds the planted bug, and "broken" runs
// nothing. Merging prints the number of failures.
func fakeSim(kind string, arguments []string) int {
	var seeds, planted, merge, out string
	paths := false
	for i, a := range arguments {
		if value, is := strings.CutPrefix(a, "--seeds="); is {
			seeds = value
		}
		if value, is := strings.CutPrefix(a, "--out="); is {
			out = value
		}
		if strings.HasPrefix(a, "--plant=") {
			planted = a
		}
		if a == "--merge" {
			merge = arguments[len(arguments)-1]
		}
		paths = paths || i > 1 && !strings.HasPrefix(a, "-")
	}
	switch {
	case slices.Contains(arguments, "--generators") && slices.Contains(arguments, "--wrong"):
		return 104
	case slices.Contains(arguments, "--generators"):
		return fakeLoad()
	case slices.Contains(arguments, "load-generator"):
		return fakeGenerator(kind)
	case slices.Contains(arguments, "--plan") && slices.Contains(arguments, "--wrong"):
		fmt.Fprintln(os.Stderr, "sim: swarm: unknown flag: --wrong")
		return 104
	case slices.Contains(arguments, "--plan"):
		s := swarm.Shared{Build: fakeBuild, Merge: []string{"--report=json"}}
		if paths {
			s.Seeds, s.Scenarios, s.Inputs = swarm.Range{First: 1, Last: 30}, []string{"x.yaml"}, []string{"x.yaml"}
			if s.Out = out; out != "" {
				s.Merge = append(s.Merge, "--out="+out)
			}
		}
		_ = json.NewEncoder(os.Stdout).Encode(s)
		return 0
	case merge != "" && kind == "stuck":
		interrupts := make(chan os.Signal, 1)
		ossignal.Notify(interrupts, os.Interrupt)
		for {
			<-interrupts
		}
	case merge != "":
		text, err := os.ReadFile(merge)
		if err != nil {
			panic(err)
		}
		if _, err := os.Stat("full"); err == nil {
			fmt.Fprintln(os.Stderr, "sim: no space left on device")
			return 107
		}
		fmt.Print(string(text))
		if out != "" {
			if err := os.WriteFile(filepath.Join(out, "swarm.json"), text, 0o600); err != nil {
				panic(err)
			}
		}
		return 99
	case kind == "broken":
		fmt.Fprintln(os.Stderr, "sim: out of memory")
		return 107
	}
	if _, err := os.Stat(arguments[len(arguments)-1]); err != nil {
		panic(err)
	}
	var r swarm.Range
	if _, err := fmt.Sscanf(seeds, "%d-%d", &r.First, &r.Last); err != nil {
		panic(err)
	}
	s := fakeResult(r)
	if planted != "" {
		s = fakeCanary(r)
	}
	if planted != "" && kind != "blind" {
		s.Failed, s.Files[0].Failed = 1, 1
		s.Failures = []swarm.Group{{Cause: "every issued TempID survives a restart of the server: it is lost", Runs: 1,
			Seed: r.First, File: canaryFile}}
	}
	_ = s.JSON(os.Stdout)
	return 99
}

// fakeCanary returns the result of a canary that finds nothing.
func fakeCanary(r swarm.Range) *swarm.Summary {
	s := swarm.NewSummary()
	s.Build, s.WallSeconds, s.Jobs = fakeBuild, 1, 1
	s.Build.Planted, s.Runs, s.Ranges = chunks.PlantedBug, r.Last-r.First+1, []swarm.Range{r}
	s.Files = []swarm.FileRuns{{File: canaryFile, Ranges: s.Ranges, Runs: s.Runs}}
	return s
}

// fakeResult returns the result of a range of seeds of fakeSim.
func fakeResult(r swarm.Range) *swarm.Summary {
	s := swarm.NewSummary()
	s.Build, s.WallSeconds, s.Jobs = fakeBuild, 1, 1
	for seed := r.First; seed <= r.Last; seed++ {
		one := swarm.NewSummary()
		ranges := []swarm.Range{{First: seed, Last: seed}}
		one.Ranges, one.Runs, one.Files = ranges, 1, []swarm.FileRuns{{File: "x.yaml", Ranges: ranges, Runs: 1}}
		if seed%7 == 0 {
			one.Verdict, one.Failed, one.Files[0].Failed = reports.Failed, 1, 1
			one.Failures = []swarm.Group{{Cause: "c", Runs: 1, Seed: seed, File: "x.yaml"}}
		}
		s.Merge(one)
	}
	return s
}

// buffer is an output of several goroutines. The text is no embedded field: io.Copy would use its ReadFrom, without the
// mutex.
type buffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

// run runs a command line of fleet.
func run(t *testing.T, arguments ...string) (got status, out, errs string) {
	t.Helper()
	return runUntil(t.Context(), arguments...)
}

// runUntil runs a command line of fleet, and interrupts it when ctx ends.
func runUntil(ctx context.Context, arguments ...string) (got status, out, errs string) {
	var o, e buffer
	p := &program{argument0: "fleet", stdout: &o, stderr: &e, now: time.Now, hard: context.WithoutCancel(ctx)}
	got = p.command(ctx, arguments)
	return got, o.String(), e.String()
}

// loopback starts an engine in a folder, which becomes the working folder, and returns the name of the fake sim.
func loopback(t *testing.T, kind string) (self string) {
	t.Helper()
	t.Setenv(fakeVariable, kind)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("x.yaml", []byte("name: x\n"), 0o600); err != nil || os.Mkdir("out", 0o700) != nil {
		t.Fatal(err)
	}
	s, a, err := broker.Serve("127.0.0.1:0", "", "engine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := broker.WriteAccess("join", a); err != nil {
		t.Fatal(err)
	}
	return self
}

// withoutTime returns a result without real time.
func withoutTime(t *testing.T, text string) string {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	for _, name := range []string{"wall_seconds", "jobs", "throughput"} {
		delete(fields, name)
	}
	out, _ := json.MarshalIndent(fields, "", " ")
	return string(out)
}

// TestFleetOnTheLoopback runs a swarm with two workers over a real engine, with a fake sim.
func TestFleetOnTheLoopback(t *testing.T) {
	self := loopback(t, "right")
	var workers sync.WaitGroup
	ctx, end := context.WithCancel(t.Context())
	for _, name := range []string{"one", "two"} {
		workers.Go(func() {
			if got, _, errs := runUntil(ctx, "work", "--join", "join", "--name", name, "--sim", self, "--once"); got != statusPassed {
				t.Errorf("worker %s: status %d\n%s", name, got, errs)
			}
		})
	}
	got, out, errs := run(t, "swarm", "--join", "join", "--dir", "run", "--findings", "findings", "--sim", self, "--out=out",
		"x.yaml")
	end() // one may have come too late, and waits for the next run
	workers.Wait()
	if got != statusFailed {
		t.Errorf("status %d, want 99\n%s", got, errs)
	}
	want := fakeResult(swarm.Range{First: 1, Last: 30})
	var text strings.Builder
	if err := want.JSON(&text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(withoutTime(t, text.String()), withoutTime(t, out)); diff != "" {
		t.Errorf("want (-), got (+):\n%s\n%s", diff, errs)
	}
	if list, err := os.ReadFile("findings/findings.json"); err != nil || !strings.Contains(string(list), `"state": "new"`) {
		t.Errorf("%v in %s", err, list)
	}
	if !strings.Contains(errs, "the planted bug was found") {
		t.Errorf("no canary in\n%s", errs)
	}
}

// TestSimMayHaveARelativePath: chunks run in folders of their own.
func TestSimMayHaveARelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("sim", []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	e, err := findEngine("./sim", "fleet")
	if err != nil || !filepath.IsAbs(e.path) || e.name != "./sim" {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestRunWithoutTheCanaryIsInvalid has workers that do not find the planted bug.
func TestRunWithoutTheCanaryIsInvalid(t *testing.T) {
	self := loopback(t, "blind")
	var workers sync.WaitGroup
	ctx, end := context.WithCancel(t.Context())
	workers.Go(func() { runUntil(ctx, "work", "--join", "join", "--sim", self, "--once") })
	got, _, errs := run(t, "swarm", "--join", "join", "--dir", "run", "--findings", "findings", "--sim", self, "x.yaml")
	end()
	workers.Wait()
	if got != statusNoResult || !strings.Contains(errs, "the planted bug was not found: this run allows no conclusion") {
		t.Errorf("status %d, want 112\n%s", got, errs)
	}
	if _, err := os.Stat("findings"); err == nil {
		t.Error("the findings were changed by a run that allows no conclusion")
	}
}

// TestRunIsFinishedByItsReport has a disk that is full at the report, a coordinator that was killed after it wrote the
// findings, and a folder with the result of a run that was finished.
func TestRunIsFinishedByItsReport(t *testing.T) {
	self := loopback(t, "right")
	command := []string{"swarm", "--join", "join", "--dir", "run", "--findings", "findings", "--sim", self, "--out=out",
		"x.yaml"}
	if err := os.WriteFile("full", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var workers sync.WaitGroup
	ctx, end := context.WithCancel(t.Context())
	workers.Go(func() { runUntil(ctx, "work", "--join", "join", "--sim", self) })
	got, _, errs := run(t, command...)
	end()
	workers.Wait()
	want := "the run is not finished: the same command repeats its report"
	if got != statusError || !strings.Contains(errs, want) {
		t.Errorf("with a full disk: status %d, want 107\n%s", got, errs)
	}
	if _, err := os.Stat("findings"); err == nil {
		t.Error("with a full disk: findings without a report")
	}
	path := filepath.Join("run", "manifest.ndjson")
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "finished") || os.Remove("full") != nil {
		t.Fatalf("with a full disk: %v, finished without a report: %s", err, text)
	}
	for _, says := range []string{"findings: 1 new, 0 back, 0 ongoing, 0 gone\n",
		"findings: 1 new, 0 back, 0 ongoing, 0 gone; they have this run already\n"} {
		if got, _, errs := run(t, command...); got != statusFailed || !strings.Contains(errs, says) {
			t.Errorf("status %d, want 99 and %q\n%s", got, says, errs)
		}
		text, err := os.ReadFile(path)
		rest, finished := strings.CutSuffix(string(text), "{\"finished\":true}\n")
		if err != nil || !finished {
			t.Fatalf("%v, not finished: %q", err, text)
		}
		if err := os.WriteFile(path, []byte(rest), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, command...)
	e, err := findEngine(self, "fleet")
	if err != nil {
		t.Fatal(err)
	}
	next, err := e.plan(t.Context(), "x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if merged := filepath.Join("run", chunks.MergedFile); !exists(merged) {
		t.Error("no merged result of a finished run")
	} else if all, err := chunks.Open("run", "another", "new", next); err != nil || all.Close() != nil || exists(merged) {
		t.Errorf("the merged result of the run before stays: %v", err)
	}
}

// TestInterruptsOfTheReport has an interrupt before the first result, and a second one while sim merges.
func TestInterruptsOfTheReport(t *testing.T) {
	self := loopback(t, "stuck")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p := &program{argument0: "fleet", stdout: io.Discard, stderr: io.Discard, now: time.Now, hard: ended}
	err := p.keepMerged(ended, &swarmFlags{folder: "run"}, swarm.NewSummary(), &coordinator{draining: true})
	if got := p.fail(err, statusError); got != statusInterrupted {
		t.Errorf("interrupted before the first result: status %d, want 105", got)
	}
	_, err = p.merge(t.Context(), &engine{path: self, name: "sim"}, []string{"swarm", "--merge", "--", "x.yaml"})
	if got := p.fail(err, statusError); got != statusInterrupted {
		t.Errorf("interrupted again at the report: status %d, want 105", got)
	}
}

// TestInvalidFindingsAreRefusedBeforeTheRun has a file of findings that no run may replace.
func TestInvalidFindingsAreRefusedBeforeTheRun(t *testing.T) {
	self := loopback(t, "right")
	path := filepath.Join("findings", "findings.json")
	if err := errors.Join(os.Mkdir("findings", 0o700), os.WriteFile(path, []byte("{"), 0o600)); err != nil {
		t.Fatal(err)
	}
	got, _, errs := run(t, "swarm", "--join", "join", "--dir", "run", "--findings", "findings", "--sim", self, "x.yaml")
	if got != statusError || !strings.Contains(errs, "findings.json") || strings.Contains(errs, "waits for workers") {
		t.Errorf("status %d, want 107 before the run\n%s", got, errs)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "{" {
		t.Errorf("the file has %q (%v)", text, err)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestCommandsAreRefusedInOneSentence checks statuses and messages.
func TestCommandsAreRefusedInOneSentence(t *testing.T) {
	t.Setenv(fakeVariable, "right")
	t.Chdir(t.TempDir())
	self, _ := os.Executable()
	for _, c := range []struct{ line, want string }{
		{"", "fleet: no command: the commands are coordinate, work, swarm, run and help\n"},
		{"walk", "fleet: unknown command \"walk\": the commands are coordinate, work, swarm, run and help\n"},
		{"work", "fleet: work needs --join, with the file or the URL that fleet coordinate gave\n"},
		{"coordinate --listen here", "fleet: invalid --listen \"here\": must be HOST:PORT\n"},
		{"swarm --sim SELF --wrong x.yaml", "sim: swarm: unknown flag: --wrong\n"},
		{"swarm --sim SELF", "fleet: no scenario was named\n"},
		{"swarm --sim SELF --merge a b", "fleet: --merge runs nothing: use sim swarm --merge\n"},
		{"swarm --sim SELF --ack-wait 1ms x.yaml", "fleet: invalid --ack-wait or --budget: must be at least 1s\n"},
		{"swarm x.yaml", "fleet: sim is not beside fleet: go build -o bin/ ./cmd/sim ./cmd/fleet, or name it with --sim\n"},
		{"work --sim SELF --join absent", "fleet: invalid --join: must be a URL or a file: open absent: no such file or directory\n"},
	} {
		got, _, errs := run(t, strings.Fields(strings.ReplaceAll(c.line, "SELF", self))...)
		errs = strings.TrimPrefix(errs, "fleet: worker ")
		if i := strings.Index(errs, "fleet: invalid --join"); i > 0 {
			errs = errs[i:]
		}
		if got != statusInvalid && got != statusError || errs != c.want {
			t.Errorf("%s: status %d, %q, want %q", c.line, got, errs, c.want)
		}
	}
}

func TestFlagsAreDividedBetweenTheProgramsThatHaveThem(t *testing.T) {
	p := &program{}
	own, rest := splitFlags(p.swarmFlagSet(&swarmFlags{}), strings.Fields(
		"--seeds 1-5 --join=a x.yaml --dir d --out o -h --fail-fast y.yaml --findings f -- --join b"))
	if diff := cmp.Diff(strings.Fields("--join=a --dir d -h --findings f"), own); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(strings.Fields("--seeds 1-5 x.yaml --out o --fail-fast y.yaml -- --join b"), rest); diff != "" {
		t.Error(diff)
	}
}

func TestPathsMustBeTheSameOnEveryMachine(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"/x.yaml", "../x.yaml", "a/../../x.yaml"} {
		s := spec{Shared: swarm.Shared{Inputs: []string{path}}}
		if err := s.addFiles(); err == nil || !strings.Contains(err.Error(), "is not below the working folder") {
			t.Errorf("%s: %v", path, err)
		}
		s.Files = map[string][]byte{path: []byte("x")}
		if err := s.unpack(t.TempDir()); err == nil || !strings.Contains(err.Error(), "must be below the folder") {
			t.Errorf("unpacking %s: %v", path, err)
		}
	}
}

// fakeCarrier notes the chunks that are sent.
type fakeCarrier struct {
	sent      []int
	queue     map[int]bool
	withdrawn int
}

func (f *fakeCarrier) Send(_ context.Context, one chunks.Chunk) error {
	f.sent = append(f.sent, one.ID)
	f.queue[one.ID] = true
	return nil
}
func (f *fakeCarrier) Queued(context.Context) (map[int]bool, error) { return f.queue, nil }
func (f *fakeCarrier) Repair(context.Context) error                 { return nil }
func (f *fakeCarrier) Withdraw(context.Context) error {
	f.withdrawn++
	f.queue = map[int]bool{}
	return nil
}

// rig is a coordinator with a carrier and a clock of the test.
type rig struct {
	*coordinator
	carrier *fakeCarrier
	clock   time.Time
	said    []string
}

func newRig(t *testing.T, s swarm.Shared) *rig {
	t.Helper()
	s.Build, s.Seeds, s.Scenarios = fakeBuild, swarm.Range{First: 1, Last: 100}, []string{"x.yaml"}
	all, err := chunks.Open(t.TempDir(), "key", "run", &s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Close() })
	r := &rig{carrier: &fakeCarrier{queue: map[int]bool{}}, clock: time.Unix(1000, 0)}
	r.coordinator = &coordinator{
		Collector: all, shared: &s, carrier: r.carrier, now: func() time.Time { return r.clock }, ackWait: time.Minute,
		budget: time.Hour, say: func(format string, a ...any) { r.said = append(r.said, fmt.Sprintf(format, a...)) },
		started: time.Unix(1000, 0), spoken: time.Unix(1000, 0), workers: map[string]*member{}, missing: map[int]int{},
		hard: t.Context(),
	}
	return r
}

func (r *rig) status(worker string, chunk int) broker.Answer {
	return r.answer(broker.Status{Protocol: broker.Protocol, Worker: worker, Build: fakeBuild, Run: r.Run, Chunk: chunk})
}

func (r *rig) result(t *testing.T, chunk int, seeds swarm.Range) {
	t.Helper()
	s := fakeResult(seeds)
	if seeds.Last == canarySeeds {
		s = fakeCanary(seeds)
	}
	var text strings.Builder
	if err := s.JSON(&text); err != nil {
		t.Fatal(err)
	}
	d := broker.Delivery{Result: chunks.Result{Run: r.Run, Chunk: chunk, Worker: "w", Summary: json.RawMessage(text.String())},
		Ack: func() error { return nil }}
	if err := r.take(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// TestChunksFollowTheWorkers checks the number of chunks that are sent ahead, with none, one and three workers.
func TestChunksFollowTheWorkers(t *testing.T) {
	r := newRig(t, swarm.Shared{})
	for workers, want := range [][]int{{1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3, 4}, {1, 2, 3, 4, 5}} {
		if workers > 0 {
			r.status(fmt.Sprint(workers), 0)
		}
		if err := r.cut(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.carrier.sent, want) {
			t.Errorf("%d workers: sent %v, want %v", workers, r.carrier.sent, want)
		}
	}
}

// TestWorkersOfAnotherBuildAreRefusedByName also has workers that speak another version, leave, and vanish.
func TestWorkersOfAnotherBuildAreRefusedByName(t *testing.T) {
	r := newRig(t, swarm.Shared{})
	other := fakeBuild
	other.Program = "01"
	a := r.answer(broker.Status{Protocol: broker.Protocol, Worker: "x", Build: other})
	if want := `the sim of worker "x" is of the build (abc, go1.26, program 01) and that of the run of the build ` +
		"(abc, go1.26), where a seed may give another run"; a.Refused != want {
		t.Errorf("%q, want %q", a.Refused, want)
	}
	if a := r.answer(broker.Status{Protocol: broker.Protocol + 1, Worker: "x", Build: fakeBuild}); !strings.Contains(a.Refused, "version 3") {
		t.Errorf("%q", a.Refused)
	}
	if len(r.workers) != 0 {
		t.Errorf("%d workers", len(r.workers))
	}
	r.status("a", 0)
	r.status("b", 1)
	r.answer(broker.Status{Protocol: broker.Protocol, Worker: "a", Build: fakeBuild, Leaving: true})
	if len(r.workers) != 1 || !r.isRun(1) {
		t.Errorf("workers %v", r.workers)
	}
	r.clock = r.clock.Add(lostAfter)
	r.check(t.Context())
	if len(r.workers) != 1 {
		t.Error("a worker is lost too early")
	}
	r.clock = r.clock.Add(time.Nanosecond)
	r.check(t.Context())
	if len(r.workers) != 0 {
		t.Error("a worker is not lost")
	}
}

// TestChunksThatTheEngineLosesAreSentAgain empties the queue behind the coordinator's back.
func TestChunksThatTheEngineLosesAreSentAgain(t *testing.T) {
	r := newRig(t, swarm.Shared{})
	r.status("w", 2)
	if err := r.cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.carrier.sent, r.carrier.queue = nil, map[int]bool{}
	for i, want := range [][]int{nil, {1, 3}, {1, 3}} { // a worker runs chunk 2
		r.clock = r.clock.Add(repairEvery)
		r.status("w", 2)
		r.check(t.Context())
		if !slices.Equal(r.carrier.sent, want) {
			t.Errorf("check %d: sent %v, want %v", i+1, r.carrier.sent, want)
		}
	}
}

// TestInterruptWaitsForRunningChunks interrupts a run in which one of three chunks is run.
func TestInterruptWaitsForRunningChunks(t *testing.T) {
	r := newRig(t, swarm.Shared{})
	results, tick := make(chan broker.Delivery), make(chan time.Time)
	r.results, r.tick = results, tick
	r.status("w", 1)
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.collect(ctx) }()
	tick <- r.clock // the chunks are cut
	interrupt()
	for range 3 { // the loop has seen the interrupt, and goes on
		tick <- r.clock
	}
	var text strings.Builder
	if err := fakeResult(swarm.Range{First: 1, Last: 4}).JSON(&text); err != nil {
		t.Fatal(err)
	}
	results <- broker.Delivery{Result: chunks.Result{Run: r.Run, Chunk: 1, Worker: "w", Summary: json.RawMessage(text.String())},
		Ack: func() error { return nil }}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !r.draining || r.carrier.withdrawn != 1 || r.Progress.Runs != 4 || len(r.Outstanding()) != 2 {
		t.Errorf("draining %t, withdrawn %d, %+v", r.draining, r.carrier.withdrawn, r.Progress)
	}
}

// TestFailFastDropsLaterChunks gives a failure of the second chunk, before the first has a result.
func TestFailFastDropsLaterChunks(t *testing.T) {
	r := newRig(t, swarm.Shared{FailFast: true})
	for _, name := range []string{"a", "b", "c"} {
		r.status(name, 0)
	}
	if err := r.cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.result(t, 2, swarm.Range{First: 5, Last: 8})
	if r.carrier.withdrawn != 1 || !slices.Equal(r.carrier.sent, []int{1, 2, 3, 4, 5, 1, 5}) {
		t.Errorf("withdrawn %d, sent %v", r.carrier.withdrawn, r.carrier.sent) // the canary is the last one
	}
	if r.status("a", 3).Drop != true || r.status("b", 1).Drop || r.status("c", 2).Drop || r.complete() {
		t.Error("a worker drops the wrong chunk, or the run is complete")
	}
	r.result(t, 1, swarm.Range{First: 1, Last: 4})
	r.result(t, 5, swarm.Range{First: 1, Last: 60})
	if !r.complete() {
		t.Errorf("outstanding: %v", r.Outstanding())
	}
}

// TestBoardShowsTheRun reads the page and the metrics of a run with a worker whose name has a script.
func TestBoardShowsTheRun(t *testing.T) {
	r := newRig(t, swarm.Shared{})
	var err error
	if r.board, err = serveBoard("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.board.Close() }()
	r.status("<script>", 1)
	if err := r.cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.result(t, 2, swarm.Range{First: 5, Last: 8})
	r.clock = r.clock.Add(time.Second)
	r.check(t.Context())
	for path, wants := range map[string][]string{
		"": {"<li>&lt;script&gt; runs chunk 1</li>", `<progress max="3" value="1"`, "1 failure of 1 cause", "not found yet"},
		"metrics": {"bluetrace_fleet_workers 1\n", "bluetrace_fleet_chunks 3\n", "bluetrace_fleet_chunks_done 1\n",
			"bluetrace_fleet_runs 4\n", "bluetrace_fleet_runs_failed 1\n", "bluetrace_fleet_causes 1\n",
			"bluetrace_fleet_elapsed_seconds 1\n"},
	} {
		answer, err := http.Get("http://" + r.board.Address().String() + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.Body.Close() != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("/%s: no %q in\n%s", path, want, text)
			}
		}
	}
}

// TestForStopsTheCuts checks that --for cuts no chunk after its time.
func TestForStopsTheCuts(t *testing.T) {
	r := newRig(t, swarm.Shared{Limit: time.Minute})
	if err := r.cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.result(t, 1, swarm.Range{First: 1, Last: 4})
	r.result(t, 2, swarm.Range{First: 5, Last: 8})
	r.result(t, 3, swarm.Range{First: 1, Last: 60})
	if r.complete() {
		t.Error("complete before the time")
	}
	r.clock = r.clock.Add(time.Minute)
	if err := r.cut(t.Context()); err != nil || !r.complete() || len(r.carrier.sent) != 3 {
		t.Errorf("%v, sent %v", err, r.carrier.sent)
	}
}

// manifest is the part of an object of Kubernetes that docs/cluster/fleet.yaml uses. Other fields are refused.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Replicas, Completions int
		BackoffLimit          int `yaml:"backoffLimit"`
		Strategy              struct{ Type string }
		Selector              any
		Ports                 []struct{ Port int }
		PodFailurePolicy      struct {
			Rules []struct {
				Action          string
				OnPodConditions []struct{ Type, Status string } `yaml:"onPodConditions"`
				OnExitCodes     struct {
					ContainerName string `yaml:"containerName"`
					Operator      string
					Values        []int
				} `yaml:"onExitCodes"`
			}
		} `yaml:"podFailurePolicy"`
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				RestartPolicy                 string `yaml:"restartPolicy"`
				TerminationGracePeriodSeconds int    `yaml:"terminationGracePeriodSeconds"`
				Containers                    []struct {
					Name, Image  string
					Command      []string
					Resources    struct{ Requests, Limits map[string]string }
					VolumeMounts []struct {
						Name      string
						MountPath string `yaml:"mountPath"`
					} `yaml:"volumeMounts"`
				}
				Volumes []struct {
					Name                  string
					PersistentVolumeClaim struct {
						ClaimName string `yaml:"claimName"`
					} `yaml:"persistentVolumeClaim"`
				}
			}
		}
	}
}

// TestClusterFileOfAFleetIsValid reads the example, and gives its commands to fleet.
func TestClusterFileOfAFleetIsValid(t *testing.T) {
	text, err := os.ReadFile("../../docs/cluster/fleet.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var kinds []string
	for {
		var m manifest
		err := decoder.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, m.APIVersion+" "+m.Kind+" "+m.Metadata.Name)
		for _, c := range m.Spec.Template.Spec.Containers {
			if c.Image != "IMAGE" || c.Command[0] != "fleet" || len(c.VolumeMounts) != 1 ||
				c.VolumeMounts[0].Name != m.Spec.Template.Spec.Volumes[0].Name {
				t.Errorf("%s: %+v", m.Metadata.Name, c)
			}
			p := &program{}
			var set *pflag.FlagSet
			switch c.Command[1] {
			case "coordinate":
				set = p.newCoordinate().Flags()
			case "work":
				set = p.newWork().Flags()
			default:
				set = p.swarmFlagSet(&swarmFlags{})
				c.Command, _ = splitFlags(set, c.Command)
			}
			if err := set.Parse(c.Command); err != nil {
				t.Errorf("%q: %v", c.Command, err)
			}
		}
		if rules := m.Spec.PodFailurePolicy.Rules; m.Kind == "Job" &&
			(len(rules) != 2 || rules[1].Action != "FailJob" || !slices.Contains(rules[1].OnExitCodes.Values, int(statusFailed))) {
			t.Errorf("%s: a finding is tried again: %+v", m.Metadata.Name, rules)
		}
	}
	want := []string{"v1 Service fleet", "apps/v1 Deployment fleet-engine", "apps/v1 Deployment fleet-worker",
		"batch/v1 Job fleet-swarm"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
}
