package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestFaultsThatDidNothing: the notes name the faults without an effect, with their places and numbers, and no others.
func TestFaultsThatDidNothing(t *testing.T) {
	const busy = "routine: [{phones: a, within: 1s, do: [login, Download_tempID]}, {phones: a, every: 1s, from: 5s, do: Beacon, to: b}]\n"
	for _, c := range []struct {
		text string
		want []string
	}{
		{busy + "faults: [{reset: a, at: 0s}, {reset: a, at: 5s}]\n",
			[]string{"test.yaml:6:10: fault 1 (reset: a, at: 0s) did nothing"}},
		{"faults: [{crash: a, at: 5s, for: 1s}, {lose: 0%}, {refuse: b, for: 10s}, {clock: a, offset: 5s}, {clock: a, drift: 0}]\n",
			[]string{"test.yaml:5:39: fault 2 (lose: 0%) did nothing", "test.yaml:5:51: fault 3 (refuse: b, for: 10s) did nothing"}},
		{busy + "faults:\n  - {lose: 100%, from: b}\n  - {lose: 100%, from: a}\nscript:\n  - {at: 3s, fault: {lose: 100%, to: ghost}}\n  - {at: 4s, fault: {pause: b, at: 3m}}\n",
			[]string{
				"test.yaml:7:5: fault 1 (lose: 100%, from: b) did nothing",
				"test.yaml:10:21: fault 3 (lose: 100%, to: ghost) did nothing",
				"test.yaml:11:21: fault 4 (pause: b, at: 3m) did nothing: the run was over before it began",
			}},
		{"faults: [{pause: a, chance: 0%, at: 1s, for: 1s}]\n",
			[]string{"test.yaml:5:10: fault 1 (pause: a, chance: 0%, at: 1s, for: 1s) did nothing"}},
		{"", nil},
	} {
		if got := watch(t, parse(t, faulted+c.text)).Notes; !slices.Equal(got, c.want) {
			t.Errorf("%s%q\nwant\n%q", c.text, got, c.want)
		}
	}
}

// TestManyFaultsThatDidNothing: the notes name ten faults and count the others.
func TestManyFaultsThatDidNothing(t *testing.T) {
	r := watch(t, parse(t, faulted+"faults:\n"+strings.Repeat("  - {lose: 0%}\n", 12)))
	if len(r.Notes) != maxIdleFaults+1 {
		t.Fatalf("%d notes: %q", len(r.Notes), r.Notes)
	}
	if got, want := r.Notes[maxIdleFaults-1], fmt.Sprintf("test.yaml:15:5: fault %d (lose: 0%%) did nothing", maxIdleFaults); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := r.Notes[maxIdleFaults], "and 2 more faults that did nothing"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
