package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// newSuffix ends the name of a file that is being written and will replace
// another.
const newSuffix = ".new"

// writeBuffer is how many bytes are written at once to a new file.
const writeBuffer = 32 << 10

const (
	openMode   fs.FileMode = 0o644
	secretMode fs.FileMode = 0o600
)

// ledger is a file that grows by whole batches: one is in it as a whole, or not
// at all.
type ledger struct {
	fs     FS
	name   string
	mode   fs.FileMode // of a new one
	noSync bool
	out    *bufio.Writer // of new files; nil: each has one of writeBuffer

	f        File // nil: not open
	good     int64
	identity uint64
	// trusted: the file ends at good, and everything before it is durable. If
	// not, nothing may be appended; the file must be written anew.
	trusted bool
}

// append adds a batch to a trusted file. When it fails, the batch may be on the
// disk all the same, until the next one is.
func (l *ledger) append(p []byte) error {
	if err := l.write(p); err != nil {
		return err
	}
	l.trusted = false
	if err := l.sync(l.f); err != nil {
		// The system may show for ever what is not on the disk: a process that
		// opens the file after this one must not take it for stored.
		return errors.Join(err, l.f.Truncate(l.good))
	}
	l.good += int64(len(p))
	l.trusted = true
	return nil
}

// write writes a batch behind good, or nothing.
func (l *ledger) write(p []byte) error {
	l.trusted = false
	n, err := l.f.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	var cut error
	if err != nil {
		cut = l.f.Truncate(l.good)
	}
	l.trusted = cut == nil
	return errors.Join(err, cut)
}

func (l *ledger) sync(f File) error {
	if l.noSync {
		return nil
	}
	return f.Sync()
}

// state is what has become of the file since it was last looked at.
type state uint8

const (
	stateSame state = iota
	stateAbsent
	stateReplaced // there is another one under its name
	stateChanged  // somebody else has written to it
)

// look says whether the file under the name is the one that is open, as it was.
func (l *ledger) look() (state, error) {
	st, err := l.fs.Stat(l.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return stateAbsent, nil
	case err != nil:
		return 0, err
	case l.f == nil || st.Identity != l.identity:
		return stateReplaced, nil
	case l.trusted && st.Size != l.good:
		return stateChanged, nil
	}
	return stateSame, nil
}

// rewrite replaces the file by a new one with what write writes; the ledger goes
// on with that. It is one or the other after a crash. If the error came before
// the new one took the name, the ledger is as it was.
func (l *ledger) rewrite(write func(*bufio.Writer) error) error {
	f, st, err := l.writeNew(write)
	if err != nil {
		return err
	}
	l.trusted = false // from here on, nobody knows which of the two it is
	if err := l.rename(); err != nil {
		return errors.Join(err, f.Close())
	}
	_ = l.close() // of what is replaced, nothing is needed any more
	l.f, l.good, l.identity, l.trusted = f, st.Size, st.Identity, true
	return nil
}

// writeNew writes the file that will replace this one.
func (l *ledger) writeNew(write func(*bufio.Writer) error) (File, Stat, error) {
	mode := l.mode
	if st, err := l.fs.Stat(l.name); err == nil {
		mode &= st.Mode
	}
	f, err := l.fs.Create(l.name+newSuffix, mode)
	if err != nil {
		return nil, Stat{}, err
	}
	st, err := l.fill(f, write)
	if err != nil {
		return nil, Stat{}, errors.Join(err, f.Close(), l.fs.Remove(l.name+newSuffix))
	}
	return f, st, nil
}

func (l *ledger) fill(f File, write func(*bufio.Writer) error) (Stat, error) {
	w := l.out
	if w == nil {
		w = bufio.NewWriterSize(f, writeBuffer)
	}
	w.Reset(f)
	defer w.Reset(nil)
	if err := write(w); err != nil {
		return Stat{}, err
	}
	if err := w.Flush(); err != nil {
		return Stat{}, err
	}
	if err := l.sync(f); err != nil {
		return Stat{}, err
	}
	return f.Stat()
}

func (l *ledger) rename() error {
	if err := l.fs.Rename(l.name+newSuffix, l.name); err != nil {
		return err
	}
	if l.noSync {
		return nil
	}
	return l.fs.SyncNames()
}

func (l *ledger) close() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f, l.trusted = nil, false
	return f.Close()
}

// removeNew removes what a crash left of a file that was being written.
func removeNew(fsys FS, name string) error {
	err := fsys.Remove(name + newSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what is left of writing %q: %w", fsys.Path(name), err)
	}
	return nil
}
