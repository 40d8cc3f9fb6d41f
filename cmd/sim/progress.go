package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/sim"
)

const (
	progressAfter = time.Second            // wall time before the first line on a terminal
	progressEvery = 100 * time.Millisecond // wall time between two lines on a terminal
	plainEvery    = 10 * time.Second       // wall time before each line elsewhere
)

// progress redraws one line on a terminal while a command runs. Elsewhere it writes a line now and then.
type progress struct {
	w       io.Writer
	plain   bool       // w is no terminal
	columns func() int // of the terminal
	now     func() time.Time
	started time.Time
	drawn   time.Time // zero if no line is on the terminal
	pace    pace
}

// newProgress returns a progress line that starts now.
func newProgress(w io.Writer, columns func() int, now func() time.Time) *progress {
	return &progress{w: w, columns: columns, now: now, started: now()}
}

// draw draws the line if it is time for it.
func (p *progress) draw(line func(now time.Time) string) {
	now := p.now()
	if p.plain {
		if now.Sub(p.started) >= plainEvery && now.Sub(p.drawn) >= plainEvery {
			p.drawn = now
			fmt.Fprintln(p.w, line(now))
		}
		return
	}
	if now.Sub(p.started) < progressAfter || now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawNow(now, line(now))
}

// drawNow draws the line, cut to the terminal's width.
func (p *progress) drawNow(now time.Time, line string) {
	p.drawn = now
	cut := []rune(line)
	cut = cut[:min(len(cut), p.columns()-1)]
	fmt.Fprintf(p.w, "\r%s\x1b[K", string(cut))
}

// clear removes the line.
func (p *progress) clear() {
	if !p.plain && !p.drawn.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = time.Time{}
	}
}

// paceWindow is the wall time over which the speed of a run is measured. The speed
// differs from one part of a run to the next: a crowd logs in faster than it sends
// beacons.
const paceWindow = 5 * time.Second

// pace measures the speed of a run over its last paceWindow or longer, at most twice as
// long.
type pace struct{ older, newer paceMark }

// paceMark is the share of a run that was done after some wall time.
type paceMark struct {
	lasted time.Duration
	part   float64 // 0 to 1
}

// left returns the wall time until the end of the run, or false if it is not known.
func (p *pace) left(lasted time.Duration, part float64) (time.Duration, bool) {
	if lasted-p.newer.lasted >= paceWindow {
		p.older, p.newer = p.newer, paceMark{lasted, part}
	}
	done := part - p.older.part
	return time.Duration(float64(lasted-p.older.lasted) * (1 - part) / done), done > 0
}

// runProgress returns the line for one run of a scenario, which has lasted for
// some wall time.
func (p *progress) runProgress(scenario string, at sim.Progress, lasted time.Duration) string {
	parts := []string{reports.Escape(scenario)}
	add := func(format string, values ...any) { parts = append(parts, fmt.Sprintf(format, values...)) }
	part := 0.0
	if at.Length > 0 {
		part = min(1, max(0, float64(at.At)/float64(at.Length)))
		add("%.0f %%  %s of %s", 100*part, at.At.Round(time.Second), at.Length)
	} else {
		add("%s", at.At.Round(time.Second))
	}
	if at.Doing == "" && at.Load == nil {
		add("%s", reports.Plural(at.Events, "event", "events"))
	}
	if left, ok := p.pace.left(lasted, part); ok && at.Load == nil {
		add("%s left", left.Round(time.Second))
	}
	if at.Doing != "" {
		add("%s", reports.Escape(at.Doing))
	}
	if at.Load != nil {
		add("%s", at.Load)
	}
	return strings.Join(parts, "  ")
}
