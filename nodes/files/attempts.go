package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"bluetrace/nodes"
)

const (
	attemptsName = "attempts.txt"
	// attemptSlack is the slack where none is asked for.
	attemptSlack = 4096
	// maxUnsaved is how many names are kept whose state could not be saved.
	maxUnsaved = 256
)

// attempts is attempts.txt: the key of unknown names, and the state of every
// name after each attempt. A later line of a name replaces the earlier.
type attempts struct {
	ledger
	notes *notes
	key   [32]byte
	keyed bool // key is known
	state attemptState
	// unsaved are names whose last state is not in the file, because saving it
	// failed; it goes with the next that is saved.
	unsaved   []attemptName
	behind    bool  // they are too many to be named: the file must be written anew
	pause     int   // stores to come that do not try that,
	failure   error // since the last time it failed so
	lines     int   // states in the file
	slack     int   // lines more than twice the names that the file may have
	rewriteAt int   // lines at which it is written anew
	buf       []byte
}

// start reads the file, or draws a new key if there is none.
func (t *attempts) start(entropy io.Reader) error {
	t.state = newAttemptState()
	if err := removeNew(t.fs, t.name); err != nil {
		return err
	}
	f, err := t.fs.Open(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return t.drawKey(entropy)
	}
	if err != nil {
		return fmt.Errorf("opening %q: %w", t.fs.Path(t.name), err)
	}
	whole, err := t.read(f)
	if err == nil && !t.keyed {
		err = t.drawKey(entropy)
	}
	if err == nil && !whole {
		err = t.replaceDamaged(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("reading %q: %w", t.fs.Path(t.name), err)
	}
	return nil
}

func (t *attempts) drawKey(entropy io.Reader) error {
	if _, err := io.ReadFull(entropy, t.key[:]); err != nil {
		return fmt.Errorf("drawing a key for names without an account: %w", err)
	}
	t.keyed = true
	return nil
}

// read takes the key and every state. It answers false if something besides a
// torn last line cannot be used.
func (t *attempts) read(f File) (whole bool, err error) {
	st, err := f.Stat()
	if err != nil || st.Size == 0 {
		return true, err
	}
	l := newLines(f, st.Size)
	odd := strange{notes: t.notes, file: t.name}
	line, ok := l.next()
	if ok && l.whole {
		t.key, t.keyed = readKey(line)
	}
	if !t.keyed {
		odd.line(1, "is damaged, and with it the key of all names without an account: their attempts are forgotten")
	}
	for ok {
		if line, ok = l.next(); ok {
			t.readLine(l, line, &odd)
		}
	}
	odd.done()
	return odd.count == 0, l.err
}

func (t *attempts) readLine(l *lines, line []byte, odd *strange) {
	a, err := readAttempts(line)
	switch {
	case !l.whole:
		t.notes.add("%s: the last line was torn, and is dropped: %s", t.name, quoted(line))
	case err != nil:
		odd.line(l.number, fmt.Sprintf("is damaged, and not used: %s: %v", quoted(line), err))
	case a.Known || t.keyed:
		t.state.put(&a)
		t.lines++
	}
}

// replaceDamaged puts a copy of the file aside and writes a new one with what
// could be read.
func (t *attempts) replaceDamaged(f File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	name, err := putAside(t.fs, t.name, f, spans{{0, st.Size}}, secretMode)
	if err != nil {
		return err
	}
	if err := t.renew(); err != nil {
		return err
	}
	t.notes.add("%s was damaged: it is kept as %s, and a new one has what could be read of it", t.name, name)
	return nil
}

// store appends the states among records: all, or none. Whatever it returns, the
// states are remembered, and what could not be saved goes with the next.
func (t *attempts) store(records []nodes.Record) error {
	names, err := t.remember(records)
	if err != nil || len(names) == 0 {
		return err
	}
	t.unsaved = append(t.unsaved, names...)
	if err := t.save(); err != nil {
		if t.unsaved = unique(t.unsaved); len(t.unsaved) > maxUnsaved {
			t.unsaved, t.behind = nil, true
		}
		return fmt.Errorf("saving to %q: %w", t.fs.Path(t.name), err)
	}
	t.unsaved = t.unsaved[:0]
	return nil
}

func (t *attempts) remember(records []nodes.Record) (names []attemptName, err error) {
	for i := range records {
		if records[i].Kind == nodes.RecordAttempts {
			err = errors.Join(err, writable(&records[i].Attempts))
		}
	}
	if err != nil {
		return nil, err
	}
	for i := range records {
		if records[i].Kind == nodes.RecordAttempts {
			t.state.put(&records[i].Attempts)
			names = append(names, nameOf(&records[i].Attempts))
		}
	}
	return names, nil
}

// unique keeps the first of each name.
func unique(names []attemptName) []attemptName {
	seen := make(map[attemptName]bool, len(names))
	kept := names[:0]
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			kept = append(kept, n)
		}
	}
	return kept
}

// save brings the file to the state.
func (t *attempts) save() error {
	state, err := t.look()
	if err != nil {
		return err
	}
	usable := state == stateSame && t.trusted
	if t.f != nil && t.trusted && !usable {
		t.notes.add("%s was changed or removed while the server ran: it is written anew", t.name)
	}
	if !usable {
		return t.renewAtTimes()
	}
	if t.behind {
		if err := t.appendUnsaved(); err != nil { // there is no room at all
			return err
		}
		t.unsaved = t.unsaved[:0]
		return t.renewAtTimes()
	}
	if t.lines+len(t.unsaved) > t.rewriteAt {
		if t.renew() == nil {
			return nil
		}
		if !t.trusted {
			return errors.New("it is not known which of two versions of it is on the disk")
		}
		t.rewriteAt = t.lines + t.slack // it is still good, only long
	}
	return t.appendUnsaved()
}

func (t *attempts) appendUnsaved() error {
	t.buf = t.buf[:0]
	lines := 0
	for _, n := range t.unsaved {
		if a, ok := t.state.last(n); ok {
			t.buf = appendAttempts(t.buf, &a)
			lines++
		}
	}
	if lines == 0 {
		return nil
	}
	if err := t.append(t.buf); err != nil {
		return err
	}
	t.lines += lines
	return nil
}

// renewAtTimes is renew for one who would try it with each store: after a failure
// as many stores pass that each costs about slack lines.
func (t *attempts) renewAtTimes() error {
	if t.pause > 0 {
		t.pause--
		return t.failure
	}
	if t.failure = t.renew(); t.failure != nil {
		t.pause = t.state.len() / t.slack
	}
	return t.failure
}

// renew writes the file anew from the state.
func (t *attempts) renew() error {
	err := t.rewrite(func(w *bufio.Writer) error {
		if _, err := w.Write(appendKey(t.buf[:0], t.key)); err != nil {
			return err
		}
		return t.state.each(func(a *nodes.Attempts) error {
			_, err := w.Write(appendAttempts(t.buf[:0], a))
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("writing it anew: %w", err)
	}
	t.behind = false
	t.lines = t.state.len()
	t.rewriteAt = 2*t.lines + t.slack
	return nil
}

// restore hands out the last state of every name.
func (t *attempts) restore(take func(nodes.Record) error) error {
	return t.state.each(func(a *nodes.Attempts) error {
		if err := take(nodes.Record{Kind: nodes.RecordAttempts, Attempts: *a}); err != nil {
			t.notes.add("%s: one state is not used: %v", t.name, err)
		}
		return nil
	})
}
