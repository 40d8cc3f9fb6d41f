package main

import (
	"fmt"
	"slices"
	"strings"
)

// mutant is a small change of a file, seldom of more, that makes the program wrong.
type mutant struct {
	name string // what the program then does, in a few words
	file string // from the module's root, with slashes
	old  string // occurs exactly once in the file
	new  string
	// by is the scenario that guards this rule and must turn red, others or not;
	// empty: any will do.
	by string
	// also are further changes that it needs, of this file or others.
	also []edit
}

// edit is a piece of a file's text, and what stands there instead.
type edit struct {
	file string // from the module's root, with slashes
	old  string // occurs exactly once in the file
	new  string
}

// edits are all changes of a mutant.
func (b *mutant) edits() []edit { return append([]edit{{b.file, b.old, b.new}}, b.also...) }

// libraryMutants is the table of what the library notices, in the order of PROTOCOL.md.
func libraryMutants() []mutant {
	return slices.Concat(beaconMutants(), assemblerMutants(), wireMutants(), loginMutants(), tempIDMutants(), uploadMutants(), logMutants(), phoneMutants())
}

// make returns the source of the edit's file with the edit made. The error says
// that it no longer applies: the file has changed, the table must follow.
func (e *edit) make(source string) (string, error) {
	if n := strings.Count(source, e.old); n != 1 {
		return "", fmt.Errorf("%q occurs %d times in %s, want once", e.old, n, e.file)
	}
	return strings.Replace(source, e.old, e.new, 1), nil
}

// plant makes all edits of a mutant, and returns the text of each file that it
// changes. read is how a file is read.
func (b *mutant) plant(read func(file string) (string, error)) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range b.edits() {
		source, begun := changed[e.file]
		if !begun {
			var err error
			if source, err = read(e.file); err != nil {
				return nil, fmt.Errorf("reading what the mutant changes: %w", err)
			}
		}
		text, err := e.make(source)
		if err != nil {
			return nil, err
		}
		changed[e.file] = text
	}
	return changed, nil
}
