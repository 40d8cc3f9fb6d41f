package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bluetrace/cmd/fleet/broker"
	"bluetrace/reports"
)

// loadFlags are the flags of fleet run that sim run does not have.
type loadFlags struct {
	folder, listen string
	workers        int
	wait           time.Duration
	help           bool
}

func (p *program) loadFlagSet(f *loadFlags) *pflag.FlagSet {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.SortFlags = false
	p.access.define(set)
	set.IntVar(&f.workers, "workers", 1, "share the load among `N` workers")
	set.DurationVar(&f.wait, "wait", 10*time.Minute, "wait at most this `DURATION` for the workers")
	set.StringVar(&f.listen, "listen", "127.0.0.1:0", "without --join: start an engine that listens on `HOST:PORT`")
	set.StringVar(&f.folder, "dir", "fleet", "without --join: keep the engine's files in `DIR`")
	set.StringVar(&p.sim, "sim", "", "use this `PROGRAM` sim (default: the one beside fleet)")
	set.BoolVarP(&f.help, "help", "h", false, "print this")
	return set
}

func (p *program) newRun() *cobra.Command {
	return &cobra.Command{
		Use:                "run [flags] SCENARIO...",
		Short:              "run a load on several workers",
		Long:               "Runs loads, each shared among several workers.",
		DisableFlagParsing: true, // most flags are of sim
		RunE: func(c *cobra.Command, arguments []string) error {
			f := &loadFlags{}
			set := p.loadFlagSet(f)
			own, rest := splitFlags(set, arguments)
			if err := set.Parse(own); err != nil {
				return err
			}
			e, err := findEngine(p.sim, p.argument0)
			switch {
			case err != nil:
				return p.fail(err, statusInvalid)
			case f.help:
				return p.helpOf(c.Context(), e, set, c.Long, "run", "--events")
			case f.workers < 1 || f.workers > maxWorkers:
				return fmt.Errorf("invalid --workers %d: must be 1 to %d", f.workers, maxWorkers)
			}
			return p.load(c.Context(), e, f, rest)
		},
	}
}

const (
	maxWorkers = 1000
	// Without a message for so long a generator or a coordinator is lost. Both send one at least twice a second.
	pipeSilence = 15 * time.Second
	endOfLoad   = 2 * time.Second // for the workers to see the end of a load before the engine ends
	askedLately = 5 * time.Second // a worker without a seat asks every second
)

// load runs loads on several workers and returns the exit status. The program sim coordinates them. This program only
// carries the messages.
func (p *program) load(ctx context.Context, e *engine, f *loadFlags, arguments []string) status {
	plan, err := e.plan(ctx)
	if err != nil {
		return p.fail(err, statusError)
	}
	own := p.access.join == ""
	if own {
		if err := os.MkdirAll(f.folder, 0o777); err != nil {
			return p.fail(err, statusError)
		}
		server, _, err := p.serve(f.listen, "", f.folder)
		if err != nil {
			return p.fail(err, statusError)
		}
		defer server.Close()
		p.access.join = filepath.Join(f.folder, joinFile)
	}
	conn, err := p.connect("run")
	if err != nil {
		return p.fail(err, statusError)
	}
	defer conn.Close()
	asked, end := context.WithCancel(p.hard)
	defer end()
	l, err := conn.NewLoad(asked)
	if err != nil {
		return p.fail(err, statusError)
	}
	defer func() { _ = l.Close() }() // the connection is closed
	s := &seats{program: p, conn: conn, build: plan.Build, run: "load-" + strings.ToLower(rand.Text()[:6]),
		free: f.workers, wait: f.wait, waiting: map[string]time.Time{}}
	worst := s.play(ctx, e, l, arguments)
	end()
	s.end()
	if own && len(s.taken) > 0 {
		pause(p.hard, endOfLoad)
	}
	return worst
}

// seats are the workers of a load.
type seats struct {
	*program
	conn  *broker.Conn
	build reports.Build
	run   string
	free  int
	wait  time.Duration
	taken []seat
	given int // numbers of seats
	// waiting has the time of the last question of each worker without a seat.
	waiting map[string]time.Time

	mutex    sync.Mutex     // of the lines to sim
	carrying sync.WaitGroup // of the lines to the workers
}

