package nodes

import (
	"fmt"
	"net/netip"
	"time"

	"bluetrace/protocol"
)

// Server is the state machine of the health authority: sessions, accounts with
// their attempts and blocks, TempIDs, and uploads (PROTOCOL.md section 2).
type Server struct {
	settings    ServerSettings
	accounts    accounts
	tempIDs     tempIDIndex
	sessions    sessions
	uploadBytes int // of all uploads in progress
	pending     map[StoreID]pending
	lastStore   StoreID
	scratch     []byte // bytes of the send effects of the current input
}

// NewServer returns a server, or the error of Validate. The host then passes it the
// accounts (SetPasswords) and all records that an earlier run stored (Restore),
// and calls Start.
func NewServer(settings ServerSettings) (*Server, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	unknown := NewNameTable[attempts](settings.MaxBlockedNames(), settings.MaxUnknownNames)
	return &Server{
		settings: settings,
		accounts: accounts{
			passwords: Passwords{},
			known:     map[string]*attempts{},
			unknown:   unknownNames{NameTable: unknown},
			block:     settings.BlockDuration,
			key:       settings.NameKey,
		},
		pending: map[StoreID]pending{},
	}, nil
}

// Restore adds one stored record to the state of the server. The host calls it for all
// records, in the order in which they were stored, before Start. Blocks continue by
// wall time. The error is about an invalid record.
func (s *Server) Restore(now Now, r Record) error {
	switch r.Kind {
	case RecordIssue:
		return s.tempIDs.restore(r.Issue)
	case RecordAttempts:
		return s.accounts.restore(now, &r.Attempts)
	}
	return fmt.Errorf("restoring a record: kind %d is none that a server stores", r.Kind)
}

// Start prints that the server is listening. The host calls it once, before it accepts
// connections.
func (s *Server) Start(now Now, out *ServerOutbox) {
	s.runDue(now, out)
	out.print("I am listening")
}

// Wake does what is due: it closes the sessions whose deadline has passed, and stores
// attempts that are not stored yet.
func (s *Server) Wake(now Now, out *ServerOutbox) { s.runDue(now, out) }

// NextWake returns the elapsed time of the next deadline, or false if there is none.
func (s *Server) NextWake() (time.Duration, bool) {
	_, due, ok := s.sessions.nextDue()
	if u := &s.accounts.unsaved; u.armed && (!ok || u.at < due) {
		return u.at, true
	}
	return due, ok
}

// Usage returns the amounts of memory that could grow without a limit. It takes time
// proportional to the number of connections.
func (s *Server) Usage() Usage {
	u := s.sessions.usage()
	u.PendingStores = len(s.pending)
	u.CountedUploadBytes = s.uploadBytes
	u.UnknownNames, u.BlockedNames = len(s.accounts.unknown.names), s.accounts.unknown.Len(true)
	return u
}

// runDue does what is due at or before now. Every input calls it first, because a deadline
// comes before an input at the same time.
func (s *Server) runDue(now Now, out *ServerOutbox) {
	s.scratch = s.scratch[:0]
	if u := &s.accounts.unsaved; u.armed && u.at <= now.Elapsed {
		s.Save(now, out)
	}
	for {
		c, due, ok := s.sessions.nextDue()
		if !ok || due > now.Elapsed {
			return
		}
		s.timeOut(c, out)
	}
}

func (s *Server) timeOut(c Conn, out *ServerOutbox) {
	x := s.connection(c)
	if x.loggedIn() {
		out.print(fmt.Sprintf("%s: nothing received for %v", x.name.user, s.settings.IdleTimeout))
		s.end(c, ReasonIdleTimeout, out)
		return
	}
	out.print(fmt.Sprintf("a session did not log in within %v", s.settings.LoginTimeout))
	s.end(c, ReasonLoginTimeout, out)
}

// Save asks the host to store the attempts that were postponed or could not be stored, if
// there are any. The host calls it at an orderly end.
func (s *Server) Save(now Now, out *ServerOutbox) {
	u := &s.accounts.unsaved
	if !u.armed {
		return
	}
	records := s.accounts.takePostponed(now)
	if len(records) == 0 {
		records = []Record{{Kind: RecordUnsaved}}
	}
	u.armed = false
	s.store(NoConn, records, pending{}, out)
}

