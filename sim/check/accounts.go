package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// accounts is the model of logins: it reads the same bytes as the server and
// works out what the answer must be (PROTOCOL.md section 2).
type accounts struct {
	v        *Invariants
	known    map[string]*account
	unknown  map[string]*account
	sessions []session
	longest  int // length of the longest known name
	// strangers counts the names without an account, each time that one is given.
	strangers int

	clock world.NodeClock // the server's

	stores []storing  // that are under way, in their order
	failed []*account // of which the last write could not be saved
	tried  *account   // whose password was read last; nil: it is not followed
}

// account is what the model knows of one name.
type account struct {
	password string
	exists   bool
	attempts int // so many in all; each has its number
	// unsaved is the last attempt that could not be saved; 0: what was asked is saved,
	// or under way.
	unsaved int
	// states are what it may be in: one, unless a kill left more open. None: nothing
	// is counted, saved or awaited.
	states []state
}

type stage uint8

const (
	atName stage = iota
	atPassword
	inSession
)

// session is one connection as its bytes show it.
type session struct {
	stage    stage
	name     string
	account  *account
	nth      int  // of the account's attempts the one whose answer is awaited; 0: none is
	again    bool // it was told to try another password
	lastRead int64
	readWall int64 // by the server's clock
	// silent is the account on which a joined username and password was counted
	// without an answer, as its attempt silentNth.
	silent    *account
	silentNth int
	// perhaps is the name with which a joined read begins, when it is not known
	// whether its right password was taken: then account is that name's.
	perhaps string
	upload  uploading
	acked   int // acknowledgements, one after the other
}

const (
	wrongBeforeBlock = 3
	unknownNames     = 65536
)

func (a *accounts) init(v *Invariants) {
	a.v = v
	a.clock.Wall = v.rules.Start * int64(time.Second)
	a.known = make(map[string]*account, len(v.rules.Accounts))
	a.unknown = map[string]*account{}
	for name, password := range v.rules.Accounts {
		a.known[name] = &account{password: password, exists: true}
		a.longest = max(a.longest, len(name))
	}
	v.rules.Accounts = nil // they are the model's now, and there may be many
}

func (a *accounts) session(c nodes.Conn) *session {
	for int(c) >= len(a.sessions) {
		a.sessions = append(a.sessions, session{})
	}
	return &a.sessions[c]
}

func (a *accounts) accepted(c nodes.Conn) { a.drop(c) }

// drop forgets a session, and what it awaits.
func (a *accounts) drop(c nodes.Conn) {
	s := a.session(c)
	if s.account != nil && s.nth > 0 {
		s.account.done(s.nth)
	}
	*s = session{}
}

// named finds the account of a name. An unknown name has one as well, until
// there are too many to compare with a server that forgets the oldest.
func (a *accounts) named(name string) *account {
	if acc := a.known[name]; acc != nil {
		return acc
	}
	if a.unknown == nil {
		return nil
	}
	acc := a.unknown[name]
	if acc == nil {
		if len(a.unknown) == unknownNames {
			a.unknown = nil
			return nil
		}
		acc = &account{}
		a.unknown[name] = acc
	}
	return acc
}

func (a *accounts) read(at int64, c nodes.Conn, p []byte) {
	s := a.session(c)
	s.lastRead, s.readWall = at, a.clock.WallAt(at)
	switch s.stage {
	case atName:
		s.stage = atPassword
		s.name = string(p)
		if a.known[s.name] == nil {
			a.strangers++
			a.joined(at, s)
		}
		if s.account == nil {
			s.account = a.named(s.name)
		}
	case atPassword:
		a.readOn(at, s)
		if a.tried = s.account; s.account != nil {
			s.nth = a.attempt(at, s.account, s.account.takes(string(p)))
		}
	}
}

// readOn: nothing is read of a session whose answer is awaited, nor of one whose
// attempt is being saved.
func (a *accounts) readOn(at int64, s *session) {
	if s.silent != nil {
		s.silent.answered(s.silentNth)
		s.silent = nil
	}
	if s.account == nil || s.nth == 0 {
		return
	}
	a.only(s.account, func(st *state) bool { return a.due(at, st, s.nth) == "" })
	s.account.done(s.nth)
	s.nth = 0
	if s.perhaps != "" { // it was blocked, and nobody has this name
		s.perhaps, s.account = "", a.named(s.name)
	}
}

// takes says whether a password is the right one.
func (acc *account) takes(password string) bool { return acc.exists && password == acc.password }

