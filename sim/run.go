package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"time"
	"unsafe"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
	"bluetrace/sim/event"
	"bluetrace/sim/export"
	"bluetrace/sim/prefetch"
	"bluetrace/sim/scene"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// Stream returns the random stream of an entity for one purpose. A run derives its own streams from its seed in this
// way.
func Stream(seed uint64, entity, purpose string) rand.PCG {
	return virtual.Stream(seed, entity, purpose)
}

// run is one run of a scenario: a world, the parts that act on it and those that observe it.
type run struct {
	ctx      context.Context
	scenario *scenarios.Scenario
	options  Options
	start    int64         // wall time at time zero, Unix seconds
	begin    time.Duration // the time of the first event, zero or negative
	accounts []account     // by phone
	programs int           // the number of programs: one of each phone, and the additional ones

	world      world.World
	closeWorld func() error // releases the resources of the world
	events     event.Stream
	exported   []func() error // write the rest of the files for other programs
	records    *world.Records
	rules      *check.Invariants
	measures   *measures
	scene      *scene.Collector // nil if none is requested

	script      *script
	faults      *faults
	contacts    *contacts
	routines    *routines
	adversaries *adversaries
	err         error // the reason why the run cannot continue
}

// newRun prepares a run up to its first event.
func newRun(ctx context.Context, s *scenarios.Scenario, o Options) (*run, error) {
	if o.Live != nil {
		if err := refuseLive(s, o.Live); err != nil {
			return nil, err
		}
		if o.Pcap != nil {
			return nil, &Invalid{s.File,
				errors.New("--pcap needs virtual time: omit --live, or capture packets with tcpdump")}
		}
		s = withoutNetworkDelays(s)
	}
	r := &run{ctx: ctx, scenario: s, options: o, start: s.Start}
	names := s.PhoneNames()
	requestLargePages(len(names))
	own := ownAccount
	if o.Live != nil && o.Live.Server != "" {
		own = o.Live.accountPicker(s)
	}
	var err error
	if r.accounts, err = accountsOf(s, names, own); err != nil {
		return nil, err
	}
	if r.contacts, err = newContacts(ctx, s, names); err != nil {
		return nil, err
	}
	r.script = newScript(s, len(names), newPrograms(s, o.Live))
	r.script.owners.translated = o.Dialect != nil
	r.begin = r.script.begin()
	r.programs = len(names) + len(r.script.extra)
	r.faults = &faults{scenario: s, phones: len(names), extra: r.script.extra}
	r.routines = newRoutines(s, r.programs)
	r.adversaries = &adversaries{accounts: r.accounts}
	if err := r.makeWorld(names); err != nil {
		return nil, err
	}
	r.scheduleStart(names)
	return r, nil
}

// makeWorld makes the world and subscribes the observers to its events.
func (r *run) makeWorld(names []string) error {
	server, err := r.options.Live.startServer(r.ctx, r.accounts, r.scenario.Server.BlockDuration)
	if err != nil {
		return err
	}
	var live clock.Clock
	if r.options.Live != nil { // the time begins when the server listens
		live, r.start = r.options.Live.clock(r.scenario, r.begin, r.programs)
	}
	config, retention := r.config(names)
	r.script.folder = config.Folder
	r.measures = &measures{
		dialect:  r.options.Dialect,
		scenario: r.scenario, live: r.options.Live, server: server, begin: r.begin, faults: r.faults,
		adversaries: r.adversaries, script: r.script, withoutDelays: r.options.WithoutDelays,
		atLabels: map[*scenarios.Path][]float64{},
	}
	r.rules = check.New(r.invariantRules(retention), r.measures.violated)
	if err := r.subscribe(&config); err != nil {
		return err
	}
	r.measures.records, r.measures.rules = r.records, r.rules
	if r.options.built != nil {
		r.options.built(r)
	}
	if live != nil {
		config.Start = r.start
		r.world, r.closeWorld, err = r.options.Live.newWorld(r.ctx, r.scenario, live, config, r.options.folder, server,
			r.address)
		return err
	}
	w, err := virtual.New(config)
	if err != nil {
		return &Invalid{Place: r.scenario.File, Err: err}
	}
	r.world, r.closeWorld = w, func() error { return nil }
	return nil
}

