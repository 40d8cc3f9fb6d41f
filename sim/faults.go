package sim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// faults are those of a run: of the file, and of its steps.
type faults struct {
	world   world.Faulty // nil: there are none
	asked   []askedFault // by number, from 1
	applied map[fault.Kind]uint64
}

// askedFault is one that the file, or a step that took place, asked for.
type askedFault struct {
	*scenarios.Fault
	due time.Duration // when it begins
	did bool          // something, once at least
}

// asksForFaults says whether the file has any, in its list or in its steps.
func asksForFaults(s *scenarios.Scenario) bool {
	return len(s.Faults) > 0 || slices.ContainsFunc(s.Script, func(st scenarios.Step) bool { return st.Fault != nil })
}

// startFaults has the faults of the file begin at their times. What begins with
// the run does so before anything else happens.
func (r *run) startFaults() {
	if !asksForFaults(r.scenario) {
		return
	}
	w, ok := r.world.(world.Faulty)
	if !ok {
		panic(fmt.Sprintf("sim: a %T cannot have the faults of %s, and was not refused", r.world, r.scenario.File))
	}
	r.faults.world = w
	for i := range r.scenario.Faults {
		f := &r.scenario.Faults[i]
		from := time.Duration(0)
		if f.At == 0 {
			from = r.begin
		}
		r.putFault(f, from)
	}
}

// putFault schedules a fault, and its repetitions, from a moment on.
func (r *run) putFault(f *scenarios.Fault, from time.Duration) {
	at := from + f.At
	r.faults.asked = append(r.faults.asked, askedFault{Fault: f, due: at})
	number := len(r.faults.asked)
	src := virtual.Stream(r.scenario.Seed, fmt.Sprintf("fault %d", number), "whom")
	begin := func() {
		if one := r.drawFault(f, number, &src); one != nil {
			r.beginFault(one, f.For)
		}
	}
	var again func()
	again = func() {
		begin()
		at += f.Every
		if f.Every > 0 && (f.Until == 0 || at < from+f.Until) {
			r.world.Call(at, again)
		}
	}
	r.world.Call(at, again)
}

func (r *run) beginFault(f *world.Fault, length time.Duration) {
	r.faults.world.Begin(f)
	if length > 0 {
		r.world.Call(r.world.Now()+length, func() { r.faults.world.End(f) })
	}
}

// drawFault is the fault as the world gets it; nil when chance spares everybody whom
// it could happen to.
func (r *run) drawFault(f *scenarios.Fault, number int, src rand.Source) *world.Fault {
	of := r.nodes(f.Of)
	chance := f.Chance
	if f.PerNode() {
		if chance < 1 {
			of = r.hit(of, chance, src)
		}
		if !of.Any && !of.Server && len(of.Phones) == 0 {
			return nil
		}
		chance = 1
	}
	d := delayOf(f.Delay)
	return &world.Fault{
		Number: number, Text: f.Text, Kind: world.FaultKind(f.Kind), Instant: f.Instant(),
		Chance: chance, Skip: f.Skip, Count: f.Count,
		Of: of, From: r.nodes(f.From), To: r.nodes(f.To), Stream: f.Stream, OneWay: f.OneWay,
		Min: d.Min, Max: d.Max, Mean: d.Mean, Bytes: f.Bytes, Room: f.Room,
		Unsynced: f.Unsynced, Disk: f.Disk, Offset: f.Offset, Step: f.Step, Drift: f.Drift,
	}
}

// hit draws those of the nodes that the fault happens to.
func (r *run) hit(of world.Nodes, chance float64, src rand.Source) world.Nodes {
	if of.Any {
		of = world.Nodes{Server: true, Phones: everybody(len(r.accounts))}
	}
	struck := world.Nodes{Server: of.Server && struckBy(chance, src)}
	for _, p := range of.Phones {
		if struckBy(chance, src) {
			struck.Phones = append(struck.Phones, p)
		}
	}
	return struck
}

func everybody(n int) []uint32 {
	all := make([]uint32, n)
	for i := range all {
		all[i] = uint32(i)
	}
	return all
}

// nodes are the world's, with every program of a phone.
func (r *run) nodes(n scenarios.Nodes) world.Nodes {
	out := world.Nodes{Any: n.Any, Server: n.Server}
	for _, p := range n.Phones {
		out.Phones = append(out.Phones, uint32(p))
	}
	for _, sec := range r.seconds {
		if slices.Contains(n.Phones, sec.phone) {
			out.Phones = append(out.Phones, sec.program)
		}
	}
	slices.Sort(out.Phones)
	out.Phones = slices.Compact(out.Phones)
	return out
}

// actFault puts the fault of a step in force.
func (r *run) actFault(st *step) {
	r.putFault(st.Fault, r.world.Now())
	r.tookEffect(st)
}

// applied counts one effect of a fault.
func (r *run) applied(e *event.Event) {
	if r.faults.applied == nil {
		r.faults.applied = map[fault.Kind]uint64{}
	}
	r.faults.applied[e.Fault]++
	r.faults.asked[e.Number-1].did = true
}

// faultCounts are what faults did, by kind.
func (r *run) faultCounts() []reports.KindCount {
	var all []reports.KindCount
	for _, kind := range slices.Sorted(maps.Keys(r.faults.applied)) {
		all = append(all, reports.KindCount{Kind: string(kind), Count: r.faults.applied[kind]})
	}
	return all
}

// maxIdleFaults is how many faults that did nothing are named.
const maxIdleFaults = 10

// faultNotes name the faults that did nothing, by their numbers in the trace: a
// name or a time may be another than was meant.
func (r *run) faultNotes() []string {
	var notes []string
	idle := 0
	for i := range r.faults.asked {
		f := &r.faults.asked[i]
		if f.did {
			continue
		}
		if idle++; idle > maxIdleFaults {
			continue
		}
		why := ""
		if f.due > r.world.Now() {
			why = ": the run was over before it began"
		}
		notes = append(notes, fmt.Sprintf("%s: fault %d (%s) did nothing%s", r.place(f.Pos), i+1, f.Text, why))
	}
	if more := idle - maxIdleFaults; more > 0 {
		notes = append(notes, fmt.Sprintf("and %s that did nothing", reports.Plural(more, "more fault", "more faults")))
	}
	return notes
}

// faultCount is a count of faults or adversaries by the name that the language
// gives it.
func (r *run) faultCount(name string) (n uint64, ok bool) {
	if name == "adversaries.sent" {
		for i := range r.adversaries {
			n += r.adversaries[i].done
		}
		return n, true
	}
	kind, ok := strings.CutPrefix(name, "faults.")
	for k, count := range r.faults.applied {
		if kind == "applied" || string(k) == kind {
			n += count
		}
	}
	return n, ok
}

// struckBy is true with probability p; what is certain draws nothing.
func struckBy(p float64, src rand.Source) bool {
	return p >= 1 || p > 0 && rand.New(src).Float64() < p
}
