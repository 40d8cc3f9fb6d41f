package reports

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
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

// RemoveFile removes the file at path if there is one. Like a PendingFile it follows
// a link, which stays. A folder, a pipe and a device stay too. The error names path.
func RemoveFile(path string) error {
	target := followLinks(path)
	old, err := os.Lstat(target)
	if err == nil && old.Mode().IsRegular() {
		err = os.Remove(target)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return (&PendingFile{path: path}).explain(err)
}

// PendingFile is a temporary file in the folder of the file that it replaces when
// it is committed. Until then, and after an error, the old file is unchanged.
// Writes are buffered. A link is followed: its target is replaced, or created.
type PendingFile struct {
	path   string // as the caller gave it
	target string // path, or the end of its links
	file   *os.File
	w      *bufio.Writer
	done   bool
}

// NewPendingFile creates the temporary file for path. Its error, and the errors of
// the methods, name path. It refuses a path that is not a regular file.
func NewPendingFile(path string) (d *PendingFile, err error) {
	d = &PendingFile{path: path, target: followLinks(path)}
	mode := fs.FileMode(0o666) // the system applies the umask
	if old, err := os.Lstat(d.target); err == nil {
		if !old.Mode().IsRegular() {
			return nil, d.explain(errNotRegular)
		}
		mode = old.Mode().Perm()
	}
	if d.file, err = createBeside(d.target, mode); err != nil {
		return nil, d.explain(err)
	}
	d.w = bufio.NewWriterSize(d.file, bufferSize)
	return d, nil
}

const bufferSize = 1 << 16

// createBeside creates a file with a hidden temporary name in the folder of path.
func createBeside(path string, mode fs.FileMode) (*os.File, error) {
	for {
		base := filepath.Base(path)
		name := fmt.Sprintf(".%s.%d", base[:min(len(base), 100)], rand.Uint32()) // it must not be too long
		f, err := os.OpenFile(filepath.Join(filepath.Dir(path), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
}

var errNotRegular = errors.New("it is no regular file, but a folder, a pipe, a device or a loop of links")

const maxLinks = 40 // one behind the other, as Linux has it

// followLinks returns the path at the end of the links at path, which need not exist.
func followLinks(path string) string {
	for range maxLinks {
		target, err := os.Readlink(path)
		if err != nil { // it is no link
			break
		}
		if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil && !filepath.IsAbs(target) {
			target = filepath.Join(folder, target)
		}
		path = target
	}
	return path
}

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
// permissions; a new file has those that the umask leaves of 0666.
func (d *PendingFile) Commit() error {
	defer d.Discard()
	if err := d.close(); err != nil {
		return d.explain(err)
	}
	if err := os.Rename(d.file.Name(), d.target); err != nil {
		return d.explain(err)
	}
	d.done = true
	if err := syncFolder(filepath.Dir(d.target)); err != nil {
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
	if old, err := os.Lstat(d.target); err == nil && old.Mode().IsRegular() {
		if err := d.file.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
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
