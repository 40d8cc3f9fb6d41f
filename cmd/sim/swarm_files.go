package main

import (
	"path/filepath"
)

// Names of a swarm's files.
const (
	swarmText = "swarm.txt"
	swarmJSON = "swarm.json"
)

// makeRoom makes the folder of --out, if what is read does not lie where
// something will be written.
func (b *brood) makeRoom() status {
	if b.out == "" {
		return held
	}
	for _, name := range []string{swarmText, swarmJSON} {
		if err := b.spares(filepath.Join(b.out, name)); err != nil {
			b.complain(err, "")
			return invalid
		}
	}
	if err := (&batch{program: b.program, runFlags: runFlags{out: b.out}}).makeFolder(); err != nil {
		b.complain(err, "name a folder that can be written with --out")
		return impossible
	}
	return held
}

// spares is an error when path is one of the files that are read.
func (b *brood) spares(path string) error {
	return spared(b.inputs, "the result", path, "name another folder with --out")
}
