package swarm

import (
	"errors"
	"testing"

	"bluetrace/reports"
	"bluetrace/sim"
)

// TestCauses: values that differ between seeds are not part of a cause, differences between failures are.
func TestCauses(t *testing.T) {
	n := newCauseNames(classroom(t))
	invariant := func(name, found string) *reports.Check {
		return &reports.Check{Kind: reports.InvariantCheck, Name: name, Found: found}
	}
	step := func(name, found string) *reports.Check {
		return &reports.Check{Kind: reports.ExpectationCheck, Name: name, Found: found}
	}
	for _, c := range []struct {
		a, b *reports.Check
		want string
	}{
		{invariant("no entry is kept", "one of 3m0.008447763s"), invariant("no entry is kept", "one of 59.2s"),
			"no entry is kept: one of #"},
		{invariant("no entry leaves", "1 entry, received at [824.066731666]"), invariant("no entry leaves",
			"12 entries, received at [1 2.5 3]"),
			"no entry leaves: # entries, received at [#]"},
		{invariant("kept", `valid: "3304582738085463624230/07/2020 09:00:0430/07/2020 09:01:04"`),
			invariant("kept", `valid: "\"\xff 1"`), "kept: valid: …"},
		{invariant("owner", "+61410000003, 30/07/2020 17:04:51"),
			invariant("owner", "+61410000017, 01/01/2020 17:04:52"), "owner: …"},
		{step("at: 49m16.05s, phone: pupil-1, do: Upload_contact_log", "pupil-1 is not at its prompt: it is offline"),
			step("at: 6m, phone: teacher, do: Upload_contact_log, expect: {entries: 1}",
				"teacher is not at its prompt: it is offline"),
			"liveness: do: Upload_contact_log: … is not at its prompt: it is offline"},
		{step("at: 1m, phone: pupil-25, login: right", ""),
			step("at: 1m, phone: stranger, login: right, expect: {reply: Welcome}", ""),
			"liveness: login: right: nothing"},
	} {
		if a, b := n.causeOf(c.a), n.causeOf(c.b); a != c.want || b != c.want {
			t.Errorf("causes\n%q and\n%q, want\n%q", a, b, c.want)
		}
	}
	if got := n.causeOf(invariant("a block lasts", `"Invalid Password" to pupil-3`)); got != `a block lasts: `+
		`"Invalid Password"` {
		t.Errorf("the cause has to whom it was said: %q", got)
	}
	for _, name := range []string{"teacher", "pupil-12", "mallory"} {
		why := "virtual: " + name + " wants to be woken at 5 ns, before now"
		for _, err := range []error{&sim.Broken{Why: why}, errors.New(why)} {
			if got, want := n.brokenFailure(err).Cause,
				"the run breaks: virtual: … wants to be woken at # ns, before now"; got != want {
				t.Errorf("cause %q, want %q", got, want)
			}
		}
	}
	if a, b := n.causeOf(invariant("a", "an answer")), n.causeOf(invariant("a", "no answer")); a == b {
		t.Errorf("two failures have one cause %q", a)
	}
}

func TestFileNames(t *testing.T) {
	for cause, want := range map[string]string{
		"no entry is kept: one of #": "no-entry-is-kept-one-of",
		"… \x1b[2J/../é":             "2j",
		"datagrams: sent = delivered + lost + in flight: # sent, # delivered, #": "" +
			"datagrams-sent-delivered-lost-in-flight-sent-delivered",
		"a very long cause that goes on and on and on until it is longer than x": "" +
			"a-very-long-cause-that-goes-on-and-on-and-on-until-it-is-lon",
		"…": "",
	} {
		if got := FileName(cause); got != want {
			t.Errorf("FileName(%q) = %q, want %q", cause, got, want)
		}
	}
}
