// Command fleet shares the work of sim among machines: one coordinator, and a worker on each machine.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bluetrace/cmd/fleet/broker"
	"bluetrace/cmd/server/authority"
	"bluetrace/reports"
)

// canaryScenario is the scenario of the planted bug.
//
//go:embed canary.yaml
var canaryScenario string

// status is an exit status. Those up to 107 are of sim.
type status int

const (
	statusPassed      status = 0
	statusFailed      status = 99
	statusInvalid     status = 104
	statusInterrupted status = 105
	statusError       status = 107
	statusNoResult    status = 112
)

// Error implements error, so that the exit status of a command is a result of cobra.
func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

const usage = `fleet shares the work of sim among machines (docs/CLUSTER.md).

  fleet coordinate [flags]                start the engine that connects the machines
  fleet work --join URL|FILE [flags]      run chunks of work on this machine
  fleet swarm [flags] SCENARIO...         run a swarm on all workers; takes the flags of sim swarm
  fleet run [flags] SCENARIO...           share a load among several workers; takes the flags of sim run
  fleet help [COMMAND]                    print this, or the flags of a command

` + exitStatuses

const exitStatuses = `Exit status; of several, the largest:
  0    everything that was checked passed
  99   a run failed, or two workers had other results for the same seeds
  104  a flag or a scenario is invalid, or the worker was refused
  105  interrupted; the results until then are reported, and the same command continues the run
  107  the run was not possible
  111  a load allows no conclusion: a generator was the bottleneck, or clocks differ too much
  112  a run allows no conclusion: the planted bug was not found, or a worker of a load was lost
`

func main() {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	hard, end := context.WithCancel(context.Background())
	ctx := authority.UntilSignal(stop, time.Now, end)
	p := &program{argument0: os.Args[0], stdout: os.Stdout, stderr: os.Stderr, now: time.Now, hard: hard}
	os.Exit(int(p.command(ctx, os.Args[1:])))
}

// program is the command with its outputs.
type program struct {
	argument0      string
	stdout, stderr io.Writer
	now            func() time.Time
	hard           context.Context // ends at the second interrupt
	mutex          sync.Mutex      // of stderr
	access         accessFlags
	sim            string // --sim
}

// say writes a message for the user.
func (p *program) say(format string, arguments ...any) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	fmt.Fprintln(p.stderr, "fleet: "+reports.Escape(fmt.Sprintf(format, arguments...)))
}

// fail reports an error and returns the exit status.
func (p *program) fail(err error, s status) status {
	if e, ok := errors.AsType[*simError](err); ok && e.status > 0 {
		fmt.Fprintln(p.stderr, e.text)
		return e.status
	}
	p.say("%v", err)
	if errors.Is(err, context.Canceled) {
		return statusInterrupted
	}
	return s
}

// command runs a command line and returns the exit status.
func (p *program) command(ctx context.Context, arguments []string) status {
	root := &cobra.Command{
		Use: "fleet", Short: "share the work of sim among machines", SilenceErrors: true, SilenceUsage: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, rest []string) error {
			if len(rest) == 0 {
				return errors.New("no command: the commands are coordinate, work, swarm, run and help")
			}
			return fmt.Errorf("unknown command %q: the commands are coordinate, work, swarm, run and help", rest[0])
		},
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		text := usage
		if c.HasParent() {
			text = c.Long + "\n\n  " + c.UseLine() + "\n\n" + c.LocalFlags().FlagUsages() + "\n" + exitStatuses
		}
		fmt.Fprint(p.stdout, text)
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(p.newCoordinate(), p.newWork(), p.newSwarm(), p.newRun())
	root.SetArgs(arguments)
	err := root.ExecuteContext(ctx)
	if s, ended := errors.AsType[status](err); ended || err == nil {
		return s
	}
	return p.fail(err, statusInvalid)
}

// tokenVariable is the variable of the environment with the token of the engine.
const tokenVariable = "FLEET_TOKEN"

// accessFlags are the flags with which a command finds the engine.
type accessFlags struct{ join, pin string }

func (f *accessFlags) define(set *pflag.FlagSet) {
	set.StringVar(&f.join, "join", "", "use the engine at `URL`, with the token in "+tokenVariable+
		"; or a file that fleet coordinate wrote")
	set.StringVar(&f.pin, "pin", "", "with a URL: accept only the certificate with this `SHA-256`")
}

// access returns the access that the flags give.
func (f *accessFlags) access() (a broker.Access, err error) {
	text, err := os.ReadFile(f.join)
	if err == nil {
		if err := json.Unmarshal(text, &a); err != nil || a.URL == "" {
			return a, fmt.Errorf("%q is not a file that fleet coordinate wrote", f.join)
		}
		return a, nil
	}
	if !strings.Contains(f.join, "://") {
		return a, fmt.Errorf("invalid --join: must be a URL or a file: %w", err)
	}
	return broker.Access{URL: f.join, Token: os.Getenv(tokenVariable), Pin: f.pin}, nil
}

