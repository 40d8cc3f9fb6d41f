package nodes

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"math"
	"time"

	"bluetrace/protocol"
)

// Credential is one line of credentials.txt.
type Credential struct{ User, Password string }

// accounts holds the passwords of the accounts, and the attempts of every name that was
// tried, whether it has an account or not (PROTOCOL.md section 2).
type accounts struct {
	passwords Passwords            // of the names that have an account now
	known     map[string]*attempts // of names that have or had an account; never removed
	unknown   unknownNames
	unsaved   unsaved
	block     time.Duration // length of a block
	key       [32]byte      // key of the HMAC that replaces unknown names
}

// Passwords has the SHA-256 of the password of each account, by username.
type Passwords map[string][sha256.Size]byte

// NewPasswords returns the passwords of a list of accounts. If a user appears twice, the
// last password counts. For a million accounts it takes about a second.
func NewPasswords(list []Credential) Passwords {
	p := make(Passwords, len(list))
	for _, c := range list {
		p[c.User] = sha256.Sum256([]byte(c.Password))
	}
	return p
}

// name is a username that a session sent. It is kept as text only if an account has it.
type name struct {
	user  string   // empty if not known
	known bool     // the name has an account
	hash  [16]byte // keyed hash of the username, if not known
}

// SetPasswords replaces the accounts, in constant time. The caller must not change p
// afterwards. The attempts and blocks of an account stay, even if the account is removed
// and added again. The TempIDs of removed accounts still resolve.
func (s *Server) SetPasswords(p Passwords) { s.accounts.passwords = p }

func (a *accounts) has(user []byte) bool {
	_, ok := a.passwords[string(user)]
	return ok
}

// nameOf returns the name for a username that a session sent. It takes the same time
// whether an account has that username or not.
func (a *accounts) nameOf(read []byte) name {
	n := a.unknownName(read)
	if a.has(read) {
		n = name{user: string(read), known: true}
	}
	return n
}

// unknownName returns the name for a username without an account. It contains only a
// keyed hash, because people sometimes type a password as their username.
func (a *accounts) unknownName(read []byte) name {
	mac := hmac.New(sha256.New, a.key[:])
	mac.Write(read)
	return name{hash: [16]byte(mac.Sum(nil)[:16])}
}

// isRight reports whether password is the password of n. It takes the same time however
// much of the password is correct, and whether the account exists or not.
func (a *accounts) isRight(n *name, password []byte) bool {
	want, ok := a.passwords[n.user]
	got := sha256.Sum256(password)
	same := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	return same && ok && n.known
}

// attemptsOf returns the attempts of a name. It creates them if the name has none.
func (a *accounts) attemptsOf(n *name) *attempts {
	if !n.known {
		return a.unknown.attemptsOf(n.hash)
	}
	t := a.known[n.user]
	if t == nil {
		t = &attempts{}
		a.known[n.user] = t
	}
	return t
}

// restore sets the attempts of one name to those that an earlier run stored. A block
// continues for the rest of its duration by wall time. The error is about an invalid
// record.
func (a *accounts) restore(now Now, r *Attempts) error {
	if r.Wrong < 0 {
		return fmt.Errorf("restoring attempts of %q: %d wrong passwords", r.User, r.Wrong)
	}
	if r.BlockedUntil != 0 && r.BlockDuration <= 0 {
		return fmt.Errorf("restoring attempts of %q: a block of %v", r.User, r.BlockDuration)
	}
	n := name{user: r.User, known: r.Known, hash: r.Hash}
	t := a.attemptsOf(&n)
	*t = attempts{wrong: r.Wrong}
	if r.BlockedUntil != 0 {
		left := remainder(r.BlockedUntil, now.Wall, r.BlockDuration)
		*t = attempts{blocked: left > 0, stale: left <= 0, until: later(now.Elapsed, left)}
	}
	a.sortUnknown(&n, t)
	return nil
}

// sortUnknown moves a name without an account to the group of blocked names if it is
// blocked now, and removes it if it has no attempts.
func (a *accounts) sortUnknown(n *name, t *attempts) {
	switch {
	case n.known:
	case t.blocked:
		if _, removed := a.unknown.Put(n.hash, true); removed {
			a.unknown.forgotten++
		}
	case t.wrong == 0:
		a.unknown.Remove(n.hash)
	}
}

// endBlocks removes the names without an account whose block has ended at the elapsed time
// now. If another block began earlier and ends later, only n is certain to be removed.
func (a *accounts) endBlocks(now time.Duration, n *name) {
	if n.known {
		return
	}
	ended := func(t *attempts) bool { return t.blocked && now >= t.until }
	a.unknown.RemoveEnded(ended)
	if t := a.unknown.Get(n.hash); t != nil && ended(t) {
		a.unknown.Remove(n.hash)
	}
}

