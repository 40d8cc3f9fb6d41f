package virtual

import (
	"fmt"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// Open starts the session of the phone's program: it connects and asks for a
// username.
func (w *World) Open(phone uint32) {
	if w.faults.begun && w.states.deferred(phone, func() { w.Open(phone) }) {
		return
	}
	w.emit.Plain(event.ProgramOpened, phone, event.NoPeer)
	w.phones.input(phone, (*nodes.Phone).Open)
}

// Type types a line at the prompt of the phone's program.
func (w *World) Type(phone uint32, line string) {
	if w.faults.begun && w.states.deferred(phone, func() { w.Type(phone, line) }) {
		return
	}
	w.emit.Text(event.LineTyped, phone, line)
	w.phones.typeLine(phone, line)
}

// TakeOver moves the session of a second program of a phone to the phone's own program.
// The user has started the program twice.
func (w *World) TakeOver(phone, second uint32) {
	if w.faults.begun && w.states.deferred(phone, func() { w.TakeOver(phone, second) }) {
		return
	}
	w.phones.takeSession(phone, second)
}

// SendBeacons sends the beacon of the phone's program to other phones, in order, in
// one instant.
func (w *World) SendBeacons(phone uint32, to []uint32) {
	if w.faults.begun {
		to := slices.Clone(to) // the caller may reuse it
		if w.states.deferred(phone, func() { w.SendBeacons(phone, to) }) {
			return
		}
	}
	w.phones.sendBeacons(phone, to)
}

// Stage returns the stage of the phone's program.
func (w *World) Stage(phone uint32) nodes.Stage { return w.phones.phones[phone].machine.Stage() }

// TempID returns the beacon that the phone's program would send.
func (w *World) TempID(phone uint32) (protocol.Beacon, bool) {
	return w.phones.phones[phone].machine.TempID()
}

// Log returns the phone's contact log without the entries that expire now.
func (w *World) Log(phone uint32) *nodes.ContactLog { return w.phones.log(phone) }

// PeekLog returns the phone's contact log as the program holds it.
func (w *World) PeekLog(phone uint32) *nodes.ContactLog { return w.phones.phones[phone].machine.Log() }

// Watch makes the world emit ScreenShown for the phone.
func (w *World) Watch(phone uint32) { w.phones.watch(phone) }

// Name returns the name of a phone.
func (w *World) Name(phone uint32) string { return w.faults.names[phone] }

// Phone returns the counts of one phone.
func (w *World) Phone(phone uint32) world.PhoneCounts {
	p := &w.phones.phones[phone]
	return world.PhoneCounts{Sent: uint64(p.sent), Valid: uint64(p.valid), Invalid: uint64(p.invalid), AgeMax: p.ageMax}
}

// PhoneHolds returns the sizes of the phone's files.
func (w *World) PhoneHolds(phone uint32) (world.PhoneHolds, bool) { return w.disks.phoneHolds(phone) }

// ServerHolds returns the state that the server and its host hold.
func (w *World) ServerHolds() (world.ServerHolds, bool) { return w.server.holds() }

// RestartServer kills the server: connections break, and records that are not on its
// disk are lost. It starts again after down.
func (w *World) RestartServer(down time.Duration) { w.server.restart(down) }

// AnnounceForged counts a beacon whose datagrams a script sends itself.
func (w *World) AnnounceForged(phone, to uint32, raw *[protocol.BeaconSize]byte) {
	w.phones.beaconSent(phone, to, raw)
}

// SendDatagram sends bytes from the phone's address without its program. Port 0 is
// the phone's own port.
func (w *World) SendDatagram(phone, to uint32, port uint16, p []byte) {
	if len(p) > maxDatagram {
		panic(fmt.Sprintf("virtual: a datagram of %d bytes, at most %d", len(p), maxDatagram))
	}
	from, dest := Address(phone), Address(to)
	if port != 0 {
		from.Port = port
	}
	w.emit.Plain(event.DatagramsForged, phone, event.NoPeer)
	w.udp.send(phone, &from, &dest, p)
}

// RawOpen opens a connection that the script drives. The script's previous connection
// stays open, unused.
func (w *World) RawOpen(phone uint32) { w.tcp.openScript(phone) }

// RawIsOpen reports whether the script has a connection.
func (w *World) RawIsOpen(phone uint32) bool {
	s := w.tcp.scripts[phone]
	return s != nil && s.conn != noConn
}

// RawSend sends bytes on the script's connection, once it is established.
func (w *World) RawSend(phone uint32, p []byte) {
	s := w.tcp.scripts[phone]
	s.queued = append(s.queued, p)
	w.tcp.flushScript(phone)
}

// RawEnd ends the script's side after all bytes have been sent: with a reset if reset is
// set, else with a half-close.
func (w *World) RawEnd(phone uint32, reset bool) {
	s := w.tcp.scripts[phone]
	s.fin, s.reset = true, reset
	w.tcp.flushScript(phone)
}
