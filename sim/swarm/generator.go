package swarm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
	"bluetrace/sim"
)

// Plan describes the scenario that a seed generated.
type Plan struct {
	Seed   uint64        `json:"seed"`
	Phones int           `json:"phones"`
	Heal   time.Duration `json:"heal_ns"` // the time at which every fault has ended
	Drawn  []string      `json:"drawn"`   // one line for each drawn setting, action, fault and adversary
}

// Bounds of the drawn values.
const (
	minHeal       = time.Minute
	maxHeal       = 8 * time.Minute
	maxWholeHeal  = 90 * time.Minute // for a seed whose faults last for the length of the base scenario
	minPhones     = 3                // unless the base scenario has fewer
	maxGroup      = 4000             // phones of one group
	maxNamed      = 20               // phones that a fault names one by one
	maxQueueDelay = 20 * time.Second // of a datagram on a slow path for which the base scenario gives no room
)

// Draw generates a scenario from base with everything drawn from the seed. It drops the expectations of base: under
// faults only the invariants must hold, and after Plan.Heal the generated liveness steps. The YAML form of the
// scenario (AppendYAML) gives the same run. Draw does not change base.
func Draw(base *scenarios.Scenario, seed uint64) (*scenarios.Scenario, Plan) {
	src := sim.Stream(seed, "swarm", base.Name)
	g := &generator{dice: dice{rand.New(&src)}}
	g.size(base)
	g.s.Seed, g.plan.Seed = seed, seed
	g.baseline()
	g.settings()
	g.startTime()
	g.safety()
	g.reconcile()
	g.liveness()
	return g.s, g.plan
}

// generatedMark begins the comment of a scenario file that a swarm wrote.
const generatedMark = "sim swarm: "

// GeneratedPrefixLength is the number of bytes of a file that IsGenerated needs.
const GeneratedPrefixLength = len("# " + generatedMark)

// IsGenerated reports whether a swarm wrote the scenario file that begins with prefix, so that another swarm may
// replace it.
func IsGenerated(prefix []byte) bool { return bytes.HasPrefix(prefix, []byte("# "+generatedMark)) }

// DrawnFile returns the file of the scenario that the seed generates, for the given path. The paths of contact traces
// in the file are relative to its folder.
func DrawnFile(base *scenarios.Scenario, seed uint64, path string) []byte {
	drawn, _ := Draw(base, seed)
	drawn.File = path
	comment := reports.Escape(fmt.Sprintf("%sdrawn with seed %d of %s", generatedMark, seed, base.File))
	return drawn.AppendYAML(fmt.Appendf(nil, "# %s\n", comment))
}

// dice draws values from the stream of a seed. The order of draws defines the scenario of a seed: a change of the order
// changes the scenarios of all seeds.
type dice struct{ *rand.Rand }

// oneIn returns true with probability 1/n.
func (d dice) oneIn(n int) bool { return d.IntN(n) == 0 }

// between draws a duration from least to most, in whole milliseconds.
func (d dice) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.Int64N(int64(max(most-least, 0)/time.Millisecond)+1))*time.Millisecond
}

// oneOf draws one of the given values.
func oneOf[T any](d interface{ IntN(n int) int }, all ...T) T { return all[d.IntN(len(all))] }

// length draws a duration of at most the given one. Short durations are more frequent.
func (d dice) length(most time.Duration) time.Duration {
	return d.between(time.Millisecond, max(time.Millisecond, most/time.Duration(1+d.IntN(20))))
}

// strength draws a probability. Low probabilities are more frequent.
func (d dice) strength() float64 {
	return oneOf(d, 0.01, 0.02, 0.05, 0.1, 0.3, 0.6, 1)
}

// delay draws a distribution of delays. A constant delay and the mean of an exponential one are at most the given one.
func (d dice) delay(most time.Duration) scenarios.Distribution {
	switch mean := d.between(time.Millisecond, most); d.IntN(3) {
	case 0:
		return scenarios.Distribution{Min: mean, Max: mean}
	case 1:
		return scenarios.Distribution{Min: mean / 2, Max: mean + time.Millisecond}
	default:
		return scenarios.Distribution{Mean: mean}
	}
}

// unsynced draws the fate of the data that a crashed node had not synced to its disk.
func (d dice) unsynced() string { return oneOf(d, "lost", "kept", "torn", "torn") }

// generator generates one scenario.
type generator struct {
	dice
	s           *scenarios.Scenario
	plan        Plan
	heal        healing
	phones      int      // phones of the base scenario that take part; later phones are adversaries
	withAccount []int    // the phones that have an account
	names       []string // of all phones
}

// note records one line of the plan.
func (g *generator) note(format string, args ...any) {
	g.plan.Drawn = append(g.plan.Drawn, fmt.Sprintf(format, args...))
}

