package sim

import (
	"cmp"
	"errors"
	"strings"
	"testing"
	"time"

	"bluetrace/reports"
)

func TestAPasswordGoesToTheProgramThatWaits(t *testing.T) {
	passes(t, head+`script:
  - {at: 0s, phone: thief, login: wrong}
  - {at: 1s, phone: thief, password: wrong}
  - {at: 2s, phone: thief, password: wrong, as: shut}
  - {at: shut + 59.999999999s, phone: a, login: right, expect: {reply: /is blocked/}}
  - {at: shut + 60s, phone: a, login: wrong, expect: {reply: /try again/}}
  - {at: shut + 61s, phone: a, password: right, expect: {reply: /Welcome/}}
`)
}

func TestAVerdictBelongsToTheStepThatSent(t *testing.T) {
	passes(t, head+`script:
  - {at: 1s, phone: ghost, datagrams: {to: a, send: "11111111111111111111"}}
  - {at: 3s, phone: ghost, forge: {to: a}, as: heard, expect: {phone: a, log: 1}}
expect: [heard.at == 3s]
`)
}

func TestAStepThatOnlyLooksSeesTheWholeInstant(t *testing.T) {
	passes(t, head+`script:
  - {at: 1s, phone: a, expect: {log: 1}}
  - {at: 1s, phone: ghost, forge: {to: a}}
  - {at: 999.999999ms, phone: a, expect: {log: 0}}
`)
}

func TestAnAnswerMayComeInTheInstantOfTheDeadline(t *testing.T) {
	const script = `network: {tcp: {delay: 10ms}}
script:
  - {at: 0s, phone: a, login: right}
  - {at: 1s, phone: a, do: Download_tempID, expect: {reply: "/^[1-9][0-9]{19}$/", within: `
	passes(t, head+script+"20ms}}\n")
	if r := play(t, head+script+"19.999999ms}}\n"); r.Verdict != reports.Failed {
		t.Errorf("an answer after 20 ms is within 19.999999 ms: %s", r.Verdict)
	}
}

func TestSilenceEndsBeforeTheDeadline(t *testing.T) {
	const script = `network: {tcp: {delay: 10ms}}
script:
  - {at: 0s, phone: a, login: right}
  - {at: 1s, phone: a, do: Download_tempID, expect: {silent: true, within: `
	passes(t, head+script+"20ms}}\n")
	if r := play(t, head+script+"20.000001ms}}\n"); r.Verdict != reports.Failed {
		t.Errorf("an answer after 20 ms is silence for 20.000001 ms: %s", r.Verdict)
	}
}

// TestClosedMeansByTheServer checks that a connection that the phone ends first is not closed by the server.
func TestClosedMeansByTheServer(t *testing.T) {
	r := play(t, head+`script:
  - {at: 0s, phone: a, login: right}
  - {at: 1s, phone: a, login: {kind: right, user: "+61499999999"}}
  - {at: 0s, phone: b, login: half, expect: {closed: true, within: 3m}}
`)
	if r.Verdict != reports.Passed {
		t.Errorf("a login that is never finished: %+v", checksOf(r, reports.ExpectationCheck))
	}
	r = play(t, head+`script:
  - {at: 0s, phone: a, login: half, expect: {closed: true, within: 5s}}
  - {at: 1s, phone: a, login: right, expect: {reply: /Welcome/}}
`)
	if c := checksOf(r, reports.ExpectationCheck)[0]; c.Verdict != reports.Failed ||
		c.Expected != "the server closes the connection of a" {
		t.Errorf("a connection that the phone left for another: %+v", c)
	}
}

// TestRepliesAreCountedSendBySend checks that two answers in one send are one reply if the network joins nothing.
func TestRepliesAreCountedSendBySend(t *testing.T) {
	r := play(t, head+`script:
  - {at: 0s, phone: a, tcp: {connect: true, send: ["{user}", "{password}"], gap: 1ms}}
  - {at: 1s, phone: a, tcp: {send: Download_tempIDDownload_tempID}, expect: {reply: "/^[0-9]{40}$/"}}
`)
	if c := checksOf(r, reports.ExpectationCheck)[0]; c.Verdict != reports.Failed {
		t.Errorf("two TempIDs as one reply: %+v", c)
	}
	passes(t, head+`script:
  - {at: 0s, phone: a, tcp: {connect: true, send: ["{user}", "{password}"], gap: 1ms}}
  - {at: 1s, phone: a, tcp: {send: Download_tempIDDownload_tempID}, expect: {replies: ["/^[0-9]{20}$/", `+
		`"/^[0-9]{20}$/"]}}
`)
}

// TestARunThatEndsEarlyShowsNoSilence checks that only a run that lasts until the deadline shows that something does not
// happen.
func TestARunThatEndsEarlyShowsNoSilence(t *testing.T) {
	for key, found := range map[string]string{
		"prints_nothing": "the run ended 1ns before", "server_prints_nothing": "the run ended 1ns before",
		"silent": "the run ended 1ns before", "closed": "the run ended 1ns before", "reply": "nothing in 2s",
	} {
		value := map[string]string{"closed": "false", "reply": "x"}[key]
		script := head + `length: 5s
script:
  - {at: 1s, phone: a, login: half, expect: {closed: false, within: 4s}}
  - {at: 3s, phone: a, tcp: {connect: true, send: "{user}"}, expect: {` + key + ": " + cmp.Or(value, "true") +
			", within: "
		if key != "reply" {
			passes(t, script+"2s}}\n")
		}
		c := checksOf(play(t, script+"2.000000001s}}\n"), reports.ExpectationCheck)[1]
		if c.Verdict != reports.Failed || c.Found != found {
			t.Errorf("%s: %+v", key, c)
		}
	}
}

