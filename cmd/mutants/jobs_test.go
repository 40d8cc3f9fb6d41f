package main

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestAnswersComeInOrder(t *testing.T) {
	const n = 5
	done := make(chan int, n)
	var taken []int
	inOrder(n, 2, func(i int) int {
		if i == 0 {
			<-done // until another one has been worked on
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
