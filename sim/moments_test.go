package sim

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMoments: absolute, relative and chained times of steps, to the nanosecond.
func TestMoments(t *testing.T) {
	passes(t, head+`network: {tcp: {delay: 10ms}, udp: {delay: 3ms}}
script:
  - {at: 0s, phone: a, login: wrong, as: wrong}
  - {phone: a, password: right, as: welcomed}
  - {phone: a, do: Download_tempID, as: issued}
  - {phone: a, do: Beacon, to: b, as: judged, expect: {phone: b, prints: The beacon is valid.}}
  - {phone: a, do: Upload_contact_log, as: typed}
  - {phone: a, do: log out, as: out}
  - {at: judged + 1ns, phone: b, expect: {log: 1}, as: look}
  - {at: look + 1h, as: later}
expect:
  - wrong.at == 10ms
  - wrong.delay == 20ms
  - welcomed.at == 30ms
  - issued.at == 50ms
  - issued.delay == 20ms
  - judged.at == 63ms
  - typed.at == 63ms
  - typed.delay == 40ms
  - out.at == 113ms
  - look.at == judged.at + 1ns
  - later.at == 1h + 63.000001ms
`)
}

// TestBeginBeforeTimeZero: a login at 0s makes the run begin so much earlier
// that its password leaves at 0s.
func TestBeginBeforeTimeZero(t *testing.T) {
	r := passes(t, `name: early
phones: [{name: a, password_pause: 2s}]
network: {tcp: {delay: 10ms..30ms}}
script: [{at: 0s, phone: a, login: right, as: in}]
expect: [in.at >= 10ms, in.at <= 30ms, in.delay <= 60ms]
`)
	// the pause, and the opening of the connection there and back
	if r.VirtualSeconds < 2.06+0.02 || r.VirtualSeconds > 2.06+0.06 {
		t.Errorf("the run lasted %g s, want 2.06 before zero and up to 60 ms after", r.VirtualSeconds)
	}
}

// TestAtTheBoundary: logins that overlap on one phone, a nanosecond before the
// end of a block and at it; their connections are two.
func TestAtTheBoundary(t *testing.T) {
	r := passes(t, head+`server: {block_duration: 10s}
script:
  - {at: 0s, phone: thief, login: wrong}
  - {at: 1s, phone: thief, login: wrong}
  - {at: 2s, phone: thief, login: wrong, as: blocked, expect: {reply: /blocked/, closed: true}}
  - {at: blocked + 9.999999999s, phone: a, login: right, expect: {reply: /^Your account is blocked/, closed: true}}
  - {at: blocked + 10s, phone: a, login: right, as: in, expect: {reply: /^Welcome/}}
  - {at: in + 1s, phone: a, do: Download_tempID, expect: {prints: "TempID:"}}
  - {at: in + 2s, phone: a, do: Beacon, to: b, expect: {phone: b, prints: The beacon is valid.}}
expect: [logins.refused == 1, logins.welcomed == 1, in.at == 12s, a.beacons.sent == 1]
`)
	if r.Sessions.Opened != 3 {
		t.Errorf("%d connections, want 3", r.Sessions.Opened)
	}
}

// TestTwoLoginsOfOnePhone that both succeed.
func TestTwoLoginsOfOnePhone(t *testing.T) {
	passes(t, head+`network: {tcp: {delay: 20ms}}
script:
  - {at: 1s, phone: a, login: right, expect: {reply: /^Welcome/}}
  - {at: 1.01s, phone: a, login: right, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: a, do: Download_tempID, expect: {prints: "TempID:"}}
expect: [sessions.opened == 2, logins.welcomed == 2]
`)
}

// TestWakeUpsBeforeInputs: at one instant what is due comes before what
// arrives, also when a verdict of that instant is looked at on another phone.
func TestWakeUpsBeforeInputs(t *testing.T) {
	passes(t, head+`script:
  - {at: 0s, phone: ghost, forge: {to: c, expiry: 1h}}
  - {at: 200ms, phone: ghost, forge: {to: c, expiry: 1h}, as: heard}
  - {at: 179.95s, phone: ghost, forge: {to: b, omit: [4]}, as: late,
     expect: [{phone: c, log: 0}, {phone: b, log: 1}]}
  - {at: heard + 3m, phone: b, expect: {log: 1}}
expect: [late.at == 180.2s, beacons.delivered == 3, beacons.kept == 3, beacons.expired == 2]
`)
}

// TestARunWithALength lasts exactly so long; one without, until its script is
// done.
func TestARunWithALength(t *testing.T) {
	for text, want := range map[string]float64{
		"length: 90s\nscript: [{at: 1s, phone: a, expect: {log: 0}}]\n":                               90,
		"script: [{at: 1s, phone: a, expect: {log: 0}}]\n":                                            1,
		"script: [{at: 1s, phone: a, expect: {prints_nothing: true, within: 30s}}]\n":                 31,
		"script: [{at: 1s, phone: a, expect: {prints_nothing: true}}]\n":                              2,
		"script: [{at: -5s, phone: a, expect: {log: 0}}, {at: 1s, as: over}]\nexpect: [events > 0]\n": 6,
	} {
		if r := passes(t, head+text); r.VirtualSeconds != want {
			t.Errorf("the run lasted %g s, want %g:\n%s", r.VirtualSeconds, want, text)
		}
	}
}

// TestAMomentIsOfItsOwnStep: of a login whose username came in pieces the server
// decides before the password, whose time is that of the step: it has no moment,
// and a fault on its heels never comes. That of a later login is the later one's.
func TestAMomentIsOfItsOwnStep(t *testing.T) {
	w := watch(t, parse(t, head+`network: {tcp: {delay: 30ms}}
server: {login_timeout: 30s}
script:
  - {at: 5s, phone: a, login: right, as: split, optional: true}
  - {at: split + 1s, fault: {pause: c, for: 1s}, optional: true}
  - {at: 100s, phone: a, login: right, as: in, expect: {reply: /^Welcome/}}
  - {at: in + 4.97s, fault: {pause: b, for: 1s}}
length: 200s
faults:
  - {pieces: 8, of: a, for: 20s}
`))
	want := []string{"1 begins 0", "1 ends 20", "2 begins 105", "2 ends 106"}
	if diff := cmp.Diff(want, w.inForce()); diff != "" {
		t.Errorf("faults (-want +got):\n%s\n%s", diff, w.trace)
	}
}
