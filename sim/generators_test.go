package sim

import (
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/generators"
)

// TestLoadOnGenerators shares a load on the run's own server among two generators. The counts do not depend on the speed
// of the machine.
func TestLoadOnGenerators(t *testing.T) {
	t.Parallel()
	var streams []generators.Stream
	var running sync.WaitGroup
	var toThem []*io.PipeWriter
	build := reports.Build{Go: "go1"}
	for _, name := range []string{"a", "b"} {
		fromThem, generatorOut := io.Pipe()
		generatorIn, to := io.Pipe()
		toThem = append(toThem, to)
		streams = append(streams, generators.Stream{Name: name, In: fromThem, Out: to})
		running.Go(func() {
			if err := ServeGenerator(t.Context(), build, generatorIn, generatorOut); err != nil {
				t.Error(err)
			}
			generatorOut.Close()
		})
	}
	crew, err := generators.Gather(t.Context(), clock.New(), build, streams)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Load: loadServer(t)}
	o.Load.Generators = crew
	r, err := Run(t.Context(), loadScenario(t, smallLoad), o)
	for _, to := range toThem {
		to.Close()
	}
	running.Wait()
	crew.Close()
	if err != nil {
		t.Fatal(err)
	}
	l := r.Run.Load
	if n := l.Arrivals.Started; l.Arrivals.Due != 20 || n+l.Arrivals.Dropped != 20 || l.All.OK != 6*n ||
		l.Beacons.Sent != n || l.Beacons.Received != n {
		t.Errorf("arrivals %+v, %d operations ok, beacons %+v", l.Arrivals, l.All.OK, l.Beacons)
	}
	if l.Conditions.Generators != 2 || len(l.Generators) != 2 || l.Generators[0].Arrivals+l.Generators[0].Dropped != 10 {
		t.Errorf("generators %+v", l.Generators)
	}
	var text strings.Builder
	if err := reports.Text(&text, &r.Run, reports.TextOptions{}); err != nil || !strings.Contains(text.String(), "\n    b                    ") {
		t.Errorf("%v in\n%s", err, text.String())
	}
}

// TestLoadThatSeveralCannotCarryOut: each generator needs a phone and a session, and for beacons a second phone.
func TestLoadThatSeveralCannotCarryOut(t *testing.T) {
	of := func(most int, verbs ...scenarios.Verb) *scenarios.Traffic {
		return &scenarios.Traffic{MaxInFlight: most, Session: verbs}
	}
	for _, c := range []struct {
		traffic *scenarios.Traffic
		phones  int
		o       Options
		want    string
	}{
		{of(3, scenarios.VerbLogin), 3, Options{}, ""},
		{of(3, scenarios.VerbLogin), 2, Options{}, "3 generators need at least as many phones and sessions in flight; there are 2 and 3"},
		{of(2, scenarios.VerbLogin), 3, Options{}, "3 generators need at least as many phones and sessions in flight; there are 3 and 2"},
		{of(3, scenarios.VerbBeacon), 6, Options{}, ""},
		{of(3, scenarios.VerbBeacon), 5, Options{}, "3 generators need at least 6 phones"},
		{of(3, scenarios.VerbLogin), 9, Options{Events: io.Discard}, "a load on several generators has no --events: omit it"},
	} {
		err := forSeveral(c.traffic, 3, c.phones, c.o)
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%d phones: %v, want %q", c.phones, err, c.want)
		}
	}
}

// TestLimitsOfOtherMachines: on several generators, a load on a remote server needs no more than the coordinator's machine
// has.
func TestLimitsOfOtherMachines(t *testing.T) {
	s := loadScenario(t, smallLoad)
	s.Load.MaxInFlight = 1 << 40
	o := Options{Load: &Load{}, Live: &Live{Server: "127.0.0.1:0", Credentials: []nodes.Credential{{User: "a", Password: "b"}}}}
	if _, err := Run(t.Context(), s, o); err == nil || !strings.Contains(err.Error(), "1099511627776 sessions") {
		t.Errorf("on this machine: %v", err)
	}
	o.Load.Generators = new(generators.Crew)
	if _, err := Run(t.Context(), s, o); err == nil || !strings.HasPrefix(err.Error(), "connecting to the server at 127.0.0.1:0") {
		t.Errorf("on others: %v", err)
	}
}
