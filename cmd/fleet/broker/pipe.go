package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// Seat is the place of a worker in a load, from 0.
type Seat struct {
	Number int `json:"number"`
}

// Load is a load of a coordinator, which workers ask for seats.
type Load struct {
	Statuses chan Question
	asked    *nats.Subscription
}

// NewLoad begins to answer workers. Only one run or load may use an engine at a time.
func (c *Conn) NewLoad(ctx context.Context) (*Load, error) {
	if err := c.isFree(ctx); err != nil {
		return nil, err
	}
	l := &Load{Statuses: make(chan Question)}
	var err error
	l.asked, err = c.listen(ctx, l.Statuses)
	return l, err
}

// Close ends the answers.
func (l *Load) Close() error { return l.asked.Unsubscribe() }

// isFree returns an error if another coordinator uses the engine.
func (c *Conn) isFree(ctx context.Context) error {
	if a, err := c.AskStatus(ctx, Status{Protocol: Protocol}); err == nil {
		return fmt.Errorf("this engine has the run %s: one at a time", a.Run)
	}
	return nil
}

// listen passes on the statuses of workers, until ctx ends.
func (c *Conn) listen(ctx context.Context, to chan<- Question) (*nats.Subscription, error) {
	asked, err := c.nats.Subscribe(statusSubject, func(m *nats.Msg) {
		var s Status
		if json.Unmarshal(m.Data, &s) != nil {
			return
		}
		answer := func(a Answer) error {
			text, err := json.Marshal(a)
			if err != nil {
				return fmt.Errorf("encoding the answer: %w", err)
			}
			return m.Respond(text)
		}
		select {
		case to <- Question{s, answer}:
		case <-ctx.Done():
			_ = answer(Answer{}) // or the worker asks again
		}
	})
	if err == nil {
		err = c.nats.FlushTimeout(callTimeout) // from now on another run is refused
	}
	if err != nil {
		return nil, fmt.Errorf("listening to the workers: %w", err)
	}
	return asked, nil
}

// Pipe is a stream of bytes between the coordinator of a load and the worker of a seat. One goroutine at a time reads,
// and one writes. A message that the engine lost is an error of Read.
type Pipe struct {
	conn     *nats.Conn
	to       string
	messages *nats.Subscription
	sent     uint64 // messages
	read     uint64
	rest     []byte // of the last message
	silence  time.Duration
}

const (
	numberHeader = "Fleet-Number" // of a message, from 1
	endHeader    = "Fleet-End"    // of the last message
	pieceBytes   = 256 << 10      // below the largest message of any engine
	pendingBytes = 512 << 20      // that may wait for Read
)

// OpenPipe opens the end of a pipe for the coordinator of a run or for its worker. Read fails after silence without a
// message.
func (c *Conn) OpenPipe(run string, s Seat, coordinator bool, silence time.Duration) (*Pipe, error) {
	subject := "fleet.load." + run + "." + strconv.Itoa(s.Number)
	p := &Pipe{conn: c.nats, to: subject + ".worker", silence: silence}
	from := subject + ".coordinator"
	if !coordinator {
		p.to, from = from, p.to
	}
	var err error
	if p.messages, err = c.nats.SubscribeSync(from); err == nil {
		err = p.messages.SetPendingLimits(-1, pendingBytes)
	}
	if err == nil {
		err = c.nats.FlushTimeout(callTimeout) // the engine knows the subscription
	}
	if err != nil {
		return nil, fmt.Errorf("opening the pipe of seat %d: %w", s.Number, err)
	}
	return p, nil
}

// Write implements io.Writer.
func (p *Pipe) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		piece := b[n:min(len(b), n+pieceBytes)]
		if err = p.send(piece, false); err == nil {
			n += len(piece)
		}
	}
	return n, err
}

func (p *Pipe) send(piece []byte, last bool) error {
	p.sent++
	m := nats.NewMsg(p.to)
	m.Data = piece
	m.Header.Set(numberHeader, strconv.FormatUint(p.sent, 10))
	if last {
		m.Header.Set(endHeader, "1")
	}
	if err := p.conn.PublishMsg(m); err != nil {
		return fmt.Errorf("sending to the engine: %w", err)
	}
	return nil
}

// Read implements io.Reader.
func (p *Pipe) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		m, err := p.messages.NextMsg(p.silence)
		if errors.Is(err, nats.ErrTimeout) {
			return 0, fmt.Errorf("no message for %v", p.silence)
		}
		if errors.Is(err, nats.ErrBadSubscription) { // this end was closed
			return 0, io.EOF
		}
		if err != nil {
			return 0, fmt.Errorf("receiving from the engine: %w", err)
		}
		p.read++
		if m.Header.Get(numberHeader) != strconv.FormatUint(p.read, 10) {
			return 0, errors.New("the engine lost a message")
		}
		if m.Header.Get(endHeader) != "" {
			return 0, io.EOF
		}
		p.rest = m.Data
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// End sends the end of the stream. It follows the last Write.
func (p *Pipe) End() {
	_ = p.send(nil, true) // the other end notices the silence otherwise
	_ = p.conn.FlushTimeout(callTimeout)
}

// Close ends Read.
func (p *Pipe) Close() { _ = p.messages.Unsubscribe() } // the connection is closed otherwise
