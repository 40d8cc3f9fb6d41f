package sim

import (
	"testing"

	"bluetrace/scenarios"
)

// TestScenariosElsewhere ask nothing that a server elsewhere cannot be asked.
func TestScenariosElsewhere(t *testing.T) {
	files, _, err := scenarios.Find([]string{"../scenarios/elsewhere"})
	if err != nil || len(files) != 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		s, err := scenarios.Load(file, scenarios.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := refuseLive(s, &Live{Server: "elsewhere:1"}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
