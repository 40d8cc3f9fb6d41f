package dialect

import (
	"encoding/binary"
	"fmt"
	"time"
)

// EffectKind is the kind of an Effect.
type EffectKind uint8

// The kinds of an Effect.
const (
	ToPeer        EffectKind = iota // Bytes, in one write to the peer
	ToOwn                           // Bytes, in one read of this project's machine
	Redial                          // close the connection to the peer, and open another one
	EndPeer                         // close the connection to the peer
	EndOwn                          // close the connection to this project's machine
	Attempted                       // Outcome of an attempt to log in
	Misunderstood                   // Text: the bytes that came, and those that were expected
)

// Effect is an action that a translator asks of its host.
type Effect struct {
	Kind    EffectKind
	Bytes   []byte
	Outcome Outcome
	Text    string
}

// Outbox collects effects in order.
type Outbox struct{ Effects []Effect }

func (o *Outbox) add(k EffectKind, b []byte) {
	o.Effects = append(o.Effects, Effect{Kind: k, Bytes: b})
}

func (o *Outbox) attempted(outcome Outcome) {
	o.Effects = append(o.Effects, Effect{Kind: Attempted, Outcome: outcome})
}

func (o *Outbox) misunderstood(reason string) {
	o.Effects = append(o.Effects, Effect{Kind: Misunderstood, Text: reason})
}

// Now is the time of an input: the elapsed time, for pauses, and the wall time.
type Now struct {
	Elapsed time.Duration
	Wall    time.Time
}

// talk holds one side of a conversation with a peer, and runs steps. It is the same for both sides: a phone sends
// where a server receives.
type talk struct {
	d       *Dialect
	phone   bool // this is the side of the phone
	goOn    func(now Now, out *Outbox)
	in      []byte // bytes from the peer that no step has taken
	flooded bool   // there were more than maxUnread
	v       values
	list    []level       // the steps in progress; the inner ones last
	until   time.Duration // the elapsed time to which a pause lasts; 0 without a pause
	// quiet is the elapsed time at which no more bytes of the peer's message are expected.
	quiet time.Duration
}

// level is the progress in a list of steps.
type level struct {
	steps []Step
	next  int
	each  bool
	entry int // of Each: the number of the entry
}

// state is the state of a conversation after its steps were run as far as possible.
type state uint8

const (
	done    state = iota
	waiting       // for bytes or for the end of a pause
	stuck         // the peer sent something else
)

// quietTime is the time after which no more bytes of a message are expected whose end is not marked.
const quietTime = 250 * time.Millisecond

// maxUnread is the most bytes of the peer that wait for the end of their message.
const maxUnread = 4 << 20

const floodText = "more than 4 MiB without the end of a message"

// Peer handles bytes of the peer. Those beyond maxUnread are dropped, and the conversation is over.
func (t *talk) Peer(now Now, b []byte, out *Outbox) {
	if len(t.in)+len(b) > maxUnread {
		t.flooded = true
	} else {
		t.in = append(t.in, b...)
		t.quiet = now.Elapsed + quietTime
	}
	t.goOn(now, out)
}

// End handles the end of the peer's stream: no byte follows.
func (t *talk) End(now Now, out *Outbox) {
	t.quiet = now.Elapsed
	t.goOn(now, out)
}

// Wake handles the end of a pause or of a message. The host calls it at or after NextWake.
func (t *talk) Wake(now Now, out *Outbox) {
	t.goOn(now, out)
	if now.Elapsed >= t.quiet {
		t.quiet = 0
	}
}

// NextWake returns the elapsed time of the next deadline, if there is one.
func (t *talk) NextWake() (time.Duration, bool) {
	if t.until > 0 {
		return t.until, true
	}
	return t.quiet, t.quiet > 0
}

// begin starts a list of steps.
func (t *talk) begin(steps []Step) { t.list = append(t.list[:0], level{steps: steps}) }

// run runs the steps until they are done or wait. reason is set with stuck.
func (t *talk) run(now Now, out *Outbox) (s state, reason string) {
	for len(t.list) > 0 {
		l := &t.list[len(t.list)-1]
		switch {
		case l.each && l.next == 0 && t.eachIsOver(now, l), !l.each && l.next == len(l.steps):
			t.list = t.list[:len(t.list)-1]
		case l.next == len(l.steps):
			if l.next = 0; !t.phone {
				t.v.entries = append(t.v.entries, t.v.Entry)
			}
			l.entry++
		default:
			if t.phone && l.each {
				t.v.Entry = t.v.entries[l.entry]
			}
			if s, reason := t.step(now, &l.steps[l.next], out); s != done {
				return s, reason
			}
		}
	}
	return done, ""
}