// Accept begins the session of connection c from an address. It panics if c is in use.
//
// If there are then more than MaxConnections sessions, Accept closes one of them. It
// chooses from the address with the most sessions that are not logged in the oldest of
// these, except the new one. If all others are logged in, it chooses from the account with
// the most sessions the one that has been idle for longest. If no account has two sessions,
// it closes the new one.
func (s *Server) Accept(now Now, c Conn, from netip.Addr, out *ServerOutbox) {
	s.runDue(now, out)
	if !s.sessions.begin(c) {
		panic(fmt.Sprintf("accepting connection %d: it is still in use", c))
	}
	s.sessions.countSource(c, from)
	s.limitSessions(c, out)
	if s.sessions.isOpen(c) {
		s.sessions.wait(c, &s.sessions.login, later(now.Elapsed, s.settings.LoginTimeout))
	}
}

// evictionsPerLine is the number of evictions after which the server prints another
// line about them. A flood of sessions therefore does not flood the output.
const evictionsPerLine = 100

// limitSessions closes a session if there are more than MaxConnections. The new
// session c is in no list of deadlines yet.
func (s *Server) limitSessions(c Conn, out *ServerOutbox) {
	limit := s.settings.MaxConnections
	if limit == 0 || s.sessions.open <= limit {
		return
	}
	least, ok := s.sessions.leastNeeded()
	if !ok {
		least = c
	}
	s.sessions.evicted++
	if n := s.sessions.evicted; n == 1 {
		out.print(fmt.Sprintf("%d sessions at once, and no more: of the address with the most that are not "+
			"logged in, the oldest is closed", limit))
	} else if n%evictionsPerLine == 0 {
		out.print(fmt.Sprintf("%d sessions at once, and no more: %d were closed so far", limit, n))
	}
	s.end(least, ReasonTooMany, out)
}

// EvictSession closes the session that Accept would close, because the host has no
// resources for another one. It closes none if every session is the only one of its
// account.
func (s *Server) EvictSession(now Now, out *ServerOutbox) {
	s.runDue(now, out)
	if c, ok := s.sessions.leastNeeded(); ok {
		s.sessions.evicted++
		s.end(c, ReasonTooMany, out)
	}
}

// Reading reports whether the host may pass bytes or an orderly end of file of
// connection c to the server. It returns false while the session waits for Stored:
// until then the host leaves them unread.
func (s *Server) Reading(c Conn) bool {
	return s.sessions.isOpen(c) && s.connection(c).storing == 0
}

// Read handles the bytes p of one read, of which there are 1 to 1024. It panics if the
// session waits for Stored (see Reading). A session whose deadline is at or before now
// is closed first and ignores the bytes.
func (s *Server) Read(now Now, c Conn, p []byte, out *ServerOutbox) {
	s.runDue(now, out)
	if !s.sessions.isOpen(c) {
		return
	}
	x := s.connection(c)
	if x.storing != 0 {
		panic(fmt.Sprintf("reading connection %d: it waits for store %d", c, x.storing))
	}
	if x.loggedIn() {
		s.waitIdle(now, c)
	}
	x.reader.Feed(p)
	s.handleMessages(now, c, out)
}

// EOF ends the session of connection c, because the peer has closed the connection or
// the connection is broken. An orderly end of file follows the bytes before it, so the
// host reports it only while Reading. It reports a broken connection at once. EOF has
// no effect on a closed session, and never counts as a wrong password.
func (s *Server) EOF(now Now, c Conn, out *ServerOutbox) {
	s.runDue(now, out)
	if s.sessions.isOpen(c) {
		s.end(c, ReasonEOF, out)
	}
}

func (s *Server) connection(c Conn) *connection { return &s.sessions.connections[c] }

// waitIdle restarts the idle timeout of a session.
func (s *Server) waitIdle(now Now, c Conn) {
	s.sessions.wait(c, &s.sessions.idle, later(now.Elapsed, s.settings.IdleTimeout))
}

// handleMessages handles the messages that have arrived, until one of them must wait
// for a store.
func (s *Server) handleMessages(now Now, c Conn, out *ServerOutbox) {
	for s.Reading(c) {
		m, ok := s.connection(c).reader.Next()
		if !ok {
			return
		}
		s.handleMessage(now, c, m, out)
	}
}

