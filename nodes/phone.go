package nodes

import (
	"fmt"
	"time"
	"unsafe"

	"bluetrace/protocol"
)

// Phone is the state machine of one user's device: the client program with its session,
// the beacons that it sends and receives, and the contact log. A host may keep hundreds
// of thousands of phones as values in a slice. A Phone must not be copied or moved
// after Init.
type Phone struct {
	// Expiring an entry and receiving a whole beacon access only the fields from here
	// to the first 16 bytes of assembler. In a host's table they fill two cache lines.
	settings  *PhoneSettings
	log       ContactLog
	program   program
	assembler protocol.Assembler
	beacon    [protocol.BeaconSize]byte // the beacon to send, if hasTempID
	hasTempID bool
	// reportedFull is set once the user has been told that the log is full.
	reportedFull bool
}

// Init gives the phone its settings, which must be valid and must not change
// afterwards. The phone is offline and receives beacons from now on.
func (p *Phone) Init(s *PhoneSettings) {
	*p = Phone{settings: s}
	p.program.phone = p
}

// Settings returns the settings that Init was given.
func (p *Phone) Settings() *PhoneSettings { return p.settings }

// Log returns the contact log as it was after the last input.
func (p *Phone) Log() *ContactLog { return &p.log }

// TempID returns the phone's TempID with its start and expiry, as the beacon that the
// phone would send. It returns false before the first successful download.
func (p *Phone) TempID() (protocol.Beacon, bool) {
	if !p.hasTempID {
		return protocol.Beacon{}, false
	}
	b, err := protocol.DecodeBeacon(p.beacon[:])
	return b, err == nil
}

// AssemblerMemory returns the address of the table of incomplete beacons, so that a
// host can prefetch it into the CPU cache. It returns nil if no table is allocated.
func (p *Phone) AssemblerMemory() unsafe.Pointer { return p.assembler.Memory() }

// ExpiresBy reports whether an entry of the log reaches its retention at or
// before the elapsed time t.
func (p *Phone) ExpiresBy(t time.Duration) bool {
	received, any := p.log.Oldest()
	return any && later(received, p.settings.Retention) <= t
}

// Restore fills the log with the entries that an earlier run of the phone saved, in
// order of arrival. It is called once, after Init and before any input. It panics if
// the log has entries.
//
// The retention of an entry continues by wall time. Its remainder is at least zero and
// at most the full retention. It is also at most the remainder of any entry that
// arrived later (PROTOCOL.md section 1, "Two clocks"). Restore drops entries past their
// retention, and the oldest entries beyond MaxEntries.
func (p *Phone) Restore(now Now, stored []StoredContact) {
	if p.log.Len() > 0 {
		panic("restoring a contact log: it has entries already")
	}
	full := p.settings.Retention
	age := make([]time.Duration, len(stored))
	least := time.Duration(0)
	for i := len(stored) - 1; i >= 0; i-- {
		end := int64(later(time.Duration(stored[i].Received), full))
		least = max(least, full-remainder(end, now.Wall, full))
		age[i] = least
	}
	for i := range stored {
		if age[i] >= full {
			continue
		}
		if limit := p.settings.MaxEntries; limit > 0 && p.log.Len() == limit {
			p.log.dropOldest()
		}
		p.log.push(&stored[i].Beacon, now.Elapsed-age[i])
	}
}

// Beacon sends the phone's beacon to an address, even if the TempID has expired.
// Without a TempID it prints an error instead (PROTOCOL.md section 4).
func (p *Phone) Beacon(now Now, to protocol.Address, out *PhoneOutbox) {
	p.runDue(now, out)
	p.program.sendBeacon(to, out)
}

// Datagram handles the UDP datagram b that arrived from an address (PROTOCOL.md section
// 3).
func (p *Phone) Datagram(now Now, from protocol.Address, b []byte, out *PhoneOutbox) {
	p.expire(now, out)
	p.program.runTimer(now, out)
	out.assembled = p.assembler.Datagram(now.Elapsed, from, b, out.assembled[:0])
	p.judge(now, out)
}

// Wake handles everything that is due at or before now: entries past their retention,
// overdue parts of beacons, and the program's timer.
func (p *Phone) Wake(now Now, out *PhoneOutbox) { p.runDue(now, out) }

// NextWake returns the elapsed time of the next deadline that has a visible effect, or
// false if there is none. Forgetting an incomplete beacon has no visible effect, so its
// deadline is not included: the next input forgets the beacon in time.
func (p *Phone) NextWake() (time.Duration, bool) {
	at, ok := p.assembler.NextJudgement()
	if received, any := p.log.Oldest(); any {
		if expiry := later(received, p.settings.Retention); !ok || expiry < at {
			at, ok = expiry, true
		}
	}
	if g := &p.program; g.timer != timerNone && (!ok || g.timerAt < at) {
		at, ok = g.timerAt, true
	}
	return at, ok
}

