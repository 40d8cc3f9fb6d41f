package reports

import (
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports/counts"
)

// histogramOf returns a histogram of values in nanoseconds, with three digits, up to
// an hour.
func histogramOf(t testing.TB, nanoseconds ...int64) *hdrhistogram.Histogram {
	t.Helper()
	h := hdrhistogram.New(1, 3_600_000_000_000, 3)
	for _, v := range nanoseconds {
		if err := h.RecordValue(v); err != nil {
			t.Fatalf("recording %d: %v", v, err)
		}
	}
	return h
}

// passedRun returns a run in which every check held. All figures differ.
func passedRun(t testing.TB) *Run {
	return &Run{
		Scenario: "classroom", File: "scenarios/classroom.yaml", About: "A lesson.", World: "virtual",
		Seed: 7, Digest: "00c0ffee00c0ffee", Verdict: Passed, Repeat: "sim run --seed 7 scenarios/classroom.yaml",
		VirtualSeconds: 2700, WallSeconds: 0.05, Events: 1234567, Phones: 27, PeakRSSBytes: 20 << 20,
		Counts: counts.Counts{
			Beacons: counts.Beacons{Sent: 14100, Delivered: 14000, Valid: 13999, Invalid: 1, Kept: 13998,
				Expired: 13001},
			Datagrams: counts.Datagrams{Sent: 56400, Delivered: 55800, Lost: 598, InFlight: 2},
			Sessions:  counts.Sessions{Opened: 26, Closed: 3},
			Logins:    counts.Logins{Welcomed: 25, Wrong: 4, Blocked: 5, Refused: 6},
			TempIDs:   counts.TempIDs{Issued: 104},
			Uploads:   counts.Uploads{Complete: 8, Broken: 9, Entries: 72, Resolved: 71},
		},
		Operations: []Operation{
			{Name: "beacon", Histogram: histogramOf(t, 1_000_000, 2_000_000, 3_000_000, 4_000_000)},
			{Name: "tempid", Histogram: histogramOf(t, 20_000_000)},
		},
		Checks: []Check{
			{Kind: ExpectationCheck, Name: "beacons.valid > 1000", Place: "scenarios/classroom.yaml:34:5",
				Verdict: Passed, Evaluations: 1},
			{Kind: ThresholdCheck, Name: "beacon_delay: p(95)<6", Place: "scenarios/classroom.yaml:40:18",
				Verdict: Passed, Evaluations: 1},
			{Kind: InvariantCheck, Name: "no login succeeds during a block", Verdict: Passed, Evaluations: 1234567},
		},
	}
}

// failedRun returns a run with a failed and an undecided check.
func failedRun() *Run {
	at := 61.999999999
	return &Run{
		Scenario: "blocking", File: "scenarios/blocking.yaml", World: "virtual", Seed: 1, Digest: "0000000000000001",
		Verdict: Failed, Repeat: "sim run --seed 1 scenarios/blocking.yaml", VirtualSeconds: 62.05, WallSeconds: 0.002,
		Events: 90, Phones: 2,
		Checks: []Check{
			{Kind: ExpectationCheck, Name: "{at: blocked + 59.999999999s, phone: owner, login: right}",
				Place:   "scenarios/blocking.yaml:18:5",
				Verdict: Failed, Evaluations: 1, Expected: `reply "Your account is blocked"`, Found: `reply "Welcome"`,
				AtSeconds:  &at,
				LastEvents: []string{"1m1.9s owner sends password", "1m1.99s server says Welcome"}},
			{Kind: ExpectationCheck, Name: "{at: blocked + 60s, phone: owner, login: right}",
				Place: "scenarios/blocking.yaml:20:5", Verdict: Unknown},
			{Kind: InvariantCheck, Name: "a block lasts exactly block_duration", Verdict: Passed, Evaluations: 90},
		},
		Notes: []string{"the trace has 2 odd lines"},
	}
}

// hostile is text that is unsafe in a terminal, in XML and in JSON.
const hostile = "a\x1b[2J\r\n\x07\x00\x7f\u009b\u202e\u2028]]>&<\"'\\\xff\xfe é 漢 \U000e0001"
