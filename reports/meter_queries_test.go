package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v4"
)

// dashboard holds the tested fields of grafana/dashboards/bluetrace.json.
type dashboard struct {
	UID         string
	Annotations struct{ List []annotation }
	Templating  struct{ List []variable }
	Panels      []panel
}

type annotation struct {
	Name, Expr, TitleFormat string
	Datasource              source
}

type variable struct{ Name, Definition string }

type source struct{ Type, UID string }

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ H, W, X, Y int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		Expr, LegendFormat, Format string
		Datasource                 source
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile("grafana/dashboards/bluetrace.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

type rule struct{ Record, Alert, Expr string }

func readRules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	readYAML(t, "prometheus/rules.yml", &file)
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) < 10 {
		t.Fatalf("%d groups of rules", len(file.Groups))
	}
	return file.Groups[0].Rules
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// query is an expression with its place in a file.
type query struct{ where, expr string }

func queries(t *testing.T) []query {
	t.Helper()
	var all []query
	d := readDashboard(t)
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all = append(all, query{fmt.Sprintf("panel %q", p.Title), target.Expr})
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, query{fmt.Sprintf("annotation %q", a.Name), a.Expr})
	}
	for _, v := range d.Templating.List {
		if v.Definition != "" {
			inside, _, _ := strings.Cut(strings.TrimPrefix(v.Definition, "label_values("), ", ")
			all = append(all, query{fmt.Sprintf("variable %q", v.Name), inside})
		}
	}
	for _, r := range readRules(t) {
		all = append(all, query{fmt.Sprintf("rule %q", r.Record+r.Alert), r.Expr})
	}
	return all
}

// knownLabels returns the labels of the series that Prometheus stores for runs:
// those of the Meter, of the process that serves it, and of the recording rules.
func knownLabels(t *testing.T) map[string][]string {
	t.Helper()
	shown := NewMeter("classroom", "r2")
	if err := shown.SetResult(passedRun(t)); err != nil {
		t.Fatal(err)
	}
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	known := map[string][]string{"ALERTS": {"alertname", "alertstate", "severity", "scenario", "run_id", "operation"}}
	for _, g := range []prometheus.Gatherer{loadMeter().Gatherer(), shown.Gatherer(), process} {
		families, err := g.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			labels := append(labelsOf(f), "job", "instance")
			name := f.GetName()
			if f.GetType() == dto.MetricType_HISTOGRAM {
				known[name+"_bucket"] = append(labels, "le")
				known[name+"_count"], known[name+"_sum"] = labels, labels
				continue
			}
			known[name] = labels
		}
	}
	for _, r := range readRules(t) {
		if r.Record != "" {
			by := grouping.FindStringSubmatch(r.Expr)
			known[r.Record] = strings.Split(strings.ReplaceAll(by[1], " ", ""), ",")
		}
	}
	return known
}

func labelsOf(f *dto.MetricFamily) []string {
	var labels []string
	for _, m := range f.Metric {
		for _, l := range m.Label {
			if !slices.Contains(labels, l.GetName()) {
				labels = append(labels, l.GetName())
			}
		}
	}
	return labels
}

