package swarm

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"bluetrace/reports"
)

// TextOptions are the settings of Summary.Text.
type TextOptions struct {
	Color          bool // ANSI colours for the verdicts
	ShowDraws      bool // with each failure, list everything its seed drew and the last events
	DrawsPrinted   bool // the draws of the seeds were printed before the summary
	NoOutputFolder bool // no folder was given for the files of failures
}

// page is the text of a summary.
type page struct {
	reports.Page
	TextOptions
	drawn map[string]bool // the runs whose draws are on the page
}

// Text writes the summary for a person: the verdict, the failures by cause, and the counts. Text from a scenario or a
// peer is written with reports.Escape.
func (s *Summary) Text(w io.Writer, o TextOptions) error {
	p := &page{Page: reports.Page{Colored: o.Color}, TextOptions: o, drawn: map[string]bool{}}
	p.verdict(s)
	p.failures(s)
	p.counts(s)
	return reports.WriteDocument(w, p.Bytes(), "the summary of the swarm")
}

func (p *page) verdict(s *Summary) {
	p.Line("%s  swarm: %s", p.Paint(s.Verdict.Color(), strings.ToUpper(string(s.Verdict))),
		reports.Escape(s.result()))
}

// result returns the numbers of runs and causes, and the other reasons of the verdict.
func (s *Summary) result() string {
	result := reports.Plural(s.Runs, "run", "runs") + " held"
	if s.Runs == 0 {
		result = "no seed was run"
	}
	if s.Failed > 0 {
		result = fmt.Sprintf("%s of %s failed, of %s",
			reports.FormatCount(s.Failed), reports.Plural(s.Runs, "run", "runs"),
			reports.Plural(uint64(len(s.Failures))+s.MoreCauses, "cause", "causes"))
	}
	for _, reason := range s.Reasons {
		if s.Verdict != reports.Interrupted { // that verdict itself is the reason
			result += "; " + reason
		}
	}
	return result
}

func (p *page) failures(s *Summary) {
	for _, g := range s.Sorted() {
		p.Line("")
		p.Line("  %s  %s", p.Paint(reports.Red, "failed"), reports.Escape(g.Cause))
		p.Detail("runs", s.runsOf(g))
		p.example(g)
	}
	if p.NoOutputFolder && len(s.Failures) > 0 {
		p.Line("\n  use --out DIR to write a small scenario for each cause")
	}
	if s.MoreCauses > 0 {
		p.Line("\n  and %s of further causes", reports.Plural(s.MoreCauses, "failure", "failures"))
	}
}

// example writes the first failure of a cause and the command that repeats it.
func (p *page) example(g *Group) {
	p.Detail("step", stepOf(&g.Check))
	p.Detail("expected", g.Check.Expected)
	p.Detail("found", cmp.Or(g.Check.Found, "nothing"))
	p.Detail("at", g.time())
	p.Detail("repeat", g.Repeat)
	p.Detail("drawn", g.Drawn)
	p.Detail("shrunk", strings.TrimSpace(g.Shrunk+" "+g.ShrunkNote))
	p.later(g.Later)
	if !p.ShowDraws {
		return
	}
	if run := fmt.Sprintf("seed %d of %s", g.Seed, g.File); p.DrawsPrinted || p.drawn[run] {
		p.Detail("drawn", "see above: "+run)
	} else {
		p.drawn[run] = true
		p.List("drawn", g.Plan.Drawn)
	}
	events := make([]string, 0, len(g.Check.LastEvents))
	for _, e := range g.Check.LastEvents {
		events = append(events, quotedTexts.ReplaceAllStringFunc(e, abridged))
	}
	p.List("last events", events)
}

// runsOf returns the number of runs of a cause, and the first of them.
func (s *Summary) runsOf(g *Group) string {
	return fmt.Sprintf("%s of %s; first: seed %d of %s",
		reports.FormatCount(g.Runs), reports.FormatCount(s.Runs), g.Seed, g.File)
}

// time returns the time of the failure and its phase, or "" if it has no time.
func (g *Group) time() string {
	if g.Check.AtSeconds == nil {
		return ""
	}
	at := time.Duration(*g.Check.AtSeconds * float64(time.Second))
	phase := "under faults"
	if at > g.Plan.Heal {
		phase = "healed"
	}
	return fmt.Sprintf("%v of virtual time, %s (heal at %v)", at, phase, g.Plan.Heal)
}

