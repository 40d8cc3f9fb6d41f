package sim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"

	"bluetrace/cmd/server/authority"
	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/load"
)

// asServer is the first argument that makes the test program the server of a load run.
const asServer = "as-server"

// loadServer returns the command line of that server.
func loadServer(t *testing.T) *Load {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Load{Program: []string{program, asServer}}
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asServer {
		stop := make(chan os.Signal, 2)
		signal.Notify(stop, syscall.SIGTERM)
		os.Exit(authority.Run(authority.UntilSignal(stop, time.Now, func() { os.Exit(1) }), os.Args[2:], os.Stdout,
			os.Stderr, time.UTC,
			clock.New()))
	}
	if len(os.Args) > 2 && os.Args[1] == asPhone {
		codesPhone(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// asPhone is the first argument that makes the test program a phone of the dialect codes.
const asPhone = "as-phone"

// codesPhone is a phone of the dialect codes. It logs in, and prints what the server answers to each further line.
func codesPhone(port string) {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	typed := bufio.NewScanner(os.Stdin)
	ask := func(prompt string) string {
		fmt.Print(prompt)
		typed.Scan()
		return typed.Text()
	}
	line := "login:" + ask("Name: ") + ":" + ask("Password: ")
	for ; line != ""; line = ask("> ") {
		if _, err := io.WriteString(conn, line); err != nil {
			panic(err)
		}
		answer := make([]byte, 1024)
		n, err := conn.Read(answer)
		fmt.Printf("%s %v\n", answer[:n], err)
	}
}

const smallLoad = `name: small
phones: [{name: a, count: 20, password_pause: 0s}]
load:
  executor: constant-arrival-rate
  rate: 20
  duration: 1s
  session: [login, Download_tempID, Beacon, Upload_contact_log, log out]
  expected: {connect: 10ms, login: 10ms, tempid: 10ms, upload: 10ms}
  generator: {lag: 1m, cpu: 100%}
thresholds: {operations_unknown: "count==0", beacons_lost: "count==0"}
`

func loadScenario(t *testing.T, text string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Parse("f.yaml", []byte(text), scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLoadOnRealSockets runs a second of load on the run's own server, in a process of
// its own. The counts do not depend on the speed of the machine.
func TestLoadOnRealSockets(t *testing.T) {
	t.Parallel()
	r, err := Run(t.Context(), loadScenario(t, smallLoad), Options{Load: loadServer(t)})
	if err != nil {
		t.Fatal(err)
	}
	l := r.Run.Load
	if l.Arrivals.Due != 20 || l.Arrivals.Started+l.Arrivals.Dropped != 20 {
		t.Errorf("arrivals: %+v", l.Arrivals)
	}
	if n := l.Arrivals.Started; l.All.OK != 6*n || l.Beacons.Sent != n || l.Beacons.Received != n {
		t.Errorf("of %d sessions: %d operations ok, %d failed, %d unknown; beacons %+v",
			n, l.All.OK, l.All.Failed, l.All.Unknown, l.Beacons)
	}
	if c := l.Conditions; len(c.ScenarioSum) != 32 || c.StartRate != 20 || len(c.Stages) != 1 ||
		c.Stages[0] != (reports.Stage{Seconds: 1, Rate: 20}) ||
		c.Machine.CPUs < 1 || c.Machine.OS == "" || c.Build.Go == "" {
		t.Errorf("conditions: %+v", c)
	}
	if len(l.Histograms.Operations) != 6 {
		t.Errorf("second by second, %d operations, want 6", len(l.Histograms.Operations))
	}
	if r.Run.World != reports.Live || l.ServerUse == nil && l.Generator != nil {
		t.Errorf("world %q, the server's use %+v", r.Run.World, l.ServerUse)
	}
}

func TestLoadIsRefused(t *testing.T) {
	accounts := []nodes.Credential{{User: "zoe", Password: "a"}}
	for _, c := range []struct {
		name, from, to string
		o              Options
		want           string
	}{
		{"a trace", "", "", Options{Trace: &strings.Builder{}, Load: &Load{}},
			"f.yaml:4:3: a load has no trace, only the times of its operations: use --events, and omit --trace, --pcap and --perfetto"},
		{"another rate of a ramp", "constant-arrival-rate\n  rate: 20\n  duration: 1s",
			"ramping-arrival-rate\n  stages: {duration: 1s, rate: 5}", Options{Load: &Load{Rate: 5}},
			"f.yaml:4:3: --duration and --rate need a constant-arrival-rate, and this load has a ramping-arrival-rate"},
		{"an account of its own", "name: a, count: 20", "name: a, user: b, password: c", Options{Load: &Load{},
			Live: &Live{Server: "x:1", Credentials: accounts}},
			"f.yaml:4:3: phone a names its account, but the load uses the accounts of --credentials in turn"},
		{"too many phones", "count: 20,", "count: 2000000,", Options{Load: &Load{}}, "file descriptors"},
	} {
		_, err := Run(t.Context(), loadScenario(t, strings.Replace(smallLoad, c.from, c.to, 1)), c.o)
		if _, ok := errors.AsType[*Invalid](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
		}
	}
}

func TestLoadInAHurry(t *testing.T) {
	s := loadScenario(t, smallLoad)
	got, err := withOverrides(s.Load, &Load{Duration: time.Minute, Rate: 7})
	if err != nil || got.StartRate != 7 || got.Stages[0] != (scenarios.Stage{Duration: time.Minute, Rate: 7}) {
		t.Errorf("%+v, %v", got, err)
	}
	if s.Load.StartRate != 20 || s.Load.Stages[0].Rate != 20 {
		t.Errorf("the scenario was changed: %+v", s.Load)
	}
}

// TestServerThatDoesNotStart checks that the error has the output of the server.
func TestServerThatDoesNotStart(t *testing.T) {
	_, err := Run(context.Background(), loadScenario(t, smallLoad), Options{Load: &Load{Program: []string{"/bin/sh",
		"-c", "echo no room >&2; exit 3"}}})
	if err == nil || !strings.Contains(err.Error(), "the server did not start: no room") {
		t.Errorf("%v", err)
	}
}

// playIn runs a load in the time of a synctest bubble.
func playIn(t *testing.T, q *queue, text string) *reports.Run {
	t.Helper()
	return searchIn(t, q, text, nil)
}

const quickLoad = `name: quick
phones: [{name: a, count: 200, password_pause: 0s}]
load:
  executor: constant-arrival-rate
  rate: 50
  duration: 4s
  warm_up: 1s
  timeout: 2s
  expected: {connect: 1ms, login: 1ms}
  session: [login, Download_tempID]
thresholds: {response_time: ["p(99)<5000"]}
`

// failures returns the checks that failed, with the value found.
func failures(r *reports.Run) (list []string) {
	for _, c := range r.Checks {
		if c.Verdict == reports.Failed {
			list = append(list, c.Name+" ("+c.Found+")")
		}
	}
	return list
}

// TestVerdictOfALoad: a load passes only if its operations succeed.
func TestVerdictOfALoad(t *testing.T) {
	for _, c := range []struct {
		name, text string
		q          func(*queue)
		want       []string
	}{
		{"a good server", quickLoad, func(*queue) {}, nil},
		{"a server that breaks each login", quickLoad, func(q *queue) {
			q.breaks = func(string) bool { return true }
		}, []string{"operations_unknown: count==0 (200)",
			"every operation of the load succeeds at least once (login: 0 of 200, tempid: none was tried)"}},
		{"a server that breaks each download", quickLoad, func(q *queue) {
			q.breaks = func(message string) bool { return message == protocol.CommandDownload }
		}, []string{"operations_unknown: count==0 (200)",
			"every operation of the load succeeds at least once (tempid: 0 of 200)"}},
		{"a broken server, allowed by a threshold", strings.Replace(quickLoad, "thresholds: {",
			"thresholds: {operations_unknown: rate<0.6, operations_ok: count>0, ", 1), func(q *queue) {
			q.breaks = func(string) bool { return true }
		}, nil},
		{"a server that never answers", quickLoad, func(q *queue) { q.takes = time.Hour },
			[]string{"operations_unknown: count==0 (200)", "every operation of the load succeeds at least once " +
				"(login: 0 of 200, tempid: none was tried)"}},
		{"a warm-up without an answer", strings.Replace(quickLoad, "login: 1ms", "tempid: 1ms", 1), func(q *queue) {
			q.breaks = func(string) bool { return true }
		}, []string{"the operations of the warm-up succeed (no login succeeded in the warm-up of 1s (0 failed, 50 " +
			"without an answer): check that the server runs and speaks the protocol, or write a longer `warm_up` or " +
			"`expected: {login: …}`)"}},
		{"a warm-up that ends before the first time limit", strings.Replace(quickLoad, "login: 1ms", "tempid: 1ms", 1),
			func(q *queue) { q.takes = time.Hour },
			[]string{"the operations of the warm-up succeed (no login succeeded in the warm-up of 1s (50 sent, none " +
				"answered until then): check that the server runs and speaks the protocol, or write a longer " +
				"`warm_up` " +
				"or `expected: {login: …}`)"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := &queue{takes: time.Millisecond}
			c.q(q)
			r := playIn(t, q, c.text)
			want := reports.Passed
			if c.want != nil {
				want = reports.Failed
			}
			if d := cmp.Diff(c.want, failures(r)); d != "" || r.Verdict != want || len(r.Load.Invalid) > 0 {
				t.Errorf("%s: %s %q\n%s", c.name, r.Verdict, r.Load.Invalid, d)
			}
		})
	}
}

// TestSearchOfAServerThatBreaksConnections: a rate at which many sessions are
// thrown out does not hold.
func TestSearchOfAServerThatBreaksConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		q := &queue{takes: time.Millisecond / 10}
		q.breaks = func(string) bool { n++; return n > 2 && n%3 == 0 }
		out := searchIn(t, q, strings.Replace(smallSearch, `, operations_unknown: "rate<0.01"`, "", 1), nil)
		if s := out.Load.Search; out.Verdict != reports.Failed || s.Capacity != 0 {
			t.Errorf("%s: %+v", out.Verdict, s)
		}
	})
}

// TestBrokenBalanceIsABrokenRun: figures that do not agree make a run fail, also if the
// generator was late.
func TestBrokenBalanceIsABrokenRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reports.NewMeter("quick", "1")
		q := &queue{takes: time.Millisecond}
		r := searchIn(t, q, quickLoad, func(r *loadRun) {
			r.options.Meter = m
			r.sleep = func(d time.Duration) { time.Sleep(d + 50*time.Millisecond) } // virtual time of synctest
			time.AfterFunc(3*time.Second, func() { m.Phase("load").Dropped.Add(1) })
		})
		want := []string{"the figures of a load agree with each other (arrivals dropped: 0, in the metrics: 1)"}
		if d := cmp.Diff(want, failures(r)); d != "" || r.Verdict != reports.Failed {
			t.Errorf("%s: %s", r.Verdict, d)
		}
	})
}

// TestLoadOnNoServer: a load on a server that is not there is refused at once.
func TestLoadOnNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if got, err := load.Reach(t.Context(), address, time.Minute); err != nil || got != address {
		t.Errorf("%q, %v", got, err)
	}
	l.Close()
	_, err = Run(t.Context(), loadScenario(t, smallLoad), Options{Load: &Load{}, Live: &Live{Server: address,
		Credentials: []nodes.Credential{{User: "zoe", Password: "a"}}}})
	if want := "connecting to the server at " + address + ": connection refused; start it, or name another one with " +
		"--server"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
