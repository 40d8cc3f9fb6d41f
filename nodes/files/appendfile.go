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

// secretMode is the permissions of new files: only the owner may read them, because they
// show who met whom.
const secretMode fs.FileMode = 0o600

// appendFile is a file to which batches of lines are appended, and which can be
// replaced by a new one. The file contains a batch completely or not at all. appendFile
// is the common part of tempIDs.txt, attempts.txt, and a contact log with its journal.
type appendFile struct {
	fs     FS
	name   string
	noSync bool          // skip every sync
	out    *bufio.Writer // the buffer for new files; if nil each new file gets one of writeBuffer bytes

	f        File   // nil if not open
	good     int64  // size of the file up to the last complete batch
	identity uint64 // Stat.Identity of f
	// trusted means that the file ends at good and is durable up to there. Nothing may
	// be appended to a file that is not trusted. It must be rewritten instead.
	trusted bool
}

// append appends the batch p to a trusted file and makes it durable. After an error the
// disk may still contain the batch, until a later batch is durable.
func (l *appendFile) append(p []byte) error {
	if err := l.write(p); err != nil {
		return err
	}
	l.trusted = false
	if err := l.sync(l.f); err != nil {
		// The system may still show bytes that are not on the disk. A later process
		// must not take them for stored.
		return errors.Join(err, l.f.Truncate(l.good))
	}
	l.good += int64(len(p))
	l.trusted = true
	return nil
}

// write writes the batch p at the end of the file. After an error it removes the part
// that was written. If that fails as well, the file is not trusted any more.
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

// checkFile compares the file that has the name now with the open one. It returns
// stateSame if the file is not trusted, whatever its size.
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

// rewrite replaces the file by a new one, whose contents the function write writes.
// After a crash, the file is either the old or the new one. After an error before the
// rename it is unchanged.
func (l *appendFile) rewrite(write func(*bufio.Writer) error) error {
	f, st, err := l.writeNew(write)
	if err != nil {
		return err
	}
	l.trusted = false // until the new name is durable, it may be either file
	err = l.fs.Rename(l.name+newSuffix, l.name)
	if err == nil && !l.noSync {
		err = l.fs.SyncNames()
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_ = l.close() // the old file is not needed any more
	l.f, l.good, l.identity, l.trusted = f, st.Size, st.Identity, true
	return nil
}

// writeNew creates the new file beside this one, fills it by the function write, and
// makes it durable. The new file has the permissions of this one, if there is one. writeNew
// returns the open file with its metadata. After an error it removes the new file.
func (l *appendFile) writeNew(write func(*bufio.Writer) error) (f File, st Stat, err error) {
	mode := secretMode
	if st, err := l.fs.Stat(l.name); err == nil {
		mode = st.Mode
	}
	if f, err = l.fs.Create(l.name+newSuffix, mode); err != nil {
		return nil, st, err
	}
	w := l.out
	if w == nil {
		w = bufio.NewWriterSize(f, writeBuffer)
	}
	w.Reset(f)
	defer w.Reset(nil)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = l.sync(f)
	}
	if err == nil {
		st, err = f.Stat()
	}
	if err != nil {
		return nil, st, errors.Join(err, f.Close(), l.fs.Remove(l.name+newSuffix))
	}
	return f, st, nil
}

func (l *appendFile) close() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f, l.trusted = nil, false
	return f.Close()
}

// closeSynced closes the file. If syncs are disabled, it syncs the file before.
func (l *appendFile) closeSynced() error {
	var err error
	if l.noSync && l.f != nil {
		err = errors.Join(l.f.Sync(), l.fs.SyncNames())
	}
	return errors.Join(err, l.close())
}

// removeNew removes an incomplete new file that an earlier process left, if there is
// one.
func removeNew(fsys FS, name string) error {
	err := fsys.Remove(name + newSuffix)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what is left of writing %q: %w", fsys.Path(name), err)
	}
	return nil
}
