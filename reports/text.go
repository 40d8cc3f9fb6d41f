package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"bluetrace/reports/counts"
)

// textWidth is the number of columns that a line keeps to, except for what
// must be whole: the texts of a failure and the command that repeats a run.
const textWidth = 100

// TextOptions says how a summary is written.
type TextOptions struct {
	Color bool // ANSI colours for the verdicts
	Quiet bool // the verdict with the digest, and what failed, nothing else
}

// Text writes a run's summary for a person: the verdict first, then what
// failed, what was checked, counts, throughput, delays, times. What came from
// a scenario or a peer is written with Escape.
func Text(w io.Writer, r *Run, o TextOptions) error {
	p := &page{color: o.Color}
	p.verdict(r, o.Quiet)
	p.unfit(r)
	if r.About != "" && !o.Quiet {
		p.line("  %s", fit(Escape(r.About), textWidth-2))
	}
	p.failures(r)
	if !o.Quiet {
		p.checks(r)
		if r.Load != nil {
			p.load(r)
		} else {
			p.counts(r)
			p.delays(r)
			p.speed(r)
		}
		p.identity(r)
		p.notes(r)
	}
	if _, err := w.Write(p.Bytes()); err != nil {
		return fmt.Errorf("writing the summary of %q: %w", r.Scenario, err)
	}
	return nil
}

type page struct {
	bytes.Buffer
	color bool
}

// gap is an empty line, unless there is one already.
func (p *page) gap() {
	if !bytes.HasSuffix(p.Bytes(), []byte("\n\n")) {
		p.line("")
	}
}

func (p *page) line(format string, arguments ...any) {
	fmt.Fprintf(p, format+"\n", arguments...)
}

// word is a verdict, padded to width, in its colour.
func (p *page) word(v Verdict, text string, width int) string {
	padded := text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
	if !p.color {
		return padded
	}
	code := "33" // yellow
	switch v {
	case Passed:
		code = "32" // green
	case Failed, Invalid, NotRun:
		code = "31" // red
	}
	return "\x1b[1;" + code + "m" + padded + "\x1b[0m"
}

func (p *page) verdict(r *Run, withDigest bool) {
	t := tallyOf(r)
	all := Plural(t.all(), "check", "checks")
	said := fmt.Sprintf("%s held", Plural(t.held, "check", "checks"))
	switch {
	case t.failed > 0 && t.undecided > 0:
		said = fmt.Sprintf("%d of %s failed, %d undecided", t.failed, all, t.undecided)
	case t.failed > 0:
		said = fmt.Sprintf("%d of %s failed", t.failed, all)
	case t.undecided > 0:
		said = fmt.Sprintf("%d of %s held, %d undecided", t.held, all, t.undecided)
	}
	if withDigest && r.Digest != "" {
		said += "  digest " + Escape(r.Digest)
	}
	p.line("%s  %s: %s", p.word(r.Verdict, strings.ToUpper(string(r.Verdict)), 0), Escape(r.Scenario), said)
}

// tally counts checks by their verdict.
type tally struct {
	held, failed, undecided int
	evaluations             uint64
}

func (t tally) all() int { return t.held + t.failed + t.undecided }

func tallyOf(r *Run, kinds ...CheckKind) (t tally) {
	for _, c := range r.Checks {
		if len(kinds) > 0 && c.Kind != kinds[0] {
			continue
		}
		t.evaluations += c.Evaluations
		switch c.Verdict {
		case Passed:
			t.held++
		case Failed:
			t.failed++
		default:
			t.undecided++
		}
	}
	return t
}

// failures shows each failed check in full, and how to see it again.
func (p *page) failures(r *Run) {
	any := false
	for _, c := range r.Checks {
		if c.Verdict == Failed {
			any = true
			p.failure(r, c)
		}
	}
	if any {
		p.gap()
		p.field("repeat", r.Repeat)
	}
}

