package scenarios

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func parsed(t *testing.T, text string, o Options) *Scenario {
	t.Helper()
	s := taken(t, "dir/f.yaml", []byte(completed(text)), o)
	if s == nil {
		t.FailNow()
	}
	return s
}

func ptr[T any](v T) *T { return &v }

// noPlaces ignores positions. TestMistakes checks those that matter.
var noPlaces = cmpopts.IgnoreTypes(Pos{})

func TestDefaults(t *testing.T) {
	got := parsed(t, "", Options{})
	if got.Zone != time.UTC || got.Start != time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix() || got.Seed != 1 {
		t.Errorf("zone %v, start %d, seed %d", got.Zone, got.Start, got.Seed)
	}
	want := Server{
		BlockDuration: time.Minute, TempIDLifetime: 15 * time.Minute,
		LoginTimeout: 2 * time.Minute, IdleTimeout: time.Hour, MaxUpload: 300_000, MaxBlocked: 128 << 20,
	}
	if diff := cmp.Diff(want, got.Server); diff != "" {
		t.Errorf("server: %s", diff)
	}
	if diff := cmp.Diff(Network{}, got.Network); diff != "" {
		t.Errorf("network: %s", diff)
	}
	phone := PhoneGroup{Name: "a", Count: 1, Account: "own", Retention: 3 * time.Minute, Form: FormSplit,
		PasswordPause: 50 * time.Millisecond}
	if diff := cmp.Diff(phone, got.Phones[0], noPlaces); diff != "" {
		t.Errorf("phone: %s", diff)
	}
	if diff := cmp.Diff([]string{"a", "group-1", "group-2", "group-3", "mute"}, got.PhoneNames()); diff != "" {
		t.Errorf("names: %s", diff)
	}
}

func TestSettings(t *testing.T) {
	got := parsed(t, `server: {block_duration: 59.999999999s, disk: {delay: exp 5ms}}
network: {tcp: {delay: 10ms..40ms, split: 3, join: 2ms}, udp: {delay: 1ms, lose: 12.5%}}
phones: [{name: x, user: "+61", password: "007", beacon: single, retention: 1m}, {name: y, account: x}]
zone: Australia/Sydney
start: 05/04/2020 02:30:00
`, Options{})
	if got.Server.BlockDuration != 59*time.Second+999_999_999 {
		t.Errorf("block_duration is %d ns", got.Server.BlockDuration)
	}
	if want := (Distribution{Mean: 5 * time.Millisecond}); got.Server.DiskDelay != want {
		t.Errorf("disk delay is %v, want %v", got.Server.DiskDelay, want)
	}
	want := Network{
		TCP: TCPNetwork{Delay: Distribution{Min: 10 * time.Millisecond, Max: 40 * time.Millisecond}, Split: 3,
			Join: 2 * time.Millisecond},
		UDP: UDPNetwork{Delay: Distribution{Min: time.Millisecond, Max: time.Millisecond}, Lose: 0.125},
	}
	if diff := cmp.Diff(want, got.Network); diff != "" {
		t.Error(diff)
	}
	if p := got.Phones[0]; p.User != "+61" || p.Password != "007" || p.Form != FormSingle ||
		p.Retention != time.Minute {
		t.Errorf("phone x is %+v", p)
	}
	// 02:30 came twice that night; the first was in summer time, UTC+11.
	if first := time.Date(2020, 4, 4, 15, 30, 0, 0, time.UTC).Unix(); got.Start != first {
		t.Errorf("start is %d, want the first reading, %d", got.Start, first)
	}
}

