package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/virtual"
)

// adversary is phones that do what no honest program does. All that they do is
// done by steps, as a script would.
type adversary struct {
	*scenarios.Adversary
	streams []rand.PCG  // by its By
	heard   [][3]string // TempID, start and expiry of overheard beacons
	done    uint64
}

// heardKept is how many overheard beacons an adversary remembers.
const heardKept = 256

func (r *run) startAdversaries(names []string) {
	r.adversaries = make([]adversary, len(r.scenario.Adversaries))
	r.resent = map[resent]bool{}
	for i := range r.adversaries {
		a := &r.adversaries[i]
		a.Adversary = &r.scenario.Adversaries[i]
		r.atLeast = max(r.atLeast, a.Until)
		for k, who := range a.By {
			a.streams = append(a.streams, virtual.Stream(r.scenario.Seed, names[who], fmt.Sprintf("adversary %d", i)))
			if a.Every > 0 {
				r.adversaryActs(a, k, a.From+virtual.Delay{Max: max(a.Every-1, 0)}.Draw(&a.streams[k]))
			}
		}
	}
}

// adversaryActs has one phone act at the given time, and again.
func (r *run) adversaryActs(a *adversary, k int, at time.Duration) {
	if a.Until > 0 && at >= a.Until {
		return
	}
	r.world.Call(at, func() {
		src := &a.streams[k]
		if st, ok := r.attack(a, k, src); ok {
			a.done++
			r.runStep(&st)
		}
		r.adversaryActs(a, k, at+period(a.Every, a.Jitter, src))
	})
}

// attack is what a phone of the adversary does now.
func (r *run) attack(a *adversary, k int, src rand.Source) (st scenarios.Step, ok bool) {
	rng := rand.New(src)
	st = scenarios.Step{Pos: a.Pos, Text: a.Text, Phone: a.By[k]}
	switch a.Kind {
	case scenarios.AdversaryForge:
		st.Forge = r.forgery(a, rng)
	case scenarios.AdversaryFlood:
		st.Datagrams = &scenarios.Datagrams{Pos: a.Pos, To: a.To, Send: []string{noise(rng, 120)}}
	case scenarios.AdversaryGuess:
		st.TCP = r.guesses(a, rng)
	case scenarios.AdversaryGarbage:
		st.TCP = garbage(a, rng)
	case scenarios.AdversaryUpload:
		st.TCP, ok = r.falseUpload(a, rng)
		return st, ok
	case scenarios.AdversaryHold:
		st.TCP = &scenarios.TCP{Pos: a.Pos, Connect: true}
	default:
		return st, false
	}
	return st, true
}

// forgery is a beacon that nobody was given: now and then one that looks valid.
func (r *run) forgery(a *adversary, rng *rand.Rand) *scenarios.Forge {
	f := &scenarios.Forge{Pos: a.Pos, To: a.To, Copy: -1, Version: "1", Form: scenarios.FormSplit}
	f.TempID = digits(rng, protocol.TempIDSize)
	begin := -time.Duration(rng.Int64N(int64(30 * time.Minute)))
	f.Start = scenarios.WireTime{Set: true, Offset: begin.Truncate(time.Second)}
	f.Expiry = scenarios.WireTime{Set: true, Offset: (begin + time.Duration(rng.Int64N(int64(20*time.Minute)))).Truncate(time.Second)}
	switch rng.IntN(8) {
	case 0:
		f.Form = scenarios.FormSingle
	case 1:
		f.Version = string(rune('0' + rng.IntN(10)))
	case 2:
		f.TempID = noiseOf(rng, protocol.TempIDSize)
	case 3:
		f.Omit = []int{1 + rng.IntN(protocol.Parts)}
	case 4:
		f.Gap = time.Duration(rng.Int64N(int64(400 * time.Millisecond)))
	case 5:
		f.Port = 1024 + rng.IntN(60000)
	}
	return f
}

// guesses are up to four wrong passwords of one account on one connection.
func (r *run) guesses(a *adversary, rng *rand.Rand) *scenarios.TCP {
	victim := r.accounts[a.Of[rng.IntN(len(a.Of))]]
	t := &scenarios.TCP{Pos: a.Pos, Connect: true, Send: []string{victim.user}, Gap: 250 * time.Millisecond, Close: true}
	for range 1 + rng.IntN(4) {
		t.Send = append(t.Send, "guess"+strconv.Itoa(rng.IntN(1_000_000)))
	}
	return t
}

// garbage is bytes and half messages for the server.
func garbage(a *adversary, rng *rand.Rand) *scenarios.TCP {
	t := &scenarios.TCP{Pos: a.Pos, Connect: true, Gap: 100 * time.Millisecond, Close: rng.IntN(2) == 0}
	words := []string{"Download_", "log o", "Upload_contact_log", "3", "99999999", "\n", "{user}", "{user}{wrong}"}
	for range 1 + rng.IntN(5) {
		if rng.IntN(2) == 0 {
			t.Send = append(t.Send, noise(rng, protocol.MaxMessage))
			continue
		}
		t.Send = append(t.Send, words[rng.IntN(len(words))])
	}
	t.Reset = !t.Close && rng.IntN(2) == 0
	return t
}

