package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// runFlags are the settings of one call of sim run.
type runFlags struct {
	options     scenarios.Options
	seed        uint64
	sets        []string // NAME=VALUE, as given
	out         string   // folder of --out; empty if the reports are not written to files
	forms       *formsFlag
	trace       string // file; empty if no trace is written
	onSockets   bool   // --live
	server      string // host:port of --server; empty for the project's own server
	credentials string // file with the accounts of --server
	load        sim.Load
	metrics     metricsFlags
	quiet       bool
	noColor     bool
}

func (f *runFlags) define(set *pflag.FlagSet) {
	set.Uint64Var(&f.seed, "seed", 0, "use the seed `N` instead of the scenario's own")
	set.StringArrayVar(&f.sets, "set", nil, "replace ${NAME} in the scenario: `NAME=VALUE`; may be repeated")
	set.StringVar(&f.out, "out", "", "write every report of each scenario to the folder `DIR`")
	f.forms = defineForms(set, "text", "json", "junit")
	set.StringVar(&f.trace, "trace", "", "write one line for each event to `FILE`; with one scenario only")
	set.BoolVar(&f.onSockets, "live", false, "run on real sockets and the real clock instead of in virtual time")
	set.StringVar(&f.server, "server", "", "with --live: use the server at `HOST:PORT`, not the project's own")
	set.StringVar(&f.credentials, "credentials", "", "with --server: take its accounts from `FILE`, one a line")
	set.DurationVar(&f.load.Duration, "duration", 0, "of a load at a constant rate: run for this `DURATION`")
	set.Float64Var(&f.load.Rate, "rate", 0, "of a load at a constant rate: `N` arrivals per second")
	f.metrics.define(set)
	set.BoolVar(&f.quiet, "quiet", false, "print only the verdict and the failures; no progress")
	defineNoColor(set, &f.noColor)
}

func defineNoColor(set *pflag.FlagSet, noColor *bool) {
	set.BoolVar(noColor, "no-color", false, "print no colours (the default with NO_COLOR or without a terminal)")
}

// check validates the flags and completes the settings that follow from them.
func (f *runFlags) check(set *pflag.FlagSet) (err error) {
	if set.Changed("seed") {
		f.options.Seed = &f.seed
	}
	if f.options.Vars, err = parseVariables(f.sets); err != nil {
		return err
	}
	if err := refuseEmpty(set, "out", "trace", "server", "credentials", "metrics"); err != nil {
		return err
	}
	const maxRate = 1_000_000
	switch server, credentials := set.Changed("server"), set.Changed("credentials"); {
	case server && !f.onSockets:
		return errors.New("--server needs --live, also for a load: other runs start the project's own server")
	case credentials && !server:
		return errors.New("--credentials needs --server: the project's own server takes the accounts of the scenario")
	case server && !credentials:
		return errors.New("--server needs --credentials FILE, the accounts of that server")
	case set.Changed("duration") && f.load.Duration <= 0:
		return fmt.Errorf("invalid --duration %v: must be above 0", f.load.Duration)
	case set.Changed("rate") && !(f.load.Rate > 0 && f.load.Rate <= maxRate):
		return fmt.Errorf("invalid --rate %v: must be above 0 and at most %d", f.load.Rate, maxRate)
	}
	if err := checkServer(f.server); err != nil {
		return err
	}
	return f.metrics.check(set)
}

// checkServer validates the address of --server; empty is valid.
func checkServer(address string) error {
	if address == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("invalid --server %q: must be HOST:PORT", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("invalid --server %q: the port %q must be 1 to 65535", address, port)
	}
	return nil
}

// liveOptions returns the options of a live run, or nil for one in virtual time.
func (f *runFlags) liveOptions() (*sim.Live, error) {
	if !f.onSockets {
		return nil, nil
	}
	l := &sim.Live{Server: f.server}
	if f.credentials == "" {
		return l, nil
	}
	var err error
	l.Credentials, err = readCredentials(f.credentials)
	return l, err
}

// readCredentials reads a file as the server does (PROTOCOL.md section 2), but
// returns an error for a line that the server would skip.
func readCredentials(path string) ([]nodes.Credential, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, &sim.Invalid{Err: fmt.Errorf("opening the credentials: %w", err)}
	}
	defer func() { _ = file.Close() }() // it was only read
	list, err := files.ReadCredentials(file)
	if broken, ok := errors.AsType[*files.CredentialError](err); ok {
		return nil, &sim.Invalid{Place: fmt.Sprintf("%s:%d", path, broken.Line), Err: broken.Err}
	}
	if err != nil {
		return nil, &sim.Invalid{Place: path, Err: err}
	}
	return list, nil
}

// runCommand is one call of sim run. It runs several scenarios, one after the other.
type runCommand struct {
	output
	runFlags
	live     *sim.Live        // nil in virtual time
	exporter *exporter        // nil if no metrics are served
	history  *reports.History // of --step; nil without it
	names    fileNames
	runs     []*reports.Run
	printed  bool // a summary was printed to standard output
}