func TestContactsAndRoutine(t *testing.T) {
	got := parsed(t, `contacts:
  everyone: "*"
  lists: [[a, group-2], ["group-?"]]
  desks: {phones: [group-3, group], columns: 2}
  visits: [{phone: [a, mute], to: group, stay: 30s}, {phone: group-1, to: a, stay: 1s..2s}]
  mixing: {phones: group, degree: 1.5, dwell: 1m}
  trace: {file: t.csv, phones: group, classes: 1A, from: 31220, until: 8h41m}
routine:
  - {phones: [a, group-1], within: 0s, from: 5s, do: {type: hello}}
  - {phones: group, every: 20s, jitter: 10%, do: [login, Beacon], to: contacts, times: 3}
  - {phones: a, every: 20s, do: Beacon, to: [group, a]}
`, Options{})
	all, group := []int{0, 1, 2, 3, 4}, []int{1, 2, 3}
	want := Contacts{
		Everyone: []List{{Phones: all}},
		Lists:    []List{{Phones: []int{0, 2}}, {Phones: group}},
		Desks:    []Desks{{Phones: []int{3, 1, 2}, Columns: 2, Reach: 1}},
		Visits: []Visits{
			{Phone: 0, To: group, Stay: Distribution{Min: 30 * time.Second, Max: 30 * time.Second}},
			{Phone: 4, To: group, Stay: Distribution{Min: 30 * time.Second, Max: 30 * time.Second}},
			{Phone: 1, To: []int{0}, Stay: Distribution{Min: time.Second, Max: 2 * time.Second}},
		},
		Mixing: []Mixing{{Phones: group, Degree: 1.5, Dwell: time.Minute}},
		Trace: []Trace{{File: "dir/t.csv", Phones: group, Classes: []string{"1A"}, From: 31220, HasFrom: true,
			Until: 31260, HasUntil: true, Interval: TraceInterval}},
	}
	if diff := cmp.Diff(want, got.Contacts, noPlaces); diff != "" {
		t.Error(diff)
	}
	routine := []Routine{
		{Phones: []int{0, 1}, From: 5 * time.Second, Do: []Command{{Verb: VerbType, Text: "hello", Count: 1}}},
		{Phones: group, Every: 20 * time.Second, Jitter: 0.1, Do: []Command{{Verb: VerbLogin, Count: 1},
			{Verb: VerbBeacon, Contacts: true, Count: 3}}},
		{Phones: []int{0}, Every: 20 * time.Second, Do: []Command{{Verb: VerbBeacon, To: []int{1, 2, 3, 0}, Count: 1}}},
	}
	if diff := cmp.Diff(routine, got.Routine, noPlaces); diff != "" {
		t.Error(diff)
	}
}

func TestSteps(t *testing.T) {
	got := parsed(t, `script:
  - {phone: a, login: half}
  - {at: -50ms, phone: a, password: wrong, as: x, expect: {reply: no, closed: true}}
  - {at: x + 60s, phone: group-1, do: [login, Upload_contact_log], as: up, expect: {entries: 0,
      log: {tempids: [/1/, "2"]}}}
  - {at: up, phone: mute, forge: {to: a, expiry: soon, omit: [4, 1, 4], gap: 1ms}}
  - {phone: mute, forge: {to: group, copy: a, version: 2, form: single, port: 9}}
  - {phone: mute, login: {user: eve, password: x}, expect: {silent: true}}
  - {phone: mute, datagrams: {to: a, send: [!!binary "/w==", ab]}}
  - {phone: a, tcp: {connect: true, send: "{user}", close: true}}
  - {restart: {down: 5s}, expect: [{server_prints: ready}, {phone: a, prints_nothing: true, within: 2s}]}
  - {at: x + 60s - 1ns, expect: [{server_prints_nothing: true}, {server_prints_nothing: true, within: 3s}]}
  - {phone: a, expect: {log: 3}}
`, Options{})
	right := func(n int) *int { return &n }
	want := []Step{
		{Phone: 0, Login: &Login{Kind: "half"}},
		{At: When{Offset: -50 * time.Millisecond}, Phone: 0, As: "x", Password: ptr("wrong"),
			Expect: []StepExpect{{Within: 10 * time.Second, Phone: 0, Replies: []Pattern{{Text: "no"}},
				Closed: ptr(true)}}},
		{At: When{Label: "x", Offset: time.Minute}, Phone: 1, Login: &Login{Kind: "right"}},
		{At: When{AfterPrevious: true}, Phone: 1, As: "up", Do: &Command{Verb: VerbUpload, Count: 1},
			Expect: []StepExpect{{Within: 10 * time.Second, Phone: 1, Entries: right(0),
				Log: &LogExpect{Entries: -1, TempIDs: []Pattern{{Text: "/1/"}, {Text: "2"}}}}}},
		{At: When{Label: "up"}, Phone: 4, Forge: &Forge{To: []int{0}, Copy: -1, Start: WireTime{Set: true},
			Expiry: WireTime{Set: true, Text: "soon"}, Version: "1", Form: FormSplit, Omit: []int{1, 4},
			Gap: time.Millisecond}},
		{At: When{AfterPrevious: true}, Phone: 4, Forge: &Forge{To: []int{1, 2, 3}, Copy: 0, Version: "2",
			Form: FormSingle, Port: 9}},
		{At: When{AfterPrevious: true}, Phone: 4, Login: &Login{Kind: "right", User: "eve", Password: "x"},
			Expect: []StepExpect{{Within: time.Second, Phone: 4, NoReply: true}}},
		{At: When{AfterPrevious: true}, Phone: 4, Datagrams: &Datagrams{To: []int{0}, Send: []string{"\xff", "ab"}}},
		{At: When{AfterPrevious: true}, Phone: 0, TCP: &TCP{Connect: true, Send: []string{"{user}"}, Close: true}},
		{At: When{AfterPrevious: true}, Phone: -1, Restart: &Restart{Down: 5 * time.Second},
			Expect: []StepExpect{{Within: 10 * time.Second, Phone: -1, ServerPrints: []Pattern{{Text: "ready"}}},
				{Within: 2 * time.Second, Phone: 0, PrintsNothing: true}}},
		{At: When{Label: "x", Offset: time.Minute - 1}, Phone: -1,
			Expect: []StepExpect{{Within: time.Second, Phone: -1, ServerPrintsNothing: true}, {Within: 3 * time.Second,
				Phone: -1, ServerPrintsNothing: true}}},
		{At: When{AfterPrevious: true}, Phone: 0, Expect: []StepExpect{{Within: 10 * time.Second, Phone: 0,
			Log: &LogExpect{Entries: 3}}}},
	}
	if diff := cmp.Diff(want, got.Script, noPlaces, cmpopts.IgnoreFields(Step{}, "Text"),
		cmpopts.IgnoreFields(Pattern{}, "Re")); diff != "" {
		t.Error(diff)
	}
	if text := got.Script[8].Text; text != `phone: a, tcp: {connect: true, send: "{user}", close: true}` {
		t.Errorf("the step's text is %s", text)
	}
	re := got.Script[3].Expect[0].Log.TempIDs
	if !re[0].Match("213") || re[1].Match("213") || !re[1].Match("2") {
		t.Error("/1/ must match as a regular expression and 2 as itself")
	}
}

