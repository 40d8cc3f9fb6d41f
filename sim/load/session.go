package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

// session is one arrival: what a phone does, step by step. It never waits: a step
// that is not due yet sets an alarm, and one that was sent goes on when its
// answer is heard.
type session struct {
	script   []Operation // what is left of it, the one under way first
	measured bool
	entered  func(ok bool) // logging in for a mix, which is no part of the load; nil: a part
	unknown  bool          // one of its operations got no answer
	state    state

	due, ready, sent time.Duration // of the operation under way
	answerBy         time.Duration
	lines            []string // of an upload, that are still to be sent
}

// state is what a session waits for.
type state int

const (
	atRest    state = iota // nothing: there is no session
	toDepart               // until the next operation is due
	toOpen                 // for its connection
	forAnswer              // for the server
)

// scripts are what sessions do.
type scripts struct {
	session  []Operation              // of an arrival
	entrance []Operation              // of a phone of a mix, before the load
	single   [operations][1]Operation // of an arrival of a mix
}

func scriptsOf(t *scenarios.Traffic) scripts {
	s := scripts{entrance: []Operation{Connect, Login, TempID}}
	for o := range operations {
		s.single[o][0] = o
	}
	for _, verb := range t.Session {
		switch verb {
		case scenarios.VerbLogin:
			s.session = append(s.session, Connect, Login)
		case scenarios.VerbBeacon:
			for range t.Beacons {
				s.session = append(s.session, Beacon)
			}
		default:
			s.session = append(s.session, operationOf(verb))
		}
	}
	return s
}

func operationOf(verb scenarios.Verb) Operation {
	switch verb {
	case scenarios.VerbDownload:
		return TempID
	case scenarios.VerbUpload:
		return Upload
	case scenarios.VerbLogout:
		return Logout
	case scenarios.VerbBeacon:
		return Beacon
	}
	panic(fmt.Sprintf("load: %q is no operation of a session", verb))
}

// start begins a session whose first operation is due at due.
func (p *phone) start(s session, due time.Duration) {
	p.session = s
	p.session.due, p.session.ready = due, due
	p.proceed()
}

// proceed does what is due of the session, until it has to wait or is over.
func (p *phone) proceed() {
	s := &p.session
	for {
		if len(s.script) == 0 || p.stopping.Load() {
			p.end(len(s.script) == 0)
			return
		}
		if at := max(s.due, s.ready); p.now() < at {
			s.state = toDepart
			p.schedule.set(&p.depart, at)
			return
		}
		if p.begin() {
			return
		}
	}
}

// due is the alarm of the next operation.
func (p *phone) due(time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session.state == toDepart {
		p.proceed()
	}
}

// end closes a session; ok says whether all of it was done.
func (p *phone) end(ok bool) {
	was := p.session
	p.session = session{}
	switch {
	case was.entered != nil:
		was.entered(ok)
		return
	case was.unknown:
		p.phases[phaseOf(was.measured)].Unknown.Add(1)
	}
	p.leave(ok)
}

// leave ends what an arrival did. A phone of a mix whose session broke takes
// another one before it is free again.
func (p *phone) leave(ok bool) {
	switch {
	case p.Traffic.Session != nil:
		p.hangUp()
	case !ok && !p.stopping.Load():
		p.reenter(p.now())
		return
	}
	p.release(p)
}

// begin sends the first message of the operation that is due; false: nothing has
// to be waited for.
func (p *phone) begin() (waits bool) {
	s := &p.session
	s.sent = p.now()
	switch s.script[0] {
	case Connect:
		p.dial()
	case Login:
		p.ask(p.password())
	case TempID:
		p.ask(protocol.CommandDownload)
	case Upload:
		s.lines = linesOf(p.entries(p.Traffic.Entries))
		p.ask(protocol.CommandUpload)
	case Logout:
		p.ask(protocol.CommandLogout)
	case Beacon:
		p.fly()
		p.flown()
		return false
	}
	return true
}

// dial begins to open a connection.
func (p *phone) dial() {
	p.reader.Reset()
	p.session.state = toOpen
	p.await()
	p.line = &line{phone: p}
	p.line.conn = p.Network.Dial(p.line)
}

// await has the answer given up after the timeout.
func (p *phone) await() {
	p.session.answerBy = p.session.sent + p.Traffic.Timeout
	if !p.watched {
		p.watched = true
		p.schedule.set(&p.giveUp, p.session.answerBy)
	}
}

// late is the alarm of an answer. It may have been set for an earlier one: to
// set it for each would cost more than to look again.
func (p *phone) late(now time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.session
	p.watched = false
	switch {
	case s.state != toOpen && s.state != forAnswer:
	case now < s.answerBy:
		p.watched = true
		p.schedule.set(&p.giveUp, s.answerBy)
	default:
		p.finish(Unknown)
	}
}

