package check

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
	_ "time/tzdata"

	"bluetrace/protocol"
)

// zoneNames lists zones whose clocks change by an hour, by half an hour, by a day,
// in winter instead of summer, by seconds in old times, and never.
var zoneNames = []string{
	"UTC", "Australia/Sydney", "Australia/Lord_Howe", "Europe/London", "Europe/Dublin", "Pacific/Apia",
	"America/New_York", "America/St_Johns", "Africa/Casablanca", "Antarctica/Troll", "Asia/Kathmandu", "Asia/Gaza",
}

// aroundChanges lists times an hour before a change of clocks in some of the zones,
// and a time without a change.
var aroundChanges = []string{
	"2020-04-04T15:00:00Z", "2020-10-03T15:00:00Z", // Sydney, Lord_Howe
	"2020-03-29T00:00:00Z", "2020-10-25T00:00:00Z", // London, Dublin, Troll
	"2011-12-30T09:00:00Z",                         // Apia
	"2020-03-08T06:00:00Z", "2020-11-01T05:00:00Z", // New_York
	"2020-05-31T01:00:00Z", "2020-04-19T02:00:00Z", // Casablanca
	"2020-07-30T06:58:12Z", "1969-12-31T23:30:00Z", "1895-01-31T13:55:00Z",
}

// readers holds a reader and a protocol.Zone for each zone.
type readers struct {
	model []*beaconReader
	zones []*protocol.Zone
}

func newReaders(tb testing.TB) *readers {
	tb.Helper()
	var r readers
	for _, name := range zoneNames {
		loc, err := time.LoadLocation(name)
		if err != nil {
			tb.Fatalf("loading zone %q: %v", name, err)
		}
		r.model = append(r.model, &beaconReader{location: loc})
		r.zones = append(r.zones, protocol.NewZone(loc))
	}
	return &r
}

// agree compares the model's verdict with that of package protocol.
func (r *readers) agree(t *testing.T, zone int, raw [protocol.BeaconSize]byte, version bool, wall int64) (valid bool) {
	t.Helper()
	_, err := protocol.Judge(&raw, version, r.zones[zone], wall)
	why := r.model[zone].refusal(&raw, version, wall)
	if (err == nil) != (why == "") {
		t.Fatalf("%s, %q at %d ns (%s), version %t: protocol says %v, the model %q", zoneNames[zone], raw[:], wall,
			time.Unix(0, wall).In(r.model[zone].location).Format(time.RFC3339Nano), version, err, why)
	}
	return err == nil
}

func instantOf(tb testing.TB, text string) int64 {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		tb.Fatal(err)
	}
	return at.Unix()
}

// beaconAround returns a beacon of this lifetime that begins at an instant, in the
// local time of a zone.
func beaconAround(zone *protocol.Zone, start, lifetime int64) (raw [protocol.BeaconSize]byte) {
	b := protocol.Beacon{TempID: protocol.TempID([]byte("12345678901234567890")), Start: zone.Local(start),
		Expiry: zone.Local(start + lifetime)}
	b.Encode(&raw)
	return raw
}

// TestReaderAgainstProtocol compares both judges around every change of clocks, at
// both ends of validity, with whole and mutated beacons.
func TestReaderAgainstProtocol(t *testing.T) {
	r := newReaders(t)
	src := rand.New(rand.NewPCG(1, 2))
	valid, invalid := 0, 0
	for _, text := range aroundChanges {
		base := instantOf(t, text)
		for zone := range zoneNames {
			for range 150 {
				start := base + src.Int64N(3*3600) - 3600
				lifetime := []int64{900, 900, 1, 60, 3600, 7200, 86400, 0, -60}[src.IntN(9)]
				raw := beaconAround(r.zones[zone], start, lifetime)
				if src.IntN(4) == 0 {
					mutate(src, &raw)
				}
				for _, at := range []int64{0, lifetime, lifetime / 2, 3600, lifetime + 3600,
					src.Int64N(20000) - 10000} {
					for _, ns := range []int64{-1, 0, 1} {
						if r.agree(t, zone, raw, src.IntN(2) == 0, (start+at)*int64(time.Second)+ns) {
							valid++
						} else {
							invalid++
						}
					}
				}
			}
		}
	}
	if valid < 20_000 || invalid < 20_000 {
		t.Errorf("%d valid and %d invalid beacons: one side was hardly tried", valid, invalid)
	}
}

func mutate(src *rand.Rand, raw *[protocol.BeaconSize]byte) {
	for range 1 + src.IntN(2) {
		at := src.IntN(len(raw))
		if src.IntN(3) == 0 {
			raw[at] = byte(src.Uint32())
		} else {
			raw[at] = "0123456789/: "[src.IntN(13)]
		}
	}
}

