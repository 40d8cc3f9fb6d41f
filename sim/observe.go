package sim

import (
	"fmt"
	"slices"

	"bluetrace/nodes"
	"bluetrace/sim/event"
)

// subscribe has the script observe the events that steps and expectations wait for.
func (sc *script) subscribe(s *event.Stream) {
	if len(sc.steps) == 0 {
		return
	}
	sc.owners.subscribe(s)
	s.On(event.BeaconJudged, sc.judged)
	sc.owners.onConn(s, event.Replied, func(c *ownedConn, e *event.Event) {
		c.replied(e.Bytes).each(func(x *expectation) { x.replied(string(e.Bytes)) })
	})
	sc.owners.onConn(s, event.HungUp, sc.hungUp)
	sc.owners.onConn(s, event.ConnectRefused, func(c *ownedConn, e *event.Event) {
		sc.connectionEnds(c.session, e.Conn, "the connection was refused"+sc.causes.ofEnd(e.Node, false))
	})
	sc.owners.onConn(s, event.PhoneEnded, func(c *ownedConn, e *event.Event) {
		if sc.owners.isOver(c.session, e.Node) {
			sc.connectionEnds(c.session, e.Conn, closedByPhone+sc.causes.ofEnd(e.Node, true))
		}
	})
	sc.owners.onProgram(s, event.LineTyped, sc.lineTyped)
	s.On(event.PhoneStopped, sc.programEnded)
	s.On(event.ScreenShown, sc.shown)
	s.On(event.ServerPrinted, sc.shown)
	sc.owners.onProgram(s, event.OperationDone, sc.operationDone)
	sc.owners.onConn(s, event.ServerDecided, sc.serverDecided)
	sc.owners.onConn(s, event.ServerHandled, sc.serverHandled)
}

const closedByPhone = "the phone closed the connection"

// connectionEnds handles that a phone reads nothing more on a connection. Its session ends, unless the session has
// another connection by now.
func (*script) connectionEnds(s *session, conn uint64, why string) {
	if s.last != conn || s.ended != "" {
		return
	}
	s.ended = why
	for _, st := range s.present() {
		st.each((*expectation).sessionEnded)
	}
}

// hungUp handles the end of the server's side of a connection.
func (sc *script) hungUp(c *ownedConn, e *event.Event) {
	s := c.session
	// The server neither closes a connection that was reset or refused nor one that broke because of a fault.
	closed := !s.wasReset() && (c.server == notSeen || c.server == closedByOwn)
	why := "the server closed the connection"
	switch {
	case s.wasReset():
		why = fmt.Sprintf("the step at line %d reset the connection", s.ender.Pos.Line)
	case !closed:
		why = "the connection broke" + sc.causes.ofEnd(e.Node, false)
	case c.server == notSeen:
		c.left(e.At)
	}
	sc.connectionEnds(s, e.Conn, why)
	if s.last != e.Conn {
		return
	}
	steps, closer := s.present(), c.closer
	if c.server == notSeen && len(steps) > 0 {
		closer = steps[len(steps)-1]
	}
	at := slices.Index(steps, closer)
	for i, st := range steps {
		later := closer
		if i >= at {
			later = nil
		}
		st.each(func(x *expectation) { x.hungUp(closed, later) })
	}
}

// judged handles the verdict of a receiver. The verdict concerns the sender's last step that began before the beacon
// was sent, or the sender's first step that waits for a verdict if the time of sending is not known.
func (sc *script) judged(e *event.Event) {
	list, ok := sc.sending[e.Peer]
	if !ok {
		return
	}
	sent := e.Sent
	if !e.SentKnown {
		sent = 0
	}
	var found *step
	for i := len(list) - 1; i >= 0; i-- {
		st := list[i]
		if st.effect.known || st.stage == settled {
			list = slices.Delete(list, i, i+1)
		} else if st.sendsTo(int(e.Node)) {
			if found = st; st.at <= sent {
				break
			}
		}
	}
	sc.sending[e.Peer] = list
	if found != nil {
		sc.takeEffect(found)
	}
}

