package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"bluetrace/sim/swarm"
)

// Names of a swarm's files.
const (
	swarmText = "swarm.txt"
	swarmJSON = "swarm.json"

	drawnBegin = "drawn-" // of a cause's scenario as a seed drew it
	foundBegin = "found-" // of the same, made small
	yamlEnd    = ".yaml"
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
	made, err := b.made()
	for _, path := range made {
		err = errors.Join(err, b.spares(path))
	}
	if err != nil {
		b.complain(err, "")
		return invalid
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

// made are the scenarios that an earlier swarm left in the folder.
func (b *brood) made() (paths []string, err error) {
	all, err := os.ReadDir(b.out)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil // that it cannot be made is said later
	}
	for _, e := range all {
		name := e.Name()
		if strings.HasSuffix(name, yamlEnd) && (strings.HasPrefix(name, drawnBegin) || strings.HasPrefix(name, foundBegin)) && e.Type().IsRegular() {
			if path := filepath.Join(b.out, name); isMade(path) {
				paths = append(paths, path)
			}
		}
	}
	return paths, err
}

func isMade(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	begin := make([]byte, swarm.GeneratedPrefixLength)
	_, err = io.ReadFull(f, begin)
	return err == nil && swarm.IsGenerated(begin)
}

// sweep removes what an earlier swarm left in the folder, so that none of its
// scenarios is taken for one of this.
func (b *brood) sweep() bool {
	paths, err := b.made()
	for _, path := range paths {
		err = errors.Join(err, b.spares(path))
		if err == nil {
			err = os.Remove(path)
		}
	}
	if err != nil {
		b.complain(fmt.Errorf("removing what an earlier swarm left: %w", err), "")
		b.worst = impossible
	}
	return err == nil
}

// freeName is a name for the files of a cause that nobody else's have.
func (b *brood) freeName(names fileNames, cause string) string {
	for {
		name := names.take(swarm.FileName(cause))
		_, drawn := os.Lstat(b.drawnFile(name))
		_, found := os.Lstat(b.foundFile(name))
		if drawn != nil && found != nil {
			return name
		}
	}
}

func (b *brood) drawnFile(name string) string { return filepath.Join(b.out, drawnBegin+name+yamlEnd) }

func (b *brood) foundFile(name string) string { return filepath.Join(b.out, foundBegin+name+yamlEnd) }
