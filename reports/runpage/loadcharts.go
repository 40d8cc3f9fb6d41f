package runpage

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"bluetrace/reports"
	"bluetrace/reports/chart"
)

// maxParts is the number of parts of a load that its charts show. A longer load has parts of several seconds.
const maxParts = 240

// part is a part of a load: a second, or several whose counts are added. Its rates are the means, its quantiles the
// highest of its seconds.
type part struct {
	reports.LoadSecond
	seconds int
}

func (p *part) add(s *reports.LoadSecond) {
	both := p.Seconds + s.Seconds
	p.Target = (p.Target*p.Seconds + s.Target*s.Seconds) / both
	p.Achieved = (p.Achieved*p.Seconds + s.Achieved*s.Seconds) / both
	p.Seconds = both
	p.Failed, p.Unknown, p.Dropped = p.Failed+s.Failed, p.Unknown+s.Unknown, p.Dropped+s.Dropped
	p.Samples += s.Samples
	p.P50Ms, p.P99Ms = max(p.P50Ms, s.P50Ms), max(p.P99Ms, s.P99Ms)
	p.ServiceP50Ms, p.ServiceP99Ms = max(p.ServiceP50Ms, s.ServiceP50Ms), max(p.ServiceP99Ms, s.ServiceP99Ms)
	p.LagP99Ms = max(p.LagP99Ms, s.LagP99Ms)
	p.Rows = append(slices.Clip(p.Rows), s.Rows...)
	p.seconds++
}

func (p *part) end() float64 { return p.FromSeconds + p.Seconds }

// block returns a rectangle as wide as the part.
func (p *part) block(low, high float64) chart.Block {
	return chart.Block{From: p.FromSeconds, To: p.end(), Low: low, High: high}
}

// rate returns a count as a rate per second.
func (p *part) rate(n uint64) float64 { return float64(n) / max(p.Seconds, 1e-9) }

// course is a load over its time, for the charts.
type course struct {
	load  *reports.Load
	parts []part
	width int // most seconds of a part
	end   float64
	// failed has the names of the checks that failed.
	failed map[string]bool
}

func courseOf(r *reports.Run) *course {
	l := r.Load
	c := &course{load: l, width: max(1, (len(l.Timeline)+maxParts-1)/maxParts), end: 1, failed: map[string]bool{}}
	for i := range r.Checks {
		if r.Checks[i].Verdict == reports.Failed {
			c.failed[r.Checks[i].Name] = true
		}
	}
	for i := range l.Timeline {
		s := &l.Timeline[i]
		c.end = max(c.end, s.FromSeconds+s.Seconds)
		if last := len(c.parts) - 1; last >= 0 && c.parts[last].seconds < c.width && c.parts[last].WarmUp == s.WarmUp {
			c.parts[last].add(s)
		} else {
			c.parts = append(c.parts, part{LoadSecond: *s, seconds: 1})
		}
	}
	return c
}

// series returns a line through a value of each part. A part whose value is not a number is a gap.
func (c *course) series(name string, color chart.Color, dash string, value func(*part) float64) chart.Series {
	s := chart.Series{Name: name, Color: color, Dash: dash}
	for i := range c.parts {
		p := &c.parts[i]
		s.Points = append(s.Points, chart.Point{X: p.FromSeconds + p.Seconds/2, Y: value(p)})
	}
	return s
}

// sampled returns a value of a part, which is a gap without a sample.
func sampled(value func(*part) float64) func(*part) float64 {
	return func(p *part) float64 {
		if p.Samples == 0 {
			return math.NaN()
		}
		return value(p)
	}
}

// valuesOf returns the vertical positions of some series.
func valuesOf(list ...chart.Series) (values []float64) {
	for _, s := range list {
		for _, p := range s.Points {
			values = append(values, p.Y)
		}
	}
	return values
}

// chart returns a chart over the time of the load, with its warm-up, its stages and the outage of the server.
func (c *course) chart(title string, y chart.Axis, hint func(*part) string) *chart.Chart {
	one := &chart.Chart{Title: title, Height: 150, Y: y,
		X: chart.Time("", 0, c.end)}
	if end := min(c.load.WarmUpSeconds, c.end); end > 0 {
		one.Bands = append(one.Bands, chart.Band{Name: "warm-up, not in the figures", Color: chart.Grey, To: end})
	}
	if o := c.load.Outage; o != nil && o.SinceSeconds < c.end {
		one.Bands = append(one.Bands,
			chart.Band{Name: cut(o.Text, 80), Color: chart.Red, From: o.SinceSeconds, To: c.end})
	}
	if conditions := c.load.Conditions; conditions != nil {
		at, name := c.load.WarmUpSeconds, "next stage"
		for _, s := range conditions.Stages {
			if at > c.load.WarmUpSeconds && at < c.end {
				one.Rules = append(one.Rules,
					chart.Rule{Name: name, Color: chart.Grey, Dash: chart.Dotted, Vertical: true, At: at})
				name = ""
			}
			at += s.Seconds
		}
	}
	for i := range c.parts {
		p := &c.parts[i]
		if hint == nil {
			break
		}
		text := fmt.Sprintf("%s to %s s\n%s", chart.Number(p.FromSeconds), chart.Number(p.end()), hint(p))
		one.Hints = append(one.Hints, chart.Hint{From: p.FromSeconds, To: p.end(), Text: text})
	}
	return one
}

