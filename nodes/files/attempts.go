package files

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/nodes"
)

const (
	attemptsName = "attempts.txt"
	// attemptSlack is the default of attempts.slack.
	attemptSlack = 4096
	// maxUnsaved is the largest number of names in attempts.unsaved. If there are more,
	// the whole file is rewritten.
	maxUnsaved = 256
)

// attempts is attempts.txt. It contains the key of unknown names, and the state of a
// name after each attempt. A later line of a name replaces an earlier one.
type attempts struct {
	appendFile
	notes  *notes
	key    [32]byte
	hasKey bool // key is set
	state  attemptTable
	// unsaved has the names whose last state is not in the file, because saving it
	// failed. Their states are saved together with the next one.
	unsaved   []attemptName
	stale     bool  // there were too many unsaved names: the file must be rewritten
	pause     int   // number of stores until the next attempt to rewrite the file
	failure   error // the error of the last attempt to rewrite the file
	lines     int   // number of states in the file
	slack     int   // number of lines that the file may have beyond two for each name
	rewriteAt int   // number of lines at which the file is rewritten
	buf       []byte
}

// start reads the file, or draws a new key if the file does not exist. It removes or
// quarantines the remains of a crash and the damage that it finds.
func (t *attempts) start(entropy io.Reader) error {
	if err := removeNew(t.fs, t.name); err != nil {
		return err
	}
	found, err := readFile(t.fs, t.name, func(f File, st Stat) error {
		whole, err := t.read(f, st.Size)
		if err == nil && !t.hasKey {
			err = t.drawKey(entropy)
		}
		if err == nil && !whole {
			err = t.replaceDamaged(f, st.Size)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading %q: %w", t.fs.Path(t.name), err)
	}
	if !found {
		return t.drawKey(entropy)
	}
	return nil
}

func (t *attempts) drawKey(entropy io.Reader) error {
	if _, err := io.ReadFull(entropy, t.key[:]); err != nil {
		return fmt.Errorf("drawing a key for names without an account: %w", err)
	}
	t.hasKey = true
	return nil
}

// read reads the key and all states. whole is false if a line is malformed, apart from
// a torn last line.
func (t *attempts) read(f File, size int64) (whole bool, err error) {
	if size == 0 {
		return true, nil
	}
	l := newLines(f, size)
	bad := malformedLines{notes: t.notes, file: t.name}
	line, ok := l.next()
	if ok && l.whole {
		t.key, t.hasKey = parseKey(line)
	}
	if !t.hasKey {
		bad.add(1, "is damaged, and with it the key of all names without an account: their attempts are forgotten")
	}
	for ok {
		if line, ok = l.next(); ok {
			t.readLine(l, line, &bad)
		}
	}
	bad.finish()
	return bad.count == 0, l.err
}

func (t *attempts) readLine(l *lines, line []byte, bad *malformedLines) {
	a, err := parseAttempts(line)
	switch {
	case !l.whole:
		t.notes.addKind(NoteTornLine, "%s: the last line was torn, and is dropped: %s", t.name, quoted(line))
	case err != nil:
		bad.add(l.number, fmt.Sprintf("is damaged, and not used: %s: %v", quoted(line), err))
	case a.Known || t.hasKey:
		t.state.put(&a)
		t.lines++
	}
}

// replaceDamaged copies the damaged file f to a quarantine file, and rewrites it with
// the lines that are valid.
func (t *attempts) replaceDamaged(f File, size int64) error {
	name, err := quarantine(t.fs, t.name, f, spans{{0, size}})
	if err != nil {
		return err
	}
	if err := t.renew(); err != nil {
		return err
	}
	t.notes.add("%s was damaged: it is kept as %s, and a new one has what could be read of it", t.name, name)
	return nil
}

// store makes the states among records durable: either all of them or, with an error,
// none. It remembers them in both cases. States that could not be saved are saved again
// by the next call with a state or a nodes.RecordUnsaved.
func (t *attempts) store(records []nodes.Record) error {
	save := false
	for i := range records {
		if r := &records[i]; r.Kind == nodes.RecordAttempts {
			if err := checkAttempts(&r.Attempts); err != nil {
				return err // before anything is remembered
			}
		}
		save = save || records[i].Kind != nodes.RecordIssue
	}
	if !save {
		return nil
	}
	for i := range records {
		if r := &records[i]; r.Kind == nodes.RecordAttempts {
			t.state.put(&r.Attempts)
			t.unsaved = append(t.unsaved, nameOfAttempts(&r.Attempts))
		}
	}
	return t.saveUnsaved()
}

// saveUnsaved saves the states that are not saved, if there are any.
func (t *attempts) saveUnsaved() error {
	if len(t.unsaved) == 0 && !t.stale {
		return nil
	}
	if err := t.save(); err != nil {
		if t.unsaved = unique(t.unsaved); len(t.unsaved) > maxUnsaved {
			t.unsaved, t.stale = nil, true
		}
		return fmt.Errorf("saving to %q: %w", t.fs.Path(t.name), err)
	}
	t.unsaved = t.unsaved[:0]
	return nil
}

// finish saves the states that are not saved, and closes the file.
func (t *attempts) finish() error {
	t.pause = 0
	err := t.saveUnsaved()
	if err != nil {
		err = fmt.Errorf("the last wrong passwords and blocks are not saved: %w", err)
	}
	return errors.Join(err, t.closeSynced())
}

// unique removes repeated names from the list in place.
func unique(names []attemptName) []attemptName {
	seen := make(map[attemptName]bool, len(names))
	return slices.DeleteFunc(names, func(n attemptName) bool {
		again := seen[n]
		seen[n] = true
		return again
	})
}

// save makes the last states of the unsaved names durable. It appends them if it can.
// It rewrites the file if that is too long, not trusted, or changed by another program.
func (t *attempts) save() error {
	state, err := t.checkFile()
	if err != nil {
		return err
	}
	usable := state == stateSame && t.trusted
	if t.f != nil && t.trusted && !usable {
		t.notes.add("%s was changed or removed while the server ran: it is written anew", t.name)
	}
	if !usable {
		return t.renewWithPause()
	}
	if t.stale {
		if err := t.appendUnsaved(); err != nil { // there is no space at all
			return err
		}
		t.unsaved = t.unsaved[:0]
		return t.renewWithPause()
	}
	if t.lines+len(t.unsaved) > t.rewriteAt {
		if t.renew() == nil {
			return nil
		}
		if !t.trusted {
			return errors.New("it is not known which of two versions of it is on the disk")
		}
		t.rewriteAt = t.lines + t.slack // the file is valid, only long
	}
	return t.appendUnsaved()
}

// appendUnsaved appends the last states of the unsaved names.
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

// renewWithPause rewrites a file that cannot be used. After a failure, the following
// stores return the same error at once. Their number grows with the table, so that an
// average store costs no more than writing about slack lines.
func (t *attempts) renewWithPause() error {
	if t.pause > 0 {
		t.pause--
		return t.failure
	}
	if t.failure = t.renew(); t.failure != nil {
		t.pause = t.state.len() / t.slack
	}
	return t.failure
}

// renew rewrites the file with the last state of each name.
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
	t.stale = false
	t.lines = t.state.len()
	t.rewriteAt = 2*t.lines + t.slack
	return nil
}

// restore passes the last state of every name to take. It notes a state that take
// refuses.
func (t *attempts) restore(take func(nodes.Record) error) error {
	return t.state.each(func(a *nodes.Attempts) error {
		if err := take(nodes.Record{Kind: nodes.RecordAttempts, Attempts: *a}); err != nil {
			t.notes.add("%s: one state is not used: %v", t.name, err)
		}
		return nil
	})
}

// maxUnknown is the largest number of names without an account and without a block, as in
// the server's memory (PROTOCOL.md section 2).
const maxUnknown = 65_536

// attemptTable holds the last state of every name.
type attemptTable struct {
	known   map[string]nodes.Attempts
	unknown nodes.NameTable[nodes.Attempts]
}

// newAttemptTable returns an empty table for at most maxBlocked blocked names without an
// account.
func newAttemptTable(maxBlocked int) attemptTable {
	return attemptTable{
		known:   map[string]nodes.Attempts{},
		unknown: nodes.NewNameTable[nodes.Attempts](maxBlocked, maxUnknown),
	}
}

// put sets the state of one name. A known name without wrong passwords and without a
// block is removed. A block of an unknown name begins now. If there are maxUnknown others, it
// removes those that are over; fewer stay, because the wall clock may be set back.
func (s *attemptTable) put(a *nodes.Attempts) {
	if a.Known {
		if a.Wrong == 0 && a.BlockedUntil == 0 {
			delete(s.known, a.User)
			return
		}
		s.known[a.User] = *a
		return
	}
	if a.BlockedUntil != 0 && s.unknown.Len(true) >= maxUnknown {
		now := a.BlockedUntil - int64(a.BlockDuration)
		s.unknown.RemoveEnded(func(b *nodes.Attempts) bool { return b.BlockedUntil <= now })
	}
	kept, _ := s.unknown.Put(a.Hash, a.BlockedUntil != 0)
	*kept = *a
}

// last returns the last state of a name. A known name that is not in the table has
// neither wrong passwords nor a block. last returns false for an unknown name that was
// removed.
func (s *attemptTable) last(n attemptName) (nodes.Attempts, bool) {
	if !n.known {
		if a := s.unknown.Get(n.hash); a != nil {
			return *a, true
		}
		return nodes.Attempts{}, false
	}
	a, ok := s.known[n.user]
	if !ok {
		a = nodes.Attempts{Known: true, User: n.user}
	}
	return a, true
}

// attemptName identifies a name by the fields of its nodes.Attempts.
type attemptName struct {
	known bool
	user  string
	hash  [16]byte
}

func nameOfAttempts(a *nodes.Attempts) attemptName {
	return attemptName{known: a.Known, user: a.User, hash: a.Hash}
}

func (s *attemptTable) len() int {
	return len(s.known) + s.unknown.Len(false) + s.unknown.Len(true)
}

// each passes every state to do: first the known names in alphabetical order, then the
// unknown ones in the order of NameTable.All. It stops at the first error of do and returns it.
func (s *attemptTable) each(do func(*nodes.Attempts) error) error {
	for _, user := range slices.Sorted(maps.Keys(s.known)) {
		a := s.known[user]
		if err := do(&a); err != nil {
			return err
		}
	}
	for _, a := range s.unknown.All() {
		if err := do(a); err != nil {
			return err
		}
	}
	return nil
}

// attemptsHeader begins the first line of attempts.txt. The key of unknown names
// follows in hex. Every other line is the state of one name:
//
//	known NAME WRONG UNTIL DURATION
//	unknown HASH WRONG UNTIL DURATION
//
// NAME is the username, with every character but plain ASCII escaped as in the path of
// a URL. HASH is in hex. WRONG is the number of wrong passwords. UNTIL is the end of
// the block in Unix nanoseconds, or 0 without a block. DURATION is the full length of
// the block in nanoseconds.
const attemptsHeader = "bluetrace attempts 1 "

var errAttemptsLine = errors.New("it is not the state of a name")

func appendKey(dst []byte, key [32]byte) []byte {
	dst = append(dst, attemptsHeader...)
	return append(hex.AppendEncode(dst, key[:]), '\n')
}

// parseKey parses the first line without its line feed.
func parseKey(line []byte) (key [32]byte, ok bool) {
	digits, ok := bytes.CutPrefix(line, []byte(attemptsHeader))
	if !ok || !parseHex(key[:], digits) {
		return [32]byte{}, false
	}
	return key, true
}

// parseHex decodes digits into dst. It returns false unless there are exactly two
// lower-case hex digits for each byte of dst.
func parseHex(dst, digits []byte) bool {
	if len(digits) != 2*len(dst) || bytes.ContainsAny(digits, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(dst, digits)
	return err == nil
}

func appendAttempts(dst []byte, a *nodes.Attempts) []byte {
	if a.Known {
		dst = append(append(dst, "known "...), url.PathEscape(a.User)...)
	} else {
		dst = hex.AppendEncode(append(dst, "unknown "...), a.Hash[:])
	}
	for _, v := range [...]int64{int64(a.Wrong), a.BlockedUntil, int64(a.BlockDuration)} {
		dst = strconv.AppendInt(append(dst, ' '), v, 10)
	}
	return append(dst, '\n')
}

// checkAttempts returns an error about a state that parseAttempts would refuse.
func checkAttempts(a *nodes.Attempts) error {
	switch {
	case a.Known && len(a.User) > longestUser:
		return fmt.Errorf("writing the attempts of %.64q...: the name has %d bytes, and %d are the most",
			a.User, len(a.User), longestUser)
	case a.Wrong < 0 || a.Wrong > math.MaxInt32 || a.BlockDuration < 0 ||
		a.BlockedUntil != 0 && a.BlockDuration == 0:
		return fmt.Errorf("writing the attempts of %q: %d wrong passwords, a block of %v until %d",
			a.User, a.Wrong, a.BlockDuration, a.BlockedUntil)
	}
	return nil
}

// parseAttempts parses a line without its line feed. It accepts only the form that
// appendAttempts writes. The error is errAttemptsLine.
func parseAttempts(line []byte) (a nodes.Attempts, err error) {
	f := strings.Split(string(line), " ")
	if len(f) != 5 {
		return a, errAttemptsLine
	}
	a.Known = f[0] == "known"
	if a.Known {
		a.User, err = url.PathUnescape(f[1])
	} else if !parseHex(a.Hash[:], []byte(f[1])) {
		err = errAttemptsLine
	}
	wrong, err1 := strconv.ParseInt(f[2], 10, 32)
	until, err2 := strconv.ParseInt(f[3], 10, 64)
	duration, err3 := strconv.ParseInt(f[4], 10, 64)
	a.Wrong, a.BlockedUntil, a.BlockDuration = int(wrong), until, time.Duration(duration)
	if err != nil || err1 != nil || err2 != nil || err3 != nil || checkAttempts(&a) != nil {
		return nodes.Attempts{}, errAttemptsLine
	}
	if again := appendAttempts(nil, &a); string(again[:len(again)-1]) != string(line) {
		return nodes.Attempts{}, errAttemptsLine
	}
	return a, nil
}
