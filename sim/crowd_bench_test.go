package sim

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/virtual"
)

// crowdAt builds scenarios/crowd.yaml and runs it up to a virtual time.
func crowdAt(b *testing.B, form string, at time.Duration) *run {
	b.Helper()
	phones := "100000"
	if testing.Short() {
		phones = "2000"
	}
	s, err := scenarios.Load("../scenarios/crowd.yaml", scenarios.Options{
		Vars: map[string]string{"PHONES": phones, "FORM": form, "LENGTH": "24h"},
	})
	if err != nil {
		b.Fatal(err)
	}
	r, err := newRun(b.Context(), s, Options{})
	if err != nil {
		b.Fatal(err)
	}
	runTo(b, r, at)
	return r
}

func runTo(b *testing.B, r *run, at time.Duration) {
	b.Helper()
	if err := r.world.Run(b.Context(), at, nil); err != nil {
		b.Fatal(err)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// BenchmarkCrowd runs one virtual second of 100,000 phones in each iteration,
// with every check on, in the steady state: every contact log is as full as it
// gets. Its yardstick, the bare heap with as many pending events, is measured
// in turn with it.
func BenchmarkCrowd(b *testing.B) {
	const rest, steady = 14 * time.Second, 200 * time.Second
	for _, form := range []string{"single", "split"} {
		b.Run(form, func(b *testing.B) {
			before := liveHeap()
			r := crowdAt(b, form, rest)
			phones := float64(len(r.accounts))
			atRest := liveHeap()
			runTo(b, r, steady)
			entries := float64(r.records.Totals().Beacons.Kept - r.records.Totals().Beacons.Expired)
			perEntry := float64(liveHeap()-atRest) / entries

			y := newYardstick(r.world.(*virtual.World).Pending())
			beacons, events, made := r.records.Totals().Beacons.Delivered, r.world.Events(), mallocs()
			var crowd, bare time.Duration
			b.ResetTimer()
			for n := 1; b.Loop(); n++ {
				was := r.world.Events()
				began := time.Now()
				runTo(b, r, steady+time.Duration(n)*time.Second)
				crowd += time.Since(began)
				b.StopTimer()
				began = time.Now()
				y.turn(int(r.world.Events() - was))
				bare += time.Since(began)
				b.StartTimer()
			}
			b.StopTimer()
			delivered := float64(r.records.Totals().Beacons.Delivered - beacons)
			happened := float64(r.world.Events() - events)
			b.ReportMetric(delivered/crowd.Seconds(), "beacons/s")
			b.ReportMetric(happened/crowd.Seconds(), "events/s")
			b.ReportMetric(happened/bare.Seconds(), "bare-events/s")
			b.ReportMetric(bare.Seconds()/crowd.Seconds(), "of-bare")
			b.ReportMetric(float64(mallocs()-made)/delivered, "allocs/beacon")
			b.ReportMetric(float64(atRest-before)/phones, "B/phone")
			b.ReportMetric(perEntry, "B/entry")
			if len(r.measures.violations) > 0 {
				b.Fatalf("an invariant did not hold: %+v", r.measures.violations)
			}
		})
	}
}

// yardstick is a bare heap that is kept at one size.
type yardstick struct {
	heap virtual.Yardstick
	rnd  *rand.Rand
}

func newYardstick(pending int) *yardstick {
	y := &yardstick{rnd: rand.New(rand.NewPCG(1, 1))}
	for range pending {
		y.heap.Push(y.later(0))
	}
	return y
}

func (y *yardstick) later(at int64) int64 { return at + y.rnd.Int64N(int64(20*time.Second)) }

func (y *yardstick) turn(events int) {
	for range events {
		y.heap.Push(y.later(y.heap.Pop()))
	}
}
