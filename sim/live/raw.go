package live

import (
	"net"

	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// rawConn is a connection that a script drives byte for byte.
type rawConn struct {
	link   *link
	tcp    net.Conn // nil: it does not stand
	queued [][]byte // sends that were not handed to the kernel
	fin    bool
	over   bool // nothing is sent or read on it any more
}

// RawOpen opens a connection that the script drives.
func (w *World) RawOpen(who uint32) {
	r := &rawConn{link: w.newLink(who, true)}
	w.phones[who].script = r
	w.raws = append(w.raws, r)
	w.running.Go(func() { w.runRaw(r) })
}

// RawIsOpen says whether the script has a connection.
func (w *World) RawIsOpen(who uint32) bool {
	r := w.phones[who].script
	return r != nil && !r.over
}

// RawSend sends bytes on the script's connection, as soon as it stands.
func (w *World) RawSend(who uint32, b []byte) {
	r := w.phones[who].script
	r.queued = append(r.queued, b)
	r.link.up.sends = append(r.link.up.sends, send{w.nextTurn(), len(b)})
	w.emitBytes(event.PhoneSent, r.link, b)
	w.happened.Broadcast()
}

// RawEnd ends the script's side after all that was sent: half-closed, or reset.
func (w *World) RawEnd(who uint32, reset bool) {
	r := w.phones[who].script
	r.fin = true
	r.link.up.endTurn, r.link.reset = w.nextTurn(), reset
	w.phoneEnded(r.link, "is ended by the script")
	w.happened.Broadcast()
}

// waiting is how many bytes were not handed to the kernel.
func (r *rawConn) waiting() int {
	n := 0
	for _, b := range r.queued {
		n += len(b)
	}
	return n
}

// scripted says whether the connection is the one that the script speaks on, not
// one that it left open.
func (w *World) scripted(l *link) bool {
	r := w.phones[l.phone].script
	return r != nil && r.link == l
}

// runRaw opens the connection and reads from it; another goroutine writes.
func (w *World) runRaw(r *rawConn) {
	tcp, err := w.dial(w.ctx, r.link, w.server)
	if !w.rawStands(r, tcp, err) {
		return
	}
	w.running.Go(func() { w.writeRaw(r) })
	b := make([]byte, protocol.MaxMessage)
	for {
		n, err := tcp.Read(b)
		if !w.rawRead(r, b[:n], err) {
			return
		}
	}
}

func (w *World) rawStands(r *rawConn, tcp net.Conn, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		if tcp != nil {
			_ = tcp.Close()
		}
		return false
	}
	w.moment()
	l := r.link
	if err != nil {
		w.stream.Emit(w.event(event.ConnectRefused, l.phone, event.NoPeer))
		l.phoneOpen, r.over = false, true
		w.forget(l)
		if w.scripted(l) {
			w.emitLink(event.HungUp, l)
		}
		w.absent(socket.Reason(err))
		return false
	}
	w.emitLink(event.Connected, l)
	w.stoodElsewhere(l)
	l.stands, r.tcp = true, tcp
	return true
}

// moment is for an event that no node observes.
func (w *World) moment() {
	if w.mock == nil {
		w.now = max(w.now, w.elapsed())
	}
	w.events++
	w.happened.Broadcast()
}

// rawRead takes what was read, and says whether to read on.
func (w *World) rawRead(r *rawConn, b []byte, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing || r.over {
		return false
	}
	w.moment()
	if len(b) > 0 {
		w.readByPhone(r.link, b)
	}
	if err == nil {
		return true
	}
	w.endRaw(r)
	w.closedByServer(r.link)
	return false
}

// endRaw closes the socket.
func (w *World) endRaw(r *rawConn) {
	r.over = true
	if r.tcp != nil {
		_ = r.tcp.Close() // whatever it says, the connection is gone
	}
	w.happened.Broadcast()
}

// closeRaw ends every connection of a script, at the end of the world.
func (w *World) closeRaw() {
	for _, r := range w.raws {
		if !r.over {
			w.endRaw(r)
		}
	}
}

// writeRaw hands each send to the kernel once the server has read the one before,
// as far as it reads: each is to be a read of its own.
func (w *World) writeRaw(r *rawConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for !r.over && !w.mayWrite(r) {
			w.happened.Wait()
		}
		switch {
		case r.over:
			return
		case len(r.queued) > 0:
			b := r.queued[0]
			r.queued = r.queued[1:]
			w.readElsewhere(r.link, len(b))
			if !w.writeNow(r, b) {
				return
			}
		default:
			w.finishRaw(r)
			return
		}
	}
}

// writeNow writes without the lock.
func (w *World) writeNow(r *rawConn, b []byte) bool {
	w.mu.Unlock()
	_, err := r.tcp.Write(b)
	w.mu.Lock()
	return err == nil // of an error the reader hears as well
}

func (w *World) mayWrite(r *rawConn) bool {
	if len(r.queued) == 0 && !r.fin {
		return false
	}
	l := r.link
	if w.config.Remote != "" {
		return true
	}
	// What was sent before must have been read, unless the server does not read.
	return l.killed || l.accepted && (!l.serverOpen || r.waiting() == l.up.unread() || !w.host.reading(l.conn))
}

// finishRaw half-closes the connection, or breaks it.
func (w *World) finishRaw(r *rawConn) {
	tcp := r.tcp.(interface {
		CloseWrite() error
		SetLinger(int) error
	})
	if !r.link.reset {
		_ = tcp.CloseWrite() // of an error the reader hears as well
		return
	}
	_ = tcp.SetLinger(0)
	w.endRaw(r)
	if w.config.Remote != "" || !r.link.serverOpen {
		w.closedByServer(r.link)
	}
}
