package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// bench is a program with fake scenarios and a fake engine. The name of a file
// decides its result.
type bench struct {
	program
	out, err bytes.Buffer
	ran      []string // files that the engine was given
	options  []scenarios.Options
}

func newBench() *bench {
	b := &bench{}
	b.program = program{
		name: "sim", stdout: &b.out, stderr: &b.err,
		columns: func() int { return 80 },
		now:     func() time.Time { return time.Unix(0, 0) },
		after:   func(time.Duration) <-chan time.Time { return nil },
		find:    b.find, load: b.load, engine: b.engine,
	}
	return b
}

// flagSet is the settings of a command.
type flagSet interface{ define(*pflag.FlagSet) }

// parse parses a command line into f and returns the arguments that are no flags.
func parse(f flagSet, line []string) ([]string, error) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.define(set)
	err := set.Parse(line)
	return set.Args(), err
}

// parseAndCheck is parse with the command's own validation.
func parseAndCheck(f interface {
	flagSet
	check(*pflag.FlagSet) error
}, line []string) ([]string, error) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.define(set)
	if err := set.Parse(line); err != nil {
		return nil, err
	}
	return set.Args(), f.check(set)
}

func (b *bench) find(paths []string) (files, manual []string, err error) {
	for _, path := range paths {
		switch path {
		case "folder":
			files, manual = append(files, "folder/held.yaml", "folder/failed.yaml"),
				append(manual, "folder/crowd\x1b.yaml")
		case "manuals":
			manual = append(manual, "manuals/crowd.yaml")
		case "empty":
			return nil, nil, errors.New("finding scenarios: folder \"empty\" holds no .yaml file")
		case "locked":
			return nil, nil, fmt.Errorf("finding scenarios: %w", &fs.PathError{Op: "open", Path: path,
				Err: fs.ErrPermission})
		case "absent":
			return nil, nil, fmt.Errorf("reading %q: %w", path, fs.ErrNotExist)
		default:
			files = append(files, path)
		}
	}
	return files, manual, nil
}

