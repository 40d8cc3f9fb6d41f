package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/gofrs/flock"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bluetrace/cmd/fleet/chunks"
	"bluetrace/cmd/fleet/findings"
	"bluetrace/cmd/internal/scraping"
	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// swarmFlags are the flags of fleet swarm that sim swarm does not have.
type swarmFlags struct {
	folder          string
	listen          string
	findings        string
	metrics         string
	ackWait, budget time.Duration
	help            bool
}

func (p *program) swarmFlagSet(f *swarmFlags) *pflag.FlagSet {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.SortFlags = false
	p.access.define(set)
	set.StringVar(&f.listen, "listen", "127.0.0.1:0", "without --join: start an engine that listens on `HOST:PORT`")
	set.StringVar(&f.folder, "dir", "fleet", "keep the manifest and the results of the run in `DIR`")
	set.StringVar(&f.findings, "findings", "",
		"compare the causes with those of earlier runs in `DIR`, and describe the new ones there")
	set.StringVar(&f.metrics, "metrics", "",
		"serve a page at `HOST:PORT`, and metrics for Prometheus at /metrics; a port alone is\non the loopback")
	set.DurationVar(&f.ackWait, "ack-wait", 30*time.Second,
		"give a chunk to another worker after this `DURATION` without a sign")
	set.DurationVar(&f.budget, "budget", 10*time.Minute, "end a chunk after this `DURATION`")
	set.StringVar(&p.sim, "sim", "", "use this `PROGRAM` sim (default: the one beside fleet)")
	set.BoolVarP(&f.help, "help", "h", false, "print this")
	return set
}

func (p *program) newSwarm() *cobra.Command {
	return &cobra.Command{
		Use:                "swarm [flags] SCENARIO...",
		Short:              "run a swarm on all workers",
		Long:               "Runs a swarm on all workers.",
		DisableFlagParsing: true, // most flags are of sim
		RunE: func(c *cobra.Command, arguments []string) error {
			f := &swarmFlags{}
			set := p.swarmFlagSet(f)
			own, rest := splitFlags(set, arguments)
			if err := set.Parse(own); err != nil {
				return err
			}
			e, err := findEngine(p.sim, p.argument0)
			if err != nil {
				return p.fail(err, statusInvalid)
			}
			if f.help {
				return p.helpOf(c.Context(), e, set, c.Long, "swarm", "--part, --merge and --verbose")
			}
			if f.ackWait < time.Second || f.budget < time.Second {
				return errors.New("invalid --ack-wait or --budget: must be at least 1s")
			}
			if f.metrics != "" {
				if f.metrics, err = scraping.ParseAddress(f.metrics); err != nil {
					return err
				}
			}
			return p.swarm(c.Context(), e, f, rest)
		},
	}
}

// splitFlags divides a command line into the flags of a set, and the rest.
func splitFlags(set *pflag.FlagSet, arguments []string) (own, rest []string) {
	for i := 0; i < len(arguments); i++ {
		word := arguments[i]
		if word == "--" {
			return own, append(rest, arguments[i:]...)
		}
		name, _, joined := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		flag := set.Lookup(name)
		switch {
		case word == "-h":
			own = append(own, word)
		case !strings.HasPrefix(word, "--") || flag == nil:
			rest = append(rest, word)
		case joined || flag.NoOptDefVal != "" || i+1 == len(arguments):
			own = append(own, word)
		default:
			i++
			own = append(own, word, arguments[i])
		}
	}
	return own, rest
}

// helpOf prints the flags of a command that has those of the command of sim with the same name, but for some.
func (p *program) helpOf(ctx context.Context, e *engine, set *pflag.FlagSet, about, name, without string) status {
	text, err := e.run(ctx, "", name, "--help")
	if err != nil {
		return p.fail(err, statusError)
	}
	fmt.Fprintf(p.stdout, "%s\n\n  fleet %s [flags] SCENARIO...\n\n%s\n%s\nFrom sim %s, but for %s:\n\n%s", about, name,
		set.FlagUsages(), exitStatuses, name, without, text)
	return statusPassed
}

func hashOf(text []byte) string { return fmt.Sprintf("%016x", xxhash.Sum64(text)) }

