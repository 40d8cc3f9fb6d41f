package compare

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bluetrace/reports/stats"
)

// Budget is how much a figure may grow from A to B.
type Budget struct {
	Text     string // as it was given
	Metric   string // such as login.response_time
	Method   string // p, avg, min, max, rate or count
	Quantile float64
	Limit    float64 // of the change, in Unit
	Unit     Unit
}

// Unit of a change.
type Unit string

// The units.
const (
	Percent Unit = "%"
	Ms      Unit = "ms"
	Plain   Unit = "" // of a count or a share
)

var budgetForm = regexp.MustCompile(`^\s*([A-Za-z_.]+)\s*:\s*(avg|med|min|max|rate|count|p\(\s*[0-9.]+\s*\)|p[0-9.]+)\s*=\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*(%|ns|us|µs|ms|s)?\s*$`)

// ParseBudget reads METRIC:FIGURE=LIMIT, such as response_time:p99=+10%,
// login.response_time:p(95)=+2ms or operations_failed:rate=+0.001. Metrics and
// figures are those of thresholds.
func ParseBudget(text string) (Budget, error) {
	m := budgetForm.FindStringSubmatch(text)
	if m == nil {
		return Budget{}, fmt.Errorf("the budget %q is not of the form METRIC:FIGURE=LIMIT, such as response_time:p99=+10%% or login.response_time:p95=+2ms", text)
	}
	b := Budget{Text: text, Metric: m[1], Method: m[2]}
	switch {
	case m[2] == "med":
		b.Method, b.Quantile = "p", .5
	case strings.HasPrefix(m[2], "p"):
		percent, err := strconv.ParseFloat(strings.Trim(m[2], "p() \t"), 64)
		if err != nil || percent <= 0 || percent >= 100 {
			return b, fmt.Errorf("the budget %q asks for a percentile that is not between 0 and 100", text)
		}
		b.Method, b.Quantile = "p", percent/100
	}
	limit, err := strconv.ParseFloat(m[3], 64)
	if err != nil {
		return b, fmt.Errorf("the budget %q has a limit that is too large", text)
	}
	b.Limit = limit
	return b, b.unit(m[4])
}

// unit takes the unit that was written.
func (b *Budget) unit(written string) error {
	delay := b.timed() || strings.HasSuffix(b.Metric, "_delay")
	counted := b.Method == "rate" || b.Method == "count"
	ms := map[string]float64{"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1e3}[written]
	switch {
	case strings.HasSuffix(b.Metric, "schedule_lag"):
		return fmt.Errorf("the budget %q is of the schedule lag, which is the generator's own and says nothing about the server", b.Text)
	case b.timed() && (b.Method == "min" || b.Method == "max"):
		return fmt.Errorf("the budget %q is of one sample alone, which chance decides; expected avg, med or p(N)", b.Text)
	case delay == counted:
		return fmt.Errorf("the budget %q: `%s` has no `%s`", b.Text, b.Metric, b.Figure())
	case written == string(Percent):
		b.Unit = Percent
	case delay && ms == 0:
		return fmt.Errorf("the budget %q has a time without a unit; write it such as +2ms or +10%%", b.Text)
	case !delay && ms != 0:
		return fmt.Errorf("the budget %q is of a count, which has no unit of time", b.Text)
	case delay:
		b.Unit, b.Limit = Ms, b.Limit*ms
	}
	return nil
}

// timed says whether it is of the times of a load.
func (b *Budget) timed() bool {
	return strings.HasSuffix(b.Metric, string(response)) || strings.HasSuffix(b.Metric, string(service))
}

func (b *Budget) figure() figure {
	return figure{mean: b.Method == "avg", quantile: b.Quantile}
}

// Figure is the name of what the budget is about, such as p99.
func (b *Budget) Figure() string {
	if b.Method == "p" {
		return b.figure().name()
	}
	return b.Method
}

// BudgetResult is what became of one.
type BudgetResult struct {
	Budget string `json:"budget"`
	// Verdict: Exceeded when even the low end of the interval is above the limit;
	// NotShown when the change is, and the interval's low end is not; else Held.
	Verdict Verdict `json:"verdict"`
	Unit    Unit    `json:"unit"`
	Limit   float64 `json:"limit"`
	Change  float64 `json:"change"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	// Tested: Low and High are an interval; else they are Change itself.
	Tested bool `json:"tested"`
}

func (b *Budget) result(change, low, high float64, tested bool) BudgetResult {
	r := BudgetResult{Budget: b.Text, Verdict: Held, Unit: b.Unit, Limit: b.Limit, Change: change, Low: low, High: high, Tested: tested}
	switch {
	case low > b.Limit:
		r.Verdict = Exceeded
	case change > b.Limit:
		r.Verdict = NotShown
	}
	return r
}

// counted judges a budget by two numbers that have no chance in them, or none
// that is known.
func (b *Budget) counted(x, y float64, scenario string) (BudgetResult, error) {
	change := y - x
	if b.Unit == Percent {
		if x == 0 && y != 0 {
			return BudgetResult{}, &Invalid{Err: fmt.Errorf("the budget %q is a share of A's figure, which is 0 in %s; write a number without %%", b.Text, scenario)}
		}
		if x != 0 {
			change = 100 * (y/x - 1)
		}
	}
	return b.result(change, change, change, false), nil
}

// budget judges the budgets that are about this load; wanted are those of times
// that it has.
func (l *Load) budget(o Options, wanted []int, used []bool) error {
	for i, b := range o.Budgets {
		if b.timed() {
			if err := l.timedBudget(b, slices.Contains(wanted, i)); err != nil {
				return err
			}
			continue
		}
		at := slices.IndexFunc(l.Counts, func(c CountRow) bool { return c.Metric == b.Metric })
		if at < 0 {
			continue
		}
		c := l.Counts[at]
		if b.Method != "rate" {
			return &Invalid{Err: fmt.Errorf("the budget %q: of a load the `rate` can be compared, whatever the runs' lengths", b.Text)}
		}
		used[i] = true
		r, err := b.counted(c.ARate, c.BRate, l.Scenario)
		if err != nil {
			return err
		}
		l.Budgets = append(l.Budgets, r)
	}
	return nil
}

func (l *Load) timedBudget(b Budget, wanted bool) error {
	at := slices.IndexFunc(l.Rows, func(r Row) bool { return r.Metric == b.Metric && r.figure == b.figure() })
	if at < 0 {
		if wanted {
			return &Invalid{Err: fmt.Errorf("the budget %q cannot be judged: %s has no sample of it on one side", b.Text, l.Scenario)}
		}
		return nil
	}
	r := &l.Rows[at]
	if r.Test == nil {
		why := fmt.Sprintf("a run is shorter than %d s", stats.MinSeconds)
		if r.Verdict == TooFew {
			why = fmt.Sprintf("only %s samples lie beyond it, and %d are needed", number(r.Fewest), minSupport)
		}
		return &Invalid{Err: fmt.Errorf("the budget %q cannot be judged: in %s %s; let the runs go on for longer", b.Text, l.Scenario, why)}
	}
	change, low, high := 100*r.Change, 100*r.Test.Low, 100*r.Test.High
	if b.Unit == Ms {
		change, low, high = r.BMs-r.AMs, r.Test.LowMs, r.Test.HighMs
	}
	result := b.result(change, low, high, true)
	if result.Verdict == Exceeded {
		r.Verdict = Exceeded
	}
	l.Budgets = append(l.Budgets, result)
	return nil
}

// number as a person would write it.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
