//go:build linux

package sim

import (
	"slices"
	"strings"
	"testing"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// TestUsage: a program that waits is neither busy nor growing, and the parts fail for one that is.
func TestUsage(t *testing.T) {
	const script = `
  - {at: 0s, expect: {phone: subject, busy: 40%}}
  - {expect: {phone: subject, growth: 10%}}
`
	mustPass(t, runLive(t, withProgram("sleep 1000", script), Live{}))
	const spins = "while :; do for i in 1 2 3 4 5 6 7 8 9; do [ -d / ]; done; done" // without processes, whose number has a limit
	r := runLive(t, withProgram(spins, `
  - {at: 0s, expect: {phone: subject, busy: 1%, within: 500ms}}
`), Live{})
	got := failedChecks(r)
	if len(got) != 1 || !strings.HasPrefix(got[0], "the program of subject uses less than 1 % of a core for 500ms; ") {
		t.Errorf("%q", got)
	}
	r = runLive(t, withProgram("sleep 2; for i in $(seq 30); do sleep 1000 & done; wait", `
  - {at: 0s, expect: {phone: subject, growth: 10%, within: 6s}}
`), Live{})
	got = failedChecks(r)
	if len(got) != 1 || !strings.HasPrefix(got[0], "the program of subject grows by at most 10 % from ") ||
		!strings.HasSuffix(got[0], " threads") {
		t.Errorf("%q", got)
	}
}

// TestUsageRefused: a run that does not see the process, the file or the TempID refuses the parts.
func TestUsageRefused(t *testing.T) {
	s := parse(t, `name: x
phones: [{name: a}, {name: p, program: x}]
script:
  - {at: 0s, phone: a, expect: [{busy: 40%}, {log_unbroken: true}]}
  - {expect: {growth: 40%}}
  - {phone: p, expect: {tempid: fresh}}
`)
	s.File = "f.yaml"
	_, err := newRun(t.Context(), s, Options{Live: &Live{}})
	const use = "live: `busy` and `growth` need a live run with a phone that has a `program`, or with --server-command"
	want := strings.Join([]string{
		use,
		"f.yaml:4:46: live: `log_unbroken` needs a phone with a `program`, whose file can be read during a change",
		"f.yaml:5:14: " + use,
		"f.yaml:6:24: live: `tempid` is not visible: the phone has a `program`; expected `prints`",
	}, "\n")
	if err == nil || err.Error() != "f.yaml:4:33: "+want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// TestLogUnbroken: a log that a program empties for a moment fails, and one that only grows passes.
func TestLogUnbroken(t *testing.T) {
	const entries = "for i in 1 2 3 4 5 6 7 8 9; do echo 3141592653589793238$i a b; done"
	const script = "\n  - {at: 0s, expect: {phone: subject, log_unbroken: true}}\n"
	mustPass(t, runLive(t, withProgram("while :; do "+entries+" > new; mv new z_contactlog.txt; sleep 0.05; done",
		script),
		Live{}))
	r := runLive(t, withProgram("while :; do "+entries+" > z_contactlog.txt; sleep 0.05; > z_contactlog.txt; sleep "+
		"0.05; done",
		script), Live{})
	want := "whole entries in the log of subject, and none that disappears; "
	if got := failedChecks(r); len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("%q", got)
	}
}

func TestBrokenLog(t *testing.T) {
	const id, other = "31415926535897932384", "27182818284590452353"
	for _, c := range []struct {
		before, now []string
		want        string
	}{
		{nil, []string{id + " a b"}, ""},
		{[]string{id + " a b"}, []string{id + " a b", other + " a b"}, ""},
		{[]string{id + " a b"}, []string{id + " a b", other + " a"}, `the last line is "` + other + ` a"`},
		{[]string{id + "," + other}, []string{id}, "1 entry, and 2 before"},
		{[]string{id}, nil, "0 entries, and 1 before"},
	} {
		var b brokenLog
		_ = b.look(c.before)
		if got := b.look(c.now); got != c.want {
			t.Errorf("%q, then %q: %q, want %q", c.before, c.now, got, c.want)
		}
	}
}

// TestTempIDExpected: a TempID is fresh until the phone had it.
func TestTempIDExpected(t *testing.T) {
	s := parse(t, `name: x
phones: [{name: a}, {name: b}]
script:
  - {phone: a, do: [login, Download_tempID], expect: {tempid: fresh}}
  - {phone: a, do: Download_tempID, expect: {tempid: fresh}}
  - {phone: b, do: [login, Download_tempID], expect: {tempid: fresh}}
  - {phone: a, do: Download_tempID, expect: [{tempid: fresh}, {tempid: unpredictable}]}
  - {phone: a, expect: {tempid: fresh, within: 1s}}
`)
	r, err := Run(t.Context(), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := failedChecks(&r.Run)
	if len(got) != 1 || !strings.HasPrefix(got[0], "a TempID of a that no phone had before; ") {
		t.Errorf("%q", got)
	}
	constant := []string{"99999999999999999996", "99999999999999999998", "100000000000000000000",
		"100000000000000000002"}
	other := slices.Concat(constant, []string{"100000000000000000003"})
	for _, c := range []struct {
		ids   []string
		found string
	}{
		{constant, strings.Join(constant, ", ")}, {other, ""}, {constant[:3], "3 TempIDs"},
	} {
		x := &expectation{script: &script{tempIDs: c.ids},
			expect: &scenarios.StepExpect{TempID: scenarios.TempIDUnpredictable}}
		if _, found := x.tempID(); found != c.found {
			t.Errorf("%q: %q, want %q", c.ids, found, c.found)
		}
	}
	if r.Run.Verdict != reports.Failed {
		t.Errorf("verdict %s", r.Run.Verdict)
	}
}
