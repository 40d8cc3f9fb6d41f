package check

import (
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
	read     map[string][]int64 // readings of texts near a change of the offset
}

// hourSize is the length of "DD/MM/YYYY HH".
const hourSize = 13

// cachedHours is the maximum number of entries of each cache of a beaconReader.
const cachedHours = 4096

// hour is the meaning of the first 13 bytes of a time.
type hour struct {
	unix  int64 // of its first second
	plain bool  // the zone has one offset near this hour, so each second has one reading
	real  bool  // the bytes are a date and an hour
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
		s, e, ok = r.pair(string(raw[startAt:expiryAt]), string(raw[expiryAt:versionAt]), wall)
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
	var key [hourSize]byte
	copy(key[:], text)
	if text[13] != ':' || text[16] != ':' {
		return 0, true, false
	}
	minute, ok1 := sixty(text[14], text[15])
	second, ok2 := sixty(text[17], text[18])
	h := r.hour(key)
	if !ok1 || !ok2 || !h.real {
		return 0, true, false
	}
	return h.unix + 60*minute + second, h.plain, true
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
	offsets := r.offsets(t)
	if len(offsets) > 1 {
		return hour{real: true}
	}
	return hour{unix: t.Unix() - int64(offsets[0]), plain: true, real: true}
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

// readings lists the instants whose local time is the text. They are cached: many
// beacons have the same times.
func (r *beaconReader) readings(text string) []int64 {
	all, ok := r.read[text]
	if !ok {
		if r.read == nil || len(r.read) == cachedHours {
			r.read = make(map[string][]int64, cachedHours/64)
		}
		all = r.findReadings(text)
		r.read[text] = all
	}
	return all
}

func (r *beaconReader) findReadings(text string) []int64 {
	local, err := time.Parse(wireLayout, text)
	if err != nil || local.Format(wireLayout) != text {
		return nil
	}
	var all []int64
	for _, off := range r.offsets(local) {
		unix := local.Unix() - int64(off)
		if time.Unix(unix, 0).In(r.location).Format(wireLayout) == text && (len(all) == 0 || all[len(all)-1] != unix) {
			all = append(all, unix)
		}
	}
	return all
}

// pair chooses the readings of start and expiry: those with the shortest positive
// lifetime, and of two such pairs the one that contains the wall time.
func (r *beaconReader) pair(start, expiry string, wall int64) (s, e int64, ok bool) {
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
