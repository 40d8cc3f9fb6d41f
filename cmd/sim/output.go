package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// output writes the results of a command.
type output struct {
	*program
	inputs       []input // files that must not be overwritten
	worst        status
	diskFailed   bool // a file could not be written; no more are written
	stdoutFailed bool // nothing more is printed to standard output
}

// toStdout prints to standard output. It reports the first error, after which
// nothing more is printed.
func (o *output) toStdout(write func(io.Writer) error) {
	if o.stdoutFailed {
		return
	}
	if err := write(o.stdout); err != nil {
		o.stdoutFailed, o.worst = true, max(o.worst, o.fail(fmt.Errorf("printing to standard output: %w", err), "", statusError))
	}
}

// writeFile writes a file of --out, whole or not at all, unless overwriting it was
// refused with an error. It reports whether the file was written. It reports the
// first error of the disk, after which no other file is written.
func (o *output) writeFile(path string, refused error, write func(io.Writer) error) bool {
	if o.diskFailed {
		return false
	}
	if refused != nil {
		o.worst = max(o.worst, o.fail(refused, "", statusInvalid))
		return false
	}
	err := reports.WriteFile(path, write)
	if err == nil {
		return true
	}
	hint := "no further report was written"
	if errors.Is(err, syscall.ENOSPC) {
		hint = "free some space, or name another folder with --out; " + hint
	}
	o.diskFailed, o.worst = true, max(o.worst, o.fail(err, hint, statusError))
	return false
}

// report prints the chosen forms of a run and writes its files, whose names begin
// with name. If everything goes to files, it still prints the verdict.
func (r *runCommand) report(run *reports.Run, name string) {
	text, quiet := r.forms.has("text") || r.out != "", r.quiet || !r.forms.has("text")
	if r.out != "" {
		for _, p := range plotsOf(run, name) {
			run.Plots = append(run.Plots, p.file)
		}
	}
	if text {
		r.toStdout(func(w io.Writer) error {
			if r.printed && !quiet {
				if _, err := io.WriteString(w, "\n"); err != nil {
					return err
				}
			}
			return reports.Text(w, run, reports.TextOptions{Color: r.colour && !r.noColor, Quiet: quiet})
		})
	}
	r.printed = text
	if r.forms.has("json") && r.out == "" {
		r.toStdout(func(w io.Writer) error { return reports.JSON(w, []*reports.Run{run}) })
	}
	r.runs = append(r.runs, run)
	if r.out != "" {
		r.writeFiles(run, name)
	}
}

// finish writes the report about all runs.
func (r *runCommand) finish() {
	junit := func(w io.Writer) error { return reports.JUnit(w, r.runs) }
	switch {
	case r.out != "":
		r.writeReport(junitFile, junit)
	case r.forms.has("junit"):
		r.toStdout(junit)
	}
}

// junitFile holds the test cases of all scenarios.
const junitFile = "junit.xml"

// Suffixes of the names of a scenario's files.
const (
	textEnd       = ".txt"
	jsonEnd       = ".json"
	metricsEnd    = ".openmetrics.txt"
	stepsEnd      = ".steps.openmetrics.txt" // of --step
	timePlotEnd   = ".time.png"
	searchPlotEnd = ".search.png"
)

// reportFiles returns the names of all reports that a scenario may have.
func reportFiles(name string) []string {
	return []string{name + textEnd, name + jsonEnd, name + metricsEnd, name + stepsEnd, name + timePlotEnd,
		name + searchPlotEnd}
}

func (r *runCommand) writeFiles(run *reports.Run, name string) {
	r.writeReport(name+textEnd, func(w io.Writer) error { return reports.Text(w, run, reports.TextOptions{}) })
	r.writeReport(name+jsonEnd, func(w io.Writer) error { return reports.JSON(w, []*reports.Run{run}) })
	r.writeReport(name+metricsEnd, func(w io.Writer) error { return reports.WriteMetrics(w, run) })
	for _, p := range plotsOf(run, name) {
		r.writeReport(p.file, func(w io.Writer) error { return p.draw(w, run) })
	}
	if r.history != nil {
		r.writeReport(name+stepsEnd, r.history.OpenMetrics)
	}
}

// plot is a picture of a load run, as a file.
type plot struct {
	file string
	draw func(io.Writer, *reports.Run) error
}

// plotsOf returns the pictures of a run, in files whose names begin with name.
func plotsOf(run *reports.Run, name string) (plots []plot) {
	if run.Load == nil {
		return nil
	}
	if run.Load.Search != nil {
		plots = append(plots, plot{name + searchPlotEnd, reports.SearchPlot})
	}
	return append(plots, plot{name + timePlotEnd, reports.LoadPlot})
}

// writeReport writes a report to the folder of --out. It checks the name again,
// because a scenario that was read later may have added an input.
func (r *runCommand) writeReport(name string, write func(io.Writer) error) {
	r.writeFile(filepath.Join(r.out, name), r.refuseOverwriting(name), write)
}

// fileNames gives each scenario a unique file name. Its keys are the names in use,
// in lower case.
type fileNames map[string]bool

const maxFileName = 100 // bytes, without a number behind it

// take returns a file name for a scenario: letters, digits, _ and - stay, every
// other character becomes -. A name in use, also with other upper-case letters,
// gets a number.
func (n fileNames) take(scenario string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return '-'
	}, scenario)
	safe = strings.TrimLeft(safe[:min(len(safe), maxFileName)], "-")
	if safe == "" {
		safe = "scenario"
	}
	name := safe
	for i := 2; n[strings.ToLower(name)]; i++ {
		name = safe + "-" + strconv.Itoa(i)
	}
	n[strings.ToLower(name)] = true
	return name
}

// input is a file that the runs read and must not overwrite.
type input struct {
	kind string // such as "the scenario"
	path string
}

func scenarioInputs(files []string) []input {
	inputs := make([]input, 0, len(files))
	for _, file := range files {
		inputs = append(inputs, input{"the scenario", file})
	}
	return inputs
}

// contactInputs returns the contact traces that s reads.
func contactInputs(s *scenarios.Scenario) []input {
	var inputs []input
	for _, t := range s.Contacts.Trace {
		inputs = append(inputs, input{"the contact trace", t.File})
	}
	return inputs
}

// refuseOverwriting returns an error if the trace or one of the named reports
// would overwrite an input.
func (r *runCommand) refuseOverwriting(reportNames ...string) error {
	if r.trace != "" {
		if err := refuseSameFile(r.inputs, "the trace", r.trace, "name another file with --trace"); err != nil {
			return err
		}
	}
	if r.out == "" {
		return nil
	}
	inputs := r.inputs
	if r.trace != "" {
		inputs = append(inputs[:len(inputs):len(inputs)], input{"the trace", r.trace})
	}
	for _, name := range reportNames {
		if err := refuseSameFile(inputs, "the report", filepath.Join(r.out, name),
			"name another folder with --out"); err != nil {
			return err
		}
	}
	return nil
}

// refuseSameFile returns an error if path is one of the inputs.
func refuseSameFile(inputs []input, kind, path, advice string) error {
	for _, in := range inputs {
		if sameFile(path, in.path) {
			return fmt.Errorf("%s %q would overwrite %s %q: %s", kind, path, in.kind, in.path, advice)
		}
	}
	return nil
}

// sameFile reports whether two paths name one file, also through links. The file
// need not exist.
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
