package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"bluetrace/scenarios"
	"bluetrace/sim/virtual"
)

// contactGraph says who is near whom at this moment. Several kinds of contact may
// say so of one pair: it ends when the last of them does.
type contactGraph struct {
	of       [][]contact // by phone
	visits   []*visit
	mixings  []*mixing
	replays  []*replay
	notes    []string
	traceEnd time.Duration
}

// contact is one phone's side of a pair.
type contact struct {
	peer  uint32
	kinds uint32 // how many kinds of contact say so
}

func (n *contactGraph) connect(a, b int) {
	n.add(a, b)
	n.add(b, a)
}

func (n *contactGraph) add(a, b int) {
	for i := range n.of[a] {
		if m := &n.of[a][i]; m.peer == uint32(b) {
			m.kinds++
			return
		}
	}
	n.of[a] = append(n.of[a], contact{uint32(b), 1})
}

func (n *contactGraph) disconnect(a, b int) {
	n.remove(a, b)
	n.remove(b, a)
}

func (n *contactGraph) remove(a, b int) {
	list := n.of[a]
	for i := range list {
		if m := &list[i]; m.peer == uint32(b) {
			if m.kinds--; m.kinds == 0 {
				list[i] = list[len(list)-1]
				n.of[a] = list[:len(list)-1]
			}
			return
		}
	}
}

func (n *contactGraph) has(a, b int) bool {
	for _, m := range n.of[a] {
		if m.peer == uint32(b) {
			return true
		}
	}
	return false
}

// maxStanding is how many standing pairs a run may have: 16 bytes each, on
// both sides.
const maxStanding = 1 << 26

// maxMeetings is how many meetings of random mixing a run may have at a time.
const (
	maxMeetings     = 1 << 24
	bytesPerMeeting = 64
)

// placeContacts works out the contacts that stand for the whole run, and prepares those
// that change.
func (r *run) placeContacts(names []string) error {
	c := &r.scenario.Contacts
	n := &contactGraph{of: make([][]contact, len(names))}
	r.contacts = n
	if err := r.placeStanding(n); err != nil {
		return err
	}
	for i, v := range c.Visits {
		n.visits = append(n.visits, &visit{v: v, now: -1,
			src: virtual.Stream(r.scenario.Seed, names[v.Phone], fmt.Sprintf("visits %d", i))})
	}
	for i, m := range c.Mixing {
		if pairs := m.Degree * float64(len(m.Phones)) / 2; pairs > maxMeetings {
			return &Invalid{r.place(m.Pos), fmt.Errorf("mixing: %d phones of degree %g are %.0f meetings at a time, which need %.0f MiB; at most %d",
				len(m.Phones), m.Degree, pairs, pairs*bytesPerMeeting/(1<<20), maxMeetings)}
		}
		n.mixings = append(n.mixings, &mixing{m: m,
			src: virtual.Stream(r.scenario.Seed, fmt.Sprintf("mixing %d", i), "pairs")})
	}
	for i := range c.Trace {
		p, err := r.openTrace(&c.Trace[i])
		if err != nil {
			return err
		}
		n.replays = append(n.replays, p)
	}
	r.atLeast = max(r.atLeast, n.traceEnd)
	return nil
}

// placeStanding seats those who stay near each other for the whole run.
func (r *run) placeStanding(n *contactGraph) error {
	c := &r.scenario.Contacts
	standing := 0
	room := func(what string, at scenarios.Pos, phones, pairs int) error {
		if standing += pairs; standing <= maxStanding {
			return nil
		}
		return &Invalid{r.place(at), fmt.Errorf("%s: %d phones are %d pairs, which need %d MiB; at most %d pairs (use mixing for a crowd)",
			what, phones, standing, standing>>16, maxStanding)}
	}
	for _, e := range c.Everyone {
		if err := room("everyone near everyone", e.Pos, len(e.Phones), len(e.Phones)*(len(e.Phones)-1)/2); err != nil {
			return err
		}
		n.connectAll(e.Phones)
	}
	for _, l := range c.Lists {
		if err := room("each near each of a list", l.Pos, len(l.Phones), len(l.Phones)*(len(l.Phones)-1)/2); err != nil {
			return err
		}
		n.connectAll(l.Phones)
	}
	for _, d := range c.Desks {
		across := min(2*d.Reach+1, d.Columns)
		along := min(2*d.Reach+1, (len(d.Phones)+d.Columns-1)/d.Columns)
		if err := room("desks within reach", d.Pos, len(d.Phones), len(d.Phones)*(across*along-1)/2); err != nil {
			return err
		}
		n.connectDesks(d)
	}
	return nil
}

