package files

import (
	"bufio"
	"errors"
	"io"
)

const (
	lineBuffer = 256 << 10
	// longestLine is longer than any valid line, in bytes. lines returns only the
	// beginning of a line that is longer still.
	longestLine = 4096
)

// lines reads a file of arbitrary contents line by line.
type lines struct {
	in     *bufio.Reader
	at     span   // range of the last line in the file, with its line feed
	number int    // number of the last line, from 1
	whole  bool   // the last line ended with a line feed
	long   bool   // the last line is longer than longestLine: only its beginning was returned
	err    error  // the read error that ended the lines, if any
	cut    []byte // the part of a long line that is returned
}

// newLines reads the first size bytes of a file.
func newLines(from io.ReaderAt, size int64) *lines {
	return &lines{in: bufio.NewReaderSize(io.NewSectionReader(from, 0, size), int(min(size+1, lineBuffer)))}
}

// next returns the next line without its line feed, valid until the next call, or
// false at the end of the file or after a read error.
func (l *lines) next() ([]byte, bool) {
	line, err := l.in.ReadSlice('\n')
	l.at = span{l.at.end, l.at.end + int64(len(line))}
	if l.whole = err == nil; l.whole {
		line = line[:len(line)-1]
	}
	if l.long = len(line) > longestLine; l.long {
		l.cut = append(l.cut[:0], line[:longestLine]...)
		line = l.cut
	}
	for errors.Is(err, bufio.ErrBufferFull) { // the buffer is longer than longestLine
		var rest []byte
		rest, err = l.in.ReadSlice('\n')
		l.at.end += int64(len(rest))
	}
	l.whole = err == nil
	if !l.whole && !errors.Is(err, io.EOF) {
		l.err = err
		return nil, false
	}
	if l.at.begin == l.at.end {
		return nil, false
	}
	l.number++
	return line, true
}
