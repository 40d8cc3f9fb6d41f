package check

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// accounts is the model of logins. It reads the same bytes as the server and works
// out the answer to each password (PROTOCOL.md section 2).
type accounts struct {
	v        *Invariants
	names    map[string]*account // known and unknown ones
	known    int                 // the number of known names
	blocked  int                 // number of blocks of unknown names so far
	full     bool                // there were more than unknownNames: of these, only blocked ones are followed
	sessions []session           // by the server's number of the connection
	longest  int                 // length of the longest known name, in bytes
	// unknownLogins is the number of times that an unknown name was given.
	unknownLogins int
	clock         event.NodeClock // of the server

	stores    []attemptStore // in progress, in order of their requests
	failed    []*account     // accounts whose last attempt could not be saved
	lastTried *account       // whose password was read last; nil if it is not followed
	saveBy    time.Duration  // elapsed time by which a failed store must be tried again; 0 if none failed

	blocks   map[string]lastBlock // by user name
	restarts int                  // of the server
	judging  string               // user name of the password that is being answered
}

// lastBlock is the last block of an account. The messages of violations name it.
type lastBlock struct {
	at       int64 // its begin
	restarts int   // number of restarts of the server before it
}

type stage uint8

const (
	atName stage = iota
	atPassword
	inSession
)

// session is the state of one connection, derived from its bytes.
type session struct {
	stage    stage
	name     string
	account  *account // nil if it is not followed
	attempt  int      // number of the attempt that awaits its answer; 0 if none does
	retried  bool     // the server asked for another password
	lastRead int64    // time of the last read
	readWall int64    // the same time by the server's clock
	// unanswered is the account whose name and a wrong password arrived in one read.
	// The server counts them as attempt unansweredAttempt and sends no answer. It saves them
	// before its next answer to the session.
	unanswered        *account
	unansweredAttempt int
	// ambiguousName is set if one read was a known name and its right password, and the
	// account may have been blocked. The server then either accepted the password or took
	// the whole read as an unknown name. Until its next answer or read shows which,
	// account is that of ambiguousName.
	ambiguousName string
	upload        uploading
	acks          int   // acknowledgements in a row
	sentAcks      int32 // acknowledgements that were sent
	sentTempIDs   int32 // TempIDs that were sent
	lastTempID    protocol.TempID
}

const (
	wrongBeforeBlock = 3
	unknownNames     = 65536 // the server keeps at least as many that are not blocked
)

func (a *accounts) init(v *Invariants) {
	a.v = v
	a.clock.Wall = v.rules.Start * int64(time.Second)
	a.known = len(v.rules.Accounts)
	a.names = make(map[string]*account, a.known)
	a.blocks = map[string]lastBlock{}
	for name, password := range v.rules.Accounts {
		a.names[name] = &account{password: password, exists: true}
		a.longest = max(a.longest, len(name))
	}
}

func (a *accounts) session(c nodes.Conn) *session {
	for int(c) >= len(a.sessions) {
		a.sessions = append(a.sessions, session{})
	}
	return &a.sessions[c]
}

// forget drops a session and the answer that it awaits.
func (a *accounts) forget(c nodes.Conn) {
	s := a.session(c)
	if s.account != nil && s.attempt > 0 {
		s.account.removeAnswer(s.attempt)
	}
	*s = session{}
}

// named returns the account of a name. Once there are more unknown names than the server
// must keep, it returns nil for an unknown name that is not blocked.
func (a *accounts) named(at int64, name string) *account {
	acc := a.names[name]
	a.full = a.full || acc == nil && len(a.names) == a.known+unknownNames
	switch {
	case acc != nil && acc.exists:
	case a.blocked > max(1, a.v.rules.MaxBlocked):
		return nil // the server may have forgotten it
	case a.full && (acc == nil || a.free(at, acc) > 0):
		delete(a.names, name)
		return nil
	case acc == nil:
		acc = &account{}
		a.names[name] = acc
	}
	return acc
}

// exists reports whether a name is that of an account.
func (a *accounts) exists(name string) bool {
	acc := a.names[name]
	return acc != nil && acc.exists
}

// free returns the number of states of an account in which it is not blocked.
func (a *accounts) free(at int64, acc *account) (n int) {
	for i := range acc.open() {
		if !a.blockedAt(&acc.states[i].count, at) {
			n++
		}
	}
	return n
}

