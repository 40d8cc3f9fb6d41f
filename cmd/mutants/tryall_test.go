package main

import (
	"context"
	"strings"
	"testing"
)

func mutantsOfText(name ...string) []mutant {
	var mutants []mutant
	for _, n := range name {
		mutants = append(mutants, mutant{name: "it is " + n, file: "node.go", old: "right", new: n})
	}
	return mutants
}

func TestTheTableAndItsCount(t *testing.T) {
	mutants := mutantsOfText("first", "wrong", "panic", "first and second")
	mutants[3].by = "second"
	mutants = append(mutants, mutant{name: "it is left", file: "node.go", old: "left", new: "first"})
	var out strings.Builder
	err := fakeBench(t, "this is right").tryAll(t.Context(), mutants, 2, &out)
	if textOf(err) != "2 of 5 mutants were not caught" {
		t.Errorf("error %q", textOf(err))
	}
	const want = `x: the scenario turned red; !: it panicked or did not end
  1 first
  2 second

planted mutant          1  2  first failure
it is first             x  .  scenarios/first.yaml:3
it is wrong             .  .  SURVIVES
it is panic             !  !  panic: 7
it is first and second  x  x  scenarios/second.yaml:3
it is left                    NO LONGER APPLIES

survives: node.go: it is wrong: no scenario turned red
no longer applies: node.go: it is left: "left" occurs 0 times in node.go, want once
3 passed, 2 failed
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

func TestAllCaughtIsNoError(t *testing.T) {
	var out strings.Builder
	err := fakeBench(t, "right").tryAll(t.Context(), mutantsOfText("first", "second"), 1, &out)
	if err != nil || !strings.HasSuffix(out.String(), "\n\n2 passed, 0 failed\n") {
		t.Errorf("error %v, printed\n%s", err, out.String())
	}
}

func TestARedProgramWithoutAMutantEndsIt(t *testing.T) {
	var out strings.Builder
	err := fakeBench(t, "right, but second fails").tryAll(t.Context(), mutantsOfText("first"), 1, &out)
	if textOf(err) != "without a mutant scenarios/second.yaml fails: scenarios/second.yaml:3" {
		t.Errorf("error %q", textOf(err))
	}
	if out.String() != "0 passed, 1 failed\n" {
		t.Errorf("printed %q", out.String())
	}
}

func TestAfterAnInterruptNothingIsTried(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := fakeBench(t, "right")
	b.run = func(context.Context, string, string) (scenarioResult, error) {
		cancel()
		return scenarioResult{}, nil
	}
	var out strings.Builder
	err := b.tryAll(ctx, mutantsOfText("first", "second"), 1, &out)
	if textOf(err) != "2 of 2 mutants were not caught" {
		t.Errorf("error %q", textOf(err))
	}
	if want := "\nit is second        NOT TRIED\n\n0 passed, 2 failed\n"; !strings.HasSuffix(out.String(), want) {
		t.Errorf("printed\n%s\nwant its end\n%s", out.String(), want)
	}
}

func TestRowsAreNotWiderThanTheTable(t *testing.T) {
	long := strings.Repeat("é", 130)
	if got, want := cut(long, tableWidth), strings.Repeat("é", 117)+"..."; got != want {
		t.Errorf("cut to %q, want %q", got, want)
	}
	if got := cut("short", tableWidth); got != "short" {
		t.Errorf("cut to %q", got)
	}
}
