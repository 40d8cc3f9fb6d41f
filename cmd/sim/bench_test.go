package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// builtSim builds the command once for a benchmark.
func builtSim(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "sim")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return path
}

func benchmarkCommand(b *testing.B, path string, arguments ...string) {
	b.Helper()
	for b.Loop() {
		if out, err := exec.Command(path, arguments...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
}

// BenchmarkClassroom measures the built program from start to exit, beside the same
// program that only prints its schema.
func BenchmarkClassroom(b *testing.B) {
	sim := builtSim(b)
	b.Run("run", func(b *testing.B) { benchmarkCommand(b, sim, "run", "../../scenarios/classroom.yaml") })
	b.Run("schema", func(b *testing.B) { benchmarkCommand(b, sim, "schema") })
}

// BenchmarkPrimarySchool measures a recorded day, streamed, from start to exit.
func BenchmarkPrimarySchool(b *testing.B) {
	data := os.Getenv("BLUETRACE_DATA")
	if data == "" {
		b.Skip("SKIPPED: no recorded day of a primary school is played: set BLUETRACE_DATA to a folder that has " +
			"primaryschool.csv.gz (sociopatterns.org)")
	}
	sim := builtSim(b)
	benchmarkCommand(b, sim, "run", "--set", "TRACE="+filepath.Join(data, "primaryschool.csv.gz"),
		"../../scenarios/primaryschool.yaml")
}
