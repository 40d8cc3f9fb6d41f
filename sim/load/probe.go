package load

import (
	"context"
	"fmt"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// Probe is how long the first phone takes to connect, log in and download a
// TempID while nobody else does anything. Nothing of it is measured.
func Probe(ctx context.Context, c Config) (took time.Duration, err error) {
	c.Phones, c.Meter = c.Phones[:1], reports.NewMeter("", "")
	c.Traffic = &scenarios.Traffic{Timeout: c.Traffic.Timeout, Mix: []scenarios.Weight{{Verb: scenarios.VerbDownload, Weight: 1}}}
	e := &engine{Config: c, ctx: ctx, origin: c.Clock.Now(), scripts: scriptsOf(c.Traffic), warm: newFigures(0), measured: newFigures(0)}
	e.expected.Store(&[operations]time.Duration{})
	defer func() {
		if closed := e.close(); err == nil {
			err = closed
		}
	}()
	e.makePhones()
	began := e.now()
	if err := e.prepare(); err != nil {
		return 0, err
	}
	return e.now() - began, nil
}

// A server has recovered from a step when it answers a single phone within twice
// what it took before the search, give or take what one write to a disk may.
const (
	recoveredFactor = 2
	recoveredSpare  = 20 * time.Millisecond
	probeAgain      = 200 * time.Millisecond
)

// Recover waits until the server answers as it did when idle, in which a probe
// took so long. The error says that it did not within limit.
func Recover(ctx context.Context, c Config, idle, limit time.Duration) error {
	began := c.Clock.Now()
	for {
		took, err := Probe(ctx, c)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && took <= recoveredFactor*idle+recoveredSpare:
			return nil
		case c.Clock.Since(began) < limit:
			c.Clock.Sleep(probeAgain)
		case err != nil:
			return fmt.Errorf("the server had not recovered %v later: %w", limit, err)
		default:
			return fmt.Errorf("the server had not recovered %v later: a login and a download took %v, and %v before the search",
				limit, took.Round(time.Millisecond/10), idle.Round(time.Millisecond/10))
		}
	}
}