// maxQuoted is the length in bytes to which a quoted text of an event is cut.
const maxQuoted = 64

// abridged cuts a quoted text to maxQuoted bytes.
func abridged(quoted string) string {
	text, err := strconv.Unquote(quoted)
	if err != nil || len(text) <= maxQuoted {
		return quoted
	}
	return fmt.Sprintf("%q… (%d more bytes)", text[:maxQuoted], len(text)-maxQuoted)
}

// maxLater is the number of later causes that are listed.
const maxLater = 8

// later lists the causes of later failures.
func (p *page) later(causes []LaterCause) {
	if len(causes) == 0 {
		return
	}
	p.Line("    later in these runs:")
	for i, c := range causes {
		if i == maxLater && len(causes) > maxLater+1 {
			p.Line("      and %d further causes", len(causes)-i)
			return
		}
		p.Line("      %s: %s", reports.Plural(c.Runs, "run", "runs"), reports.Escape(c.Cause))
	}
}

// counts writes the seeds, the files, and the counts of the runs.
func (p *page) counts(s *Summary) {
	p.Line("")
	p.Field("seeds", seedsText(s.Ranges))
	if s.Part != nil {
		p.Field("part", s.Part.String())
	}
	for i, f := range s.Files {
		name := "scenarios"
		if i > 0 {
			name = ""
		}
		text := fmt.Sprintf("%s: %s", f.File, reports.Plural(f.Runs, "run", "runs"))
		if f.Failed > 0 {
			text += fmt.Sprintf(", %s failed", reports.FormatCount(f.Failed))
		}
		p.Field(name, text)
	}
	p.kinds("faults", s.Faults)
	p.kinds("adversaries", s.Adversaries)
	p.reached("situations", "reached", "not reached", len(s.Situations), s.Unreached(), p.Row)
	p.reached("invariants", "exercised", "unexercised", len(s.Invariants), s.Unexercised(), p.Fields)
	if s.Repeated > 0 {
		p.Field("repeated", reports.Plural(s.Repeated, "run", "runs")+", compared with the first run of the seed")
	}
	p.speed(s)
}

// maxRanges is the number of ranges that are listed.
const maxRanges = 8

func seedsText(ranges []Range) string {
	var texts []string
	for i, r := range ranges {
		switch {
		case i == maxRanges:
			return strings.Join(texts, ", ") + fmt.Sprintf(" and %d more ranges", len(ranges)-i)
		case r.First == r.Last:
			texts = append(texts, fmt.Sprint(r.First))
		default:
			texts = append(texts, fmt.Sprintf("%d-%d", r.First, r.Last))
		}
	}
	return strings.Join(texts, ", ")
}

func (p *page) kinds(name string, counts []reports.KindCount) {
	words := make([]string, 0, len(counts))
	for _, k := range counts {
		words = append(words, k.Kind+" "+reports.FormatCount(k.Count))
	}
	if len(words) == 0 {
		words = []string{"none"}
	}
	p.Row(name, words)
}

// reached writes how many situations were reached, or invariants exercised, and lists those that never were.
func (p *page) reached(
	name, reached, never string, all int, missing []string, list func(name string, texts []string),
) {
	if all > 0 {
		p.Field(name, fmt.Sprintf("%d of %d %s", all-len(missing), all, reached))
	}
	if len(missing) > 0 {
		list(never, missing)
	}
}

func (p *page) speed(s *Summary) {
	p.Field("virtual", s.virtualTime())
	if s.WallSeconds > 0 {
		p.Field("time", s.realTime())
	}
}

func (s *Summary) virtualTime() string {
	const day = 24 * 60 * 60 * 1000
	return fmt.Sprintf("%.2f days, %s", float64(s.VirtualMs)/day, reports.Plural(s.Events, "event", "events"))
}

func (s *Summary) realTime() string {
	t := s.throughput()
	return fmt.Sprintf("%.1f s with %s: %.1f runs per second, %.1f per worker; %sx real time",
		s.WallSeconds, reports.Plural(max(s.Jobs, 1), "worker", "workers"), t.RunsPerSecond, t.RunsPerSecondPerCore,
		reports.FormatCount(uint64(t.VirtualPerWall+0.5)))
}
