package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"bluetrace/cmd/fleet/chunks"
	"bluetrace/sim/swarm"
)

// engine is the program sim, which runs everything: a run that exhausts the memory, or a fault in sim, ends one chunk
// and not its worker.
type engine struct {
	path string
	name string // as the user calls it, for the commands that repeat a run
}

// findEngine returns the engine at path, or else the one beside this program, which was called as argument0.
func findEngine(path, argument0 string) (*engine, error) {
	if path != "" {
		found, err := exec.LookPath(path)
		if err == nil {
			found, err = filepath.Abs(found) // chunks run in other folders
		}
		return &engine{found, path}, err
	}
	file := "sim"
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	e := &engine{filepath.Join(filepath.Dir(self), file), filepath.Join(filepath.Dir(argument0), file)}
	if strings.Contains(argument0, "/") && filepath.Dir(argument0) == "." {
		e.name = "./" + file
	}
	if _, err := os.Stat(e.path); err != nil {
		return nil, errors.New("sim is not beside fleet: go build -o bin/ ./cmd/sim ./cmd/fleet, or name it with --sim")
	}
	return e, nil
}

const (
	maxResult  = 64 << 20 // bytes
	maxMessage = 2 << 10  // bytes of the last messages of sim that an error has
	endGrace   = 5 * time.Second
)

// run runs sim in a folder and returns its standard output. The error has the last messages of a status that is neither
// passed nor failed.
func (e *engine) run(ctx context.Context, folder string, arguments ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, e.path, arguments...)
	c.Args[0], c.Dir, c.WaitDelay = e.name, folder, endGrace
	c.Env = withoutToken()
	ownGroup(c)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &limitedWriter{&out, maxResult}, &limitedWriter{&errs, maxResult}
	err := c.Run()
	exit, is := errors.AsType[*exec.ExitError](err)
	switch {
	case is && status(exit.ExitCode()) == statusFailed:
	case is:
		text := strings.TrimSpace(errs.String())
		return nil, &simError{status(exit.ExitCode()), exit.String(),
			strings.ToValidUTF8(text[max(0, len(text)-maxMessage):], "")}
	case err != nil:
		return nil, fmt.Errorf("running %s: %w", e.path, err)
	}
	return out.Bytes(), nil
}

// withoutToken returns the environment without the token of the engine.
func withoutToken() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, tokenVariable+"=") })
}

// simError is the error of a call of sim that neither passed nor failed.
type simError struct {
	status status // -1 if a signal ended it
	end    string // such as "exit status 104"
	text   string // its last messages, which sim has escaped
}

func (e *simError) Error() string { return fmt.Sprintf("sim ended with %s: %s", e.end, e.text) }

// limitedWriter refuses more than a number of bytes.
type limitedWriter struct {
	to   io.Writer
	left int
}

// Write implements io.Writer.
func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errors.New("sim printed more than a result can have")
	}
	return w.to.Write(p)
}

// plan asks sim for the swarm of a command line. Without arguments it has the build only.
func (e *engine) plan(ctx context.Context, arguments ...string) (*swarm.Shared, error) {
	text, err := e.run(ctx, "", append([]string{"swarm", "--plan"}, arguments...)...)
	if err != nil {
		return nil, err
	}
	var s swarm.Shared
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("reading the plan of %s: %w", e.name, err)
	}
	return &s, nil
}

// spec describes a run to its workers.
type spec struct {
	Run    string            `json:"run"`
	Name   string            `json:"name"` // of the program sim, in the commands that repeat a run
	Shared swarm.Shared      `json:"shared"`
	Files  map[string][]byte `json:"files"` // everything that a run reads, by path
}

// canaryFile is the path of the scenario of the planted bug.
const canaryFile = ".fleet/canary.yaml"

// addFiles reads the files of the run. Their paths must be below the working folder, so that they are the same on every
// machine.
func (s *spec) addFiles() error {
	s.Files = map[string][]byte{canaryFile: []byte(canaryScenario)}
	for _, path := range s.Shared.Inputs {
		if !filepath.IsLocal(path) {
			return fmt.Errorf("%q is not below the working folder: a fleet runs relative paths only", path)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading an input: %w", err)
		}
		s.Files[filepath.ToSlash(path)] = text
	}
	return nil
}

// unpack writes the files of the run into a folder.
func (s *spec) unpack(folder string) error {
	for name, text := range s.Files {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("invalid path %q: must be below the folder", name)
		}
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("unpacking the run: %w", err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return fmt.Errorf("unpacking the run: %w", err)
		}
	}
	return nil
}

// runChunk runs a chunk in the folder of an unpacked run.
func (e *engine) runChunk(ctx context.Context, s *spec, one chunks.Chunk, folder string) (*chunks.Result, error) {
	arguments := []string{"swarm", fmt.Sprintf("--seeds=%d-%d", one.Seeds.First, one.Seeds.Last), "--report=json"}
	switch one.Kind {
	case chunks.Seeds:
		arguments = slices.Concat(arguments, s.Shared.Run, []string{"--"}, s.Shared.Scenarios)
	case chunks.Canary:
		arguments = append(arguments, "--plant="+chunks.PlantedBug, canaryFile)
	default:
		return nil, fmt.Errorf("unknown kind of chunk %q: this fleet is too old", one.Kind)
	}
	summary, err := e.run(ctx, folder, arguments...)
	if err != nil {
		return nil, err
	}
	return &chunks.Result{Run: s.Run, Chunk: one.ID, Summary: summary}, nil
}