func (p *page) failure(r *Run, c Check) {
	p.gap()
	p.line("  %s  %s", p.word(Failed, "failed", 0), strings.TrimSuffix(string(c.Kind)+" "+Escape(c.Place), " "))
	p.line("    %s", Escape(c.Name))
	p.detail("expected", c.Expected)
	p.detail("found", c.found())
	if c.AtSeconds != nil {
		of := " of virtual time"
		if r.World == Live {
			of = " from the start"
		}
		p.detail("at", virtualTime(*c.AtSeconds)+of)
	}
	if len(c.LastEvents) > 0 {
		p.line("    last events")
		for _, event := range c.LastEvents {
			p.line("      %s", Escape(event))
		}
	}
}

// found is what a failed check found, in words.
func (c Check) found() string { return cmp.Or(c.Found, "nothing") }

// detail writes a named text of a failure, whole; further lines of it stand
// below the first.
func (p *page) detail(name, text string) {
	if text == "" {
		return
	}
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if i > 0 {
			name = ""
		}
		p.line("    %-10s%s", name, Escape(line))
	}
}

// heldListed is how many checks of one kind are listed one by one.
const heldListed = 20

// checks lists what was checked and did not fail.
func (p *page) checks(r *Run) {
	for _, kind := range []CheckKind{ExpectationCheck, ThresholdCheck, InvariantCheck} {
		t := tallyOf(r, kind)
		if t.all() == 0 {
			continue
		}
		p.gap()
		p.line("  %s", t.title(kind))
		p.listed(r, kind)
	}
}

func (t tally) title(kind CheckKind) string {
	title := fmt.Sprintf("%ss: %d of %d held", kind, t.held, t.all())
	if t.undecided > 0 {
		title += fmt.Sprintf(", %d undecided", t.undecided)
	}
	if kind == InvariantCheck {
		title += fmt.Sprintf(" (%s)", Plural(t.evaluations, "evaluation", "evaluations"))
	}
	return title
}

func (p *page) listed(r *Run, kind CheckKind) {
	listed, more := 0, 0
	for _, c := range r.Checks {
		switch {
		case c.Kind != kind || c.Verdict == Failed:
			continue
		case listed == heldListed:
			more++
			continue
		}
		listed++
		p.held(c)
	}
	if more > 0 {
		p.line("    and %d more", more)
	}
}

func (p *page) held(c Check) {
	said, text := "ok", Escape(c.Name)
	if c.Verdict != Passed {
		said = "?"
	}
	if c.Found != "" {
		text += " (" + Escape(c.Found) + ")"
	}
	p.line("    %s  %s", p.word(c.Verdict, said, 2), fit(text, textWidth-8))
}

// notes come last: what the user should know about the run.
func (p *page) notes(r *Run) {
	for i, note := range r.Notes {
		name := ""
		if i == 0 {
			p.gap()
			name = "notes"
		}
		p.field(name, note)
	}
}

// field is one line: a name and a text, whole.
func (p *page) field(name, text string) {
	p.line("  %-12s%s", name, Escape(text))
}

// figure is one count of a row, with its name.
type figure struct {
	name  string
	count uint64
}

// counts shows a row for each subject of which there was anything.
func (p *page) counts(r *Run) {
	p.gap()
	var line []figure
	rows := counts.Rows()
	for i := range rows {
		row := &rows[i]
		line = append(line, figure{row.Column, row.Of(&r.Counts)})
		if i+1 == len(rows) || rows[i+1].Group() != row.Group() {
			p.row(row.Group(), line...)
			line = nil
		}
	}
	p.row("faults", byKind(r.Faults)...)
	p.row("adversaries", byKind(r.Adversaries)...)
}

func byKind(counts []KindCount) []figure {
	var all []figure
	for _, c := range counts {
		all = append(all, figure{Escape(c.Kind), c.Count})
	}
	return all
}

// row is left out when all its figures are 0; it is broken where it would grow
// wider than the page.
func (p *page) row(name string, figures ...figure) {
	const indent = 14
	any, width := false, indent
	var b strings.Builder
	for _, f := range figures {
		any = any || f.count > 0
		text := fmt.Sprintf("%s %s  ", f.name, FormatCount(f.count))
		if width+len(text)-2 > textWidth {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			width = indent
		}
		b.WriteString(text)
		width += len(text)
	}
	if any {
		p.line("  %-12s%s", name, trimLines(b.String()))
	}
}

