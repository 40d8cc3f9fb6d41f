package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// searchBench has swarms that find what begins with "odd"; seed 3 fails without a
// mutant as well.
func searchBench(t *testing.T) *bench {
	t.Helper()
	b := fakeBench(t, "this is right")
	programs := map[string]string{}
	build := b.build
	b.build = func(ctx context.Context, program string, by map[string]string) error {
		for _, e := range []string{"odd", "rare", "broken", "both"} {
			if text := by["node.go"]; strings.Contains(filepath.Dir(text), e) {
				programs[program] = e
			}
		}
		return build(ctx, program, by)
	}
	b.swarm = func(_ context.Context, _ *search, program, _ string) (swarmResult, error) {
		p := &failure{scenario: "scenarios/first.yaml", seed: 2, cause: "a | b", phones: 1, parts: 4}
		switch programs[program] {
		case "odd":
			return swarmResult{runs: 6, seconds: 0.25, found: p}, nil
		case "both":
			p.seed = 3
			return swarmResult{runs: 6, found: p}, nil
		case "broken":
			return swarmResult{}, errors.New("running a swarm: exit status 107")
		}
		return swarmResult{runs: 100}, nil
	}
	b.again = func(_ context.Context, _ *search, _ string, p *failure) (swarmResult, error) {
		if p.seed == 3 {
			return swarmResult{runs: 1, found: p}, nil
		}
		return swarmResult{runs: 1}, nil
	}
	return b
}

func TestTheTableOfSearches(t *testing.T) {
	mutants := mutantsOfText("odd", "rare", "both", "broken", "first")
	var out strings.Builder
	err := searchBench(t).searchAll(t.Context(), mutants, 2, &search{library: true}, &out)
	if textOf(err) != "4 of 5 mutants were not caught" {
		t.Errorf("error %q", textOf(err))
	}
	const want = `| planted mutant | found in | seed | runs | seconds | phones | steps and faults | what failed |
|---|---|--:|--:|--:|--:|--:|---|
| it is odd | first | 2 | 6 | 0.2 | 1 | 4 | a / b |
| it is rare | SURVIVES | | | | | | |
| it is both | NOT TRIED | | | | | | |
| it is broken | NOT TRIED | | | | | | |
| it is first | THE LIBRARY NOTICES IT | | | | | | |

1 of 1 shrunk scenarios have at most 10 steps and faults
survives: node.go: it is rare: 100 runs held
not tried: node.go: it is both: without the mutant seed 3 of scenarios/first.yaml fails as well: a | b
not tried: node.go: it is broken: running a swarm: exit status 107
the library notices it: node.go: it is first: first (scenarios/first.yaml:3)
1 passed, 4 failed
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

func TestWithoutTheLibraryOnlySwarmsLook(t *testing.T) {
	var out strings.Builder
	b := searchBench(t)
	b.run = func(context.Context, string, string) (scenarioResult, error) {
		t.Error("a scenario of the library was run")
		return scenarioResult{}, nil
	}
	if err := b.searchAll(t.Context(), mutantsOfText("odd"), 1, &search{}, &out); err != nil {
		t.Error(err)
	}
}
