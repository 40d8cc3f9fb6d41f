package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"bluetrace/scenarios"
)

// buildLimit is the time limit of one build. The first may compile everything.
const buildLimit = 10 * time.Minute

// waitDelay is how long the children of a killed command may hold its output open.
const waitDelay = time.Second

// moduleRoot returns the folder of the go.mod that applies to the working directory.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == os.DevNull {
		return "", errors.New("finding the module: no go.mod in the working directory or above it")
	}
	return filepath.Dir(file), nil
}

// smallScenarios returns the library's files without those marked manual, from root.
func smallScenarios(root string) ([]string, error) {
	files, _, err := scenarios.Find([]string{filepath.Join(root, "scenarios")})
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		if files[i], err = filepath.Rel(root, file); err != nil {
			return nil, fmt.Errorf("finding scenarios: %w", err)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("finding scenarios: all of %s are manual", root)
	}
	return files, nil
}

// scenarioName returns a scenario's file name without folder and extension.
func scenarioName(file string) string {
	return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
}

// build compiles sim of the module in root into the file program. overlay gives,
// for each changed file (from root, with slashes), the absolute path of the file
// to compile in its place. Equal code gives equal bytes: the program holds no
// paths, build IDs or debugger tables. Nothing is inlined: this compiles the
// dependants of a change in two thirds of the time.
func build(ctx context.Context, root, program string, overlay map[string]string) error {
	arguments := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid= -s -w", "-gcflags=./...=-l",
		"-o", program}
	overlayFlag, err := writeOverlay(program+".overlay.json", root, overlay)
	if err != nil {
		return err
	}
	arguments = append(append(arguments, overlayFlag...), "./cmd/sim")
	status, stdout, stderr, err := runProgram(ctx, buildLimit, root, "go", arguments...)
	if err == nil && status != 0 {
		err = fmt.Errorf("exit status %d", status)
	}
	if err != nil {
		return fmt.Errorf("building sim: %w\n%s", err, bytes.TrimSpace(append(stdout, stderr...)))
	}
	return nil
}

// runProgram runs a program in the folder root. err is nil if the program exited,
// with any status; it is the error of a context if limit was over or ctx was
// cancelled.
func runProgram(ctx context.Context, limit time.Duration, root, program string, arguments ...string) (
	status int, stdout, stderr []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out, errs bytes.Buffer
	c := exec.CommandContext(ctx, program, arguments...)
	c.Dir, c.Stdout, c.Stderr, c.WaitDelay = root, &out, &errs, waitDelay
	err = c.Run()
	switch _, exited := errors.AsType[*exec.ExitError](err); {
	case err != nil && ctx.Err() != nil:
		return 0, nil, nil, ctx.Err()
	case err != nil && !exited:
		return 0, nil, nil, err
	}
	return c.ProcessState.ExitCode(), out.Bytes(), errs.Bytes(), nil
}

// runTwice is runProgram, and tries a second time if limit was over: a busy machine is no hang.
func runTwice(ctx context.Context, limit time.Duration, root, program string, arguments ...string) (
	status int, stdout, stderr []byte, err error) {
	status, stdout, stderr, err = runProgram(ctx, limit, root, program, arguments...)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return runProgram(ctx, limit, root, program, arguments...)
	}
	return status, stdout, stderr, err
}

// writeOverlay writes the file for go build's flag -overlay and returns the flag: none if nothing is replaced.
func writeOverlay(file, root string, overlay map[string]string) (flag []string, err error) {
	if len(overlay) == 0 {
		return nil, nil
	}
	replace := make(map[string]string, len(overlay))
	for source, replacement := range overlay {
		replace[filepath.Join(root, filepath.FromSlash(source))] = replacement
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("writing the overlay: %w", err)
	}
	return []string{"-overlay", file}, nil
}

// contentOf returns the hash of a program.
func contentOf(program string) ([sha256.Size]byte, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("reading a built program: %w", err)
	}
	return sha256.Sum256(text), nil
}
