package protocol

import (
	"math"
	"sync/atomic"
	"time"
)

// maxOffset bounds how far, in seconds, local time can be from UTC in a zone
// with more than one offset: RFC 8536 section 3.2 keeps utoff between -25 h and
// 26 h, both excluded.
const maxOffset = 26 * 3600

// Zone reads local times as instants and instants as local times. It remembers
// the offsets that hold around the instant it was last asked about, so that a
// reading near it takes a few nanoseconds and no allocation. Safe for concurrent
// use; not to be copied.
type Zone struct {
	loc  *time.Location
	near atomic.Pointer[window]
}

// NewZone takes any location but nil.
func NewZone(loc *time.Location) *Zone {
	if loc == nil {
		panic("protocol: a zone needs a location")
	}
	return &Zone{loc: loc}
}

// Location is what NewZone was given.
func (z *Zone) Location() *time.Location { return z.loc }

// Local is what the zone's clocks show at an instant given in Unix seconds.
func (z *Zone) Local(unix int64) LocalTime {
	w := z.window(unix)
	for i := range w.periods {
		if p := &w.periods[i]; unix < p.until {
			return LocalTime(unix + p.offset)
		}
	}
	return LocalTime(unix + w.periods[len(w.periods)-1].offset)
}

// Readings returns the n instants, in Unix seconds and ascending, at which the
// zone's clocks show t: one as a rule, none when clocks went forward over t, two
// when they went back over it. t is of the years 0000 to 9999.
func (z *Zone) Readings(t LocalTime) (r [4]int64, n int) {
	if w := z.near.Load(); w != nil {
		return z.readings(w, t)
	}
	return z.walk(t)
}

// Span is the life of a beacon in Unix seconds, the expiry excluded.
type Span struct {
	Start, Expiry int64
}

// Contains says whether start <= t < expiry, where t is wall in Unix
// nanoseconds.
func (s Span) Contains(wall int64) bool {
	t := floorSeconds(wall)
	return s.Start <= t && t < s.Expiry
}

// Pair reads the start and the expiry of a beacon together (PROTOCOL.md section
// 1, "Local time"): of the readings that the zone allows it takes those with the
// shortest positive lifetime; of two such, the ones that contain wall (Unix
// nanoseconds), else the earlier ones. ErrGap: the zone's clocks never showed
// one of the two. ErrNotAfter: no reading has a positive lifetime.
func (z *Zone) Pair(start, expiry LocalTime, wall int64) (Span, error) {
	w := z.window(floorSeconds(wall))
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

// shortest expects both ascending, so that of equals it meets the earlier first.
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

// period is a stretch of instants, in Unix seconds and without until, that have
// one offset from UTC.
type period struct {
	from, until, offset int64
}

// add appends the instant of this period that reads t, if there is one.
func (p *period) add(t LocalTime, r *[4]int64, n int) int {
	u := int64(t) - p.offset
	if u < p.from || u >= p.until || n == len(r) {
		return n
	}
	r[n] = u
	return n + 1
}

// window is a run of neighbouring periods.
type window struct {
	periods []period
}

func (w *window) from() int64  { return w.periods[0].from }
func (w *window) until() int64 { return w.periods[len(w.periods)-1].until }

// holds says whether every instant that could read t lies in the window.
func (w *window) holds(t LocalTime) bool {
	return int64(t)-maxOffset >= w.from() && int64(t)+maxOffset < w.until()
}

// offset is the only one that can hold at either of two local times: both are
// far from any change.
func (w *window) offset(a, b LocalTime) (offset int64, ok bool) {
	first, last := int64(min(a, b))-maxOffset, int64(max(a, b))+maxOffset
	for i := range w.periods {
		if p := &w.periods[i]; first >= p.from && last < p.until {
			return p.offset, true
		}
	}
	return 0, false
}

// window returns a window with the instant unix in it, remembered or new. What
// peers write never moves it: only instants do.
func (z *Zone) window(unix int64) *window {
	if w := z.near.Load(); w != nil && unix >= w.from() && unix < w.until() {
		return w
	}
	w := z.windowAround(unix)
	z.near.Store(w)
	return w
}

// windowAround covers at least nearby seconds on both sides of unix.
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

// add appends the period that follows, as part of the last one if it has the
// same offset.
func (w *window) add(p period) {
	last := &w.periods[len(w.periods)-1]
	if p.offset == last.offset {
		last.until = p.until
		return
	}
	w.periods = append(w.periods, p)
}

func (z *Zone) readings(w *window, t LocalTime) (r [4]int64, n int) {
	if !w.holds(t) {
		return z.walk(t)
	}
	for i := range w.periods {
		n = w.periods[i].add(t, &r, n)
	}
	return r, n
}

// walk asks the location about every period that could hold a reading of t.
func (z *Zone) walk(t LocalTime) (r [4]int64, n int) {
	for u := int64(t) - maxOffset; u <= int64(t)+maxOffset; {
		p := z.period(u)
		n = p.add(t, &r, n)
		u = p.until
	}
	return r, n
}

// period is what holds from unix on; or at all times, in a zone that has never
// changed. Of time.Time.ZoneBounds only the end is taken, as a moment before
// which the offset does not change: it may come early (at the turn of a year),
// the beginning may lie before that of the period, and on 31 December of a leap
// year the end may lie before unix.
func (z *Zone) period(unix int64) period {
	t := time.Unix(unix, 0).In(z.loc)
	_, offset := t.Zone()
	from, until := t.ZoneBounds()
	p := period{from: unix, until: math.MaxInt64, offset: int64(offset)}
	switch {
	case from.IsZero() && until.IsZero():
		p.from = math.MinInt64
	case !until.IsZero() && until.Unix() > unix:
		p.until = until.Unix()
	case !until.IsZero():
		p.until = unix + steady(t, offset)
	}
	return p
}

// steady is for how many seconds from t on the offset surely holds, found by
// looking ahead: no zone changes twice within a quarter of an hour.
func steady(t time.Time, offset int) int64 {
	const quarter = 900
	if _, then := t.Add(quarter * time.Second).Zone(); then == offset {
		return quarter
	}
	return 1
}

// floorSeconds cuts Unix nanoseconds down to whole seconds, also before 1970.
func floorSeconds(wall int64) int64 {
	s := wall / int64(time.Second)
	if wall%int64(time.Second) < 0 {
		s--
	}
	return s
}