// run runs the scenarios. A failure of one does not stop the next; an interrupt
// does.
func (r *runCommand) run(ctx context.Context, paths []string) status {
	files, worst := r.selectScenarios(paths)
	if len(files) == 0 {
		return worst
	}
	if r.trace != "" && len(files) > 1 {
		return r.fail(fmt.Errorf("--trace writes the events of one scenario, but %d are named", len(files)),
			"name one file", statusInvalid)
	}
	var err error
	if r.live, err = r.liveOptions(); err != nil {
		return r.fail(err, "", statusOfRunning(err))
	}
	r.names, r.inputs, r.worst = fileNames{}, scenarioInputs(files), worst
	if err := r.refuseOverwriting(junitFile); err != nil {
		return r.fail(err, "", statusInvalid)
	}
	if err := makeFolder(r.out); err != nil {
		return r.fail(err, "name a writable folder with --out", statusError)
	}
	if err := r.serveMetrics(); err != nil {
		return r.fail(err, "name a free port with --metrics, or 0 for any", statusError)
	}
	for _, file := range files {
		if ctx.Err() != nil {
			fmt.Fprintf(r.stderr, "not run after the interrupt: %s\n", reports.Escape(file))
			r.worst = max(r.worst, statusInterrupted)
			continue
		}
		r.runFile(ctx, file)
	}
	r.finish()
	r.endMetrics(ctx)
	return r.worst
}

// runFile runs one file and reports its result.
func (r *runCommand) runFile(ctx context.Context, file string) {
	s, err := r.program.load(file, r.options)
	if err != nil {
		r.notRun(file, file, err, statusOfLoading(err))
		return
	}
	r.inputs = append(r.inputs, contactInputs(s)...)
	name := r.names.take(s.Name)
	if err := r.refuseOverwriting(append(reportFiles(name), junitFile)...); err != nil {
		r.notRun(s.Name, file, err, statusInvalid)
		return
	}
	run, err := r.runScenario(ctx, s)
	if err != nil {
		r.notRun(s.Name, file, err, statusOfRunning(err))
		return
	}
	run.Repeat = repeatCommand(r.name, run.Seed, &r.runFlags, file)
	r.worst = max(r.worst, statusOfVerdict(run.Verdict))
	r.report(run, name)
}

// notRun reports a scenario that could not be run.
func (r *runCommand) notRun(name, file string, err error, s status) {
	r.worst = max(r.worst, r.fail(err, "", s))
	r.runs = append(r.runs, &reports.Run{Scenario: name, File: file, Verdict: reports.NotRun, Error: err.Error()})
}

// runScenario runs s, with a trace if --trace is given.
func (r *runCommand) runScenario(ctx context.Context, s *scenarios.Scenario) (*reports.Run, error) {
	load := r.load
	if s.Load == nil && (load.Duration > 0 || load.Rate > 0) {
		return nil, &sim.Invalid{Place: s.File, Err: errors.New("--duration and --rate need a file with `load`")}
	}
	load.Program = r.ownServer
	o := sim.Options{Live: r.live, Load: &load}
	if r.trace == "" {
		return r.runEngine(ctx, s, o)
	}
	t, err := openTrace(r.trace, r.stdout, r.stderr)
	if err != nil {
		return nil, err
	}
	defer t.Discard() // has no effect on a trace that was published
	o.Trace = t
	run, err := r.runEngine(ctx, s, o)
	switch {
	case err != nil && t.err != nil:
		return nil, t.err
	case err != nil:
		return nil, err
	}
	if err := t.publish(); err != nil {
		r.worst = max(r.worst, r.fail(err, "", statusError)) // the run still counts
	}
	return run, nil
}

// runEngine runs s with a progress line, warnings and metrics, as the flags ask.
func (r *runCommand) runEngine(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*reports.Run, error) {
	if r.terminal && !r.quiet {
		line := newProgress(r.stderr, r.columns, r.now)
		o.Progress = func(at sim.Progress) {
			line.draw(func(now time.Time) string { return line.runProgress(s.Name, at, now.Sub(line.started)) })
		}
		defer line.clear()
	}
	if !r.quiet {
		o.Warn = func(text string) { fmt.Fprintf(r.stderr, "%s: %s\n", reports.Escape(s.File), text) }
	}
	meter := r.newMeter(s, &o)
	result, err := r.engine(ctx, s, o)
	if err != nil {
		return nil, err
	}
	if meter != nil {
		if err := meter.Finish(&result.Run); err != nil {
			return nil, err
		}
		r.addToHistory(meter, s, result.Ended)
	}
	return &result.Run, nil
}

// makeFolder makes the folder of --out and tries to write there, before a long
// run whose reports would be lost. It does nothing without --out.
func makeFolder(folder string) error {
	if folder == "" {
		return nil
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the folder of --out: %w", err)
	}
	f, err := os.CreateTemp(folder, ".writable.*")
	if err != nil {
		return fmt.Errorf("writing in %q: %w", folder, errors.Unwrap(err))
	}
	return errors.Join(f.Close(), os.Remove(filepath.Clean(f.Name())))
}
