// Package findings keeps the causes of failures across the runs of a fleet: each is new, ongoing, gone or back.
package findings

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// State is the state of a finding after the last run.
type State string

// The states, in the order of the file.
const (
	New     State = "new"     // found for the first time
	Back    State = "back"    // found again after it was gone
	Ongoing State = "ongoing" // found again
	Gone    State = "gone"    // a complete run of its scenario did not find it
)

var states = []State{New, Back, Ongoing, Gone}

// Sighting is a run that found a cause.
type Sighting struct {
	Run      string    `json:"run"`
	At       time.Time `json:"at"`
	Revision string    `json:"revision,omitempty"` // of the source
	Seed     uint64    `json:"seed"`               // the smallest
	File     string    `json:"file"`               // the scenario
	Runs     uint64    `json:"runs"`               // of this cause
}

// Finding is a cause of failures.
type Finding struct {
	Cause  string     `json:"cause"`
	State  State      `json:"state"`
	First  Sighting   `json:"first"`
	Last   Sighting   `json:"last"`
	Count  int        `json:"count"`          // runs of the fleet that found it
	Gone   *time.Time `json:"gone,omitempty"` // the time since which it is gone
	Repeat string     `json:"repeat"`
}

// List is the file of the findings.
type List struct {
	Format   int       `json:"format"`        // reports.Format
	Kind     string    `json:"kind"`          // "findings"
	Run      string    `json:"run,omitempty"` // the last one
	Count    int       `json:"count"`         // runs of the fleet
	Findings []Finding `json:"findings"`
}

const (
	kind     = "findings"
	fileName = "findings.json"
	maxFile  = 64 << 20 // bytes
	// bodyPrefix begins the names of the bodies, and bodyMark their text, so that the next run can remove them.
	bodyPrefix = "new-"
	bodyMark   = "<!-- a finding of a fleet -->\n"
	maxDiagram = 60 << 10 // bytes; a larger one does not fit an issue
)

// Read returns the findings in a folder. If it has no file, the list is empty.
func Read(folder string) (*List, error) {
	path := filepath.Join(folder, fileName)
	empty := &List{Format: reports.Format, Kind: kind, Findings: []Finding{}}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the findings: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	l := &List{}
	if err := json.NewDecoder(io.LimitReader(f, maxFile)).Decode(l); err != nil {
		return nil, fmt.Errorf("reading %q: %w", path, err)
	}
	if l.Kind != kind {
		return nil, fmt.Errorf("%q is no list of findings: kind is %q", path, l.Kind)
	}
	for i := range l.Findings {
		if !slices.Contains(states, l.Findings[i].State) {
			return nil, fmt.Errorf("%q: unknown state %q", path, l.Findings[i].State)
		}
	}
	return l, reports.CheckFormat(l.Format)
}

// Has reports whether the list has a run. A run whose end was not recorded is reported again, and must not count twice.
func (l *List) Has(run string) bool {
	return l.Run == run || slices.ContainsFunc(l.Findings, func(f Finding) bool { return f.Last.Run == run })
}

// Update adds the result of a run. Only a complete run, which no interrupt and no failure ended early, shows that a cause
// is gone, and only for the scenarios that it has.
func (l *List) Update(s *swarm.Summary, run string, at time.Time, complete bool) {
	l.Run = run
	l.Count++
	found := map[string]bool{}
	for _, g := range s.Sorted() {
		found[g.Cause] = true
		sight := Sighting{run, at.UTC(), s.Build.Revision, g.Seed, g.File, g.Runs}
		i := slices.IndexFunc(l.Findings, func(f Finding) bool { return f.Cause == g.Cause })
		if i < 0 {
			l.Findings = append(l.Findings, Finding{Cause: g.Cause, State: New, First: sight, Last: sight, Count: 1,
				Repeat: g.Repeat})
			continue
		}
		f := &l.Findings[i]
		if f.State == Gone {
			f.State = Back
		} else {
			f.State = Ongoing
		}
		f.Last, f.Gone, f.Repeat = sight, nil, g.Repeat
		f.Count++
	}
	for i := range l.Findings {
		f := &l.Findings[i]
		ran := slices.ContainsFunc(s.Files, func(r swarm.FileRuns) bool { return r.File == f.Last.File })
		switch {
		case found[f.Cause] || f.State == Gone:
		case complete && ran && s.MoreCauses == 0:
			since := at.UTC()
			f.State, f.Gone = Gone, &since
		default: // unknown
			f.State = Ongoing
		}
	}
	slices.SortStableFunc(l.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(states, a.State), slices.Index(states, b.State)),
			cmp.Compare(a.Cause, b.Cause))
	})
}

