package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

func TestProgressIsOneRedrawnLine(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(100, 0)
	p := &progress{w: &out, columns: func() int { return 80 }, now: func() time.Time { return now }, started: now}
	draw := func(at sim.Progress) {
		p.draw(func(now time.Time) string { return p.runProgress("day\x1b", at, now.Sub(p.started)) })
	}
	half := sim.Progress{At: 30 * time.Minute, Length: time.Hour, Events: 1234}

	now = now.Add(999 * time.Millisecond)
	draw(half)
	if out.Len() > 0 {
		t.Errorf("drew %q before a second", out.String())
	}
	now = now.Add(time.Millisecond)
	draw(half)
	now = now.Add(99 * time.Millisecond)
	draw(half)
	if got, want := out.String(), "\r"+`day\x1b  50 %  30m0s of 1h0m0s  1,234 events  1s left`+"\x1b[K"; got != want {
		t.Errorf("drew %q, want %q", got, want)
	}
	out.Reset()
	now = now.Add(time.Millisecond)
	draw(sim.Progress{At: time.Minute, Events: 1})
	p.clear()
	if got, want := out.String(), "\r"+`day\x1b  1m0s  1 event`+"\x1b[K\r\x1b[K"; got != want {
		t.Errorf("drew %q, want %q", got, want)
	}
}

func TestProgressKeepsToTheTerminal(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(100, 0)
	p := &progress{w: &out, columns: func() int { return 20 }, now: func() time.Time { return now }}
	p.draw(func(time.Time) string { return strings.Repeat("é", 50) })
	if got, want := out.String(), "\r"+strings.Repeat("é", 19)+"\x1b[K"; got != want {
		t.Errorf("drew %q, want %q", got, want)
	}
}

func TestProgressOnlyOnATerminalAndNotQuiet(t *testing.T) {
	for _, c := range []struct {
		terminal bool
		flags    []string
		want     bool
	}{{true, nil, true}, {true, []string{"--quiet"}, false}, {false, nil, false}} {
		b := newBench()
		b.terminal = c.terminal
		asked := false
		engine := b.program.engine
		b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
			asked = o.Progress != nil
			return engine(ctx, s, o)
		}
		b.command(context.Background(), append([]string{"run", "held.yaml"}, c.flags...))
		if asked != c.want || b.err.Len() > 0 {
			t.Errorf("terminal %v, %v: progress %v, want %v; standard error %q", c.terminal, c.flags, asked, c.want, b.err.String())
		}
	}
}

// TestTimeLeftFollowsTheSpeed: the time left comes from the speed of the last seconds, not
// from a beginning that was faster or slower.
func TestTimeLeftFollowsTheSpeed(t *testing.T) {
	for _, early := range []float64{0.001, 0.4} { // share done in the first 2 s
		p := &pace{}
		var left time.Duration
		for at := 2 * time.Second; at <= 12*time.Second; at += 100 * time.Millisecond {
			part := early + 0.01*(at-2*time.Second).Seconds() // then 1 % a second
			left, _ = p.left(at, part)
		}
		want := time.Duration((1 - early - 0.1) / 0.01 * float64(time.Second))
		if off := left - want; off < -time.Second || off > time.Second {
			t.Errorf("%g %% done in 2s: %v left, want %v", 100*early, left, want)
		}
	}
	p := &pace{}
	if _, ok := p.left(time.Second, 0); ok {
		t.Error("a run that has not begun has no time left")
	}
	if left, ok := p.left(2*time.Second, 0.5); !ok || left != 2*time.Second {
		t.Errorf("%v left, want 2s", left)
	}
}
