package sim

import (
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// owners attributes the events of connections to the steps of the script that caused them. A step owns the bytes that
// it sends itself and those that a program sends for its lines, the server's answers to these bytes, and the server's
// decisions about them. It takes part in the session that it begins, or in the one that is open when it acts.
type owners struct {
	world    world.World
	acting   *step               // the step that acts now; nil for a routine
	programs map[uint32]*program // of the phones of the script
	raw      map[uint32]*session // by phone: that of the last connection that the script opened itself
	conns    map[uint64]*ownedConn
	// translated is set if the server gets other messages than the programs send. Its side of their connections is then
	// not followed, as with a remote server.
	translated bool
}

// program is a program of a phone with the input of its user.
type program struct {
	entered []input // the world has not delivered it: a paused phone handles it later
	lines   []input // delivered; the program has sent nothing for it
	session *session
	acting  *step // of the last operation; nil if the script did not begin it
	former  *step // of the operation during which the last session was opened, or nil
	busy    bool  // the last operation has not ended
	upload  bool  // it is an upload
	off     bool
}

// input is a line, or the start of a session.
type input struct {
	step *step
	line string
}

// session is a session of a program, with the second connection of its login, or a connection of the script.
type session struct {
	steps   []*step // that take part in it, in the order in which they began
	last    uint64  // its last connection; 0 before the first
	program *program
	began   time.Duration
	queued  []*step // owners of the script's sends that the world has not carried out
	ender   *step   // that ended the script's side of the connection; nil if none has
	ended   string  // the reason why the phone reads nothing more; "" before that
}

// wasReset reports whether a step has reset the connection. The server then cannot close it.
func (s *session) wasReset() bool { return s.ender != nil && s.ender.TCP.Reset }

// ownedConn is a connection of a session.
type ownedConn struct {
	session *session
	sent    []piece         // bytes that the server has not read
	read    []*step         // owners of the bytes of the server's last read
	begun   []piece         // bytes that the server has read, of a request that is not complete
	reader  protocol.Reader // splits the bytes that the server reads into requests, as the server does
	lines   int             // of an upload, that are to come
	awaited []*step         // owners of the requests that await an answer, or the end of the session, in their order
	current *step           // owner of the last request that awaits none
	answers []*step         // owners of the server's sends that have not arrived whole
	active  time.Duration   // time of the last read or answer of the server
	server  serverEnd
	closer  *step         // that made the server close the connection; nil if none did
	leaver  *step         // whose logout ends the connection; nil if there is none
	leftAt  time.Duration // time of that logout
}

// serverEnd is the state of the server's end of a connection.
type serverEnd uint8

const (
	notSeen     serverEnd = iota // the server is a remote one
	refused                      // the connection was not established
	openEnd                      // the server has accepted the connection
	phoneEnded                   // the server has read the end of the phone's stream, which no step of the script sent
	closedByOwn                  // the server has closed the connection on its own account
)

// left sets the delay of the logout that has ended the connection, if there was one.
func (c *ownedConn) left(at time.Duration) {
	if st := c.leaver; st != nil {
		st.result.delay, st.result.timed = at-c.leftAt, true
	}
}

// piece is a text that a step owns.
type piece struct {
	step *step
	text string
}

// cut removes n bytes from the beginning of a text in pieces, which has as many, and calls f for each piece of them.
func cut(from []piece, n int, f func(piece)) []piece {
	for n > 0 && len(from) > 0 {
		p := &from[0]
		k := min(n, len(p.text))
		f(piece{p.step, p.text[:k]})
		n -= k
		if p.text = p.text[k:]; p.text == "" {
			from = from[1:]
		}
	}
	return from
}

// newOwners prepares the owners for the programs of the script.
func newOwners(phones, extra int, steps []step) *owners {
	o := &owners{programs: map[uint32]*program{}, raw: map[uint32]*session{}, conns: map[uint64]*ownedConn{}}
	for i := range steps {
		if phone := steps[i].Phone; phone >= 0 {
			o.programs[uint32(phone)] = &program{}
		}
	}
	for i := range extra {
		o.programs[uint32(phones+i)] = &program{}
	}
	return o
}

// subscribe has the owners observe the events that they attribute.
func (o *owners) subscribe(s *event.Stream) {
	o.onProgram(s, event.ProgramOpened, o.opened)
	o.onProgram(s, event.LineTyped, o.typed)
	o.onProgram(s, event.SessionMoved, func(to *program, e *event.Event) { to.takeOver(o.programs[e.Peer]) })
	o.onProgram(s, event.PhoneStopped, func(p *program, _ *event.Event) { p.entered, p.lines, p.off = nil, nil, true })
	o.onProgram(s, event.PhoneStarted, func(p *program, _ *event.Event) { p.off = false })
	s.On(event.Connecting, o.connecting)
	o.onConn(s, event.Accepted, func(c *ownedConn, _ *event.Event) { c.server = openEnd })
	o.onConn(s, event.ConnectRefused, func(c *ownedConn, _ *event.Event) { c.server = refused })
	o.onConn(s, event.PhoneSent, (*ownedConn).phoneSent)
	o.onConn(s, event.ServerRead, func(c *ownedConn, e *event.Event) {
		c.active = e.At
		c.take(e.Bytes)
	})
	o.onConn(s, event.ServerSent, func(c *ownedConn, e *event.Event) {
		c.active = e.At
		c.answers = append(c.answers, c.answer(e.Bytes))
	})
	o.onConn(s, event.ServerDecided, func(c *ownedConn, e *event.Event) {
		if e.Decision.Kind == nodes.EventNotIssued && c.server != notSeen {
			c.next() // the server sends no answer to this request
		}
	})
	o.onConn(s, event.ServerEnded, (*ownedConn).serverEnded)
}

// serverEnded handles the end of the phone's stream at the server, or that the server closes the connection.
func (c *ownedConn) serverEnded(e *event.Event) {
	switch {
	case c.server != openEnd:
	case e.Closed:
		c.server = closedByOwn
		if c.closer == nil && c.active == e.At { // a time limit closes a connection at another time
			c.next()
			c.closer = c.current
		}
		c.left(e.At)
	case c.session.ender != nil:
		c.closer = c.session.ender
	default:
		c.server = phoneEnded
	}
}

// onProgram has f called for each event of the kind that concerns a program.
func (o *owners) onProgram(s *event.Stream, k event.Kind, f func(*program, *event.Event)) {
	s.On(k, func(e *event.Event) {
		if p := o.programs[e.Node]; p != nil {
			f(p, e)
		}
	})
}

// seenByServer are the kinds of the server's side of a connection.
var seenByServer = []event.Kind{
	event.Accepted, event.ServerRead, event.ServerSent, event.ServerHandled, event.ServerEnded,
}

// onConn has f called for each event of the kind that concerns a connection of a session.
func (o *owners) onConn(s *event.Stream, k event.Kind, f func(*ownedConn, *event.Event)) {
	ofServer := slices.Contains(seenByServer, k)
	s.On(k, func(e *event.Event) {
		followed := e.Scripted || !o.translated || !ofServer
		if c := o.conns[e.Conn]; c != nil && followed {
			f(c, e)
		}
	})
}

// enter records an input of the user of a program. The world must get the input next.
func (o *owners) enter(number uint32, line string) {
	if p := o.programs[number]; p != nil && !p.off {
		p.entered = append(p.entered, input{o.acting, line})
	}
}

// delivered returns the input that a program gets now.
func (p *program) delivered() (in input) {
	if len(p.entered) > 0 {
		in, p.entered = p.entered[0], p.entered[1:]
	}
	return in
}

func (o *owners) opened(p *program, e *event.Event) {
	if p.former = nil; p.busy {
		p.former = p.acting
	}
	p.acting, p.busy, p.upload, p.lines = p.delivered().step, true, false, nil
	p.session = &session{program: p, began: e.At}
	p.session.join(p.acting)
}

// join adds a step, if there is one, to a session that has not ended.
func (s *session) join(st *step) {
	if st != nil && s != nil && s.ended == "" && st.session != s {
		st.session = s
		s.steps = append(s.steps, st)
	}
}

// present returns the steps that take part in the session and in no later one.
func (s *session) present() []*step {
	return slices.DeleteFunc(slices.Clone(s.steps), func(st *step) bool { return st.session != s })
}

func (o *owners) typed(p *program, e *event.Event) {
	switch o.world.Stage(e.Node) {
	case nodes.StageOffline, nodes.StageReady, nodes.StageLoggedOut:
		p.lines = p.lines[:0] // the program has handled them and sent nothing
	}
	p.lines = append(p.lines, p.delivered())
}

func (p *program) takeOver(from *program) {
	from.entered = append(p.entered, from.entered...)
	*p, *from = *from, program{}
	if p.session != nil {
		p.session.program = p
	}
}

func (o *owners) connecting(e *event.Event) {
	var s *session
	if raw := o.raw[e.Node]; e.Scripted && raw != nil && raw.last == 0 {
		s = raw
	} else if p := o.programs[e.Node]; !e.Scripted && p != nil {
		s = p.session
	}
	if s != nil {
		s.last = e.Conn
		o.conns[e.Conn] = &ownedConn{session: s}
	}
}

// joinRaw adds a step to the session of the connection that the script of its phone drives, which may begin now.
func (o *owners) joinRaw(st *step) {
	phone := uint32(st.Phone)
	if st.index < 0 { // of an adversary
		return
	}
	if st.TCP.Connect {
		o.raw[phone] = &session{began: o.world.Now()}
	}
	o.raw[phone].join(st)
}

func (c *ownedConn) phoneSent(e *event.Event) {
	var st *step
	if p := c.session.program; p != nil {
		p.sends(string(e.Bytes))
		st = p.acting
	} else if q := c.session.queued; len(q) > 0 {
		st, c.session.queued = q[0], q[1:]
	}
	c.sent = append(c.sent, piece{st, string(e.Bytes)})
}

// sends finds the line for which the program sends a text. A text without a line continues the last operation.
func (p *program) sends(text string) {
	if p.busy && p.upload {
		return
	}
	i := slices.IndexFunc(p.lines, func(in input) bool {
		return in.line == text || in.line == protocol.CommandLogoutJoined && text == protocol.CommandLogout
	})
	if i >= 0 {
		p.acting, p.busy, p.upload = p.lines[i].step, true, text == protocol.CommandUpload
		p.lines = p.lines[i+1:]
	}
}

// done returns the owner of the operation whose end the program reports.
func (p *program) done(op nodes.Operation) *step {
	if s := p.session; s != nil && s.last == 0 { // the session that is opened now has ended it
		return p.former
	}
	if p.busy {
		p.busy = false
		return p.acting
	}
	for len(p.lines) > 0 { // nothing was sent: there was no connection
		st := p.lines[0].step
		if p.lines = p.lines[1:]; st != nil && st.operation() == op {
			return st
		}
	}
	return nil
}

// take moves bytes from those that were sent to the last read, and finds the requests that are complete.
func (c *ownedConn) take(p []byte) {
	c.read = nil
	c.sent = cut(c.sent, len(p), func(s piece) {
		if s.step != nil {
			s.step.toRead -= len(s.text)
		}
		c.read, c.begun = append(c.read, s.step), append(c.begun, s)
	})
	c.reader.Feed(p)
	for m, ok := c.reader.Next(); ok; m, ok = c.reader.Next() {
		c.request(m.Kind, m.Bytes)
	}
}

// request handles a request that the server has read. The server handles the requests of one read one after the other.
// Of several steps that sent parts of a request, it belongs to the first that expects more answers, else to the last.
func (c *ownedConn) request(kind protocol.MessageKind, text []byte) {
	var owner *step
	c.begun = cut(c.begun, len(text), func(b piece) {
		if !owner.expectsReply() {
			owner = b.step
		}
	})
	switch kind {
	case protocol.Username:
		c.current = owner
		c.reader.Expect(protocol.ExpectPassword)
		return
	case protocol.Skipped:
		return
	case protocol.Upload:
		c.reader.Expect(protocol.ExpectCount)
	case protocol.Count:
		if c.lines, _ = protocol.ParseCount(text); c.lines > 0 {
			c.reader.Expect(protocol.ExpectLine)
		} else {
			c.reader.Expect(protocol.ExpectCommand)
		}
	case protocol.Line:
		if c.lines--; c.lines == 0 {
			c.reader.Expect(protocol.ExpectCommand)
		}
	}
	owner.asks()
	c.awaited = append(c.awaited, owner)
}

// asks counts a request of the step, which may be nil.
func (st *step) asks() {
	if st != nil {
		st.asked++
	}
}

func (st *step) expectsReply() bool { return st != nil && st.asked < st.expected }

// next ends the wait of the first request that awaits an answer.
func (c *ownedConn) next() {
	if len(c.awaited) > 0 {
		c.current, c.awaited = c.awaited[0], c.awaited[1:]
	}
}

// answer returns the owner of an answer of the server: that of the first request that awaits one. An answer that no
// request awaits is for the last one, such as a joined login.
func (c *ownedConn) answer(text []byte) *step {
	if len(c.awaited) == 0 {
		c.current.asks()
	}
	c.next()
	if string(text) == protocol.Welcome {
		c.reader.Expect(protocol.ExpectCommand)
	}
	return c.current
}

// replied returns the owner of an answer that has arrived whole. The sends of a remote server are not observed.
func (c *ownedConn) replied(text []byte) *step {
	if len(c.answers) > 0 {
		st := c.answers[0]
		c.answers = c.answers[1:]
		return st
	}
	if p := c.session.program; p != nil {
		return p.acting
	}
	return c.answer(text)
}

// decided returns the step that a decision of the server concerns. The server decides about a wrong password before it
// answers, and about other requests after it.
func (c *ownedConn) decided(k nodes.ServerEventKind) *step {
	if p := c.session.program; p != nil && c.server == notSeen {
		return p.acting
	}
	switch k {
	case nodes.EventWrongPassword, nodes.EventBlockBegan, nodes.EventRefused:
		if len(c.awaited) > 0 {
			return c.awaited[0]
		}
	}
	return c.current
}

// isOver reports whether a program reads nothing more of a session.
func (o *owners) isOver(s *session, number uint32) bool {
	if s.program == nil { // the script reads until the server closes the connection
		return false
	}
	stage := o.world.Stage(number)
	return s != s.program.session || stage == nodes.StageOffline || stage == nodes.StageLoggedOut
}