// TestReaderGivesTheReason checks the reasons, at the boundaries of PROTOCOL.md
// section 1.
func TestReaderGivesTheReason(t *testing.T) {
	sydney := &beaconReader{location: newReaders(t).model[1].location}
	const good = "123456789012345678902" + "9/07/2020 10:00:00" + "29/07/2020 10:15:00" + "1"
	at := func(text string) int64 {
		w, err := time.ParseInLocation("02/01/2006 15:04:05.999999999", text, sydney.location)
		if err != nil {
			t.Fatal(err)
		}
		return w.UnixNano()
	}
	for _, c := range []struct {
		name, raw string
		version   bool
		wall, why string
	}{
		{"its first nanosecond", good, true, "29/07/2020 10:00:00", ""},
		{"the nanosecond before", good, true, "29/07/2020 09:59:59.999999999", "its start is in the future"},
		{"its last nanosecond", good, true, "29/07/2020 10:14:59.999999999", ""},
		{"its expiry", good, true, "29/07/2020 10:15:00", "it has expired"},
		{"another version", good[:58] + "2", true, "29/07/2020 10:00:00", "its version is not 1"},
		{"a version that never came", good[:58] + "2", false, "29/07/2020 10:00:00", ""},
		{"a TempID with a letter", "a" + good[1:], true, "29/07/2020 10:00:00", "its TempID is not 20 digits"},
		{"a month too many", good[:23] + "13" + good[25:], true, "29/07/2020 10:00:00", "its start is no time"},
		{"second 60", good[:56] + "60" + good[58:], true, "29/07/2020 10:00:00", "its expiry is no time"},
		{"a life of nothing", good[:39] + good[20:39] + "1", true, "29/07/2020 10:00:00",
			"its expiry is not after its start"},
		{"a start that clocks skip", good[:20] + "04/10/2020 02:30:00" + "04/10/2020 03:30:00" + "1", true,
			"04/10/2020 03:15:00",
			"its times do not exist in this zone, or its expiry is not after its start"},
		{"over the skipped hour", good[:20] + "04/10/2020 01:55:00" + "04/10/2020 03:05:00" + "1", true,
			"04/10/2020 03:04:59", ""},
		{"after it", good[:20] + "04/10/2020 01:55:00" + "04/10/2020 03:05:00" + "1", true, "04/10/2020 03:05:00",
			"it has expired"},
	} {
		if len(c.raw) != protocol.BeaconSize {
			t.Fatalf("%s: the test's own beacon has %d bytes", c.name, len(c.raw))
		}
		if why := sydney.refusal((*[protocol.BeaconSize]byte)([]byte(c.raw)), c.version, at(c.wall)); why != c.why {
			t.Errorf("%s: %q, want %q", c.name, why, c.why)
		}
	}
}

// TestReaderKeepsFewHours checks that the memory of a reader stays bounded, however
// many different hours it reads.
func TestReaderKeepsFewHours(t *testing.T) {
	r := newReaders(t)
	for i := range int64(3 * cachedHours) {
		start := 1596099600 + i*3600
		raw := beaconAround(r.zones[0], start, 900)
		if !r.agree(t, 0, raw, true, start*int64(time.Second)) {
			t.Fatalf("%q is invalid at its start", raw[:])
		}
	}
	if n := len(r.model[0].hours); n > cachedHours {
		t.Errorf("%d hours are kept, want at most %d", n, cachedHours)
	}
}

// FuzzReader checks that the model and package protocol give the same verdict on any
// bytes at any time.
func FuzzReader(f *testing.F) {
	r := newReaders(f)
	for i, text := range aroundChanges {
		base := instantOf(f, text)
		zone := i % len(zoneNames)
		raw := beaconAround(r.zones[zone], base, 900)
		f.Add(raw[:], byte(zone), true, base*int64(time.Second))
	}
	f.Add([]byte("000000000000000000000/00/0000 00:00:00"), byte(1), false, int64(-1<<63))
	f.Fuzz(func(t *testing.T, b []byte, zone byte, version bool, wall int64) {
		var raw [protocol.BeaconSize]byte
		copy(raw[:], b)
		n := int(zone) % len(zoneNames)
		r.agree(t, n, raw, version, wall)
		// the same fields at a time at which they may be valid
		if start, err := protocol.ParseTime(raw[20:39]); err == nil {
			if at, k := r.zones[n].Readings(start); k > 0 && at[0] > -9e9 && at[0] < 9e9 {
				r.agree(t, n, raw, version, at[k-1]*int64(time.Second)+int64(binary.LittleEndian.Uint16(raw[:])))
			}
		}
	})
}