// seat is a worker of a load.
type seat struct {
	worker string
	pipe   *broker.Pipe
}

func (s *seats) end() {
	s.carrying.Wait()
	for _, one := range s.taken {
		one.pipe.End()
		one.pipe.Close()
	}
}

// play starts sim, gives the seats to workers, and carries messages until sim ends.
func (s *seats) play(ctx context.Context, e *engine, l *broker.Load, arguments []string) status {
	toSim, fromFleet, err := os.Pipe()
	if err != nil {
		return s.fail(err, statusError)
	}
	fromSim, toFleet, err := os.Pipe()
	if err != nil {
		return s.fail(errors.Join(err, toSim.Close(), fromFleet.Close()), statusError)
	}
	defer func() { _, _ = fromFleet.Close(), fromSim.Close() }()
	c := exec.CommandContext(s.hard, e.path, slices.Concat([]string{"run", "--generators"}, arguments)...)
	c.Args[0], c.Stdin, c.Stdout, c.Stderr = e.name, os.Stdin, s.stdout, s.stderr
	c.Env = withoutToken()
	c.ExtraFiles = []*os.File{toSim, toFleet} // its descriptors 3 and 4
	ownGroup(c)
	err = c.Start()
	_, _ = toSim.Close(), toFleet.Close() // they are of sim
	if err != nil {
		return s.fail(fmt.Errorf("starting %s: %w", e.path, err), statusError)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	interrupt := func() { _ = c.Process.Signal(os.Interrupt) } // it may have ended
	s.say("the load %s waits for %s", s.run, reports.Plural(s.free, "worker", "workers"))
	late := time.After(s.wait)
	interrupted := ctx.Done()
	for {
		select {
		case q := <-l.Statuses:
			if !s.answer(q) {
				continue
			}
			if err := s.begin(fromFleet, fromSim); err != nil {
				s.say("%v", err) // sim has ended
			}
			late = nil
		case <-late:
			_ = c.Process.Kill() // it has not begun
			if err := <-ended; err == nil {
				return statusPassed // it has ended just now
			}
			return s.fail(fmt.Errorf("%d of %d workers came within %v", len(s.taken)+len(s.waiting), len(s.taken)+s.free,
				s.wait), statusError)
		case <-interrupted:
			interrupted = nil
			interrupt()
			if late != nil { // sim waits for the workers
				_ = c.Process.Kill()
			}
		case err := <-ended:
			return s.statusOf(ctx, e, err)
		}
	}
}

// statusOf returns the exit status of sim, which ended with an error or nil.
func (s *seats) statusOf(ctx context.Context, e *engine, err error) status {
	exit, is := errors.AsType[*exec.ExitError](err)
	switch {
	case is && exit.ExitCode() > 0:
		return status(exit.ExitCode())
	case err != nil && ctx.Err() != nil:
		return statusInterrupted
	case err != nil:
		return s.fail(fmt.Errorf("running %s: %w", e.path, err), statusError)
	}
	return statusPassed
}

// answer answers a worker. It reports whether the worker got the last seat.
func (s *seats) answer(q broker.Question) bool {
	a := broker.Answer{}
	switch {
	case q.Status.Worker == "": // another coordinator asks
		a.Run = s.run
	case refusal(&q.Status, s.build) != "":
		a.Refused = refusal(&q.Status, s.build)
		s.say("refused: %s", a.Refused)
	case s.free == 0: // the load has begun
	case q.Status.Leaving:
		s.vacate(q.Status.Worker)
		delete(s.waiting, q.Status.Worker)
	case !s.areEnough(q.Status.Worker):
	default:
		number := broker.Seat{Number: s.given}
		s.given++
		pipe, err := s.conn.OpenPipe(s.run, number, true, pipeSilence)
		if err != nil {
			s.say("%v", err)
			return false
		}
		a.Run, a.Seat = s.run, &number
		if err := q.Answer(a); err != nil {
			pipe.Close()
			return false // the worker asks again
		}
		s.free--
		delete(s.waiting, q.Status.Worker)
		s.taken = append(s.taken, seat{q.Status.Worker, pipe})
		s.say("worker %q joins (%d)", q.Status.Worker, len(s.taken))
		return s.free == 0
	}
	_ = q.Answer(a) // a worker without an answer asks again
	return false
}

// areEnough notes the question of a worker, and reports whether as many workers ask as there are free seats. With a seat
// a worker waits for the messages of the load only as long as for any other.
func (s *seats) areEnough(worker string) bool {
	now := s.now()
	s.vacate(worker) // it has left the seat, since it asks again
	s.waiting[worker] = now
	maps.DeleteFunc(s.waiting, func(_ string, asked time.Time) bool { return now.Sub(asked) > askedLately })
	return len(s.waiting) >= s.free
}

// vacate makes the seat of a worker free, if it has one.
func (s *seats) vacate(worker string) {
	i := slices.IndexFunc(s.taken, func(one seat) bool { return one.worker == worker })
	if i < 0 {
		return
	}
	s.say("worker %q has left", worker)
	s.taken[i].pipe.Close()
	s.taken = slices.Delete(s.taken, i, i+1)
	s.free++
}

// begin gives sim the names of the workers, and carries messages from then on.
func (s *seats) begin(to io.Writer, from io.Reader) error {
	var names []string
	for _, one := range s.taken {
		names = append(names, one.worker)
	}
	text, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("encoding the names of the workers: %w", err)
	}
	if _, err := to.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("writing to sim: %w", err)
	}
	for i := range s.taken {
		go s.toSim(i, to)
	}
	s.carrying.Go(func() { s.toWorkers(from) })
	return nil
}

