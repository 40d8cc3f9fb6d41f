package sim

import (
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/sim/check"
	"bluetrace/sim/event"
)

// TestEveryExpectCanFail runs scenarios with one wrong expectation each. Only this expectation fails, at its place,
// with the expected and the found value.
func TestEveryExpectCanFail(t *testing.T) {
	const in = `script:
  - {at: 0s, phone: a, do: [login, Download_tempID]}
  - {at: 1s, phone: b, do: [login, Download_tempID]}
  - {at: 2s, phone: b, do: Beacon, to: a, as: heard}
`
	for _, c := range []struct {
		name, text, place, expected, found string
		at                                 float64
	}{
		{"reply", `script:
  - {at: 0s, phone: a, login: wrong,
     expect: {reply: Welcome to the BlueTrace Simulator!}}
`, "test.yaml:5:14", `the reply "Welcome to the BlueTrace Simulator!" to a`, `"Invalid Password. Please try again"`, 0},
		{"reply that never comes", `script:
  - {at: 0s, phone: a, login: half, expect: {reply: /./, within: 2s}}
`, "test.yaml:4:45", "the reply /./ to a", "nothing in 2s", 2},
		{"reply by an expression", `script:
  - {at: 1s, phone: a, login: wrong, expect: {reply: /^Welcome/}}
`, "test.yaml:4:46", "the reply /^Welcome/ to a", `"Invalid Password. Please try again"`, 1},
		{"replies, one too few", `script:
  - {at: 0s, phone: a, tcp: {connect: true, send: ["{user}", "{password}"], gap: 1ms}, expect: {replies: ` +
			`[/Welcome/, /./]}}
`, "test.yaml:4:96", "the replies /Welcome/, /./ to a", `"Welcome to the BlueTrace Simulator!" in 10s`, 10},
		{"replies, one too many", `script:
  - {at: 0s, phone: a, tcp: {connect: true, send: ["{user}", "{password}"], gap: 1ms}}
  - {at: 1s, phone: a, tcp: {send: Download_tempIDDownload_tempID}, expect: {replies: "/^[0-9]{20}$/", closed: true}}
`, "test.yaml:5:77", "the reply /^[0-9]{20}$/ to a; the server closes the connection of a", "", 1},
		{"silent", `script:
  - {at: 0s, phone: a, login: wrong, expect: {silent: true}}
`, "test.yaml:4:46", "no reply to a", `"Invalid Password. Please try again"`, 0},
		{"closed", `script:
  - {at: 0s, phone: a, login: right, expect: {closed: true}}
`, "test.yaml:4:46", "the server closes the connection of a", "it is open", 10},
		{"closed: false", `script:
  - {at: 0s, phone: a, tcp: {connect: true, send: "{user}", close: true}, expect: {closed: false}}
`, "test.yaml:4:83", "the connection of a stays open", "the server closed the connection", 0},
		{"prints", in + `  - {at: 3s, phone: b, do: Beacon, to: a, expect: {phone: a, prints: [The beacon is ` +
			`valid., The beacon is valid.], within: 1s}}
`, "test.yaml:7:51",
			`the screen of a shows "The beacon is valid.", then "The beacon is valid."`, "", 4},
		{"prints in another order", `script:
  - {at: 0s, phone: a, do: login}
  - {at: 1s, phone: a, do: Download_tempID, expect: {prints: ["/^[0-9]{20}$/", "TempID:"]}}
`, "test.yaml:5:53", `the screen of a shows "/^[0-9]{20}$/", then "TempID:"`, "", 11},
		{"prints_nothing", `script:
  - {at: 0s, phone: a, login: right, expect: {prints_nothing: true}}
`, "test.yaml:4:46", "nothing on the screen of a", `"Welcome to the BlueTrace Simulator!\n"`, 0},
		{"server_prints", `script:
  - {at: 0s, phone: a, login: right, expect: {server_prints: /logout/}}
`, "test.yaml:4:46", `the server prints "/logout/"`, `it printed "users: +61410000001"`, 10},
		{"server_prints, the second of two", `script:
  - {at: 0s, phone: a, login: right, expect: {server_prints: [/^users/, /logout$/]}}
`, "test.yaml:4:46", `the server prints "/^users/", then "/logout$/"`,
			`"/logout$/" is missing after "/^users/"; it printed "users: +61410000001"`, 10},
		{"server_prints, the first of two", `script:
  - {at: 0s, phone: a, login: right, expect: {server_prints: [users, x]}}
`, "test.yaml:4:46", `the server prints "users", then "x" (a text must be equal; /users/ matches a part)`,
			`"users" is missing; it printed "users: +61410000001"`, 10},
		{"log", in + `  - {at: 3s, phone: a, expect: {log: 2}}
`, "test.yaml:7:32", "2 entries in the log of a", "1 entry, received 1s ago", 3},
		{"log, a nanosecond early", in + `  - {at: heard + 2m59.999999999s, phone: a, expect: {log: 0}}
`, "test.yaml:7:53", "0 entries in the log of a", "1 entry, received 2m59.999999999s ago", 181.999999999},
		{"log, a nanosecond late", in + `  - {at: heard + 3m, phone: a, expect: {log: 1}}
`, "test.yaml:7:40", "1 entry in the log of a", "0 entries", 182},
		{"log of another phone", in + `  - {at: 3s, expect: {phone: b, log: {entries: 1}}}
`, "test.yaml:7:22", "1 entry in the log of b", "0 entries", 3},
		{"log with other TempIDs", `script:
  - {at: 1s, phone: ghost, forge: {to: a, tempid: "12345678901234567890"}}
  - {at: 2s, phone: a, expect: {log: {tempids: "12345678901234567891"}}}
`, "test.yaml:5:32", `TempIDs "12345678901234567891" in the log of a`, `"12345678901234567890"`, 2},
		{"entries", in + `  - {at: 3s, phone: a, do: Upload_contact_log, expect: {entries: 2}}
`, "test.yaml:7:56", "an upload of 2 entries by a", "1", 3},
		{"resolved", in + `  - {at: 3s, phone: a, do: Upload_contact_log, expect: {resolved: 0}}
`, "test.yaml:7:56", "an upload by a of which 0 entries are resolved", "1", 3},
		{"an upload that never ends", `network: {tcp: {delay: 10ms}}
script:
  - {at: 0s, phone: ghost, forge: {to: a}}
  - {at: 1s, phone: a, do: login}
  - {at: 2s, phone: a, do: Upload_contact_log, expect: {entries: 1}}
  - {at: 2015ms, restart: {}}
`, "test.yaml:7:56", "an upload of 1 entry by a",
			"none, and the connection broke, because of the restart at line 8", 2.025},
		{"a command without a prompt", `script:
  - {at: 1s, phone: a, do: Download_tempID, expect: {prints: "TempID:"}}
`, "test.yaml:4:53", "the step takes place", "a is not at its prompt: it is offline", 1},
		{"a password that address asked for", `script:
  - {at: 1s, phone: a, password: right, expect: {reply: /./}}
`, "test.yaml:4:49", "the step takes place", "a waits for no password: it is offline", 1},
		{"tcp without a connection", `script:
  - {at: 1s, phone: a, tcp: {send: x}, expect: {silent: true}}
`, "test.yaml:4:48", "the step takes place", "a has no open connection for tcp: write connect: true first", 1},
		{"a login while the server is down", `script:
  - {at: 1s, restart: {down: 10s}}
  - {at: 2s, phone: a, login: right, expect: {reply: /./}}
`, "test.yaml:5:46", "the step takes place", "a has no connection to log in on: it was refused, or has ended; " +
			"the connection was refused, because of the restart at line 4", 2},
		{"a label that is never set", `network: {udp: {lose: 100%}}
script:
  - {at: 0s, phone: ghost, forge: {to: a}, as: heard}
  - {at: heard + 1s, phone: a, expect: {log: 1}}
`, "test.yaml:6:40", "the step takes place", "its label heard was never set; the step at line 5 took no effect", 10},
		{"the run ends before", `length: 5s
script:
  - {at: 3s, phone: ghost, forge: {to: a}, as: heard}
  - {at: heard + 4s, phone: a, expect: {log: 1}}
`, "test.yaml:6:40", "the step takes place", "the run ended before its time", 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := play(t, head+c.text)
			if r.Verdict != reports.Failed {
				t.Errorf("verdict %s, want failed", r.Verdict)
			}
			var failed []reports.Check
			for _, k := range r.Checks {
				if k.Verdict != reports.Passed {
					failed = append(failed, k)
				}
			}
			if len(failed) != 1 {
				t.Fatalf("%d checks failed, want one: %+v", len(failed), failed)
			}
			f := failed[0]
			if f.Kind != reports.ExpectationCheck || f.Verdict != reports.Failed || f.Place != c.place ||
				f.Expected != c.expected || c.found != "" && f.Found != c.found {
				t.Errorf("%s %s at %s: expected %q, found %q;\nwant it at %s: expected %q, found %q", f.Kind, f.Verdict,
					f.Place, f.Expected, f.Found, c.place, c.expected, c.found)
			}
			if f.AtSeconds == nil || *f.AtSeconds != c.at {
				t.Errorf("it failed at %v, want %g s", at(f), c.at)
			}
			if len(f.LastEvents) == 0 || f.Name == "" {
				t.Errorf("name %q, %d events around it", f.Name, len(f.LastEvents))
			}
		})
	}
}

