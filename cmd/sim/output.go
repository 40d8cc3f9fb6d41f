package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"bluetrace/reports"
)

// report prints what was asked for about r, and writes its files, whose names
// begin with name. When everything asked for goes to files, the verdict is
// printed all the same.
func (b *batch) report(r *reports.Run, name string) {
	text, quiet := b.text || b.out != "", b.quiet || !b.text
	if b.out != "" {
		for _, p := range plotsOf(r, name) {
			r.Plots = append(r.Plots, p.file)
		}
	}
	if text {
		if b.printed && !quiet {
			b.toStdout(func(w io.Writer) error { _, err := io.WriteString(w, "\n"); return err })
		}
		b.toStdout(func(w io.Writer) error {
			return reports.Text(w, r, reports.TextOptions{Color: b.colour && !b.noColor, Quiet: quiet})
		})
	}
	b.printed = text
	if b.json && b.out == "" {
		b.toStdout(func(w io.Writer) error { return reports.JSON(w, []*reports.Run{r}) })
	}
	b.runs = append(b.runs, r)
	if b.out != "" {
		b.writeFiles(r, name)
	}
}

// finish writes what is about all runs.
func (b *batch) finish() {
	junit := func(w io.Writer) error { return reports.JUnit(w, b.runs) }
	switch {
	case b.out != "":
		b.writeFile(junitFile, junit)
	case b.junit:
		b.toStdout(junit)
	}
}

// junitFile has the cases of every scenario.
const junitFile = "junit.xml"

const (
	textEnd    = ".txt"
	jsonEnd    = ".json"
	metricsEnd = ".openmetrics.txt"
	stepsEnd   = ".steps.openmetrics.txt" // of --step
)

// reportFiles are the names of a scenario's own reports.
func reportFiles(name string) []string {
	return []string{name + textEnd, name + jsonEnd, name + metricsEnd, name + stepsEnd, name + timePlotEnd, name + searchPlotEnd}
}

func (b *batch) writeFiles(r *reports.Run, name string) {
	b.writeFile(name+textEnd, func(w io.Writer) error { return reports.Text(w, r, reports.TextOptions{}) })
	b.writeFile(name+jsonEnd, func(w io.Writer) error { return reports.JSON(w, []*reports.Run{r}) })
	b.writeFile(name+metricsEnd, func(w io.Writer) error {
		registry := prometheus.NewRegistry()
		if err := reports.Register(registry, r); err != nil {
			return err
		}
		return reports.OpenMetrics(w, registry)
	})
	b.writePlots(r, name)
	if b.history != nil {
		b.writeFile(name+stepsEnd, b.history.OpenMetrics)
	}
}

// writeFile writes a report in the folder of --out. The first that fails is
// complained of, and no other is written.
func (b *batch) writeFile(name string, write func(io.Writer) error) {
	if b.full {
		return
	}
	if err := b.refuseOverwriting(name); err != nil { // of a scenario that was read later
		b.complain(err, "")
		b.worst = max(b.worst, invalid)
		return
	}
	err := reports.WriteFile(filepath.Join(b.out, name), write)
	if err == nil {
		return
	}
	hint := "no further report was written"
	if errors.Is(err, syscall.ENOSPC) {
		hint = "free some space, or name another folder with --out; " + hint
	}
	b.complain(err, hint)
	b.full, b.worst = true, impossible
}

// toStdout complains once when standard output takes no more.
func (b *batch) toStdout(write func(io.Writer) error) {
	if b.stdoutBroken {
		return
	}
	if err := write(b.stdout); err != nil {
		b.complain(fmt.Errorf("printing to standard output: %w", err), "")
		b.stdoutBroken, b.worst = true, impossible
	}
}
