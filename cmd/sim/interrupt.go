package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// interruptible returns a copy of p in which reading scenarios and printing end when ctx
// does, even if a pipe or a device lets them wait. It reads standard input as a scenario.
func (p *program) interruptible(ctx context.Context) *program {
	q := *p
	q.stdout = &interruptibleOutput{to: p.stdout, ctx: ctx, after: p.after}
	q.stderr = &interruptibleOutput{to: p.stderr, ctx: ctx, after: p.after}
	q.load = func(path string, o scenarios.Options) (*scenarios.Scenario, error) {
		s, err := await(ctx, []string{path}, func() (*scenarios.Scenario, error) {
			if path != standardInput {
				return p.load(path, o)
			}
			text, err := io.ReadAll(io.LimitReader(p.stdin, maxStandardInput))
			if err != nil {
				return nil, fmt.Errorf("reading standard input: %w", err)
			}
			return scenarios.Parse(path, text, o)
		})
		if err != nil {
			return nil, err
		}
		return s, refuseStreams(s)
	}
	return &q
}

const (
	// standardInput is the name of standard input among files.
	standardInput = "-"
	// maxStandardInput is above the size of a valid scenario, in bytes.
	maxStandardInput = 8 << 20
)

// refuseStreams returns an error for a contact trace that is a pipe or a device: a
// run reads its contacts twice.
func refuseStreams(s *scenarios.Scenario) error {
	for _, t := range s.Contacts.Trace {
		if stat, err := os.Stat(t.File); err == nil && !stat.Mode().IsRegular() {
			return &scenarios.Mistakes{Name: s.Name, List: []scenarios.Mistake{{File: s.File, Pos: t.Pos,
				Message: fmt.Sprintf("the contact trace %q is a folder, a pipe or a device, but is read twice: "+
					"write it to a file", t.File)}}}
		}
	}
	return nil
}

// interruptedWait is the error of a wait for the named files when a context ended.
type interruptedWait []string

func (i interruptedWait) Error() string {
	return "interrupted while waiting for " + reports.Quoted(i)
}

func (i interruptedWait) Unwrap() error { return context.Canceled }

// outcome has the results of a function.
type outcome[T any] struct {
	value T
	err   error
}

// start calls do in a goroutine of its own, and returns its outcome.
func start[T any](do func() (T, error)) <-chan outcome[T] {
	done := make(chan outcome[T], 1)
	go func() {
		value, err := do()
		done <- outcome[T]{value, err}
	}()
	return done
}

// await returns the results of do, which opens or reads the named files, or
// an interruptedWait when ctx ends before do does. do then continues alone.
func await[T any](ctx context.Context, files []string, do func() (T, error)) (T, error) {
	select {
	case r := <-start(do):
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, interruptedWait(files)
	}
}

// awaitFile returns the results of read for a file, as await does.
func awaitFile[T any](ctx context.Context, path string, read func(string) (T, error)) (T, error) {
	return await(ctx, []string{path}, func() (T, error) { return read(path) })
}

// outputGrace is the time that a write may take after the interrupt.
const outputGrace = time.Second

// errBlocked is the error of a write after the interrupt.
var errBlocked = errors.New("the output is blocked: its reader takes no more")

// interruptibleOutput is an output whose writes fail if they are not done within
// outputGrace after ctx ends. After the first such failure every write fails.
type interruptibleOutput struct {
	to      io.Writer
	ctx     context.Context
	after   func(time.Duration) <-chan time.Time
	blocked atomic.Bool
}

// Write implements io.Writer.
func (o *interruptibleOutput) Write(p []byte) (int, error) {
	if o.blocked.Load() {
		return 0, errBlocked
	}
	text := bytes.Clone(p) // a write that is abandoned reads it later
	done := start(func() (int, error) { return o.to.Write(text) })
	select {
	case r := <-done:
		return r.value, r.err
	case <-o.ctx.Done():
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-o.after(outputGrace):
		o.blocked.Store(true)
		return 0, errBlocked
	}
}
