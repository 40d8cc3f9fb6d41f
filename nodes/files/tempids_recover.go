package files

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// recover gives the file the lines that the ahead log has and it lacks, durably.
// Whatever else is in the file stays.
func (t *tempIDs) recover() error {
	left, err := t.ahead.read()
	t.ahead.damaged = left.damaged
	if err != nil || len(left.lines)+len(left.beyond) == 0 {
		return err
	}
	f, err := t.fs.Append(t.name, t.mode)
	if err != nil {
		return fmt.Errorf("opening %q: %w", t.fs.Path(t.name), err)
	}
	err = errors.Join(t.recoverTo(f, &left), f.Close())
	if err == nil {
		err = t.fs.SyncNames()
	}
	if err != nil {
		return fmt.Errorf("writing lines to %q that a crash has left in %q alone: %w", t.fs.Path(t.name), t.fs.Path(aheadName), err)
	}
	return nil
}

func (t *tempIDs) recoverTo(f File, left *remains) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	g, err := t.gap(f, st.Size, left)
	if err != nil {
		return err
	}
	if len(g.lines) > 0 {
		if err := (&ledger{f: f, good: g.end}).write(g.lines); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Truncate(g.sure)) // as in a ledger
	}
	if len(left.lines) == 0 && len(g.lines) == 0 && st.Size >= left.end {
		t.ahead.damaged = false // a generation began with a write that was cut off
	}
	if n := bytes.Count(g.lines, []byte{'\n'}); n > 0 {
		t.notes.add("%s: lines that were missing after a crash came back from %s: %d", t.name, aheadName, n)
	}
	return nil
}

// gap is what the file lacks.
type gap struct {
	end   int64  // of the file
	sure  int64  // what is behind it up to end, the log has too
	lines []byte // to be appended
}

// gap makes the file one to which what it lacks of the lines can be appended.
func (t *tempIDs) gap(f File, size int64, r *remains) (g gap, err error) {
	if len(r.beyond) == 0 {
		same, left, err := leftOf(f, size, r.position, r.lines)
		switch {
		case err != nil:
			return g, err
		case left:
			// What goes is zeros, and of lines that come back.
			g = gap{end: r.position + same, sure: r.position, lines: r.lines[same:]}
			if g.end < size {
				err = f.Truncate(g.end)
			}
			return g, err
		case same == int64(len(r.lines)):
			return gap{end: size, sure: size}, nil
		}
	}
	if len(r.lines) > 0 && size < r.position {
		t.notes.add("%s was made shorter after the server ended: of its first %d bytes there are %d, and TempIDs of the lines that were cut off resolve no more", t.name, r.position, size)
	}
	if g.end, err = t.repair(f, size); err != nil {
		return g, err
	}
	g.sure = g.end
	g.lines, err = linesNotIn(f, g.end, slices.Concat(r.lines, r.beyond))
	return g, err
}

// leftOf says whether all that the file has from position on is what a crash
// leaves of the lines: a beginning of them, some of it zeros. Its first same
// bytes are whole lines of them.
func leftOf(f File, size, position int64, lines []byte) (same int64, left bool, err error) {
	if size < position {
		return 0, false, nil
	}
	tail := make([]byte, min(size-position, int64(len(lines))))
	if n, err := f.ReadAt(tail, position); n < len(tail) {
		return 0, false, err
	}
	n := 0
	for n < len(tail) && tail[n] == lines[n] {
		n++
	}
	same = int64(bytes.LastIndexByte(lines[:n], '\n') + 1)
	for i, c := range tail[n:] {
		if c != 0 && c != lines[n+i] {
			return same, false, nil
		}
	}
	return same, size <= position+int64(len(lines)), nil
}

// linesNotIn is those of lines that are nowhere in the file.
func linesNotIn(f File, size int64, lines []byte) ([]byte, error) {
	missing := map[string]bool{}
	for line := range bytes.Lines(lines) {
		missing[string(line[:len(line)-1])] = true
	}
	l := newLines(f, size)
	for line, ok := l.next(); ok; line, ok = l.next() {
		delete(missing, string(trimmed(line)))
	}
	var not []byte
	for line := range bytes.Lines(lines) {
		if missing[string(line[:len(line)-1])] {
			not = append(not, line...)
		}
	}
	return not, l.err
}
