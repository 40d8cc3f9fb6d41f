package protocol

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"
)

// zoneNames are zones with special rules: daylight saving of half an hour, of two
// hours, a negative one, skipped or repeated days, offsets with seconds, four changes
// a year, no changes at all.
var zoneNames = [...]string{
	"UTC", "Australia/Sydney", "Australia/Lord_Howe", "Europe/London", "Europe/Dublin", "Pacific/Apia",
	"Pacific/Kwajalein", "Africa/Casablanca", "Africa/Monrovia", "Antarctica/Troll", "Asia/Manila",
	"Asia/Kathmandu", "Asia/Gaza", "America/St_Johns", "America/Juneau", "America/Caracas", "Etc/GMT+12",
	"America/New_York", "America/Santiago", "Pacific/Marquesas", "Pacific/Honolulu", "Pacific/Auckland",
}

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatalf("loading zone %q: %v", name, err)
	}
	return loc
}

// local parses a time that the test wrote itself.
func local(t testing.TB, text string) LocalTime {
	t.Helper()
	at, err := ParseTime([]byte(text))
	if err != nil {
		t.Fatalf("the test's own time %q: %v", text, err)
	}
	return at
}

// instant parses an RFC 3339 time as Unix seconds.
func instant(t testing.TB, text string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatalf("the test's own instant %q: %v", text, err)
	}
	return at.Unix()
}

// readingsByTrial tries every offset that is in force at some quarter of an hour
// within 30 hours, without looking at any zone table.
func readingsByTrial(loc *time.Location, t LocalTime) []int64 {
	var found []int64
	var offsets []int
	for d := int64(-30 * 3600); d <= 30*3600; d += 900 {
		_, offset := time.Unix(int64(t)+d, 0).In(loc).Zone()
		if slices.Contains(offsets, offset) {
			continue
		}
		offsets = append(offsets, offset)
		u := int64(t) - int64(offset)
		if _, o := time.Unix(u, 0).In(loc).Zone(); o == offset {
			found = append(found, u)
		}
	}
	slices.Sort(found)
	return found
}

func TestReadings(t *testing.T) {
	tests := []struct {
		zone, local string
		want        []string
	}{
		{"UTC", "30/07/2020 16:58:12", []string{"2020-07-30T16:58:12Z"}},
		// Clocks in Sydney went from 02:00 to 03:00 on 4 October 2020.
		{"Australia/Sydney", "04/10/2020 01:59:59", []string{"2020-10-04T01:59:59+10:00"}},
		{"Australia/Sydney", "04/10/2020 02:00:00", nil},
		{"Australia/Sydney", "04/10/2020 02:59:59", nil},
		{"Australia/Sydney", "04/10/2020 03:00:00", []string{"2020-10-04T03:00:00+11:00"}},
		// And back from 03:00 to 02:00 on 5 April 2020.
		{"Australia/Sydney", "05/04/2020 01:59:59", []string{"2020-04-05T01:59:59+11:00"}},
		{"Australia/Sydney", "05/04/2020 02:00:00", []string{"2020-04-05T02:00:00+11:00", "2020-04-05T02:00:00+10:00"}},
		{"Australia/Sydney", "05/04/2020 02:59:59", []string{"2020-04-05T02:59:59+11:00", "2020-04-05T02:59:59+10:00"}},
		{"Australia/Sydney", "05/04/2020 03:00:00", []string{"2020-04-05T03:00:00+10:00"}},
		// Lord Howe moves by half an hour.
		{"Australia/Lord_Howe", "04/10/2020 02:29:59", nil},
		{"Australia/Lord_Howe", "04/10/2020 02:30:00", []string{"2020-10-04T02:30:00+11:00"}},
		{"Australia/Lord_Howe", "05/04/2020 01:29:59", []string{"2020-04-05T01:29:59+11:00"}},
		{"Australia/Lord_Howe", "05/04/2020 01:30:00", []string{"2020-04-05T01:30:00+11:00", "2020-04-05T01:30:00+10:30"}},
		{"Europe/London", "28/03/2021 01:30:00", nil},
		{"Europe/London", "31/10/2021 01:30:00", []string{"2021-10-31T01:30:00+01:00", "2021-10-31T01:30:00Z"}},
		// Apia had no 30 December 2011; Kwajalein had no 21 August 1993.
		{"Pacific/Apia", "29/12/2011 23:59:59", []string{"2011-12-29T23:59:59-10:00"}},
		{"Pacific/Apia", "30/12/2011 00:00:00", nil},
		{"Pacific/Apia", "30/12/2011 23:59:59", nil},
		{"Pacific/Apia", "31/12/2011 00:00:00", []string{"2011-12-31T00:00:00+14:00"}},
		{"Pacific/Kwajalein", "21/08/1993 12:00:00", nil},
	}
	for _, test := range tests {
		t.Run(test.zone+" "+test.local, func(t *testing.T) {
			z := NewZone(location(t, test.zone))
			var want []int64
			for _, text := range test.want {
				want = append(want, instant(t, text))
			}
			r, n := z.Readings(local(t, test.local))
			if !slices.Equal(r[:n], want) {
				t.Errorf("%s %s: %v, want %v", test.zone, test.local, r[:n], want)
			}
			z.Local(instant(t, "2020-06-01T00:00:00Z"))
			if r, n = z.Readings(local(t, test.local)); !slices.Equal(r[:n], want) {
				t.Errorf("%s %s, remembering 2020: %v, want %v", test.zone, test.local, r[:n], want)
			}
		})
	}
}

