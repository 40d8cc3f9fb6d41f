package swarm

import (
	"math"
	"slices"
	"testing"
)

func TestRanges(t *testing.T) {
	for text, want := range map[string]Range{
		"1-100": {1, 100}, "7": {7, 7}, "5-": {5, math.MaxUint64}, "10+5": {10, 14}, "0x10-0x1f": {16, 31},
		"0x630fbe9c0ffee0123456789abcdef0123456789a+3": {0x630fbe9c0ffe, 0x630fbe9c0ffe + 2},
		"18446744073709551615":                         {math.MaxUint64, math.MaxUint64},
	} {
		if got, err := ParseRange(text); err != nil || got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "-5", "5-4", "a", "0x", "0xg", "1-2-3", "1+0", "1+2-3", "18446744073709551615+2", "1 - 2"} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
	last := Range{math.MaxUint64 - 1, math.MaxUint64}
	if got := slices.Collect(last.Seeds()); !slices.Equal(got, []uint64{math.MaxUint64 - 1, math.MaxUint64}) {
		t.Errorf("the last seeds are %v", got)
	}
}