// limit adds the thresholds on response times to a chart, with a label at each line. Those that failed stand out.
func limit(c *chart.Chart, limits []reports.SearchLimit, failed map[string]bool) {
	for _, l := range limits {
		if l.Ms <= 0 {
			continue
		}
		label := strings.NewReplacer(".response_time: ", " ", "response_time: ", "").Replace(cut(l.Name, 60))
		r := chart.Rule{Label: label, Color: chart.Purple, Dash: chart.Dashed, At: l.Ms}
		if failed[l.Name] {
			r.Label, r.Color, r.Dash = "✗ "+r.Label+" failed", chart.Red, ""
		}
		c.Rules = append(c.Rules, r)
	}
}

func limitValues(limits []reports.SearchLimit) (values []float64) {
	for _, l := range limits {
		values = append(values, l.Ms)
	}
	return values
}

// limits returns the thresholds on response times.
func limits(l *reports.Load) []reports.SearchLimit {
	if l.Search != nil {
		return l.Search.Limits
	}
	return l.Limits
}

// rates returns the chart of the arrivals.
func (c *course) rates() *chart.Chart {
	asked := c.series("asked for", chart.Ink, chart.Dashed, func(p *part) float64 { return p.Target })
	achieved := c.series("achieved", chart.Green, "", func(p *part) float64 { return p.Achieved })
	one := c.chart("Arrivals per second", chart.Linear("per second", valuesOf(asked, achieved)...),
		func(p *part) string {
			return fmt.Sprintf("asked for %s/s\nachieved %s/s", reports.FormatRate(p.Target),
				reports.FormatRate(p.Achieved))
		})
	one.Series = []chart.Series{achieved, asked}
	return one
}

// failures returns the chart of everything that did not succeed, or nil if all succeeded.
func (c *course) failures() *chart.Chart {
	columns := []chart.Blocks{
		{Name: "operations failed", Color: chart.Red, Level: chart.Levels},
		{Name: "operations without an answer", Color: chart.Purple, Level: chart.Levels},
		{Name: "arrivals dropped", Color: chart.Orange, Level: chart.Levels},
	}
	most := 0.0
	for i := range c.parts {
		p, low := &c.parts[i], 0.0
		for k, n := range []uint64{p.Failed, p.Unknown, p.Dropped} {
			if n > 0 {
				high := low + p.rate(n)
				columns[k].List = append(columns[k].List, p.block(low, high))
				low = high
			}
		}
		most = max(most, low)
	}
	if most == 0 {
		return nil
	}
	one := c.chart("Failures per second", chart.Linear("per second", most), func(p *part) string {
		return fmt.Sprintf("failed %s\nwithout an answer %s\ndropped %s", reports.FormatCount(p.Failed),
			reports.FormatCount(p.Unknown), reports.FormatCount(p.Dropped))
	})
	one.Blocks = columns
	return one
}

// responseText returns the response times of a part.
func responseText(p *part) string {
	if p.Samples == 0 {
		return "no answer"
	}
	return fmt.Sprintf("%s samples\np50 %s ms\np99 %s ms", reports.FormatCount(p.Samples), reports.FormatMs(p.P50Ms),
		reports.FormatMs(p.P99Ms))
}

// responses returns the chart of the response times.
func (c *course) responses() *chart.Chart {
	p99 := c.series("p99 of each second", chart.Red, "", sampled(func(p *part) float64 { return p.P99Ms }))
	p50 := c.series("p50 of each second", chart.Blue, "", sampled(func(p *part) float64 { return p.P50Ms }))
	values := append(valuesOf(p99, p50), limitValues(limits(c.load))...)
	one := c.chart("Response time", chart.Log("ms (log)", 1, 10, values...), responseText)
	limit(one, limits(c.load), c.failed)
	one.Series, one.Height = []chart.Series{p99, p50}, 210
	return one
}

