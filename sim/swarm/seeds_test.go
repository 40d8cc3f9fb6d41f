package swarm

import (
	"math"
	"slices"
	"testing"
)

func TestRanges(t *testing.T) {
	const all = math.MaxUint64
	for text, want := range map[string]SeedRange{
		"1-100": {Range: Range{1, 100}}, "7": {Range: Range{7, 7}}, "5-": {Range: Range{5, all}, Unbounded: true},
		"10+5": {Range: Range{10, 14}}, "0x10-0x1f": {Range: Range{16, 31}},
		"0x630fbe9c0ffee0123456789abcdef0123456789a+3": {Range: Range{0x630fbe9c0ffe, 0x630fbe9c0ffe + 2},
			Truncated: true},
		"0x630fbe9c0ffee0123456789abcdef0123456789a-": {Range: Range{0x630fbe9c0ffe, all}, Unbounded: true,
			Truncated: true},
		"18446744073709551615":                      {Range: Range{all, all}},
		"18446744073709551615-18446744073709551615": {Range: Range{all, all}},
		"18446744073709551614+2":                    {Range: Range{all - 1, all}},
		"18446744073709551614-0xffffffffffffffff":   {Range: Range{all - 1, all}},
		"0x123456789abcdef0-0x123456789abcfff0":     {Range: Range{0x123456789abcdef0, 0x123456789abcfff0}},
		"0x0000000000000001":                        {Range: Range{1, 1}},
		"0x00000000000000000000000001+2":            {Range: Range{1, 2}},
	} {
		if got, err := ParseRange(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "-5", "5-4", "a", "0x", "0xg", "1-2-3", "1+0", "1+2-3",
		"18446744073709551615+2", "1 - 2",
		"0x123456789012GARBAGE", "0x630fbe9c0ffee0123456789abcdef0123456789g", "18446744073709551616",
		"0x630fbe9c0ffee0123456789abcdef0123456789a-0x730fbe9c0ffee0123456789abcdef0123456789a",
		"0x630fbe9c0ffee0123456789abcdef0123456789a-0xffffffffffffffff", "1-0x630fbe9c0ffee0123456789abcdef0123456789a",
		"1+0x630fbe9c0ffee0123456789abcdef0123456789a"} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("%q is %+v, want an error", text, got)
		}
	}
	last := Range{math.MaxUint64 - 1, math.MaxUint64}
	if got := slices.Collect(last.Seeds()); !slices.Equal(got, []uint64{math.MaxUint64 - 1, math.MaxUint64}) {
		t.Errorf("the last seeds are %v", got)
	}
}
