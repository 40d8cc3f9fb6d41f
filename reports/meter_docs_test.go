package reports

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
)

// documented is a row of docs/METRICS.md: a metric, its type and its own labels.
type documented struct {
	Name, Type string
	Labels     string
	Of         string // the section: of which runs
}

var (
	metricRow = regexp.MustCompile("(?m)^\\| `(bluetrace_[a-z_]+)` \\| (\\w+) \\| ([^|]+) \\|([^|]*)\\| .+ \\|$")
	quoted    = regexp.MustCompile("`([a-z_]+)`")
)

func documentedMetrics(t *testing.T) []documented {
	t.Helper()
	page, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []documented
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, _, _ := strings.Cut(section, "\n")
		for _, row := range metricRow.FindAllStringSubmatch(section, -1) {
			d := documented{Name: row[1], Type: row[2], Of: title}
			for _, l := range quoted.FindAllStringSubmatch(row[4], -1) {
				d.Labels += l[1] + " "
			}
			if want := unitOf(row[1]); want != "" && row[3] != want {
				t.Errorf("%s is in %s, and the page says %s", row[1], want, row[3])
			}
			all = append(all, d)
		}
	}
	return all
}

// unitOf returns the unit in the name of a metric; empty if there is no unit.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	for _, unit := range []string{"seconds", "bytes"} {
		if strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	return ""
}

// TestThePageOfMetricsIsTheRegistry compares docs/METRICS.md with the metrics of a
// load and of another run, in both directions, with types and labels.
func TestThePageOfMetricsIsTheRegistry(t *testing.T) {
	shown := NewMeter("classroom", "r2")
	if err := shown.SetResult(passedRun(t)); err != nil {
		t.Fatal(err)
	}
	in := map[string]int{}
	const load, other = 1, 2
	var want []documented
	for _, of := range []struct {
		world int
		m     *Meter
	}{{load, loadMeter()}, {other, shown}} {
		for _, f := range gathered(t, of.m) {
			if in[f.GetName()] |= of.world; in[f.GetName()] == load+other && of.world == other {
				continue
			}
			want = append(want, documented{Name: f.GetName(),
				Type: strings.ToLower(dto.MetricType_name[int32(f.GetType())]), Labels: ownLabels(f)})
		}
	}
	for i := range want {
		want[i].Of = map[int]string{load: "Of a load", other: "Of a run that is no load",
			load + other: "Of every run"}[in[want[i].Name]]
	}
	got := documentedMetrics(t)
	byName := func(a, b documented) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(got, byName)
	slices.SortFunc(want, byName)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("docs/METRICS.md (+) is not what there is (-):\n%s", diff)
	}
}

// ownLabels returns the labels beside scenario and run_id, which every metric must
// have.
func ownLabels(f *dto.MetricFamily) string {
	labels := labelsOf(f)
	if !slices.Contains(labels, "scenario") || !slices.Contains(labels, "run_id") {
		return "scenario or run_id is missing"
	}
	labels = slices.DeleteFunc(labels, func(l string) bool { return l == "scenario" || l == "run_id" })
	slices.Sort(labels)
	all := ""
	for _, l := range labels {
		all += l + " "
	}
	return all
}

func TestThePageNamesEveryAlert(t *testing.T) {
	page, err := os.ReadFile("../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readRules(t) {
		if r.Alert != "" && !strings.Contains(string(page), "`"+r.Alert+"`") {
			t.Errorf("docs/METRICS.md does not name the alert %s", r.Alert)
		}
	}
}
