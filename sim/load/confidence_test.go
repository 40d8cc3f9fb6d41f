package load

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// spread returns a measurement with a number of logins in each of a number of
// seconds, evenly from 0 to 100 ms, and with downloads of 5 ms.
func spread(seconds, each int) *Measurement {
	m := &Measurement{warm: newFigures(0), figures: newFigures(0), seed: 1}
	draws := rand.New(rand.NewPCG(1, 2))
	for s := range seconds {
		for range each {
			due := time.Duration(s) * time.Second
			m.figures.add(&Row{Operation: Login, Due: due, Ready: due, Sent: due,
				Done: due + time.Duration(draws.Float64()*1e8)})
			m.figures.add(&Row{Operation: TempID, Due: due, Ready: due, Sent: due, Done: due + 5*time.Millisecond})
		}
	}
	return m
}

func TestConfidence(t *testing.T) {
	of := func(metric, method, op string, quantile, value float64) scenarios.Threshold {
		return scenarios.Threshold{Metric: metric, Method: method, Op: op, Quantile: quantile, Value: value}
	}
	median := of("login.response_time", "med", "<", 0, 60)
	for _, c := range []struct {
		name      string
		seconds   int
		list      []scenarios.Threshold
		low, high float64
		none      bool
	}{
		{"far below", 30, []scenarios.Threshold{of("login.response_time", "p", "<", 50, 60)}, 1, 1, false},
		{"far above", 30, []scenarios.Threshold{of("login.response_time", "p", "<", 99, 90)}, 0, 0, false},
		{"at the quantile itself", 30, []scenarios.Threshold{of("login.response_time", "p", "<=", 50, 50)}, 0.1, 0.9,
			false},
		{"of two the worse counts", 30, []scenarios.Threshold{median, of("login.response_time", "p", "<", 99, 90)}, 0,
			0, false},
		{"one operation is not the other", 30, []scenarios.Threshold{of("tempid.response_time", "max", "<", 0, 5.1)}, 1,
			1, false},
		{"all operations", 30, []scenarios.Threshold{of("response_time", "avg", "<", 0, 29), of("response_time", "avg",
			">", 0, 26), of("response_time", "min", "<", 0, 1)}, 0.99, 1, false},
		{"an operation that did not happen", 30, []scenarios.Threshold{median, of("upload.response_time", "p", "<", 99,
			90)}, 0, 0, false},
		{"too short", stats.MinSeconds - 1, []scenarios.Threshold{median}, 0, 0, true},
		{"nothing on response times", 30, []scenarios.Threshold{of("service_time", "p", "<", 99, 1),
			of("operations_failed", "count", "==", 0, 0)}, 0, 0, true},
		{"others have no part", 30, []scenarios.Threshold{median, of("service_time", "p", "<", 99, 1)}, 1, 1, false},
	} {
		got, ok := spread(c.seconds, 100).Confidence(c.list)
		if ok == c.none || got < c.low || got > c.high {
			t.Errorf("%s: %v (%v), want %v to %v", c.name, got, ok, c.low, c.high)
		}
	}
}

// TestConfidenceIsCalibrated draws runs whose true p95 is exactly at the limit:
// the confidence is above a half as often as below.
func TestConfidenceIsCalibrated(t *testing.T) {
	draws := rand.New(rand.NewPCG(8, 9))
	const runs = 80
	above, sum := 0, 0.0
	for range runs {
		m := &Measurement{warm: newFigures(0), figures: newFigures(0), seed: draws.Uint64()}
		for s := range 20 {
			for range 50 {
				due := time.Duration(s) * time.Second
				m.figures.add(&Row{Operation: Login, Due: due, Done: due + time.Duration(draws.Float64()*1e8)})
			}
		}
		// The top of a cell is up to 0.8 % above its values, and 0.4 % above its middle.
		got, ok := m.Confidence([]scenarios.Threshold{{Metric: "response_time", Method: "p", Op: "<", Quantile: 95,
			Value: 95.3}})
		if !ok {
			t.Fatal("no confidence")
		}
		sum += got
		if got > .5 {
			above++
		}
	}
	if math.Abs(float64(above)/runs-.5) > .15 || math.Abs(sum/runs-.5) > .1 {
		t.Errorf("%d of %d above a half, %.2f on average; want half of them, 0.5", above, runs, sum/runs)
	}
}
