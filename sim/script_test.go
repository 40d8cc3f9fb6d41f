package sim

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTimesOfSteps checks absolute, relative and chained times of steps, to the nanosecond.
func TestTimesOfSteps(t *testing.T) {
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
  - welcomed.delay == 20ms
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

// TestBeginBeforeTimeZero checks that a login at 0s makes the run begin earlier, so that its password is sent at 0s.
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

// TestAtTheBoundary checks two overlapping logins of one phone, a nanosecond before the end of a block and at the
// end. They have two connections.
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

// TestTwoLoginsOfOnePhone checks two overlapping logins that both succeed.
func TestTwoLoginsOfOnePhone(t *testing.T) {
	passes(t, head+`network: {tcp: {delay: 20ms}}
script:
  - {at: 1s, phone: a, login: right, expect: {reply: /^Welcome/}}
  - {at: 1.01s, phone: a, login: right, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: a, do: Download_tempID, expect: {prints: "TempID:"}}
expect: [sessions.opened == 2, logins.welcomed == 2]
`)
}

// TestWakeUpsBeforeInputs checks that wake-ups of one instant come before inputs of that instant, also if an
// expectation concerns another phone.
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

// TestARunWithALength checks that a run with a length ends at that time, and one without when its script is done.
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

// TestALabelBelongsToItsOwnStep checks a login whose user name arrives in pieces: the server decides before the
// password, whose time is that of the step. So the step takes no effect, and the fault after its label never begins.
// The label of a later login is set.
func TestALabelBelongsToItsOwnStep(t *testing.T) {
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

// TestEveryVerb checks every action and every expectation of a step in scenarios that pass.
func TestEveryVerb(t *testing.T) {
	for name, text := range map[string]string{
		"login": `script:
  - {at: 0s, phone: a, login: right, expect: {reply: Welcome to the BlueTrace Simulator!, closed: false}}
  - {at: 20s, phone: b, login: wrong, expect: {reply: Invalid Password. Please try again}}
  - {at: 30s, phone: ghost, login: unknown, expect: {reply: Invalid Password. Please try again}}
  - {at: 40s, phone: c, login: half, expect: {silent: true}}
  - {at: 50s, phone: ghost, login: {user: somebody, password: secret}, expect: {reply: Invalid Password. Please ` +
			`try again}}
  - {at: 60s, phone: thief, login: {kind: wrong, password: other}, expect: {replies: [Invalid Password. Please try ` +
			`again]}}
expect: [logins.welcomed == 1, logins.wrong == 4, sessions.opened == 6]
`,
		"password": `script:
  - {at: 0s, phone: a, login: wrong}
  - {at: 1s, phone: a, password: wrong, expect: {reply: Invalid Password. Please try again}}
  - {at: 2s, phone: a, password: right, expect: {reply: Welcome to the BlueTrace Simulator!}}
  - {at: 3s, phone: b, login: half}
  - {at: 4s, phone: b, password: nonsense, expect: {reply: Invalid Password. Please try again}}
`,
		"a login types the password that a phone waits for": `script:
  - {at: 0s, phone: a, login: wrong}
  - {at: 1s, phone: a, login: wrong}
  - {at: 2s, phone: a, login: right, expect: {reply: Welcome to the BlueTrace Simulator!}}
expect: [sessions.opened == 1]
`,
		"commands": `script:
  - {at: 0s, phone: a, do: login, expect: {reply: /^Welcome/}}
  - {at: 1s, phone: a, do: Download_tempID, expect: {reply: '/^[1-9][0-9]{19}$/', prints: ['TempID:', '/^[0-9]{20}$/']}}
  - {at: 2s, phone: a, do: Upload_contact_log, expect: {entries: 0, resolved: 0, server_prints: Contact log checking}}
  - {at: 3s, phone: a, do: {type: whatsthedate}, expect: {prints: Error. Invalid command}}
  - {at: 4s, phone: a, do: log out, expect: {prints: you have logged out, closed: true, server_prints: /logout$/}}
`,
		"several commands": `script:
  - {at: 0s, phone: b, do: [login, Download_tempID]}
  - {at: 1s, phone: a, do: [login, Download_tempID, Beacon, log out], to: b, as: out, expect: {prints: you have ` +
			`logged out}}
  - {at: out, phone: b, expect: {log: 1}}
expect: [out.at == 1s, tempids.issued == 2]
`,
		"Beacon": `contacts: {lists: [[a, b, c]]}
script:
  - {at: 0s, phone: a, do: Beacon, to: b, expect: {prints: you do not have valid tempid}}
  - {at: 1s, phone: a, do: [login, Download_tempID]}
  - {at: 2s, phone: a, do: Beacon, to: contacts, as: near, expect: {phone: b, prints: The beacon is valid.}}
  - {at: 3s, phone: a, do: Beacon, to: [b, ghost], times: 3, as: thrice}
  - {at: 4s, phone: b, expect: {log: 4}}
expect: [a.beacons.sent == 8, b.beacons.valid == 4, c.beacons.valid == 1, ghost.log == 3, near.at == 2s, ` +
			`beacons.sent == 8]
`,
		"forge": `start: 30/07/2020 09:00:00
script:
  - {at: 0s, phone: a, do: [login, Download_tempID]}
  - {at: 1s, phone: ghost, forge: {to: b}, expect: {phone: b, prints: The beacon is valid., log: 1}}
  - {at: 2s, phone: ghost, forge: {to: b, copy: a}, expect: {phone: b, prints: The beacon is valid., log: 2}}
  - {at: 3s, phone: ghost, forge: {to: b, copy: a, version: 2}, expect: {phone: b, prints: The beacon is invalid., ` +
			`log: 2}}
  - {at: 4s, phone: ghost, forge: {to: b, start: -20m, expiry: -5m}, expect: {phone: b, prints: The beacon is invalid.}}
  - {at: 5s, phone: ghost, forge: {to: b, start: 1s, form: single}, expect: {phone: b, prints: The beacon is invalid.}}
  - {at: 6s, phone: ghost, forge: {to: b, start: 30/07/2020 9:00:00}, expect: {phone: b, prints: The beacon is ` +
			`invalid.}}
  - {at: 7s, phone: ghost, forge: {to: [b, c], tempid: "12345678901234567890", form: single, port: 4000}, as: both,
     expect: [{phone: b, prints: ["12345678901234567890", The beacon is valid.]}, {phone: c, prints: The beacon is ` +
			`valid.}]}
  - {at: both, phone: b, expect: {log: {entries: 3, tempids: [/./, /./, "12345678901234567890"]}}}
  - {at: 8s, phone: ghost, forge: {to: b, omit: [4]}, as: late, expect: {phone: b, prints: The beacon is valid.}}
  - {at: 9s, phone: ghost, forge: {to: b, omit: [1, 2, 3]}, expect: {phone: b, prints: The beacon is invalid.}}
  - {at: 10s, phone: ghost, forge: {to: b, gap: 50ms}, as: slow, expect: {phone: b, prints: The beacon is valid.}}
  - {at: 11s, phone: ghost, forge: {to: b, omit: [3, 4]}, expect: {phone: b, prints_nothing: true}}
expect: [late.at == 8s + 250ms, slow.at == 10s + 150ms, b.beacons.invalid == 5, b.beacons.valid == 5]
`,
		"datagrams": `script:
  - {at: 0s, phone: ghost, datagrams: {to: b, send: "12345"}, expect: {phone: b, prints: The beacon is invalid.}}
  - {at: 1s, phone: ghost, datagrams: {to: b, send: ["12345", "x"]}, expect: {phone: b, prints_nothing: true}}
  - {at: 2s, phone: ghost, datagrams: {to: [b, c], send: ["x", ""], port: 4000, gap: 10ms}, as: other}
  - {at: 3s, expect: {phone: b, log: 0}}
expect: [datagrams.sent == 7, datagrams.delivered == 7, b.beacons.invalid == 2, c.beacons.invalid == 1, other.at == 2s]
`,
		"tcp": `script:
  - {at: 0s, phone: a, do: [login, Download_tempID]}
  - {at: 1s, phone: a, tcp: {connect: true, send: ["{user}", "{wrong}"], gap: 50ms}, expect: {reply: Invalid ` +
			`Password. Please try again}}
  - {at: 2s, phone: a, tcp: {send: "{password}"}, as: in, expect: {reply: Welcome to the BlueTrace Simulator!}}
  - {at: 3s, phone: a, tcp: {send: "Download_tempIDDownload_tempID"}, expect: {replies: ['/^[0-9]{20}$/', ` +
			`'/^[0-9]{20}$/']}}
  - {at: 4s, phone: a, tcp: {send: [Upload_contact_log, "3", "{tempid}", 01/01/2026 00:00:00, 01/01/2026 ` +
			`00:15:00], gap: 1ms}, as: up,
     expect: {replies: ["1", "1", "1", "1", "1"], server_prints: Contact log checking}}
  - {at: 5s, phone: a, tcp: {send: Download_}, expect: {silent: true}}
  - {at: 7s, phone: a, tcp: {send: tempID, close: true}, expect: {reply: '/^[0-9]{20}$/', closed: true}}
  - {at: 8s, phone: a, tcp: {connect: true, send: "{user}", close: true}, expect: {silent: true}}
  - {at: 10s, phone: a, tcp: {connect: true, reset: true}, expect: {closed: false}}
expect: [in.at == 2s, up.at == 4s + 4ms, tempids.issued == 4, sessions.opened == 4, sessions.closed == 3, ` +
			`uploads.resolved == 1]
`,
		"a second connection of a script leaves the first one silent": `script:
  - {at: 0s, phone: a, tcp: {connect: true, send: "{user}"}}
  - {at: 1s, phone: a, tcp: {connect: true, send: ["{user}", "{password}"], gap: 1ms}, expect: {reply: Welcome to ` +
			`the BlueTrace Simulator!}}
  - {at: 119s, phone: a, tcp: {send: "?"}, expect: {silent: true, closed: false, within: 20s}}
  - {at: 140s, phone: a, tcp: {send: Download_tempID}, expect: {reply: '/^[0-9]{20}$/'}}
expect: [sessions.opened == 2, sessions.closed == 1]
`,
		"restart": `server: {disk: {delay: 1ms}}
script:
  - {at: 0s, phone: a, do: [login, Download_tempID]}
  - {at: 1s, restart: {down: 5s}, as: down, expect: {server_prints: I am listening}}
  - {at: 2s, phone: b, tcp: {connect: true}, expect: {closed: false}}
  - {at: 7s, phone: a, login: right, expect: {reply: /^Welcome/}}
  - {at: 8s, restart: {}}
  - {at: 9s, phone: a, login: right, expect: {reply: /^Welcome/}}
expect: [down.at == 1s, sessions.opened == 3, sessions.closed == 2]
`,
		"logout and what goes on": `script:
  - {at: 0s, phone: a, do: [login, Download_tempID, log out]}
  - {at: 1s, phone: b, do: [login, Download_tempID, Beacon], to: a, expect: {phone: a, prints: The beacon is valid.}}
`,
		"one account on two phones": `script:
  - {at: 0s, phone: a, login: right, expect: {reply: /^Welcome/}}
  - {at: 1s, phone: thief, login: right, expect: {reply: /^Welcome/, server_prints: /^users/}}
`,
	} {
		t.Run(name, func(t *testing.T) { passes(t, head+text) })
	}
}
