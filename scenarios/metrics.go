package scenarios

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v4"

	"bluetrace/reports/counts"
	"bluetrace/scenarios/fault"
)

// Name is the name of a value for expressions, with its documentation.
type Name struct {
	Name string
	Doc  string
	unit unit
}

// Counters are the values of the whole run for `expect` and thresholds.
var Counters = slices.Concat([]Name{{"events", "events of the run", counted}}, runCounters(), []Name{
	{"adversaries.sent", "what adversaries did: beacons and floods sent, connections opened", counted},
	{"faults.applied", "single things that faults did", counted},
}, faultCounters())

// runCounters returns the counts of a run that the language names.
func runCounters() (list []Name) {
	for _, row := range counts.Rows() {
		if row.Doc != "" {
			list = append(list, Name{row.Name, row.Doc, counted})
		}
	}
	return list
}

// faultCounters returns a counter for each kind of fault, such as faults.lose.
func faultCounters() (list []Name) {
	for _, k := range fault.Kinds() {
		list = append(list, Name{"faults." + string(k), "of those, by " + string(k), counted})
	}
	return list
}

// StepFields are the values of a labelled step.
var StepFields = []Name{
	{"at", "seconds from the start of the run to the moment", seconds},
	{"entries", "entries of an upload", counted},
	{"resolved", "of those, resolved by the server", counted},
	{"delay", "seconds from the sending of the request to its answer", seconds},
}

// PhoneFields are the values of a phone.
var PhoneFields = []Name{
	{"log", "entries in the contact log", counted},
	{"log.age_max", "seconds; the greatest age that an entry had after any event of the phone", seconds},
	{"beacons.sent", "beacons that this phone sent", counted},
	{"beacons.valid", "beacons that this phone judged valid", counted},
	{"beacons.invalid", "beacons that this phone judged invalid", counted},
}

// Metric is a metric for thresholds.
type Metric struct {
	Name  string
	Trend bool // has the methods avg, min, max, med and p(N) in milliseconds; else it has count and rate
	Doc   string
}

// Metrics lists the metrics. Every counter is a metric too: count is its value, rate its value per second of virtual
// time.
var Metrics = []Metric{
	{"beacon_delay", true, "from the sending of a beacon's first datagram to its verdict"},
	{"login_delay", true, "from the password's sending to the answer"},
	{"tempid_delay", true, "from Download_tempID to the TempID"},
	{"upload_delay", true, "from Upload_contact_log to the last answer"},
	{"logout_delay", true, "from log out to the end of the connection at the server"},
	{"datagrams_lost", false, "rate: lost datagrams of all sent, 0 to 1; count: how many"},
	{"logins_failed", false, "rate: logins not welcomed, of all answered; count: how many"},
}

// isShare reports whether the rate of a metric that is counted is a share. That of another count is one per second.
func isShare(metric string) bool {
	return !slices.ContainsFunc(Counters, func(n Name) bool { return n.Name == metric })
}

// counterMetrics returns the counters as metrics.
func counterMetrics() (list []Metric) {
	for _, c := range Counters {
		list = append(list, Metric{Name: c.Name, Doc: c.Doc})
	}
	return list
}

// loadTrends returns the trends that are measured of every operation, and of all of them together.
func loadTrends() []Metric {
	return []Metric{
		{"response_time", true, "from when an operation was due to its answer"},
		{"service_time", true, "from when it was sent to its answer"},
		{"schedule_lag", true, "from the later of its due time and the answer that it waits for, to its sending"},
	}
}

// LoadMetrics returns the metrics of a file with `load`. The name of a trend may begin with an operation, as in
// login.response_time.
func LoadMetrics() []Metric {
	all := loadTrends()
	for _, o := range LoadOperations {
		for _, t := range loadTrends() {
			all = append(all, Metric{o + "." + t.Name, true, t.Doc})
		}
	}
	return append(all,
		Metric{"arrivals_dropped", false, "rate: arrivals that found no phone free, of all, 0 to 1; count: how many"},
		Metric{"operations_ok", false, "rate: operations that succeeded, of all, 0 to 1; count: how many"},
		Metric{"operations_failed", false, "rate: operations that were answered otherwise, of all, 0 to 1; count: " +
			"how many"},
		Metric{"operations_unknown", false, "rate: operations without an answer, of all, 0 to 1; count: how many"},
		Metric{"beacons_lost", false, "rate: beacons that no phone received, of those sent, 0 to 1; count: how many"},
	)
}

