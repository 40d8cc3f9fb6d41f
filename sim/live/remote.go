package live

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/sim/event"
)

// remoteServer stands for a server in another process. The world cannot observe its machine, so the remoteServer
// infers the decisions from the answers that the phones receive, and the sessions from the phones' connections.
type remoteServer struct {
	schedule *scheduler
	emit     *event.Emitter
	tcp      *tcp
	address  string           // host:port
	reached  bool             // a connection has been established
	answered bool             // a phone has understood an answer
	wrong    bool             // a wrong password was answered
	dialect  *dialect.Dialect // nil for that of PROTOCOL.md
	wire     func(phone uint32, sent bool, b []byte)
}

// translated returns the connection with the dialect of the server translated.
func (r *remoteServer) translated(ctx context.Context, c *connection, conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok || r.dialect == nil || c.Scripted { // a script sends the bytes of the wire
		return conn
	}
	redial := func() (*net.TCPConn, error) {
		again, err := r.tcp.dialer(c.Phone).DialContext(ctx, "tcp", r.address)
		if err != nil {
			return nil, err
		}
		return again.(*net.TCPConn), nil
	}
	phone := c.Phone
	return socket.Translate(tcp, r.dialect, r.schedule.clock, redial, socket.TranslatedObserver{
		Effect: func(e dialect.Effect) {
			if e.Kind == dialect.Misunderstood {
				go r.misunderstood(c, e.Text)
			}
		},
		Wire: func(sent bool, b []byte) {
			if r.wire != nil {
				r.wire(phone, sent, b)
			}
		},
	})
}

// operationDone emits the decisions that the end of an operation of the phone's program reveals.
func (r *remoteServer) operationDone(p *phoneHost, e *nodes.PhoneEffect) {
	if p.current != nil && e.Outcome != nodes.OutcomeOK {
		r.tcp.flushReply(p.current)
	}
	r.diagnose(p.config.Name, e, p.printed)
	if p.previous != nil && (e.Outcome == nodes.OutcomeBlocked || e.Op == nodes.OpLogout) {
		p.previous.dismissed = true
	}
	c := cmp.Or(p.current, p.previous, &connection{Connection: event.Connection{Phone: p.number}})
	for _, kind := range decisions(e, p.printed) {
		r.emit.ServerDecided(&c.Connection, &nodes.ServerEvent{Kind: kind, Entries: e.Entries})
	}
}

// BlockedBefore is the error of a run in which the account of a phone is blocked before the run has blocked it.
type BlockedBefore struct {
	Phone string
}

func (e *BlockedBefore) Error() string {
	return fmt.Sprintf("the account of %s is blocked, and no wrong password was answered in this run: an earlier "+
		"run may have blocked it; wait for the end of the block, or start the server again", e.Phone)
}

// diagnose fails the run if the first operation of all shows that the server does not speak the phones' language, or if
// an account is blocked before a wrong password of the run was answered.
func (r *remoteServer) diagnose(phone string, e *nodes.PhoneEffect, printed string) {
	if e.Outcome == nodes.OutcomeWrongPassword {
		r.wrong = true
	}
	speaks := "the protocol of docs/PROTOCOL.md"
	if r.dialect != nil {
		speaks = "the dialect " + r.dialect.Name
	}
	switch {
	case e.Outcome == nodes.OutcomeBlocked && !r.wrong:
		r.schedule.fail(&BlockedBefore{phone})
	case r.answered:
	case e.Outcome == nodes.OutcomeNoAnswer:
		r.schedule.fail(fmt.Errorf("the server at %s gave no answer to a name and a password in %s: it may wait for a "+
			"message of another form (--dialect)", r.address, speaks))
	case e.Outcome == nodes.OutcomeUnexpectedAnswer:
		r.schedule.fail(fmt.Errorf("the server at %s does not speak %s: %s (--dialect names another one)", r.address,
			speaks, printed))
	case e.Outcome != nodes.OutcomeConnectionLost:
		r.answered = true
	}
}

// decisions returns the decisions that an operation's outcome reveals.
func decisions(e *nodes.PhoneEffect, printed string) []nodes.ServerEventKind {
	switch {
	case e.Op == nodes.OpLogin:
		return loginDecisions(e.Outcome, printed)
	case e.Op == nodes.OpDownload && e.Outcome == nodes.OutcomeOK:
		return []nodes.ServerEventKind{nodes.EventIssued}
	case e.Op == nodes.OpUpload && e.Outcome == nodes.OutcomeOK:
		return []nodes.ServerEventKind{nodes.EventUploadDone}
	case e.Op == nodes.OpUpload:
		return []nodes.ServerEventKind{nodes.EventUploadBroken}
	case e.Op == nodes.OpLogout && e.Outcome == nodes.OutcomeOK:
		return []nodes.ServerEventKind{nodes.EventSessionEnded}
	}
	return nil
}