func TestExpectationsAndThresholds(t *testing.T) {
	got := parsed(t, `script: [{at: 1s, phone: a, do: Upload_contact_log, as: up-1}]
expect:
  - up-1.entries + 2 == group-*.log at up-1 - a.log
  - a.log.age_max<2m59.999999999s
thresholds: {beacon_delay: [" p(99.9) <= 6.5 ", "med===1e3"], beacons.valid: rate>0.5}
`, Options{})
	path := func(p Path) Operand { return Operand{Path: &p} }
	want := []Expectation{
		{Text: "up-1.entries + 2 == group-*.log at up-1 - a.log", Op: "==",
			Left: Sum{[]Term{{'+', path(Path{Text: "up-1.entries", Step: 0, Field: "entries"})}, {'+',
				Operand{Number: 2}}}},
			Right: Sum{[]Term{{'+', path(Path{Text: "group-*.log", Step: -1, Field: "log", Phones: []int{1, 2, 3},
				At: "up-1"})},
				{'-', path(Path{Text: "a.log", Step: -1, Field: "log", Phones: []int{0}})}}}},
		{Text: "a.log.age_max<2m59.999999999s", Op: "<",
			Left: Sum{[]Term{{'+', path(Path{Text: "a.log.age_max", Step: -1, Field: "log.age_max",
				Phones: []int{0}})}}},
			Right: Sum{[]Term{{'+', Operand{Number: 179.999999999, Duration: true}}}}, Durations: true},
	}
	if diff := cmp.Diff(want, got.Expect, noPlaces); diff != "" {
		t.Error(diff)
	}
	thresholds := []Threshold{
		{Metric: "beacon_delay", Text: "p(99.9) <= 6.5", Method: "p", Quantile: 99.9, Op: "<=", Value: 6.5},
		{Metric: "beacon_delay", Text: "med===1e3", Method: "med", Op: "==", Value: 1000},
		{Metric: "beacons.valid", Text: "rate>0.5", Method: "rate", Op: ">", Value: 0.5},
	}
	if diff := cmp.Diff(thresholds, got.Thresholds, noPlaces); diff != "" {
		t.Error(diff)
	}
}

