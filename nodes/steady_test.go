package nodes

import (
	"testing"
	"time"
	"unsafe"

	"bluetrace/protocol"
)

// steady is a phone in the steady state: with each beacon that arrives, an entry
// expires.
type steady struct {
	p        Phone
	settings PhoneSettings
	out      PhoneOutbox
	now      Now
	raw      [protocol.BeaconSize]byte
}

const steadyStep = 3 * time.Minute / 72

func newSteady() *steady {
	s := &steady{settings: DefaultPhoneSettings(), now: at(0)}
	s.settings.Zone = protocol.NewZone(time.UTC)
	s.p.Init(&s.settings)
	start := s.settings.Zone.Local(s.now.Unix() - 60)
	b := protocol.Beacon{TempID: protocol.TempID([]byte(someID)), Start: start, Expiry: start + 1e9}
	b.Encode(&s.raw)
	s.p.beacon, s.p.hasTempID = s.raw, true
	for range 200 {
		s.single()
		s.split()
	}
	return s
}

func (s *steady) step(by time.Duration) {
	s.now.Elapsed += by
	s.now.Wall += int64(by)
	s.out.Effects = s.out.Effects[:0]
}

func (s *steady) single() {
	s.step(steadyStep)
	s.p.Datagram(s.now, sender, s.raw[:], &s.out)
}

func (s *steady) split() {
	s.step(steadyStep)
	for i := range protocol.Parts {
		s.p.Datagram(s.now, sender, protocol.Part(&s.raw, i), &s.out)
	}
}

func TestNothingIsAllocatedInTheSteadyState(t *testing.T) {
	s := newSteady()
	equal(t, "entries", s.p.Log().Len(), 72)
	for title, f := range map[string]func(){
		"single":   s.single,
		"split":    s.split,
		"beacon":   func() { s.step(1); s.p.Beacon(s.now, sender, &s.out) },
		"wake":     func() { s.step(1); s.p.Wake(s.now, &s.out) },
		"nextwake": func() { s.p.NextWake() },
		"broken":   func() { s.step(1); s.p.Datagram(s.now, sender2, s.raw[:30], &s.out) },
	} {
		t.Run(title, func(t *testing.T) {
			equal(t, title+": allocations", testing.AllocsPerRun(1000, f), 0)
		})
	}
	s.single()
	last := s.out.Effects[len(s.out.Effects)-1]
	equal(t, "the last one was judged valid", last.Kind == PhoneJudged && last.Err == nil, true)
}

func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(Phone{}); got > 320 {
		t.Errorf("a phone has %d bytes, above 320", got)
	}
	t.Logf("phone %d bytes, its effect %d, server connection %d", unsafe.Sizeof(Phone{}),
		unsafe.Sizeof(PhoneEffect{}), unsafe.Sizeof(connection{}))
}

func BenchmarkDatagramSingle(b *testing.B) {
	s := newSteady()
	b.ReportAllocs()
	for b.Loop() {
		s.single()
	}
}

func BenchmarkDatagramSplit(b *testing.B) {
	s := newSteady()
	b.ReportAllocs()
	for b.Loop() {
		s.split()
	}
}

func BenchmarkBeacon(b *testing.B) {
	s := newSteady()
	b.ReportAllocs()
	for b.Loop() {
		s.out.Effects = s.out.Effects[:0]
		s.p.Beacon(s.now, sender, &s.out)
	}
}
