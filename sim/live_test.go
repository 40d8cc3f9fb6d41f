package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

// short is a short scenario for real time.
const short = `name: short
phones:
  - {name: anna, password_pause: 200ms}
  - {name: ben, password_pause: 200ms}
  - {name: thief, account: anna, password_pause: 200ms}
  - {name: stranger, account: none}
script:
  - {at: 0s, phone: anna, do: [login, Download_tempID]}
  - {phone: ben, do: [login, Download_tempID]}
  - {phone: ben, do: Beacon, to: anna, as: heard, expect: {phone: anna, prints: The beacon is valid.}}
  - {phone: stranger, forge: {to: anna, port: 4000, version: "2"}, expect: {phone: anna, prints: The beacon is ` +
	`invalid.}}
  - {phone: anna, do: Upload_contact_log, as: upload, expect: {entries: 1}}
  - {phone: thief, login: wrong, expect: {reply: Invalid Password. Please try again}}
  - {phone: thief, password: wrong, expect: {reply: /again$/}}
  - {phone: thief, password: wrong, as: blocked, expect: {reply: /has been blocked/, closed: true}}
  - {phone: thief, login: right, expect: {reply: /is blocked/, closed: true}}
  - {phone: ben, tcp: {connect: true, send: ["{user}", "{password}", Download_tempIDDownload_tempID], gap: 200ms},
     expect: {replies: [/^Welcome/, "/^[0-9]{20}$/", "/^[0-9]{20}$/"]}}
  - {phone: ben, tcp: {send: Upload_contact_log, reset: true}}
  - {phone: anna, do: log out, expect: {prints: you have logged out, closed: true}}
expect:
  - upload.entries == 1
  - upload.delay < 10s
  - logins.welcomed == 3
  - logins.wrong == 3
  - logins.blocked == 1
  - logins.refused == 1
  - tempids.issued == 4
  - beacons.valid == 1
  - beacons.invalid == 1
  - datagrams.sent == 8
  - datagrams.delivered == 8
  - anna.log == 1
`

func runLive(t *testing.T, text string, l Live) *reports.Run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a bound on a hang
	defer cancel()
	r, err := Run(ctx, parse(t, text), Options{Live: &l})
	if err != nil {
		t.Fatal(err)
	}
	return &r.Run
}

func mustPass(t *testing.T, r *reports.Run) {
	t.Helper()
	for _, c := range r.Checks {
		if c.Verdict != reports.Passed {
			t.Errorf("%s: %s %s; expected %s, found %s\n%s", c.Verdict, c.Place, c.Name, c.Expected, c.Found,
				strings.Join(c.LastEvents, "\n"))
		}
	}
	if r.Verdict != reports.Passed || r.World != "live" || r.Digest != "" {
		t.Errorf("verdict %s, world %q, digest %q", r.Verdict, r.World, r.Digest)
	}
}

// TestLive runs a scenario on the real clock. It leaves no file and no goroutine.
func TestLive(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	before := runtime.NumGoroutine()
	r := runLive(t, short, Live{})
	mustPass(t, r)
	if got := len(checksOf(r, reports.InvariantCheck)); got != 13 { // there is an upload
		t.Errorf("%d invariants, want 13", got)
	}
	if r.Beacons.Kept != 1 || r.Uploads.Resolved != 1 || r.Sessions.Opened != 5 {
		t.Errorf("%+v %+v %+v", r.Beacons, r.Uploads, r.Sessions)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the folder for temporary files: %v, %v", left, err)
	}
	deadline := time.After(10 * time.Second) // a bound on a hang
	for runtime.NumGoroutine() > before {
		select {
		case <-deadline:
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		default:
			runtime.Gosched()
		}
	}
}

// remoteServer starts a server that the run knows by its address only.
func remoteServer(t *testing.T, accounts []nodes.Credential) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := files.OpenServer(files.NewMemory(),
		files.ServerOptions{Zone: protocol.NewZone(time.UTC), Entropy: strings.NewReader(strings.Repeat("k", 32))})
	if err != nil {
		t.Fatal(err)
	}
	settings := nodes.DefaultServerSettings()
	settings.NameKey = folder.NameKey()
	settings.Entropy = rand.NewPCG(1, 2)
	s, err := socket.NewServer(socket.ServerConfig{
		Settings: settings, Listener: l, Disk: folder, Clock: clock.New(), Origin: clock.New().Now(),
		Lock:        &sync.Mutex{},
		Credentials: func() ([]nodes.Credential, bool) { return accounts, false },
	})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-served, folder.Close()); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestLiveElsewhere runs the scenario of TestLive with a remote server.
