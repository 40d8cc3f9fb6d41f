//go:build !linux

package load

import (
	"net/netip"
	"syscall"
)

// ownGroup asks for nothing here.
func ownGroup() *syscall.SysProcAttr { return nil }

// UseOf is not known here.
func UseOf(int) (Use, bool) { return Use{}, false }

// DroppedBy is not known here: 0.
func DroppedBy(map[netip.AddrPort]bool) uint64 { return 0 }