// subscribe subscribes the observers of the run. At each event they are called in this order.
func (r *run) subscribe(c *virtual.Config) error {
	names := make([]string, len(c.Phones))
	for i := range c.Phones {
		names[i] = c.Phones[i].Name
	}
	r.records = world.NewRecords(names, r.options.Trace)
	if r.options.Scene {
		limits := scene.DefaultLimits()
		if n := r.options.SceneEvents; n > 0 {
			limits.ShowEvents(n)
		}
		r.scene = scene.New(scene.Run{
			Recorder: r.records.Recorder, Totals: r.records.Totals(), Names: names, Begin: r.begin,
			Block: r.scenario.Server.BlockDuration,
			Log:   func(phone event.Node) *nodes.ContactLog { return r.world.PeekLog(phone) },
		}, limits)
		r.scene.Subscribe(&r.events)
		r.script.scene, r.measures.scene = r.scene, r.scene
	}
	r.records.Subscribe(&r.events)
	if err := r.export(export.Run{Names: names, Start: time.Unix(r.start, 0).In(r.scenario.Zone)}); err != nil {
		return err
	}
	if r.options.Subscribe != nil {
		r.options.Subscribe(&r.events)
	}
	r.rules.Subscribe(&r.events)
	r.events.On(event.FaultApplied, r.faults.countEffect)
	if len(r.scenario.Adversaries) > 0 {
		r.events.On(event.BeaconJudged, r.adversaries.overhear)
	}
	r.script.subscribe(&r.events)
	if r.options.Live.isRemote() { // the server itself is not observed
		r.events.On(event.Replied, func(e *event.Event) {
			r.rules.Received(int64(r.world.Now()), r.world.Name(e.Node), e.Bytes)
		})
	}
	if len(r.scenario.Routine) > 0 {
		r.events.On(event.OperationDone, r.routines.operationDone)
	}
	c.Events, c.Tick = &r.events, r.tick
	if r.options.Dialect != nil {
		d := *r.options.Dialect
		d.Zone, d.Lifetime = r.scenario.Zone, r.scenario.Server.TempIDLifetime
		c.Dialect, c.Misunderstood = &d, r.measures.notUnderstood
	}
	c.Prefetchers = []prefetch.Prefetcher{r.rules, r}
	return nil
}

// export subscribes the observers that write files for other programs.
func (r *run) export(of export.Run) error {
	if w := r.options.Events; w != nil {
		export.NewEvents(of, w).Subscribe(&r.events)
	}
	if w := r.options.Perfetto; w != nil {
		export.NewPerfetto(of, r.scenario.Server.BlockDuration, w).Subscribe(&r.events)
	}
	if w := r.options.Pcap; w != nil {
		view, err := r.nodeOfView(of.Names)
		if err != nil {
			return err
		}
		packets, err := export.NewPackets(of, virtual.Address, view, w)
		if err != nil {
			return err
		}
		packets.Subscribe(&r.events)
		r.exported = append(r.exported, packets.Close)
	}
	return nil
}

// nodeOfView returns the node whose packets are written; nil for all nodes.
func (r *run) nodeOfView(names []string) (*event.Node, error) {
	name := r.options.PcapAt
	node := event.Node(slices.Index(names, name))
	switch {
	case name == "":
		return nil, nil
	case name == "server":
		node = event.Server
	case !slices.Contains(names, name):
		return nil, &Invalid{r.scenario.File,
			fmt.Errorf("unknown node %q of --pcap-at: name a phone or `server`", name)}
	}
	return &node, nil
}

// address returns the address from which a program of a phone connects; nil for any.
func (r *run) address(program int) net.IP {
	groups := groupsOf(r.scenario)
	if program >= len(groups) {
		program = r.script.extra[program-len(groups)]
	}
	return net.ParseIP(groups[program].Address)
}

// scheduleStart schedules the first events of the run.
func (r *run) scheduleStart(names []string) {
	s, w := r.scenario, r.world
	forger := &forger{w, s.Server.TempIDLifetime}
	commands := &commands{
		world: w, scenario: s, contacts: r.contacts, accounts: r.accounts,
		fail: r.fail, observe: r.options.Commanded, owners: r.script.owners,
	}
	r.measures.world = w
	sc := r.script
	sc.world, sc.records, sc.accounts, sc.commands = w, r.records, r.accounts, commands
	sc.owners.world = w
	sc.server = r.measures.server
	sc.programs.world, _ = w.(programWorld)
	sc.forger, sc.faults, sc.labelSet = forger, r.faults, r.measures.labelSet
	sc.earliestEnd = max(r.contacts.end, r.routines.end())
	for i := range s.Adversaries {
		sc.earliestEnd = max(sc.earliestEnd, s.Adversaries[i].Until)
	}
	r.faults.start(w, r.begin)
	r.contacts.start(w, r.begin)
	r.routines.start(w, commands, s.Seed, names)
	r.adversaries.start(w, forger, sc.runUnscripted, s, names)
	sc.start()
}

