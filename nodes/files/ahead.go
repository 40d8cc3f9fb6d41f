package files

import (
	"errors"
	"fmt"
	"io/fs"
)

const (
	aheadName = tempIDsName + ".ahead"
	// aheadSize is how many bytes the ahead log has.
	aheadSize = 1 << 20
	// aheadRest is how many batches go without a log after it failed.
	aheadRest = 1000
)

// ahead is the ahead log of tempIDs.txt: the lines that were stored since that
// file was last synced. To overwrite a file that has its size and blocks costs
// the disk much less than to lengthen one.
//
// It holds one generation of records from its front on, and behind it what is
// left of earlier ones. A new generation begins only when tempIDs.txt has all
// lines of the last one, durably.
type ahead struct {
	fs   FS
	size int64

	f          Rewritable // nil: there is none
	generation uint64     // of what is written now, from 1
	at         int64      // where the next record goes
	rest       int        // so many batches go without
	buf        []byte
	// stale: the file under the name is of no use any more. It must be gone,
	// durably, before anything else is stored.
	stale bool
	// damaged: it is put aside instead.
	damaged bool
	notes   *notes
}

// keep makes lines durable that tempIDs.txt has from position on, and nothing
// else. False: it could not, or they do not fit in.
func (a *ahead) keep(position int64, lines []byte) bool {
	if a.f == nil && !a.begin() {
		return false
	}
	a.buf = appendAhead(a.buf[:0], aheadRecord{generation: a.generation, position: position, lines: lines})
	if a.at+int64(len(a.buf)) > a.size {
		return false
	}
	_, err := a.f.WriteAt(a.buf, a.at)
	if err == nil {
		err = a.f.SyncContent()
	}
	if err != nil {
		a.spoil()
		return false
	}
	a.at += int64(len(a.buf))
	return true
}

// begin makes the log, if it is time to try.
func (a *ahead) begin() bool {
	if a.rest > 0 {
		a.rest--
		return false
	}
	f, err := a.create()
	if err != nil {
		// Without a log the lines are as safe, and this one has no record.
		a.rest = aheadRest
		return false
	}
	a.f, a.generation, a.at = f, 1, 0
	return true
}

// create makes a log of zeros. It is a new file also where one was: none is
// trusted again that failed once.
func (a *ahead) create() (Rewritable, error) {
	f, err := a.fs.CreateRewritable(aheadName+newSuffix, secretMode)
	if err != nil {
		return nil, err
	}
	if err = a.zero(f); err == nil {
		err = a.fs.Rename(aheadName+newSuffix, aheadName)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), a.fs.Remove(aheadName+newSuffix))
	}
	if err := a.fs.SyncNames(); err != nil {
		return nil, errors.Join(err, f.Close(), a.fs.Remove(aheadName))
	}
	return f, nil
}

func (a *ahead) zero(f Rewritable) error {
	zeros := make([]byte, min(a.size, writeBuffer))
	for left := a.size; left > 0; left -= int64(len(zeros)) {
		if _, err := f.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return f.Sync()
}

// spoil gives the log up after a failure. What failed must not be found in it by
// a process that reads it after this one was killed.
func (a *ahead) spoil() {
	clear(a.buf)
	_, _ = a.f.WriteAt(a.buf, a.at) // it is given up, whatever becomes of this
	a.abandon()
	a.rest = aheadRest
}

// restart begins the next generation: tempIDs.txt has all lines, durably.
func (a *ahead) restart() {
	if a.at > 0 {
		a.generation, a.at = a.generation+1, 0
	}
}

// abandon ends the use of the log, which stays until drop.
func (a *ahead) abandon() {
	if a.f != nil {
		_ = a.f.Close() // nothing of it is needed
		a.f, a.stale = nil, true
	}
}

// drop removes a log that is stale, or puts it aside.
func (a *ahead) drop() error {
	if !a.stale {
		return nil
	}
	if a.damaged {
		if err := a.putAside(); err != nil {
			return err
		}
	}
	err := a.fs.Remove(aheadName)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = a.fs.SyncNames()
	}
	if err != nil {
		return fmt.Errorf("removing %q: %w", a.fs.Path(aheadName), err)
	}
	a.stale = false
	return nil
}

// putAside gives a damaged log another name.
func (a *ahead) putAside() error {
	aside, err := freeName(a.fs, aheadName+damagedSuffix)
	if err == nil {
		err = a.fs.Rename(aheadName, aside)
	}
	if err != nil {
		return fmt.Errorf("putting the damaged %q aside: %w", a.fs.Path(aheadName), err)
	}
	a.damaged = false
	a.notes.add("%s is damaged: what can be read of it is in %s, and what only the rest of it had is lost; it is kept as %s", aheadName, tempIDsName, aside)
	return nil
}
