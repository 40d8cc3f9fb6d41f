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
// all (see PendingFile). The error is one sentence that names path.
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

// PendingFile is what a file is going to be: a new file in the same folder, which
// takes the file's place when it is published. Until then, and after an error,
// the old file is as it was. Writes are buffered.
type PendingFile struct {
	path string
	file *os.File
	w    *bufio.Writer
	done bool
}

// NewPendingFile begins a draft of the file at path. The error is one sentence that
// names path, as are those of the other methods.
func NewPendingFile(path string) (*PendingFile, error) {
	d := &PendingFile{path: path}
	f, err := os.CreateTemp(filepath.Dir(path), "."+temporaryPrefix(path)+".*")
	if err != nil {
		return nil, d.explain(err)
	}
	d.file, d.w = f, bufio.NewWriterSize(f, draftBuffer)
	return d, nil
}

const draftBuffer = 1 << 16

// Write adds p to the draft.
func (d *PendingFile) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	if err != nil {
		err = d.explain(err)
	}
	return n, err
}

// Commit syncs the draft, renames it over the file and syncs the folder. After
// an error the draft is gone (unless only the folder's sync failed: then it
// stands, perhaps not yet for good). The permissions of a file that was there
// are kept; a new one's are 0644.
func (d *PendingFile) Commit() error {
	defer d.Discard()
	if err := d.fill(); err != nil {
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

// Discard takes the draft away, unless it was published.
func (d *PendingFile) Discard() {
	if d.done {
		return
	}
	d.done = true
	_ = d.file.Close() // the first error is the one to tell
	_ = os.Remove(d.file.Name())
}

// fill writes what is buffered, syncs and closes the draft.
func (d *PendingFile) fill() error {
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

func (d *PendingFile) explain(err error) error {
	if e, ok := errors.AsType[*draftError](err); ok && e.path == d.path {
		return err
	}
	return &draftError{d.path, reason(err)}
}

// draftError names the file that was to be, not the draft.
type draftError struct {
	path string
	err  error
}

func (e *draftError) Error() string { return fmt.Sprintf("writing %q: %v", e.path, e.err) }
func (e *draftError) Unwrap() error { return e.err }

// temporaryPrefix is short enough that the temporary name fits where path's
// own does, and has no star, which would mean the random part.
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
