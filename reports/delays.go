package reports

import (
	"math"
	"time"
)

// Delays sums up one operation, in milliseconds. The values are those of an
// HDR histogram: a quantile or the maximum is the largest value that the
// histogram cannot tell from the true one, the minimum the smallest, so with
// three digits each is within 0.1 % of the truth.
type Delays struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// Count is the number of samples.
func (o Operation) Count() int64 {
	if o.Histogram == nil {
		return 0
	}
	return o.Histogram.TotalCount()
}

// Delays of the operation; all zero without a sample.
func (o Operation) Delays() Delays {
	if o.Count() == 0 {
		return Delays{}
	}
	h := o.Histogram
	q := h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99})
	return Delays{
		Min: milliseconds(float64(h.Min())), Mean: milliseconds(h.Mean()),
		P50: milliseconds(float64(q[0])), P90: milliseconds(float64(q[1])),
		P95: milliseconds(float64(q[2])), P99: milliseconds(float64(q[3])),
		Max: milliseconds(float64(h.Max())),
	}
}

func milliseconds(nanoseconds float64) float64 {
	return nanoseconds / float64(time.Millisecond)
}

// Throughput is derived from a run's counts and its two times. A rate over no
// time is 0.
type Throughput struct {
	BeaconsPerVirtualSecond float64 `json:"beacons_per_virtual_second"` // delivered
	BeaconsPerWallSecond    float64 `json:"beacons_per_wall_second"`    // delivered
	EventsPerWallSecond     float64 `json:"events_per_wall_second"`
	// VirtualPerWall is how many times faster than life the run was.
	VirtualPerWall float64 `json:"virtual_per_wall"`
}

// Throughput of the run.
func (r *Run) Throughput() Throughput {
	return Throughput{
		BeaconsPerVirtualSecond: ratio(float64(r.Beacons.Delivered), r.VirtualSeconds),
		BeaconsPerWallSecond:    ratio(float64(r.Beacons.Delivered), r.WallSeconds),
		EventsPerWallSecond:     ratio(float64(r.Events), r.WallSeconds),
		VirtualPerWall:          ratio(r.VirtualSeconds, r.WallSeconds),
	}
}

func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return finite(a / b)
}

// finite is x, or 0 when x is no number that JSON can write.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
}
