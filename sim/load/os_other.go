//go:build !linux

package load

import (
	"net/netip"
	"syscall"
	"time"
)

// childAttributes are the default ones here.
func childAttributes() *syscall.SysProcAttr { return nil }

// UsageOf returns false: the usage is not known here.
func UsageOf(int) (Usage, bool) { return Usage{}, false }

// DroppedDatagrams returns 0: the number is not known here.
func DroppedDatagrams(map[netip.AddrPort]bool) uint64 { return 0 }

// onOwnThread calls do.
func onOwnThread(do func()) { do() }

// preciseSleep is the sleep of the Go runtime.
func preciseSleep(d time.Duration) { time.Sleep(d) }
