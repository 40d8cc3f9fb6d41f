package generators

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/reports"
	"bluetrace/sim/load"
)

// Generator is the process of one share.
type Generator struct {
	Build reports.Build
	Clock clock.Clock
	Usage func() (load.Usage, bool) // of this process
	// Network returns the network of a load on the server at host:port, and its count of connections for which this
	// machine had no descriptor or port.
	Network func(server string) (n load.Network, resourceFailures func() uint64)
	Sleep   func(time.Duration) // of load.Config
	// Reach tries to connect to a server before the first load. It may be nil.
	Reach func(ctx context.Context, server string, timeout time.Duration) (string, error)

	started time.Time
	stream  *stream
	signal  context.Context // ends at a signal to this process
	running sync.WaitGroup
	reached bool // the server

	mu      sync.Mutex
	current *leader // of the load in progress; nil if there is none
}

// Serve carries out shares of loads, one after the other, until the stream in ends. It returns when the last load has
// ended.
func (g *Generator) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	g.started, g.stream, g.signal = g.Clock.Now(), newStream(in, out), ctx
	ctx, cancel := context.WithCancel(ctx)
	defer g.running.Wait()
	defer cancel()
	if err := g.stream.send(&message{Kind: kindHello, Build: &g.Build}); err != nil {
		return err
	}
	for {
		m, err := g.stream.receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = g.handle(ctx, m)
		}
		if err != nil {
			return err
		}
	}
}

// handle handles one message of the coordinator. The error is that of the stream.
func (g *Generator) handle(ctx context.Context, m *message) error {
	switch m.Kind {
	case kindPing:
		return g.stream.send(&message{Kind: kindPong, Number: m.Number, Clock: g.Clock.Since(g.started)})
	case kindLoad:
		if l := g.leader(); l != nil {
			l.stop() // the coordinator has left it
		}
		g.running.Wait()
		g.begin(ctx, m)
	default:
		if l := g.leader(); l != nil {
			l.handle(m)
		}
	}
	return nil
}

func (g *Generator) leader() *leader {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current
}

// begin begins the share of a load.
func (g *Generator) begin(ctx context.Context, m *message) {
	ctx, cancel := context.WithCancel(ctx)
	l := &leader{generator: g, number: m.Number, stop: cancel, begin: make(chan time.Duration, 1)}
	g.mu.Lock()
	g.current = l
	g.mu.Unlock()
	g.running.Go(func() {
		defer cancel()
		end := g.run(ctx, m.Job, l)
		if g.signal.Err() != nil {
			end = &message{Kind: kindLeft}
		}
		_ = l.send(end) // without the coordinator the load is of no use
	})
}

// run runs the share of a load, and returns the last message of it.
func (g *Generator) run(ctx context.Context, j *job, l *leader) *message {
	if g.Reach != nil && !g.reached {
		if _, err := g.Reach(ctx, j.Address, j.Traffic.Timeout); err != nil {
			return &message{Kind: kindError, Text: err.Error()}
		}
		g.reached = true // a server that ends in a later load is a result
	}
	network, resourceFailures := g.Network(j.Address)
	p, err := load.RunShare(ctx, load.Config{
		Traffic: j.Traffic, Phones: j.Phones, Seed: j.Seed, Share: j.Share, Server: j.Address, Leader: l,
		Network: network, Clock: g.Clock, OwnUsage: g.Usage, Sleep: g.Sleep,
	}, resourceFailures)
	if err != nil {
		return &message{Kind: kindError, Text: err.Error()}
	}
	return &message{Kind: kindDone, Part: p}
}

// leader is the coordinator of a load as its share sees it. It implements load.Leader.
type leader struct {
	generator *Generator
	number    uint64 // of the load
	stop      func()
	begin     chan time.Duration // by the clock of the generator

	mu       sync.Mutex
	expected *load.Times
	endAt    time.Duration
	endWhy   string
}

// send sends a message about the load.
func (l *leader) send(m *message) error {
	m.Number = l.number
	return l.generator.stream.send(m)
}

func (l *leader) handle(m *message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch m.Kind {
	case kindBegin:
		select {
		case l.begin <- m.At:
		default: // it has begun
		}
	case kindExpect:
		l.expected = m.Expected
	case kindEnd:
		l.endAt, l.endWhy = m.At, m.Text
	case kindStop:
		l.stop()
	}
}

// Ready implements load.Leader.
func (l *leader) Ready(ctx context.Context) (time.Time, error) {
	if err := l.send(&message{Kind: kindReady}); err != nil {
		return time.Time{}, err
	}
	select {
	case at := <-l.begin:
		return l.generator.started.Add(at), nil
	case <-ctx.Done():
		return time.Time{}, &load.Interrupted{While: "the generator waited for the begin of the load"}
	}
}

// SoFar implements load.Leader.
func (l *leader) SoFar(p *load.Part) {
	_ = l.send(&message{Kind: kindSoFar, Part: p}) // the coordinator notices the end of the stream
}

// Expected implements load.Leader.
func (l *leader) Expected() (load.Times, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expected == nil {
		return load.Times{}, false
	}
	return *l.expected, true
}

// End implements load.Leader.
func (l *leader) End() (time.Duration, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.endAt, l.endWhy
}
