package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/event"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// adversaries lets phones behave as no correct program does. Each of their actions is a step, as in a script.
type adversaries struct {
	world    world.World
	forger   *forger
	accounts []account
	runStep  func(*scenarios.Step) // carries out a step
	list     []adversary
	replayed map[replayedBeacon]bool // recently
}

// adversary is one adversary of the scenario.
type adversary struct {
	*scenarios.Adversary
	streams   []rand.PCG  // one for each phone of By
	overheard [][3]string // TempID, start and expiry of recent beacons
	actions   uint64
}

// Limits of the memory of adversaries.
const (
	maxOverheard = 256     // beacons of one adversary
	maxReplayed  = 1 << 16 // beacons of all adversaries
)

// start schedules the first actions of the adversaries. runStep carries out a step.
func (as *adversaries) start(
	w world.World, fo *forger, runStep func(*scenarios.Step), s *scenarios.Scenario, names []string,
) {
	as.world, as.forger, as.runStep = w, fo, runStep
	as.list = make([]adversary, len(s.Adversaries))
	as.replayed = map[replayedBeacon]bool{}
	for i := range as.list {
		a := &as.list[i]
		a.Adversary = &s.Adversaries[i]
		for k, phone := range a.By {
			a.streams = append(a.streams, virtual.Stream(s.Seed, names[phone], fmt.Sprintf("adversary %d", i)))
			if a.Every > 0 {
				first := virtual.Delay{Max: max(a.Every-1, 0)}.Draw(&a.streams[k])
				as.schedule(a, k, a.From+first)
			}
		}
	}
}

// schedule schedules an action of the k-th phone of an adversary and the actions after it.
func (as *adversaries) schedule(a *adversary, k int, at time.Duration) {
	if a.Until > 0 && at >= a.Until {
		return
	}
	as.world.Call(at, func() {
		src := &a.streams[k]
		if st, ok := as.attack(a, k, src); ok {
			a.actions++
			as.runStep(&st)
		}
		as.schedule(a, k, at+drawPeriod(a.Every, a.Jitter, src))
	})
}

// attack returns the next action of the k-th phone of an adversary, or false if it can do nothing.
func (as *adversaries) attack(a *adversary, k int, src rand.Source) (st scenarios.Step, ok bool) {
	rng := rand.New(src)
	st = scenarios.Step{Pos: a.Pos, Text: a.Text, Phone: a.By[k]}
	switch a.Kind {
	case scenarios.AdversaryForge:
		st.Forge = forgery(a, rng)
	case scenarios.AdversaryFlood:
		st.Datagrams = &scenarios.Datagrams{Pos: a.Pos, To: a.To, Send: []string{noise(rng, 120)}}
		if a.Ports > 0 {
			st.Datagrams.Port = firstPort + int(a.actions%uint64(a.Ports))
		}
	case scenarios.AdversaryGuess:
		st.TCP = as.guesses(a, rng)
	case scenarios.AdversaryGarbage:
		st.TCP = garbage(a, rng)
	case scenarios.AdversaryUpload:
		st.TCP, ok = as.falseUpload(a, rng)
		return st, ok
	case scenarios.AdversaryHold:
		st.TCP = &scenarios.TCP{Pos: a.Pos, Connect: true}
	default:
		return st, false
	}
	return st, true
}

// firstPort is the lowest source port of an adversary that uses several.
const firstPort = 1024

// forgery returns a beacon with an invented TempID. Some of them look valid.
func forgery(a *adversary, rng *rand.Rand) *scenarios.Forge {
	f := &scenarios.Forge{Pos: a.Pos, To: a.To, Copy: -1, Version: "1", Form: scenarios.FormSplit}
	f.TempID = digits(rng, protocol.TempIDSize)
	begin := -time.Duration(rng.Int64N(int64(30 * time.Minute)))
	end := begin + time.Duration(rng.Int64N(int64(20*time.Minute)))
	f.Start = scenarios.WireTime{Set: true, Offset: begin.Truncate(time.Second)}
	f.Expiry = scenarios.WireTime{Set: true, Offset: end.Truncate(time.Second)}
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
		f.Port = firstPort + rng.IntN(60000)
	}
	return f
}

// guesses returns a connection with up to four wrong passwords for one account.
func (as *adversaries) guesses(a *adversary, rng *rand.Rand) *scenarios.TCP {
	victim := as.accounts[a.Of[rng.IntN(len(a.Of))]]
	t := &scenarios.TCP{Pos: a.Pos, Connect: true, Gap: 250 * time.Millisecond, Close: true}
	t.Send = []string{victim.user}
	for range 1 + rng.IntN(4) {
		t.Send = append(t.Send, guess(victim.password, rng.IntN(1_000_000)))
	}
	return t
}

