package export

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// TestDocumented: docs/EVENTS.md names each kind and each field, and no other kind.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/EVENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	events, _, _ := strings.Cut(string(text), "\n## ") // the part on the events of a run
	fields, list, _ := strings.Cut(events, "| kinds |")
	known := map[string]bool{}
	for _, name := range kinds {
		if known[name] = true; name != "" && !strings.Contains(list, "`"+name+"`") {
			t.Errorf("the kind %q is not documented", name)
		}
	}
	for i, name := range strings.Split(list, "`") {
		if i%2 == 1 && !known[name] && name != "node" && name != "peer" {
			t.Errorf("%q is no kind", name)
		}
	}
	row := reflect.TypeFor[Row]()
	for i := range row.NumField() {
		name, _, _ := strings.Cut(row.Field(i).Tag.Get("json"), ",")
		if !strings.Contains(fields, "`"+name+"`") {
			t.Errorf("the field %q is not documented", name)
		}
	}
}

// TestRows: each kind has the fields that it sets, and no value of an earlier event.
func TestRows(t *testing.T) {
	var b strings.Builder
	var stream event.Stream
	start := time.Date(2026, 3, 29, 1, 59, 59, 0, time.FixedZone("", 3600))
	NewEvents(Run{[]string{"anna", "ben"}, start}, &b).Subscribe(&stream)
	raw := [protocol.BeaconSize]byte([]byte("1234567890123456789029/03/2026 01:50:0029/03/2026 02:05:001"))
	noise := raw
	noise[3] = 0xff
	for _, e := range []event.Event{
		{Kind: event.BeaconSent, Node: 0, Peer: 1, Raw: &raw},
		{Kind: event.BeaconSent, Node: 0, Peer: event.NoPeer, Raw: &noise},
		{Kind: event.DatagramSent, Node: 0, Peer: 1, Number: 1, Size: 59, Due: 2, Copy: true},
		{Kind: event.DatagramSent, Node: 0, Peer: 1, Number: 2, Size: 59, Due: event.DueUnknown},
		{Kind: event.DatagramLost, Node: 0, Peer: 1, Number: 2, Size: 59, InFlight: true},
		{Kind: event.BeaconJudged, At: 2e9, Node: 1, Peer: 0, SentKnown: true, Sent: 1, Phone: &nodes.PhoneEffect{Raw: raw}},
		{Kind: event.BeaconJudged, Node: 1, Peer: 0, Phone: &nodes.PhoneEffect{OutOfTurn: true}},
		{Kind: event.BeaconJudged, Node: 1, Peer: 0, Phone: &nodes.PhoneEffect{Raw: raw, Err: protocol.ErrExpired}},
		{Kind: event.EntriesExpired, Node: 1, Count: 1},
		{Kind: event.PhoneSent, Node: 1, Peer: event.NoPeer, Conn: 7, Bytes: []byte("a\n"), Text: "old", Count: 3},
		{Kind: event.ServerRead, Node: event.Server, Peer: 1, Conn: 7, Bytes: []byte{0xff, 1}, Scripted: true},
		{Kind: event.ServerPrinted, Node: event.Server, Peer: event.NoPeer, Text: "<b> \u2028", Conn: 7},
		{Kind: event.ServerDecided, Node: event.Server, Peer: 1, Conn: 7,
			Decision: &nodes.ServerEvent{Kind: nodes.EventUploadDone, User: "u", Entries: 2, Resolved: 1}},
		{Kind: event.FaultApplied, Node: 0, Peer: 1, Number: 4, Fault: "loss", Text: "loses a datagram", InForce: true},
		{Kind: event.ClockSet, Node: 0, Peer: event.NoPeer, Clock: event.NodeClock{Wall: start.UnixNano()}},
		{Kind: event.PhoneStepped, Node: 0},
	} {
		stream.Emit(&e)
	}
	const (
		at = `{"at":0,"wall":"2026-03-29T01:59:59.000000000+01:00","kind":`
		of = `,"tempid":"12345678901234567890","start":"29/03/2026 01:50:00","expiry":"29/03/2026 02:05:00"`
	)
	want := []string{
		at + `"beacon_sent","node":"anna","peer":"ben"` + of + `}`,
		at + `"beacon_sent","node":"anna","hex":"313233ff`,
		at + `"datagram_sent","node":"anna","peer":"ben","number":1,"size":59,"due":2,"copy":true}`,
		at + `"datagram_sent","node":"anna","peer":"ben","number":2,"size":59}`,
		at + `"datagram_lost","node":"anna","peer":"ben","number":2,"size":59,"in_flight":true}`,
		`{"at":2000000000,"wall":"2026-03-29T02:00:01.000000000+01:00","kind":"beacon_judged","node":"ben","peer":"anna",` +
			`"sent":1` + of + `,"valid":true}`,
		at + `"beacon_judged","node":"ben","peer":"anna","error":"no beacon","valid":false}`,
		at + `"beacon_judged","node":"ben","peer":"anna","error":"` + protocol.ErrExpired.Error() + `"` + of + `,"valid":false}`,
		at + `"entries_expired","node":"ben","count":1,"left":0}`,
		at + `"phone_sent","node":"ben","conn":7,"size":2,"bytes":"a\n"}`,
		at + `"server_read","node":"server","peer":"ben","conn":7,"size":2,"hex":"ff01","scripted":true}`,
		at + `"server_printed","node":"server","text":"<b> \u2028"}`,
		at + `"server_decided","node":"server","peer":"ben","conn":7,"count":2,"decision":"` +
			nodes.EventUploadDone.String() + `","user":"u","resolved":1}`,
		at + `"fault_applied","node":"anna","peer":"ben","number":4,"text":"loses a datagram","fault":"loss"}`,
		at + `"clock_set","node":"anna","text":"2026-03-29T01:59:59.000000000+01:00"}`,
	}
	got := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) || strings.HasSuffix(want[i], "}") && got[i] != want[i] {
			t.Errorf("%s\nwant\n%s", got[i], want[i])
		}
	}
}

// TestEventsHaveNoInvisibleCharacter: a terminal interprets nothing of a printed text, which stays as it is.
func TestEventsHaveNoInvisibleCharacter(t *testing.T) {
	const text = "\x1b[2J\x7f\u009b\u202e é </script>\n"
	var out bytes.Buffer
	var stream event.Stream
	NewEvents(Run{Names: []string{"p"}}, &out).Subscribe(&stream)
	stream.Emit(&event.Event{Kind: event.PhonePrinted, Text: text})
	var row Row
	if err := json.Unmarshal(out.Bytes(), &row); err != nil || row.Text != text {
		t.Errorf("%q, %v", row.Text, err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x7f\u009b\u202e") || !strings.Contains(out.String(), "é") {
		t.Errorf("%q", &out)
	}
}