// The readings of a zone equal those found by trial, around every change of two
// hundred years and in between, with any cache.
func TestReadingsByTrial(t *testing.T) {
	for i, name := range zoneNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc := location(t, name)
			z := NewZone(loc)
			draw := rand.New(rand.NewPCG(uint64(i), 1))
			from, until := instant(t, "1875-01-01T00:00:00Z"), instant(t, "2075-01-01T00:00:00Z")
			for at := time.Unix(from, 0).In(loc); at.Unix() < until; {
				checkZoneAround(t, z, draw, at.Unix())
				_, next := at.ZoneBounds()
				if next.IsZero() {
					break
				}
				// On some days the time package returns an end of the period before them.
				at = at.Add(max(next.Sub(at), 24*time.Hour))
			}
			for range 50 {
				checkZoneAround(t, z, draw, from+draw.Int64N(until-from))
			}
		})
	}
}

func checkZoneAround(t *testing.T, z *Zone, draw *rand.Rand, unix int64) {
	t.Helper()
	if draw.IntN(2) == 0 {
		z.Local(unix) // move what it remembers
	}
	for _, d := range []int64{-1, 0, 1, draw.Int64N(100_000) - 50_000} {
		_, offset := time.Unix(unix+d, 0).In(z.Location()).Zone()
		at := LocalTime(unix + d + int64(offset))
		if got := z.Local(unix + d); got != at {
			t.Fatalf("Local(%d) = %v, want %v", unix+d, got, at)
		}
		for _, at := range []LocalTime{at, at + LocalTime(draw.Int64N(8000)-4000)} {
			if r, n := z.Readings(at); !slices.Equal(r[:n], readingsByTrial(z.Location(), at)) {
				t.Fatalf("Readings(%v) = %v, want %v", at, r[:n], readingsByTrial(z.Location(), at))
			}
		}
	}
}

