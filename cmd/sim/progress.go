package main

import (
	"fmt"
	"io"
	"time"

	"bluetrace/reports"
	"bluetrace/sim"
)

const (
	progressAfter = time.Second            // wall time before the first line
	progressEvery = 100 * time.Millisecond // wall time between two lines
)

// progress redraws one line on a terminal while a command runs.
type progress struct {
	w       io.Writer
	columns func() int
	now     func() time.Time
	started time.Time
	drawn   time.Time // zero if no line is on the terminal
}

// newProgress returns a progress line that starts now.
func newProgress(w io.Writer, columns func() int, now func() time.Time) *progress {
	return &progress{w: w, columns: columns, now: now, started: now()}
}

// draw draws the line if it is time for it.
func (p *progress) draw(line func(now time.Time) string) {
	now := p.now()
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
	if !p.drawn.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = time.Time{}
	}
}

// runProgress returns the line for one run of a scenario, which has lasted for
// some wall time.
func runProgress(scenario string, at sim.Progress, lasted time.Duration) string {
	name, events := reports.Escape(scenario), reports.Plural(at.Events, "event", "events")
	if at.Doing != "" {
		return fmt.Sprintf("%s  %s  %s", name, at.At.Round(time.Second), reports.Escape(at.Doing))
	}
	if at.Length <= 0 {
		return fmt.Sprintf("%s  %s  %s", name, at.At.Round(time.Second), events)
	}
	part := min(1, max(0, float64(at.At)/float64(at.Length)))
	line := fmt.Sprintf("%s  %.0f %%  %s of %s  %s", name, 100*part, at.At.Round(time.Second), at.Length, events)
	if part > 0 {
		left := time.Duration(float64(lasted) * (1 - part) / part)
		line += fmt.Sprintf("  %s left", left.Round(time.Second))
	}
	return line
}
