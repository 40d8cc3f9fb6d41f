//go:build !linux

package load

import "time"

// preciseSleep is the runtime's.
func preciseSleep() (sleep func(time.Duration), done func()) { return time.Sleep, func() {} }
