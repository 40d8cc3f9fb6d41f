package sim

import (
	"context"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var sentLine = regexp.MustCompile(`(?m)^(\S+) (\S+): beacon to `)

// sendings runs a scenario and returns the times at which each phone sent a beacon.
func sendings(t *testing.T, text string) map[string][]float64 {
	t.Helper()
	var trace strings.Builder
	if _, err := Run(context.Background(), parse(t, text), Options{Trace: &trace}); err != nil {
		t.Fatal(err)
	}
	sent := map[string][]float64{}
	for _, m := range sentLine.FindAllStringSubmatch(trace.String(), -1) {
		at, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		sent[m[2]] = append(sent[m[2]], at)
	}
	return sent
}

const crew = `name: routine
length: 10m
phones: [{name: p, count: 50}, {name: receiver, account: none}]
expect: [events > 0]
routine:
  - {phones: p, within: 1s, do: [login, Download_tempID]}
`

func TestEvery(t *testing.T) {
	sent := sendings(t, crew+"  - {phones: p, every: 20s, from: 1m, until: 5m, do: Beacon, to: receiver}\n")
	if len(sent) != 50 {
		t.Fatalf("%d phones sent, want 50", len(sent))
	}
	firsts := 0.0
	for who, at := range sent {
		if at[0] < 60 || at[0] >= 80 || len(at) != 12 || at[len(at)-1] >= 300 {
			t.Errorf("%s sent %d beacons from %g to %g, want 12 from the first period after 60 s to before 300 s", who,
				len(at), at[0], at[len(at)-1])
		}
		for i := 1; i < len(at); i++ {
			if d := at[i] - at[i-1]; math.Abs(d-20) > 1e-6 {
				t.Errorf("%s: %g s between two beacons, want 20", who, d)
			}
		}
		firsts += at[0] / 50
	}
	if math.Abs(firsts-70) > 4*20/math.Sqrt(12*50) {
		t.Errorf("the first beacons are at %g s on average, want 70", firsts)
	}
}

func TestJitter(t *testing.T) {
	sent := sendings(t, crew+"  - {phones: p, every: 20s, jitter: 25%, do: Beacon, to: receiver, from: 5s}\n")
	n, sum, least, most := 0, 0.0, 99.0, 0.0
	for _, at := range sent {
		for i := 1; i < len(at); i++ {
			d := at[i] - at[i-1]
			n, sum, least, most = n+1, sum+d, min(least, d), max(most, d)
		}
	}
	if least < 15 || most > 25 || least > 15.2 || most < 24.8 {
		t.Errorf("periods from %g to %g s, want 15 to 25", least, most)
	}
	if mean := sum / float64(n); math.Abs(mean-20) > 4*10/math.Sqrt(12*float64(n)) {
		t.Errorf("the mean of %d periods is %g s, want 20", n, mean)
	}
}

func TestWithin(t *testing.T) {
	sent := sendings(t, crew+"  - {phones: p, within: 30s, from: 1m, do: Beacon, to: receiver}\n")
	earliest, latest := 999.0, 0.0
	for who, at := range sent {
		if len(at) != 1 || at[0] < 60 || at[0] > 90 {
			t.Errorf("%s sent at %v, want once between 60 and 90 s", who, at)
		}
		earliest, latest = min(earliest, at[0]), max(latest, at[0])
	}
	if len(sent) != 50 || earliest > 64 || latest < 86 {
		t.Errorf("%d phones sent between %g and %g s, want 50 spread over 60 to 90", len(sent), earliest, latest)
	}
}

func TestTimesOfARoutine(t *testing.T) {
	sent := sendings(t, crew+"  - {phones: p-1, within: 1s, from: 1m, do: Beacon, to: [receiver, p-2], times: 3}\n")
	if n := len(sent["p-1"]); n != 6 {
		t.Errorf("%d beacons, want 3 to each of two", n)
	}
}

// TestListOfCommands checks that each command waits for the answer to the one before it. A failed command ends the
// list.
func TestListOfCommands(t *testing.T) {
	passes(t, `name: list
length: 2m
network: {tcp: {delay: 100ms}}
phones: [{name: p, count: 3}, {name: late}]
server: {block_duration: 60s}
routine:
  - {phones: "*", within: 1s, do: [login, Download_tempID, Beacon, Upload_contact_log, log out], to: late}
  - {phones: "*", within: 1s, from: 1m, do: [login, {type: whatsthedate}, log out]}
expect:
  - logins.welcomed == 8
  - tempids.issued == 4
  - uploads.complete == 4
  - sessions.closed == 8
  - late.beacons.valid == 4
`)
}

// TestRoutineThatCannot checks that the notes list the turns that were skipped.
func TestRoutineThatCannot(t *testing.T) {
	r := passes(t, `name: idle
length: 1m
phones: [{name: p, count: 3}]
routine:
  - {phones: p, every: 10s, do: Download_tempID}
expect: [tempids.issued == 0]
`)
	want := "test.yaml:5:5: 18 times a phone was not at its prompt, and this routine did nothing"
	if len(r.Notes) != 1 || r.Notes[0] != want {
		t.Errorf("notes %q, want %q", r.Notes, want)
	}
}

// TestRoutinesOfOthers checks that an additional phone and routine do not change the actions of the other phones.
func TestRoutinesOfOthers(t *testing.T) {
	const rest = "  - {phones: p, every: 20s, jitter: 50%, do: Beacon, to: receiver, from: 5s}\n"
	one := sendings(t, crew+rest)
	two := sendings(t, strings.Replace(crew+rest+"  - {phones: q, every: 7s, do: Beacon, to: receiver}\n",
		"account: none}",
		"account: none}, {name: q}", 1))
	for who, at := range one {
		if len(at) != len(two[who]) {
			t.Fatalf("%s sent %d beacons, and %d beside another phone", who, len(at), len(two[who]))
		}
		for i := range at {
			if at[i] != two[who][i] {
				t.Fatalf("%s sent at %g s, and at %g s beside another phone", who, at[i], two[who][i])
			}
		}
	}
}
