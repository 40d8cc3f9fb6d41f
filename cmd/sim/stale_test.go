package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// passing is a scenario that passes.
var passing = strings.Replace(small, "log: 6", "log: 5", 1)

// staleRig is a folder with scenarios, in which runs write to out.
type staleRig struct {
	*testing.T
}

func newStaleRig(t *testing.T) staleRig {
	t.Helper()
	t.Chdir(t.TempDir())
	s := staleRig{t}
	s.scenario("a/held.yaml", "held")
	s.scenario("b/held.yaml", "held")
	s.scenario("other.yaml", "other")
	return s
}

// scenario writes a scenario that passes.
func (s staleRig) scenario(path, name string) {
	s.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	writeFile(s.T, path, strings.Replace(passing, "name: small", "name: "+name, 1))
}

// run runs sim with --out out and checks its status, and which JSON reports there are
// after it.
func (s staleRig) run(want status, reports, arguments string) {
	s.Helper()
	p, _, errs := whole()
	s.runWith(p, want, reports, arguments)
	_ = errs
}

func (s staleRig) runWith(p *program, want status, reports, arguments string) {
	s.Helper()
	if got := p.command(s.Context(), append([]string{"run", "--out", "out"},
		strings.Fields(arguments)...)); got != want {
		s.Errorf("run %s: status %d, want %d\n%s", arguments, got, want, p.stderr)
	}
	var found []string
	for _, name := range namesIn(s.T, "out") {
		if base, ok := strings.CutSuffix(name, jsonEnd); ok {
			found = append(found, base)
		} else if base, ok := strings.CutSuffix(name, metricsEnd); ok && !slices.Contains(found, base) {
			s.Errorf("run %s: %s is left without its JSON", arguments, name)
		}
	}
	if got := strings.Join(found, " "); got != reports {
		s.Errorf("run %s: the JSON reports are %q, want %q", arguments, got, reports)
	}
}

// TestReportsOfAnEarlierRunAreNotLeft has a scenario that was run, and then cannot be.
func TestReportsOfAnEarlierRunAreNotLeft(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s staleRig)
		flags  string
		want   status
	}{
		{"mistake", func(s staleRig) { writeFile(s.T, "a/held.yaml", "name: held\nphnes: 1\n") }, "a/held.yaml",
			statusInvalid},
		{"new name and a mistake", func(s staleRig) { writeFile(s.T, "a/held.yaml", "name: fresh\nphnes: 1\n") },
			"a/held.yaml", statusInvalid},
		{"no YAML", func(s staleRig) { writeFile(s.T, "a/held.yaml", "name: [held\n") }, "a/held.yaml", statusInvalid},
		{"another path to the file", func(s staleRig) { writeFile(s.T, "a/held.yaml", "name: [held\n") },
			"./b/../a/held.yaml", statusInvalid},
		{"removed", func(staleRig) { os.Remove("a/held.yaml") }, "a/held.yaml", statusInvalid},
		{"folder removed", func(staleRig) { os.RemoveAll("a") }, "a", statusInvalid},
		{"variable", nil, "--set X=1 a/held.yaml", statusInvalid},
		{"two scenarios of one trace", nil, "--trace t a/held.yaml a/held.yaml other.yaml", statusInvalid},
		{"trace over the scenario", nil, "--trace a/held.yaml a/held.yaml", statusInvalid},
		{"credentials", nil, "--live --server x:1 --credentials none a/held.yaml", statusInvalid},
		{"metrics", nil, "--metrics 192.0.2.1:1 a/held.yaml", statusError},
		{"load flags", nil, "--rate 5 a/held.yaml", statusInvalid},
		{"trace in no folder", nil, "--trace none/t a/held.yaml", statusError},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStaleRig(t)
			s.run(statusPassed, "held other", "a/held.yaml other.yaml")
			if c.change != nil {
				c.change(s)
			}
			left := "other"
			if strings.Contains(c.flags, "other.yaml") {
				left = ""
			}
			s.run(c.want, left, c.flags)
			junit, err := os.ReadFile("out/" + junitFile)
			if err == nil && strings.Contains(string(junit), `errors="0"`) {
				t.Errorf("junit.xml is of the earlier run:\n%s", junit)
			}
		})
	}
}

// TestAnEarlierReportIsGoneDuringTheRun has engines that fail, and that are interrupted.
func TestAnEarlierReportIsGoneDuringTheRun(t *testing.T) {
	s := newStaleRig(t)
	s.run(statusPassed, "held other", "a/held.yaml other.yaml")
	p, _, _ := whole()
	p.engine = func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error) {
		if names := strings.Join(namesIn(t, "out"), " "); strings.Contains(names, "held") ||
			strings.Contains(names, "junit") {
			t.Errorf("during the run there are %s", names)
		}
		return nil, errors.New("the world ended")
	}
	s.runWith(p, statusError, "other", "a/held.yaml")

	s.run(statusPassed, "held other", "a/held.yaml other.yaml")
	p, _, _ = whole()
	p.load = func(path string, _ scenarios.Options) (*scenarios.Scenario, error) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
	}
	s.runWith(p, statusError, "other", "a/held.yaml")

	s.run(statusPassed, "held other", "a/held.yaml other.yaml")
	p, _, _ = whole()
	ctx, cancel := context.WithCancel(t.Context())
	engine := p.engine
	p.engine = func(ctx context.Context, sc *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		cancel()
		return engine(ctx, sc, o)
	}
	if got := p.command(ctx, []string{"run", "--out", "out", "a/held.yaml", "other.yaml"}); got != statusInterrupted {
		t.Errorf("status %d, want 105", got)
	}
	if names := namesIn(t, "out"); slices.Contains(names, "other.json") || !slices.Contains(names, "held.json") {
		t.Errorf("after the interrupt there are %v", names)
	}
}

