package check

import (
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/scenarios"
)

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		op                   string
		less, equal, greater bool
	}{
		{"==", false, true, false},
		{"===", false, true, false},
		{"!=", true, false, true},
		{"<", true, false, false},
		{"<=", true, true, false},
		{">", false, false, true},
		{">=", false, true, true},
	} {
		if got := Compare(1, c.op, 2); got != c.less {
			t.Errorf("1 %s 2 is %t", c.op, got)
		}
		if got := Compare(2, c.op, 2); got != c.equal {
			t.Errorf("2 %s 2 is %t", c.op, got)
		}
		if got := Compare(3, c.op, 2); got != c.greater {
			t.Errorf("3 %s 2 is %t", c.op, got)
		}
	}
}

func TestUnknownWordsPanic(t *testing.T) {
	h := hdrhistogram.New(1, 1000, 3)
	if err := h.RecordValue(5); err != nil {
		t.Fatal(err)
	}
	for want, call := range map[string]func(){
		`check: unknown operator "=<"`: func() { Compare(1, "=<", 2) },
		`check: unknown method "rate" of a trend`: func() {
			Threshold(&scenarios.Threshold{Method: "rate", Op: "<"},
				Sample{Trend: h})
		},
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("it panics with %v, want %q", got, want)
				}
			}()
			call()
		}()
	}
}

// TestThresholds checks exact values of every method. The trend has the values 4, 8
// ... 400 ns, which a histogram of three digits represents exactly.
func TestThresholds(t *testing.T) {
	h := hdrhistogram.New(1, 3_600_000_000_000, 3)
	for i := int64(1); i <= 100; i++ {
		if err := h.RecordValue(i * 4); err != nil {
			t.Fatal(err)
		}
	}
	trend := Sample{Trend: h}
	counter := Sample{Count: 30, Rate: 0.25}
	for _, c := range []struct {
		s        Sample
		method   string
		quantile float64
		value    float64
	}{
		{trend, "min", 0, 4e-6},
		{trend, "max", 0, 400e-6},
		{trend, "avg", 0, 202e-6},
		{trend, "med", 0, 200e-6},
		{trend, "p", 0, 4e-6},
		{trend, "p", 50, 200e-6},
		{trend, "p", 95, 380e-6},
		{trend, "p", 99.5, 400e-6},
		{trend, "p", 100, 400e-6},
		{trend, "count", 0, 100},
		{counter, "count", 0, 30},
		{counter, "rate", 0, 0.25},
		{Sample{}, "count", 0, 0},
	} {
		for _, op := range []struct {
			op    string
			limit float64
			held  bool
		}{
			{"==", c.value, true}, {"!=", c.value, false}, {"<", c.value, false}, {"<=", c.value, true},
			{">", c.value, false}, {">=", c.value, true}, {"<", c.value + 1e-9, true}, {">", c.value + 1e-9, false},
			{">", c.value - 1e-9, true}, {"<=", c.value - 1e-9, false},
		} {
			th := scenarios.Threshold{Method: c.method, Quantile: c.quantile, Op: op.op, Value: op.limit}
			value, held, ok := Threshold(&th, c.s)
			if value != c.value || held != op.held || !ok {
				t.Errorf("%s(%g)%s%g came to %g, held: %t (%t); want %g, held: %t", c.method, c.quantile, op.op,
					op.limit, value, held, ok, c.value, op.held)
			}
		}
	}
}

// TestThresholdWithoutASample checks that a threshold without a sample never holds.
func TestThresholdWithoutASample(t *testing.T) {
	empty := Sample{Trend: hdrhistogram.New(1, 1000, 3)}
	for _, method := range []string{"avg", "min", "max", "med", "p", "count"} {
		if value, held, ok := Threshold(&scenarios.Threshold{Method: method, Op: "<", Value: 6}, empty); value != 0 ||
			held || ok {
			t.Errorf("%s<6 of nothing came to %g, held: %t, had a value: %t", method, value, held, ok)
		}
	}
}

func TestNumber(t *testing.T) {
	for want, v := range map[string]float64{"3": 3, "0.25": 0.25, "179.999999999": 179.999999999, "1000000": 1e6,
		"-2": -2} {
		if got := Number(v); got != want {
			t.Errorf("%g is written %q, want %q", v, got, want)
		}
	}
}
