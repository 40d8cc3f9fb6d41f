package epoll

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newPoller(t *testing.T) Poller {
	t.Helper()
	p, err := Kernel().NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// connected returns the two ends of a TCP connection, one of them as a descriptor.
func connected(t *testing.T) (fd int, peer net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if fd, err = Kernel().Connect(l.Addr().(*net.TCPAddr).AddrPort()); err != nil {
		t.Fatal(err)
	}
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	return fd, peer
}

func TestPollerReportsInputOnceAndAgainAfterRearm(t *testing.T) {
	p := newPoller(t)
	fd, peer := connected(t)
	defer Kernel().Close(fd)
	if err := p.Watch(fd, 7, ReadableOnce); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(peer, "12"); err != nil {
		t.Fatal(err)
	}
	events := make([]Event, 4)
	for i := range 2 {
		n, stopped := p.Wait(events)
		if n != 1 || stopped || events[0].Key() != 7 || events[0].Ended() {
			t.Fatalf("wait %d: %d events, stopped %v, key %d, ended %v",
				i, n, stopped, events[0].Key(), events[0].Ended())
		}
		if err := p.Rearm(fd, 7, ReadableOnce); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 8)
	if n, err := Kernel().Read(fd, b); n != 2 || err != nil {
		t.Fatalf("read %d bytes: %v", n, err)
	}
	if _, err := Kernel().Read(fd, b); !WouldBlock(err) {
		t.Errorf("a read without input: %v, want an error that would block", err)
	}
	peer.Close()
	for ended := false; !ended; { // the pending event may come first
		n, _ := p.Wait(events)
		ended = n == 1 && events[0].Ended()
	}
}

func TestStopEndsEveryWait(t *testing.T) {
	p := newPoller(t)
	done := make(chan bool)
	go func() {
		_, stopped := p.Wait(make([]Event, 1))
		done <- stopped
	}()
	p.Stop()
	if !<-done {
		t.Error("Wait returned without stopped")
	}
	if _, stopped := p.Wait(make([]Event, 1)); !stopped {
		t.Error("a second Wait returned without stopped")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p.Stop() // does nothing
	if err := p.Watch(0, 0, Readable); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Watch after Close: %v", err)
	}
}

func TestStreamOfADuplicate(t *testing.T) {
	fd, peer := connected(t)
	twin, err := Kernel().Duplicate(peer)
	if err != nil {
		t.Fatal(err)
	}
	peer.Close() // the twin keeps the connection open
	s := Kernel().Stream(twin)
	defer s.Close()
	if _, err := Kernel().Write(fd, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if err := s.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Read(b); string(b[:n]) != "hi" || err != nil {
		t.Fatalf("read %q: %v", b[:n], err)
	}
	if err := s.(*fileStream).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	remote := Kernel().Stream(fd)
	defer remote.Close()
	if n, err := remote.Read(b); n != 0 || err != io.EOF {
		t.Errorf("after CloseWrite the peer read %d bytes: %v", n, err)
	}
	if _, err := Kernel().Duplicate(s); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a duplicate of another type: %v", err)
	}
}

func TestConnectErrorOfARefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	p := newPoller(t)
	fd, err := Kernel().Connect(at)
	if err == nil {
		defer Kernel().Close(fd)
		if err := p.Watch(fd, 0, Writable); err != nil {
			t.Fatal(err)
		}
		p.Wait(make([]Event, 1))
		err = Kernel().ConnectError(fd)
	}
	if err == nil {
		t.Error("a connection to a closed port is established")
	}
}

func TestDatagrams(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	a, from, err := Kernel().BindUDP(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer Kernel().Close(a)
	b, to, err := Kernel().BindUDP(loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer Kernel().Close(b)
	if err := Kernel().SendTo(a, to, []byte("beacon")); err != nil {
		t.Fatal(err)
	}
	in := make([]byte, 16)
	if n, sender, err := Kernel().ReceiveFrom(b, in); string(in[:n]) != "beacon" || sender != from || err != nil {
		t.Errorf("received %q from %v: %v, want it from %v", in[:n], sender, err, from)
	}
	if _, _, err := Kernel().ReceiveFrom(b, in); err == nil {
		t.Error("a second datagram was received")
	}
}

// TestWaitContinuesAfterSignals interrupts a thread that waits: the wait goes on, and then reports its event.
func TestWaitContinuesAfterSignals(t *testing.T) {
	p := newPoller(t)
	fd, peer := connected(t)
	defer Kernel().Close(fd)
	if err := p.Watch(fd, 7, Readable); err != nil {
		t.Fatal(err)
	}
	thread, done := make(chan int), make(chan int32)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		events := make([]Event, 1)
		p.Wait(events)
		done <- events[0].Key()
	}()
	waiting := <-thread
	for range 2000 { // the thread is soon in the call, and one of the signals finds it there
		if err := unix.Tgkill(os.Getpid(), waiting, unix.SIGURG); err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	if _, err := io.WriteString(peer, "1"); err != nil {
		t.Fatal(err)
	}
	if key := <-done; key != 7 {
		t.Errorf("the event has key %d, want 7", key)
	}
}
