package nodes

import "time"

// deadlines is a list of connections in the order in which their time is up.
// All wait for the same span, so that the one that began last is due last, and a
// connection moves to the end in constant time.
type deadlines struct {
	first, last uint32 // Conn + 1; 0: none
}

// place is where a connection stands in the list that it is in.
type place struct {
	list       *deadlines
	prev, next uint32 // Conn + 1; 0: none
	due        time.Duration
}

// wait puts a connection at the end of a list, out of the one where it was.
func (s *Server) wait(c Conn, list *deadlines, due time.Duration) {
	s.stopWaiting(c)
	at := &s.connections[c].place
	*at = place{list: list, prev: list.last, due: due}
	if list.last != 0 {
		s.connections[list.last-1].place.next = uint32(c) + 1
	} else {
		list.first = uint32(c) + 1
	}
	list.last = uint32(c) + 1
}

func (s *Server) stopWaiting(c Conn) {
	at := &s.connections[c].place
	if at.list == nil {
		return
	}
	if at.prev != 0 {
		s.connections[at.prev-1].place.next = at.next
	} else {
		at.list.first = at.next
	}
	if at.next != 0 {
		s.connections[at.next-1].place.prev = at.prev
	} else {
		at.list.last = at.prev
	}
	*at = place{}
}

// soonest is the connection that is due first; of two that are due at once, the
// one that is not logged in.
func (s *Server) soonest() (Conn, time.Duration, bool) {
	login, idle := s.login.first, s.idle.first
	if login == 0 && idle == 0 {
		return 0, 0, false
	}
	pick := login
	if login == 0 || idle != 0 && s.connections[idle-1].place.due < s.connections[login-1].place.due {
		pick = idle
	}
	return Conn(pick - 1), s.connections[pick-1].place.due, true
}
