package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// TestALaterStatusNeverLowersAnEarlierOne has, for each place that sets the status, an
// earlier event with a larger status.
func TestALaterStatusNeverLowersAnEarlierOne(t *testing.T) {
	interruptAt := func(file string) func(b *bench, cancel func()) {
		return func(b *bench, cancel func()) {
			engine := b.program.engine
			b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
				if s.File == file {
					cancel()
				}
				return engine(ctx, s, o)
			}
		}
	}
	for _, c := range []struct {
		name, arguments string
		prepare         func(b *bench, cancel func())
		want            status
	}{
		{"a verdict", "run overloaded.yaml failed.yaml held.yaml", nil, statusOverloaded},
		{"a scenario that is not run", "run broken.yaml mistaken.yaml", nil, statusError},
		{"selection", "run locked absent mistaken.yaml held.yaml", nil, statusError},
		{"selection, alone", "run locked absent", nil, statusError},
		{"selection, then a trace of two", "run --trace t locked held.yaml failed.yaml", nil, statusError},
		{"selection, then credentials", "run --live --server x:1 --credentials none locked held.yaml", nil,
			statusError},
		{"selection, then --out over an input", "run --out . locked junit.xml", nil, statusError},
		{"selection, then --out in a file", "run --out file locked held.yaml", nil, statusError},
		{"an interrupt", "run broken.yaml held.yaml failed.yaml", interruptAt("held.yaml"), statusError},
		{"standard output", "run overloaded.yaml", func(b *bench, _ func()) { b.stdout = io.Writer(brokenOutput{}) },
			statusOverloaded},
		{"the disk", "run --out taken overloaded.yaml", nil, statusOverloaded},
		{"a report over an input", "run --out . broken.yaml day.txt held.yaml", nil, statusError},
		{"check", "check unreadable.yaml mistaken.yaml held.yaml", nil, statusError},
		{"check, selection", "check locked mistaken.yaml", nil, statusError},
		{"swarm, selection", "swarm locked absent", nil, statusError},
		{"swarm, loading", "swarm unreadable.yaml mistaken.yaml", nil, statusError},
		{"swarm, the folder and loading", "swarm --out link mistaken.yaml", nil, statusError},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, folder := range []string{"taken/overloaded.json/full", "link", "kept/full"} {
				if err := os.MkdirAll(folder, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			writeFile(t, "file", "")
			writeFile(t, "day.txt", "")
			// which no one can remove
			if err := os.Symlink("/proc/version", filepath.Join("link", swarmJSON)); err != nil {
				t.Fatal(err)
			}
			b := newBench()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.prepare != nil {
				c.prepare(b, cancel)
			}
			if got := b.command(ctx, strings.Fields(c.arguments)); got != c.want {
				t.Errorf("sim %s: status %d, want %d\n%s", c.arguments, got, c.want, b.err.String())
			}
		})
	}
}

// TestMessagesDoNotControlTheTerminal checks that no byte of an argument reaches standard
// error as a control character.
func TestMessagesDoNotControlTheTerminal(t *testing.T) {
	const raw = "\x1b[31m\u009b2J\u202e\r"
	for _, arguments := range [][]string{
		{raw}, {"--" + raw}, {"-" + raw}, {"help", raw}, {"run", raw}, {"run", "--" + raw},
		{"run", "--out", "/dev/null/" + raw, "held.yaml"},
		{"run", "--set", raw, "held.yaml"}, {"run", "--set", raw + "=1", "--set", raw + "=1", "held.yaml"},
		{"run", "--seed", raw, "held.yaml"},
		{"run", "--report", raw, "held.yaml"}, {"run", "--trace", raw + "/x/y", "held.yaml"},
		{"run", "--metrics", raw, "held.yaml"},
		{"run", "--live", "--server", raw, "--credentials", raw, "held.yaml"}, {"run", "--live", "--server", "x:" + raw,
			"--credentials", raw, "held.yaml"},
		{"run", "--live", "--server", "x:1", "--credentials", raw, "held.yaml"}, {"run", "--linger", raw, "held.yaml"},
		{"check", raw},
		{"check", "--" + raw}, {"swarm", "--seeds", raw, "held.yaml"}, {"swarm", "--from", raw, "--for", "1s",
			"held.yaml"}, {"swarm", "--merge", raw},
		{"swarm", "--out", "/dev/null/" + raw, "held.yaml"}, {"compare", raw, raw}, {"compare", "--budget", raw, "a",
			"b"}, {"compare", "--confidence", raw, "a", "b"},
		{"init", raw + "/x/y"}, {"init", raw, raw}, {"schema", raw}, {"completion", raw},
	} {
		p, out, errs := whole()
		p.load = newBench().load
		got := p.command(t.Context(), arguments)
		text := errs.String() + out.String()
		if got == statusPassed || errs.Len() == 0 {
			t.Errorf("%q: status %d, standard error %q", arguments, got, errs)
		}
		if strings.ContainsAny(text, "\x1b\u009b\u202e\r") {
			t.Errorf("%q: printed %q", arguments, text)
		}
	}
}

func TestTerminalsWithoutControlSequences(t *testing.T) {
	for name, want := range map[string]bool{"xterm-256color": true, "linux": true, "dumb": false, "": false} {
		if got := showsControls(name); got != want {
			t.Errorf("TERM=%q: %v", name, got)
		}
	}
}