// read follows bytes that the server reads before the login has succeeded.
func (a *accounts) read(at int64, s *session, p []byte) {
	s.lastRead, s.readWall = at, a.clock.WallAt(at)
	switch s.stage {
	case atName:
		s.stage = atPassword
		s.name = string(p)
		if !a.exists(s.name) {
			a.unknownLogins++
			a.splitJoined(at, s)
		}
		if s.account == nil {
			s.account = a.named(at, s.name)
		}
	case atPassword:
		a.readsOn(at, s)
		if a.lastTried = s.account; s.account != nil {
			s.attempt = a.judgeAttempt(at, s.account, s.account.accepts(string(p)))
		}
	}
}

// readsOn is called when the server reads further bytes of a session. It excludes
// the states in which the session waits for an answer, because the server then reads
// nothing.
func (a *accounts) readsOn(at int64, s *session) {
	if s.account == nil || s.attempt == 0 {
		return
	}
	s.account.restrict(func(st *state) bool { return a.expected(at, st, s.attempt) == "" })
	s.account.removeAnswer(s.attempt)
	s.attempt = 0
	if s.ambiguousName != "" { // the account was blocked, so the whole read was an unknown name
		s.ambiguousName, s.account = "", a.named(at, s.name)
	}
}

// splitJoined handles a read that is not a known name but begins with one. If the
// account of the longest such name is not blocked, the server takes the rest of the
// read as its password.
func (a *accounts) splitJoined(at int64, s *session) {
	for n := min(a.longest, len(s.name)-1); n > 0; n-- {
		if !a.exists(s.name[:n]) {
			continue
		}
		acc := a.names[s.name[:n]]
		right, free := acc.accepts(s.name[n:]), a.free(at, acc)
		switch {
		case free == 0:
		case !right:
			s.unanswered, s.unansweredAttempt = acc, a.judgeAttempt(at, acc, false)
			acc.removeAnswer(s.unansweredAttempt)
		case free == len(acc.states):
			s.name, s.account = s.name[:n], acc
			s.attempt = a.judgeAttempt(at, acc, true)
		default:
			s.ambiguousName, s.account = s.name[:n], acc
			s.attempt = a.judgeAttempt(at, acc, true)
			acc.dropAnswer(s.attempt)
		}
		return
	}
}

// blockedAt reports whether a block is in force. A block that has ended is reset.
func (a *accounts) blockedAt(c *count, at int64) bool {
	if c.blocked && a.clock.ElapsedAt(at)-c.since >= a.v.rules.BlockDuration {
		*c = count{}
	}
	return c.blocked
}

// judgeAttempt works out the answer to a password in each state of an account, and
// returns the number of the attempt.
func (a *accounts) judgeAttempt(at int64, acc *account, right bool) int {
	acc.attempts++
	for i := range acc.open() {
		st := &acc.states[i]
		st.answers[acc.attempts] = a.judge(at, st, right, acc.attempts)
	}
	last := func(st state) bool { return st.answers[acc.attempts] == protocol.NowBlocked }
	if !acc.exists && slices.ContainsFunc(acc.states, last) {
		a.countBlock()
	}
	return acc.attempts
}

// countBlock counts a block of an unknown name. Beyond the limit the server forgets blocked names before their block
// ends, and no unknown name is followed any more.
func (a *accounts) countBlock() {
	if a.blocked++; a.blocked <= max(1, a.v.rules.MaxBlocked) {
		return
	}
	maps.DeleteFunc(a.names, func(_ string, acc *account) bool { return !acc.exists })
	for i := range a.sessions {
		if s := &a.sessions[i]; s.account != nil && !s.account.exists {
			s.account = nil
		}
	}
}

// judge returns the answer in one state. It updates the count in memory, and the
// counts that the disk may hold.
func (a *accounts) judge(at int64, st *state, right bool, attempt int) string {
	text := protocol.TryAgain
	switch {
	case a.blockedAt(&st.count, at):
		return protocol.IsBlocked
	case right:
		st.count, text = count{}, protocol.Welcome
	default:
		st.wrong++
		if st.wrong == wrongBeforeBlock {
			now := a.clock.ElapsedAt(at)
			st.count = count{blocked: true, since: now}
			st.until = a.wallEnd(at, &st.count)
			text = protocol.NowBlocked
		}
	}
	if st.disk[len(st.disk)-1].count != st.count {
		st.disk = append(st.disk, storedCount{st.count, attempt})
	}
	return text
}

