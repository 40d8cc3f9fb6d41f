package files

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

const (
	tempIDsName = "tempIDs.txt"
	tornName    = "tempIDs.txt.torn"
)

// tempIDs is tempIDs.txt: lines are appended, and no line that is whole is ever
// touched (PROTOCOL.md section 2).
type tempIDs struct {
	ledger
	// synced is up to where the file itself is durable; unsynced is what follows
	// up to good, which the ahead log has.
	synced   int64
	unsynced []byte
	ahead    ahead

	zone  *protocol.Zone
	notes *notes
	buf   []byte
}

// start opens the file if there is one, and gives it what it lacks of the ahead
// log. What is torn at its end is repaired now or, if that fails, before the
// first line is stored.
func (t *tempIDs) start() error {
	if err := removeNew(t.fs, t.name); err != nil {
		return err
	}
	if err := t.recover(); err != nil {
		return err
	}
	if err := t.ahead.drop(); err != nil {
		t.notes.add("%s: no TempID can be saved before this is over: %v", t.name, err)
	}
	_, err := t.fs.Stat(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var f File
	if err == nil {
		f, err = t.fs.Append(t.name, t.mode)
	}
	if err != nil {
		return fmt.Errorf("opening %q: %w", t.fs.Path(t.name), err)
	}
	if err := t.adopt(f); err != nil {
		t.notes.add("%s: no TempID can be saved before this is over: %v", t.name, err)
	}
	return nil
}

// open opens the file that has the name now, or makes one.
func (t *tempIDs) open() error {
	if err := t.close(); err != nil {
		t.notes.add("%s: closing the former one: %v", t.name, err)
	}
	f, err := t.fs.Append(t.name, t.mode)
	if err != nil {
		return err
	}
	return t.adopt(f)
}

// adopt makes a file ready for lines to be appended. It syncs it, since an
// earlier process may have been killed before it could do that.
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

// repair makes the file end with a whole line and answers with its size then.
func (t *tempIDs) repair(f File, size int64) (int64, error) {
	good, err := lastLineEnd(f, size)
	if err != nil || good == size {
		return size, err
	}
	tail := make([]byte, min(size-good, longestLine))
	if _, err := f.ReadAt(tail, good); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if _, err := readIssue(tail); err == nil {
		return t.complete(f, size, tail)
	}
	return t.tear(f, good, size, tail)
}

// complete gives a last line of six good fields its line feed.
func (t *tempIDs) complete(f File, size int64, line []byte) (int64, error) {
	if _, err := f.Write([]byte{'\n'}); err != nil {
		return 0, fmt.Errorf("completing its last line: %w", err)
	}
	t.notes.add("%s: the last line had no line feed; it has one now: %s", t.name, quoted(line))
	return size + 1, nil
}

// tear moves what stands behind the last line feed to another file: it is there,
// durably, before it goes here.
func (t *tempIDs) tear(f File, good, size int64, tail []byte) (int64, error) {
	if err := t.keepTorn(io.NewSectionReader(f, good, size-good)); err != nil {
		return 0, fmt.Errorf("moving its torn last line to %q: %w", t.fs.Path(tornName), err)
	}
	if err := f.Truncate(good); err != nil {
		return 0, fmt.Errorf("cutting off its torn last line: %w", err)
	}
	t.notes.add("%s: the last line was torn; its %d bytes are in %s now: %s", t.name, size-good, tornName, quoted(tail))
	return good, nil
}

func (t *tempIDs) keepTorn(tail io.Reader) error {
	torn, err := t.fs.Append(tornName, t.mode)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(torn, writeBuffer)
	_, err = io.Copy(w, tail)
	if err == nil {
		err = w.WriteByte('\n')
	}
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

// lastLineEnd is where the last line feed ends, searched from the end of the
// file; 0: there is none.
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

// ready brings the file into a state in which a line may be appended.
func (t *tempIDs) ready() error {
	was := t.f != nil
	state, err := t.look()
	switch {
	case err != nil:
		return err
	case state == stateSame && t.trusted:
		return t.ahead.drop()
	case state == stateSame:
		if err := t.renew(); err != nil {
			return err
		}
		return t.leaveAhead()
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
	return t.leaveAhead()
}

// leaveAhead ends the use of a log whose lines are in tempIDs.txt, durably, or
// were in one that is gone.
func (t *tempIDs) leaveAhead() error {
	t.ahead.abandon()
	return t.ahead.drop()
}

// renew writes a new file from what was durable of the one that is not trusted,
// and what the log has.
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

// store appends the lines of the issues among records: all, or none.
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
	if err := t.ready(); err != nil {
		return fmt.Errorf("saving to %q: %w", t.fs.Path(t.name), err)
	}
	if err := t.append(t.buf); err != nil {
		return fmt.Errorf("saving to %q: %w", t.fs.Path(t.name), err)
	}
	return nil
}

// restore hands every line to take, in order. A line that is none, or that take
// refuses, is noted and stays as it is.
func (t *tempIDs) restore(nowWall int64, take func(nodes.Record) error) error {
	f, err := t.fs.Open(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %q: %w", t.fs.Path(t.name), err)
	}
	st, err := f.Stat()
	if err == nil {
		err = t.restoreLines(newLines(f, st.Size), newPairs(t.zone, nowWall), take)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("reading %q: %w", t.fs.Path(t.name), err)
	}
	return nil
}

func (t *tempIDs) restoreLines(l *lines, p *pairs, take func(nodes.Record) error) error {
	odd := strange{notes: t.notes, file: t.name}
	users := map[string]string{}
	for {
		line, ok := l.next()
		if !ok {
			odd.done()
			return l.err
		}
		r, err := restored(line, p, users)
		if err == nil {
			err = take(r)
		}
		if err != nil {
			odd.line(l.number, fmt.Sprintf("is left as it is, and not used: %s: %v", quoted(line), err))
		}
	}
}

// restored reads one line. users has every name once.
func restored(line []byte, p *pairs, users map[string]string) (r nodes.Record, err error) {
	w, err := readIssue(line)
	if err != nil {
		return r, err
	}
	span, err := p.read(w.start, w.expiry)
	if err != nil {
		return r, err
	}
	user, ok := users[string(w.user)]
	if !ok {
		user = string(w.user)
		users[user] = user
	}
	r.Kind = nodes.RecordIssue
	r.Issue = nodes.Issue{User: user, TempID: w.id, Start: span.Start, Expiry: span.Expiry}
	return r, nil
}
