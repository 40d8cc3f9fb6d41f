package scenarios

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// sumOf tells whether two runs had the same scenario.
func sumOf(text []byte, vars map[string]string) string {
	h := sha256.New()
	_, _ = h.Write(text) // a hash takes everything
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(h, "\x00%s=%s", name, vars[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
