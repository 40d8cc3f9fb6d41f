package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/load"
)

func TestRoomForALoad(t *testing.T) {
	roomy := machine{openFiles: 1 << 20, ports: 64_000, receiveBuffer: 212_992}
	for _, c := range []struct {
		name    string
		machine machine
		needs   needs
		own     bool
		warns   []string
		lacks   string
	}{
		{"all fits", roomy, needs{sessions: 20_000, sockets: 20_000, burst: 4, rate: 4}, true, nil, ""},
		{"nothing is known", machine{}, needs{sessions: 1 << 40, sockets: 1 << 40, rate: 1 << 40}, true, nil, ""},
		{"exactly enough files", machine{openFiles: 332}, needs{sessions: 100, sockets: 200}, true, nil, ""},
		{"too few files", machine{openFiles: 331}, needs{sessions: 100, sockets: 200}, true, nil,
			"100 sessions and the UDP sockets of 200 phones need 332 file descriptors, and a process may have 331; " +
				"allow more with: ulimit -n 332"},
		{"exactly enough for the server", machine{openFiles: 196}, needs{sessions: 100}, true, nil, ""},
		{"too few for the server", machine{openFiles: 195}, needs{sessions: 100}, true, nil,
			"the run's own server needs 196 file descriptors for 100 sessions, and a process may have 195; allow " +
				"more with: ulimit -n 196"},
		{"the server is elsewhere", machine{openFiles: 195}, needs{sessions: 100}, false, nil, ""},
		{"too few ports, twice", machine{ports: 99}, needs{sessions: 100, sockets: 101}, false, nil,
			"100 sessions need as many local TCP ports, and there are 99; allow more with: sysctl -w " +
				"net.ipv4.ip_local_port_range='1024 65535'\n" +
				"the UDP sockets of 101 phones need as many local ports, and there are 99; allow more with: sysctl " +
				"-w net.ipv4.ip_local_port_range='1024 65535'"},
		{"a buffer that holds them", roomy, needs{sockets: 2, burst: 256, rate: 1024}, false, nil, ""},
		{"a burst", roomy, needs{sockets: 2, burst: 257}, false, []string{
			"a phone gets up to 257 datagrams within 250ms, and its socket's buffer holds 256: beacons may be lost " +
				"here; allow more with: sysctl -w net.core.rmem_default=214656"}, ""},
		{"a rate", roomy, needs{sockets: 2, burst: 1, rate: 4000}, false, []string{
			"a phone gets up to 1000 datagrams within 250ms, and its socket's buffer holds 256: beacons may be lost " +
				"here; allow more with: sysctl -w net.core.rmem_default=832832"}, ""},
		{"no beacons", roomy, needs{sessions: 1, burst: 1 << 20, rate: 1 << 20}, false, nil, ""},
	} {
		warns, err := c.machine.check(c.needs, c.own)
		lacks := ""
		if err != nil {
			lacks = err.Error()
		}
		if lacks != c.lacks || !slices.Equal(warns, c.warns) {
			t.Errorf("%s: warns %q, lacks %q\nwant %q, %q", c.name, warns, lacks, c.warns, c.lacks)
		}
	}
}

func TestWantsOfALoad(t *testing.T) {
	single, split := make([]load.Phone, 10), make([]load.Phone, 10)
	for i := range single {
		single[i].Single = true
	}
	beacons := []scenarios.Verb{scenarios.VerbLogin, scenarios.VerbDownload, scenarios.VerbBeacon}
	stages := []scenarios.Stage{{Duration: time.Second, Rate: 100}, {Duration: time.Second, Rate: 50}}
	mix := []scenarios.Weight{{Verb: scenarios.VerbBeacon, Weight: 3}, {Verb: scenarios.VerbDownload, Weight: 1}}
	for _, c := range []struct {
		name   string
		t      scenarios.Traffic
		phones []load.Phone
		want   needs
	}{
		{"no beacons", scenarios.Traffic{MaxInFlight: 3, Session: beacons[:2], Stages: stages}, split,
			needs{sessions: 3}},
		{"a session", scenarios.Traffic{MaxInFlight: 3, Session: beacons, Beacons: 5, Stages: stages}, split,
			needs{sessions: 3, sockets: 10, burst: 20, rate: 200}},
		{"with gaps", scenarios.Traffic{MaxInFlight: 3, Session: beacons, Beacons: 5, Gap: time.Second, Stages: stages},
			single, needs{sessions: 3, sockets: 10, burst: 1, rate: 50}},
		{"a mix", scenarios.Traffic{MaxInFlight: 3, Mix: mix, StartRate: 200, Stages: stages}, single,
			needs{sessions: 10, sockets: 10, burst: 1, rate: 15}},
	} {
		if got := needsOf(&c.t, c.phones); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestLoadWarnsBeforeItBegins checks that a warning about lost datagrams is in Options.Warn
// and in the notes of the run.
func TestLoadWarnsBeforeItBegins(t *testing.T) {
	if n := receiveBuffer(); n == 0 || n >= 1600*datagramCost {
		t.Skipf("SKIPPED: the buffer of a UDP socket is %d bytes here (0: unknown): there is nothing to warn of; set "+
			"net.core.rmem_default lower", n)
	}
	var said []string
	text := strings.Replace(smallLoad, "duration: 1s\n", "duration: 1s\n  beacons: 400\n", 1)
	_, err := Run(t.Context(), loadScenario(t, text), Options{
		Load: &Load{Program: []string{"/bin/sh", "-c", "exit 3"}}, Warn: func(s string) { said = append(said, s) },
	})
	if err == nil || len(said) != 1 || !strings.HasPrefix(said[0], "a phone gets up to 1600 datagrams within 250ms") {
		t.Errorf("%v; warned of %q", err, said)
	}
}