// Counts returns the number of findings in each state, as a text.
func (l *List) Counts() string {
	counts := make([]string, len(states))
	for i, state := range states {
		n := 0
		for j := range l.Findings {
			if l.Findings[j].State == state {
				n++
			}
		}
		counts[i] = fmt.Sprintf("%d %s", n, state)
	}
	return strings.Join(counts, ", ")
}

// Write writes the list into a folder, and a Markdown body for each finding that is new or back. It removes the bodies of
// the run before.
func (l *List) Write(folder string, s *swarm.Summary) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("making the folder of the findings: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(folder, bodyPrefix+"*.md"))
	if err != nil {
		return fmt.Errorf("finding the bodies of the run before: %w", err)
	}
	for _, path := range old {
		if text, err := os.ReadFile(path); err == nil && bytes.HasPrefix(text, []byte(bodyMark)) {
			if err := reports.RemoveFile(path); err != nil {
				return err
			}
		}
	}
	for i := range l.Findings {
		f := &l.Findings[i]
		g := slices.IndexFunc(s.Failures, func(g swarm.Group) bool { return g.Cause == f.Cause })
		if g < 0 || f.State != New && f.State != Back {
			continue
		}
		path := filepath.Join(folder, bodyPrefix+swarm.FileName(f.Cause)+".md")
		for n := 2; exists(path); n++ {
			path = filepath.Join(folder, fmt.Sprintf("%s%s-%d.md", bodyPrefix, swarm.FileName(f.Cause), n))
		}
		text := body(f, &s.Failures[g])
		if err := reports.WriteFile(path, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
			return err
		}
	}
	return reports.WriteFile(filepath.Join(folder, fileName), func(w io.Writer) error {
		return reports.WriteJSON(w, l, "the findings")
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// body returns the text of an issue about a finding.
func body(f *Finding, g *swarm.Group) []byte {
	b := bytes.NewBufferString(bodyMark)
	fmt.Fprintf(b, "A swarm found a failure that is %s: %s, the first with seed %d, in the run %s.\n\n", f.State,
		reports.Plural(g.Runs, "run", "runs"), g.Seed, f.Last.Run)
	found := cmp.Or(g.Check.Found, "nothing")
	block(b, "", fmt.Sprintf("cause     %s\nscenario  %s\nexpected  %s\nfound     %s\nbuild     %s", g.Cause, g.File,
		g.Check.Expected, found, cmp.Or(f.Last.Revision, "unknown")))
	b.WriteString("\nTo repeat it:\n\n")
	block(b, "sh", g.Repeat)
	if f.State == Back {
		fmt.Fprintf(b, "\nFirst found %s with seed %d.\n", f.First.At.Format(time.DateOnly), f.First.Seed)
	}
	if text := readSome(strings.TrimSuffix(g.Shrunk, filepath.Ext(g.Shrunk)) + ".md"); g.Shrunk != "" && text != "" {
		fmt.Fprintf(b, "\n%s\n", strings.TrimSpace(text)) // sim made the diagram, and escaped its texts
	}
	if text := readSome(cmp.Or(g.Shrunk, g.Drawn)); text != "" {
		b.WriteString("\nThe smallest scenario that shows it:\n\n")
		block(b, "yaml", text)
	}
	return b.Bytes()
}

// readSome returns a text file, or nothing if there is none or if it is large.
func readSome(path string) string {
	if path == "" {
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil || len(text) > maxDiagram {
		return ""
	}
	return string(text)
}

// block writes lines as a block of code, which no text in it can end.
func block(b *bytes.Buffer, language, text string) {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	fmt.Fprintf(b, "%s%s\n", fence, language)
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		b.WriteString(reports.Escape(line) + "\n")
	}
	b.WriteString(fence + "\n")
}
