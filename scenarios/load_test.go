package scenarios

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoadIsRead(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Traffic
	}{
		{"constant", `
name: t
phones: [{name: mute, account: none}, {name: a, count: 3}]
load:
  executor: constant-arrival-rate
  rate: 2.5
  duration: 10s
  warm_up: 2s
  session: [login, Download_tempID, Beacon, Upload_contact_log, log out]
  beacons: 4
  expected: {login: 5ms}
thresholds: {response_time: "p(99.9)<5"}
`, Traffic{
			Pos: Pos{5, 3}, Executor: ConstantArrivalRate, Phones: []int{1, 2, 3}, StartRate: 2.5,
			Stages: []Stage{{10 * time.Second, 2.5}},
			WarmUp: 2 * time.Second, GracefulStop: 10 * time.Second, MaxInFlight: 3, Timeout: 10 * time.Second,
			Session: []Verb{VerbLogin, VerbDownload, VerbBeacon, VerbUpload, VerbLogout}, Beacons: 4, Entries: 1,
			Expected: map[string]time.Duration{"login": 5 * time.Millisecond}, LagBudget: 10 * time.Millisecond,
			CPUBudget: 0.8,
		}},
		{"ramping", `
name: t
phones: [{name: a, count: 3}]
load:
  executor: ramping-arrival-rate
  start_rate: 10
  stages: [{duration: 1s, rate: 20}, {duration: 2s, rate: 5}]
  phones: a-2
  timeout: 1s
  mix: {Beacon: 9, Download_tempID: 1}
  generator: {lag: 1ms, cpu: 50%}
thresholds: {beacons_lost: "rate<0.5"}
`, Traffic{
			Pos: Pos{5, 3}, Executor: RampingArrivalRate, Phones: []int{1}, StartRate: 10, Stages: []Stage{{time.Second,
				20}, {2 * time.Second, 5}},
			GracefulStop: 10 * time.Second, MaxInFlight: 1, Timeout: time.Second,
			Mix: []Weight{{VerbBeacon, 9}, {VerbDownload, 1}}, Beacons: 1, Entries: 1,
			Expected: map[string]time.Duration{}, LagBudget: time.Millisecond, CPUBudget: 0.5,
		}},
		{"search", `
name: t
phones: [{name: a, count: 3}]
load:
  executor: search
  start_rate: 10
  max_rate: 400
  duration: 5s
  confirm: 20s
  confidence: 99.9%
  warm_up: 1s
  session: [login]
thresholds: {response_time: "p(99)<5"}
`, Traffic{
			Pos: Pos{5, 3}, Executor: Search, Phones: []int{0, 1, 2}, StartRate: 10, Stages: []Stage{{5 * time.Second,
				10}},
			Search: &SearchSettings{MaxRate: 400, Resolution: 0.05, Step: 5 * time.Second, Confirm: 20 * time.Second,
				Confidence: 0.999},
			WarmUp: time.Second, GracefulStop: 10 * time.Second, MaxInFlight: 3, Timeout: 10 * time.Second,
			Session: []Verb{VerbLogin}, Beacons: 1, Entries: 1,
			Expected: map[string]time.Duration{}, LagBudget: 10 * time.Millisecond, CPUBudget: 0.8,
		}},
	} {
		s := taken(t, "f", []byte(c.text), Options{})
		if s == nil {
			continue
		}
		if d := cmp.Diff(&c.want, s.Load); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
	}
}

func TestLoadWaits(t *testing.T) {
	for _, c := range []struct {
		session []Verb
		want    []string
	}{
		{[]Verb{VerbLogin}, []string{"connect"}},
		{[]Verb{VerbLogin, VerbDownload}, []string{"connect", "login"}},
		{[]Verb{VerbLogin, VerbDownload, VerbUpload, VerbDownload, VerbBeacon}, []string{"connect", "login", "tempid",
			"upload"}},
		{nil, []string{}},
	} {
		if d := cmp.Diff(c.want, (&Traffic{Session: c.session}).AwaitedOperations()); d != "" {
			t.Errorf("%v:\n%s", c.session, d)
		}
	}
}

// TestThresholdThatEndsALoad: a threshold may be a mapping, also with the names of k6, and
// is written back as one.
func TestThresholdThatEndsALoad(t *testing.T) {
	s := taken(t, "f", []byte(`name: t
phones: [{name: a, count: 3}]
load: {executor: ramping-arrival-rate, start_rate: 0.5, stages: {duration: 3s, rate: 0.5}, mix: {Beacon: 1}}
thresholds:
  response_time: [{threshold: "p(99)<50", abort: true, delay: 10s}, "max<9"]
  operations_ok: {threshold: "rate>0.9", abortOnFail: true, delayAbortEval: 1m}
  operations_failed: {threshold: "count==0", abortOnFail: false}
`), Options{})
	want := []Threshold{
		{Metric: "response_time", Text: "p(99)<50", Method: "p", Quantile: 99, Op: "<", Value: 50, Abort: true,
			Delay: 10 * time.Second},
		{Metric: "response_time", Text: "max<9", Method: "max", Op: "<", Value: 9},
		{Metric: "operations_ok", Text: "rate>0.9", Method: "rate", Op: ">", Value: 0.9, Abort: true,
			Delay: time.Minute},
		{Metric: "operations_failed", Text: "count==0", Method: "count", Op: "=="},
	}
	if d := cmp.Diff(want, s.Thresholds, noPlaces); d != "" {
		t.Error(d)
	}
	if s.Load.StartRate != 0.5 {
		t.Errorf("start_rate is %g, want 0.5", s.Load.StartRate)
	}
}
