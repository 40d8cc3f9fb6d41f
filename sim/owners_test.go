package sim

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"

	"bluetrace/nodes/files"
	"bluetrace/reports"
)

// notHeld lists the expectations that did not hold: verdict, line, time, expected and found.
func notHeld(r *reports.Run) []string {
	list := []string{}
	for _, c := range checksOf(r, reports.ExpectationCheck) {
		if c.Verdict == reports.Passed {
			continue
		}
		line := strings.Split(c.Place, ":")[1]
		when := ""
		if c.AtSeconds != nil {
			when = fmt.Sprintf(" at %g s", *c.AtSeconds)
		}
		list = append(list, fmt.Sprintf("%s line %s%s: %s | %s", c.Verdict, line, when, c.Expected, c.Found))
	}
	return list
}

// two has the phones of scenarios whose script begins at line 4.
const two = `name: test
phones: [{name: anna}, {name: ben}]
`

const heard = two + `script:
  - {at: 0s, phone: anna, do: [login, Download_tempID]}
  - {at: 0s, phone: ben, do: [login, Download_tempID]}
  - {at: 1s, phone: anna, do: Beacon, to: ben}
`

// ownership are scripts with the expectations that do not hold in them.
var ownership = []struct {
	name, text string
	want       []string
	faults     bool // not possible on sockets
}{
	{"a right reply is not blamed for that of a later step", two + `network: {tcp: {delay: 20ms}}
script:
  - {at: 0s, phone: ben, login: wrong, expect: {reply: Invalid Password. Please try again, closed: true}}
  - {at: 2s, phone: ben, password: right}
`, []string{"failed line 5 at 10 s: the server closes the connection of ben | it is open"}, false},
	{"the welcome of a later login is not that of a login that was cut off", two + `script:
  - {at: 1s, fault: {crash: server, for: 3s}}
  - {at: 1s, phone: ben, do: login, expect: {reply: /^Welcome/}}
  - {at: 6s, phone: ben, do: login}
`, []string{"failed line 5 at 1 s: the reply /^Welcome/ to ben | nothing, and the connection broke, " +
		"because of the fault at line 4 (crash: server, for: 3s)"}, true},
	{"a reset is named", two + `network: {tcp: {delay: 20ms}}
script:
  - {at: 0s, phone: ben, do: login}
  - {at: 5s, fault: {reset: ben}}
  - {at: 5s, phone: ben, do: Download_tempID, as: first, expect: {reply: "/^[0-9]{20}$/"}}
  - {at: 9s, phone: ben, do: [login, Download_tempID]}
`, []string{"failed line 7 at 5.02 s: the reply /^[0-9]{20}$/ to ben | nothing, and the connection broke, " +
		"because of the fault at line 6 (reset: ben)"}, true},
	{"an upload fails when its connection ends", heard + `  - {at: 5s, fault: {reset: ben}}
  - {at: 5s, phone: ben, do: Upload_contact_log, as: up, expect: {entries: 1, resolved: 1}}
  - {at: 10s, phone: ben, do: [login, Upload_contact_log]}
`, []string{"failed line 8 at 5 s: an upload of 1 entry by ben; an upload by ben of which 1 entry is resolved | " +
		"none, and the connection broke, because of the fault at line 7 (reset: ben); none"}, true},
	{"a restart breaks an upload", heard + `  - {at: 5s, restart: {}}
  - {at: 5s, phone: ben, do: Upload_contact_log, expect: {entries: 1}}
  - {at: 10s, phone: ben, do: [login, Upload_contact_log]}
`, []string{"failed line 8 at 5 s: an upload of 1 entry by ben | none, and the connection broke, " +
		"because of the restart at line 7"}, false},
	{"each unmet part is told", heard + `  - {at: 5s, phone: ben, do: Upload_contact_log, expect: {entries: 2, ` +
		`resolved: 0, closed: true, log: 3}}
`, []string{"failed line 7 at 5 s: 3 entries in the log of ben; an upload of 2 entries by ben; " +
		"an upload by ben of which 0 entries are resolved; the server closes the connection of ben | " +
		"1 entry, received 4s ago; 1; 1; it is open"}, false},
	{"an end decides silence and closed at once", two + `script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}"}, expect: {silent: true, closed: true, within: 1h}}
  - {phone: anna, do: {type: x}, as: next}
expect: [next.at == 121s]
`, []string{}, false},
	{"a connection that a later step has closed", two + `script:
  - {at: 1s, phone: ben, login: wrong, expect: {closed: true}}
  - {at: 2s, phone: ben, password: wrong, expect: {closed: false}}
  - {at: 3s, phone: ben, password: wrong, expect: {closed: true}}
`, []string{"failed line 4 at 3 s: the server closes the connection of ben | it was closed because of the step at " +
		"line 6"},
		false},
	{"a connection whose end of file a later step sent", two + `script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}"}, expect: {closed: true}}
  - {at: 2s, phone: ben, tcp: {close: true}, expect: {closed: true}}
`, []string{"failed line 4 at 2 s: the server closes the connection of ben | it was closed because of the step at " +
		"line 5"},
		false},
	{"a connection that a restart closes", two + `script:
  - {at: 1s, phone: ben, login: wrong, expect: {closed: true}}
  - {at: 2s, phone: ben, password: wrong, expect: {closed: true}}
  - {at: 3s, restart: {}}
`, []string{"failed line 4 at 3 s: the server closes the connection of ben | the connection broke, because of the " +
		"restart at line 6", "failed line 5 at 3 s: the server closes the connection of ben | the connection broke, " +
		"because of the restart at line 6"}, false},
	{"a connection that a fault of a later step resets", two + `script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}"}, expect: {closed: true}}
  - {at: 1s, phone: anna, login: half, expect: {closed: false, within: 5s}}
  - {at: 2s, fault: {reset: [ben, anna]}}
`, []string{"failed line 4 at 2 s: the server closes the connection of ben | the connection broke, because of the " +
		"fault at line 6 (reset: [ben, anna])"}, true},
	{"a connection that the step itself resets", two + `script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}", reset: true}, expect: {closed: true}}
  - {at: 2s, phone: anna, tcp: {connect: true, reset: true}, expect: {closed: false, silent: true}}
`, []string{"failed line 4 at 1 s: the server closes the connection of ben | the step at line 4 reset the connection"},
		false},
	{"a connection that a later step resets", two + `script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}"}, expect: {closed: true}}
  - {at: 2s, phone: ben, tcp: {reset: true}, expect: {closed: false}}
`, []string{"failed line 4 at 2 s: the server closes the connection of ben | the step at line 5 reset the connection"},
		false},
	{"a refused connection is not closed by the server", two + `script:
  - {at: 1s, restart: {down: 5s}}
  - {at: 2s, phone: ben, tcp: {connect: true}, expect: {closed: true}}
`, []string{"failed line 5 at 2 s: the server closes the connection of ben | the connection was refused, because of " +
		"the restart at line 4"}, false},
	{"two connections after each other", two + `network: {tcp: {delay: 20ms}}
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: ["{user}", "{password}"], gap: 1ms}, expect: {reply: /^Welcome/}}
  - {at: 1.01s, phone: ben, tcp: {connect: true, send: "{user}"}, expect: {silent: true, closed: false, within: 5s}}
`, []string{"failed line 5 at 11 s: the reply /^Welcome/ to ben | nothing in 10s"}, false},
	{"the reply on the first of two connections", two + `network: {tcp: {delay: 20ms}}
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: ["{user}{password}"]}, expect: {reply: /^Welcome/}}
  - {at: 1.1s, phone: ben, tcp: {send: Download_tempID}, expect: {reply: "/^[0-9]{20}$/"}}
  - {at: 1.11s, phone: ben, tcp: {connect: true, send: "{user}{password}"}, expect: {reply: /^Welcome/}}
`, []string{}, false},
	{"pipelined requests of a connection", two + `network: {tcp: {delay: 20ms}}
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}{password}"}, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: ben, tcp: {send: Download_tempIDDownload_tempID}, expect: {replies: ["/^[0-9]{20}$/", ` +
		`"/^[0-9]{20}$/"]}}
  - {at: 2.001s, phone: ben, tcp: {send: Download_}, expect: {silent: true, within: 5ms}}
  - {at: 2.01s, phone: ben, tcp: {send: tempIDUpload_contact_log}, expect: {replies: ["/^[0-9]{20}$/", "1"]}}
  - {at: 2.02s, phone: ben, tcp: {send: "0"}, expect: {reply: "1"}}
  - {at: 3s, phone: ben, tcp: {send: x}, expect: {silent: true}}
  - {at: 3.001s, phone: ben, tcp: {send: Download_tempID}}
`, []string{}, false},
	{"an answer to a later request", two + `network: {tcp: {delay: 20ms}}
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}{password}"}}
  - {at: 2s, phone: ben, tcp: {send: x}, expect: {reply: "/^[0-9]{20}$/"}}
  - {at: 3s, phone: ben, tcp: {send: Download_tempID}}
`, []string{"failed line 6 at 12 s: the reply /^[0-9]{20}$/ to ben | nothing in 10s"}, false},
	{"requests that the server reads at once", two + `network: {tcp: {join: 20ms}}
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}{password}"}, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: ben, tcp: {send: Download_tempID}, expect: {reply: "/^[0-9]{20}$/"}}
  - {at: 2.01s, phone: ben, tcp: {send: Upload_contact_log}, expect: {reply: "1"}}
`, []string{}, true},
	{"requests that the server reads at once and answers in their order", two + `network: {tcp: {join: 20ms}}
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}{password}"}, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: ben, tcp: {send: Download_tempID}}
  - {at: 2.001s, phone: ben, tcp: {send: x}, expect: {silent: true}}
  - {at: 2.002s, phone: ben, tcp: {send: Upload_con}, expect: {silent: true}}
  - {at: 2.003s, phone: ben, tcp: {send: tact_logDown}, expect: {reply: "1"}}
`, []string{}, true},
	{"the later of two requests gets its own answer only", two + `network: {tcp: {join: 20ms}}
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}{password}"}, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: ben, tcp: {send: Download_tempID}, expect: {silent: true}}
  - {at: 2.001s, phone: ben, tcp: {send: Upload_contact_log}, expect: {reply: "/^[0-9]{20}$/"}}
`, []string{`failed line 6 at 2.04 s: no reply to ben | "87796451574183373583"`,
		`failed line 7 at 2.04 s: the reply /^[0-9]{20}$/ to ben | "1"`}, true},
	{"a request without an answer among those of one read", two + `network: {tcp: {join: 20ms}}
faults: [{disk: server, is: failing, count: 1}]
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}{password}"}, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: ben, tcp: {send: Download_tempID}, expect: {silent: true}}
  - {at: 2.001s, phone: ben, tcp: {send: Download_tempID}, expect: {reply: "/^[0-9]{20}$/"}}
`, []string{}, true},
	{"a logout before another request of the same read", two + `network: {tcp: {join: 20ms}}
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}{password}"}, expect: {closed: true}}
  - {at: 2s, phone: ben, tcp: {send: log out}, expect: {closed: true}}
  - {at: 2.001s, phone: ben, tcp: {send: Download_tempID}, expect: {silent: true}}
`, []string{"failed line 5 at 2.02 s: the server closes the connection of ben | it was closed because of the step at " +
		"line 6"}, true},
	{"a request that an earlier step ends", two + `script:
  - {phone: ben, tcp: {connect: true, send: ["{user}{password}", Download_tempIDDownl, oad], gap: 1s},
     expect: {replies: [/^Welcome/, "/^[0-9]{20}$/"]}}
  - {phone: ben, tcp: {send: [_, _tempID], gap: 2s}}
  - {at: 5s, phone: ben, tcp: {send: Download_tempID}, expect: {reply: "/^[0-9]{20}$/"}}
`, []string{}, false},
	{"an answer to an earlier request", two + `network: {tcp: {delay: 20ms}}
script:
  - {at: 1s, phone: ben, tcp: {connect: true, send: "{user}{password}"}}
  - {at: 2s, phone: ben, tcp: {send: Download_tempID}}
  - {at: 2.001s, phone: ben, tcp: {send: x}, expect: {reply: "/^[0-9]{20}$/"}}
`, []string{"failed line 7 at 12.001 s: the reply /^[0-9]{20}$/ to ben | nothing in 10s"}, false},
	{"commands typed ahead", two + `network: {tcp: {delay: 20ms}}
script:
  - {at: 0s, phone: ben, do: login}
  - {at: 1s, phone: ben, do: Download_tempID, expect: {reply: "/^[0-9]{20}$/", prints: "TempID:"}}
  - {at: 1.001s, phone: ben, do: {type: nonsense}, expect: {silent: true, prints: Error. Invalid command}}
  - {at: 1.002s, phone: ben, do: Upload_contact_log, expect: {replies: ["1", "1"], entries: 0}}
  - {at: 1.003s, phone: ben, do: Download_tempID, as: last, expect: {reply: "/^[0-9]{20}$/"}}
expect: [last.at == 1.14s]
`, []string{}, false},
	{"lines of the screen during the operation of another step", two + `script:
  - {at: 0s, phone: ben, do: login}
  - {at: 5s, fault: {reset: ben}}
  - {at: 5s, phone: ben, do: Download_tempID, expect: {prints: "TempID:"}}
  - {at: 9s, phone: ben, do: [login, Download_tempID]}
`, []string{"failed line 6 at 15 s: the screen of ben shows \"TempID:\" | it showed \"the server closed the " +
		"connection\""}, true},
	{"two programs of a phone", two + `network: {tcp: {delay: 20ms}}
script:
  - {at: 1s, phone: ben, login: wrong, expect: {reply: /again$/}}
  - {at: 1.01s, phone: ben, login: right, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: ben, password: right, expect: {reply: /^Welcome/}}
  - {at: 3s, phone: ben, do: Download_tempID, expect: {reply: "/^[0-9]{20}$/", prints: "TempID:"}}
`, []string{}, false},
	{"a session that continues in another program", two + `server: {block_duration: 10s}
script:
  - {at: 0s, phone: anna, login: wrong}
  - {at: 1s, phone: anna, password: wrong}
  - {at: 2s, phone: anna, password: wrong, as: blocked, expect: {reply: /blocked/, closed: true}}
  - {at: blocked + 9.999999999s, phone: anna, login: right, expect: {reply: /is blocked/, closed: true}}
  - {at: blocked + 10s, phone: anna, login: right, expect: [{reply: /^Welcome/}, {closed: false, within: 3s}]}
  - {at: 14s, phone: anna, do: Download_tempID, expect: {reply: "/^[0-9]{20}$/", prints: "TempID:"}}
  - {at: 15s, phone: anna, do: log out, expect: {closed: true}}
`, []string{}, false},
	{"a step that waits for a failed one is skipped", two + `script:
  - {at: 1s, phone: ben, login: wrong, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: ben, do: Download_tempID, as: issued, expect: {reply: /./}}
  - {at: issued + 1s, phone: ben, do: Beacon, to: anna}
`, []string{`failed line 4 at 1 s: the reply /^Welcome/ to ben | "Invalid Password. Please try again"`,
		"skipped line 5 at 2 s: the step takes place | skipped because of line 4: ben is not at its prompt: it is " +
			"at password",
		"skipped line 6: the step takes place | skipped because of line 5: its label issued was never set; " +
			"the step at line 5 took no effect"}, false},
	{"an optional step is the cause", two + `script:
  - {at: 1s, phone: ben, login: wrong, optional: true, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: ben, do: Download_tempID, expect: {reply: /./}}
`, []string{`failed line 4 at 1 s: the reply /^Welcome/ to ben | "Invalid Password. Please try again"`,
		"skipped line 5 at 2 s: the step takes place | skipped because of line 4: ben is not at its prompt: it is at " +
			"password; the optional step at line 4 did not succeed"}, false},
	{"an optional step that cannot take place", two + `script:
  - {at: 1s, phone: ben, do: Download_tempID, optional: true, as: issued, expect: {reply: /./}}
  - {at: 2s, phone: ben, do: Beacon, to: anna, optional: true, expect: {phone: anna, log: 1}}
  - {at: issued + 1s, phone: anna, optional: true, expect: {log: 1}}
  - {at: issued + 1s, phone: anna, expect: {log: 0}}
`, []string{"failed line 7 at 1 s: the step takes place | its label issued was never set; the step at line 4 took no " +
		"effect; the optional step at line 4 did not succeed"}, false},
	{"a fault is the cause", two + `script:
  - {at: 1s, phone: ben, do: login}
  - {at: 2s, fault: {reset: ben}}
  - {at: 3s, phone: ben, do: Download_tempID, expect: {reply: /./}}
  - {at: 4s, fault: {switch_off: anna, for: 1s}}
  - {at: 4.5s, phone: anna, do: login}
`, []string{"failed line 6 at 3 s: the step takes place | ben is not at its prompt: it is offline; " +
		"the connection broke, because of the fault at line 5 (reset: ben)",
		"failed line 8: the step takes place | anna has no connection to log in on: it was refused, or has ended; " +
			"its program does not run, because of the fault at line 7 (switch_off: anna, for: 1s)"}, true},
	{"an end after a fault that did not cause it", two + `script:
  - {at: 1s, phone: anna, do: login}
  - {at: 2s, fault: {reset: ben}}
  - {at: 3s, phone: anna, tcp: {connect: true, send: ["{user}{password}", log out], gap: 1ms}, expect: {replies: ` +
		`[/./, /./]}}
  - {at: 4s, fault: {reset: anna, for: 20s}}
  - {at: 5s, phone: anna, do: log out, expect: {reply: /./}}
`, []string{`failed line 6 at 3.001 s: the replies /./, /./ to anna | "Welcome to the BlueTrace Simulator!", and ` +
		"the server closed the connection", "failed line 8 at 5 s: the reply /./ to anna | nothing, and the phone " +
		"closed " +
		"the connection"}, true},
	{"a server that is down is the cause", two + `script:
  - {at: 1s, restart: {down: 10s}}
  - {at: 3s, phone: ben, login: right, expect: {reply: /./}}
`, []string{"failed line 5 at 3 s: the step takes place | ben has no connection to log in on: it was refused, or has " +
		"ended; the connection was refused, because of the restart at line 4"}, false},
	{"a second connection of a login", two + `network: {tcp: {join: 100ms}}
script:
  - {at: 2s, phone: ben, login: wrong,
     expect: [{silent: true, within: 10s}, {reply: Invalid Password. Please try again, within: 12s}]}
`, []string{}, true},
	{"a login without an answer on both connections", two + `network: {tcp: {join: 10ms}}
script:
  - {at: 2s, phone: ben, login: {user: ben, password: x}, expect: {reply: /^Welcome/, within: 1m}}
  - {at: 2s, fault: {stall: server, for: 1m}}
`, []string{"failed line 5 at 22.5 s: the reply /^Welcome/ to ben | nothing, and the phone closed the connection"},
		true},
}

