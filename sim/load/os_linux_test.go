package load

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
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

// TestKernelCountsDroppedDatagrams overfills the buffer of a socket that is not
// read.
func TestKernelCountsDroppedDatagrams(t *testing.T) {
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

// TestThreadLivesOn: the end of a thread would end the processes that it started,
// such as the run's own server. So the pacing must keep its thread, and restore
// its settings.
func TestThreadLivesOn(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	slackOf := func() int {
		n, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	was, slackWas, processors := unix.Gettid(), slackOf(), runtime.GOMAXPROCS(0)
	onOwnThread(func() {
		if got := unix.Gettid(); got != was {
			t.Errorf("it is thread %d, called by %d", got, was)
		}
		if got := slackOf(); got != 1 {
			t.Errorf("sleeps may be %d ns too long", got)
		}
		if got := runtime.GOMAXPROCS(0); got != processors+1 {
			t.Errorf("%d processors, of %d and one more", got, processors)
		}
	})
	if unix.Gettid() != was || slackOf() != slackWas || runtime.GOMAXPROCS(0) != processors {
		t.Errorf("thread %d, slack %d, %d processors; want %d, %d, %d",
			unix.Gettid(), slackOf(), runtime.GOMAXPROCS(0), was, slackWas, processors)
	}
}
