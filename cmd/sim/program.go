package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

// program is the command with everything of the world outside that it uses.
type program struct {
	name           string // how the user called it, as a shell would take it
	stdout, stderr io.Writer
	colour         bool // stdout takes colours
	terminal       bool // stderr is a terminal, columns() wide
	columns        func() int
	now            func() time.Time
	after          func(time.Duration) <-chan time.Time

	// ownServer is the command line of the server that a load run starts.
	ownServer []string

	find   func(paths []string) (files, manualLeftOut []string, err error)
	load   func(path string, o scenarios.Options) (*scenarios.Scenario, error)
	schema func() []byte
	engine func(context.Context, *scenarios.Scenario, sim.Options) (*sim.Result, error)
}

const usage = `Sim runs scenarios of BlueTrace phones and their server, in virtual time or live.

  sim run [flags] SCENARIO...     run scenarios and check what they expect
  sim swarm [flags] SCENARIO...   run them with many seeds, each of which draws faults
  sim check [flags] SCENARIO...   only read them and list their mistakes
  sim schema                      print the JSON Schema of a scenario, for editors
  sim help [COMMAND]              print this, or the flags of a command

SCENARIO is a file, or a folder: then each .yaml and .yml file in it that is not marked manual.

` + statuses

// statuses ends every help text of a command that runs or reads scenarios.
const statuses = `Exit status; over several files the largest is the answer:
  0    everything that was checked held
  99   an expectation, a threshold or an invariant failed
  104  a scenario, a trace or a flag is invalid or missing
  105  interrupted; what was found until then is reported
  107  the run could not be done: a disk is full, a file cannot be read
  111  a load run says nothing about the server: the generator was the bottleneck
"go run" hides it: it prints the status and ends with 1 whatever failed. Where the status counts,
build the program: go build -o bin/sim ./cmd/sim
`

// command does what the arguments ask for.
func (p *program) command(ctx context.Context, arguments []string) status {
	if len(arguments) == 0 {
		p.complain(fmt.Errorf("no command"), "the commands are run, swarm, check, schema and help")
		return invalid
	}
	rest := arguments[1:]
	switch arguments[0] {
	case "run":
		return p.run(ctx, rest)
	case "swarm":
		return p.swarm(ctx, rest)
	case "check":
		return p.check(rest)
	case "schema":
		return p.printSchema(rest)
	case serverCommand:
		return p.serve(ctx, rest)
	case "help", "--help", "-h":
		return p.help(ctx, rest)
	}
	p.complain(fmt.Errorf("unknown command %q", arguments[0]), "the commands are run, swarm, check, schema and help")
	return invalid
}

func (p *program) help(ctx context.Context, arguments []string) status {
	if len(arguments) > 0 && arguments[0] != "help" {
		return p.command(ctx, []string{arguments[0], "--help"})
	}
	return p.print(usage)
}

// print writes text to standard output.
func (p *program) print(text string) status {
	if _, err := io.WriteString(p.stdout, text); err != nil {
		p.complain(fmt.Errorf("writing to standard output: %w", err), "")
		return impossible
	}
	return held
}
