package virtual

// OpenConns returns the number of connections of which anything is left.
func (w *World) OpenConns() int { return len(w.tcp.conns) - len(w.tcp.free) }

// RawClose closes the script's connection of a phone.
func (w *World) RawClose(phone uint32) {
	s := w.tcp.scripts[phone]
	c := s.conn
	s.conn = noConn
	w.tcp.closePhoneSide(c)
}
