package main

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/livepage"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/swarm"
)

// TestThePageOfASwarm: while a swarm runs, its page is served, and in the end that of its summary.
func TestThePageOfASwarm(t *testing.T) {
	p, _, errs, file := planted(t)
	var clock time.Time
	p.now = func() time.Time { clock = clock.Add(pageEvery); return clock }
	engine := p.engine
	var once sync.Once
	p.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		once.Do(func() {
			body, _ := get(t, pageAt.FindStringSubmatch(errs.String())[1], "")
			if !strings.Contains(string(body), "<title>running: swarm") {
				t.Errorf("%.300s", body)
			}
		})
		return engine(ctx, s, o)
	}
	var last bytes.Buffer
	p.after = func(d time.Duration) <-chan time.Time { // the server lingers
		if d != time.Minute {
			return nil
		}
		body, _ := get(t, pageAt.FindStringSubmatch(errs.String())[1], "")
		last.Write(body)
		over := make(chan time.Time)
		close(over)
		return over
	}
	got := p.command(t.Context(), []string{"swarm", "--seeds", "1-9", "--jobs", "1", "--metrics", "0", "--linger", "1m", file})
	if got != statusFailed {
		t.Fatalf("status %d: %s", got, errs)
	}
	for _, want := range []string{"<title>failed", "no seed is a multiple of three", "anna drew it", "sim swarm --seeds 3-3"} {
		if !strings.Contains(last.String(), want) {
			t.Errorf("the page has no %q: %s", want, &last)
		}
	}
}

// TestTheLivePageOfASwarm: the page has the runs and the causes of failures so far.
func TestTheLivePageOfASwarm(t *testing.T) {
	b := newBench()
	now := time.Unix(0, 0)
	b.now = func() time.Time { now = now.Add(pageEvery); return now }
	c := &swarmCommand{output: output{program: &b.program}, exporter: &exporter{}, live: livepage.New("swarm", ""),
		started: now, summary: swarm.NewSummary()}
	c.summary.Failures = []swarm.Group{{Cause: "a rule is broken", Runs: 3, Seed: 7, File: "x.yaml",
		Check: reports.Check{Kind: reports.InvariantCheck, Verdict: reports.Failed, Expected: "another", Found: "this"}}}
	for range 3 {
		c.summary.Runs += 50
		c.showProgress("failures are made smaller")
	}
	var page bytes.Buffer
	if err := c.live.Write(&page, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<title>running: swarm", "150 runs, 0 failed, 50.0 per second", "runs 50",
		"failures are made smaller", "a rule is broken (3 runs, first with the seed 7 of x.yaml)"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %q: %s", want, &page)
		}
	}
}
