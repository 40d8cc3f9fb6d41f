package sim

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"bluetrace/reports"
)

// reception is one valid beacon: its receiver, its sender and its time.
type reception struct {
	at        float64
	who, whom string
}

var validLine = regexp.MustCompile(`(?m)^(\S+) (\S+): beacon of (\S+) is valid`)

// receptions runs a scenario, requires that it passes, and returns its valid beacons.
func receptions(t *testing.T, text string) ([]reception, *reports.Run) {
	t.Helper()
	var trace strings.Builder
	r, err := Run(context.Background(), parse(t, text), Options{Trace: &trace})
	if err != nil {
		t.Fatal(err)
	}
	if r.Run.Verdict != reports.Passed {
		t.Fatalf("verdict %s: %+v", r.Run.Verdict, r.Run.Checks)
	}
	var list []reception
	for _, m := range validLine.FindAllStringSubmatch(trace.String(), -1) {
		at, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, reception{at, m[2], m[3]})
	}
	return list, &r.Run
}

// near runs a crowd in which each phone sends one beacon to its contacts, and returns the number of beacons by
// receiver and sender.
func near(t *testing.T, phones, contacts string) map[string]int {
	t.Helper()
	list, _ := receptions(t, `name: near
length: 20s
phones: `+phones+`
contacts: `+contacts+`
routine:
  - {phones: "*", within: 5s, do: [login, Download_tempID]}
  - {phones: "*", within: 5s, from: 10s, do: Beacon, to: contacts}
expect: [beacons.sent == beacons.valid]
`)
	heard := map[string]int{}
	for _, h := range list {
		heard[h.whom+">"+h.who]++
	}
	return heard
}

// pairs returns the beacons of pairs in which each phone receives one beacon of the other.
func pairs(list ...string) map[string]int {
	all := map[string]int{}
	for _, p := range list {
		a, b, _ := strings.Cut(p, " ")
		all[a+">"+b], all[b+">"+a] = 1, 1
	}
	return all
}

func TestDesks(t *testing.T) {
	// 1 2 3
	// 4 5 6
	// 7
	got := near(t, "[{name: p, count: 7}]", "{desks: {phones: p, columns: 3, reach: 1}}")
	want := pairs("p-1 p-2", "p-1 p-4", "p-1 p-5", "p-2 p-3", "p-2 p-4", "p-2 p-5", "p-2 p-6", "p-3 p-5", "p-3 p-6",
		"p-4 p-5", "p-4 p-7", "p-5 p-6", "p-5 p-7")
	if !maps.Equal(got, want) {
		t.Errorf("near are %v, want %v", got, want)
	}
	// a reach of two in one row
	got = near(t, "[{name: p, count: 5}]", "{desks: {phones: p, columns: 5, reach: 2}}")
	want = pairs("p-1 p-2", "p-1 p-3", "p-2 p-3", "p-2 p-4", "p-3 p-4", "p-3 p-5", "p-4 p-5")
	if !maps.Equal(got, want) {
		t.Errorf("in one row near are %v, want %v", got, want)
	}
}

func TestEveryoneAndLists(t *testing.T) {
	got := near(t, "[{name: a}, {name: b}, {name: c}, {name: d}]", "{everyone: [a, b, c]}")
	if want := pairs("a b", "a c", "b c"); !maps.Equal(got, want) {
		t.Errorf("near are %v, want %v", got, want)
	}
	got = near(t, "[{name: a}, {name: b}, {name: c}, {name: d}]", "{lists: [[a, b], [c, d], [b, c]]}")
	if want := pairs("a b", "c d", "b c"); !maps.Equal(got, want) {
		t.Errorf("near are %v, want %v", got, want)
	}
}

// TestKindsAddUp checks that a pair that several sources connect receives one beacon, not several.
func TestKindsAddUp(t *testing.T) {
	got := near(t, "[{name: p, count: 4}]",
		"{everyone: [p-1, p-2], lists: [[p-1, p-2], [p-2, p-1, p-3]], desks: {phones: p, columns: 2, reach: 1}}")
	if want := pairs("p-1 p-2", "p-1 p-3", "p-1 p-4", "p-2 p-3", "p-2 p-4", "p-3 p-4"); !maps.Equal(got, want) {
		t.Errorf("near are %v, want %v", got, want)
	}
}

