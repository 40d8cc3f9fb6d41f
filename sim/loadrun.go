package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/generators"
	"bluetrace/sim/load"
)

// Load is the configuration of a load run beside its scenario.
type Load struct {
	// Program begins the command line of the run's own server: a program that takes
	// the arguments of the command server. It is not used with a remote server.
	Program []string
	// Duration and Rate replace those of a constant rate, unless they are 0. Rate is in
	// arrivals per second.
	Duration time.Duration
	Rate     float64
	// Generators carry out the load on other machines; nil if this process does.
	Generators *generators.Crew
}

// runLoad runs a scenario with a load.
func runLoad(ctx context.Context, s *scenarios.Scenario, o Options) (result *Result, err error) {
	began := time.Now()
	if o.Trace != nil || o.Pcap != nil || o.Perfetto != nil {
		return nil, &Invalid{s.Place(s.Load.Pos), errors.New("a load has no trace, only the times of its operations: " +
			"use --events, and omit --trace, --pcap and --perfetto")}
	}
	traffic, err := withOverrides(s.Load, o.Load)
	if err != nil {
		return nil, &Invalid{s.Place(s.Load.Pos), err}
	}
	own := !o.Live.isRemote()
	here := thisMachine()
	if o.Load.Generators != nil && !own {
		here = machine{} // the load uses others
	}
	if _, err := here.check(needsOf(traffic, nil), own); err != nil { // before the phones are made
		return nil, &Invalid{s.Place(s.Load.Pos), err}
	}
	phones, lines, notes, err := loadPhones(s, traffic, o.Live)
	if err != nil {
		return nil, &Invalid{s.Place(s.Load.Pos), err}
	}
	warnings, err := here.check(needsOf(traffic, phones), own)
	if err != nil {
		return nil, &Invalid{s.Place(s.Load.Pos), err}
	}
	if crew := o.Load.Generators; crew != nil {
		warnings = nil // they are of other machines
		if err := forSeveral(traffic, crew.Size(), len(phones), o); err != nil {
			return nil, &Invalid{s.Place(s.Load.Pos), err}
		}
	}
	for _, text := range warnings {
		notes = append(notes, "load: "+text)
		if o.Warn != nil {
			o.Warn(text)
		}
	}
	if o.Dialect != nil || o.Live.isRemote() && o.Live.Dialect != nil {
		return nil, errors.New("a load speaks only the protocol of docs/PROTOCOL.md: leave out --dialect")
	}
	r := &loadRun{scenario: s, options: o, traffic: traffic, phones: phones, target: "the run's own, as a process"}
	if o.Live.isRemote() {
		r.target = o.Live.Server
		if r.server, err = load.Reach(ctx, o.Live.Server, traffic.Timeout); err != nil {
			return nil, err
		}
	} else {
		child, failed := load.StartChild(ctx, clock.New(), o.Load.Program, s.Server, len(phones)+spareFiles,
			lines)
		if failed != nil {
			return nil, failed
		}
		defer func() {
			e := child.Stop()
			if bad, ok := errors.AsType[*load.ExitError](e); ok && result != nil {
				result.addServerFailure(bad)
			} else if e != nil {
				result, err = nil, errors.Join(err, e)
			}
		}()
		r.server, r.serverUse = child.Address, child.Usage
	}
	if o.Events != nil {
		r.rows = load.NewRows(o.Events, o.EventsCSV)
		defer r.rows.Close()
	}
	out, err := r.play(ctx)
	if err != nil {
		return nil, err
	}
	out.Scenario, out.File, out.About, out.World, out.Seed = s.Name, s.File, s.About, reports.Live, s.Seed
	out.Phones, out.Notes = len(phones), append(notes, out.Notes...)
	out.WallSeconds = time.Since(began).Seconds()
	out.PeakRSSBytes = peakRSS()
	return &Result{Run: *out}, nil
}

// ServeLoad runs the server of a load run in the process that Load.Program begins. serve
// takes the arguments of that process.
func ServeLoad(ctx context.Context, arguments []string, serve func(context.Context) int) int {
	return load.ServeAsChild(ctx, arguments, serve)
}

// ServeGenerator carries out shares of loads in this process, as the coordinator at the other end of in and out asks
// (docs/CLUSTER.md).
func ServeGenerator(ctx context.Context, build reports.Build, in io.Reader, out io.Writer) error {
	g := &generators.Generator{Build: build, Clock: clock.New(), Usage: ownUsage,
		Reach: load.Reach,
		Network: func(server string) (load.Network, func() uint64) {
			n := &load.Sockets{Server: server}
			return n, n.ResourceFailures.Load
		}}
	return g.Serve(ctx, in, out)
}

// addServerFailure makes the run fail, with the figures until the server ended.
func (r *Result) addServerFailure(e *load.ExitError) {
	r.Run.Verdict, r.Run.Load.Invalid = reports.Failed, nil
	r.Run.Checks = slices.Insert(r.Run.Checks, 0, reports.Check{ // it is the cause of other failures
		Kind: reports.ExpectationCheck, Name: reports.ServerLasts,
		Verdict: reports.Failed, Evaluations: 1, Expected: "a server that ends when it is stopped", Found: e.Error(),
	})
}