func (s *Server) handleMessage(now Now, c Conn, m protocol.Message, out *ServerOutbox) {
	switch m.Kind {
	case protocol.Username:
		s.readUsername(now, c, m.Bytes, out)
	case protocol.Password:
		s.readPassword(now, c, m.Bytes, out)
	case protocol.Download:
		s.download(now, c, out)
	case protocol.Upload:
		s.expect(c, connAtCount, protocol.ExpectCount)
		s.send(c, protocol.Ack, out)
	case protocol.Count:
		s.readCount(c, m.Bytes, out)
	case protocol.Line:
		s.readLine(c, m.Bytes, out)
	case protocol.Logout:
		s.end(c, ReasonLogout, out)
	case protocol.Skipped:
		s.reportSkipped(c, m.Bytes, out)
	default:
		panic(fmt.Sprintf("connection %d: message of kind %d", c, m.Kind))
	}
}

func (s *Server) expect(c Conn, stage connStage, e protocol.Expectation) {
	x := s.connection(c)
	x.stage = stage
	x.reader.Expect(e)
}

// reportSkipped prints and reports the bytes b that are not part of a command. They get
// no answer.
func (s *Server) reportSkipped(c Conn, b []byte, out *ServerOutbox) {
	user := s.connection(c).name.user
	line := protocol.AppendField([]byte(user+": no command: "), b, false)
	out.print(string(line))
	out.event(c, ServerEvent{Kind: EventSkipped, User: user, Entries: len(b)})
}

// end closes the session of c and reports the reason.
func (s *Server) end(c Conn, reason string, out *ServerOutbox) {
	x := s.connection(c)
	if x.stage == connAtCount || x.stage == connAtLines {
		s.reportBrokenUpload(c, reason, out)
	}
	user := x.name.user
	if x.loggedIn() {
		out.print(user + " logout")
	}
	s.sessions.end(c)
	out.Effects = append(out.Effects, ServerEffect{Kind: EffectClose, Conn: c})
	out.event(c, ServerEvent{Kind: EventSessionEnded, User: user, Reason: reason})
}

// send emits text as one EffectSend for c.
func (s *Server) send(c Conn, text string, out *ServerOutbox) {
	from := len(s.scratch)
	s.scratch = append(s.scratch, text...)
	to := len(s.scratch)
	out.Effects = append(out.Effects, ServerEffect{Kind: EffectSend, Conn: c, Bytes: s.scratch[from:to:to]})
}

// pending is an answer that waits for a store.
type pending struct {
	conn    Conn
	user    string // owner of the record; empty for a name without an account
	answer  string // one of the texts of a login, or empty for no answer
	issue   Issue
	isIssue bool // the answer is the TempID of issue
}

// store asks the host to store records. The session waits for the result, and then p is
// answered. c is NoConn if no session waits.
func (s *Server) store(c Conn, records []Record, p pending, out *ServerOutbox) {
	s.lastStore++
	p.conn = c
	s.pending[s.lastStore] = p
	if c != NoConn {
		s.connection(c).storing = s.lastStore
	}
	out.Effects = append(out.Effects,
		ServerEffect{Kind: EffectStore, Conn: c, Store: s.lastStore, Records: records})
}

// Stored reports the result of the EffectStore with this id. If err is nil, its records
// are durable. Otherwise err is the reason why they are not. The answer to a login is
// sent in both cases, because memory already has the attempts. A TempID that could not
// be stored is never sent. Stored panics if the id is not pending.
func (s *Server) Stored(now Now, id StoreID, err error, out *ServerOutbox) {
	s.runDue(now, out)
	p, ok := s.pending[id]
	if !ok {
		panic(fmt.Sprintf("store %d: stored, but nothing waits for it (last: %d)", id, s.lastStore))
	}
	delete(s.pending, id)
	waits := s.sessions.isOpen(p.conn) && s.connection(p.conn).storing == id
	if waits {
		s.connection(p.conn).storing = 0
	}
	if p.isIssue {
		s.finishDownload(p, err, waits, out)
	} else {
		if t := s.accounts.known[p.user]; err == nil && t != nil && t.reset == id {
			t.stale, t.reset = false, 0 // the disk has the latest reset
		}
		s.finishAttempt(now, p, err, waits, out)
	}
	s.handleMessages(now, p.conn, out)
}