func (b *bench) load(path string, o scenarios.Options) (*scenarios.Scenario, error) {
	b.options = append(b.options, o)
	switch filepath.Base(path) {
	case "mistaken.yaml":
		return nil, &scenarios.Mistakes{List: []scenarios.Mistake{
			{File: path, Pos: scenarios.Pos{Line: 3, Col: 1}, Message: "unknown key `phnes`; did you mean `phones`?"},
			{File: path, Pos: scenarios.Pos{Line: 9, Col: 4}, Message: "bad \x1b[2J"},
		}}
	case "missing.yaml":
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	case "unreadable.yaml":
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	name := strings.TrimSuffix(filepath.Base(path), ".yaml")
	if name == "one" {
		return &scenarios.Scenario{File: path, Name: name, Phones: []scenarios.PhoneGroup{{Count: 1}},
			Script: make([]scenarios.Step, 1), Expect: make([]scenarios.Expectation, 1),
			Thresholds: make([]scenarios.Threshold, 1)}, nil
	}
	return &scenarios.Scenario{File: path, Name: name, Seed: 5, Phones: []scenarios.PhoneGroup{{Count: 25},
		{Count: 2}}}, nil
}

func (b *bench) engine(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
	b.ran = append(b.ran, s.File)
	r := reports.Run{Scenario: s.Name, File: s.File, World: "virtual", Seed: s.Seed, Digest: "00000000000000ff",
		Verdict: reports.Passed,
		Checks: []reports.Check{{Kind: reports.ExpectationCheck, Name: "events > 0", Place: s.File + ":9:5",
			Verdict: reports.Passed}}}
	if o.Scene {
		r.Scene = &reports.Scene{Source: "name: " + s.Name}
	}
	if o.Trace != nil {
		fmt.Fprintln(o.Trace, "0s the run begins")
	}
	switch s.Name {
	case "overloaded":
		r.Verdict = reports.Invalid
		r.Load = &reports.Load{Invalid: []string{"the processors were busy"}}
	case "failed":
		r.Verdict, r.Checks[0].Verdict = reports.Failed, reports.Failed
	case "traceless":
		return nil, &sim.Invalid{Place: s.File + ":7:3", Err: errors.New("the trace \"day.gz\" is missing")}
	case "wrong":
		return nil, &sim.Broken{Why: "out of range [3]", At: 90 * time.Second,
			Around: []string{"89.000000000 a: prints \x1b"},
			Stack:  []byte("goroutine 1 [running]:\nmain.run(0x1)\n\t/go/main.go:7 \x1b\n")}
	case "broken":
		return nil, errors.New("reading the trace: input/output error")
	}
	if ctx.Err() != nil {
		r.Verdict, r.Checks[0].Verdict = reports.Interrupted, reports.Unknown
	}
	return &sim.Result{Run: r}, nil
}

// TestTheProgramItselfIsWrong checks the details that a bug report needs.
func TestTheProgramItselfIsWrong(t *testing.T) {
	b := newBench()
	if got := b.command(t.Context(), []string{"run", "wrong.yaml"}); got != statusError {
		t.Errorf("status %d, want %d", got, statusError)
	}
	want := `sim: the program itself is wrong, not the scenario; please report it with the scenario and its ` +
		`seed: out of range [3]
at 90.000000000 s of virtual time; last events:
  89.000000000 a: prints \x1b
goroutine 1 [running]:
main.run(0x1)
	/go/main.go:7 \x1b
`
	if diff := cmp.Diff(want, b.err.String()); diff != "" {
		t.Error(diff)
	}
}

func TestExitStatuses(t *testing.T) {
	for _, c := range []struct {
		arguments string
		want      status
		ran       string
	}{
		{"run held.yaml", statusPassed, "held.yaml"},
		{"run failed.yaml", statusFailed, "failed.yaml"},
		{"run mistaken.yaml", statusInvalid, ""},
		{"run missing.yaml", statusInvalid, ""},
		{"run absent", statusInvalid, ""},
		{"run empty", statusInvalid, ""},
		{"run manuals", statusInvalid, ""},
		{"run locked", statusError, ""},
		{"run locked held.yaml", statusError, "held.yaml"},
		{"run traceless.yaml", statusInvalid, "traceless.yaml"},
		{"run unreadable.yaml", statusError, ""},
		{"run broken.yaml", statusError, "broken.yaml"},
		{"run wrong.yaml", statusError, "wrong.yaml"},
		{"run mistaken.yaml absent failed.yaml held.yaml", statusInvalid, "failed.yaml held.yaml"},
		{"run broken.yaml mistaken.yaml failed.yaml", statusError, "broken.yaml failed.yaml"},
		{"run folder", statusFailed, "folder/held.yaml folder/failed.yaml"},
		{"run folder folder/held.yaml ./folder/held.yaml", statusFailed, "folder/held.yaml folder/failed.yaml"},
		{"run held.yaml --seed 7 --quiet", statusPassed, "held.yaml"},
		{"run", statusInvalid, ""},
		{"run --sed 1 held.yaml", statusInvalid, ""},
		{"run --seed -1 held.yaml", statusInvalid, ""},
		{"run --seed x held.yaml", statusInvalid, ""},
		{"run --set N held.yaml", statusInvalid, ""},
		{"run --set =3 held.yaml", statusInvalid, ""},
		{"run --set N=1 --set N=2 held.yaml", statusInvalid, ""},
		{"run --report pdf held.yaml", statusInvalid, ""},
		{"run --report html held.yaml", statusPassed, "held.yaml"},
		{"run --report= held.yaml", statusInvalid, ""},
		{"run --out= held.yaml", statusInvalid, ""},
		{"run --trace t.txt held.yaml failed.yaml", statusInvalid, ""},
		{"run --trace t.txt folder", statusInvalid, ""},
		{"check held.yaml failed.yaml", statusPassed, ""},
		{"check mistaken.yaml held.yaml", statusInvalid, ""},
		{"check unreadable.yaml mistaken.yaml", statusError, ""},
		{"check", statusInvalid, ""},
		{"check --seed 3 held.yaml", statusInvalid, ""},
		{"schema", statusPassed, ""},
		{"schema x", statusInvalid, ""},
		{"help", statusPassed, ""},
		{"help run", statusPassed, ""},
		{"help help", statusPassed, ""},
		{"help nothing", statusInvalid, ""},
		{"run --help", statusPassed, ""},
		{"", statusInvalid, ""},
		{"--version", statusPassed, ""},
		{"--verbose", statusInvalid, ""},
		{"-x", statusInvalid, ""},
		{"completion bash", statusPassed, ""},
		{"completion tcsh", statusInvalid, ""},
		{"init", statusInvalid, ""},
		{"walk", statusInvalid, ""},
	} {
		t.Run(c.arguments, func(t *testing.T) {
			b := newBench()
			got := b.command(context.Background(), strings.Fields(c.arguments))
			if got != c.want || strings.Join(b.ran, " ") != c.ran {
				t.Errorf("sim %s: status %d, want %d; ran %q, want %q\n%s", c.arguments, got, c.want, b.ran, c.ran,
					b.err.String())
			}
			if complained := strings.Contains(b.err.String(), ": "); (c.want == statusInvalid ||
				c.want == statusError) != complained && !strings.Contains(c.arguments, "folder") {
				t.Errorf("sim %s: standard error is %q", c.arguments, b.err.String())
			}
			if strings.ContainsRune(b.err.String()+b.out.String(), 0x1b) {
				t.Errorf("sim %s: an escape character was printed", c.arguments)
			}
		})
	}
}

func TestStatusNumbers(t *testing.T) {
	got := []status{statusPassed, statusFailed, statusInvalid, statusInterrupted, statusError}
	if diff := cmp.Diff([]status{0, 99, 104, 105, 107}, got); diff != "" {
		t.Error(diff)
	}
	for verdict, want := range map[reports.Verdict]status{
		reports.Passed: 0, reports.Failed: 99, reports.Interrupted: 105, reports.Invalid: 111, reports.Unknown: 107,
		"": 107,
	} {
		if got := statusOfVerdict(verdict); got != want {
			t.Errorf("%q: status %d, want %d", verdict, got, want)
		}
	}
}

func TestComplaints(t *testing.T) {
	for _, c := range []struct{ arguments, want string }{
		{"run mistaken.yaml", "mistaken.yaml:3:1: unknown key `phnes`; did you mean `phones`?\nmistaken.yaml:9:4: " +
			"bad \\x1b[2J\n"},
		{"run traceless.yaml", "traceless.yaml:7:3: the trace \"day.gz\" is missing\n"},
		{"run unreadable.yaml", "sim: open unreadable.yaml: permission denied\n"},
		{"run --set x held.yaml", "sim: run: invalid --set \"x\": must be NAME=VALUE\nhint: sim run --help lists the " +
			"flags\n"},
		{"run --report text,pdf held.yaml",
			"sim: run: invalid argument \"text,pdf\" for \"--report\" flag: unknown form \"pdf\": must be text, json, " +
				"junit or html\nhint: sim run --help lists the flags\n"},
		{"run --report html held.yaml failed.yaml",
			"sim: --report html prints the page of one scenario, but 2 are named\nhint: name one file, or a folder for " +
				"all pages with --out\n"},
		{"run --trace t held.yaml failed.yaml",
			"sim: --trace writes the events of one scenario, but 2 are named\nhint: name one file\n"},
		{"run folder", "skipped (manual): folder/crowd\\x1b.yaml\n"},
		{"run manuals", "skipped (manual): manuals/crowd.yaml\nsim: every scenario found is manual\nhint: name the " +
			"file itself to run it\n"},
		{"run manuals manuals/crowd.yaml", ""},
		{"run empty", "sim: finding scenarios: folder \"empty\" holds no .yaml file\n"},
		{"walk", "sim: unknown command \"walk\"\nhint: the commands are run, swarm, check, compare, judge, dialect, " +
			"init, schema, completion and help\n"},
	} {
		t.Run(c.arguments, func(t *testing.T) {
			b := newBench()
			b.command(context.Background(), strings.Fields(c.arguments))
			if diff := cmp.Diff(c.want, b.err.String()); diff != "" {
				t.Errorf("sim %s:\n%s", c.arguments, diff)
			}
		})
	}
}

func TestSeedAndVariablesReachTheScenario(t *testing.T) {
	b := newBench()
	b.command(context.Background(), []string{"run", "held.yaml", "--set", "A=b c,d", "--set=E=", "--seed",
		"18446744073709551615"})
	seed := uint64(18446744073709551615)
	want := []scenarios.Options{{Vars: map[string]string{"A": "b c,d", "E": ""}, Seed: &seed}}
	if diff := cmp.Diff(want, b.options); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(b.out.String(), "  repeat      sim run --seed 5 --set 'A=b c,d' --set E= held.yaml\n") {
		t.Errorf("no repeat command in\n%s", b.out.String())
	}
	b = newBench()
	b.command(context.Background(), []string{"run", "held.yaml"})
	if b.options[0].Seed != nil {
		t.Errorf("seed %d was set unasked", *b.options[0].Seed)
	}
}

func TestInterruptedRunIsReportedAndTheRestIsNot(t *testing.T) {
	b := newBench()
	ctx, cancel := context.WithCancel(context.Background())
	engine := b.program.engine
	b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		cancel()
		return engine(ctx, s, o)
	}
	folder := t.TempDir()
	if got := b.command(ctx, []string{"run", "--out", folder, "held.yaml", "failed.yaml"}); got != statusInterrupted {
		t.Errorf("status %d, want 105", got)
	}
	if !strings.HasPrefix(b.out.String(), "INTERRUPTED  held: 0 of 1 check held, 1 undecided\n") {
		t.Errorf("printed %q", b.out.String())
	}
	if got := b.err.String(); got != "not run after the interrupt: failed.yaml\n" {
		t.Errorf("standard error %q", got)
	}
	want := []string{manifestFile, "held.html", "held.json", "held.openmetrics.txt", "held.txt", "index.html",
		"junit.xml"}
	if diff := cmp.Diff(want, namesIn(t, folder)); diff != "" {
		t.Error(diff)
	}
}

