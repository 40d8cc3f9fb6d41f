package dialect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/scenarios"
)

var sentAt = dialect.Now{Elapsed: time.Second, Wall: time.Date(2020, 7, 30, 16, 58, 12, 0, time.UTC)}

// beaconOf returns the bytes of a beacon in the single form.
func beaconOf(text string) *[protocol.BeaconSize]byte {
	return (*[protocol.BeaconSize]byte)([]byte(text))
}

const validBeacon = "1234567890123456789030/07/2020 16:50:0030/07/2020 17:05:001"

// sideOf returns the translator of a dialect of the program, or of the text of its beacon.
func sideOf(t *testing.T, name string) *dialect.BeaconSide {
	t.Helper()
	d, err := scenarios.LoadDialect(name)
	if strings.HasPrefix(name, "[") {
		d, err = scenarios.ParseDialect("d.yaml", []byte("name: d\nlogin: [send: '{user} {password}']\n"+
			"again: [send: '{password}']\noutcomes: {welcome: a, wrong: b}\nbeacon: "+name))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dialect.NewBeaconSide(&d.Dialect)
}

// exchange has one side send a beacon to the other one. It returns the datagrams on the way, and those that the
// machine of the receiver gets.
func exchange(sender, receiver *dialect.BeaconSide, raw string) (wire, own []string) {
	to, from := protocol.Address{Port: 2}, protocol.Address{Port: 1}
	down := sender.Send(sentAt, to, beaconOf(raw))
	for len(down) > 0 {
		wire = append(wire, string(down[0]))
		got, up := receiver.Receive(sentAt, from, down[0])
		if down = down[1:]; got != nil {
			own = append(own, string(got))
		}
		for _, answer := range up {
			wire = append(wire, string(answer))
			got, more := sender.Receive(sentAt, to, answer)
			if down = append(down, more...); got != nil {
				own = append(own, "sender: "+string(got))
			}
		}
	}
	return wire, own
}

// TestBeaconsOfDialects: a beacon has the bytes of its dialect on the wire, and reaches the machine in the single form.
func TestBeaconsOfDialects(t *testing.T) {
	const id, start, expiry = "12345678901234567890", "30/07/2020 16:50:00", "30/07/2020 17:05:00"
	for name, want := range map[string][]string{
		"half-json":  {id + "," + start + "," + expiry + ",1"},
		"tokens":     {"BT_SENDING_P2P_BEACON", "BT_READY_FOR_P2P_BEACON", validBeacon},
		"objects":    {"1," + id + "," + start + "," + expiry + "\n"},
		"json-words": {id + " 2020-07-30 16:50:00 2020-07-30 17:05:00 2020-07-30 16:58:12 1"},
		"columns":    {validBeacon},
		"utf":        {id + "," + start + "," + expiry + ",1"},
		"codes":      {"beacon:" + id + " " + start + " " + expiry + " 1.0"},
		"[send: '{tempid}', send: '{start}', send: '{expiry}', recv: ok, send: '1', recv: bye]": {
			id, start, expiry, "ok", "1", "bye"},
	} {
		wire, own := exchange(sideOf(t, name), sideOf(t, name), validBeacon)
		if got, want := fmt.Sprintf("%q", wire), fmt.Sprintf("%q", want); got != want {
			t.Errorf("%s: on the wire %s\nwant %s", name, got, want)
		}
		if len(own) != 1 || own[0] != validBeacon {
			t.Errorf("%s: the machine gets %q", name, own)
		}
	}
}

// TestBeaconsBesideDialects: a beacon that a dialect cannot express, and a datagram that is no beacon of it, pass
// unchanged.
func TestBeaconsBesideDialects(t *testing.T) {
	for _, raw := range []string{
		strings.TrimSuffix(validBeacon, "1") + "2",
		strings.Replace(validBeacon, "30/07", "31/02", 1),
		strings.Replace(validBeacon, "17:05", "17:65", 1),
	} {
		wire, own := exchange(sideOf(t, "codes"), sideOf(t, "codes"), raw)
		if fmt.Sprint(wire) != fmt.Sprint([]string{raw}) || fmt.Sprint(own) != fmt.Sprint([]string{raw}) {
			t.Errorf("on the wire %q, the machine gets %q", wire, own)
		}
		if all := sideOf(t, "codes").SendAll(sentAt, beaconOf(raw)); len(all) != 1 || string(all[0]) != raw {
			t.Errorf("to a socket without answers: %q", all)
		}
	}
	own, answers := sideOf(t, "codes").Receive(sentAt, protocol.Address{}, []byte("beacon:1 2 3 1.0"))
	if string(own) != "beacon:1 2 3 1.0" || answers != nil {
		t.Errorf("the machine gets %q, the peer %q", own, answers)
	}
}

// TestBeaconWithoutAnswer: a second part that comes too late is no part of the beacon, and another beginning begins
// another one. SendAll waits for no answer.
func TestBeaconWithoutAnswer(t *testing.T) {
	side := sideOf(t, "[send: hello, recv: ready, send: 'B{tempid}{start}{expiry}']")
	from, to := protocol.Address{Port: 1}, protocol.Address{Port: 2}
	hello, beacon := []byte("hello"), "B"+strings.TrimSuffix(validBeacon, "1")
	late := dialect.Now{Elapsed: sentAt.Elapsed + 2*time.Second, Wall: sentAt.Wall}
	for _, c := range []struct {
		now     dialect.Now
		from    protocol.Address
		b       []byte
		own     string
		answers int
	}{
		{sentAt, from, hello, "", 1},
		{late, from, []byte(beacon), beacon, 0}, // as it is
		{late, from, hello, "", 1},
		{late, from, hello, "", 1},
		{late, to, []byte("x"), "x", 0}, // of another peer
		{late, from, []byte(beacon), validBeacon, 0},
	} {
		own, answers := side.Receive(c.now, c.from, c.b)
		if string(own) != c.own || len(answers) != c.answers {
			t.Errorf("%q at %s: the machine gets %q, the peer %q", c.b, c.now.Elapsed, own, answers)
		}
	}
	if all := side.SendAll(sentAt, beaconOf(validBeacon)); fmt.Sprintf("%q", all) !=
		fmt.Sprintf("%q", []string{string(hello), beacon}) {
		t.Errorf("%q", all)
	}
}

// TestBeaconsInARow: beacons that are sent at once to one receiver arrive one after the other, each with its own
// answers. One without an answer has its time, and does not hold back the others. Of too many, the oldest are dropped.
func TestBeaconsInARow(t *testing.T) {
	for _, name := range []string{"tokens", "[send: hello, recv: ok, send: '{tempid}{start}{expiry}', recv: bye]"} {
		to, from := protocol.Address{Port: 2}, protocol.Address{Port: 1}
		sender, receiver := sideOf(t, name), sideOf(t, name)
		beacon := func(i int) string { return fmt.Sprintf("%020d", i) + validBeacon[20:] }
		var want []string
		for i := range 70 {
			raw := beacon(i)
			if i == 67 {
				raw = strings.TrimSuffix(raw, "1") + "2" // as it is
			}
			sent := sender.Send(sentAt, to, beaconOf(raw))
			if i == 0 && len(sent) != 1 || i > 0 && sent != nil {
				t.Fatalf("%s: beacon %d begins with %q", name, i, sent)
			}
			if i > 5 {
				want = append(want, raw)
			}
		}
		if at, ok := sender.NextWake(to); !ok || at != sentAt.Elapsed+2*time.Second {
			t.Errorf("%s: NextWake %s, %v", name, at, ok)
		}
		late := dialect.Now{Elapsed: sentAt.Elapsed + 2*time.Second, Wall: sentAt.Wall}
		early := dialect.Now{Elapsed: late.Elapsed - 1, Wall: sentAt.Wall}
		if got := sender.Wake(early, to); got != nil {
			t.Errorf("%s: early %q", name, got)
		}
		down := sender.Wake(late, to) // the first one is lost
		var got []string
		for len(down) > 0 {
			own, up := receiver.Receive(late, from, down[0])
			if down = down[1:]; own != nil {
				got = append(got, string(own))
			}
			for _, answer := range up {
				_, more := sender.Receive(late, to, answer)
				down = append(down, more...)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the machine gets %d beacons: %q", name, len(got), got)
		}
		if _, ok := sender.NextWake(to); ok || sender.Wake(late, to) != nil {
			t.Errorf("%s: a beacon waits after the last one", name)
		}
	}
}

// TestBeaconsOfManyPeers: beacons of 1,024 peers are in progress. One of another peer ends them all; one more of the same
// peers does not.
func TestBeaconsOfManyPeers(t *testing.T) {
	side := sideOf(t, "[send: hello, recv: ready, send: 'B{tempid}{start}{expiry}']")
	beacon := "B" + strings.TrimSuffix(validBeacon, "1")
	receive := func(port int, text, want string) {
		t.Helper()
		own, _ := side.Receive(sentAt, protocol.Address{Port: uint16(port)}, []byte(text))
		if string(own) != want {
			t.Fatalf("%q of peer %d: the machine gets %q, want %q", text, port, own, want)
		}
	}
	for port := range 1024 {
		receive(port, "hello", "")
	}
	receive(0, "hello", "")
	receive(0, beacon, validBeacon)
	receive(1024, "hello", "") // in the place of 0
	receive(1, beacon, validBeacon)
	receive(1, "hello", "")
	receive(1025, "hello", "")
	receive(2, beacon, beacon) // as it is
	receive(1025, beacon, validBeacon)
}
