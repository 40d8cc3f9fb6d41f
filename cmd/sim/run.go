package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol/dialect"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/scene"
)

// runFlags are the settings of one call of sim run.
type runFlags struct {
	options     scenarios.Options
	seed        uint64
	sets        []string // NAME=VALUE, as given
	out         string   // folder of --out; empty if the reports are not written to files
	forms       *formsFlag
	trace       string // file; empty if no trace is written
	events      string // the same of the events as JSON
	perfetto    string // the same of the trace for Perfetto
	pcap        string // the same of the packets
	pcapAt      string // name of the node whose packets are written; empty for all
	onSockets   bool   // --live
	server      string // host:port of --server; empty for the project's own server
	credentials string // file with the accounts of --server
	command     string // shell command of --server-command
	dialect     string // name or file of the dialect; empty for that of PROTOCOL.md
	folder      string // of the programs of phones; empty for empty folders
	load        sim.Load
	several     bool // --generators
	metrics     metricsFlags
	pageEvents  int
	quiet       bool
	noColor     bool
}

func (f *runFlags) define(set *pflag.FlagSet) {
	set.Uint64Var(&f.seed, "seed", 0, "use the seed `N` instead of the scenario's own")
	set.StringArrayVar(&f.sets, "set", nil, "replace ${NAME} in the scenario: `NAME=VALUE`; may be repeated")
	set.StringVar(&f.out, "out", "", "write every report of each scenario to the folder `DIR`")
	f.forms = defineForms(set, "text", "json", "junit", "html")
	set.StringVar(&f.trace, "trace", "", "write one line for each event to `FILE`; with one scenario only")
	set.StringVar(&f.events, "events", "", "write one JSON object for each event, or operation of a load, to\n`FILE`; "+
		"of a load also as CSV to FILE.csv; with one scenario only")
	set.StringVar(&f.perfetto, "perfetto", "", "write a trace for ui.perfetto.dev to `FILE`; with one scenario only")
	set.StringVar(&f.pcap, "pcap", "", "write the packets of a run to `FILE` (pcapng); with one scenario only")
	set.StringVar(&f.pcapAt, "pcap-at", "", "with --pcap: only what `NODE` sends and receives, when it does")
	set.BoolVar(&f.onSockets, "live", false, "run on real sockets and the real clock instead of in virtual time")
	set.StringVar(&f.server, "server", "", "with --live: use the server at `HOST:PORT`, not the project's own")
	set.StringVar(&f.credentials, "credentials", "", "with --server: take its accounts from `FILE`, one a line")
	set.StringVar(&f.command, "server-command", "", "with --live: start a server with the shell command `CMD`")
	set.StringVar(&f.dialect, "dialect", "", "translate between phone and server: the `NAME` or file of a dialect")
	set.StringVar(&f.folder, "folder", "", "with --live: run the programs of phones in copies of the folder `DIR`")
	set.DurationVar(&f.load.Duration, "duration", 0, "of a load at a constant rate: run for this `DURATION`")
	set.Float64Var(&f.load.Rate, "rate", 0, "of a load at a constant rate: `N` arrivals per second")
	set.BoolVar(&f.several, "generators", false, "take the generators of a load from the command fleet")
	_ = set.MarkHidden("generators") // it was defined
	f.metrics.define(set)
	f.metrics.defineStep(set)
	set.IntVar(&f.pageEvents, "page-events", scene.DefaultLimits().Before,
		"on a page: `N` events before each failure or label,\nand two fifths as many after")
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
	if err := refuseEmpty(set, "out", "trace", "events", "perfetto", "pcap", "pcap-at", "server", "server-command",
		"credentials", "dialect", "folder", "metrics"); err != nil {
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
	case set.Changed("server-command") && (server || !f.onSockets):
		return errors.New("--server-command needs --live, and starts a server instead of --server")
	case set.Changed("folder") && !f.onSockets:
		return errors.New("--folder needs --live: other runs start no programs")
	case f.pcapAt != "" && f.pcap == "":
		return errors.New("--pcap-at needs --pcap FILE")
	case set.Changed("page-events") && f.out == "" && f.metrics.address == "" && !f.forms.has("html"):
		return errors.New("--page-events needs a page: --out, --report html or --metrics")
	case f.pageEvents < 1 || f.pageEvents > scene.MaxEvents:
		return fmt.Errorf("invalid --page-events %d: must be 1 to %d", f.pageEvents, scene.MaxEvents)
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
func (f *runFlags) liveOptions(ctx context.Context, wire *dialect.Dialect) (*sim.Live, error) {
	if !f.onSockets {
		return nil, nil
	}
	l := &sim.Live{Server: f.server, Command: f.command, Folder: f.folder, Dialect: wire}
	if f.credentials == "" {
		return l, nil
	}
	var err error
	l.Credentials, err = awaitFile(ctx, f.credentials, readCredentials)
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
	text, err := textInput(file, "accounts, one a line: a username, one space and a password")
	if err != nil {
		return nil, &sim.Invalid{Place: path, Err: err}
	}
	list, err := files.ReadCredentials(text)
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
	wire     *dialect.Dialect // of --dialect; nil without it
	exporter *exporter        // nil if no metrics are served
	history  *reports.History // of --step; nil without it
	manifest *manifest        // of the folder of --out; nil without it
	names    fileNames
	runs     []*reports.Run
	notBegun int  // number of scenarios that were not run after an interrupt
	printed  bool // a summary was printed to standard output
}

// planned is a scenario file of one call.
type planned struct {
	file     string
	scenario *scenarios.Scenario // nil if it could not be read, or was not because of an interrupt
	name     string              // of its reports
	err      error               // of reading it
}

// run runs the scenarios. A failure of one does not stop the next; an interrupt
// does. All are read first, so that no report overwrites an input.
func (r *runCommand) run(ctx context.Context, paths []string) status {
	files, unread, worst := r.selectScenarios(paths)
	r.names, r.inputs, r.worst = fileNames{}, scenarioInputs(files), worst
	refused := r.refuseOverwriting(junitFile, indexFile)
	all := r.readScenarios(ctx, files)
	if err := r.prepareFolder(unread, all); err != nil {
		return max(worst, r.fail(err, "name a writable folder with --out", statusError))
	}
	for i := range unread {
		r.runs = append(r.runs, notRun(&unread[i], unread[i].err))
	}
	if len(all) > 0 {
		r.runAll(ctx, all, r.start(ctx, files, refused))
	}
	if refused == nil && len(r.runs) > 0 {
		r.finish()
	}
	r.exporter.end(ctx, &r.output, &r.metrics, r.quiet, r.finalPage())
	return r.worst
}

// runAll runs the scenarios in their order, or none if there is a problem.
func (r *runCommand) runAll(ctx context.Context, all []planned, problem error) {
	for i := range all {
		p := &all[i]
		switch {
		case p.err != nil || problem != nil:
			r.runs = append(r.runs, notRun(p, cmp.Or(p.err, problem)))
		case ctx.Err() != nil:
			fmt.Fprintf(r.stderr, "not run after the interrupt: %s\n", reports.Escape(p.file))
			r.notBegun++
			r.raise(statusInterrupted)
		default:
			r.runPlanned(ctx, p)
		}
		p.scenario = nil
	}
}

// readScenarios reads the files until an interrupt. It reports their mistakes and adds
// their inputs.
func (r *runCommand) readScenarios(ctx context.Context, files []string) []planned {
	all := make([]planned, len(files))
	options := r.sharing(files, r.options)
	for i, file := range files {
		p := &all[i]
		p.file = file
		if ctx.Err() != nil {
			continue
		}
		if p.scenario, p.err = r.program.load(file, options); p.err != nil {
			r.raise(r.fail(p.err, "", statusOfLoading(p.err)))
			continue
		}
		r.inputs = append(r.inputs, contactInputs(p.scenario)...)
	}
	return all
}

// start opens everything that all runs need, unless they were refused. It reports its
// error.
func (r *runCommand) start(ctx context.Context, files []string, refused error) (err error) {
	if r.forms.has("html") && r.out == "" && len(files) > 1 {
		err = fmt.Errorf("--report html prints the page of one scenario, but %d are named", len(files))
		r.raise(r.fail(err, "name one file, or a folder for all pages with --out", statusInvalid))
		return err
	}
	for _, f := range eventFiles(&sim.Options{}, &r.runFlags) {
		if len(files) > 1 {
			err = fmt.Errorf("--%s writes the events of one scenario, but %d are named", f.name, len(files))
			r.raise(r.fail(err, "name one file", statusInvalid))
			return err
		}
	}
	if refused != nil {
		r.raise(r.fail(refused, "", statusInvalid))
		return refused
	}
	if r.dialect != "" {
		d, err := awaitFile(ctx, r.dialect, scenarios.LoadDialect)
		if err != nil {
			r.raise(r.fail(err, "", statusOfLoading(err)))
			return err
		}
		r.wire = &d.Dialect
	}
	if r.live, err = r.liveOptions(ctx, r.wire); err != nil {
		r.raise(r.fail(err, "", statusOfRunning(err)))
		return err
	}
	if r.exporter, err = r.metrics.serve(&r.output, r.quiet); err != nil {
		r.raise(r.fail(err, "name a free port with --metrics, or 0 for any", statusError))
	}
	return err
}

// runPlanned runs one scenario and reports its result.
func (r *runCommand) runPlanned(ctx context.Context, p *planned) {
	err, s := r.refuseOverwriting(reportFiles(p.name)...), statusInvalid
	if err == nil && r.out != "" {
		err = refuseSameFile(contactInputs(p.scenario), "the report", filepath.Join(r.out, junitFile), otherFolder)
	}
	var run *reports.Run
	if err == nil {
		run, err = r.runScenario(ctx, p.scenario)
		s = statusOfRunning(err)
	}
	if err != nil {
		r.raise(r.fail(err, "", s))
		r.runs = append(r.runs, notRun(p, err))
		r.showEnd(r.runs[len(r.runs)-1], p.name)
		return
	}
	run.Repeat = repeatCommand(r.name, run.Seed, &r.runFlags, p.file)
	r.raise(statusOfVerdict(run.Verdict))
	r.report(run, p.name)
}

// notRun returns the result of a scenario that could not be run.
func notRun(p *planned, err error) *reports.Run {
	title := p.file
	if p.scenario != nil {
		title = p.scenario.Name
	}
	return &reports.Run{Scenario: title, File: p.file, Verdict: reports.NotRun, Error: err.Error()}
}

// eventFile is a file that an observer of a run writes.
type eventFile struct {
	name, path string // of the flag, and its value
	to         *io.Writer
}

// eventFiles returns the files that the flags name, and the fields of o for them.
func eventFiles(o *sim.Options, f *runFlags) []eventFile {
	all := []eventFile{
		{"trace", f.trace, &o.Trace}, {"events", f.events, &o.Events}, {"pcap", f.pcap, &o.Pcap},
		{"perfetto", f.perfetto, &o.Perfetto},
	}
	return slices.DeleteFunc(all, func(f eventFile) bool { return f.path == "" })
}

// runScenario runs s, and writes the files of its events.
func (r *runCommand) runScenario(ctx context.Context, s *scenarios.Scenario) (*reports.Run, error) {
	if r.several && s.Load != nil && r.load.Generators == nil { // not for files that are refused
		var err error
		if r.load.Generators, err = gatherGenerators(ctx); err != nil {
			return nil, err
		}
	}
	load := r.load
	if s.Load == nil && (load.Duration > 0 || load.Rate > 0) {
		return nil, &sim.Invalid{Place: s.File, Err: errors.New("--duration and --rate need a file with `load`")}
	}
	asCSV := filepath.Ext(r.events) == ".csv"
	if s.Load == nil && asCSV {
		return nil, &sim.Invalid{Place: s.File, Err: fmt.Errorf("--events %q: only the events of a load can be CSV; "+
			"name a file with another end", r.events)}
	}
	load.Program = r.ownServer
	o := sim.Options{Live: r.live, Load: &load, PcapAt: r.pcapAt, EventsCSV: asCSV}
	o.Scene = r.out != "" || r.forms.has("html") || r.exporter != nil
	o.SceneEvents = r.pageEvents
	if r.live == nil {
		o.Dialect = r.wire
	}
	var written []*trace
	for _, f := range eventFiles(&o, &r.runFlags) {
		t, err := r.openTrace(ctx, f.name, f.path)
		if err != nil {
			return nil, err
		}
		defer t.Discard() // has no effect on a file that was published
		*f.to = t
		written = append(written, t)
	}
	run, err := r.runEngine(ctx, s, o)
	for _, t := range written {
		switch {
		case err != nil && t.err != nil:
			return nil, t.err
		case err != nil:
			continue
		}
		if err := t.publish(); err != nil {
			r.raise(r.fail(err, "", statusError)) // the run still counts
		}
	}
	return run, err
}

// runEngine runs s with a progress line, warnings and metrics, as the flags ask.
func (r *runCommand) runEngine(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*reports.Run, error) {
	if !r.quiet {
		line := newProgress(r.stderr, r.columns, r.now)
		line.plain = !r.terminal
		o.Progress = func(at sim.Progress) {
			line.draw(func(now time.Time) string { return line.runProgress(s.Name, at, now.Sub(line.started)) })
		}
		defer line.clear()
	}
	if !r.quiet {
		o.Warn = func(text string) { fmt.Fprintf(r.stderr, "%s: %s\n", reports.Escape(s.File), reports.Escape(text)) }
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
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("making the folder of --out: %w", err)
	}
	f, err := os.CreateTemp(folder, ".writable.*")
	if err != nil {
		return fmt.Errorf("writing in %q: %w", folder, errors.Unwrap(err))
	}
	return errors.Join(f.Close(), os.Remove(filepath.Clean(f.Name())))
}
