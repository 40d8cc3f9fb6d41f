package sim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
)

// counter is a count of the run by the name that the language gives it.
func (r *run) counter(name string) float64 {
	if name == "adversaries.sent" {
		return float64(r.adversaries.count())
	}
	if kind, ok := strings.CutPrefix(name, "faults."); ok {
		return float64(r.faults.count(kind))
	}
	if name == "events" {
		return float64(r.world.Events())
	}
	v, ok := r.records.Totals().Value(name)
	if !ok {
		panic(fmt.Sprintf("sim: the language has a counter %q that the run does not", name))
	}
	return float64(v)
}

// stepValue is a field of a named step; NaN when the step came to none.
func (r *run) stepValue(i int, field string) float64 {
	st := &r.steps[i]
	res := st.result
	switch {
	case field == "at" && st.moment.known:
		return seconds(st.moment.at)
	case field == "entries" && res.upload:
		return float64(res.entries)
	case field == "resolved" && res.upload:
		return float64(res.resolved)
	case field == "delay" && res.answered:
		return seconds(res.delay)
	}
	return math.NaN()
}

func (r *run) phoneValue(phone int, field string) float64 {
	who := uint32(phone)
	n := r.world.Phone(who)
	switch field {
	case "log":
		return float64(r.world.Log(who).Len())
	case "log.age_max":
		return seconds(time.Duration(n.AgeMax))
	case "beacons.sent":
		return float64(n.Sent)
	case "beacons.valid":
		return float64(n.Valid)
	case "beacons.invalid":
		return float64(n.Invalid)
	}
	panic(fmt.Sprintf("sim: the language has a phone's value %q that the run does not", field))
}

// values are what a path stands for at this moment: one value, or one for each
// phone of a pattern.
func (r *run) values(p *scenarios.Path) []float64 {
	switch {
	case p.Counter != "":
		return []float64{r.counter(p.Counter)}
	case p.Step >= 0:
		return []float64{r.stepValue(p.Step, p.Field)}
	}
	all := make([]float64, len(p.Phones))
	for i, phone := range p.Phones {
		all[i] = r.phoneValue(phone, p.Field)
	}
	return all
}

// paths calls f for each path of the run's expectations.
func (r *run) paths(f func(*scenarios.Path)) {
	for i := range r.scenario.Expect {
		e := &r.scenario.Expect[i]
		for _, s := range []scenarios.Sum{e.Left, e.Right} {
			for _, t := range s.Terms {
				if t.Operand.Path != nil {
					f(t.Operand.Path)
				}
			}
		}
	}
}

// takeValues keeps what expectations ask for at a named moment.
func (r *run) takeValues(name string) {
	r.paths(func(p *scenarios.Path) {
		if p.At == name {
			r.taken[p] = r.values(p)
		}
	})
}

// side is a sum of operands, with as many values as its widest operand has.
type side struct {
	values []float64
	phones []int // whose values, when there is one for each phone
	absent string
}

func (r *run) sum(s scenarios.Sum) side {
	out := side{values: []float64{0}}
	for _, t := range s.Terms {
		vs := []float64{t.Operand.Number}
		if p := t.Operand.Path; p != nil {
			vs = r.taken[p]
			if p.At == "" {
				vs = r.values(p)
			}
			if len(vs) == 0 || math.IsNaN(vs[0]) {
				out.absent = pathText(p)
				return out
			}
			if len(p.Phones) > 1 {
				out.phones = p.Phones
			}
		}
		if len(vs) > len(out.values) {
			wide := make([]float64, len(vs))
			for i := range wide {
				wide[i] = out.values[0]
			}
			out.values = wide
		}
		for i := range out.values {
			v := vs[min(i, len(vs)-1)]
			if t.Negative {
				v = -v
			}
			out.values[i] += v
		}
	}
	return out
}

// pathText is a path with its moment.
func pathText(p *scenarios.Path) string {
	if p.At == "" {
		return p.Text
	}
	return p.Text + " at " + p.At
}

