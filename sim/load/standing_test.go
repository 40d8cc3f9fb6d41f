package load

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// TestThresholdsMoveWhileTheLoadLasts: during the load the meter shows each second
// how many thresholds hold.
func TestThresholdsMoveWhileTheLoadLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.stall = func(_ string, at time.Duration) time.Duration {
			if at >= 6*time.Second {
				return at + 100*time.Millisecond
			}
			return 0
		}
		s := &scenarios.Scenario{Thresholds: []scenarios.Threshold{
			{Metric: "response_time", Method: "p", Quantile: 50, Op: "<", Value: 5},
			{Metric: "login.service_time", Method: "max", Op: "<", Value: 50},
			{Metric: "upload.response_time", Method: "max", Op: "<", Value: 50},
		}}
		load := steady(10, 10*time.Second, scenarios.VerbLogin)
		c := faked(f, 20, load)
		c.Meter = reports.NewMeter("s", "1")
		c.Meter.SetThresholds(0, 0, 6)
		c.Phase = "step-3"
		c.Judge = func(l *reports.Load, at time.Duration) Status { return ThresholdStatus(s, l, at) }
		shows := func(at time.Duration, want string) {
			time.AfterFunc(at, func() {
				if err := testutil.GatherAndCompare(c.Meter.Gatherer(), strings.NewReader(want), "bluetrace_thresholds",
					"bluetrace_phase_active"); err != nil {
					t.Errorf("after %v: %v", at, err)
				}
			})
		}
		gauges := func(warm, step string, broken, held, undecided string) string {
			return `# HELP bluetrace_phase_active 1 while the run is in this phase, else 0.
# TYPE bluetrace_phase_active gauge
bluetrace_phase_active{phase="step-3",run_id="1",scenario="s"} ` + step + `
bluetrace_phase_active{phase="warm-up",run_id="1",scenario="s"} ` + warm + `
# HELP bluetrace_thresholds Thresholds of the run by whether they hold: held, broken or undecided.
# TYPE bluetrace_thresholds gauge
bluetrace_thresholds{outcome="broken",run_id="1",scenario="s"} ` + broken + `
bluetrace_thresholds{outcome="held",run_id="1",scenario="s"} ` + held + `
bluetrace_thresholds{outcome="undecided",run_id="1",scenario="s"} ` + undecided + "\n"
		}
		// Three more hold unasked: no arrival dropped, no operation failed, none unknown.
		shows(1500*time.Millisecond, gauges("1", "0", "0", "0", "6"))
		shows(5500*time.Millisecond, gauges("0", "1", "0", "5", "1"))
		shows(8500*time.Millisecond, gauges("0", "1", "1", "4", "1"))
		ran(t, c)
	})
}