// size draws the share of phones that take part, and removes the others from each group. The phones of a contact trace
// all take part.
func (g *generator) size(base *scenarios.Scenario) {
	all := 0
	for _, group := range base.Phones {
		all += group.Count
	}
	share := oneOf(g, 1, 0.5, 0.25, 0.1)
	takesPart := make([]bool, 0, all)
	for _, group := range base.Phones {
		n := group.Count
		if all > minPhones {
			n = max(1, int(float64(group.Count)*share))
		}
		n = min(n, maxGroup)
		for i := range group.Count {
			takesPart = append(takesPart, i < n)
		}
	}
	for i := range base.Contacts.Trace { // each person of the trace needs a phone
		for _, phone := range base.Contacts.Trace[i].Phones {
			takesPart[phone] = true
		}
	}
	g.s = base.Subset(func(i int) bool { return takesPart[i] })
	g.s.Manual = false
	g.names = g.s.PhoneNames()
	g.phones = len(g.names)
	g.plan.Phones = g.phones
	g.withAccount = g.s.WithAccounts()
	if g.phones < all {
		g.note("phones: %d of %d", g.phones, all)
	}
}

// baseline draws the time of the heal, removes the expectations of the base scenario, and limits its routines, steps,
// faults and adversaries to the time before the heal.
func (g *generator) baseline() {
	s := g.s
	s.Expect, s.Thresholds = nil, nil
	most := min(maxHeal, max(scriptEnd(s), 2*time.Minute))
	g.plan.Heal = g.between(minHeal, most)
	if g.oneIn(8) {
		g.plan.Heal = min(max(s.Length, most), maxWholeHeal)
	}
	s.Length = 0
	g.heal = healing{s: s, at: g.plan.Heal}
	g.heal.boundRoutines()
	g.heal.boundScript()
	faults, adversaries := s.Faults, s.Adversaries
	s.Faults, s.Adversaries = nil, nil
	for _, f := range faults {
		if g.heal.boundFault(&f) {
			g.addFault(f)
		}
	}
	for _, a := range adversaries {
		if a.From < g.plan.Heal {
			a.Until = capped(a.Until, g.plan.Heal)
			g.heal.actions = max(g.heal.actions, a.After.Longest())
			g.addAdversary(a)
		}
	}
}

// settings draws the settings of the server, the network and the phones. Each setting leaves liveness enough time.
func (g *generator) settings() {
	server := &g.s.Server
	if g.oneIn(2) {
		server.BlockDuration = oneOf(g, time.Second, 10*time.Second, 60*time.Second)
		server.TempIDLifetime = oneOf(g, minLifetime, time.Minute, 15*time.Minute)
		g.note("server: block_duration %v, tempid_lifetime %v", server.BlockDuration, server.TempIDLifetime)
	}
	server.TempIDLifetime = max(server.TempIDLifetime, minLifetime)
	if g.oneIn(4) {
		server.LoginTimeout = oneOf(g, 10*time.Second, 30*time.Second, 2*time.Minute)
		server.IdleTimeout = oneOf(g, time.Minute, 5*time.Minute, time.Hour)
		g.note("server: login_timeout %v, idle_timeout %v", server.LoginTimeout, server.IdleTimeout)
	}
	server.IdleTimeout = max(server.IdleTimeout, minIdle)
	if g.oneIn(6) {
		server.MaxUpload = oneOf(g, 3, 30, 3000)
		g.note("server: max_upload %d", server.MaxUpload)
	}
	g.limits()
	if g.oneIn(3) {
		server.DiskDelay = g.delay(50 * time.Millisecond)
		g.note("server: disk delay %s", server.DiskDelay)
	}
	// The answer to a login may wait for the disk.
	server.LoginTimeout = max(server.LoginTimeout, minLogin+server.DiskDelay.Longest())
	g.network()
	g.groups()
}

// unknownNameBytes is the memory of a blocked name without an account, as in nodes.
const unknownNameBytes = 400

// limits draws limits of the server that a run may reach. Liveness needs connections of each phone: its last one, its
// next one, and those of further programs. There is no limit if sessions of a script or of false uploads could stay
// open.
func (g *generator) limits() {
	server := &g.s.Server
	scripted := func(st scenarios.Step) bool { return st.TCP != nil || st.Login != nil }
	uploads := func(a scenarios.Adversary) bool { return a.Kind == scenarios.AdversaryUpload }
	if g.oneIn(4) && !slices.ContainsFunc(g.s.Script, scripted) && !slices.ContainsFunc(g.s.Adversaries, uploads) {
		server.MaxConnections = 3*len(g.withAccount) + 1 + g.IntN(3)
		g.note("server: max_connections %d", server.MaxConnections)
	}
	if g.oneIn(4) {
		server.MaxBlocked = unknownNameBytes * (1 + g.IntN(3))
		g.note("server: max_blocked_bytes %d", server.MaxBlocked)
	}
}

