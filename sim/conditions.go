package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// conditions returns the conditions that two loads must share to be comparable.
func conditions(s *scenarios.Scenario, t *scenarios.Traffic) *reports.Conditions {
	c := &reports.Conditions{
		ScenarioSum: s.Hash, StartRate: t.StartRate, Stages: []reports.Stage{}, Machine: thisHost(), Build: Build(),
	}
	for _, one := range t.Stages {
		c.Stages = append(c.Stages, reports.Stage{Seconds: one.Duration.Seconds(), Rate: one.Rate})
	}
	return c
}

func thisHost() reports.Machine {
	m := reports.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuModel(), CPUs: runtime.NumCPU()}
	if name, err := os.Hostname(); err == nil {
		sum := sha256.Sum256([]byte(name))
		m.Host = hex.EncodeToString(sum[:4])
	}
	return m
}

// Build returns the Go version and the revision of this program. The revision ends with + if files were changed.
func Build() reports.Build {
	b := reports.Build{Go: runtime.Version()}
	program, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	changed := ""
	for _, s := range program.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if b.Revision == "" { // built from a downloaded module
		b.Revision = strings.TrimPrefix(program.Main.Version, "(devel)")
		return b
	}
	b.Revision += changed
	return b
}
