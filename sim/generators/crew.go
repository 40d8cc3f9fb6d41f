package generators

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/reports"
	"bluetrace/sim/load"
)

// Stream is the stream to one generator.
type Stream struct {
	Name string // of the generator, in reports
	In   io.Reader
	Out  io.Writer
}

// Lost is the error of a load of which a generator went missing.
type Lost struct {
	Name string
	Err  error
}

func (l *Lost) Error() string {
	return fmt.Sprintf("the generator %s was lost: %v; the load allows no conclusion", reports.Escape(l.Name), l.Err)
}

// Unwrap returns the reason.
func (l *Lost) Unwrap() error { return l.Err }

const (
	pingEvery  = 500 * time.Millisecond
	quickPings = 20 // one after the other, before a load and after it
	lostAfter  = 10 * time.Second
	// A generator whose load has not ended endMax after it should, or that has not answered quickPings in that time, is
	// lost.
	endMax = 30 * time.Second
)

// Crew are the generators of a load. It implements load.Generators.
type Crew struct {
	clock   clock.Clock
	origin  time.Time
	members []*member
	loads   uint64        // number of the last load
	grace   time.Duration // for sessions after the end of that
	end     context.CancelFunc
	running sync.WaitGroup
	changed chan struct{} // has a value after a message
}

// member is a generator, as its messages show it.
type member struct {
	name   string
	stream *stream
	crew   *Crew

	mu     sync.Mutex
	build  *reports.Build
	heard  time.Time // of the last message
	lost   error
	clocks clocks

	load   uint64 // number of the load of which the rest is
	ready  bool
	failed string // the error of the generator
	last   *load.Part
	done   *load.Part
	begin  clocks // those of the begin
}

// clocks is what pings show about the clock of a generator.
type clocks struct {
	number uint64 // of the last ping
	sent   time.Time
	asked  bool          // it has no answer yet
	count  int           // answers
	best   time.Duration // the shortest time from a ping to its answer
	offset time.Duration // from the time since Crew.origin to the generator's clock, by that ping; the error is best/2
}

// Gather waits until each generator has sent its first message, and refuses those of another build. The caller closes
// the streams, and then the crew.
func Gather(ctx context.Context, c clock.Clock, build reports.Build, streams []Stream) (*Crew, error) {
	crew := &Crew{clock: c, origin: c.Now(), changed: make(chan struct{}, 1)}
	var background context.Context
	background, crew.end = context.WithCancel(context.WithoutCancel(ctx))
	for _, s := range streams {
		m := &member{name: s.Name, stream: newStream(s.In, s.Out), crew: crew, heard: c.Now()}
		crew.members = append(crew.members, m)
		crew.running.Go(m.read)
	}
	err := crew.await(ctx, 0, func(m *member) bool { return m.build != nil })
	for _, m := range crew.members {
		if err == nil && *m.build != build {
			err = fmt.Errorf("the generator %s is of the build %s and this program of the build %s: use one build",
				reports.Escape(m.name), m.build, build)
		}
	}
	if err != nil {
		crew.end()
		return nil, err
	}
	crew.running.Go(func() { crew.keepAsking(background) })
	return crew, nil
}

// Close ends the crew. The streams are closed.
func (c *Crew) Close() {
	c.end()
	c.running.Wait()
}

// Size returns the number of generators.
func (c *Crew) Size() int { return len(c.members) }

// read handles the messages of the generator until its stream ends.
func (m *member) read() {
	for {
		one, err := m.stream.receive()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("its messages ended")
			}
			m.set(func() { m.lost = cmp.Or(m.lost, err) })
			_, _ = io.Copy(io.Discard, m.stream.in) // the streams of all may come from one
			return
		}
		m.set(func() { m.lost = cmp.Or(m.lost, m.handle(one)) })
	}
}

// set changes the member, and wakes await.
func (m *member) set(change func()) {
	m.mu.Lock()
	change()
	m.mu.Unlock()
	select {
	case m.crew.changed <- struct{}{}:
	default:
	}
}

// handle handles a message. After an error the generator is lost.
func (m *member) handle(one *message) error {
	m.heard = m.crew.clock.Now()
	switch one.Kind {
	case kindHello:
		m.build = cmp.Or(one.Build, &reports.Build{})
		return nil
	case kindPong:
		m.clocks.answered(one, m.crew.origin, m.heard)
		return nil
	case kindLeft:
		return errors.New("a signal ended it")
	case kindSoFar, kindDone:
		if one.Part == nil {
			return errors.New("a message had no figures")
		}
	}
	if one.Number != m.load { // of a load that has failed
		return nil
	}
	switch one.Kind {
	case kindReady:
		m.ready = true
	case kindSoFar:
		m.last = one.Part
	case kindDone:
		m.done = one.Part
	case kindError:
		m.failed = cmp.Or(one.Text, "it gave no reason")
	}
	return nil
}

// answered takes the answer to the last ping.
func (c *clocks) answered(one *message, origin, now time.Time) {
	if !c.asked || one.Number != c.number {
		return
	}
	c.asked = false
	c.count++
	if took := now.Sub(c.sent); c.count == 1 || took < c.best {
		c.best, c.offset = took, one.Clock-c.sent.Sub(origin)-took/2
	}
}

// send sends a message to a generator that is not lost. An error is that of its stream, which ends then.
func (m *member) send(one *message) {
	m.mu.Lock()
	lost := m.lost
	m.mu.Unlock()
	if lost != nil {
		return
	}
	if err := m.stream.send(one); err != nil {
		m.set(func() { m.lost = cmp.Or(m.lost, err) })
	}
}

