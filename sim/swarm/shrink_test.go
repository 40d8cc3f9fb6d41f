package swarm

import (
	"context"
	"strings"
	"testing"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/shrink"
)

// TestWhatIsNotShrunk: a run that holds, one that does not end, and one that is not
// the same twice.
func TestWhatIsNotShrunk(t *testing.T) {
	base := classroom(t)
	base.Server.TempIDLifetime = 0 // what is drawn raises it
	s, _ := Draw(base, 2)
	last := s.Script[len(s.Script)-1]
	g := &Group{Cause: "liveness: do: Upload_contact_log: nothing", Seed: 2, File: base.File,
		Check: reports.Check{Kind: reports.ExpectationCheck, Name: last.Text, Expected: "an upload", Found: "nothing"}}
	if _, err := Shrink(context.Background(), base, g, "found-x", "x.yaml", shrink.Limits{Tries: 5}); err == nil || !strings.Contains(err.Error(), "seed 2 of") {
		t.Errorf("a run that holds was shrunk: %v", err)
	}
	for _, name := range []string{RunEnds, SameRun} {
		g.Cause, g.Check.Name = "x", name
		if small, err := Shrink(context.Background(), base, g, "found-x", "x.yaml", shrink.Limits{}); small != nil || err != nil {
			t.Errorf("%q was shrunk: %v, %v", name, small, err)
		}
	}
	if _, err := scenarios.Parse("x.yaml", s.AppendYAML(nil), scenarios.Options{}); err != nil {
		t.Error(err)
	}
}
