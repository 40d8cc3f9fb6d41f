package virtual

import (
	"fmt"
	"math/rand/v2"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// phone hosts one phone's machine, in five cache lines. What a reception or an
// expiry needs stands first: with the head of the machine it fills two of them.
type phone struct {
	wakeAt  int64 // the wake-up that counts; never when none is in the queue
	later   int64 // one that is in the queue as well, behind it; never when none is
	ageMax  int64
	valid   uint32
	invalid uint32
	sent    uint32
	conn    uint32 // of its program
	machine nodes.Phone
	net     rand.PCG // delays and losses of its datagrams
	firsts  []first
	up      rand.PCG // delays of its streams
	down    rand.PCG
	script  *rawConn // what a script does on a connection of its own
}

// rawConn is a connection that a script drives byte for byte.
type rawConn struct {
	conn   uint32
	queued [][]byte // sends that wait for the connection
	fin    bool
	reset  bool
	ready  bool
}

func (p *phone) init(seed uint64, c PhoneConfig) {
	p.machine.Init(c.Settings)
	p.wakeAt, p.later, p.conn = never, never, noConn
	p.net = Stream(seed, c.Name, "datagrams")
	p.up = Stream(seed, c.Name, "tcp up")
	p.down = Stream(seed, c.Name, "tcp down")
}

func (w *World) wakePhone(who uint32) {
	ph := &w.phones[who]
	ph.wakeAt, ph.later = ph.later, never
	if w.faults != nil && w.faults.node(who).paused > 0 {
		return // it is woken when it goes on
	}
	ph.machine.Wake(w.time(who), &w.phoneOut)
	w.phoneActs(who)
}

// phoneActs carries out what a phone's machine asked for, and arms its next
// wake-up.
func (w *World) phoneActs(who uint32) {
	for i := range w.phoneOut.Effects {
		w.phoneAct(who, &w.phoneOut.Effects[i])
	}
	w.phoneOut.Effects = w.phoneOut.Effects[:0]
	ph := &w.phones[who]
	w.armPhone(who, ph)
	log := ph.machine.Log()
	if received, ok := log.Oldest(); ok {
		ph.ageMax = max(ph.ageMax, int64(w.elapsed(who)-received))
	}
	w.emit.log(event.PhoneStepped, who, log)
	if w.folders != nil {
		w.saveWhenDue(who)
	}
}

// armPhone puts the next wake-up of a phone in the queue, unless it is there.
func (w *World) armPhone(who uint32, ph *phone) {
	d, ok := ph.machine.NextWake()
	if !ok {
		return
	}
	at := int64(d)
	if w.clocks != nil {
		at = w.clock1(who).When(d)
	}
	if at >= ph.wakeAt {
		return
	}
	if at <= w.now {
		panic(fmt.Sprintf("virtual: %s wants to be woken at %s, and it is %s: it has not done what is due",
			w.names[who], event.Seconds(at), event.Seconds(w.now)))
	}
	ph.later = ph.wakeAt
	ph.wakeAt = at
	w.queue.push(at, 0, kindWakePhone, who, 0)
}

func (w *World) phoneAct(who uint32, e *nodes.PhoneEffect) {
	ph := &w.phones[who]
	switch e.Kind {
	case nodes.PhoneJudged:
		w.judged(who, e)
		if w.folders != nil {
			w.keepBeacon(who, e)
		}
	case nodes.PhoneSendBeacon:
		w.putBeacon(who, e)
		w.show(who, e)
	case nodes.PhoneExpired:
		w.emit.entriesExpired(who, e.Expired, ph.machine.Log().Len())
		if w.folders != nil {
			w.folders[who].changed = true
		}
	case nodes.PhoneConnect:
		if ph.conn != noConn {
			w.phoneCloses(ph.conn)
		}
		ph.conn = w.open(who, false)
		w.emit.programConnects(&w.conns[ph.conn], ph.conn)
	case nodes.PhoneSendTCP:
		if ph.conn != noConn {
			w.emit.phoneBytes(event.PhoneSent, &w.conns[ph.conn], e.Bytes)
			w.send(ph.conn, false, e.Bytes, false, false)
		}
	case nodes.PhoneCloseTCP:
		if ph.conn != noConn {
			w.phoneCloses(ph.conn)
			ph.conn = noConn
		}
	case nodes.PhonePrint:
		w.emit.text(event.PhonePrinted, who, e.Text)
		w.show(who, e)
	case nodes.PhoneDone:
		w.done(who, e)
	}
}

// show renders what stands on the screen of a phone that is watched.
func (w *World) show(who uint32, e *nodes.PhoneEffect) {
	if w.watched != nil && w.watched[who] {
		w.text = e.AppendText(w.text[:0], w.zone)
		w.emit.text(event.ScreenShown, who, string(w.text))
	}
}

func (w *World) judged(who uint32, e *nodes.PhoneEffect) {
	ph := &w.phones[who]
	sender, ok := w.phoneAt(&e.From)
	if !ok {
		sender = event.NoPeer
	}
	if e.OutOfTurn || e.Err != nil {
		ph.invalid++
	} else {
		ph.valid++
	}
	sent, known := w.sentAt(ph, e)
	w.emit.beaconJudged(who, sender, e, sent, known)
	w.show(who, e)
}

func (w *World) done(who uint32, e *nodes.PhoneEffect) {
	if w.clocks != nil {
		e.Began = time.Duration(w.clock1(who).When(e.Began))
	}
	w.emit.operationDone(who, e)
}

// Watch makes the world emit ScreenShown for the phone.
func (w *World) Watch(who uint32) {
	if w.watched == nil {
		w.watched = make([]bool, len(w.phones))
	}
	w.watched[who] = true
}

// Open starts the session of the phone's program: it connects and asks for a
// username.
func (w *World) Open(who uint32) {
	if w.faults != nil && w.holds(who, func() { w.Open(who) }) {
		return
	}
	w.emit.plain(event.ProgramOpened, who, event.NoPeer)
	w.phones[who].machine.Open(w.time(who), &w.phoneOut)
	w.phoneActs(who)
}

// Type types a line at the prompt of the phone's program.
func (w *World) Type(who uint32, line string) {
	if w.faults != nil && w.holds(who, func() { w.Type(who, line) }) {
		return
	}
	w.emit.text(event.LineTyped, who, line)
	w.phones[who].machine.Typed(w.time(who), line, &w.phoneOut)
	w.phoneActs(who)
}

// TakeOver lets a phone's program go on with the session of another program of
// the same phone, as a person does who started it twice.
func (w *World) TakeOver(who, second uint32) {
	if w.faults != nil && w.holds(who, func() { w.TakeOver(who, second) }) {
		return
	}
	w.emit.plain(event.SessionMoved, who, second)
	a, b := &w.phones[who], &w.phones[second]
	if a.conn != noConn {
		w.phoneCloses(a.conn)
	}
	a.conn, b.conn = b.conn, noConn
	if a.conn != noConn {
		w.conns[a.conn].phone = who
	}
	a.machine.TakeSession(&b.machine)
	w.phoneActs(who)
}

// Stage says what the phone's program waits for.
func (w *World) Stage(who uint32) nodes.Stage { return w.phones[who].machine.Stage() }

// TempID is what the phone's program would send.
func (w *World) TempID(who uint32) (protocol.Beacon, bool) { return w.phones[who].machine.TempID() }

// Log is the phone's contact log, with what is due at this moment gone.
func (w *World) Log(who uint32) *nodes.ContactLog {
	ph := &w.phones[who]
	if d, ok := ph.machine.NextWake(); ok && d <= w.elapsed(who) {
		// An observer may ask in the middle of another phone's effects.
		outbox, emitted := w.phoneOut, w.emit.event
		w.phoneOut = nodes.PhoneOutbox{}
		w.wakePhone(who)
		w.phoneOut, w.emit.event = outbox, emitted
	}
	return ph.machine.Log()
}

// RawOpen opens a connection that the script drives; one that was open stays
// open, silently.
func (w *World) RawOpen(who uint32) {
	c := w.open(who, true)
	w.phones[who].script = &rawConn{conn: c}
}

// RawIsOpen says whether the script has a connection.
func (w *World) RawIsOpen(who uint32) bool {
	s := w.phones[who].script
	return s != nil && s.conn != noConn
}

// RawSend sends bytes on the script's connection, as soon as it stands.
func (w *World) RawSend(who uint32, p []byte) {
	s := w.phones[who].script
	s.queued = append(s.queued, p)
	if s.ready {
		w.flushRaw(who)
	}
}

// RawEnd ends the script's side after all that was sent: half-closed, or reset.
func (w *World) RawEnd(who uint32, reset bool) {
	s := w.phones[who].script
	s.fin, s.reset = true, reset
	if s.ready {
		w.flushRaw(who)
	}
}

func (w *World) flushRaw(who uint32) {
	s := w.phones[who].script
	if s.conn == noConn {
		return
	}
	s.ready = true
	for _, p := range s.queued {
		w.emit.phoneBytes(event.PhoneSent, &w.conns[s.conn], p)
		w.send(s.conn, false, p, false, false)
	}
	s.queued = nil
	if s.fin {
		s.fin = false
		w.emit.phoneEnded(&w.conns[s.conn], "is ended by the script")
		w.send(s.conn, false, nil, true, s.reset)
	}
}

// RawClose closes the script's connection wholly.
func (w *World) RawClose(who uint32) {
	s := w.phones[who].script
	if s == nil || s.conn == noConn {
		return
	}
	c := s.conn
	s.conn = noConn
	w.phoneCloses(c)
}
