package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios"
)

// phone hosts one client machine (nodes.Phone), which does one session at a time.
// The pacing goroutine calls it when an operation or a timeout is due, and the
// goroutines of the network when bytes arrive. Each takes mu, and none blocks under
// it.
//
// The machine knows the protocol. The phone decides when an operation begins, and
// measures when it was due, sent and done.
type phone struct {
	Phone
	*engine
	mu      sync.Mutex
	machine nodes.Phone
	session session

	link      *link // the connection; nil if there is none
	departure alarm // rings when the next operation is due
	timeout   alarm // rings when an answer is due, or before
	timing    bool  // timeout is set

	udp     Datagrams // nil if the load has no beacons
	to      *phone    // receives its beacons
	from    *phone    // sends it beacons
	number  uint32    // of the last beacon that it sent
	flights []flight  // of the last beacons; nil before the first
}

// session is one arrival: the operations of a script, one after the other. It
// never blocks. An operation that is not yet due sets an alarm, and the session
// goes on when the answer of an operation arrives.
type session struct {
	script   []Operation // the rest of it, with the current operation first
	measured bool
	loggedIn func(loginEnd) // of a login before the load, which is not measured; else nil
	notSent  bool           // the current operation has no connection
	waited   bool           // the current operation had no answer within the timeout
	state    state

	due, ready, sent time.Duration // of the current operation
	answerBy         time.Duration // when it times out
}

// state is the event that a session waits for.
type state int

const (
	noSession state = iota
	notDue          // the next operation
	connecting
	awaitingAnswer
)

// scripts are the operations of each kind of session.
type scripts struct {
	session  []Operation              // of an arrival
	preLogin []Operation              // of a phone of a mix, before the load
	single   [operations][1]Operation // of an arrival of a mix
}

