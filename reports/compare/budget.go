package compare

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"bluetrace/reports/stats"
)

// Budget is the largest allowed growth of a figure from A to B, or its largest allowed fall.
type Budget struct {
	Text     string // as given by the user
	Metric   string // such as login.response_time
	Method   string // p, avg, min, max, rate or count
	Quantile float64
	Unit     Unit
	// Limit is the limit of the change, in Unit. With a minus, also that of -0, it is the largest allowed fall.
	Limit float64
}

// Unit is the unit of a change.
type Unit string

// The units.
const (
	Percent Unit = "%"
	Ms      Unit = "ms"
	Plain   Unit = "" // for a count or a share
)

var budgetForm = regexp.MustCompile(`^\s*([A-Za-z_.]+)\s*:` +
	`\s*(avg|med|min|max|rate|count|p\(\s*[0-9.]+\s*\)|p[0-9.]+)\s*=` +
	`\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))\s*(%|ns|us|µs|ms|s)?\s*$`)

// ParseBudget parses METRIC:FIGURE=LIMIT, such as response_time:p99=+10%,
// operations_failed:rate=+0.001 or beacons.valid:count=-5%, which allows a fall of at
// most 5 %. Metrics and figures are those of thresholds.
func ParseBudget(text string) (Budget, error) {
	m := budgetForm.FindStringSubmatch(text)
	if m == nil {
		return Budget{}, fmt.Errorf("budget %q: expected METRIC:FIGURE=LIMIT, such as response_time:p99=+10%% "+
			"or login.response_time:p95=+2ms", text)
	}
	b := Budget{Text: text, Metric: m[1], Method: m[2]}
	switch {
	case m[2] == "med":
		b.Method, b.Quantile = "p", .5
	case strings.HasPrefix(m[2], "p"):
		percent, err := strconv.ParseFloat(strings.Trim(m[2], "p() \t"), 64)
		if err != nil || percent <= 0 || percent >= 100 {
			return b, fmt.Errorf("budget %q: the percentile must be above 0 and below 100", text)
		}
		b.Method, b.Quantile = "p", percent/100
	}
	limit, err := strconv.ParseFloat(m[3], 64)
	if err != nil {
		return b, fmt.Errorf("budget %q: the limit is too large", text)
	}
	b.Limit = limit
	return b, b.setUnit(m[4])
}

