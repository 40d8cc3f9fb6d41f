package reports

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"bluetrace/reports/counts"
)

// TextOptions are the settings of Text.
type TextOptions struct {
	Color bool // ANSI colours for the verdicts
	Quiet bool // only the verdict with the digest, and the failures
}

// Text writes the summary of a run for a person: the verdict, the failures, the
// other checks, counts, throughput, delays, times. Text from a scenario or a peer
// is written with Escape.
func Text(w io.Writer, r *Run, o TextOptions) error {
	p := &page{Page{Colored: o.Color}}
	p.verdict(r, o.Quiet)
	p.loadHeadline(r)
	if r.About != "" && !o.Quiet {
		p.Line("  %s", truncate(Escape(r.About), pageWidth-2))
	}
	p.failures(r)
	if !o.Quiet {
		p.checks(r)
		if r.Load != nil {
			p.load(r.Load)
		} else {
			p.counts(r)
			p.delays(r)
			p.speed(r)
		}
		p.identity(r)
		if len(r.Notes) > 0 {
			p.Gap()
			p.Fields("notes", r.Notes)
		}
	}
	return WriteDocument(w, p.Bytes(), fmt.Sprintf("the summary of %q", r.Scenario))
}

// page is the text of a run's summary.
type page struct{ Page }

// Color returns the colour of the verdict.
func (v Verdict) Color() Color {
	return cmp.Or(map[Verdict]Color{Passed: Green, Failed: Red, Invalid: Red, NotRun: Red}[v], Yellow)
}

func (p *page) verdict(r *Run, withDigest bool) {
	result := r.Result()
	if withDigest && r.Digest != "" {
		result += "  digest " + Escape(r.Digest)
	}
	title := p.Paint(r.Verdict.Color(), strings.ToUpper(string(r.Verdict)))
	p.Line("%s  %s: %s", title, Escape(r.Scenario), result)
}

// tally counts checks by their verdict.
type tally struct {
	held, failed, skipped, undecided, notExercised int
	evaluations                                    uint64
}

func (t tally) all() int { return t.held + t.failed + t.skipped + t.undecided + t.notExercised }

// others returns the numbers of the checks that neither held nor failed, as the end of a sentence.
func (t tally) others() (text string) {
	if t.skipped > 0 {
		text = fmt.Sprintf(", %d skipped", t.skipped)
	}
	if t.undecided > 0 {
		text += fmt.Sprintf(", %d undecided", t.undecided)
	}
	if t.notExercised > 0 {
		text += fmt.Sprintf(", %d not exercised", t.notExercised)
	}
	return text
}

// tallyOf counts all checks, or those of one kind.
func tallyOf(checks []Check, kinds ...CheckKind) (t tally) {
	for _, c := range checks {
		if len(kinds) > 0 && c.Kind != kinds[0] {
			continue
		}
		t.evaluations += c.Evaluations
		switch c.Reported() {
		case Passed:
			t.held++
		case Failed:
			t.failed++
		case Skipped:
			t.skipped++
		case NotExercised:
			t.notExercised++
		default:
			t.undecided++
		}
	}
	return t
}

// failures writes each failed check in full, and the command that repeats the
// run.
func (p *page) failures(r *Run) {
	any := false
	for _, c := range r.Checks {
		if c.Verdict == Failed {
			any = true
			p.failure(r, c)
		}
	}
	if any {
		p.Gap()
		p.Field("repeat", r.Repeat)
	}
}

func (p *page) failure(r *Run, c Check) {
	p.Gap()
	title := strings.TrimSuffix(string(c.Kind)+" "+Escape(c.Place), " ")
	p.Line("  %s  %s", p.Paint(Failed.Color(), "failed"), title)
	p.Line("    %s", Escape(c.Name))
	p.Detail("expected", c.Expected)
	p.Detail("found", c.FoundText())
	if c.AtSeconds != nil {
		of := " of virtual time"
		if r.World == Live {
			of = " from the start"
		}
		p.Detail("at", FormatTime(*c.AtSeconds)+of)
	}
	p.List("last events", c.LastEvents)
}

// FoundText returns the text of the value that a failed check found.
func (c *Check) FoundText() string { return cmp.Or(c.Found, "nothing") }

// maxListed is the number of checks of one kind that are listed.
const maxListed = 20

// checks writes the checks that did not fail.
func (p *page) checks(r *Run) {
	for _, kind := range []CheckKind{ExpectationCheck, ThresholdCheck, InvariantCheck} {
		t := tallyOf(r.Checks, kind)
		if t.all() == 0 {
			continue
		}
		p.Gap()
		p.Line("  %s", t.title(kind))
		p.checksOf(r, kind)
	}
}

func (t tally) title(kind CheckKind) string {
	title := fmt.Sprintf("%ss: %d of %d held%s", kind, t.held, t.all(), t.others())
	if kind == InvariantCheck {
		title += fmt.Sprintf(" (%s)", Plural(t.evaluations, "evaluation", "evaluations"))
	}
	return title
}