// opened is called when the connection is open, or cannot be had.
func (p *phone) opened(err error) {
	if p.session.state != toOpen {
		return
	}
	switch {
	case err == nil:
		p.finish(OK)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, net.ErrClosed):
		p.finish(Unknown)
	default:
		p.finish(Failed)
	}
}

// pause lets the peer take the username before the password comes (PROTOCOL.md
// section 2). Without one both are one send.
func (p *phone) pause() {
	if p.PasswordPause == 0 || len(p.session.script) == 0 || p.session.script[0] != Login {
		return
	}
	_ = p.line.conn.Write([]byte(p.User)) // if that fails the password will, too
	p.session.due += p.PasswordPause
	p.session.ready = max(p.now(), p.session.ready) + p.PasswordPause
}

func (p *phone) password() string {
	if p.PasswordPause == 0 {
		return p.User + p.Password
	}
	return p.Password
}

// linesOf is an upload after its command.
func linesOf(entries []protocol.Beacon) []string {
	lines := []string{strconv.Itoa(3 * len(entries))}
	for i := range entries {
		lines = append(lines, string(entries[i].TempID[:]), entries[i].Start.String(), entries[i].Expiry.String())
	}
	return lines
}

// ask sends to the server what it answers. What came before is taken for the
// answer, as one who reads only then would.
func (p *phone) ask(text string) {
	p.session.state = forAnswer
	p.await()
	l := p.line
	if l == nil || l.conn.Write([]byte(text)) != nil {
		p.finish(Unknown)
		return
	}
	early := l.early
	l.early = nil
	if len(early) > 0 {
		p.heard(early)
	}
	if l.ended != nil && p.line == l && p.session.state == forAnswer {
		p.ended(l.ended)
	}
}

// heard takes what the server sent.
func (p *phone) heard(b []byte) {
	s := &p.session
	if s.state != forAnswer {
		if l := p.line; len(l.early) < heardAtOnce {
			l.early = append(l.early, b...)
		}
		return
	}
	got, want := protocol.NoReply, protocol.ReplyAck
	switch s.script[0] {
	case Login:
		got, want = p.reader.Login(b), protocol.ReplyWelcome
	case TempID:
		var id protocol.TempID
		if id, got = p.reader.TempID(b); got == protocol.ReplyTempID {
			p.got(id, protocol.LocalTime(p.Clock.Now().Unix()))
		}
		want = protocol.ReplyTempID
	case Upload:
		got = p.reader.Ack(b)
	case Logout: // is answered by the end of the connection
		p.finish(Failed)
		return
	}
	switch {
	case got == protocol.NoReply:
	case got != want:
		p.finish(Failed)
	case len(s.lines) > 0: // each waits for the acknowledgement of the one before
		line := s.lines[0]
		s.lines = s.lines[1:]
		s.answerBy = p.now() + p.Traffic.Timeout
		if p.line.conn.Write([]byte(line)) != nil {
			p.finish(Unknown)
		}
	default:
		p.finish(OK)
	}
}

// ended takes the end of the connection.
func (p *phone) ended(err error) {
	s := &p.session
	switch {
	case s.state != forAnswer:
		p.line.ended = err
	case s.script[0] == Logout && errors.Is(err, io.EOF):
		p.finish(OK)
	default:
		p.finish(Unknown)
	}
}

// finish measures the operation under way, and goes on to the next one if it was
// done.
func (p *phone) finish(outcome Outcome) {
	s := &p.session
	o := s.script[0]
	row := Row{Operation: o, Outcome: outcome, Due: s.due, Ready: s.ready, Sent: s.sent, Done: p.now()}
	if s.entered == nil {
		p.add(&row, s.measured)
	}
	s.unknown = s.unknown || outcome == Unknown
	s.ready = row.Done
	s.script, s.lines = s.script[1:], nil
	if outcome != OK {
		p.end(false)
		return
	}
	p.follow(p.expected.Load()[o])
	if o == Connect {
		p.pause()
	}
	p.proceed()
}

// follow sets when the next operation is due: an expected time after this one.
// In the warm-up, from which these times come, it is at once.
func (p *phone) follow(expected time.Duration) {
	if s := &p.session; s.measured {
		s.due += expected
	} else {
		s.due = s.ready
	}
}

// abandon ends the session under way, if there is one: an operation that was sent
// gets no answer any more.
func (p *phone) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.session.state {
	case toOpen, forAnswer:
		p.finish(Unknown)
	case toDepart:
		p.end(false)
	}
	p.hangUp()
}

// add measures a row.
func (e *engine) add(r *Row, measured bool) {
	f := e.warm
	if measured {
		f = e.measured
	}
	f.add(r)
	outcome := [...]reports.Outcome{OK: reports.OutcomeOK, Failed: reports.OutcomeFailed, Unknown: reports.OutcomeUnknown}[r.Outcome]
	e.meters[phaseOf(measured)][r.Operation].Done(outcome, r.Response(), r.Service(), r.Lag())
}