// swarm runs a swarm and returns the exit status.
func (p *program) swarm(ctx context.Context, e *engine, f *swarmFlags, arguments []string) status {
	for _, word := range arguments {
		if word == "--merge" || strings.HasPrefix(word, "--merge=") {
			return p.fail(errors.New("--merge runs nothing: use sim swarm --merge"), statusInvalid)
		}
	}
	shared, err := e.plan(ctx, arguments...)
	if err != nil {
		return p.fail(err, statusError)
	}
	if len(shared.Scenarios) == 0 {
		return p.fail(errors.New("no scenario was named"), statusInvalid)
	}
	s := &spec{Name: e.name, Shared: *shared}
	if err := s.addFiles(); err != nil {
		return p.fail(err, statusInvalid)
	}
	key, err := keyOf(s)
	if err != nil {
		return p.fail(err, statusError)
	}
	if f.findings != "" { // an invalid file is known before the run
		if _, err := findings.Read(f.findings); err != nil {
			return p.fail(err, statusError)
		}
	}
	if err := os.MkdirAll(f.folder, 0o777); err != nil {
		return p.fail(err, statusError)
	}
	lock := flock.New(filepath.Join(f.folder, "lock"))
	if got, err := lock.TryLock(); err != nil {
		return p.fail(fmt.Errorf("locking the folder of the run: %w", err), statusError)
	} else if !got {
		return p.fail(fmt.Errorf("the folder %q is in use by another run", f.folder), statusInvalid)
	}
	defer func() { _ = lock.Unlock() }() // the end of the process does the same
	name := p.now().UTC().Format("20060102-150405-") + strings.ToLower(rand.Text()[:6])
	all, err := chunks.Open(f.folder, key, name, shared)
	if _, disk := errors.AsType[*fs.PathError](err); disk {
		return p.fail(err, statusError)
	}
	if err != nil {
		return p.fail(err, statusInvalid)
	}
	defer func() { _ = all.Close() }() // every record is synced
	if len(all.Outstanding()) > 0 || all.Progress.Done > 0 {
		p.say("continuing the run %s with %s", all.Run, reports.Plural(all.Progress.Done, "result", "results"))
	}
	s.Run = all.Run
	return p.runSwarm(ctx, e, f, s, all)
}