func (n *contactGraph) connectAll(phones []int) {
	fresh := true
	for _, a := range phones {
		fresh = fresh && len(n.of[a]) == 0
	}
	for i, a := range phones {
		for _, b := range phones[i+1:] {
			switch {
			case !fresh:
				n.connect(a, b) // they may be near already
			case a != b:
				n.of[a] = append(n.of[a], contact{uint32(b), 1})
				n.of[b] = append(n.of[b], contact{uint32(a), 1})
			}
		}
	}
}

func (n *contactGraph) connectDesks(d scenarios.Desks) {
	for i, a := range d.Phones {
		row, col := i/d.Columns, i%d.Columns
		for r := row; r <= row+d.Reach; r++ {
			for c := max(0, col-d.Reach); c <= min(d.Columns-1, col+d.Reach); c++ {
				if j := r*d.Columns + c; j > i && j < len(d.Phones) {
					n.connect(a, d.Phones[j])
				}
			}
		}
	}
}

// Kinds of Tick: the highest bits of its argument.
const (
	tickRoutine = iota << 28
	tickVisit
	tickMixing
	tickReplay
	tickKind = 0xf << 28
)

func (r *run) startContacts() {
	for i := range r.contacts.visits {
		r.world.Tick(r.begin, uint32(i), tickVisit)
	}
	for i, m := range r.contacts.mixings {
		r.startMixing(i, m)
	}
	for i := range r.contacts.replays {
		r.nextInterval(uint32(i))
	}
}

// visit is one phone that goes from one to the next.
type visit struct {
	v   scenarios.Visits
	now int // whom it is with; -1: nobody yet
	src rand.PCG
}

func (r *run) moveOn(i uint32) {
	v := r.contacts.visits[i]
	rnd := rand.New(&v.src)
	next := v.v.To[rnd.IntN(len(v.v.To))]
	for len(v.v.To) > 1 && next == v.now {
		next = v.v.To[rnd.IntN(len(v.v.To))]
	}
	if v.now >= 0 {
		r.contacts.disconnect(v.v.Phone, v.now)
	}
	if next != v.v.Phone {
		r.contacts.connect(v.v.Phone, next)
		v.now = next
	} else {
		v.now = -1
	}
	r.world.Tick(r.world.Now()+max(delayOf(v.v.Stay).Draw(&v.src), 1), i, tickVisit)
}

// mixing keeps a constant number of meetings: one that ends is followed by one
// of another pair, drawn at random.
type mixing struct {
	m     scenarios.Mixing
	pairs [][2]int32
	src   rand.PCG
}

func (r *run) startMixing(i int, m *mixing) {
	n := len(m.m.Phones)
	m.pairs = make([][2]int32, int(m.m.Degree*float64(n)/2+0.5))
	for p := range m.pairs {
		r.draw(m, p)
		r.world.Tick(r.begin+m.dwell(), uint32(p), tickMixing|uint32(i))
	}
}

func (m *mixing) dwell() time.Duration {
	return max(time.Duration(distuv.Exponential{Rate: 1 / float64(m.m.Dwell), Src: &m.src}.Rand()), 1)
}

// draw lets a pair that is not near yet meet; in a small or full crowd it may
// be one that is.
func (r *run) draw(m *mixing, p int) {
	const tries = 8
	rnd := rand.New(&m.src)
	n := len(m.m.Phones)
	var a, b int
	for range tries {
		i, j := rnd.IntN(n), rnd.IntN(n-1)
		if j >= i {
			j++
		}
		a, b = m.m.Phones[i], m.m.Phones[j]
		if !r.contacts.has(a, b) {
			break
		}
	}
	m.pairs[p] = [2]int32{int32(a), int32(b)}
	r.contacts.connect(a, b)
}

func (r *run) mix(pair, i uint32) {
	m := r.contacts.mixings[i]
	old := m.pairs[pair]
	r.contacts.disconnect(int(old[0]), int(old[1]))
	r.draw(m, int(pair))
	r.world.Tick(r.world.Now()+m.dwell(), pair, tickMixing|i)
}

