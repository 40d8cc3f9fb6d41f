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
	path    string
	pending *reports.PendingFile // nil if the file is written directly
	direct  *bufio.Writer
	file    *os.File // to be closed; nil for a pending and for an output of the program
	err     error    // the first error of writing
}

// openTrace opens the trace at path. own are the program's outputs.
func openTrace(path string, own ...io.Writer) (*trace, error) {
	t := &trace{path: path}
	if output := ownOutput(path, own); output != nil {
		t.direct = bufio.NewWriterSize(output, traceBuffer)
		return t, nil
	}
	target, whole := replaceable(path)
	var err error
	if whole {
		t.pending, err = reports.NewPendingFile(target)
	} else if t.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644); err == nil {
		t.direct = bufio.NewWriterSize(t.file, traceBuffer)
	}
	if err != nil {
		return nil, t.wrap(err)
	}
	return t, nil
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
	w := io.Writer(t.direct)
	if t.pending != nil {
		w = t.pending
	}
	n, err := w.Write(p)
	if err != nil && t.err == nil {
		t.err = t.wrap(err)
	}
	return n, err
}

// publish ends the trace of a run that has a result. After an error, a regular
// file keeps its old content.
func (t *trace) publish() error {
	var err error
	switch {
	case t.err != nil:
		t.discard()
		return t.err
	case t.pending != nil:
		err = t.pending.Commit()
	default:
		err = t.direct.Flush()
		if t.file != nil {
			if closed := t.file.Close(); err == nil {
				err = closed
			}
		}
	}
	if err != nil {
		return t.wrap(err)
	}
	return nil
}

// discard ends the trace of a run that has no result.
func (t *trace) discard() {
	switch {
	case t.pending != nil:
		t.pending.Discard()
	default:
		_ = t.direct.Flush() // the error of the run is reported instead
		if t.file != nil {
			_ = t.file.Close()
		}
	}
}

// wrap returns the system's error with the path that the user gave.
func (t *trace) wrap(err error) error {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		err = number
	}
	return fmt.Errorf("writing the trace %q: %w", t.path, err)
}
