package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
	"bluetrace/sim/event"
	"bluetrace/sim/prefetch"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// Stream returns the random stream of an entity for one purpose. A run derives its own streams from its seed in this
// way.
func Stream(seed uint64, entity, purpose string) rand.PCG {
	return virtual.Stream(seed, entity, purpose)
}

// account is the account of a phone. The user is empty if the phone has none.
type account struct {
	user, password string
}

// run is one run of a scenario.
type run struct {
	ctx      context.Context
	scenario *scenarios.Scenario
	options  Options
	world    world.World
	events   event.Stream
	records  *world.Records
	// closeWorld releases the resources of the world; nil if it has none.
	closeWorld func() error
	clock      clock.Clock // of a live world
	start      int64       // wall time at time zero, Unix seconds
	rules      *check.Invariants
	begin      time.Duration // the time of the first event, zero or negative
	length     time.Duration // 0 if the run ends with the script, but not before atLeast
	atLeast    time.Duration // the time at which traces, routines and adversaries with an end are over

	faults      *faults
	contacts    *contacts
	commands    *commands
	routines    *routines
	adversaries *adversaries
	forger      *forger

	accounts  []account
	extra     []extraProgram
	phones    []phoneState // by program
	steps     []step
	open      []*step // the steps that have begun and not settled, in the order of their beginning
	unsettled int
	active    []*wait
	moments   map[string]moment
	taken     map[*scenarios.Path][]float64 // values at named moments
	broken    []check.Violation
	around    map[check.Invariant][]string
	err       error // the reason why the run cannot continue
}

// phoneState is the state of a program that only the script needs.
type phoneState struct {
	opening bool // the script has connected the program and not yet typed the password
}

// extraProgram is an additional program of a phone, for a login that begins during another login of the phone.
type extraProgram struct {
	phone   int
	program uint32
}

func newRun(ctx context.Context, s *scenarios.Scenario, o Options) (*run, error) {
	if o.Live != nil {
		if err := refuseLive(s, o.Live); err != nil {
			return nil, err
		}
		s = baseline(s)
	}
	r := &run{
		ctx:      ctx,
		scenario: s, options: o, length: s.Length, start: s.Start,
		moments: map[string]moment{},
		taken:   map[*scenarios.Path][]float64{},
		around:  map[check.Invariant][]string{},
	}
	names := s.PhoneNames()
	requestLargePages(len(names))
	r.accounts = accountsOf(s, names)
	if err := r.assignAccounts(names); err != nil {
		return nil, err
	}
	var err error
	if r.contacts, err = newContacts(ctx, s, names, r.place); err != nil {
		return nil, err
	}
	r.readScript()
	r.addExtraPrograms(len(names))
	if o.Live != nil {
		r.setClock(len(names) + len(r.extra))
	}
	r.phones = make([]phoneState, len(names)+len(r.extra))
	r.faults = &faults{scenario: s, phones: len(names), extra: r.extra}
	r.routines = newRoutines(s, len(r.phones))
	zone := protocol.NewZone(s.Zone)
	config, retention := r.config(names, zone)
	r.rules = check.New(r.invariantRules(retention), r.violated)
	r.subscribe(&config)
	if o.built != nil {
		o.built(r)
	}
	if err := r.make(config); err != nil {
		return nil, err
	}
	r.scheduleStart(names)
	return r, nil
}

// scheduleStart schedules the first events of the run.
func (r *run) scheduleStart(names []string) {
	s, w := r.scenario, r.world
	lifetime := s.Server.TempIDLifetime
	r.forger = &forger{w, lifetime}
	r.commands = &commands{
		world: w, scenario: s, contacts: r.contacts, accounts: r.accounts,
		place: r.place, fail: r.fail, observe: r.options.Commanded,
	}
	r.adversaries = &adversaries{
		world: w, forger: r.forger, accounts: r.accounts, lifetime: lifetime, runStep: r.runStep,
	}
	r.atLeast = max(r.contacts.end, r.routines.end())
	for i := range s.Adversaries {
		r.atLeast = max(r.atLeast, s.Adversaries[i].Until)
	}
	r.faults.start(w, r.begin)
	r.contacts.start(w, r.begin, r.fail)
	r.routines.start(w, r.commands, s.Seed, names)
	r.adversaries.start(s, names)
	r.startScript()
}

