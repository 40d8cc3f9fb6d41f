package socket

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol/dialect"
)

// Translated is a connection of a phone with a server that speaks another dialect. The phone writes and reads the
// messages of PROTOCOL.md section 2. Each Write must be one message, and each Read returns one.
type Translated struct {
	peer    atomic.Pointer[net.TCPConn] // the connection with the server
	clock   clock.Clock
	origin  time.Time
	zone    *time.Location
	redial  func() (*net.TCPConn, error)
	observe TranslatedObserver

	mu      sync.Mutex
	changed *sync.Cond // own or err
	side    *dialect.PhoneSide
	own     [][]byte // messages that the phone has not read
	err     error    // of the reads after own; nil while the server may send more
	lost    error    // of a connection that the phone's next message replaces; nil if there is none
	closing bool     // the phone sends nothing more
	wake    alarm    // rings at the next deadline of the translator
	out     dialect.Outbox
}

// TranslatedObserver observes a Translated. Its functions must not call the connection.
type TranslatedObserver struct {
	Effect func(dialect.Effect)
	Wire   func(sent bool, b []byte) // gets the bytes that go to the server, and come from it
}

// Translate returns a connection over conn in the dialect d. redial opens another connection with the server.
func Translate(conn *net.TCPConn, d *dialect.Dialect, c clock.Clock, redial func() (*net.TCPConn, error),
	observe TranslatedObserver) *Translated {
	t := &Translated{clock: c, origin: c.Now(), zone: d.Zone, redial: redial, observe: observe,
		side: dialect.NewPhoneSide(d)}
	t.peer.Store(conn)
	t.wake = alarm{clock: c, lock: &t.mu, ring: t.ring}
	t.changed = sync.NewCond(&t.mu)
	go t.receive(conn)
	return t
}

func (t *Translated) now() dialect.Now {
	now := t.clock.Now()
	return dialect.Now{Elapsed: now.Sub(t.origin), Wall: now.In(t.zone)}
}

// receive gives the bytes of the server to the translator until the stream ends.
func (t *Translated) receive(conn *net.TCPConn) {
	b := make([]byte, 4096)
	for {
		n, err := conn.Read(b)
		t.mu.Lock()
		if conn != t.peer.Load() {
			t.mu.Unlock()
			return // there is another connection now
		}
		if n > 0 {
			t.observe.Wire(false, b[:n])
			t.side.Peer(t.now(), b[:n], &t.out)
			t.carryOut()
		}
		if err != nil && !t.closing && t.side.Reconnects() {
			t.lost = err
		} else if err != nil {
			t.side.End(t.now(), &t.out)
			t.carryOut()
			t.end(err)
		}
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// end ends the reads of the phone with an error, after the messages that it has not read.
func (t *Translated) end(err error) {
	if t.err == nil {
		t.err = err
	}
	t.wake.stop()
	t.changed.Broadcast()
}

// carryOut carries out the effects of the translator, and sets the alarm for its next deadline.
func (t *Translated) carryOut() {
	for i := 0; i < len(t.out.Effects); i++ {
		e := t.out.Effects[i]
		t.observe.Effect(e)
		switch e.Kind {
		case dialect.ToPeer:
			t.observe.Wire(true, e.Bytes)
			if _, err := t.peer.Load().Write(e.Bytes); err != nil {
				t.end(err)
			}
		case dialect.ToOwn:
			t.own = append(t.own, e.Bytes)
			t.changed.Broadcast()
		case dialect.EndOwn:
			t.end(io.EOF)
		case dialect.Redial:
			t.connectAgain()
		}
	}
	t.out.Effects = t.out.Effects[:0]
	t.wake.stop()
	if at, ok := t.side.NextWake(); ok && t.err == nil {
		t.wake.set(t.now().Elapsed, at)
	}
}

// ring wakes the translator at its deadline.
func (t *Translated) ring() {
	t.side.Wake(t.now(), &t.out)
	t.carryOut()
}

// connectAgain replaces the connection with the server by another one.
func (t *Translated) connectAgain() {
	conn, err := t.redial()
	if err != nil {
		t.end(err)
		return
	}
	t.lost = nil
	closeQuietly(t.peer.Swap(conn)) // the server may have ended it
	go t.receive(conn)
}

// Read implements net.Conn.
func (t *Translated) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.own) == 0 && t.err == nil {
		t.changed.Wait()
	}
	if len(t.own) == 0 {
		return 0, t.err
	}
	n := copy(p, t.own[0])
	if t.own[0] = t.own[0][n:]; len(t.own[0]) == 0 {
		t.own = t.own[1:]
	}
	return n, nil
}

// Write implements net.Conn.
func (t *Translated) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return 0, t.err
	}
	t.side.Own(t.now(), p, &t.out)
	t.carryOut()
	return len(p), nil
}

// Close implements net.Conn.
func (t *Translated) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(net.ErrClosed)
	return t.peer.Load().Close()
}

// CloseWrite ends the stream to the server.
func (t *Translated) CloseWrite() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing = true; t.lost != nil {
		t.end(t.lost) // no connection replaces it
	}
	return t.peer.Load().CloseWrite()
}

// SetLinger is that of net.TCPConn.
func (t *Translated) SetLinger(seconds int) error { return t.peer.Load().SetLinger(seconds) }

// LocalAddr implements net.Conn.
func (t *Translated) LocalAddr() net.Addr { return t.peer.Load().LocalAddr() }

// RemoteAddr implements net.Conn.
func (t *Translated) RemoteAddr() net.Addr { return t.peer.Load().RemoteAddr() }

// SetDeadline implements net.Conn, for the connection with the server.
func (t *Translated) SetDeadline(at time.Time) error { return t.peer.Load().SetDeadline(at) }

// SetReadDeadline implements net.Conn, for the connection with the server.
func (t *Translated) SetReadDeadline(at time.Time) error { return t.peer.Load().SetReadDeadline(at) }

// SetWriteDeadline implements net.Conn, for the connection with the server.
func (t *Translated) SetWriteDeadline(at time.Time) error { return t.peer.Load().SetWriteDeadline(at) }