// fail ends a run that cannot continue.
func (r *run) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.world.Stop()
}

// tick begins a turn of a routine or a change of contacts.
func (r *run) tick(who, arg uint32) {
	if arg&tickKind == tickRoutine {
		r.routines.tick(int(arg), who)
		return
	}
	r.contacts.tick(who, arg)
}

var _ prefetch.Prefetcher = (*run)(nil)

// Prefetch prefetches the random stream and the contacts of a phone whose routine runs soon.
func (r *run) Prefetch(in prefetch.Input) {
	if !in.IsTick || in.Arg&tickKind != tickRoutine || int(in.Phone) >= len(r.contacts.of) {
		return
	}
	if of := &r.contacts.of[in.Phone]; in.Near {
		prefetch.Line(unsafe.Pointer(unsafe.SliceData(*of)))
	} else {
		prefetch.Line(unsafe.Pointer(of))
		prefetch.Line(unsafe.Pointer(&r.routines.list[in.Arg&^tickKind].streams[in.Phone]))
	}
}

// play handles all events of the run. Its error is that of the context, or of the world.
func (r *run) play(ctx context.Context) error {
	until := time.Duration(math.MaxInt64)
	if r.scenario.Length > 0 {
		until = r.scenario.Length
	}
	poll := func() {
		if r.records.TraceError() != nil {
			r.world.Stop()
		}
		if r.options.Progress != nil {
			r.options.Progress(r.progress(r.world.Now() - r.begin))
		}
	}
	return r.world.Run(ctx, until, poll)
}

// progress returns the progress of the run at a time.
func (r *run) progress(at time.Duration) Progress {
	p := Progress{
		At: at, Length: max(r.scenario.Length, r.script.earliestEnd),
		Events: r.world.Events(), Run: r.measures.runSoFar, Checks: r.measures.checksSoFar,
	}
	if r.options.Live != nil {
		p.Doing = r.script.awaited()
	}
	return p
}

// outcome reports the run, which has ended.
func (r *run) outcome(interrupted bool) *Result {
	notes := slices.Concat(r.contacts.notes, r.options.Live.notes(r.scenario), r.routines.notes(r.scenario))
	result := r.measures.outcome(interrupted, r.programs, notes)
	if r.scene != nil {
		s := r.scene.Scene(result.Ended)
		s.Source, s.Start, s.Build = r.scenario.Text, time.Unix(r.start, 0).In(r.scenario.Zone), Build()
		result.Run.Scene = s
	}
	return result
}

// failure returns the reason why the run could not be done, or nil. played is the error of play.
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

// account is the account of a phone. The user is empty if the phone has none.
type account struct {
	user, password string
}

// wrong returns a wrong password. That of a long password has its length, because wires with fields of a fixed size
// exist.
func (a account) wrong() string {
	const mark, long = "not-", 10
	if len(a.password) >= long {
		return mark + a.password[len(mark):]
	}
	return mark + a.password
}

// groupsOf returns the group of each phone.
func groupsOf(s *scenarios.Scenario) []*scenarios.PhoneGroup {
	var groups []*scenarios.PhoneGroup
	for i := range s.Phones {
		for range s.Phones[i].Count {
			groups = append(groups, &s.Phones[i])
		}
	}
	return groups
}

// accountsOf returns the account of each phone: its own, as own returns it, none, or that of another phone.
func accountsOf(
	s *scenarios.Scenario, names []string, own func(int, *scenarios.PhoneGroup) (account, error),
) (all []account, err error) {
	all = make([]account, len(names))
	byName := make(map[string]int, len(names))
	for i, g := range groupsOf(s) {
		byName[names[i]] = i
		if g.Account != "own" {
			continue
		}
		if all[i], err = own(i, g); err != nil {
			return nil, &Invalid{s.Place(g.Pos), fmt.Errorf("phone %s: %w", names[i], err)}
		}
	}
	for i, g := range groupsOf(s) {
		if g.Account != "own" && g.Account != "none" {
			all[i] = all[byName[g.Account]]
		}
	}
	return all, nil
}

