package swarm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bluetrace/reports"
)

// TestText compares the whole text of a summary.
func TestText(t *testing.T) {
	s := swarmOf(t, Options{Seeds: Range{1, 20}.Seeds(), Jobs: 1, RepeatEvery: 10, Engine: fakeEngine})
	s.WallSeconds, s.Jobs = 2, 2
	s.Adversaries = []reports.KindCount{{Kind: "forge", Count: 1200}}
	s.Invariants = []reports.KindCount{{Kind: "every TempID is issued once"}, {Kind: "no entry stays", Count: 7},
		{Kind: "nothing grows"}}
	s.Situations = []Situation{{"torn line", "a line is torn at a crash", 3},
		{"expiry", "a beacon comes in the instant of its expiry", 0}}
	for i := range s.Failures {
		g := &s.Failures[i]
		g.Repeat = "sim swarm --seeds 5-5 --verbose x.yaml"
		g.Plan.Heal = 60_000_000_000
		g.Plan.Drawn = []string{"fault: crash: \x1b[2J"}
		g.Check.LastEvents = []string{"61.0 anna: prints", `62.0 anna: sends "` + strings.Repeat("x", 70) + `\n"`}
	}
	s.Failures[1].Later = []LaterCause{{"nothing is lost: # entries of …", 3}, {"another", 1}}
	s.Failures[0].Drawn, s.Failures[0].Shrunk, s.Failures[0].ShrunkNote = "out/drawn-nothing.yaml",
		"out/found-nothing.yaml", "(2 phones, 3 steps and faults; 90 runs)"
	var b strings.Builder
	if err := s.Text(&b, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	want := `FAILED  swarm: 6 of 20 runs failed, of 2 causes

  failed  nothing is lost: # entries of …
    runs      4 of 20; first: seed 5 of ../../scenarios/classroom.yaml
    expected  3 entries
    found     5 entries of pupil-5
    at        1m1s of virtual time, healed (heal at 1m0s)
    repeat    sim swarm --seeds 5-5 --verbose x.yaml
    drawn     out/drawn-nothing.yaml
    shrunk    out/found-nothing.yaml (2 phones, 3 steps and faults; 90 runs)

  failed  liveness: login: right: nothing
    runs      2 of 20; first: seed 7 of ../../scenarios/classroom.yaml
    step      at: 7s, phone: pupil-2, login: right
    expected  replies Welcome
    found     nothing
    at        1m1s of virtual time, healed (heal at 1m0s)
    repeat    sim swarm --seeds 5-5 --verbose x.yaml
    later in these runs:
      3 runs: nothing is lost: # entries of …
      1 run: another

  seeds       1-20
  scenarios   ../../scenarios/classroom.yaml: 20 runs, 6 failed
  faults      crash 40
  adversaries forge 1,200
  situations  1 of 2 reached
  not reached expiry
  invariants  1 of 3 exercised
  unexercised every TempID is issued once
              nothing grows
  repeated    2 runs, compared with the first run of the seed
  virtual     0.01 days, 200 events
  time        2.0 s with 2 workers: 10.0 runs per second, 5.0 per worker; 605x real time
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	b.Reset()
	s.Reasons = []string{"shrinking was interrupted"}
	if err := s.Text(&b, TextOptions{NoOutputFolder: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"of 2 causes; shrinking was interrupted\n", "  not reached expiry\n",
		"  use --out DIR to write a small scenario for each cause\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	s.Failures[1].Seed, s.Failures[1].File = s.Failures[0].Seed, "x.yaml"
	s.Failures[0].File = "x.yaml"
	if err := s.Text(&b, TextOptions{ShowDraws: true, Color: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[1;31mFAILED\x1b[0m",
		"    drawn\n      fault: crash: \\x1b[2J\n    last events\n      61.0 anna: prints\n",
		`      62.0 anna: sends "` + strings.Repeat("x", 64) + "\"… (7 more bytes)\n",
		"    drawn     see above: seed 5 of x.yaml\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
