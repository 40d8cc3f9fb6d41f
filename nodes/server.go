package nodes

import (
	"fmt"
	"time"

	"bluetrace/protocol"
)

// Server is the health authority: accounts, attempts and blocks, TempIDs and
// uploads (PROTOCOL.md section 2).
type Server struct {
	settings    ServerSettings
	accounts    accounts
	tempIDs     tempIDIndex
	connections []connection // by Conn
	sessions    int          // connections that are in use
	uploading   int          // bytes of all uploads under way
	login, idle deadlines
	crowd       crowd
	pending     map[StoreID]pending
	lastStore   StoreID
	scratch     []byte // what the effects of the current call send
}

// NewServer refuses settings that Validate refuses. The host then gives it
// credentials and what a former server stored, and calls Start.
func NewServer(settings ServerSettings) (*Server, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	return &Server{
		settings: settings,
		accounts: newAccounts(settings.NameKey, settings.MaxUnknownNames),
		pending:  map[StoreID]pending{},
	}, nil
}

// Restore takes one stored record; the host brings all of them, in the order in
// which they were stored, before Start. Blocks go on by wall time.
func (s *Server) Restore(now Now, r Record) error {
	switch r.Kind {
	case RecordIssue:
		return s.tempIDs.restore(r.Issue)
	case RecordAttempts:
		return s.accounts.restore(now, &r.Attempts)
	}
	return fmt.Errorf("restoring a record: kind %d is none that a server stores", r.Kind)
}

// Start says that connections are accepted from now on.
func (s *Server) Start(now Now, out *ServerOutbox) {
	s.begin(now, out)
	out.print("I am listening")
}

// Wake closes the sessions whose time is up.
func (s *Server) Wake(now Now, out *ServerOutbox) { s.begin(now, out) }

// NextWake is the elapsed time at which a session's time is up; false: there is
// none.
func (s *Server) NextWake() (time.Duration, bool) {
	_, due, ok := s.soonest()
	return due, ok
}

// Resolve is who a TempID was issued to; a TempID counts as issued once it is
// stored.
func (s *Server) Resolve(id protocol.TempID) (Issue, bool) { return s.tempIDs.resolve(id) }

// begin opens every input: what is due at now comes before what arrives.
func (s *Server) begin(now Now, out *ServerOutbox) {
	s.scratch = s.scratch[:0]
	for {
		c, due, ok := s.soonest()
		if !ok || due > now.Elapsed {
			return
		}
		s.timeUp(c, out)
	}
}

func (s *Server) timeUp(c Conn, out *ServerOutbox) {
	x := &s.connections[c]
	if x.loggedIn() {
		out.print(fmt.Sprintf("%s: nothing received for %v", x.name.user, s.settings.IdleTimeout))
		s.end(c, ReasonIdleTimeout, out)
		return
	}
	out.print(fmt.Sprintf("a session did not log in within %v", s.settings.LoginTimeout))
	s.end(c, ReasonLoginTimeout, out)
}

// send answers with text in one send.
func (s *Server) send(c Conn, text string, out *ServerOutbox) {
	from := len(s.scratch)
	s.scratch = append(s.scratch, text...)
	to := len(s.scratch)
	out.Effects = append(out.Effects, ServerEffect{Kind: EffectSend, Conn: c, Bytes: s.scratch[from:to:to]})
}

func (o *ServerOutbox) print(text string) {
	o.Effects = append(o.Effects, ServerEffect{Kind: EffectPrint, Text: text})
}

func (o *ServerOutbox) event(c Conn, e ServerEvent) {
	o.Effects = append(o.Effects, ServerEffect{Kind: EffectEvent, Conn: c, Event: e})
}