// TestAStepHasItsOwnEvents checks that the events of a step decide its expectations, and those of other steps do not.
func TestAStepHasItsOwnEvents(t *testing.T) {
	for _, c := range ownership {
		t.Run(c.name, func(t *testing.T) {
			r := play(t, c.text)
			if d := cmp.Diff(c.want, notHeld(r)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			want := reports.Passed
			if len(c.want) > 0 {
				want = reports.Failed
			}
			if r.Verdict != want {
				t.Errorf("verdict %s, want %s", r.Verdict, want)
			}
		})
	}
}

// TestAStepHasItsOwnEventsOnSockets checks the same on real sockets under a mock clock, without delays.
func TestAStepHasItsOwnEventsOnSockets(t *testing.T) {
	for _, c := range ownership {
		if c.faults {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, onSockets := parse(t, c.text), parse(t, c.text)
			withoutNetwork(s)
			withoutNetwork(onSockets)
			want := record(t, s, Options{folder: files.NewMemory()}).normal()
			live := &Live{mock: clock.NewMock(), log: func(int) (*files.ContactLog, error) {
				return files.OpenContactLog(files.NewMemory(), logFile)
			}}
			got := record(t, onSockets, Options{folder: files.NewMemory(), Live: live}).normal()
			if d := cmp.Diff(want.Verdicts, got.Verdicts); d != "" {
				t.Errorf("virtual (-) and live (+) differ:\n%s", d)
			}
		})
	}
}