func TestVisits(t *testing.T) {
	list, _ := receptions(t, `name: visits
length: 30m
phones: [{name: teacher}, {name: p, count: 5}]
contacts: {visits: {phone: teacher, to: p, stay: 30s..60s}}
routine:
  - {phones: [teacher], within: 1s, do: [login, Download_tempID]}
  - {phones: [teacher], every: 10m, do: Download_tempID, from: 10s}
  - {phones: [teacher], every: 1s, from: 5s, do: Beacon, to: contacts}
expect: [beacons.valid > 1000, beacons.sent == beacons.valid]
`)
	seen := map[string]bool{}
	var stays []reception
	for i, h := range list {
		if i == 0 || h.who != list[i-1].who {
			stays = append(stays, h)
			seen[h.who] = true
		}
	}
	if len(seen) != 5 {
		t.Errorf("only %d pupils were visited", len(seen))
	}
	for i := 1; i+1 < len(stays); i++ {
		if d := stays[i+1].at - stays[i].at; d < 29 || d > 61 {
			t.Errorf("a visit of %s lasted %g s, want 30 to 60", stays[i].who, d)
		}
	}
	if len(stays) < 25 || len(stays) > 65 {
		t.Errorf("%d visits in half an hour, want about 40", len(stays))
	}
}

// TestMixing checks that the mean number of contacts is the degree, and the pairs change.
func TestMixing(t *testing.T) {
	phones, seconds := 100, 300
	if fullSize() {
		phones, seconds = 200, 600
	}
	for _, degree := range []float64{0.5, 4} {
		list, run := receptions(t, fmt.Sprintf(`name: mixing
length: %ds
phones: [{name: p, count: %d}]
contacts: {mixing: {phones: p, degree: %g, dwell: 40s}}
routine:
  - {phones: p, within: 5s, do: [login, Download_tempID]}
  - {phones: p, every: 10s, from: 10s, do: Beacon, to: contacts}
expect: [beacons.sent == beacons.valid]
`, seconds+10, phones, degree))
		mean := float64(run.Beacons.Sent) / float64(phones*seconds/10)
		if math.Abs(mean-degree) > 0.02*degree {
			t.Errorf("each is near %g others on average, want %g", mean, degree)
		}
		met := map[string]bool{}
		for _, h := range list {
			met[h.who+h.whom] = true
		}
		// phones·degree/2 meetings at a time, each for 40 s of them, and both receive
		if want := float64(phones) * degree * float64(seconds) / 40; float64(len(met)) < want*0.8 ||
			float64(len(met)) > want*1.4 {
			t.Errorf("degree %g: %d pairs met, want about %g", degree, len(met), want)
		}
	}
}

const school = "20\t101\t102\t1A\t1A\n40\t101\t102\t1A\t1A\n40\t101\t103\t1A\t1B\n100\t103\t104\t1B\t1B\n"

// replayed runs a trace in which each phone sends a beacon every second. It returns the seconds of the beacons by
// receiver and sender.
func replayed(t *testing.T, options, content string) (map[string][]int, *reports.Run) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	list, run := receptions(t, `name: replay
length: 130s
phones: [{name: p, count: 4}]
contacts: {trace: {file: `+file+`, phones: p`+options+`}}
routine:
  - {phones: p, within: 1ms, do: [login, Download_tempID]}
  - {phones: p, every: 1s, from: 200ms, do: Beacon, to: contacts}
expect: [beacons.sent == beacons.valid]
`)
	seconds := map[string][]int{}
	for _, h := range list {
		pair := h.whom + ">" + h.who
		seconds[pair] = append(seconds[pair], int(h.at))
	}
	return seconds, run
}

func TestTrace(t *testing.T) {
	for _, c := range []struct {
		name, options string
		want          map[string][2]int // from and to, in seconds
	}{
		{"whole", "", map[string][2]int{"p-1>p-2": {0, 40}, "p-1>p-3": {20, 40}, "p-3>p-4": {80, 100}}},
		{"one class", ", classes: [1A]", map[string][2]int{"p-1>p-2": {0, 40}}},
		{"another class", ", classes: [1B]", map[string][2]int{"p-1>p-2": {80, 100}}},
		{"a window", ", from: 30, until: 90",
			map[string][2]int{"p-1>p-2": {0, 10}, "p-1>p-3": {0, 10}, "p-3>p-4": {50, 60}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, run := replayed(t, c.options, school)
			if len(got) != 2*len(c.want) {
				t.Errorf("heard %v, want %v", got, c.want)
			}
			for pair, w := range c.want {
				a, b, _ := strings.Cut(pair, ">")
				for _, way := range []string{pair, b + ">" + a} {
					heard := got[way]
					// Each phone sends at its own offset within a second: at the ends
					// there is one beacon more or less.
					if len(heard) < w[1]-w[0]-1 || len(heard) > w[1]-w[0]+1 || heard[0] < w[0] ||
						heard[len(heard)-1] >= w[1] {
						t.Errorf("%s in the seconds %v, want %d to %d", way, heard, w[0], w[1])
					}
				}
			}
			if len(run.Notes) == 0 || !strings.Contains(run.Notes[0], "people") {
				t.Errorf("notes %q, want what the trace holds", run.Notes)
			}
		})
	}
}

