package files

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

const (
	tempIDsName = "tempIDs.txt"
	tornName    = "tempIDs.txt.torn"
)

// tempIDs is tempIDs.txt. Lines are appended, and a complete line is never changed
// (PROTOCOL.md section 2).
type tempIDs struct {
	appendFile
	// synced is the size up to which the file itself is durable. unsynced is the
	// rest up to good, which is durable in the write-ahead log.
	synced   int64
	unsynced []byte
	wal      wal

	zone  *protocol.Zone
	notes *notes
	buf   []byte
}

// start opens the file if it exists, and adds the lines of the write-ahead log that
// it lacks. It repairs a torn last line now or, if that fails, before the first line
// is stored.
func (t *tempIDs) start() error {
	if err := removeNew(t.fs, t.name); err != nil {
		return err
	}
	if err := t.recover(); err != nil {
		return err
	}
	if err := t.wal.removeStale(); err != nil {
		t.notes.add("%s: no TempID can be saved before this is over: %v", t.name, err)
	}
	_, err := t.fs.Stat(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var f File
	if err == nil {
		f, err = t.fs.Append(t.name, secretMode)
	}
	if err != nil {
		return fmt.Errorf("opening %q: %w", t.fs.Path(t.name), err)
	}
	if err := t.adopt(f); err != nil {
		t.notes.add("%s: no TempID can be saved before this is over: %v", t.name, err)
	}
	return nil
}

// open opens the file that has the name now, or creates one.
func (t *tempIDs) open() error {
	if err := t.close(); err != nil {
		t.notes.add("%s: closing the former one: %v", t.name, err)
	}
	f, err := t.fs.Append(t.name, secretMode)
	if err != nil {
		return err
	}
	return t.adopt(f)
}

// adopt repairs a file and makes it the open one. It syncs the file, because an
// earlier process may have been killed before that.
func (t *tempIDs) adopt(f File) error {
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	good, err := t.repair(f, st.Size)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	t.f, t.good, t.identity, t.trusted = f, good, st.Identity, false
	t.synced, t.unsynced = good, nil
	if err := f.Sync(); err != nil {
		return err
	}
	if err := t.fs.SyncNames(); err != nil {
		return err
	}
	t.trusted = true
	return nil
}

// repair makes the file end with a complete line and returns its new size.
func (t *tempIDs) repair(f File, size int64) (int64, error) {
	good, err := lastLineEnd(f, size)
	if err != nil || good == size {
		return size, err
	}
	tail := make([]byte, min(size-good, longestLine))
	if _, err := f.ReadAt(tail, good); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if _, _, err := readIssue(tail); err == nil { // only the line feed is missing
		if _, err := f.Write([]byte{'\n'}); err != nil {
			return 0, fmt.Errorf("completing its last line: %w", err)
		}
		t.notes.add("%s: the last line had no line feed; it has one now: %s", t.name, quoted(tail))
		return size + 1, nil
	}
	// The bytes are in the other file, durably, before they are removed here.
	if err := t.moveTorn(io.NewSectionReader(f, good, size-good)); err != nil {
		return 0, fmt.Errorf("moving its torn last line to %q: %w", t.fs.Path(tornName), err)
	}
	if err := f.Truncate(good); err != nil {
		return 0, fmt.Errorf("cutting off its torn last line: %w", err)
	}
	t.notes.addKind(NoteTornLine, "%s: the last line was torn; its %d bytes are in %s now: %s",
		t.name, size-good, tornName, quoted(tail))
	return good, nil
}

func (t *tempIDs) moveTorn(tail io.Reader) error {
	torn, err := t.fs.Append(tornName, secretMode)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(torn, writeBuffer)
	_, err = io.Copy(w, io.MultiReader(tail, strings.NewReader("\n")))
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = torn.Sync()
	}
	if err == nil {
		err = t.fs.SyncNames()
	}
	return errors.Join(err, torn.Close())
}

// lastLineEnd returns the offset after the last line feed, or 0 if there is none. It
// searches from the end of the file.
func lastLineEnd(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, min(size, lineBuffer))
	for end := size; end > 0; {
		n := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], end-n); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// prepare makes the file ready for another line: it reopens a file that was replaced
// and rewrites one that is not trusted.
func (t *tempIDs) prepare() error {
	was := t.f != nil
	state, err := t.checkFile()
	switch {
	case err != nil:
		return err
	case state == stateSame && t.trusted:
		return t.wal.removeStale()
	case state == stateSame:
		if err := t.renew(); err != nil {
			return err
		}
		return t.leaveWAL()
	case state == stateAbsent && was:
		t.notes.add("%s was removed while the server ran: a new one begins", t.name)
	case state == stateReplaced && was && t.trusted:
		t.notes.add("%s was replaced while the server ran: new lines go to the new one", t.name)
	case state == stateChanged:
		t.notes.add("%s was changed by another program while the server ran", t.name)
	}
	if err := t.open(); err != nil {
		return err
	}
	return t.leaveWAL()
}

