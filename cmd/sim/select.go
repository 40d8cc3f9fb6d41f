package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"bluetrace/reports"
)

// selected is the scenario files that paths name, in their order, none twice.
// What is missing, unreadable or left out is said on standard error.
func (p *program) selected(paths []string) ([]string, status) {
	if len(paths) == 0 {
		p.complain(errors.New("no scenario was named"), "name a file or a folder, such as scenarios/classroom.yaml")
		return nil, invalid
	}
	var files, leftOut []string
	worst := held
	for _, path := range paths {
		found, manual, err := p.find([]string{path})
		if err != nil {
			p.complain(err, "")
			worst = max(worst, statusOfFinding(err))
			continue
		}
		files, leftOut = addNew(files, found), addNew(leftOut, manual)
	}
	leftOut = slices.DeleteFunc(leftOut, func(file string) bool { return contains(files, file) })
	for _, file := range leftOut {
		fmt.Fprintf(p.stderr, "left out, being manual: %s\n", reports.Escape(file))
	}
	if len(files) == 0 && worst == held { // nothing was run: that must not pass
		p.complain(errors.New("every scenario found is manual"), "name its file to have it")
		worst = invalid
	}
	return files, worst
}

// addNew adds the files of more that files does not have yet.
func addNew(files, more []string) []string {
	for _, file := range more {
		if !contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

func contains(files []string, file string) bool {
	return slices.ContainsFunc(files, func(f string) bool { return filepath.Clean(f) == filepath.Clean(file) })
}