// loadRun is a load whose server is running.
type loadRun struct {
	scenario  *scenarios.Scenario
	options   Options
	traffic   *scenarios.Traffic
	phones    []load.Phone
	server    string // host:port
	target    string // name of the server in reports
	serverUse func() (load.Usage, bool)
	rows      *load.Rows // nil without Options.Events

	// Tests replace the network and the sleep; nil stands for the real ones.
	network load.Network
	sleep   func(time.Duration)
}

// play measures the load, or searches for the capacity.
func (r *loadRun) play(ctx context.Context) (*reports.Run, error) {
	if r.traffic.Search != nil {
		return r.search(ctx)
	}
	m, err := r.measure(ctx, r.config(r.traffic))
	if err != nil {
		return nil, err
	}
	m.report.Histograms = m.Histograms()
	out := &reports.Run{Load: m.report, Checks: m.checks, Verdict: verdict(m.checks, m.Interrupted)}
	out.VirtualSeconds = (r.traffic.WarmUp + m.Length).Seconds()
	switch out.Load.Invalid = m.overload; {
	case m.Interrupted, m.balance.Verdict == reports.Failed:
	case len(m.overload) > 0:
		out.Verdict = reports.Invalid
	case m.unanswered == nil:
		out.Notes = []string{load.BudgetNote(r.traffic, m.report)}
	}
	return out, nil
}

// forSeveral returns an error if a load cannot be carried out by n generators.
func forSeveral(t *scenarios.Traffic, n, phones int, o Options) error {
	switch {
	case o.Events != nil:
		return errors.New("a load on several generators has no --events: omit it")
	case phones < n || t.MaxInFlight < n:
		return fmt.Errorf("%d generators need at least as many phones and sessions in flight; there are %d and %d",
			n, phones, t.MaxInFlight)
	case t.HasBeacons() && phones < 2*n:
		return fmt.Errorf("%d generators need at least %d phones, because phones send their beacons to another one of "+
			"the same generator; there are %d", n, 2*n, phones)
	}
	return nil
}

func (r *loadRun) config(t *scenarios.Traffic) load.Config {
	c := load.Config{
		Network: r.network,
		Traffic: t, Phones: r.phones, Seed: r.scenario.Seed, Clock: clock.New(), Meter: r.options.Meter,
		Server: r.target, Rows: r.rows,
		OwnUsage: ownUsage, ServerUsage: r.serverUse, Sleep: r.sleep,
		Judge: func(l *reports.Load, at time.Duration) load.Status {
			return load.ThresholdStatus(r.scenario, l, at)
		},
	}
	if r.network == nil {
		c.Network = &load.Sockets{Server: r.server}
	}
	if o := r.options.Load; o != nil && o.Generators != nil {
		c.Generators, c.Address, c.OwnUsage = o.Generators, r.server, nil
	}
	if r.options.Progress != nil {
		c.Progress = func(at, length time.Duration, now *reports.LoadNow) {
			r.options.Progress(Progress{At: at, Length: length, Load: now, Checks: r.thresholdsSoFar(now)})
		}
	}
	return c
}

// thresholdsSoFar returns a function that returns the checks of the thresholds, by the figures so far.
func (r *loadRun) thresholdsSoFar(now *reports.LoadNow) func() []reports.Check {
	return func() []reports.Check { return load.ThresholdsSoFar(r.scenario, now.SoFar) }
}

// ownUsage returns the resources that this process has used.
func ownUsage() (load.Usage, bool) {
	u, ok := load.UsageOf(os.Getpid())
	var pauses debug.GCStats
	debug.ReadGCStats(&pauses)
	u.GCPause, u.HasGCPause = pauses.PauseTotal, true
	return u, ok
}

// measuredLoad is one measurement with its report and its checks.
type measuredLoad struct {
	*load.Measurement
	report   *reports.Load
	checks   []reports.Check
	overload []string      // why the generator was the bottleneck; empty if it was not
	balance  reports.Check // the last of checks
	// unanswered is the reason if there is nothing measured because the warm-up had no
	// answer; otherwise nil.
	unanswered *load.NoMedianError
}

