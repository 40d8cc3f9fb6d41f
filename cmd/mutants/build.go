package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// buildLimit is for one build; the first may have to compile everything.
const buildLimit = 10 * time.Minute

// afterKill is how long a killed command's own children may keep its output.
const afterKill = time.Second

// build compiles sim of the module in root into the file program, reading for
// each file of by (from root, with slashes) another, whose absolute path it
// gives. Equal code gives equal bytes: neither paths nor build IDs
// nor the tables of a debugger are in the program. Nothing is inlined: that
// compiles what depends on a mutant in two thirds of the time.
func build(ctx context.Context, root, program string, by map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	arguments := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid= -s -w", "-gcflags=./...=-l", "-o", program}
	if len(by) > 0 {
		overlay := program + ".overlay.json"
		if err := writeOverlay(overlay, root, by); err != nil {
			return err
		}
		arguments = append(arguments, "-overlay", overlay)
	}
	var said bytes.Buffer
	c := exec.CommandContext(ctx, "go", append(arguments, "./cmd/sim")...)
	c.Dir, c.Stdout, c.Stderr, c.WaitDelay = root, &said, &said, afterKill
	if err := c.Run(); err != nil {
		return fmt.Errorf("building sim: %w\n%s", err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// writeOverlay writes the file that tells go build what to read instead.
func writeOverlay(file, root string, by map[string]string) error {
	replace := make(map[string]string, len(by))
	for of, with := range by {
		replace[filepath.Join(root, filepath.FromSlash(of))] = with
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return fmt.Errorf("encoding the overlay: %w", err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("writing the overlay: %w", err)
	}
	return nil
}

// contentOf is the hash of a program.
func contentOf(program string) ([sha256.Size]byte, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("reading a built program: %w", err)
	}
	return sha256.Sum256(text), nil
}
