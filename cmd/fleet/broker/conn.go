package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bluetrace/cmd/fleet/chunks"
	"bluetrace/reports"
)

// Protocol is the version of the messages. Coordinator and workers must have the same.
const Protocol = 2

// Status is the message of a worker that asks for work, and, every few seconds, for news of its chunk.
type Status struct {
	Protocol int           `json:"protocol"`
	Worker   string        `json:"worker"`
	Build    reports.Build `json:"build"` // of its program sim
	Run      string        `json:"run"`   // the run that it works for; empty if there is none
	Chunk    int           `json:"chunk"` // the chunk that it runs; 0 if there is none
	Leaving  bool          `json:"leaving,omitempty"`
}

// Answer is the answer of the coordinator to a status. Without Run there is no work yet.
type Answer struct {
	Run     string        `json:"run"`
	Seat    *Seat         `json:"seat,omitempty"`    // in a load; nil for a swarm
	Refused string        `json:"refused,omitempty"` // the reason for which the worker gets no work
	Drop    bool          `json:"drop,omitempty"`    // the result of its chunk is not needed
	AckWait time.Duration `json:"ack_wait_ns"`       // a chunk without a sign for so long goes to another worker
	Budget  time.Duration `json:"budget_ns"`         // of real time for one chunk
}

// Conn is a connection to the engine. It reconnects as often as needed.
type Conn struct {
	nats *nats.Conn
	js   jetstream.JetStream
}

// Settings of a connection.
const (
	reconnectWait = 500 * time.Millisecond
	pingInterval  = 5 * time.Second
	callTimeout   = 5 * time.Second // of one request
)

// Connect connects to the engine. changed gets a sentence when the connection is lost or made again.
func Connect(a Access, name string, changed func(text string)) (*Conn, error) {
	options := []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2), nats.Timeout(callTimeout), nats.ReconnectBufSize(-1),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				changed("the connection to the engine is lost: " + err.Error())
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { changed("the connection to the engine is back") }),
	}
	if a.Token != "" {
		options = append(options, nats.Token(a.Token))
	}
	if a.Pin != "" {
		options = append(options, nats.Secure(pinned(a.Pin)))
	}
	n, err := nats.Connect(a.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", a.URL, err)
	}
	js, err := jetstream.New(n, jetstream.WithDefaultTimeout(callTimeout))
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("connecting to %s: %w", a.URL, err)
	}
	return &Conn{n, js}, nil
}

// Close ends the connection.
func (c *Conn) Close() { c.nats.Close() }

// Check returns an error if the engine has no JetStream.
func (c *Conn) Check(ctx context.Context) error {
	if _, err := c.js.AccountInfo(ctx); err != nil {
		return fmt.Errorf("the engine at %s has no JetStream: %w", c.nats.ConnectedUrlRedacted(), err)
	}
	return nil
}

const (
	statusSubject = "fleet.status"
	specObject    = "spec"
	workConsumer  = "workers"
	resultReader  = "coordinator"
)

func workStream(run string) string   { return "fleet-work-" + run }
func resultStream(run string) string { return "fleet-result-" + run }
func bucket(run string) string       { return "fleet-" + run }
func workSubject(run string) string  { return "fleet.work." + run + "." }
func resultSubject(run string) string {
	return "fleet.result." + run + "."
}

// AskStatus sends a status. ErrNoCoordinator means that there is no run.
func (c *Conn) AskStatus(ctx context.Context, s Status) (Answer, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return Answer{}, fmt.Errorf("encoding the status: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	m, err := c.nats.RequestWithContext(ctx, statusSubject, text)
	if errors.Is(err, nats.ErrNoResponders) {
		return Answer{}, ErrNoCoordinator
	}
	if err != nil {
		return Answer{}, fmt.Errorf("asking the coordinator: %w", err)
	}
	var a Answer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return a, fmt.Errorf("reading the answer of the coordinator: %w", err)
	}
	return a, nil
}

// Errors of a run that is not there.
var (
	ErrNoCoordinator = errors.New("there is no coordinator")
	ErrEnded         = errors.New("the run has ended")
)

// ended returns ErrEnded for the errors of a run whose streams are gone.
func ended(err error) error {
	for _, gone := range []error{
		jetstream.ErrStreamNotFound, jetstream.ErrConsumerNotFound, jetstream.ErrConsumerDeleted,
		jetstream.ErrBucketNotFound, jetstream.ErrObjectNotFound, jetstream.ErrNoStreamResponse, nats.ErrNoResponders,
	} {
		if errors.Is(err, gone) {
			return fmt.Errorf("%w: %w", ErrEnded, err)
		}
	}
	return err
}

