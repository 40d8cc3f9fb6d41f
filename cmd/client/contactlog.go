package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bluetrace/nodes/files"
)

// maxLinks is the largest number of links from the name of the contact log to its
// file.
const maxLinks = 40

// openLog opens the contact log at path. Its error has advice for the user.
func openLog(path string) (*files.ContactLog, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, fmt.Errorf("%w; name another file with --contact-log", err)
	}
	log, err := files.OpenContactLog(files.Disk(filepath.Dir(path)), filepath.Base(path))
	if err != nil {
		return nil, fmt.Errorf("%w; name another file with --contact-log", err)
	}
	return log, nil
}

// resolve follows symbolic links and returns the path of the file itself. The file need
// not exist yet, but its folder must.
func resolve(path string) (string, error) {
	for range maxLinks {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("the folder %q of the contact log does not exist", filepath.Dir(path))
		}
		if err != nil {
			return "", fmt.Errorf("finding the contact log %q: %w", path, files.WithoutPath(err))
		}
		path = filepath.Join(dir, filepath.Base(path))
		target, _ := os.Readlink(path) // empty if it is no link
		if target == "" {
			return path, nil
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return "", fmt.Errorf("the contact log %q is a circle of links", path)
}
