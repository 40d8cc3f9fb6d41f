//go:build unix

package sim

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

// shellPhone is a phone in the language of sh. It has a log from the start, writes one late, and ends at "logout".
const shellPhone = `echo "ports {port} {udp}"; printf "Name: "; read name; printf "Password: "; read password
echo "welcome $name with $password"
while read line; do case $line in
	late) (sleep 0.3; echo "31415926535897932384 a b"; echo 27182818284590452353) >> z_contactLog.txt & ;;
	logout) echo bye; exit 7;;
	*) echo "typed $line.";;
esac; done; echo "no more input"`

// withProgram returns a scenario whose phone `subject` is the command.
func withProgram(command, script string) string {
	return fmt.Sprintf("name: x\nphones: [{name: subject, user: una, password: pw, program: %q}, "+
		"{name: b, account: none}]\nscript:\n%s", command, script)
}

// failedChecks describes the failed checks of a run.
func failedChecks(r *reports.Run) (all []string) {
	for _, c := range r.Checks {
		if c.Verdict != reports.Passed {
			all = append(all, fmt.Sprintf("%s; %s", c.Expected, c.Found))
		}
	}
	return all
}

// TestProgramPhone: the lines of a user reach a program after its prompts, and its screen, its log without what was in
// its folder before, and its end are seen.
func TestProgramPhone(t *testing.T) {
	temp, folder := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	old := filepath.Join(folder, "z_contactLog.txt")
	if err := os.WriteFile(old, []byte("99999999999999999999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := runLive(t, withProgram(shellPhone, `
  - {phone: subject, do: login, as: in,
     expect: {prints: ['/^ports \d+ \d+$/', 'Name: ', 'Password: ', welcome una with pw]}}
  - {phone: subject, do: {type: half, half: true}}
  - {phone: subject, do: {type: " way"}, expect: [{prints: typed half way.}, {ends: false, within: 10ms}]}
  - {phone: subject, do: Beacon, to: b, times: 2, expect: {prints: ['/^typed Beacon 127.0.0.1 \d+/', /^typed Beacon/]}}
  - {phone: subject, do: {type: late}, as: late,
     expect: {log: {tempids: ["31415926535897932384", "27182818284590452353"]}}}
  - {phone: subject, login: wrong, expect: {prints: [typed una., typed not-pw.]}}
  - {phone: subject, do: log out, expect: [{prints: bye}, {ends: true}]}
  - {at: late, phone: b, expect: {phone: subject, ends: true}}
expect: [subject.log == 2]
`), Live{Folder: folder})
	mustPass(t, r)
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left in the folder for temporary files: %v, %v", left, err)
	}
}

// TestProgramPhoneFails: each kind of expectation of a program fails, with the program's end and its output.
func TestProgramPhoneFails(t *testing.T) {
	r := runLive(t, withProgram(shellPhone, `
  - {phone: subject, do: login, expect: {prints: /welcome/}}
  - {phone: subject, expect: {log: 1, within: 10ms}}
  - {phone: subject, do: end input, expect: [{ends: false, within: 9s}, {prints: never, within: 9s}]}
  - {phone: subject, do: Download_tempID, expect: {prints: never}}
  - {phone: subject, do: {type: more}}
`), Live{})
	const ended = "its program has ended: exit status 0; last lines: ports "
	want := []string{
		"1 entry in the log of subject; 0 entries",
		"the program of subject runs on; " + ended,
		`the screen of subject shows "never"; it showed `,
		"the step takes place; " + ended,
		"the step takes place; " + ended,
	}
	got := failedChecks(r)
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("failed: %s", strings.Join(got, "\n"))
	}
}

// TestProgramPhoneRefused: what a program cannot do, or a run cannot see of it, is named with its place.
func TestProgramPhoneRefused(t *testing.T) {
	const text = `name: x
phones: [{name: a, program: "true {udp}"}, {name: b}]
contacts: {everyone: [a, b]}
routine: [{phones: [a, b], every: 1s, until: 9s, do: Download_tempID}]
script:
  - {phone: a, login: right, expect: [{reply: x}, {closed: true}, {silent: true}]}
  - {phone: a, do: Upload_contact_log, expect: [{entries: 1}, {resolved: 1}]}
  - {phone: a, forge: {to: b}}
  - {phone: a, datagrams: {to: b, send: x}}
  - {phone: a, tcp: {connect: true}}
  - {phone: a, do: Beacon, to: contacts}
  - {phone: b, forge: {to: a, copy: a}}
  - {phone: b, do: end input}
  - {phone: b, do: {type: x, half: true}, expect: {ends: true}}
expect: [a.log == 0, a.beacons.sent == 0]
`
	hidden := func(key string) string {
		return "`" + key + "` is not visible: the phone has a `program`, of which a run sees the screen, the contact " +
			"log and the end; expected `prints`, `log` or `ends`"
	}
	s := parse(t, text)
	s.File = "f.yaml"
	_, err := newRun(t.Context(), s, Options{Live: &Live{}})
	want := []string{
		"4:11: live: a routine needs phones of this project, and `a` has a `program`",
		"6:39: live: " + hidden("reply"), "6:51: live: " + hidden("closed"), "6:67: live: " + hidden("silent"),
		"7:49: live: " + hidden("entries"), "7:63: live: " + hidden("resolved"),
		"8:23: live: a phone with a `program` sends its own beacons; forge them from another phone",
		"9:27: live: a phone with a `program` sends its own datagrams; send these from another phone",
		"10:21: live: a phone with a `program` has its own connection; use `tcp` of another phone",
		"11:20: live: a phone with a `program` types an address; name the receivers at `to`",
		"12:23: live: the TempID of a phone with a `program` is not known; expected another phone at `copy`",
		"13:20: live: this needs a phone with a `program`, which has a standard input",
		"14:20: live: this needs a phone with a `program`, which has a standard input",
		"14:51: live: `ends` needs a phone with a `program`, whose process can end",
		"15:22: live: `a.beacons.sent` is not visible: `a` has a `program`",
	}
	for i := range want {
		want[i] = "f.yaml:" + want[i]
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("%v\nwant %s", err, strings.Join(want, "\n"))
	}
	for text, want := range map[string]string{
		"phones: [{name: a, program: x}]": "f.yaml:2:10: phone a: `program` needs a live run (--live), since another " +
			"program has the real time",
		"phones: [{name: a}]": "f.yaml:3:29: live: `ends` needs a phone with a `program`, whose process can end",
	} {
		s := parse(t, "name: x\n"+text+"\nscript: [{phone: a, expect: {ends: true}}]\n")
		s.File = "f.yaml"
		if _, err := Run(t.Context(), s, Options{}); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	checked := parse(t, withProgram("true", "  - {phone: subject, do: login, expect: {ends: true}}\n"))
	if err := Ready(t.Context(), checked); err != nil {
		t.Errorf("the scenario is refused without a run: %v", err)
	}
	d, err := scenarios.LoadDialect("codes")
	if err != nil {
		t.Fatal(err)
	}
	own := parse(t, "name: x\nphones: [{name: a}]\nscript: [{phone: a, do: login, expect: {reply: /W/}}]\n")
	_, err = newRun(t.Context(), own, Options{Live: &Live{Dialect: &d.Dialect}})
	const needed = "a dialect needs --server, --server-command or a phone with a `program`"
	if err == nil || !strings.Contains(err.Error(), needed) {
		t.Error(err)
	}
}

// TestProgramPhoneOfDialect: the server of this project speaks the dialect of a program.
func TestProgramPhoneOfDialect(t *testing.T) {
	d, err := scenarios.LoadDialect("codes")
	if err != nil {
		t.Fatal(err)
	}
	r := runLive(t, withProgram(os.Args[0]+" "+asPhone+" {port}", `
  - {phone: subject, do: login, expect: {prints: login:0 <nil>, server_prints: 'users: una'}}
  - {phone: subject, do: {type: tempID:una}, expect: {prints: '/^tempID:\d{20}:\d{10}:\d{10} <nil>$/'}}
`), Live{Dialect: &d.Dialect})
	mustPass(t, r)
}

// TestTypedLines: the lines of a dialect are typed instead of the words of the course.
func TestTypedLines(t *testing.T) {
	t.Parallel()
	d, err := scenarios.ParseDialect("d.yaml", []byte(`name: d
login: [send: '{user} {password}']
again: [send: '{password}']
outcomes: {welcome: a, wrong: b}
typed:
  login: ['1', 'I am {user}', 'with {password}']
  download: id
  upload: [up, sure]
  beacon: ['b {ip}', '{port}']
  logout: q
`))
	if err != nil {
		t.Fatal(err)
	}
	r := runLive(t, withProgram(`while read l; do echo "<$l>"; done`, `
  - {phone: subject, login: half, expect: {prints: [<1>, <I am una>]}}
  - {phone: subject, login: wrong, expect: {prints: [<1>, <I am una>, <with not-pw>]}}
  - {phone: subject, password: right, expect: {prints: <pw>}}
  - {phone: subject, do: [Download_tempID, Upload_contact_log], expect: {prints: [<up>, <sure>]}}
  - {phone: subject, do: Beacon, to: b, expect: {prints: [<b 127.0.0.1>, '/^<\d+>$/']}}
  - {phone: subject, do: log out, expect: {prints: <q>}}
`), Live{Dialect: &d.Dialect})
	mustPass(t, r)
}

// TestLiveBeaconsOfDialect: phones of this project send and receive beacons in the form of the server's dialect, with
// its answers on the way, also forged ones. Datagrams stay as they are.
func TestLiveBeaconsOfDialect(t *testing.T) {
	t.Parallel()
	accounts := []nodes.Credential{{User: "zoe", Password: "a"}, {User: "yan", Password: "b"}}
	d, err := scenarios.LoadDialect("tokens")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	front := socket.ServeDialect(l, &d.Dialect, remoteServer(t, accounts), clock.New(),
		func(text string) { t.Error(text) })
	t.Cleanup(func() {
		if err := front.Close(); err != nil {
			t.Error(err)
		}
	})
	r := runLive(t, `name: x
phones: [{name: anna, password_pause: 100ms}, {name: ben, password_pause: 100ms}, {name: stranger, account: none}]
script:
  - {phone: anna, do: [login, Download_tempID]}
  - {phone: anna, do: Beacon, to: ben, expect: {phone: ben, prints: The beacon is valid.}}
  - {phone: stranger, forge: {to: ben, tempid: "31415926535897932384"},
     expect: {phone: ben, prints: The beacon is valid.}}
  - {phone: stranger, forge: {to: ben, start: -20m, expiry: -5m}, expect: {phone: ben, prints: The beacon is invalid.}}
  - {phone: stranger, forge: {to: ben, port: 4000}, expect: {phone: ben, prints: The beacon is valid.}}
  - {phone: stranger, datagrams: {to: ben, send: hello}, expect: {phone: ben, prints: The beacon is invalid.}}
expect: [ben.log == 3, datagrams.sent == 13, beacons.sent == 4]
`, Live{Server: l.Addr().String(), Credentials: accounts, Dialect: &d.Dialect})
	mustPass(t, r)
}

// phoneRules returns the rules of phones that last 3 minutes, or the other ones, with the command as the phone and a
// retention of 10 s.
func phoneRules(t *testing.T, command string, threeMinutes bool) (rules []*scenarios.Scenario) {
	t.Helper()
	bad, _, _ := strings.Cut(command, " 127.0.0.1")
	all, err := scenarios.LoadRules(scenarios.Options{Vars: map[string]string{
		"CLIENT": command, "CLIENT_BAD": bad, "RETENTION": "10s", "EARLY": "3s", "GAP": "4s", "LATE": "3s"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Rule.Of != "server" && slices.Contains(s.Rule.Needs, "hastened") == threeMinutes {
			rules = append(rules, s)
		}
	}
	if len(rules) < 2 || len(rules) < 17 && !threeMinutes {
		t.Fatalf("%d rules of phones", len(rules))
	}
	return rules
}

// TestPhoneRules: the client of this project passes each rule of phones with the server of this project, directly and
// behind a dialect with beacons of its own form.
func TestPhoneRules(t *testing.T) {
	t.Parallel()
	client := filepath.Join(t.TempDir(), "client")
	if out, err := exec.Command("go", "build", "-o", client, "bluetrace/cmd/client").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d, err := scenarios.LoadDialect("seed")
	if err != nil {
		t.Fatal(err)
	}
	client += " 127.0.0.1 {port} {udp}"
	rules := append(phoneRules(t, client, false), phoneRules(t, client+" --retention 10s", true)...)
	runRules(t, rules, func(i int, s *scenarios.Scenario) {
		l := Live{}
		if i%2 == 0 {
			l.Dialect = &d.Dialect
		}
		r, err := Run(t.Context(), s, Options{Live: &l})
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			return
		}
		mustPass(t, &r.Run)
	})
}

// runRules calls run for each rule, a few at a time: a rule waits most of its time.
func runRules(t *testing.T, rules []*scenarios.Scenario, run func(int, *scenarios.Scenario)) {
	t.Helper()
	slots := make(chan struct{}, 6)
	var running sync.WaitGroup
	for i, s := range rules {
		slots <- struct{}{}
		running.Go(func() {
			run(i, s)
			<-slots
		})
	}
	running.Wait()
}

// TestPhoneRulesFail: a program that answers every line with the same word fails each rule of phones.
func TestPhoneRulesFail(t *testing.T) {
	t.Parallel()
	rules := phoneRules(t, "while sleep 0.02; do read l && echo Welcome; done", false)
	runRules(t, rules, func(_ int, s *scenarios.Scenario) {
		shorten(s)
		r, err := Run(t.Context(), s, Options{Live: &Live{}})
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
		} else if r.Run.Verdict != reports.Failed {
			t.Errorf("%s: %s", s.Name, r.Run.Verdict)
		}
	})
}

// shorten shortens the time limits of a scenario that fails.
func shorten(s *scenarios.Scenario) {
	for i := range s.Script {
		for k := range s.Script[i].Expect {
			s.Script[i].Expect[k].Within = min(s.Script[i].Expect[k].Within, 2*time.Second)
		}
	}
}
