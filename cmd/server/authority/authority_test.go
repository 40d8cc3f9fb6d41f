package authority

import (
	"testing"
)

// Each byte is returned once and cleared.
func TestEntropy(t *testing.T) {
	e := &entropy{}
	seen := map[uint64]bool{}
	for i := range 1000 {
		n := e.Uint64()
		if seen[n] {
			t.Fatalf("draw %d: %d came before", i, n)
		}
		seen[n] = true
		for _, b := range e.buffer[:len(e.buffer)-e.left] {
			if b != 0 {
				t.Fatal("a returned byte is still there")
			}
		}
	}
}