// replay plays a recorded trace, read as a stream: no more of it is in memory
// than one interval.
type replay struct {
	t      *scenarios.Trace
	place  string
	reader *scenarios.TraceReader
	people map[string]int // the phone that has a person's place
	ahead  scenarios.Contact
	more   bool
	now    []recorded // near at this moment
	ending []recorded // room for those that part
}

// recorded is one pair that the trace has near each other until end.
type recorded struct {
	a, b int
	end  time.Duration
}

// openTrace reads the trace once for its people, its length and its odd lines,
// and opens it a second time for the run.
func (r *run) openTrace(t *scenarios.Trace) (*replay, error) {
	p := &replay{t: t, place: r.place(t.Pos)}
	if err := p.survey(r); err != nil {
		return nil, err
	}
	var err error
	if p.reader, err = scenarios.OpenTrace(t); err != nil {
		return nil, p.fault(err)
	}
	return p, p.readAhead()
}

// fault tells a trace that is wrong from one that cannot be read.
func (p *replay) fault(err error) error {
	var mistake *scenarios.TraceMistake
	if errors.As(err, &mistake) || errors.Is(err, fs.ErrNotExist) {
		return &Invalid{p.place, err}
	}
	return fmt.Errorf("%s: %w", p.place, err)
}

// surveyPoll is how many lines lie between two looks at the context.
const surveyPoll = 1 << 12

func (p *replay) survey(r *run) (err error) {
	n := r.contacts
	reader, err := scenarios.OpenTrace(p.t)
	if err != nil {
		return p.fault(err)
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	p.people = map[string]int{}
	contacts := 0
	for {
		if contacts%surveyPoll == 0 && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		c, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p.fault(err)
		}
		contacts++
		n.traceEnd = max(n.traceEnd, c.End)
		p.placePerson(c.I)
		p.placePerson(c.J)
	}
	if len(p.people) > len(p.t.Phones) {
		return &Invalid{p.place, fmt.Errorf("trace %q has %d people, the scenario has %d phones for them; give it at least as many",
			p.t.File, len(p.people), len(p.t.Phones))}
	}
	n.notes = append(n.notes, fmt.Sprintf("trace %s: %d contacts of %d people", p.t.File, contacts, len(p.people)))
	for _, o := range reader.Irregularities() {
		n.notes = append(n.notes, o.String())
	}
	return nil
}

// placePerson gives a person the next free phone.
func (p *replay) placePerson(id string) {
	if _, ok := p.people[id]; ok {
		return
	}
	phone := -1
	if len(p.people) < len(p.t.Phones) {
		phone = p.t.Phones[len(p.people)]
	}
	p.people[strings.Clone(id)] = phone
}

func (p *replay) readAhead() error {
	c, err := p.reader.Next()
	if errors.Is(err, io.EOF) {
		p.more = false
		return nil
	}
	if err != nil {
		return p.fault(err)
	}
	p.ahead, p.more = c, true
	return nil
}

// nextInterval asks for the moment at which contacts next begin or end.
func (r *run) nextInterval(i uint32) {
	p := r.contacts.replays[i]
	next := time.Duration(math.MaxInt64)
	if p.more {
		next = p.ahead.Begin
	}
	for _, c := range p.now {
		next = min(next, c.end)
	}
	if next != math.MaxInt64 {
		r.world.Tick(next, i, tickReplay)
	}
}

// interval lets those meet whose contact begins now, and then those part whose
// contact ends: one that goes on is never interrupted.
func (r *run) interval(i uint32) {
	p := r.contacts.replays[i]
	now := r.world.Now()
	going := p.now[:0]
	ending := p.ending[:0]
	for _, c := range p.now {
		if c.end <= now {
			ending = append(ending, c)
		} else {
			going = append(going, c)
		}
	}
	for p.more && p.ahead.Begin <= now {
		c := recorded{p.people[p.ahead.I], p.people[p.ahead.J], p.ahead.End}
		r.contacts.connect(c.a, c.b)
		going = append(going, c)
		if err := p.readAhead(); err != nil {
			r.fail(err)
			return
		}
	}
	for _, c := range ending {
		r.contacts.disconnect(c.a, c.b)
	}
	p.now, p.ending = going, ending
	r.nextInterval(i)
}

func (n *contactGraph) close() {
	for _, p := range n.replays {
		_ = p.reader.Close() // it was only read
	}
}

// fail ends a run that cannot go on.
func (r *run) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.world.Stop()
}
