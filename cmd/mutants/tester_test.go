package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestOutcomesOfAMutant(t *testing.T) {
	for _, c := range []struct {
		name, old, new, by string
		outcome            outcome
		err                string
	}{
		{"killed by the first", "right", "first", "", killed, ""},
		{"killed by its guard", "right", "second", "second", killed, ""},
		{"killed by a panic", "right", "panic", "second", killed, ""},
		{"survives", "right", "wrong", "", survives, "no scenario failed"},
		{"survives its guard, too", "right", "wrong", "second", survives, "no scenario failed"},
		{"missed by its guard", "right", "first", "second", missed, "second passed"},
		{"old text is gone", "left", "first", "", stale, `"left" occurs 0 times in node.go, want once`},
		{"old text is there twice", "is", "first", "", stale, `"is" occurs 2 times in node.go, want once`},
		{"does not compile", "right", "syntax", "", unbuilt, "building sim: syntax error"},
		{"a comment", "right", "right // comment", "", equivalent, `"right // comment" means the same as "right"`},
		{"cannot run", "right", "refused", "", untried, "running it: exit status 107"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := fakeTester(t, "this is right")
			r := b.test(t.Context(), &mutant{name: c.name, file: "node.go", old: c.old, new: c.new, by: c.by})
			if r.outcome != c.outcome || textOf(r.err) != c.err {
				t.Errorf("%s: %s, %q; want %s, %q", c.name, r.outcome, textOf(r.err), c.outcome, c.err)
			}
			if left, err := os.ReadDir(b.temp); err != nil || len(left) != 0 {
				t.Errorf("%s: left %v and %v in the folder for programs", c.name, left, err)
			}
		})
	}
}

func TestAMutantWithoutItsFileNoLongerApplies(t *testing.T) {
	r := fakeTester(t, "right").test(t.Context(), &mutant{name: "gone", file: "gone.go", old: "a", new: "b"})
	if r.outcome != stale || !errors.Is(r.err, os.ErrNotExist) {
		t.Errorf("%s, %v; want %s and a missing file", r.outcome, r.err, stale)
	}
}

func TestKeepLeavesTheProgram(t *testing.T) {
	b := fakeTester(t, "right")
	b.options.keep = true
	b.test(t.Context(), &mutant{name: "2 or 4", file: "node.go", old: "right", new: "first"})
	for _, file := range []string{"node.go", "sim"} {
		if text, err := os.ReadFile(filepath.Join(b.temp, "2-or-4", file)); string(text) != "first" {
			t.Errorf("%s: %q and %v, want it kept with the mutant in it", file, text, err)
		}
	}
}

func TestAnswersComeInOrder(t *testing.T) {
	const n = 5
	done := make(chan int, n)
	var taken []int
	inOrder(n, 2, func(i int) int {
		if i == 0 {
			<-done // until another call of work
		} else {
			done <- i
		}
		return 10 * i
	}, func(answer int) { taken = append(taken, answer) })
	if want := []int{0, 10, 20, 30, 40}; !slices.Equal(taken, want) {
		t.Errorf("taken %v, want %v", taken, want)
	}
}

func TestAsManyJobsAsAskedFor(t *testing.T) {
	for _, c := range []struct{ n, jobs, want int32 }{{50, 3, 3}, {2, 3, 2}} {
		synctest.Test(t, func(t *testing.T) {
			var begun atomic.Int32
			release := make(chan struct{})
			work := func(int) int {
				begun.Add(1)
				<-release
				return 0
			}
			go inOrder(int(c.n), int(c.jobs), work, func(int) {})
			synctest.Wait()
			if got := begun.Load(); got != c.want {
				t.Errorf("%d of %d with %d jobs begun at once, want %d", got, c.n, c.jobs, c.want)
			}
			close(release)
		})
	}
}
