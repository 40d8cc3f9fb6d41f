package main

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestReadTests(t *testing.T) {
	for _, c := range []struct {
		passedAll bool
		out       string
		want      scenarioRun
		err       string
	}{
		{true, "ok  \tbluetrace/nodes/socket\t0.1s\n", scenarioRun{ending: passed}, ""},
		{true, "ok  \tbluetrace/nodes/socket\t0.1s [no tests to run]\n", scenarioRun{},
			"running go test: no test has run: ok  \tbluetrace/nodes/socket\t0.1s [no tests to run]"},
		{false, "    --- FAIL: TestA/b (0.0s)\n--- FAIL: TestA (0.0s)\nFAIL\n", scenarioRun{failed, "TestA/b"}, ""},
		{false, "panic: index out of range\n", scenarioRun{panicked, "panic: index out of range"}, ""},
		{false, "panic: test timed out after 2m0s\n--- FAIL: TestA\n",
			scenarioRun{timedOut, "the test did not end, twice"}, ""},
		{false, "FAIL\tbluetrace/protocol [build failed]", scenarioRun{},
			"running go test: FAIL\tbluetrace/protocol [build failed]"},
	} {
		if got, err := readTests(c.passedAll, c.out); got != c.want || textOf(err) != c.err {
			t.Errorf("%q: %+v and error %q, want %+v and %q", c.out, got, textOf(err), c.want, c.err)
		}
	}
}

func TestTheTableOfTests(t *testing.T) {
	b := fakeTester(t, "this is right")
	b.options.tests, b.options.library = true, false
	b.goTest = func(_ context.Context, _, _, pkg, by string, overlay map[string]string) (scenarioRun, error) {
		switch {
		case pkg != "./node" || by != "TestIt":
			t.Errorf("%s of %s was run, want TestIt of ./node", by, pkg)
		case len(overlay) == 0:
			return scenarioRun{}, nil // without a bug
		}
		text := readFile(t, overlay["node.go"])
		switch text {
		case "this is found":
			return scenarioRun{failed, "TestIt"}, nil
		case "this is broken":
			return scenarioRun{}, errors.New("running go test: build failed")
		}
		return scenarioRun{}, nil
	}
	mutants := group(mutant{tests: "./node", by: "TestIt"}, mutantsOfText("found", "lost", "broken"))
	out, err := testAll(t.Context(), b, mutants, 1)
	const want = `planted bug   package            first failure
it is found   ./node             TestIt
it is lost    ./node             SURVIVES
it is broken  ./node             NOT TRIED

survives: node.go: it is lost: TestIt of ./node passed
not tried: node.go: it is broken: running go test: build failed
1 passed, 2 failed
`
	if out != want || textOf(err) != "2 of 3 mutants were not killed" {
		t.Errorf("printed\n%s(error %v), want\n%s", out, err, want)
	}
}

// TestTheRightCheckMustFailFirst has a scenario that fails at the named check, at another one, and with a panic.
func TestTheRightCheckMustFailFirst(t *testing.T) {
	b := fakeTester(t, "this is right")
	m := &mutant{by: "second", first: "second:12"}
	for _, c := range []struct {
		run  scenarioRun
		want outcome
		err  string
	}{
		{scenarioRun{failed, "second:12"}, killed, ""},
		{scenarioRun{failed, "second:7"}, missed, "second:7 failed first, want second:12"},
		{scenarioRun{panicked, "panic: 7"}, killed, ""},
		{scenarioRun{timedOut, "no end"}, killed, ""},
		{scenarioRun{}, survives, "no scenario failed"},
	} {
		if got, err := b.judgeLibrary(m, []scenarioRun{{}, c.run}); got != c.want || textOf(err) != c.err {
			t.Errorf("%+v: %s and error %q, want %s and %q", c.run, got, textOf(err), c.want, c.err)
		}
	}
}

// TestAPanicAndAHangOfASwarmAreFailures runs swarms that give no report.
func TestAPanicAndAHangOfASwarmAreFailures(t *testing.T) {
	b := swarmTester(t)
	b.swarm = func(context.Context, string, string, ...string) (swarmResult, error) {
		return swarmResult{found: &failure{cause: "panic: 7"}}, nil
	}
	b.options.library = false
	out, err := testAll(t.Context(), b, mutantsOfText("odd"), 1)
	if want := "| it is odd | – | | | | | – | panic: 7 |\n"; err != nil || !strings.Contains(out, want) {
		t.Errorf("printed\n%s(error %v), want %q", out, err, want)
	}
}
