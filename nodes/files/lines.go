package files

import (
	"bytes"
	"errors"
	"io"
)

const (
	lineBuffer = 256 << 10
	// longestLine is longer than any valid line, in bytes. lines returns only the
	// beginning of a line that is longer still.
	longestLine = 4096
)

// lines reads a file of arbitrary contents line by line, through one buffer.
type lines struct {
	from      io.ReaderAt
	at        int64 // offset of the next read
	size      int64 // size of the file when reading began
	buf       []byte
	rest      []byte // part of buf that has not been returned
	number    int    // number of the last line, from 1
	start     int64  // offset at which the last line begins
	whole     bool   // the last line ended with a line feed
	long      bool   // the last line is longer than longestLine: only its beginning was returned
	err       error  // the read error that ended the lines, if any
	beginning []byte // the part of a long line that is returned
}

func newLines(from io.ReaderAt, size int64) *lines {
	return &lines{from: from, size: size, buf: make([]byte, min(size+1, lineBuffer))}
}

// next returns the next line without its line feed, valid until the next call, or
// false at the end of the file or after a read error.
func (l *lines) next() ([]byte, bool) {
	l.whole, l.long, l.start = false, false, l.end()
	for {
		if i := bytes.IndexByte(l.rest, '\n'); i >= 0 {
			return l.give(i, true), true
		}
		if !l.long && len(l.rest) > longestLine {
			l.long = true
			l.beginning = append(l.beginning[:0], l.rest[:longestLine]...)
		}
		if l.long {
			l.rest = l.rest[:0]
		}
		more, ok := l.read()
		if !ok {
			return nil, false
		}
		if !more {
			if len(l.rest) == 0 && !l.long {
				return nil, false
			}
			return l.give(len(l.rest), false), true
		}
	}
}

// give returns rest[:n] as the next line. whole reports whether a line feed follows.
func (l *lines) give(n int, whole bool) []byte {
	line := l.rest[:n]
	l.rest = l.rest[n:]
	if whole {
		l.rest = l.rest[1:]
	}
	l.number++
	l.whole = whole
	if l.long {
		return l.beginning
	}
	if n > longestLine {
		l.long = true
		return line[:longestLine]
	}
	return line
}

// span returns the range of the last line in the file, with its line feed.
func (l *lines) span() span { return span{l.start, l.end()} }

// end returns the offset of the end of the last line, after its line feed.
func (l *lines) end() int64 { return l.at - int64(len(l.rest)) }

// read reads more of the file into rest. more is false at the end of the file. ok is
// false after an error, which is then in err.
func (l *lines) read() (more, ok bool) {
	n := copy(l.buf, l.rest)
	want := min(int64(len(l.buf)-n), l.size-l.at)
	if want <= 0 {
		l.rest = l.buf[:n]
		return false, true
	}
	got, err := l.from.ReadAt(l.buf[n:n+int(want)], l.at)
	l.at += int64(got)
	l.rest = l.buf[:n+got]
	if errors.Is(err, io.EOF) && got < int(want) {
		l.size = l.at // another program truncated the file
	}
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
		return false, false
	}
	return got > 0, true
}