// TestScenariosOfOneNameKeepTheirReports checks the numbers of two files with one name.
func TestScenariosOfOneNameKeepTheirReports(t *testing.T) {
	s := newStaleRig(t)
	both := "a/held.yaml b/held.yaml"
	s.run(statusPassed, "held-2 held", both)
	writeFile(t, "a/held.yaml", "name: [held\n")
	s.run(statusInvalid, "held-2", both)
	writeFile(t, "a/held.yaml", "name: held\nphnes: 1\n")
	s.run(statusInvalid, "held-2", both)
	s.run(statusPassed, "held", "b/held.yaml") // which has another number now
	s.scenario("a/held.yaml", "held")
	s.run(statusPassed, "held-2 held", both)
	writeFile(t, "b/held.yaml", "")
	s.run(statusInvalid, "held", both)
}

// TestReportsOfOtherScenariosStay runs a folder without the scenario that was run before.
func TestReportsOfOtherScenariosStay(t *testing.T) {
	s := newStaleRig(t)
	s.run(statusPassed, "held other", "other.yaml a/held.yaml")
	writeFile(t, "a/manual.yaml", "manual: true\n"+strings.Replace(passing, "small", "manual", 1))
	s.run(statusPassed, "held manual other", "a/manual.yaml")
	s.run(statusPassed, "held manual other", "a")
	if err := os.Rename("a/held.yaml", "a/new.yaml"); err != nil {
		t.Fatal(err)
	}
	s.scenario("a/new.yaml", "new")
	s.run(statusPassed, "held manual new other", "a")
	s.run(statusPassed, "held manual new other", ".")
	if err := os.RemoveAll("a"); err != nil {
		t.Fatal(err)
	}
	s.run(statusInvalid, "other", "a other.yaml")
}

// TestVariantsOfAFileKeepTheirReports checks that --set may give one file several names.
func TestVariantsOfAFileKeepTheirReports(t *testing.T) {
	s := newStaleRig(t)
	s.scenario("v.yaml", "v-${N}")
	s.run(statusPassed, "v-one", "--set N=one v.yaml")
	s.run(statusPassed, "v-one v-two", "--set N=two v.yaml")
	writeFile(t, "v.yaml", "name: [\n")
	s.run(statusInvalid, "", "v.yaml")
}

// TestTheManifestNamesFilesOfTheFolderOnly has a manifest that was damaged or forged.
func TestTheManifestNamesFilesOfTheFolderOnly(t *testing.T) {
	s := newStaleRig(t)
	s.run(statusPassed, "held", "a/held.yaml")
	writeFile(t, "mine.json", "mine")
	writeFile(t, "out/mine.json", "mine")
	writeFile(t, "out/"+manifestFile, "../mine \"../a/held.yaml\"\nmine ../a/held.yaml\nheld \"../a/held.yaml\"\nmi")
	writeFile(t, "a/held.yaml", "name: [held\n")
	s.run(statusInvalid, "mine", "a/held.yaml")
	if contentOf(t, "mine.json") != "mine" || contentOf(t, "out/mine.json") != "mine" {
		t.Error("a file that is no report was removed")
	}
	s.scenario("a/held.yaml", "held")
	s.run(statusPassed, "held mine", "a/held.yaml")
	if err := os.Remove("out/" + manifestFile); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("out/"+manifestFile, 0o755); err != nil {
		t.Fatal(err)
	}
	s.run(statusError, "held mine", "a/held.yaml")
}

// TestRemovedReportsAreNeverInputs has a scenario and a contact trace with the name of a
// report.
func TestRemovedReportsAreNeverInputs(t *testing.T) {
	s := newStaleRig(t)
	s.run(statusPassed, "other", "other.yaml")
	writeFile(t, "out/other.txt", passing)
	s.run(statusInvalid, "small", "out/other.txt other.yaml")
	if contentOf(t, "out/other.txt") != passing {
		t.Error("a scenario was removed")
	}
}

