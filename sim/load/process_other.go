//go:build !linux

package load

import (
	"net/netip"
	"syscall"
)

// ownGroup asks for nothing here.
func ownGroup() *syscall.SysProcAttr { return nil }

// UsageOf is not known here.
func UsageOf(int) (Usage, bool) { return Usage{}, false }

// DroppedDatagrams is not known here: 0.
func DroppedDatagrams(map[netip.AddrPort]bool) uint64 { return 0 }