// wallEnd returns the end of a block by the server's wall clock at a time. A record of that time has it.
func (a *accounts) wallEnd(at int64, c *count) int64 {
	return a.clock.WallAt(at) + int64(c.since+a.v.rules.BlockDuration-a.clock.ElapsedAt(at))
}

// expected returns the answer to an attempt in one state, or "" if there is none.
func (a *accounts) expected(at int64, st *state, attempt int) string {
	text := st.answers[attempt]
	if text == protocol.Welcome && a.blockedAt(&st.count, at) {
		return protocol.IsBlocked // other sessions blocked the account while the answer waited for the disk
	}
	return text
}

// answered compares the server's answer to a password with the model.
func (a *accounts) answered(at int64, s *session, p []byte) {
	got := string(p)
	acc, attempt := s.account, s.attempt
	if s.unanswered != nil && got != protocol.IsBlocked {
		s.unanswered.sentAnswer(s.unansweredAttempt)
		s.unanswered = nil
	}
	a.judging = s.name
	s.attempt = 0
	s.retried = s.retried || got == protocol.TryAgain
	if got == protocol.Welcome {
		s.stage = inSession
		if s.ambiguousName != "" {
			s.name, s.ambiguousName = s.ambiguousName, ""
		}
	}
	if acc != nil {
		a.countEvaluations(got)
		acc.open()
		if !acc.restrict(func(st *state) bool { return a.expected(at, st, attempt) == got }) {
			a.unexpected(at, s, attempt, got)
		}
		if acc.removeAnswer(attempt); got != protocol.IsBlocked {
			acc.sentAnswer(attempt)
		}
		acc.simplify()
	}
	if got == protocol.NowBlocked && a.exists(a.judging) {
		a.blocks[a.judging] = lastBlock{at, a.restarts}
	}
}

// countEvaluations counts the evaluations of the invariants that the answer to a password concerns.
func (a *accounts) countEvaluations(got string) {
	switch evaluated := &a.v.evaluated; got {
	case protocol.IsBlocked:
		evaluated[NoWelcomeDuringBlock]++
		evaluated[BlockLastsExactly]++
	default:
		if _, blocked := a.blocks[a.judging]; blocked {
			evaluated[BlockLastsExactly]++
		}
		if got != protocol.Welcome {
			evaluated[ThirdWrongBlocks]++
		}
	}
}

