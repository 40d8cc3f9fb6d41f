package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"bluetrace/reports"
	"bluetrace/sim/swarm"
)

// part is the result of a swarm that is merged with others.
type part struct {
	path    string
	summary *swarm.Summary
}

// mergeFiles merges the results of other swarms.
func (b *brood) mergeFiles() status {
	if len(b.paths) == 0 {
		b.complain(errors.New("no result was named"), "name the JSON files of swarms, or their folders, such as a/swarm.json b")
		return invalid
	}
	var parts []part
	for _, path := range b.paths {
		one, err := readPart(path)
		if err != nil {
			b.complain(err, "")
			return max(b.worst, statusOfFinding(err))
		}
		for _, other := range parts {
			if err := other.refuses(&one); err != nil {
				b.complain(err, "")
				return invalid
			}
		}
		parts = append(parts, one)
		b.inputs = append(b.inputs, input{"the result", one.path})
		b.summary.Build = one.summary.Build
		b.summary.Merge(one.summary)
		if err := b.summary.Validate(); err != nil {
			b.complain(fmt.Errorf("%s and those before it: %w", one.path, err), "")
			return invalid
		}
	}
	if s := b.makeRoom(); s != held {
		return s
	}
	b.finish()
	return b.worst
}

// readPart reads a file, or the file that a swarm left in a folder.
func readPart(path string) (part, error) {
	if stat, err := os.Stat(path); err == nil && stat.IsDir() {
		path = filepath.Join(path, swarmJSON)
	}
	f, err := os.Open(path)
	if err != nil {
		return part{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	s, err := swarm.ReadJSON(f)
	if err != nil {
		return part{}, fmt.Errorf("%s: %w", path, err)
	}
	for i := range s.Failures {
		g := &s.Failures[i]
		g.Drawn, g.Shrunk = beside(path, g.Drawn), beside(path, g.Shrunk)
	}
	return part{path, s}, nil
}

// beside is the file of that name in the folder of a result, wherever that was
// when it was written; if there is none, the path as it was.
func beside(result, file string) string {
	if file == "" {
		return ""
	}
	if here := filepath.Join(filepath.Dir(result), filepath.Base(file)); isFile(here) {
		return here
	}
	return file
}

// refuses says why another part cannot be merged with this one; nil: it can.
func (p *part) refuses(o *part) error {
	if p.summary.Build != o.summary.Build {
		return fmt.Errorf("%q is of the build %s and %q of the build %s, in which a seed may be another run: merge those of one build",
			p.path, buildText(p.summary.Build), o.path, buildText(o.summary.Build))
	}
	if file, seeds, twice := p.summary.Overlap(o.summary); twice {
		return fmt.Errorf("%q and %q both have the seeds %d-%d of %q, which would count twice: leave one of them out",
			p.path, o.path, seeds.First, seeds.Last, file)
	}
	return nil
}

func buildText(b reports.Build) string {
	if b.Revision == "" {
		return "(unknown, " + b.Go + ")"
	}
	return "(" + b.Revision + ", " + b.Go + ")"
}
