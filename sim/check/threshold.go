package check

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// Compare returns the result of a comparison operator of the language.
func Compare(left float64, op string, right float64) bool {
	switch op {
	case "==", "===":
		return left == right
	case "!=":
		return left != right
	case "<":
		return left < right
	case "<=":
		return left <= right
	case ">":
		return left > right
	case ">=":
		return left >= right
	}
	panic(fmt.Sprintf("check: unknown operator %q", op))
}

// Sample is the input of a threshold: the delays of a trend in nanoseconds, or a
// count with its rate per second or its share.
type Sample struct {
	Trend       *hdrhistogram.Histogram // nil for a counter
	Count, Rate float64                 // Rate is not a number if there is nothing to count
}

// Share returns the sample of a count that is a part of another one.
func Share(part, of uint64) Sample {
	return Sample{Count: float64(part), Rate: float64(part) / float64(of)}
}

// Threshold evaluates a threshold. ok is false if there is no value: the trend has no
// sample, or the rate is a share of nothing.
func Threshold(t *scenarios.Threshold, s Sample) (value float64, held, ok bool) {
	switch {
	case s.Trend != nil && s.Trend.TotalCount() == 0, s.Trend == nil && t.Method == "rate" && math.IsNaN(s.Rate):
		return 0, false, false
	case s.Trend != nil:
		value = trend(t, s.Trend)
	case t.Method == "count":
		value = s.Count
	default:
		value = s.Rate
	}
	return value, Compare(value, t.Op, t.Value), true
}

// trend returns an aggregate of delays in milliseconds.
func trend(t *scenarios.Threshold, h *hdrhistogram.Histogram) float64 {
	ms := func(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }
	switch t.Method {
	case "avg":
		return h.Mean() / float64(time.Millisecond)
	case "min":
		return ms(h.Min())
	case "max":
		return ms(h.Max())
	case "med":
		return ms(stats.Quantile(h, 50))
	case "p":
		return ms(stats.Quantile(h, t.Quantile))
	case "count":
		return float64(h.TotalCount())
	}
	panic(fmt.Sprintf("check: unknown method %q of a trend", t.Method))
}

// Number formats a value without an exponent.
func Number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
