package check

import (
	"fmt"
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
	// asked counts writes of unknown names that are under way; failing: what one of
	// them came to could not be saved. A crash forgets either.
	asked   int32
	failing bool
}

// account is what the model knows of one name. There are as many as phones: the
// order of its fields is that which takes the least memory.
type account struct {
	password string
	since    time.Duration // of the block, by the server's clock
	until    int64         // its end on the wall, for a server that is started again
	doubt
	asked   int32 // writes that are under way
	wrong   uint8
	exists  bool
	blocked bool
	unsaved bool // the last write failed
}

type stage uint8

const (
	atName stage = iota
	atPassword
	inSession
)

// session is one connection as its bytes show it. As with accounts, the order of
// its fields saves memory.
type session struct {
	name     string
	account  *account
	awaited  string // the answer that must come next; "" is none
	lastRead int64
	readWall int64 // by the server's clock
	// silent is the account on which a joined username and password was counted
	// without an answer.
	silent *account
	epoch  int32 // of the account when awaited was worked out
	nth    int32 // of the account's attempts the last one was
	// perhaps is the length of the name with which a joined read begins, when it is
	// not known whether its password was taken.
	perhaps int32
	acked   int32 // acknowledgements, one after the other
	upload  uploading
	stage   stage
	right   bool // the last password was
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
	all := make([]account, 0, len(v.rules.Accounts)) // less memory than one by one
	for name, password := range v.rules.Accounts {
		all = append(all, account{password: password, exists: true})
		a.known[name] = &all[len(all)-1]
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

func (a *accounts) accepted(c nodes.Conn) { *a.session(c) = session{} }

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
		if s.perhaps == 0 {
			s.account = a.named(s.name)
		}
	case atPassword:
		if s.account != nil {
			a.tries(at, s, string(p))
		}
	}
}

// tries works out the answer to the password of a session.
func (a *accounts) tries(at int64, s *session, password string) {
	acc := s.account
	s.right = acc.exists && password == acc.password
	s.awaited = a.attempt(at, acc, password)
	s.epoch, s.nth = acc.epoch, acc.attempts
}

// joined handles a read that is no name but begins with one.
func (a *accounts) joined(at int64, s *session) {
	for n := min(a.longest, len(s.name)-1); n > 0; n-- {
		acc := a.known[s.name[:n]]
		if acc == nil {
			continue
		}
		if acc.unsure {
			a.perhaps(s, acc, n)
			return
		}
		free := !a.blockedAt(acc, at)
		if free && s.name[n:] == acc.password {
			s.name = s.name[:n]
			s.account = acc
			a.tries(at, s, acc.password)
		} else if free {
			a.attempt(at, acc, "")
			s.silent = acc
		}
		return
	}
}

func (a *accounts) blockedAt(acc *account, at int64) bool {
	if acc.blocked && a.clock.ElapsedAt(at)-acc.since >= a.v.rules.BlockDuration {
		acc.blocked = false
		acc.wrong = 0
	}
	return acc.blocked
}

// attempt works out the answer to a password.
func (a *accounts) attempt(at int64, acc *account, password string) string {
	acc.attempts++
	acc.unanswered++
	acc.last = a.clock.ElapsedAt(at)
	switch {
	case a.blockedAt(acc, at):
		return protocol.IsBlocked
	case acc.exists && password == acc.password:
		acc.wrong = 0
		return protocol.Welcome
	}
	acc.wrong++
	if acc.wrong < wrongBeforeBlock {
		return protocol.TryAgain
	}
	a.block(at, acc)
	return protocol.NowBlocked
}

// block begins one.
func (a *accounts) block(at int64, acc *account) {
	acc.wrong, acc.blocked = 0, true
	acc.since = a.clock.ElapsedAt(at)
	acc.until = a.clock.WallAt(at) + int64(a.v.rules.BlockDuration)
}

// answered compares the server's answer with the model's.
func (a *accounts) answered(at int64, s *session, p []byte) {
	got := string(p)
	if got == protocol.Welcome {
		defer func() { s.stage = inSession }()
		if s.perhaps != 0 {
			s.name = s.name[:s.perhaps]
		}
	}
	acc := s.account
	if acc == nil {
		return
	}
	defer func() { acc.unanswered = max(acc.unanswered-1, 0) }()
	if acc.unsure || s.epoch != acc.epoch {
		a.doubtful(at, s, got)
		s.awaited = ""
		return
	}
	v := a.v
	// Others may have blocked the account while this answer waited for the disk.
	if s.awaited == protocol.Welcome && a.blockedAt(acc, at) {
		s.awaited = protocol.IsBlocked
	}
	v.times[NoWelcomeDuringBlock]++
	v.times[BlockLastsExactly]++
	v.times[ThirdWrongBlocks]++
	if got == s.awaited {
		s.awaited = ""
		return
	}
	expected, found := fmt.Sprintf("%q", s.awaited), fmt.Sprintf("%q", got)
	if s.awaited == "" {
		expected = "no answer"
	}
	if acc.exists {
		found += " to " + s.name
	}
	if acc.blocked {
		expected += fmt.Sprintf(", %s after the third wrong password", a.clock.ElapsedAt(at)-acc.since)
	}
	v.violate(broken(acc, s.awaited, got), at, -1, expected, found)
	s.awaited = ""
}

// broken names the invariant that an unexpected answer breaks.
func broken(acc *account, awaited, got string) Invariant {
	switch {
	case acc.blocked && got == protocol.Welcome:
		return NoWelcomeDuringBlock
	case awaited == protocol.NowBlocked:
		return ThirdWrongBlocks
	case got == protocol.IsBlocked, acc.blocked && got != protocol.NowBlocked:
		return BlockLastsExactly
	default:
		return ThirdWrongBlocks
	}
}
