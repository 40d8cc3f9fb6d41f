package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// metricsFlags say where a run's metrics are served.
type metricsFlags struct {
	address string // host:port; empty: nowhere
	linger  time.Duration
}

const lingerMax = time.Minute

func (f *metricsFlags) define(set *pflag.FlagSet) {
	set.StringVar(&f.address, "metrics", "", "serve the metrics at `HOST:PORT`, path /metrics; a port alone is on\nthe loopback, port 0 any that is free")
	set.DurationVar(&f.linger, "linger", 0, "with --metrics: serve them after the end until they were read once\nmore, but no longer than this `DURATION`, 1m at most")
}

// check refuses what cannot be meant, and completes the address.
func (f *metricsFlags) check(set *pflag.FlagSet) error {
	if set.Changed("linger") {
		switch {
		case !set.Changed("metrics"):
			return errors.New("--linger is of use with --metrics only: there is nothing to be read")
		case f.linger <= 0 || f.linger > lingerMax:
			return fmt.Errorf("--linger %v is not above 0 and at most %v", f.linger, lingerMax)
		}
	}
	if !set.Changed("metrics") {
		return nil
	}
	host, port := "", f.address
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		if host, port, err = net.SplitHostPort(f.address); err != nil {
			return fmt.Errorf("--metrics %q is neither HOST:PORT nor a port", f.address)
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("--metrics %q has no port from 0 to 65535", f.address)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	f.address = net.JoinHostPort(host, port)
	return nil
}

// serveMetrics begins to serve what --metrics asks for.
func (b *batch) serveMetrics() (err error) {
	f := &b.runFlags.metrics
	if f.address == "" {
		return nil
	}
	if b.metrics, err = export(f.address); err != nil {
		return err
	}
	if _, port, _ := net.SplitHostPort(f.address); port == "0" || !b.quiet {
		fmt.Fprintf(b.stderr, "metrics at http://%s/metrics\n", b.metrics.address())
	}
	return nil
}

// showEvery is the wall time between two looks at a run in virtual time.
const showEvery = 500 * time.Millisecond

// measure has the metrics of s served, and fed with what the run tells of
// itself; nil: none are asked for.
func (b *batch) measure(s *scenarios.Scenario, o *sim.Options) *reports.Meter {
	if b.metrics == nil {
		return nil
	}
	id := fmt.Sprintf("%s-%d", b.now().UTC().Format("20060102T150405Z"), len(b.runs)+1)
	m := reports.NewMeter(s.Name, id)
	m.Thresholds(0, 0, len(s.Thresholds))
	b.metrics.add(m.Gatherer())
	o.Meter = m
	others := o.Progress
	var looked time.Time
	o.Progress = func(at sim.Progress) {
		if now := b.now(); at.Run != nil && now.Sub(looked) >= showEvery {
			looked = now
			b.show(m, at.Run())
		}
		if others != nil {
			others(at)
		}
	}
	return m
}

func (b *batch) show(m *reports.Meter, r *reports.Run) {
	if err := m.Show(r); err != nil {
		b.complain(err, "")
		b.worst = max(b.worst, impossible)
	}
}

// endMetrics serves the last figures as long as --linger says, and no more after
// that.
func (b *batch) endMetrics(ctx context.Context) {
	if b.metrics == nil {
		return
	}
	if d := b.runFlags.metrics.linger; d > 0 && ctx.Err() == nil {
		if !b.quiet {
			fmt.Fprintf(b.stderr, "metrics are served until they were read once more, for %v at most\n", d)
		}
		b.metrics.linger(ctx, b.after(d))
	}
	if err := b.metrics.close(); err != nil {
		b.complain(fmt.Errorf("serving the metrics: %w", err), "")
		b.worst = max(b.worst, impossible)
	}
}