// runSwarm connects to the engine, runs the swarm, and reports it.
func (p *program) runSwarm(ctx context.Context, e *engine, f *swarmFlags, s *spec, all *chunks.Collector) status {
	own := p.access.join == ""
	if own {
		server, _, err := p.serve(f.listen, "", f.folder)
		if err != nil {
			return p.fail(err, statusError)
		}
		defer server.Close()
		p.access.join = filepath.Join(f.folder, joinFile)
	}
	conn, err := p.connect("swarm")
	if err != nil {
		return p.fail(err, statusError)
	}
	defer conn.Close()
	text, err := json.Marshal(s)
	if err != nil {
		return p.fail(err, statusError)
	}
	run, err := conn.NewRun(p.hard, all.Run, text, f.ackWait)
	if err != nil {
		return p.fail(err, statusError)
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	c := &coordinator{
		Collector: all, shared: &s.Shared, carrier: run, results: run.Results, statuses: run.Statuses, now: p.now,
		tick: ticker.C, ackWait: f.ackWait, budget: f.budget, say: p.say, started: p.now(), spoken: p.now(),
		workers: map[string]*member{}, missing: map[int]int{}, hard: p.hard,
	}
	if f.metrics != "" {
		if c.board, err = serveBoard(f.metrics); err != nil {
			return p.fail(err, statusError)
		}
		defer func() { _ = c.board.Close() }() // the run is over
		p.say("a page is at http://%s/", c.board.Address())
	}
	p.say("the run %s waits for workers", all.Run)
	err = c.collect(ctx)
	var merged *swarm.Summary
	if err == nil {
		merged, err = all.Merged()
	}
	if err == nil {
		err = p.keepMerged(ctx, f, merged, c)
	}
	if err != nil {
		return p.fail(err, statusError)
	}
	p.say("%s", c.progressLine(p.now()))
	c.show(true)
	worst, reported := p.report(ctx, e, f, merged, c)
	if c.draining {
		return max(worst, statusInterrupted)
	}
	if !reported {
		p.say("the run is not finished: the same command repeats its report (or remove the folder %q)", f.folder)
		return worst
	}
	if err := all.Finish(); err != nil {
		return p.fail(err, max(worst, statusError))
	}
	if err := run.Remove(p.hard); err != nil { // the next run removes them
		p.say("the streams of the run stay in the engine: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if own && len(c.workers) > 0 { // they see the end of the run before the engine ends
		pause(ctx, endWait)
	}
	return worst
}

// endWait is the time after which a worker has noticed the end of a run.
const endWait = fetchWait + 2*time.Second

// keepMerged writes the merged result. It waits while the disk is full, because a run that is finished is not reported
// again.
func (p *program) keepMerged(ctx context.Context, f *swarmFlags, merged *swarm.Summary, c *coordinator) error {
	if c.draining {
		merged.SetInterrupted("interrupted")
		ctx = p.hard
	}
	if merged.Runs == 0 && c.draining {
		return fmt.Errorf("%w before the first result: the same command continues the run", context.Canceled)
	}
	if merged.Runs == 0 {
		return errors.New("no seed was run")
	}
	for {
		err := reports.WriteFile(filepath.Join(f.folder, chunks.MergedFile), merged.JSON)
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) || ctx.Err() != nil {
			return err
		}
		p.say("%v; trying again", err)
		pause(ctx, retryAfter)
	}
}

// report prints the merged result with sim, and reports the checks of the fleet itself. reported is true if sim and the
// findings were written to the end. If it is false, as after a full disk or an interrupt, the report must be repeated.
func (p *program) report(
	ctx context.Context, e *engine, f *swarmFlags, merged *swarm.Summary, c *coordinator,
) (worst status, reported bool) {
	flags := slices.Clone(c.shared.Merge)
	if c.draining {
		ctx = p.hard
		flags = slices.DeleteFunc(flags, func(f string) bool {
			return strings.HasPrefix(f, "--shrink") || strings.HasPrefix(f, "--set=")
		})
	}
	path := filepath.Join(f.folder, chunks.MergedFile)
	worst, err := p.merge(ctx, e, slices.Concat([]string{"swarm", "--merge"}, flags, []string{"--", path}))
	if err != nil {
		worst = p.fail(err, statusError)
	}
	reported = worst == statusPassed || worst == statusFailed
	all := c.Collector
	for _, text := range all.Progress.Differences {
		worst = max(worst, p.fail(errors.New(text+": the program is not deterministic; both are in "+
			filepath.Join(f.folder, "results")), statusFailed))
	}
	twice := ""
	if n := all.Progress.Repeated; n > 0 {
		twice = fmt.Sprintf("; %s, with the same result", reports.Plural(n, "chunk was run twice", "chunks were run twice"))
	}
	p.say("%s by %s%s", reports.Plural(all.Progress.Done, "chunk", "chunks"),
		reports.Plural(all.Workers(), "worker", "workers"), twice)
	switch {
	case c.draining: // it shows nothing
	case !all.CanaryFound():
		worst = max(worst, p.fail(errors.New("the planted bug was not found: this run allows no conclusion"),
			statusNoResult))
	default:
		p.say("the planted bug was found")
		if !reported {
			break
		}
		if err := p.keepFindings(f, merged, c); err != nil {
			worst, reported = max(worst, p.fail(err, statusError)), false
		}
	}
	return worst, reported
}

// keepFindings compares the causes with those of earlier runs.
func (p *program) keepFindings(f *swarmFlags, merged *swarm.Summary, c *coordinator) error {
	if f.findings == "" {
		return nil
	}
	list, err := findings.Read(f.findings)
	if err != nil {
		return err
	}
	if list.Has(c.Run) {
		p.say("findings: %s; they have this run already", list.Counts())
		return nil
	}
	if c.shared.Out != "" { // with the names of the drawn and shrunk scenarios
		text, err := os.Open(filepath.Join(c.shared.Out, "swarm.json"))
		if err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		defer func() { _ = text.Close() }() // it was only read
		if merged, err = swarm.ReadJSON(text); err != nil {
			return err
		}
	}
	list.Update(merged, c.Run, p.now(), !c.Stopped())
	p.say("findings: %s", list.Counts())
	return list.Write(f.findings, merged)
}

// merge runs sim swarm --merge, whose outputs are those of this program, and returns its status. The first interrupt
// ends its shrinking, the second ends it.
func (p *program) merge(ctx context.Context, e *engine, arguments []string) (status, error) {
	c := exec.CommandContext(ctx, e.path, arguments...)
	c.Args[0], c.Stdout, c.Stderr = e.name, p.stdout, p.stderr
	c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // it ends the shrinking
	ownGroup(c)
	err := c.Start()
	if err == nil {
		stop := context.AfterFunc(p.hard, func() { _ = c.Process.Kill() }) // it may have ended
		err = c.Wait()
		stop()
	}
	if err != nil && p.hard.Err() != nil {
		return statusInterrupted, errInterruptedAgain
	}
	if exit, is := errors.AsType[*exec.ExitError](err); is && exit.ExitCode() > 0 {
		return status(exit.ExitCode()), nil
	}
	if err != nil {
		return statusError, fmt.Errorf("running %s: %w", e.path, err)
	}
	return statusPassed, nil
}
