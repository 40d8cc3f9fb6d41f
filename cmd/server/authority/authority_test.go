package authority

import (
	"testing"
)

// No draw is repeated.
func TestEntropy(t *testing.T) {
	seen := map[uint64]bool{}
	for i := range 1000 {
		n := entropy{}.Uint64()
		if seen[n] {
			t.Fatalf("draw %d: %d came before", i, n)
		}
		seen[n] = true
	}
}
