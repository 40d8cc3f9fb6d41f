package scenarios

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"time"
)

// zoneinfo is the IANA time zone database as the Go distribution ships it
// (lib/time/zoneinfo.zip). time.LoadLocation would ask the machine first, and
// two machines may know different rules.
//
//go:embed zoneinfo.zip
var zoneinfo []byte

const wallLayout = "02/01/2006 15:04:05"

// Zone is the IANA zone of that name as this program knows it, whatever the
// machine does.
func Zone(name string) (*time.Location, error) { return loadZone(name) }

// loadZone finds an IANA zone in the database of this binary.
func loadZone(name string) (*time.Location, error) {
	if name == "UTC" {
		return time.UTC, nil
	}
	archive, err := zip.NewReader(bytes.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		return nil, fmt.Errorf("reading the time zone database: %w", err)
	}
	var names []string
	for _, f := range archive.File {
		if f.FileInfo().IsDir() {
			continue
		}
		if f.Name == name {
			return readZone(f)
		}
		names = append(names, f.Name)
	}
	if near, ok := nearest(name, names); ok {
		return nil, told{fmt.Errorf("there is no such time zone; did you mean `%s`?", near)}
	}
	return nil, errors.New("there is no such time zone")
}

func readZone(f *zip.File) (*time.Location, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("opening time zone %q: %w", f.Name, err)
	}
	defer func() { _ = r.Close() }() // it was only read
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading time zone %q: %w", f.Name, err)
	}
	return time.LoadLocationFromTZData(f.Name, text)
}

// parseWallTime reads DD/MM/YYYY HH:MM:SS, exactly 19 bytes, as a time of no
// zone (it is kept as if it were UTC).
func parseWallTime(text string) (time.Time, error) {
	t, err := time.Parse(wallLayout, text)
	if err != nil || t.Format(wallLayout) != text {
		return time.Time{}, errExpected
	}
	return t, nil
}

// inZone finds the instant at which clocks in zone show wall, in Unix seconds:
// the first one when they show it twice. It fails in a gap.
func inZone(wall time.Time, zone *time.Location) (int64, error) {
	// Every instant that shows wall is within a day of the one that would in
	// UTC; zones are at most 26 hours apart when a whole day is left out.
	const reach = 48 * time.Hour
	naive := wall.Unix()
	at := wall.Add(-reach).In(zone)
	for {
		_, offset := at.Zone()
		_, end := at.ZoneBounds()
		instant := naive - int64(offset)
		if instant >= at.Unix() && (end.IsZero() || instant < end.Unix()) {
			return instant, nil
		}
		if end.IsZero() || end.Unix() > naive+int64(reach/time.Second) {
			return 0, errors.New("clocks in the scenario's zone go forward over it")
		}
		at = end
	}
}
