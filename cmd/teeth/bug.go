package main

import (
	"fmt"
	"slices"
	"strings"
)

// bug is a small change of one file that makes the program wrong.
type bug struct {
	name string // what the program then does, in a few words
	file string // from the module's root, with slashes
	old  string // occurs exactly once in the file
	new  string
	// by is the scenario that guards this rule and must turn red, others or not;
	// empty: any will do.
	by string
}

// allBugs is the table, in the order of PROTOCOL.md.
func allBugs() []bug {
	return slices.Concat(beaconBugs(), assemblerBugs(), wireBugs(), loginBugs(), tempIDBugs(), uploadBugs(), logBugs(), phoneBugs())
}

// plant returns the source of the bug's file with the bug in it. The error says
// that the bug no longer applies: the file has changed, the table must follow.
func (b *bug) plant(source string) (string, error) {
	if n := strings.Count(source, b.old); n != 1 {
		return "", fmt.Errorf("%q occurs %d times in %s, want once", b.old, n, b.file)
	}
	return strings.Replace(source, b.old, b.new, 1), nil
}
