package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"bluetrace/cmd/fleet/broker"
	"bluetrace/cmd/fleet/chunks"
	"bluetrace/reports"
)

// Times of a worker.
const (
	fetchWait    = 3 * time.Second // for a chunk
	statusEvery  = 2 * time.Second
	beatsPerWait = 4 // signs of life within the time after which a chunk goes to another worker
	retryAfter   = time.Second
	sendsLeaving = 10              // attempts to send a result after the interrupt, a second apart
	releaseAfter = 2 * time.Second // a chunk that failed here goes to another worker
)

// worker runs chunks, one at a time.
type worker struct {
	conn   *broker.Conn
	engine *engine
	name   string
	build  reports.Build
	once   bool // end after one run
	say    func(format string, arguments ...any)
	drain  context.Context // when it ends, the worker finishes its chunk and leaves
	chunks int             // results that were sent
}

// refused is the error of a worker that gets no work.
type refused struct{ reason string }

func (r refused) Error() string { return "refused: " + r.reason }

// work works until drain ends, or, with once, until a run has ended.
func (w *worker) work(ctx context.Context) error {
	waiting := false
	for w.drain.Err() == nil && ctx.Err() == nil {
		a, err := w.conn.AskStatus(ctx, w.status("", 0))
		switch {
		case err != nil:
			if !waiting {
				w.say("waiting for a run")
			}
			waiting = true
			pause(w.drain, retryAfter)
			continue
		case a.Refused != "":
			return refused{a.Refused}
		case a.Run == "": // all seats of a load are taken
			pause(w.drain, retryAfter)
			continue
		}
		waiting = false
		join := w.join
		if a.Seat != nil {
			join = w.generate
		}
		if err := join(ctx, a); err != nil {
			w.say("leaving the run %s: %v", a.Run, err)
			pause(w.drain, retryAfter)
			continue
		}
		if w.once {
			return nil
		}
		pause(w.drain, retryAfter)
	}
	return nil
}

func (w *worker) status(run string, chunk int) broker.Status {
	return broker.Status{Protocol: broker.Protocol, Worker: w.name, Build: w.build, Run: run, Chunk: chunk}
}

// join works for one run until it ends.
func (w *worker) join(ctx context.Context, a broker.Answer) error {
	text, err := w.conn.Spec(ctx, a.Run)
	if err != nil {
		return err
	}
	s := &spec{}
	if err := json.Unmarshal(text, s); err != nil {
		return fmt.Errorf("reading the run: %w", err)
	}
	folder, err := os.MkdirTemp("", "fleet-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }() // the system removes it otherwise
	if err := s.unpack(folder); err != nil {
		return err
	}
	own := *w.engine
	own.name = s.Name
	w.say("working for the run %s", a.Run)
	for w.drain.Err() == nil && ctx.Err() == nil {
		task, err := w.conn.Next(ctx, a.Run, fetchWait)
		switch {
		case errors.Is(err, broker.ErrEnded):
			if b, err := w.conn.AskStatus(ctx, w.status(a.Run, 0)); err != nil || b.Run != a.Run {
				w.say("the run %s has ended", a.Run)
				return nil
			}
			pause(w.drain, retryAfter) // the coordinator makes a lost queue again
		case err != nil:
			pause(w.drain, retryAfter)
		case task != nil:
			w.do(ctx, &own, s, task, a, folder)
		default:
			if b, err := w.conn.AskStatus(ctx, w.status(a.Run, 0)); err == nil && b.Run != a.Run {
				return nil
			}
		}
	}
	return nil
}

// do runs a chunk and sends its result. Meanwhile it gives signs of life.
func (w *worker) do(ctx context.Context, e *engine, s *spec, task *broker.Task, a broker.Answer, folder string) {
	running, cancel := context.WithTimeout(ctx, a.Budget)
	defer cancel()
	alive, end := context.WithCancel(ctx)
	var signs sync.WaitGroup
	defer signs.Wait()
	defer end()
	dropped := make(chan struct{})
	signs.Go(func() {
		repeat(alive, a.AckWait/beatsPerWait, func() { _ = task.Beat() }) // a lost one only repeats the chunk
	})
	signs.Go(func() {
		once := sync.OnceFunc(func() { close(dropped); cancel() })
		repeat(alive, statusEvery, func() {
			if b, err := w.conn.AskStatus(alive, w.status(a.Run, task.Chunk.ID)); err == nil && b.Drop {
				once()
			}
		})
	})
	w.say("%v", task.Chunk)
	r, err := e.runChunk(running, s, task.Chunk, folder)
	select {
	case <-dropped:
		_ = task.Done(ctx) // the coordinator has removed it already
		return
	default:
	}
	switch {
	case ctx.Err() != nil:
		_ = task.Release(0) // or the engine notices it
		return
	case errors.Is(running.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("not finished after %v of real time", a.Budget)
	}
	if err != nil {
		w.say("%v: %v", task.Chunk, err)
		r = &chunks.Result{Run: a.Run, Chunk: task.Chunk.ID, Error: err.Error()}
	}
	r.Worker = w.name
	attempt := fmt.Sprint(w.chunks)
	w.chunks++
	for leaving := sendsLeaving; leaving > 0; {
		sent := w.conn.SendResult(ctx, r, attempt)
		if sent == nil || errors.Is(sent, broker.ErrEnded) || ctx.Err() != nil {
			break
		}
		if w.drain.Err() != nil {
			leaving--
		}
		w.say("the result of %v is not stored yet: %v", task.Chunk, sent)
		pause(ctx, retryAfter)
	}
	if r.Error != "" {
		_ = task.Release(releaseAfter)
		return
	}
	_ = task.Done(ctx) // otherwise the chunk is run again, which is a check
}

// repeat calls do at once and then every so often, until ctx ends.
func repeat(ctx context.Context, every time.Duration, do func()) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		do()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// pause waits for a time, or until ctx ends.
func pause(ctx context.Context, wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}