// joined handles a read that is no name but begins with one.
func (a *accounts) joined(at int64, s *session) {
	for n := min(a.longest, len(s.name)-1); n > 0; n-- {
		acc := a.known[s.name[:n]]
		if acc == nil {
			continue
		}
		right := acc.takes(s.name[n:])
		free := 0
		for i := range acc.begun() {
			if !a.blockedAt(&acc.states[i].count, at) {
				free++
			}
		}
		switch {
		case free == 0:
		case !right:
			s.silent, s.silentNth = acc, a.attempt(at, acc, false)
			acc.done(s.silentNth)
		case free == len(acc.states):
			s.name, s.account = s.name[:n], acc
			s.nth = a.attempt(at, acc, true)
		default:
			s.perhaps, s.account = s.name[:n], acc
			s.nth = a.attempt(at, acc, true)
			acc.unsaid(s.nth)
		}
		return
	}
}

// blockedAt says whether a block goes on.
func (a *accounts) blockedAt(c *count, at int64) bool {
	if c.blocked && a.clock.ElapsedAt(at)-c.since >= a.v.rules.BlockDuration {
		*c = count{}
	}
	return c.blocked
}

// attempt works out, for each state of an account, the answer to a password. It
// returns its number.
func (a *accounts) attempt(at int64, acc *account, right bool) int {
	acc.attempts++
	for i := range acc.begun() {
		st := &acc.states[i]
		st.answers = append(st.answers, answer{acc.attempts, a.judge(at, st, right, acc.attempts)})
	}
	return acc.attempts
}

// judge works out one answer, and what it leaves in memory and, once it is saved,
// on the disk.
func (a *accounts) judge(at int64, st *state, right bool, nth int) string {
	text := protocol.TryAgain
	switch {
	case a.blockedAt(&st.count, at):
		return protocol.IsBlocked
	case right:
		st.count, text = count{}, protocol.Welcome
	default:
		st.wrong++
		if st.wrong == wrongBeforeBlock {
			st.count, text = a.block(at), protocol.NowBlocked
		}
	}
	if st.disk[len(st.disk)-1].count != st.count {
		st.disk = append(st.disk, saving{st.count, nth})
	}
	return text
}

// block begins one.
func (a *accounts) block(at int64) count {
	return count{
		blocked: true,
		since:   a.clock.ElapsedAt(at),
		until:   a.clock.WallAt(at) + int64(a.v.rules.BlockDuration),
	}
}

// due is the answer that must come to an attempt; "": none.
func (a *accounts) due(at int64, st *state, nth int) string {
	i := slices.IndexFunc(st.answers, func(w answer) bool { return w.nth == nth })
	switch {
	case i < 0:
		return ""
	case st.answers[i].text == protocol.Welcome && a.blockedAt(&st.count, at):
		return protocol.IsBlocked // others blocked the account while this answer waited for the disk
	}
	return st.answers[i].text
}

// answered compares the server's answer with the model's.
func (a *accounts) answered(at int64, s *session, p []byte) {
	got := string(p)
	acc, nth := s.account, s.nth
	s.nth = 0
	s.again = s.again || got == protocol.TryAgain
	if got == protocol.Welcome {
		s.stage = inSession
		if s.perhaps != "" {
			s.name, s.perhaps = s.perhaps, ""
		}
	}
	if acc == nil {
		return
	}
	v := a.v
	v.times[NoWelcomeDuringBlock]++
	v.times[BlockLastsExactly]++
	v.times[ThirdWrongBlocks]++
	acc.begun()
	if !a.only(acc, func(st *state) bool { return a.due(at, st, nth) == got }) {
		a.unexpected(at, s, nth, got)
	}
	if acc.done(nth); got != protocol.IsBlocked {
		acc.answered(nth)
	}
	acc.settle()
}

// unexpected reports an answer that no state of the account allows.
func (a *accounts) unexpected(at int64, s *session, nth int, got string) {
	acc, first := s.account, &s.account.states[0]
	var all []string
	for i := range acc.states {
		text := "no answer"
		if due := a.due(at, &acc.states[i], nth); due != "" {
			text = strconv.Quote(due)
		}
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	expected, found := strings.Join(all, " or "), strconv.Quote(got)
	if acc.exists {
		found += " to " + s.name
	}
	if first.blocked {
		expected += fmt.Sprintf(", %s after the third wrong password", a.clock.ElapsedAt(at)-first.since)
	}
	a.v.violate(broken(first, a.due(at, first, nth), got), at, -1, expected, found)
}

// broken names the invariant that an unexpected answer breaks.
func broken(st *state, awaited, got string) Invariant {
	switch {
	case st.blocked && got == protocol.Welcome:
		return NoWelcomeDuringBlock
	case awaited == protocol.NowBlocked:
		return ThirdWrongBlocks
	case got == protocol.IsBlocked, st.blocked && got != protocol.NowBlocked:
		return BlockLastsExactly
	default:
		return ThirdWrongBlocks
	}
}
