package scenarios

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// k6's grammar: a method, a comparison, a number.
const thresholdPattern = `^\s*(avg|min|max|med|count|rate|p\(\s*[0-9]+(\.[0-9]+)?\s*\))\s*(===|==|!=|<=|>=|<|>)\s*([+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?)\s*$`

var (
	thresholdForm = regexp.MustCompile(thresholdPattern)
	methodForm    = regexp.MustCompile(`^\s*([a-zA-Z_]+)`)
	thresholdUnit = regexp.MustCompile(`[0-9.](ns|us|ms|s|m|h|%)\s*$`)
)

func thresholdWord() *shape {
	return formed("threshold", "a threshold of k6's grammar such as p(95)<6, avg<=2 or rate<0.01", thresholdPattern,
		func(t string) (any, error) { return boxed(parseThreshold(t)) })
}

func methods() []string { return []string{"avg", "min", "max", "med", "p", "count", "rate"} }

// parseThreshold reads one expression; its metric and place are the caller's.
func parseThreshold(text string) (Threshold, error) {
	m := thresholdForm.FindStringSubmatch(text)
	if m == nil {
		return Threshold{}, whyNoThreshold(text)
	}
	t := Threshold{Text: strings.TrimSpace(text), Method: m[1], Op: m[3]}
	if t.Op == "===" {
		t.Op = "=="
	}
	if strings.HasPrefix(t.Method, "p") {
		inside := strings.TrimSpace(t.Method[2 : len(t.Method)-1])
		t.Method = "p"
		q, err := strconv.ParseFloat(inside, 64)
		if err != nil || q > 100 {
			return Threshold{}, errors.New("a percentile goes from 0 to 100")
		}
		t.Quantile = q
	}
	v, err := strconv.ParseFloat(m[4], 64)
	if err != nil || math.IsInf(v, 0) {
		return Threshold{}, errors.New("the number is too large")
	}
	t.Value = v
	return t, nil
}

func whyNoThreshold(text string) error {
	if thresholdUnit.MatchString(text) {
		return errors.New("the number has no unit: delays are milliseconds, rates go from 0 to 1")
	}
	m := methodForm.FindStringSubmatch(text)
	if m == nil {
		return errExpected
	}
	for _, known := range methods() {
		if m[1] == known {
			return errExpected
		}
	}
	return told{fmt.Errorf("unknown method %s; expected avg, min, max, med or p(N), or of a count count or rate", keyQuoted(m[1]))}
}

func (b *builder) thresholds(v *value) {
	if v == nil {
		return
	}
	for _, e := range v.keys {
		trend, known := trendOf(e.key)
		b.metricFits(e)
		for _, t := range e.val.each() {
			if t.got == nil || !known {
				continue
			}
			one := t.got.(Threshold)
			one.Pos, one.Metric = t.pos, e.key
			counted := one.Method == "count" || one.Method == "rate"
			if trend && counted {
				b.at(t.pos, "`%s` is a delay and has no `%s`; expected avg, min, max, med or p(N)", e.key, one.Method)
			}
			if !trend && !counted {
				b.at(t.pos, "`%s` is counted and has no `%s`; expected count or rate", e.key, one.Method)
			}
			b.s.Thresholds = append(b.s.Thresholds, one)
		}
		if e.val.empty() {
			b.at(e.pos, "`%s` has no threshold; expected %s", e.key, e.val.shape.doc)
		}
	}
}

// metricFits refuses the metrics of another kind of run.
func (b *builder) metricFits(e entry) {
	ofLoad := slices.ContainsFunc(LoadMetrics(), func(m Metric) bool { return m.Name == e.key })
	switch {
	case ofLoad && b.s.Load == nil:
		b.at(e.pos, "`%s` is a metric of a load, and the file has no `load`", e.key)
	case !ofLoad && b.s.Load != nil:
		b.at(e.pos, "`%s` is no metric of a load; expected one such as `response_time`, `login.service_time` or `operations_unknown`", e.key)
	}
}

// trendOf says whether a metric has quantiles.
func trendOf(metric string) (trend, known bool) {
	for _, m := range slices.Concat(Metrics, LoadMetrics()) {
		if m.Name == metric {
			return m.Trend, true
		}
	}
	return false, has(Counters, metric)
}