var (
	grouping = regexp.MustCompile(`(?:by|on) \(([^)]*)\)`)
	selector = regexp.MustCompile(`\b((?:bluetrace|process)[a-z0-9_:]*|ALERTS)\b(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
)

func TestQueriesNameWhatTheMeterHas(t *testing.T) {
	known := knownLabels(t)
	for _, q := range queries(t) {
		found := selector.FindAllStringSubmatch(q.expr, -1)
		if len(found) == 0 {
			t.Errorf("%s: no metric in %q", q.where, q.expr)
		}
		for _, s := range found {
			labels, ok := known[s[1]]
			if !ok {
				t.Errorf("%s: there is no metric %s", q.where, s[1])
				continue
			}
			for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
				if !slices.Contains(labels, m[1]) {
					t.Errorf("%s: %s has no label %s, only %q", q.where, s[1], m[1], labels)
				}
			}
			for _, by := range grouping.FindAllStringSubmatch(q.expr, -1) {
				for _, label := range strings.Split(by[1], ", ") {
					if !slices.Contains(labels, label) {
						t.Errorf("%s: %s has no label %s, only %q", q.where, s[1], label, labels)
					}
				}
			}
		}
	}
}

// TestEveryMetricIsLookedAt checks that a panel or a rule uses each metric.
func TestEveryMetricIsLookedAt(t *testing.T) {
	var text strings.Builder
	for _, q := range queries(t) {
		text.WriteString(q.expr + "\n")
	}
	for _, f := range gathered(t, loadMeter()) {
		if !strings.Contains(text.String(), f.GetName()) {
			t.Errorf("no panel and no rule looks at %s", f.GetName())
		}
	}
}

func TestPanelsSayWhatTheyShow(t *testing.T) {
	d := readDashboard(t)
	ids, types := map[int]bool{}, map[string]int{}
	for i, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		types[p.Type]++
		for _, other := range d.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%q lies on %q", p.Title, other.Title)
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || len(p.Description) < 20 || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q: description %q, unit %q, %d queries", p.Title, p.Description,
				p.FieldConfig.Defaults.Unit, len(p.Targets))
		}
		for _, target := range p.Targets {
			if target.Datasource != p.Datasource || target.LegendFormat == "" {
				t.Errorf("panel %q: a query has the source %v and the legend %q", p.Title, target.Datasource,
					target.LegendFormat)
			}
			if seconds := strings.Contains(target.Expr, "histogram_quantile"); seconds &&
				p.FieldConfig.Defaults.Unit != "s" {
				t.Errorf("panel %q shows times in %q", p.Title, p.FieldConfig.Defaults.Unit)
			}
			if heat := p.Type == "heatmap"; heat != (target.Format == "heatmap") {
				t.Errorf("panel %q is a %s with a query of form %s", p.Title, p.Type, target.Format)
			}
		}
	}
	if types["timeseries"] < 10 || types["heatmap"] < 2 || types["stat"] < 2 {
		t.Errorf("panels: %v", types)
	}
	for _, a := range d.Annotations.List {
		if a.TitleFormat == "" {
			t.Errorf("annotation %q has no title", a.Name)
		}
	}
}

// TestComposePutsEverythingInPlace checks that every path in compose.yaml leads to a
// file.
func TestComposePutsEverythingInPlace(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Image       string
			NetworkMode string `yaml:"network_mode"`
			Command     []string
			Environment map[string]string
			Volumes     []string
		}
		Volumes map[string]any
	}
	readYAML(t, "compose.yaml", &compose)
	inside := func(service, path string) string {
		for _, v := range compose.Services[service].Volumes {
			parts := strings.Split(v, ":")
			if rest, ok := strings.CutPrefix(path, parts[1]); ok && strings.HasPrefix(parts[0], "./") {
				return filepath.Join(parts[0], rest)
			}
		}
		t.Errorf("%s has no %s", service, path)
		return ""
	}
	isThere := func(service, path string) {
		t.Helper()
		if _, err := os.Stat(inside(service, path)); err != nil {
			t.Errorf("%s: %s: %v", service, path, err)
		}
	}
	for name, s := range compose.Services {
		if image, tag, _ := strings.Cut(s.Image, ":"); image == "" ||
			!regexp.MustCompile(`^v?\d+\.\d+\.\d+$`).MatchString(tag) {
			t.Errorf("%s: image %q has no exact version", name, s.Image)
		}
		if s.NetworkMode != "host" {
			t.Errorf("%s is not on the host's network, and reaches no run at the loopback", name)
		}
		for _, v := range s.Volumes {
			parts := strings.Split(v, ":")
			if _, named := compose.Volumes[parts[0]]; !named {
				if stat, err := os.Stat(parts[0]); err != nil || !stat.IsDir() || len(parts) != 3 || parts[2] != "ro" {
					t.Errorf("%s: volume %q: %v", name, v, err)
				}
			}
		}
	}
	config, _ := strings.CutPrefix(compose.Services["prometheus"].Command[0], "--config.file=")
	isThere("prometheus", config)
	var prometheusConfig struct {
		RuleFiles []string       `yaml:"rule_files"`
		Global    map[string]any `yaml:"global"`
	}
	readYAML(t, inside("prometheus", config), &prometheusConfig)
	for _, f := range prometheusConfig.RuleFiles {
		isThere("prometheus", filepath.Join(filepath.Dir(config), f))
	}
	isThere("grafana", compose.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	readYAML(t, inside("grafana", "/etc/grafana/provisioning/dashboards/dashboards.yaml"), &providers)
	isThere("grafana", filepath.Join(providers.Providers[0].Options.Path, "bluetrace.json"))
	var sources struct {
		Datasources []struct {
			UID, Type, URL string
			JSONData       struct{ TimeInterval string } `yaml:"jsonData"`
		}
	}
	readYAML(t, inside("grafana", "/etc/grafana/provisioning/datasources/prometheus.yaml"), &sources)
	listens := compose.Services["prometheus"].Command
	if s := sources.Datasources[0]; !slices.Contains(listens, "--web.listen-address="+strings.TrimPrefix(s.URL,
		"http://")) {
		t.Errorf("Grafana asks at %s, and Prometheus has %q", s.URL, listens)
	}
	for _, p := range readDashboard(t).Panels {
		if want := (source{sources.Datasources[0].Type, sources.Datasources[0].UID}); p.Type != "row" &&
			p.Datasource != want {
			t.Errorf("panel %q asks %v, and there is %v", p.Title, p.Datasource, want)
		}
	}
}

func promtool(t *testing.T, arguments ...string) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: there is no promtool on this machine: apt-get install prometheus (Debian)")
	}
	out, err := exec.CommandContext(t.Context(), path, arguments...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

func TestPromtoolTakesTheRules(t *testing.T) {
	promtool(t, "check", "config", "prometheus/prometheus.yml")
	if out := promtool(t, "test", "rules", "prometheus/rules_test.yml"); !strings.Contains(out, "SUCCESS") {
		t.Errorf("the rules' tests say\n%s", out)
	}
}

// TestEveryRuleIsTested checks that rules_test.yml tests each rule, and each alert
// while it fires.
func TestEveryRuleIsTested(t *testing.T) {
	text, err := os.ReadFile("prometheus/rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readRules(t) {
		if r.Alert != "" && !regexp.MustCompile(`alertname: `+r.Alert+`\n +exp_alerts:`).Match(text) {
			t.Errorf("no test sees %s firing", r.Alert)
		}
		if r.Record != "" && !strings.Contains(string(text), "expr: "+r.Record) && !strings.Contains(string(text),
			"expr: '"+r.Record) {
			t.Errorf("no test looks at %s", r.Record)
		}
	}
}

// metricsOf returns the metrics and outcomes that Prometheus stores for a run: a
// load, a live run, or a run in virtual time. The last is imported from a file, so
// it has no metrics of a process or of a rule.
func metricsOf(t *testing.T, world string) map[string]bool {
	t.Helper()
	m := loadMeter()
	if world != "load" {
		m = NewMeter("classroom", "r2")
		if err := m.SetResult(passedRun(t)); err != nil {
			t.Fatal(err)
		}
	}
	scraped := world != Virtual
	has := map[string]bool{"process_cpu_seconds_total": scraped, "process_resident_memory_bytes": scraped}
	for _, f := range gathered(t, m) {
		has[f.GetName()] = true
		for _, metric := range f.Metric {
			for _, l := range metric.Label {
				if l.GetName() == "outcome" {
					has[f.GetName()+" "+l.GetValue()] = true
				}
			}
		}
		has[f.GetName()+"_bucket"] = f.GetType() == dto.MetricType_HISTOGRAM
	}
	for _, r := range readRules(t) {
		if r.Record == "" || !scraped || !answerable(r.Expr, has) {
			continue
		}
		has[r.Record] = true
		for _, s := range selector.FindAllStringSubmatch(r.Expr, -1) {
			for _, o := range []string{"ok", "failed", "unknown"} {
				has[r.Record+" "+o] = has[s[1]+" "+o]
			}
		}
	}
	return has
}

var outcomes = regexp.MustCompile(`outcome=~?"([^"]*)"`)