// unknownNames holds the attempts of names without an account.
type unknownNames struct {
	NameTable[attempts]
	forgotten int // blocked names that were removed before the end of their block
	reported  int // value of forgotten when it was printed last
}

// attemptsOf returns the attempts of a name. A new name is not blocked.
func (u *unknownNames) attemptsOf(hash [16]byte) *attempts {
	if t := u.Get(hash); t != nil {
		return t
	}
	t, _ := u.Put(hash, false)
	return t
}

// forgottenPerLine is the number of forgotten names after which the server prints another
// line about them.
const forgottenPerLine = 10_000

// report returns a line about forgotten names, or "" if there is nothing new to report.
func (u *unknownNames) report(limit int) string {
	if u.forgotten == 0 || u.reported > 0 && u.forgotten < u.reported+forgottenPerLine {
		return ""
	}
	u.reported = u.forgotten
	return fmt.Sprintf("blocked names without an account take more than %d bytes: the oldest are forgotten "+
		"before their block ends, %d so far", limit, u.forgotten)
}

// attempts is the state of one name (PROTOCOL.md section 2).
type attempts struct {
	wrong   int // consecutive wrong passwords
	blocked bool
	stale   bool          // the disk may hold wrong passwords or a block that memory no longer holds
	until   time.Duration // elapsed time of the end of the block
	reset   StoreID       // the store in progress that corrects a stale disk, or 0
	// postponed means that the name is in unsaved.postponed.
	postponed bool
}

// blockedAt reports whether the name is blocked at the elapsed time now: whether now <
// until. It ends a block whose time is over. The disk still has that block, so the
// attempts become stale.
func (a *attempts) blockedAt(now time.Duration) bool {
	if a.blocked && now >= a.until {
		a.blocked, a.stale = false, true
	}
	return a.blocked
}

// verdict is the result of one password attempt.
type verdict uint8

const (
	verdictRefused verdict = iota // during a block: not compared, not counted
	verdictWrong
	verdictBlocks // wrong, and a block begins
	verdictRight
	verdictReset // right, but the disk may still have wrong passwords or a block
)

// decide returns the verdict on a password for the name n. It changes the attempts of n
// in memory at once, before anything is stored.
func (s *Server) decide(now Now, n *name, password []byte) verdict {
	s.accounts.endBlocks(now.Elapsed, n)
	a := s.accounts.attemptsOf(n)
	if a.blockedAt(now.Elapsed) {
		return verdictRefused
	}
	if s.accounts.isRight(n, password) {
		if a.wrong == 0 && !a.stale {
			return verdictRight
		}
		a.wrong, a.stale = 0, true
		return verdictReset
	}
	a.wrong++
	a.stale, a.reset = false, 0
	if a.wrong < s.settings.Attempts {
		return verdictWrong
	}
	*a = attempts{blocked: true, until: later(now.Elapsed, s.settings.BlockDuration), postponed: a.postponed}
	s.accounts.sortUnknown(n, a)
	return verdictBlocks
}

// readUsername handles the first read of a session. It is a username, or a username and
// a password that TCP has joined (PROTOCOL.md section 2).
func (s *Server) readUsername(now Now, c Conn, read []byte, out *ServerOutbox) {
	s.expect(c, connAtPassword, protocol.ExpectPassword)
	x := s.connection(c)
	user, password, joined := protocol.SplitLogin(read, s.accounts.has)
	if !joined {
		x.name = s.accounts.nameOf(read)
		return
	}
	n := s.accounts.nameOf(user)
	v := s.decide(now, &n, password)
	s.reportVerdict(c, &n, v, ReasonJoined, out)
	switch v {
	case verdictRight:
		x.name = n
		s.welcome(now, c, out)
	case verdictReset:
		x.name = n
		s.storeReset(now, c, &n, out)
	case verdictRefused:
		x.name = s.accounts.unknownName(read)
	default:
		// No answer, and no wait for the disk: both would reveal which names exist.
		x.name = s.accounts.unknownName(read)
		s.accounts.postpone(now, &n, x.name.hash)
	}
}

// readPassword handles a password that arrived in a read of its own.
func (s *Server) readPassword(now Now, c Conn, password []byte, out *ServerOutbox) {
	n := s.connection(c).name
	v := s.decide(now, &n, password)
	s.reportVerdict(c, &n, v, "", out)
	switch v {
	case verdictRight:
		s.welcome(now, c, out)
	case verdictReset:
		s.storeReset(now, c, &n, out)
	case verdictRefused:
		s.send(c, protocol.IsBlocked, out)
		s.end(c, ReasonBlocked, out)
	case verdictWrong:
		s.storeAttempts(now, c, &n, pending{answer: protocol.TryAgain}, out)
	case verdictBlocks:
		s.storeAttempts(now, c, &n, pending{answer: protocol.NowBlocked}, out)
	}
}

