package swarm

import (
	"fmt"
	"slices"
	"time"

	"bluetrace/scenarios"
)

// safety draws errands of the phones, strings of them, faults and adversaries, all
// until the heal.
func (h *generator) safety() {
	h.userActions()
	h.sequences()
	for _, k := range h.faultKinds() {
		for range 1 + h.IntN(3) {
			f := h.drawFault(k)
			h.addFault(f)
			h.addFollowUpCrash(&f)
		}
	}
	if h.oneIn(2) {
		h.adversaries()
	}
}

// addFollowUpCrash has nodes whose disk is in trouble crash meanwhile, and those whose clock
// was stepped soon after it: what such a fault does shows only at the next start.
func (h *generator) addFollowUpCrash(f *scenarios.Fault) {
	disk := f.Kind == scenarios.FaultDisk && f.Every == 0
	step := f.Kind == scenarios.FaultClock && f.Step != 0
	if !disk && !step || h.oneIn(2) {
		return
	}
	most := h.plan.Heal - f.At
	if disk {
		most = min(most, f.For)
	}
	after := h.between(0, min(most/2, h.duration(time.Second, 20*time.Second, 2*time.Minute)))
	c := scenarios.Fault{Kind: scenarios.FaultCrash, Chance: 1, Of: f.Of, At: f.At + after, Unsynced: h.unsynced()}
	c.For = h.between(time.Millisecond, min(h.plan.Heal-c.At, 20*time.Second))
	h.addFault(c)
}

// faultKinds draws which faults are on: of some seeds none or one alone, so that what
// one of them hides from another is seen.
func (h *generator) faultKinds() []scenarios.FaultKind {
	all := []scenarios.FaultKind{
		scenarios.FaultLose, scenarios.FaultDelay, scenarios.FaultDuplicate, scenarios.FaultReorder,
		scenarios.FaultCorrupt, scenarios.FaultTruncate, scenarios.FaultCut, scenarios.FaultSlow,
		scenarios.FaultPieces, scenarios.FaultJoin, scenarios.FaultReset, scenarios.FaultHalfClose,
		scenarios.FaultStall, scenarios.FaultRefuse, scenarios.FaultTimeOut,
		scenarios.FaultCrash, scenarios.FaultSwitchOff, scenarios.FaultPause, scenarios.FaultLeave,
		scenarios.FaultDisk, scenarios.FaultClock,
	}
	h.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all[:[]int{0, 1, 1, 2, 3, 4, 6, 10}[h.IntN(8)]]
}

// userActions are commands that people type when they please, some of them with a
// fault on their heels.
func (h *generator) userActions() {
	if len(h.withAccount) == 0 {
		return
	}
	many, struck := h.IntN(4*min(len(h.withAccount), 12)), 0
	heels := h.oneIn(2)
	for range many {
		st := scenarios.Step{Phone: h.withAccount[h.IntN(len(h.withAccount))], Optional: true}
		st.At.Offset = h.between(0, h.plan.Heal-time.Millisecond)
		h.drawAction(&st)
		if heels && h.oneIn(2) {
			struck++
			st.As = fmt.Sprintf("errand-%d", struck)
		}
		h.s.Script = append(h.s.Script, st)
		if st.As != "" {
			h.faultAfterAction(&st)
		}
	}
	if many > 0 {
		h.note("errands: %d, with a fault on the heels of %d", many, struck)
	}
}

func (h *generator) drawAction(st *scenarios.Step) {
	if h.oneIn(3) {
		kind := []string{"right", "right", "wrong", "wrong", "half", "unknown"}[h.IntN(6)]
		st.Login, st.Text = login(kind), "login: "+kind
		return
	}
	words := []scenarios.Verb{scenarios.VerbDownload, scenarios.VerbDownload, scenarios.VerbUpload, scenarios.VerbUpload, scenarios.VerbBeacon, scenarios.VerbLogout}
	c := scenarios.Command{Verb: words[h.IntN(len(words))], Count: 1}
	if c.Verb == scenarios.VerbBeacon {
		c.Count += h.IntN(20) / 19
		c.To = []int{h.IntN(h.phones)}
	}
	st.Do, st.Text = &c, "do: "+string(c.Verb)
}

// login is one of a kind. A wrong password has no right one in it, which might come
// as a piece of its own.
func login(kind string) *scenarios.Login {
	l := &scenarios.Login{Kind: kind}
	if kind == "wrong" {
		l.Password = "mistaken"
	}
	return l
}