func (p *page) checksOf(r *Run, kind CheckKind) {
	listed, more := 0, 0
	for _, c := range r.Checks {
		switch {
		case c.Kind != kind || c.Verdict == Failed:
			continue
		case listed == maxListed:
			more++
			continue
		}
		listed++
		p.check(c)
	}
	if more > 0 {
		p.Line("    and %d more", more)
	}
}

func (p *page) check(c Check) {
	mark, text := p.Paint(Green, "ok"), Escape(c.Name)
	switch v := c.Reported(); v {
	case Passed:
	case NotExercised:
		mark, text = p.Paint(v.Color(), "--"), text+" (not exercised)"
	default:
		mark = p.Paint(c.Verdict.Color(), "? ")
	}
	if c.Verdict == Skipped {
		p.Line("    %s  %s  %s", mark, Escape(c.Place), Escape(c.Found))
		return
	}
	if c.Found != "" {
		text += " (" + Escape(c.Found) + ")"
	}
	p.Line("    %s  %s", mark, truncate(text, pageWidth-8))
}

// counts writes a row for each group of counts that are not all 0.
func (p *page) counts(r *Run) {
	p.Gap()
	var group []KindCount
	rows := counts.Rows()
	for i := range rows {
		row := &rows[i]
		if row.IsKnown(&r.Counts) {
			group = append(group, KindCount{row.Column(), row.Of(&r.Counts)})
		}
		if i+1 == len(rows) || rows[i+1].Group() != row.Group() {
			p.countRow(row.Group(), group)
			group = nil
		}
	}
	p.countRow("faults", r.Faults)
	p.countRow("adversaries", r.Adversaries)
}

// countRow writes a row of counts. It writes nothing if all are 0.
func (p *page) countRow(name string, counts []KindCount) {
	var words []string
	any := false
	for _, c := range counts {
		any = any || c.Count > 0
		words = append(words, c.Kind+" "+FormatCount(c.Count))
	}
	if any {
		p.Row(name, words)
	}
}

// delays writes a table of milliseconds with a row for each operation.
func (p *page) delays(r *Run) {
	head := false
	for _, o := range r.Operations {
		if o.Count() == 0 {
			continue
		}
		const columns = "  %-12s%13s%10s%10s%10s%10s%10s%10s"
		if !head {
			head = true
			p.Gap()
			p.Line(columns, "delay, ms", "samples", "mean", "p50", "p90", "p95", "p99", "max")
		}
		d := o.Delays()
		p.Line(columns, truncate(Escape(o.Name), 12), FormatCount(uint64(o.Count())), FormatDigits(d.Mean),
			FormatDigits(d.P50), FormatDigits(d.P90), FormatDigits(d.P95), FormatDigits(d.P99), FormatDigits(d.Max))
	}
}

// speed writes the throughput and the times of a run without a load.
func (p *page) speed(r *Run) {
	t := r.Throughput()
	p.Gap()
	if r.World == Live {
		if r.Beacons.Delivered > 0 {
			p.Field("throughput", FormatDigits(t.BeaconsPerVirtualSecond)+" beacons delivered per second")
		}
		p.Field("time", wallTime(r.VirtualSeconds)+" live, on real sockets")
		p.Field("events", fmt.Sprintf("%s; %s", FormatCount(r.Events), p.phonesAndMemory(r)))
		return
	}
	if r.Beacons.Delivered > 0 {
		p.Field("throughput", fmt.Sprintf("%s beacons delivered per virtual second, %s per wall second",
			FormatDigits(t.BeaconsPerVirtualSecond), FormatDigits(t.BeaconsPerWallSecond)))
	}
	p.Field("time", fmt.Sprintf("%s virtual in %s wall (%sx real time)",
		FormatTime(r.VirtualSeconds), wallTime(r.WallSeconds), FormatDigits(t.VirtualPerWall)))
	p.Field("events", fmt.Sprintf("%s, %s per wall second; %s",
		FormatCount(r.Events), FormatDigits(t.EventsPerWallSecond), p.phonesAndMemory(r)))
}

// phonesAndMemory returns the number of phones and the peak of memory.
func (*page) phonesAndMemory(r *Run) string {
	text := Plural(r.Phones, "phone", "phones")
	if r.PeakRSSBytes > 0 {
		text += fmt.Sprintf(", %.1f MiB at most", float64(r.PeakRSSBytes)/(1<<20))
	}
	return text
}

// identity writes the seed and the digest of the run, and the command that
// repeats it unless failures wrote it.
func (p *page) identity(r *Run) {
	p.Gap()
	p.Field("seed", strconv.FormatUint(r.Seed, 10))
	if r.Digest != "" {
		p.Field("digest", r.Digest)
	}
	if tallyOf(r.Checks).failed == 0 {
		p.Field("repeat", r.Repeat)
	}
	if len(r.Plots) > 0 {
		p.Field("plots", strings.Join(r.Plots, ", "))
	}
}