func TestReportsAreWrittenThroughLinks(t *testing.T) {
	s := newStaleRig(t)
	for _, folder := range []string{"out", "artefacts"} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, "artefacts/old.xml", "old")
	for link, target := range map[string]string{"out/junit.xml": "../artefacts/old.xml",
		"out/held.json": "../artefacts/new.json"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	p, _, _ := whole()
	engine := p.engine
	p.engine = func(ctx context.Context, sc *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		if isFile("artefacts/old.xml") {
			t.Error("the report of an earlier run is there during the run")
		}
		return engine(ctx, sc, o)
	}
	s.runWith(p, statusPassed, "held", "a/held.yaml")
	for path, want := range map[string]string{"artefacts/old.xml": "<?xml", "artefacts/new.json": "{"} {
		if got := contentOf(t, path); !strings.HasPrefix(got, want) {
			t.Errorf("%s is %.20q", path, got)
		}
	}
	for _, link := range []string{"out/junit.xml", "out/held.json"} {
		if _, err := os.Readlink(link); err != nil {
			t.Error(err)
		}
	}
}

// TestMergedSetsHaveOtherClasses checks the JUnit document of a run with --set.
func TestMergedSetsHaveOtherClasses(t *testing.T) {
	s := newStaleRig(t)
	s.scenario("v.yaml", "v")
	writeFile(t, "v.yaml", strings.Replace(contentOf(t, "v.yaml"), "{log: 5}", "{log: \"${N}\"}", 1))
	for _, n := range []string{"5", "6"} {
		p, _, _ := whole()
		p.command(t.Context(), []string{"run", "--out", "out", "--set", "N=" + n, "v.yaml"})
		if want := `classname="v {N=` + n + `}.expectation"`; !strings.Contains(contentOf(t, "out/junit.xml"), want) {
			t.Errorf("no %s in\n%s", want, contentOf(t, "out/junit.xml"))
		}
	}
}

func TestASwarmLeavesNoEarlierSummary(t *testing.T) {
	s := newStaleRig(t)
	swarm := func(want status, arguments ...string) {
		t.Helper()
		p, _, errs := whole()
		if got := p.command(t.Context(), append([]string{"swarm"}, arguments...)); got != want {
			t.Errorf("swarm %v: status %d, want %d\n%s", arguments, got, want, errs)
		}
	}
	swarm(statusPassed, "--seeds", "1-1", "--out", "out", "other.yaml")
	swarm(statusInvalid, "--merge", "--out", "out", "out")
	if names := namesIn(t, "out"); len(names) != 3 {
		t.Errorf("a merge that was refused left %v", names)
	}
	writeFile(s.T, "other.yaml", "name: [\n")
	swarm(statusInvalid, "--seeds", "1-1", "--out", "out", "other.yaml")
	if names := namesIn(t, "out"); len(names) != 0 {
		t.Errorf("left %v", names)
	}
}

// TestARefusedCommandLineLeavesNoReports checks that only the reports of the named scenarios are removed.
func TestARefusedCommandLineLeavesNoReports(t *testing.T) {
	s := newStaleRig(t)
	for _, arguments := range []string{
		"run --out out --no-such-flag a/held.yaml", "run --no-such-flag --out=out a/held.yaml",
		"run --set X --out out a/held.yaml", "run --out out --seed x a", "rnu --out out a/held.yaml",
		"run a/held.yaml --rate 0 --out out",
	} {
		s.run(statusPassed, "held other", "a/held.yaml other.yaml")
		p, _, errs := whole()
		if got := p.command(t.Context(), strings.Fields(arguments)); got != statusInvalid {
			t.Errorf("%s: status %d, want %d\n%s", arguments, got, statusInvalid, errs)
		}
		want := []string{manifestFile, "other.html", "other.json", "other.openmetrics.txt", "other.txt"}
		if names := namesIn(t, "out"); !slices.Equal(names, want) {
			t.Errorf("%s left %v, want %v", arguments, names, want)
		}
	}
	for _, arguments := range []string{"run --no-such-flag a/held.yaml", "--no-such-flag",
		"nothing --out out a/held.yaml",
		"check --no-such-flag --out out a/held.yaml"} {
		s.run(statusPassed, "held other", "a/held.yaml other.yaml")
		p, _, _ := whole()
		p.command(t.Context(), strings.Fields(arguments))
		if names := namesIn(t, "out"); len(names) != 11 {
			t.Errorf("%s left %v", arguments, names)
		}
	}
	for _, arguments := range []string{"swarm --out out --seeds x other.yaml", "swram --out out other.yaml"} {
		p, _, _ := whole()
		p.command(t.Context(), strings.Fields("swarm --seeds 1-1 --out out other.yaml"))
		p.command(t.Context(), strings.Fields(arguments))
		if names := namesIn(t, "out"); slices.Contains(names, swarmText) || slices.Contains(names, swarmJSON) {
			t.Errorf("%s left %v", arguments, names)
		}
	}
}

// TestReportsOfStandardInput checks that they stay beside those of another scenario from
// there, and are removed when the input cannot be read as a scenario.
func TestReportsOfStandardInput(t *testing.T) {
	s := newStaleRig(t)
	for _, c := range []struct {
		input, reports string
		want           status
	}{
		{strings.Replace(passing, "small", "one", 1), "one", statusPassed},
		{strings.Replace(passing, "small", "two", 1), "one two", statusPassed},
		{"name: [", "", statusInvalid},
	} {
		p, _, _ := whole()
		p.stdin = strings.NewReader(c.input)
		s.runWith(p, c.want, c.reports, "-")
	}
}