func newScripts(t *scenarios.Traffic) scripts {
	s := scripts{preLogin: []Operation{Connect, Login, TempID}}
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

// preLogin logs in a phone of a mix without measuring it. It calls loggedIn at the
// end.
func (p *phone) preLogin(due time.Duration, loggedIn func(loginEnd)) {
	p.start(session{script: p.scripts.preLogin, loggedIn: loggedIn}, due)
}

// loginEnd is how a login without measuring ended.
type loginEnd struct {
	outcome Outcome
	left    int  // number of operations that were not tried
	waited  bool // for an answer, until the timeout
}

// reloginPause is the time after which a phone of a mix tries again to log in. Of many
// phones it is longer, so that all together try at most maxRelogins times a second
// while the server is away.
const (
	reloginPause = 100 * time.Millisecond
	maxRelogins  = 2000
)

// relogin logs in a phone of a mix until it succeeds. Then the phone is free.
func (p *phone) relogin(due time.Duration) {
	p.hangUp()
	p.preLogin(due, func(l loginEnd) {
		if l.outcome == OK || p.stopping.Load() {
			p.release(p)
			return
		}
		p.relogin(p.now() + max(reloginPause, time.Duration(len(p.phones))*time.Second/maxRelogins))
	})
}

// start begins a session, whose first operation is due at due.
func (p *phone) start(s session, due time.Duration) {
	p.session = s
	p.session.due, p.session.ready = due, due
	p.proceed()
}

// proceed begins operations until the session has to wait, or is over.
func (p *phone) proceed() {
	s := &p.session
	for {
		if len(s.script) == 0 {
			p.end(OK)
			return
		}
		if p.stopping.Load() {
			p.end(stillOpen)
			return
		}
		if at := max(s.due, s.ready); p.now() < at {
			s.state = notDue
			p.schedule.set(&p.departure, at)
			return
		}
		if p.begin() {
			return
		}
	}
}

// onDue begins the next operation when its alarm rings.
func (p *phone) onDue(time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session.state == notDue {
		p.proceed()
	}
}

// begin sends the first message of the current operation. It returns false if the
// next operation does not wait for an answer.
func (p *phone) begin() (waits bool) {
	s := &p.session
	now := p.machineNow()
	s.sent = p.runTime(now)
	o := s.script[0]
	if s.loggedIn == nil {
		p.m.tallies[phaseIndex(s.measured)].begun[o].Add(1)
	}
	switch o {
	case Beacon:
		p.sendBeacon()
		return false
	case Connect:
		s.state = connecting
	default:
		s.state = awaitingAnswer
	}
	p.await(now)
	if o != Connect && p.link == nil { // the connection broke before
		s.notSent = true
		p.finish(Unknown, s.sent)
		return true
	}
	p.call(now, func(now nodes.Now, out *nodes.PhoneOutbox) {
		switch o {
		case Connect:
			p.machine.Open(now, out)
		case Login:
			if p.PasswordPause == 0 {
				p.machine.Typed(now, p.User, out)
			}
			p.machine.Typed(now, p.Password, out)
		case TempID:
			p.machine.Typed(now, protocol.CommandDownload, out)
		case Upload:
			p.machine.Upload(now, p.uploadEntries(), out)
		case Logout:
			p.machine.Typed(now, protocol.CommandLogout, out)
		}
	})
	return true
}

// call calls the machine with input that comes at now, and carries out its effects.
func (p *phone) call(now nodes.Now, input func(nodes.Now, *nodes.PhoneOutbox)) {
	out := p.takeOutbox()
	input(now, out)
	p.carryOut(now, out)
	p.putOutbox(out)
}

// carryOut carries out the effects of the machine's last call, which was at now. It
// finishes the current operation if the machine reports its end.
func (p *phone) carryOut(now nodes.Now, out *nodes.PhoneOutbox) {
	s := &p.session
	loggingOut := s.state == awaitingAnswer && s.script[0] == Logout
	var outcome Outcome
	done := false
	for i := range out.Effects {
		e := &out.Effects[i]
		switch e.Kind {
		case nodes.PhoneConnect:
			p.hangUp()
			p.link = &link{phone: p}
			p.link.conn = p.Network.Dial(p.link)
		case nodes.PhoneSendTCP:
			if p.link != nil && p.link.conn.Write(e.Bytes) != nil && s.state == awaitingAnswer {
				outcome, done = Unknown, true
			}
			p.await(now)
		case nodes.PhoneCloseTCP:
			if !loggingOut { // a logout is done when the server closes the connection
				p.hangUp()
			}
		case nodes.PhoneDone:
			if s.state == awaitingAnswer && !loggingOut && !done {
				outcome, done = outcomeOf(e.Outcome), true
				s.waited = e.Outcome == nodes.OutcomeNoAnswer
			}
		}
	}
	if done {
		p.finish(outcome, p.runTime(now))
	}
}

func outcomeOf(o nodes.Outcome) Outcome {
	switch o {
	case nodes.OutcomeOK:
		return OK
	case nodes.OutcomeNoAnswer, nodes.OutcomeConnectionLost:
		return Unknown
	}
	return Failed
}

// await sets the time at which the answer to a message sent at now times out.
func (p *phone) await(now nodes.Now) {
	p.session.answerBy = p.runTime(now) + p.Traffic.Timeout
	if !p.timing {
		p.timing = true
		p.schedule.set(&p.timeout, p.session.answerBy)
	}
}

// onTimeout runs at the alarm of the timeout. It ends the operation if its answer is
// overdue. If the alarm was set for an earlier answer, it sets the alarm again: moving
// the alarm at every answer would cost more.
func (p *phone) onTimeout(at time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.session
	p.timing = false
	switch {
	case s.state != connecting && s.state != awaitingAnswer:
	case at < s.answerBy:
		p.timing = true
		p.schedule.set(&p.timeout, s.answerBy)
	default:
		now := p.machineNow()
		p.call(now, p.machine.Wake) // its limit for an answer is the timeout, too
		waits := s.state == connecting || s.state == awaitingAnswer
		if waits && at >= s.answerBy { // the machine has no limit for Connect and Logout
			if s.state == connecting {
				p.outage.add(s.sent, p.runTime(now), syscall.ETIMEDOUT)
			}
			s.waited = true
			p.finish(Unknown, p.runTime(now))
		}
	}
}

// finish measures the current operation, and goes on to the next one if it
// succeeded.
func (p *phone) finish(outcome Outcome, done time.Duration) {
	s := &p.session
	o := s.script[0]
	p.measure(outcome, done)
	s.ready = done
	s.script = s.script[1:]
	if outcome != OK {
		p.end(outcome)
		return
	}
	p.follow(p.expected.Load()[o])
	if o == Connect {
		p.sendName()
	}
	p.proceed()
}

// measure adds the current operation to the figures, unless it belongs to a login
// before the load.
func (p *phone) measure(outcome Outcome, done time.Duration) {
	s := &p.session
	if s.loggedIn != nil {
		return
	}
	if s.waited {
		p.m.tallies[phaseIndex(s.measured)].waited[s.script[0]].Add(1)
	}
	p.add(p, &Row{Operation: s.script[0], Outcome: outcome, NotSent: s.notSent, Waited: s.waited,
		Due: s.due, Ready: s.ready, Sent: s.sent, Done: done}, s.measured)
}

// follow sets the time at which the next operation is due: after the expected
// response time of this one. The warm-up measures the expected times, so there the
// next operation is due at once.
func (p *phone) follow(expected time.Duration) {
	if s := &p.session; s.measured {
		s.due += expected
	} else {
		s.due = s.ready
	}
}

// sendName sends the username when the connection is established, if there is a
// pause until the password (PROTOCOL.md section 2).
func (p *phone) sendName() {
	s := &p.session
	if p.PasswordPause == 0 || len(s.script) == 0 || s.script[0] != Login {
		return
	}
	s.state = notDue
	now := p.machineNow()
	// After an error of this message the password cannot be sent either.
	p.call(now, func(now nodes.Now, out *nodes.PhoneOutbox) { p.machine.Typed(now, p.User, out) })
	s.due += p.PasswordPause
	s.ready = max(p.runTime(now), s.ready) + p.PasswordPause
}

// uploadEntries returns the entries of an upload: those of the contact log in turn,
// or the phone's own beacon if the log is empty.
func (p *phone) uploadEntries() []nodes.Contact {
	log := p.machine.Log()
	own, _ := p.machine.TempID()
	entries := make([]nodes.Contact, p.Traffic.Entries)
	for i := range entries {
		if n := log.Len(); n > 0 {
			entries[i] = log.At(i % n)
		} else {
			entries[i] = nodes.Contact{Beacon: own}
		}
	}
	return entries
}

// end ends the session. Its outcome is that of its last operation, or stillOpen. A
// phone of a mix whose session broke logs in again before it is free.
func (p *phone) end(outcome Outcome) {
	was := p.session
	p.session = session{}
	if was.loggedIn != nil {
		was.loggedIn(loginEnd{outcome, len(was.script), was.waited})
		return
	}
	p.m.tallies[phaseIndex(was.measured)].sessions[outcome].Add(1)
	switch phase := p.phases[phaseIndex(was.measured)]; outcome {
	case Failed:
		phase.Failed.Add(1)
	case Unknown:
		phase.Unknown.Add(1)
	}
	if p.Traffic.Session != nil {
		p.hangUp()
	} else if outcome != OK && !p.stopping.Load() {
		p.relogin(p.now())
		return
	}
	p.release(p)
}

// abort ends the session. An operation that was sent has no answer.
func (p *phone) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.session.state {
	case connecting, awaitingAnswer:
		p.measure(Unknown, p.now())
		p.end(stillOpen)
	case notDue:
		p.end(stillOpen)
	}
	p.hangUp()
}