// eachIsOver reports whether there is no further entry. A server that does not know their number takes the message
// after them as their end or, if none follows, quietTime without a byte.
func (t *talk) eachIsOver(now Now, l *level) bool {
	if t.phone {
		return l.entry == len(t.v.entries)
	}
	if t.v.count > 0 {
		return l.entry == t.v.count
	}
	outer := t.list[len(t.list)-2]
	ends := outer.next < len(outer.steps) && outer.steps[outer.next].Kind == Send
	m, ok, _ := t.peerFraming().next(t.in)
	if !ok || len(t.in) == 0 {
		return !ends && len(t.in) == 0 && now.Elapsed >= t.quiet
	}
	v := t.v
	next, over := &l.steps[0].Text, mismatch // another request ends them, too
	if ends {
		next, over = &outer.steps[outer.next].Text, matches
	}
	_, match := next.match(m.text, m.end >= 0, &v, t.d)
	return match == over
}

func (t *talk) peerFraming() Framing {
	if t.phone {
		return t.d.Server
	}
	return t.d.Client
}

// step runs one step, and goes on to the next one if it is done.
func (t *talk) step(now Now, s *Step, out *Outbox) (state, string) {
	top := len(t.list) - 1
	switch s.Kind {
	case Pause:
		if t.phone && t.until == 0 {
			t.until = now.Elapsed + s.Pause
		}
		if now.Elapsed < t.until {
			return waiting, ""
		}
		t.until = 0
	case Reconnect:
		if t.phone {
			t.in = nil
			out.add(Redial, nil)
		}
	case Each:
		t.list[top].next++
		if !t.phone {
			t.v.entries = nil
		}
		t.list = append(t.list, level{steps: s.Steps, each: true})
		return done, ""
	case Send, Receive:
		if (s.Kind == Send) == t.phone {
			t.send(now, &s.Text, out)
		} else if got, reason := t.receive(now, &s.Text); got != done {
			return got, reason
		}
	case SendInt, ReceiveInt:
		if (s.Kind == SendInt) == t.phone {
			n := t.v.count
			if s.Int != nil {
				n = *s.Int
			}
			out.add(ToPeer, binary.BigEndian.AppendUint32(nil, uint32(n)))
			break
		}
		if len(t.in) < 4 {
			return waiting, ""
		}
		if n := int(binary.BigEndian.Uint32(t.in)); s.Int == nil && n <= maxNumber {
			t.v.count = n
		}
		t.in = t.in[4:]
	}
	t.list[top].next++
	return done, ""
}

func (t *talk) send(now Now, text *Template, out *Outbox) {
	t.v.now = now.Wall
	if text.holds(holdsBytes) {
		t.v.bytes = len(t.d.appendEntries(nil, t.v.entries))
	}
	framing := t.d.Server
	if t.phone {
		framing = t.d.Client
	}
	out.add(ToPeer, framing.append(nil, text.appendTo(nil, &t.v, t.d)))
}

// receive takes the message of a template from the bytes that have arrived.
func (t *talk) receive(now Now, text *Template) (s state, reason string) {
	m, ok, err := t.peerFraming().next(t.in)
	switch {
	case err != nil:
		return stuck, err.Error()
	case !ok:
		return waiting, ""
	}
	whole := m.end >= 0
	quiet := !whole && len(m.text)+m.skip > 0 && now.Elapsed >= t.quiet
	if text.holds(holdsEntries) && !whole {
		switch size := t.v.bytes; {
		case size > len(m.text):
			return waiting, ""
		case size >= 0:
			m.text, m.end, whole = m.text[:size], m.skip+size, true
		default:
			whole = quiet
		}
	}
	n, match := text.match(m.text, whole, &t.v, t.d)
	if match == incomplete && quiet {
		if k, m := text.match(m.text, true, &t.v, t.d); m == matches {
			n, match = k, m // a TempID that is too short
		}
	}
	switch match {
	case incomplete:
		return waiting, ""
	case mismatch:
		return stuck, fmt.Sprintf("expected %q, found %q", text.Text, m.text[:min(len(m.text), quotedLimit)])
	}
	if m.end < 0 {
		l, end := t.list[len(t.list)-1], text.parts[max(0, len(text.parts)-1):]
		if t.phone && l.next+1 == len(l.steps) && len(end) > 0 && end[0].holder == holdsTempID {
			extra := digits(m.text[n:]) // of a TempID that is too long
			t.v.TempID += string(m.text[n : n+extra])
			n += extra
		}
		m.end = m.skip + n
	}
	t.in = t.in[m.end:]
	return done, ""
}

// quotedLimit is the largest number of bytes of a message that a reason quotes.
const quotedLimit = 200
