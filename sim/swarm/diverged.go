package swarm

import (
	"bytes"
	"context"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// Diverged runs a scenario twice and says where the two runs part: the first line
// of their traces that differs, which begins with its virtual time.
func Diverged(ctx context.Context, s *scenarios.Scenario) string {
	var a, b bytes.Buffer
	for _, trace := range []*bytes.Buffer{&a, &b} {
		if _, err := sim.Run(ctx, s, sim.Options{Trace: trace}); err != nil {
			return "; with a trace it broke: " + err.Error()
		}
	}
	one, two := bytes.Split(a.Bytes(), []byte("\n")), bytes.Split(b.Bytes(), []byte("\n"))
	for i := range min(len(one), len(two)) {
		if !bytes.Equal(one[i], two[i]) {
			return "; the first event that differs: " + string(one[i]) + " | " + string(two[i])
		}
	}
	if len(one) != len(two) {
		return "; one run ends where the other goes on"
	}
	return "; with a trace both were the same"
}
