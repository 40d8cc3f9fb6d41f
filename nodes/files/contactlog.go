package files

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/cespare/xxhash/v2"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// ContactLog is a phone's contact log on the disk, with the journal of when its
// entries were received (PROTOCOL.md section 3).
//
// Nothing stands in the log that does not stand in the journal, durably, with its
// reception, and an entry leaves the log before it leaves the journal. So no
// entry ever counts as received later than it was, whenever a crash comes.
// Received and Notes may be called during a Write, and do not wait for it.
type ContactLog struct {
	fs     FS
	name   string
	unlock func() error
	notes  notes

	mu       sync.Mutex
	received []nodes.StoredContact // since the last Write began

	writing   sync.Mutex
	damaged   []damagedFile // what is not entries of them is not put aside yet
	closed    bool
	journal   ledger
	log       ledger
	known     []nodes.StoredContact // all that the journal has or will have, in order of arrival
	journaled int                   // so many of known stand in it, or did in one of the files when they were read
	digest    uint64                // of the text of the log, while it is trusted
	text      []byte                // room
	others    []nodes.StoredContact // room for what known becomes
}

// OpenContactLog takes a contact log, which may not exist yet, for one phone, and
// reads it and its journal. It refuses one that another phone has (ErrInUse), and
// files that are something else (ErrNotContactLog): these are left as they are,
// and no lock stays beside them. Nothing is written before the first Write.
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
		journal: ledger{fs: fsys, name: name + journalSuffix, mode: openMode},
		log:     ledger{fs: fsys, name: name, mode: openMode},
	}
}

// logBuffer is how many bytes of a new file of a log are written at once: logs
// are small, many, and written anew again and again.
const logBuffer = 4 << 10

// Kept is what the files held and Received has brought, in order of arrival: what
// is in the journal, and entries of the log that it does not know, received when
// the log was modified. Some may be past their retention.
func (l *ContactLog) Stored() []nodes.StoredContact { return l.AppendStored(nil) }

// AppendStored appends what Stored is.
func (l *ContactLog) AppendStored(dst []nodes.StoredContact) []nodes.StoredContact {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append(dst, l.known...), l.received...)
}

// Notes are what was torn or could not be read in the files, a sentence each,
// since the last call. What was found is quoted.
func (l *ContactLog) Notes() []string { return l.notes.take() }

// Received tells of an entry that the phone keeps, in order of arrival. It is
// remembered, and goes to the journal with the next Write.
func (l *ContactLog) Add(k nodes.StoredContact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received = append(l.received, k)
}

// Write brings the files to the state of log: the journal first, then the log,
// and at last, if entries have left the log, the journal again. A log that has
// not changed costs no write. When it fails, the files are as sound as before,
// and the next Write tries again.
//
// log is the phone's, or a copy, at a moment after the last Write ended; it may
// be older than what Received told since.
func (l *ContactLog) Write(log *nodes.ContactLog) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed {
		return fmt.Errorf("saving contact log %q: it was given up: %w", l.fs.Path(l.name), fs.ErrClosed)
	}
	if err := l.keepDamaged(); err != nil {
		return err
	}
	before := len(l.known)
	l.mu.Lock()
	l.known = append(l.known, l.received...)
	l.received = l.received[:0]
	l.mu.Unlock()

	if err := l.writeJournal(); err != nil {
		l.forget(log, before)
		return fmt.Errorf("saving the journal of contact log %q: %w", l.fs.Path(l.name), err)
	}
	if err := l.writeLog(log); err != nil {
		return fmt.Errorf("saving contact log %q: %w", l.fs.Path(l.name), err)
	}
	if err := l.compact(log, before); err != nil {
		return fmt.Errorf("taking what has left contact log %q from its journal: %w", l.fs.Path(l.name), err)
	}
	return nil
}

