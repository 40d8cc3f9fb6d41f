package swarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/virtual"
)

// Plan is what a seed drew.
type Plan struct {
	Seed   uint64        `json:"seed"`
	Phones int           `json:"phones"`
	Heal   time.Duration `json:"heal_ns"` // when faults end
	Drawn  []string      `json:"drawn"`   // a line each
}

// generator draws one scenario.
type generator struct {
	*rand.Rand
	s           *scenarios.Scenario
	plan        Plan
	phones      int   // of the file; those behind are adversaries
	withAccount []int // phones with an account
	// late is how long after the heal a step may still act that waits for the
	// moment of another.
	actionsAfterHeal time.Duration
	// behind is how long after the heal a slow way may still carry what waits.
	backlogAfterHeal time.Duration
	clockCorrections []scenarios.Fault // what puts clocks right at the heal
	names            []string          // of the phones
}

// Bounds of what is drawn.
const (
	leastHeal = time.Minute
	mostHeal  = 8 * time.Minute
	wholeHeal = 90 * time.Minute // of a seed that takes the whole of the file
	fewest    = 3                // phones, unless the file has fewer
	mostDrawn = 4000             // phones of a group
	mostWait  = 20 * time.Second // of a datagram on a slow way for which a file says no room
)

// Draw makes a scenario of base, with everything drawn from the seed. What base
// expects is left out: under faults only the invariants hold, and what is said
// behind Plan.Heal. The file of that scenario (AppendYAML) is the same run.
func Draw(base *scenarios.Scenario, seed uint64) (*scenarios.Scenario, Plan) {
	src := virtual.Stream(seed, "swarm", base.Name)
	h := &generator{Rand: rand.New(&src)}
	h.size(base)
	h.s.Seed, h.plan.Seed = seed, seed
	h.baseline()
	h.settings()
	h.startTime()
	h.safety()
	h.reconcile()
	h.liveness()
	return h.s, h.plan
}

// note keeps what was drawn.
func (h *generator) note(format string, args ...any) {
	h.plan.Drawn = append(h.plan.Drawn, fmt.Sprintf(format, args...))
}

// oneIn in n is true.
func (h *generator) oneIn(n int) bool { return h.IntN(n) == 0 }

// between draws a duration from least to most, in whole milliseconds.
func (h *generator) between(least, most time.Duration) time.Duration {
	return least + time.Duration(h.Int64N(int64(max(most-least, 0)/time.Millisecond)+1))*time.Millisecond
}

func (h *generator) duration(all ...time.Duration) time.Duration { return all[h.IntN(len(all))] }

// size draws how many phones of each group take part.
func (h *generator) size(base *scenarios.Scenario) {
	all := 0
	for _, g := range base.Phones {
		all += g.Count
	}
	share := []float64{1, 0.5, 0.25, 0.1}[h.IntN(4)]
	left := make([]bool, 0, all)
	for _, g := range base.Phones {
		few := g.Count
		if all > fewest {
			few = max(1, int(float64(g.Count)*share))
		}
		few = min(few, mostDrawn)
		for i := range g.Count {
			left = append(left, i < few)
		}
	}
	h.s = base.Subset(func(i int) bool { return left[i] })
	h.s.Manual = false
	h.names = h.s.PhoneNames()
	h.phones = len(h.names)
	h.plan.Phones = h.phones
	i := 0
	for _, g := range h.s.Phones {
		for range g.Count {
			if g.Account != "none" {
				h.withAccount = append(h.withAccount, i)
			}
			i++
		}
	}
	if h.phones < all {
		h.note("phones: %d of %d", h.phones, all)
	}
}

// settings draws timings, delays and forms.
func (h *generator) settings() {
	s := h.s
	if h.oneIn(2) {
		s.Server.BlockDuration = h.duration(time.Second, 10*time.Second, 60*time.Second)
		s.Server.TempIDLifetime = h.duration(leastLifetime, time.Minute, 15*time.Minute)
		h.note("server: block_duration %v, tempid_lifetime %v", s.Server.BlockDuration, s.Server.TempIDLifetime)
	}
	s.Server.TempIDLifetime = max(s.Server.TempIDLifetime, leastLifetime)
	if h.oneIn(4) {
		s.Server.LoginTimeout = h.duration(10*time.Second, 30*time.Second, 2*time.Minute)
		s.Server.IdleTimeout = h.duration(time.Minute, 5*time.Minute, time.Hour)
		h.note("server: login_timeout %v, idle_timeout %v", s.Server.LoginTimeout, s.Server.IdleTimeout)
	}
	s.Server.IdleTimeout = max(s.Server.IdleTimeout, leastIdle)
	if h.oneIn(6) {
		s.Server.MaxUpload = []int{3, 30, 3000}[h.IntN(3)]
		h.note("server: max_upload %d", s.Server.MaxUpload)
	}
	if h.oneIn(3) {
		s.Server.DiskDelay = h.delay(50 * time.Millisecond)
		h.note("server: disk delay %s", s.Server.DiskDelay)
	}
	// A welcome may wait for the disk.
	s.Server.LoginTimeout = max(s.Server.LoginTimeout, leastLogin+s.Server.DiskDelay.Longest())
	h.network()
	h.groups()
}

