package reports

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// WriteFile replaces the file at path by what write writes, whole or not at
// all: a new file in the same folder is filled, synced and renamed over path,
// and the folder is synced. After an error the new file is gone and the old
// one is as it was (unless only the folder's sync failed: then the new one
// stands, perhaps not yet for good). The error is one sentence that names path.
func WriteFile(path string, write func(io.Writer) error) error {
	if err := replaceFile(path, write); err != nil {
		return fmt.Errorf("writing %q: %w", path, reason(err))
	}
	return nil
}

func replaceFile(path string, write func(io.Writer) error) (err error) {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, "."+temporaryPrefix(path)+".*")
	if err != nil {
		return err
	}
	kept := false
	defer func() {
		if !kept {
			_ = f.Close() // the first error is the one to tell
			_ = os.Remove(f.Name())
		}
	}()
	if err := fill(f, write); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	kept = true
	return syncFolder(folder)
}

// temporaryPrefix is short enough that the temporary name fits where path's
// own does, and has no star, which would mean the random part.
func temporaryPrefix(path string) string {
	base := strings.ReplaceAll(filepath.Base(path), "*", "")
	return base[:min(len(base), 100)]
}

// fill writes, syncs and closes f.
func fill(f *os.File, write func(io.Writer) error) error {
	b := bufio.NewWriter(f)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// reason is err without the name of the temporary file, which says nothing to
// the user.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
