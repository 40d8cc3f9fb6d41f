package protocol

import (
	"testing"
	"time"
)

func BenchmarkEncode(b *testing.B) {
	beacon, _ := DecodeBeacon([]byte(wire))
	var dst [BeaconSize]byte
	b.ReportAllocs()
	for b.Loop() {
		beacon.Encode(&dst)
	}
}

func BenchmarkDecodeBeacon(b *testing.B) {
	raw := []byte(wire)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeBeacon(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// For comparison with DecodeBeacon: one of its two times, parsed by the time package.
func BenchmarkTimePackageParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := time.Parse(goLayout, wire[20:39]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	for _, zone := range []string{"UTC", "Australia/Sydney"} {
		b.Run(zone, func(b *testing.B) {
			z := NewZone(location(b, zone))
			raw := rawBeacon(b, wire)
			r, _ := z.Readings(local(b, wire[20:39]))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Judge(raw, true, z, r[0]*1e9); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// One operation is one beacon: four datagrams, with this many other sources
// known.
func BenchmarkAssembler(b *testing.B) {
	raw := rawBeacon(b, wire)
	for _, others := range []struct {
		name  string
		count int
	}{{"alone", 0}, {"7 others", 7}, {"1000 others", 1000}, {"4095 others", 4095}} {
		b.Run(others.name, func(b *testing.B) {
			var a Assembler
			var out []Assembled
			for i := range others.count {
				out = a.Datagram(0, manyAddresses(i), nil, out[:0])
			}
			from := manyAddresses(100_000)
			b.ReportAllocs()
			for b.Loop() {
				for i := range Parts {
					out = a.Datagram(0, from, Part(raw, i), out[:0])
				}
			}
			if len(out) != 1 {
				b.Fatalf("the last part gave %d beacons", len(out))
			}
		})
	}
}
