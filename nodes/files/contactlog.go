package files

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/cespare/xxhash/v2"

	"bluetrace/nodes"
)

// ContactLog is a phone's contact log on disk, with a journal of the reception
// times of its entries (PROTOCOL.md section 3).
//
// The log never has an entry that the journal does not have, durably, with its
// reception time, and an entry leaves the log before it leaves the journal. So no
// crash can make an entry count as received later than it was. Add and Notes may
// be called during a Write and do not wait for it.
type ContactLog struct {
	fs     FS
	name   string
	unlock func() error
	notes  notes

	mu    sync.Mutex
	added []nodes.StoredContact // since the last Write began

	writing   sync.Mutex
	damaged   []damagedFile // files whose malformed lines are not quarantined yet
	closed    bool
	journal   appendFile
	log       appendFile
	known     []nodes.StoredContact // all entries that the journal has or will have, in order of arrival
	journaled int                   // the first entries of known, which are in one of the files
	digest    uint64                // of the text of the log, valid while the log is trusted
	text      []byte                // scratch
}

// logBuffer is the size in bytes of the write buffer of a log. Logs are small,
// many, and often rewritten.
const logBuffer = 4 << 10

// OpenContactLog opens and reads a contact log and its journal, for one phone. The
// log may not exist yet. OpenContactLog writes nothing. The error is ErrInUse if
// another phone has the log, and ErrNotContactLog if a file has other contents:
// such a file stays as it is, and no lock file stays beside it.
func OpenContactLog(fsys FS, name string) (*ContactLog, error) {
	if err := newContactLog(fsys, name).read(); err != nil {
		return nil, err
	}
	l := newContactLog(fsys, name)
	unlock, err := fsys.Lock(name + ".lock")
	if errors.Is(err, ErrLocked) {
		return nil, fmt.Errorf("%w %q", ErrInUse, fsys.Path(name))
	}
	if err != nil {
		return nil, fmt.Errorf("locking the contact log %q: %w", fsys.Path(name), err)
	}
	l.unlock = unlock
	l.log.out = bufio.NewWriterSize(nil, logBuffer)
	l.journal.out = l.log.out
	err = errors.Join(removeNew(l.fs, l.journal.name), removeNew(l.fs, l.name))
	if err == nil {
		err = l.read()
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func newContactLog(fsys FS, name string) *ContactLog {
	return &ContactLog{
		fs:      fsys,
		name:    name,
		journal: appendFile{fs: fsys, name: name + journalSuffix, mode: openMode},
		log:     appendFile{fs: fsys, name: name, mode: openMode},
	}
}

// Stored returns the entries of the files and those that were added, in order of
// arrival. Entries of the log that the journal does not have count as received at
// the modification time of the log. Some entries may be past their retention.
func (l *ContactLog) Stored() []nodes.StoredContact { return l.AppendStored(nil) }

// AppendStored appends the entries that Stored returns.
func (l *ContactLog) AppendStored(dst []nodes.StoredContact) []nodes.StoredContact {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append(dst, l.known...), l.added...)
}

// Notes returns the notes about torn and malformed lines since the last call, a
// sentence each. File contents in them are quoted.
func (l *ContactLog) Notes() []Note { return l.notes.take() }

// Add adds an entry that the phone received, in order of arrival. The next Write
// writes it to the journal.
func (l *ContactLog) Add(k nodes.StoredContact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.added = append(l.added, k)
}

// Write updates the files to the state of log: first the journal, then the log,
// then the journal again if entries have left the log. It writes nothing if the log
// has not changed. After an error the files are as consistent as before, and the
// next Write tries again.
//
// log is the phone's log, or a copy from after the last Write. It may be older than
// the last entries that were added.
func (l *ContactLog) Write(log *nodes.ContactLog) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed {
		return fmt.Errorf("saving contact log %q: it was given up: %w", l.fs.Path(l.name), fs.ErrClosed)
	}
	if err := l.quarantineDamaged(); err != nil {
		return err
	}
	before := len(l.known)
	l.mu.Lock()
	l.known = append(l.known, l.added...)
	l.added = l.added[:0]
	l.mu.Unlock()

	if err := l.writeJournal(); err != nil {
		l.forget(log, before)
		return fmt.Errorf("saving the journal of contact log %q: %w", l.fs.Path(l.name), err)
	}
	if err := l.writeLog(log); err != nil {
		return fmt.Errorf("saving contact log %q: %w", l.fs.Path(l.name), err)
	}
	if from := l.oldestIn(log, before); from > 0 {
		if err := l.rewriteJournal(from); err != nil {
			return fmt.Errorf("taking what has left contact log %q from its journal: %w", l.fs.Path(l.name), err)
		}
	}
	return nil
}

