package files

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
)

const (
	walName = tempIDsName + ".ahead"
	// defaultWALSize is the default size of the log in bytes.
	defaultWALSize = 1 << 20
	// walPause is the number of batches that are stored without a log after the log
	// has failed.
	walPause = 1000
)

// wal is the write-ahead log of tempIDs.txt: the lines that were stored since that
// file was last synced. It makes a download durable with one overwrite of blocks
// that the file has already, which costs a disk much less than a longer file.
//
// The log has the records of one generation from its beginning on, followed by the
// remains of earlier generations. A new generation begins only when tempIDs.txt
// has all lines of the last one, durably.
type wal struct {
	fs   FS
	size int64

	f          Rewritable // nil if there is no log
	generation uint64     // of the next record, from 1
	at         int64      // offset of the next record
	pause      int        // number of batches until the next try to create it
	buf        []byte
	// stale means that the file under the name is not needed any more. It must be
	// removed, durably, before anything else is stored.
	stale bool
	// damaged means that a stale file is quarantined instead of removed.
	damaged bool
	notes   *notes
}

// add stores lines that tempIDs.txt has at position, durably. It returns false if
// it failed or if the lines do not fit in the log.
func (a *wal) add(position int64, lines []byte) bool {
	if a.f == nil && a.pause > 0 {
		a.pause--
		return false
	}
	if a.f == nil && a.begin() != nil {
		// The lines are durable without the log too, and the new log has no record yet.
		a.pause = walPause
		return false
	}
	a.buf = appendWALRecord(a.buf[:0], walRecord{generation: a.generation, position: position, lines: lines})
	if a.at+int64(len(a.buf)) > a.size {
		return false
	}
	_, err := a.f.WriteAt(a.buf, a.at)
	if err == nil {
		err = a.f.SyncContent()
	}
	if err != nil {
		// A process that reads the log after this one was killed must not find the failed record.
		clear(a.buf)
		_, _ = a.f.WriteAt(a.buf, a.at) // the log is abandoned even if this fails
		a.abandon()
		a.pause = walPause
		return false
	}
	a.at += int64(len(a.buf))
	return true
}

// begin creates a log of zeros. It always creates a new file, because a file that
// failed once is not trusted again.
func (a *wal) begin() error {
	f, err := a.fs.CreateRewritable(walName+newSuffix, secretMode)
	if err != nil {
		return err
	}
	zeros := make([]byte, min(a.size, writeBuffer))
	for left := a.size; left > 0 && err == nil; left -= int64(len(zeros)) {
		_, err = f.Write(zeros[:min(left, int64(len(zeros)))])
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = a.fs.Rename(walName+newSuffix, walName)
	}
	if err != nil {
		return errors.Join(err, f.Close(), a.fs.Remove(walName+newSuffix))
	}
	if err := a.fs.SyncNames(); err != nil {
		return errors.Join(err, f.Close(), a.fs.Remove(walName))
	}
	a.f, a.generation, a.at = f, 1, 0
	return nil
}

// restart begins the next generation, once tempIDs.txt has all lines, durably.
func (a *wal) restart() {
	if a.at > 0 {
		a.generation, a.at = a.generation+1, 0
	}
}

// abandon ends the use of the log. The file stays until removeStale.
func (a *wal) abandon() {
	if a.f != nil {
		_ = a.f.Close() // its contents are not needed
		a.f, a.stale = nil, true
	}
}

// removeStale removes a stale log, or quarantines a damaged one.
func (a *wal) removeStale() error {
	if !a.stale {
		return nil
	}
	if a.damaged {
		aside, err := freeName(a.fs, walName+damagedSuffix)
		if err == nil {
			err = a.fs.Rename(walName, aside)
		}
		if err != nil {
			return fmt.Errorf("putting the damaged %q aside: %w", a.fs.Path(walName), err)
		}
		a.damaged = false
		a.notes.add("%s is damaged: what can be read of it is in %s, and what only the rest of it had is lost; "+
			"it is kept as %s", walName, tempIDsName, aside)
	}
	err := a.fs.Remove(walName)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = a.fs.SyncNames()
	}
	if err != nil {
		return fmt.Errorf("removing %q: %w", a.fs.Path(walName), err)
	}
	a.stale = false
	return nil
}

