package runpage

import (
	"fmt"
	"math"

	"bluetrace/reports"
	"bluetrace/reports/chart"
	"bluetrace/reports/stats"
)

// columnsPerDecade is the number of columns of a distribution for each factor of ten.
const columnsPerDecade = 20

// leastDelay is the lowest delay on the axis of a distribution, in milliseconds. The first column has those below.
const leastDelay = 1e-3

// column holds the samples of one column of a distribution.
type column struct {
	index     int
	low, high float64 // the lowest and the highest value, in milliseconds
	count     uint64
}

// distributions returns a chart of the delays of each kind of operation.
func distributions(operations []reports.Operation) (list []*chart.Chart) {
	for _, o := range operations {
		if o.Count() > 0 {
			list = append(list, distribution(o))
		}
	}
	return list
}

func distribution(o reports.Operation) *chart.Chart {
	d := o.Delays()
	n := uint64(o.Count())
	out := &chart.Chart{
		Title: fmt.Sprintf("%s: %s", o.Name, reports.Plural(n, "sample", "samples")), Height: 90,
		X: chart.Log("ms (log)", 1, 10, max(d.Min, leastDelay), max(d.Max, leastDelay)),
	}
	if d.Min < leastDelay {
		out.X.Name += "; less is shown at " + chart.Number(leastDelay)
	}
	bars := chart.Blocks{Color: chart.Blue, Level: 6}
	var most float64
	for _, c := range columnsOf(o) {
		from, to := columnFrom(c.index), columnFrom(c.index+1)
		bars.List = append(bars.List, chart.Block{From: from, To: to, High: float64(c.count)})
		text := reports.FormatDigits(c.low)
		if high := reports.FormatDigits(c.high); high != text {
			text += " to " + high
		}
		text += " ms: " + reports.Plural(c.count, "sample", "samples")
		out.Hints = append(out.Hints, chart.Hint{From: from, To: to, Text: text})
		most = max(most, float64(c.count))
	}
	out.Blocks = []chart.Blocks{bars}
	if out.Y = chart.Linear("samples", most); out.Y.Max < 5 {
		out.Y.Step = 1
	}
	if n > 1 {
		out.Rules = quantileRules(d)
	}
	return out
}

// quantileRules returns the marks of the quantiles. Those with the same value share one.
func quantileRules(d reports.Delays) (rules []chart.Rule) {
	for _, q := range []struct {
		name  string
		color chart.Color
		dash  string
		at    float64
	}{
		{"p50", chart.Green, "", d.P50}, {"p95", chart.Orange, chart.Dashed, d.P95},
		{"p99", chart.Red, chart.Dotted, d.P99},
	} {
		if last := len(rules) - 1; last >= 0 && rules[last].At == q.at {
			rules[last].Name += ", " + q.name
			continue
		}
		rules = append(rules, chart.Rule{Name: q.name, Color: q.color, Dash: q.dash, Vertical: true, At: q.at})
	}
	for i := range rules {
		rules[i].Name += " " + reports.FormatDigits(rules[i].At) + " ms"
	}
	return rules
}

// columnsOf returns the columns that hold samples, from the lowest delay on.
func columnsOf(o reports.Operation) (list []column) {
	for bar := range stats.Bars(o.Histogram) {
		low := float64(bar.Low) / 1e6
		high := float64(bar.Low+max(1, 2*(bar.Middle-bar.Low))-1) / 1e6 // as in Delays
		index := int(math.Floor(math.Log10(max(low, leastDelay)) * columnsPerDecade))
		if last := len(list) - 1; last < 0 || list[last].index != index {
			list = append(list, column{index: index, low: low})
		}
		c := &list[len(list)-1]
		c.high, c.count = high, c.count+uint64(bar.Count)
	}
	return list
}

// columnFrom returns the lowest delay of a column in milliseconds.
func columnFrom(index int) float64 { return math.Pow(10, float64(index)/columnsPerDecade) }