func at(c reports.Check) any {
	if c.AtSeconds == nil {
		return "no time"
	}
	return *c.AtSeconds
}

// TestStepsThatAreNotDone checks that a step that does not take place fails even without an expectation.
func TestStepsThatAreNotDone(t *testing.T) {
	r := play(t, head+`length: 20s
network: {udp: {lose: 100%}}
script:
  - {at: 1s, phone: a, do: Download_tempID}
  - {at: 2s, phone: ghost, forge: {to: a}, as: heard}
  - {at: heard + 1s, phone: a, do: login}
expect: [events > 0]
`)
	var got [][3]string
	for _, c := range r.Checks {
		if c.Verdict == reports.Failed {
			got = append(got, [3]string{c.Place, c.Expected, c.Found})
		}
	}
	want := [][3]string{
		{"test.yaml:6:5", "the step takes place", "a is not at its prompt: it is offline"},
		{"test.yaml:8:5", "the step takes place", "its label heard was never set; the step at line 7 took no effect"},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("failed: %q, want %q", got, want)
	}
}

// TestRunExpectations checks values at the end and at labels, patterns over phones and sums. A failed expectation
// names its numbers.
func TestRunExpectations(t *testing.T) {
	const text = head + `script:
  - {at: 0s, phone: a, do: [login, Download_tempID]}
  - {at: 1s, phone: ghost, forge: {to: [a, b, c]}, as: first}
  - {at: 2s, phone: ghost, forge: {to: [a, b]}, as: second}
  - {at: 3s, phone: a, do: Upload_contact_log, as: up}
  - {at: first + 3m, as: gone}
  - {at: 200s, phone: a, expect: {log: 0}}
  - {at: 201s, phone: a, do: {type: x}, as: typed}
  - {at: 202s, phone: ghost, forge: {to: ghost, omit: [3, 4]}, as: unheard}
  - {at: 203s, phone: b, do: login}
  - {at: 204s, fault: {pause: server, for: 2s}}
  - {at: 205s, fault: {reset: b}}
  - {at: 204s, phone: b, do: Download_tempID, as: cut}
expect:
`
	for _, c := range []struct{ line, found string }{
		{"beacons.valid == 5", ""},
		{"beacons.valid != 5", "beacons.valid is 5"},
		{"beacons.valid < 5", "beacons.valid is 5"},
		{"beacons.valid <= 4", "beacons.valid is 5"},
		{"beacons.valid > 5", "beacons.valid is 5"},
		{"beacons.valid >= 6", "beacons.valid is 5"},
		{"beacons.valid + beacons.invalid == beacons.delivered", ""},
		{"beacons.valid - 2 + 1 == 4", ""},
		{"beacons.valid - 2 + 1 == 5", "beacons.valid - 2 + 1 is 4"},
		{"a.log at first == 1", ""},
		{"a.log at second == 2", ""},
		{"a.log at gone == 1", ""},
		{"a.log == 0", ""},
		{"a.log at first == 2", "a.log at first is 1"},
		{"up.entries == a.log at up", ""},
		{"up.entries == 3", "up.entries is 2"},
		{"up.resolved == 0", ""},
		{"up.resolved == up.entries", "up.resolved is 0, and up.entries is 2"},
		{"up.at == 3s", ""},
		{"up.delay < 1s", ""},
		{"up.delay > 1s", "up.delay is 0s"},
		{"cut.delay < 100s", "no value for cut.delay: its step never came to one"},
		{"gone.at == first.at + 3m", ""},
		{"gone.at == 181s + 1ns", "gone.at is 3m1s, and 181s + 1ns is 3m1.000000001s"},
		{`"?.log at second == 2"`, "?.log at second is 1 for b"},
		{`"?.log at second <= 2"`, ""},
		{"a.log.age_max < 3m", ""},
		{"a.log.age_max < 2m", "a.log.age_max is 2m59s"},
		{"b.beacons.valid == 2", ""},
		{"ghost.beacons.sent == 6", ""},
		{"unheard.at > 0s", "no value for unheard.at: its step never came to one"},
		{"a.log at unheard == 0", "no value for a.log at unheard: its step never came to one"},
		{"unheard.at == unheard.at", "no value for unheard.at and unheard.at: its step never came to one"},
		{"typed.at == 201s", ""},
		{"up.entries / beacons.valid == 0.4", ""},
		{"up.entries / beacons.valid >= 0.5", "up.entries / beacons.valid is 0.4"},
		{"beacons.valid * 2 - 3 * up.entries + 8 / 4 == 6", ""},
		{"beacons.valid - 1 - up.entries * 2 == 1", "beacons.valid - 1 - up.entries * 2 is 0"},
		{"up.entries / beacons.invalid < 1", "a division by 0"},
		{"gone.at / up.at > 60.3", ""},
		{"gone.at / up.at > 61", "gone.at / up.at is 60.333333"},
		{"gone.at < 3 * up.at", "gone.at is 3m1s, and 3 * up.at is 9s"},
		{`"?.log at second / a.log at second == 1"`, "?.log at second / a.log at second is 0.5 for b"},
	} {
		r := play(t, text+"  - "+c.line+"\n")
		list := checksOf(r, reports.ExpectationCheck)
		last := list[len(list)-1]
		want := reports.Failed
		if c.found == "" {
			want = reports.Passed
		}
		if last.Verdict != want || c.found != "" && last.Found != c.found || r.Verdict != want {
			t.Errorf("%s: %s, found %q; want %s, found %q", c.line, last.Verdict, last.Found, want, c.found)
		}
		if last.Place != "test.yaml:17:5" || want == reports.Failed && last.Expected != last.Name {
			t.Errorf("%s: it stands at %s and expects %q (name %q)", c.line, last.Place, last.Expected, last.Name)
		}
	}
}

