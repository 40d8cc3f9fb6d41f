package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"bluetrace/protocol"
)

const (
	// shownMalformed is the largest number of malformed lines of one file that are
	// noted one by one.
	shownMalformed = 5
	// maxNotes is the largest number of notes that wait.
	maxNotes = 200
)

// Note is a sentence for the user about a file.
type Note struct {
	Kind NoteKind
	Text string
}

// NoteKind is the kind of a note. Most notes have no kind of their own.
type NoteKind uint8

// The kinds of notes.
const (
	NoteOther     NoteKind = iota
	NoteTornLine           // the last line of a file was torn
	NoteRecovered          // missing lines were recovered from the write-ahead log
)

// notes collects notes until take returns them.
type notes struct {
	mu      sync.Mutex
	list    []Note
	dropped int // beyond maxNotes
}

func (n *notes) add(format string, args ...any) { n.addKind(NoteOther, format, args...) }

func (n *notes) addKind(kind NoteKind, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) >= maxNotes {
		n.dropped++
		return
	}
	n.list = append(n.list, Note{kind, fmt.Sprintf(format, args...)})
}

// take returns the notes and removes them.
func (n *notes) take() []Note {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	if n.dropped > 0 {
		list = append(list, Note{Text: fmt.Sprintf("and %d more notes about files", n.dropped)})
	}
	n.list, n.dropped = nil, 0
	return list
}

// malformedLines counts and notes the lines of one file that cannot be used.
type malformedLines struct {
	notes *notes
	file  string // as it is shown
	count int
}

// add notes that a line is skipped, with the reason.
func (m *malformedLines) add(number int, why string) {
	m.count++
	if m.count <= shownMalformed {
		m.notes.add("%s line %d %s", m.file, number, why)
	}
}

// finish notes the number of lines that were not noted one by one.
func (m *malformedLines) finish() {
	if more := m.count - shownMalformed; more > 0 {
		m.notes.add("%s: %d more such lines", m.file, more)
	}
}

// quoted returns a line in a form that can be printed.
func quoted(line []byte) string { return string(protocol.AppendField(nil, line, false)) }

const (
	// damagedSuffix ends the first of the names of a quarantined file.
	damagedSuffix = ".damaged"
	maxDamaged    = 1000
)

// span is a range of bytes of a file, without end itself.
type span struct{ begin, end int64 }

// spans are ranges of a file in ascending order.
type spans []span

// add appends a range, and merges it with the last if they are adjacent.
func (s *spans) add(more span) {
	if n := len(*s); n > 0 && (*s)[n-1].end == more.begin {
		(*s)[n-1].end = more.end
		return
	}
	*s = append(*s, more)
}

// quarantine copies parts of a file to a new file beside it, durably, and returns
// its name.
func quarantine(fsys FS, name string, from io.ReaderAt, parts spans) (string, error) {
	damaged, err := freeName(fsys, name+damagedSuffix)
	if err != nil {
		return "", err
	}
	copied := appendFile{fs: fsys, name: damaged}
	err = copied.rewrite(func(w *bufio.Writer) error {
		for _, s := range parts {
			if _, err := io.Copy(w, io.NewSectionReader(from, s.begin, s.end-s.begin)); err != nil {
				return err
			}
		}
		return nil
	})
	if err = errors.Join(err, copied.close()); err != nil {
		return "", fmt.Errorf("putting it aside as %q: %w", fsys.Path(damaged), err)
	}
	return damaged, nil
}

// freeName returns the first of the names FIRST, FIRST-2, FIRST-3, … that no file
// has.
func freeName(fsys FS, first string) (string, error) {
	name := first
	for i := 2; i <= maxDamaged; i++ {
		_, err := fsys.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		name = fmt.Sprintf("%s-%d", first, i)
	}
	return "", fmt.Errorf("putting it aside: there are %d files %q to %q already", maxDamaged-1, first, name)
}