func TestPair(t *testing.T) {
	tests := []struct {
		why                            string
		zone, start, expiry, wall      string
		wantStart, wantExpiry, wantErr string
	}{
		{"an ordinary quarter of an hour",
			"Australia/Sydney", "30/07/2020 16:58:12", "30/07/2020 17:13:12", "2020-07-30T17:00:00+10:00",
			"2020-07-30T16:58:12+10:00", "2020-07-30T17:13:12+10:00", ""},
		{"clocks go forward during it",
			"Australia/Sydney", "04/10/2020 01:50:00", "04/10/2020 03:05:00", "2020-10-04T01:55:00+10:00",
			"2020-10-04T01:50:00+10:00", "2020-10-04T03:05:00+11:00", ""},
		{"an expiry that clocks skipped",
			"Australia/Sydney", "04/10/2020 01:50:00", "04/10/2020 02:05:00", "2020-10-04T01:55:00+10:00",
			"", "", ErrGap.Error()},
		{"a start that clocks skipped",
			"Australia/Sydney", "04/10/2020 02:55:00", "04/10/2020 03:10:00", "2020-10-04T03:00:00+11:00",
			"", "", ErrGap.Error()},
		{"into the repeated hour: the first 02:05",
			"Australia/Sydney", "05/04/2020 01:50:00", "05/04/2020 02:05:00", "2020-04-05T02:01:00+10:00",
			"2020-04-05T01:50:00+11:00", "2020-04-05T02:05:00+11:00", ""},
		{"out of the repeated hour: the second 02:50",
			"Australia/Sydney", "05/04/2020 02:50:00", "05/04/2020 03:05:00", "2020-04-05T02:55:00+11:00",
			"2020-04-05T02:50:00+10:00", "2020-04-05T03:05:00+10:00", ""},
		{"back over the change: the expiry reads less than the start",
			"Australia/Sydney", "05/04/2020 02:50:00", "05/04/2020 02:05:00", "2020-04-05T02:55:00+11:00",
			"2020-04-05T02:50:00+11:00", "2020-04-05T02:05:00+10:00", ""},
		{"within the repeated hour, now in the first",
			"Australia/Sydney", "05/04/2020 02:10:00", "05/04/2020 02:25:00", "2020-04-05T02:10:00+11:00",
			"2020-04-05T02:10:00+11:00", "2020-04-05T02:25:00+11:00", ""},
		{"within the repeated hour, now in the second",
			"Australia/Sydney", "05/04/2020 02:10:00", "05/04/2020 02:25:00", "2020-04-05T02:10:00+10:00",
			"2020-04-05T02:10:00+10:00", "2020-04-05T02:25:00+10:00", ""},
		{"within the repeated hour, now at the end of the second",
			"Australia/Sydney", "05/04/2020 02:10:00", "05/04/2020 02:25:00", "2020-04-05T02:25:00+10:00",
			"2020-04-05T02:10:00+11:00", "2020-04-05T02:25:00+11:00", ""},
		{"within the repeated hour, now in between: the earlier",
			"Australia/Sydney", "05/04/2020 02:10:00", "05/04/2020 02:25:00", "2020-04-05T02:40:00+11:00",
			"2020-04-05T02:10:00+11:00", "2020-04-05T02:25:00+11:00", ""},
		{"a shorter reading wins over one that contains now",
			"Australia/Sydney", "05/04/2020 02:50:00", "05/04/2020 03:05:00", "2020-04-05T02:51:00+11:00",
			"2020-04-05T02:50:00+10:00", "2020-04-05T03:05:00+10:00", ""},
		{"half an hour back",
			"Australia/Lord_Howe", "05/04/2020 01:50:00", "05/04/2020 01:35:00", "2020-04-05T01:55:00+11:00",
			"2020-04-05T01:50:00+11:00", "2020-04-05T01:35:00+10:30", ""},
		{"no lifetime", "UTC", "30/07/2020 16:58:12", "30/07/2020 16:58:12", "2020-07-30T16:58:12Z",
			"", "", ErrNotAfter.Error()},
		{"a second too few", "UTC", "30/07/2020 16:58:12", "30/07/2020 16:58:11", "2020-07-30T16:58:12Z",
			"", "", ErrNotAfter.Error()},
		{"one second", "UTC", "30/07/2020 16:58:12", "30/07/2020 16:58:13", "2020-07-30T16:58:12Z",
			"2020-07-30T16:58:12Z", "2020-07-30T16:58:13Z", ""},
		{"no lifetime in the repeated hour: an hour is read",
			"Australia/Sydney", "05/04/2020 02:10:00", "05/04/2020 02:10:00", "2020-04-05T02:10:00+11:00",
			"2020-04-05T02:10:00+11:00", "2020-04-05T02:10:00+10:00", ""},
		{"years from now",
			"Europe/London", "01/01/0000 00:00:00", "31/12/9999 23:59:59", "2020-04-05T02:10:00Z",
			"0000-01-01T00:01:15Z", "9999-12-31T23:59:59Z", ""},
	}
	for _, test := range tests {
		z := NewZone(location(t, test.zone))
		got, err := z.Pair(local(t, test.start), local(t, test.expiry), instant(t, test.wall)*1e9)
		var want Span
		if test.wantStart != "" {
			want = Span{instant(t, test.wantStart), instant(t, test.wantExpiry)}
		}
		if got != want || fmt.Sprint(err) != or(test.wantErr, "<nil>") {
			t.Errorf("%s: %v, %v, want %v, %s", test.why, got, err, want, or(test.wantErr, "no error"))
		}
	}
}

