package files

import "bluetrace/protocol"

const daySeconds = 86_400

// pairs reads starts and expiries of tempIDs.txt as protocol.Zone.Pair does, as
// seen from wall. Of the days it was last asked about it remembers which have
// one offset from UTC all through and around, so that a line costs a few
// nanoseconds wherever in the years it lies.
type pairs struct {
	zone *protocol.Zone
	wall int64 // Unix nanoseconds
	// ahead is a zone of its own: what it remembers moves with the lines.
	ahead *protocol.Zone
	days  [16]dayOffset
}

// dayOffset is what holds on a day of local time.
type dayOffset struct {
	day    int64 // from 01/01/1970; 0 also before any was asked about
	offset int64 // seconds east of UTC
	state  dayState
}

type dayState uint8

const (
	dayUnknown dayState = iota
	daySteady           // every local time of it has one reading, by offset
	dayChanges
)

func newPairs(zone *protocol.Zone, wall int64) *pairs {
	return &pairs{zone: zone, wall: wall, ahead: protocol.NewZone(zone.Location())}
}

func (p *pairs) read(start, expiry protocol.LocalTime) (protocol.Span, error) {
	s, ok := p.reading(start)
	if !ok {
		return p.zone.Pair(start, expiry, p.wall)
	}
	e, ok := p.reading(expiry)
	if !ok {
		return p.zone.Pair(start, expiry, p.wall)
	}
	if e <= s {
		return protocol.Span{}, protocol.ErrNotAfter
	}
	return protocol.Span{Start: s, Expiry: e}, nil
}

// reading is the only instant at which clocks showed t; false: there may be none
// or several.
func (p *pairs) reading(t protocol.LocalTime) (unix int64, ok bool) {
	day := int64(t) / daySeconds
	if int64(t)%daySeconds < 0 {
		day--
	}
	d := &p.days[day&int64(len(p.days)-1)]
	if d.state == dayUnknown || d.day != day {
		*d = p.look(day)
	}
	return int64(t) - d.offset, d.state == daySteady
}

// look asks for the offset at every quarter of an hour of all instants that
// could read a time of the day: no zone is further than 26 hours from UTC, and
// none changes twice within a quarter of an hour.
func (p *pairs) look(day int64) dayOffset {
	const furthest, quarter = 26 * 3600, 900
	first := day*daySeconds - furthest
	d := dayOffset{day: day, offset: p.offset(first), state: daySteady}
	for u := first + quarter; u <= (day+1)*daySeconds+furthest; u += quarter {
		if p.offset(u) != d.offset {
			d.state = dayChanges
			break
		}
	}
	return d
}

func (p *pairs) offset(unix int64) int64 { return int64(p.ahead.Local(unix)) - unix }
