package dialect

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"bluetrace/protocol"
)

// ServerSide translates between a server of this project and a foreign phone. The host gives each write of the server
// to Own, and the phone's bytes to Peer.
type ServerSide struct {
	talk
	issued *Issued
	at     serverStage
	user   string   // that the server knows; "" before a login
	lines  []string // of an upload that the server has not got
}

// serverStage is the request of the phone that a ServerSide runs, or the answer of its server that it expects.
type serverStage uint8

const (
	serverLogin   serverStage = iota // runs the steps of a login
	serverName                       // waits before it gives the server the password
	serverVerdict                    // expects the answer to a password
	serverCommand                    // expects a request
	serverTempID                     // expects a TempID
	serverDownload
	serverUpload
	serverLines // expects an acknowledgement
	serverLogout
	serverOver
)

// Issued holds the last TempID of each user with its times. All connections of a server share it. The zero value is
// empty.
type Issued struct{ last sync.Map }

// valid returns the last TempID of a user that is valid at a time.
func (i *Issued) valid(user string, at time.Time) (Entry, bool) {
	last, _ := i.last.Load(user)
	e, ok := last.(Entry)
	return e, ok && at.Before(e.Expiry)
}

// NewServerSide returns the translator of a new connection.
func NewServerSide(d *Dialect, issued *Issued) *ServerSide {
	s := &ServerSide{talk: talk{d: d}, issued: issued}
	s.goOn = s.runRequests
	s.begin(d.Login)
	return s
}

// Open sends what the server says first, if it does.
func (s *ServerSide) Open(now Now, out *Outbox) { s.goOn(now, out) }

// Owes reports whether the server has not got all that the phone has sent: it gets the messages of an upload one by one,
// and a request after its answer to the one before.
func (s *ServerSide) Owes() bool {
	switch s.at {
	case serverName, serverLines:
		return true
	case serverUpload:
		return s.quiet > 0
	case serverVerdict, serverTempID:
		return len(s.in) > 0
	}
	return false
}

// runRequests runs requests of the phone as far as possible.
func (s *ServerSide) runRequests(now Now, out *Outbox) {
	for {
		switch s.at {
		case serverName:
			if now.Elapsed < s.until {
				return
			}
			s.until = 0
			s.sendPassword(out)
			return
		case serverVerdict, serverTempID, serverLines, serverOver:
			return // until the server has answered
		case serverCommand:
			if !s.request(now) {
				return
			}
		}
		got, reason := s.run(now, out)
		if s.flooded {
			got, reason = stuck, floodText
		}
		switch got {
		case waiting:
			return
		case stuck:
			s.at = serverOver
			out.misunderstood(reason)
			out.add(EndPeer, nil)
			return
		}
		s.finish(now, out)
	}
}

// request finds the request that the bytes of the phone begin, and begins its steps. It returns false if there is none.
func (s *ServerSide) request(now Now) bool {
	m, ok, _ := s.d.Client.next(s.in)
	if !ok || len(s.in) == 0 {
		return false
	}
	most := -1 // an empty message may be that of no entries
	for _, r := range []struct {
		at    serverStage
		steps []Step
	}{{serverTempID, s.d.Download}, {serverUpload, s.d.Upload}, {serverLogout, s.d.Logout}} {
		for _, entries := range []bool{true, false} {
			first := firstSent(r.steps, entries)
			if first == nil || first.Kind != Send {
				continue
			}
			v := s.v
			whole := m.end >= 0 || first.Text.holds(holdsEntries) && now.Elapsed >= s.quiet
			if n, got := first.Text.match(m.text, whole, &v, s.d); got == matches && n > most {
				most, s.at = n, r.at
				s.begin(r.steps)
			}
		}
	}
	if s.at == serverTempID {
		s.begin(s.d.Download[:1])
	}
	s.v.count, s.v.bytes = 0, -1
	return most >= 0
}

