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
)

// status is the exit status; of two the larger is the answer.
type status int

const (
	held        status = 0
	failed      status = 99  // an expectation, threshold or invariant
	invalid     status = 104 // a scenario, trace or flag, or it is missing
	interrupted status = 105
	impossible  status = 107 // the run itself could not be done
	unfit       status = 111 // the generator of a load was the bottleneck
)

func statusOfVerdict(v reports.Verdict) status {
	switch v {
	case reports.Passed:
		return held
	case reports.Failed:
		return failed
	case reports.Interrupted:
		return interrupted
	case reports.Invalid:
		return unfit
	}
	return impossible
}

// statusOfLoading: a scenario that is missing or has mistakes is invalid; one
// that cannot be read makes the run impossible.
func statusOfLoading(err error) status {
	if _, ok := errors.AsType[*scenarios.Mistakes](err); ok || errors.Is(err, fs.ErrNotExist) {
		return invalid
	}
	return impossible
}

// statusOfFinding: a path that is missing, or a folder without a scenario, is
// invalid; one that cannot be looked into makes the run impossible.
func statusOfFinding(err error) status {
	if _, ok := errors.AsType[*fs.PathError](err); !ok || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return invalid
	}
	return impossible
}

func statusOfRunning(err error) status {
	switch _, ok := errors.AsType[*sim.Invalid](err); {
	case ok:
		return invalid
	case errors.Is(err, context.Canceled):
		return interrupted
	}
	return impossible
}

// complain writes an error to standard error, and what could be done about it,
// unless hint is empty. What is wrong with a scenario begins with its place, so
// that editors find it.
func (p *program) complain(err error, hint string) {
	prefix := "sim: "
	if e, ok := errors.AsType[*compare.Invalid](err); ok && e.Place != "" {
		prefix = ""
	}
	if _, ok := errors.AsType[*scenarios.Mistakes](err); ok {
		prefix = ""
	}
	if e, ok := errors.AsType[*sim.Invalid](err); ok && e.Place != "" {
		prefix = ""
	}
	for _, line := range strings.Split(strings.TrimRight(err.Error(), "\n"), "\n") {
		fmt.Fprintln(p.stderr, prefix+reports.Escape(line))
	}
	if e, ok := errors.AsType[*sim.Broken](err); ok {
		p.explain(e)
	}
	if hint != "" {
		fmt.Fprintln(p.stderr, "hint: "+reports.Escape(hint))
	}
}

// explain prints what helps to mend the program: when it broke, after which
// events, and the stack as Go prints it.
func (p *program) explain(e *sim.Broken) {
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
