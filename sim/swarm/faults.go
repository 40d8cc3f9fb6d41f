package swarm

import (
	"time"

	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
)

// safety draws the actions of users, sequences of actions, faults and adversaries, all of them before the heal.
func (g *generator) safety() {
	g.userActions()
	g.sequences()
	for _, k := range g.faultKinds() {
		for range 1 + g.IntN(3) {
			f := g.drawFault(k)
			g.addFault(f)
			g.addFollowUpCrash(&f)
		}
	}
	if g.oneIn(2) {
		g.adversaries()
	}
}

// faultKinds draws the kinds of faults that are active. Many seeds have none or only one, so that one fault does not
// hide the effect of another.
func (g *generator) faultKinds() []fault.Kind {
	all := fault.Kinds()
	g.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all[:oneOf(g, 0, 1, 1, 2, 3, 4, 6, 10)]
}

// drawFault draws a fault of the given kind.
func (g *generator) drawFault(k fault.Kind) scenarios.Fault {
	f := scenarios.Fault{Kind: k, Chance: 1}
	f.At = g.between(0, g.plan.Heal*9/10)
	f.For = g.length(g.plan.Heal - f.At)
	if g.oneIn(3) {
		f.At, f.For = 0, g.plan.Heal
	}
	switch k {
	case fault.Lose, fault.Delay, fault.Duplicate, fault.Reorder, fault.Corrupt, fault.Truncate, fault.Slow:
		g.trafficFault(&f)
	case fault.Crash, fault.SwitchOff, fault.Pause, fault.Leave, fault.Stall, fault.Cut:
		g.nodeFault(&f)
	case fault.Disk:
		f.Of = serverNode()
		if g.oneIn(3) {
			f.Of = g.somePhones()
		}
		g.diskFault(&f)
		if g.oneIn(3) {
			g.repeatFault(&f)
		}
	case fault.Clock:
		g.clockFault(&f)
	default:
		g.connectionFault(&f)
	}
	return f
}

// addFollowUpCrash sometimes crashes a node during a disk fault or soon after a step of its clock: the effect of either
// shows only at the next start of the node.
func (g *generator) addFollowUpCrash(f *scenarios.Fault) {
	disk := f.Kind == fault.Disk && f.Every == 0
	step := f.Kind == fault.Clock && f.Step != 0
	if !disk && !step || g.oneIn(2) {
		return
	}
	most := g.plan.Heal - f.At
	if disk {
		most = min(most, f.For)
	}
	after := g.between(0, min(most/2, oneOf(g, time.Second, 20*time.Second, 2*time.Minute)))
	c := scenarios.Fault{Kind: fault.Crash, Chance: 1, Of: f.Of, At: f.At + after, Unsynced: g.unsynced()}
	c.For = g.between(time.Millisecond, min(g.plan.Heal-c.At, 20*time.Second))
	g.addFault(c)
}

// trafficFault draws a fault of datagrams or of bytes in transit.
func (g *generator) trafficFault(f *scenarios.Fault) {
	f.Chance = g.strength()
	switch f.Kind {
	case fault.Delay:
		f.Delay, f.Stream = g.delay(2*time.Second), g.oneIn(2)
	case fault.Reorder:
		f.Delay = g.delay(200 * time.Millisecond)
	case fault.Corrupt:
		if g.oneIn(4) {
			f.Bytes = 1 + g.IntN(20)
		}
	case fault.Truncate:
		f.Bytes = -1
		if g.oneIn(4) {
			f.Bytes = g.IntN(20)
		}
	case fault.Slow:
		f.Chance, f.Stream = 1, g.oneIn(2)
		f.Bytes = 50 + g.IntN(5000)
		if g.oneIn(2) && !f.Stream {
			f.Room = 100 + g.IntN(2000)
		}
	}
	f.From, f.To = anyNode(), anyNode()
	if f.Stream {
		g.streamDirection(f)
		return
	}
	if g.oneIn(2) {
		f.From = g.somePhones()
	}
	if g.oneIn(3) {
		f.To = g.somePhones()
	}
}

