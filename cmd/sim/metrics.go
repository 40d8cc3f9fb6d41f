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

// metricsFlags say where a run's metrics are served, and what is kept of them.
type metricsFlags struct {
	address string // host:port; empty: nowhere
	linger  time.Duration
	step    time.Duration // 0: nothing is kept
}

const lingerMax = time.Minute

func (f *metricsFlags) define(set *pflag.FlagSet) {
	set.StringVar(&f.address, "metrics", "", "serve the metrics at `HOST:PORT`, path /metrics; a port alone is on\nthe loopback, port 0 any that is free")
	set.DurationVar(&f.linger, "linger", 0, "with --metrics: serve them after the end until they were read once\nmore, but no longer than this `DURATION`, 1m at most")
	set.DurationVar(&f.step, "step", 0, "with --out: write the metrics at every `DURATION` of virtual time to\nNAME.steps.openmetrics.txt, for Prometheus to read in")
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
	if err := f.checkStep(set); err != nil || !set.Changed("metrics") {
		return err
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

func (f *metricsFlags) checkStep(set *pflag.FlagSet) error {
	switch {
	case !set.Changed("step"):
		return nil
	case f.step < time.Millisecond:
		return fmt.Errorf("--step %v is not 1ms or more", f.step)
	case !set.Changed("out"):
		return errors.New("--step is of use with --out only: it writes a file")
	case set.Changed("live"):
		return errors.New("--step is of use in virtual time only: a live run is scraped, with --metrics")
	}
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
		fmt.Fprintf(b.stderr, "metrics at http://%s/metrics\n", b.metrics.Address())
	}
	return nil
}

// showEvery is the wall time between two looks at a run in virtual time.
const showEvery = 500 * time.Millisecond

// measure makes the meter that the flags ask for, has it served and fed with
// what the run tells of itself; nil: nobody asks.
func (b *batch) measure(s *scenarios.Scenario, o *sim.Options) *reports.Meter {
	f := &b.runFlags.metrics
	b.history = nil
	if b.metrics == nil && f.step == 0 {
		return nil
	}
	id := fmt.Sprintf("%s-%d", b.now().UTC().Format("20060102T150405Z"), len(b.runs)+1)
	m := reports.NewMeter(s.Name, id)
	m.SetThresholds(0, 0, len(s.Thresholds))
	o.Meter = m
	if b.metrics != nil {
		b.metrics.add(m.Gatherer())
		b.follow(m, o)
	}
	switch {
	case f.step > 0 && s.Load != nil:
		fmt.Fprintf(b.stderr, "%s: --step writes nothing of a load, which is scraped: use --metrics\n", reports.Escape(s.File))
	case f.step > 0:
		b.history = &reports.History{}
		o.Step = f.step
		o.Stepped = func(at sim.Progress) {
			b.show(m, at.Run())
			b.keep(m, s, at.At)
		}
	}
	return m
}

// follow looks at a run now and then, through its progress.
func (b *batch) follow(m *reports.Meter, o *sim.Options) {
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
}

func (b *batch) show(m *reports.Meter, r *reports.Run) {
	if err := m.SetResult(r); err != nil {
		b.complain(err, "")
		b.worst = max(b.worst, impossible)
	}
}

// keep adds to the history what the meter shows, as of a virtual time.
func (b *batch) keep(m *reports.Meter, s *scenarios.Scenario, at time.Duration) {
	if b.history == nil {
		return
	}
	if err := b.history.Add(time.Unix(s.Start, 0).Add(at), m.Gatherer()); err != nil {
		b.complain(fmt.Errorf("%s: %w", s.File, err), "choose a longer --step")
		b.worst = max(b.worst, impossible)
		b.history = nil
	}
}

// measured takes over how a run ended.
func (b *batch) measured(m *reports.Meter, s *scenarios.Scenario, r *sim.Result) error {
	if m == nil {
		return nil
	}
	if err := m.Finish(&r.Run); err != nil {
		return err
	}
	b.keep(m, s, r.Ended)
	return nil
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
	if err := b.metrics.Close(); err != nil {
		b.complain(fmt.Errorf("serving the metrics: %w", err), "")
		b.worst = max(b.worst, impossible)
	}
}