// guess returns a wrong password: half of the numbers give one that is nearly right.
func guess(password string, number int) string {
	near := []string{password + "x", "x" + password, password + " ", strings.ToUpper(password),
		strings.ToLower(password)}
	if last := len(password) - 1; last > 0 {
		near = append(near, password[:last], password[1:])
	}
	if near := near[number/2%len(near)]; number%2 == 0 && near != password {
		return near
	}
	return "guess" + strconv.Itoa(number)
}

// garbage returns a connection with random bytes and incomplete messages.
func garbage(a *adversary, rng *rand.Rand) *scenarios.TCP {
	t := &scenarios.TCP{Pos: a.Pos, Connect: true, Gap: 100 * time.Millisecond, Close: rng.IntN(2) == 0}
	words := []string{
		"Download_", "log o", "Upload_contact_log", "3", "99999999", "\n", "{user}", "{user}{wrong}",
		// near misses of names and commands
		"{user}x", "{user} ", "Download_tempid", "Download-tempID", "Upload_contact_logs", "log-out", "logou",
	}
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

// falseUpload returns an upload of contacts that the phone did not have. It returns false if the adversary has not
// overheard a beacon yet.
func (as *adversaries) falseUpload(a *adversary, rng *rand.Rand) (*scenarios.TCP, bool) {
	var entries []string
	for range 1 + rng.IntN(3) {
		if a.Invented {
			entries = append(entries, digits(rng, protocol.TempIDSize), as.forger.wireTime(scenarios.WireTime{}),
				as.forger.wireTime(scenarios.WireTime{Offset: as.forger.lifetime}))
			continue
		}
		if len(a.overheard) == 0 {
			return nil, false
		}
		one := a.overheard[rng.IntN(len(a.overheard))]
		entries = append(entries, one[:]...)
	}
	t := &scenarios.TCP{Pos: a.Pos, Connect: true, Gap: 200 * time.Millisecond, Close: true}
	t.Send = append(t.Send, "{user}", "{password}", string(scenarios.VerbUpload), strconv.Itoa(len(entries)))
	t.Send = append(t.Send, entries...)
	return t, true
}

// overhear lets the adversaries overhear a beacon that another phone received.
func (as *adversaries) overhear(judged *event.Event) {
	sender, e := judged.Peer, judged.Phone
	if e.OutOfTurn || e.Err != nil {
		return
	}
	for i := range as.list {
		a := &as.list[i]
		switch {
		case a.Kind == scenarios.AdversaryReplay && slices.Contains(a.Of, int(sender)):
			as.replay(a, sender, e)
		case a.Kind == scenarios.AdversaryUpload && !a.Invented:
			if len(a.overheard) == maxOverheard {
				a.overheard = append(a.overheard[:0], a.overheard[maxOverheard/2:]...)
			}
			a.overheard = append(a.overheard, beaconFields(&e.Raw))
		}
	}
}

// replayedBeacon is a beacon that a phone has sent for another.
type replayedBeacon struct {
	by     uint32
	fields [3]string
}

// replay schedules the replay of an overheard beacon, unchanged. A phone replays neither its own beacons nor replayed
// ones: replays would cause further replays.
func (as *adversaries) replay(a *adversary, sender uint32, e *nodes.PhoneEffect) {
	now := as.world.Now()
	if now < a.From || a.Until > 0 && now >= a.Until {
		return
	}
	fields := beaconFields(&e.Raw)
	if as.replayed[replayedBeacon{sender, fields}] {
		return
	}
	for k, phone := range a.By {
		if int(sender) == phone || !drawChance(a.Chance, &a.streams[k]) {
			continue
		}
		st := scenarios.Step{Pos: a.Pos, Text: a.Text, Phone: phone, Forge: &scenarios.Forge{
			Pos: a.Pos, To: a.To, Copy: -1, TempID: fields[0], Version: "1", Form: scenarios.FormSplit,
			Start:  scenarios.WireTime{Set: true, Text: fields[1]},
			Expiry: scenarios.WireTime{Set: true, Text: fields[2]},
		}}
		as.world.Call(now+virtual.Delay(a.After).Draw(&a.streams[k]), func() {
			if len(as.replayed) == maxReplayed {
				clear(as.replayed)
			}
			as.replayed[replayedBeacon{uint32(phone), fields}] = true
			a.actions++
			as.runStep(&st)
		})
	}
}

// beaconFields returns the TempID, start and expiry of a beacon as they are on the wire.
func beaconFields(raw *[protocol.BeaconSize]byte) (fields [3]string) {
	for i := range fields {
		fields[i] = string(protocol.Part(raw, i))
	}
	return fields
}

// count returns the number of actions of all adversaries.
func (as *adversaries) count() (n uint64) {
	for i := range as.list {
		n += as.list[i].actions
	}
	return n
}

// kindCounts returns the number of actions by kind.
func (as *adversaries) kindCounts() []reports.KindCount {
	counts := map[scenarios.AdversaryKind]uint64{}
	for i := range as.list {
		counts[as.list[i].Kind] += as.list[i].actions
	}
	return kindCounts(counts)
}

func digits(rng *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('0' + rng.IntN(10)))
	}
	return b.String()
}