func TestLiveElsewhere(t *testing.T) {
	t.Parallel()
	accounts := []nodes.Credential{{User: "zoe", Password: "a"}, {User: "yan", Password: "b"}}
	r := runLive(t, short, Live{Server: remoteServer(t, accounts), Credentials: accounts})
	mustPass(t, r)
	var names []string
	for _, c := range checksOf(r, reports.InvariantCheck) {
		names = append(names, c.Name)
	}
	if len(names) != 6 || slices.Contains(names, "every TempID resolves to its owner") {
		t.Errorf("invariants that were looked at: %q", names)
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range unobservable() {
		if !strings.Contains(notes, "not checked, since the state of the server is not visible: "+want.String()) {
			t.Errorf("the notes do not name %q:\n%s", want, notes)
		}
	}
	if r.Uploads.Complete != 1 || r.Uploads.Entries != 1 || r.Uploads.Resolved != 0 {
		t.Errorf("%+v", r.Uploads)
	}
}

// TestLiveElsewhereAccounts checks that every phone needs an account of the remote server.
func TestLiveElsewhereAccounts(t *testing.T) {
	for phones, want := range map[string]string{
		"[{name: a}, {name: b}]": "f.yaml:2:21: phone b: the credentials of the remote " +
			"server have no account left for it",
		"[{name: a, user: una, password: " +
			"x}]": `f.yaml:2:10: phone a: the credentials of the remote server have no account "una"`,
		"[{name: a, user: zoe, password: " +
			"x}]": `f.yaml:2:10: phone a: the credentials of the remote server have another password for account "zoe"`,
		"[{name: a, user: zoe, password: p}, {name: b}]": "f.yaml:2:45: phone b: the credentials of the remote " +
			"server have no account left for it",
	} {
		s := parse(t, "name: x\nphones: "+phones+"\nscript: [{at: 0s, phone: a, login: right, expect: {reply: /W/}}]\n")
		s.File = "f.yaml"
		_, err := newRun(t.Context(), s,
			Options{Live: &Live{Server: "127.0.0.1:9", Credentials: []nodes.Credential{{User: "zoe", Password: "p"}}}})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v\nwant %s", phones, err, want)
		}
	}
}

// TestLiveRefuses checks that everything that a live run cannot do is named with its place, in one error before the
// run.
func TestLiveRefuses(t *testing.T) {
	const text = `name: x
start: 01/01/2200 00:00:00
server: {block_duration: 20s, disk: {delay: 1ms}}
network: {tcp: {delay: 5ms, split: 3, join: 4ms}, udp: {lose: 1%}}
phones: [{name: a, count: 3}]
script:
  - {at: 1s, phone: a-1, login: right, expect: [{reply: /W/}, {server_prints: x}]}
  - {at: 2.999999999s, phone: a-1, do: Upload_contact_log, as: up, expect: {resolved: 0, within: 1ns}}
  - {at: 3s, phone: a-2, forge: {to: a-1, start: 30/07/2020 09:00:00}, expect: {phone: a-1, prints: 30/07/2020 ` +
		`09:00:00}}
  - {at: 4s, restart: {}}
  - {at: 5s, phone: a-2, datagrams: {to: a-1, send: 30/07/2020 09:00:00}, expect: {server_prints_nothing: true}}
expect: [up.resolved == 0, uploads.resolved == 0, up.at == 3s]
thresholds: {uploads.resolved: count<1}
`
	finer := "the time is finer than 10ms, the resolution of a live run; put the fraction of a second into a " +
		"variable, and round it with --set"
	split := "f.yaml:4:29: live: real sockets cannot be forced to split a stream; send the parts with `tcp`"
	join := "f.yaml:4:39: live: real sockets cannot be forced to join sends; send the joined bytes with `tcp`"
	written := "a time is written literally, but the other programs have the real time"
	for name, c := range map[string]struct {
		live Live
		want []string
	}{
		"stepped": {Live{mock: clock.NewMock()}, []string{split, join}},
		"here": {Live{}, []string{split, join, "f.yaml:8:10: live: " + finer,
			"f.yaml:8:76: live: `within` is finer than 10ms, the resolution of a live run"}},
		"elsewhere": {Live{Server: "x:1"}, []string{
			"f.yaml:3:10: live: `block_duration` is a setting of a remote server, which this run cannot change",
			"f.yaml:3:38: live: `disk.delay` is a setting of a remote server, which this run cannot change",
			split, join,
			"f.yaml:7:63: live: the output of a remote server is not visible",
			"f.yaml:8:10: live: " + finer,
			"f.yaml:8:76: live: `within` is finer than 10ms, the resolution of a live run",
			"f.yaml:8:76: live: the number of entries that a remote server resolves is not visible",
			"f.yaml:9:33: live: " + written,
			"f.yaml:9:80: live: " + written,
			"f.yaml:10:23: live: a remote server cannot be restarted",
			"f.yaml:11:37: live: " + written,
			"f.yaml:11:83: live: the output of a remote server is not visible",
			"f.yaml:12:10: live: `up.resolved` is known to the remote server only",
			"f.yaml:12:28: live: `uploads.resolved` is known to the remote server only",
			"f.yaml:13:32: live: `uploads.resolved` is known to the remote server only",
		}},
	} {
		s := parse(t, text)
		s.File = "f.yaml"
		_, err := newRun(t.Context(), s, Options{Live: &c.live})
		if _, ok := errors.AsType[*Invalid](err); !ok || err.Error() != strings.Join(c.want, "\n") {
			t.Errorf("%s: refused with\n%v\nwant\n%s", name, err, strings.Join(c.want, "\n"))
		}
	}
}

