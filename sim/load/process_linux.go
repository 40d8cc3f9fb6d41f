package load

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ownGroup keeps a terminal's Ctrl-C from a child, and ends it when this process
// is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// tick is the unit in which Linux tells the times of a process, on every
// architecture that Go knows.
const tick = 10 * time.Millisecond

// UsageOf is what a process has used; false: it is gone.
func UsageOf(pid int) (u Usage, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, false
	}
	// Fields are counted behind the name, which may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const user, system = 11, 12
	if len(fields) <= system {
		return u, false
	}
	for i, to := range map[int]*time.Duration{user: &u.User, system: &u.System} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return u, false
		}
		*to = time.Duration(n) * tick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, false
	}
	u.ResidentBytes, u.PeakBytes = kilobytes(status, "VmRSS:"), kilobytes(status, "VmHWM:")
	return u, true
}

func kilobytes(status []byte, name string) int64 {
	_, after, _ := bytes.Cut(status, []byte("\n"+name))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// DroppedDatagrams is how many datagrams the kernel threw away because the buffers of
// the sockets with these IPv4 addresses were full.
func DroppedDatagrams(addresses map[netip.AddrPort]bool) uint64 {
	f, err := os.Open("/proc/net/udp")
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }() // it was only read
	return droppedIn(f, addresses)
}

func droppedIn(table io.Reader, addresses map[netip.AddrPort]bool) (sum uint64) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		const local, drops = 1, 12
		if len(fields) <= drops {
			continue
		}
		at, ok := addressIn(fields[local])
		if !ok || !addresses[at] {
			continue
		}
		if n, err := strconv.ParseUint(fields[drops], 10, 64); err == nil {
			sum += n
		}
	}
	return sum
}

// addressIn reads an address as the kernel prints it: the four bytes as one
// number of this machine, and the port, hexadecimal.
func addressIn(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	ip, err := strconv.ParseUint(host, 16, 32)
	if err != nil {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	var raw [4]byte
	binary.NativeEndian.PutUint32(raw[:], uint32(ip))
	return netip.AddrPortFrom(netip.AddrFrom4(raw), uint16(number)), true
}