// services returns the chart of the service time and of the lag of the generator.
func (c *course) services() *chart.Chart {
	p99 := c.series("service time, p99", chart.Red, "", sampled(func(p *part) float64 { return p.ServiceP99Ms }))
	p50 := c.series("service time, p50", chart.Blue, "", sampled(func(p *part) float64 { return p.ServiceP50Ms }))
	lag := c.series("schedule lag of the generator, p99", chart.Orange, chart.Dotted, func(p *part) float64 {
		if p.LagP99Ms == 0 {
			return math.NaN()
		}
		return p.LagP99Ms
	})
	values := append(valuesOf(p99, p50, lag), c.load.Budgets.LagMs)
	one := c.chart("Service time, and lag of the generator", chart.Log("ms (log)", 1, 10, values...),
		func(p *part) string {
			return fmt.Sprintf("service time p50 %s ms\np99 %s ms\nlag p99 %s ms", reports.FormatMs(p.ServiceP50Ms),
				reports.FormatMs(p.ServiceP99Ms), reports.FormatMs(p.LagP99Ms))
		})
	if c.load.Budgets.LagMs > 0 {
		one.Rules = append(one.Rules, chart.Rule{Name: "budget of the lag", Color: chart.Orange, Dash: chart.Dashed,
			At: c.load.Budgets.LagMs})
	}
	one.Series = []chart.Series{p99, p50, lag}
	return one
}

// process is a process whose usage was sampled.
type process struct {
	name  string
	color chart.Color
	use   func(*reports.UseSample) *reports.SampledUse
}

func processes() []process {
	return []process{
		{"server", chart.Blue, func(s *reports.UseSample) *reports.SampledUse { return s.Server }},
		{"generator", chart.Orange, func(s *reports.UseSample) *reports.SampledUse { return s.Generator }},
	}
}

// thinned returns at most maxParts samples. One that stands for several has the highest processor time of each process.
func thinned(all []reports.UseSample) (list []reports.UseSample) {
	higher := func(a, b *reports.SampledUse) *reports.SampledUse {
		if a == nil || b != nil && b.CPUShare > a.CPUShare {
			return b
		}
		return a
	}
	for group := range slices.Chunk(all, max(1, (len(all)+maxParts-1)/maxParts)) {
		one := group[len(group)-1]
		for _, s := range group {
			one.Server, one.Generator = higher(one.Server, s.Server), higher(one.Generator, s.Generator)
		}
		list = append(list, one)
	}
	return list
}

// uses returns the charts of the processor time and the memory, or none if they were not sampled.
func (c *course) uses() []*chart.Chart {
	samples := thinned(c.load.Use)
	if len(samples) == 0 {
		return nil
	}
	values := func(of func(*reports.SampledUse) float64) (list []chart.Series) {
		for _, p := range processes() {
			s := chart.Series{Name: p.name, Color: p.color}
			for i := range samples {
				point := chart.Point{X: samples[i].AtSeconds, Y: math.NaN()}
				if u := p.use(&samples[i]); u != nil {
					point.Y = of(u)
				}
				s.Points = append(s.Points, point)
			}
			list = append(list, s)
		}
		return list
	}
	shares := values(func(u *reports.SampledUse) float64 { return 100 * u.CPUShare })
	memory := values(func(u *reports.SampledUse) float64 { return float64(u.ResidentBytes) / (1 << 20) })
	budget := 100 * c.load.Budgets.CPUShare
	charts := []*chart.Chart{
		c.chart("Processor time", chart.Linear("% of all processors", append(valuesOf(shares...), budget)...), nil),
		c.chart("Memory", chart.Linear("MiB", valuesOf(memory...)...), nil),
	}
	charts[0].Series, charts[1].Series = shares, memory
	if budget > 0 {
		charts[0].Rules = append(charts[0].Rules, chart.Rule{Name: "budget of the generator", Color: chart.Orange,
			Dash: chart.Dashed, At: budget})
	}
	from := 0.0
	for i := range samples {
		h := chart.Hint{From: from, To: samples[i].AtSeconds, Text: useText(&samples[i])}
		charts[0].Hints, charts[1].Hints = append(charts[0].Hints, h), append(charts[1].Hints, h)
		from = h.To
	}
	return charts
}

// useText returns the usage of the processes at a time, a line each.
func useText(s *reports.UseSample) string {
	text := chart.Number(s.AtSeconds) + " s"
	for _, p := range processes() {
		if u := p.use(s); u != nil {
			text += fmt.Sprintf("\n%s %s %%, %s MiB", p.name, chart.Number(100*u.CPUShare),
				chart.Number(float64(u.ResidentBytes)/(1<<20)))
		} else {
			text += "\n" + p.name + " not running"
		}
	}
	return text
}

// main returns the charts that come first: failures if there are any, response times and arrivals.
func (c *course) main() []*chart.Chart {
	list := []*chart.Chart{c.responses(), c.rates()}
	if failures := c.failures(); failures != nil {
		list = slices.Insert(list, 0, failures)
	}
	return list
}

// shareKeys removes from the legends of all charts but the first the parts that all charts of a load have.
func shareKeys(list []*chart.Chart) {
	for i, c := range list {
		for k := range c.Bands {
			if i > 0 {
				c.Bands[k].Name = ""
			}
		}
		for k := range c.Rules {
			if i > 0 && c.Rules[k].Vertical {
				c.Rules[k].Name = ""
			}
		}
	}
}
