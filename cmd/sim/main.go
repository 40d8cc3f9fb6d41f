// Command sim runs scenarios: it says whether what they expect held, and
// leaves reports for people, CI and Prometheus.
package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"bluetrace/scenarios"
	"bluetrace/sim"
)

func main() {
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	p := program{
		ownServer: []string{self, serverCommand},
		name:      calledAs(os.Args[0], isFile),
		stdout:    os.Stdout,
		stderr:    os.Stderr,
		colour:    term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		terminal:  term.IsTerminal(int(os.Stderr.Fd())),
		columns:   stderrColumns,
		now:       time.Now,
		after:     time.After,
		find:      scenarios.Find,
		load:      scenarios.Load,
		schema:    scenarios.Schema,
		engine:    sim.Run,
	}
	os.Exit(int(p.command(untilSignal(stop, os.Exit), os.Args[1:])))
}

func stderrColumns() int {
	width, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || width < 20 {
		return 80
	}
	return width
}
