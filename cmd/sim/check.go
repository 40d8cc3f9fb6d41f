package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// selectScenarios returns the scenario files that paths name, in their order and
// without repetitions, and the paths that are missing or unreadable, also in part. It
// reports these and skipped files on standard error. The status is statusPassed if there
// is none that is missing or unreadable.
func (p *program) selectScenarios(paths []string) (files []string, unread []planned, worst status) {
	if len(paths) == 0 {
		return nil, nil, p.fail(errors.New("no scenario was named"),
			"name a file or a folder, such as scenarios/classroom.yaml", statusInvalid)
	}
	var skipped []string
	worst = statusPassed
	for _, path := range paths {
		if path == standardInput {
			files = addNew(files, []string{path})
			continue
		}
		found, manual, err := p.find([]string{path})
		if err != nil {
			worst = max(worst, p.fail(err, "", statusOfFinding(err)))
			unread = append(unread, planned{file: path, err: err})
		}
		files, skipped = addNew(files, found), addNew(skipped, manual)
	}
	skipped = slices.DeleteFunc(skipped, func(file string) bool { return contains(files, file) })
	p.skipped = skipped
	for _, file := range skipped {
		fmt.Fprintf(p.stderr, "skipped (manual): %s\n", reports.Escape(file))
	}
	if len(files) == 0 && worst == statusPassed { // an empty run must not pass
		worst = p.fail(errors.New("every scenario found is manual"), "name the file itself to run it", statusInvalid)
	}
	return files, unread, worst
}

// addNew appends those of more that are not in files.
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

func (p *program) newCheckCommand() *cobra.Command {
	var sets []string
	var o scenarios.Options
	var quiet bool
	return scenarioCommand(&cobra.Command{
		Use:   "check [flags] SCENARIO...",
		Short: "read scenarios and list their mistakes",
		Long:  "Reads scenarios and lists their mistakes.",
	}, func(set *pflag.FlagSet) {
		set.StringArrayVar(&sets, "set", nil, "replace ${NAME} in the scenario: `NAME=VALUE`; may be repeated")
		set.BoolVar(&quiet, "quiet", false, "print nothing about scenarios without a mistake")
	}, func(*pflag.FlagSet) (err error) {
		o.Vars, err = parseVariables(sets)
		return err
	}, func(_ context.Context, paths []string) status { return p.check(paths, o, quiet) })
}

// check reads scenarios and lists all mistakes of every file.
func (p *program) check(paths []string, o scenarios.Options, quiet bool) status {
	files, _, worst := p.selectScenarios(paths)
	o = p.sharing(files, o)
	for _, file := range files {
		s, err := p.load(file, o)
		switch {
		case errors.Is(err, context.Canceled):
			return max(worst, p.fail(err, "", statusError))
		case err != nil:
			worst = max(worst, p.fail(err, "", statusOfLoading(err)))
		case !quiet:
			worst = max(worst, p.print(fmt.Sprintf("ok  %s: %s\n", reports.Escape(file), sizeOf(s))))
		}
	}
	return worst
}

// sharing returns the options with which each of several files accepts a value of --set that another of them uses.
func (p *program) sharing(files []string, o scenarios.Options) scenarios.Options {
	if len(files) < 2 || len(o.Vars) == 0 {
		return o
	}
	spare := o
	spare.SpareVars = true
	o.UsedElsewhere = map[string]bool{}
	for _, file := range files {
		s, err := p.load(file, spare)
		if err != nil {
			continue // it is read again, and then the mistake is reported
		}
		for name := range s.Vars {
			o.UsedElsewhere[name] = true
		}
	}
	return o
}

// sizeOf returns the numbers of a scenario's parts, in words.
func sizeOf(s *scenarios.Scenario) string {
	phones := 0
	for _, g := range s.Phones {
		phones += g.Count
	}
	return strings.Join([]string{
		reports.Plural(phones, "phone", "phones"), reports.Plural(len(s.Script), "step", "steps"),
		reports.Plural(len(s.Expect), "expectation", "expectations"),
		reports.Plural(len(s.Thresholds), "threshold", "thresholds"),
	}, ", ")
}

// initScenario writes the starting scenario to path, whole or not at all. It
// does not overwrite a file.
func (p *program) initScenario(path string) status {
	if _, err := os.Lstat(path); err == nil {
		return p.fail(fmt.Errorf("%q exists already", path), "name a new file", statusInvalid)
	}
	err := reports.WriteFile(path, func(w io.Writer) error {
		_, err := io.WriteString(w, scenarios.Starter())
		return err
	})
	if err != nil {
		return p.fail(err, "name a file in a folder that exists and can be written", statusError)
	}
	return p.print(fmt.Sprintf("wrote %s; run it with: %s run %s\n", reports.Escape(path), p.name, shellQuoted(path)))
}