// network draws the delays of the network. It replaces the losses, splits and joins that the base scenario has for the
// whole run by faults that end at the heal: a login in pieces is refused, which would fail liveness.
func (g *generator) network() {
	n, heal := &g.s.Network, g.plan.Heal
	if g.oneIn(2) {
		n.TCP.Delay, n.UDP.Delay = g.delay(200*time.Millisecond), g.delay(50*time.Millisecond)
		g.note("network: tcp delay %s, udp delay %s", n.TCP.Delay, n.UDP.Delay)
	}
	if lose := n.UDP.Lose; lose > 0 {
		g.addFault(scenarios.Fault{Kind: fault.Lose, Chance: lose, For: heal, From: anyNode(), To: anyNode()})
	}
	if split := n.TCP.Split; split > 0 {
		g.addFault(scenarios.Fault{Kind: fault.Pieces, Chance: 1, Bytes: split, For: heal, Of: anyNode()})
	}
	if d := n.TCP.Join; d > 0 {
		g.addFault(scenarios.Fault{Kind: fault.Join, Chance: 1, Delay: constantDelay(d), For: heal, Of: anyNode()})
	}
	n.UDP.Lose, n.TCP.Split, n.TCP.Join = 0, 0, 0
}

// groups draws the retention and the beacon form of each group of phones.
func (g *generator) groups() {
	g.s.Phones = slices.Clone(g.s.Phones)
	for i := range g.s.Phones {
		group := &g.s.Phones[i]
		if g.oneIn(3) {
			group.Retention = oneOf(g, 15*time.Second, time.Minute, 3*time.Minute)
			g.note("%s: retention %v", group.Name, group.Retention)
		}
		if g.oneIn(4) {
			group.Form = oneOf(g, scenarios.FormSplit, scenarios.FormSingle)
			g.note("%s: beacon %s", group.Name, group.Form)
		}
	}
}

// startTime lets some seeds start shortly before a change of local time. If the zone of the base scenario has no such
// change, it draws a zone east or west of Greenwich whose change is an hour (north or south) or half an hour.
func (g *generator) startTime() {
	s := g.s
	if !g.oneIn(6) {
		return
	}
	zone := s.Zone
	change, ok := protocol.NewZone(zone).NextChange(s.Start)
	if !ok {
		var err error
		zone, err = scenarios.Zone(oneOf(g, "Europe/London", "Australia/Sydney", "Australia/Lord_Howe",
			"America/New_York", "America/St_Johns", "America/Santiago"))
		if err != nil {
			panic(err) // the program contains these zones
		}
		change, ok = protocol.NewZone(zone).NextChange(s.Start)
	}
	if ok && g.oneIn(2) { // the change after that one, which is in the other direction
		change, ok = protocol.NewZone(zone).NextChange(change)
	}
	if !ok {
		return
	}
	seconds := int64(g.between(time.Second, g.plan.Heal) / time.Second)
	s.Zone, s.Start = zone, change-seconds
	g.note("start: %s in %s, %v before clocks change",
		time.Unix(s.Start, 0).In(zone).Format("02/01/2006 15:04:05"), zone, time.Duration(seconds)*time.Second)
}

// addFault appends a fault. The fault must end by plan.Heal, the time at which every fault has ended.
func (g *generator) addFault(f scenarios.Fault) {
	g.heal.limitBacklog(&f)
	f.Text = g.s.FaultText(&f)
	g.note("fault: %s", f.Text)
	g.s.Faults = append(g.s.Faults, f)
	if f.Kind == fault.Clock {
		g.heal.correctClock(&f)
	}
}

// addAdversary appends an adversary.
func (g *generator) addAdversary(a scenarios.Adversary) {
	a.Text = g.s.AdversaryText(&a)
	g.note("adversary: %s", a.Text)
	g.s.Adversaries = append(g.s.Adversaries, a)
}

// reconcile appends the corrections of clocks at the heal. It also delays each login that counts from a label by the
// time that the login needs at least, which depends on the network drawn after it.
func (g *generator) reconcile() {
	g.s.Faults = slices.Concat(g.s.Faults, g.heal.corrections)
	for i := range g.s.Script {
		st := &g.s.Script[i]
		login := st.Login != nil || st.Do != nil && st.Do.Verb == scenarios.VerbLogin
		if login && st.At.Label != "" {
			st.At.Offset = max(st.At.Offset, g.s.LoginLead(st.Phone))
		}
	}
}