func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

// pairByTrial implements Pair as PROTOCOL.md states it: it sorts all pairs.
func pairByTrial(loc *time.Location, start, expiry LocalTime, wall int64) (Span, error) {
	starts, expiries := readingsByTrial(loc, start), readingsByTrial(loc, expiry)
	if len(starts) == 0 || len(expiries) == 0 {
		return Span{}, ErrGap
	}
	now := time.Unix(0, wall)
	var spans []Span
	for _, s := range starts {
		for _, e := range expiries {
			if e > s {
				spans = append(spans, Span{s, e})
			}
		}
	}
	if len(spans) == 0 {
		return Span{}, ErrNotAfter
	}
	holds := func(s Span) int {
		if !now.Before(time.Unix(s.Start, 0)) && now.Before(time.Unix(s.Expiry, 0)) {
			return 0
		}
		return 1
	}
	return slices.MinFunc(spans, func(a, b Span) int {
		if d := (a.Expiry - a.Start) - (b.Expiry - b.Start); d != 0 {
			return int(d)
		}
		if d := holds(a) - holds(b); d != 0 {
			return d
		}
		return int(a.Start - b.Start)
	}), nil
}

// Every five minutes around the changes of a year.
func TestPairByTrial(t *testing.T) {
	for _, name := range []string{
		"Australia/Sydney", "Australia/Lord_Howe", "Europe/London", "Antarctica/Troll", "Pacific/Auckland",
		"America/New_York", "America/St_Johns", "America/Santiago", // west of Greenwich, north and south
	} {
		loc := location(t, name)
		z := NewZone(loc)
		at := time.Date(2020, 1, 1, 0, 0, 0, 0, loc)
		for range 2 {
			_, at = at.ZoneBounds()
			for minutes := -200; minutes <= 200; minutes += 5 {
				start := z.Local(at.Unix() + int64(minutes)*60)
				for _, life := range []LocalTime{900, -900, 0, 3600, 5400, -2700} {
					for _, wall := range []int64{-3600e9, -1, 0, 60e9, 1800e9, 3600e9, 4000e9} {
						wall += at.UnixNano() + int64(minutes)*60e9
						got, err := z.Pair(start, start+life, wall)
						want, wantErr := pairByTrial(loc, start, start+life, wall)
						if got != want || err != wantErr {
							t.Fatalf("%s: Pair(%v, %v, %d) = %v, %v, want %v, %v",
								name, start, start+life, wall, got, err, want, wantErr)
						}
					}
				}
			}
		}
	}
}

