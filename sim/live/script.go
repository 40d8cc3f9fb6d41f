package live

import (
	"context"
	"net"

	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// scripts holds the connections that scripts drive byte by byte. A phone's script uses its current connection alone;
// an earlier one stays open until the world is closed or the server closes it.
type scripts struct {
	schedule *scheduler
	emit     *event.Emitter
	tcp      *tcp
	ctx      context.Context // ends with the world
	cancel   context.CancelFunc

	current map[uint32]*scriptedConn // by phone
	all     []*scriptedConn
}

// scriptedConn is a connection that a script drives.
type scriptedConn struct {
	connection *connection
	socket     net.Conn // nil until the connection is established
	queue      [][]byte // writes that the kernel has not received
	ending     bool     // the script ends its side after the queue
	over       bool     // nothing is sent or read any more
}

// queued returns the number of bytes that the kernel has not received.
func (c *scriptedConn) queued() int {
	n := 0
	for _, b := range c.queue {
		n += len(b)
	}
	return n
}

// open opens a new current connection.
func (r *scripts) open(phone uint32) {
	c := &scriptedConn{connection: r.tcp.connect(phone, true)}
	r.current[phone] = c
	r.all = append(r.all, c)
	r.schedule.goroutines.Go(func() { r.run(c) })
}

// isOpen reports whether the phone's script has a connection.
func (r *scripts) isOpen(phone uint32) bool {
	c := r.current[phone]
	return c != nil && !c.over
}

// send sends bytes in one write, once the connection is established.
func (r *scripts) send(phone uint32, b []byte) {
	c := r.current[phone]
	c.queue = append(c.queue, b)
	r.tcp.phoneSends(c.connection, b)
	r.schedule.notify()
}

// end ends the script's side behind all writes, with a reset or a half-close.
func (r *scripts) end(phone uint32, reset bool) {
	c := r.current[phone]
	c.ending = true
	r.tcp.scriptEnds(c.connection, reset)
	r.schedule.notify()
}

// run opens the connection and reads from it. Another goroutine writes.
func (r *scripts) run(c *scriptedConn) {
	conn, err := r.tcp.dial(r.ctx, c.connection)
	if !r.established(c, conn, err) {
		return
	}
	r.schedule.goroutines.Go(func() { r.write(c) })
	b := make([]byte, protocol.MaxMessage)
	for {
		n, err := conn.Read(b)
		if !r.read(c, b[:n], err) {
			return
		}
	}
}

// established handles the end of the opening. It reports whether the connection is open.
func (r *scripts) established(c *scriptedConn, conn net.Conn, err error) bool {
	r.schedule.mu.Lock()
	defer r.schedule.mu.Unlock()
	if r.schedule.closing {
		if conn != nil {
			_ = conn.Close()
		}
		return false
	}
	r.schedule.advanceToClock()
	if err == nil {
		r.tcp.established(c.connection)
		c.socket = conn
		return true
	}
	r.tcp.refused(c.connection)
	c.over = true
	r.emit.PhoneConn(event.HungUp, &c.connection.Connection)
	if r.tcp.remote != nil {
		r.tcp.remote.refused(socket.Reason(err))
	}
	return false
}

// read handles the result of a read. It reports whether the goroutine is to read again.
func (r *scripts) read(c *scriptedConn, b []byte, err error) bool {
	r.schedule.mu.Lock()
	defer r.schedule.mu.Unlock()
	if r.schedule.closing || c.over {
		return false
	}
	r.schedule.advanceToClock()
	if len(b) > 0 {
		r.tcp.phoneReads(c.connection, b)
	}
	if err == nil {
		return true
	}
	r.closeOne(c)
	r.tcp.phoneReadsEnd(c.connection)
	return false
}

// closeOne closes the socket.
func (r *scripts) closeOne(c *scriptedConn) {
	c.over = true
	if c.socket != nil {
		_ = c.socket.Close() // the connection is gone even after an error
	}
	r.schedule.notify()
}

// close closes all sockets at the end of the world.
func (r *scripts) close() {
	r.cancel()
	for _, c := range r.all {
		if !c.over {
			r.closeOne(c)
		}
	}
}

// write passes the queued writes to the kernel. Each waits until the server has read the previous one, so that the
// server reads each write separately. The reader sees the error of a write, too, and ends the connection.
func (r *scripts) write(c *scriptedConn) {
	mu := &r.schedule.mu
	mu.Lock()
	defer mu.Unlock()
	for {
		for !c.over && !r.mayWrite(c) {
			r.schedule.wait()
		}
		if c.over {
			return
		}
		if len(c.queue) == 0 {
			r.finish(c)
			return
		}
		b := c.queue[0]
		c.queue = c.queue[1:]
		if r.tcp.remote != nil {
			// The reads of a remote server cannot be observed.
			r.emit.ServerHandled(&c.connection.Connection, c.connection.slot, len(b))
		}
		mu.Unlock()
		_, err := c.socket.Write(b)
		mu.Lock()
		if err != nil {
			return
		}
	}
}

// mayWrite reports whether the first queued write, or the end, may be passed to the kernel. The server must have read
// all previous writes, unless it has stopped reading.
func (r *scripts) mayWrite(c *scriptedConn) bool {
	n := c.connection
	switch {
	case len(c.queue) == 0 && !c.ending:
		return false
	case r.tcp.remote != nil || n.killed:
		return true
	case !n.accepted:
		return false
	}
	return !n.serverOpen || c.queued() == n.up.unread() || !r.tcp.server.isReading(n.slot)
}

// finish half-closes or resets the connection.
func (r *scripts) finish(c *scriptedConn) {
	conn := c.socket.(endable)
	if !c.connection.reset {
		_ = conn.CloseWrite() // the reader sees the error, too
		return
	}
	_ = conn.SetLinger(0)
	r.closeOne(c)
	if r.tcp.remote != nil || !c.connection.serverOpen {
		r.tcp.phoneReadsEnd(c.connection)
	}
}
