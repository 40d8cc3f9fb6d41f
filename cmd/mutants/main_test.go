package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"bluetrace/scenarios"
)

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"--run", "^a block is a nanosecond (short|long)$", "--jobs", "3", "--keep"})
	if err != nil {
		t.Fatal(err)
	}
	if len(o.mutants) != 2 || o.mutants[0].name != "a block is a nanosecond short" ||
		o.mutants[1].name != "a block is a nanosecond long" {
		t.Errorf("chosen %+v, want the two of a block's length", o.mutants)
	}
	if o.jobs != 3 || !o.keep {
		t.Errorf("%d jobs, keep %v; want 3, true", o.jobs, o.keep)
	}
	if o, err = parseOptions(nil); err != nil || len(o.mutants) != len(libraryMutants()) || o.jobs < 1 || o.keep {
		t.Errorf("without flags: %d mutants, %d jobs, keep %v and %v", len(o.mutants), o.jobs, o.keep, err)
	}
}

func TestTheSecondTable(t *testing.T) {
	o, err := parseOptions([]string{"--swarm", "--seeds", "5-9", "--in", "a.yaml,b.yaml", "--library=false",
		"--shrink-time", "5s"})
	if err != nil || len(o.mutants) != len(swarmMutants()) || o.seeds != "5-9" || len(o.in) != 2 || o.library ||
		o.shrink != 5*time.Second {
		t.Errorf("%d mutants, %+v and %v", len(o.mutants), o.in, err)
	}
}

func TestTheFourthTable(t *testing.T) {
	names := scenarios.DialectNames()
	o, err := parseOptions([]string{"--rules"})
	if err != nil || o.library || !o.rules || len(o.mutants) != len(ruleMutants()) || !slices.Equal(o.wires, names) {
		t.Errorf("%d mutants, %v and %v", len(o.mutants), o.wires, err)
	}
	o, err = parseOptions([]string{"--rules", "--part", "2/12", "--dialects", "21"})
	if err != nil || o.mutants[0].name != ruleMutants()[1].name || !slices.Equal(o.wires, names[21%len(names):][:1]) {
		t.Errorf("%+v, %v and %v", o.mutants, o.wires, err)
	}
	if got := o.wiresOf(&mutant{unless: o.wires}); !slices.Equal(got, []string{"seed"}) {
		t.Errorf("a mutant that its dialect hides is tried in %v", got)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for want, arguments := range map[string][]string{
		"invalid --jobs 0: must be 1 to 1024":         {"--jobs", "0"},
		"invalid --jobs 1025: must be 1 to 1024":      {"--jobs", "1025"},
		"--dialects needs --rules":                    {"--dialects", "2"},
		`invalid --dialects "x": must be all or a`:    {"--rules", "--dialects", "x"},
		`unknown argument "block"`:                    {"block"},
		"--run: error parsing regexp: missing":        {"--run", "("},
		`--run "no such mutant" matches none of the `: {"--run", "no such mutant"},
		"--seeds needs --swarm":                       {"--seeds", "1-2"},
		"unknown flag: --mutant":                      {"--mutant"},
		"--swarm, --tests and --rules are tables":     {"--swarm", "--tests"},
		`invalid --part "0/3": must be K/N`:           {"--part", "0/3"},
		`invalid --part "4/3": must be K/N`:           {"--part", "4/3"},
		`invalid --part "2": must be K/N`:             {"--part", "2"},
		`--part 2/2 has none of the 1 mutants`:        {"--part", "2/2", "--run", "^only four"},
	} {
		if _, err := parseOptions(arguments); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", arguments, err, want)
		}
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	o, err := parseOptions([]string{"--help"})
	if !errors.Is(err, pflag.ErrHelp) {
		t.Fatalf("error %v, want %v", err, pflag.ErrHelp)
	}
	for _, flag := range []string{"--run REGEXP", "--jobs N", "--keep", "--part K/N", "--swarm", "--tests", "--rules",
		"--dialects N", "--seeds A-B", "--in FILES", "--library", "--shrink-time DURATION"} {
		if !strings.Contains(o.help, flag) {
			t.Errorf("%q is not in\n%s", flag, o.help)
		}
	}
}

func TestCommandAnswersWithAStatus(t *testing.T) {
	var stdout, stderr strings.Builder
	if got := command(t.Context(), []string{"--jobs", "0"}, &stdout, &stderr); got != statusUsage {
		t.Errorf("status %d, want %d", got, statusUsage)
	}
	want := "mutants: invalid --jobs 0: must be 1 to 1024\nhint: mutants --help lists the flags\n"
	if stderr.String() != want || stdout.Len() > 0 {
		t.Errorf("printed %q and %q, want %q", stdout.String(), stderr.String(), want)
	}
	if got := command(t.Context(), []string{"--help"}, &stdout, &stderr); got != statusKilled ||
		!strings.HasPrefix(stdout.String(), "mutants plants bugs") {
		t.Errorf("status %d, printed %q", got, stdout.String())
	}
}

func TestTheThirdTable(t *testing.T) {
	o, err := parseOptions([]string{"--tests", "--part", "2/3"})
	if all := testMutants(); err != nil || o.library || !o.tests || len(o.mutants) != (len(all)+1)/3 ||
		o.mutants[0].name != all[1].name {
		t.Errorf("%d mutants, library %v and %v", len(o.mutants), o.library, err)
	}
}
