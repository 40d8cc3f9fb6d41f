package files

import (
	"bytes"
	"errors"
	"io"
)

const (
	lineBuffer = 256 << 10
	// longestLine is more than any line of ours has; what is longer is garbage,
	// and only its beginning is looked at.
	longestLine = 4096
)

// lines reads a file line by line through one buffer, whatever is in it.
type lines struct {
	from      io.ReaderAt
	at        int64 // what is read next
	size      int64 // where the file ended when reading began
	buf       []byte
	rest      []byte // of buf: read, and not yet given out
	number    int    // of the line that next gave, from 1
	whole     bool   // it ended with a line feed
	long      bool   // it is longer than longestLine: only its beginning was given
	err       error  // why next gave none, if that was not the end
	beginning []byte // of a long line
}

func newLines(from io.ReaderAt, size int64) *lines {
	return &lines{from: from, size: size, buf: make([]byte, min(size+1, lineBuffer))}
}

// next is the next line without its line feed, valid until the next call; false:
// that was all, or err.
func (l *lines) next() ([]byte, bool) {
	l.whole, l.long = false, false
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

// give hands out rest[:n] as a line.
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

// end is where the line that next gave ends in the file, its line feed with it.
func (l *lines) end() int64 { return l.at - int64(len(l.rest)) }

// read adds to rest; more is false at the end of the file.
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
		l.size = l.at // somebody has cut the file off meanwhile
	}
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
		return false, false
	}
	return got > 0, true
}
