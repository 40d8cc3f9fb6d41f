//go:build !linux

package load

import "time"

// preciseSleep is the runtime's.
func preciseSleep(d time.Duration) { time.Sleep(d) }