// leaveWAL ends the use of a log whose lines are in tempIDs.txt, durably, or were in
// one that is gone.
func (t *tempIDs) leaveWAL() error {
	t.wal.abandon()
	return t.wal.removeStale()
}

// renew replaces a file that is not trusted by its durable part and the lines of the
// write-ahead log.
func (t *tempIDs) renew() error {
	f, synced := t.f, t.synced
	err := t.rewrite(func(w *bufio.Writer) error {
		n, err := io.Copy(w, io.NewSectionReader(f, 0, synced))
		if err == nil && n < synced {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		_, err = w.Write(t.unsynced)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing it anew after a failure of the disk: %w", err)
	}
	t.synced, t.unsynced = t.good, nil
	t.notes.add("%s: after a failure of the disk it was written anew", t.name)
	return nil
}

// store appends the lines of the issues among records: all of them, or none.
func (t *tempIDs) store(records []nodes.Record) error {
	t.buf = t.buf[:0]
	for i := range records {
		if records[i].Kind != nodes.RecordIssue {
			continue
		}
		var err error
		if t.buf, err = appendIssue(t.buf, &records[i].Issue, t.zone); err != nil {
			return err
		}
	}
	if len(t.buf) == 0 {
		return nil
	}
	err := t.prepare()
	if err == nil {
		err = t.append(t.buf)
	}
	if err != nil {
		return fmt.Errorf("saving to %q: %w", t.fs.Path(t.name), err)
	}
	return nil
}

// restore passes each line to take, in order. It notes a line that is malformed or
// that take refuses, and leaves it as it is.
func (t *tempIDs) restore(nowWall int64, take func(nodes.Record) error) error {
	_, err := readFile(t.fs, t.name, func(f File, st Stat) error {
		return t.restoreLines(newLines(f, st.Size), newPairs(t.zone, nowWall), take)
	})
	if err != nil {
		return fmt.Errorf("reading %q: %w", t.fs.Path(t.name), err)
	}
	return nil
}

func (t *tempIDs) restoreLines(l *lines, p *pairs, take func(nodes.Record) error) error {
	bad := malformedLines{notes: t.notes, file: t.name}
	users := map[string]string{}
	for {
		line, ok := l.next()
		if !ok {
			bad.finish()
			return l.err
		}
		r, err := parseRecord(line, p, users)
		if err == nil {
			err = take(r)
		}
		if err != nil {
			bad.add(l.number, fmt.Sprintf("is left as it is, and not used: %s: %v", quoted(line), err))
		}
	}
}

// parseRecord parses one line. users holds one string for each name.
func parseRecord(line []byte, p *pairs, users map[string]string) (r nodes.Record, err error) {
	name, b, err := readIssue(line)
	if err != nil {
		return r, err
	}
	span, err := p.convert(b.Start, b.Expiry)
	if err != nil {
		return r, err
	}
	user, ok := users[string(name)]
	if !ok {
		user = string(name)
		users[user] = user
	}
	r.Kind = nodes.RecordIssue
	r.Issue = nodes.Issue{User: user, TempID: b.TempID, Start: span.Start, Expiry: span.Expiry}
	return r, nil
}

// append appends a batch to a trusted file. Afterwards the batch is durable in the
// write-ahead log or in the file itself. After an error, the batch may still be on
// the disk until the next one is.
func (t *tempIDs) append(p []byte) error {
	if t.noSync {
		err := t.appendFile.append(p)
		t.synced = t.good
		return err
	}
	if err := t.write(p); err != nil {
		return err
	}
	size := t.good + int64(len(p))
	if !t.wal.add(t.good, p) {
		return t.syncFile(size)
	}
	t.good, t.unsynced = size, append(t.unsynced, p...)
	return nil
}

// syncFile makes the file durable up to its size, and begins a new generation of the
// log.
func (t *tempIDs) syncFile(size int64) error {
	t.trusted = false
	if err := t.f.Sync(); err != nil {
		// See appendFile.append. The log still has the lines before these.
		return errors.Join(err, t.f.Truncate(t.synced))
	}
	t.good, t.synced, t.unsynced, t.trusted = size, size, t.unsynced[:0], true
	t.wal.restart()
	return nil
}

// finish closes the file, and removes a log that is not needed.
func (t *tempIDs) finish() error {
	var err error
	if t.trusted && len(t.unsynced) > 0 {
		err = t.syncFile(t.good)
	}
	t.wal.abandon()
	if t.trusted {
		err = errors.Join(err, t.wal.removeStale())
	}
	return errors.Join(err, t.closeSynced())
}

// recover adds the lines of the write-ahead log that the file lacks, durably. It
// keeps everything else in the file.
func (t *tempIDs) recover() error {
	left, err := t.wal.readRemains()
	t.wal.damaged = left.damaged
	if err != nil || len(left.lines)+len(left.beyond) == 0 {
		return err
	}
	f, err := t.fs.Append(t.name, secretMode)
	if err != nil {
		return fmt.Errorf("opening %q: %w", t.fs.Path(t.name), err)
	}
	err = errors.Join(t.recoverTo(f, &left), f.Close())
	if err == nil {
		err = t.fs.SyncNames()
	}
	if err != nil {
		return fmt.Errorf("writing lines to %q that a crash has left in %q alone: %w",
			t.fs.Path(t.name), t.fs.Path(walName), err)
	}
	return nil
}

func (t *tempIDs) recoverTo(f File, left *walContents) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	g, err := t.gap(f, st.Size, left)
	if err != nil {
		return err
	}
	if len(g.lines) > 0 {
		if err := (&appendFile{f: f, good: g.end}).write(g.lines); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Truncate(g.sure)) // see appendFile.append
	}
	if len(left.lines) == 0 && len(g.lines) == 0 && st.Size >= left.end {
		t.wal.damaged = false // the first write of a generation was torn
	}
	if n := bytes.Count(g.missing, []byte{'\n'}); n > 0 {
		t.notes.addKind(NoteRecovered, "%s: lines that were missing after a crash came back from %s: %d",
			t.name, walName, n)
	}
	return nil
}