// TestLiveDescriptors checks that a run with more sockets than the process may have is refused, with the command
// that raises the limit.
func TestLiveDescriptors(t *testing.T) {
	have := openFiles()
	if have == 0 || have > 3*2_000_000 {
		t.Skipf("SKIPPED: this system allows %d open files (0: unknown), too many for a scenario to ask for more: "+
			"ulimit -n 10000", have)
	}
	phones := have/3 + 1 // each needs three descriptors
	s := parse(t, fmt.Sprintf(
		"name: x\nlength: 1s\nphones: [{name: a, count: %d}]\nexpect: [beacons.sent == 0]\n", phones))
	_, err := newRun(t.Context(), s, Options{Live: &Live{}})
	need := 3*phones + 32
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d phones need %d file descriptors", phones, need)) ||
		!strings.HasSuffix(err.Error(), fmt.Sprintf("ulimit -n %d", need)) {
		t.Errorf("refused with %v", err)
	}
}

// TestLiveNotes checks that replaced parts of a scenario are named in notes.
func TestLiveNotes(t *testing.T) {
	t.Parallel()
	r := runLive(t, `name: x
network: {tcp: {delay: 5ms}, udp: {delay: 1ms, lose: 100%}}
length: 10ms
phones: [{name: a}, {name: b}]
script:
  - {at: 0s, phone: a, datagrams: {to: b, send: x}, as: sent}
expect: [sent.at == 0s, datagrams.lost == 0]
`, Live{})
	mustPass(t, r)
	want := []string{
		":2:17: live: the delay was that of the real network",
		":2:36: live: the delay was that of the real network",
		":2:48: live: the losses were those of the real network",
		":7:10: live: not checked, since a measured time is never exact: sent.at == 0s",
	}
	for i, n := range r.Notes {
		if i >= len(want) || !strings.HasSuffix(n, want[i]) {
			t.Errorf("note %d: %s", i, n)
		}
	}
	if len(r.Notes) != len(want) {
		t.Errorf("%d notes, want %d", len(r.Notes), len(want))
	}
}

// TestLiveInterrupted checks that the result of an interrupted run is that until then.
func TestLiveInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	r, err := Run(ctx, parse(t, `name: x
length: 1h
phones: [{name: a}]
script: [{at: 30m, phone: a, login: right, expect: {reply: /W/}}]
`), Options{Live: &Live{}, Progress: func(p Progress) {
		if p.Length != time.Hour {
			t.Errorf("length %s", p.Length)
		}
		once.Do(cancel)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Run.Verdict != reports.Interrupted || r.Run.World != "live" || len(r.Run.Checks) != 11 {
		t.Errorf("verdict %s in world %s, %d checks", r.Run.Verdict, r.Run.World, len(r.Run.Checks))
	}
}

// TestLiveSeed checks that a live run draws contacts and routines from the seed.
func TestLiveSeed(t *testing.T) {
	text := `name: x
seed: 5
length: 100ms
phones: [{name: a, count: 5}]
contacts: {everyone: a}
routine: [{phones: a, within: 50ms, do: {type: hello}}]
expect: [beacons.sent == 0]
`
	ticks := func(l *Live) []string {
		var order []string
		s := parse(t, text)
		r, err := newRun(t.Context(), s, Options{Live: l, folder: files.NewMemory()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := r.closeWorld(); err != nil {
				t.Error(err)
			}
		}()
		if err := r.failure(r.play(t.Context())); err != nil {
			t.Fatal(err)
		}
		for i := range r.routines.list[0].streams {
			order = append(order, time.Duration(r.routines.list[0].streams[i].Uint64()>>1).String())
		}
		return order
	}
	virtual, live := ticks(nil), ticks(&Live{mock: clock.NewMock()})
	if !slices.Equal(virtual, live) || len(live) != 5 {
		t.Errorf("virtual streams stand at %v, live ones at %v", virtual, live)
	}
}

// TestLiveFolder checks the error if the folder of the server cannot be made.
func TestLiveFolder(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	_, err := Run(t.Context(), parse(t, short), Options{Live: &Live{}})
	if err == nil || !strings.Contains(err.Error(), "making a folder for the server's files") {
		t.Errorf("error %v", err)
	}
}

// TestScenariosElsewhere checks that the scenarios of the folder elsewhere support a remote server.
func TestScenariosElsewhere(t *testing.T) {
	files, _, err := scenarios.Find([]string{"../scenarios/elsewhere"})
	if err != nil || len(files) != 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		s, err := scenarios.Load(file, scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := refuseLive(s, &Live{Server: "elsewhere:1"}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