// faultAfterAction has a fault begin shortly after an errand: while it is under way,
// or just over.
func (h *generator) faultAfterAction(errand *scenarios.Step) {
	f := scenarios.Fault{Chance: 1, Of: phoneNode(errand.Phone)}
	kinds := []scenarios.FaultKind{scenarios.FaultCrash, scenarios.FaultCrash, scenarios.FaultReset, scenarios.FaultCut, scenarios.FaultPause,
		scenarios.FaultStall, scenarios.FaultHalfClose, scenarios.FaultSwitchOff, scenarios.FaultDisk}
	f.Kind = kinds[h.IntN(len(kinds))]
	soon := h.duration(10*time.Millisecond, 300*time.Millisecond, 3*time.Second)
	if errand.Do != nil && errand.Do.Verb == scenarios.VerbUpload { // many answers long: anywhere in it
		f.Kind = kinds[h.IntN(4)]
		soon = h.duration(200*time.Millisecond, time.Second, 5*time.Second)
	}
	if f.Kind != scenarios.FaultSwitchOff && h.oneIn(2) {
		f.Of = serverNode()
	}
	f.For = h.between(time.Millisecond, h.duration(50*time.Millisecond, time.Second, 20*time.Second))
	switch f.Kind {
	case scenarios.FaultCrash:
		f.Unsynced = h.unsynced()
	case scenarios.FaultCut:
		f.From = anyNode()
	case scenarios.FaultDisk:
		h.diskFault(&f)
	case scenarios.FaultReset, scenarios.FaultHalfClose:
		f.For = 0
	}
	st := scenarios.Step{Phone: -1, Optional: true, Fault: &f}
	st.At = scenarios.When{Label: errand.As, Offset: h.between(0, soon)}
	f.Text = h.s.StepFaultText(&f)
	st.Text = f.Text
	h.s.Script = append(h.s.Script, st)
	h.actionsAfterHeal = max(h.actionsAfterHeal, st.At.Offset+f.For)
}

func (h *generator) unsynced() string { return []string{"lost", "kept", "torn", "torn"}[h.IntN(4)] }

// drawFault draws one of a kind.
func (h *generator) drawFault(k scenarios.FaultKind) scenarios.Fault {
	f := scenarios.Fault{Kind: k, Chance: 1}
	f.At = h.between(0, h.plan.Heal*9/10)
	f.For = h.length(h.plan.Heal - f.At)
	if h.oneIn(3) {
		f.At, f.For = 0, h.plan.Heal
	}
	switch k {
	case scenarios.FaultLose, scenarios.FaultDelay, scenarios.FaultDuplicate, scenarios.FaultReorder,
		scenarios.FaultCorrupt, scenarios.FaultTruncate, scenarios.FaultSlow:
		h.trafficFault(&f)
	case scenarios.FaultCrash, scenarios.FaultSwitchOff, scenarios.FaultPause, scenarios.FaultLeave, scenarios.FaultStall, scenarios.FaultCut:
		h.nodeFault(&f)
	case scenarios.FaultDisk:
		f.Of = serverNode()
		if h.oneIn(3) {
			f.Of = h.somePhones()
		}
		h.diskFault(&f)
		if h.oneIn(3) {
			h.repeatFault(&f)
		}
	case scenarios.FaultClock:
		h.clockFault(&f)
	default:
		h.connectionFault(&f)
	}
	return f
}

// length draws how long something lasts, short ones more often.
func (h *generator) length(most time.Duration) time.Duration {
	return h.between(time.Millisecond, max(time.Millisecond, most/time.Duration(1+h.IntN(20))))
}

// strength is a share: weak more often than strong.
func (h *generator) strength() float64 {
	return []float64{0.01, 0.02, 0.05, 0.1, 0.3, 0.6, 1}[h.IntN(7)]
}

// somePhones draws one phone, a few, or all.
func (h *generator) somePhones() scenarios.Nodes {
	switch h.IntN(4) {
	case 0:
		return scenarios.Nodes{Phones: h.allPhones()}
	case 1:
		all := h.allPhones()
		h.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		all = all[:1+h.IntN(min(len(all), mostNamed))]
		slices.Sort(all)
		return scenarios.Nodes{Phones: all}
	}
	return phoneNode(h.IntN(h.phones))
}

// mostNamed are the most phones that are drawn one by one.
const mostNamed = 20

func (h *generator) allPhones() []int {
	all := make([]int, h.phones)
	for i := range all {
		all[i] = i
	}
	return all
}