// Spec returns the description of a run that the coordinator gave to NewRun.
func (c *Conn) Spec(ctx context.Context, run string) ([]byte, error) {
	store, err := c.js.ObjectStore(ctx, bucket(run))
	if err != nil {
		return nil, fmt.Errorf("reading the run: %w", ended(err))
	}
	text, err := store.GetBytes(ctx, specObject)
	if err != nil {
		return nil, fmt.Errorf("reading the run: %w", ended(err))
	}
	return text, nil
}

// Task is a chunk that was given to this worker.
type Task struct {
	Chunk chunks.Chunk
	m     jetstream.Msg
}

// Beat tells the engine that the worker still runs the chunk.
func (t *Task) Beat() error { return t.m.InProgress() }

// Done removes the chunk from the queue.
func (t *Task) Done(ctx context.Context) error { return t.m.DoubleAck(ctx) }

// Release gives the chunk to another worker after a time.
func (t *Task) Release(after time.Duration) error { return t.m.NakWithDelay(after) }

// Next waits for a chunk of a run. It returns nil if none came in that time.
func (c *Conn) Next(ctx context.Context, run string, wait time.Duration) (*Task, error) {
	consumer, err := c.js.Consumer(ctx, workStream(run), workConsumer)
	if err != nil {
		return nil, ended(err)
	}
	batch, err := consumer.Fetch(1, jetstream.FetchMaxWait(wait))
	if err != nil {
		return nil, ended(err)
	}
	m, came := <-batch.Messages()
	if !came {
		return nil, ended(batch.Error())
	}
	var one chunks.Chunk
	if err := json.Unmarshal(m.Data(), &one); err != nil {
		return nil, errors.Join(fmt.Errorf("reading a chunk: %w", err), m.Term())
	}
	return &Task{one, m}, nil
}

// SendResult stores a result. Sending it again changes nothing.
func (c *Conn) SendResult(ctx context.Context, r *chunks.Result, attempt string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding a result: %w", err)
	}
	id := strconv.Itoa(r.Chunk)
	_, err = c.js.Publish(ctx, resultSubject(r.Run)+id, text, jetstream.WithMsgID(id+"-"+r.Worker+"-"+attempt))
	return ended(err)
}

// Run is the run of a coordinator.
type Run struct {
	*Conn
	name    string
	ackWait time.Duration
	spec    []byte
	// Results receives the results of the workers, some of them more than once. Statuses receives their questions.
	Results  chan Delivery
	Statuses chan Question
	asked    *nats.Subscription
}

// Delivery is a result, which stays in the engine until Ack.
type Delivery struct {
	Result chunks.Result
	Ack    func() error
	Later  func() error // delivers it again after some seconds
}

// Question is a status that waits for an answer.
type Question struct {
	Status Status
	Answer func(Answer) error
}

const laterDelay = 3 * time.Second

// NewRun opens the streams of a run, and gives its description to the workers. Only one run may use an engine at a
// time.
func (c *Conn) NewRun(ctx context.Context, name string, spec []byte, ackWait time.Duration) (*Run, error) {
	if err := c.isFree(ctx); err != nil {
		return nil, err
	}
	r := &Run{Conn: c, name: name, ackWait: ackWait, spec: spec, Results: make(chan Delivery),
		Statuses: make(chan Question)}
	err := r.open(ctx)
	for range openAttempts { // the engine may be starting
		if err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(time.Second)
		err = r.open(ctx)
	}
	if err != nil {
		return nil, err
	}
	if r.asked, err = c.listen(ctx, r.Statuses); err != nil {
		return nil, err
	}
	go r.read(ctx)
	return r, nil
}

// openAttempts is the number of times that a run is opened again after an error, a second apart.
const openAttempts = 30

// open removes the streams of other runs, and makes those of this one.
func (r *Run) open(ctx context.Context) error {
	if err := r.removeOthers(ctx); err != nil {
		return fmt.Errorf("removing earlier runs: %w", err)
	}
	return r.Repair(ctx)
}

