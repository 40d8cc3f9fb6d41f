package sim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// outcomes are the results by which two worlds are compared.
type outcomes struct {
	Replies  map[string][]string // by phone: what the server answered its program, and the script
	Screens  map[string][]string // by phone
	Server   []string            // its output
	Logs     map[string]string   // by phone
	Files    map[string]string
	Verdicts []string
	Counts   world.Counts
}

// recorder observes a run and records the events that two worlds must have in common.
type recorder struct {
	run    *run
	out    outcomes
	issued map[string]int    // by user
	called map[string]string // TempIDs by the names that they have here
}

// Observe implements event.Observer.
func (w *recorder) Observe(e *event.Event) {
	name := ""
	if e.Node != event.Server {
		name = w.run.world.Name(e.Node)
	}
	switch e.Kind {
	case event.Replied:
		if e.Scripted && w.resetting(e.Node) {
			return // the kernel decides whether an answer or the reset is first
		}
		if e.Scripted {
			name += " (script)"
		}
		w.out.Replies[name] = append(w.out.Replies[name], string(e.Bytes))
	case event.ScreenShown:
		w.out.Screens[name] = append(w.out.Screens[name], e.Text)
	case event.ServerPrinted:
		w.out.Server = append(w.out.Server, e.Text)
	case event.ServerDecided:
		if v := e.Decision; v.Kind == nodes.EventIssued {
			w.issued[v.User]++
			w.called[v.TempID.String()] = fmt.Sprintf("<%s: TempID %d>", v.User, w.issued[v.User])
		}
	}
}

// resetting reports whether the script has just reset the connection of the phone.
func (w *recorder) resetting(phone uint32) bool {
	return slices.ContainsFunc(w.run.script.steps, func(st step) bool {
		return st.Phone == int(phone) && st.TCP != nil && st.TCP.Reset && st.stage == began
	})
}

// normal replaces each TempID that the server drew by a name.
func (w *recorder) normal() outcomes {
	var pairs []string
	for id, name := range w.called {
		pairs = append(pairs, id, name)
	}
	replace := strings.NewReplacer(pairs...).Replace
	for _, m := range []map[string][]string{w.out.Replies, w.out.Screens, {"": w.out.Server}} {
		for _, lines := range m {
			for i := range lines {
				lines[i] = replace(lines[i])
			}
		}
	}
	for _, m := range []map[string]string{w.out.Logs, w.out.Files} {
		for name := range m {
			m[name] = replace(m[name])
		}
	}
	for i, v := range w.out.Verdicts {
		w.out.Verdicts[i] = replace(v)
	}
	return w.out
}

// withoutNetwork removes the delays and losses of a simulated network from a scenario.
func withoutNetwork(s *scenarios.Scenario) {
	s.Network.TCP.Delay, s.Network.UDP = scenarios.Distribution{}, scenarios.UDPNetwork{}
}

// notCompared lists the scenarios that cannot run on real sockets, with a part of the error.
var notCompared = map[string]string{
	"held-back": "real sockets cannot be forced to join sends",
	"in-pieces": "real sockets cannot be forced to split a stream",

	"late-answer": "the fault `delay` needs virtual time",
}

// fullSize reports whether tests use their full sizes, as they do at night.
func fullSize() bool { return os.Getenv("BLUETRACE_FULL") != "" }

// thinned makes scenarios smaller that would take long: clock.Mock sleeps one millisecond at each step and another at
// each timer.
var thinned = map[string]func(*scenarios.Scenario) *scenarios.Scenario{
	"classroom": func(s *scenarios.Scenario) *scenarios.Scenario {
		for i := range s.Routine {
			if r := &s.Routine[i]; r.Every == 20*time.Second {
				r.Every = 3 * time.Minute
			}
		}
		if fullSize() {
			return s
		}
		pupils := 10 // two rows
		stranger := len(s.PhoneNames()) - 1
		return s.Subset(func(i int) bool { return i <= pupils || i == stranger })
	},
}

// notTheSame lists the parts that are never compared, with the reason. docs/SCENARIOS.md has the same list.
var notTheSame = []string{
	"TempIDs: they are drawn anew live, and are called by their owners and numbers here",
	"delays and losses of network: the real network has its own, so that both worlds run without",
	"the order of events of one instant at different nodes, as the trace shows it: on sockets it is the kernel's",
	"attempts.txt: its key is drawn anew live",
	"answers on the way when the script resets its connection: which of the two comes first is the kernel's affair",
}

