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

// WriteFile replaces the file at path by the output of write, atomically (see
// PendingFile). The error names path.
func WriteFile(path string, write func(io.Writer) error) error {
	d, err := NewPendingFile(path)
	if err != nil {
		return err
	}
	defer d.Discard()
	if err := write(d); err != nil {
		return d.explain(err)
	}
	return d.Commit()
}

// PendingFile is a temporary file in the folder of the file that it replaces when
// it is committed. Until then, and after an error, the old file is unchanged.
// Writes are buffered.
type PendingFile struct {
	path string
	file *os.File
	w    *bufio.Writer
	done bool
}

// NewPendingFile creates the temporary file for path. Its error, and the errors of
// the methods, name path.
func NewPendingFile(path string) (*PendingFile, error) {
	d := &PendingFile{path: path}
	f, err := os.CreateTemp(filepath.Dir(path), "."+temporaryPrefix(path)+".*")
	if err != nil {
		return nil, d.explain(err)
	}
	d.file, d.w = f, bufio.NewWriterSize(f, bufferSize)
	return d, nil
}

const bufferSize = 1 << 16

// Write appends p to the temporary file.
func (d *PendingFile) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	if err != nil {
		err = d.explain(err)
	}
	return n, err
}

// Commit syncs the temporary file, renames it to the file and syncs the folder.
// After an error the temporary file is removed. If only the sync of the folder
// failed, the file is replaced, but may be lost in a crash. The file keeps its
// permissions; a new file has 0644.
func (d *PendingFile) Commit() error {
	defer d.Discard()
	if err := d.close(); err != nil {
		return d.explain(err)
	}
	if err := os.Rename(d.file.Name(), d.path); err != nil {
		return d.explain(err)
	}
	d.done = true
	if err := syncFolder(filepath.Dir(d.path)); err != nil {
		return d.explain(err)
	}
	return nil
}

// Discard removes the temporary file, unless it was committed.
func (d *PendingFile) Discard() {
	if d.done {
		return
	}
	d.done = true
	_ = d.file.Close() // only the first error is reported
	_ = os.Remove(d.file.Name())
}

// close flushes the buffer, and syncs and closes the temporary file.
func (d *PendingFile) close() error {
	if err := d.w.Flush(); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if old, err := os.Stat(d.path); err == nil && old.Mode().IsRegular() {
		mode = old.Mode().Perm()
	}
	if err := d.file.Chmod(mode); err != nil {
		return err
	}
	if err := d.file.Sync(); err != nil {
		return err
	}
	return d.file.Close()
}

// explain returns err as a writeError of the file.
func (d *PendingFile) explain(err error) error {
	if e, ok := errors.AsType[*writeError](err); ok && e.path == d.path {
		return err
	}
	return &writeError{d.path, reason(err)}
}

// writeError names the file, not the temporary file.
type writeError struct {
	path string
	err  error
}

func (e *writeError) Error() string { return fmt.Sprintf("writing %q: %v", e.path, e.err) }
func (e *writeError) Unwrap() error { return e.err }

// temporaryPrefix returns at most 100 bytes of the file's name, so that the
// temporary name is not too long. It drops asterisks, because os.CreateTemp
// replaces them.
func temporaryPrefix(path string) string {
	base := strings.ReplaceAll(filepath.Base(path), "*", "")
	return base[:min(len(base), 100)]
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// reason returns the cause of err without the name of the temporary file, which is
// of no use to the user.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
