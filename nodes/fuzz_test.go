package nodes

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"bluetrace/protocol"
)

// tape reads the bytes of a fuzzer as choices.
type tape struct{ rest []byte }

func (t *tape) more() bool { return len(t.rest) > 0 }

func (t *tape) byte() byte {
	if len(t.rest) == 0 {
		return 0
	}
	b := t.rest[0]
	t.rest = t.rest[1:]
	return b
}

// text returns 1 to 64 bytes of the tape, or one of the words.
func (t *tape) text(words []string) string {
	k := int(t.byte())
	if k < 192 {
		return words[k%len(words)]
	}
	n := min(k-191, len(t.rest))
	s := string(t.rest[:n])
	t.rest = t.rest[n:]
	if s == "" {
		return "?"
	}
	return s
}

// span returns a duration: zero, a nanosecond, or one near a time limit.
func (t *tape) span() time.Duration {
	spans := [...]time.Duration{0, 0, 1, time.Millisecond, 249 * time.Millisecond, 250 * time.Millisecond, time.Second,
		time.Second - 1, 10 * time.Second, time.Minute, time.Minute - 1, 3 * time.Minute, 2 * time.Minute, time.Hour}
	return spans[int(t.byte())%len(spans)]
}

// FuzzServer checks any input: no panic; each session is closed once, and nothing
// is sent to it afterwards; no deadline is missed; no user is welcomed during a
// block; a TempID resolves from the moment it was issued, not before.
func FuzzServer(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 0, 1, 0, 2, 1, 0, 3})
	f.Add([]byte("\x00\x00\x01\x00\x00\x01\x00\x01\x01\x00\x04\x03\x01\x00\x05\x01\x00\x06\x01\x00\x07\x02\x00"))
	f.Add([]byte("01110110901A000")) // a store is repeated for which no session waits
	words := []string{alice, alicePassword, "bad", bob, "Download_tempID", "Upload_contact_log", "3", someID, someStart,
		"log out", alice + alicePassword, alice + "bad", "0", "Download_tempIDDownload_tempIDlog", someID + someStart +
			someEnd}
	f.Fuzz(func(t *testing.T, script []byte) {
		c := newServerCheck(t)
		for tape := (tape{script}); tape.more(); {
			op := tape.byte()
			conn := Conn(tape.byte() % 4)
			switch op % 6 {
			case 0:
				c.accept(conn)
			case 1, 2:
				c.read(conn, tape.text(words))
			case 3:
				c.storedNext(tape.byte())
			case 4:
				c.s.EOF(c.now, conn, &c.out)
			case 5:
				c.pass(tape.span())
			}
			c.check()
		}
	})
}

// serverCheck is the state that FuzzServer expects of the server.
type serverCheck struct {
	*testing.T
	s       *Server
	now     Now
	out     ServerOutbox
	open    [4]bool
	waiting []StoreID
	blocked map[string]time.Duration // end of the block of known users
	issued  map[protocol.TempID]string
}

func newServerCheck(t *testing.T) *serverCheck {
	settings := DefaultServerSettings()
	settings.Entropy = rand.NewPCG(1, 2)
	settings.MaxUnknownNames = 2
	s, err := NewServer(settings)
	if err != nil {
		t.Fatal(err)
	}
	s.SetPasswords(NewPasswords([]Credential{{alice, alicePassword}, {bob, bobPassword}}))
	return &serverCheck{T: t, s: s, now: at(0), blocked: map[string]time.Duration{},
		issued: map[protocol.TempID]string{}}
}

func (c *serverCheck) accept(conn Conn) {
	if !c.open[conn] {
		c.open[conn] = true
		c.s.Accept(c.now, conn, netip.Addr{}, &c.out)
	}
}

func (c *serverCheck) read(conn Conn, text string) {
	if c.s.Reading(conn) {
		c.s.Read(c.now, conn, []byte(text), &c.out)
	}
}

func (c *serverCheck) storedNext(choice byte) {
	if len(c.waiting) == 0 {
		return
	}
	i := int(choice>>1) % len(c.waiting)
	id := c.waiting[i]
	c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
	var err error
	if choice&1 == 1 {
		err = errDisk
	}
	c.s.Stored(c.now, id, err, &c.out)
}

func (c *serverCheck) pass(d time.Duration) {
	c.now = Now{Elapsed: c.now.Elapsed + d, Wall: c.now.Wall + int64(d)}
	c.s.Wake(c.now, &c.out)
}

func (c *serverCheck) check() {
	for i := range c.out.Effects {
		e := &c.out.Effects[i]
		switch e.Kind {
		case EffectSend, EffectStore, EffectClose:
			if e.Kind == EffectStore && e.Conn == NoConn { // it repeats a store that failed
				break
			}
			if !c.open[e.Conn] {
				c.Fatalf("%v on connection %d, which is closed", e.Kind, e.Conn)
			}
			c.open[e.Conn] = e.Kind != EffectClose
		}
		if e.Kind == EffectStore {
			c.waiting = append(c.waiting, e.Store)
		}
		if e.Kind == EffectEvent {
			c.event(&e.Event)
		}
	}
	c.out.Effects = c.out.Effects[:0]
	if due, ok := c.s.NextWake(); ok && due <= c.now.Elapsed {
		c.Fatalf("at %v something is still due since %v", c.now.Elapsed, due)
	}
	for id, user := range c.issued {
		if i, ok := c.s.Resolve(id); !ok || i.User != user {
			c.Fatalf("TempID %s of %s resolves to %q, %v", id, user, i.User, ok)
		}
	}
}

