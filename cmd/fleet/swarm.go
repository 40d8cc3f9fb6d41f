package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"bluetrace/cmd/fleet/broker"
	"bluetrace/cmd/fleet/chunks"
	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// carrier carries chunks to the workers.
type carrier interface {
	Send(ctx context.Context, one chunks.Chunk) error
	Queued(ctx context.Context) (map[int]bool, error)
	Withdraw(ctx context.Context) error
	Repair(ctx context.Context) error
}

// Times of a coordinator.
const (
	lostAfter    = 10 * time.Second // a worker without a sign
	repairEvery  = 5 * time.Second
	speakEvery   = 10 * time.Second // lines of progress
	canarySeeds  = 60
	leastChunks  = 2 // in the queue or at workers
	chunksBehind = 1 // in the queue, beyond one for each worker
)

// coordinator cuts the seeds into chunks and collects their results. One goroutine calls its methods.
type coordinator struct {
	*chunks.Collector
	shared   *swarm.Shared
	carrier  carrier
	results  <-chan broker.Delivery
	statuses <-chan broker.Question
	now      func() time.Time
	tick     <-chan time.Time // about once a second
	ackWait  time.Duration
	budget   time.Duration
	say      func(format string, arguments ...any)
	hard     context.Context // when it ends, nothing is awaited
	board    *board          // nil without --metrics

	started, repaired, spoken time.Time
	workers                   map[string]*member
	missing                   map[int]int // how often in a row a chunk was not in the queue
	draining                  bool
}

// errInterruptedAgain is the error of a run that was ended at once.
var errInterruptedAgain = fmt.Errorf("%w again: the same command continues the run", context.Canceled)

// member is a worker as its last status shows it.
type member struct {
	seen  time.Time
	chunk int // that it runs; 0 if there is none
}

// collect works until every chunk that is needed has its result. When ctx ends, it waits only for the chunks that
// workers run.
func (c *coordinator) collect(ctx context.Context) error {
	background := context.WithoutCancel(ctx)
	interrupted := ctx.Done()
	for {
		if !c.draining {
			if err := c.cut(background); err != nil {
				c.say("%v; trying again", err)
			}
		}
		if c.complete() {
			return nil
		}
		select {
		case d := <-c.results:
			if err := c.take(background, d); err != nil {
				return err
			}
		case q := <-c.statuses:
			_ = q.Answer(c.answer(q.Status)) // a worker without an answer asks again
		case <-c.tick:
			c.check(background)
		case <-c.hard.Done():
			return errInterruptedAgain
		case <-interrupted:
			c.draining, interrupted = true, nil
			c.say("interrupted: waiting for the chunks that workers run; interrupt again to end at once")
			if err := c.carrier.Withdraw(background); err != nil {
				c.say("%v", err)
			}
		}
	}
}

// cut cuts chunks for the workers, as long as there are seeds. The second chunk is the canary.
func (c *coordinator) cut(ctx context.Context) error {
	for !c.allCut() && len(c.Outstanding()) < max(leastChunks, len(c.workers)+chunksBehind) {
		seeds := c.Cutter.Cut(len(c.workers))
		if err := c.add(ctx, chunks.Seeds, seeds); err != nil {
			c.Cutter.Return(seeds)
			return err
		}
	}
	if !c.Has(chunks.Canary) {
		first := c.shared.Seeds.First
		seeds := swarm.Range{First: first, Last: max(first, first+canarySeeds-1)} // one seed if they would overflow
		return c.add(ctx, chunks.Canary, seeds)
	}
	return nil
}

// allCut reports whether no chunk of seeds follows.
func (c *coordinator) allCut() bool {
	late := c.shared.Limit > 0 && c.now().Sub(c.started) >= c.shared.Limit
	return c.Cutter.Ended() || c.Stopped() || late
}

// add records a chunk and sends it. A chunk that could not be sent is sent again by check.
func (c *coordinator) add(ctx context.Context, kind chunks.Kind, seeds swarm.Range) error {
	one, err := c.Add(kind, seeds)
	if err != nil {
		return err
	}
	if err := c.carrier.Send(ctx, one); err != nil {
		c.say("%v; trying again", err)
	}
	return nil
}

// complete reports whether no result is awaited any more.
func (c *coordinator) complete() bool {
	outstanding := c.Outstanding()
	if c.draining {
		return !slices.ContainsFunc(outstanding, func(one chunks.Chunk) bool { return c.isRun(one.ID) })
	}
	return len(outstanding) == 0 && c.allCut() && c.Has(chunks.Canary)
}

// isRun reports whether a worker runs a chunk.
func (c *coordinator) isRun(id int) bool {
	for _, w := range c.workers {
		if w.chunk == id {
			return true
		}
	}
	return false
}

// take stores a result. The error of a chunk that no worker can run ends the run; after an error of the disk the engine
// keeps the result.
func (c *coordinator) take(ctx context.Context, d broker.Delivery) error {
	before, stopped := len(c.Progress.Causes), c.Stopped()
	differences := len(c.Progress.Differences)
	err := c.Take(&d.Result)
	failed, isChunk := errors.AsType[*chunks.ChunkError](err)
	switch {
	case isChunk && failed.Chunk.Kind == chunks.Seeds:
		return failed
	case isChunk:
		c.say("%v", failed)
	case err != nil:
		c.say("%v; the engine keeps the result", err)
		_ = d.Later() // or the engine notices that it was not acknowledged
		return nil
	case d.Result.Error != "":
		c.say("worker %q: chunk %d: %s", d.Result.Worker, d.Result.Chunk, d.Result.Error)
	}
	_ = d.Ack() // otherwise it comes again and is compared
	if more := len(c.Progress.Causes) - before; more > 0 {
		c.say("%s found (%d so far)", reports.Plural(more, "cause", "causes"), len(c.Progress.Causes))
	}
	for _, text := range c.Progress.Differences[differences:] {
		c.say("%s", text)
	}
	if !stopped && c.Stopped() {
		c.say("--fail-fast: no seed after the first failure is needed")
		if err := c.carrier.Withdraw(ctx); err != nil {
			c.say("%v", err)
		}
		c.resend(ctx, func(int) bool { return true })
	}
	return nil
}

