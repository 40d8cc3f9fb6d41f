package swarm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bluetrace/scenarios"
)

// safety draws errands of the phones, faults and adversaries, all until the heal.
func (h *hand) safety() {
	h.errands()
	kinds := h.kinds()
	for _, k := range kinds {
		for range 1 + h.IntN(3) {
			h.fault(h.drawFault(k))
		}
	}
	if h.one(2) {
		h.adversaries()
	}
}

// kinds draws which faults are on: of some seeds none or one alone, so that what
// one of them hides from another is seen.
func (h *hand) kinds() []scenarios.FaultKind {
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

// errands are commands that people type when they please.
func (h *hand) errands() {
	if len(h.callers) == 0 {
		return
	}
	many := h.IntN(4 * min(len(h.callers), 12))
	words := []scenarios.Verb{scenarios.VerbDownload, scenarios.VerbDownload, scenarios.VerbUpload, scenarios.VerbBeacon, scenarios.VerbLogout}
	for range many {
		st := scenarios.Step{Phone: h.callers[h.IntN(len(h.callers))], Optional: true}
		st.At.Offset = h.between(0, h.plan.Heal)
		if h.one(3) {
			kind := []string{"right", "right", "wrong", "wrong", "half", "unknown"}[h.IntN(6)]
			st.Login = &scenarios.Login{Kind: kind}
			st.Text = "login: " + kind
		} else {
			c := scenarios.Command{Verb: words[h.IntN(len(words))], Count: 1 + h.IntN(20)/19}
			if c.Verb == scenarios.VerbBeacon {
				c.To = []int{h.IntN(h.phones)}
			}
			st.Do, st.Text = &c, "do: "+string(c.Verb)
		}
		h.s.Script = append(h.s.Script, st)
	}
	if many > 0 {
		h.note("%d errands", many)
	}
}

// fault puts a fault into the file, over by the heal.
func (h *hand) fault(f scenarios.Fault) {
	f.Text = h.text(&f)
	h.note("%s", f.Text)
	h.s.Faults = append(h.s.Faults, f)
	if f.Kind == scenarios.FaultClock && f.Step != 0 { // it does not end by itself
		f.At, f.Step, f.Chance = h.plan.Heal, -f.Step, 1
		f.Text = h.text(&f)
		h.s.Faults = append(h.s.Faults, f)
	}
}

// drawFault draws one of a kind.
func (h *hand) drawFault(k scenarios.FaultKind) scenarios.Fault {
	f := scenarios.Fault{Kind: k, Chance: 1}
	f.At = h.between(0, h.plan.Heal*9/10)
	f.For = h.length(h.plan.Heal - f.At)
	if h.one(3) {
		f.At, f.For = 0, h.plan.Heal
	}
	switch k {
	case scenarios.FaultLose, scenarios.FaultDelay, scenarios.FaultDuplicate, scenarios.FaultReorder,
		scenarios.FaultCorrupt, scenarios.FaultTruncate, scenarios.FaultSlow:
		h.way(&f)
	case scenarios.FaultCrash, scenarios.FaultSwitchOff, scenarios.FaultPause, scenarios.FaultLeave, scenarios.FaultStall, scenarios.FaultCut:
		h.stop(&f)
	case scenarios.FaultDisk:
		h.disk(&f)
	case scenarios.FaultClock:
		h.clock(&f)
	default:
		h.stream(&f)
	}
	return f
}

// length draws how long something lasts, short ones more often.
func (h *hand) length(most time.Duration) time.Duration {
	return h.between(time.Millisecond, max(time.Millisecond, most/time.Duration(1+h.IntN(20))))
}

// strength is a share: weak more often than strong.
func (h *hand) strength() float64 {
	return []float64{0.01, 0.02, 0.05, 0.1, 0.3, 0.6, 1}[h.IntN(7)]
}

// some draws one phone, a few, or all.
func (h *hand) some() scenarios.Nodes {
	switch h.IntN(4) {
	case 0:
		return scenarios.Nodes{Phones: h.everyone()}
	case 1:
		all := h.everyone()
		h.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		all = all[:1+h.IntN(len(all))]
		slices.Sort(all)
		return scenarios.Nodes{Phones: all}
	}
	return scenarios.Nodes{Phones: []int{h.IntN(h.phones)}}
}

func (h *hand) everyone() []int {
	all := make([]int, h.phones)
	for i := range all {
		all[i] = i
	}
	return all
}

// way draws a fault of what is on its way.
func (h *hand) way(f *scenarios.Fault) {
	f.From, f.To = anybody(), anybody()
	if h.one(2) {
		f.From = h.some()
	}
	if h.one(3) {
		f.To = h.some()
	}
	f.Chance = h.strength()
	switch f.Kind {
	case scenarios.FaultDelay:
		f.Delay, f.Stream = h.delay(2*time.Second), h.one(2)
	case scenarios.FaultReorder:
		f.Delay = h.delay(200 * time.Millisecond)
	case scenarios.FaultTruncate:
		f.Bytes = -1
	case scenarios.FaultSlow:
		f.Chance, f.Stream = 1, h.one(2)
		f.Bytes = 50 + h.IntN(5000)
		if h.one(2) && !f.Stream {
			f.Room = 100 + h.IntN(2000)
		}
	}
}

// stop draws a fault that stops or cuts off nodes.
func (h *hand) stop(f *scenarios.Fault) {
	f.Of = h.some()
	if f.Kind != scenarios.FaultSwitchOff && f.Kind != scenarios.FaultLeave && h.one(2) {
		f.Of = server()
	}
	switch f.Kind {
	case scenarios.FaultCrash:
		f.Unsynced = []string{"lost", "kept", "torn", "torn"}[h.IntN(4)]
	case scenarios.FaultCut:
		f.OneWay = []string{"", "", "in", "out"}[h.IntN(4)]
		f.From = anybody()
		if h.one(3) {
			f.From = h.some()
		}
	}
	if h.one(2) {
		h.again(f)
	}
}

// again has a fault come again and again.
func (h *hand) again(f *scenarios.Fault) {
	f.At = h.between(0, h.plan.Heal/4)
	f.Every = max(h.length(h.plan.Heal), time.Second)
	f.For = h.between(time.Millisecond, min(f.Every-time.Millisecond, 20*time.Second))
	f.Chance = []float64{0.2, 0.5, 1}[h.IntN(3)]
	f.Until = h.plan.Heal - f.At - f.For // counted from At's zero: none begins that would outlast the heal
	if f.Until <= f.At {
		f.Every, f.Until = 0, 0
		f.At, f.For = 0, min(f.For, h.plan.Heal)
	}
}

func (h *hand) disk(f *scenarios.Fault) {
	f.Of = server()
	if h.one(3) {
		f.Of = h.some()
	}
	f.Disk = []string{"full", "slow", "failing", "fsync"}[h.IntN(4)]
	if f.Disk == "slow" {
		f.Delay = h.delay(3 * time.Second)
	} else if f.Disk != "full" {
		f.Chance = h.strength()
	}
}

func (h *hand) clock(f *scenarios.Fault) {
	f.Of = h.some()
	if h.one(3) {
		f.Of = server()
	}
	off := h.between(time.Millisecond, []time.Duration{time.Second, time.Minute, 2 * time.Hour, 48 * time.Hour}[h.IntN(4)])
	if h.one(2) {
		off = -off
	}
	switch h.IntN(3) {
	case 0:
		f.Offset = off
	case 1:
		f.Step, f.For = off, 0
	default:
		f.Drift, f.At, f.For = float64(h.IntN(1001)-500), 0, 0
		if f.Drift == 0 {
			f.Drift = 100
		}
	}
}

// stream draws a fault of connections.
func (h *hand) stream(f *scenarios.Fault) {
	f.Of = h.some()
	switch f.Kind {
	case scenarios.FaultPieces:
		f.Bytes = 1 + h.IntN(20)
	case scenarios.FaultJoin:
		d := h.between(time.Millisecond, 300*time.Millisecond)
		f.Delay = scenarios.Distribution{Min: d, Max: d}
	case scenarios.FaultReset:
		if h.one(2) {
			f.For = 0
		} else {
			f.Chance = h.strength() / 4
		}
	case scenarios.FaultHalfClose:
		f.For = 0
	case scenarios.FaultRefuse:
		f.Chance = h.strength()
	}
}

// adversaries draws who is up to no good.
func (h *hand) adversaries() {
	name := "mallory"
	if slices.ContainsFunc(h.s.Phones, func(g scenarios.PhoneGroup) bool { return strings.HasPrefix(g.Name, name) }) {
		return
	}
	by := h.phones
	h.s.Phones = append(h.s.Phones, scenarios.PhoneGroup{Name: name, Count: 1, Account: "none", Retention: 3 * time.Minute,
		Form: scenarios.FormSplit, PasswordPause: 50 * time.Millisecond})
	kinds := []scenarios.AdversaryKind{
		scenarios.AdversaryReplay, scenarios.AdversaryForge, scenarios.AdversaryFlood, scenarios.AdversaryGuess,
		scenarios.AdversaryGarbage, scenarios.AdversaryUpload, scenarios.AdversaryHold,
	}
	for range 1 + h.IntN(3) {
		k := kinds[h.IntN(len(kinds))]
		a := scenarios.Adversary{Kind: k, By: []int{by}, Until: h.plan.Heal}
		switch k {
		case scenarios.AdversaryReplay:
			a.Of, a.To = h.everyone(), h.some().Phones
			a.After, a.Chance = scenarios.Distribution{Max: h.plan.Heal / 2}, h.strength()
			a.Until = h.plan.Heal / 2
		case scenarios.AdversaryForge, scenarios.AdversaryFlood:
			a.To = h.some().Phones
		case scenarios.AdversaryGuess:
			a.Of = h.callers
		case scenarios.AdversaryUpload:
			a.By, a.Invented = h.callers[:min(1, len(h.callers))], h.one(2)
		}
		if len(a.By) == 0 || k == scenarios.AdversaryGuess && len(a.Of) == 0 {
			continue
		}
		if k != scenarios.AdversaryReplay {
			a.Every, a.Jitter = h.between(200*time.Millisecond, 20*time.Second), 0.5
		}
		a.Text = fmt.Sprintf("%s, every %v", k, a.Every)
		h.note("adversary: %s", a.Text)
		h.s.Adversaries = append(h.s.Adversaries, a)
	}
}
