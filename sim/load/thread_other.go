//go:build !linux

package load

import "time"

// onThreadOfItsOwn calls do: there is nothing to be had here.
func onThreadOfItsOwn(do func()) { do() }

// preciseSleep is the runtime's.
func preciseSleep(d time.Duration) { time.Sleep(d) }
