package dialect

import (
	"fmt"
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
	serverLogin serverStage = iota // runs the steps of a login
	serverAgain
	serverName    // waits before it gives the server the password
	serverVerdict // expects the answer to a password
	serverCommand // expects a request
	serverTempID  // expects a TempID
	serverDownload
	serverUpload
	serverLines // expects an acknowledgement
	serverLogout
	serverOver
)

// Issued holds the last TempID of each user with its times. All connections of a server share it. The zero value is
// empty.
type Issued struct {
	mu   sync.Mutex
	last map[string]Entry
}

// valid returns the last TempID of a user that is valid at a time.
func (i *Issued) valid(user string, at time.Time) (Entry, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	e, ok := i.last[user]
	return e, ok && at.Before(e.Expiry)
}

func (i *Issued) set(user string, e Entry) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.last == nil {
		i.last = map[string]Entry{}
	}
	i.last[user] = e
}

// NewServerSide returns the translator of a new connection.
func NewServerSide(d *Dialect, issued *Issued) *ServerSide {
	s := &ServerSide{talk: talk{d: d}, issued: issued}
	s.begin(d.Login)
	return s
}

// Open sends what the server says first, if it does.
func (s *ServerSide) Open(now Now, out *Outbox) { s.goOn(now, out) }

// Peer handles bytes of the phone.
func (s *ServerSide) Peer(now Now, b []byte, out *Outbox) {
	s.receiveBytes(now, b)
	s.goOn(now, out)
}

// Wake handles the end of a message. The host calls it at or after NextWake.
func (s *ServerSide) Wake(now Now, out *Outbox) {
	s.goOn(now, out)
	if now.Elapsed >= s.quiet {
		s.quiet = 0
	}
}

// goOn runs requests of the phone as far as possible.
func (s *ServerSide) goOn(now Now, out *Outbox) {
	for {
		switch s.at {
		case serverName:
			if now.Elapsed < s.until {
				return
			}
			s.waits = false
			s.sendPassword(out)
			return
		case serverVerdict, serverTempID, serverLines, serverOver:
			return // until the server has answered
		case serverCommand:
			if !s.request() {
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
func (s *ServerSide) request() bool {
	m, ok, _ := s.d.Client.next(s.in)
	if !ok {
		return false
	}
	most := 0
	for _, r := range []struct {
		at    serverStage
		steps []Step
	}{{serverTempID, s.d.Download}, {serverUpload, s.d.Upload}, {serverLogout, s.d.Logout}} {
		v := s.v
		if n, got := firstText(r.steps).match(m.text, m.end >= 0, &v, s.d); got == matches && n > most {
			most, s.at = n, r.at
			s.begin(r.steps)
		}
	}
	if s.at == serverTempID {
		s.begin(s.d.Download[:1])
	}
	s.v.count, s.v.bytes = 0, -1
	return most > 0
}

// firstText returns the first message of the steps, which the phone sends.
func firstText(steps []Step) *Template {
	for len(steps) > 0 && steps[0].Kind == Each {
		steps = steps[0].Steps
	}
	if len(steps) == 0 {
		return &Template{}
	}
	return &steps[0].Text
}

// finish gives the server what the steps have brought.
func (s *ServerSide) finish(now Now, out *Outbox) {
	switch s.at {
	case serverLogin, serverAgain:
		if s.user == s.v.user {
			s.sendPassword(out)
			return
		}
		s.user = s.v.user
		out.add(ToOwn, []byte(s.user))
		s.at, s.waits, s.until = serverName, true, now.Elapsed+nameTime
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
	s.issued.set(s.user, e)
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
var seedAnswers = map[string]Outcome{
	protocol.Welcome: Welcome, protocol.TryAgain: Wrong, protocol.NowBlocked: NowBlocked, protocol.IsBlocked: Blocked,
}

// verdict sends the outcome of a login to the phone.
func (s *ServerSide) verdict(now Now, text string, out *Outbox) {
	o, ok := seedAnswers[text]
	if !ok || len(s.d.Outcomes[o]) == 0 {
		s.at = serverOver
		out.misunderstood(fmt.Sprintf("%s has no answer for %q", s.d.Name, text))
		return
	}
	out.attempted(o)
	s.begin(s.d.Outcomes[o][0])
	s.run(now, out) // an outcome is sent only
	switch o {
	case Welcome:
		s.at = serverCommand
	case Wrong:
		s.at = serverAgain
		s.begin(s.d.Again)
	default:
		s.at = serverOver
	}
	s.goOn(now, out)
}
