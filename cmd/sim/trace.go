package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"bluetrace/reports"
)

// trace is a file with the events of a run, that of --trace for example. A regular
// file is replaced whole when the run ends. Any other file, and the program's own
// outputs, are written during the run. Writes are buffered.
type trace struct {
	traceFile
	name string // of the flag
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

// openTrace opens the file of a flag. A pipe or a device may wait for its other end,
// until ctx ends.
func (r *runCommand) openTrace(ctx context.Context, name, path string) (*trace, error) {
	t := &trace{name: name, path: path}
	if output := ownOutput(t.path, r.stdout, r.stderr); output != nil {
		t.traceFile = &directFile{bufio.NewWriterSize(output, traceBuffer), nil}
		return t, nil
	}
	if stat, err := os.Stat(t.path); err != nil || stat.Mode().IsRegular() {
		pending, err := reports.NewPendingFile(t.path)
		t.traceFile = pending
		return t, t.wrap(err)
	}
	file, err := await(ctx, []string{t.path}, func() (*os.File, error) { return os.OpenFile(t.path, os.O_WRONLY, 0) })
	t.traceFile = &directFile{
		bufio.NewWriterSize(&interruptibleOutput{to: file, ctx: ctx, after: r.after}, traceBuffer), file,
	}
	return t, t.wrap(err)
}

const traceBuffer = 1 << 16

// ownOutput returns the output of this program that path names (/dev/stdout, or
// the file that standard output was redirected to), or nil. Opening it again would
// give a second offset into the file, and would hide that the reader of a pipe has
// gone.
func ownOutput(path string, outputs ...io.Writer) io.Writer {
	named, err := os.Stat(path)
	if err != nil {
		return nil
	}
	for _, own := range outputs {
		f, ok := own.(*interruptibleOutput).to.(*os.File)
		if !ok {
			continue
		}
		if stat, err := f.Stat(); err == nil && os.SameFile(named, stat) {
			return own
		}
	}
	return nil
}

// Write adds bytes.
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
	return fmt.Errorf("writing the %s %q: %w", t.name, t.path, err)
}