// operationDone handles the end of an operation of a program.
func (sc *script) operationDone(p *program, e *event.Event) {
	program, done := e.Node, e.Phone
	st := p.done(done.Op)
	if s := p.session; s != nil && done.Outcome != nodes.OutcomeOK && sc.owners.isOver(s, program) {
		sc.connectionEnds(s, s.last, closedByPhone)
	}
	if st != nil && st.stage == began && !st.result.answered && st.operation() == done.Op {
		sc.answered(st, p, done)
	}
	if int(program) >= len(sc.accounts) && done.Op == nodes.OpLogin && done.Outcome == nodes.OutcomeOK {
		sc.world.Call(sc.world.Now(), func() { sc.takeOver(program) })
	}
}

// answered records the outcome of the operation of a step. A logout has no answer: its delay ends with the connection.
func (sc *script) answered(st *step, p *program, done *nodes.PhoneEffect) {
	r := &st.result
	r.answered, r.delay, r.timed = true, sc.world.Now()-done.Began, done.Op != nodes.OpLogout
	switch done.Outcome {
	case nodes.OutcomeOK:
		r.succeeded = true
		if c := sc.owners.conns[p.session.last]; !r.timed {
			c.leaver, c.leftAt = st, sc.world.Now()
		}
	case nodes.OutcomeNoAnswer, nodes.OutcomeConnectionLost, nodes.OutcomeUnexpectedAnswer:
		r.lost, r.timed = true, false
	}
	sc.progress(st)
}

// serverDecided handles a decision of the server about a session.
func (sc *script) serverDecided(c *ownedConn, e *event.Event) {
	st := c.decided(e.Decision.Kind)
	if st == nil || st.stage != began || e.Scripted {
		return
	}
	if d := e.Decision; d.Kind == nodes.EventUploadDone && st.operation() == nodes.OpUpload && !st.result.upload {
		st.result.upload, st.result.entries, st.result.resolved = true, d.Entries, d.Resolved
		st.each((*expectation).uploaded)
		sc.progress(st)
	}
	// A decision after the program has ended the operation concerns another step. Only a logout ends without an
	// answer.
	late := st.result.answered && st.operation() != nodes.OpLogout
	if !late && decides(e.Decision.Kind, st.operation()) {
		sc.takeEffect(st)
	}
}

// decides reports whether a decision of the server is about an operation.
func decides(k nodes.ServerEventKind, op nodes.Operation) bool {
	switch k {
	case nodes.EventLoggedIn, nodes.EventWrongPassword, nodes.EventBlockBegan, nodes.EventRefused:
		return op == nodes.OpLogin
	case nodes.EventIssued:
		return op == nodes.OpDownload
	case nodes.EventSessionEnded:
		return op == nodes.OpLogout
	}
	return false
}

// serverHandled handles that the server has handled the bytes of a scripted connection.
func (sc *script) serverHandled(c *ownedConn, e *event.Event) {
	if !e.Scripted {
		return
	}
	if c.server == notSeen && len(c.sent) > 0 { // a remote server reads each send by itself
		c.take([]byte(c.sent[0].text))
	}
	for _, st := range c.read {
		if st != nil && st.toRead == 0 {
			sc.takeEffect(st)
		}
	}
}

// watch begins to watch the screens and the output of the server that the expectations of a step concern.
func (sc *script) watch(st *step) {
	for _, x := range st.expectations {
		if x.isOpen(printsPart) || x.isOpen(noPrintsPart) || x.isOpen(endsPart) || x.isOpen(runsOnPart) {
			program := x.screen()
			sc.world.Watch(program)
			sc.screens[program] = append(sc.screens[program], x)
		}
		if x.isOpen(serverPrintsPart) || x.isOpen(noServerPrintsPart) {
			sc.screens[event.Server] = append(sc.screens[event.Server], x)
		}
	}
}

// shown handles a text on the screen of a program, or in the output of the server. It drops decided
// expectations once they
// are the greater part of those that watch.
func (sc *script) shown(e *event.Event) {
	decided, list := 0, sc.screens[e.Node]
	for _, x := range list {
		if x.decided {
			decided++
			continue
		}
		x.shown(e)
	}
	if 2*decided > len(list) {
		sc.screens[e.Node] = slices.DeleteFunc(slices.Clone(list), func(x *expectation) bool { return x.decided })
	}
}
