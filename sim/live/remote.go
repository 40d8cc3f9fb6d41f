package live

import (
	"bytes"
	"errors"
	"io"
	"net"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// What follows stands in for the observer of a server that runs elsewhere: what
// it decided shows in its answers.

// decidedElsewhere tells what the end of an operation says about the server.
func (w *World) decidedElsewhere(p *phone, e *nodes.PhoneEffect) {
	if w.config.Remote == "" {
		return
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
	w.counts.Decided(&e)
	w.story.Decided(phone, raw, &e)
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
		w.note(world.PhoneEnded, c.link.phone, world.Nobody, c.link.serial, 0, "is closed by the server, too")
		w.story.Ended(c.link.phone, false)
	}
	return n, err
}

// answers are the texts that a server sends, as outcomes of a login.
var answers = []struct {
	text    string
	outcome nodes.Outcome
}{
	{protocol.Welcome, nodes.OutcomeOK},
	{protocol.TryAgain, nodes.OutcomeWrongPassword},
	{protocol.NowBlocked, nodes.OutcomeBlocked},
	{protocol.IsBlocked, nodes.OutcomeBlocked},
}

// repliesOf tells the story of each answer that has come whole on a link: how the
// server cut them nobody knows, so that they are taken by their texts.
func (w *World) repliesOf(l *link) {
	for len(l.got) > 0 {
		n := replyLength(l.got)
		if n == 0 {
			return // the beginning of an answer
		}
		reply := l.got[:n]
		l.got = l.got[n:]
		if l.raw {
			w.rawDecisions(l, string(reply))
		}
		w.story.Replied(l.phone, l.raw, reply)
	}
}

// replyLength is how long the first answer of what came is; 0: it is not whole.
func replyLength(got []byte) int {
	for _, a := range answers {
		text := []byte(a.text)
		switch {
		case bytes.HasPrefix(got, text):
			return len(text)
		case bytes.HasPrefix(text, got):
			return 0
		}
	}
	digits := 0
	for digits < len(got) && '0' <= got[digits] && got[digits] <= '9' {
		digits++
	}
	switch {
	case digits >= protocol.TempIDSize:
		return protocol.TempIDSize
	case digits == 0:
		return len(got)
	}
	return 1 // an answer within an upload; a TempID comes in one piece
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
		w.story.Read(l.phone, l.raw, n)
	}
}

// stoodElsewhere and closedElsewhere count the sessions of a server that nobody
// observes.
func (w *World) stoodElsewhere() {
	if w.config.Remote != "" {
		w.counts.Sessions.Opened++
	}
}

func (w *World) closedElsewhere(l *link) {
	if w.config.Remote != "" && l.stands {
		w.counts.Sessions.Closed++
	}
}