// maxLine limits a line of a worker, in bytes. It is the limit of sim for a message.
const maxLine = 256 << 20

// toSim carries the lines of a worker to sim, each with the number of its seat. A number alone is the end.
func (s *seats) toSim(number int, to io.Writer) {
	lines := bufio.NewScanner(s.taken[number].pipe)
	lines.Buffer(nil, maxLine)
	for open := true; open; {
		open = lines.Scan()
		text := fmt.Appendf(nil, "%d %s\n", number, lines.Bytes())
		if !open {
			text = fmt.Appendf(nil, "%d\n", number)
			if err := lines.Err(); err != nil {
				s.say("worker %q: %v", s.taken[number].worker, err)
			}
		}
		s.mutex.Lock()
		_, err := to.Write(text)
		s.mutex.Unlock()
		open = open && err == nil
	}
}

// toWorkers carries the lines of sim to the workers that they are for.
func (s *seats) toWorkers(from io.Reader) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		number, text, _ := bytes.Cut(line, []byte(" "))
		i, err := strconv.Atoi(string(number))
		if err != nil || i < 0 || i >= len(s.taken) {
			return
		}
		if _, err := s.taken[i].pipe.Write(text); err != nil {
			s.say("worker %q: %v", s.taken[i].worker, err)
		}
	}
}

// generate carries out the worker's share of a load with the program sim, until the coordinator ends it.
func (w *worker) generate(ctx context.Context, a broker.Answer) error {
	pipe, err := w.conn.OpenPipe(a.Run, *a.Seat, false, pipeSilence)
	if err != nil {
		return err
	}
	defer pipe.Close()
	defer pipe.End()
	c := exec.CommandContext(ctx, w.engine.path, "load-generator")
	c.Args[0], c.WaitDelay, c.Env = w.engine.name, endGrace, withoutToken()
	var errs bytes.Buffer
	c.Stdout, c.Stderr = pipe, &limitedWriter{&errs, maxResult}
	in, err := c.StdinPipe()
	if err != nil {
		return fmt.Errorf("starting %s: %w", w.engine.path, err)
	}
	ownGroup(c)
	if err := c.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", w.engine.path, err)
	}
	w.say("working for the load %s", a.Run)
	carried := make(chan error, 1)
	go func() {
		_, err := io.Copy(in, pipe)
		_ = in.Close() // which ends sim
		carried <- err
	}()
	err = c.Wait()
	pipe.Close() // which ends the copy
	if lost := <-carried; err == nil && w.drain.Err() == nil {
		err = lost
	}
	if text := strings.TrimSpace(errs.String()); text != "" {
		w.say("%s", text)
	}
	w.say("the load %s has ended", a.Run)
	return err
}
