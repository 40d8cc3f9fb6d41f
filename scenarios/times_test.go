package scenarios

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		err  string // "" if there is none; "-" for errExpected; "-": only what was expected
	}{
		{"59.999999999s", 59*time.Second + 999_999_999, ""},
		{"2m59.999999999s", 3*time.Minute - 1, ""},
		{"1h2m3s4ms5us6ns", time.Hour + 2*time.Minute + 3*time.Second + 4*time.Millisecond + 5*time.Microsecond + 6,
			""},
		{"-50ms", -50 * time.Millisecond, ""},
		{"0.5h", 30 * time.Minute, ""},
		{"1.000000000000s", time.Second, ""},
		{"0.0000000001s", 0, "it is finer than a nanosecond"},
		{"0.5ns", 0, "it is finer than a nanosecond"},
		{"1.0001us", 0, "it is finer than a nanosecond"},
		{"87600h", 87600 * time.Hour, ""},
		{"87600h1ns", 0, "it is longer than the longest, 87600h"},
		{"9999999999999999h", 0, "it is longer than the longest, 87600h"},
		{"60", 0, "a number needs a unit, as in 60ms or 60s"},
		{"", 0, "-"}, {"s", 0, "-"}, {"1 s", 0, "-"}, {"1d", 0, "-"}, {"+-1s", 0, "-"}, {"1s ", 0, "-"},
	} {
		got, err := parseDuration(c.text)
		switch {
		case c.err == "" && (err != nil || got != c.want):
			t.Errorf("%q: got %v, %v; want %v", c.text, got, err, c.want)
		case c.err == "-" && err != errExpected, c.err != "" && c.err != "-" && (err == nil || err.Error() != c.err):
			t.Errorf("%q: got error %v, want %q", c.text, err, c.err)
		}
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		3 * time.Minute: "3m", time.Hour: "1h", 90 * time.Second: "1m30s", 10 * time.Second: "10s",
		61 * time.Minute: "1h1m", 50 * time.Millisecond: "50ms", 0: "0s", time.Hour + time.Second: "1h1s",
	} {
		if got := durationText(d); got != want {
			t.Errorf("%d ns: got %s, want %s", d, got, want)
		}
	}
}

// TestInZone checks that times in a gap are refused, and that the first of two equal wall-clock times is used.
func TestInZone(t *testing.T) {
	for _, c := range []struct {
		zone, wall string
		want       string // in UTC; "" if clocks do not show the time
	}{
		{"UTC", "30/07/2020 16:58:12", "2020-07-30T16:58:12Z"},
		{"Australia/Sydney", "30/07/2020 16:58:12", "2020-07-30T06:58:12Z"},
		{"Australia/Sydney", "04/10/2020 01:59:59", "2020-10-03T15:59:59Z"},
		{"Australia/Sydney", "04/10/2020 02:00:00", ""},
		{"Australia/Sydney", "04/10/2020 02:59:59", ""},
		{"Australia/Sydney", "04/10/2020 03:00:00", "2020-10-03T16:00:00Z"},
		{"Australia/Sydney", "05/04/2020 01:59:59", "2020-04-04T14:59:59Z"},
		{"Australia/Sydney", "05/04/2020 02:00:00", "2020-04-04T15:00:00Z"},
		{"Australia/Sydney", "05/04/2020 02:59:59", "2020-04-04T15:59:59Z"},
		{"Australia/Sydney", "05/04/2020 03:00:00", "2020-04-04T17:00:00Z"},
		{"Australia/Lord_Howe", "04/10/2020 02:15:00", ""},
		{"Australia/Lord_Howe", "05/04/2020 01:45:00", "2020-04-04T14:45:00Z"},
		{"Pacific/Apia", "30/12/2011 12:00:00", ""},
		{"Pacific/Apia", "31/12/2011 00:00:00", "2011-12-30T10:00:00Z"},
	} {
		zone, err := Zone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		wall, err := parseWallTime(c.wall)
		if err != nil {
			t.Fatal(err)
		}
		got, err := inZone(wall, zone)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s in %s: got %s, want none", c.wall, c.zone, time.Unix(got, 0).UTC())
			}
			continue
		}
		if want, _ := time.Parse(time.RFC3339, c.want); err != nil || got != want.Unix() {
			t.Errorf("%s in %s: got %s, %v; want %s", c.wall, c.zone, time.Unix(got, 0).UTC(), err, c.want)
		}
	}
}