func loadWithoutNetwork(t *testing.T, name string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Load(filepath.Join(library, name+".yaml"), scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	withoutNetwork(s)
	if thin := thinned[name]; thin != nil {
		return thin(s)
	}
	return s
}

const logFile = "contactlog.txt"

// virtually runs a scenario in virtual time.
func virtually(t *testing.T, s *scenarios.Scenario) outcomes {
	t.Helper()
	e := record(t, s, Options{folder: files.NewMemory()})
	for name, text := range e.out.Logs {
		e.out.Files[name+"/"+logFile] = text // what it is to be, within a second
	}
	return e.normal()
}

// onSockets runs a scenario on real sockets under a clock.Mock.
func onSockets(t *testing.T, s *scenarios.Scenario) outcomes {
	t.Helper()
	var folders []*files.Memory
	live := &Live{mock: clock.NewMock(), log: func(int) (*files.ContactLog, error) {
		m := files.NewMemory()
		folders = append(folders, m)
		return files.OpenContactLog(m, logFile)
	}}
	e := record(t, s, Options{folder: files.NewMemory(), Live: live})
	for who, m := range folders {
		e.out.Files[e.run.world.Name(uint32(who))+"/"+logFile] = readIfThere(t, m, logFile)
	}
	return e.normal()
}

func readIfThere(t *testing.T, m *files.Memory, name string) string {
	t.Helper()
	p, err := m.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(p)
}

// ofVirtualTime are the invariants that are evaluated in virtual time only.
var ofVirtualTime = []check.Invariant{
	check.CommandsSentOnce, check.PasswordsAnswered, check.NothingGrows, check.BeaconsAssembled, check.LinesPrinted,
	check.NothingSecret, check.AnswersCome,
}

// record runs a scenario and records it.
func record(t *testing.T, s *scenarios.Scenario, o Options) *recorder {
	t.Helper()
	e := &recorder{
		out: outcomes{
			Replies: map[string][]string{}, Screens: map[string][]string{}, Logs: map[string]string{},
			Files: map[string]string{},
		},
		issued: map[string]int{}, called: map[string]string{},
	}
	o.built = func(r *run) { e.run = r }
	o.Subscribe = func(s *event.Stream) { s.Subscribe(e) }
	r, err := newRun(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	closed := sync.OnceValue(r.closeWorld)
	defer closed()
	for who := range r.programs {
		r.world.Watch(uint32(who))
	}
	if err := r.failure(r.play(t.Context())); err != nil {
		t.Fatal(err)
	}
	result := r.outcome(false)
	for who := range r.programs {
		e.out.Logs[r.world.Name(uint32(who))] = string(r.world.Log(uint32(who)).AppendText(nil))
	}
	for _, c := range result.Run.Checks {
		if slices.ContainsFunc(ofVirtualTime, func(i check.Invariant) bool { return i.String() == c.Name }) {
			continue
		}
		v := fmt.Sprintf("%s: %s %s", c.Verdict, c.Place, c.Name)
		if c.Verdict != reports.Passed {
			v += fmt.Sprintf("; expected %s, found %s", c.Expected, c.Found)
		}
		e.out.Verdicts = append(e.out.Verdicts, v)
	}
	e.out.Counts = *r.records.Totals()
	if err := closed(); err != nil {
		t.Fatal(err)
	}
	e.out.Files["tempIDs.txt"] = readIfThere(t, o.folder, "tempIDs.txt")
	return e
}

// TestParity checks that a scenario has the same results in virtual time and on real sockets, to the nanosecond:
// every answer, line, log, file and verdict.
func TestParity(t *testing.T) {
	found, _, err := scenarios.Find([]string{library})
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range notTheSame {
		t.Log("not compared: " + left)
	}
	compared := 0
	for _, file := range found {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if why := notCompared[name]; why != "" {
			t.Logf("not compared: %s: %s", name, why)
			_, err := newRun(t.Context(), loadWithoutNetwork(t, name), Options{Live: &Live{mock: clock.NewMock()}})
			if invalid, ok := errors.AsType[*Invalid](err); !ok || !strings.Contains(invalid.Error(), why) {
				t.Errorf("%s is refused with %v", name, err)
			}
			continue
		}
		compared++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, got := virtually(t, loadWithoutNetwork(t, name)), onSockets(t, loadWithoutNetwork(t, name))
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("virtual (-) and live (+) differ:\n%s", d)
			}
			if len(want.Verdicts) == 0 || len(want.Replies) == 0 || want.Server[0] != "I am listening" {
				t.Errorf("%d verdicts, answers to %d phones, server %q: nothing was compared", len(want.Verdicts),
					len(want.Replies), want.Server)
			}
		})
	}
	if compared < 10 {
		t.Errorf("%d scenarios were compared", compared)
	}
}

// TestParityFindsDifferences checks that a nanosecond between the two worlds is a difference that is reported.
func TestParityFindsDifferences(t *testing.T) {
	late := loadWithoutNetwork(t, "expiry")
	for i := range late.Phones {
		late.Phones[i].Retention++
	}
	d := cmp.Diff(virtually(t, loadWithoutNetwork(t, "expiry")), onSockets(t, late))
	for _, want := range []string{"Verdicts", "expected", "found 1 entry"} {
		if !strings.Contains(d, want) {
			t.Errorf("no %q in the difference:\n%s", want, d)
		}
	}
}