// refusal returns the reason for which a worker gets no work of a run of a build; "" if there is none.
func refusal(s *broker.Status, build reports.Build) string {
	switch {
	case s.Protocol != broker.Protocol:
		return fmt.Sprintf("worker %q speaks version %d of the messages, the coordinator %d: use one build", s.Worker,
			s.Protocol, broker.Protocol)
	case s.Build != build:
		return fmt.Sprintf("the sim of worker %q is of the build %s and that of the run of the build %s, where a seed "+
			"may give another run", s.Worker, s.Build, build)
	}
	return ""
}

// answer answers a worker, and notes its state.
func (c *coordinator) answer(s broker.Status) broker.Answer {
	a := broker.Answer{Run: c.Run, AckWait: c.ackWait, Budget: c.budget}
	switch {
	case s.Worker == "": // another coordinator asks
		return a
	case refusal(&s, c.shared.Build) != "":
		a.Refused = refusal(&s, c.shared.Build)
		c.say("refused: %s", a.Refused)
		return a
	}
	w := c.workers[s.Worker]
	if s.Leaving {
		delete(c.workers, s.Worker)
		c.say("worker %q leaves", s.Worker)
		return a
	}
	if w == nil {
		w = &member{}
		c.workers[s.Worker] = w
		c.say("worker %q joins (%d)", s.Worker, len(c.workers))
	}
	w.seen, w.chunk = c.now(), 0
	if s.Run == c.Run && s.Chunk > 0 {
		w.chunk = s.Chunk
		a.Drop = !c.Needed(s.Chunk)
	}
	return a
}

// show gives the state of the run to the board.
func (c *coordinator) show(ended bool) {
	p, lasted := &c.Progress, c.now().Sub(c.started)
	s := state{
		Run: c.Run, Line: c.progressLine(c.now()), Runs: p.Runs, Failed: p.Failed, Chunks: p.Chunks, Done: p.Done,
		Repeated: p.Repeated, Causes: len(p.Causes), Differences: len(p.Differences), Elapsed: lasted,
		CanaryFound: c.CanaryFound(), Ended: ended,
	}
	for _, name := range slices.Sorted(maps.Keys(c.workers)) {
		text := "waits"
		if id := c.workers[name].chunk; id > 0 {
			text = fmt.Sprintf("runs chunk %d", id)
		}
		s.Workers = append(s.Workers, reports.Escape(name)+" "+text)
	}
	c.board.set(s)
}

// check drops workers without a sign, and sends chunks that the engine has lost. The manifest decides which exist.
func (c *coordinator) check(ctx context.Context) {
	now := c.now()
	for name, w := range c.workers {
		if now.Sub(w.seen) > lostAfter {
			delete(c.workers, name)
			c.say("worker %q gives no sign: its chunk goes to another", name)
		}
	}
	c.show(false)
	if now.Sub(c.spoken) >= speakEvery {
		c.spoken = now
		c.say("%s", c.progressLine(now))
	}
	if now.Sub(c.repaired) < repairEvery || c.draining {
		return
	}
	c.repaired = now
	if err := c.carrier.Repair(ctx); err != nil {
		c.say("%v", err)
		return
	}
	c.resend(ctx, func(id int) bool {
		c.missing[id]++
		return c.missing[id] > 1 && !c.isRun(id) // its result may be on its way
	})
}

// resend sends the outstanding chunks that are not in the queue, if they are due.
func (c *coordinator) resend(ctx context.Context, due func(id int) bool) {
	queued, err := c.carrier.Queued(ctx)
	if err != nil {
		c.say("%v", err)
		return
	}
	for _, one := range c.Outstanding() {
		if queued[one.ID] {
			delete(c.missing, one.ID)
			continue
		}
		if !due(one.ID) {
			continue
		}
		if err := c.carrier.Send(ctx, one); err != nil {
			c.say("%v", err)
			return
		}
	}
}

// progressLine returns the state of the run.
func (c *coordinator) progressLine(now time.Time) string {
	p := &c.Progress
	return fmt.Sprintf("%s of %s, %s, %s (%.1f per second), %s of %s",
		reports.FormatCount(uint64(p.Done)), reports.Plural(p.Chunks, "chunk", "chunks"),
		reports.Plural(len(c.workers), "worker", "workers"), reports.Plural(p.Runs, "run", "runs"),
		float64(p.Runs)/max(1, now.Sub(c.started).Seconds()), reports.Plural(p.Failed, "failure", "failures"),
		reports.Plural(len(p.Causes), "cause", "causes"))
}

// keyOf returns a hash of everything that decides the chunks of a run.
func keyOf(s *spec) (string, error) {
	text, err := json.Marshal(s) // maps are in the order of their keys
	if err != nil {
		return "", fmt.Errorf("encoding the run: %w", err)
	}
	return hashOf(text), nil
}