// answerable reports whether all metrics and outcomes of an expression exist.
func answerable(expr string, has map[string]bool) bool {
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		if !has[s[1]] {
			return false
		}
		o := outcomes.FindStringSubmatch(s[2])
		if o != nil && !slices.ContainsFunc(strings.Split(o[1], "|"),
			func(name string) bool { return has[s[1]+" "+name] }) {
			return false
		}
	}
	return true
}

func TestEveryQueryHasAnAnswerInSomeWorld(t *testing.T) {
	load, other := metricsOf(t, "load"), metricsOf(t, Live)
	for _, q := range queries(t) {
		if !answerable(q.expr, load) && !answerable(q.expr, other) && !strings.HasPrefix(q.expr, "ALERTS") {
			t.Errorf("%s mixes what no run has together: %s", q.where, q.expr)
		}
	}
}

// TestPrometheusAnswers asks a Prometheus that has scraped a run.
func TestPrometheusAnswers(t *testing.T) {
	base := os.Getenv("BLUETRACE_PROMETHEUS")
	if base == "" {
		t.Skip("SKIPPED: BLUETRACE_PROMETHEUS names no Prometheus: reports/prometheus/check.sh runs this beside one " +
			"that has seen a run")
	}
	world := os.Getenv("BLUETRACE_WORLD")
	has := metricsOf(t, world)
	answered := 0
	for _, q := range queries(t) {
		if !answerable(q.expr, has) {
			continue
		}
		if n, err := ask(t, base, concrete(q.expr)); err != nil || n == 0 {
			t.Errorf("%s: %d samples, %v: %s", q.where, n, err, concrete(q.expr))
			continue
		}
		answered++
	}
	t.Logf("%d of %d queries concern a %s run and were answered", answered, len(queries(t)), world)
	if answered < 12 {
		t.Errorf("only %d queries concern a %s run", answered, world)
	}
}