func (r *loadRun) measure(ctx context.Context, c load.Config) (*measuredLoad, error) {
	m, err := load.Run(ctx, c)
	unanswered, _ := errors.AsType[*load.NoMedianError](err)
	if m == nil || err != nil && unanswered == nil {
		return nil, err
	}
	all := &measuredLoad{Measurement: m, report: m.Report(c.Traffic), unanswered: unanswered}
	all.report.Server, all.report.Limits = r.target, limitsOf(r.scenario)
	all.report.Conditions = conditions(r.scenario, c.Traffic)
	all.report.Conditions.Generators = len(all.report.Generators)
	all.checks = load.Checks(r.scenario, all.report, m.Interrupted || unanswered != nil)
	resourceFailures := uint64(0)
	if sockets, ok := c.Network.(*load.Sockets); ok {
		resourceFailures = sockets.ResourceFailures.Load()
	}
	all.overload = append(load.GeneratorOverloaded(c.Traffic, all.report, resourceFailures),
		m.Overloads(c.Traffic.LagBudget)...)
	if unanswered != nil && unanswered.Lag > c.Traffic.LagBudget {
		all.overload = append(all.overload, fmt.Sprintf("its schedule lag had a p99 of %v in the warm-up, above its "+
			"budget of %v", unanswered.Lag, c.Traffic.LagBudget))
	}
	all.checkServer()
	all.balance = m.BalanceCheck(c.Traffic, all.report)
	all.checks = append(all.checks, all.balance)
	return all, nil
}

// checkServer adds a check if the server ended or never answered. Then the generator is
// not the cause, however late it was.
func (m *measuredLoad) checkServer() {
	c := reports.Check{Kind: reports.ExpectationCheck, Verdict: reports.Failed, Evaluations: 1}
	switch {
	case m.Outage != "":
		m.overload = nil
		c.Name, c.Expected, c.Found = "the server accepts connections to the end of the load", "no outage", m.Outage
	case m.unanswered != nil && len(m.overload) == 0:
		c.Name, c.Expected = "the operations of the warm-up succeed", "a median response time of each"
	default:
		return
	}
	if m.unanswered != nil {
		c.Found = m.unanswered.Error()
	}
	m.checks = append(m.checks, c)
}

// withOverrides returns the load with the rate and the duration of the command line.
func withOverrides(t *scenarios.Traffic, o *Load) (*scenarios.Traffic, error) {
	if o == nil {
		return nil, errors.New("a load needs a program that runs the server")
	}
	c := *t
	if o.Duration == 0 && o.Rate == 0 {
		return &c, nil
	}
	if c.Executor != scenarios.ConstantArrivalRate {
		return nil, fmt.Errorf("--duration and --rate need a constant-arrival-rate, and this load has a %s", c.Executor)
	}
	one := c.Stages[0]
	if o.Duration > 0 {
		one.Duration = o.Duration
	}
	if o.Rate > 0 {
		one.Rate, c.StartRate = o.Rate, o.Rate
	}
	c.Stages = []scenarios.Stage{one}
	return &c, nil
}

// loadPhones returns the phones of a load, and their lines of credentials.txt. With a
// remote server they use its accounts in turn.
func loadPhones(s *scenarios.Scenario, t *scenarios.Traffic, live *Live) (
	phones []load.Phone, lines, notes []string, err error) {
	names := s.PhoneNames()
	accounts, err := accountsOf(s, names, ownAccount)
	if err != nil {
		return nil, nil, nil, err
	}
	settings := groupsOf(s)
	for k, i := range t.Phones {
		a := accounts[i]
		if live.isRemote() {
			if settings[i].User != "" {
				return nil, nil, nil, fmt.Errorf("phone %s names its account, "+
					"but the load uses the accounts of --credentials in turn", settings[i].Name)
			}
			one := live.Credentials[k%len(live.Credentials)]
			a = account{one.User, one.Password}
		}
		phones = append(phones, load.Phone{Name: names[i], User: a.user, Password: a.password,
			Single: settings[i].Form == scenarios.FormSingle, PasswordPause: settings[i].PasswordPause})
		lines = append(lines, a.user+" "+a.password)
	}
	if live.isRemote() && len(live.Credentials) < len(phones) {
		notes = append(notes, fmt.Sprintf("load: %d phones share the %d accounts of --credentials",
			len(phones), len(live.Credentials)))
	}
	return phones, lines, notes, nil
}

// conditions returns the conditions that two loads must share to be comparable.
func conditions(s *scenarios.Scenario, t *scenarios.Traffic) *reports.Conditions {
	c := &reports.Conditions{
		ScenarioSum: s.Hash, StartRate: t.StartRate, Stages: []reports.Stage{}, Machine: thisHost(), Build: Build(),
	}
	for _, one := range t.Stages {
		c.Stages = append(c.Stages, reports.Stage{Seconds: one.Duration.Seconds(), Rate: one.Rate})
	}
	return c
}

// thisHost describes this machine. Its name is replaced by a hash.
func thisHost() reports.Machine {
	m := reports.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuModel(), CPUs: runtime.NumCPU()}
	if name, err := os.Hostname(); err == nil {
		sum := sha256.Sum256([]byte(name))
		m.Host = hex.EncodeToString(sum[:4])
	}
	return m
}

// Build returns the Go version and the revision of this program. The revision ends with + if files were changed.
func Build() reports.Build {
	b := reports.Build{Go: runtime.Version()}
	program, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	changed := ""
	for _, s := range program.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if b.Revision == "" { // built from a downloaded module
		b.Revision = strings.TrimPrefix(program.Main.Version, "(devel)")
		return b
	}
	b.Revision += changed
	return b
}
