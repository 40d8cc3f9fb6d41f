package socket

import (
	"net/netip"
	"runtime"
	"syscall"
	"testing"

	"bluetrace/protocol"
)

// idleLimit is the most memory in bytes that an idle logged-in connection may use.
const idleLimit = 12 << 10

func TestMemoryOfAnIdleConnection(t *testing.T) {
	if got := idleBytes(t, 1000); got > idleLimit {
		t.Errorf("%d bytes for one idle connection, want at most %d", got, idleLimit)
	}
}

func BenchmarkIdleConnection(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(float64(idleBytes(b, 2000)), "bytes/conn")
	}
}

// idleBytes returns the memory of each of n idle connections that have logged in
// and downloaded a TempID: heap and stacks. Their other ends are plain sockets,
// which use no memory of the Go heap.
func idleBytes(t testing.TB, n int) int {
	r := newRig(t, func(_ *rig, c *ServerConfig) { c.Observer = nil })
	first := rawLogin(t, r.at)
	defer syscall.Close(first)
	before := inUse()
	sockets := make([]int, n)
	defer func() {
		for _, fd := range sockets {
			syscall.Close(fd)
		}
	}()
	for i := range sockets {
		sockets[i] = rawLogin(t, r.at)
	}
	return (inUse() - before) / n
}

func inUse() int {
	runtime.GC()
	runtime.GC() // the second call frees the objects whose finalizers the first one ran
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// rawLogin logs in and takes a TempID on a socket without the net package.
func rawLogin(t testing.TB, at string) (fd int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.MustParseAddrPort(at)
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	rawExchange(t, fd, userA+passwordA, len(protocol.Welcome))
	rawExchange(t, fd, protocol.CommandDownload, protocol.TempIDSize)
	return fd
}

func rawExchange(t testing.TB, fd int, request string, size int) {
	t.Helper()
	if _, err := syscall.Write(fd, []byte(request)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size)
	if n, err := syscall.Read(fd, b); err != nil || n != size {
		t.Fatalf("%q is answered with %q (%v), want %d bytes", request, b[:n], err, size)
	}
}
