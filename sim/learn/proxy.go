package learn

import (
	"bytes"
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// proxy forwards the connections of a phone to its server, and records their bytes. It changes none.
type proxy struct {
	of         *phone
	port       uint16 // of 127.0.0.1, on which it listens
	listen     net.Listener
	accepting  sync.WaitGroup
	forwarding sync.WaitGroup
	conns      []net.Conn   // of accept until it has ended: that of the phone and that of the server in turn
	open       atomic.Int32 // connections that the phone has not ended
	ended      atomic.Int32 // connections that the server has ended
}

// newProxy returns a proxy between a phone and its server.
func newProxy(of *phone) (*proxy, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	p := &proxy{of: of, port: l.Addr().(*net.TCPAddr).AddrPort().Port(), listen: l}
	p.accepting.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		phone, err := p.listen.Accept()
		if err != nil {
			return
		}
		server, err := dialServer(p.of.l.port)
		if err != nil {
			_ = phone.Close() // the phone sees that the server is gone
			continue
		}
		p.conns = append(p.conns, phone, server)
		n := len(p.conns) / 2
		p.open.Add(1)
		p.of.touch()
		p.forwarding.Go(func() {
			p.forward(phone, server, Event{Kind: ToServer, Conn: n})
			p.open.Add(-1)
		})
		p.forwarding.Go(func() {
			p.forward(server, phone, Event{Kind: ToPhone, Conn: n})
			p.ended.Add(1)
		})
	}
}

// dialServer connects to the server at 127.0.0.1 or, if it listens on the address of the host's name only, there.
func dialServer(port uint16) (c net.Conn, err error) {
	name, _ := os.Hostname() // without a name, 127.0.0.1 again
	for _, host := range []string{"127.0.0.1", name} {
		c, err = net.DialTimeout("tcp4", net.JoinHostPort(host, strconv.Itoa(int(port))), time.Second)
		if err == nil {
			return c, nil
		}
	}
	return nil, err
}

// forward records and forwards bytes until the end of a direction.
func (p *proxy) forward(from, to net.Conn, e Event) {
	b := make([]byte, 64<<10)
	for n, err := from.Read(b); err == nil; n, err = from.Read(b) {
		e.Bytes = bytes.Clone(b[:n])
		p.of.record(e)
		if _, err := to.Write(e.Bytes); err != nil {
			break
		}
	}
	_ = to.(*net.TCPConn).CloseWrite() // the peer may have ended the connection
}

// close ends all connections. It may be called again.
func (p *proxy) close() {
	_ = p.listen.Close()
	p.accepting.Wait()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.forwarding.Wait()
}

// relay forwards datagrams of the phone a to the phone b, and the answers of b to their sender.
type relay struct {
	a, b    *phone
	port    uint16
	to      *net.UDPAddr
	conn    *net.UDPConn
	running sync.WaitGroup

	mu     sync.Mutex
	sender *net.UDPAddr
	list   []Datagram
}

// newRelay returns a relay between two phones.
func newRelay(a, b *phone) (*relay, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	r := &relay{
		a: a, b: b, port: conn.LocalAddr().(*net.UDPAddr).AddrPort().Port(), conn: conn,
		to: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(b.udp)},
	}
	r.running.Go(r.run)
	return r, nil
}

// maxDatagrams limits the datagrams that are kept.
const maxDatagrams = 100

func (r *relay) run() {
	b := make([]byte, 64<<10)
	for {
		n, from, err := r.conn.ReadFromUDP(b)
		if err != nil {
			return
		}
		r.a.touch()
		r.b.touch()
		r.mu.Lock()
		g := Datagram{At: r.a.l.Clock.Now(), FromSender: from.Port != r.to.Port, Bytes: bytes.Clone(b[:n])}
		to := r.sender
		if g.FromSender {
			r.sender, to = from, r.to
		}
		if len(r.list) < maxDatagrams {
			r.list = append(r.list, g)
		}
		r.mu.Unlock()
		if to != nil {
			_, _ = r.conn.WriteToUDP(g.Bytes, to) // a datagram may be lost
		}
	}
}

// seen returns the datagrams until now.
func (r *relay) seen() []Datagram {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}

// answerLimit is the time for an answer to a datagram that had one.
const answerLimit = time.Second

// replay sends the datagrams of a beacon again, with another TempID. Before the datagram that followed an answer it
// waits for the answer.
func (r *relay) replay(ctx context.Context, beacon []Datagram, was, other string) {
	r.mu.Lock()
	r.sender = nil
	r.mu.Unlock()
	most := 0 // datagrams with the answer to the last one that was sent
	for _, g := range beacon {
		limit := answerLimit
		if g.FromSender {
			most, limit = len(r.seen())+1, 20*time.Millisecond
			_, _ = r.conn.WriteToUDP(bytes.ReplaceAll(g.Bytes, []byte(was), []byte(other)), r.to)
		}
		began := r.a.l.Clock.Now()
		r.a.l.poll(ctx, func() bool {
			return !g.FromSender && len(r.seen()) >= most || r.a.l.Clock.Since(began) >= limit
		})
	}
}

func (r *relay) close() {
	_ = r.conn.Close()
	r.running.Wait()
}