func TestServerPrintsNothing(t *testing.T) {
	passes(t, head+`script:
  - {at: 0s, phone: a, login: right}
  - {at: 2s, expect: {server_prints_nothing: true, within: 1s}}
  - {at: 3s, phone: a, do: Download_tempID}
`)
	r := play(t, head+`script:
  - {at: 0s, phone: a, login: right}
  - {at: 2s, expect: {server_prints_nothing: true, within: 1.000000001s}}
  - {at: 3s, phone: a, do: Download_tempID}
`)
	c := checksOf(r, reports.ExpectationCheck)[0]
	if c.Verdict != reports.Failed || c.Expected != "nothing in the server's output" || *c.AtSeconds != 3 {
		t.Errorf("a download is not nothing: %+v", c)
	}
}

// TestAnExpressionSeesWholeReplies checks that an expression is matched with whole sends, also if TCP splits or
// joins them.
func TestAnExpressionSeesWholeReplies(t *testing.T) {
	for _, tcp := range []string{"split: 3", "join: 20ms"} {
		passes(t, head+`network: {tcp: {`+tcp+`}}
script:
  - {at: 0s, phone: a, tcp: {connect: true, send: ["{user}", "{wrong}"], gap: 50ms}, expect: {reply: /Password/}}
`)
	}
}

// TestARunEndsWithoutALabel checks that a step whose label is never set fails, and that the run ends although
// contacts still change.
func TestARunEndsWithoutALabel(t *testing.T) {
	r := play(t, head+`network: {udp: {lose: 100%}}
contacts: {mixing: {phones: [a, b, c], degree: 1, dwell: 1s}, visits: {phone: a, to: [b, c], stay: 1s}}
script:
  - {at: 1s, phone: ghost, forge: {to: a}, as: heard}
  - {at: heard + 1s, phone: a, expect: {log: 1}}
`)
	c := checksOf(r, reports.ExpectationCheck)
	if last := c[len(c)-1]; last.Verdict != reports.Failed || last.Found != "its label heard was never set; the "+
		"step at line 6 took no effect" {
		t.Errorf("the step that waits: %+v", last)
	}
	if r.VirtualSeconds > 60 {
		t.Errorf("the run lasted %g s", r.VirtualSeconds)
	}
}

func TestTooManyMeetings(t *testing.T) {
	s := parse(t, `name: test
phones: [{name: p, count: 10000}]
length: 1s
contacts: {mixing: {phones: p, degree: 9999, dwell: 1s}}
expect: [beacons.sent == 0]
`)
	_, err := Run(t.Context(), s, Options{})
	var invalid *Invalid
	if !errors.As(err, &invalid) ||
		!strings.Contains(err.Error(), "10000 phones of degree 9999 are 49995000 meetings") {
		t.Errorf("got %v", err)
	}
}

func TestAMachineThatIsWrongStopsTheRun(t *testing.T) {
	s := parse(t, head+"script: [{at: 2s, phone: a, login: right, expect: {reply: /Welcome/}}]\n")
	for _, c := range []struct {
		lines int // of the trace, before it
		at    time.Duration
		last  string
	}{
		{0, 0, ""}, // the world was not made yet
		{3, 1950 * time.Millisecond, "1.950000000 a: is connected (connection 1)"},
	} {
		_, err := Run(t.Context(), s, Options{Trace: &writerThatPanics{c.lines}})
		var broken *Broken
		if !errors.As(err, &broken) || broken.Why != "out of range [3]" || len(broken.Stack) == 0 {
			t.Fatalf("got %v", err)
		}
		last := ""
		if n := len(broken.Around); n > 0 {
			last = broken.Around[n-1]
		}
		if broken.At != c.at || last != c.last {
			t.Errorf("after %d lines: it broke at %s after %q; want %s after %q", c.lines, broken.At, last, c.at,
				c.last)
		}
	}
}

// writerThatPanics panics after a number of lines.
type writerThatPanics struct{ left int }

func (w *writerThatPanics) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		panic("out of range [3]")
	}
	return len(p), nil
}

func TestTooManyBeaconsAtOnce(t *testing.T) {
	s := parse(t, head+`contacts: {everyone: [a, b, c]}
script:
  - {at: 0s, phone: a, do: [login, Download_tempID]}
  - {at: 1s, phone: a, do: Beacon, to: contacts, times: 600000}
expect: [beacons.sent > 0]
`)
	_, err := Run(t.Context(), s, Options{})
	var invalid *Invalid
	if !errors.As(err, &invalid) || invalid.Place != "test.yaml:6:28" ||
		!strings.Contains(err.Error(),
			"600000 times to 2 phones are 1200000 beacons in one instant, which need about 622 MiB") {
		t.Errorf("got %v", err)
	}
}
