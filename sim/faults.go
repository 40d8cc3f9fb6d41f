package sim

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"bluetrace/nodes/files"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// faults begins and ends the faults of the scenario and of its steps, and counts their effects.
type faults struct {
	world    world.Faulty // nil if the scenario has no faults
	scenario *scenarios.Scenario
	phones   int
	extra    []int // by additional program: its phone
	// requested are the faults of the scenario and of the steps that took place. The number of a fault is its
	// index + 1.
	requested []requestedFault
	counts    map[fault.Kind]uint64 // effects by kind
}

// requestedFault is a fault of the scenario, or of a step that took place.
type requestedFault struct {
	*scenarios.Fault
	due       time.Duration // the time at which it begins
	began     time.Duration // the time of its last beginning; the greatest time before the first
	hadEffect bool
}

// faultsOf returns the faults of the scenario, those of its list before those of its steps.
func faultsOf(s *scenarios.Scenario) []*scenarios.Fault {
	var all []*scenarios.Fault
	for i := range s.Faults {
		all = append(all, &s.Faults[i])
	}
	for i := range s.Script {
		if f := s.Script[i].Fault; f != nil {
			all = append(all, f)
		}
	}
	return all
}

// start schedules the faults of the scenario. Faults at time zero begin at begin, before any other event.
func (f *faults) start(w world.World, begin time.Duration) {
	if len(faultsOf(f.scenario)) == 0 {
		return
	}
	faulty, ok := w.(world.Faulty)
	if !ok {
		panic(fmt.Sprintf("sim: a %T cannot have the faults of %s, and was not refused", w, f.scenario.File))
	}
	f.world, f.counts = faulty, map[fault.Kind]uint64{}
	for i := range f.scenario.Faults {
		one := &f.scenario.Faults[i]
		from := time.Duration(0)
		if one.At == 0 {
			from = begin
		}
		f.schedule(one, from)
	}
}

// schedule schedules a fault and its repetitions, relative to the time from.
func (f *faults) schedule(one *scenarios.Fault, from time.Duration) {
	at := from + one.At
	f.requested = append(f.requested, requestedFault{Fault: one, due: at, began: math.MaxInt64})
	number := len(f.requested)
	src := virtual.Stream(f.scenario.Seed, fmt.Sprintf("fault %d", number), "whom")
	var begin func()
	begin = func() {
		f.requested[number-1].began = f.world.Now()
		if drawn := f.draw(one, number, &src); drawn != nil {
			f.world.Begin(drawn)
			if one.For > 0 {
				f.world.Call(f.world.Now()+one.For, func() { f.world.End(drawn) })
			}
		}
		at += one.Every
		if one.Every > 0 && (one.Until == 0 || at < from+one.Until) {
			f.world.Call(at, begin)
		}
	}
	f.world.Call(at, begin)
}

// draw returns the fault for the world. It returns nil if the draw of the affected nodes selects none.
func (f *faults) draw(one *scenarios.Fault, number int, src rand.Source) *world.Fault {
	of := f.nodes(one.Of)
	chance := one.Chance
	if one.PerNode() {
		if chance < 1 {
			of = f.drawNodes(of, chance, src)
		}
		if of.IsEmpty() {
			return nil
		}
		chance = 1
	}
	d := virtual.Delay(one.Delay)
	return &world.Fault{
		Number: number, Text: one.Text, Kind: one.Kind, Instant: one.Instant(),
		Chance: chance, Skip: one.Skip, Count: one.Count,
		Of: of, From: f.nodes(one.From), To: f.nodes(one.To), Stream: one.Stream, OneWay: one.OneWay,
		Min: d.Min, Max: d.Max, Mean: d.Mean, Bytes: one.Bytes, Room: one.Room,
		Unsynced: one.Unsynced, Disk: one.Disk, Offset: one.Offset, Step: one.Step, Drift: one.Drift,
	}
}

// drawNodes selects each of the nodes with the given probability.
func (f *faults) drawNodes(of world.Nodes, chance float64, src rand.Source) world.Nodes {
	if of.Any {
		of = world.Nodes{Server: true, Phones: make([]uint32, f.phones)}
		for i := range of.Phones {
			of.Phones[i] = uint32(i)
		}
	}
	selected := world.Nodes{Server: of.Server && drawChance(chance, src)}
	for _, p := range of.Phones {
		if drawChance(chance, src) {
			selected.Phones = append(selected.Phones, p)
		}
	}
	return selected
}

// nodes converts a set of nodes for the world, with every program of each phone.
func (f *faults) nodes(n scenarios.Nodes) world.Nodes {
	out := world.Nodes{Any: n.Any, Server: n.Server}
	for _, p := range n.Phones {
		out.Phones = append(out.Phones, uint32(p))
	}
	for i, phone := range f.extra {
		if slices.Contains(n.Phones, phone) {
			out.Phones = append(out.Phones, uint32(f.phones+i))
		}
	}
	slices.Sort(out.Phones)
	out.Phones = slices.Compact(out.Phones)
	return out
}

// countEffect counts one effect of a fault.
func (f *faults) countEffect(e *event.Event) {
	f.counts[e.Fault]++
	f.requested[e.Number-1].hadEffect = true
}

// count returns the number of effects of a kind; "applied" stands for all kinds.
func (f *faults) count(kind string) (n uint64) {
	for k, count := range f.counts {
		if kind == "applied" || string(k) == kind {
			n += count
		}
	}
	return n
}

// kindCounts orders counts by kind.
func kindCounts[K ~string](counts map[K]uint64) []reports.KindCount {
	var all []reports.KindCount
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, reports.KindCount{Kind: string(kind), Count: counts[kind]})
	}
	return all
}

// maxIdleFaults is the number of faults without an effect that notes names.
const maxIdleFaults = 10

// notes names the faults without an effect and their numbers in the trace: their nodes or times may be mistaken.
func (f *faults) notes() []string {
	var notes []string
	idle := 0
	for i := range f.requested {
		one := &f.requested[i]
		if one.hadEffect {
			continue
		}
		if idle++; idle > maxIdleFaults {
			continue
		}
		why := ""
		if one.due > f.world.Now() {
			why = ": the run was over before it began"
		}
		notes = append(notes, fmt.Sprintf("%s: fault %d (%s) did nothing%s", f.scenario.Place(one.Pos), i+1,
			one.Text, why))
	}
	if more := idle - maxIdleFaults; more > 0 {
		notes = append(notes, fmt.Sprintf("and %s that did nothing", reports.Plural(more, "more fault", "more faults")))
	}
	return notes
}

// drawChance returns true with probability p. It draws nothing if p is 0 or 1.
func drawChance(p float64, src rand.Source) bool {
	return p >= 1 || p > 0 && rand.New(src).Float64() < p
}

// restartFaults returns the faults of the scenario after which a node reads its files.
func restartFaults(s *scenarios.Scenario) []*scenarios.Fault {
	return slices.DeleteFunc(faultsOf(s), func(f *scenarios.Fault) bool {
		return f.Kind != fault.Crash && f.Kind != fault.SwitchOff && f.Kind != fault.Disk
	})
}

// assignFolders gives a folder to each phone that may read its log after a fault.
func assignFolders(s *scenarios.Scenario, phones []virtual.PhoneConfig) {
	everyPhone := false
	needs := make([]bool, len(phones))
	for _, f := range restartFaults(s) {
		everyPhone = everyPhone || f.Of.Any
		for _, i := range f.Of.Phones {
			needs[i] = true
		}
	}
	for i := range phones {
		if everyPhone || needs[i] {
			phones[i].Folder = files.NewMemory()
		}
	}
}