// falseUpload uploads what the phone never met.
func (r *run) falseUpload(a *adversary, rng *rand.Rand) (*scenarios.TCP, bool) {
	var entries []string
	for range 1 + rng.IntN(3) {
		if a.Invented {
			entries = append(entries, digits(rng, protocol.TempIDSize),
				r.wireTime(scenarios.WireTime{}), r.wireTime(scenarios.WireTime{Offset: r.scenario.Server.TempIDLifetime}))
			continue
		}
		if len(a.heard) == 0 {
			return nil, false // it has overheard nothing so far
		}
		one := a.heard[rng.IntN(len(a.heard))]
		entries = append(entries, one[:]...)
	}
	t := &scenarios.TCP{Pos: a.Pos, Connect: true, Gap: 200 * time.Millisecond, Close: true}
	t.Send = append(t.Send, "{user}", "{password}", string(scenarios.VerbUpload), strconv.Itoa(len(entries)))
	t.Send = append(t.Send, entries...)
	return t, true
}

// overhear gives adversaries the beacons that others receive.
func (r *run) overhear(sender uint32, e *nodes.PhoneEffect) {
	if e.OutOfTurn || e.Err != nil {
		return
	}
	for i := range r.adversaries {
		a := &r.adversaries[i]
		switch {
		case a.Kind == scenarios.AdversaryReplay && slices.Contains(a.Of, int(sender)):
			r.replayLater(a, sender, e)
		case a.Kind == scenarios.AdversaryUpload && !a.Invented:
			if len(a.heard) == heardKept {
				a.heard = append(a.heard[:0], a.heard[heardKept/2:]...)
			}
			a.heard = append(a.heard, fieldsOf(e))
		}
	}
}

// resent is a beacon that a phone has sent for another.
type resent struct {
	by     uint32
	fields [3]string
}

// resentKept is how many of them are remembered.
const resentKept = 1 << 16

// replayLater sends a beacon that was overheard again, unchanged: not what came
// from the phone itself, and nothing twice, or replays would feed on each other.
func (r *run) replayLater(a *adversary, sender uint32, e *nodes.PhoneEffect) {
	now := r.world.Now()
	if now < a.From || a.Until > 0 && now >= a.Until {
		return
	}
	fields := fieldsOf(e)
	if r.resent[resent{sender, fields}] {
		return
	}
	for k, who := range a.By {
		if int(sender) == who || !struckBy(a.Chance, &a.streams[k]) {
			continue
		}
		st := scenarios.Step{Pos: a.Pos, Text: a.Text, Phone: who, Forge: &scenarios.Forge{
			Pos: a.Pos, To: a.To, Copy: -1, TempID: fields[0], Version: "1", Form: scenarios.FormSplit,
			Start: scenarios.WireTime{Set: true, Text: fields[1]}, Expiry: scenarios.WireTime{Set: true, Text: fields[2]},
		}}
		r.world.Call(now+delayOf(a.After).Draw(&a.streams[k]), func() {
			if len(r.resent) == resentKept {
				clear(r.resent)
			}
			r.resent[resent{uint32(who), fields}] = true
			a.done++
			r.runStep(&st)
		})
	}
}

// fieldsOf are the TempID, start and expiry of a beacon as they went over the wire.
func fieldsOf(e *nodes.PhoneEffect) (fields [3]string) {
	for i := range fields {
		fields[i] = string(protocol.Part(&e.Raw, i))
	}
	return fields
}

// runStep does what nobody waits for.
func (r *run) runStep(s *scenarios.Step) {
	st := &step{Step: s, index: -1, program: uint32(s.Phone), stage: settled}
	r.commanded(*s)
	if why := r.act(st); why != "" {
		panic(fmt.Sprintf("sim: an adversary cannot %s: %s", s.Text, why))
	}
}

// adversaryCounts are how often each kind of adversary acted.
func (r *run) adversaryCounts() []reports.KindCount {
	acted := map[scenarios.AdversaryKind]uint64{}
	for i := range r.adversaries {
		acted[r.adversaries[i].Kind] += r.adversaries[i].done
	}
	var all []reports.KindCount
	for _, kind := range slices.Sorted(maps.Keys(acted)) {
		all = append(all, reports.KindCount{Kind: string(kind), Count: acted[kind]})
	}
	return all
}

func digits(rng *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('0' + rng.IntN(10)))
	}
	return b.String()
}

// noise is 1 to n bytes of any value.
func noise(rng *rand.Rand, n int) string { return noiseOf(rng, 1+rng.IntN(n)) }

func noiseOf(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.UintN(256))
	}
	return string(b)
}
