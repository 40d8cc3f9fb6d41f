package load

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// TestAchievedRateAfterTheWarmUp: in the first second after the warm-up, the last whole second is one of the warm-up. The
// few arrivals of a moment are no rate.
func TestAchievedRateAfterTheWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := steady(20, 3*time.Second, scenarios.VerbLogin)
		load.WarmUp = 2 * time.Second
		load.Expected = map[string]time.Duration{"connect": time.Millisecond}
		c := faked(newFake(), 10, load)
		var mu sync.Mutex
		seen := 0
		c.Progress = func(at, _ time.Duration, n *reports.LoadNow) {
			mu.Lock()
			defer mu.Unlock()
			if at < time.Second {
				return
			}
			seen++
			if n.Achieved < 19 || n.Achieved > 21 {
				t.Errorf("%v arrivals per second at %v, want 20", n.Achieved, at)
			}
		}
		ran(t, c)
		mu.Lock()
		defer mu.Unlock()
		if seen < 30 {
			t.Errorf("progress was reported %d times", seen)
		}
	})
}

// TestUsageIsSampled: each second has the processor time since the one before. A server that was killed has no memory,
// and its usage ends.
func TestUsageIsSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := steady(100, 3500*time.Millisecond, scenarios.VerbLogin)
		load.WarmUp = time.Second
		load.Expected = map[string]time.Duration{"connect": time.Millisecond}
		c := faked(newFake(), 10, load)
		began := c.Clock.Now()
		processors := time.Duration(runtime.NumCPU())
		c.OwnUsage = func() (Usage, bool) {
			return Usage{User: c.Clock.Since(began) * processors / 4, ResidentBytes: 7}, true
		}
		c.ServerUsage = func() (Usage, bool) {
			u := Usage{System: c.Clock.Since(began) * processors / 2, ResidentBytes: 9, PeakBytes: 12}
			if c.Clock.Since(began) >= 2500*time.Millisecond {
				u.ResidentBytes, u.PeakBytes = 0, 0
			}
			return u, true
		}
		own, server := &reports.SampledUse{CPUShare: .25, ResidentBytes: 7}, &reports.SampledUse{CPUShare: .5,
			ResidentBytes: 9}
		want := []reports.UseSample{{AtSeconds: 1, Generator: own, Server: server}, {AtSeconds: 2, Generator: own,
			Server: server},
			{AtSeconds: 3, Generator: own}, {AtSeconds: 4, Generator: own}}
		r := ran(t, c).Report(c.Traffic)
		if d := cmp.Diff(want, r.Use, cmpopts.EquateApprox(0, .02)); d != "" {
			t.Error(d)
		}
		if r.ServerUse == nil || r.ServerUse.ResidentBytes != 9 || r.ServerUse.PeakBytes != 12 {
			t.Errorf("the server used %+v, want the memory that it had before it was killed", r.ServerUse)
		}
	})
}
