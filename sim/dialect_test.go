package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"bluetrace/protocol/dialect"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

const wholeVisit = head + `script:
  - {at: 0s, phone: a, login: right, expect: {reply: /^Welcome/}}
  - {at: 0s, phone: b, login: right, expect: {reply: /^Welcome/}}
  - {phone: b, do: Download_tempID, expect: {reply: '/^[0-9]{20}$/'}}
  - {phone: b, do: Beacon, to: a, times: 3}
  - {phone: a, do: Download_tempID, expect: {reply: '/^[0-9]{20}$/'}}
  - {phone: a, do: Upload_contact_log, expect: {entries: 3, resolved: 3}}
  - {phone: a, do: log out}
`

// inDialect runs a scenario in a shipped dialect, which change may change.
func inDialect(t *testing.T, text, name string, change func(*dialect.Dialect)) *reports.Run {
	t.Helper()
	d, err := scenarios.LoadDialect(name)
	if err != nil {
		t.Fatal(err)
	}
	change(&d.Dialect)
	r, err := Run(t.Context(), parse(t, text), Options{Dialect: &d.Dialect})
	if err != nil {
		t.Fatal(err)
	}
	return &r.Run
}

// TestUnderstood: the messages of the programs pass both translators, over a network that splits and joins them. A
// message that one side does not understand fails the run.
func TestUnderstood(t *testing.T) {
	const slow = "network: {tcp: {delay: 20ms..40ms, split: 30, join: 5ms}}\n"
	for _, text := range []string{wholeVisit, wholeVisit + slow} {
		for _, name := range scenarios.DialectNames() {
			r := inDialect(t, text, name, func(*dialect.Dialect) {})
			if r.Verdict != reports.Passed || r.Checks[0].Name != "the phones and the server understand each other in "+
				"the dialect "+name {
				t.Errorf("%s: %s, %+v", name, r.Verdict, r.Checks)
			}
		}
	}
	r := inDialect(t, wholeVisit, "codes", func(d *dialect.Dialect) { d.Upload = nil })
	const found = "a: the phone does not understand the server: the dialect codes does not describe what the phone " +
		"sends now"
	if c := r.Checks[0]; r.Verdict != reports.Failed || c.Verdict != reports.Failed || c.Found != found {
		t.Errorf("%s, %+v", r.Verdict, c)
	}
}

// TestDialectUnderFaults: programs and servers that stop, and connections that break, end translations too.
func TestDialectUnderFaults(t *testing.T) {
	text := head + `length: 70s
network: {tcp: {delay: 20ms..40ms}}
routine:
  - {phones: [a, b, c], every: 700ms, until: 60s, do: [login, Download_tempID, log out]}
faults:
  - {reset: a, at: 5s}
  - {pause: server, at: 10s, for: 2s}
  - {crash: server, at: 20s, for: 1s}
  - {crash: a, at: 25s, for: 1s}
  - {crash: b, at: 25s, for: 1s}
  - {pause: c, at: 30s, for: 3s}
  - {cut: a, at: 40s, for: 2s}
`
	for _, name := range scenarios.DialectNames() {
		r := inDialect(t, text, name, func(*dialect.Dialect) {})
		if r.Logins.Welcomed < 50 {
			t.Errorf("%s: %d logins", name, r.Logins.Welcomed)
		}
		for _, c := range r.Checks {
			if c.Verdict != reports.Passed {
				t.Errorf("%s: %s: %s, found %s\n%s", name, c.Name, c.Expected, c.Found,
					strings.Join(c.LastEvents, "\n"))
			}
		}
	}
}

// notVirtual has the rules that need a process, by number, with the words of the refusal.
var notVirtual = map[int]string{
	2: "`ends` needs", 43: "`busy` and `growth` need", 45: "`ends` needs", 47: "`ends` needs", 50: "`ends` needs",
	57: "`ends` needs", 59: "needs a phone with a `program`, which has a standard input",
	61: "needs a phone with a `program`, which has a standard input", 62: "`log_unbroken` needs",
	64: "`busy` and `growth` need", 65: "`ends` needs", 66: "`busy` and `growth` need",
}

// otherwiseTyped is the rule whose lines are typed at one program. In virtual time each of its logins is a program.
const otherwiseTyped = 44

// applies reports whether a rule is about programs of a dialect.
func applies(r *scenarios.Rule, d *dialect.Dialect) bool {
	lacks := map[string]bool{
		"download": len(d.Download) == 0, "upload": len(d.Upload) == 0, "logout": len(d.Logout) == 0,
		"seed": d.Name != "seed",
	}
	return !slices.ContainsFunc(r.Needs, func(need string) bool { return lacks[need] })
}

// TestRulesInVirtualTime: this project's programs pass each rule of the judge that can run in virtual time, in each
// dialect that it applies to.
func TestRulesInVirtualTime(t *testing.T) {
	rules, err := scenarios.LoadRules(scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scenarios.DialectNames() {
		d, err := scenarios.LoadDialect(name)
		if err != nil {
			t.Fatal(err)
		}
		passed := 0
		for _, s := range rules {
			reason, refused := notVirtual[s.Rule.Number]
			if s.Rule.Number == otherwiseTyped || !refused && !applies(s.Rule, &d.Dialect) {
				continue
			}
			r, err := Run(t.Context(), s, Options{Dialect: &d.Dialect})
			switch {
			case refused && (err == nil || !strings.Contains(err.Error(), reason)), !refused && err != nil:
				t.Errorf("rule %d: error %v, want %q", s.Rule.Number, err, reason)
			case refused:
			case r.Run.Verdict != reports.Passed:
				t.Errorf("rule %d in the dialect %s: %s", s.Rule.Number, name, failed(&r.Run))
			default:
				passed++
			}
		}
		if passed < 45 {
			t.Errorf("%d rules ran in the dialect %s", passed, name)
		}
	}
}

// failed describes the checks of a run that failed.
func failed(r *reports.Run) string {
	var b strings.Builder
	for _, c := range r.Checks {
		if c.Verdict != reports.Passed {
			fmt.Fprintf(&b, "%s: %s: expected %s, found %s\n", c.Place, c.Name, c.Expected, c.Found)
		}
	}
	return b.String()
}