// zones returns every zone of the database, each set of rules once.
func zones(t *testing.T) []*time.Location {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		t.Fatal(err)
	}
	var all []*time.Location
	seen := map[string]bool{}
	for _, f := range archive.File {
		rules, err := fs.ReadFile(archive, f.Name)
		if f.FileInfo().IsDir() || seen[string(rules)] {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		seen[string(rules)] = true
		zone, err := Zone(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, zone)
	}
	if len(all) < 200 {
		t.Fatalf("the database has %d zones, want at least 200", len(all))
	}
	return all
}

// firstReading tries the offset of every second hour within 30 hours. It returns false if clocks never show wall.
func firstReading(wall time.Time, zone *time.Location) (first int64, ok bool) {
	previous := 0
	for d := -30 * time.Hour; d <= 30*time.Hour; d += 2 * time.Hour {
		_, offset := wall.Add(d).In(zone).Zone()
		if ok && offset == previous {
			continue
		}
		previous = offset
		u := wall.Unix() - int64(offset)
		if _, real := time.Unix(u, 0).In(zone).Zone(); real == offset && (!ok || u < first) {
			first, ok = u, true
		}
	}
	return first, ok
}

// TestStartsAtTheTurnOfAYear reads times around 1 January in every zone. The period that the standard library returns
// may end before such a time.
func TestStartsAtTheTurnOfAYear(t *testing.T) {
	for _, zone := range zones(t) {
		for year := 1970; year <= 2200; year++ {
			for _, d := range []time.Duration{-24 * time.Hour, -90 * time.Minute, 0, 9 * time.Hour, 33 * time.Hour} {
				wall := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Add(d)
				want, real := firstReading(wall, zone)
				got, err := inZone(wall, zone)
				if got != want && real || (err == nil) != real {
					t.Fatalf("%s in %s is %d (%v), want %d", wall.Format(wallLayout), zone, got, err, want)
				}
			}
		}
	}
}

func TestTimesOfATrace(t *testing.T) {
	for text, want := range map[string]string{
		"1099511627776": "", "8h40m": "", "1099511627777": "the latest time of a trace is 1099511627776 s",
		"99999999999999999999": "the latest time of a trace is 1099511627776 s",
		"1.5s":                 "a trace's time has whole seconds",
	} {
		if _, err := parseTraceTime(text); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestTimeReferences(t *testing.T) {
	for text, want := range map[string]When{
		"5s":                        {Label: "", Offset: 5 * time.Second},
		"-50ms":                     {Label: "", Offset: -50 * time.Millisecond},
		"3m - 1ns":                  {Label: "", Offset: 3*time.Minute - 1},
		"-50ms + 1m  -  1ns + 2ns":  {Label: "", Offset: time.Minute - 50*time.Millisecond + 1},
		"blocked":                   {Label: "blocked", Offset: 0},
		"at-10 - 1s":                {Label: "at-10", Offset: -time.Second},
		"blocked + 60s":             {Label: "blocked", Offset: time.Minute},
		"blocked + 30s - 1ns":       {Label: "blocked", Offset: 30*time.Second - 1},
		"blocked - 1ns + 30s - 1µs": {Label: "blocked", Offset: 30*time.Second - 1001},
		"s + 87600h - 87600h":       {Label: "s", Offset: 0},
		"-87600h + 87600h + 87600h": {Label: "", Offset: maxDuration},
	} {
		if got, err := parseReference(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	got := parsed(t, "vars: {B: 60s}\nserver: {block_duration: \"${B}\"}\nlength: 5m\nscript:\n"+
		"  - {at: 1s, phone: a, login: wrong, as: blocked}\n  - {at: \"blocked + ${B} - 1ns\", phone: a, login: "+
		"right}\n  - {at: 3m - 1ns, phone: a, expect: {log: 0}}\n",
		Options{Vars: map[string]string{"B": "30s"}})
	if at := got.Script[1].At; at.Label != "blocked" || at.Offset != 30*time.Second-1 {
		t.Errorf("with a variable: %+v, want 29.999999999s after blocked", at)
	}
	if at := got.Script[2].At; at.Label != "" || at.Offset != 3*time.Minute-1 {
		t.Errorf("from the start: %+v, want 2m59.999999999s", at)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"phones", "prints", "Download_tempID"}
	for text, want := range map[string]string{
		"phnes": "phones", "phoens": "phones", "PHONES": "phones", "download_tempid": "Download_tempID", "x": "",
		"weather": "", "": "",
	} {
		if got, ok := nearest(text, words); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
