package live

import (
	"errors"
	"iter"
	"net"
	"os"
)

// turns makes a stepped world deterministic. Each write to a connection, each end of a stream, each opening of a
// connection and each store gets a turn, a number in the order in which they were issued. Reads are delivered, and
// stores executed, in the order of their turns, so the kernel's scheduling within one instant cannot change the
// outcome. On a clock that runs by itself nothing waits.
type turns struct {
	schedule *scheduler
	last     uint64
	sources  []iter.Seq2[uint64, string]
}

// next issues the next turn.
func (o *turns) next() uint64 {
	o.last++
	return o.last
}

// add adds a source of the turns that are not finished, with a description of each. It yields them in any order.
func (o *turns) add(source iter.Seq2[uint64, string]) { o.sources = append(o.sources, source) }

// unfinished yields all turns that are not finished, with a description of each.
func (o *turns) unfinished(yield func(uint64, string) bool) {
	for _, source := range o.sources {
		for turn, text := range source {
			if !yield(turn, text) {
				return
			}
		}
	}
}

// isFirst reports whether no unfinished turn is before the given one.
func (o *turns) isFirst(turn uint64) bool {
	for other := range o.unfinished {
		if other < turn {
			return false
		}
	}
	return true
}

// wait waits until the current item is first among the unfinished turns. item returns the turn and the description
// of the item. The wait also ends when the description is empty: the item is then finished or void.
func (o *turns) wait(item func() (uint64, string)) {
	for s := o.schedule; s.mock != nil && !s.closing; s.wait() {
		if turn, text := item(); text == "" || o.isFirst(turn) {
			return
		}
	}
}

// direction is one direction of a connection. current returns the first unfinished turn, or an empty description.
type direction struct {
	flow    *flow
	current func() (turn uint64, text string)
	toPhone bool
}

// ordered returns the connection with its reads ordered by their turns. Each read returns at most one write of the
// peer. A connection of a world on a clock that runs by itself is returned unchanged.
func (o *turns) ordered(c net.Conn, d direction) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok || o.schedule.mock == nil {
		return c
	}
	return &orderedConn{TCPConn: tcp, turns: o, direction: d}
}

// orderedConn is a connection whose reads wait for their turn.
type orderedConn struct {
	*net.TCPConn
	turns     *turns
	direction direction

	// The reading goroutine alone uses these.
	buffer [4096]byte
	held   []byte // part of buffer that was not delivered yet
	err    error  // to be delivered after held
}

// Read implements net.Conn.
func (c *orderedConn) Read(p []byte) (int, error) {
	if len(c.held) == 0 && c.err == nil {
		n, err := c.TCPConn.Read(c.buffer[:])
		if n == 0 && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)) {
			return 0, err // the host interrupts its own read
		}
		c.held, c.err = c.buffer[:n], err
	}
	s := c.turns.schedule
	s.mu.Lock()
	defer s.mu.Unlock()
	for c.direction.toPhone && !s.phonesMayRead && !s.closing {
		s.wait()
	}
	c.turns.wait(c.direction.current)
	if len(c.held) == 0 {
		return 0, c.err
	}
	n := len(c.held)
	if f := c.direction.flow; len(f.writes) > 0 {
		if _, text := c.direction.current(); text != "" {
			n = min(n, f.writes[0].unread)
		}
	}
	n = copy(p, c.held[:n])
	c.held = c.held[n:]
	return n, nil
}
