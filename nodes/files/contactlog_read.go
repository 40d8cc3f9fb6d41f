package files

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// Why OpenContactLog refuses.
var (
	ErrInUse         = errors.New("another client uses the contact log")
	ErrNotContactLog = errors.New("is no contact log")
)

// damagedFile is a log or journal in which not all are entries.
type damagedFile struct {
	name  string
	parts func(*lines) (spans, error) // those that are none
}

// read reads both files. A log with anything that is no entry is a damaged one
// only if there is a journal; else it is a file of somebody else.
func (l *ContactLog) read() error {
	journaled := false
	_, err := l.readFile(l.journal.name, func(t *lines) (err error) {
		journaled, err = l.readJournal(t)
		return err
	})
	if err != nil {
		return err
	}
	in := countOf(l.known)
	var others []nodes.StoredContact
	modified, err := l.readFile(l.name, func(t *lines) error {
		return l.readEntries(t, journaled, func(b protocol.Beacon) {
			if !in.take(b) {
				others = append(others, nodes.StoredContact{TempID: b.TempID, Start: b.Start, Expiry: b.Expiry})
			}
		})
	})
	if err != nil {
		return err
	}
	l.insert(others, modified)
	l.journaled = len(l.known)
	return nil
}

// readFile has a file read, if there is one, and tells when it was modified.
func (l *ContactLog) readFile(name string, read func(*lines) error) (modified int64, err error) {
	f, err := l.fs.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case errors.Is(err, errNotRegular):
		return 0, fmt.Errorf("%q %w: %w", l.fs.Path(name), ErrNotContactLog, err)
	case err != nil:
		return 0, fmt.Errorf("opening %q: %w", l.fs.Path(name), err)
	}
	st, err := f.Stat()
	if err == nil {
		err = read(newLines(f, st.Size))
	}
	err = errors.Join(err, f.Close())
	if err != nil && !errors.Is(err, ErrNotContactLog) {
		err = fmt.Errorf("reading %q: %w", l.fs.Path(name), err)
	}
	return st.Modified, err
}

func (l *ContactLog) readEntries(t *lines, journaled bool, take func(protocol.Beacon)) error {
	odd := strange{notes: &l.notes, file: fmt.Sprintf("contact log %q", l.name)}
	first := 0
	err := readLog(t, take, func(x logLine) {
		if odd.count == 0 {
			first = x.number
		}
		odd.line(x.number, "is dropped, being no part of an entry (TempID, start and expiry on three lines): "+quoted(x.text))
	})
	odd.done()
	if err != nil || odd.count == 0 {
		return err
	}
	if !journaled {
		return fmt.Errorf("%q %w: its line %d is no part of an entry (TempID, start and expiry on three lines)", l.fs.Path(l.name), ErrNotContactLog, first)
	}
	l.damaged = append(l.damaged, damagedFile{l.name, func(t *lines) (s spans, err error) {
		err = readLog(t, func(protocol.Beacon) {}, func(x logLine) { s.add(x.at) })
		return s, err
	}})
	return nil
}

// readJournal takes the entries; journaled: there is a journal with something in
// it.
func (l *ContactLog) readJournal(t *lines) (journaled bool, err error) {
	odd := strange{notes: &l.notes, file: fmt.Sprintf("contact journal %q", l.journal.name)}
	err = readJournal(t, func(k nodes.StoredContact) { l.known = append(l.known, k) }, func(x journalLine) {
		if x.torn {
			l.notes.add("%s: the last line was torn, and is dropped: %s", odd.file, quoted(x.text))
			return
		}
		odd.line(x.number, fmt.Sprintf("is dropped: %s: %v", quoted(x.text), x.err))
	})
	odd.done()
	if errors.Is(err, errJournalMark) {
		return false, fmt.Errorf("%q %w's journal: its first line is not %q", l.fs.Path(l.journal.name), ErrNotContactLog, journalMark)
	}
	if odd.count > 0 {
		l.damaged = append(l.damaged, damagedFile{l.journal.name, func(t *lines) (s spans, err error) {
			err = readJournal(t, func(nodes.StoredContact) {}, func(x journalLine) {
				if !x.torn {
					s.add(x.at)
				}
			})
			return s, err
		}})
	}
	return t.number > 0, err
}

// insert puts entries that the journal does not know where they belong by their
// reception: when the log was modified.
func (l *ContactLog) insert(others []nodes.StoredContact, modified int64) {
	for i := range others {
		others[i].Received = modified
	}
	at := len(l.known)
	for at > 0 && l.known[at-1].Received > modified {
		at--
	}
	l.known = slices.Insert(l.known, at, others...)
}

// keepDamaged puts aside what is no entry of the files, once, before one of them
// is replaced. Of entries it keeps nothing: those have their retention.
func (l *ContactLog) keepDamaged() error {
	for len(l.damaged) > 0 {
		name := l.damaged[0].name
		if err := l.keepParts(&l.damaged[0]); err != nil {
			return fmt.Errorf("keeping what is damaged in %q: %w", l.fs.Path(name), err)
		}
		l.damaged = l.damaged[1:]
	}
	return nil
}

func (l *ContactLog) keepParts(d *damagedFile) error {
	f, err := l.fs.Open(d.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := f.Stat()
	var parts spans
	if err == nil {
		parts, err = d.parts(newLines(f, st.Size))
	}
	aside := ""
	if err == nil && len(parts) > 0 {
		aside, err = putAside(l.fs, d.name, f, parts, openMode&st.Mode)
	}
	if err = errors.Join(err, f.Close()); err == nil && aside != "" {
		l.notes.add("%q was damaged: the lines that were dropped are kept as %s", d.name, aside)
	}
	return err
}