func TestSpanContains(t *testing.T) {
	tests := []struct {
		span Span
		wall int64
		want bool
	}{
		{Span{100, 200}, 100e9 - 1, false},
		{Span{100, 200}, 100e9, true},
		{Span{100, 200}, 200e9 - 1, true},
		{Span{100, 200}, 200e9, false},
		{Span{-1, 0}, -1, true},
		{Span{-1, 0}, -1e9, true},
		{Span{-1, 0}, -1e9 - 1, false},
		{Span{-1, 0}, 0, false},
		{Span{int64(firstLocalTime), int64(lastLocalTime)}, -1 << 63, true},
		{Span{int64(firstLocalTime), int64(lastLocalTime)}, 1<<63 - 1, true},
		{Span{int64(lastLocalTime) - 1, int64(lastLocalTime)}, 1<<63 - 1, false},
	}
	for _, test := range tests {
		if got := test.span.Contains(test.wall); got != test.want {
			t.Errorf("%v.Contains(%d) = %v", test.span, test.wall, got)
		}
	}
}

func TestZoneNeedsALocation(t *testing.T) {
	if got := panicText(func() { NewZone(nil) }); got != "protocol: a zone needs a location" {
		t.Errorf("panics with %q", got)
	}
	if loc := location(t, "Europe/London"); NewZone(loc).Location() != loc {
		t.Error("Location is another one")
	}
}

// On 31 December of a leap year the time package ends a period too early, at
// other turns of the year it begins the next one too early.
func TestReadingsAtTheTurnOfTheYear(t *testing.T) {
	for _, name := range zoneNames {
		z := NewZone(location(t, name))
		for _, year := range []string{"2024", "2027", "2028", "2099"} {
			eve := instant(t, year+"-12-30T00:00:00Z")
			for hour := range int64(96) {
				at := LocalTime(eve + hour*3600)
				want := readingsByTrial(z.Location(), at)
				if r, n := z.walk(at); !slices.Equal(r[:n], want) {
					t.Fatalf("%s: walk finds %v for %v, want %v", name, r[:n], at, want)
				}
				z.near.Store(nil)
				z.Local(eve + hour*3600)
				if r, n := z.Readings(at); !slices.Equal(r[:n], want) {
					t.Fatalf("%s: Readings(%v) = %v, want %v", name, at, r[:n], want)
				}
			}
		}
	}
}