// writeJournal makes everything known durable.
func (l *ContactLog) writeJournal() error {
	state, err := l.journal.look()
	if err != nil {
		return err
	}
	if state != stateSame || !l.journal.trusted {
		return l.renewJournal(l.known)
	}
	if l.journaled == len(l.known) {
		return nil
	}
	l.text = l.text[:0]
	for i := range l.known[l.journaled:] {
		l.text = appendJournal(l.text, &l.known[l.journaled+i])
	}
	if err := l.journal.append(l.text); err != nil {
		return err
	}
	l.journaled = len(l.known)
	return nil
}

// forget drops what was never written and has left the log, of the first before
// entries: while nothing can be written, they would be more and more. What was read
// from the files may still stand in the log on the disk, and so must stay.
func (l *ContactLog) forget(log *nodes.ContactLog, before int) {
	known := appendStanding(slices.Clip(l.known[:l.journaled]), log, l.known[l.journaled:before], len(l.known)-before)
	l.known = append(known, l.known[before:]...)
}

// appendStanding appends those of the entries that are in the log; of equal ones,
// the later. So many entries are known that came after them.
func appendStanding(dst []nodes.StoredContact, log *nodes.ContactLog, entries []nodes.StoredContact, after int) []nodes.StoredContact {
	// Nearly always the log begins with what the entries end with: then only the
	// others need to be counted.
	same := max(0, log.Len()-after)
	if !beginsLike(log, entries, same) {
		same = 0
	}
	in := make(counts, log.Len()-same)
	for i := same; i < log.Len(); i++ {
		c := log.At(i)
		in[protocol.Beacon{TempID: c.TempID, Start: c.Start, Expiry: c.Expiry}]++
	}
	from, rest := len(dst), len(entries)-same
	for i := rest - 1; i >= 0; i-- {
		if k := &entries[i]; in.take(beaconOf(k)) {
			dst = append(dst, *k)
		}
	}
	slices.Reverse(dst[from:])
	return append(dst, entries[rest:]...)
}

// beginsLike says whether the first n of the log are the last n of the entries.
func beginsLike(log *nodes.ContactLog, entries []nodes.StoredContact, n int) bool {
	if n > len(entries) {
		return false
	}
	for i := range n {
		c, k := log.At(i), &entries[len(entries)-n+i]
		if c.TempID != k.TempID || c.Start != k.Start || c.Expiry != k.Expiry {
			return false
		}
	}
	return true
}

// renewJournal replaces the journal by one with these entries, which are all that
// is known from then on.
func (l *ContactLog) renewJournal(entries []nodes.StoredContact) error {
	err := l.journal.rewrite(func(w *bufio.Writer) error {
		if _, err := w.WriteString(journalMark + "\n"); err != nil {
			return err
		}
		for i := range entries {
			if _, err := w.Write(appendJournal(w.AvailableBuffer(), &entries[i])); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.known, l.journaled = entries, len(entries)
	return nil
}

// writeLog replaces the log, unless it is already as it should be.
func (l *ContactLog) writeLog(log *nodes.ContactLog) error {
	state, err := l.log.look()
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

// compact takes from the journal what is not in the log any more. What Received
// brought after the first before entries stays: the log may be older than that.
func (l *ContactLog) compact(log *nodes.ContactLog, before int) error {
	known := l.known
	l.others = append(appendStanding(l.others[:0], log, known[:before], len(known)-before), known[before:]...)
	if len(l.others) == len(known) {
		return nil
	}
	err := l.renewJournal(l.others)
	if err == nil {
		l.others = known
	}
	return err
}

// counts is how often each entry is there.
type counts map[protocol.Beacon]int

func countOf(kept []nodes.StoredContact) counts {
	c := make(counts, len(kept))
	for i := range kept {
		c[beaconOf(&kept[i])]++
	}
	return c
}

// take takes one away; false: there was none.
func (c counts) take(b protocol.Beacon) bool {
	if c[b] == 0 {
		return false
	}
	c[b]--
	return true
}

func beaconOf(k *nodes.StoredContact) protocol.Beacon {
	return protocol.Beacon{TempID: k.TempID, Start: k.Start, Expiry: k.Expiry}
}

// Close gives the log up; nothing can be written any more. It writes nothing
// itself.
func (l *ContactLog) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.journal.close(), l.log.close(), l.unlock())
}