// unexpected reports an answer that no state of the account allows.
func (a *accounts) unexpected(at int64, s *session, attempt int, got string) {
	acc, first := s.account, &s.account.states[0]
	var texts []string
	for i := range acc.states {
		text := "no answer"
		if expected := a.expected(at, &acc.states[i], attempt); expected != "" {
			text = strconv.Quote(expected)
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	expected, found := strings.Join(texts, " or "), strconv.Quote(got)
	if acc.exists {
		found += " to " + s.name
	}
	if first.blocked {
		expected += fmt.Sprintf(", %s after the third wrong password", a.clock.ElapsedAt(at)-first.since)
	}
	i := ThirdWrongBlocks
	switch awaited := a.expected(at, first, attempt); {
	case first.blocked && got == protocol.Welcome:
		i = NoWelcomeDuringBlock
	case awaited == protocol.NowBlocked:
	case got == protocol.IsBlocked, first.blocked && got != protocol.NowBlocked:
		i = BlockLastsExactly
	}
	a.v.violate(i, at, -1, expected, found)
}

// lastBlockText describes the last block of the account that is answered now.
func (a *accounts) lastBlockText() string {
	block, ok := a.blocks[a.judging]
	if !ok {
		return ""
	}
	since := "not restarted"
	if a.restarts > block.restarts {
		since = "restarted"
	}
	return fmt.Sprintf("; the last block of %s began at %s s, block_duration is %s, and the server was %s since",
		a.judging, event.Seconds(block.at), a.v.rules.BlockDuration, since)
}

// attemptStore is an attempt that is being stored.
type attemptStore struct {
	account *account // nil if it is not followed
	attempt int
}

// storeAsked follows the server's requests to store attempts. A request that names no
// known user is for the last password that was read. A block whose record is made after a step of the wall clock ends by
// that clock.
func (a *accounts) storeAsked(at int64, records []nodes.Record) {
	for i := range records {
		r := &records[i].Attempts
		if records[i].Kind != nodes.RecordIssue {
			a.saveBy = 0
		}
		if records[i].Kind != nodes.RecordAttempts {
			continue
		}
		s := attemptStore{account: a.lastTried}
		if r.Known {
			s.account = a.names[r.User]
		}
		if s.account != nil {
			s.attempt = s.account.attempts
			for i := range s.account.states {
				st := &s.account.states[i]
				if !a.blockedAt(&st.count, at) {
					continue
				}
				if end := a.wallEnd(at, &st.count); end != st.until {
					st.until = end
					st.disk = append(st.disk, storedCount{st.count, s.attempt})
				}
			}
		}
		a.stores = append(a.stores, s)
	}
}

// storeDone follows the result of a store. A successful store of any name also
// saves the attempts that failed before.
func (a *accounts) storeDone(at int64, records []nodes.Record, err error) {
	for i := range records {
		if records[i].Kind == nodes.RecordIssue {
			continue
		}
		a.saveBy = 0
		if err != nil && a.v.rules.Exact {
			a.saveBy = a.clock.ElapsedAt(at) + saveAgain
		}
		if err == nil {
			for _, acc := range a.failed {
				acc.saved(acc.unsaved)
				acc.unsaved = 0
			}
			a.failed = a.failed[:0]
		}
		if records[i].Kind != nodes.RecordAttempts || len(a.stores) == 0 {
			continue
		}
		s := a.stores[0]
		a.stores = a.stores[1:]
		switch {
		case s.account == nil:
		case err == nil:
			s.account.saved(s.attempt)
		default:
			if s.account.unsaved == 0 {
				a.failed = append(a.failed, s.account)
			}
			s.account.unsaved = s.attempt
		}
	}
}

// saveAgain is the time from a failed store of attempts to the next one, in which the file is behind the memory.
const saveAgain = time.Second

// checkSaved checks that attempts that could not be saved are stored again in time. A server that was paused is late.
func (a *accounts) checkSaved(at int64) {
	const rounding = 2 // of a clock that drifts, in nanoseconds
	if now := a.clock.ElapsedAt(at); a.saveBy > 0 && now > a.saveBy+rounding && !a.v.paused[event.Server] {
		a.v.violate(PasswordsAnswered, at, -1, fmt.Sprintf("attempts that could not be saved are stored again by %s "+
			"of the server's clock", a.saveBy), fmt.Sprintf("not by %s", now))
	}
}

// storeAnswered checks that the session of a stored attempt has been answered.
func (a *accounts) storeAnswered(at int64, s *session) {
	if s.stage != atPassword || s.account == nil {
		return
	}
	a.v.evaluated[PasswordsAnswered]++
	if s.attempt > 0 && !s.account.restrict(func(st *state) bool { return a.expected(at, st, s.attempt) == "" }) {
		expected := fmt.Sprintf("%q to %s", a.expected(at, &s.account.states[0], s.attempt), s.name)
		a.v.violate(PasswordsAnswered, at, -1, expected, "no answer")
	}
}

// serverStopped ends all sessions. The next server finds one of the counts that
// the disk may hold for each account.
func (a *accounts) serverStopped() {
	clear(a.sessions)
	for _, acc := range a.names {
		acc.restart()
	}
	a.stores, a.failed, a.lastTried, a.saveBy = nil, nil, nil, 0
	a.restarts++
}

// serverStarted continues the blocks by wall time. The rest of a block is neither
// negative nor longer than a whole block (PROTOCOL.md section 1, Two clocks).
func (a *accounts) serverStarted(at int64) {
	full, now, wall := a.v.rules.BlockDuration, a.clock.ElapsedAt(at), a.clock.WallAt(at)
	for _, acc := range a.names {
		for i := range acc.states {
			if c := &acc.states[i].count; c.blocked {
				rest := min(max(time.Duration(c.until-wall), 0), full)
				c.since = now - (full - rest)
			}
		}
	}
}
