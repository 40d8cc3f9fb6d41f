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
	Heal   time.Duration `json:"heal_ns"` // when faults end and liveness begins
	Drawn  []string      `json:"drawn"`   // a line each
}

// hand draws one scenario.
type hand struct {
	*rand.Rand
	s       *scenarios.Scenario
	plan    Plan
	phones  int   // of the file; those behind are adversaries
	callers []int // phones with an account
}

// Bounds of what is drawn.
const (
	leastHeal = time.Minute
	mostHeal  = 8 * time.Minute
	fewest    = 3 // phones, unless the file has fewer
	mostDrawn = 4000
)

// Draw makes a scenario of base, with everything drawn from the seed. What base
// expects is left out: under faults only the invariants hold, and what is said
// behind Plan.Heal.
func Draw(base *scenarios.Scenario, seed uint64) (*scenarios.Scenario, Plan) {
	src := virtual.Stream(seed, "swarm", base.Name)
	h := &hand{Rand: rand.New(&src)}
	h.size(base)
	h.s.Seed, h.plan.Seed = seed, seed
	h.calm()
	h.settings()
	h.safety()
	h.liveness()
	return h.s, h.plan
}

// note keeps what was drawn.
func (h *hand) note(format string, args ...any) {
	h.plan.Drawn = append(h.plan.Drawn, fmt.Sprintf(format, args...))
}

// one in n is true.
func (h *hand) one(n int) bool { return h.IntN(n) == 0 }

// between draws a duration from least to most, in whole milliseconds.
func (h *hand) between(least, most time.Duration) time.Duration {
	return least + time.Duration(h.Int64N(int64((most-least)/time.Millisecond)+1))*time.Millisecond
}

// size draws how many phones of each group take part.
func (h *hand) size(base *scenarios.Scenario) {
	all := len(base.PhoneNames())
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
	h.s = base.Only(func(i int) bool { return left[i] })
	h.phones = len(h.s.PhoneNames())
	h.plan.Phones = h.phones
	i := 0
	for _, g := range h.s.Phones {
		for range g.Count {
			if g.Account != "none" {
				h.callers = append(h.callers, i)
			}
			i++
		}
	}
}

// calm takes out what the file expects, and bounds what goes on by the time at
// which all heals.
func (h *hand) calm() {
	s := h.s
	s.Expect, s.Thresholds, s.Load = nil, nil, nil
	least, most := leastHeal, min(mostHeal, max(h.scripted(), 2*time.Minute))
	h.plan.Heal = h.between(least, most)
	if h.one(8) {
		h.plan.Heal = min(max(s.Length, most), 90*time.Minute) // now and then the whole of the file
	}
	heal := h.plan.Heal
	s.Routine = slices.Clone(s.Routine)
	for i := range s.Routine {
		if r := &s.Routine[i]; r.Until == 0 || r.Until > heal {
			r.Until = heal
		}
	}
	s.Routine = slices.DeleteFunc(s.Routine, func(r scenarios.Routine) bool { return r.From >= heal })
	s.Script = slices.DeleteFunc(slices.Clone(s.Script), func(st scenarios.Step) bool {
		return st.At.Moment == "" && !st.At.AfterPrevious && st.At.Offset >= heal
	})
	for i := range s.Script {
		s.Script[i].Expect, s.Script[i].Optional = nil, true
	}
	s.Faults, s.Adversaries = slices.Clone(s.Faults), slices.Clone(s.Adversaries)
}

// scripted is when the last step with a time of its own begins, or the file ends.
func (h *hand) scripted() time.Duration {
	last := h.s.Length
	for i := range h.s.Script {
		if at := h.s.Script[i].At; at.Moment == "" {
			last = max(last, at.Offset)
		}
	}
	return last
}

// settings draws timings, delays and forms.
func (h *hand) settings() {
	s := h.s
	pick := func(all ...time.Duration) time.Duration { return all[h.IntN(len(all))] }
	if h.one(2) {
		s.Server.BlockDuration = pick(time.Second, 10*time.Second, 60*time.Second)
		s.Server.TempIDLifetime = pick(20*time.Second, time.Minute, 15*time.Minute)
		h.note("server: block %v, TempID lifetime %v", s.Server.BlockDuration, s.Server.TempIDLifetime)
	}
	s.Server.TempIDLifetime = max(s.Server.TempIDLifetime, leastLifetime)
	if h.one(3) {
		s.Server.DiskDelay = h.delay(50 * time.Millisecond)
		h.note("server: disk delay %s", written(s.Server.DiskDelay))
	}
	if h.one(2) {
		s.Network.TCP.Delay, s.Network.UDP.Delay = h.delay(200*time.Millisecond), h.delay(50*time.Millisecond)
		h.note("network: tcp delay %s, udp delay %s", written(s.Network.TCP.Delay), written(s.Network.UDP.Delay))
	}
	if lose := s.Network.UDP.Lose; lose > 0 {
		s.Network.UDP.Lose = 0
		h.fault(scenarios.Fault{Kind: scenarios.FaultLose, Chance: lose, For: h.plan.Heal, From: anybody(), To: anybody()})
	}
	s.Phones = slices.Clone(s.Phones)
	for i := range s.Phones {
		g := &s.Phones[i]
		if h.one(3) {
			g.Retention = pick(15*time.Second, time.Minute, 3*time.Minute)
			h.note("%s: retention %v", g.Name, g.Retention)
		}
		if h.one(4) {
			g.Form = []scenarios.Form{scenarios.FormSplit, scenarios.FormSingle}[h.IntN(2)]
			h.note("%s: beacon %s", g.Name, g.Form)
		}
	}
}

// delay draws a distribution of delays below most.
func (h *hand) delay(most time.Duration) scenarios.Distribution {
	switch d := h.between(0, most); h.IntN(3) {
	case 0:
		return scenarios.Distribution{Min: d, Max: d}
	case 1:
		return scenarios.Distribution{Min: d / 2, Max: d + time.Millisecond}
	default:
		return scenarios.Distribution{Mean: d + time.Millisecond}
	}
}

func written(d scenarios.Distribution) string {
	switch {
	case d.Mean > 0:
		return fmt.Sprintf("exponential, mean %v", d.Mean)
	case d.Min == d.Max:
		return d.Min.String()
	}
	return fmt.Sprintf("%v..%v", d.Min, d.Max)
}

func anybody() scenarios.Nodes { return scenarios.Nodes{Any: true} }

func server() scenarios.Nodes { return scenarios.Nodes{Server: true} }
