package main

import (
	"context"
	"io"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/shrink"
	"bluetrace/sim/swarm"
)

// mostShrinking is how long all failures together are made smaller, unless --for
// says how long all is to take.
const mostShrinking = 5 * time.Minute

// shrinkAll writes, for each cause, the scenario in which it was first seen, as
// it was drawn and made small.
func (b *brood) shrinkAll(ctx context.Context) {
	if b.out == "" || !b.sweep() {
		return
	}
	names := fileNames{}
	lasts := mostShrinking
	if b.lasts > 0 {
		lasts = b.lasts
	}
	until := b.now().Add(lasts)
	progress := &swarmProgress{brood: b}
	defer progress.end()
	all := b.summary.Sorted()
	for i, g := range all {
		base := b.base(g.File)
		name := b.freeName(names, g.Cause)
		path := b.drawnFile(name)
		if !b.write(path, func(w io.Writer) error { _, err := w.Write(swarm.DrawnFile(base, g.Seed, path)); return err }) {
			return
		}
		g.Drawn = path
		if b.shrinks {
			progress.shrinking(i+1, len(all), name)
			b.shrink(ctx, base, g, name, until)
		}
	}
	if b.shrinks && ctx.Err() != nil && len(all) > 0 {
		b.summary.SetInterrupted("shrinking was interrupted")
	}
}

// shrink makes one failure small, as far as its time and that of all goes.
func (b *brood) shrink(ctx context.Context, base *scenarios.Scenario, g *swarm.Group, name string, until time.Time) {
	if !b.now().Before(until) {
		g.ShrunkNote = "not shrunk: no time left"
		return
	}
	if own := b.now().Add(b.shrinkTime); own.Before(until) {
		until = own
	}
	path := b.foundFile(name)
	limits := shrink.Options{Expired: func() bool { return !b.now().Before(until) }}
	var small *swarm.Shrunk
	err := ctx.Err()
	if err == nil {
		small, err = swarm.Shrink(ctx, base, g, foundBegin+name, path, limits)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		g.ShrunkNote = "not shrunk: interrupted"
	case err != nil:
		g.ShrunkNote = "not shrunk: " + err.Error()
	case small == nil:
		g.ShrunkNote = "not shrunk: no smaller run would show it"
	case b.write(path, func(w io.Writer) error { _, err := w.Write(small.File); return err }):
		g.Shrunk, g.ShrunkNote = path, small.Note
	}
}

func (b *brood) base(file string) *scenarios.Scenario {
	for _, s := range b.bases {
		if s.File == file {
			return s
		}
	}
	return b.bases[0]
}