// walHeader is the length of the header of a record: a CRC-32C of the rest of the
// record, the length of the lines, the generation and the position, little endian.
// The lines follow.
const walHeader = 4 + 4 + 8 + 8

// walRecord is the lines of one batch.
type walRecord struct {
	generation uint64
	position   int64 // of the lines in tempIDs.txt
	lines      []byte
}

func appendWALRecord(dst []byte, r walRecord) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(r.lines)))
	dst = binary.LittleEndian.AppendUint64(dst, r.generation)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.position))
	dst = append(dst, r.lines...)
	binary.LittleEndian.PutUint32(dst[at:], checksum(dst[at+4:]))
	return dst
}

func checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

// readWALRecord reads the record at the beginning of p, or returns false if there is
// none.
func readWALRecord(p []byte) (r walRecord, ok bool) {
	if len(p) < walHeader {
		return r, false
	}
	size := int64(binary.LittleEndian.Uint32(p[4:]))
	if size == 0 || size > int64(len(p)-walHeader) || p[walHeader+size-1] != '\n' {
		return r, false // as nearly all bytes that are no record, before a checksum of many
	}
	p = p[:walHeader+size]
	if binary.LittleEndian.Uint32(p) != checksum(p[4:]) {
		return r, false
	}
	r.generation = binary.LittleEndian.Uint64(p[8:])
	r.position = int64(binary.LittleEndian.Uint64(p[16:]))
	r.lines = p[walHeader:]
	return r, r.position >= 0
}

// walContents is the contents of a log that an earlier process left.
type walContents struct {
	position int64  // of lines, in tempIDs.txt
	lines    []byte // of the generation at the beginning of the log
	// beyond has the lines of that generation after a gap. If there is no record at
	// the beginning, it has the lines of the last generation in the log.
	beyond  []byte
	end     int64 // end of the last line in tempIDs.txt
	damaged bool  // no crash leaves the log like this
}

// parseWAL parses a log.
func parseWAL(log []byte) (r walContents) {
	first, ok := readWALRecord(log)
	at := 0
	for next := first; ok; next, ok = readWALRecord(log[at:]) {
		if next.generation != first.generation || next.position != first.position+int64(len(r.lines)) {
			break
		}
		r.lines = append(r.lines, next.lines...)
		at += walHeader + len(next.lines)
	}
	r.position, r.end = first.position, first.position+int64(len(r.lines))
	generation := first.generation
	for at < len(log) {
		next, ok := readWALRecord(log[at:])
		if !ok || next.generation < generation ||
			len(r.lines) > 0 && (next.generation > generation || next.position < r.end) {
			at++
			continue
		}
		if next.generation > generation {
			generation, r.beyond = next.generation, nil
		}
		r.beyond = append(r.beyond, next.lines...)
		r.end = next.position + int64(len(next.lines))
		at += walHeader + len(next.lines)
	}
	r.damaged = len(r.beyond) > 0 || len(r.lines) == 0 && !isTornWrite(log)
	return r
}

// isTornWrite reports whether a log without a record may be the result of a torn
// first write. A torn write of the first generation leaves a part of a record in
// zeros, one of a later generation leaves it among older records. Any part of it
// may be zeros.
func isTornWrite(log []byte) bool {
	log = bytes.TrimRight(log, "\x00")
	if len(log) <= walHeader {
		return true
	}
	const generations = 1 << 32 // more than there ever are
	if generation := binary.LittleEndian.Uint64(log[8:]); generation != 1 {
		return generation < generations
	}
	text := func(c rune) bool { return c == 0 || c == '\n' || ' ' <= c && c != 0x7f }
	return bytes.IndexFunc(log[walHeader:], func(c rune) bool { return !text(c) }) < 0
}

// readRemains reads the log that an earlier process left. The log is stale once
// tempIDs.txt has its lines, durably.
func (a *wal) readRemains() (r walContents, err error) {
	if err := removeNew(a.fs, walName); err != nil {
		return r, err
	}
	found, err := readFile(a.fs, walName, func(f File, st Stat) error {
		log := make([]byte, min(st.Size, a.size))
		if _, err := f.ReadAt(log, 0); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		r = parseWAL(log)
		r.damaged = r.damaged || st.Size != a.size
		return nil
	})
	if err != nil {
		return walContents{}, fmt.Errorf("reading %q: %w", a.fs.Path(walName), err)
	}
	a.stale = found
	return r, nil
}
