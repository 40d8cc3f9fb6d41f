package main

import (
	"fmt"
	"math"
	"time"

	"bluetrace/reports"
)

// swarmProgress redraws one line on a terminal.
type swarmProgress struct {
	*brood
	drawn time.Time
}

func (p *swarmProgress) show() {
	now := p.now()
	if !p.terminal || now.Sub(p.began) < progressAfter || now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn = now
	p.draw(p.line(now.Sub(p.began)))
}

// line says how far it is after some time.
func (p *swarmProgress) line(lasted time.Duration) string {
	s := p.summary
	runs := reports.Plural(s.Runs, "run", "runs")
	if all := p.allRuns(); all > 0 {
		runs = fmt.Sprintf("%s of %s", reports.FormatCount(s.Runs), reports.Plural(all, "run", "runs"))
	}
	line := fmt.Sprintf("%s, %s failed, %.1f per second", runs, reports.FormatCount(s.Failed), float64(s.Runs)/lasted.Seconds())
	if p.lasts > 0 {
		line += fmt.Sprintf(", %s left", max(p.lasts-lasted, 0).Round(time.Second))
	}
	return line
}

// allRuns is how many there will be unless time ends; 0: that is not known.
func (b *brood) allRuns() uint64 {
	seeds, files := b.seeds.Last-b.seeds.First, uint64(len(b.bases))
	if b.seeds.Unbounded || files == 0 || seeds >= math.MaxUint64/files {
		return 0
	}
	return (seeds + 1) * files
}

// shrinking says which of how many failures is made small.
func (p *swarmProgress) shrinking(n, of int, name string) {
	if p.terminal {
		p.drawn = p.now()
		p.draw(fmt.Sprintf("shrinking %d of %d: %s", n, of, reports.Escape(name)))
	}
}

func (p *swarmProgress) draw(line string) {
	fitting := []rune(line)
	fitting = fitting[:min(len(fitting), p.columns()-1)]
	fmt.Fprintf(p.stderr, "\r%s\x1b[K", string(fitting))
}

// end takes the line away.
func (p *swarmProgress) end() {
	if !p.drawn.IsZero() {
		fmt.Fprint(p.stderr, "\r\x1b[K")
		p.drawn = time.Time{}
	}
}
