package check

import (
	"archive/zip"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/scenarios"
)

// everyZone returns the names of the zones of the time zone database.
func everyZone(t *testing.T) []string {
	t.Helper()
	archive, err := zip.OpenReader("../../scenarios/zoneinfo.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var names []string
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	if len(names) < 500 {
		t.Fatalf("%d zones, want at least 500", len(names))
	}
	return names
}

// zoneMoments returns instants at which a verdict may depend on the zone: changes of clocks between 1950 and 2100, the
// turns of years, and any others.
func zoneMoments(draw *rand.Rand, zone *time.Location) []int64 {
	var all []int64
	for range 3 {
		year := 1950 + draw.IntN(150)
		at := time.Date(year, time.Month(1+draw.IntN(12)), 1+draw.IntN(28), draw.IntN(24), 0, 0, 0, zone)
		_, change := at.ZoneBounds()
		all = append(all, at.Unix(), time.Date(year, 12, 31, 20, 0, 0, 0, zone).Unix())
		if !change.IsZero() {
			all = append(all, change.Unix())
		}
	}
	return all
}

// wireText returns the local time at an instant plus a number of seconds, as clocks show it or, with skipped, as they
// would show it without a change since the instant.
func wireText(zone *time.Location, unix, plus int64, skipped bool) string {
	at := time.Unix(unix, 0).In(zone)
	if skipped {
		_, offset := at.Zone()
		return time.Unix(unix+plus+int64(offset), 0).UTC().Format(wireLayout)
	}
	return at.Add(time.Duration(plus) * time.Second).Format(wireLayout)
}

// TestJudgesInEveryZone compares the verdicts of package protocol with those of the model, which shares no code with
// it, in every zone of the database.
func TestJudgesInEveryZone(t *testing.T) {
	valid, invalid := 0, 0
	for i, name := range everyZone(t) {
		zone, err := scenarios.Zone(name)
		if err != nil {
			t.Fatal(err)
		}
		draw := rand.New(rand.NewPCG(uint64(i), 11))
		judges, model := protocol.NewZone(zone), beaconReader{location: zone}
		for _, moment := range zoneMoments(draw, zone) {
			for range 8 {
				begin, life := moment+draw.Int64N(9000)-4500, []int64{1, 60, 900, 900, 900, 3600, 4500,
					-2700}[draw.IntN(8)]
				var raw [protocol.BeaconSize]byte
				copy(raw[:], strings.Repeat("7", protocol.TempIDSize)+wireText(zone, begin, 0, draw.IntN(4) == 0)+
					wireText(zone, begin, life, draw.IntN(4) == 0)+"1")
				edge := []int64{begin, begin + life, begin + life/2, moment, moment + 3600}[draw.IntN(5)]
				wall := edge*int64(time.Second) + []int64{-1, 0, 1}[draw.IntN(3)]
				_, err := protocol.Judge(&raw, true, judges, wall)
				if why := model.refusal(&raw, true, wall); (why == "") != (err == nil) {
					t.Errorf("%s: %q at %s: protocol finds %v, the model %q", name, raw[protocol.TempIDSize:],
						time.Unix(0, wall).In(zone), err, why)
				}
				if err == nil {
					valid++
				} else {
					invalid++
				}
			}
		}
		if t.Failed() {
			return
		}
	}
	if valid < 10000 || invalid < 10000 {
		t.Errorf("%d valid and %d invalid beacons, want at least 10000 of each", valid, invalid)
	}
}
