package nodes

import (
	"fmt"

	"bluetrace/protocol"
)

// maxDraws is how often in a row a TempID may come up that exists already.
// Honest sources never reach 2 of the 9*10^19.
const maxDraws = 128

func (x *tempIDIndex) resolve(id protocol.TempID) (Issue, bool) {
	d, ok := x.get(id)
	if !ok || !d.stored {
		return Issue{}, false
	}
	return d.Issue, true
}

// Years 1 to 9998 in Unix seconds: what every zone can print.
const (
	earliestIssue = -62_135_596_800
	latestIssue   = 253_370_764_799
)

func (x *tempIDIndex) restore(i Issue) error {
	if i.Start < earliestIssue || i.Expiry > latestIssue || i.Expiry <= i.Start {
		return fmt.Errorf("restoring TempID %q of %q: valid from %d to %d, in Unix seconds", i.TempID, i.User, i.Start, i.Expiry)
	}
	if before, ok := x.get(i.TempID); ok && before.Issue != i {
		return fmt.Errorf("restoring TempID %q of %q: it was issued to %q from %d to %d", i.TempID, i.User,
			before.User, before.Start, before.Expiry)
	}
	x.put(drawn{Issue: i, stored: true})
	return nil
}

// draw finds a TempID that nobody had.
func (s *Server) draw() protocol.TempID {
	for range maxDraws {
		id := protocol.DrawTempID(s.settings.Entropy)
		if _, taken := s.tempIDs.get(id); !taken {
			return id
		}
	}
	panic(fmt.Sprintf("drawing a TempID: the source gave %d in a row of the %d that exist", maxDraws, s.tempIDs.size()))
}

// download draws a TempID and asks for it to be stored; only then the phone
// gets it.
func (s *Server) download(now Now, c Conn, out *ServerOutbox) {
	start := now.Unix()
	i := Issue{
		User:   s.connections[c].name.user,
		TempID: s.draw(),
		Start:  start,
		Expiry: start + int64(s.settings.TempIDLifetime.Seconds()),
	}
	s.tempIDs.put(drawn{Issue: i})
	s.store(c, Record{Kind: RecordIssue, Issue: i}, pending{user: i.User, issue: i, issues: true}, out)
}

// issued ends a download.
func (s *Server) issued(p pending, err error, waits bool, out *ServerOutbox) {
	i := p.issue
	if err != nil {
		out.print(fmt.Sprintf("%s: a TempID could not be saved: %v", i.User, err))
		out.event(p.conn, ServerEvent{Kind: EventNotIssued, User: i.User, TempID: i.TempID})
		return
	}
	s.tempIDs.put(drawn{Issue: i, stored: true})
	if waits {
		s.send(p.conn, i.TempID.String(), out)
		out.print("user: " + i.User + "\nTempID:\n" + i.TempID.String())
	}
	out.event(p.conn, ServerEvent{Kind: EventIssued, User: i.User, TempID: i.TempID})
}
