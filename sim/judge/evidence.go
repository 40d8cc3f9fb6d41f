package judge

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bluetrace/reports/marks"
	"bluetrace/scenarios"
	"bluetrace/sim/event"
)

// Limits of the evidence of one run.
const (
	maxLines = 400
	maxText  = 500  // bytes of a line
	maxFile  = 2000 // bytes of a file
)

// evidence collects what goes between the judge and the programs in one run.
type evidence struct {
	names   []string
	tested  map[event.Node]bool // the programs that the rule is about
	printed atomic.Bool         // one of them has printed a line before its end

	first time.Duration // the time of that line

	mu    sync.Mutex
	seen  []marks.Line
	after []marks.File
}

func newEvidence(s *scenarios.Scenario) *evidence {
	e := &evidence{names: s.PhoneNames(), tested: map[event.Node]bool{event.Server: s.Rule.Of != "phone"}}
	for i := range s.Phones {
		if p := &s.Phones[i]; p.Program != "" {
			e.tested[event.Node(slices.Index(e.names, p.Name))] = true
		}
	}
	return e
}

// add adds a line. Those beyond maxLines are dropped.
func (e *evidence) add(at time.Duration, from, to, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(text) > maxText {
		text = text[:maxText] + "…"
	}
	if len(e.seen) < maxLines {
		seconds := at.Round(time.Millisecond).Seconds()
		e.seen = append(e.seen, marks.Line{AtSeconds: seconds, From: from, To: to, Text: text})
	}
}

// wire records bytes between a phone and the server.
func (e *evidence) wire(at time.Duration, phone string, sent bool, b []byte) {
	if sent {
		e.add(at, phone, "server", strconv.Quote(string(b)))
	} else {
		e.add(at, "server", phone, strconv.Quote(string(b)))
	}
}

// subscribe records the output of the server, and the lines that are typed at programs.
func (e *evidence) subscribe(s *event.Stream) {
	s.On(event.ServerPrinted, func(ev *event.Event) { e.shown(ev, "its output") })
	s.On(event.ProgramStatus, func(ev *event.Event) {
		if strings.HasPrefix(ev.Text, "is typed ") {
			return // LineTyped has it
		}
		e.add(ev.At, e.name(ev.Node), "the judge", ev.Text)
	})
	s.On(event.LineTyped, func(ev *event.Event) { e.add(ev.At, "user", e.name(ev.Node), ev.Text) })
	s.On(event.PhonePrinted, func(ev *event.Event) { e.shown(ev, "its screen") })
	s.On(event.PhoneStopped, func(ev *event.Event) {
		if e.tested[ev.Node] && ev.At < e.first+atExit {
			e.printed.Store(false)
		}
	})
}

// atExit is the time from the first line to the end of a program that prints its buffer as it ends.
const atExit = 500 * time.Millisecond

// shown records a line that a program prints.
func (e *evidence) shown(ev *event.Event, where string) {
	if e.tested[ev.Node] && !e.printed.Swap(true) {
		e.first = ev.At
	}
	e.add(ev.At, e.name(ev.Node), where, ev.Text)
}

func (e *evidence) name(n event.Node) string {
	if int(n) < len(e.names) {
		return e.names[n]
	}
	return "server"
}

// lines returns the lines in the order of time.
func (e *evidence) lines() []marks.Line {
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.SortStableFunc(e.seen, func(a, b marks.Line) int { return cmp.Compare(a.AtSeconds, b.AtSeconds) })
	return e.seen
}

// files records the text files of a program's folder.
func (e *evidence) files(folder string) {
	list, err := os.ReadDir(folder)
	if err != nil {
		return // the program may have removed it
	}
	for _, f := range list {
		if !f.Type().IsRegular() || !strings.HasSuffix(f.Name(), ".txt") {
			continue
		}
		text, err := readBeginning(filepath.Join(folder, f.Name()))
		if err == nil {
			e.keep(marks.File{Name: f.Name(), After: text})
		}
	}
}

// keep adds a file, unless another program had the same.
func (e *evidence) keep(f marks.File) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Contains(e.after, f) {
		e.after = append(e.after, f)
	}
}

// readBeginning returns the first maxFile bytes of a file.
func readBeginning(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	b := make([]byte, maxFile)
	n, _ := f.Read(b) // an empty file has none
	return string(b[:n]), nil
}
