package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"bluetrace/reports"
	"bluetrace/reports/compare"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/event"
	"bluetrace/sim/generators"
)

// status is an exit status. Of several, the largest counts.
type status int

const (
	statusPassed      status = 0
	statusFailed      status = 99  // an expectation, threshold or invariant failed
	statusInvalid     status = 104 // a scenario, trace or flag is invalid or missing
	statusInterrupted status = 105
	statusError       status = 107 // the run was not possible
	statusOverloaded  status = 111 // the generator of a load was the bottleneck
	statusLost        status = 112 // a generator of a load on several machines was lost
)

// Error implements error, so that the exit status of a command is a result of cobra.
func (s status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func statusOfVerdict(v reports.Verdict) status {
	s, known := map[reports.Verdict]status{
		reports.Passed: statusPassed, reports.Failed: statusFailed,
		reports.Interrupted: statusInterrupted, reports.Invalid: statusOverloaded,
	}[v]
	if !known {
		return statusError
	}
	return s
}

// statusOfLoading returns statusInvalid for a scenario that is missing or has
// mistakes, and statusError for one that cannot be read.
func statusOfLoading(err error) status {
	if _, ok := errors.AsType[*scenarios.Mistakes](err); ok || errors.Is(err, fs.ErrNotExist) {
		return statusInvalid
	}
	return statusError
}

// statusOfFinding returns statusInvalid for a path that is missing and a folder
// without a scenario, and statusError for a path that cannot be read.
func statusOfFinding(err error) status {
	if _, ok := errors.AsType[*fs.PathError](err); !ok || errors.Is(err, fs.ErrNotExist) ||
		errors.Is(err, syscall.ENOTDIR) {
		return statusInvalid
	}
	return statusError
}

func statusOfRunning(err error) status {
	if _, ok := errors.AsType[*generators.Lost](err); ok {
		return statusLost
	}
	if _, ok := errors.AsType[*sim.Invalid](err); ok {
		return statusInvalid
	}
	return statusError
}

// fail writes an error to standard error, and a hint unless it is empty. It returns
// the exit status s, or statusInterrupted for an interrupt. An error in a scenario begins with its place, so that
// editors find it.
func (p *program) fail(err error, hint string, s status) status {
	prefix := "sim: "
	if hasPlace(err) {
		prefix = ""
	}
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintln(p.stderr, prefix+reports.Escape(line))
	}
	if e, ok := errors.AsType[*sim.Broken](err); ok {
		p.printCrash(e)
	}
	if hint != "" {
		fmt.Fprintln(p.stderr, "hint: "+reports.Escape(hint))
	}
	if errors.Is(err, context.Canceled) {
		return statusInterrupted
	}
	return s
}

// hasPlace reports whether the text of an error begins with a place in a file.
func hasPlace(err error) bool {
	if _, ok := errors.AsType[*scenarios.Mistakes](err); ok {
		return true
	}
	if e, ok := errors.AsType[*compare.Invalid](err); ok && e.Place != "" {
		return true
	}
	e, ok := errors.AsType[*sim.Invalid](err)
	return ok && e.Place != ""
}

// printCrash prints the details of a fault in this program: its virtual time, the
// last events, and the stack as Go prints it.
func (p *program) printCrash(e *sim.Broken) {
	if len(e.Around) > 0 {
		fmt.Fprintf(p.stderr, "at %s s of virtual time; last events:\n", event.Seconds(int64(e.At)))
	}
	for _, event := range e.Around {
		fmt.Fprintln(p.stderr, "  "+reports.Escape(event))
	}
	for _, line := range strings.Split(strings.TrimRight(string(e.Stack), "\n"), "\n") {
		cells := strings.Split(line, "\t")
		for i := range cells {
			cells[i] = reports.Escape(cells[i])
		}
		fmt.Fprintln(p.stderr, strings.Join(cells, "\t"))
	}
}
