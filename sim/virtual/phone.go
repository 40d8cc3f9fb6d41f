package virtual

import (
	"fmt"
	"math/rand/v2"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// phoneHost runs the phones' machines: it gives them their inputs and carries out
// their effects.
type phoneHost struct {
	parts

	phones  []phone
	watched []bool // by phone: its screen is watched; nil if none is
	out     nodes.PhoneOutbox
	text    []byte // buffer for ScreenShown
	// current is the datagram that a machine handles now.
	current currentDatagram
}

// phone is one phone's machine with the state that its inputs need, in five cache
// lines. The fields that a reception or an expiry needs come first: with the head of
// the machine they fill two lines.
type phone struct {
	wakeAt    int64 // time of the wake-up that counts; never if none is in the queue
	laterWake int64 // time of a later wake-up in the queue; never if there is none
	ageMax    int64
	valid     uint32
	sent      uint32
	machine   nodes.Phone
	net       rand.PCG // delays and losses of its datagrams
	invalid   uint32
	conn      uint32 // of its program
	firsts    []firstPart
	up        rand.PCG // delays of its streams
	down      rand.PCG
}

// firstPart is the arrival of the first part of a split beacon.
type firstPart struct {
	sent, arrived int64 // of the world, and of the phone's clock
	from          protocol.Address
}

// currentDatagram is the datagram that a machine handles, if any.
type currentDatagram struct {
	sent    int64
	any     bool
	isWhole bool // a whole beacon
}

func (p *phone) init(seed uint64, c PhoneConfig) {
	p.machine.Init(c.Settings)
	p.wakeAt, p.laterWake, p.conn = never, never, noConn
	p.net = Stream(seed, c.Name, "datagrams")
	p.up = Stream(seed, c.Name, "tcp up")
	p.down = Stream(seed, c.Name, "tcp down")
}

// wake handles a wake-up from the queue.
func (h *phoneHost) wake(phone uint32) {
	p := &h.phones[phone]
	p.wakeAt, p.laterWake = p.laterWake, never
	if h.faults.begun && h.states.isPaused(phone) {
		return // resume wakes it
	}
	p.machine.Wake(h.clocks.read(phone), &h.out)
	h.act(phone)
}

// input calls the machine of a phone, and carries out the effects.
func (h *phoneHost) input(phone uint32, call func(*nodes.Phone, nodes.Now, *nodes.PhoneOutbox)) {
	call(&h.phones[phone].machine, h.clocks.read(phone), &h.out)
	h.act(phone)
}

// receive hands a datagram to the phone's machine. sent is the time of its sending.
func (h *phoneHost) receive(phone uint32, from protocol.Address, sent int64, p []byte) {
	ph := &h.phones[phone]
	h.current = currentDatagram{sent, true, len(p) == protocol.BeaconSize}
	if len(p) == protocol.TempIDSize {
		ph.addFirst(int64(h.clocks.elapsed(phone)), from, sent)
	}
	ph.machine.Datagram(h.clocks.read(phone), from, p, &h.out)
	h.act(phone)
	h.current.any = false
}

// act carries out the effects of a phone's machine, and schedules its next wake-up.
func (h *phoneHost) act(phone uint32) {
	for i := range h.out.Effects {
		h.carryOut(phone, &h.out.Effects[i])
	}
	h.out.Effects = h.out.Effects[:0]
	p := &h.phones[phone]
	h.arm(phone, p)
	log := p.machine.Log()
	if received, ok := log.Oldest(); ok {
		p.ageMax = max(p.ageMax, int64(h.clocks.elapsed(phone)-received))
	}
	h.emit.Log(event.PhoneStepped, phone, log)
	if h.disks.folders != nil {
		h.disks.saveWhenDue(phone)
	}
}

// arm schedules the next wake-up of a phone, unless one as early is in the queue.
func (h *phoneHost) arm(phone uint32, p *phone) {
	next, ok := p.machine.NextWake()
	if !ok {
		return
	}
	at := h.clocks.when(phone, next)
	if at >= p.wakeAt {
		return
	}
	if at <= h.scheduler.now {
		panic(fmt.Sprintf("virtual: %s wants to be woken at %s, and it is %s: it has not done what is due",
			h.faults.names[phone], event.Seconds(at), event.Seconds(h.scheduler.now)))
	}
	p.laterWake = p.wakeAt
	p.wakeAt = at
	h.scheduler.wakeUp(at, wakePhone, phone)
}

// rearm schedules the next wake-up anew after a change of the phone's clock.
func (h *phoneHost) rearm(phone uint32) {
	p := &h.phones[phone]
	p.wakeAt, p.laterWake = never, never
	h.arm(phone, p)
}

func (h *phoneHost) carryOut(phone uint32, e *nodes.PhoneEffect) {
	p := &h.phones[phone]
	switch e.Kind {
	case nodes.PhoneJudged:
		h.judged(phone, e)
		if h.disks.folders != nil {
			h.disks.addBeacon(phone, e)
		}
	case nodes.PhoneSendBeacon:
		h.udp.sendBeacon(phone, &e.To, e.Form, &e.Raw)
		h.show(phone, e)
	case nodes.PhoneExpired:
		h.emit.EntriesExpired(phone, e.Expired, p.machine.Log().Len())
		if h.disks.folders != nil {
			h.disks.setChanged(phone)
		}
	case nodes.PhoneConnect:
		if p.conn != noConn {
			h.tcp.closePhoneSide(p.conn)
		}
		p.conn = h.tcp.open(phone, false)
		if h.tcp.dialect != nil {
			h.tcp.translations[p.conn] = newTranslation(p.conn, h.tcp)
		}
		h.emit.ProgramConnects(&h.tcp.conns[p.conn].Connection, nodes.Conn(p.conn))
	case nodes.PhoneSendTCP:
		if p.conn != noConn {
			h.tcp.sendToServer(p.conn, e.Bytes)
		}
	case nodes.PhoneCloseTCP:
		h.endConn(phone, h.tcp.closePhoneSide)
	case nodes.PhonePrint:
		h.emit.Text(event.PhonePrinted, phone, e.Text)
		h.show(phone, e)
	case nodes.PhoneDone:
		h.done(phone, e)
	}
}

// print prints text of the host on the phone's screen.
func (h *phoneHost) print(phone uint32, text string) {
	h.carryOut(phone, &nodes.PhoneEffect{Kind: nodes.PhonePrint, Text: text})
}

// show emits the text of an effect on the screen of a phone that is watched.
func (h *phoneHost) show(phone uint32, e *nodes.PhoneEffect) {
	if h.watched != nil && h.watched[phone] {
		h.text = e.AppendText(h.text[:0], h.clocks.zone)
		h.emit.Text(event.ScreenShown, phone, string(h.text))
	}
}

// watch makes the host emit ScreenShown for the phone.
func (h *phoneHost) watch(phone uint32) {
	if h.watched == nil {
		h.watched = make([]bool, len(h.phones))
	}
	h.watched[phone] = true
}

func (h *phoneHost) beaconSent(phone, receiver uint32, raw *[protocol.BeaconSize]byte) {
	h.phones[phone].sent++
	h.emit.BeaconSent(phone, receiver, raw)
}

func (h *phoneHost) judged(phone uint32, e *nodes.PhoneEffect) {
	p := &h.phones[phone]
	sender, ok := h.phoneAt(&e.From)
	if !ok {
		sender = event.NoPeer
	}
	if e.OutOfTurn || e.Err != nil {
		p.invalid++
	} else {
		p.valid++
	}
	sent, known := h.sentAt(p, e)
	h.emit.BeaconJudged(phone, sender, e, time.Duration(sent), known)
	h.show(phone, e)
}

// done emits the end of an operation. It converts the time at which the operation
// began from the phone's clock to virtual time.
func (h *phoneHost) done(phone uint32, e *nodes.PhoneEffect) {
	e.Began = time.Duration(h.clocks.when(phone, e.Began))
	h.emit.OperationDone(phone, e)
}

// firstsExpiry is the age at which a firstPart is forgotten.
const firstsExpiry = 2 * protocol.ForgetAfter

// addFirst remembers the first part of a split beacon that arrives now.
func (p *phone) addFirst(now int64, from protocol.Address, sent int64) {
	for i := 0; i < len(p.firsts); i++ {
		if f := &p.firsts[i]; f.from == from || now-f.arrived > int64(firstsExpiry) {
			p.removeFirst(i)
			i--
		}
	}
	p.firsts = append(p.firsts, firstPart{sent, now, from})
}

func (p *phone) removeFirst(i int) {
	p.firsts[i] = p.firsts[len(p.firsts)-1]
	p.firsts = p.firsts[:len(p.firsts)-1]
}

// sentAt returns the time at which the first datagram of a judged beacon was sent.
// For datagrams that are not a beacon, it is the sending time of the datagram that
// led to the verdict. It returns false if the time is unknown.
func (h *phoneHost) sentAt(p *phone, e *nodes.PhoneEffect) (int64, bool) {
	if c := &h.current; c.any && (e.OutOfTurn || c.isWhole && e.FirstPart == e.At.Elapsed) {
		return c.sent, true
	}
	for i := range p.firsts {
		if f := &p.firsts[i]; f.from == e.From && f.arrived == int64(e.FirstPart) {
			sent := f.sent
			p.removeFirst(i)
			return sent, true
		}
	}
	return 0, false
}

// typeLine hands the program a line that its user types.
func (h *phoneHost) typeLine(phone uint32, line string) {
	h.phones[phone].machine.Typed(h.clocks.read(phone), line, &h.out)
	h.act(phone)
}

// sendBeacons makes the program send its beacon to other phones, in order.
func (h *phoneHost) sendBeacons(phone uint32, to []uint32) {
	m := &h.phones[phone].machine
	for _, t := range to {
		m.Beacon(h.clocks.read(phone), Address(t), &h.out)
	}
	h.act(phone)
}

// connectFailed hands the program the failure of its connect.
func (h *phoneHost) connectFailed(phone uint32, reason string) {
	h.phones[phone].conn = noConn
	h.phones[phone].machine.ConnectFailed(h.clocks.read(phone), reason, &h.out)
	h.act(phone)
}

// read hands the program bytes of the server.
func (h *phoneHost) read(phone uint32, p []byte) {
	h.phones[phone].machine.Read(h.clocks.read(phone), p, &h.out)
	h.act(phone)
}

// connClosed closes the program's connection c after the server has closed its side, and
// hands the program that end.
func (h *phoneHost) connClosed(phone, c uint32) {
	h.phones[phone].conn = noConn
	h.tcp.closePhoneSide(c)
	h.phones[phone].machine.Closed(h.clocks.read(phone), &h.out)
	h.act(phone)
}

// endConn ends the program's connection by one of the functions of tcp, if there is one.
func (h *phoneHost) endConn(phone uint32, end func(c uint32)) {
	if p := &h.phones[phone]; p.conn != noConn {
		end(p.conn)
		p.conn = noConn
	}
}

// takeSession moves the session of one program of a phone to another.
func (h *phoneHost) takeSession(to, from uint32) {
	h.emit.Plain(event.SessionMoved, to, from)
	a, b := &h.phones[to], &h.phones[from]
	if a.conn != noConn {
		h.tcp.closePhoneSide(a.conn)
	}
	a.conn, b.conn = b.conn, noConn
	if a.conn != noConn {
		h.tcp.conns[a.conn].Phone = to
	}
	a.machine.TakeSession(&b.machine)
	h.act(to)
}

// clear clears the memory of a phone whose program has stopped. It emits the ends of
// the operations under way.
func (h *phoneHost) clear(phone uint32) {
	p := &h.phones[phone]
	var out nodes.PhoneOutbox
	p.machine.Open(h.clocks.read(phone), &out) // emits the ends of its operations
	p.machine.Init(p.machine.Settings())
	p.wakeAt, p.laterWake, p.firsts = never, never, nil
	for i := range out.Effects {
		if e := &out.Effects[i]; e.Kind == nodes.PhoneDone {
			h.done(phone, e)
		}
	}
}

// restart starts a phone's program with the stored contacts of its disk.
func (h *phoneHost) restart(phone uint32, stored []nodes.StoredContact) {
	p := &h.phones[phone]
	p.machine.Restore(h.clocks.read(phone), stored)
	h.emit.Text(event.ProgramStatus, phone, "is started again")
	h.emit.Log(event.PhoneStarted, phone, p.machine.Log())
	if h.disks.folder(phone) != nil {
		h.disks.printNotes(phone)
		h.disks.setChanged(phone) // expired entries leave the disk
	}
	h.act(phone)
}

// log returns a phone's contact log without the entries that expire now.
func (h *phoneHost) log(phone uint32) *nodes.ContactLog {
	p := &h.phones[phone]
	if d, ok := p.machine.NextWake(); ok && d <= h.clocks.elapsed(phone) {
		// An observer may ask amid another phone's effects.
		out := h.out
		h.out = nodes.PhoneOutbox{}
		h.emit.Nested(func() { h.wake(phone) })
		h.out = out
	}
	return p.machine.Log()
}