// TestThresholdsOfARun checks thresholds on trends, shares and counters.
func TestThresholdsOfARun(t *testing.T) {
	const text = head + `length: 100s
network: {udp: {delay: 4ms}, tcp: {delay: 10ms}}
script:
  - {at: 0s, phone: a, login: wrong}
  - {at: 1s, phone: a, password: right}
  - {at: 2s, phone: a, do: Download_tempID}
  - {at: 3s, phone: a, do: Beacon, to: [b, c]}
  - {at: 4s, phone: a, do: Upload_contact_log}
  - {at: 5s, phone: ghost, datagrams: {to: a, send: x}}
  - {at: 6s, phone: b, login: wrong}
  - {at: 7s, phone: b, login: wrong}
  - {at: 8s, phone: b, login: wrong}
  - {at: 9s, phone: b, login: right}
thresholds:
`
	for _, c := range []struct{ line, found string }{
		{`beacon_delay: ["p(95)<=4.002", "max>=3.99"]`, ""},
		{`beacon_delay: p(95)<3`, "4.00"},
		{`login_delay: avg<21`, ""},
		{`login_delay: avg<20`, ""},
		{`tempid_delay: med>20`, ""},
		{`upload_delay: min>39`, ""},
		{`logout_delay: max<1000`, "no sample: nothing of this kind happened"},
		{`datagrams_lost: rate<0.01`, ""},
		{`datagrams_lost: count>0`, "0"},
		{`logins_failed: rate>0.83`, ""},
		{`logins_failed: rate<0.83`, "0.8"},
		{`logins_failed: count==5`, ""},
		{`beacons.valid: count>=2`, ""},
		{`beacons.valid: count>2`, "2"},
		{`tempids.issued: rate>0.009`, ""},
		{`tempids.issued: rate>0.01`, "0.0"},
	} {
		r := play(t, text+"  "+c.line+"\n")
		for _, k := range checksOf(r, reports.ThresholdCheck) {
			want := reports.Failed
			if c.found == "" {
				want = reports.Passed
			}
			if k.Verdict != want || !strings.HasPrefix(k.Found, c.found) || r.Verdict != want {
				t.Errorf("%s: %s, found %q; want %s, found %q", c.line, k.Verdict, k.Found, want, c.found)
			}
		}
	}
}