// mallory is the name of the phone, without an account, that most adversaries act from.
const mallory = "mallory"

// adversaries draws adversaries, unless the base scenario has a phone named mallory.
func (g *generator) adversaries() {
	isMallory := func(group scenarios.PhoneGroup) bool { return strings.HasPrefix(group.Name, mallory) }
	if slices.ContainsFunc(g.s.Phones, isMallory) {
		return
	}
	by := g.phones
	g.names = append(g.names, mallory)
	g.s.Phones = append(g.s.Phones, scenarios.PhoneGroup{
		Name: mallory, Count: 1, Account: "none", Retention: 3 * time.Minute,
		Form: scenarios.FormSplit, PasswordPause: 50 * time.Millisecond,
	})
	for range 1 + g.IntN(3) {
		kind := oneOf(g,
			scenarios.AdversaryReplay, scenarios.AdversaryForge, scenarios.AdversaryFlood, scenarios.AdversaryGuess,
			scenarios.AdversaryGarbage, scenarios.AdversaryUpload, scenarios.AdversaryHold)
		if a, ok := g.drawAdversary(kind, by); ok {
			g.addAdversary(a)
		}
	}
}

// drawAdversary draws an adversary of the given kind that acts from the phone with the index by. It returns false if
// the kind needs a phone with an account and the scenario has none, or cannot act beside a limit of connections.
func (g *generator) drawAdversary(k scenarios.AdversaryKind, by int) (scenarios.Adversary, bool) {
	a := scenarios.Adversary{Kind: k, By: []int{by}, Until: g.plan.Heal}
	if k != scenarios.AdversaryReplay {
		a.Every = g.between(200*time.Millisecond, 20*time.Second)
		a.Jitter = oneOf(g, 0, 0.5, 1)
	}
	if g.oneIn(3) {
		a.From = g.between(0, g.plan.Heal/2)
	}
	switch k {
	case scenarios.AdversaryReplay:
		a.Of, a.To = g.allPhones(), g.somePhones().Phones
		a.Chance = g.strength()
		if g.oneIn(4) { // without a delay
			break
		}
		a.After = scenarios.Distribution{Max: g.between(time.Millisecond, 4*time.Minute)}
		g.heal.actions = max(g.heal.actions, a.After.Max)
	case scenarios.AdversaryFlood:
		if g.oneIn(2) { // more sources than a phone keeps
			a.To, a.Ports = []int{g.IntN(g.phones)}, protocol.MaxSourcesPerAddress+1+g.IntN(1000)
			a.Every, a.From = g.between(time.Millisecond, 10*time.Millisecond), g.between(0, g.plan.Heal/2)
			a.Until = min(a.From+time.Duration(2*a.Ports)*a.Every, g.plan.Heal)
			break
		}
		fallthrough
	case scenarios.AdversaryForge:
		a.To = g.somePhones().Phones
		if g.oneIn(4) {
			a.Every = g.between(10*time.Millisecond, 200*time.Millisecond)
			a.From = g.between(0, g.plan.Heal/2)
			a.Until = a.From + g.length(g.plan.Heal-a.From)
		}
	case scenarios.AdversaryGuess:
		a.Of = g.withAccount
	case scenarios.AdversaryUpload:
		if len(g.withAccount) == 0 || g.s.Server.MaxConnections > 0 {
			return a, false
		}
		a.By, a.Invented = []int{g.anyWithAccount()}, g.oneIn(2)
	}
	return a, k != scenarios.AdversaryGuess || len(a.Of) > 0
}

// anyWithAccount draws one of the phones that have an account.
func (g *generator) anyWithAccount() int { return g.withAccount[g.IntN(len(g.withAccount))] }

// somePhones draws one phone, a few, or all.
func (g *generator) somePhones() scenarios.Nodes {
	switch g.IntN(4) {
	case 0:
		return scenarios.Nodes{Phones: g.allPhones()}
	case 1:
		all := g.allPhones()
		g.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		all = all[:1+g.IntN(min(len(all), maxNamed))]
		slices.Sort(all)
		return scenarios.Nodes{Phones: all}
	}
	return phoneNode(g.IntN(g.phones))
}

// allPhones returns every phone that is no adversary.
func (g *generator) allPhones() []int {
	all := make([]int, g.phones)
	for i := range all {
		all[i] = i
	}
	return all
}

func anyNode() scenarios.Nodes { return scenarios.Nodes{Any: true} }

func serverNode() scenarios.Nodes { return scenarios.Nodes{Server: true} }

func phoneNode(i int) scenarios.Nodes { return scenarios.Nodes{Phones: []int{i}} }

func constantDelay(d time.Duration) scenarios.Distribution {
	return scenarios.Distribution{Min: d, Max: d}
}