// streamDirection draws the ends of a fault of streams, which connect phones with the server.
func (g *generator) streamDirection(f *scenarios.Fault) {
	switch g.IntN(4) {
	case 0:
		f.From, f.To = serverNode(), g.somePhones()
	case 1:
		f.From, f.To = g.somePhones(), serverNode()
	case 2:
		f.To = serverNode()
	}
}

// nodeFault draws a fault that stops or disconnects nodes.
func (g *generator) nodeFault(f *scenarios.Fault) {
	f.Of = g.somePhones()
	if f.Kind != fault.SwitchOff && f.Kind != fault.Leave && g.oneIn(2) {
		f.Of = serverNode()
	}
	switch f.Kind {
	case fault.Crash:
		f.Unsynced = g.unsynced()
	case fault.Cut:
		f.OneWay = oneOf(g, "", "", "in", "out")
		f.From = anyNode()
		if g.oneIn(3) {
			f.From = g.somePhones()
		}
	}
	if g.oneIn(2) {
		g.repeatFault(f)
	}
}

// repeatFault makes a fault periodic. No repetition lasts longer than to the heal.
func (g *generator) repeatFault(f *scenarios.Fault) {
	f.At = g.between(0, g.plan.Heal/4)
	f.Every = max(g.length(g.plan.Heal), time.Second)
	f.For = g.between(time.Millisecond, min(f.Every-time.Millisecond, 20*time.Second))
	f.Until = g.plan.Heal - f.For
	if f.Disk != "full" {
		f.Chance = oneOf(g, 0.2, 0.5, 1)
	}
	if f.Until <= f.At {
		f.Every, f.Until = 0, 0
		f.At, f.For = 0, min(f.For, g.plan.Heal)
	}
}

// diskFault draws the state of a faulty disk: full, slow, failing, or failing to sync.
func (g *generator) diskFault(f *scenarios.Fault) {
	f.Disk = oneOf(g, "full", "slow", "failing", "fsync")
	switch f.Disk {
	case "slow":
		f.Delay = g.delay(3 * time.Second)
		return
	case "full":
		return
	}
	f.Chance = g.strength()
	if g.oneIn(4) {
		f.Skip, f.Count = g.IntN(4), 1+g.IntN(3)
	}
}

// clockFault draws an offset, a step or a drift (in parts per million) of clocks.
func (g *generator) clockFault(f *scenarios.Fault) {
	f.Of = g.somePhones()
	if g.oneIn(3) {
		f.Of = serverNode()
	}
	off := g.between(time.Millisecond, oneOf(g, time.Second, time.Minute, 2*time.Hour, 48*time.Hour))
	if g.oneIn(2) {
		off = -off
	}
	f.For = 0
	switch g.IntN(3) {
	case 0:
		f.Offset, f.At = off, 0
	case 1:
		f.Step = off
	default:
		f.Drift, f.At = float64(g.IntN(1001)-500), 0
		if f.Drift == 0 {
			f.Drift = 100
		}
	}
}

// connectionFault draws a fault of TCP connections.
func (g *generator) connectionFault(f *scenarios.Fault) {
	switch f.Of = g.somePhones(); {
	case g.oneIn(4):
		f.Of = serverNode()
	case g.oneIn(4) && (f.Kind == fault.Pieces || f.Kind == fault.Join):
		f.Of = anyNode()
	}
	switch f.Kind {
	case fault.Pieces:
		f.Bytes = 1 + g.IntN(20)
	case fault.Join:
		f.Delay = constantDelay(g.between(time.Millisecond, 300*time.Millisecond))
	case fault.Reset:
		if f.For = 0; g.oneIn(2) {
			f.For = g.length(g.plan.Heal - f.At)
			f.Chance = g.strength() / 4
		}
	case fault.HalfClose:
		f.For = 0
	case fault.Refuse, fault.TimeOut:
		f.Chance = g.strength()
	}
}
