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

// trace takes the events of a run, one line each. A regular file is replaced
// whole when the run ends; what is no regular file, and the program's own
// outputs, are written as the run goes on. Writes are buffered.
type trace struct {
	path   string
	draft  *reports.PendingFile // nil: written directly
	direct *bufio.Writer
	file   *os.File // to be closed; nil: a draft, or an output of the program
	err    error    // the first error of writing
}

func (p *program) openTrace(path string) (*trace, error) {
	t := &trace{path: path}
	if own := p.ownOutput(path); own != nil {
		t.direct = bufio.NewWriterSize(own, traceBuffer)
		return t, nil
	}
	target, whole := replaceable(path)
	var err error
	if whole {
		t.draft, err = reports.NewPendingFile(target)
	} else if t.file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644); err == nil {
		t.direct = bufio.NewWriterSize(t.file, traceBuffer)
	}
	if err != nil {
		return nil, t.explain(err)
	}
	return t, nil
}

const traceBuffer = 1 << 16

// ownOutput is the output that path names as a file (/dev/stdout, or the file
// that standard output was sent to); nil: none. A second opening of it would
// have its own place in the file, and would keep a pipe's reader from being
// missed.
func (p *program) ownOutput(path string) io.Writer {
	named, err := os.Stat(path)
	if err != nil {
		return nil
	}
	for _, own := range []io.Writer{p.stdout, p.stderr} {
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

// replaceable says whether the file at path can be replaced whole, and where
// it is when path is a link. A link to nothing is not: what it should become is
// for the system to say.
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
	if t.draft != nil {
		w = t.draft
	}
	n, err := w.Write(p)
	if err != nil && t.err == nil {
		t.err = t.explain(err)
	}
	return n, err
}

// keep ends the trace of a run that has a result. After an error a file that
// was to be replaced is as it was.
func (t *trace) keep() error {
	var err error
	switch {
	case t.err != nil:
		t.drop()
		return t.err
	case t.draft != nil:
		err = t.draft.Commit()
	default:
		err = t.direct.Flush()
		if t.file != nil {
			if closed := t.file.Close(); err == nil {
				err = closed
			}
		}
	}
	if err != nil {
		return t.explain(err)
	}
	return nil
}

// drop ends the trace of a run that has no result.
func (t *trace) drop() {
	switch {
	case t.draft != nil:
		t.draft.Discard()
	default:
		_ = t.direct.Flush() // why there is no result is the error to tell
		if t.file != nil {
			_ = t.file.Close()
		}
	}
}

// explain names the trace as the user did, and the system's reason alone.
func (t *trace) explain(err error) error {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		err = number
	}
	return fmt.Errorf("writing the trace %q: %w", t.path, err)
}
