package nodes

import "bluetrace/protocol"

// verdict is what an attempt at a password comes to.
type verdict uint8

const (
	verdictRefused verdict = iota // during a block: not looked at, not counted
	verdictWrong
	verdictBlocks // wrong, and a block begins with it
	verdictRight
	verdictReset // right, after wrong ones or a block of which the disk may still know
)

// decide looks at one attempt and changes the count and the block of its name
// at once, before anything is stored.
func (s *Server) decide(now Now, n *name, password []byte) verdict {
	a := s.accounts.of(n)
	if a.blockedAt(now.Elapsed) {
		return verdictRefused
	}
	if s.accounts.right(n, password) {
		if a.wrong == 0 && !a.stale {
			return verdictRight
		}
		a.wrong, a.stale = 0, true
		return verdictReset
	}
	a.wrong++
	a.stale, a.cleared = false, 0
	if a.wrong < s.settings.Attempts {
		return verdictWrong
	}
	*a = attempts{blocked: true, until: later(now.Elapsed, s.settings.BlockDuration)}
	return verdictBlocks
}

// username takes the first read of a session: a name, or a name and a password
// that TCP has joined (PROTOCOL.md section 2).
func (s *Server) username(now Now, c Conn, read []byte, out *ServerOutbox) {
	s.expect(c, connAtPassword, protocol.ExpectPassword)
	x := &s.connections[c]
	user, password, joined := protocol.SplitLogin(read, s.accounts.has)
	if !joined {
		x.name = s.accounts.nameOf(read)
		return
	}
	n := s.accounts.nameOf(user)
	v := s.decide(now, &n, password)
	s.report(c, &n, v, ReasonJoined, out)
	switch v {
	case verdictRight:
		x.name = n
		s.welcome(now, c, out)
	case verdictReset:
		x.name = n
		s.storeReset(now, c, &n, out)
	case verdictRefused:
		x.name = s.accounts.stranger(read)
	default:
		// No answer: it would tell which names exist.
		x.name = s.accounts.stranger(read)
		s.storeAttempts(now, c, &n, pending{}, out)
	}
}

// attempt takes a password that came by itself.
func (s *Server) attempt(now Now, c Conn, password []byte, out *ServerOutbox) {
	n := s.connections[c].name
	v := s.decide(now, &n, password)
	s.report(c, &n, v, "", out)
	switch v {
	case verdictRight:
		s.welcome(now, c, out)
	case verdictReset:
		s.storeReset(now, c, &n, out)
	case verdictRefused:
		s.send(c, protocol.IsBlocked, out)
		s.end(c, ReasonBlocked, out)
	case verdictWrong:
		s.storeAttempts(now, c, &n, pending{answer: protocol.TryAgain}, out)
	case verdictBlocks:
		s.storeAttempts(now, c, &n, pending{answer: protocol.NowBlocked}, out)
	}
}

// report tells the host of a verdict at the moment from which it holds.
func (s *Server) report(c Conn, n *name, v verdict, reason string, out *ServerOutbox) {
	switch v {
	case verdictRefused:
		if reason == "" {
			reason = ReasonBlocked
		}
		out.event(c, ServerEvent{Kind: EventRefused, User: n.user, Reason: reason})
	case verdictWrong, verdictBlocks:
		out.event(c, ServerEvent{Kind: EventWrongPassword, User: n.user, Reason: reason})
	}
	if v == verdictBlocks {
		out.event(c, ServerEvent{Kind: EventBlockBegan, User: n.user, Reason: reason})
	}
}

func (s *Server) welcome(now Now, c Conn, out *ServerOutbox) {
	user := s.connections[c].name.user
	s.expect(c, connAtCommand, protocol.ExpectCommand)
	s.waitIdle(now, c)
	s.crowd.came(user)
	s.send(c, protocol.Welcome, out)
	out.print("users: " + user)
	out.event(c, ServerEvent{Kind: EventLoggedIn, User: user})
}