// fail ends a run that cannot continue.
func (r *run) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.world.Stop()
}

// subscribe subscribes the observers of the run.
func (r *run) subscribe(c *virtual.Config) {
	names := make([]string, len(c.Phones))
	for i := range c.Phones {
		names[i] = c.Phones[i].Name
	}
	r.records = world.NewRecords(names, r.options.Trace)
	r.records.Subscribe(&r.events)
	for _, o := range r.options.Observers {
		r.events.Subscribe(o.Observer, o.Kinds...)
	}
	r.events.Subscribe(r.rules, check.Kinds()...)
	r.events.Subscribe(r.faults, event.FaultApplied)
	r.events.Subscribe(r, observed...)
	c.Events, c.Tick = &r.events, r.tick
	c.Prefetchers = []prefetch.Prefetcher{r.rules, r}
}

// make builds the world.
func (r *run) make(c virtual.Config) error {
	if r.options.Live != nil {
		return r.newLiveWorld(c)
	}
	w, err := virtual.New(c)
	if err != nil {
		return &Invalid{Place: r.scenario.File, Err: err}
	}
	r.world = w
	return nil
}

// close releases the resources of the run.
func (r *run) close() error {
	r.contacts.close()
	if r.closeWorld == nil {
		return nil
	}
	return r.closeWorld()
}

// accountsOf returns the account of each phone: its own, none, or that of another phone.
func accountsOf(s *scenarios.Scenario, names []string) []account {
	all := make([]account, 0, len(names))
	for _, g := range s.Phones {
		for range g.Count {
			i := len(all)
			a := account{}
			if g.Account == "own" {
				a = account{g.User, g.Password}
				if a.user == "" {
					a.user = scenarios.AccountUser(i)
				}
				if a.password == "" {
					a.password = fmt.Sprintf("comp%d", 3331+i)
				}
			}
			all = append(all, a)
		}
	}
	shareAccounts(s, names, all)
	return all
}

// shareAccounts gives each phone that shares an account the account of its owner.
func shareAccounts(s *scenarios.Scenario, names []string, all []account) {
	byName := make(map[string]int, len(names))
	for i, n := range names {
		byName[n] = i
	}
	i := 0
	for _, g := range s.Phones {
		for range g.Count {
			if g.Account != "own" && g.Account != "none" {
				all[i] = all[byName[g.Account]]
			}
			i++
		}
	}
}