// thresholdPattern is k6's grammar: a method, a comparison, a number.
const thresholdPattern = `^\s*(avg|min|max|med|count|rate|p\(\s*[0-9]+(\.[0-9]+)?\s*\))\s*` +
	`(===|==|!=|<=|>=|<|>)\s*([+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?)\s*$`

var (
	thresholdRegexp = regexp.MustCompile(thresholdPattern)
	methodRegexp    = regexp.MustCompile(`^\s*([a-zA-Z_]+)`)
	thresholdUnit   = regexp.MustCompile(`[0-9.](ns|us|ms|s|m|h|%)\s*$`)
)

// parseThreshold parses one expression. The caller sets its metric and position.
func parseThreshold(text string) (Threshold, error) {
	m := thresholdRegexp.FindStringSubmatch(text)
	if m == nil {
		return Threshold{}, explainThreshold(text)
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

// explainThreshold returns the likely reason why a text is not a threshold.
func explainThreshold(text string) error {
	if thresholdUnit.MatchString(text) {
		return errors.New("the number has no unit: delays are milliseconds, rates go from 0 to 1")
	}
	m := methodRegexp.FindStringSubmatch(text)
	if m == nil || slices.Contains([]string{"avg", "min", "max", "med", "p", "count", "rate"}, m[1]) {
		return errExpected
	}
	return finalMessage{fmt.Errorf("unknown method %s; expected avg, min, max, med or p(N), or of a count count or "+
		"rate", keyQuoted(m[1]))}
}

var thresholdForm = patternForm("threshold", "a threshold of k6's grammar such as p(95)<6, avg<=2 or rate<0.01",
	thresholdPattern, boxed(parseThreshold))

// thresholdOrMapping is the form of a condition, or of one with `abort`.
func thresholdOrMapping() *form {
	f := *thresholdForm
	f.def = "anythreshold"
	f.mapping = &mapping{keys: new(Threshold).keys()}
	return &f
}

// keys is the table of a threshold that is a mapping. It has the names of k6 too.
func (t *Threshold) keys() []key {
	const abort = "End the load, as failed, when the threshold does not hold."
	const delay = "The time after the warm-up before `abort` ends the load."
	return []key{
		{name: "threshold", doc: "The condition.", is: thresholdForm, required: true},
		to("abort", &t.Abort, trueFalseForm, abort),
		to("delay", &t.Delay, durationForm, delay),
		to("abortOnFail", &t.Abort, trueFalseForm, "The name of `abort` in k6."),
		to("delayAbortEval", &t.Delay, durationForm, "The name of `delay` in k6."),
	}
}

// threshold returns the threshold at v, or false after a mistake.
func (v *value) threshold(b *builder) (t Threshold, ok bool) {
	condition := v
	if v.kind == yaml.MappingNode {
		condition = v.child("threshold")
	}
	if condition == nil || condition.got == nil {
		return t, false
	}
	t = condition.got.(Threshold)
	if condition == v {
		return t, true
	}
	b.decode(v, t.keys())
	switch {
	case t.Abort && b.s.Load == nil:
		b.add(v.pos, "`abort` ends a load, and the file has no `load`; expected a threshold without it")
	case t.Delay > 0 && !t.Abort:
		b.add(v.pos, "`delay` has no effect without `abort: true`; write it, or omit `delay`")
	}
	return t, true
}

// thresholdsForm returns the form of `thresholds`: a mapping from metrics to conditions.
func thresholdsForm() *form {
	var names []string
	for _, m := range slices.Concat(Metrics, counterMetrics(), LoadMetrics()) {
		names = append(names, m.Name)
	}
	list := orList("a threshold such as \"p(95)<6\", or a list of them", thresholdOrMapping())
	list.def = "thresholds"
	return &form{doc: "metrics, each with its thresholds", mapping: &mapping{
		open: list, openKeys: names, openDoc: "a metric: one of " + backquoted(names),
	}}
}

// thresholdList is `thresholds`.
type thresholdList []Threshold

// decode checks each metric and the methods that the metric has.
func (l *thresholdList) decode(b *builder, root *value) {
	v := root.child("thresholds")
	if v == nil {
		return
	}
	for _, e := range v.keys {
		trend := e.checkMetric(b)
		for _, t := range e.val.elements() {
			one, ok := t.threshold(b)
			if !ok {
				continue
			}
			one.Pos, one.Metric = t.pos, e.key
			switch isCount := one.Method == "count" || one.Method == "rate"; {
			case trend && isCount:
				b.add(t.pos, "`%s` is a delay and has no `%s`; expected avg, min, max, med or p(N)", e.key, one.Method)
			case !trend && !isCount:
				b.add(t.pos, "`%s` is counted and has no `%s`; expected count or rate", e.key, one.Method)
			case one.Method == "rate" && isShare(e.key) && math.Abs(one.Value) > 1:
				b.add(t.pos, "the `rate` of `%s` is a share, 0 to 1, which is always on the same side of %s; a "+
					"percent is 0.01", e.key, numberText(one.Value))
			}
			if b.s.Load != nil && b.s.Load.Search != nil {
				one.checkSearch(b)
			}
			*l = append(*l, one)
		}
		if e.val.isEmpty() {
			b.add(e.pos, "`%s` has no threshold; expected %s", e.key, e.val.form.doc)
		}
	}
}

// checkSearch refuses a threshold of a search that a server does not break by getting slower or failing more.
func (t *Threshold) checkSearch(b *builder) {
	wrong, right := []string{">", ">="}, "<"
	if t.Metric == "operations_ok" {
		wrong, right = []string{"<", "<="}, ">"
	}
	if slices.Contains(wrong, t.Op) {
		b.add(t.Pos, "a search goes up until a threshold breaks, and `%s` with `%s` breaks at low rates; expected `%s`",
			t.Metric, t.Op, right)
	}
}

// encode returns a mapping with a list for each metric.
func (l *thresholdList) encode(*writer) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	lists := map[string]*yaml.Node{}
	for _, t := range *l {
		list := lists[t.Metric]
		if list == nil {
			list = flowNode(yaml.SequenceNode)
			lists[t.Metric] = list
			put(m, t.Metric, list)
		}
		list.Content = append(list.Content, t.node())
	}
	return orNothing(m)
}

// node returns the threshold as YAML.
func (t *Threshold) node() *yaml.Node {
	condition := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: t.text()}
	if !t.Abort {
		return condition
	}
	n := flowNode(yaml.MappingNode)
	put(n, "threshold", condition)
	put(n, "abort", plainNode("true"))
	if t.Delay > 0 {
		put(n, "delay", plainNode(durationText(t.Delay)))
	}
	return n
}

// text returns the condition as written, or in k6's grammar if it has no text.
func (t *Threshold) text() string {
	if t.Text != "" {
		return t.Text
	}
	method := t.Method
	if method == "p" {
		method = "p(" + numberText(t.Quantile) + ")"
	}
	return method + t.Op + numberText(t.Value)
}

// checkMetric refuses the metrics of another kind of run. trend reports whether the metric is one.
func (e entry) checkMetric(b *builder) (trend bool) {
	load := LoadMetrics()
	isKey := func(m Metric) bool { return m.Name == e.key }
	switch ofLoad := slices.ContainsFunc(load, isKey); {
	case ofLoad && b.s.Load == nil:
		b.add(e.pos, "`%s` is a metric of a load, and the file has no `load`", e.key)
	case !ofLoad && b.s.Load != nil:
		b.add(e.pos, "`%s` is no metric of a load; expected one such as `response_time`, `login.service_time` or "+
			"`operations_unknown`", e.key)
	}
	all := slices.Concat(load, Metrics, counterMetrics())
	return all[slices.IndexFunc(all, isKey)].Trend
}
