package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// dialForEver is a network whose dials never end.
func dialForEver(ctx context.Context, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// After any other datagrams the next beacon is received.
func TestPhoneContinuesToReceive(t *testing.T) {
	r := newPhoneRig(t, nil)
	const invalid = "The beacon is invalid."
	r.hear("")
	r.saw("an empty datagram", invalid)
	long := strings.Repeat("x", 60000)
	r.hear(someTempID, long)
	r.saw("a long one", invalid)
	r.hear(someTempID, long[:protocol.BeaconSize+1])
	r.saw("one byte too long", invalid)
	r.hear(strings.Repeat("x", protocol.BeaconSize))
	r.saw("no beacon", `"xxxxxxxxxxxxxxxxxxxx"|"xxxxxxxxxxxxxxxxxxx"|"xxxxxxxxxxxxxxxxxxx"|Current time `+
		`is:|23/11/2026 06:36:03|`+invalid)
	r.hear(beacon(someTempID))
	r.saw("a beacon", verdict(someTempID, "06:36:03"))
}

// A socket of both families receives beacons of both, and reports an IPv4 address
// as one.
func TestPhoneOnBothFamilies(t *testing.T) {
	both, err := net.ListenUDP("udp", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	r := newPhoneRig(t, func(_ *phoneRig, c *PhoneConfig) { c.UDP = both })
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.phone.Address().Port())
	parts := split(beacon(someTempID))
	for _, part := range parts {
		if _, err := r.friend.WriteToUDPAddrPort([]byte(part), at); err != nil {
			t.Fatal(err)
		}
	}
	r.saw("over IPv4", verdict(someTempID, "06:36:03"))
	to := r.friend.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, to := range []netip.AddrPort{to, netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port())} {
		r.locked(func() { expect(t, "sending", r.phone.SendDatagram(to, []byte("hello")), nil) })
		b := make([]byte, 9)
		r.friend.SetReadDeadline(time.Now().Add(hang))
		n, _, err := r.friend.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != "hello" {
			t.Errorf("the friend got %q, %v", b[:n], err)
		}
	}
}

// failing is a socket whose reads fail.
type failing struct {
	errors []error
	after  func()
	reads  int
}

func (f *failing) read() (int, error) {
	f.reads++
	if len(f.errors) == 0 {
		f.after()
		return 0, net.ErrClosed
	}
	err := f.errors[0]
	f.errors = f.errors[1:]
	return 1, err
}

func (f *failing) at(int) (protocol.Address, []byte) {
	return protocol.AddressOf(netip.MustParseAddrPort("127.0.0.1:9")), []byte(beacon(someTempID))
}

// An ICMP message about an earlier datagram does not stop the receiver.
func TestPhoneSurvivesReadErrors(t *testing.T) {
	r := newPhoneRig(t, nil)
	refused := &net.OpError{Op: "read", Err: os.NewSyscallError("recvmmsg", syscall.ECONNREFUSED)}
	r.phone.receiveFrom(&failing{errors: []error{refused, errors.New("anything"), nil}, after: func() {}})
	r.saw("the beacon after them", verdict(someTempID, "06:36:03"))
}

// A socket whose reads always fail uses little processor time, and does not delay
// the end.
func TestPhonePausesWhenReadsFail(t *testing.T) {
	r := newPhoneRig(t, nil)
	f := &failing{after: func() { t.Error("read on after the end") }}
	for range 2 * maxReadErrors {
		f.errors = append(f.errors, errors.New("bad file descriptor"))
	}
	ended := make(chan struct{})
	go func() {
		r.phone.receiveFrom(f)
		close(ended)
	}()
	r.phone.Close()
	within(t, "receiving", func() { <-ended })
	expect(t, "reads", f.reads, maxReadErrors)
}

// Errors count from the last datagram on.
func TestADatagramEndsTheCountOfReadErrors(t *testing.T) {
	r := newPhoneRig(t, nil)
	f := &failing{after: func() {}}
	for range 2 {
		for range maxReadErrors - 1 {
			f.errors = append(f.errors, errors.New("connection refused"))
		}
		f.errors = append(f.errors, nil)
	}
	within(t, "receiving", func() { r.phone.receiveFrom(f) })
}

// Invalid datagrams from ten thousand sources use no more memory than the limits
// of the assembler allow.
func TestGarbageCostsNoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: 640,000 datagrams take minutes with the race detector: run without -short")
	}
	r := newPhoneRig(t, func(_ *phoneRig, c *PhoneConfig) { c.Observer = nil })
	garbage := make([]byte, 200)
	address := netip.MustParseAddr("127.0.0.1").As4()
	flood := func(first, n int) {
		in := &garbageSource{ip: address, bytes: garbage}
		for i := first; i < first+n; i += batchSize {
			in.first = i
			r.phone.take(in, batchSize)
		}
	}
	first, then := 1<<19, 1<<17 // the maps of the assembler reach their size within the first
	if os.Getenv("BLUETRACE_FULL") != "" {
		then = 1 << 20
	}
	flood(0, first)
	before := heap()
	flood(first, then)
	if grown := int64(heap()) - int64(before); grown > 64<<10 {
		t.Errorf("the heap grew by %d bytes over %d datagrams", grown, then)
	}
	r.locked(func() { expect(t, "entries", r.phone.Machine().Log().Len(), 0) })
	expect(t, "room for effects", cap(r.phone.out.Effects) <= 64, true)
}

// garbageSource returns datagrams that each have another source.
type garbageSource struct {
	ip    [4]byte
	first int
	bytes []byte
}

func (g *garbageSource) read() (int, error) { return batchSize, nil }

func (g *garbageSource) at(i int) (protocol.Address, []byte) {
	i += g.first
	ip := g.ip
	ip[2] = byte(i >> 16)
	lengths := [...]int{0, 1, 7, 19, 20, 20, 58, 59, 60, 128}
	return protocol.AddressOf(netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(i))), g.bytes[:lengths[i%len(lengths)]]
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Among invalid datagrams over a real socket every valid beacon is kept.
func TestBeaconsAmongGarbage(t *testing.T) {
	settings := nodes.DefaultPhoneSettings()
	var lock sync.Mutex
	p, err := NewPhone(PhoneConfig{Settings: &settings, UDP: loopbackUDP(t), Clock: clock.New(), Origin: time.Now(),
		Lock: &lock})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	now := time.Now().UTC()
	whole := someTempID + now.Add(-time.Minute).Format("02/01/2006 15:04:05") +
		now.Add(time.Minute).Format("02/01/2006 15:04:05") + "1"
	for i := range 20 {
		u := loopbackUDP(t)
		for range 10 {
			u.WriteToUDPAddrPort(make([]byte, i), p.Address())
		}
		for _, part := range split(whole) {
			u.WriteToUDPAddrPort([]byte(part), p.Address())
		}
		u.Close()
		for end := time.Now().Add(hang); ; yield() {
			lock.Lock()
			n := p.Machine().Log().Len()
			lock.Unlock()
			if n == i+1 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d beacons kept of %d", n, i+1)
			}
		}
	}
}
