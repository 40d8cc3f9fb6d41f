package protocol

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// wire is the beacon of the recorded exchanges.
const wire = "9903399909494062482923/11/2026 06:36:0323/11/2026 06:51:031"

func rawBeacon(t testing.TB, text string) *[BeaconSize]byte {
	t.Helper()
	if len(text) != BeaconSize {
		t.Fatalf("the test's own beacon %q has %d bytes", text, len(text))
	}
	return (*[BeaconSize]byte)([]byte(text))
}

// with returns wire with other bytes from at on.
func with(at int, bytes string) string { return wire[:at] + bytes + wire[at+len(bytes):] }

func TestEncode(t *testing.T) {
	b := Beacon{TempID([]byte(wire[:20])), 1795415763, 1795415763 + 15*60}
	var dst [BeaconSize]byte
	b.Encode(&dst)
	if string(dst[:]) != wire {
		t.Errorf("Encode wrote %q, want %q", dst, wire)
	}
	got, err := DecodeBeacon(dst[:])
	if err != nil || got != b {
		t.Errorf("DecodeBeacon = %v, %v, want %v", got, err, b)
	}
}

// Start and expiry on one day and on two.
func TestEncodeOverMidnight(t *testing.T) {
	for _, times := range []string{
		"23/11/2026 00:00:0023/11/2026 23:59:59", "23/11/2026 23:59:5924/11/2026 00:00:00",
		"31/12/1999 23:50:0001/01/2000 00:05:00", "23/11/2026 12:00:0023/10/2026 12:00:00",
		"01/01/0000 00:00:0031/12/9999 23:59:59",
	} {
		t.Run(times, func(t *testing.T) {
			want := wire[:20] + times + "1"
			b, err := DecodeBeacon([]byte(want))
			var dst [BeaconSize]byte
			if b.Encode(&dst); err != nil || string(dst[:]) != want {
				t.Errorf("%q comes back as %q, %v", want, dst, err)
			}
		})
	}
}

func TestPart(t *testing.T) {
	whole := rawBeacon(t, wire)
	for i, want := range []string{"99033999094940624829", "23/11/2026 06:36:03", "23/11/2026 06:51:03", "1"} {
		if part := Part(whole, i); string(part) != want || cap(part) != len(want) {
			t.Errorf("part %d is %q (cap %d), want %q", i, part, cap(part), want)
		}
	}
	for _, i := range []int{-1, 4} {
		if got := panicText(func() { Part(whole, i) }); !strings.Contains(got, "only 0 to 3") {
			t.Errorf("part %d: panics with %q", i, got)
		}
	}
}

func TestFormString(t *testing.T) {
	if Split.String() != "split" || Single.String() != "single" || Form(9).String() != "unknown" {
		t.Errorf("forms are %v, %v, %v", Split, Single, Form(9))
	}
}