// reportVerdict emits the events of a verdict as soon as the verdict is reached, before
// it is stored. reason is the Reason of the events. If it is empty, the Reason of a
// refused attempt is ReasonBlocked.
func (s *Server) reportVerdict(c Conn, n *name, v verdict, reason string, out *ServerOutbox) {
	switch v {
	case verdictRefused:
		if reason == "" {
			reason = ReasonBlocked
		}
		out.event(c, ServerEvent{Kind: EventRefused, User: n.user, Reason: reason})
	case verdictWrong, verdictBlocks:
		out.event(c, ServerEvent{Kind: EventWrongPassword, User: n.user, Reason: reason})
	}
	if v == verdictBlocks {
		out.event(c, ServerEvent{Kind: EventBlockBegan, User: n.user, Reason: reason})
		if line := s.accounts.unknown.report(s.settings.MaxBlockedBytes); line != "" {
			out.print(line)
		}
	}
}

// storeAttempts asks the host to store the attempts of the name n as they are in
// memory, together with those that were postponed. p is the answer to send afterwards.
func (s *Server) storeAttempts(now Now, c Conn, n *name, p pending, out *ServerOutbox) {
	p.user = n.user
	s.store(c, append(s.accounts.takePostponed(now), s.accounts.record(now, n)), p, out)
}

// record returns the record of the attempts of a name as they are in memory.
func (a *accounts) record(now Now, n *name) Record {
	t := a.attemptsOf(n)
	r := Attempts{Known: n.known, User: n.user, Hash: n.hash, Wrong: t.wrong}
	if t.blockedAt(now.Elapsed) {
		r.BlockDuration = a.block
		r.BlockedUntil = now.Wall + int64(t.until-now.Elapsed)
		if r.BlockedUntil < now.Wall {
			r.BlockedUntil = math.MaxInt64
		}
	}
	return Record{Kind: RecordAttempts, Attempts: r}
}

// storeReset stores that a name has neither wrong passwords nor a block, and welcomes
// the session afterwards. Until that is stored, each further right password for the
// name repeats the store and waits for it.
func (s *Server) storeReset(now Now, c Conn, n *name, out *ServerOutbox) {
	s.storeAttempts(now, c, n, pending{answer: protocol.Welcome}, out)
	s.accounts.attemptsOf(n).reset = s.lastStore
}

// finishAttempt sends the login answer p after its attempts were stored, or after the
// store failed with err. A failure is printed. waits is false if the session has ended:
// then no answer is sent.
func (s *Server) finishAttempt(now Now, p pending, err error, waits bool, out *ServerOutbox) {
	s.accounts.unsaved.finish(now, p.conn, err, out)
	if err != nil && p.conn != NoConn {
		owner := p.user
		if owner == "" {
			owner = "an unknown name"
		}
		out.print(fmt.Sprintf("attempts of %s could not be saved: %v", owner, err))
	}
	if !waits {
		return
	}
	switch p.answer {
	case protocol.Welcome:
		s.welcomeUnlessBlocked(now, p.conn, out)
	case protocol.TryAgain:
		s.send(p.conn, protocol.TryAgain, out)
	case protocol.NowBlocked:
		s.send(p.conn, protocol.NowBlocked, out)
		s.end(p.conn, ReasonBlocked, out)
	}
}

// welcomeUnlessBlocked checks for a block again before it welcomes the session: while
// the disk was busy, other connections may have caused a block of the account.
func (s *Server) welcomeUnlessBlocked(now Now, c Conn, out *ServerOutbox) {
	x := s.connection(c)
	if !s.accounts.attemptsOf(&x.name).blockedAt(now.Elapsed) {
		s.welcome(now, c, out)
		return
	}
	out.event(c, ServerEvent{Kind: EventRefused, User: x.name.user, Reason: ReasonBlocked})
	s.send(c, protocol.IsBlocked, out)
	s.end(c, ReasonBlocked, out)
}

// welcome logs the session in and sends the welcome.
func (s *Server) welcome(now Now, c Conn, out *ServerOutbox) {
	user := s.connection(c).name.user
	s.expect(c, connAtCommand, protocol.ExpectCommand)
	s.waitIdle(now, c)
	s.sessions.countLogin(c, user)
	s.send(c, protocol.Welcome, out)
	out.print("users: " + user)
	out.event(c, ServerEvent{Kind: EventLoggedIn, User: user})
}