// noise returns 1 to n random bytes.
func noise(rng *rand.Rand, n int) string { return noiseOf(rng, 1+rng.IntN(n)) }

func noiseOf(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.UintN(256))
	}
	return string(b)
}

// forger sends beacons and datagrams that a step describes.
type forger struct {
	world    world.World
	lifetime time.Duration // of a TempID
}

// sendBeacon sends a beacon from the fields of a step. src draws the TempID if the step gives none.
func (fo *forger) sendBeacon(f *scenarios.Forge, src *rand.PCG, from uint32) {
	var fields [3]string
	if f.Copy >= 0 {
		var raw [protocol.BeaconSize]byte
		b, _ := fo.world.TempID(uint32(f.Copy))
		b.Encode(&raw)
		fields = beaconFields(&raw)
	} else {
		id := protocol.DrawTempID(src)
		fields = [3]string{id.String(), fo.wireTime(scenarios.WireTime{}),
			fo.wireTime(scenarios.WireTime{Offset: fo.lifetime})}
	}
	if f.TempID != "" {
		fields[0] = f.TempID
	}
	if f.Start.Set {
		fields[1] = fo.wireTime(f.Start)
	}
	if f.Expiry.Set {
		fields[2] = fo.wireTime(f.Expiry)
	}
	parts := []string{fields[0], fields[1], fields[2], f.Version}
	whole := strings.Join(parts, "")
	for _, to := range f.To {
		if len(whole) == protocol.BeaconSize {
			raw := (*[protocol.BeaconSize]byte)([]byte(whole))
			fo.world.AnnounceForged(from, uint32(to), raw)
			w, ok := fo.world.(dialectWorld)
			if ok && len(f.Omit) == 0 && w.SendForged(from, uint32(to), uint16(f.Port), raw) {
				continue
			}
		}
		if f.Form == scenarios.FormSingle {
			fo.world.SendDatagram(from, uint32(to), uint16(f.Port), []byte(whole))
			continue
		}
		fo.sendDatagrams(from, uint32(to), f.Port, withoutParts(parts, f.Omit), f.Gap)
	}
}

// dialectWorld is a world whose beacons can have the form of a dialect.
type dialectWorld interface {
	// SendForged sends a forged beacon in that form. It returns false, and sends nothing, if the form is that of
	// PROTOCOL.md.
	SendForged(phone, to uint32, port uint16, raw *[protocol.BeaconSize]byte) bool
}

// withoutParts returns the parts of a beacon without those whose numbers, from 1, are in omit.
func withoutParts(parts []string, omit []int) []string {
	var left []string
	for i, p := range parts {
		if !slices.Contains(omit, i+1) {
			left = append(left, p)
		}
	}
	return left
}

// sendDatagrams sends datagrams with a gap between them.
func (fo *forger) sendDatagrams(from, to uint32, port int, texts []string, gap time.Duration) {
	for i, t := range texts {
		if i == 0 || gap == 0 {
			fo.world.SendDatagram(from, to, uint16(port), []byte(t))
			continue
		}
		fo.world.Call(fo.world.Now()+time.Duration(i)*gap, func() {
			fo.world.SendDatagram(from, to, uint16(port), []byte(t))
		})
	}
}

// wireTime returns the text of a time, or the wall time of the world plus an offset in the format of the wire.
func (fo *forger) wireTime(t scenarios.WireTime) string {
	if t.Text != "" {
		return t.Text
	}
	return fo.world.Wall().Add(t.Offset).Format("02/01/2006 15:04:05")
}