// hangUp closes the connection, if there is one.
func (p *phone) hangUp() {
	if p.link != nil {
		_ = p.link.conn.Close() // no message is unsent
		p.link = nil
	}
}

// link is one connection of a phone. Events of a former one have no effect.
type link struct {
	phone *phone
	conn  Conn
}

// OnOpen finishes the operation Connect.
func (l *link) OnOpen(err error) {
	p := l.phone
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != l || p.session.state != connecting {
		return
	}
	now := p.machineNow()
	outcome := OK
	p.outage.add(p.session.sent, p.runTime(now), err)
	switch {
	case err == nil:
		p.call(now, p.machine.Connected)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, net.ErrClosed):
		outcome = Unknown
	default:
		outcome, p.session.notSent = Failed, true
	}
	p.finish(outcome, p.runTime(now))
}

// OnData brings bytes of the server to the machine. None may answer a logout.
func (l *link) OnData(b []byte) {
	p := l.phone
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != l {
		return
	}
	now := p.machineNow()
	if p.session.state == awaitingAnswer && p.session.script[0] == Logout {
		p.finish(Failed, p.runTime(now))
		return
	}
	p.call(now, func(now nodes.Now, out *nodes.PhoneOutbox) { p.machine.Read(now, b, out) })
}

// OnEnd finishes a logout. It ends any other operation without an answer.
func (l *link) OnEnd(err error) {
	p := l.phone
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link != l {
		return
	}
	now := p.machineNow()
	p.hangUp()
	if p.session.state == awaitingAnswer && p.session.script[0] == Logout {
		outcome := Unknown
		if errors.Is(err, io.EOF) {
			outcome = OK
		}
		p.finish(outcome, p.runTime(now))
		return
	}
	p.call(now, p.machine.Closed)
}

// receive brings a datagram to the machine once all phones have their sockets, and
// measures the beacons that are then complete.
func (p *phone) receive(from netip.AddrPort, b []byte) {
	if !p.socketsOpen.Load() {
		return
	}
	out := p.takeOutbox()
	defer p.putOutbox(out)
	p.mu.Lock()
	now := p.machineNow()
	p.machine.Datagram(now, protocol.AddressOf(from), b, out)
	p.carryOut(now, out)
	p.mu.Unlock()
	sender := protocol.AddressOf(p.from.udp.Address())
	for i := range out.Effects {
		if e := &out.Effects[i]; e.Kind == nodes.PhoneJudged {
			p.received(e, e.From == sender, p.runTime(now))
		}
	}
}
