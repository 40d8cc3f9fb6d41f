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

// Stream returns the random stream of an entity for one purpose, derived from the seed as a run derives its own streams.
func Stream(seed uint64, entity, purpose string) rand.PCG {
	return virtual.Stream(seed, entity, purpose)
}

// account is whom a phone logs in as. An empty user: it has no account.
type account struct {
	user, password string
}

// run is one scenario under way.
type run struct {
	ctx      context.Context
	scenario *scenarios.Scenario
	options  Options
	world    world.World
	events   event.Stream
	records  *world.Records
	// closeWorld ends what the world has beside the run; nil: nothing.
	closeWorld func() error
	clock      clock.Clock // of a live world
	start      int64       // wall time at time zero, Unix seconds
	rules      *check.Invariants
	contacts   *contactGraph
	begin      time.Duration // zero or negative
	length     time.Duration // 0: until the script is done, and not before atLeast
	atLeast    time.Duration // when traces and routines with an end are over

	accounts    []account
	seconds     []second
	phones      []phoneState
	routines    []routine
	dests       []uint32 // room for whom a beacon goes to
	steps       []step
	open        []*step // those that have begun and not settled, in the order of their beginning
	unsettled   int
	active      []*wait
	moments     map[string]moment
	taken       map[*scenarios.Path][]float64 // values at named moments
	faults      faults
	acting      *scenarios.Step // of the script, while it is begun
	adversaries []adversary
	resent      map[resent]bool // by adversaries, of late
	broken      []check.Violation
	around      map[check.Invariant][]string
	idle        []uint64 // by routine: how often a phone was not logged in
	err         error    // why the run cannot go on
}

// phoneState is what the run keeps of each phone beside the world's.
type phoneState struct {
	routine int32 // whose list of commands is under way; -1: none
	next    int32 // the next command of that list
	opening bool  // the password of a script's login has not been typed yet
}

// second is a program that a phone has beside its own, for a login that begins
// while another of the same phone is under way.
type second struct {
	phone   int // whose
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
	if err := r.placeContacts(names); err != nil {
		return nil, err
	}
	r.readScript()
	r.addSeconds(len(names))
	if o.Live != nil {
		r.setClock(len(names) + len(r.seconds))
	}
	r.phones = make([]phoneState, len(names)+len(r.seconds))
	for i := range r.phones {
		r.phones[i].routine = -1
	}
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
	r.startFaults()
	r.startContacts()
	r.startRoutines(names)
	r.startAdversaries(names)
	r.startScript()
	return r, nil
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

// close ends what the run has beside its result.
func (r *run) close() error {
	r.contacts.close()
	if r.closeWorld == nil {
		return nil
	}
	return r.closeWorld()
}

// accountsOf gives each phone its account: an own one, none, or that of
// another phone.
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

// shareAccounts gives the phones that share one the account of its owner.
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

// config turns the scenario into a world's configuration.
func (r *run) config(names []string, zone *protocol.Zone) (virtual.Config, []time.Duration) {
	s := r.scenario
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
		TCP:         virtual.TCP{Delay: delayOf(s.Network.TCP.Delay), Split: s.Network.TCP.Split, Join: s.Network.TCP.Join},
		UDP:         virtual.UDP{Delay: delayOf(s.Network.UDP.Delay), Lose: s.Network.UDP.Lose},
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
	lendFolders(s, c.Phones)
	for i, sec := range r.seconds {
		of := c.Phones[sec.phone]
		of.Folder = nil // the log is that of the phone's own program
		of.Name = fmt.Sprintf("%s (program %d)", of.Name, i+2)
		c.Phones = append(c.Phones, of)
		retention = append(retention, retention[sec.phone])
	}
	return c, retention
}

// folder is for the files of the virtual server; nil when nobody will read them.
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

// credentials lists every account once.
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

// eventsAround is how many events are shown around a failure.
const eventsAround = 12

func (r *run) violated(v check.Violation) {
	r.broken = append(r.broken, v)
	r.around[v.Invariant] = r.records.Recent(v.Phone, eventsAround)
}

// place renders a position for reports.
func (r *run) place(p scenarios.Pos) string {
	return fmt.Sprintf("%s:%d:%d", r.scenario.File, p.Line, p.Col)
}

// failure is why the run could not be done; played is the error of its end.
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

// addSeconds gives a phone one more program for each login of the script after
// its first.
func (r *run) addSeconds(phones int) {
	logins := map[int]int{}
	for i := range r.steps {
		if st := &r.steps[i]; st.Login != nil {
			if logins[st.Phone]++; logins[st.Phone] > 1 {
				r.seconds = append(r.seconds, second{st.Phone, uint32(phones + len(r.seconds))})
			}
		}
	}
}