// ask asks for the clock of a generator, unless a question has no answer yet.
func (m *member) ask() {
	m.mu.Lock()
	k := &m.clocks
	if k.asked {
		m.mu.Unlock()
		return
	}
	k.number++
	k.asked, k.sent = true, m.crew.clock.Now()
	one := &message{Kind: kindPing, Number: k.number}
	m.mu.Unlock()
	m.send(one)
}

// keepAsking asks all generators for signs of life, until ctx ends.
func (c *Crew) keepAsking(ctx context.Context) {
	t := c.clock.Ticker(pingEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			for _, m := range c.members {
				m.ask()
			}
		case <-ctx.Done():
			return
		}
	}
}

// await waits until reached is true for each generator, but not longer than limit, unless that is 0. It returns a *Lost
// for one that is lost, gives no sign or comes too late, and the error of a generator whose load was not possible.
func (c *Crew) await(ctx context.Context, limit time.Duration, reached func(*member) bool) error {
	began := c.clock.Now()
	t := c.clock.Ticker(pingEvery)
	defer t.Stop()
	for {
		left := 0
		late := limit > 0 && c.clock.Since(began) > limit
		for _, m := range c.members {
			has, err := m.state(reached)
			if err != nil {
				return err
			}
			if !has && late {
				return &Lost{m.name, fmt.Errorf("its load has not ended within %v", limit)}
			}
			if !has {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-c.changed:
		case <-t.C:
		case <-ctx.Done():
			return &load.Interrupted{While: "the generators of the load began or ended"}
		}
	}
}

func (m *member) state(reached func(*member) bool) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed == "" && reached(m) {
		return true, nil
	}
	return false, m.problem()
}

// problem returns the reason for which the load cannot go on, if there is one. The member is locked.
func (m *member) problem() error {
	silent := m.crew.clock.Since(m.heard)
	switch {
	case m.failed != "":
		return fmt.Errorf("the generator %s: %s", reports.Escape(m.name), reports.Escape(m.failed))
	case m.lost != nil:
		return &Lost{m.name, m.lost}
	case silent > lostAfter:
		return &Lost{m.name, fmt.Errorf("no message for %v", silent.Round(time.Second))}
	}
	return nil
}

// compareClocks compares the clocks of all generators with that of the coordinator, anew.
func (c *Crew) compareClocks(ctx context.Context) error {
	for _, m := range c.members {
		m.mu.Lock()
		m.clocks = clocks{number: m.clocks.number}
		m.mu.Unlock()
	}
	return c.await(ctx, endMax, func(m *member) bool {
		if m.clocks.count >= quickPings {
			return true
		}
		if !m.clocks.asked {
			go m.ask() // m is locked
		}
		return false
	})
}

// Prepare implements load.Generators.
func (c *Crew) Prepare(ctx context.Context, l *load.Config) error {
	c.loads++
	c.grace = l.Traffic.GracefulStop
	for i, m := range c.members {
		m.mu.Lock()
		m.load, m.ready, m.failed, m.last, m.done = c.loads, false, "", nil, nil
		m.mu.Unlock()
		j := &job{Share: load.Share{Index: i, Of: len(c.members)}, Seed: l.Seed, Address: l.Address}
		j.Phones, j.Traffic = j.Share.Divide(l.Phones, l.Traffic)
		m.send(&message{Kind: kindLoad, Number: c.loads, Job: j})
	}
	err := c.await(ctx, 0, func(m *member) bool { return m.ready })
	if err == nil {
		err = c.compareClocks(ctx)
	}
	if err != nil {
		c.stop()
		return err
	}
	for _, m := range c.members {
		m.mu.Lock()
		m.begin = m.clocks
		m.mu.Unlock()
	}
	return nil
}

func (c *Crew) stop() {
	for _, m := range c.members {
		m.send(&message{Kind: kindStop})
	}
}

// Begin implements load.Generators.
func (c *Crew) Begin(at time.Time) {
	for _, m := range c.members {
		m.send(&message{Kind: kindBegin, At: at.Sub(c.origin) + m.begin.offset})
	}
}

// Figures implements load.Generators.
func (c *Crew) Figures() (parts []*load.Part, err error) {
	for _, m := range c.members {
		m.mu.Lock()
		if m.last != nil {
			m.last.Name = m.name
			parts = append(parts, m.last)
		}
		if m.done == nil {
			err = cmp.Or(err, m.problem())
		}
		m.mu.Unlock()
	}
	return parts, err
}

// Expect implements load.Generators.
func (c *Crew) Expect(t load.Times) {
	for _, m := range c.members {
		m.send(&message{Kind: kindExpect, Expected: &t})
	}
}

// Collect implements load.Generators.
func (c *Crew) Collect(ctx context.Context, at time.Duration, why string) ([]*load.Part, error) {
	if why != "" {
		for _, m := range c.members {
			m.send(&message{Kind: kindEnd, At: at, Text: why})
		}
	}
	ended := func(m *member) bool { return m.done != nil }
	err := c.await(ctx, c.grace+endMax, ended)
	if _, interrupted := errors.AsType[*load.Interrupted](err); interrupted {
		c.stop()
		err = c.await(context.WithoutCancel(ctx), endMax, ended)
	}
	if err == nil {
		err = c.compareClocks(context.WithoutCancel(ctx))
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	var parts []*load.Part
	for _, m := range c.members {
		m.mu.Lock()
		m.done.Name = m.name
		drift := (m.clocks.offset - m.begin.offset).Abs()
		m.done.ClockError = max(m.begin.best/2, drift+m.clocks.best/2)
		parts = append(parts, m.done)
		m.mu.Unlock()
	}
	return parts, nil
}
