package live

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// What follows stands in for the observer of a server that runs elsewhere: what
// it decided shows in its answers.

// decidedElsewhere tells what the end of an operation says about the server.
func (w *World) decidedElsewhere(p *phone, e *nodes.PhoneEffect) {
	if w.config.Remote == "" {
		return
	}
	if p.link != nil && e.Outcome != nodes.OutcomeOK {
		w.cutShort(p.link)
	}
	if l := p.left; l != nil && (e.Outcome == nodes.OutcomeBlocked || e.Op == nodes.OpLogout) {
		l.dismissed = true
	}
	for _, kind := range decisions(e, p.said) {
		w.decided(p.who, false, nodes.ServerEvent{Kind: kind, Entries: e.Entries})
	}
}

func decisions(e *nodes.PhoneEffect, said string) []nodes.ServerEventKind {
	switch {
	case e.Op == nodes.OpLogin:
		return loginDecisions(e.Outcome, said)
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

func loginDecisions(o nodes.Outcome, said string) []nodes.ServerEventKind {
	switch {
	case o == nodes.OutcomeOK:
		return []nodes.ServerEventKind{nodes.EventLoggedIn}
	case o == nodes.OutcomeWrongPassword:
		return []nodes.ServerEventKind{nodes.EventWrongPassword}
	case o == nodes.OutcomeBlocked && said == protocol.NowBlocked:
		return []nodes.ServerEventKind{nodes.EventWrongPassword, nodes.EventBlockBegan}
	case o == nodes.OutcomeBlocked:
		return []nodes.ServerEventKind{nodes.EventRefused}
	}
	return nil
}

func (w *World) decided(phone uint32, raw bool, e nodes.ServerEvent) {
	o := w.event(event.ServerDecided, event.Server, phone)
	o.Scripted, o.Decision = raw, &e
	w.stream.Emit(o)
}

// watchedConn hears the end of what a server elsewhere sends, also when the
// phone's program has hung up upon its last answer.
type watchedConn struct {
	*net.TCPConn
	world *World
	link  *link
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.link.dismissed && !w.closing {
		c.link.dismissed = false
		w.moment()
		w.phoneEnded(c.link, "is closed by the server, too")
		w.emitLink(event.HungUp, c.link)
	}
	return n, err
}

type answer struct {
	text    string
	outcome nodes.Outcome
}

// answers are the texts that a server sends, as outcomes of a login.
var answers = []answer{
	{protocol.Welcome, nodes.OutcomeOK},
	{protocol.TryAgain, nodes.OutcomeWrongPassword},
	{protocol.NowBlocked, nodes.OutcomeBlocked},
	{protocol.IsBlocked, nodes.OutcomeBlocked},
}

// repliesOf tells the story of each answer that has come whole on a link: how the
// server cut them nobody knows, so that those that a script may have asked for at
// once are taken by their texts. A phone's program asks for one at a time.
func (w *World) repliesOf(l *link) {
	for len(l.got) > 0 {
		n := replyLength(l.got, l.raw)
		if n == 0 {
			return // the beginning of an answer
		}
		w.replied(l, l.got[:n])
	}
}

// replied tells the story of the first bytes of what came on a link.
func (w *World) replied(l *link, reply []byte) {
	l.got = l.got[len(reply):]
	if l.raw {
		w.rawDecisions(l, string(reply))
	}
	w.emitBytes(event.Replied, l, reply)
}

// cutShort tells the story of the beginning of an answer whose rest never came.
func (w *World) cutShort(l *link) {
	if w.config.Remote != "" && len(l.got) > 0 {
		w.replied(l, l.got)
	}
}

// replyLength is how long the first answer of what came is; 0: it is not whole.
// Bytes that no answer has belong to the one before them. Only when several may
// have come at once the next one ends the first.
func replyLength(got []byte, several bool) int {
	if beginsText(got) && !hasText(got) {
		return 0
	}
	if !several {
		return len(got)
	}
	n := 0
	for _, a := range answers {
		if bytes.HasPrefix(got, []byte(a.text)) {
			n = len(a.text)
		}
	}
	if n == 0 {
		n = numberLength(got)
	}
	if n == 0 {
		return len(got)
	}
	for n < len(got) && !beginsText(got[n:]) && (got[n] < '0' || got[n] > '9') {
		n++
	}
	return n
}

// numberLength is how long the first answer in digits is; 0: there is none.
func numberLength(got []byte) int {
	digits := len(got) - len(bytes.TrimLeft(got, "0123456789"))
	switch {
	case digits >= protocol.TempIDSize:
		return protocol.TempIDSize
	case digits > 0 && len(bytes.Trim(got[:digits], protocol.Ack)) == 0:
		return len(protocol.Ack)
	}
	return digits
}

// beginsText says whether what came begins with a text that a server sends, or
// is the beginning of one.
func beginsText(got []byte) bool {
	return slices.ContainsFunc(answers, func(a answer) bool {
		n := min(len(got), len(a.text))
		return n > 0 && string(got[:n]) == a.text[:n]
	})
}

func hasText(got []byte) bool {
	return slices.ContainsFunc(answers, func(a answer) bool { return bytes.HasPrefix(got, []byte(a.text)) })
}

func (w *World) rawDecisions(l *link, reply string) {
	for _, a := range answers {
		if a.text != reply {
			continue
		}
		for _, kind := range loginDecisions(a.outcome, reply) {
			w.decided(l.phone, true, nodes.ServerEvent{Kind: kind})
		}
	}
	if len(reply) == protocol.TempIDSize {
		w.decided(l.phone, true, nodes.ServerEvent{Kind: nodes.EventIssued})
	}
}

// readElsewhere: what a script sends counts as read when it leaves.
func (w *World) readElsewhere(l *link, n int) {
	if w.config.Remote != "" {
		w.handled(l, n)
	}
}

// absent ends a run whose first connection was refused: the server elsewhere is
// not there.
func (w *World) absent(reason string) {
	if w.config.Remote != "" && !w.stood {
		w.fail(fmt.Errorf("no connection to the server elsewhere, %q: %s", w.config.Remote, reason))
	}
}

// stoodElsewhere and closedElsewhere count the sessions of a server that nobody
// observes.
func (w *World) stoodElsewhere(l *link) {
	if w.config.Remote != "" {
		w.stood = true
		w.stream.Emit(w.event(event.RemoteOpened, event.Server, l.phone))
	}
}

func (w *World) closedElsewhere(l *link) {
	if w.config.Remote != "" && l.stands {
		w.stream.Emit(w.event(event.RemoteClosed, event.Server, l.phone))
	}
}
