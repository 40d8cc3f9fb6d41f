package files

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// Errors of OpenContactLog.
var (
	ErrInUse         = errors.New("another client uses the contact log")
	ErrNotContactLog = errors.New("is no contact log")
)

// A journal begins with the line journalHeader. Every other line is an entry of the log
// in order of arrival: TempID, start, expiry, and the reception time in Unix
// nanoseconds, with one space between them.
const (
	journalHeader = "bluetrace contact journal 1"
	journalSuffix = ".journal"
	// beforeReceived is the length in bytes of a line before its reception time.
	beforeReceived = protocol.TempIDSize + 1 + protocol.TimeSize + 1 + protocol.TimeSize + 1
)

var errJournalLine = errors.New("it is not a TempID, a start, an expiry and a reception")

func appendJournalLine(dst []byte, k *nodes.StoredContact) []byte {
	dst = append(append(dst, k.TempID[:]...), ' ')
	dst = append(k.Start.Append(dst), ' ')
	dst = append(k.Expiry.Append(dst), ' ')
	return append(strconv.AppendInt(dst, k.Received, 10), '\n')
}

// parseJournalLine parses a line without its line feed. It accepts only the form that
// appendJournalLine writes.
func parseJournalLine(line []byte) (k nodes.StoredContact, err error) {
	if len(line) <= beforeReceived || line[20] != ' ' || line[40] != ' ' || line[60] != ' ' {
		return k, errJournalLine
	}
	if err := parseEntry(&k.Beacon, line[:20], line[21:40], line[41:60]); err != nil {
		return k, err
	}
	received := line[beforeReceived:]
	n, err := strconv.ParseInt(string(received), 10, 64)
	var again [24]byte
	if err != nil || !bytes.Equal(strconv.AppendInt(again[:0], n, 10), received) {
		return k, errJournalLine
	}
	k.Received = n
	return k, nil
}

// parseEntry sets b from the three fields of an entry. The error is protocol.ErrTempID or
// protocol.ErrTime.
func parseEntry(b *protocol.Beacon, id, start, expiry []byte) (err error) {
	if b.TempID, err = protocol.ParseTempID(id); err != nil {
		return err
	}
	if b.Start, err = protocol.ParseTime(start); err != nil {
		return err
	}
	b.Expiry, err = protocol.ParseTime(expiry)
	return err
}

// read reads the journal and the log into known. If there is no journal, a malformed
// line in the log means that the file belongs to another program, and the error is
// ErrNotContactLog. Otherwise the line is damage, and is skipped.
func (l *ContactLog) read() error {
	journaled := false
	_, err := l.readFile(l.journal.name, func(t *lines) (err error) {
		journaled, err = l.readJournal(t)
		return err
	})
	if err != nil {
		return err
	}
	var logged []protocol.Beacon
	modified, err := l.readFile(l.name, func(t *lines) (err error) {
		logged, err = l.readLog(t, journaled)
		return err
	})
	if err != nil {
		return err
	}
	l.insertUnjournaled(logged, modified)
	l.journaled = len(l.known)
	return nil
}

// readFile passes the lines of a file to the function read, and returns the
// modification time of the file in Unix nanoseconds. If the file does not exist it
// returns 0 and does not call read.
func (l *ContactLog) readFile(name string, read func(*lines) error) (modified int64, err error) {
	_, err = readFile(l.fs, name, func(f File, st Stat) error {
		modified = st.Modified
		return read(newLines(f, st.Size))
	})
	switch {
	case errors.Is(err, errNotRegular):
		err = fmt.Errorf("%q %w: %w", l.fs.Path(name), ErrNotContactLog, err)
	case err != nil && !errors.Is(err, ErrNotContactLog):
		err = fmt.Errorf("reading %q: %w", l.fs.Path(name), err)
	}
	return modified, err
}

