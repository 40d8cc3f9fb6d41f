package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"bluetrace/reports"
)

// trace is the file of --trace, with one line for each event of a run. A regular
// file is replaced whole when the run ends. Any other file, and the program's own
// outputs, are written during the run. Writes are buffered.
type trace struct {
	traceFile
	path string
	err  error // the first error of writing
}

// traceFile is a reports.PendingFile or a directFile.
type traceFile interface {
	io.Writer
	Commit() error // ends the file of a run that has a result
	Discard()      // ends the file of a run that has no result; no effect after Commit
}

// directFile is a file that is written during the run.
type directFile struct {
	*bufio.Writer
	file *os.File // to be closed; nil for an output of the program
}

// Commit flushes and closes the file.
func (d *directFile) Commit() error {
	err := d.Flush()
	if d.file != nil {
		if closed := d.file.Close(); err == nil {
			err = closed
		}
	}
	return err
}

// Discard ends the file like Commit, but drops the error: the error of the run is
// reported instead.
func (d *directFile) Discard() { _ = d.Commit() }

// openTrace opens the trace at path. own are the program's outputs.
func openTrace(path string, own ...io.Writer) (*trace, error) {
	t := &trace{path: path}
	if output := ownOutput(path, own); output != nil {
		t.traceFile = &directFile{bufio.NewWriterSize(output, traceBuffer), nil}
		return t, nil
	}
	if target, whole := replaceable(path); whole {
		pending, err := reports.NewPendingFile(target)
		t.traceFile = pending
		return t, t.wrap(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	t.traceFile = &directFile{bufio.NewWriterSize(file, traceBuffer), file}
	return t, t.wrap(err)
}

const traceBuffer = 1 << 16

// ownOutput returns the output of this program that path names (/dev/stdout, or
// the file that standard output was redirected to), or nil. Opening it again would
// give a second offset into the file, and would hide that the reader of a pipe has
// gone.
func ownOutput(path string, outputs []io.Writer) io.Writer {
	named, err := os.Stat(path)
	if err != nil {
		return nil
	}
	for _, own := range outputs {
		f, ok := own.(*os.File)
		if !ok {
			continue
		}
		if stat, err := f.Stat(); err == nil && os.SameFile(named, stat) {
			return own
		}
	}
	return nil
}

// replaceable reports whether the file at path can be replaced whole, and returns
// the target of a link. A broken link cannot be replaced.
func replaceable(path string) (target string, whole bool) {
	stat, err := os.Lstat(path)
	if err != nil {
		return path, true
	}
	if stat.Mode()&fs.ModeSymlink != 0 {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", false
		}
		if stat, err = os.Stat(path); err != nil {
			return "", false
		}
	}
	return path, stat.Mode().IsRegular()
}

// Write adds whole lines.
func (t *trace) Write(p []byte) (int, error) {
	n, err := t.traceFile.Write(p)
	if err != nil && t.err == nil {
		t.err = t.wrap(err)
	}
	return n, err
}

// publish ends the trace of a run that has a result. After an error, a regular
// file keeps its old content.
func (t *trace) publish() error {
	if t.err != nil {
		t.Discard()
		return t.err
	}
	return t.wrap(t.Commit())
}

// wrap returns the system's error with the path that the user gave; nil for nil.
func (t *trace) wrap(err error) error {
	if err == nil {
		return nil
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		err = number
	}
	return fmt.Errorf("writing the trace %q: %w", t.path, err)
}
