package scenarios

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Find returns the scenario files that paths name: a file itself, and of a folder its *.yaml and *.yml files in the
// order of their names, without subfolders. Files of a folder with `manual: true` are returned as skipped. The error
// wraps the operating system's error, or states that a folder has no scenario.
func Find(paths []string) (files []string, skipped []string, err error) {
	for _, path := range paths {
		at, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, &notFound{path, err}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("finding scenarios: %w", err)
		}
		if !at.IsDir() {
			files = append(files, path)
			continue
		}
		found, err := inFolder(path)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range found {
			if isManual(f) {
				skipped = append(skipped, f)
			} else {
				files = append(files, f)
			}
		}
	}
	return files, skipped, nil
}

// notFound is the error of a path without a file.
type notFound struct {
	path string
	err  error // of the operating system
}

func (e *notFound) Error() string { return fmt.Sprintf("there is no scenario %q", e.path) }

func (e *notFound) Unwrap() error { return e.err }

// inFolder returns the scenario files of a folder in the order of their names.
func inFolder(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("finding scenarios: %w", err)
	}
	var files []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") {
			files = append(files, filepath.Join(folder, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("finding scenarios: folder %q holds no .yaml file", folder)
	}
	slices.Sort(files)
	return files, nil
}

// isManual reports whether the file has `manual: true`. It checks nothing else, so that a file with mistakes is not
// skipped but reported.
func isManual(path string) bool {
	text, err := readFile(path)
	if err != nil {
		return false
	}
	for k, v := range pairs(document(&mistakeList{}, text)) {
		if k.Value == "manual" {
			return v.Value == "true"
		}
	}
	return false
}

//go:embed starter/starter.yaml
var starter string

// Starter returns a small scenario with comments, with which `sim init` begins a new file.
func Starter() string { return starter }
