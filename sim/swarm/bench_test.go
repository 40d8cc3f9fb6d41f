//go:build unix

package swarm

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/shrink"
)

// formed returns an engine in which every phone sends beacons in the given form.
func formed(form scenarios.Form) func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error) {
	return func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		for i := range s.Phones {
			s.Phones[i].Form = form
		}
		return sim.Run(ctx, s, o)
	}
}

// BenchmarkSwarm runs seeds of classroom with all checks and situations. One iteration is one seed. One worker on one
// processor takes turns with two workers on two. The metric of-linear is the speedup of two workers divided by two, and
// cores-of-two is the number of processors that they could use.
func BenchmarkSwarm(b *testing.B) {
	base := classroom(b)
	defer debug.SetGCPercent(debug.SetGCPercent(GCPercent))
	const turn = 100 // seeds: the end of a turn, where one of two waits, is short beside it
	for _, form := range []scenarios.Form{scenarios.FormSplit, scenarios.FormSingle} {
		b.Run(string(form), func(b *testing.B) {
			var one, two speed
			for first := 1; first <= b.N; first += turn {
				seeds := Range{uint64(first), uint64(min(first+turn-1, b.N))}
				one.run(b, base, form, seeds, 1)
				two.run(b, base, form, seeds, 2)
			}
			runs := float64(one.runs)
			b.ReportMetric(runs/one.took.Seconds(), "seeds/s")
			b.ReportMetric(runs/one.cpu.Seconds(), "seeds/cpu-s")
			b.ReportMetric(one.took.Seconds()/two.took.Seconds()/2, "of-linear")
			b.ReportMetric(two.cpu.Seconds()/two.took.Seconds(), "cores-of-two")
			b.ReportMetric(one.virtual.Seconds()/one.took.Seconds(), "times-life")
			b.ReportMetric(float64(one.events)/runs, "events/seed")
		})
	}
}

// speed adds up the durations and results of runs.
type speed struct {
	runs, events       uint64
	took, cpu, virtual time.Duration
}

// run runs and adds seeds, on as many processors as workers.
func (s *speed) run(b *testing.B, base *scenarios.Scenario, form scenarios.Form, seeds Range, workers int) {
	b.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
	sum := NewSummary()
	began, used := time.Now(), cpuTime(b)
	err := Run(context.Background(), Options{Bases: []*scenarios.Scenario{base}, Seeds: seeds.Seeds(), Jobs: workers,
		Situations: true, Engine: formed(form), OnOutcome: sum.Add})
	if err != nil || len(sum.Failures) > 0 {
		b.Fatal(err, sum.Failures)
	}
	s.took += time.Since(began)
	s.cpu += cpuTime(b) - used
	s.runs += sum.Runs
	s.events += sum.Events
	s.virtual += time.Duration(sum.VirtualMs) * time.Millisecond
}

// cpuTime returns the processor time of this process.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDraw generates a scenario from classroom without running it.
func BenchmarkDraw(b *testing.B) {
	base := classroom(b)
	for i := range b.N {
		Draw(base, uint64(i))
	}
}

// BenchmarkShrink reduces generated scenarios with a planted cause that only faults produce: an upload breaks. One
// iteration is one scenario.
func BenchmarkShrink(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(GCPercent))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const cause = "an upload breaks"
	causes := func(r *sim.Result, err error) []string {
		if err != nil || r.Run.Uploads.Broken == 0 {
			return nil
		}
		return []string{cause}
	}
	try := shrink.VirtualTry(sim.Options{WithoutDelays: true}, causes)
	base := classroom(b)
	var took time.Duration
	runs, steps, phones, seed := 0, 0, 0, uint64(0)
	for done := 0; done < b.N; {
		seed++
		s, _ := Draw(base, seed)
		began := time.Now()
		_, report, err := shrink.Reduce(context.Background(), s, cause, try,
			shrink.Options{Seeds: []uint64{1, 2, 3, 4, 5}})
		switch {
		case errors.Is(err, shrink.ErrNotFailing):
			continue
		case err != nil:
			b.Fatal(err)
		}
		done++
		took += time.Since(began)
		runs, steps, phones = runs+report.Runs, steps+report.Steps, phones+report.Phones
	}
	n := float64(b.N)
	b.ReportMetric(took.Seconds()/n, "s/shrink")
	b.ReportMetric(float64(runs)/n, "runs/shrink")
	b.ReportMetric(float64(steps)/n, "steps")
	b.ReportMetric(float64(phones)/n, "phones")
}

// BenchmarkSituations runs the same seeds with the situations and without them.
func BenchmarkSituations(b *testing.B) {
	base := classroom(b)
	defer debug.SetGCPercent(debug.SetGCPercent(GCPercent))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, c := range []struct {
		name       string
		situations bool
	}{
		{"invariants", false},
		{"invariants and situations", true},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := NewSummary()
			used := cpuTime(b)
			err := Run(context.Background(), Options{Bases: []*scenarios.Scenario{base},
				Seeds: Range{1, uint64(b.N)}.Seeds(), Jobs: 1,
				Situations: c.situations, OnOutcome: s.Add})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(s.Runs)/(cpuTime(b)-used).Seconds(), "seeds/cpu-s")
		})
	}
}