// joinFile is the name of the file with the access, in the folder of the engine.
const joinFile = "join"

// serve starts an engine, writes its access into the folder, and prints the line that a worker needs.
func (p *program) serve(listen, name, folder string) (*broker.Server, broker.Access, error) {
	s, a, err := broker.Serve(listen, name, filepath.Join(folder, "engine"))
	if err != nil {
		return nil, a, err
	}
	path := filepath.Join(folder, joinFile)
	if err := broker.WriteAccess(path, a); err != nil {
		s.Close()
		return nil, a, err
	}
	p.say("the engine listens on %s; on each machine, with a copy of the file %s:", a.URL, path)
	p.say("  fleet work --join %s", path)
	return s, a, nil
}

func (p *program) newCoordinate() *cobra.Command {
	var listen, name, folder, url string
	c := &cobra.Command{
		Use:   "coordinate [flags]",
		Short: "start the engine that connects the machines",
		Long: "Starts the engine (NATS with JetStream) that carries work and results, and prints the command of a worker.\n" +
			"With --nats it checks an engine that runs already, and ends.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if url != "" {
				p.access.join = url
				return p.checkEngine(c.Context())
			}
			s, _, err := p.serve(listen, name, folder)
			if err != nil {
				return p.fail(err, statusError)
			}
			<-c.Context().Done()
			s.Close()
			return statusPassed
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:4222", "listen on `HOST:PORT`; beyond the loopback with TLS")
	c.Flags().StringVar(&name, "advertise", "",
		"give workers this `HOST` (default: that of --listen, or of the machine)")
	c.Flags().StringVar(&folder, "dir", "fleet", "keep the engine's files in `DIR`")
	c.Flags().StringVar(&url, "nats", "", "use the engine at this `URL`, with the token in "+tokenVariable)
	return c
}

// checkEngine checks an engine that runs already, and prints the command of a worker.
func (p *program) checkEngine(ctx context.Context) error {
	conn, err := p.connect("coordinate")
	if err != nil {
		return p.fail(err, statusError)
	}
	defer conn.Close()
	if err := conn.Check(ctx); err != nil {
		return p.fail(err, statusError)
	}
	p.say("on each machine, with the token in %s:", tokenVariable)
	p.say("  fleet work --join %s", p.access.join)
	return statusPassed
}

// connect connects to the engine of --join.
func (p *program) connect(name string) (*broker.Conn, error) {
	a, err := p.access.access()
	if err != nil {
		return nil, err
	}
	return broker.Connect(a, "fleet "+name, func(text string) { p.say("%s", text) })
}

func (p *program) newWork() *cobra.Command {
	var name string
	var once bool
	c := &cobra.Command{
		Use:   "work --join URL|FILE [flags]",
		Short: "run chunks of work on this machine",
		Long: "Runs chunks of work with the program sim, one at a time on all processors, run after run. The first interrupt\n" +
			"lets it finish its chunk, the second ends it.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.work(c.Context(), name, once) },
	}
	c.Flags().SortFlags = false
	p.access.define(c.Flags())
	c.Flags().StringVar(&name, "name", "",
		"use this `NAME`, which no other worker has (default: the host and a number)")
	c.Flags().BoolVar(&once, "once", false, "end after one run")
	c.Flags().StringVar(&p.sim, "sim", "", "use this `PROGRAM` sim (default: the one beside fleet)")
	return c
}

// work runs a worker.
func (p *program) work(ctx context.Context, name string, once bool) error {
	if p.access.join == "" {
		return errors.New("work needs --join, with the file or the URL that fleet coordinate gave")
	}
	e, err := findEngine(p.sim, p.argument0)
	if err != nil {
		return p.fail(err, statusInvalid)
	}
	own, err := e.plan(p.hard)
	if err != nil {
		return p.fail(err, statusError)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	w := &worker{engine: e, name: cmp.Or(name, fmt.Sprintf("%s-%d", host, os.Getpid())), build: own.Build, once: once,
		say: p.say, drain: ctx}
	if w.conn, err = p.connect(w.name); err != nil {
		return p.fail(err, statusError)
	}
	defer w.conn.Close()
	p.say("worker %q of the build %s", w.name, w.build)
	err = w.work(p.hard)
	if r, is := errors.AsType[refused](err); is {
		return p.fail(r, statusInvalid)
	}
	leaving := w.status("", 0)
	leaving.Leaving = true
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), retryAfter)
	defer cancel()
	_, _ = w.conn.AskStatus(limited, leaving) // the coordinator notices it otherwise
	if p.hard.Err() != nil {
		return statusInterrupted
	}
	return statusPassed
}
