package nodes

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
)

var (
	sender  = protocol.AddressOf(netip.MustParseAddrPort("127.0.0.1:50001"))
	sender2 = protocol.AddressOf(netip.MustParseAddrPort("127.0.0.1:50002"))
)

// phoneRig drives a phone and records its effects, a line each, and its terminal as
// the user sees it.
type phoneRig struct {
	t        testing.TB
	p        Phone
	settings PhoneSettings
	now      Now
	out      PhoneOutbox

	effects  []string
	terminal strings.Builder
	judged   []PhoneEffect
	done     []PhoneEffect
	expired  int
	sends    int    // since a test last looked
	sent     string // the last of them
}

func newPhoneRig(t testing.TB, change func(*PhoneSettings)) *phoneRig {
	t.Helper()
	r := &phoneRig{t: t, settings: DefaultPhoneSettings(), now: at(0)}
	if change != nil {
		change(&r.settings)
	}
	if err := r.settings.Validate(); err != nil {
		t.Fatal(err)
	}
	r.p.Init(&r.settings)
	return r
}

func (r *phoneRig) at(d time.Duration) *phoneRig {
	r.now = at(d)
	return r
}

// runEffects executes the effects and returns them as lines.
func (r *phoneRig) runEffects() []string {
	for i := range r.out.Effects {
		e := &r.out.Effects[i]
		r.terminal.Write(e.AppendText(nil, r.settings.Zone))
		switch e.Kind {
		case PhoneSendTCP:
			r.effects = append(r.effects, fmt.Sprintf("> %s", e.Bytes))
			r.sends, r.sent = r.sends+1, string(e.Bytes)
		case PhonePrompt:
			r.terminal.WriteString(e.Text)
			r.effects = append(r.effects, "? "+e.Text)
		case PhonePrint:
			r.effects = append(r.effects, e.Text)
		case PhoneDone:
			r.done = append(r.done, *e)
			r.effects = append(r.effects, fmt.Sprintf("%v: %v", e.Op, e.Outcome))
		case PhoneJudged:
			r.judged = append(r.judged, *e)
		case PhoneExpired:
			r.expired += e.Expired
		default:
			r.effects = append(r.effects, "("+e.Kind.String()+")")
		}
	}
	r.out.Effects = r.out.Effects[:0]
	said := r.effects
	r.effects = nil
	return said
}

func (r *phoneRig) open() []string      { r.p.Open(r.now, &r.out); return r.runEffects() }
func (r *phoneRig) connected() []string { r.p.Connected(r.now, &r.out); return r.runEffects() }
func (r *phoneRig) closed() []string    { r.p.Closed(r.now, &r.out); return r.runEffects() }
func (r *phoneRig) wake() []string      { r.p.Wake(r.now, &r.out); return r.runEffects() }

func (r *phoneRig) read(text string) []string {
	r.p.Read(r.now, []byte(text), &r.out)
	return r.runEffects()
}

func (r *phoneRig) typed(line string) []string {
	r.terminal.WriteString(line + "\n")
	r.p.Typed(r.now, line, &r.out)
	return r.runEffects()
}

func (r *phoneRig) inputEnded() []string {
	r.p.InputEnded(r.now, &r.out)
	return r.runEffects()
}

// ready logs the phone in. Only the password pause passes.
func (r *phoneRig) ready() *phoneRig {
	r.open()
	r.connected()
	r.typed(alice)
	r.typed(alicePassword)
	r.now = Now{Elapsed: r.now.Elapsed + r.settings.PasswordPause, Wall: r.now.Wall + int64(r.settings.PasswordPause)}
	r.wake()
	same(r.t, "login", r.read(welcome), welcome, "login: ok", "? input the command: ")
	return r
}

// deliver delivers one datagram and returns the verdicts since the last call.
func (r *phoneRig) deliver(from protocol.Address, text string) []PhoneEffect {
	r.p.Datagram(r.now, from, []byte(text), &r.out)
	r.runEffects()
	judged := r.judged
	r.judged = nil
	return judged
}

func (r *phoneRig) next() time.Duration {
	d, ok := r.p.NextWake()
	if !ok {
		return -1
	}
	return d
}

// whole returns a beacon in the single form. Its start is relative to startWall.
func whole(z *protocol.Zone, id string, start, lifetime time.Duration) string {
	from := startWall/int64(time.Second) + int64(start.Seconds())
	b := protocol.Beacon{
		TempID: protocol.TempID([]byte(id)),
		Start:  z.Local(from),
		Expiry: z.Local(from + int64(lifetime.Seconds())),
	}
	var raw [protocol.BeaconSize]byte
	b.Encode(&raw)
	return string(raw[:])
}

func utc() *protocol.Zone { return protocol.NewZone(time.UTC) }
