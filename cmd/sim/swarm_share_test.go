package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/spf13/pflag"
	yaml "go.yaml.in/yaml/v4"

	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// clusterVariables are the variables that --part auto reads.
var clusterVariables = []string{"JOB_COMPLETION_INDEX", "CI_NODE_INDEX", "CI_NODE_TOTAL", "SLURM_ARRAY_TASK_ID",
	"SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"}

func TestPartOfTheEnvironment(t *testing.T) {
	for _, c := range []struct{ text, environment, want string }{
		{"1/4", "", "1/4"},
		{"4/4", "JOB_COMPLETION_INDEX=0", "4/4"},
		{"auto/10", "JOB_COMPLETION_INDEX=0", "1/10"},
		{"auto/10", "JOB_COMPLETION_INDEX=9", "10/10"},
		{"auto", "CI_NODE_INDEX=3 CI_NODE_TOTAL=4", "3/4"},
		{"auto/4", "CI_NODE_INDEX=3 CI_NODE_TOTAL=4", "3/4"},
		{"auto", "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=4", "3/4"},
		{"auto", "SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0", "4/4"},
		{"auto", "SLURM_ARRAY_TASK_ID=30 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_STEP=10",
			"3/3"},
		{"", "", `invalid --part "": must be I/N, auto or auto/N`},
		{"2", "", `invalid --part "2": must be I/N, auto or auto/N`},
		{"0/4", "", "invalid --part 0/4: part 0 of 4 does not exist"},
		{"5/4", "", "invalid --part 5/4: part 5 of 4 does not exist"},
		{"1/0", "", `invalid --part "1/0": must be I/N, auto or auto/N`},
		{"auto/0", "JOB_COMPLETION_INDEX=0", `invalid --part "auto/0": must be I/N, auto or auto/N`},
		{"auto/x", "JOB_COMPLETION_INDEX=0", `invalid --part "auto/x": must be I/N, auto or auto/N`},
		{"1/101", "", "invalid --part 1/101: there are 101 parts, but only 100 seeds"},
		{"auto", "", "--part auto needs JOB_COMPLETION_INDEX, CI_NODE_INDEX or SLURM_ARRAY_TASK_ID in the environment"},
		{"auto", "JOB_COMPLETION_INDEX=1", "--part auto: JOB_COMPLETION_INDEX has no total: use --part auto/N"},
		{"auto", "CI_NODE_INDEX=1", "--part auto: CI_NODE_INDEX has no total: use --part auto/N"},
		{"auto/8", "CI_NODE_INDEX=1 CI_NODE_TOTAL=4", "--part auto/8: CI_NODE_TOTAL is 4: they must be equal"},
		{"auto/8", "JOB_COMPLETION_INDEX=8", "--part auto: JOB_COMPLETION_INDEX is 8, which is none of 8 parts from 0 on"},
		{"auto", "CI_NODE_INDEX=0 CI_NODE_TOTAL=4", "--part auto: CI_NODE_INDEX is 0, which is none of 4 parts from 1 on"},
		{"auto", "CI_NODE_INDEX=one CI_NODE_TOTAL=4", `--part auto: invalid CI_NODE_INDEX "one": must be a number`},
		{"auto", "CI_NODE_INDEX=1 CI_NODE_TOTAL=4 SLURM_ARRAY_TASK_ID=1",
			"--part auto: CI_NODE_INDEX and SLURM_ARRAY_TASK_ID are both set: use --part I/N"},
		{"auto", "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=1", // of --array=1,3,7
			"--part auto: SLURM_ARRAY_TASK_ID is 7, which is none of 3 parts from 1 on"},
	} {
		t.Run(c.text+" "+c.environment, func(t *testing.T) {
			for _, name := range clusterVariables {
				t.Setenv(name, "")
			}
			for pair := range strings.FieldsSeq(c.environment) {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value)
			}
			var f swarmFlags
			_, err := parseAndCheck(&f, []string{"--part", c.text})
			var got string
			if err != nil {
				got = err.Error()
			} else {
				text, _ := json.Marshal([]uint64{f.share.part.Index, f.share.part.Of})
				got = strings.NewReplacer("[", "", "]", "", ",", "/").Replace(string(text))
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestEnvironmentIsNotReadWithoutPart: a variable of a cluster changes nothing on its own.
func TestEnvironmentIsNotReadWithoutPart(t *testing.T) {
	for _, name := range clusterVariables {
		t.Setenv(name, "none")
	}
	var f swarmFlags
	if _, err := parseAndCheck(&f, nil); err != nil || f.share.part != nil || f.seeds.Last != 100 {
		t.Errorf("%v, %+v", err, f.seeds)
	}
	if _, err := parseAndCheck(&f, []string{"--part", "1/2", "--for", "1s"}); err == nil ||
		err.Error() != "--part needs a last seed: the seeds have no end" {
		t.Errorf("without a last seed: %v", err)
	}
}

// TestPartsMergeToTheWhole runs the parts of a range, and the range, and compares the merged result with that of the
// range. It then leaves out a part, takes one twice, and takes one of another swarm.
func TestPartsMergeToTheWhole(t *testing.T) {
	m := merging{t, t.TempDir()}
	run := func(name string, arguments ...string) string {
		p, _, errs, file := planted(t)
		small := filepath.Join(m.folder, "small.yaml")
		if text, err := os.ReadFile(file); err != nil || os.WriteFile(small, text, 0o600) != nil {
			t.Fatal(err)
		}
		arguments = append([]string{"swarm", "--jobs", "1", "--shrink=false", "--out", m.path(name)}, arguments...)
		if got := p.command(context.Background(), append(arguments, small)); got != statusFailed {
			t.Fatalf("%v: status %d, want 99\n%s", arguments, got, errs)
		}
		return m.path(name)
	}
	whole := run("whole", "--seeds", "3-12")
	var parts []string
	for _, part := range []string{"1/3", "2/3", "3/3"} {
		parts = append(parts, run("part-"+part[:1], "--seeds", "3-12", "--part", part))
	}
	slices.Reverse(parts)
	m.merge(statusFailed, []string{"FAILED  swarm: 4 of 10 runs failed, of 1 cause"},
		append([]string{"--out", m.path("merged")}, parts...)...)
	want, got := resultOf(t, whole), resultOf(t, m.path("merged"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the merged parts differ from the whole (-):\n%s", diff)
	}

	for _, shrink := range []string{"--shrink=false", "--shrink"} {
		m.merge(statusFailed, []string{"merged/drawn-no-seed-is-a-multiple-of-three-drew-it.yaml"},
			append([]string{shrink, "--shrink-time=1s", "--out", m.path("merged")}, parts...)...)
		drawn := "drawn-no-seed-is-a-multiple-of-three-drew-it.yaml"
		if text, err := os.ReadFile(filepath.Join(whole, drawn)); err != nil || string(text) != contentOf(t, m.path("merged/"+drawn)) {
			t.Errorf("%s: the drawn scenario differs, %v", shrink, err)
		}
	}
	m.merge(statusInvalid, []string{"the results are of the build (abc, go1.26)", "leave out --shrink"}, "--shrink", "--out", m.path("other"),
		m.file("other.json", strings.NewReplacer(`"runs":2,"failed":0`, `"runs":2,"failed":1`, `"failures":[]`,
			`"failures":[{"cause":"c","runs":1,"seed":2,"file":"x.yaml","plan":{},"check":{}}]`).Replace(good)))
	m.merge(statusInvalid, []string{"--shrink cannot be used with --merge, which runs nothing"}, "--shrink", parts[0])

	m.merge(statusInvalid, []string{"missing: part 2 of 3 of the seeds 3-12"}, parts[0], parts[2])
	m.merge(statusInvalid, []string{"missing: part 1, 2 of 3 of the seeds 3-12"}, parts[0])
	m.merge(statusInvalid, []string{"both are part 3 of 3 of the seeds 3-12: leave one of them out"}, parts[0], parts[0])
	m.merge(statusInvalid, []string{"part 3 of 3 of the seeds 3-12 and the other is part 1 of 2 of the seeds 3-12"},
		parts[0], run("half", "--seeds", "3-12", "--part", "1/2"))
	m.merge(statusInvalid, []string{"one is a part and the other is not"}, parts[0],
		run("plain", "--seeds", "21-22"))
}

// resultOf returns a swarm's result in a folder, without the build, real time and the folder.
func resultOf(t *testing.T, folder string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, swarmJSON))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wall_seconds", "throughput"} {
		delete(fields, name)
	}
	text, err = json.MarshalIndent(fields, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`/(whole|merged|part-[0-9])/`).ReplaceAllString(string(text), "/DIR/")
}

// TestMergeRefusesAPartThatContradictsItself has results whose part is impossible or has other seeds.
func TestMergeRefusesAPartThatContradictsItself(t *testing.T) {
	m := merging{t, t.TempDir()}
	for part, says := range map[string]string{
		`{"index":1,"of":1,"seeds":{"first":1,"last":2}}`: "2 runs held",
		`{"index":2,"of":1,"seeds":{"first":1,"last":2}}`: "part 2 of 1 does not exist",
		`{"index":0,"of":0,"seeds":{"first":1,"last":2}}`: "part 0 of 0 does not exist",
		`{"index":1,"of":9,"seeds":{"first":1,"last":2}}`: "there are 9 parts, but only 2 seeds",
		`{"index":1,"of":1,"seeds":{"first":2,"last":1}}`: "seeds 2-1: ranges must be in order",
		`{"index":1,"of":2,"seeds":{"first":1,"last":2}}`: "seeds 1-2 are not in part 1 of 2 of the seeds 1-2",
	} {
		want := statusInvalid
		if says == "2 runs held" {
			want = statusPassed
		}
		m.merge(want, []string{says}, m.file("part.json", strings.Replace(good, `"runs":2,"failed":0,"twice"`,
			`"part":`+part+`,"runs":2,"failed":0,"twice"`, 1)))
	}
}

// TestPlanForAFleet checks the commands that cmd/fleet gets for a command line.
func TestPlanForAFleet(t *testing.T) {
	p, out, errs, file := planted(t)
	folder := filepath.Join(t.TempDir(), "out")
	if got := p.command(context.Background(), []string{"swarm", "--plan", "--seeds", "5+10", "--jobs", "2", "--out", folder,
		"--require", "--report", "json", "--fail-fast", "--shrink-time", "3s", file}); got != statusPassed {
		t.Fatalf("status %d, want 0\n%s", got, errs)
	}
	var plan swarm.Shared
	if err := json.Unmarshal(out.Bytes(), &plan); err != nil {
		t.Fatal(err)
	}
	if plan.Build.Go == "" {
		t.Error("the plan has no build")
	}
	plan.Build = reports.Build{}
	want := swarm.Shared{Seeds: swarm.Range{First: 5, Last: 14}, Scenarios: []string{file}, Inputs: []string{file},
		Out: folder, FailFast: true, Run: []string{"--twice=10", "--jobs=2", "--fail-fast"},
		Merge: []string{"--report=json", "--no-color=false", "--require=situations", "--require=invariants",
			"--out=" + folder, "--shrink=true", "--shrink-time=3s"}}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	for _, refused := range []string{"--part=1/2", "--verbose", "--plant=unsynced"} {
		p, _, errs, file := planted(t)
		if got := p.command(context.Background(), []string{"swarm", "--plan", refused, file}); got != statusInvalid ||
			!strings.Contains(errs.String(), " cannot be used in a fleet") {
			t.Errorf("%s: status %d\n%s", refused, got, errs)
		}
	}
}

// TestPlantedBugIsFound checks that a swarm finds the planted bug, and that its result cannot be merged with others.
func TestPlantedBugIsFound(t *testing.T) {
	folder := t.TempDir()
	for name, want := range map[string]status{"right": statusPassed, "planted": statusFailed} {
		p, out, errs := whole()
		arguments := []string{"swarm", "--seeds", "1-12", "--shrink=false", "--out", filepath.Join(folder, name),
			"../../scenarios/blocking.yaml"}
		if name == "planted" {
			arguments = slices.Insert(arguments, 1, "--plant", "unsynced")
		}
		if got := p.command(context.Background(), arguments); got != want {
			t.Errorf("%s: status %d, want %d\n%s%s", name, got, want, out, errs)
		}
		if found := strings.Contains(out.String(), "every issued TempID survives a restart of the server: it is lost"); found !=
			(name == "planted") {
			t.Errorf("%s: found: %t\n%s", name, found, out)
		}
	}
	merging{t, folder}.merge(statusInvalid, []string{"planted bug: unsynced"}, filepath.Join(folder, "right"),
		filepath.Join(folder, "planted"))
	p, _, errs := whole()
	if got := p.command(context.Background(), []string{"swarm", "--plant", "x", "a"}); got != statusInvalid ||
		!strings.Contains(errs.String(), `invalid --plant "x": must be unsynced`) {
		t.Errorf("status %d\n%s", got, errs)
	}
}

// TestClusterFilesAreValid reads the examples of docs/cluster as their clusters do, and checks the commands in them.
func TestClusterFilesAreValid(t *testing.T) {
	const folder = "../../docs/cluster/"
	for file, schema := range map[string]string{"job.yaml": "indexed-job", "gitlab-ci.yml": "gitlab-ci"} {
		text, err := os.ReadFile(folder + file)
		if err != nil {
			t.Fatal(err)
		}
		var document any
		if err := yaml.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		inJSON, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(inJSON)))
		if err != nil {
			t.Fatal(err)
		}
		if err := jsonschema.NewCompiler().MustCompile("testdata/" + schema + ".schema.json").Validate(value); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	job, err := os.ReadFile(folder + "job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var j struct {
		Spec struct {
			Completions      int
			PodFailurePolicy struct {
				Rules []struct {
					Action      string
					OnExitCodes struct{ Values []int } `yaml:"onExitCodes"`
				}
			} `yaml:"podFailurePolicy"`
		}
	}
	if err := yaml.Unmarshal(job, &j); err != nil {
		t.Fatal(err)
	}
	stops := false
	for _, rule := range j.Spec.PodFailurePolicy.Rules {
		stops = stops || rule.Action == "FailIndex" && slices.Contains(rule.OnExitCodes.Values, int(statusFailed))
	}
	if !stops {
		t.Errorf("no rule ends the part that exits with %d", statusFailed)
	}

	script, err := os.ReadFile(folder + "swarm.sbatch")
	if err != nil {
		t.Fatal(err)
	}
	if bash, err := exec.LookPath("bash"); err != nil {
		t.Log("SKIPPED: the syntax of swarm.sbatch: install bash")
	} else if out, err := exec.Command(bash, "-n", folder+"swarm.sbatch").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	body := false
	option := regexp.MustCompile(`^#SBATCH --(job-name=\w+|array=1-10|ntasks=1|cpus-per-task=\d+|mem=\d+G|time=\d\d:\d\d:\d\d|no-requeue|output=\S+)$`)
	options := 0
	for i, line := range strings.Split(string(script), "\n") {
		switch {
		case i == 0 && line != "#!/bin/bash":
			t.Errorf("Slurm needs an interpreter, found %q", line)
		case strings.HasPrefix(line, "#SBATCH") && (body || !option.MatchString(line)):
			t.Errorf("line %d is no option, or follows a command: %q", i+1, line)
		case strings.HasPrefix(line, "#SBATCH"):
			options++
		case line != "" && !strings.HasPrefix(line, "#"):
			body = true
		}
	}
	if options != 8 {
		t.Errorf("%d options, want 8", options)
	}
	commands := 0
	for _, file := range []string{"job.yaml", "swarm.sbatch", "gitlab-ci.yml"} {
		text, err := os.ReadFile(folder + file)
		if err != nil {
			t.Fatal(err)
		}
		joined := strings.ReplaceAll(string(text), "\\\n", " ")
		for _, c := range regexp.MustCompile(`\bsim swarm ([^\n]*)`).FindAllStringSubmatch(joined, -1) {
			commands++
			for _, name := range clusterVariables {
				t.Setenv(name, "")
			}
			switch file {
			case "job.yaml":
				t.Setenv("JOB_COMPLETION_INDEX", "9")
			case "swarm.sbatch":
				t.Setenv("SLURM_ARRAY_TASK_ID", "10")
				t.Setenv("SLURM_ARRAY_TASK_COUNT", "10")
			default:
				t.Setenv("CI_NODE_INDEX", "4")
				t.Setenv("CI_NODE_TOTAL", "4")
			}
			line := strings.NewReplacer("$CI_COMMIT_SHA", strings.Repeat("630fbe9c0f", 4), "$CI_NODE_INDEX", "4",
				"$JOB_COMPLETION_INDEX", "9", "$SLURM_ARRAY_TASK_ID", "10", "${SLURM_CPUS_PER_TASK:-1}", "2").Replace(c[1])
			takesSwarm(t, words(line))
		}
	}
	if commands != 6 {
		t.Errorf("%d commands, want 6", commands)
	}
}

// TestSimDoesNotKnowTheEngineOfAFleet: sim is small and quick to build, also on a machine without the module of NATS.
func TestSimDoesNotKnowTheEngineOfAFleet(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "bluetrace/cmd/sim").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, "bluetrace/sim/swarm") {
		t.Fatalf("%d packages, without sim/swarm: is the command wrong?", len(deps))
	}
	for _, name := range deps {
		if strings.Contains(name, "nats") || strings.HasPrefix(name, "bluetrace/cmd/fleet") {
			t.Errorf("cmd/sim depends on %s", name)
		}
	}
}

// TestEveryFlagOfASwarmHasAPlaceInAFleet: a new flag needs a place in the plan for a fleet (swarmShare.printPlan), or must be
// refused there. Then it belongs here too.
func TestEveryFlagOfASwarmHasAPlaceInAFleet(t *testing.T) {
	known := strings.Fields("fail-fast for from jobs linger merge metrics no-color out part plan plant report " +
		"require require-marks seeds set shrink shrink-time twice verbose")
	c := (&program{}).newSwarmCommand()
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(known, f.Name) {
			t.Errorf("--%s is new", f.Name)
		}
	})
}
