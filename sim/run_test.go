package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

const library = "../scenarios"

// TestLibrary runs every scenario of the library twice. It passes, with the same digest, trace and checks.
func TestLibrary(t *testing.T) {
	files, leftOut, err := scenarios.Find([]string{library, library + "/faults", library + "/found"})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 18 || len(leftOut) < 1 {
		t.Fatalf("%d scenarios and %d manual ones in %s", len(files), len(leftOut), library)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var runs [2]*Result
			var traces [2]bytes.Buffer
			for i := range runs {
				s, err := scenarios.Load(file, scenarios.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if runs[i], err = Run(context.Background(), s, Options{Trace: &traces[i]}); err != nil {
					t.Fatal(err)
				}
			}
			one, two := &runs[0].Run, &runs[1].Run
			if one.Verdict != reports.Passed {
				for _, c := range one.Checks {
					if c.Verdict != reports.Passed {
						t.Errorf("%s %s at %s: %s; expected %s, found %s", c.Kind, c.Verdict, c.Place, c.Name,
							c.Expected, c.Found)
					}
				}
			}
			if one.Digest != two.Digest || one.Events != two.Events ||
				fmt.Sprint(one.Checks) != fmt.Sprint(two.Checks) {
				t.Errorf("digest %s with %d events, then %s with %d", one.Digest, one.Events, two.Digest, two.Events)
			}
			if !bytes.Equal(traces[0].Bytes(), traces[1].Bytes()) || traces[0].Len() == 0 {
				t.Errorf("two traces of %d and %d bytes differ", traces[0].Len(), traces[1].Len())
			}
		})
	}
}

