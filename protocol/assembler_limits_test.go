package protocol

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// crowded is the IP address that has almost as many sources as one address may have.
var crowded = [16]byte{1}

// nearLimits returns both assemblers with the same dropped sources: ofOne of the address crowded, then others, each of
// an address of its own. Each source has sent one datagram out of turn.
func nearLimits(t tester, ofOne, others int) *bothAssemblers {
	b := &bothAssemblers{t: t}
	add := func(from Address) {
		b.real.Datagram(0, from, nil, nil)
		b.model.sources = append(b.model.sources, modelSource{from: from, drop: true})
	}
	for i := range ofOne {
		add(Address{IP: crowded, Port: uint16(i)})
	}
	for i := range others {
		add(Address{IP: [16]byte{2, byte(i >> 8), byte(i)}, Port: 1})
	}
	return b
}

// The Assembler equals the model where the limits of one address, of all, or both are reached within a few datagrams.
func TestAssemblerAtItsLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ofOne := MaxSourcesPerAddress - rapid.IntRange(0, 3).Draw(t, "room of one address")
		all := MaxSources - rapid.SampledFrom([]int{0, 1, 2, 500, MaxSources - ofOne}).Draw(t, "room of all")
		b := nearLimits(t, ofOne, all-ofOne)
		payload := []byte(strings.Repeat("0123456789", 6))
		for range rapid.IntRange(1, 40).Draw(t, "datagrams") {
			b.now += time.Duration(rapid.SampledFrom([]int64{0, 1, 1e6, 249e6, 250e6, 1e9}).Draw(t, "later"))
			var from Address
			switch n := rapid.IntRange(0, 8).Draw(t, "source"); {
			case n < 4: // among the oldest of the crowded address, or new there
				from = Address{IP: crowded, Port: uint16(n/2*(MaxSourcesPerAddress+5) + n%2)}
			case n < 6: // among the oldest of the others
				from = Address{IP: [16]byte{2, 0, byte(n - 4)}, Port: 1}
			default: // new
				from = Address{IP: [16]byte{3}, Port: uint16(n)}
			}
			payload[0] = byte('0' + rapid.IntRange(0, 9).Draw(t, "digit"))
			for range rapid.IntRange(1, 2).Draw(t, "times") {
				b.datagram(from, payload[:rapid.SampledFrom(lengths[:6]).Draw(t, "length")])
			}
		}
		b.now += time.Minute
		b.wake()
	})
}
