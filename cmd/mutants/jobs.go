package main

import "sync/atomic"

// inOrder does work for 0 to n-1, jobs of them at the same time, and hands each
// answer to take as soon as those before it are there.
func inOrder[T any](n, jobs int, work func(i int) T, take func(T)) {
	answers := make([]chan T, n)
	for i := range answers {
		answers[i] = make(chan T, 1)
	}
	var begun atomic.Int64
	for range min(n, jobs) {
		go func() {
			for i := int(begun.Add(1)) - 1; i < n; i = int(begun.Add(1)) - 1 {
				answers[i] <- work(i)
			}
		}()
	}
	for _, answer := range answers {
		take(<-answer)
	}
}
