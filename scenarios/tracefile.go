package scenarios

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"bluetrace/reports/filetype"
)

const byteOrderMark = "\ufeff"

// OpenTrace opens the file of t. The error wraps the operating system's error or is a *TraceMistake.
func OpenTrace(t *Trace) (*TraceReader, error) {
	info, err := os.Stat(t.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading trace: %w (a relative path begins at the scenario's folder; give an absolute "+
			"path)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading trace: %w", err)
	}
	if !info.Mode().IsRegular() {
		is := "a pipe or a device, and a trace is read twice"
		if info.IsDir() {
			is = "a folder"
		}
		return nil, &TraceMistake{File: t.File, Message: "this is " + is + "; expected a regular file"}
	}
	f, err := os.Open(t.File)
	if err != nil {
		return nil, fmt.Errorf("reading trace: %w", err)
	}
	r, err := NewTraceReader(f, t)
	if err != nil {
		_ = f.Close() // it was only read
		return nil, err
	}
	r.close = f.Close
	return r, nil
}

// openText returns the text of a trace that is plain or gzip, after its byte order mark. A file of another format is
// a *TraceMistake.
func (r *TraceReader) openText(in io.Reader) (io.Reader, error) {
	for holder := ""; ; holder = "a gzip file that holds " {
		text := bufio.NewReaderSize(in, maxTraceLine)
		head, _ := text.Peek(filetype.HeadBytes) // the text has the error again, with its line
		format := filetype.Of(head)
		if format == filetype.Gzip && holder == "" {
			z, err := gzip.NewReader(text)
			if err != nil {
				return nil, r.readFailed(err)
			}
			in = z
			continue
		}
		if format != "" {
			return nil, r.mistake(nil, "this is %s%s; expected UTF-8 text, plain or gzip", holder, format)
		}
		if bytes.HasPrefix(head, []byte(byteOrderMark)) {
			_, _ = text.Discard(len(byteOrderMark)) // these bytes are in the buffer
		}
		return text, nil
	}
}

// splitLine is a bufio.SplitFunc. A line ends with LF, CR LF or CR.
func splitLine(data []byte, atEOF bool) (advance int, line []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0 && atEOF && len(data) > 0:
		return len(data), data, nil
	case i < 0, data[i] == '\r' && i+1 == len(data) && !atEOF: // an LF may follow
		return 0, nil, nil
	case bytes.HasPrefix(data[i:], []byte("\r\n")):
		return i + 2, data[:i], nil
	}
	return i + 1, data[:i], nil
}

// readLine returns the next line without its end. The bytes are valid until the next call.
func (r *TraceReader) readLine() ([]byte, error) {
	if !r.in.Scan() {
		err := r.in.Err()
		switch {
		case err == nil:
			return nil, r.end()
		case errors.Is(err, bufio.ErrTooLong):
			r.line++
			return nil, r.mistake(nil, "the line is longer than %d bytes: this is no trace", maxTraceLine)
		}
		return nil, r.readFailed(err)
	}
	r.line++
	switch line := r.in.Bytes(); {
	case bytes.IndexByte(line, 0) >= 0:
		return nil, r.mistake(nil, "the line has a NUL byte: this is not UTF-8 text")
	case !utf8.Valid(line):
		return nil, r.mistake(nil, "the line is not UTF-8 text: save the file as UTF-8, or name another one")
	case hasControl(line):
		return nil, r.mistake(nil, "the line has a control character: this is no trace")
	}
	return r.in.Bytes(), nil
}

// hasControl reports whether a line has an ASCII control character other than a tab.
func hasControl(line []byte) bool {
	return slices.ContainsFunc(line, func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

// mistake returns a *TraceMistake at the current line.
func (r *TraceReader) mistake(err error, format string, args ...any) error {
	return &TraceMistake{r.trace.File, r.line, fmt.Sprintf(format, args...), err}
}

// readFailed returns a *TraceMistake for a broken gzip file, and else an error that wraps err.
func (r *TraceReader) readFailed(err error) error {
	var deflate flate.CorruptInputError
	switch {
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.As(err, &deflate):
		return r.mistake(err, "the gzip file is broken here: %v", err)
	}
	return fmt.Errorf("reading trace %q, line %d: %w", r.trace.File, r.line, err)
}

// columns splits a line at tabs, else at commas, else at blanks, into at most maxColumns and a rest.
func columns(text string) []string {
	sep := "\t"
	switch {
	case strings.TrimSpace(text) == "":
		return nil
	case strings.Contains(text, "\t"):
	case strings.Contains(text, ","):
		sep = ","
	default:
		return strings.Fields(text)
	}
	fields := strings.SplitN(text, sep, maxColumns+1)
	for i, f := range fields {
		fields[i] = strings.TrimSpace(f)
	}
	return fields
}
