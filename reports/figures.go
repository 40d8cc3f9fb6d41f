package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"bluetrace/reports/counts"
)

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