// emptied shows the invariants an empty log of a phone from a given time on.
type emptied struct {
	from  time.Duration
	phone uint32
}

func (x *emptied) Observe(e *event.Event) {
	if e.Node == x.phone && e.At >= x.from {
		e.Log = &nodes.ContactLog{}
	}
}

// TestAViolationNamesThePhone checks that the expected text names the phone, the missing entry, its age and the
// retention. The found text has only a number, so that failures of many seeds have one cause.
func TestAViolationNamesThePhone(t *testing.T) {
	s := parse(t, head+`script:
  - {at: 1s, phone: ghost, forge: {to: b}}
  - {at: 41s, phone: ghost, forge: {to: b, version: 7}}
expect: [beacons.sent >= 0]
`)
	r, err := Run(t.Context(), s, Options{Subscribe: func(s *event.Stream) {
		s.Subscribe(&emptied{40e9, 1}, event.PhoneStepped)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checksOf(&r.Run, reports.InvariantCheck) {
		if c.Name != check.NothingLeavesEarly.String() {
			continue
		}
		const want = "of b: 1 entry, which was received at 1.000000000 s, 40s ago, with a retention of 3m0s"
		if c.Verdict != reports.Failed || c.Expected != want || c.Found != "0 entries" {
			t.Errorf("%s: expected %q, found %q; want it to fail with %q and 0 entries", c.Verdict, c.Expected, c.Found,
				want)
		}
		return
	}
	t.Error("the invariant is not in the result")
}

// TestUploadsThatACrashCutsOff checks that the uploads that a crash of the phone or of the server ends are broken ones.
func TestUploadsThatACrashCutsOff(t *testing.T) {
	r := passes(t, head+`network: {tcp: {delay: 10ms}}
script:
  - {at: 0s, phone: ghost, forge: {to: [a, b, c]}}
  - {at: 1s, phone: a, do: [login, Upload_contact_log]}
  - {at: 1s, phone: b, do: [login, Upload_contact_log]}
  - {at: 1s, phone: c, do: [login, Upload_contact_log]}
  - {at: 1.05s, fault: {crash: a, for: 1s}}
  - {at: 1.08s, fault: {crash: server, for: 1s}}
  - {at: 5s, phone: a, do: [login, Upload_contact_log]}
  - {at: 5s, phone: b, do: [login, Upload_contact_log]}
length: 5.05s
`)
	if u := r.Uploads; u.Complete != 0 || u.Broken != 3 {
		t.Errorf("%+v, want 3 broken uploads, and the two that are under way uncounted", u)
	}
	c := r.Checks[len(r.Checks)-1]
	if c.Name != "uploads: begun = complete + broken + under way" || c.Verdict != reports.Passed || c.Evaluations != 1 {
		t.Errorf("the last check is %+v", c)
	}
}

// TestTheDelayOfALogout checks that it runs from the request to the end of the connection at the server. A logout that
// the server never reads has none.
func TestTheDelayOfALogout(t *testing.T) {
	passes(t, head+`network: {tcp: {delay: 10ms}}
script:
  - {at: 1s, phone: a, do: login}
  - {at: 1s, phone: b, do: login}
  - {at: 2s, phone: a, do: log out, as: out}
  - {at: 3s, fault: {cut: server, for: 1s}}
  - {at: 3.5s, phone: b, do: log out, as: late}
expect: [out.delay == 10ms, out.at == 2.01s, late.delay == 510ms]
thresholds: {logout_delay: ["min>=9.99", "min<10.1", "max>=509", "max<511"]}
`)
	r := play(t, head+`network: {tcp: {delay: 10ms}}
script:
  - {at: 1s, phone: a, do: login}
  - {at: 2s, phone: a, do: log out, as: out}
  - {at: 2.005s, restart: {}}
expect: [out.delay > 0s]
thresholds: {logout_delay: max<1000}
`)
	for _, c := range r.Checks {
		if c.Name == "out.delay > 0s" && c.Found != "no value for out.delay: its step never came to one" ||
			c.Kind == reports.ThresholdCheck && c.Found != "no sample: nothing of this kind happened" {
			t.Errorf("a logout that was lost: %+v", c)
		}
	}
	if r.Verdict != reports.Failed {
		t.Errorf("verdict %s", r.Verdict)
	}
}
