package nodes

import "fmt"

// crowdLines is how many sessions are closed for want of room for each line that
// says so: whoever floods a server does not flood its output.
const crowdLines = 100

// crowd counts what makes room for new sessions.
type crowd struct {
	closed int            // for want of room, since the start
	of     map[string]int // sessions of each account that are logged in
	all    int            // sum of them
}

func (w *crowd) came(user string) {
	if w.of == nil {
		w.of = map[string]int{}
	}
	w.of[user]++
	w.all++
}

func (w *crowd) left(user string) {
	if w.of[user]--; w.of[user] == 0 {
		delete(w.of, user)
	}
	w.all--
}

// EvictSession ends one session because the host has no means for another: the one
// that would go for a new one at MaxConnections. When every session is the only
// one of an account, none goes.
func (s *Server) EvictSession(now Now, out *ServerOutbox) {
	s.begin(now, out)
	if c, ok := s.leastNeeded(); ok {
		s.crowd.closed++
		s.end(c, ReasonTooMany, out)
	}
}

// limitSessions closes what is beyond MaxConnections with c, which is new and in
// no list yet.
func (s *Server) limitSessions(c Conn, out *ServerOutbox) {
	limit := s.settings.MaxConnections
	if limit == 0 || s.sessions <= limit {
		return
	}
	least, ok := s.leastNeeded()
	if !ok {
		least = c
	}
	s.crowd.closed++
	if n := s.crowd.closed; n == 1 {
		out.print(fmt.Sprintf("%d sessions at once, and no more: the oldest that is not logged in is closed", limit))
	} else if n%crowdLines == 0 {
		out.print(fmt.Sprintf("%d sessions at once, and no more: %d were closed so far", limit, n))
	}
	s.end(least, ReasonTooMany, out)
}

// leastNeeded is the oldest session that is not logged in; without one, of the
// account with the most sessions the one that is idle for longest. false: no
// account has two.
func (s *Server) leastNeeded() (Conn, bool) {
	if at := s.login.first; at != 0 {
		return Conn(at - 1), true
	}
	if len(s.crowd.of) == s.crowd.all {
		return 0, false
	}
	var most uint32
	count := 1
	for at := s.idle.first; at != 0; at = s.connections[at-1].place.next {
		if n := s.crowd.of[s.connections[at-1].name.user]; n > count {
			most, count = at, n
		}
	}
	return Conn(most - 1), most != 0
}
