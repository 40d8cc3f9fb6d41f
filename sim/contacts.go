package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"bluetrace/scenarios"
	"bluetrace/sim/load"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// contactGraph has an edge for each pair of phones that are in contact. Several sources of contacts may connect one
// pair: the contact ends when the last of them disconnects it.
type contactGraph struct {
	of [][]contact // by phone
}

// contact is one direction of an edge.
type contact struct {
	peer    uint32
	sources uint32 // the number of sources that connect the pair
}

func (g *contactGraph) connect(a, b int) {
	g.add(a, b)
	g.add(b, a)
}

func (g *contactGraph) add(a, b int) {
	if i := g.find(a, b); i >= 0 {
		g.of[a][i].sources++
		return
	}
	g.of[a] = append(g.of[a], contact{uint32(b), 1})
}

// find returns the index of phone b in the contacts of phone a, or -1 if they are not in contact.
func (g *contactGraph) find(a, b int) int {
	for i := range g.of[a] {
		if g.of[a][i].peer == uint32(b) {
			return i
		}
	}
	return -1
}

func (g *contactGraph) disconnect(a, b int) {
	g.remove(a, b)
	g.remove(b, a)
}

func (g *contactGraph) remove(a, b int) {
	list, i := g.of[a], g.find(a, b)
	if list[i].sources--; list[i].sources == 0 {
		list[i] = list[len(list)-1]
		g.of[a] = list[:len(list)-1]
	}
}

// connectAll connects every pair of the phones. Without earlier contacts it skips the search for existing edges.
func (g *contactGraph) connectAll(phones []int) {
	fresh := !slices.ContainsFunc(phones, func(a int) bool { return len(g.of[a]) > 0 })
	for i, a := range phones {
		for _, b := range phones[i+1:] {
			switch {
			case !fresh:
				g.connect(a, b)
			case a != b:
				g.of[a] = append(g.of[a], contact{uint32(b), 1})
				g.of[b] = append(g.of[b], contact{uint32(a), 1})
			}
		}
	}
}

// connectDesks connects the phones whose desks are within reach in rows and in columns.
func (g *contactGraph) connectDesks(d scenarios.Desks) {
	for i, a := range d.Phones {
		row, col := i/d.Columns, i%d.Columns
		for r := row; r <= row+d.Reach; r++ {
			for c := max(0, col-d.Reach); c <= min(d.Columns-1, col+d.Reach); c++ {
				if j := r*d.Columns + c; j > i && j < len(d.Phones) {
					g.connect(a, d.Phones[j])
				}
			}
		}
	}
}

// contacts keeps the contact graph of a run up to date: with fixed contacts, visits, random mixing and traces.
type contacts struct {
	contactGraph
	world   world.World // set by start
	visits  []*visit
	mixings []*mixing
	traces  []*traceContacts
	notes   []string
	end     time.Duration // of the longest trace
}

// maxFixed is the maximum number of fixed pairs of a run, which need 16 bytes each.
const maxFixed = 1 << 26

// Limits of random mixing.
const (
	maxMeetings     = 1 << 24 // at a time
	bytesPerMeeting = 64
)

