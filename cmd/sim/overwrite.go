package main

import (
	"fmt"
	"os"
	"path/filepath"

	"bluetrace/scenarios"
)

// input is a file that the runs read, and that none of them may replace.
type input struct {
	what string // such as "the scenario"
	path string
}

func scenarioInputs(files []string) []input {
	inputs := make([]input, 0, len(files))
	for _, file := range files {
		inputs = append(inputs, input{"the scenario", file})
	}
	return inputs
}

// addContacts remembers the contact traces that s reads.
func (b *batch) addContacts(s *scenarios.Scenario) {
	b.inputs = append(b.inputs, contactInputs(s)...)
}

func contactInputs(s *scenarios.Scenario) []input {
	var inputs []input
	for _, t := range s.Contacts.Trace {
		inputs = append(inputs, input{"the contact trace", t.File})
	}
	return inputs
}

// refuseOverwriting is why the trace or one of the reports with these names
// may not be written; nil: they may.
func (b *batch) refuseOverwriting(reportNames ...string) error {
	if b.trace != "" {
		if err := spared(b.inputs, "the trace", b.trace, "name another file with --trace"); err != nil {
			return err
		}
	}
	if b.out == "" {
		return nil
	}
	inputs := b.inputs
	if b.trace != "" {
		inputs = append(inputs[:len(inputs):len(inputs)], input{"the trace", b.trace})
	}
	for _, name := range reportNames {
		if err := spared(inputs, "the report", filepath.Join(b.out, name), "name another folder with --out"); err != nil {
			return err
		}
	}
	return nil
}

// spared is an error when path is one of the inputs.
func spared(inputs []input, what, path, advice string) error {
	for _, in := range inputs {
		if sameFile(path, in.path) {
			return fmt.Errorf("%s %q would overwrite %s %q: %s", what, path, in.what, in.path, advice)
		}
	}
	return nil
}

// sameFile says whether two paths name one file, also through links, or would
// if there were one.
func sameFile(a, b string) bool {
	if absolute(a) == absolute(b) {
		return true
	}
	statA, errA := os.Stat(a)
	statB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(statA, statB)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}
