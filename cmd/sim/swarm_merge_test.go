package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// merging is a folder of results for sim swarm --merge.
type merging struct {
	*testing.T
	folder string
}

func (m merging) path(name string) string { return filepath.Join(m.folder, name) }

func (m merging) file(name, text string) string {
	m.Helper()
	if err := os.WriteFile(m.path(name), []byte(text), 0o600); err != nil {
		m.Fatal(err)
	}
	return m.path(name)
}

// merge checks the status and the texts of the output.
func (m merging) merge(want status, says []string, arguments ...string) {
	m.Helper()
	p, out, errs := whole()
	got := p.command(context.Background(), append([]string{"swarm", "--merge"}, arguments...))
	if got != want {
		m.Errorf("%v: status %d, want %d\n%s%s", arguments, got, want, out, errs)
	}
	for _, s := range says {
		if !strings.Contains(errs.String()+out.String(), s) {
			m.Errorf("%v: no %q in\n%s%s", arguments, s, out, errs)
		}
	}
}

// good returns the result of two runs that passed.
const good = `{"kind":"swarm","build":{"go":"go1.26","revision":"abc"},"verdict":"passed",
"seeds":[{"first":1,"last":2}],
"files":[{"file":"x.yaml","seeds":[{"first":1,"last":2}],"runs":2,"failed":0}],"runs":2,"failed":0,"twice":0,"events":9,
"virtual_ms":10,"wall_seconds":1,"jobs":1,"faults":[],"adversaries":[],"marks":[],"failures":[]}`

func TestMergeRefusesInvalidResults(t *testing.T) {
	m := merging{t, t.TempDir()}
	m.merge(statusPassed, []string{"PASSED  swarm: 2 runs held"}, m.file("good.json", good))
	change := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(good) }
	oneFailed := change(`"runs":2,"failed":0`, `"runs":2,"failed":1`)
	cause := `"failures":[{"cause":"c","runs":1,"seed":2,"file":"x.yaml","plan":{},"check":{}}]`
	m.merge(statusFailed, []string{"FAILED  swarm: 1 of 2 runs failed, of 1 cause"},
		m.file("failed.json", strings.Replace(oneFailed, `"failures":[]`, cause, 1)))
	for name, c := range map[string]struct{ text, says string }{
		"verdict":   {`{"verdict":"passed"}`, "not a JSON result of a swarm"},
		"believed":  {`{"verdict":"passed","runs":10,"failed":9}`, "not a JSON result of a swarm"},
		"a run":     {`{"scenario":"classroom","verdict":"passed","runs":1}`, "not a JSON result of a swarm"},
		"trailing":  {good + "]]]]}}}", "after top-level value"},
		"two":       {good + good, "after top-level value"},
		"no seeds":  {change(`"seeds":[{"first":1,"last":2}]`, `"seeds":[]`), "no seeds"},
		"backwards": {change(`"first":1,"last":2`, `"first":10,"last":1`), "seeds 10-1: ranges must be in order"},
		"all seeds": {change(`"first":1,"last":2`, `"first":0,"last":18446744073709551615`),
			"more than can have been run"},
		"many runs": {change(`"runs":2`, `"runs":18446744073709551615`), "count 18446744073709551615 is too large"},
		"other runs": {strings.Replace(good, `"runs":2,"failed":0,"twice"`, `"runs":3,"failed":0,"twice"`, 1),
			"the files have 2 runs, 0 failed, but the result has 3 runs, 0 failed"},
		"file's runs": {strings.Replace(good, `"runs":2`, `"runs":3`, 1), `"x.yaml": 2 seeds, but 3 runs, 0 failed`},
		"no files":    {strings.Replace(good, `"files":[`, `"files":[],"ignored":[`, 1), "no runs"},
		"events":      {change(`"events":9`, `"events":18446744073709551615`), "at most 9007199254740992"},
		"seconds":     {change(`"wall_seconds":1`, `"wall_seconds":1e308`), "wall_seconds is 1e+308: must be 0 to"},
		"before 0":    {change(`"wall_seconds":1`, `"wall_seconds":-1`), "wall_seconds is -1: must be 0 to"},
		"no cause":    {oneFailed, "1 runs failed, but 0 causes have 0 runs"},
		"all causes":  {strings.Replace(good, `"failures":[]`, cause, 1), `cause "c": 1 runs of 0 that failed`},
		"other seed": {strings.NewReplacer(`"failures":[]`, strings.Replace(cause, `"seed":2`, `"seed":3`,
			1)).Replace(oneFailed), "seed 3 of \"x.yaml\" was not run"},
		"late": {strings.NewReplacer(`"failures":[]`, strings.Replace(cause, `"check":{}`,
			`"check":{"at_seconds":1e308}`, 1)).Replace(oneFailed),
			`cause "c": the time is out of bounds`},
	} {
		m.merge(statusInvalid, []string{c.says, name + ".json: "}, m.file(name+".json", c.text))
	}
}