// newContacts connects the fixed contacts of a scenario and prepares those that change. The error is an *Invalid, an
// error of a trace file, or the error of ctx.
func newContacts(ctx context.Context, s *scenarios.Scenario, names []string) (*contacts, error) {
	c := &contacts{contactGraph: contactGraph{make([][]contact, len(names))}}
	if err := c.connectFixed(s); err != nil {
		return nil, err
	}
	for i, v := range s.Contacts.Visits {
		src := virtual.Stream(s.Seed, names[v.Phone], fmt.Sprintf("visits %d", i))
		c.visits = append(c.visits, &visit{v: v, with: -1, src: src})
	}
	for i, m := range s.Contacts.Mixing {
		if pairs := m.Degree * float64(len(m.Phones)) / 2; pairs > maxMeetings {
			return nil, &Invalid{s.Place(m.Pos), fmt.Errorf(
				"mixing: %d phones of degree %g are %.0f meetings at a time, which need %.0f MiB; at most %d",
				len(m.Phones), m.Degree, pairs, pairs*bytesPerMeeting/(1<<20), maxMeetings)}
		}
		src := virtual.Stream(s.Seed, fmt.Sprintf("mixing %d", i), "pairs")
		c.mixings = append(c.mixings, &mixing{m: m, src: src})
	}
	for i := range s.Contacts.Trace {
		t := &s.Contacts.Trace[i]
		if err := c.readTrace(ctx, t, s.Place(t.Pos)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// connectFixed connects the phones that are in contact for the whole run.
func (c *contacts) connectFixed(s *scenarios.Scenario) error {
	total := 0
	check := func(kind string, at scenarios.Pos, phones, pairs int) error {
		if total += pairs; total <= maxFixed {
			return nil
		}
		return &Invalid{s.Place(at), fmt.Errorf(
			"%s: %d phones are %d pairs, which need %d MiB; at most %d pairs (use mixing for a crowd)",
			kind, phones, total, total>>16, maxFixed)}
	}
	for _, e := range s.Contacts.Everyone {
		n := len(e.Phones)
		if err := check("everyone near everyone", e.Pos, n, n*(n-1)/2); err != nil {
			return err
		}
		c.connectAll(e.Phones)
	}
	for _, l := range s.Contacts.Lists {
		n := len(l.Phones)
		if err := check("each near each of a list", l.Pos, n, n*(n-1)/2); err != nil {
			return err
		}
		c.connectAll(l.Phones)
	}
	for _, d := range s.Contacts.Desks {
		across := min(2*d.Reach+1, d.Columns)
		along := min(2*d.Reach+1, (len(d.Phones)+d.Columns-1)/d.Columns)
		if err := check("desks within reach", d.Pos, len(d.Phones), len(d.Phones)*(across*along-1)/2); err != nil {
			return err
		}
		c.connectDesks(d)
	}
	return nil
}

// The kind of a Tick is in the highest bits of its argument.
const (
	tickRoutine = iota << 28
	tickVisit
	tickMixing
	tickTrace
	tickKind = 0xf << 28
)

// start schedules the first changes of contacts. begin is the time of the first event of the run.
func (c *contacts) start(w world.World, begin time.Duration) {
	c.world = w
	for i := range c.visits {
		w.Tick(begin, uint32(i), tickVisit)
	}
	for i, m := range c.mixings {
		m.pairs = make([][2]int32, int(m.m.Degree*float64(len(m.m.Phones))/2+0.5))
		for p := range m.pairs {
			c.drawPair(m, p)
			w.Tick(begin+m.dwell(), uint32(p), tickMixing|uint32(i))
		}
	}
	for i := range c.traces {
		c.scheduleTrace(uint32(i))
	}
}

// tick makes the next change of contacts. index and arg are those of the Tick.
func (c *contacts) tick(index, arg uint32) {
	switch arg & tickKind {
	case tickVisit:
		c.moveVisitor(index)
	case tickMixing:
		c.replacePair(index, arg&^tickKind)
	case tickTrace:
		c.advanceTrace(index)
	}
}

// visit is a phone that visits one phone after the other.
type visit struct {
	v    scenarios.Visits
	with int // the phone that it visits now; -1 if none
	src  rand.PCG
}

// moveVisitor ends a visit and begins the next, of another phone if there are several.
func (c *contacts) moveVisitor(i uint32) {
	v := c.visits[i]
	rnd := rand.New(&v.src)
	next := v.v.To[rnd.IntN(len(v.v.To))]
	for len(v.v.To) > 1 && next == v.with {
		next = v.v.To[rnd.IntN(len(v.v.To))]
	}
	if v.with >= 0 {
		c.disconnect(v.v.Phone, v.with)
	}
	if v.with = -1; next != v.v.Phone {
		c.connect(v.v.Phone, next)
		v.with = next
	}
	c.world.Tick(c.world.Now()+max(virtual.Delay(v.v.Stay).Draw(&v.src), 1), i, tickVisit)
}

// mixing is a constant number of meetings. When one ends, another pair of phones, drawn at random, meets.
type mixing struct {
	m     scenarios.Mixing
	pairs [][2]int32
	src   rand.PCG
}

// dwell draws the duration of a meeting.
func (m *mixing) dwell() time.Duration {
	return max(time.Duration(distuv.Exponential{Rate: 1 / float64(m.m.Dwell), Src: &m.src}.Rand()), 1)
}

// drawPair connects a pair that is not yet in contact. In a small or dense crowd, after some attempts, it may be a pair
// that is.
func (c *contacts) drawPair(m *mixing, p int) {
	const attempts = 8
	rnd := rand.New(&m.src)
	n := len(m.m.Phones)
	var a, b int
	for range attempts {
		i, j := rnd.IntN(n), rnd.IntN(n-1)
		if j >= i {
			j++
		}
		a, b = m.m.Phones[i], m.m.Phones[j]
		if c.find(a, b) < 0 {
			break
		}
	}
	m.pairs[p] = [2]int32{int32(a), int32(b)}
	c.connect(a, b)
}

// replacePair ends a meeting and begins another.
func (c *contacts) replacePair(pair, i uint32) {
	m := c.mixings[i]
	old := m.pairs[pair]
	c.disconnect(int(old[0]), int(old[1]))
	c.drawPair(m, int(pair))
	c.world.Tick(c.world.Now()+m.dwell(), pair, tickMixing|i)
}

// traceContacts are the contacts of a recorded trace.
type traceContacts struct {
	coming  []recordedPair // in the order in which they begin
	current []recordedPair // in contact now
	ended   []recordedPair // scratch space of advanceTrace
}

// recordedPair is a contact of two phones.
type recordedPair struct {
	a, b       int32
	begin, end time.Duration
}

// readPoll is the number of contacts between two checks of the context.
const readPoll = 1 << 12

// readTrace reads a trace and assigns its people to phones, in the order in which they first appear. The error is an
// *Invalid for a trace that is wrong or missing.
func (c *contacts) readTrace(ctx context.Context, t *scenarios.Trace, place string) (err error) {
	wrap := func(err error) error {
		var mistake *scenarios.TraceMistake
		if errors.As(err, &mistake) || errors.Is(err, fs.ErrNotExist) {
			return &Invalid{place, err}
		}
		return fmt.Errorf("%s: %w", place, err)
	}
	reader, err := scenarios.OpenTrace(t)
	if err != nil {
		return wrap(err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	people := map[string]int{} // their numbers, from 0
	phoneOf := func(person string) int32 {
		n, ok := people[person]
		if !ok {
			n = len(people)
			people[strings.Clone(person)] = n
		}
		return int32(t.Phones[min(n, len(t.Phones)-1)])
	}
	tc := &traceContacts{}
	for {
		if len(tc.coming)%readPoll == 0 && ctx.Err() != nil {
			return &load.Interrupted{While: "the contact trace " + strconv.Quote(t.File) + " was read"}
		}
		one, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return wrap(err)
		}
		c.end = max(c.end, one.End)
		tc.coming = append(tc.coming, recordedPair{phoneOf(one.I), phoneOf(one.J), one.Begin, one.End})
	}
	if len(people) > len(t.Phones) {
		return &Invalid{place, fmt.Errorf(
			"trace %q has %d people, the scenario has %d phones for them; give it at least as many",
			t.File, len(people), len(t.Phones))}
	}
	c.traces = append(c.traces, tc)
	c.notes = append(c.notes, fmt.Sprintf("trace %s: %d contacts of %d people", t.File, len(tc.coming), len(people)))
	for _, o := range reader.Irregularities() {
		c.notes = append(c.notes, o.String())
	}
	return nil
}

// scheduleTrace schedules the time at which contacts of a trace next begin or end.
func (c *contacts) scheduleTrace(i uint32) {
	tc := c.traces[i]
	next := time.Duration(math.MaxInt64)
	if len(tc.coming) > 0 {
		next = tc.coming[0].begin
	}
	for _, p := range tc.current {
		next = min(next, p.end)
	}
	if next != math.MaxInt64 {
		c.world.Tick(next, i, tickTrace)
	}
}

// advanceTrace begins the contacts of a trace that begin now, and then ends those that end now, so that a contact that
// continues is never interrupted.
func (c *contacts) advanceTrace(i uint32) {
	tc := c.traces[i]
	now := c.world.Now()
	current, ended := tc.current[:0], tc.ended[:0]
	for _, p := range tc.current {
		if p.end <= now {
			ended = append(ended, p)
		} else {
			current = append(current, p)
		}
	}
	for len(tc.coming) > 0 && tc.coming[0].begin <= now {
		p := tc.coming[0]
		c.connect(int(p.a), int(p.b))
		current, tc.coming = append(current, p), tc.coming[1:]
	}
	for _, p := range ended {
		c.disconnect(int(p.a), int(p.b))
	}
	tc.current, tc.ended = current, ended
	c.scheduleTrace(i)
}