// gap describes the lines that the file lacks.
type gap struct {
	end   int64  // size of the file
	sure  int64  // the log has the rest of the file from here on
	lines []byte // to append
	// missing are those of lines that the file did not have.
	missing []byte
}

// gap removes the torn end of the file and returns the lines to append.
func (t *tempIDs) gap(f File, size int64, r *walContents) (g gap, err error) {
	if len(r.beyond) == 0 {
		same, left, err := leftOf(f, size, r.position, r.lines)
		switch {
		case err != nil:
			return g, err
		case left, size == r.position+same && same == int64(len(r.lines)):
			// The truncation removes zeros, partial lines, and lines that may be in the cache only: after a sync
			// that failed, another one succeeds without a write. The log restores the lines.
			g = gap{end: r.position, sure: r.position, lines: r.lines, missing: r.lines[same:]}
			if g.end < size {
				err = f.Truncate(g.end)
			}
			return g, err
		case same == int64(len(r.lines)):
			return gap{end: size, sure: size}, nil
		}
	}
	if len(r.lines) > 0 && size < r.position {
		t.notes.add("%s was made shorter after the server ended: of its first %d bytes there are %d, "+
			"and TempIDs of the lines that were cut off resolve no more", t.name, r.position, size)
	}
	if g.end, err = t.repair(f, size); err != nil {
		return g, err
	}
	g.sure = g.end
	g.lines, err = linesNotIn(f, g.end, slices.Concat(r.lines, r.beyond))
	g.missing = g.lines
	return g, err
}

// leftOf reports whether the contents of the file from position on may be the result
// of a crash while lines were written: a prefix of lines in which some parts are
// zeros. The first same bytes of the contents are complete lines.
func leftOf(f File, size, position int64, lines []byte) (same int64, left bool, err error) {
	if size < position {
		return 0, false, nil
	}
	tail := make([]byte, min(size-position, int64(len(lines))))
	if n, err := f.ReadAt(tail, position); n < len(tail) {
		return 0, false, err
	}
	n := 0
	for n < len(tail) && tail[n] == lines[n] {
		n++
	}
	same = int64(bytes.LastIndexByte(lines[:n], '\n') + 1)
	for i, c := range tail[n:] {
		if c != 0 && c != lines[n+i] {
			return same, false, nil
		}
	}
	return same, size <= position+int64(len(lines)), nil
}

// linesNotIn returns the lines that are nowhere in the file.
func linesNotIn(f File, size int64, lines []byte) ([]byte, error) {
	missing := map[string]bool{}
	for line := range bytes.Lines(lines) {
		missing[string(line[:len(line)-1])] = true
	}
	l := newLines(f, size)
	for line, ok := l.next(); ok; line, ok = l.next() {
		delete(missing, string(trimLineEnd(line)))
	}
	var not []byte
	for line := range bytes.Lines(lines) {
		if missing[string(line[:len(line)-1])] {
			not = append(not, line...)
		}
	}
	return not, l.err
}
