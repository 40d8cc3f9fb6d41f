package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// Bounds on what the network does, in real time.
const (
	dialLimit   = 10 * time.Second
	lingerLimit = 2 * time.Second        // from PhoneCloseTCP until the peer has closed, too
	closeLimit  = 300 * time.Millisecond // the same at Close
)

func dialServer(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialLimit}
	return d.DialContext(ctx, "tcp", address)
}

// phoneLink is one connection with the server, from PhoneConnect until both ends
// have closed it. One goroutine dials and reads; another writes while there is
// something to write.
type phoneLink struct {
	lock   sync.Locker // the phone's
	phone  *Phone      // with the lock held
	hungUp bool        // with the lock held: nothing more of it reaches the machine
	cancel context.CancelFunc
	ended  chan struct{} // closed when its goroutines have ended

	mu      sync.Mutex
	conn    net.Conn // nil until it stands
	unsent  [][]byte // one send each
	writing bool
	closing bool
	writer  sync.WaitGroup
}

// connect begins a connection; a former one ends.
func (p *Phone) connect() {
	p.hangUp()
	ctx, cancel := context.WithCancel(context.Background())
	l := &phoneLink{lock: p.config.Lock, phone: p, cancel: cancel, ended: make(chan struct{})}
	p.link = l
	p.links[l] = struct{}{}
	go l.run(ctx, p.config.Dial, p.config.Server, p.crashing)
}

// hangUp sends what is unsent, then closes.
func (p *Phone) hangUp() {
	if p.link != nil {
		p.link.hangUp(lingerLimit)
		p.link = nil
	}
}

func (l *phoneLink) run(ctx context.Context, dial func(context.Context, string) (net.Conn, error), address string, crashing func()) {
	defer crashing()
	defer close(l.ended)
	conn, err := dial(ctx, address)
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

// dialled tells the machine how the dial ended, and says whether to read on.
func (l *phoneLink) dialled(conn net.Conn, err error) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	p := l.phone
	if l.hungUp {
		return false
	}
	observer := p.config.Observer
	if err != nil {
		p.input(func(now nodes.Now, out *nodes.PhoneOutbox) {
			if observer != nil {
				observer.ConnectFailed(now, Reason(err))
			}
			p.machine.ConnectFailed(now, Reason(err), out)
		})
		return false
	}
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	p.input(func(now nodes.Now, out *nodes.PhoneOutbox) {
		if observer != nil {
			observer.Connected(now, localAddress(conn))
		}
		p.machine.Connected(now, out)
	})
	return true
}

func localAddress(conn net.Conn) netip.AddrPort {
	if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		return unmapped(a.AddrPort())
	}
	return netip.AddrPort{}
}

// read brings what one read gave, and says whether to read on. What comes after
// hanging up is read and dropped, so that the peer sees an orderly end.
func (l *phoneLink) read(conn net.Conn, b []byte) bool {
	n, err := conn.Read(b)
	l.lock.Lock()
	defer l.lock.Unlock()
	p := l.phone
	observer := p.config.Observer
	if n > 0 && !l.hungUp {
		p.input(func(now nodes.Now, out *nodes.PhoneOutbox) {
			if observer != nil {
				observer.Read(now, b[:n])
			}
			p.machine.Read(now, b[:n], out)
		})
	}
	if err != nil && !l.hungUp {
		p.input(func(now nodes.Now, out *nodes.PhoneOutbox) {
			if observer != nil {
				observer.Closed(now)
			}
			p.machine.Closed(now, out)
		})
	}
	return err == nil
}

// send queues one send.
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

// write sends what is queued, each in a write of its own, until nothing is.
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
			closeQuietly(conn) // the reader tells the machine
			return
		}
	}
}

// hangUp is called with the lock held. The peer has limit, in real time, to take
// what is unsent and to close.
func (l *phoneLink) hangUp(limit time.Duration) {
	l.hungUp = true
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing = true
	if l.conn == nil {
		return
	}
	_ = l.conn.SetDeadline(clock.New().Now().Add(limit)) // fails only on one that is closed already
	if !l.writing {
		endWriting(l.conn)
	}
}

// breakOff closes at once, as the end of a process does.
func (l *phoneLink) breakOff() {
	l.hungUp = true
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closing, l.unsent = true, nil
	if l.conn != nil {
		closeQuietly(l.conn) // nobody is told
	}
}

// endWriting says to the peer that nothing more comes.
func endWriting(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	closeQuietly(conn) // the reader sees it
}

// Reason is why the network refused, in a few words.
func Reason(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		return e.Err.Error()
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "no answer"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
