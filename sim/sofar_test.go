package sim

import (
	"strings"
	"testing"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/load"
)

// TestChecksSoFar: during a run the checks have their verdicts so far, those that are open are Unknown, and the script
// names the step that it waits for.
func TestChecksSoFar(t *testing.T) {
	const text = `name: so-far
phones: [{name: a}, {name: b}]
length: 30s
script:
  - {at: 5s, phone: a, login: right, expect: {reply: "Welcome to the BlueTrace Simulator!"}}
  - {at: 15s, phone: b, login: wrong, expect: {reply: "Welcome to the BlueTrace Simulator!"}}
thresholds: {login_delay: ["p(99)<60000"]}
`
	var r *run
	verdicts, steps := map[time.Duration]string{}, map[time.Duration]string{}
	_, err := Run(t.Context(), parse(t, text), Options{Step: 10 * time.Second, built: func(made *run) { r = made },
		Stepped: func(at Progress) {
			for _, c := range at.Checks() {
				if c.Kind != reports.InvariantCheck {
					verdicts[at.At] += string(c.Verdict) + " "
				}
			}
			steps[at.At] = r.script.awaited()
		}})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration][2]string{
		0:                {"unknown unknown unknown ", "step 1 of 2, line 5: "},
		10 * time.Second: {"passed unknown passed ", "step 2 of 2, line 6: "},
		20 * time.Second: {"passed failed passed ", ""},
	} {
		if verdicts[at] != want[0] || !strings.HasPrefix(steps[at], want[1]) || want[1] == "" && steps[at] != "" {
			t.Errorf("at %v: %q, %q; want %q", at, verdicts[at], steps[at], want)
		}
	}
}

// TestThresholdsOfALoadSoFar: a threshold is open until there is a sample of its metric.
func TestThresholdsOfALoadSoFar(t *testing.T) {
	s := loadScenario(t, smallLoad)
	some := &reports.Load{All: reports.LoadOperation{OK: 9, Unknown: 1}, Arrivals: reports.Arrivals{Due: 3}}
	for _, c := range []struct {
		l    *reports.Load
		want reports.Verdict
	}{{nil, reports.Passed}, {some, reports.Failed}} {
		for _, one := range load.ThresholdsSoFar(s, c.l) {
			if one.Name == "operations_unknown: count==0" && one.Verdict != c.want {
				t.Errorf("%+v, want %s", one, c.want)
			}
		}
	}
	timed := &scenarios.Threshold{Metric: "response_time", Text: "p(99)<1", Method: "p", Quantile: 99, Op: "<", Value: 1}
	s.Thresholds = append(s.Thresholds, *timed)
	all := load.ThresholdsSoFar(s, nil)
	if len(all) != 5 || all[2].Name != "response_time: p(99)<1" || all[2].Verdict != reports.Unknown {
		t.Errorf("%+v", all)
	}
}
