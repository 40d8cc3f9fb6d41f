package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bluetrace/nodes/files"
)

// linksFollowed bounds how many links a name of the contact log may lead through.
const linksFollowed = 40

// openLog takes the contact log that path names.
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

// resolve follows links, also to a file that does not exist yet: two names of one
// file are one log.
func resolve(path string) (string, error) {
	for range linksFollowed {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("the folder %q of the contact log does not exist", filepath.Dir(path))
		}
		if err != nil {
			return "", fmt.Errorf("looking for the contact log %q: %w", path, withoutName(err))
		}
		path = filepath.Join(dir, filepath.Base(path))
		target := linkedTo(path)
		if target == "" {
			return path, nil
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		path = target
	}
	return "", fmt.Errorf("the contact log %q is a link that leads in a circle", path)
}

// linkedTo is what a link names; empty: path is none.
func linkedTo(path string) string {
	target, err := os.Readlink(path)
	if err != nil {
		return ""
	}
	return target
}

// withoutName is an error without the name of the file.
func withoutName(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
