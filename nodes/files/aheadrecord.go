package files

import (
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

// generationOf is the lines of the generation at the front of a log, and their
// position in tempIDs.txt.
func generationOf(log []byte) (position int64, lines []byte) {
	first, ok := readAhead(log)
	for r := first; ok && r.generation == first.generation && r.position == first.position+int64(len(lines)); r, ok = readAhead(log) {
		lines = append(lines, r.lines...)
		log = log[aheadHeader+len(r.lines):]
	}
	return first.position, lines
}

// read is what an earlier process left in the log; if there is one, it is stale
// when tempIDs.txt has these lines, durably.
func (a *ahead) read() (position int64, lines []byte, err error) {
	if err := removeNew(a.fs, aheadName); err != nil {
		return 0, nil, err
	}
	f, err := a.fs.Open(aheadName)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	var log []byte
	if err == nil {
		log, err = wholeOf(f)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("reading %q: %w", a.fs.Path(aheadName), err)
	}
	a.stale = true
	position, lines = generationOf(log)
	return position, lines, nil
}

func wholeOf(f File) ([]byte, error) {
	st, err := f.Stat()
	var p []byte
	if err == nil {
		p = make([]byte, st.Size)
		_, err = f.ReadAt(p, 0)
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return p, errors.Join(err, f.Close())
}
