package virtual

// OpenConns counts the connections of which anything is left.
func (w *World) OpenConns() int { return len(w.conns) - len(w.spare) }
