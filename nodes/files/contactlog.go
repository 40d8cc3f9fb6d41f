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

// ContactLog is a phone's contact log on disk, with a journal of the reception times of
// its entries (PROTOCOL.md section 3).
//
// An entry is durable in the journal, with its reception time, before it is written to
// the log. It is removed from the log before it is removed from the journal. Therefore
// no crash can make an entry seem to have been received later than it was. Add and
// Notes may be called during a Write, and do not wait for it.
type ContactLog struct {
	fs     FS
	name   string
	unlock func() error
	notes  notes

	mu    sync.Mutex
	added []nodes.StoredContact // passed to Add since the last Write began

	writing   sync.Mutex
	damaged   []damagedFile // files whose malformed lines are not quarantined yet
	closed    bool
	journal   appendFile
	log       appendFile
	known     []nodes.StoredContact // all entries that the journal has or will have, in order of arrival
	journaled int                   // number of the first entries of known that are in the journal or the log on disk
	digest    uint64                // hash of the text of the log; valid while the log is trusted
	text      []byte                // reused buffer
}

// logBuffer is the size in bytes of the write buffer of a log. Logs are small,
// many, and often rewritten.
const logBuffer = 4 << 10

// OpenContactLog opens and reads the contact log with this name, and its journal, for
// one phone. The log need not exist. OpenContactLog changes neither file. The error is
// ErrInUse if another phone has opened the log. It is ErrNotContactLog if a file has
// other contents. Such a file stays as it is, and no lock file is created beside it.
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
		journal: appendFile{fs: fsys, name: name + journalSuffix},
		log:     appendFile{fs: fsys, name: name},
	}
}

// Stored returns the entries of the files and the entries that were added, in order of
// arrival. The reception time of an entry that is only in the log is the modification
// time of the log. Some entries may be past their retention.
func (l *ContactLog) Stored() []nodes.StoredContact { return l.AppendStored(nil) }

// AppendStored appends the entries that Stored returns to dst.
func (l *ContactLog) AppendStored(dst []nodes.StoredContact) []nodes.StoredContact {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append(dst, l.known...), l.added...)
}

// Notes returns the notes about torn and malformed lines since the last call. Each is a
// sentence. File contents are quoted.
func (l *ContactLog) Notes() []Note { return l.notes.take() }

// Add adds an entry that the phone received after all earlier ones. The next Write
// writes it to the journal.
func (l *ContactLog) Add(k nodes.StoredContact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.added = append(l.added, k)
}

// Write makes the files hold the entries of log. It writes the journal first, then the
// log. If entries have left the log, it then removes them from the journal. It writes
// nothing if the log has not changed. After an error the files are as consistent as
// before, and the next Write tries again.
//
// log is the phone's log, or a copy that was made after the last Write. It may lack
// entries that were added after the copy.
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

// rewriteJournal drops the first from entries of known, and replaces the journal by one
// with the others.
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

// writeLog replaces the file of the log, unless it has the text of log already.
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

// oldestIn returns how many of the first entries of known have left log. It counts at
// most before entries, the number that known had when the current Write began. It
// returns 0 if known does not contain log.
//
// Entries leave a log in order of arrival, so log is a contiguous part of known. That
// part ends at before or later, because log may lack the last entries that were added.
func (l *ContactLog) oldestIn(log *nodes.ContactLog, before int) int {
	for end := len(l.known); end >= before; end-- {
		if from := end - log.Len(); from >= 0 && isLog(log, l.known[from:end]) {
			return min(from, before)
		}
	}
	return 0
}

// isLog reports whether the entries, of which there are as many as in log, equal those
// of log except for their reception times.
func isLog(log *nodes.ContactLog, entries []nodes.StoredContact) bool {
	for i := range entries {
		if log.At(i).Beacon != entries[i].Beacon {
			return false
		}
	}
	return true
}

// forget drops the entries of known that have left the log and are in no file. It is
// called when the journal could not be written: otherwise known would grow for as long
// as the disk fails. before is as in oldestIn. Entries that are in a file stay in
// known, because the log on disk may still contain them.
func (l *ContactLog) forget(log *nodes.ContactLog, before int) {
	if from := l.oldestIn(log, before); from > l.journaled {
		l.known = append(l.known[:l.journaled], l.known[from:]...)
	}
}

// Close releases the log for other phones. It writes nothing. Later calls of Write
// fail.
func (l *ContactLog) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.journal.close(), l.log.close(), l.unlock())
}