func TestCheckSchemaAndHelpPrint(t *testing.T) {
	for _, c := range []struct{ arguments, want string }{
		{"check held.yaml", "ok  held.yaml: 27 phones, 0 steps, 0 expectations, 0 thresholds\n"},
		{"check one.yaml", "ok  one.yaml: 1 phone, 1 step, 1 expectation, 1 threshold\n"},
		{"check --quiet held.yaml", ""},
		{"schema", string(scenarios.Schema())},
		{"help", usage},
		{"--help", usage},
	} {
		b := newBench()
		b.command(context.Background(), strings.Fields(c.arguments))
		if diff := cmp.Diff(c.want, b.out.String()); diff != "" {
			t.Errorf("sim %s:\n%s", c.arguments, diff)
		}
	}
	b := newBench()
	b.command(context.Background(), []string{"help", "run"})
	for _, flag := range []string{"--seed N", "--set NAME=VALUE", "--out DIR", "--report FORMS", "--trace FILE",
		"--quiet", "--no-color"} {
		if !strings.Contains(b.out.String(), flag+" ") {
			t.Errorf("the help of run does not show %q:\n%s", flag, b.out.String())
		}
	}
	for _, text := range []string{b.out.String(), usage} {
		for _, want := range []string{"0 ", "99 ", "104 ", "105 ", "107 "} {
			if !strings.Contains(text, "\n  "+want) {
				t.Errorf("no exit status %sin\n%s", want, text)
			}
		}
		if !strings.Contains(text, "\"go run\" hides the status") ||
			!strings.Contains(text, "go build -o bin/sim ./cmd/sim\n") {
			t.Errorf("nothing of go run and its status in\n%s", text)
		}
	}
	for line := range strings.Lines(b.out.String() + usage) {
		if len(line) > 101 {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
}

func TestAWrongCommandLineIsAnsweredInOneLineWithAHint(t *testing.T) {
	for _, c := range []struct{ arguments, want string }{
		{"", "sim: no command\nhint: " + commandHint + "\n"},
		{"rnu", "sim: unknown command \"rnu\"; did you mean \"run\"?\nhint: " + commandHint + "\n"},
		{"help nothing", "sim: help: unknown command \"nothing\"\nhint: sim help --help lists the flags\n"},
		{"--nothing", "sim: unknown flag: --nothing\nhint: " + commandHint + "\n"},
		{"run --nothing x.yaml", "sim: run: unknown flag: --nothing\nhint: sim run --help lists the flags\n"},
		{"swarm -n x.yaml", "sim: swarm: unknown shorthand flag: 'n' in -n\nhint: sim swarm --help lists the flags\n"},
		{"schema x", "sim: schema: unexpected argument \"x\"\nhint: sim schema --help lists the flags\n"},
		{"init", "sim: init: expected one file, found 0\nhint: sim init --help lists the flags\n"},
		{"completion tcsh", "sim: completion: unknown shell \"tcsh\": must be bash, zsh, fish or powershell\nhint: " +
			"sim completion --help lists the flags\n"},
	} {
		t.Run(c.arguments, func(t *testing.T) {
			b := newBench()
			got := b.command(t.Context(), strings.Fields(c.arguments))
			if got != statusInvalid || b.err.String() != c.want || b.out.Len() > 0 {
				t.Errorf("status %d, printed %q, standard error %q; want %q", got, b.out.String(), b.err.String(),
					c.want)
			}
		})
	}
}

func TestCompletionOffersCommandsFlagsAndFiles(t *testing.T) {
	for _, c := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"s"}, "swarm\t"},
		{[]string{"run", "--tr"}, "--trace\t"},
		{[]string{"run", ""}, "yaml\nyml\n:8\n"},
	} {
		b := newBench()
		got := b.command(t.Context(), append([]string{"__complete"}, c.arguments...))
		if got != statusPassed || !strings.Contains(b.out.String(), c.want) {
			t.Errorf("%q: status %d, printed %q, want %q", c.arguments, got, b.out.String(), c.want)
		}
	}
}