// trafficFault draws a fault of what is on its way.
func (h *generator) trafficFault(f *scenarios.Fault) {
	f.Chance = h.strength()
	switch f.Kind {
	case scenarios.FaultDelay:
		f.Delay, f.Stream = h.delay(2*time.Second), h.oneIn(2)
	case scenarios.FaultReorder:
		f.Delay = h.delay(200 * time.Millisecond)
	case scenarios.FaultCorrupt:
		if h.oneIn(4) {
			f.Bytes = 1 + h.IntN(20)
		}
	case scenarios.FaultTruncate:
		f.Bytes = -1
		if h.oneIn(4) {
			f.Bytes = h.IntN(20)
		}
	case scenarios.FaultSlow:
		f.Chance, f.Stream = 1, h.oneIn(2)
		f.Bytes = 50 + h.IntN(5000)
		if h.oneIn(2) && !f.Stream {
			f.Room = 100 + h.IntN(2000)
		}
	}
	f.From, f.To = anyNode(), anyNode()
	if f.Stream {
		h.streamDirection(f)
		return
	}
	if h.oneIn(2) {
		f.From = h.somePhones()
	}
	if h.oneIn(3) {
		f.To = h.somePhones()
	}
}

// streamDirection draws ends of streams, which go between phones and the server.
func (h *generator) streamDirection(f *scenarios.Fault) {
	switch h.IntN(4) {
	case 0:
		f.From, f.To = serverNode(), h.somePhones()
	case 1:
		f.From, f.To = h.somePhones(), serverNode()
	case 2:
		f.To = serverNode()
	}
}

// nodeFault draws a fault that stops or cuts off nodes.
func (h *generator) nodeFault(f *scenarios.Fault) {
	f.Of = h.somePhones()
	if f.Kind != scenarios.FaultSwitchOff && f.Kind != scenarios.FaultLeave && h.oneIn(2) {
		f.Of = serverNode()
	}
	switch f.Kind {
	case scenarios.FaultCrash:
		f.Unsynced = h.unsynced()
	case scenarios.FaultCut:
		f.OneWay = []string{"", "", "in", "out"}[h.IntN(4)]
		f.From = anyNode()
		if h.oneIn(3) {
			f.From = h.somePhones()
		}
	}
	if h.oneIn(2) {
		h.repeatFault(f)
	}
}

// repeatFault has a fault come again and again; none that would outlast the heal.
func (h *generator) repeatFault(f *scenarios.Fault) {
	f.At = h.between(0, h.plan.Heal/4)
	f.Every = max(h.length(h.plan.Heal), time.Second)
	f.For = h.between(time.Millisecond, min(f.Every-time.Millisecond, 20*time.Second))
	f.Until = h.plan.Heal - f.For
	if f.Disk != "full" {
		f.Chance = []float64{0.2, 0.5, 1}[h.IntN(3)]
	}
	if f.Until <= f.At {
		f.Every, f.Until = 0, 0
		f.At, f.For = 0, min(f.For, h.plan.Heal)
	}
}

func (h *generator) diskFault(f *scenarios.Fault) {
	f.Disk = []string{"full", "slow", "failing", "fsync"}[h.IntN(4)]
	switch f.Disk {
	case "slow":
		f.Delay = h.delay(3 * time.Second)
		return
	case "full":
		return
	}
	f.Chance = h.strength()
	if h.oneIn(4) {
		f.Skip, f.Count = h.IntN(4), 1+h.IntN(3)
	}
}

func (h *generator) clockFault(f *scenarios.Fault) {
	f.Of = h.somePhones()
	if h.oneIn(3) {
		f.Of = serverNode()
	}
	off := h.between(time.Millisecond, h.duration(time.Second, time.Minute, 2*time.Hour, 48*time.Hour))
	if h.oneIn(2) {
		off = -off
	}
	f.For = 0
	switch h.IntN(3) {
	case 0:
		f.Offset, f.At = off, 0
	case 1:
		f.Step = off
	default:
		f.Drift, f.At = float64(h.IntN(1001)-500), 0
		if f.Drift == 0 {
			f.Drift = 100
		}
	}
}

// connectionFault draws a fault of connections.
func (h *generator) connectionFault(f *scenarios.Fault) {
	switch f.Of = h.somePhones(); {
	case h.oneIn(4):
		f.Of = serverNode()
	case h.oneIn(4) && (f.Kind == scenarios.FaultPieces || f.Kind == scenarios.FaultJoin):
		f.Of = anyNode()
	}
	switch f.Kind {
	case scenarios.FaultPieces:
		f.Bytes = 1 + h.IntN(20)
	case scenarios.FaultJoin:
		d := h.between(time.Millisecond, 300*time.Millisecond)
		f.Delay = scenarios.Distribution{Min: d, Max: d}
	case scenarios.FaultReset:
		if f.For = 0; h.oneIn(2) {
			f.For = h.length(h.plan.Heal - f.At)
			f.Chance = h.strength() / 4
		}
	case scenarios.FaultHalfClose:
		f.For = 0
	case scenarios.FaultRefuse, scenarios.FaultTimeOut:
		f.Chance = h.strength()
	}
}
