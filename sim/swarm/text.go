package swarm

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bluetrace/reports"
)

// TextOptions says how a summary is written.
type TextOptions struct {
	Color bool // ANSI colours for the verdicts
	// Drawn has every failure shown with what its seed drew and the last events.
	ShowDraws bool
	// DrawnAbove says that what seeds drew stands before the summary.
	DrawsPrinted   bool
	ListUnreached  bool // the situations that were never reached are listed
	NoOutputFolder bool // there was no folder for files of failures
}

// page is the text of a summary.
type page struct {
	bytes.Buffer
	TextOptions
	drawn map[string]bool // whose draw stands on the page
}

const pageWidth = 100

// Text writes the summary for a person: the verdict first, then how much was run,
// what faults did, and the failures, grouped by cause. What came from a scenario
// or a peer is written with reports.Escape.
func (s *Summary) Text(w io.Writer, o TextOptions) error {
	p := &page{TextOptions: o, drawn: map[string]bool{}}
	p.verdict(s)
	p.failures(s)
	p.counts(s)
	if _, err := w.Write(p.Bytes()); err != nil {
		return fmt.Errorf("writing the summary of the swarm: %w", err)
	}
	return nil
}

func (p *page) line(format string, arguments ...any) { fmt.Fprintf(p, format+"\n", arguments...) }

// field is one line: a name and a text, whole.
func (p *page) field(name, text string) { p.line("  %-12s%s", name, reports.Escape(text)) }

// word is a verdict in its colour.
func (p *page) word(v reports.Verdict, text string) string {
	if !p.Color {
		return text
	}
	code := map[reports.Verdict]string{reports.Passed: "32", reports.Failed: "31"}[v]
	if code == "" {
		code = "33"
	}
	return "\x1b[1;" + code + "m" + text + "\x1b[0m"
}

func (p *page) verdict(s *Summary) {
	said := fmt.Sprintf("%s held", reports.Plural(s.Runs, "run", "runs"))
	if s.Failed > 0 {
		said = fmt.Sprintf("%s of %s failed, of %s", reports.FormatCount(s.Failed), reports.Plural(s.Runs, "run", "runs"),
			reports.Plural(uint64(len(s.Failures))+s.MoreCauses, "cause", "causes"))
	}
	for _, reason := range s.Reasons {
		if s.Verdict != reports.Interrupted { // else the verdict says it
			said += "; " + reports.Escape(reason)
		}
	}
	p.line("%s  swarm: %s", p.word(s.Verdict, strings.ToUpper(string(s.Verdict))), said)
}

func (p *page) failures(s *Summary) {
	for _, g := range s.Sorted() {
		p.line("")
		p.line("  %s  %s", p.word(reports.Failed, "failed"), reports.Escape(g.Cause))
		p.line("    %-10s%s of %s; first with seed %d of %s", "how often", reports.FormatCount(g.Runs), reports.Plural(s.Runs, "run", "runs"), g.Seed, reports.Escape(g.File))
		p.example(g)
	}
	if p.NoOutputFolder && len(s.Failures) > 0 {
		p.line("")
		p.line("  with --out DIR a small file of each cause is written")
	}
	if s.MoreCauses > 0 {
		p.line("")
		p.line("  and %s of further causes", reports.Plural(s.MoreCauses, "failure", "failures"))
	}
}

// example is the first failure of a cause, and how to see it again.
func (p *page) example(g *Group) {
	if g.Check.Name != "" && g.Check.Kind != reports.InvariantCheck {
		p.detail("step", g.Check.Name)
	}
	p.detail("expected", g.Check.Expected)
	found := g.Check.Found
	if found == "" {
		found = "nothing"
	}
	p.detail("found", found)
	if g.Check.AtSeconds != nil {
		at := time.Duration(*g.Check.AtSeconds * float64(time.Second))
		phase := "under faults"
		if at > g.Plan.Heal {
			phase = "healed"
		}
		p.detail("at", fmt.Sprintf("%v of virtual time, %s (heal at %v)", at, phase, g.Plan.Heal))
	}
	p.detail("repeat", g.Repeat)
	p.detail("drawn", g.Drawn)
	p.detail("shrunk", strings.TrimSpace(g.Shrunk+" "+g.ShrunkNote))
	p.also(g.Later)
	if !p.ShowDraws {
		return
	}
	if whose := fmt.Sprintf("seed %d of %s", g.Seed, g.File); p.DrawsPrinted || p.drawn[whose] {
		p.detail("drawn", "as printed above: "+whose)
	} else {
		p.drawn[whose] = true
		p.list("drawn", g.Plan.Drawn)
	}
	events := make([]string, 0, len(g.Check.LastEvents))
	for _, e := range g.Check.LastEvents {
		events = append(events, texts.ReplaceAllStringFunc(e, abridged))
	}
	p.list("last events", events)
}

