package export_test

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"bluetrace/sim"
)

// fields are the raw fields of a message, by number: integers, and bytes as text.
type fields struct {
	numbers map[protowire.Number]uint64
	bytes   map[protowire.Number]string
}

// decode returns the fields of a message. If one is repeated, only the last remains; each gets all bytes fields.
func decode(t *testing.T, b []byte, each func(protowire.Number, []byte)) fields {
	t.Helper()
	f := fields{map[protowire.Number]uint64{}, map[protowire.Number]string{}}
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		var p []byte
		switch kind {
		case protowire.VarintType:
			f.numbers[field], n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.numbers[field], n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			if p, n = protowire.ConsumeBytes(b); n >= 0 {
				f.bytes[field] = string(p)
				if each != nil {
					each(field, p)
				}
			}
		default:
			t.Fatalf("field %d has the type %d", field, kind)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
	}
	return f
}

// TestPerfetto decodes a file by the field numbers of Perfetto's trace_packet.proto, track_event.proto and
// track_descriptor.proto, and compares it with the counts of the run.
func TestPerfetto(t *testing.T) {
	for _, path := range []string{"../../scenarios/classroom.yaml", "../../scenarios/blocking.yaml", faulty} {
		var file bytes.Buffer
		run := play(t, path, sim.Options{Perfetto: &file}).Run
		names, parents, depth := map[uint64]string{}, map[uint64]uint64{}, map[uint64]int{}
		counted, slices := map[uint64]int64{}, map[string]uint64{}
		flows, ended, instants, packets := map[uint64]int{}, 0, map[string]uint64{}, 0
		decode(t, file.Bytes(), func(field protowire.Number, b []byte) {
			packets++
			packet := decode(t, b, nil)
			if field != 1 || packet.numbers[10] != 1 || (packets == 1) != (packet.numbers[13] == 1) {
				t.Fatalf("field %d, packet %+v", field, packet)
			}
			if text, ok := packet.bytes[60]; ok {
				d := decode(t, []byte(text), nil)
				names[d.numbers[1]], parents[d.numbers[1]] = d.bytes[2], d.numbers[5]
				return
			}
			e := decode(t, []byte(packet.bytes[11]), nil)
			track := e.numbers[11]
			if names[track] == "" || packet.numbers[8] == 0 {
				t.Fatalf("a packet without a track or a time: %+v", packet)
			}
			switch e.numbers[9] {
			case 1:
				depth[track]++
				slices[names[track]+"/"+strings.Split(e.bytes[23], " ")[0]]++
			case 2:
				depth[track]--
			case 3:
				instants[e.bytes[23]]++
				if id, ok := e.numbers[47]; ok {
					flows[id]++
				}
				if id, ok := e.numbers[48]; ok {
					if ended++; flows[id] == 0 {
						t.Errorf("%s: the flow of %q ends before it begins", path, e.bytes[23])
					}
				}
			case 4:
				counted[track] = int64(e.numbers[30])
			default:
				t.Fatalf("type %d", e.numbers[9])
			}
		})
		for track, n := range depth {
			if n < 0 || n > 1 {
				t.Errorf("%s: %d open slices on %q", path, n, names[track])
			}
		}
		entries := int64(0)
		for track, n := range counted {
			if strings.HasPrefix(names[track], "entries in the log of ") {
				entries += n
			} else if names[track] != "valid beacons" || uint64(n) != run.Beacons.Valid {
				t.Errorf("%s: the counter %q is %d, want %d", path, names[track], n, run.Beacons.Valid)
			}
		}
		if want := int64(run.Beacons.Kept - run.Beacons.Expired); path != faulty && entries != want {
			t.Errorf("%s: %d entries in logs, want %d", path, entries, want)
		}
		if instants["beacon"] != run.Beacons.Sent || instants["valid beacon"] != run.Beacons.Valid {
			t.Errorf("%s: instants %v, want %d sent, %d valid", path, instants, run.Beacons.Sent, run.Beacons.Valid)
		}
		if run.Beacons.Valid > 0 && ended == 0 || slices["sessions/session"] < run.Sessions.Opened {
			t.Errorf("%s: %d flows end, slices %v", path, ended, slices)
		}
		if slices["blocks/block"] != run.Logins.Blocked || slices["operations/upload"] < run.Uploads.Complete {
			t.Errorf("%s: slices %v, want %d blocks", path, slices, run.Logins.Blocked)
		}
		const crash = "crash: server crashes, 0 bytes are left of what was not synced"
		if path == faulty && (slices["faults/lose:"] != 1 || instants[crash] != 1) {
			t.Errorf("slices %v, instants %v", slices, instants)
		}
	}
}