// writeJournal makes all known entries durable in the journal.
func (l *ContactLog) writeJournal() error {
	state, err := l.journal.checkFile()
	if err != nil {
		return err
	}
	if state != stateSame || !l.journal.trusted {
		return l.rewriteJournal(0)
	}
	if l.journaled == len(l.known) {
		return nil
	}
	l.text = l.text[:0]
	for i := range l.known[l.journaled:] {
		l.text = appendJournalLine(l.text, &l.known[l.journaled+i])
	}
	if err := l.journal.append(l.text); err != nil {
		return err
	}
	l.journaled = len(l.known)
	return nil
}

// rewriteJournal replaces the journal by one without the first entries of known,
// which it drops.
func (l *ContactLog) rewriteJournal(from int) error {
	err := l.journal.rewrite(func(w *bufio.Writer) error {
		if _, err := w.WriteString(journalHeader + "\n"); err != nil {
			return err
		}
		for i := range l.known[from:] {
			if _, err := w.Write(appendJournalLine(w.AvailableBuffer(), &l.known[from+i])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.known = append(l.known[:0], l.known[from:]...)
	l.journaled = len(l.known)
	return nil
}

// writeLog replaces the log unless it has the right text already.
func (l *ContactLog) writeLog(log *nodes.ContactLog) error {
	state, err := l.log.checkFile()
	if err != nil {
		return err
	}
	l.text = log.AppendText(l.text[:0])
	digest := xxhash.Sum64(l.text)
	if state == stateSame && l.log.trusted && digest == l.digest && int64(len(l.text)) == l.log.good {
		return nil
	}
	err = l.log.rewrite(func(w *bufio.Writer) error {
		_, err := w.Write(l.text)
		return err
	})
	if err == nil {
		l.digest = digest
	}
	return err
}

// oldestIn returns the index in known of the oldest entry that is in log, at most
// before. Entries leave a log in order of arrival, so a log is a contiguous part of
// known. It ends at before or later, since it may be older than the last entries
// that were added.
func (l *ContactLog) oldestIn(log *nodes.ContactLog, before int) int {
	for end := len(l.known); end >= before; end-- {
		if from := end - log.Len(); from >= 0 && isLog(log, l.known[from:end]) {
			return min(from, before)
		}
	}
	return 0
}

// isLog reports whether entries are those of log, except for reception times.
func isLog(log *nodes.ContactLog, entries []nodes.StoredContact) bool {
	for i := range entries {
		c, k := log.At(i), &entries[i]
		if c.TempID != k.TempID || c.Start != k.Start || c.Expiry != k.Expiry {
			return false
		}
	}
	return true
}

// forget drops the entries that have left the log and are in no file. Else their
// number would grow while nothing can be written. Entries that were read from the
// files may still be in the log on disk, and stay.
func (l *ContactLog) forget(log *nodes.ContactLog, before int) {
	if from := l.oldestIn(log, before); from > l.journaled {
		l.known = append(l.known[:l.journaled], l.known[from:]...)
	}
}

// Close releases the log. It writes nothing, and nothing can be written afterwards.
func (l *ContactLog) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.journal.close(), l.log.close(), l.unlock())
}
