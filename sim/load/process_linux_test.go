package load

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestUseOfThisProcess(t *testing.T) {
	u, ok := UsageOf(os.Getpid())
	if !ok || u.ResidentBytes < 1<<20 || u.PeakBytes < u.ResidentBytes {
		t.Errorf("%+v, %v", u, ok)
	}
	if _, ok := UsageOf(1 << 30); ok {
		t.Error("a process that is not there uses something")
	}
}

func TestDroppedIn(t *testing.T) {
	const table = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 0100007F:1F90 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 7
  101: 0100007F:1F91 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 5
  102: 0100007F:1F92 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 11
`
	if got := droppedIn(strings.NewReader(table), map[netip.AddrPort]bool{netip.MustParseAddrPort("127.0.0.1:8080"): true, netip.MustParseAddrPort("127.0.0.1:8082"): true}); got != 18 {
		t.Errorf("%d dropped, want 7 and 11", got)
	}
}

// TestKernelCountsWhatASocketDrops fills the buffer of a socket that nobody reads.
func TestKernelCountsWhatASocketDrops(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	to := c.LocalAddr().(*net.UDPAddr)
	ports := map[netip.AddrPort]bool{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(to.Port)): true}
	if n := DroppedDatagrams(ports); n != 0 {
		t.Fatalf("%d dropped before anything was sent", n)
	}
	for range 1000 {
		if _, err := c.WriteToUDP(make([]byte, 59), to); err != nil {
			t.Fatal(err)
		}
	}
	if n := DroppedDatagrams(ports); n == 0 || n >= 1000 {
		t.Errorf("%d of 1000 dropped by a buffer of 4 KiB", n)
	}
}
