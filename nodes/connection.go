package nodes

import (
	"fmt"

	"bluetrace/protocol"
)

// connStage is what the server expects of one connection.
type connStage uint8

const (
	connClosed connStage = iota
	connAtUsername
	connAtPassword
	connAtCommand
	connAtCount
	connAtLines
)

// connection is the server's side of one session.
type connection struct {
	stage   connStage
	storing StoreID // the answer waits for it; 0: none
	place   place
	name    name
	reader  protocol.Reader
	upload  *incoming // at connAtLines
}

func (x *connection) loggedIn() bool { return x.stage >= connAtCommand }

// Accept begins a session. At MaxConnections another is closed for it: the oldest
// that has not logged in; when all have, of the account with the most sessions the
// one that is idle for longest; when no account has two, the new one itself. It
// panics when c is still in use.
func (s *Server) Accept(now Now, c Conn, out *ServerOutbox) {
	s.begin(now, out)
	for int(c) >= len(s.connections) {
		s.connections = append(s.connections, connection{})
	}
	x := &s.connections[c]
	if x.stage != connClosed {
		panic(fmt.Sprintf("accepting connection %d: it is still in use", c))
	}
	x.stage = connAtUsername
	s.sessions++
	s.limitSessions(c, out)
	if s.open(c) {
		s.wait(c, &s.login, later(now.Elapsed, s.settings.LoginTimeout))
	}
}

// LoggedIn says whether the session was welcomed, and goes on.
func (s *Server) LoggedIn(c Conn) bool { return s.open(c) && s.connections[c].loggedIn() }

// Reading says whether the host may bring bytes, or their orderly end; while the
// session waits for Stored they stay unread.
func (s *Server) Reading(c Conn) bool {
	return int(c) < len(s.connections) && s.connections[c].stage != connClosed && s.connections[c].storing == 0
}

// Read takes what one read of 1 to 1024 bytes gave. The host calls it only while
// Reading(c); a session whose time is up at this very moment is closed first, and
// ignores it.
func (s *Server) Read(now Now, c Conn, p []byte, out *ServerOutbox) {
	s.begin(now, out)
	if !s.open(c) {
		return
	}
	x := &s.connections[c]
	if x.storing != 0 {
		panic(fmt.Sprintf("reading connection %d: it waits for store %d", c, x.storing))
	}
	if x.loggedIn() {
		s.waitIdle(now, c)
	}
	x.reader.Feed(p)
	s.advance(now, c, out)
}

// EOF ends a session: the peer ended its sending, which the host says in turn
// with the bytes (only while Reading), or the connection broke, which it says at
// once. A closed one ignores it. It is no wrong password.
func (s *Server) EOF(now Now, c Conn, out *ServerOutbox) {
	s.begin(now, out)
	if s.open(c) {
		s.end(c, ReasonEOF, out)
	}
}

func (s *Server) open(c Conn) bool {
	return int(c) < len(s.connections) && s.connections[c].stage != connClosed
}

// waitIdle counts the idle time of a session from now.
func (s *Server) waitIdle(now Now, c Conn) {
	s.wait(c, &s.idle, later(now.Elapsed, s.settings.IdleTimeout))
}

// advance takes the messages that have come, until one must wait for the disk.
func (s *Server) advance(now Now, c Conn, out *ServerOutbox) {
	for s.Reading(c) {
		m, ok := s.connections[c].reader.Next()
		if !ok {
			return
		}
		s.take(now, c, m, out)
	}
}

func (s *Server) take(now Now, c Conn, m protocol.Message, out *ServerOutbox) {
	switch m.Kind {
	case protocol.Username:
		s.username(now, c, m.Bytes, out)
	case protocol.Password:
		s.attempt(now, c, m.Bytes, out)
	case protocol.Download:
		s.download(now, c, out)
	case protocol.Upload:
		s.expect(c, connAtCount, protocol.ExpectCount)
		s.send(c, protocol.Ack, out)
	case protocol.Count:
		s.count(c, m.Bytes, out)
	case protocol.Line:
		s.line(c, m.Bytes, out)
	case protocol.Logout:
		s.end(c, ReasonLogout, out)
	case protocol.Skipped:
		s.skipped(c, m.Bytes, out)
	default:
		panic(fmt.Sprintf("connection %d: message of kind %d", c, m.Kind))
	}
}

func (s *Server) expect(c Conn, stage connStage, e protocol.Expectation) {
	s.connections[c].stage = stage
	s.connections[c].reader.Expect(e)
}

// skipped reports bytes that are no command; they get no answer.
func (s *Server) skipped(c Conn, b []byte, out *ServerOutbox) {
	user := s.connections[c].name.user
	line := protocol.AppendField([]byte(user+": no command: "), b, false)
	out.print(string(line))
	out.event(c, ServerEvent{Kind: EventSkipped, User: user, Entries: len(b)})
}

// end closes a session and says whose it was.
func (s *Server) end(c Conn, reason string, out *ServerOutbox) {
	x := &s.connections[c]
	if x.stage == connAtCount || x.stage == connAtLines {
		s.brokenUpload(c, reason, out)
	}
	if x.loggedIn() {
		s.crowd.left(x.name.user)
		out.print(x.name.user + " logout")
	}
	user := x.name.user
	s.stopWaiting(c)
	*x = connection{}
	s.sessions--
	out.Effects = append(out.Effects, ServerEffect{Kind: EffectClose, Conn: c})
	out.event(c, ServerEvent{Kind: EventSessionEnded, User: user, Reason: reason})
}