// runDue handles everything that is due at or before now. It comes before the input
// that arrives at the same time (PROTOCOL.md section 1).
func (p *Phone) runDue(now Now, out *PhoneOutbox) {
	p.expire(now, out)
	p.program.runTimer(now, out)
	if at, ok := p.assembler.NextWake(); ok && at <= now.Elapsed {
		out.assembled = p.assembler.Wake(now.Elapsed, out.assembled[:0])
		p.judge(now, out)
	}
}

func (p *Phone) expire(now Now, out *PhoneOutbox) {
	if n := p.log.expire(now.Elapsed, p.settings.Retention); n > 0 {
		out.addUncleared(PhoneExpired).Expired = n
	}
}

// judge judges the beacons in out.assembled, emits a PhoneJudged for each, and adds the
// valid ones to the log.
func (p *Phone) judge(now Now, out *PhoneOutbox) {
	for i := range out.assembled {
		a := &out.assembled[i]
		e := out.addUncleared(PhoneJudged)
		e.From, e.FirstPart, e.At = a.From, a.FirstPart, now
		e.OutOfTurn, e.HasVersion, e.Err = false, false, nil
		if a.OutOfTurn {
			e.OutOfTurn, e.Err = true, protocol.ErrOutOfTurn
			continue
		}
		e.HasVersion, e.Raw = a.HasVersion, a.Raw
		b, err := protocol.Judge(&a.Raw, a.HasVersion, p.settings.Zone, now.Wall)
		if err != nil {
			e.Err = err
			continue
		}
		p.log.push(&b, now.Elapsed)
		if limit := p.settings.MaxEntries; limit > 0 && p.log.Len() > limit {
			p.dropOldest(out)
		}
	}
}

// dropOldest removes the oldest entry of a log with more than MaxEntries. Without that
// limit, any peer could fill the phone's memory with valid beacons. The first removal
// prints a message.
func (p *Phone) dropOldest(out *PhoneOutbox) {
	p.log.dropOldest()
	out.addUncleared(PhoneExpired).Expired = 1
	if !p.reportedFull {
		p.reportedFull = true
		p.program.print(fmt.Sprintf("the contact log is full with %d entries: the oldest go before their time",
			p.settings.MaxEntries), out)
	}
}

// Open starts the program, or starts it again: it connects to the server and
// prompts for the username. The contact log, the incomplete beacons and the
// TempID stay.
//
// Connected, ConnectFailed, Read and Closed concern the last PhoneConnect: after
// a PhoneCloseTCP the host reports nothing more of that connection.
func (p *Phone) Open(now Now, out *PhoneOutbox) {
	p.runDue(now, out)
	p.program.open(out)
}

// Connected reports that the TCP connection is established.
func (p *Phone) Connected(now Now, out *PhoneOutbox) {
	p.runDue(now, out)
	p.program.connected(now, out)
}

// ConnectFailed reports that the TCP connection could not be established. reason is a
// short text for the user.
func (p *Phone) ConnectFailed(now Now, reason string, out *PhoneOutbox) {
	p.runDue(now, out)
	p.program.connectFailed(now, reason, out)
}

// Closed reports that the server closed the connection, or that it broke.
func (p *Phone) Closed(now Now, out *PhoneOutbox) {
	p.runDue(now, out)
	p.program.closed(now, out)
}

// Read handles bytes from the server. An answer may arrive in pieces.
func (p *Phone) Read(now Now, b []byte, out *PhoneOutbox) {
	p.runDue(now, out)
	p.program.read(now, b, out)
}

// Typed handles one typed line, without its line end. While the phone waits for an
// answer, up to 64 lines are queued until it prompts again. After log out the line is
// ignored (PROTOCOL.md section 4).
func (p *Phone) Typed(now Now, line string, out *PhoneOutbox) {
	p.runDue(now, out)
	p.program.typed(now, line, out)
}

// Upload starts an upload of the given entries, where the command Upload_contact_log
// would upload the log. The phone must be at StageReady, else Upload panics. The
// entries must not change until the PhoneDone.
func (p *Phone) Upload(now Now, entries []Contact, out *PhoneOutbox) {
	p.runDue(now, out)
	if p.program.stage != StageReady {
		panic(fmt.Sprintf("uploading entries: the phone is %v, not %v", p.Stage(), StageReady))
	}
	p.program.startUpload(now, entries, out)
}

// InputEnded reports that no further line will be typed: the program ends after
// the queued lines.
func (p *Phone) InputEnded(now Now, out *PhoneOutbox) {
	p.runDue(now, out)
	p.program.endInput(now, out)
}

// Stage returns the stage of the program.
func (p *Phone) Stage() Stage { return p.program.currentStage() }

// TakeSession moves the session of from, another program of the same phone, to p. p
// must have no session. A user may start the program twice and continue with the second
// one. The log and the TempID of p stay.
func (p *Phone) TakeSession(from *Phone) { p.program.takeSession(&from.program) }