// config returns the configuration of the world and the retention of each program.
func (r *run) config(names []string, zone *protocol.Zone) (virtual.Config, []time.Duration) {
	s := r.scenario
	tcp, udp := &s.Network.TCP, &s.Network.UDP
	server := nodes.DefaultServerSettings()
	server.BlockDuration = s.Server.BlockDuration
	server.TempIDLifetime = s.Server.TempIDLifetime
	server.LoginTimeout = s.Server.LoginTimeout
	server.IdleTimeout = s.Server.IdleTimeout
	server.MaxUploadLines = s.Server.MaxUpload
	c := virtual.Config{
		Seed: s.Seed, Start: s.Start, Begin: r.begin, Zone: zone,
		Server: server, DiskDelay: delayOf(s.Server.DiskDelay), Folder: r.folder(),
		Credentials: r.credentials(),
		Phones:      make([]virtual.PhoneConfig, 0, len(names)),
		TCP:         virtual.TCP{Delay: delayOf(tcp.Delay), Split: tcp.Split, Join: tcp.Join},
		UDP:         virtual.UDP{Delay: delayOf(udp.Delay), Lose: udp.Lose},
		Step:        r.options.Step, Stepped: r.stepped,
	}
	retention := make([]time.Duration, 0, len(names))
	for _, g := range s.Phones {
		settings := nodes.DefaultPhoneSettings()
		settings.Zone = zone
		settings.Retention = g.Retention
		settings.PasswordPause = g.PasswordPause
		settings.TempIDLifetime = s.Server.TempIDLifetime
		settings.Form = formOf(g.Form)
		for range g.Count {
			c.Phones = append(c.Phones, virtual.PhoneConfig{Name: names[len(c.Phones)], Settings: &settings})
			retention = append(retention, g.Retention)
		}
	}
	assignFolders(s, c.Phones)
	for i, sec := range r.extra {
		of := c.Phones[sec.phone]
		of.Folder = nil // the log is that of the phone's own program
		of.Name = fmt.Sprintf("%s (program %d)", of.Name, i+2)
		c.Phones = append(c.Phones, of)
		retention = append(retention, retention[sec.phone])
	}
	return c, retention
}

// folder returns a folder for the files of a virtual server, or nil if the server never reads them.
func (r *run) folder() *files.Memory {
	switch {
	case r.options.folder != nil:
		return r.options.folder
	case serverNeedsFolder(r.scenario), slices.ContainsFunc(r.steps, func(st step) bool { return st.Restart != nil }):
		return files.NewMemory()
	}
	return nil
}

func formOf(f scenarios.Form) protocol.Form {
	if f == scenarios.FormSingle {
		return protocol.Single
	}
	return protocol.Split
}

func delayOf(d scenarios.Distribution) virtual.Delay {
	return virtual.Delay{Min: d.Min, Max: d.Max, Mean: d.Mean}
}

// credentials returns every account once.
func (r *run) credentials() []nodes.Credential {
	var list []nodes.Credential
	seen := map[string]bool{}
	for _, a := range r.accounts {
		if a.user != "" && !seen[a.user] {
			seen[a.user] = true
			list = append(list, nodes.Credential{User: a.user, Password: a.password})
		}
	}
	return list
}

func (r *run) invariantRules(retention []time.Duration) check.Rules {
	s := r.scenario
	rules := check.Rules{
		Start: r.start, Location: s.Zone,
		BlockDuration: s.Server.BlockDuration,
		Lifetime:      s.Server.TempIDLifetime,
		Accounts:      map[string]string{},
		Retention:     retention,
	}
	for _, a := range r.accounts {
		if a.user != "" {
			rules.Accounts[a.user] = a.password
		}
	}
	return rules
}

// eventsAround is the number of events shown with a failure.
const eventsAround = 12

func (r *run) violated(v check.Violation) {
	r.broken = append(r.broken, v)
	r.around[v.Invariant] = r.records.Recent(v.Phone, eventsAround)
}

// place returns a position of the scenario as file:line:column.
func (r *run) place(p scenarios.Pos) string {
	return fmt.Sprintf("%s:%d:%d", r.scenario.File, p.Line, p.Col)
}

// failure returns the reason why the run could not be done, or nil. played is the error of its end.
func (r *run) failure(played error) error {
	if r.err != nil {
		return r.err
	}
	if played != nil && r.ctx.Err() == nil {
		return played
	}
	if err := r.records.TraceError(); err != nil {
		return fmt.Errorf("writing the trace: %w", err)
	}
	return nil
}

// addExtraPrograms gives each phone an additional program for each login of the script after its first.
func (r *run) addExtraPrograms(phones int) {
	logins := map[int]int{}
	for i := range r.steps {
		if st := &r.steps[i]; st.Login != nil {
			if logins[st.Phone]++; logins[st.Phone] > 1 {
				r.extra = append(r.extra, extraProgram{st.Phone, uint32(phones + len(r.extra))})
			}
		}
	}
}