func (c *serverCheck) event(e *ServerEvent) {
	switch e.Kind {
	case EventBlockBegan:
		c.blocked[e.User] = c.now.Elapsed + time.Minute
	case EventLoggedIn:
		if end := c.blocked[e.User]; c.now.Elapsed < end {
			c.Fatalf("%s is welcomed at %v, blocked until %v", e.User, c.now.Elapsed, end)
		}
	case EventIssued:
		if _, twice := c.issued[e.TempID]; twice {
			c.Fatalf("TempID %s was issued twice", e.TempID)
		}
		c.issued[e.TempID] = e.User
	}
}

// FuzzPhone checks any input: no panic; an entry leaves the log at its retention, not
// before or after; only valid beacons are in the log; no deadline is missed; nothing
// is sent without a connection.
func FuzzPhone(f *testing.F) {
	f.Add([]byte{0, 1, 4, 0, 4, 1, 7, 5, 2, 0, 4, 2, 2, 4, 5, 0, 0, 7, 11})
	f.Add([]byte{5, 0, 10, 5, 0, 11, 5, 0, 12, 7, 5, 5, 1, 10, 7, 11})
	beacon := whole(utc(), someID, 0, 15*time.Minute)
	typed := []string{alice, alicePassword, "Download_tempID", "Upload_contact_log", "log out", "Beacon 127.0.0.1 5",
		"Beacon", "", "x"}
	answers := []string{welcome, tryAgain, protocol.NowBlocked, protocol.IsBlocked, someID, "1", someID[:7], someID[7:],
		"x"}
	datagrams := []string{beacon, beacon[:20], beacon[20:39], beacon[39:58], beacon[58:], "", beacon[:30], beacon[1:] +
		"1"}
	f.Fuzz(func(t *testing.T, script []byte) {
		c := newPhoneCheck(t)
		for tape := (tape{script}); tape.more(); {
			switch tape.byte() % 9 {
			case 0:
				c.p.Open(c.now, &c.out)
			case 1:
				c.connected()
			case 2:
				c.p.Read(c.now, []byte(tape.text(answers)), &c.out)
			case 3:
				c.p.Closed(c.now, &c.out)
			case 4:
				c.p.Typed(c.now, tape.text(typed), &c.out)
			case 5, 6:
				from := sender
				from.Port += uint16(tape.byte() % 3)
				c.p.Datagram(c.now, from, []byte(tape.text(datagrams)), &c.out)
			case 7:
				c.pass(tape.span())
			case 8:
				c.rareInput(tape.byte())
			}
			c.check()
		}
	})
}

// phoneCheck is the state that FuzzPhone expects of the phone.
type phoneCheck struct {
	*testing.T
	p                  Phone
	settings           PhoneSettings
	out                PhoneOutbox
	now                Now
	online, connecting bool
	received           []time.Duration // of the entries that must be in the log
}

func newPhoneCheck(t *testing.T) *phoneCheck {
	c := &phoneCheck{T: t, settings: DefaultPhoneSettings(), now: at(0)}
	c.p.Init(&c.settings)
	return c
}

func (c *phoneCheck) connected() {
	if c.connecting {
		c.connecting, c.online = false, true
		c.p.Connected(c.now, &c.out)
	}
}

// rareInput runs one of the rarer inputs.
func (c *phoneCheck) rareInput(choice byte) {
	switch choice % 3 {
	case 0:
		c.p.InputEnded(c.now, &c.out)
	case 1:
		c.p.Beacon(c.now, sender, &c.out)
	case 2:
		if c.connecting {
			c.p.ConnectFailed(c.now, "refused", &c.out)
		}
	}
}

func (c *phoneCheck) pass(d time.Duration) {
	c.now = Now{Elapsed: c.now.Elapsed + d, Wall: c.now.Wall + int64(d)}
	c.p.Wake(c.now, &c.out)
}

func (c *phoneCheck) check() {
	for len(c.received) > 0 && c.received[0]+c.settings.Retention <= c.now.Elapsed {
		c.received = c.received[1:]
	}
	for i := range c.out.Effects {
		e := &c.out.Effects[i]
		e.AppendText(nil, c.settings.Zone)
		switch e.Kind {
		case PhoneConnect:
			c.connecting = true
		case PhoneCloseTCP:
			if !c.connecting && !c.online {
				c.Fatal("closes a connection that is not there")
			}
			c.connecting, c.online = false, false
		case PhoneSendTCP:
			if !c.online || len(e.Bytes) == 0 || len(e.Bytes) > protocol.MaxMessage {
				c.Fatalf("sends %q, connected %v", e.Bytes, c.online)
			}
		case PhoneJudged:
			if e.Err == nil {
				c.received = append(c.received, c.now.Elapsed)
			}
		}
	}
	c.out.Effects = c.out.Effects[:0]
	c.checkLog()
	if due, ok := c.p.NextWake(); ok && due <= c.now.Elapsed {
		c.Fatalf("at %v something is still due since %v", c.now.Elapsed, due)
	}
	if c.p.Stage().String() == "unknown" {
		c.Fatalf("stage %d", c.p.Stage())
	}
}

func (c *phoneCheck) checkLog() {
	log := c.p.Log()
	if log.Len() != len(c.received) {
		c.Fatalf("at %v the log has %d entries, want %d", c.now.Elapsed, log.Len(), len(c.received))
	}
	for i, want := range c.received {
		if got := log.At(i).Received; got != want {
			c.Fatalf("entry %d was received at %v, want %v", i, got, want)
		}
	}
}
