package check

import (
	"slices"
	"time"

	"bluetrace/protocol"
)

// beaconReader judges a beacon a second time, with the time package instead of
// package protocol (PROTOCOL.md section 1). It caches the hours without a change of
// the zone's offset.
type beaconReader struct {
	location *time.Location
	hours    map[[hourSize]byte]hour
	last     [2]cachedHour
}

// hourSize is the length of "DD/MM/YYYY HH".
const hourSize = 13

// cachedHours is the maximum number of hours that a beaconReader caches.
const cachedHours = 4096

// hour is the meaning of the first 13 bytes of a time.
type hour struct {
	local   int64 // its first second in UTC, Unix seconds
	offsets []int // from UTC, in seconds, that the zone has near the hour; empty if the bytes are no date and hour
}

type cachedHour struct {
	key [hourSize]byte
	hour
}

// Offsets of the fields in a beacon.
const (
	startAt   = protocol.TempIDSize
	expiryAt  = startAt + protocol.TimeSize
	versionAt = expiryAt + protocol.TimeSize
)

// refusal returns the reason why a beacon is invalid at a wall time in Unix
// nanoseconds, or "" if it is valid. version is false if the fourth part is missing.
func (r *beaconReader) refusal(raw *[protocol.BeaconSize]byte, version bool, wall int64) string {
	for _, c := range raw[:startAt] {
		if c < '0' || c > '9' {
			return "its TempID is not 20 digits"
		}
	}
	if version && raw[versionAt] != '1' {
		return "its version is not 1"
	}
	s, plainStart, ok := r.instant(raw[startAt:expiryAt])
	if !ok {
		return "its start is no time"
	}
	e, plainExpiry, ok := r.instant(raw[expiryAt:versionAt])
	if !ok {
		return "its expiry is no time"
	}
	if !plainStart || !plainExpiry {
		s, e, ok = r.pair(raw[startAt:expiryAt], raw[expiryAt:versionAt], wall)
		if !ok {
			return "its times do not exist in this zone, or its expiry is not after its start"
		}
	}
	second := floorDiv(wall, int64(time.Second))
	switch {
	case e <= s:
		return "its expiry is not after its start"
	case second < s:
		return "its start is in the future"
	case second >= e:
		return "it has expired"
	}
	return ""
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// instant parses a time of a beacon. unix is in Unix seconds. ok is false if the text
// is not a time. plain is false near a change of the zone's offset: unix is then not
// valid, and pair chooses among the readings of the text.
func (r *beaconReader) instant(text []byte) (unix int64, plain, ok bool) {
	if text[13] != ':' || text[16] != ':' {
		return 0, true, false
	}
	minute, ok1 := sixty(text[14], text[15])
	second, ok2 := sixty(text[17], text[18])
	h := r.hour([hourSize]byte(text))
	if !ok1 || !ok2 || len(h.offsets) == 0 {
		return 0, true, false
	}
	return h.local - int64(h.offsets[0]) + 60*minute + second, len(h.offsets) == 1, true
}

// plain reports whether both times of a beacon are far from a change of the offset.
func (r *beaconReader) plain(fields []byte) bool {
	_, start, _ := r.instant(fields[startAt:expiryAt])
	_, expiry, _ := r.instant(fields[expiryAt:versionAt])
	return start && expiry
}

// sixty parses two digits, from 00 to 59.
func sixty(tens, ones byte) (int64, bool) {
	if tens < '0' || tens > '5' || ones < '0' || ones > '9' {
		return 0, false
	}
	return int64(tens-'0')*10 + int64(ones-'0'), true
}

// hour returns the meaning of the first 13 bytes of a time, from the cache if possible.
func (r *beaconReader) hour(key [hourSize]byte) hour {
	if r.last[0].key == key {
		return r.last[0].hour
	}
	r.last[0], r.last[1] = r.last[1], r.last[0]
	if r.last[0].key == key {
		return r.last[0].hour
	}
	h, ok := r.hours[key]
	if !ok {
		if r.hours == nil || len(r.hours) == cachedHours {
			r.hours = map[[hourSize]byte]hour{}
		}
		h = r.parseHour(string(key[:]))
		r.hours[key] = h
	}
	r.last[0] = cachedHour{key, h}
	return h
}

// nearby is the distance from a local time within which offsets are searched. It is
// larger than any offset from UTC.
const nearby = 28 * time.Hour

func (r *beaconReader) parseHour(text string) hour {
	const layout = "02/01/2006 15"
	t, err := time.Parse(layout, text)
	if err != nil || t.Format(layout) != text {
		return hour{}
	}
	return hour{t.Unix(), r.offsets(t)}
}

// offsets lists the offsets from UTC, in seconds, that the zone has near a local
// time.
func (r *beaconReader) offsets(local time.Time) []int {
	var all []int
	for t := local.Add(-nearby); !t.After(local.Add(nearby)); t = t.Add(15 * time.Minute) {
		_, off := t.In(r.location).Zone()
		if n := len(all); n == 0 || all[n-1] != off {
			all = append(all, off)
		}
	}
	return all
}

// readings lists the instants whose local time is the text, which is a time.
func (r *beaconReader) readings(text []byte) (all []int64) {
	first, _, _ := r.instant(text)
	offsets := r.hour([hourSize]byte(text)).offsets
	for _, off := range offsets {
		unix := first + int64(offsets[0]-off)
		if time.Unix(unix, 0).In(r.location).Format(wireLayout) == string(text) && !slices.Contains(all, unix) {
			all = append(all, unix)
		}
	}
	return all
}

// pair chooses the readings of start and expiry: those with the shortest positive
// lifetime, and of two such pairs the one that contains the wall time.
func (r *beaconReader) pair(start, expiry []byte, wall int64) (s, e int64, ok bool) {
	for _, a := range r.readings(start) {
		for _, b := range r.readings(expiry) {
			now := floorDiv(wall, int64(time.Second))
			switch {
			case b <= a:
			case !ok || b-a < e-s, b-a == e-s && a <= now && now < b:
				s, e, ok = a, b, true
			}
		}
	}
	return s, e, ok
}