// loginDecisions returns the decisions that the outcome of a login and the server's text reveal.
func loginDecisions(o nodes.Outcome, text string) []nodes.ServerEventKind {
	switch {
	case o == nodes.OutcomeOK:
		return []nodes.ServerEventKind{nodes.EventLoggedIn}
	case o == nodes.OutcomeWrongPassword:
		return []nodes.ServerEventKind{nodes.EventWrongPassword}
	case o == nodes.OutcomeBlocked && text == protocol.NowBlocked:
		return []nodes.ServerEventKind{nodes.EventWrongPassword, nodes.EventBlockBegan}
	case o == nodes.OutcomeBlocked:
		return []nodes.ServerEventKind{nodes.EventRefused}
	}
	return nil
}

// inferFromReply emits the decisions that a reply to a script reveals.
func (r *remoteServer) inferFromReply(c *connection, reply []byte) {
	if a, complete := answerAt(reply); complete && len(a.text) == len(reply) {
		r.wrong = r.wrong || a.outcome == nodes.OutcomeWrongPassword
		for _, kind := range loginDecisions(a.outcome, a.text) {
			r.emit.ServerDecided(&c.Connection, &nodes.ServerEvent{Kind: kind})
		}
	}
	if len(reply) == protocol.TempIDSize {
		r.emit.ServerDecided(&c.Connection, &nodes.ServerEvent{Kind: nodes.EventIssued})
	}
}

// refused fails the run if the server was never reached.
func (r *remoteServer) refused(reason string) {
	if !r.reached {
		r.schedule.fail(fmt.Errorf("cannot connect to the remote server %q: %s", r.address, reason))
	}
}

// misunderstood emits that the server does not speak its dialect.
func (r *remoteServer) misunderstood(c *connection, text string) {
	r.schedule.locked(func() {
		if !r.answered {
			r.schedule.fail(fmt.Errorf("the server at %s does not speak the dialect %s: %s", r.address,
				r.dialect.Name, text))
		}
		r.emit.Text(event.ProgramStatus, c.Phone, "does not understand the server: "+text)
	})
}

// endable is a connection of which one side can be ended.
type endable interface {
	net.Conn
	CloseWrite() error
	SetLinger(seconds int) error
}

// watchedConn reports the end of the server's stream, even if the phone's program has closed its side after the
// server's last answer.
type watchedConn struct {
	endable
	remote     *remoteServer
	connection *connection
}

// Read implements net.Conn.
func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.endable.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	r, s := c.remote, c.remote.schedule
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.connection.dismissed && !s.closing {
		c.connection.dismissed = false
		s.advanceToClock()
		r.emit.PhoneEnded(&c.connection.Connection, "is closed by the server, too")
		r.emit.PhoneConn(event.HungUp, &c.connection.Connection)
	}
	return n, err
}

// answer is a text that a server sends, with the outcome of a login that it means.
type answer struct {
	text    string
	outcome nodes.Outcome
}

// answers are the answers to a login. None begins with another one.
var answers = []answer{
	{protocol.Welcome, nodes.OutcomeOK},
	{protocol.TryAgain, nodes.OutcomeWrongPassword},
	{protocol.NowBlocked, nodes.OutcomeBlocked},
	{protocol.IsBlocked, nodes.OutcomeBlocked},
}

// replyLength returns the length of the first reply in the bytes received, or 0 if it is incomplete. The lengths of a
// remote server's writes are not known. If several replies may have arrived at once, as with a script that sends
// several requests, they are told apart by their texts, and bytes that begin no reply belong to the previous one. A
// phone's program sends one request at a time, so all bytes belong to one reply.
func replyLength(received []byte, several bool) int {
	a, complete := answerAt(received)
	n := digitsLength(received)
	switch {
	case complete:
		n = len(a.text)
	case a != nil:
		return 0
	}
	if !several || n == 0 {
		return len(received)
	}
	for ; n < len(received) && (received[n] < '0' || received[n] > '9'); n++ {
		if a, _ = answerAt(received[n:]); a != nil {
			break
		}
	}
	return n
}

// digitsLength returns the length of the first reply that consists of digits, or 0 if there is none. Such a reply is
// a TempID or an acknowledgement.
func digitsLength(received []byte) int {
	digits := len(received) - len(bytes.TrimLeft(received, "0123456789"))
	switch {
	case digits >= protocol.TempIDSize:
		return protocol.TempIDSize
	case digits > 0 && len(bytes.Trim(received[:digits], protocol.Ack)) == 0:
		return len(protocol.Ack)
	}
	return digits
}

// answerAt returns the answer with which the bytes begin, or of which they are the beginning, and whether the answer is
// complete. It returns nil if there is no such answer.
func answerAt(received []byte) (a *answer, complete bool) {
	for i := range answers {
		text := answers[i].text
		if n := min(len(received), len(text)); n > 0 && string(received[:n]) == text[:n] {
			return &answers[i], n == len(text)
		}
	}
	return nil, false
}
