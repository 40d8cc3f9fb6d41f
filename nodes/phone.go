package nodes

import (
	"fmt"
	"time"
	"unsafe"

	"bluetrace/protocol"
)

// Phone is one user's program: its session with the server, the beacons it
// sends and receives, and its contact log. It is a value that a host keeps by
// the hundred thousand: what only a session in progress needs is behind one
// pointer. It must not be copied once it has been opened.
type Phone struct {
	settings   *PhoneSettings
	log        ContactLog
	timerAt    time.Duration // elapsed time at which timer is due
	timer      timer
	stage      Stage // StageConnecting stands for all stages of a login
	link       link
	hasID      bool
	overflowed bool // it was said that the log is full

	// What stands above, and the head of the assembler, is all that a whole
	// beacon's reception and an expiry need.
	assembler protocol.Assembler
	session   *session                  // nil: nothing is in progress and nothing waits
	raw       [protocol.BeaconSize]byte // what it sends, once hasID
}

// timer is what a phone waits for beside its log and its assembler; it never
// waits for two such things at once.
type timer uint8

const (
	timerNone     timer = iota
	timerPassword       // the pause between username and password
	timerAnswer         // the limit for one answer
)

// Init gives the phone its settings, which must be valid and stay as they are.
// The phone is offline, and receives beacons from now on.
func (p *Phone) Init(s *PhoneSettings) { *p = Phone{settings: s} }

// Settings are what Init gave it.
func (p *Phone) Settings() *PhoneSettings { return p.settings }

// TempID is the beacon that the phone would send; false before any download.
func (p *Phone) TempID() (protocol.Beacon, bool) {
	if !p.hasID {
		return protocol.Beacon{}, false
	}
	b, err := protocol.DecodeBeacon(p.raw[:])
	return b, err == nil
}

// Log is the contact log as the last input left it.
func (p *Phone) Log() *ContactLog { return &p.log }

// Parts points at the memory of beacons that are not whole yet; nil when there is
// none.
func (p *Phone) AssemblerMemory() unsafe.Pointer { return p.assembler.Memory() }

// ExpiresBy says whether an entry of the log is at its retention at an elapsed time.
func (p *Phone) ExpiresBy(at time.Duration) bool {
	received, any := p.log.Oldest()
	return any && later(received, p.settings.Retention) <= at
}

// Beacon sends the phone's beacon, expired or not, or says that it has none
// (PROTOCOL.md section 4).
func (p *Phone) Beacon(now Now, to protocol.Address, out *PhoneOutbox) {
	p.due(now, out)
	p.sendBeacon(to, out)
}

func (p *Phone) sendBeacon(to protocol.Address, out *PhoneOutbox) {
	if !p.hasID {
		out.print(textNoTempID)
		return
	}
	e := out.addHot(PhoneSendBeacon)
	e.To, e.Form, e.Raw = to, p.settings.Form, p.raw
}

// Datagram takes what arrived over UDP from one address (PROTOCOL.md section 3).
func (p *Phone) Datagram(now Now, from protocol.Address, b []byte, out *PhoneOutbox) {
	p.expire(now, out)
	p.ring(now, out)
	out.assembled = p.assembler.Datagram(now.Elapsed, from, b, out.assembled[:0])
	p.judge(now, out)
}

// Wake does what is due at now.
func (p *Phone) Wake(now Now, out *PhoneOutbox) { p.due(now, out) }

// NextWake is the elapsed time at which something is due that can be seen;
// false: nothing is. That a begun beacon is forgotten shows only when more of it
// comes, and is done then.
func (p *Phone) NextWake() (time.Duration, bool) {
	at, ok := p.assembler.NextJudgement()
	if received, any := p.log.Oldest(); any {
		if gone := later(received, p.settings.Retention); !ok || gone < at {
			at, ok = gone, true
		}
	}
	if p.timer != timerNone && (!ok || p.timerAt < at) {
		at, ok = p.timerAt, true
	}
	return at, ok
}

// due comes before what arrives at the same instant (PROTOCOL.md section 1).
func (p *Phone) due(now Now, out *PhoneOutbox) {
	p.expire(now, out)
	p.ring(now, out)
	if at, ok := p.assembler.NextWake(); ok && at <= now.Elapsed {
		out.assembled = p.assembler.Wake(now.Elapsed, out.assembled[:0])
		p.judge(now, out)
	}
}

func (p *Phone) expire(now Now, out *PhoneOutbox) {
	if gone := p.log.expire(now.Elapsed, p.settings.Retention); gone > 0 {
		out.addHot(PhoneExpired).Expired = gone
	}
}

// judge gives the verdict on what was assembled, and keeps what is valid.
func (p *Phone) judge(now Now, out *PhoneOutbox) {
	for i := range out.assembled {
		a := &out.assembled[i]
		e := out.addHot(PhoneJudged)
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
			p.overflow(out)
		}
	}
}

// overflow makes room: anybody may send valid beacons, and a phone has to last.
func (p *Phone) overflow(out *PhoneOutbox) {
	p.log.dropOldest()
	out.addHot(PhoneExpired).Expired = 1
	if !p.overflowed {
		p.overflowed = true
		out.print(fmt.Sprintf("the contact log is full with %d entries: the oldest go before their time", p.settings.MaxEntries))
	}
}
