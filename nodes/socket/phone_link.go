package socket

import (
	"context"
	"net"
	"sync"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// Time limits on the network, in real time.
const (
	dialLimit   = 10 * time.Second
	lingerLimit = 2 * time.Second        // from PhoneCloseTCP until the server has closed, too
	closeLimit  = 300 * time.Millisecond // the same for the end of the phone
)

// Dial connects to a server within 10 s of real time, and ends early when ctx does.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialLimit}
	return d.DialContext(ctx, "tcp", address)
}

// phoneLink is one connection with the server, from PhoneConnect until both sides have
// closed it. One goroutine dials and reads. A second one exists while there are bytes to
// write.
type phoneLink struct {
	lock   sync.Locker // the phone's
	phone  *Phone      // used with the lock held
	hungUp bool        // used with the lock held: further input is not passed to the machine
	cancel context.CancelFunc
	ended  chan struct{} // closed after both goroutines have ended

	mu      sync.Mutex
	conn    net.Conn // nil until the connection is established
	unsent  [][]byte // a queue of writes
	writing bool     // the second goroutine exists
	closing bool     // nothing more is queued; the end of file follows the queue
	writer  sync.WaitGroup
}

// connect begins a connection. It hangs up an earlier one.
func (p *Phone) connect() {
	p.hangUp()
	ctx, cancel := context.WithCancel(context.Background())
	l := &phoneLink{lock: p.config.Lock, phone: p, cancel: cancel, ended: make(chan struct{})}
	p.link = l
	p.links[l] = struct{}{}
	go l.run(ctx, &p.config, p.recoverPanic)
}

// hangUp closes the connection after its unsent bytes are sent.
func (p *Phone) hangUp() {
	if p.link != nil {
		p.link.hangUp(lingerLimit)
		p.link = nil
	}
}

func (l *phoneLink) run(ctx context.Context, c *PhoneConfig, recoverPanic func()) {
	defer recoverPanic()
	defer close(l.ended)
	conn, err := c.Dial(ctx, c.Server)
	if l.dialled(conn, err) {
		b := make([]byte, protocol.MaxMessage)
		for l.read(conn, b) {
		}
	}
	if conn != nil {
		closeQuietly(conn)
	}
	l.writer.Wait()
	l.lock.Lock()
	defer l.lock.Unlock()
	delete(l.phone.links, l)
}

// dialled passes the result of the dial to the machine: a connection or an error. It
// returns true if the caller must read from the connection.
func (l *phoneLink) dialled(conn net.Conn, err error) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	p := l.phone
	if l.hungUp {
		return false
	}
	if err != nil {
		p.input(func(now nodes.Now, out *nodes.PhoneOutbox) {
			p.config.Observer.ConnectFailed(now, Reason(err))
			p.machine.ConnectFailed(now, Reason(err), out)
		})
		return false
	}
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	p.input(func(now nodes.Now, out *nodes.PhoneOutbox) {
		p.config.Observer.Connected(now, tcpAddress(conn.LocalAddr()))
		p.machine.Connected(now, out)
	})
	return true
}

// read reads once into the buffer b and passes the result to the machine. It returns true
// if more bytes may follow. It drops bytes that arrive after the hang-up: if they stayed
// unread, the close would reset the connection.
func (l *phoneLink) read(conn net.Conn, b []byte) bool {
	n, err := conn.Read(b)
	l.lock.Lock()
	defer l.lock.Unlock()
	p := l.phone
	if n > 0 && !l.hungUp {
		p.input(func(now nodes.Now, out *nodes.PhoneOutbox) {
			p.config.Observer.Read(now, b[:n])
			p.machine.Read(now, b[:n], out)
		})
	}
	if err != nil && !l.hungUp {
		p.input(func(now nodes.Now, out *nodes.PhoneOutbox) {
			p.config.Observer.Closed(now)
			p.machine.Closed(now, out)
		})
	}
	return err == nil
}

// send queues a copy of b as one write. It drops b if there is no open connection.
func (l *phoneLink) send(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.closing {
		return
	}
	l.unsent = append(l.unsent, append([]byte(nil), b...))
	if !l.writing {
		l.writing = true
		l.writer.Go(l.write)
	}
}

// write writes the queue until it is empty, each element in a write of its own.
func (l *phoneLink) write() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.unsent) > 0 {
		b := l.unsent[0]
		l.unsent = l.unsent[1:]
		l.mu.Unlock()
		_, err := l.conn.Write(b)
		l.mu.Lock()
		if err != nil {
			l.unsent = nil
			closeQuietly(l.conn) // the read now fails, and reports the end to the machine
		}
	}
	l.writing, l.unsent = false, nil
	if l.closing {
		endWriting(l.conn)
	}
}

// hangUp closes the connection. The server has the time limit, in real time, to receive
// the unsent bytes and to close the connection, too. The phone's lock is held.
func (l *phoneLink) hangUp(limit time.Duration) {
	l.hungUp = true
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	if l.conn == nil {
		return
	}
	_ = l.conn.SetDeadline(RealClock().Now().Add(limit)) // fails only if the connection is closed already
	if !l.writing {
		endWriting(l.conn)
	}
}

// abort closes the connection at once, as the end of a process does. The phone's lock is
// held.
func (l *phoneLink) abort() {
	l.hungUp = true
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing, l.unsent = true, nil
	if l.conn != nil {
		closeQuietly(l.conn)
	}
}

// endWriting sends the end of file. It leaves the receiving direction open if the
// connection has a method CloseWrite.
func endWriting(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	closeQuietly(conn) // the read now fails, which ends the connection
}