func TestDecodeBeaconRefuses(t *testing.T) {
	tests := []struct {
		bytes string
		want  error
	}{
		{"", ErrLength},
		{wire[:58], ErrLength},
		{wire + "1", ErrLength},
		{with(0, "x"), ErrTempID},
		{with(20, "32"), ErrTime},
		{with(39, "23/11/2026 24:00:00"), ErrTime},
		{with(58, "2"), ErrVersion},
		{with(58, "\x01"), ErrVersion},
		// The first error is returned.
		{"x" + with(20, "x")[1:], ErrTempID},
		{with(20, "x")[:58] + "2", ErrTime},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%q", test.bytes), func(t *testing.T) {
			if b, err := DecodeBeacon([]byte(test.bytes)); err != test.want || b != (Beacon{}) {
				t.Errorf("DecodeBeacon(%q) = %v, %v, want %v", test.bytes, b, err, test.want)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	const start = 1795415763 * int64(time.Second)
	const expiry = start + 15*60*int64(time.Second)
	tests := []struct {
		why     string
		bytes   string
		version bool
		wall    int64
		want    error
	}{
		{"a nanosecond before the start", wire, true, start - 1, ErrEarly},
		{"at the start", wire, true, start, nil},
		{"a nanosecond before the expiry", wire, true, expiry - 1, nil},
		{"at the expiry", wire, true, expiry, ErrExpired},
		{"no version came: the first three parts decide", with(58, "\x00"), false, start, nil},
		{"no version came, expired", with(58, "\x00"), false, expiry, ErrExpired},
		{"another version", with(58, "2"), true, start, ErrVersion},
		{"TempID with a letter", with(7, "O"), true, start, ErrTempID},
		{"leading zero", with(0, "0"), true, start, nil},
		{"start with a fraction's dot", with(37, ".0"), true, start, ErrTime},
		{"expiry on 31 November", with(39, "31"), true, start, ErrTime},
		{"expiry is the start", with(39, wire[20:39]), true, start, ErrNotAfter},
		{"expiry before the start", with(39, "22"), true, start, ErrNotAfter},
		{"one second long, at its end", wire[:39] + "23/11/2026 06:36:041", true, start + 1e9, ErrExpired},
		{"one second long, within", wire[:39] + "23/11/2026 06:36:041", true, start + 1e9 - 1, nil},
		{"version is looked at before the pair", wire[:39] + wire[20:39] + "2", true, start, ErrVersion},
		{"ten thousand years", wire[:20] + "01/01/0000 00:00:00" + "31/12/9999 23:59:591", true, -1 << 63, nil},
	}
	z := NewZone(time.UTC)
	for _, test := range tests {
		t.Run(test.why, func(t *testing.T) {
			b, err := Judge(rawBeacon(t, test.bytes), test.version, z, test.wall)
			if err != test.want {
				t.Errorf("%s: %v, want %v", test.why, err, test.want)
			}
			parsed := err != ErrTempID && err != ErrTime
			if parsed && b.TempID.String() != test.bytes[:20] || !parsed && b != (Beacon{}) {
				t.Errorf("%s: returns %v", test.why, b)
			}
		})
	}
}

// The lifetime of a beacon across a change of clocks, to the nanosecond.
func TestJudgeOverAChangeOfClocks(t *testing.T) {
	z := NewZone(location(t, "Australia/Sydney"))
	back := instant(t, "2020-04-05T03:00:00+11:00")
	tests := []struct {
		why   string
		times string
		wall  int64
		want  error
	}{
		{"over the change back, at its start", "05/04/2020 02:50:0005/04/2020 02:05:00", (back - 600) * 1e9, nil},
		{"over the change back, before it", "05/04/2020 02:50:0005/04/2020 02:05:00", (back-600)*1e9 - 1, ErrEarly},
		{"over the change back, within", "05/04/2020 02:50:0005/04/2020 02:05:00", back * 1e9, nil},
		{"over the change back, last nanosecond", "05/04/2020 02:50:0005/04/2020 02:05:00", (back+300)*1e9 - 1, nil},
		{"over the change back, at its expiry", "05/04/2020 02:50:0005/04/2020 02:05:00", (back + 300) * 1e9, ErrExpired},
		{"twice that local time: first", "05/04/2020 02:10:0005/04/2020 02:25:00", (back - 3000) * 1e9, nil},
		{"twice that local time: between", "05/04/2020 02:10:0005/04/2020 02:25:00", (back - 2100) * 1e9, ErrExpired},
		{"twice that local time: second", "05/04/2020 02:10:0005/04/2020 02:25:00", (back + 600) * 1e9, nil},
		{"twice that local time: after", "05/04/2020 02:10:0005/04/2020 02:25:00", (back + 1500) * 1e9, ErrExpired},
		{"in the gap", "04/10/2020 02:10:0004/10/2020 03:25:00", instant(t, "2020-10-04T03:00:00+11:00") * 1e9, ErrGap},
	}
	for _, test := range tests {
		t.Run(test.why, func(t *testing.T) {
			if _, err := Judge(rawBeacon(t, wire[:20]+test.times+"1"), true, z, test.wall); err != test.want {
				t.Errorf("%s: %v, want %v", test.why, err, test.want)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for _, text := range []string{"127.0.0.1:23050", "[::1]:65535", "[2001:db8::7]:1", "0.0.0.0:0"} {
		a := AddressOf(netip.MustParseAddrPort(text))
		if a.String() != text || a.AddrPort() != netip.MustParseAddrPort(text) {
			t.Errorf("%s comes back as %s", text, a)
		}
	}
	mapped, plain := netip.MustParseAddrPort("[::ffff:10.0.0.7]:9"), netip.MustParseAddrPort("10.0.0.7:9")
	if AddressOf(mapped) != AddressOf(plain) {
		t.Error("an IPv4 address and its mapped form are two addresses")
	}
	if got := AddressOf(netip.AddrPort{}).String(); got != "[::]:0" {
		t.Errorf("the zero AddrPort is %s", got)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	z := NewZone(location(t, "Australia/Sydney"))
	raw := rawBeacon(t, wire)
	b, _ := DecodeBeacon(raw[:])
	wall := instant(t, "2026-11-23T06:40:00+11:00") * 1e9
	gap := rawBeacon(t, wire[:20]+"04/10/2020 02:10:0005/04/2020 02:25:001")
	z.Local(wall / 1e9)
	tests := []struct {
		what string
		call func()
	}{
		{"Encode", func() { b.Encode(raw) }},
		{"DecodeBeacon", func() { DecodeBeacon(raw[:]) }},
		{"DecodeBeacon of a wrong length", func() { DecodeBeacon(raw[:58]) }},
		{"Judge", func() { Judge(raw, true, z, wall) }},
		{"Judge of times years ago", func() { Judge(gap, true, z, wall) }},
		{"Local", func() { z.Local(wall / 1e9) }},
	}
	for _, test := range tests {
		t.Run(test.what, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, test.call); n != 0 {
				t.Errorf("%s: %v allocations", test.what, n)
			}
		})
	}
}

func FuzzDecodeBeacon(f *testing.F) {
	f.Add([]byte(wire))
	f.Add([]byte(with(58, "2")))
	f.Fuzz(func(t *testing.T, p []byte) {
		b, err := DecodeBeacon(p)
		if err != nil {
			return
		}
		var back [BeaconSize]byte
		b.Encode(&back)
		if string(back[:]) != string(p) {
			t.Fatalf("%q comes back as %q", p, back)
		}
	})
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte(wire), true, int64(1795415763e9))
	f.Add([]byte(wire[:20]+"05/04/2020 02:10:0005/04/2020 02:25:001"), false, int64(1586016600e9))
	z := NewZone(location(f, "Australia/Sydney"))
	f.Fuzz(func(t *testing.T, p []byte, version bool, wall int64) {
		var raw [BeaconSize]byte
		copy(raw[:], p)
		b, err := Judge(&raw, version, z, wall)
		if err != nil {
			return
		}
		if !version {
			raw[versionAt] = Version
		}
		var back [BeaconSize]byte
		b.Encode(&back)
		if back != raw {
			t.Fatalf("judged valid: %q comes back as %q", raw, back)
		}
		span, err := pairByTrial(z.Location(), b.Start, b.Expiry, wall)
		now := time.Unix(0, wall)
		if err != nil || now.Before(time.Unix(span.Start, 0)) || !now.Before(time.Unix(span.Expiry, 0)) {
			t.Fatalf("%q judged valid at %v: %v, %v", raw, now, span, err)
		}
	})
}
