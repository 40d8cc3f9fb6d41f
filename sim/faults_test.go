package sim

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/check"
	"bluetrace/sim/event"
)

// watchedRun is a run with a record of its events.
type watchedRun struct {
	*reports.Run
	trace    string
	applied  []event.Event
	commands []command
}

// command is a command of a run and its time.
type command struct {
	at   time.Duration
	step scenarios.Step
}

// Observe records one effect of a fault.
func (w *watchedRun) Observe(e *event.Event) { w.applied = append(w.applied, *e) }

func watch(t *testing.T, s *scenarios.Scenario) *watchedRun {
	t.Helper()
	var trace strings.Builder
	w := &watchedRun{}
	r, err := Run(context.Background(), s, Options{
		Trace:     &trace,
		Subscribe: func(s *event.Stream) { s.Subscribe(w, event.FaultApplied) },
		Commanded: func(at time.Duration, st scenarios.Step) { w.commands = append(w.commands, command{at, st}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Run, w.trace = &r.Run, trace.String()
	return w
}

var faultLine = regexp.MustCompile(`(?m)^(\S+) fault (\d+): (begins|ends)`)

// inForce returns the beginnings and ends of faults, such as "1 begins 10.000000000".
func (w *watchedRun) inForce() []string {
	var all []string
	for _, m := range faultLine.FindAllStringSubmatch(w.trace, -1) {
		all = append(all, m[2]+" "+m[3]+" "+strings.TrimSuffix(m[1], ".000000000"))
	}
	return all
}

// count returns the number of effects of a kind of fault.
func (w *watchedRun) count(k fault.Kind) int {
	n := 0
	for _, a := range w.applied {
		if a.Fault == k {
			n++
		}
	}
	return n
}

const faulted = `name: faults
length: 2m
invariants: true
phones: [{name: a}, {name: b}, {name: p, count: 20}, {name: ghost, account: none}]
`

// TestScheduleOfFaults checks at, for, every and until, of the file and of a step.
func TestScheduleOfFaults(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"faults: [{lose: 1%}]\n", []string{"1 begins 0"}},
		{"faults: [{lose: 1%, at: 10s}]\n", []string{"1 begins 10"}},
		{"faults: [{lose: 1%, at: 10s, for: 5s}]\n", []string{"1 begins 10", "1 ends 15"}},
		{"faults: [{lose: 1%, for: 5s, every: 50s}]\n",
			[]string{"1 begins 0", "1 ends 5", "1 begins 50", "1 ends 55", "1 begins 100", "1 ends 105"}},
		{"faults: [{lose: 1%, at: 10s, for: 5s, every: 20s, until: 50s}]\n",
			[]string{"1 begins 10", "1 ends 15", "1 begins 30", "1 ends 35"}},
		{"faults: [{lose: 1%, at: 20s, for: 5s}, {delay: 1ms, at: 10s, for: 16s}]\n",
			[]string{"2 begins 10", "1 begins 20", "1 ends 25", "2 ends 26"}},
		{"script: [{at: 20s, fault: {lose: 1%}}]\n", []string{"1 begins 20"}},
		{"script: [{at: 20s, fault: {lose: 1%, at: 5s, for: 10s, every: 20s, until: 40s}}]\n",
			[]string{"1 begins 25", "1 ends 35", "1 begins 45", "1 ends 55"}},
		{"faults: [{lose: 1%, at: 30s, for: 1s}]\nscript: [{at: 20s, fault: {lose: 1%, for: 2s}}, {at: 40s, fault: " +
			"{lose: 1%, for: 2s}}]\n",
			[]string{"2 begins 20", "2 ends 22", "1 begins 30", "1 ends 31", "3 begins 40", "3 ends 42"}},
	} {
		if got := watch(t, parse(t, faulted+c.text)).inForce(); !slices.Equal(got, c.want) {
			t.Errorf("%s%q\nwant %q", c.text, got, c.want)
		}
	}
}

// TestFaultsBeforeTimeZero checks that the faults of the scenario are in force from the first event on, such as the
// connection of a login before time zero.
func TestFaultsBeforeTimeZero(t *testing.T) {
	w := watch(t, parse(t,
		faulted+"faults: [{refuse: a, for: 10s}]\nscript: [{at: 0s, phone: a, login: right, optional: true}]\n"))
	if w.count(fault.Refuse) == 0 || w.Sessions.Opened != 0 || w.applied[0].At >= 0 {
		t.Errorf("%+v were applied, %d sessions opened", w.applied, w.Sessions.Opened)
	}
}

// TestChanceOfNodes checks that for a fault of whole nodes, the chance is drawn for each node at each beginning.
func TestChanceOfNodes(t *testing.T) {
	const steps = "{clock: p, step: 1s, at: 1s, every: 1s, until: 51s, chance: 30%}"
	hits := func(text string) (list []string) {
		for _, a := range watch(t, parse(t, faulted+text)).applied {
			if a.Fault == fault.Clock {
				list = append(list, fmt.Sprint(a.At, a.Node))
			}
		}
		return list
	}
	one := hits("faults: [" + steps + "]\n")
	if n := len(one); n < 240 || n > 360 { // four standard deviations of 1000 draws around 300
		t.Errorf("%d of 1000 nodes were struck, want about 300", n)
	}
	if again := hits("faults: [" + steps + ", {lose: 50%}]\nadversaries: [{flood: a, by: ghost, every: " +
		"1s}]\n"); !slices.Equal(one, again) {
		t.Errorf("another fault changed what this one strikes")
	}
	if other := hits("seed: 2\nfaults: [" + steps + "]\n"); slices.Equal(one, other) {
		t.Errorf("another seed changed nothing")
	}
	if all := hits("faults: [{clock: p, step: 1s, at: 1s}]\n"); len(all) != 20 {
		t.Errorf("%d clocks were stepped, want all 20", len(all))
	}
	w := watch(t, parse(t, faulted+"faults: [{pause: '*', at: 1s, for: 1s, chance: 40%}]\n"))
	if n := w.count(fault.Pause); n == 0 || n == 23 {
		t.Errorf("%d nodes were paused, want some", n)
	}
}

// TestFaultsCount checks that the effects of faults and the actions of adversaries are counted by kind and can be
// expected.
func TestFaultsCount(t *testing.T) {
	r := passes(t, head+`length: 1m
start: 30/07/2020 09:00:00
faults:
  - {lose: 100%, at: 10s, for: 10s}
  - {duplicate: 100%, at: 20s, for: 10s}
  - {clock: server, step: 1s, at: 5s, every: 10s, until: 40s}
adversaries: [{flood: b, by: ghost, every: 1s, from: 40s, until: 45s}]
script:
  - {at: 15s, phone: ghost, datagrams: {to: b, send: [x, y]}}
  - {at: 25s, phone: ghost, datagrams: {to: b, send: [x, y, z]}}
expect:
  - faults.lose == 2
  - faults.duplicate == 3
  - faults.clock == 4
  - faults.crash == 0
  - faults.applied == 9
  - adversaries.sent == 5
  - datagrams.lost == 2
  - datagrams.delivered == 11
`)
	want := []reports.KindCount{{Kind: "clock", Count: 4}, {Kind: "duplicate", Count: 3}, {Kind: "lose", Count: 2}}
	if !reflect.DeepEqual(r.Faults, want) ||
		!reflect.DeepEqual(r.Adversaries, []reports.KindCount{{Kind: "flood", Count: 5}}) {
		t.Errorf("%+v and %+v, want %+v and 5 of flood", r.Faults, r.Adversaries, want)
	}
	if r := passes(t, head+"length: 1s\ninvariants: true\n"); r.Faults != nil || r.Adversaries != nil {
		t.Errorf("a run without faults reports %+v and %+v", r.Faults, r.Adversaries)
	}
}

// TestFaultsAreChecked checks that a fault has no effect after its end.
func TestFaultsAreChecked(t *testing.T) {
	w := watch(t,
		parse(t, faulted+"faults: [{lose: 100%, for: 30s}]\nadversaries: [{flood: b, by: ghost, every: 1s}]\n"))
	for _, c := range checksOf(w.Run, reports.InvariantCheck) {
		if c.Name == check.FaultsEnd.String() && c.Evaluations == uint64(len(w.applied)) && c.Evaluations > 20 &&
			c.Verdict == reports.Passed {
			return
		}
	}
	t.Errorf("of %d things that faults did none was looked at", len(w.applied))
}

// TestOptionalSteps checks that an optional step that does not take place is no failure.
func TestOptionalSteps(t *testing.T) {
	const step = "script: [{at: 10s, phone: a, do: Download_tempID%s}, {phone: b, login: right, expect: {reply: " +
		"/^Welcome/}}]\n"
	passes(t, head+"length: 1m\n"+fmt.Sprintf(step, ", optional: true"))
	r := play(t, head+"length: 1m\n"+fmt.Sprintf(step, ""))
	c := checksOf(r, reports.ExpectationCheck)
	if r.Verdict != reports.Failed || len(c) != 2 || c[0].Found != "a is not at its prompt: it is offline" ||
		c[1].Verdict != reports.Passed {
		t.Errorf("verdict %s, %+v", r.Verdict, c)
	}
	passes(t, head+"length: 1m\nfaults: [{refuse: a}]\nscript: [{at: 1s, phone: a, login: right, optional: true, "+
		"expect: {reply: /^Welcome/}}]\n")
}

// TestLiveRefusesFaults checks that a live run refuses faults by their names before it starts.
func TestLiveRefusesFaults(t *testing.T) {
	s := parse(t, faulted+"faults:\n  - {lose: 1%}\n  - {crash: server, at: 1s, for: 1s}\nscript:\n  - {at: 1s, "+
		"fault: {clock: a, step: 1h}}\n  - {at: 2s, phone: a, login: right}\n")
	_, err := Run(t.Context(), s, Options{Live: &Live{}})
	invalid, ok := errors.AsType[*Invalid](err)
	if !ok {
		t.Fatalf("a live run with faults: %v", err)
	}
	for _, want := range []string{
		"test.yaml:6:5: live: the fault `lose` needs virtual time",
		"test.yaml:7:5: live: the fault `crash` needs virtual time",
		"the fault `clock` needs virtual time",
	} {
		if !strings.Contains(invalid.Error(), want) {
			t.Errorf("no %q in\n%v", want, invalid)
		}
	}
}

// TestSwitchedOffWithItsLog checks that a phone that a fault may switch off has a disk, for a fault of the list and
// of a step.
func TestSwitchedOffWithItsLog(t *testing.T) {
	for _, off := range []string{
		"faults: [{switch_off: b, at: 20s, for: 10s}]\nscript:\n",
		"script:\n  - {at: 20s, fault: {crash: b, for: 10s}}\n",
	} {
		passes(t, head+"length: 4m\nstart: 30/07/2020 09:00:00\n"+off+`
  - {at: 1s, phone: a, do: [login, Download_tempID]}
  - {at: 5s, phone: a, do: Beacon, to: b, expect: {phone: b, prints: The beacon is valid.}}
  - {at: 25s, phone: b, expect: {log: 0}}
  - {at: 31s, phone: b, expect: {log: 1}}
  - {at: 184s, phone: b, expect: {log: 1}}
  - {at: 186s, phone: b, expect: {log: 0}}
`)
	}
}

// TestOffsetsAndDriftsAdd checks that the effects of several faults of one clock add up.
func TestOffsetsAndDriftsAdd(t *testing.T) {
	w := watch(t, parse(t, faulted+`faults:
  - {clock: a, offset: 5s, drift: 100}
  - {clock: a, offset: 2s, drift: -30}
  - {clock: a, step: 1s, at: 0s}
`))
	const want = "the clock of a shows 01/01/2026 00:00:08.000000000, drift 70 ppm"
	if !strings.Contains(w.trace, want) {
		t.Errorf("%q is not in the trace", want)
	}
}

// TestFaultsThatDidNothing checks that the notes name the faults without an effect, with their places and numbers,
// and no others.
func TestFaultsThatDidNothing(t *testing.T) {
	const busy = "routine: [{phones: a, within: 1s, do: [login, Download_tempID]}, {phones: a, every: 1s, from: 5s, " +
		"do: Beacon, to: b}]\n"
	for _, c := range []struct {
		text string
		want []string
	}{
		{busy + "faults: [{reset: a, at: 0s}, {reset: a, at: 5s}]\n",
			[]string{"test.yaml:6:10: fault 1 (reset: a, at: 0s) did nothing"}},
		{"faults: [{crash: a, at: 5s, for: 1s}, {lose: 0%}, {refuse: b, for: 10s}, {clock: a, offset: 5s}, {clock: " +
			"a, drift: 0}]\n",
			[]string{"test.yaml:5:39: fault 2 (lose: 0%) did nothing",
				"test.yaml:5:51: fault 3 (refuse: b, for: 10s) did nothing"}},
		{busy + "faults:\n  - {lose: 100%, from: b}\n  - {lose: 100%, from: a}\nscript:\n  - {at: 3s, fault: {lose: " +
			"100%, to: ghost}}\n  - {at: 4s, fault: {pause: b, at: 3m}}\n",
			[]string{
				"test.yaml:7:5: fault 1 (lose: 100%, from: b) did nothing",
				"test.yaml:10:21: fault 3 (lose: 100%, to: ghost) did nothing",
				"test.yaml:11:21: fault 4 (pause: b, at: 3m) did nothing: the run was over before it began",
			}},
		{"faults: [{pause: a, chance: 0%, at: 1s, for: 1s}]\n",
			[]string{"test.yaml:5:10: fault 1 (pause: a, chance: 0%, at: 1s, for: 1s) did nothing"}},
		{"", nil},
	} {
		if got := watch(t, parse(t, faulted+c.text)).Notes; !slices.Equal(got, c.want) {
			t.Errorf("%s%q\nwant\n%q", c.text, got, c.want)
		}
	}
}

// TestManyFaultsThatDidNothing checks that the notes name ten faults and count the others.
func TestManyFaultsThatDidNothing(t *testing.T) {
	r := watch(t, parse(t, faulted+"faults:\n"+strings.Repeat("  - {lose: 0%}\n", 12)))
	if len(r.Notes) != maxIdleFaults+1 {
		t.Fatalf("%d notes: %q", len(r.Notes), r.Notes)
	}
	if got, want := r.Notes[maxIdleFaults-1],
		fmt.Sprintf("test.yaml:15:5: fault %d (lose: 0%%) did nothing", maxIdleFaults); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := r.Notes[maxIdleFaults], "and 2 more faults that did nothing"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
