package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

// session is one arrival: what it does, with the phone that does it.
type session struct {
	*engine
	*phone
	measured bool
	due      time.Duration // of the next operation
	ready    time.Duration // when what it waits for was there
	unknown  bool          // one of its operations got no answer
}

// run does a session, or one operation of a mix, due first at due.
func (s *session) run(due time.Duration, what Operation) {
	s.due, s.ready = due, due
	if s.Traffic.Session == nil {
		s.single(what)
		return
	}
	defer s.hangUp()
	for _, verb := range s.Traffic.Session {
		if !s.do(verb) {
			return
		}
	}
}

// do does one command of a session; false: it cannot go on.
func (s *session) do(verb scenarios.Verb) bool {
	switch verb {
	case scenarios.VerbLogin:
		return s.step(Connect, s.connect) && s.pause() && s.step(Login, s.login)
	case scenarios.VerbBeacon:
		for range s.Traffic.Beacons {
			if !s.beacon(s.Traffic.Gap) {
				return false
			}
		}
		return true
	}
	o := operationOf(verb)
	return s.step(o, s.act(o))
}

// single is one operation of a mix. A phone whose session broke takes another
// one before it is free again.
func (s *session) single(o Operation) {
	if o == Beacon {
		s.beacon(0)
		return
	}
	if s.step(o, s.act(o)) || s.stopping.Load() {
		return
	}
	s.hangUp()
	for s.enter() != nil && !s.stopping.Load() {
		s.rest(s.now() + reconnectAfter)
	}
}

// reconnectAfter is the pause before a phone of a mix tries again.
const reconnectAfter = 100 * time.Millisecond

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

func (s *session) act(o Operation) func() Outcome {
	switch o {
	case TempID:
		return s.download
	case Upload:
		return s.upload
	}
	return s.logout
}

// step waits until an operation is due, does it and measures it.
func (s *session) step(o Operation, do func() Outcome) bool {
	if !s.rest(max(s.due, s.ready)) {
		return false
	}
	row := Row{Operation: o, Due: s.due, Ready: s.ready, Sent: s.now()}
	row.Outcome = do()
	row.Done = s.now()
	s.add(&row, s.measured)
	s.unknown = s.unknown || row.Outcome == Unknown
	s.ready = row.Done
	s.follow(s.expected.Load()[o])
	return row.Outcome == OK
}

// follow sets when the next operation is due: an expected time after this one.
// In the warm-up, from which these times come, it is at once.
func (s *session) follow(expected time.Duration) {
	if s.measured {
		s.due += expected
	} else {
		s.due = s.ready
	}
}

// rest waits until a time; false: the run is over.
func (s *session) rest(until time.Duration) bool {
	if s.stopping.Load() {
		return false
	}
	if s.now() >= until {
		return true
	}
	return s.schedule.wait(until, s.wake)
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

func (s *session) connect() Outcome {
	ctx, cancel := context.WithTimeout(s.ctx, s.Traffic.Timeout)
	defer cancel()
	c, err := s.Network.Dial(ctx)
	switch {
	case err == nil:
		s.take(c)
		return OK
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded):
		return Unknown
	}
	return Failed
}

// pause lets the peer take the username before the password comes (PROTOCOL.md
// section 2). Without one both are one send.
func (s *session) pause() bool {
	if s.PasswordPause == 0 {
		return true
	}
	if !s.send(s.User) {
		return false
	}
	s.due += s.PasswordPause
	s.ready = max(s.now(), s.ready) + s.PasswordPause
	return true
}

func (s *session) login() Outcome {
	text := s.Password
	if s.PasswordPause == 0 {
		text = s.User + s.Password
	}
	if !s.send(text) {
		return Unknown
	}
	return s.answer(func(p []byte) protocol.Reply { return s.reader.Login(p) }, protocol.ReplyWelcome)
}

func (s *session) download() Outcome {
	if !s.send(protocol.CommandDownload) {
		return Unknown
	}
	return s.answer(func(p []byte) protocol.Reply {
		id, reply := s.reader.TempID(p)
		if reply == protocol.ReplyTempID {
			s.got(id, protocol.LocalTime(s.Clock.Now().Unix()))
		}
		return reply
	}, protocol.ReplyTempID)
}

// upload is a contact log, line by line, each of which is acknowledged.
func (s *session) upload() Outcome {
	entries := s.entries(s.Traffic.Entries)
	if o := s.exchange(protocol.CommandUpload); o != OK {
		return o
	}
	if o := s.exchange(strconv.Itoa(3 * len(entries))); o != OK {
		return o
	}
	for i := range entries {
		for _, line := range []string{string(entries[i].TempID[:]), entries[i].Start.String(), entries[i].Expiry.String()} {
			if o := s.exchange(line); o != OK {
				return o
			}
		}
	}
	return OK
}

func (s *session) exchange(text string) Outcome {
	if !s.send(text) {
		return Unknown
	}
	return s.answer(func(p []byte) protocol.Reply { return s.reader.Ack(p) }, protocol.ReplyAck)
}

// logout is answered by the end of the connection.
func (s *session) logout() Outcome {
	if !s.send(protocol.CommandLogout) {
		return Unknown
	}
	n, err := s.read()
	switch {
	case n > 0:
		return Failed
	case errors.Is(err, io.EOF):
		return OK
	}
	return Unknown
}

// answer reads until an answer is whole; want is the right one.
func (s *session) answer(take func([]byte) protocol.Reply, want protocol.Reply) Outcome {
	for {
		n, err := s.read()
		if n > 0 {
			switch got := take(s.buffer[:n]); got {
			case want:
				return OK
			case protocol.NoReply:
			default:
				return Failed
			}
		}
		if err != nil {
			return Unknown
		}
	}
}

// send writes to the server; false: the connection is gone.
func (s *session) send(text string) bool {
	c := s.connection()
	if c == nil || c.SetDeadline(s.Clock.Now().Add(s.Traffic.Timeout)) != nil {
		return false
	}
	_, err := io.WriteString(c, text)
	return err == nil
}

func (s *session) read() (int, error) {
	c := s.connection()
	if c == nil {
		return 0, io.ErrClosedPipe
	}
	return c.Read(s.buffer[:])
}

// enter logs a phone of a mix in, unmeasured.
func (s *session) enter() error {
	if o := s.connect(); o != OK {
		return errors.New("the connection could not be opened")
	}
	s.due, s.ready = s.now(), s.now()
	if !s.pause() || !s.rest(s.ready) || s.login() != OK {
		return errors.New("it was not welcomed")
	}
	if s.download() != OK {
		return errors.New("it got no TempID")
	}
	return nil
}