// ownAccount returns the account of a phone as the scenario names it, or with a generated user and password.
func ownAccount(i int, g *scenarios.PhoneGroup) (account, error) {
	return account{
		cmp.Or(g.User, scenarios.AccountUser(i)), cmp.Or(g.Password, fmt.Sprintf("comp%d", 3331+i)),
	}, nil
}

// config returns the configuration of the world and the retention of each program.
func (r *run) config(names []string) (virtual.Config, []time.Duration) {
	s := r.scenario
	zone := protocol.NewZone(s.Zone)
	tcp, udp := &s.Network.TCP, &s.Network.UDP
	server := nodes.DefaultServerSettings()
	server.BlockDuration = s.Server.BlockDuration
	server.TempIDLifetime = s.Server.TempIDLifetime
	server.LoginTimeout = s.Server.LoginTimeout
	server.IdleTimeout = s.Server.IdleTimeout
	server.MaxUploadLines = s.Server.MaxUpload
	server.MaxConnections = s.Server.MaxConnections
	server.MaxBlockedBytes = s.Server.MaxBlocked
	c := virtual.Config{
		Seed: s.Seed, Start: s.Start, Begin: r.begin, Zone: zone,
		Server: server, DiskDelay: virtual.Delay(s.Server.DiskDelay), Folder: r.folder(),
		Unsynced:    r.options.Unsynced,
		Credentials: r.credentials(),
		Phones:      make([]virtual.PhoneConfig, 0, len(names)),
		TCP:         virtual.TCP{Delay: virtual.Delay(tcp.Delay), Split: tcp.Split, Join: tcp.Join},
		UDP:         virtual.UDP{Delay: virtual.Delay(udp.Delay), Lose: udp.Lose},
		Step:        r.options.Step, Stepped: func(at time.Duration) { r.options.Stepped(r.progress(at)) },
	}
	retention := make([]time.Duration, 0, len(names))
	for _, g := range s.Phones {
		settings := nodes.DefaultPhoneSettings()
		settings.Zone = zone
		settings.Retention = g.Retention
		settings.PasswordPause = g.PasswordPause
		settings.TempIDLifetime = s.Server.TempIDLifetime
		if g.Form == scenarios.FormSingle {
			settings.Form = protocol.Single
		}
		for range g.Count {
			c.Phones = append(c.Phones, virtual.PhoneConfig{Name: names[len(c.Phones)], Settings: &settings})
			retention = append(retention, g.Retention)
		}
	}
	assignFolders(s, c.Phones)
	for i, phone := range r.script.extra {
		of := c.Phones[phone]
		of.Folder = nil // the log is that of the phone's own program
		of.Name = fmt.Sprintf("%s (program %d)", of.Name, i+2)
		c.Phones = append(c.Phones, of)
		retention = append(retention, retention[phone])
	}
	return c, retention
}

// folder returns a folder for the files of a virtual server, or nil if the server never reads them.
func (r *run) folder() *files.Memory {
	reads := func(e scenarios.StepExpect) bool { return e.Stores || e.Lifetime > 0 }
	needs := func(st scenarios.Step) bool { return st.Restart != nil || slices.ContainsFunc(st.Expect, reads) }
	ofServer := func(f *scenarios.Fault) bool { return f.Of.Any || f.Of.Server }
	switch {
	case r.options.folder != nil:
		return r.options.folder
	case slices.ContainsFunc(restartFaults(r.scenario), ofServer), slices.ContainsFunc(r.scenario.Script, needs):
		return files.NewMemory()
	}
	return nil
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

// invariantRules returns the settings that the invariants check. retention is that of each program.
func (r *run) invariantRules(retention []time.Duration) check.Rules {
	s := r.scenario
	rules := check.Rules{
		Start: r.start, Location: s.Zone,
		BlockDuration: s.Server.BlockDuration,
		MaxBlocked:    s.Server.MaxBlocked / nodes.UnknownNameBytes,
		Lifetime:      s.Server.TempIDLifetime,
		Accounts:      map[string]string{},
		Retention:     retention,
		Exact:         r.options.Live == nil && r.options.Dialect == nil,
	}
	for _, a := range r.accounts {
		if a.user != "" {
			rules.Accounts[a.user] = a.password
		}
	}
	return rules
}
