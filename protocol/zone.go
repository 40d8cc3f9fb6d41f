package protocol

import (
	"math"
	"sync/atomic"
	"time"
)

// maxOffset is an upper bound, in seconds, of the distance between local time and UTC
// in a zone with more than one offset. RFC 8536 section 3.2 limits utoff to -25 h to 26
// h, both excluded.
const maxOffset = 26 * 3600

// Zone converts between local times and instants. It caches the offsets from UTC around
// the last converted instant. A conversion near that instant takes a few nanoseconds
// and does not allocate. A Zone is safe for concurrent use and must not be copied.
type Zone struct {
	loc  *time.Location
	near atomic.Pointer[window] // the cache; nil before the first conversion
}

// NewZone returns the zone of a location. It panics if the location is nil.
func NewZone(loc *time.Location) *Zone {
	if loc == nil {
		panic("protocol: a zone needs a location")
	}
	return &Zone{loc: loc}
}

// Location returns the location that NewZone was given.
func (z *Zone) Location() *time.Location { return z.loc }

// Local returns the local time at an instant in Unix seconds.
func (z *Zone) Local(unix int64) LocalTime {
	w := z.window(unix)
	for i := range w.periods {
		if p := &w.periods[i]; unix < p.until {
			return LocalTime(unix + p.offset)
		}
	}
	return LocalTime(unix + w.periods[len(w.periods)-1].offset)
}

// Readings returns in r[:n] the instants at which the zone's clocks show t, as
// ascending Unix seconds. Usually there is one. There is none if the clocks went
// forward over t, and there are two if they went back over it. The year of t must be
// 0000 to 9999.
func (z *Zone) Readings(t LocalTime) (r [4]int64, n int) {
	if w := z.near.Load(); w != nil {
		return z.readings(w, t)
	}
	return z.walk(t)
}

// Span is the lifetime of a beacon in Unix seconds. It includes Start and excludes
// Expiry.
type Span struct {
	Start, Expiry int64
}

// Contains reports whether Start <= wall < Expiry, where wall is in Unix nanoseconds.
func (s Span) Contains(wall int64) bool {
	t := UnixSeconds(wall)
	return s.Start <= t && t < s.Expiry
}

// Pair converts the start and the expiry of a beacon together (PROTOCOL.md section 1,
// "Local time"). If a local time has several readings, Pair chooses the pair with the
// shortest positive lifetime. Of two pairs with the same lifetime, it chooses the one
// that contains wall (Unix nanoseconds), or else the earlier one. The error is ErrGap
// if the zone's clocks never showed start or expiry, and ErrNotAfter if no pair has a
// positive lifetime.
func (z *Zone) Pair(start, expiry LocalTime, wall int64) (Span, error) {
	w := z.window(UnixSeconds(wall))
	if offset, ok := w.offset(start, expiry); ok {
		if expiry <= start {
			return Span{}, ErrNotAfter
		}
		return Span{int64(start) - offset, int64(expiry) - offset}, nil
	}
	starts, ns := z.readings(w, start)
	expiries, ne := z.readings(w, expiry)
	if ns == 0 || ne == 0 {
		return Span{}, ErrGap
	}
	return shortest(starts[:ns], expiries[:ne], wall)
}

// Offset returns the offset from UTC, in seconds, that holds at the local times t and
// u. It returns false if the offset may change near t or u. Offset moves the cache to
// t, so a caller that converts old times should use a Zone of its own.
func (z *Zone) Offset(t, u LocalTime) (seconds int64, ok bool) {
	return z.window(int64(t)).offset(t, u)
}

// NextChange returns the first instant after unix at which the offset from UTC changes.
// Both are in Unix seconds. It returns false if the offset does not change before the
// year 10000.
func (z *Zone) NextChange(unix int64) (change int64, ok bool) {
	first := z.period(unix)
	for p := first; p.until <= int64(lastLocalTime); {
		// The offset may be the same after until: a period may end early.
		if p = z.period(p.until); p.offset != first.offset {
			return p.from, true
		}
	}
	return 0, false
}

// shortest returns the shortest positive span from one of starts to one of expiries,
// both in ascending order. Of two equally short spans it prefers the one that contains
// wall, or else the earlier one. The error is ErrNotAfter.
func shortest(starts, expiries []int64, wall int64) (Span, error) {
	var best Span
	found := false
	for _, s := range starts {
		for _, e := range expiries {
			life, bestLife := e-s, best.Expiry-best.Start
			if life <= 0 {
				continue
			}
			this := Span{s, e}
			if !found || life < bestLife ||
				life == bestLife && !best.Contains(wall) && this.Contains(wall) {
				best, found = this, true
			}
		}
	}
	if !found {
		return Span{}, ErrNotAfter
	}
	return best, nil
}

