package protocol

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"
)

var (
	alice = AddressOf(netip.MustParseAddrPort("10.0.0.1:50001"))
	bob   = AddressOf(netip.MustParseAddrPort("10.0.0.1:50002"))
)

// manyAddresses returns a different address for every i, with eight ports for each IP
// address.
func manyAddresses(i int) Address {
	a := Address{Port: uint16(i%8 + 1)}
	binary.BigEndian.PutUint32(a.IP[4:], uint32(i/8))
	return a
}

// arrival is one datagram.
type arrival struct {
	at   time.Duration
	from Address
	text string
}

func parts(text string) (id, start, expiry, version string) {
	return text[:20], text[20:39], text[39:58], text[58:]
}

// describe formats assembled beacons, a line each.
func describe(now time.Duration, out []Assembled) []string {
	var lines []string
	for _, o := range out {
		what := fmt.Sprintf("%q", o.Raw[:58])
		if o.HasVersion {
			what = fmt.Sprintf("%q", o.Raw)
		}
		if o.OutOfTurn {
			what = "broken"
		}
		lines = append(lines, fmt.Sprintf("%v :%d %s since %v", now, o.From.Port, what, o.FirstPart))
	}
	return lines
}

// play delivers the arrivals, and every wake-up that is due in between and up to
// until.
func play(arrivals []arrival, until time.Duration) []string {
	var a Assembler
	var lines []string
	wake := func(now time.Duration) {
		for next, ok := a.NextWake(); ok && next < now; next, ok = a.NextWake() {
			lines = append(lines, describe(next, a.Wake(next, nil))...)
		}
	}
	for _, in := range arrivals {
		wake(in.at)
		lines = append(lines, describe(in.at, a.Datagram(in.at, in.from, []byte(in.text), nil))...)
	}
	wake(until + 1)
	return lines
}

