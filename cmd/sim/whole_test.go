package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

const twoWrongPasswords = `name: two-wrong
about: A right password after two wrong ones is welcomed.
seed: 3
phones: [{name: owner}]
script:
  - {at: 1s, phone: owner, login: wrong, expect: {reply: Invalid Password. Please try again}}
  - {at: 2s, phone: owner, login: wrong, expect: {reply: Invalid Password. Please try again}}
  - {at: 3s, phone: owner, login: right, expect: {reply: %s}}
`

// whole returns the program of main with other outputs.
func whole() (p *program, out, err *bytes.Buffer) {
	out, err = &bytes.Buffer{}, &bytes.Buffer{}
	return &program{
		name: "sim", stdin: strings.NewReader(""), stdout: out, stderr: err, columns: func() int { return 80 },
		now:   time.Now,
		after: func(time.Duration) <-chan time.Time { return nil },
		find:  scenarios.Find, load: scenarios.Load, engine: sim.Run,
	}, out, err
}

func scenarioFile(t *testing.T, reply string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "two wrong.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, twoWrongPasswords, reply), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWholeProgramHoldsAndFails(t *testing.T) {
	p, out, errs := whole()
	if got := p.command(context.Background(),
		[]string{"run", scenarioFile(t, "Welcome to the BlueTrace Simulator!")}); got != statusPassed {
		t.Errorf("status %d, want 0\n%s%s", got, out, errs)
	}
	p, out, errs = whole()
	path := scenarioFile(t, "Farewell")
	if got := p.command(context.Background(), []string{"run", path}); got != statusFailed {
		t.Errorf("status %d, want 99\n%s%s", got, out, errs)
	}
	for _, want := range []string{"FAILED  two-wrong: ", path + ":8:", "Farewell",
		"Welcome to the BlueTrace Simulator!", "run --seed 3 '" + path + "'\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	p, _, errs = whole()
	if got := p.command(context.Background(),
		[]string{"run", filepath.Join(t.TempDir(), "none.yaml")}); got != statusInvalid {
		t.Errorf("status %d, want 104\n%s", got, errs)
	}
	p, _, errs = whole()
	if got := p.command(context.Background(), []string{"run", t.TempDir()}); got != statusInvalid {
		t.Errorf("status %d, want 104\n%s", got, errs)
	}
}

func TestSeedOfTheCommandRepeatsTheRun(t *testing.T) {
	path := scenarioFile(t, "Welcome to the BlueTrace Simulator!")
	digest := func() string {
		p, out, errs := whole()
		if got := p.command(context.Background(), []string{"run", "--report", "json", "--seed", "11",
			path}); got != statusPassed {
			t.Fatalf("status %d\n%s", got, errs)
		}
		var r struct {
			Digest string
			Seed   uint64
		}
		if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Seed != 11 || len(r.Digest) != 16 {
			t.Fatalf("%v in\n%s", err, out)
		}
		return r.Digest
	}
	if first, second := digest(), digest(); first != second {
		t.Errorf("digests %s and %s", first, second)
	}
}