func TestVariables(t *testing.T) {
	text := `vars: {N: 3, WHO: p, ODD: 1}
phones: [{name: "${WHO}", count: "${N}"}]
about: "$${N} is ${N}${ODD}"
`
	got := parsed(t, text, Options{Vars: map[string]string{"N": "5"}})
	if got.Phones[0].Name != "p" || got.Phones[0].Count != 5 || got.About != "${N} is 51" {
		t.Errorf("got %q of %d phones, about %q", got.Phones[0].Name, got.Phones[0].Count, got.About)
	}
	if diff := cmp.Diff(map[string]string{"N": "5", "WHO": "p", "ODD": "1"}, got.Vars); diff != "" {
		t.Error(diff)
	}
	_, err := Parse("f", []byte(completed("vars: {PHONES: 3}\nabout: ${PHOENS}\n")),
		Options{Vars: map[string]string{"PHONES": "5"}})
	if want := "f:2:8: `${PHOENS}` has no value; did you mean `PHONES`?"; err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	_, err = Parse("f", []byte(completed(text)), Options{Vars: map[string]string{"n": "5", "X\x1b": "1"}})
	want := "f: --set \"X\\x1b\": the file does not use ${X?}; it uses `N`, `ODD` and `WHO`\nf: --set \"n\": the " +
		"file does not use ${n}; did you mean `N`?"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// TestBombs checks that files which would need much memory or time are refused quickly.
func TestBombs(t *testing.T) {
	wide := "routine:\n  - &r {phones: &p [" + strings.Repeat("a, ", 1000) + "a], every: 5s, do: login}\n" +
		strings.Repeat("  - *r\n", 1000)
	crowds := "phones: [{name: x, count: 20}, {name: group, count: 1999000}]\ncontacts: {lists: ["
	for i := range 20 {
		crowds += fmt.Sprintf("[x-%d, group], ", i+1)
	}
	crowds += "]}\n"
	long := "vars: {V: " + strings.Repeat("x", 1<<20) + "}\nabout: &v \"${V}\"\nscript:\n" +
		strings.Repeat("  - {do: {type: *v}}\n", 30)
	for _, c := range []struct{ name, text, want string }{
		{"too large", strings.Repeat("#", maxFile+1), "larger than 4 MiB"},
		{"aliases of aliases", wide, "the file holds more than 500000 values"},
		{"nesting", "script: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "`script` is a list; " +
			"expected a step"},
		{"nesting without end", strings.Repeat("[", 20000), "exceeded max depth"},
		{"an alias of itself in a place of lists", "contacts: {lists: &x [[a, mute], *x]}",
			"is a list; expected a phone"},
		{"selections", crowds, "name more than 16000000 phones"},
		{"a long line of mistakes", "expect: [" + strings.Repeat("x.y > 1, ", 20_000) + "]", "and 19800 more"},
		{"a long line of unknown keys", "script: [" + strings.Repeat("{attt: 1}, ", 20_000) + "]", "and 19800 more"},
		{"many who lack an account", "phones: [{name: group, count: 2000000, account: none}]\nroutine: [" +
			strings.Repeat("{phones: group, within: 5s, do: login}, ", 5000) + "]", "has no account"},
		{"regular expressions", "script: [" + strings.Repeat("{phone: a, expect: {prints: '/((x{10}){10}){9}/'}}, ",
			5000) + "]", "too large together"},
		{"one large regular expression", "script: [{phone: a, expect: {prints: '/((x{100}){100}){100}/'}}]",
			"regular expression"},
		{"texts", "script:\n - {phone: a, do: {type: &t " + strings.Repeat("x", 1<<20) + "}}\n" +
			strings.Repeat(" - {phone: a, do: {type: *t}}\n", 1000), "come to more than 16 MiB"},
		{"visitors", "phones: [{name: group, count: 60000}]\ncontacts: {visits: [&v {phone: group, to: group, stay: " +
			"5s}, *v]}", "the most is 100000"},
		{"variables", long, "the variables of the file come to more than 16 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f", []byte(completed(c.text+"\n")), Options{})
			var m *Mistakes
			if !errors.As(err, &m) {
				t.Fatalf("got %v, want mistakes", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got\n%.600s\nwant %q in it", err, c.want)
			}
		})
	}
}

func TestNoText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"name: a\nabout: \xff\n", "f:2:8: byte 0xff is no UTF-8; a scenario is UTF-8 text"},
		{"name: é\x00\n",
			`f:1:8: found the control character U+0000; in a text between double quotes it can be written \x00`},
		{"\xff\xfen\x00", "f:1:1: the file is UTF-16 text; save it as UTF-8"},
	} {
		if _, err := Parse("f", []byte(c.text), Options{}); err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := Parse("f", []byte("\ufeff"+completed("seed: 1\r\n")), Options{}); err != nil {
		t.Errorf("a byte order mark and carriage returns: %v", err)
	}
}

func TestLoginLead(t *testing.T) {
	got := parsed(t, "phones: [{name: a, count: 2}, {name: b, password_pause: 1s}]\nnetwork: {tcp: {delay: exp 5ms}}\n",
		Options{})
	for phone, want := range []time.Duration{150 * time.Millisecond, 150 * time.Millisecond, 1100 * time.Millisecond} {
		if lead := got.LoginLead(phone); lead != want {
			t.Errorf("phone %d: %v, want %v", phone, lead, want)
		}
	}
}
