package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// mutant is a small change of one source file, rarely of more, that makes the
// program wrong.
type mutant struct {
	name string // the wrong behaviour, in a few words
	file string // from the module's root, with slashes
	old  string // must occur exactly once in the file
	new  string
	by   string // name of the scenario or test that tests this rule and must fail; empty: any scenario
	// first is the check of that scenario that must fail first: the place of a step (blocking:12) or the name of a
	// check, or the beginning of either. Empty: any check.
	first string
	tests string // package, such as ./nodes/socket, whose test must find it; empty: scenarios must
	also  []edit // further changes that the mutant needs, of this file or others
	// rules are the numbers of the rules of the judge that must fail, the broken one first, and no other of its
	// program; nil: scenarios or a test must find the mutant. unless are the dialects that hide it.
	rules  []int
	unless []string
}

// edit is one replacement of text in a file.
type edit struct {
	file string // from the module's root, with slashes
	old  string // must occur exactly once in the file
	new  string
}

// anyScenario stands for an empty by in a group that has one.
const anyScenario = "any"

// group fills in the fields file, by and tests of the mutants that have none from common.
func group(common mutant, mutants []mutant) []mutant {
	for i := range mutants {
		m := &mutants[i]
		m.file, m.by, m.tests = cmp.Or(m.file, common.file), cmp.Or(m.by, common.by), cmp.Or(m.tests, common.tests)
		if m.by == anyScenario {
			m.by = ""
		}
	}
	return mutants
}

// edits returns all changes of a mutant.
func (m *mutant) edits() []edit { return append([]edit{{m.file, m.old, m.new}}, m.also...) }

// libraryMutants is the table of the mutants that the library must find, in the
// order of PROTOCOL.md.
func libraryMutants() []mutant {
	return slices.Concat(beaconMutants(), assemblerMutants(), wireMutants(), loginMutants(), tempIDMutants(),
		uploadMutants(), logMutants(), phoneMutants())
}

// part returns every n-th mutant, beginning with the k-th, from 1: parts of the same n have all mutants together.
func part(all []mutant, k, n int) (chosen []mutant) {
	for i := k - 1; i < len(all); i += n {
		chosen = append(chosen, all[i])
	}
	return chosen
}

// make returns source with the edit made. It returns an error if source does not
// contain the old text exactly once: the file has changed, and the entry of the table
// must be adapted.
func (e *edit) make(source string) (string, error) {
	if n := strings.Count(source, e.old); n != 1 {
		return "", fmt.Errorf("%q occurs %d times in %s, want once", e.old, n, e.file)
	}
	return strings.Replace(source, e.old, e.new, 1), nil
}

// plant makes all edits and returns the new text of each changed file. It gets
// the present text from read.
func (m *mutant) plant(read func(file string) (string, error)) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.edits() {
		source, ok := changed[e.file]
		if !ok {
			var err error
			if source, err = read(e.file); err != nil {
				return nil, fmt.Errorf("reading the source to change: %w", err)
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

// folder returns the mutant's name in the form of a folder's name.
func (m *mutant) folder() string { return otherThanLetters.ReplaceAllString(m.name, "-") }

var otherThanLetters = regexp.MustCompile("[^a-zA-Z0-9]")
