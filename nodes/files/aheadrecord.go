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

// A record of the ahead log: a checksum (CRC-32C) of all that follows, the length
// of the lines, the generation and the position, little endian, and the lines.
const aheadHeader = 4 + 4 + 8 + 8

// aheadRecord is the lines of one batch.
type aheadRecord struct {
	generation uint64
	position   int64 // in tempIDs.txt
	lines      []byte
}

func appendAhead(dst []byte, r aheadRecord) []byte {
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

// readAhead reads the record at the front of p; false: there is none.
func readAhead(p []byte) (r aheadRecord, ok bool) {
	if len(p) < aheadHeader {
		return r, false
	}
	size := int64(binary.LittleEndian.Uint32(p[4:]))
	if size == 0 || size > int64(len(p)-aheadHeader) {
		return r, false
	}
	p = p[:aheadHeader+size]
	if binary.LittleEndian.Uint32(p) != checksum(p[4:]) {
		return r, false
	}
	r.generation = binary.LittleEndian.Uint64(p[8:])
	r.position = int64(binary.LittleEndian.Uint64(p[16:]))
	r.lines = p[aheadHeader:]
	return r, r.position >= 0
}

// remains is what a log holds that was left behind.
type remains struct {
	position int64  // of lines, in tempIDs.txt
	lines    []byte // of the generation at the front
	// beyond is lines of that generation behind something that is no record of
	// it; when there is none at the front, of the last generation that is left.
	beyond []byte
	end    int64 // where the last line ends in tempIDs.txt
	// damaged: it is not as a crash leaves it.
	damaged bool
}

// remainsOf reads a log.
func remainsOf(log []byte) (r remains) {
	first, ok := readAhead(log)
	at := 0
	for next := first; ok && next.generation == first.generation && next.position == first.position+int64(len(r.lines)); next, ok = readAhead(log[at:]) {
		r.lines = append(r.lines, next.lines...)
		at += aheadHeader + len(next.lines)
	}
	r.position, r.end = first.position, first.position+int64(len(r.lines))
	generation := first.generation
	for at < len(log) {
		next, ok := laterRecord(log[at:])
		if !ok || next.generation < generation || len(r.lines) > 0 && (next.generation > generation || next.position < r.end) {
			at++
			continue
		}
		if next.generation > generation {
			generation, r.beyond = next.generation, nil
		}
		r.beyond = append(r.beyond, next.lines...)
		r.end = next.position + int64(len(next.lines))
		at += aheadHeader + len(next.lines)
	}
	r.damaged = len(r.beyond) > 0 || len(r.lines) == 0 && !cutOff(log)
	return r
}

// cutOff says whether a log without a record may be one whose first write was
// cut off: that of the first generation leaves some of a record in zeros, that
// of another some of it among old ones. Zeros may stand for any of it.
func cutOff(log []byte) bool {
	log = bytes.TrimRight(log, "\x00")
	if len(log) <= aheadHeader {
		return true
	}
	const generations = 1 << 32 // more than there ever are
	if generation := binary.LittleEndian.Uint64(log[8:]); generation != 1 {
		return generation < generations
	}
	text := func(c rune) bool { return c == 0 || c == '\n' || ' ' <= c && c != 0x7f }
	return bytes.IndexFunc(log[aheadHeader:], func(c rune) bool { return !text(c) }) < 0
}

// laterRecord reads the record at the front of p, where there may be anything.
func laterRecord(p []byte) (r aheadRecord, ok bool) {
	if len(p) < aheadHeader {
		return r, false
	}
	// Nearly all that is no record ends here, without a checksum over much.
	size := int64(binary.LittleEndian.Uint32(p[4:]))
	if size == 0 || size > int64(len(p)-aheadHeader) || p[aheadHeader+size-1] != '\n' {
		return r, false
	}
	return readAhead(p)
}

// read is what an earlier process left in the log; if there is one, it is stale
// when tempIDs.txt has these lines, durably.
func (a *ahead) read() (r remains, err error) {
	if err := removeNew(a.fs, aheadName); err != nil {
		return r, err
	}
	f, err := a.fs.Open(aheadName)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	var log []byte
	var size int64
	if err == nil {
		log, size, err = frontOf(f, a.size)
	}
	if err != nil {
		return r, fmt.Errorf("reading %q: %w", a.fs.Path(aheadName), err)
	}
	a.stale = true
	r = remainsOf(log)
	r.damaged = r.damaged || size != a.size
	return r, nil
}

// frontOf is no more than limit bytes of a file, and its size.
func frontOf(f File, limit int64) (p []byte, size int64, err error) {
	st, err := f.Stat()
	if err == nil {
		p = make([]byte, min(st.Size, limit))
		_, err = f.ReadAt(p, 0)
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return p, st.Size, errors.Join(err, f.Close())
}
