package virtual_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// told is a FaultWatcher that keeps what it is told, a line each.
type told struct{ calls []string }

func (w *told) add(at int64, format string, args ...any) {
	w.calls = append(w.calls, fmt.Sprintf("%v ", time.Duration(at))+fmt.Sprintf(format, args...))
}

func (w *told) FaultApplied(at int64, inForce bool, what string) {
	if !inForce {
		w.add(at, "applied after its end: %s", what)
	}
}

func (w *told) Doubled(at, due int64)                   { w.add(at, "doubled, due %v", time.Duration(due)) }
func (w *told) DatagramDropped(at int64)                { w.add(at, "dropped") }
func (w *told) DatagramChanged(at int64, sender uint32) { w.add(at, "changed of %d", sender) }
func (w *told) PhoneStopped(at int64, phone uint32)     { w.add(at, "phone %d stopped", phone) }

func (w *told) PhoneStarted(at int64, phone uint32, log *nodes.ContactLog) {
	w.add(at, "phone %d started with %d", phone, log.Len())
}

func (w *told) Written(at int64, phone uint32, kept []nodes.StoredContact) {
	w.add(at, "phone %d wrote %d", phone, len(kept))
}
func (w *told) ServerStopped(at int64) { w.add(at, "server stopped") }
func (w *told) ServerStarted(at int64, _ func(protocol.TempID) (nodes.Issue, bool)) {
	w.add(at, "server started")
}
func (w *told) StoreAsked(at int64, records []nodes.Record) {
	w.add(at, "store of %d", len(records))
}

func (w *told) StoreDone(at int64, records []nodes.Record, err error) {
	w.add(at, "stored %d: %v", len(records), err)
}

func (*told) StoreAnswered(int64, nodes.Conn)           {}
func (*told) FaultInForce(int64, world.FaultKind, bool) {}

func (*told) PhoneOpened(int64, uint32)               {}
func (*told) PhoneTyped(int64, uint32, string)        {}
func (*told) PhoneConnects(int64, uint32, nodes.Conn) {}
func (*told) PhoneSent(int64, uint32, []byte)         {}
func (*told) PhonePrinted(int64, uint32, string)      {}
func (*told) SessionMoved(int64, uint32, uint32)      {}

func (w *told) ClockSet(at int64, who uint32, elapsed time.Duration, wall int64, drift float64) {
	w.add(at, "clock of %d: %v, %s, %g", int32(who), elapsed, time.Unix(0, wall).UTC().Format("15:04:05.000"), drift)
}

// faultRig is a rig that hears what faults do.
type faultRig struct {
	*rig
	did    []world.Applied
	number int
}

func newFaultRig(t *testing.T, c virtual.Config) *faultRig {
	return buildFaultRig(t, c, true)
}

// buildFaultRig builds a rig with or without a trace.
func buildFaultRig(t *testing.T, c virtual.Config, traced bool) *faultRig {
	r := &faultRig{rig: &rig{t: t}}
	var trace io.Writer
	if traced {
		trace = &r.trace
	}
	r.build(c, trace, func(a world.Applied) { r.did = append(r.did, a) })
	return r
}

// withFolders gives phones folders.
func withFolders(phones []virtual.PhoneConfig) []virtual.PhoneConfig {
	for i := range phones {
		phones[i].Folder = files.NewMemory()
	}
	return phones
}

// fault has one in force from at on, for a while; 0: to the end. Chance 0 is 1.
func (r *faultRig) fault(at, length time.Duration, f world.Fault) *world.Fault {
	r.number++
	if f.Number == 0 {
		f.Number = r.number
	}
	if f.Chance == 0 {
		f.Chance = 1
	}
	if f.Text == "" {
		f.Text = string(f.Kind)
	}
	r.Call(at, func() { r.Begin(&f) })
	if length > 0 {
		r.Call(at+length, func() { r.End(&f) })
	}
	return &f
}

// applied renders what the faults did.
func (r *faultRig) applied() []string {
	var all []string
	for _, a := range r.did {
		all = append(all, fmt.Sprintf("%v fault %d %s %d>%d #%d %d", time.Duration(a.At), a.Fault, a.Kind, int32(a.Who), int32(a.Peer), a.Nth, a.Amount))
	}
	return all
}

func want(t *testing.T, what string, got []string, lines ...string) {
	t.Helper()
	if !slices.Equal(got, lines) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

// heardBy are the calls of the watcher that have a word in them.
func (r *faultRig) heard(word string) []string {
	var some []string
	for _, c := range r.wire.calls {
		if strings.Contains(c, word) {
			some = append(some, c)
		}
	}
	return some
}

// traced are the lines of the trace that contain a text.
func (r *faultRig) traced(text string) []string {
	var some []string
	for line := range strings.Lines(r.trace.String()) {
		if strings.Contains(line, text) {
			some = append(some, strings.TrimSuffix(line, "\n"))
		}
	}
	return some
}

// verdicts renders what the phones judged.
func (r *faultRig) verdicts() []string {
	var all []string
	for _, v := range r.wire.verdicts {
		word := "invalid"
		switch {
		case v.broken:
			word = "broken"
		case v.valid:
			word = "valid"
		}
		all = append(all, fmt.Sprintf("%v %d of %d %s", v.at, v.phone, v.sender, word))
	}
	return all
}

// beacon sends a forged beacon in one datagram from a to b.
func (r *faultRig) beacon(at time.Duration, from, to uint32, number uint64) {
	raw := forged(number)
	r.Call(at, func() { r.SendDatagram(from, to, 0, raw[:]) })
}

// bytesAt sends some bytes.
func (r *faultRig) bytesAt(at time.Duration, from, to uint32, n int) {
	r.Call(at, func() { r.SendDatagram(from, to, 0, []byte(strings.Repeat("x", n))) })
}

func phones(who ...uint32) world.Nodes { return world.Nodes{Phones: who} }

var (
	server   = world.Nodes{Server: true}
	anybody  = world.Nodes{Any: true}
	tenMS    = virtual.Delay{Min: 10 * ms, Max: 10 * ms}
	withTens = virtual.Config{UDP: virtual.UDP{Delay: tenMS}, TCP: virtual.TCP{Delay: tenMS}}
)

// balanced checks the books of datagrams against the watcher's.
func (r *faultRig) balanced() {
	r.t.Helper()
	n := r.Totals().Datagrams
	if n.Sent != n.Delivered+n.Lost+n.InFlight || n.InFlight != uint64(r.UnderWay()) {
		r.t.Errorf("datagrams %+v, under way %d", n, r.UnderWay())
	}
	doubled, dropped := uint64(len(r.heard("doubled"))), uint64(len(r.heard("dropped")))
	if b := r.wire.balance; b.Sent+doubled != n.Sent || b.Lost+dropped != n.Lost || b.Delivered != n.Delivered {
		r.t.Errorf("the watcher counts %+v, %d doubled and %d dropped, the world %+v", b, doubled, dropped, n)
	}
}
