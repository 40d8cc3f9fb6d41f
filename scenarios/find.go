package scenarios

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	yaml "go.yaml.in/yaml/v4"
)

// Find returns the scenario files that paths name: a file itself, and of a folder its *.yaml and *.yml files in the
// order of their names, without subfolders. Files of a folder with `manual: true` are returned as skipped. The error
// wraps the operating system's error, or states that a folder has no scenario, or a pipe or device with the name of
// one; in the last case the folder's other files are returned too.
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
		for _, f := range found {
			if isManual(f) {
				skipped = append(skipped, f)
			} else {
				files = append(files, f)
			}
		}
		if err != nil {
			return files, skipped, err
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

// inFolder returns the scenario files of a folder in the order of their names. Its error is about files that cannot be
// scenarios; the others are returned too.
func inFolder(folder string) (files []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("finding scenarios: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if ext := filepath.Ext(path); ext != ".yaml" && ext != ".yml" {
			continue
		}
		if at, statErr := os.Stat(path); statErr != nil || at.Mode().IsRegular() {
			files = append(files, path)
		} else if !at.IsDir() { // reading a pipe may have no end
			err = errors.Join(err, fmt.Errorf("%q is a pipe or a device: a folder's scenarios must be regular files",
				path))
		}
	}
	if len(files) == 0 && err == nil {
		return nil, fmt.Errorf("finding scenarios: folder %q holds no .yaml file", folder)
	}
	slices.Sort(files)
	return files, err
}

// isManual reports whether the file has `manual: true`. It checks nothing else, so that a file with mistakes is not
// skipped but reported.
func isManual(path string) bool {
	text, err := readFile(path)
	if err != nil {
		return false
	}
	return topLevel(document(&mistakeList{}, text), "manual") == "true"
}

// topLevel returns the text of a key's value at the top level of a document, or "".
func topLevel(root *yaml.Node, key string) string {
	for k, v := range pairs(root) {
		if k.Value == key {
			return v.Value
		}
	}
	return ""
}

//go:embed starter/starter.yaml
var starter string

// Starter returns a small scenario with comments, with which `sim init` begins a new file.
func Starter() string { return starter }