// readJournal appends the entries of the journal to known. journaled is false if the
// journal is empty.
func (l *ContactLog) readJournal(t *lines) (journaled bool, err error) {
	bad := malformedLines{notes: &l.notes, file: fmt.Sprintf("contact journal %q", l.journal.name)}
	var parts spans
	for line, ok := t.next(); ok; line, ok = t.next() {
		k, err := parseJournalLine(line)
		isHeader := t.number == 1 && string(line) == journalHeader
		switch {
		case t.number == 1 && err != nil && !isHeader:
			return false, fmt.Errorf("%q %w's journal: its first line is not %q", l.fs.Path(l.journal.name),
				ErrNotContactLog, journalHeader)
		case !t.whole:
			l.notes.addKind(NoteTornLine, "%s: the last line was torn, and is dropped: %s", bad.file, quoted(line))
		case isHeader:
		case err != nil:
			bad.add(t.number, fmt.Sprintf("is dropped: %s: %v", quoted(line), err))
			parts.add(t.at)
		default:
			l.known = append(l.known, k)
		}
	}
	bad.finish()
	l.addDamaged(l.journal.name, parts)
	return t.number > 0, t.err
}

// logLine is a line of a contact log.
type logLine struct {
	text   []byte
	number int
	at     span
}

// readLog returns the entries of the log. An entry is three lines: TempID, start and
// expiry. Where three lines are not an entry, the first of them is malformed. journaled
// reports whether the log has a journal: if not, a malformed line is an
// ErrNotContactLog.
func (l *ContactLog) readLog(t *lines, journaled bool) (entries []protocol.Beacon, err error) {
	const why = "no part of an entry (TempID, start and expiry on three lines)"
	bad := malformedLines{notes: &l.notes, file: fmt.Sprintf("contact log %q", l.name)}
	var parts spans
	var held []logLine // up to three
	for more := true; more; {
		var line []byte
		if line, more = t.next(); more {
			held = append(held, logLine{slices.Clone(trimReturn(line)), t.number, t.at})
		}
		for len(held) == 3 || !more && len(held) > 0 {
			if len(held) == 3 {
				var b protocol.Beacon
				if parseEntry(&b, held[0].text, held[1].text, held[2].text) == nil {
					entries, held = append(entries, b), held[:0]
					continue
				}
			}
			first := held[0]
			if !journaled && t.err == nil {
				return nil, fmt.Errorf("%q %w: its line %d is %s",
					l.fs.Path(l.name), ErrNotContactLog, first.number, why)
			}
			bad.add(first.number, "is dropped, being "+why+": "+quoted(first.text))
			parts.add(first.at)
			held = held[1:]
		}
	}
	bad.finish()
	l.addDamaged(l.name, parts)
	return entries, t.err
}

// insertUnjournaled adds to known the entries of the log, in logged, that the journal
// lacks. Each gets the log's modification time, in Unix nanoseconds, as its reception
// time, which decides its position in known.
func (l *ContactLog) insertUnjournaled(logged []protocol.Beacon, modified int64) {
	journaled := make(map[protocol.Beacon]int, len(l.known))
	for i := range l.known {
		journaled[l.known[i].Beacon]++
	}
	var missing []nodes.StoredContact
	for _, b := range logged {
		if journaled[b] > 0 {
			journaled[b]--
			continue
		}
		missing = append(missing, nodes.StoredContact{Beacon: b, Received: modified})
	}
	at := len(l.known)
	for at > 0 && l.known[at-1].Received > modified {
		at--
	}
	l.known = slices.Insert(l.known, at, missing...)
}

// damagedFile is a log or a journal with malformed lines.
type damagedFile struct {
	name  string
	parts spans // the malformed lines
}

func (l *ContactLog) addDamaged(name string, parts spans) {
	if len(parts) > 0 {
		l.damaged = append(l.damaged, damagedFile{name, parts})
	}
}

// quarantineDamaged copies the malformed lines of each damaged file to a quarantine
// file, before the damaged file is replaced. It never copies valid entries, because a
// copy would outlast their retention.
func (l *ContactLog) quarantineDamaged() error {
	for len(l.damaged) > 0 {
		d := &l.damaged[0]
		_, err := readFile(l.fs, d.name, func(f File, _ Stat) error {
			name, err := quarantine(l.fs, d.name, f, d.parts)
			if err == nil {
				l.notes.add("%q was damaged: the lines that were dropped are kept as %s", d.name, name)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("keeping what is damaged in %q: %w", l.fs.Path(d.name), err)
		}
		l.damaged = l.damaged[1:]
	}
	return nil
}
