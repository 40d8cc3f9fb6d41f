package files

import (
	"fmt"
	"sync"

	"bluetrace/protocol"
)

const (
	// shownStrange is how many strange lines of one file are shown before they
	// are only counted.
	shownStrange = 5
	notesKept    = 200
)

// notes are sentences for a person, until somebody takes them.
type notes struct {
	mu    sync.Mutex
	lines []string
	more  int // that nobody took in time
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.lines) >= notesKept {
		n.more++
		return
	}
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	lines := n.lines
	if n.more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more notes about files", n.more))
	}
	n.lines, n.more = nil, 0
	return lines
}

// strange counts the lines of one file that cannot be used.
type strange struct {
	notes *notes
	file  string // and what becomes of such a line: `tempIDs.txt line %d is left as it is: %s`
	count int
}

// line notes one: why is for a person.
func (s *strange) line(number int, why string) {
	s.count++
	if s.count <= shownStrange {
		s.notes.add("%s line %d %s", s.file, number, why)
	}
}

func (s *strange) done() {
	if more := s.count - shownStrange; more > 0 {
		s.notes.add("%s: %d more such lines", s.file, more)
	}
}

// quoted is a line as it may be printed.
func quoted(line []byte) string { return string(protocol.AppendField(nil, line, false)) }
