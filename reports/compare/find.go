package compare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// find is the files that a side names, none twice.
func find(side string) ([]string, error) {
	var files []string
	for _, part := range parts(side) {
		some, err := findOne(part)
		if err != nil {
			return nil, err
		}
		for _, path := range some {
			if !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
		if len(files) > maxFiles {
			return nil, &Invalid{part, fmt.Errorf("more than %d files for one side", maxFiles)}
		}
	}
	return files, nil
}

// parts splits at commas, unless the whole is a file.
func parts(side string) []string {
	if _, err := os.Lstat(side); err == nil {
		return []string{side}
	}
	return strings.Split(side, ",")
}

func findOne(part string) ([]string, error) {
	stat, err := os.Stat(part)
	switch {
	case err == nil && stat.IsDir():
		return below(part)
	case err == nil:
		return []string{part}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("looking for results: %w", err)
	}
	matches, err := filepath.Glob(part)
	if err != nil {
		return nil, &Invalid{part, errors.New("this is neither a file nor a pattern that can be read")}
	}
	var files []string
	for _, path := range matches {
		some, err := findOne(path)
		if err != nil {
			return nil, err
		}
		files = append(files, some...)
	}
	if len(files) == 0 {
		return nil, &Invalid{part, errors.New("there is no such file or folder; name results that `sim run --out DIR` wrote")}
	}
	return files, nil
}

// below is every .json file of a folder and of those in it. Names with a dot
// before them are skipped: so a report is called until it is whole.
func below(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		hidden := path != folder && strings.HasPrefix(d.Name(), ".")
		switch {
		case err != nil:
			return err
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.Type().IsRegular() && !hidden && strings.HasSuffix(d.Name(), ".json"):
			files = append(files, path)
		}
		if len(files) > maxFiles {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for results: %w", err)
	}
	if len(files) == 0 {
		return nil, &Invalid{folder, errors.New("the folder has no .json file; name one that `sim run --out DIR` wrote to")}
	}
	return files, nil
}