var comparison = regexp.MustCompile(` (?:>|<) (?:on \([a-z_, ]*\) )?[a-z0-9_.]+$`)

// concrete returns an expression with the values of the dashboard's variables; of
// an alert, the expression on the left of its comparison.
func concrete(expr string) string {
	expr = strings.NewReplacer("$scenario", ".*", "$run", ".*", "$window", "5s").Replace(expr)
	return comparison.ReplaceAllString(expr, "")
}

// ask counts the values of an expression in the last ten minutes, or between the
// two Unix times in BLUETRACE_BETWEEN.
func ask(t *testing.T, base, expr string) (samples int, err error) {
	now := time.Now()
	form := url.Values{"query": {expr}, "step": {"1"},
		"start": {fmt.Sprint(now.Add(-10 * time.Minute).Unix())}, "end": {fmt.Sprint(now.Unix())}}
	if from, to, ok := strings.Cut(os.Getenv("BLUETRACE_BETWEEN"), " "); ok {
		form["start"], form["end"] = []string{from}, []string{to}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/query_range?"+form.Encode(),
		nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Error string
		Data  struct{ Result []struct{ Values [][2]any } }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, fmt.Errorf("%w: %s", err, text)
	}
	if answer.Error != "" {
		return 0, errors.New(answer.Error)
	}
	for _, series := range answer.Data.Result {
		for _, v := range series.Values {
			if v[1] != "NaN" {
				samples++
			}
		}
	}
	return samples, nil
}