// trimLines takes the spaces off the ends of lines.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// delays is a table of milliseconds, a row for each operation.
func (p *page) delays(r *Run) {
	head := false
	for _, o := range r.Operations {
		if o.Count() == 0 {
			continue
		}
		if !head {
			head = true
			p.gap()
			p.line("  %-12s%13s%10s%10s%10s%10s%10s%10s", "delay, ms", "samples", "mean", "p50", "p90", "p95", "p99", "max")
		}
		d := o.Delays()
		p.line("  %-12s%13s%10s%10s%10s%10s%10s%10s", fit(Escape(o.Name), 12), FormatCount(uint64(o.Count())),
			figures(d.Mean), figures(d.P50), figures(d.P90), figures(d.P95), figures(d.P99), figures(d.Max))
	}
}

func (p *page) speed(r *Run) {
	t := r.Throughput()
	p.gap()
	if r.World == Live {
		p.liveSpeed(r)
		return
	}
	if r.Beacons.Delivered > 0 {
		p.field("throughput", fmt.Sprintf("%s beacons delivered per virtual second, %s per wall second",
			figures(t.BeaconsPerVirtualSecond), figures(t.BeaconsPerWallSecond)))
	}
	p.field("time", fmt.Sprintf("%s virtual in %s wall (%sx real time)",
		virtualTime(r.VirtualSeconds), wallTime(r.WallSeconds), figures(t.VirtualPerWall)))
	p.field("events", fmt.Sprintf("%s, %s per wall second; %s", FormatCount(r.Events), figures(t.EventsPerWallSecond), sizeOf(r)))
}

func sizeOf(r *Run) string {
	size := Plural(r.Phones, "phone", "phones")
	if r.PeakRSSBytes > 0 {
		size += fmt.Sprintf(", %.1f MiB at most", float64(r.PeakRSSBytes)/(1<<20))
	}
	return size
}

func (p *page) liveSpeed(r *Run) {
	t := r.Throughput()
	if r.Beacons.Delivered > 0 {
		p.field("throughput", figures(t.BeaconsPerVirtualSecond)+" beacons delivered per second")
	}
	p.field("time", wallTime(r.VirtualSeconds)+" live, on real sockets")
	p.field("events", fmt.Sprintf("%s; %s", FormatCount(r.Events), sizeOf(r)))
}

// identity is what tells this run from others, and how to have it again.
func (p *page) identity(r *Run) {
	p.gap()
	p.field("seed", strconv.FormatUint(r.Seed, 10))
	if r.Digest != "" {
		p.field("digest", r.Digest)
	}
	if tallyOf(r).failed == 0 {
		p.field("repeat", r.Repeat)
	}
	if len(r.Plots) > 0 {
		p.field("plots", strings.Join(r.Plots, ", "))
	}
}

// FormatCount is n with a comma between groups of three digits.
func FormatCount(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// figures is x, not negative, with about four digits that count.
func figures(x float64) string {
	x = max(0, finite(x))
	switch {
	case x == 0:
		return "0"
	case x >= 1e18:
		return strconv.FormatFloat(x, 'g', 4, 64)
	case x >= 999.5:
		return FormatCount(uint64(x + 0.5))
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'f', 3, 64)
}

// virtualTime is exact to the nanosecond: boundaries are told apart by one.
func virtualTime(seconds float64) string {
	s := strconv.FormatFloat(finite(seconds), 'f', -1, 64) + " s"
	if seconds < 60 || seconds > 1e9 {
		return s
	}
	return s + " (" + time.Duration(math.Round(seconds*float64(time.Second))).String() + ")"
}

func wallTime(seconds float64) string {
	if seconds < 1 {
		return figures(seconds*1000) + " ms"
	}
	return figures(seconds) + " s"
}

// Plural is n with the word for one or for many; n is not negative.
func Plural[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return FormatCount(uint64(n)) + " " + many
}