// TestSkippedStepsInReports checks that text, JUnit and JSON show a skipped step as such.
func TestSkippedStepsInReports(t *testing.T) {
	r := play(t, two+`script:
  - {at: 1s, phone: ben, login: wrong, expect: {reply: /^Welcome/}}
  - {at: 2s, phone: ben, do: Download_tempID}
`)
	for name, c := range map[string]struct {
		write func(*strings.Builder) error
		want  string
	}{
		"text": {func(b *strings.Builder) error { return reports.Text(b, r, reports.TextOptions{}) },
			"1 of 17 checks failed, 1 skipped"},
		"JUnit": {func(b *strings.Builder) error { return reports.JUnit(b, []*reports.Run{r}) },
			`<skipped message="skipped because of line 4: ben is not at its prompt: it is at password">`},
		"JSON": {func(b *strings.Builder) error { return reports.JSON(b, []*reports.Run{r}) },
			`"verdict": "skipped"`},
	} {
		var b strings.Builder
		if err := c.write(&b); err != nil || !strings.Contains(b.String(), c.want) {
			t.Errorf("%s: error %v, no %q in\n%s", name, err, c.want, b.String())
		}
	}
	if v := verdict([]reports.Check{{Verdict: reports.Skipped}}, false); v != reports.Failed {
		t.Errorf("a run with a skipped step: %s", v)
	}
}

// TestAScriptTakesLinearMemory checks that twice as many steps at one time take about twice as many bytes.
func TestAScriptTakesLinearMemory(t *testing.T) {
	allocated := func(steps int) uint64 {
		text := strings.Builder{}
		text.WriteString(two + "script:\n  - {at: 0s, phone: ben, do: [login, Download_tempID]}\n")
		for range steps {
			text.WriteString("  - {at: 1s, phone: ben, do: {type: x}, expect: {server_prints_nothing: true}}\n")
		}
		s := parse(t, text.String())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Run(t.Context(), s, Options{}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if few, many := allocated(2000), allocated(4000); many > 3*few {
		t.Errorf("%d bytes for 2,000 steps, %d for 4,000", few, many)
	}
}
