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

// writeBuffer is the size in bytes of the write buffer of a new file.
const writeBuffer = 32 << 10

const (
	openMode   fs.FileMode = 0o644
	secretMode fs.FileMode = 0o600
)

// appendFile is a file to which batches of lines are appended, or that is replaced
// by a new one. A batch is in it completely or not at all. It is the common part
// of tempIDs.txt, attempts.txt, and a contact log with its journal.
type appendFile struct {
	fs     FS
	name   string
	mode   fs.FileMode // of a new file
	noSync bool
	out    *bufio.Writer // of new files; nil for a new one of writeBuffer each

	f        File  // nil if not open
	good     int64 // size up to the last complete batch
	identity uint64
	// trusted means that the file ends at good and is durable up to there. Nothing
	// may be appended to a file that is not trusted: it must be rewritten.
	trusted bool
}

// append appends a batch to a trusted file, durably. After an error, the batch may
// still be on the disk until the next one is.
func (l *appendFile) append(p []byte) error {
	if err := l.write(p); err != nil {
		return err
	}
	l.trusted = false
	if err := l.sync(l.f); err != nil {
		// The system may still show bytes that are not on the disk. A later process
		// must not read them as stored.
		return errors.Join(err, l.f.Truncate(l.good))
	}
	l.good += int64(len(p))
	l.trusted = true
	return nil
}

// write writes a batch after good, or nothing.
func (l *appendFile) write(p []byte) error {
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

func (l *appendFile) sync(f File) error {
	if l.noSync {
		return nil
	}
	return f.Sync()
}

// fileState is the result of a check of the file under the name.
type fileState uint8

const (
	stateSame fileState = iota
	stateAbsent
	stateReplaced // another file has the name
	stateChanged  // another program wrote to it
)

// checkFile compares the file under the name with the open one.
func (l *appendFile) checkFile() (fileState, error) {
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

// rewrite replaces the file by a new one that write fills. After a crash, the file
// is the old or the new one. After an error before the rename, it is unchanged.
func (l *appendFile) rewrite(write func(*bufio.Writer) error) error {
	f, st, err := l.writeNew(write)
	if err != nil {
		return err
	}
	l.trusted = false // until the new name is durable, it may be either file
	if err := l.rename(); err != nil {
		return errors.Join(err, f.Close())
	}
	_ = l.close() // the old file is not needed any more
	l.f, l.good, l.identity, l.trusted = f, st.Size, st.Identity, true
	return nil
}

// writeNew writes the file that will replace this one.
func (l *appendFile) writeNew(write func(*bufio.Writer) error) (File, Stat, error) {
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

func (l *appendFile) fill(f File, write func(*bufio.Writer) error) (Stat, error) {
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

func (l *appendFile) rename() error {
	if err := l.fs.Rename(l.name+newSuffix, l.name); err != nil {
		return err
	}
	if l.noSync {
		return nil
	}
	return l.fs.SyncNames()
}

func (l *appendFile) close() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f, l.trusted = nil, false
	return f.Close()
}

// removeNew removes a file that was being written when the process ended.
func removeNew(fsys FS, name string) error {
	err := fsys.Remove(name + newSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what is left of writing %q: %w", fsys.Path(name), err)
	}
	return nil
}