// TestMergeNeverCountsARunTwice also checks that runs of two builds are refused.
func TestMergeNeverCountsARunTwice(t *testing.T) {
	m := merging{t, t.TempDir()}
	a := m.file("a.json", good)
	m.merge(statusInvalid, []string{fmt.Sprintf(`%q and %q both have the seeds 1-2 of "x.yaml"`, a, a)}, a, a)
	b := m.file("b.json", strings.NewReplacer(`"first":1,"last":2`, `"first":2,"last":3`).Replace(good))
	m.merge(statusInvalid, []string{fmt.Sprintf(`%q and %q both have the seeds 2-2 of "x.yaml"`, a, b)}, a, b)
	m.merge(statusPassed, []string{"4 runs held"}, a, m.file("c.json", strings.ReplaceAll(good, "x.yaml", "y.yaml")))
	m.merge(statusPassed, []string{"4 runs held", "1-2, 5-6"}, a,
		m.file("d.json", strings.ReplaceAll(good, `"first":1,"last":2`, `"first":5,"last":6`)))
	other := m.file("e.json", strings.NewReplacer(`"first":1,"last":2`, `"first":5,"last":6`, `"abc"`,
		`"abd"`).Replace(good))
	m.merge(statusInvalid, []string{"the build (abc, go1.26) and", "of the build (abd, go1.26)"}, a, other)

	// A revision that is missing or modified does not identify a build: a hash of the program does.
	for _, revision := range []string{"", "abc+"} {
		part := func(name, seeds, program string) string {
			return m.file(name, strings.NewReplacer(`"first":1,"last":2`, seeds, `"revision":"abc"`,
				`"revision":"`+revision+`"`+program).Replace(good))
		}
		const first, second = `"first":1,"last":2`, `"first":5,"last":6`
		a, b := part("f.json", first, ""), part("g.json", second, "")
		m.merge(statusPassed, []string{"2 runs held"}, a)
		m.merge(statusInvalid, []string{"of " + strconv.Quote(a) + " is not identified"}, a, b)
		a, b = part("f.json", first, `,"program":"01"`), part("g.json", second, `,"program":"01"`)
		m.merge(statusPassed, []string{"4 runs held"}, a, b)
		b = part("g.json", second, `,"program":"02"`)
		m.merge(statusInvalid, []string{"go1.26, program 01) and", "go1.26, program 02)"}, a, b)
	}
}

func TestMergeTakesFoldersAndKeepsItsInputs(t *testing.T) {
	m := merging{t, t.TempDir()}
	if err := os.Mkdir(m.path("empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	m.merge(statusInvalid, []string{"/empty\" holds no swarm.json; expected the folder of --out of a swarm"},
		m.path("empty"))
	m.merge(statusInvalid, []string{"no such file"}, m.path("absent.json"))
	for text, format := range map[string]string{"": "an empty file", "\x1f\x8b\x08": "a gzip file",
		"BZh9": "a bzip2 file"} {
		m.merge(statusInvalid, []string{"packed.json: this is " + format + "; expected the JSON result of a swarm"},
			m.file("packed.json", text))
	}
	result := m.file("swarm.json", good)
	m.merge(statusPassed, []string{"2 runs held"}, m.folder)
	m.merge(statusInvalid, []string{"would overwrite the result"}, "--out", m.folder, result)
	if text, err := os.ReadFile(result); err != nil || string(text) != good {
		t.Errorf("the merged result is now %q, %v", text, err)
	}
	m.merge(statusPassed, nil, "--out", m.path("all"), m.folder)
	m.merge(statusPassed, []string{"2 runs held"}, m.path("all"))
}

// TestMergedFilesAreFound checks that files are found beside moved results.
func TestMergedFilesAreFound(t *testing.T) {
	m := merging{t, t.TempDir()}
	text := strings.NewReplacer(`"runs":2,"failed":0`, `"runs":2,"failed":1`, `"failures":[]`,
		`"failures":[{"cause":"c","runs":1,"seed":2,"file":"x.yaml","plan":{},"check":{},"drawn":"out/drawn-c.yaml",`+
			`"shrunk":"out/found-c.yaml"}]`).Replace(good)
	here := m.file("drawn-c.yaml", "")
	m.merge(statusFailed, []string{"    drawn     " + here + "\n", "    shrunk    out/found-c.yaml\n"},
		m.file(swarmJSON, text))
}

// TestMergedPageHasDiagrams checks that a cause whose small scenario lies beside its result has a diagram on the page
// of a merge, but not with a result of another build, of a scenario that a swarm did not write, or if it fails otherwise.
func TestMergedPageHasDiagrams(t *testing.T) {
	b, err := buildOfProgram()
	if err != nil {
		t.Fatal(err)
	}
	own, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	const found = "# sim swarm: reduced\nname: found\nphones: [{name: anna}]\n" +
		"script:\n  - {at: 1s, phone: anna, login: right, expect: {reply: never}}\n"
	const cause = `liveness: login: right: \"Welcome to the BlueTrace Simulator!\"`
	for name, c := range map[string]struct {
		build, text, cause string
		want               int // diagrams
	}{
		"found":         {string(own), found, cause, 1},
		"other build":   {`{"go":"go1.26","revision":"abc"}`, found, cause, 0},
		"other text":    {string(own), strings.TrimPrefix(found, "# sim swarm:"), cause, 0},
		"other failure": {string(own), found, "liveness: logout: nothing", 0},
		"no scenario":   {string(own), "# sim swarm: reduced\n", cause, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := merging{t, t.TempDir()}
			m.file("found-c.yaml", c.text)
			result := m.file(swarmJSON, strings.NewReplacer(`{"go":"go1.26","revision":"abc"}`, c.build,
				`"runs":2,"failed":0`, `"runs":2,"failed":1`, `"failures":[]`,
				`"failures":[{"cause":"`+c.cause+`","runs":1,"seed":2,"file":"x.yaml","plan":{},"check":{},`+
					`"shrunk":"out/found-c.yaml"}]`).Replace(good))
			m.merge(statusFailed, nil, "--out", m.path("all"), result)
			if got := strings.Count(contentOf(t, m.path("all/"+swarmPage)), `<svg class="scene"`); got != c.want {
				t.Errorf("%d diagrams, want %d", got, c.want)
			}
		})
	}
}
