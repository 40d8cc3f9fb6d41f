package socket

import (
	"context"
	"net"
	"sync"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// Limits on the network, in real time.
const (
	dialLimit   = 10 * time.Second
	lingerLimit = 2 * time.Second        // from PhoneCloseTCP until the peer has closed, too
	closeLimit  = 300 * time.Millisecond // the same during Close
)

// Dial connects to a server within 10 s of real time, and ends early when ctx does.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialLimit}
	return d.DialContext(ctx, "tcp", address)
}

// phoneLink is one connection with the server, from PhoneConnect until both ends
// have closed it. One goroutine dials and reads. Another exists while there are
// bytes to write.
type phoneLink struct {
	lock   sync.Locker // the phone's
	phone  *Phone      // with the lock held
	hungUp bool        // with the lock held: its input does not reach the machine any more
	cancel context.CancelFunc
	ended  chan struct{} // closed when its goroutines have ended

	mu      sync.Mutex
	conn    net.Conn // nil until it is established
	unsent  [][]byte // one write each
	writing bool
	closing bool
	writer  sync.WaitGroup
}

// connect begins a connection, and ends a former one.
func (p *Phone) connect() {
	p.hangUp()
	ctx, cancel := context.WithCancel(context.Background())
	l := &phoneLink{lock: p.config.Lock, phone: p, cancel: cancel, ended: make(chan struct{})}
	p.link = l
	p.links[l] = struct{}{}
	go l.run(ctx, &p.config, p.recoverPanic)
}

// hangUp closes the connection once its unsent bytes are sent.
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

// dialled passes the result of the dial to the machine. It returns true if the
// connection is to be read.
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

// read passes the result of one read to the machine, and returns true if more bytes
// may follow. Bytes that arrive after the hang-up are dropped, so that the peer sees
// an orderly end.
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

// send queues one write.
func (l *phoneLink) send(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil || l.closing {
		return
	}
	l.unsent = append(l.unsent, append([]byte(nil), b...))
	if !l.writing {
		l.writing = true
		l.writer.Add(1)
		go l.write(l.conn)
	}
}

// write writes the queue, one message at a time, until it is empty.
func (l *phoneLink) write(conn net.Conn) {
	defer l.writer.Done()
	for {
		l.mu.Lock()
		if len(l.unsent) == 0 {
			l.writing, l.unsent = false, nil
			if l.closing {
				endWriting(conn)
			}
			l.mu.Unlock()
			return
		}
		b := l.unsent[0]
		l.unsent = l.unsent[1:]
		l.mu.Unlock()
		if _, err := conn.Write(b); err != nil {
			l.mu.Lock()
			l.writing, l.unsent = false, nil
			l.mu.Unlock()
			closeQuietly(conn) // the read that fails reports it to the machine
			return
		}
	}
}

// hangUp closes the connection. The peer has limit, in real time, to take the
// unsent bytes and to close. The phone's lock is held.
func (l *phoneLink) hangUp(limit time.Duration) {
	l.hungUp = true
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	if l.conn == nil {
		return
	}
	_ = l.conn.SetDeadline(RealClock().Now().Add(limit)) // fails only on one that is closed already
	if !l.writing {
		endWriting(l.conn)
	}
}

// abort closes at once, as the end of a process does.
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

// endWriting sends the end of file, and leaves the reading open if it can.
func endWriting(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	closeQuietly(conn) // the read that fails ends the connection
}