// expectation evaluates one line of the run's expect.
func (r *run) expectation(e *scenarios.Expectation, interrupted bool) reports.Check {
	c := reports.Check{Kind: reports.ExpectationCheck, Name: e.Text, Place: r.place(e.Pos), Verdict: reports.Passed, Evaluations: 1}
	if interrupted {
		c.Verdict = reports.Unknown
		return c
	}
	left, right := r.sum(e.Left), r.sum(e.Right)
	if absent := strings.TrimPrefix(left.absent+" and "+right.absent, " and "); absent != "" {
		absent = strings.TrimSuffix(absent, " and ")
		c.Verdict, c.Expected, c.Found = reports.Failed, e.Text, "no value for "+absent+": its step never came to one"
		return c
	}
	c.Evaluations = uint64(max(len(left.values), len(right.values)))
	for i := range int(c.Evaluations) {
		l, rt := left.values[min(i, len(left.values)-1)], right.values[min(i, len(right.values)-1)]
		if check.Compare(l, e.Op, rt) {
			continue
		}
		who := ""
		if left.phones != nil && i < len(left.phones) {
			who = " for " + r.world.Name(uint32(left.phones[i]))
		} else if right.phones != nil && i < len(right.phones) {
			who = " for " + r.world.Name(uint32(right.phones[i]))
		}
		c.Verdict, c.Expected = reports.Failed, e.Text
		c.Found = fmt.Sprintf("%s %s %s%s", valueText(e, l), negated(e.Op), valueText(e, rt), who)
		return c
	}
	if c.Evaluations == 1 {
		c.Found = valueText(e, left.values[0])
	}
	return c
}

// valueText renders one side of a comparison: a count, or a time when either
// side is one.
func valueText(e *scenarios.Expectation, v float64) string {
	for _, t := range slices.Concat(e.Left.Terms, e.Right.Terms) {
		if p := t.Operand.Path; p != nil && (p.Field == "at" || p.Field == "delay" || p.Field == "log.age_max") {
			return time.Duration(math.Round(v * float64(time.Second))).String()
		}
	}
	return check.Number(v)
}

// negated is the operator that holds when op does not.
func negated(op string) string {
	switch op {
	case "==", "===":
		return "!="
	case "!=":
		return "=="
	case "<":
		return ">="
	case "<=":
		return ">"
	case ">":
		return "<="
	}
	return "<"
}

// sample is what a threshold's metric came to.
func (r *run) sample(metric string) check.Sample {
	d := r.records.Latencies()
	trends := map[string]*stats.Histogram{
		"beacon_delay": &d.Beacon, "login_delay": &d.Login, "tempid_delay": &d.TempID,
		"upload_delay": &d.Upload, "logout_delay": &d.Logout,
	}
	if d := trends[metric]; d != nil {
		return check.Sample{Trend: d.HDR()}
	}
	n := r.records.Totals()
	share := func(part, of uint64) check.Sample {
		return check.Sample{Count: float64(part), Rate: float64(part) / float64(max(of, 1))}
	}
	switch metric {
	case "datagrams_lost":
		return share(n.Datagrams.Lost, n.Datagrams.Sent)
	case "logins_failed":
		failed := n.Logins.Wrong + n.Logins.Refused
		return share(failed, failed+n.Logins.Welcomed)
	}
	v := r.counter(metric)
	elapsed := (r.world.Now() - r.begin).Seconds()
	if elapsed <= 0 {
		return check.Sample{Count: v}
	}
	return check.Sample{Count: v, Rate: v / elapsed}
}

func (r *run) threshold(t *scenarios.Threshold, interrupted bool) reports.Check {
	c := reports.Check{Kind: reports.ThresholdCheck, Name: t.Metric + ": " + t.Text, Place: r.place(t.Pos), Verdict: reports.Passed, Evaluations: 1}
	if interrupted {
		c.Verdict = reports.Unknown
		return c
	}
	value, held, ok := check.Threshold(t, r.sample(t.Metric))
	c.Found = check.Number(math.Round(value*1e3) / 1e3)
	if strings.HasSuffix(t.Metric, "_delay") && t.Method != "count" {
		c.Found += " ms"
	}
	if !ok {
		c.Found = "no sample: nothing of this kind happened"
	}
	if !held {
		c.Verdict, c.Expected = reports.Failed, t.Text
	}
	return c
}
