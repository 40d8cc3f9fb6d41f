package load

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
)

// recorder is a handler that records the events of a connection.
type recorder struct {
	opened, ended chan error
	bytes         chan string
}

func newRecorder() *recorder {
	return &recorder{opened: make(chan error, 1), ended: make(chan error, 1), bytes: make(chan string, 100)}
}

func (o *recorder) OnOpen(err error) { o.opened <- err }
func (o *recorder) OnData(p []byte)  { o.bytes <- string(p) }
func (o *recorder) OnEnd(err error)  { o.ended <- err }

// networks returns the two kinds: with threads for all sockets, and with a
// goroutine for each.
func networks(address string) map[string]Network {
	return map[string]Network{
		"threads": &Sockets{Server: address},
		"goroutines": &plainNetwork{open: func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", address)
		}},
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestConnections checks the events of a connection from its beginning to its end.
func TestConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, n := range networks(l.Addr().String()) {
		t.Run(name, func(t *testing.T) {
			before := openDescriptors(t)
			handler := newRecorder()
			c := n.Dial(handler)
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if err := <-handler.opened; err != nil {
				t.Fatal(err)
			}
			if err := c.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			p := make([]byte, 5)
			if _, err := io.ReadFull(server, p); err != nil || string(p) != "hello" {
				t.Errorf("the server read %q, %v", p, err)
			}
			for _, text := range []string{"one", "two"} {
				if _, err := io.WriteString(server, text); err != nil {
					t.Fatal(err)
				}
				if got := <-handler.bytes; got != text {
					t.Errorf("heard %q, want %q", got, text)
				}
			}
			if err := server.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-handler.ended; err != io.EOF {
				t.Errorf("ended by %v, want the end of the stream", err)
			}
			if err := errors.Join(c.Close(), n.Close()); err != nil {
				t.Error(err)
			}
			if c.Write([]byte("x")) == nil {
				t.Error("a closed connection was written to")
			}
			if after := openDescriptors(t); after != before {
				t.Errorf("%d file descriptors are open, and %d were before", after, before)
			}
		})
	}
}

// TestRefusedConnection connects to a closed port.
func TestRefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for name, n := range networks(address) {
		before := openDescriptors(t)
		handler := newRecorder()
		c := n.Dial(handler)
		if err := <-handler.opened; !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v, want that it was refused", name, err)
		}
		if err := errors.Join(c.Close(), n.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if after := openDescriptors(t); after != before {
			t.Errorf("%s: %d file descriptors are open, and %d were before", name, after, before)
		}
	}
}

// TestServerByName: of the addresses of a name one that answers is used.
func TestServerByName(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Logf("no %s on this machine: %v", host, err)
			continue
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		for _, name := range []string{host, "localhost"} {
			n := &Sockets{Server: name + ":" + port}
			handler := newRecorder()
			c := n.Dial(handler)
			if err := <-handler.opened; err != nil && (name == host || host == "127.0.0.1") {
				t.Errorf("a server at %s, called %s: %v", host, name, err)
			}
			if err := errors.Join(c.Close(), n.Close()); err != nil {
				t.Error(err)
			}
		}
		l.Close()
	}
}

// TestNoNameForTheServer: the handler gets the error, and nothing stays open.
func TestNoNameForTheServer(t *testing.T) {
	n := &Sockets{Server: "127.0.0.1:no-such-port"}
	handler := newRecorder()
	c := n.Dial(handler)
	if err := <-handler.opened; err == nil {
		t.Error("a connection to no port was opened")
	}
	if err := errors.Join(c.Close(), n.Close()); err != nil {
		t.Error(err)
	}
}

// TestSocketsCountDroppedDatagrams: while the reading thread is blocked a socket's
// buffer overflows. The number of datagrams sent is the number received plus the
// number that the kernel dropped.
func TestSocketsCountDroppedDatagrams(t *testing.T) {
	n := &Sockets{}
	hold, held := make(chan struct{}), make(chan struct{})
	var heard, first atomic.Int64
	all := make(chan struct{}, 1)
	const sent = 5000
	var lost atomic.Int64
	lost.Store(sent)
	to, err := n.Listen(func(netip.AddrPort, []byte) {
		if first.Add(1) == 1 {
			close(held)
			<-hold
		}
		if heard.Add(1)+lost.Load() == sent {
			all <- struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	from, err := n.Listen(func(netip.AddrPort, []byte) { t.Error("the sender heard something") })
	if err != nil {
		t.Fatal(err)
	}
	send := func(times int) {
		for range times {
			if err := from.Send(to.Address(), make([]byte, 59)); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(1)
	<-held
	send(sent - 1)
	dropped := n.Dropped(map[netip.AddrPort]bool{to.Address(): true, from.Address(): true})
	if dropped == 0 || dropped >= sent {
		t.Errorf("%d of %d dropped by a socket that is not read", dropped, sent)
	}
	lost.Store(int64(dropped))
	close(hold)
	<-all // no more and no fewer: the test would hang
	if err := errors.Join(to.Close(), from.Close(), n.Close()); err != nil {
		t.Error(err)
	}
}