// removeOthers removes the streams that killed coordinators of other runs left.
func (r *Run) removeOthers(ctx context.Context) error {
	names := r.js.StreamNames(ctx)
	for name := range names.Name() {
		ours := strings.HasPrefix(name, "fleet-") || strings.HasPrefix(name, "OBJ_fleet-")
		if !ours || strings.HasSuffix(name, "-"+r.name) {
			continue
		}
		if err := r.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
	}
	return names.Err()
}

// Repair makes the streams that the run lacks: the engine may have lost them.
func (r *Run) Repair(ctx context.Context) error {
	work, err := r.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: workStream(r.name), Subjects: []string{workSubject(r.name) + ">"}, Retention: jetstream.WorkQueuePolicy,
		Storage: jetstream.FileStorage,
	})
	if err == nil {
		_, err = work.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: workConsumer, AckPolicy: jetstream.AckExplicitPolicy, AckWait: r.ackWait, MaxDeliver: -1,
		})
	}
	var results jetstream.Stream
	if err == nil {
		results, err = r.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: resultStream(r.name), Subjects: []string{resultSubject(r.name) + ">"}, Storage: jetstream.FileStorage,
			Retention: jetstream.WorkQueuePolicy,
		})
	}
	if err == nil {
		_, err = results.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: resultReader, AckPolicy: jetstream.AckExplicitPolicy, AckWait: r.ackWait, MaxDeliver: -1,
		})
	}
	var store jetstream.ObjectStore
	if err == nil {
		store, err = r.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: bucket(r.name)})
	}
	if err == nil {
		if _, err = store.GetInfo(ctx, specObject); errors.Is(err, jetstream.ErrObjectNotFound) {
			_, err = store.PutBytes(ctx, specObject, r.spec)
		}
	}
	if err != nil {
		return fmt.Errorf("preparing the streams of the run: %w", err)
	}
	return nil
}

// read passes the results on, until ctx ends.
func (r *Run) read(ctx context.Context) {
	for ctx.Err() == nil {
		if !r.readSome(ctx) {
			select { // until Repair has made the stream
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
}

// readSome passes on the results of one request. It reports whether the request was possible.
func (r *Run) readSome(ctx context.Context) bool {
	consumer, err := r.js.Consumer(ctx, resultStream(r.name), resultReader)
	if err != nil {
		return false
	}
	batch, err := consumer.Fetch(1, jetstream.FetchMaxWait(2*time.Second))
	if err != nil {
		return false
	}
	for m := range batch.Messages() {
		d := Delivery{Ack: m.Ack, Later: func() error { return m.NakWithDelay(laterDelay) }}
		if json.Unmarshal(m.Data(), &d.Result) != nil {
			_ = m.Term() // it is no result, and can never be one
			continue
		}
		select {
		case r.Results <- d:
		case <-ctx.Done():
			return true
		}
	}
	return batch.Error() == nil
}

// Send puts a chunk into the queue.
func (r *Run) Send(ctx context.Context, one chunks.Chunk) error {
	text, err := json.Marshal(one)
	if err != nil {
		return fmt.Errorf("encoding %v: %w", one, err)
	}
	if _, err := r.js.Publish(ctx, workSubject(r.name)+strconv.Itoa(one.ID), text); err != nil {
		return fmt.Errorf("sending %v: %w", one, err)
	}
	return nil
}

// Queued returns the chunks in the queue, with those that workers run now.
func (r *Run) Queued(ctx context.Context) (map[int]bool, error) {
	stream, err := r.js.Stream(ctx, workStream(r.name))
	if err != nil {
		return nil, fmt.Errorf("reading the queue: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, fmt.Errorf("reading the queue: %w", err)
	}
	queued := map[int]bool{}
	for subject := range info.State.Subjects {
		if id, err := strconv.Atoi(strings.TrimPrefix(subject, workSubject(r.name))); err == nil {
			queued[id] = true
		}
	}
	return queued, nil
}

// Withdraw empties the queue. Workers finish the chunks that they run.
func (r *Run) Withdraw(ctx context.Context) error {
	stream, err := r.js.Stream(ctx, workStream(r.name))
	if err == nil {
		err = stream.Purge(ctx)
	}
	if err != nil {
		return fmt.Errorf("emptying the queue: %w", err)
	}
	return nil
}

// Remove removes the streams of the run, which is over.
func (r *Run) Remove(ctx context.Context) error {
	return errors.Join(r.asked.Unsubscribe(), r.js.DeleteStream(ctx, workStream(r.name)),
		r.js.DeleteStream(ctx, resultStream(r.name)), r.js.DeleteObjectStore(ctx, bucket(r.name)))
}