func TestVersionNamesTheBuild(t *testing.T) {
	b := newBench()
	got := b.command(t.Context(), []string{"--version"})
	if want := "sim version " + version() + "\n"; got != statusPassed || b.out.String() != want ||
		!strings.Contains(want, "go1.") {
		t.Errorf("status %d, printed %q, want %q", got, b.out.String(), want)
	}
}

func TestInitWritesAScenarioThatPasses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "first.yaml")
	b := newBench()
	if got := b.command(t.Context(), []string{"init", file}); got != statusPassed {
		t.Fatalf("status %d: %s", got, b.err.String())
	}
	if want := "wrote " + file + "; run it with: sim run " + file + "\n"; b.out.String() != want {
		t.Errorf("printed %q, want %q", b.out.String(), want)
	}
	s, err := scenarios.Load(file, scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := sim.Run(t.Context(), s, sim.Options{})
	if err != nil || r.Run.Verdict != reports.Passed {
		t.Errorf("%v, %+v", err, r)
	}
	writeFile(t, file, "mine\n")
	if got := b.command(t.Context(), []string{"init", file}); got != statusInvalid || !strings.Contains(b.err.String(),
		"exists already") {
		t.Errorf("status %d, want 104: %s", got, b.err.String())
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "mine\n" {
		t.Errorf("an existing file became %q, %v", text, err)
	}
	if got := b.command(t.Context(), []string{"init", filepath.Join(file, "none.yaml")}); got != statusError {
		t.Errorf("status %d below a file, want 107", got)
	}
}