// TestTraceThatIsCompressedAndOdd reads a gzip file with irregular lines, which the notes report.
func TestTraceThatIsCompressedAndOdd(t *testing.T) {
	var packed strings.Builder
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("20 1 2\n20 1 1\nnonsense\n40 1 2\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got, run := replayed(t, "", packed.String())
	if n := len(got["p-1>p-2"]); n < 39 || n > 40 {
		t.Errorf("heard %d times in 40 s", n)
	}
	notes := strings.Join(run.Notes, "\n")
	for _, want := range []string{"2 contacts of 2 people", "line 2: ", "line 3: "} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes do not say %q:\n%s", want, notes)
		}
	}
}

// TestTraceGivesTheLength checks that a run without a length ends with its trace.
func TestTraceGivesTheLength(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(file, []byte(school), 0o600); err != nil {
		t.Fatal(err)
	}
	r := passes(t, `name: length
phones: [{name: p, count: 4}]
contacts: {trace: {file: `+file+`, phones: p}}
routine: [{phones: p, every: 1s, do: Beacon, to: contacts}]
expect: [beacons.sent == 0]
`)
	if r.VirtualSeconds != 100 {
		t.Errorf("the run lasted %g s, want 100", r.VirtualSeconds)
	}
}

func TestTraceThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"crowded": "20 1 2\n20 3 4\n20 5 6\n", "empty": "",
		"broken": "\x1f\x8bxxxx"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{
		"missing": "no such file",
		"crowded": "has 6 people, the scenario has 4 phones for them; give it at least as many",
		"empty":   "there is no contact in the trace",
		"":        "this is a folder",
		"broken":  "the gzip file is broken",
	} {
		s := parse(t, `name: bad
length: 1m
phones: [{name: p, count: 4}]
contacts:
  trace: {file: `+filepath.Join(dir, file)+`, phones: p}
expect: [events > 0]
`)
		r, err := Run(context.Background(), s, Options{})
		var invalid *Invalid
		if r != nil || !errors.As(err, &invalid) || invalid.Place != "test.yaml:5:10" ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an *Invalid at test.yaml:5:10 that says %q", file, err, want)
		}
		if file == "missing" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v does not wrap fs.ErrNotExist", err)
		}
	}
}

// TestInterruptedStart checks the errors of runs that a signal ends before they begin.
func TestInterruptedStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "trace.csv")
	if err := os.WriteFile(file, []byte("20 1 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	traced := "name: x\nlength: 1m\ninvariants: true\nphones: [{name: p, count: 2}]\ncontacts: {trace: {file: " +
		file + ", phones: p}}\n"
	for _, c := range []struct{ scenario, command, want string }{
		{traced, "", "the contact trace " + strconv.Quote(file) + " was read"},
		{"name: x\nlength: 1m\ninvariants: true\nphones: [{name: p}]\n", "sleep 60; : {port}",
			"the server of --server-command started"},
	} {
		o := Options{}
		if c.command != "" {
			o.Live = &Live{Command: c.command}
		}
		_, err := Run(ctx, parse(t, c.scenario), o)
		if want := "interrupted by a signal while " + c.want; !errors.Is(err, context.Canceled) || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// TestTooManyPairs checks that a scenario with too many pairs, 72 million of at most 67, is refused with the memory
// that they would need.
func TestTooManyPairs(t *testing.T) {
	for _, contacts := range []string{
		"{everyone: p}",
		"{lists: [[p]]}",
		"{desks: {phones: p, columns: 110, reach: 110}}",
	} {
		s := parse(t, `name: huge
length: 1m
phones: [{name: p, count: 12000}]
contacts: `+contacts+`
expect: [events > 0]
`)
		_, err := Run(context.Background(), s, Options{})
		var invalid *Invalid
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "MiB") ||
			!strings.HasPrefix(err.Error(), "test.yaml:4:") {
			t.Errorf("%s: %v, want an *Invalid with the memory that it needs", contacts, err)
		}
	}
}
