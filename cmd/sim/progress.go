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
	progressEvery = 100 * time.Millisecond // between redrawings
)

// progress redraws one line on a terminal while a run lasts.
type progress struct {
	w       io.Writer
	columns func() int
	now     func() time.Time
	name    string
	started time.Time
	drawn   time.Time // zero: never
}

// show draws how far the run is, when it is time to.
func (p *progress) show(at sim.Progress) {
	now := p.now()
	if now.Sub(p.started) < progressAfter || now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn = now
	line := []rune(p.line(at, now))
	line = line[:min(len(line), p.columns()-1)]
	fmt.Fprintf(p.w, "\r%s\x1b[K", string(line))
}

func (p *progress) line(at sim.Progress, now time.Time) string {
	name, events := reports.Escape(p.name), reports.Plural(at.Events, "event", "events")
	if at.Doing != "" {
		return fmt.Sprintf("%s  %s  %s", name, at.At.Round(time.Second), reports.Escape(at.Doing))
	}
	if at.Length <= 0 {
		return fmt.Sprintf("%s  %s  %s", name, at.At.Round(time.Second), events)
	}
	part := min(1, max(0, float64(at.At)/float64(at.Length)))
	line := fmt.Sprintf("%s  %.0f %%  %s of %s  %s", name, 100*part, at.At.Round(time.Second), at.Length, events)
	if part > 0 {
		left := time.Duration(float64(now.Sub(p.started)) * (1 - part) / part)
		line += fmt.Sprintf("  %s left", left.Round(time.Second))
	}
	return line
}

// clear takes the line away.
func (p *progress) clear() {
	if !p.drawn.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