func TestAssembler(t *testing.T) {
	const ms = time.Millisecond
	id, start, expiry, version := parts(wire)
	other := "11111111111111111111" + wire[20:]
	id2, _, _, _ := parts(other)
	three := fmt.Sprintf("%q", wire[:58])
	tests := []struct {
		why  string
		in   []arrival
		want []string
	}{
		{"four parts in order",
			[]arrival{{0, alice, id}, {1, alice, start}, {2, alice, expiry}, {3, alice, version}},
			[]string{fmt.Sprintf("3ns :50001 %q since 0s", wire)}},
		{"one datagram",
			[]arrival{{5, alice, wire}},
			[]string{fmt.Sprintf("5ns :50001 %q since 5ns", wire)}},
		{"two phones at the same moment",
			[]arrival{{0, alice, id}, {0, bob, id2}, {0, alice, start}, {0, bob, start}, {0, alice, expiry},
				{0, bob, expiry}, {0, alice, version}, {0, bob, version}},
			[]string{fmt.Sprintf("0s :50001 %q since 0s", wire), fmt.Sprintf("0s :50002 %q since 0s", other)}},
		{"no fourth part: judged 250 ms after the third",
			[]arrival{{0, alice, id}, {1, alice, start}, {2, alice, expiry}},
			[]string{"250.000002ms :50001 " + three + " since 0s"}},
		{"the fourth part a nanosecond before that",
			[]arrival{{0, alice, id}, {1, alice, start}, {2, alice, expiry}, {250*ms + 1, alice, version}},
			[]string{fmt.Sprintf("250.000001ms :50001 %q since 0s", wire)}},
		{"the fourth part at that instant: the deadline comes first, the part is out of turn",
			[]arrival{{0, alice, id}, {1, alice, start}, {2, alice, expiry}, {250*ms + 2, alice, version}},
			[]string{"250.000002ms :50001 " + three + " since 0s", "250.000002ms :50001 broken since 250.000002ms"}},
		{"the next one starts: the one with three parts is judged",
			[]arrival{{0, alice, id}, {1, alice, start}, {2, alice, expiry}, {9, alice, id2}, {9, alice, start},
				{9, alice, expiry}, {9, alice, version}},
			[]string{"9ns :50001 " + three + " since 0s", fmt.Sprintf("9ns :50001 %q since 9ns", other)}},
		{"a single one comes: the one with three parts is judged before it",
			[]arrival{{0, alice, id}, {1, alice, start}, {2, alice, expiry}, {9, alice, other}},
			[]string{"9ns :50001 " + three + " since 0s", fmt.Sprintf("9ns :50001 %q since 9ns", other)}},
		{"the next one starts: one with two parts is forgotten",
			[]arrival{{0, alice, id}, {1, alice, start}, {9, alice, id}, {9, alice, start}, {9, alice, expiry}, {9, alice, version}},
			[]string{fmt.Sprintf("9ns :50001 %q since 9ns", wire)}},
		{"a single one comes: one with two parts is forgotten, its third is out of turn",
			[]arrival{{0, alice, id}, {1, alice, start}, {9, alice, wire}, {10, alice, expiry}},
			[]string{fmt.Sprintf("9ns :50001 %q since 9ns", wire), "10ns :50001 broken since 10ns"}},
		{"a part is lost: one invalid, then silence up to the next 20 bytes",
			[]arrival{{0, alice, id}, {1, alice, start}, {2, alice, version}, {3, alice, version}, {4, alice, ""},
				{5, alice, "what is this"}, {6, alice, id}, {6, alice, start}, {6, alice, expiry}, {6, alice, version}},
			[]string{"2ns :50001 broken since 0s", fmt.Sprintf("6ns :50001 %q since 6ns", wire)}},
		{"the first part is lost",
			[]arrival{{0, alice, start}, {1, alice, expiry}, {2, alice, version}, {3, alice, id}},
			[]string{"0s :50001 broken since 0s"}},
		{"a fourth part of 19 bytes",
			[]arrival{{0, alice, id}, {1, alice, start}, {2, alice, expiry}, {3, alice, expiry}, {4, alice, version}},
			[]string{"3ns :50001 broken since 0s"}},
		{"a wrong length from a source that is not known, and nothing at all",
			[]arrival{{0, alice, "x2"}, {0, bob, ""}},
			[]string{"0s :50001 broken since 0s", "0s :50002 broken since 0s"}},
		{"a single one while the source is dropped: judged, and it stays dropped",
			[]arrival{{0, alice, ""}, {1, alice, wire}, {2, alice, start}},
			[]string{"0s :50001 broken since 0s", fmt.Sprintf("1ns :50001 %q since 1ns", wire)}},
		{"still dropped an hour later",
			[]arrival{{0, alice, ""}, {time.Hour, alice, start}},
			[]string{"0s :50001 broken since 0s"}},
		{"a part a nanosecond before the beacon is forgotten",
			[]arrival{{0, alice, id}, {1, alice, start}, {1000*ms - 1, alice, expiry}, {1000*ms - 1, alice, version}},
			[]string{fmt.Sprintf("999.999999ms :50001 %q since 0s", wire)}},
		{"a part at the instant it is forgotten",
			[]arrival{{0, alice, id}, {1, alice, start}, {1000 * ms, alice, expiry}, {1001 * ms, alice, version}},
			[]string{"1s :50001 broken since 1s"}},
		{"third part 250 ms before the beacon is forgotten: judged at that instant",
			[]arrival{{0, alice, id}, {1, alice, start}, {750 * ms, alice, expiry}},
			[]string{"1s :50001 " + three + " since 0s"}},
		{"third part a nanosecond later: forgotten with three parts",
			[]arrival{{0, alice, id}, {1, alice, start}, {750*ms + 1, alice, expiry}, {1000 * ms, alice, version}},
			[]string{"1s :50001 broken since 1s"}},
	}
	for _, test := range tests {
		t.Run(test.why, func(t *testing.T) {
			if got := play(test.in, 2*time.Second); !slices.Equal(got, test.want) {
				t.Errorf("%s:\n got %s\nwant %s", test.why, strings.Join(got, "\n     "), strings.Join(test.want, "\n     "))
			}
		})
	}
}

// A host that wakes late gets the same beacons in the same order.
func TestAssemblerWokenLate(t *testing.T) {
	id, start, expiry, _ := parts(wire)
	var a Assembler
	var out []Assembled
	for _, in := range []arrival{
		{0, alice, id}, {0, bob, id}, {0, alice, start}, {0, bob, start},
		{700e6, bob, expiry}, {800e6, alice, expiry},
	} {
		out = a.Datagram(in.at, in.from, []byte(in.text), out)
	}
	if next, ok := a.NextWake(); next != 950e6 || !ok || len(out) != 0 {
		t.Fatalf("NextWake = %v, %v after %d beacons, want 950ms", next, ok, len(out))
	}
	// The beacon of alice would be judged at 1050 ms, but is forgotten at 1000 ms.
	out = a.Wake(5*time.Second, out)
	if len(out) != 1 || out[0].From != bob {
		t.Errorf("woken at 5s: %q", describe(5e9, out))
	}
	if next, ok := a.NextWake(); ok || a.known.count != 0 {
		t.Errorf("NextWake = %v with %d sources known, want none", next, a.known.count)
	}
}