// TestSeed checks that another seed gives another run.
func TestSeed(t *testing.T) {
	digest := func(seed uint64) string {
		s, err := scenarios.Load(filepath.Join(library, "classroom.yaml"), scenarios.Options{Seed: &seed})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(context.Background(), s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Run.Seed != seed || r.Run.Verdict != reports.Passed {
			t.Errorf("seed %d: the run says %d, verdict %s", seed, r.Run.Seed, r.Run.Verdict)
		}
		return r.Run.Digest
	}
	if one, two := digest(8), digest(9); one == two {
		t.Errorf("seeds 8 and 9 have one digest, %s", one)
	}
}

// TestExamplesOfThePage checks that every example marked `yaml run` passes.
func TestExamplesOfThePage(t *testing.T) {
	const page = "../docs/SCENARIOS.md"
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for i, block := range strings.Split(string(raw), "```yaml run\n")[1:] {
		text, _, closed := strings.Cut(block, "\n```")
		if !closed {
			t.Fatalf("example %d of %s has no end", i+1, page)
		}
		if strings.Contains(text, "\nload:\n") {
			continue // a test of sim/load runs it
		}
		passes(t, text+"\n")
		ran++
	}
	if ran == 0 {
		t.Errorf("%s has no example marked `yaml run`", page)
	}
}

// TestPrimarySchool runs the recorded day of 242 people.
func TestPrimarySchool(t *testing.T) {
	data := os.Getenv("BLUETRACE_DATA")
	if data == "" {
		t.Skip("SKIPPED: no recorded day of a primary school is played: set BLUETRACE_DATA to a folder that has " +
			"primaryschool.csv.gz (sociopatterns.org)")
	}
	file := filepath.Join(library, "primaryschool.yaml")
	s, err := scenarios.Load(file,
		scenarios.Options{Vars: map[string]string{"TRACE": filepath.Join(data, "primaryschool.csv.gz")}})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Manual {
		t.Errorf("%s is not manual: a run over the folder would need its trace", file)
	}
	r, err := Run(context.Background(), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Run.Checks {
		if c.Verdict != reports.Passed {
			t.Errorf("%s %s at %s: %s; expected %s, found %s", c.Kind, c.Verdict, c.Place, c.Name, c.Expected, c.Found)
		}
	}
	if notes := strings.Join(r.Run.Notes,
		"\n"); !regexp.MustCompile(`contacts of 2[34][0-9] people`).MatchString(notes) {
		t.Errorf("the notes do not say how many of the 242 people were there: %s", notes)
	}
}

// busy is a scenario with many events.
const busy = `name: busy
length: 10m
phones: [{name: p, count: 20}]
contacts: {everyone: p}
routine:
  - {phones: p, within: 1s, do: [login, Download_tempID]}
  - {phones: p, every: 5s, from: 2s, do: Beacon, to: contacts}
script:
  - {at: 1s, phone: p-1, expect: {log: 0}}
  - {at: 9m, phone: p-1, expect: {log: 5}}
expect: [beacons.valid > 1]
thresholds: {beacons.valid: count>1}
`

// TestInterrupted checks that an interrupted run is reported until then. Checks that were not decided are unknown.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var seen []Progress
	r, err := Run(ctx, parse(t, busy), Options{Progress: func(p Progress) {
		seen = append(seen, p)
		if len(seen) == 2 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	run := &r.Run
	if run.Verdict != reports.Interrupted {
		t.Errorf("verdict %s, want interrupted", run.Verdict)
	}
	if run.Beacons.Valid == 0 || run.VirtualSeconds <= 1 || run.VirtualSeconds >= 540 || len(run.Digest) != 16 ||
		run.Events == 0 {
		t.Errorf("%d valid beacons after %g s, digest %q: want what was done until then", run.Beacons.Valid,
			run.VirtualSeconds, run.Digest)
	}
	var got []string
	for _, c := range run.Checks {
		if c.Kind != reports.InvariantCheck {
			got = append(got, string(c.Verdict))
		} else if c.Verdict != reports.Passed {
			t.Errorf("%s: %s", c.Name, c.Verdict)
		}
	}
	if want := "[passed unknown unknown unknown]"; fmt.Sprint(got) != want {
		t.Errorf("the checks came to %v, want %s", got, want)
	}
	for i, p := range seen {
		if p.Length.Minutes() != 10 || p.At <= 0 || p.Events == 0 || i > 0 &&
			(p.At < seen[i-1].At || p.Events <= seen[i-1].Events) {
			t.Errorf("progress %d is %+v", i, p)
		}
	}
}

// TestInterruptedBeforeItBegan checks that a run whose context is cancelled beforehand is interrupted.
func TestInterruptedBeforeItBegan(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, err := Run(ctx, parse(t, busy), Options{})
	if err != nil || r.Run.Verdict != reports.Interrupted || r.Run.VirtualSeconds >= 540 {
		t.Errorf("%+v, %v; want an interrupted run", r, err)
	}
}

// TestInterruptedAfterAFailure checks that a run that failed before it was interrupted has failed.
func TestInterruptedAfterAFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := Run(ctx, parse(t, strings.Replace(busy, "expect: {log: 0}", "expect: {log: 7}", 1)),
		Options{Progress: func(Progress) { cancel() }})
	if err != nil || r.Run.Verdict != reports.Failed {
		t.Errorf("%v, %v; want a failed run", r.Run.Verdict, err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// TestTraceThatCannotBeWritten checks that an error of the trace is the error of the run.
func TestTraceThatCannotBeWritten(t *testing.T) {
	r, err := Run(context.Background(), parse(t, busy), Options{Trace: fullDisk{}})
	var invalid *Invalid
	if r != nil || !errors.Is(err, io.ErrShortWrite) || errors.As(err, &invalid) {
		t.Errorf("%v, %v; want the error of the trace", r, err)
	}
}

// TestResultOfARun checks the figures of a report beside its checks.
func TestResultOfARun(t *testing.T) {
	r := passes(t, busy[:strings.Index(busy, "script:")]+"expect: [beacons.valid > 1]\n")
	if r.Scenario != "busy" || r.File != "test.yaml" || r.World != "virtual" || r.Seed != 1 || r.Phones != 20 ||
		r.VirtualSeconds != 600 {
		t.Errorf("%+v", r)
	}
	b, d := r.Beacons, r.Datagrams
	if b.Delivered != b.Valid+b.Invalid || b.Kept != b.Valid || b.Sent < 20*19*118 || d.Sent != 4*b.Sent ||
		d.Sent != d.Delivered+d.Lost+d.InFlight {
		t.Errorf("%+v %+v", b, d)
	}
	var names []string
	for _, o := range r.Operations {
		names = append(names, o.Name)
		if o.Histogram.TotalCount() == 0 {
			t.Errorf("operation %s has no sample", o.Name)
		}
	}
	if fmt.Sprint(names) != "[beacon login tempid]" {
		t.Errorf("operations %v, want beacon, login and tempid", names)
	}
	if r.WallSeconds <= 0 || r.Events == 0 || len(r.Digest) != 16 {
		t.Errorf("%g s of wall time, %d events, digest %q", r.WallSeconds, r.Events, r.Digest)
	}
	kinds := map[reports.CheckKind]int{}
	for _, c := range r.Checks {
		kinds[c.Kind]++
	}
	if kinds[reports.ExpectationCheck] != 1 || kinds[reports.InvariantCheck] != 16 {
		t.Errorf("checks %v", kinds)
	}
}

// TestSubset checks that every subset of the phones of a scenario can run, and that the set of all phones is the
// same run.
func TestSubset(t *testing.T) {
	files, err := filepath.Glob("../scenarios/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		s, err := scenarios.Load(file, scenarios.Options{})
		if err != nil {
			if strings.Contains(err.Error(), "TRACE") || strings.Contains(file, "primaryschool") {
				continue // it needs recorded contacts
			}
			t.Fatal(err)
		}
		n := len(s.PhoneNames())
		if s.Load != nil || n > 100 {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			whole := digestOf(t, s)
			if got := digestOf(t, s.Subset(func(int) bool { return true })); got != whole {
				t.Errorf("with everybody the digest is %s, and that of the scenario %s", got, whole)
			}
			apart := 6
			if testing.Short() {
				apart = 2
			}
			for out := 0; out < n && n > 1; out += 1 + n/apart {
				digestOf(t, s.Subset(func(i int) bool { return i != out }))
				digestOf(t, s.Subset(func(i int) bool { return i < out }))
			}
		})
	}
}

func digestOf(t *testing.T, s *scenarios.Scenario) string {
	t.Helper()
	if len(s.Phones) == 0 {
		return ""
	}
	r, err := Run(context.Background(), s, Options{})
	if err != nil {
		t.Fatalf("running %s with %d phones: %v", s.Name, len(s.PhoneNames()), err)
	}
	return r.Run.Digest
}