// zoneOf returns a zone with one rule for all years, as a TZif file has it in its last
// line (RFC 8536 section 3.3).
func zoneOf(t *testing.T, rule string) *time.Location {
	t.Helper()
	block := append([]byte("TZif2"), make([]byte, 15+6*4)...)
	block[len(block)-5], block[len(block)-1] = 1, 1 // one type of time, one byte of names
	block = append(block, make([]byte, 6+1)...)
	file := append(slices.Concat(block, block), "\n"+rule+"\n"...)
	loc, err := time.LoadLocationFromTZData("injected", file)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// Rules that no zone has: with a change at the turn of the year, on every side of it,
// and with summer time that has the offset of the rest of the year.
func TestInjectedRules(t *testing.T) {
	for _, test := range []struct {
		rule    string
		changes bool
	}{
		{"AAA0BBB,0/0,J365/24", true}, {"AAA0BBB,J1/0,J365/23", true}, {"AAA-13BBB-14,J2/3,J364/1", true},
		{"AAA12BBB,J60/0,365/1", true}, {"AAA0BBB0,M3.2.0,M11.1.0", false}, {"AAA5", false},
	} {
		z := NewZone(zoneOf(t, test.rule))
		for _, day := range []string{"2024-12-29T12:00:00Z", "2027-12-29T12:00:00Z"} {
			for hour := range int64(120) {
				unix := instant(t, day) + hour*3600
				at := LocalTime(unix)
				if r, n := z.Readings(at); !slices.Equal(r[:n], readingsByTrial(z.Location(), at)) {
					t.Fatalf("%s: Readings(%v) = %v, want %v", test.rule, at, r[:n], readingsByTrial(z.Location(), at))
				}
			}
			if _, ok := z.NextChange(instant(t, day)); ok != test.changes {
				t.Fatalf("%s: a change after %s: %v", test.rule, day, ok)
			}
		}
	}
}

func TestNextChange(t *testing.T) {
	for _, test := range []struct{ zone, after, want string }{
		{"Europe/London", "2024-11-10T09:00:00Z", "2025-03-30T01:00:00Z"},
		{"Europe/London", "2024-12-30T23:59:59Z", "2025-03-30T01:00:00Z"},
		{"Europe/London", "2024-12-31T12:00:00Z", "2025-03-30T01:00:00Z"},
		{"Europe/London", "2025-01-01T00:00:00Z", "2025-03-30T01:00:00Z"},
		{"Europe/London", "2025-03-30T00:59:59Z", "2025-03-30T01:00:00Z"},
		{"Europe/London", "2025-03-30T01:00:00Z", "2025-10-26T01:00:00Z"},
		{"America/New_York", "2200-12-31T23:00:00Z", "2201-03-08T07:00:00Z"},
		{"Australia/Lord_Howe", "2028-12-31T23:59:59Z", "2029-03-31T15:00:00Z"},
		// London had the offset of summer for three years, under two names.
		{"Europe/London", "1968-06-01T00:00:00Z", "1971-10-31T02:00:00Z"},
		{"UTC", "2024-12-31T12:00:00Z", ""}, {"Etc/GMT+12", "2024-12-31T12:00:00Z", ""},
		{"Asia/Tokyo", "2024-12-31T12:00:00Z", ""},
	} {
		got, ok := NewZone(location(t, test.zone)).NextChange(instant(t, test.after))
		if ok != (test.want != "") || ok && got != instant(t, test.want) {
			t.Errorf("%s after %s: %v, %v, want %s", test.zone, test.after, time.Unix(got, 0).UTC(), ok, test.want)
		}
	}
}

// A fixed zone may have any offset.
func TestFixedZone(t *testing.T) {
	z := NewZone(time.FixedZone("far", 40*3600))
	if r, n := z.Readings(40 * 3600); n != 1 || r[0] != 0 {
		t.Errorf("Readings = %v, %d", r, n)
	}
	if at := z.Local(0); at != 40*3600 {
		t.Errorf("Local(0) = %v", at)
	}
}

func TestZoneIsSafeForConcurrentUse(t *testing.T) {
	z := NewZone(location(t, "Australia/Sydney"))
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range int64(2000) {
				unix := i * 5_000_000 * int64(g+1) % 4_000_000_000
				_, offset := time.Unix(unix, 0).In(z.Location()).Zone()
				if got := z.Local(unix); got != LocalTime(unix+int64(offset)) {
					t.Errorf("Local(%d) = %d", unix, got)
				}
			}
		})
	}
	all.Wait()
}

func FuzzZone(f *testing.F) {
	f.Add(uint8(1), int64(1601740800), int64(0), int64(900), int64(0))
	f.Add(uint8(5), int64(1325239200), int64(1325239200), int64(-900), int64(-1))
	zones := make([]*Zone, len(zoneNames))
	for i, name := range zoneNames {
		zones[i] = NewZone(location(f, name))
	}
	f.Fuzz(func(t *testing.T, zone uint8, remember, at, life, wall int64) {
		years := int64(lastLocalTime-firstLocalTime) - 200_000
		inRange := func(v int64) int64 {
			return int64(firstLocalTime) + 100_000 + int64(uint64(v-int64(firstLocalTime))%uint64(years))
		}
		z := zones[int(zone)%len(zones)]
		z.Local(inRange(remember))
		start := LocalTime(inRange(at))
		r, n := z.Readings(start)
		if want := readingsByTrial(z.Location(), start); !slices.Equal(r[:n], want) {
			t.Fatalf("%v: Readings(%v) = %v, want %v", z.Location(), start, r[:n], want)
		}
		expiry := start + LocalTime(life%100_000)
		got, err := z.Pair(start, expiry, wall)
		if want, wantErr := pairByTrial(z.Location(), start, expiry, wall); got != want || err != wantErr {
			t.Fatalf("%v: Pair(%v, %v, %d) = %v, %v, want %v, %v",
				z.Location(), start, expiry, wall, got, err, want, wantErr)
		}
	})
}
