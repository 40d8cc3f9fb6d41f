package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bluetrace/scenarios"
)

// allActions is a scenario with every kind of action.
const allActions = `name: all-actions
length: 2m
start: 30/07/2020 09:00:00
network: {tcp: {delay: 5ms}, udp: {delay: 3ms}}
server: {disk: {delay: 2ms}}
phones: [{name: p, count: 4}, {name: ghost, account: none}, {name: thief, account: p-1}]
contacts: {everyone: p}
routine:
  - {phones: p, within: 5s, do: [login, Download_tempID]}
  - {phones: p, every: 10s, jitter: 30%, do: Beacon, to: contacts, from: 10s}
  - {phones: p-2, within: 5s, from: 90s, do: [Upload_contact_log, {type: whatsthedate}, log out]}
faults:
  - {lose: 5%}
  - {crash: p-3, at: 45s, for: 3s}
  - {clock: server, step: 1h, at: 30s}
adversaries:
  - {replay: p, by: ghost, to: p-1, after: 1s..20s, chance: 30%}
  - {forge: p-2, by: ghost, every: 7s, jitter: 50%}
  - {guess: p-1, by: thief, every: 11s}
  - {flood: p-4, by: ghost, every: 3s}
script:
  - {at: 20s, phone: thief, login: wrong}
  - {at: 25s, phone: thief, password: wrong}
  - {at: 30s, phone: p-4, do: {type: nonsense}, as: typed}
  - {at: typed + 5s, phone: p-1, tcp: {connect: true, send: ["{user}", "{password}"], gap: 1s, close: true}}
  - {at: 50s, fault: {delay: 40ms, for: 10s}}
  - {at: 60s, restart: {down: 2s}}
expect: [beacons.valid > 50, adversaries.sent > 40]
`

// explicit returns a scenario whose script has the recorded commands of a run.
func explicit(s *scenarios.Scenario, recorded []command) *scenarios.Scenario {
	e := *s
	e.Routine, e.Adversaries, e.Contacts, e.Expect, e.Script = nil, nil, scenarios.Contacts{}, nil, nil
	for _, c := range recorded {
		e.Script = append(e.Script, c.step)
	}
	return &e
}

// recordedSteps returns the recorded commands in the order of their times, without their positions and without
// `optional`.
func recordedSteps(recorded []command) []scenarios.Step {
	var all []scenarios.Step
	for _, c := range recorded {
		st := c.step
		st.Pos, st.At.Pos, st.Text, st.Optional = scenarios.Pos{}, scenarios.Pos{}, "", false
		all = append(all, st)
	}
	slices.SortStableFunc(all, func(a, b scenarios.Step) int { return int(a.At.Offset - b.At.Offset) })
	return all
}

// TestRecordedRun checks that a script of the recorded commands gives the same commands at the same times.
func TestRecordedRun(t *testing.T) {
	s := parse(t, allActions)
	first := watch(t, s)
	second := watch(t, explicit(s, first.commands))
	if d := cmp.Diff(recordedSteps(first.commands), recordedSteps(second.commands)); d != "" {
		t.Errorf("the first run (-) and the run of its record (+):\n%s", d)
	}
	if first.Beacons.Sent != second.Beacons.Sent || first.Sessions != second.Sessions ||
		first.Logins != second.Logins || first.TempIDs != second.TempIDs {
		t.Errorf("%+v %+v %+v %+v, then %+v %+v %+v %+v", first.Beacons, first.Sessions, first.Logins, first.TempIDs,
			second.Beacons, second.Sessions, second.Logins, second.TempIDs)
	}
	kinds := map[string]int{}
	for _, c := range first.commands {
		kinds[kindOf(&c.step)]++
	}
	for _, kind := range []string{"login", "password", "do", "forge", "datagrams", "tcp", "fault", "restart"} {
		if kinds[kind] == 0 {
			t.Errorf("nothing was recorded of %s: %v", kind, kinds)
		}
	}
}

func kindOf(st *scenarios.Step) string {
	switch {
	case st.Login != nil:
		return "login"
	case st.Password != nil:
		return "password"
	case st.Do != nil:
		return "do"
	case st.Forge != nil:
		return "forge"
	case st.Datagrams != nil:
		return "datagrams"
	case st.TCP != nil:
		return "tcp"
	case st.Fault != nil:
		return "fault"
	case st.Restart != nil:
		return "restart"
	}
	return "nothing"
}

// TestCommandedTimes checks that the time of a recorded step is the time of its effect, for a login that of its
// password.
func TestCommandedTimes(t *testing.T) {
	w := watch(t, parse(t, `name: times
length: 1m
network: {tcp: {delay: 5ms}}
phones: [{name: a}, {name: b}]
routine: [{phones: b, within: 1ns, from: 10s, do: [login, Download_tempID]}]
script:
  - {at: 5s, phone: a, login: right, as: in}
  - {at: in + 15s, phone: a, do: [Download_tempID, Beacon], to: b}
invariants: true
`))
	lead := 50*time.Millisecond + 2*5*time.Millisecond
	var got []string
	for _, c := range w.commands {
		got = append(got, c.step.At.Offset.String()+" "+kindOf(&c.step))
		if c.step.At.Label != "" || c.step.At.AfterPrevious || c.step.As != "" || c.step.Expect != nil {
			t.Errorf("%+v depends on other steps", c.step)
		}
	}
	asked := 20*time.Second + 5*time.Millisecond // the login took effect when the server read it
	want := []string{"5s login", (10*time.Second + lead).String() + " login",
		(10*time.Second + lead + 10*time.Millisecond).String() + " do", asked.String() + " do",
		(asked + 10*time.Millisecond).String() + " do"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}