func (h *generator) network() {
	n := &h.s.Network
	if h.oneIn(2) {
		n.TCP.Delay, n.UDP.Delay = h.delay(200*time.Millisecond), h.delay(50*time.Millisecond)
		h.note("network: tcp delay %s, udp delay %s", n.TCP.Delay, n.UDP.Delay)
	}
	h.networkFaults(n)
}

// networkFaults makes faults, which are over at the heal, of what the file's
// network does for the whole run: a login in pieces is refused, as it should be.
func (h *generator) networkFaults(n *scenarios.Network) {
	heal := h.plan.Heal
	if lose := n.UDP.Lose; lose > 0 {
		h.addFault(scenarios.Fault{Kind: scenarios.FaultLose, Chance: lose, For: heal, From: anyNode(), To: anyNode()})
	}
	if split := n.TCP.Split; split > 0 {
		h.addFault(scenarios.Fault{Kind: scenarios.FaultPieces, Chance: 1, Bytes: split, For: heal, Of: anyNode()})
	}
	if d := n.TCP.Join; d > 0 {
		h.addFault(scenarios.Fault{Kind: scenarios.FaultJoin, Chance: 1, Delay: scenarios.Distribution{Min: d, Max: d}, For: heal, Of: anyNode()})
	}
	n.UDP.Lose, n.TCP.Split, n.TCP.Join = 0, 0, 0
}

func (h *generator) groups() {
	h.s.Phones = slices.Clone(h.s.Phones)
	for i := range h.s.Phones {
		g := &h.s.Phones[i]
		if h.oneIn(3) {
			g.Retention = h.duration(15*time.Second, time.Minute, 3*time.Minute)
			h.note("%s: retention %v", g.Name, g.Retention)
		}
		if h.oneIn(4) {
			g.Form = []scenarios.Form{scenarios.FormSplit, scenarios.FormSingle}[h.IntN(2)]
			h.note("%s: beacon %s", g.Name, g.Form)
		}
	}
}

// zonesWithChanges are zones whose clocks change: by an hour to the north and the south,
// and by half an hour.
func zonesWithChanges() []string {
	return []string{"Europe/London", "Australia/Sydney", "Australia/Lord_Howe"}
}

// startTime has some seeds begin shortly before clocks change in their zone.
func (h *generator) startTime() {
	s := h.s
	if !h.oneIn(6) {
		return
	}
	zone := s.Zone
	_, change := time.Unix(s.Start, 0).In(zone).ZoneBounds()
	if change.IsZero() {
		var err error
		if zone, err = scenarios.Zone(zonesWithChanges()[h.IntN(len(zonesWithChanges()))]); err != nil {
			panic(err) // they are in the program
		}
		_, change = time.Unix(s.Start, 0).In(zone).ZoneBounds()
	}
	if h.oneIn(2) { // the one after that goes the other way
		_, change = change.ZoneBounds()
	}
	if change.IsZero() {
		return
	}
	s.Zone = zone
	s.Start = change.Unix() - int64(h.between(time.Second, h.plan.Heal)/time.Second)
	h.note("start: %s in %s, %v before clocks change", time.Unix(s.Start, 0).In(zone).Format("02/01/2006 15:04:05"), zone,
		change.Sub(time.Unix(s.Start, 0)))
}

// delay draws a distribution of delays below most.
func (h *generator) delay(most time.Duration) scenarios.Distribution {
	switch d := h.between(time.Millisecond, most); h.IntN(3) {
	case 0:
		return scenarios.Distribution{Min: d, Max: d}
	case 1:
		return scenarios.Distribution{Min: d / 2, Max: d + time.Millisecond}
	default:
		return scenarios.Distribution{Mean: d}
	}
}

func anyNode() scenarios.Nodes { return scenarios.Nodes{Any: true} }

func serverNode() scenarios.Nodes { return scenarios.Nodes{Server: true} }

func phoneNode(i int) scenarios.Nodes { return scenarios.Nodes{Phones: []int{i}} }