// period is a range of instants with one offset from UTC. It includes from and excludes
// until. All fields are in seconds, and the instants are Unix times.
type period struct {
	from, until, offset int64
}

// add stores in r[n] the instant of this period at which clocks show t, and returns
// n+1. It returns n if there is no such instant, or if r is full.
func (p *period) add(t LocalTime, r *[4]int64, n int) int {
	u := int64(t) - p.offset
	if u < p.from || u >= p.until || n == len(r) {
		return n
	}
	r[n] = u
	return n + 1
}

// window is a sequence of adjacent periods in ascending order. It is never empty.
type window struct {
	periods []period
}

func (w *window) from() int64  { return w.periods[0].from }
func (w *window) until() int64 { return w.periods[len(w.periods)-1].until }

// holds reports whether the window contains every instant at which clocks may show
// t.
func (w *window) holds(t LocalTime) bool {
	return int64(t)-maxOffset >= w.from() && int64(t)+maxOffset < w.until()
}

// offset returns the offset in seconds that holds at the local times a and b, or false
// if the offset may change near a or b.
func (w *window) offset(a, b LocalTime) (offset int64, ok bool) {
	first, last := int64(min(a, b))-maxOffset, int64(max(a, b))+maxOffset
	for i := range w.periods {
		if p := &w.periods[i]; first >= p.from && last < p.until {
			return p.offset, true
		}
	}
	return 0, false
}

// window returns a window that contains unix, from the cache if possible. Only
// instants move the cache, never local times that a peer sent.
func (z *Zone) window(unix int64) *window {
	if w := z.near.Load(); w != nil && unix >= w.from() && unix < w.until() {
		return w
	}
	w := z.windowAround(unix)
	z.near.Store(w)
	return w
}

// windowAround returns a window of at least 30 days on both sides of unix.
func (z *Zone) windowAround(unix int64) *window {
	const nearby = 30 * daySeconds
	first := z.period(unix - nearby)
	w := &window{periods: []period{first}}
	for u := first.until; u <= unix+nearby; {
		p := z.period(u)
		w.add(p)
		u = p.until
	}
	return w
}

// add appends the next period, or extends the last one if the offset is the same.
func (w *window) add(p period) {
	last := &w.periods[len(w.periods)-1]
	if p.offset == last.offset {
		last.until = p.until
		return
	}
	w.periods = append(w.periods, p)
}

// readings is Readings with the window w, which is used if it contains every reading of
// t.
func (z *Zone) readings(w *window, t LocalTime) (r [4]int64, n int) {
	if !w.holds(t) {
		return z.walk(t)
	}
	for i := range w.periods {
		n = w.periods[i].add(t, &r, n)
	}
	return r, n
}

// walk finds the readings of t in the periods of the location.
func (z *Zone) walk(t LocalTime) (r [4]int64, n int) {
	for u := int64(t) - maxOffset; u <= int64(t)+maxOffset; {
		p := z.period(u)
		n = p.add(t, &r, n)
		u = p.until
	}
	return r, n
}

// period returns a period that begins at unix. In a zone that has never changed its
// offset, it returns all time.
//
// The end of the period is the end that time.Time.ZoneBounds returns. It may be early,
// at the turn of a year. On 31 December of a leap year it may even be before unix. With
// a rule that has a change after the end of its year, the offset may change before it.
// In both cases steady is used instead. The beginning that ZoneBounds returns is not
// used: it may be earlier than the offset holds.
func (z *Zone) period(unix int64) period {
	t := time.Unix(unix, 0).In(z.loc)
	_, offset := t.Zone()
	from, until := t.ZoneBounds()
	p := period{from: unix, until: math.MaxInt64, offset: int64(offset)}
	if from.IsZero() && until.IsZero() {
		p.from = math.MinInt64
	}
	if !until.IsZero() {
		p.until = until.Unix()
		if _, last := until.Add(-time.Second).Zone(); last != offset || p.until <= unix {
			p.until = unix + steady(t, offset)
		}
	}
	return p
}

// steady returns a number of seconds after t during which the offset does not change:
// 900, or 1 if the offset is different after 900 seconds. No zone changes twice within
// a quarter of an hour.
func steady(t time.Time, offset int) int64 {
	const quarter = 900
	if _, then := t.Add(quarter * time.Second).Zone(); then == offset {
		return quarter
	}
	return 1
}

// UnixSeconds rounds Unix nanoseconds down to seconds, also before 1970.
func UnixSeconds(wall int64) int64 {
	s := wall / int64(time.Second)
	if wall%int64(time.Second) < 0 {
		s--
	}
	return s
}