const longestQuoted = 64 // bytes of a quoted text among the last events

// abridged is a quoted text without what is too long of it.
func abridged(quoted string) string {
	text, err := strconv.Unquote(quoted)
	if err != nil || len(text) <= longestQuoted {
		return quoted
	}
	return fmt.Sprintf("%q… (%d more bytes)", text[:longestQuoted], len(text)-longestQuoted)
}

// also are the causes behind a cause.
func (p *page) also(later []LaterCause) {
	if len(later) == 0 {
		return
	}
	p.line("    also, later in these runs:")
	for i, a := range later {
		if i == mostAlso && len(later) > mostAlso+1 {
			p.line("      and %d further causes", len(later)-i)
			return
		}
		p.line("      %s: %s", reports.Plural(a.Runs, "run", "runs"), reports.Escape(a.Cause))
	}
}

const mostAlso = 8 // that are shown

func (p *page) list(name string, lines []string) {
	if len(lines) == 0 {
		return
	}
	p.line("    %s", name)
	for _, l := range lines {
		p.line("      %s", reports.Escape(l))
	}
}

// detail writes a named text, whole; further lines of it stand below the first.
func (p *page) detail(name, text string) {
	if text == "" {
		return
	}
	for i, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if i > 0 {
			name = ""
		}
		p.line("    %-10s%s", name, reports.Escape(l))
	}
}

// counts are how much was run, and what happened in it.
func (p *page) counts(s *Summary) {
	p.line("")
	p.field("seeds", s.SeedRanges())
	for i, f := range s.Files {
		name := "scenarios"
		if i > 0 {
			name = ""
		}
		text := fmt.Sprintf("%s: %s", f.File, reports.Plural(f.Runs, "run", "runs"))
		if f.Failed > 0 {
			text += fmt.Sprintf(", %s failed", reports.FormatCount(f.Failed))
		}
		p.field(name, text)
	}
	p.kinds("faults", s.Faults, "none did anything")
	p.kinds("adversaries", s.Adversaries, "none acted")
	p.marks(s)
	if s.Repeated > 0 {
		p.field("twice", reports.Plural(s.Repeated, "run was", "runs were")+" run a second time, to be the same")
	}
	p.speed(s)
}

func (p *page) kinds(name string, counts []reports.KindCount, none string) {
	words := []string{none}
	if len(counts) > 0 {
		words = nil
	}
	for _, k := range counts {
		words = append(words, k.Kind+" "+reports.FormatCount(k.Count))
	}
	p.row(name, words)
}

func (p *page) marks(s *Summary) {
	if len(s.Situations) == 0 {
		return
	}
	missing := s.Unreached()
	p.field("marks", fmt.Sprintf("%d of %d situations reached", len(s.Situations)-len(missing), len(s.Situations)))
	switch {
	case len(missing) == 0:
	case p.ListUnreached:
		p.row("never", missing)
	default:
		p.field("never", fmt.Sprintf("%d; --verbose lists them", len(missing)))
	}
}

// row is words, broken where they would grow wider than the page.
func (p *page) row(name string, words []string) {
	line := ""
	for _, w := range words {
		w = reports.Escape(w)
		if line != "" && 14+utf8.RuneCountInString(line)+2+utf8.RuneCountInString(w) > pageWidth {
			p.field(name, line)
			name, line = "", ""
		}
		if line != "" {
			line += "  "
		}
		line += w
	}
	p.field(name, line)
}

func (p *page) speed(s *Summary) {
	const day = 24 * 60 * 60 * 1000
	p.field("virtual", fmt.Sprintf("%.2f days, %s", float64(s.VirtualMs)/day, reports.Plural(s.Events, "event", "events")))
	if s.WallSeconds <= 0 {
		return
	}
	t := s.throughput()
	p.field("time", fmt.Sprintf("%.1f s with %s: %.1f runs per second, %.1f per worker; %s times as fast as life",
		s.WallSeconds, reports.Plural(max(s.Jobs, 1), "worker", "workers"), t.RunsPerSecond, t.RunsPerSecondPerCore,
		reports.FormatCount(uint64(t.VirtualPerWall+0.5))))
}
