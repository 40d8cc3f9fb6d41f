package sim

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"bluetrace/scenarios"
)

// Whoever is left out, what is left of a scenario can be run; and with everybody
// it is the same run.
func TestScenarioWithoutSomebody(t *testing.T) {
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