// setUnit sets the unit of the limit, and converts a time to milliseconds. It
// returns an error if the metric does not have the figure or the unit.
func (b *Budget) setUnit(written string) error {
	delay := b.isLoadTime() || strings.HasSuffix(b.Metric, "_delay")
	counted := b.Method == "rate" || b.Method == "count"
	ms := map[string]float64{"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1e3}[written]
	switch {
	case strings.HasSuffix(b.Metric, "schedule_lag"):
		return fmt.Errorf("budget %q: the schedule lag is a property of the generator, not of the server", b.Text)
	case b.isLoadTime() && (b.Method == "min" || b.Method == "max"):
		return fmt.Errorf("budget %q: `%s` is a single sample, which varies by chance; expected avg, med or p(N)",
			b.Text, b.Method)
	case delay == counted:
		return fmt.Errorf("budget %q: `%s` has no `%s`", b.Text, b.Metric, b.Figure())
	case written == string(Percent) && b.Limit <= -100:
		return fmt.Errorf("budget %q: no figure falls by more than 100 %%; expected a smaller fall, such as -5%%",
			b.Text)
	case written == string(Percent):
		b.Unit = Percent
	case delay && ms == 0:
		return fmt.Errorf("budget %q: missing unit; expected a limit such as +2ms or +10%%", b.Text)
	case !delay && ms != 0:
		return fmt.Errorf("budget %q: a count has no unit of time", b.Text)
	case b.Method == "rate" && math.Abs(b.Limit) >= 1:
		return fmt.Errorf("budget %q: a rate is a share, 0 to 1, which changes by less than %s; expected a limit such "+
			"as +0.01 or +5%%", b.Text, number(math.Abs(b.Limit)))
	case delay:
		b.Unit, b.Limit = Ms, b.Limit*ms
	}
	return nil
}

// isLoadTime reports whether the metric is a response or service time of a load.
func (b *Budget) isLoadTime() bool {
	return strings.HasSuffix(b.Metric, string(response)) || strings.HasSuffix(b.Metric, string(service))
}

func (b *Budget) figure() figure {
	return figure{mean: b.Method == "avg", quantile: b.Quantile}
}

// Figure returns the name of the budget's figure, such as p99.
func (b *Budget) Figure() string {
	if b.Method == "p" {
		return b.figure().name()
	}
	return b.Method
}

// BudgetResult is the outcome of a budget.
type BudgetResult struct {
	Budget string `json:"budget"`
	// Verdict is Exceeded if the whole interval is beyond the limit, NotShown if only
	// the change is beyond it, else Held.
	Verdict Verdict `json:"verdict"`
	Unit    Unit    `json:"unit"`
	Limit   float64 `json:"limit"`
	Change  float64 `json:"change"`
	Low     float64 `json:"low"`
	High    float64 `json:"high"`
	// Tested reports whether Low and High are a confidence interval. Otherwise both
	// equal Change.
	Tested bool `json:"tested"`
}

func (b *Budget) result(change, low, high float64, tested bool) BudgetResult {
	r := BudgetResult{
		Budget: b.Text, Verdict: Held, Unit: b.Unit, Limit: b.Limit,
		Change: change, Low: low, High: high, Tested: tested,
	}
	switch {
	case r.exceededBy(low) && r.exceededBy(high):
		r.Verdict = Exceeded
	case r.exceededBy(change):
		r.Verdict = NotShown
	}
	return r
}

// falls reports whether the limit is that of a fall.
func (r *BudgetResult) falls() bool { return math.Signbit(r.Limit) }

// exceededBy reports whether a change is beyond the limit by more than rounding explains.
func (r *BudgetResult) exceededBy(change float64) bool {
	const rounding = 1e-9
	beyond := change - r.Limit
	if r.falls() {
		beyond = -beyond
	}
	return beyond > rounding*max(1, math.Abs(r.Limit))
}

// judgeValues judges a budget by two numbers without a confidence interval.
func (b *Budget) judgeValues(x, y float64, scenario string) (BudgetResult, error) {
	change := y - x
	if b.Unit == Percent {
		if x == 0 && y != 0 {
			return BudgetResult{}, &Invalid{Err: fmt.Errorf("budget %q is a share of A's figure, which is 0 in %s: "+
				"expected a limit without %%", b.Text, scenario)}
		}
		if x != 0 {
			change = 100 * (y - x) / x
		}
	}
	return b.result(change, change, change, false), nil
}

// judgeBudgets judges the budgets for figures of this load, whose times are those of metrics. It sets
// used[i] if budget i is for one of its counts.
func (l *Load) judgeBudgets(o Options, metrics []metric, used []bool) error {
	for i, b := range o.Budgets {
		if b.isLoadTime() {
			if err := l.judgeTime(b, metrics); err != nil {
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
			return &Invalid{Err: fmt.Errorf("budget %q: expected the `rate` of a load, "+
				"which does not depend on the length of the runs", b.Text)}
		}
		used[i] = true
		if c.ARate == nil || c.BRate == nil {
			return &Invalid{Err: fmt.Errorf("budget %q cannot be judged: of %s nothing was counted in %s",
				b.Text, l.Scenario, lackingSides(c.AOf, c.BOf))}
		}
		r, err := b.judgeValues(*c.ARate, *c.BRate, l.Scenario)
		if err != nil {
			return err
		}
		l.Budgets = append(l.Budgets, r)
	}
	return l.judgeUnsuccessful(o.Budgets)
}

// judgeUnsuccessful judges each rate of unsuccessful operations and arrivals that has no
// budget of the user for its growth: their times are not among those that are compared. The rate may
// double, and must stay 0 if it is 0. Budgets that are held are not added.
func (l *Load) judgeUnsuccessful(budgets []Budget) error {
	for _, c := range l.Counts {
		has := slices.ContainsFunc(budgets, func(b Budget) bool {
			return b.Metric == c.Metric && !math.Signbit(b.Limit)
		})
		if has || c.Metric == beaconsLost || c.ARate == nil || c.BRate == nil {
			continue
		}
		b := Budget{Text: c.Metric + ":rate=+0 (default)"}
		if *c.ARate > 0 {
			b = Budget{Text: c.Metric + ":rate=+100% (default)", Unit: Percent, Limit: 100}
		}
		r, err := b.judgeValues(*c.ARate, *c.BRate, l.Scenario)
		if err != nil {
			return err
		}
		if r.Verdict == Exceeded {
			l.Budgets = append(l.Budgets, r)
		}
	}
	return nil
}

// judgeTime judges a budget for a time of the load by the test of its row.
func (l *Load) judgeTime(b Budget, metrics []metric) error {
	at := slices.IndexFunc(l.Rows, func(r Row) bool { return r.Metric == b.Metric && r.figure == b.figure() })
	if at < 0 {
		of := slices.IndexFunc(metrics, func(m metric) bool { return m.name == b.Metric })
		if of < 0 {
			return nil
		}
		return b.noSample(l.Scenario, metrics[of].lacking)
	}
	r := &l.Rows[at]
	if r.Test == nil {
		reason := fmt.Sprintf("a run is shorter than %d s", stats.MinSeconds)
		if r.Verdict == TooFew {
			reason = fmt.Sprintf("only %s samples lie beyond the figure, but %d are needed",
				number(r.Samples), minSupport)
		}
		return &Invalid{Err: fmt.Errorf("budget %q cannot be judged: in %s %s; use longer runs",
			b.Text, l.Scenario, reason)}
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

// noSample returns the error of a budget for a figure that the results named lacking do not have.
func (b *Budget) noSample(scenario, lacking string) error {
	return &Invalid{Err: fmt.Errorf("budget %q cannot be judged: %s has no sample in %s", b.Text, scenario, lacking)}
}

// number formats v with at most six digits after the point, without an exponent.
func number(v float64) string {
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', 6, 64), "0"), ".")
}
