package runpage

import (
	"fmt"

	"bluetrace/reports"
	"bluetrace/reports/chart"
)

// line is a line of a chart: a value of a sample.
type line struct {
	name  string
	value func(*reports.Sample) uint64
}

// sampleChart is a chart over the time of the run.
type sampleChart struct {
	title string
	lines []line
	// gauge: the values are those at the times of the samples; otherwise their differences.
	gauge bool
}

// charts returns the charts of a run, and the names of those that would be empty.
func charts(s *reports.Scene) (list []*chart.Chart, empty []string) {
	for _, c := range []sampleChart{
		{title: "Beacons and lost datagrams", lines: []line{
			{"beacons sent", func(s *reports.Sample) uint64 { return s.Beacons.Sent }},
			{"valid", func(s *reports.Sample) uint64 { return s.Beacons.Valid }},
			{"invalid", func(s *reports.Sample) uint64 { return s.Beacons.Invalid }},
			{"datagrams lost", func(s *reports.Sample) uint64 { return s.Datagrams.Lost }},
		}},
		{title: "Entries in contact logs (kept and not expired)", gauge: true, lines: []line{
			{"entries", func(s *reports.Sample) uint64 { return difference(s.Beacons.Kept, s.Beacons.Expired) }},
		}},
		{title: "Sessions at the server", gauge: true, lines: []line{
			{"open sessions", func(s *reports.Sample) uint64 {
				return difference(s.Sessions.Opened, s.Sessions.Closed)
			}},
		}},
		{title: "Logins", lines: []line{
			{"welcomed", func(s *reports.Sample) uint64 { return s.Logins.Welcomed }},
			{"wrong password", func(s *reports.Sample) uint64 { return s.Logins.Wrong }},
			{"blocks begun", func(s *reports.Sample) uint64 { return s.Logins.Blocked }},
			{"refused", func(s *reports.Sample) uint64 { return s.Logins.Refused }},
		}},
		{title: "Faults in force", gauge: true, lines: []line{
			{"faults", func(s *reports.Sample) uint64 { return uint64(max(0, s.Faults)) }},
		}},
	} {
		if drawn := c.chart(s.Samples); drawn != nil {
			list = append(list, drawn)
		} else {
			empty = append(empty, c.title)
		}
	}
	return list, empty
}

// difference returns a - b, at least 0.
func difference(a, b uint64) uint64 { return a - min(a, b) }

// looks are the colours and dashes of the lines of a chart.
var looks = []chart.Series{{Color: chart.Blue}, {Color: chart.Green, Dash: chart.Dashed},
	{Color: chart.Red, Dash: chart.Dotted}, {Color: chart.Orange}}

// chart returns the chart, or nil if all values are 0.
func (c *sampleChart) chart(samples []reports.Sample) *chart.Chart {
	if len(samples) < 2 {
		return nil
	}
	begin, end := samples[0].At, samples[len(samples)-1].At
	out := &chart.Chart{Title: c.title, Height: 130, Series: make([]chart.Series, len(c.lines))}
	var values []float64
	copy(out.Series, looks)
	for i := range samples[1:] {
		from, to := samples[i].At, samples[i+1].At
		at, text := to.Seconds(), fmt.Sprintf("%v to %v", from, to)
		if !c.gauge {
			at = (from + to).Seconds() / 2
		}
		for k, l := range c.lines {
			v := l.value(&samples[i+1])
			if !c.gauge {
				v -= l.value(&samples[i])
			}
			values = append(values, float64(v))
			out.Series[k].Name = l.name
			out.Series[k].Points = append(out.Series[k].Points, chart.Point{X: at, Y: float64(v)})
			if v > 0 {
				text += "\n" + l.name + " " + reports.FormatCount(v)
			}
		}
		out.Hints = append(out.Hints, chart.Hint{From: from.Seconds(), To: to.Seconds(), Text: text})
	}
	out.Y = chart.Linear("", values...)
	out.X = chart.Time("", begin.Seconds(), end.Seconds())
	if out.Y.Max < 5 {
		out.Y.Step = 1
	}
	for _, v := range values {
		if v > 0 {
			if !c.gauge {
				out.Title += fmt.Sprintf(", per %v", samples[1].At-begin)
			}
			return out
		}
	}
	return nil
}