// firstSent returns the step with the first message of the phone, with entries or without any. It returns nil if the
// phone first waits for the server, or sends nothing.
func firstSent(steps []Step, entries bool) *Step {
	for i := range steps {
		switch s := &steps[i]; {
		case s.Kind == Send || s.Kind == SendInt:
			return s
		case s.Kind == Each && entries:
			return firstSent(s.Steps, entries)
		case s.Kind != Each && s.Kind != Pause:
			return nil
		}
	}
	return nil
}

// finish gives the server what the steps have brought.
func (s *ServerSide) finish(now Now, out *Outbox) {
	switch s.at {
	case serverLogin:
		if s.user == s.v.user {
			s.sendPassword(out)
			return
		}
		s.user = s.v.user
		out.add(ToOwn, []byte(s.user))
		s.at, s.until = serverName, now.Elapsed+nameTime
	case serverTempID:
		if e, ok := s.issued.valid(s.user, now.Wall); ok && s.d.SameTempID {
			s.sendTempID(now, e, out)
			return
		}
		out.add(ToOwn, []byte(protocol.CommandDownload))
	case serverDownload:
		s.at = serverCommand
	case serverUpload:
		s.lines = []string{protocol.CommandUpload, strconv.Itoa(3 * len(s.v.entries))}
		for _, e := range s.v.entries {
			start, expiry := seedTimes.append(nil, e.Start), seedTimes.append(nil, e.Expiry)
			s.lines = append(s.lines, e.TempID, string(start), string(expiry))
		}
		s.at = serverLines
		s.nextLine(out)
	case serverLogout:
		s.at = serverOver
		out.add(ToOwn, []byte(protocol.CommandLogout))
	}
}

// nameTime is the time between the name and the password, so that the server reads them apart (PROTOCOL.md section 2).
const nameTime = 100 * time.Millisecond

func (s *ServerSide) sendPassword(out *Outbox) {
	s.at = serverVerdict
	out.add(ToOwn, []byte(s.v.password))
}

func (s *ServerSide) nextLine(out *Outbox) {
	if len(s.lines) == 0 {
		s.at = serverCommand
		return
	}
	out.add(ToOwn, []byte(s.lines[0]))
	s.lines = s.lines[1:]
}

// sendTempID sends a TempID to the phone, with the rest of the steps of a download.
func (s *ServerSide) sendTempID(now Now, e Entry, out *Outbox) {
	s.v.Entry = e
	s.issued.last.Store(s.user, e)
	s.at = serverDownload
	s.begin(s.d.Download[1:])
	s.goOn(now, out)
}

// Own handles one answer of the server.
func (s *ServerSide) Own(now Now, b []byte, out *Outbox) {
	text := string(b)
	switch s.at {
	case serverVerdict:
		s.verdict(now, text, out)
	case serverTempID:
		start := now.Wall.Truncate(time.Second)
		s.sendTempID(now, Entry{TempID: text, Start: start, Expiry: start.Add(s.d.Lifetime)}, out)
	case serverLines:
		s.nextLine(out)
		s.goOn(now, out)
	}
}

// seedAnswers are the answers of PROTOCOL.md section 2 to a login.
var seedAnswers = [Outcomes]string{
	Welcome: protocol.Welcome, Wrong: protocol.TryAgain, NowBlocked: protocol.NowBlocked, Blocked: protocol.IsBlocked,
	Unknown: protocol.TryAgain,
}

// verdict sends the outcome of a login to the phone.
func (s *ServerSide) verdict(now Now, text string, out *Outbox) {
	at := slices.Index(seedAnswers[:Already], text)
	if at < 0 || len(s.d.Outcomes[at]) == 0 {
		s.at = serverOver
		out.misunderstood(fmt.Sprintf("%s has no answer for %q", s.d.Name, text))
		return
	}
	o := Outcome(at)
	out.attempted(o)
	s.begin(s.d.Outcomes[o][0])
	s.run(now, out) // an outcome is sent only
	switch o {
	case Welcome:
		s.at = serverCommand
	case Wrong:
		s.at = serverLogin
		s.begin(s.d.Again)
	default:
		s.at = serverOver
	}
	s.goOn(now, out)
}
