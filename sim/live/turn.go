package live

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// In a stepped world everything that is on its way over TCP, or to the disk, has
// a turn: a number, in the order of the asking. What is read is held back until
// nothing with an earlier turn is under way, so that the kernel's order of one
// instant is nobody's fate.

func (w *World) nextTurn() uint64 {
	w.turns++
	return w.turns
}

// of says what is under way on a link.
func (w *World) of(l *link, what string, args ...any) string {
	return fmt.Sprintf("c%d of %s: ", l.serial, w.names[l.phone]) + fmt.Sprintf(what, args...)
}

// opening is what is under way of a link's opening; "" is nothing.
func (w *World) opening(l *link) (turn uint64, what string) {
	switch {
	case l.dialing:
		return l.turn, w.of(l, "the opening")
	case l.phoneOpen && !l.stands:
		return l.turn, w.of(l, "that the phone hears of the opening")
	case l.dialled && !l.accepted && !l.killed && w.config.Remote == "":
		return l.turn, w.of(l, "that the server accepts it")
	}
	return 0, ""
}

// upward is what is under way to the server. What it does not read for now may
// wait.
func (w *World) upward(l *link) (turn uint64, what string) {
	switch {
	case !l.serverOpen || !w.host.reading(l.conn):
	case len(l.up.sends) > 0:
		return l.up.sends[0].turn, w.of(l, "%d bytes to the server", l.up.unread())
	case l.up.endTurn > 0 && !l.ended:
		return l.up.endTurn, w.of(l, "the end of what the phone sends")
	}
	return 0, ""
}

// downward is what is under way to the phone.
func (w *World) downward(l *link) (turn uint64, what string) {
	switch {
	case !l.phoneOpen || l.reset:
	case len(l.down.sends) > 0:
		return l.down.sends[0].turn, w.of(l, "%d bytes to the phone", l.down.unread())
	case l.down.endTurn > 0:
		return l.down.endTurn, w.of(l, "the end of what the server sends")
	}
	return 0, ""
}

// underWay yields everything that has a turn, in no order.
func (w *World) underWay(yield func(turn uint64, what string) bool) {
	for l := range w.links {
		if turn, what := w.opening(l); what != "" && !yield(turn, what) {
			return
		}
		if turn, what := w.upward(l); what != "" && !yield(turn, what) {
			return
		}
		if w.gated {
			continue
		}
		if turn, what := w.downward(l); what != "" && !yield(turn, what) {
			return
		}
	}
	if turn, what := w.host.storing(); what != "" {
		yield(turn, what)
	}
}

// awaitTurn returns when it is the turn of what item says is under way, or when
// that is nothing any more; the lock is held.
func (w *World) awaitTurn(item func() (uint64, string)) {
	for w.mock != nil && !w.closing {
		turn, what := item()
		if what == "" {
			return
		}
		first := true
		w.underWay(func(other uint64, _ string) bool {
			first = other >= turn
			return first
		})
		if first {
			return
		}
		w.happened.Wait()
	}
}

// inTurn makes the reads of a connection wait for their turn, each of them one
// send of the peer at most. At the beginning of an instant what comes to a phone
// waits for the calls that are due in it, as in virtual time: a step of a script
// sees its own connection as the instant before left it.
func (w *World) inTurn(c net.Conn, item func() (*flow, uint64, string), toPhone bool) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok || w.mock == nil {
		return c
	}
	return &orderedConn{TCPConn: tcp, world: w, item: item, toPhone: toPhone}
}

type orderedConn struct {
	*net.TCPConn
	world   *World
	item    func() (*flow, uint64, string)
	toPhone bool

	// Of the one goroutine that reads:
	buffer [4096]byte
	held   []byte // in buffer
	err    error  // behind held
}

func (c *orderedConn) Read(p []byte) (int, error) {
	if len(c.held) == 0 && c.err == nil {
		n, err := c.TCPConn.Read(c.buffer[:])
		if n == 0 && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)) {
			return 0, err // the reader itself was called off
		}
		c.held, c.err = c.buffer[:n], err
	}
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for c.toPhone && w.gated && !w.closing {
		w.happened.Wait()
	}
	w.awaitTurn(func() (uint64, string) {
		_, turn, what := c.item()
		return turn, what
	})
	if len(c.held) == 0 {
		return 0, c.err
	}
	n := len(c.held)
	if f, _, what := c.item(); what != "" && len(f.sends) > 0 {
		n = min(n, f.sends[0].unread)
	}
	n = copy(p, c.held[:n])
	c.held = c.held[n:]
	return n, nil
}
