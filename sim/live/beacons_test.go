package live

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/scenarios"
)

// TestBeaconsInARow: each of several beacons of one instant to one receiver arrives, although the dialect has a
// handshake. Those to a receiver that does not answer are given up one after the other, every 2 s.
func TestBeaconsInARow(t *testing.T) {
	known, err := scenarios.LoadDialect("tokens")
	if err != nil {
		t.Fatal(err)
	}
	known.Zone = time.UTC
	silent, err := listenUDP()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	r := newRig(t, func(c *Config) { c.Dialect = &known.Dialect })
	r.Call(time.Second, func() {
		b, to := r.phones[0].beacons, protocol.AddressOf(addressOf(silent.LocalAddr()))
		for i := range 3 {
			raw := fmt.Appendf(nil, "%020d29/07/2020 22:50:0029/07/2020 23:15:001", i)
			beacon := (*[protocol.BeaconSize]byte)(raw)
			r.SendForged(0, 1, 0, beacon)
			if err := b.send(to, b.side.Send(b.present(), to, beacon)); err != nil {
				t.Error(err)
			}
		}
	})
	r.run(time.Minute)
	const valid = "1 judged a beacon of 0 sent at 1s: <nil>"
	r.want(r.lines("judged"), valid, valid, valid)
	var toSilent []string
	for line := range strings.Lines(r.trace.String()) {
		if strings.Contains(line, " a -> : ") {
			toSilent = append(toSilent, strings.TrimSpace(line))
		}
	}
	r.want(toSilent, "1.000000000 a -> : datagram 2, 21 bytes, lost", "3.000000000 a -> : datagram 11, 21 bytes, lost",
		"5.000000000 a -> : datagram 12, 21 bytes, lost")
}