// The recorded datagrams, each sequence from its own port.
func TestAssemblerReplaysTheRecording(t *testing.T) {
	file, err := os.Open("testdata/udp.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	line := regexp.MustCompile(`^(?:(\d+) )?\d+ bytes?: +(.*)$`)
	var a Assembler
	var got []string
	z := NewZone(time.UTC)
	scan := bufio.NewScanner(file)
	for scan.Scan() {
		m := line.FindStringSubmatch(scan.Text())
		if m == nil {
			continue
		}
		from := alice
		fmt.Sscan(m[1], &from.Port)
		for _, o := range a.Datagram(0, from, []byte(m[2]), nil) {
			_, err := Judge(&o.Raw, o.HasVersion, z, 1795416000e9)
			got = append(got, fmt.Sprintf("%d %s %v", o.From.Port, o.Raw, err))
		}
	}
	want := []string{
		"50001 " + wire + " <nil>",
		"50001 " + wire + " <nil>",
		"50001 1111111111111111111123/11/2026 06:36:0323/11/2026 06:51:031 <nil>",
		"50002 2222222222222222222223/11/2026 06:36:0523/11/2026 06:51:051 <nil>",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestAssemblerLimits(t *testing.T) {
	id, start, expiry, version := parts(wire)
	send := func(a *Assembler, from Address, texts ...string) (out []Assembled) {
		for _, text := range texts {
			out = a.Datagram(0, from, []byte(text), out)
		}
		return out
	}
	t.Run("one address", func(t *testing.T) {
		var a Assembler
		send(&a, bob, id)
		port := func(i int) Address { return Address{IP: [16]byte{1}, Port: uint16(i)} }
		for i := range MaxSourcesPerAddress + 1 {
			send(&a, port(i), id)
		}
		if out := send(&a, port(0), start); len(out) != 1 || !out[0].OutOfTurn {
			t.Errorf("the oldest of 1025 was kept: %q", describe(0, out))
		}
		// Its entry as a dropped source evicted the next oldest, 1.
		if out := send(&a, port(2), start, expiry, version); len(out) != 1 || out[0].OutOfTurn {
			t.Errorf("the third oldest went: %q", describe(0, out))
		}
		if out := send(&a, bob, start, expiry, version); len(out) != 1 || out[0].OutOfTurn {
			t.Errorf("another address went: %q", describe(0, out))
		}
	})
	t.Run("all", func(t *testing.T) {
		var a Assembler
		for i := range MaxSources + 1 {
			send(&a, manyAddresses(i), id)
		}
		if out := send(&a, manyAddresses(1), start, expiry, version); len(out) != 1 || out[0].OutOfTurn {
			t.Errorf("the second oldest went: %q", describe(0, out))
		}
		send(&a, manyAddresses(5000), id) // takes the place of 1
		if a.known.count != MaxSources {
			t.Errorf("%d sources are known", a.known.count)
		}
		if out := send(&a, manyAddresses(0), start); len(out) != 1 || !out[0].OutOfTurn {
			t.Errorf("the oldest of 4097 was kept: %q", describe(0, out))
		}
		if out := send(&a, manyAddresses(2), start); len(out) != 1 || !out[0].OutOfTurn {
			t.Errorf("2 was kept, though 0 was newer: %q", describe(0, out))
		}
	})
	t.Run("begun again is young again", func(t *testing.T) {
		var a Assembler
		for i := range MaxSources {
			send(&a, manyAddresses(i), id)
		}
		send(&a, manyAddresses(0), id)
		send(&a, manyAddresses(9000), id)
		if out := send(&a, manyAddresses(0), start, expiry, version); len(out) != 1 || out[0].OutOfTurn {
			t.Errorf("it went: %q", describe(0, out))
		}
	})
}

// modelAssembler is a slow and simple second implementation of PROTOCOL.md section 3:
// a list of sources from the oldest to the newest.
type modelAssembler struct {
	sources []modelSource
}

type modelSource struct {
	from  Address
	parts []string
	first time.Duration
	third time.Duration
	drop  bool
}

func (m *modelAssembler) wake(now time.Duration, out []Assembled) []Assembled {
	for {
		best, at, judged := -1, now+1, true // nothing that is due after now
		for i, s := range m.sources {
			if s.drop {
				continue
			}
			if due := s.third + JudgeAfter; len(s.parts) == 3 && (due < at || due == at && !judged) {
				best, at, judged = i, due, true
			}
			if s.first+ForgetAfter < at {
				best, at, judged = i, s.first+ForgetAfter, false
			}
		}
		if best < 0 {
			return out
		}
		if judged {
			out = append(out, m.sources[best].judged())
		}
		m.sources = slices.Delete(m.sources, best, best+1)
	}
}

func (s *modelSource) judged() Assembled {
	o := Assembled{From: s.from, FirstPart: s.first, HasVersion: len(s.parts) == 4}
	copy(o.Raw[:], strings.Join(s.parts, ""))
	return o
}

func (m *modelAssembler) datagram(now time.Duration, from Address, p []byte, out []Assembled) []Assembled {
	out = m.wake(now, out)
	i := slices.IndexFunc(m.sources, func(s modelSource) bool { return s.from == from })
	var was modelSource
	if i >= 0 {
		was = m.sources[i]
	}
	switch turn := [4]int{20, 19, 19, 1}; {
	case len(p) == 59 || len(p) == 20:
		if i >= 0 && (!was.drop || len(p) == 20) {
			m.sources = slices.Delete(m.sources, i, i+1)
			if len(was.parts) == 3 {
				out = append(out, was.judged())
			}
		}
		if len(p) == 59 {
			return append(out, Assembled{From: from, Raw: [59]byte(p), HasVersion: true, FirstPart: now})
		}
		m.insert(modelSource{from: from, parts: []string{string(p)}, first: now})
	case i >= 0 && !was.drop && len(p) == turn[len(was.parts)]:
		s := &m.sources[i]
		s.parts = append(slices.Clone(s.parts), string(p))
		if len(s.parts) == 3 {
			s.third = now
		}
		if len(s.parts) == 4 {
			out = append(out, s.judged())
			m.sources = slices.Delete(m.sources, i, i+1)
		}
	case i >= 0 && was.drop:
	default:
		first := now
		if i >= 0 {
			first = was.first
			m.sources = slices.Delete(m.sources, i, i+1)
		}
		m.insert(modelSource{from: from, drop: true})
		out = append(out, Assembled{From: from, OutOfTurn: true, FirstPart: first})
	}
	return out
}

func (m *modelAssembler) insert(s modelSource) {
	sameIP := func(o modelSource) bool { return o.from.IP == s.from.IP }
	count := 0
	for _, o := range m.sources {
		if sameIP(o) {
			count++
		}
	}
	if count >= 1024 {
		i := slices.IndexFunc(m.sources, sameIP)
		m.sources = slices.Delete(m.sources, i, i+1)
	} else if len(m.sources) >= 4096 {
		m.sources = slices.Delete(m.sources, 0, 1)
	}
	m.sources = append(m.sources, s)
}

func (m *modelAssembler) nextWake() (next time.Duration, ok bool) {
	for _, s := range m.sources {
		if s.drop {
			continue
		}
		due := s.first + ForgetAfter
		if len(s.parts) == 3 {
			due = min(due, s.third+JudgeAfter)
		}
		if !ok || due < next {
			next, ok = due, true
		}
	}
	return next, ok
}

// sortByFrom makes outputs of one call comparable independent of the order of
// sources.
func sortByFrom(out []Assembled) []Assembled {
	slices.SortStableFunc(out, func(a, b Assembled) int {
		if d := slices.Compare(a.From.IP[:], b.From.IP[:]); d != 0 {
			return d
		}
		return int(a.From.Port) - int(b.From.Port)
	})
	return out
}

// tester is the part of a testing.T that a rapid.T has as well.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// bothAssemblers compares the Assembler with the model at every step.
type bothAssemblers struct {
	t     tester
	real  Assembler
	model modelAssembler
	now   time.Duration
}

func (b *bothAssemblers) datagram(from Address, p []byte) {
	b.t.Helper()
	got := sortByFrom(b.real.Datagram(b.now, from, p, nil))
	want := sortByFrom(b.model.datagram(b.now, from, p, nil))
	b.compare(got, want)
}

func (b *bothAssemblers) wake() {
	b.t.Helper()
	b.compare(sortByFrom(b.real.Wake(b.now, nil)), sortByFrom(b.model.wake(b.now, nil)))
}

func (b *bothAssemblers) compare(got, want []Assembled) {
	b.t.Helper()
	if !slices.Equal(got, want) {
		b.t.Fatalf("at %v:\n got %q\nwant %q", b.now, describe(b.now, got), describe(b.now, want))
	}
	next, ok := b.real.NextWake()
	wantNext, wantOK := b.model.nextWake()
	if ok != wantOK || ok && next != wantNext || int(b.real.known.count) != len(b.model.sources) {
		b.t.Fatalf("at %v: NextWake = %v, %v, %d known; want %v, %v, %d",
			b.now, next, ok, b.real.known.count, wantNext, wantOK, len(b.model.sources))
	}
}

var lengths = [...]int{20, 19, 19, 1, 59, 0, 2, 20, 19, 1}

// The Assembler equals the model with thousands of sources, beyond the limits.
func TestAssemblerAgainstTheModel(t *testing.T) {
	for seed := range uint64(4) {
		draw := rand.New(rand.NewPCG(seed, 7))
		b := bothAssemblers{t: t}
		payload := []byte(strings.Repeat("0123456789", 6))
		hosts, ports := 1+draw.IntN(12), 1+draw.IntN(1500)
		for range 6000 {
			b.now += time.Duration(draw.ExpFloat64() * 200e3)
			from := Address{IP: [16]byte{15: byte(draw.IntN(hosts))}, Port: uint16(draw.IntN(ports))}
			n := lengths[draw.IntN(len(lengths))]
			payload[0] = byte('0' + draw.IntN(10))
			switch draw.IntN(12) {
			case 0:
				b.wake()
			case 1, 2, 3:
				for _, n := range []int{20, 19, 19} {
					b.datagram(from, payload[:n])
				}
			default:
				b.datagram(from, payload[:n])
			}
		}
		b.now += time.Minute
		b.wake()
	}
}

func TestAssemblerMemory(t *testing.T) {
	if size := unsafe.Sizeof(Assembler{}); size > 64 {
		t.Errorf("an Assembler at rest takes %d bytes", size)
	}
	if size := unsafe.Sizeof(source{}); size > 112 {
		t.Errorf("a source takes %d bytes", size)
	}
	var a Assembler
	id, start, expiry, version := parts(wire)
	a.Datagram(0, alice, []byte(wire), nil)
	if a.known.slots != nil {
		t.Error("a single beacon took a slot")
	}
	for i := range 3 {
		for _, text := range []string{id, start, expiry, version} {
			a.Datagram(time.Duration(i), Address{Port: uint16(i)}, []byte(text), nil)
		}
	}
	if len(a.known.slots) != 1 || a.known.count != 0 {
		t.Errorf("beacons one after another took %d slots, %d in use", len(a.known.slots), a.known.count)
	}
	// After 500 sources at once, the next single source frees their memory.
	for i := range 500 {
		a.Datagram(10, manyAddresses(i), []byte(id), nil)
	}
	a.Wake(2*time.Second, nil)
	a.Datagram(2*time.Second, alice, []byte(id), nil)
	a.Wake(4*time.Second, nil)
	if len(a.known.slots) != 0 || a.known.index != nil {
		t.Errorf("%d slots are kept after a crowd", len(a.known.slots))
	}
}

func TestAssemblerAllocatesNothing(t *testing.T) {
	raw := rawBeacon(t, wire)
	for _, others := range []int{0, 7, 100, 4095} {
		var a Assembler
		out := make([]Assembled, 0, 8)
		for i := range others {
			out = a.Datagram(0, manyAddresses(i), nil, out[:0])
		}
		i, now := 0, time.Duration(0)
		beacon := func() {
			i, now = i+1, now+time.Millisecond
			from := manyAddresses(10_000 + i%97)
			for part := range Parts - i%2 {
				out = a.Datagram(now, from, Part(raw, part), out[:0])
			}
		}
		for range 1000 {
			beacon()
		}
		if n := testing.AllocsPerRun(1000, beacon); n != 0 {
			t.Errorf("with %d other sources: %v allocations a beacon", others, n)
		}
	}
}

// Each three bytes are one event: the time since the last, the source, the length.
func FuzzAssembler(f *testing.F) {
	f.Add([]byte{0, 1, 0, 1, 1, 1, 1, 1, 2, 1, 1, 3})
	f.Add([]byte{0, 1, 0, 9, 2, 0, 9, 1, 1, 200, 1, 2, 25, 2, 1, 255, 3, 0})
	f.Add(slices.Repeat([]byte{1, 1, 0, 1, 77, 0, 1, 9, 5}, 30))
	f.Fuzz(func(t *testing.T, events []byte) {
		b := bothAssemblers{t: t}
		payload := []byte(strings.Repeat("0123456789", 6))
		for ; len(events) >= 3; events = events[3:] {
			step, from, what := time.Duration(events[0]), events[1], int(events[2])
			b.now += step * step * step * 100 // up to 1.66 s
			payload[1] = events[2]
			if what == len(lengths) {
				b.wake()
				continue
			}
			b.datagram(Address{IP: [16]byte{from >> 5}, Port: uint16(from & 31)}, payload[:lengths[what%len(lengths)]])
		}
	})
}
