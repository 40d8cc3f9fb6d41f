//go:build ignore

// Command spin is the yardstick of .ci/scaling: it computes for a number of seconds on one processor, and prints the
// number of steps per second.
package main

import (
	"flag"
	"fmt"
	"time"
)

func main() {
	seconds := flag.Float64("seconds", 10, "")
	flag.Parse()
	began := time.Now()
	limit := time.Duration(*seconds * float64(time.Second))
	steps, x := 0, uint64(1)
	for time.Since(began) < limit {
		for range 1 << 16 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		steps += 1 << 16
	}
	if x == 0 {
		panic("xorshift never yields 0")
	}
	fmt.Printf("%.0f\n", float64(steps)/time.Since(began).Seconds())
}
