package check

import (
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// accounts is the model of logins: it reads the same bytes as the server and
// works out what the answer must be (PROTOCOL.md section 2).
type accounts struct {
	v        *Invariants
	known    map[string]*account
	unknown  map[string]*account
	sessions []session
	longest  int // length of the longest known name
}

// account is what the model knows of one name.
type account struct {
	password string
	exists   bool
	wrong    int
	blocked  bool
	since    int64 // of the block
	// unsure: a kill fell between an attempt and its answer, so that its count
	// may or may not have been saved. Answers that were worked out in an epoch
	// before it was settled again say nothing.
	unsure bool
	epoch  int
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
	awaited  string // the answer that must come next; "" is none
	epoch    int    // of the account when that was worked out
	lastRead int64
	// silent is the account on which a joined username and password was counted
	// without an answer.
	silent *account
}

const (
	wrongBeforeBlock = 3
	unknownNames     = 65536
)

func (a *accounts) init(v *Invariants) {
	a.v = v
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
	s.lastRead = at
	switch s.stage {
	case atName:
		s.stage = atPassword
		s.name = string(p)
		if a.known[s.name] == nil {
			a.joined(at, s)
		}
		s.account = a.named(s.name)
	case atPassword:
		if s.account != nil {
			s.awaited = a.attempt(at, s.account, string(p))
			s.epoch = s.account.epoch
		}
	}
}

// joined handles a read that is no name but begins with one.
func (a *accounts) joined(at int64, s *session) {
	for n := min(a.longest, len(s.name)-1); n > 0; n-- {
		acc := a.known[s.name[:n]]
		if acc == nil {
			continue
		}
		free := !a.blockedAt(acc, at)
		if free && s.name[n:] == acc.password {
			s.name = s.name[:n]
			s.account = acc
			s.awaited = a.attempt(at, acc, acc.password)
			s.epoch = acc.epoch
		} else if free {
			a.attempt(at, acc, "")
			s.silent = acc
		}
		return
	}
}

func (a *accounts) blockedAt(acc *account, at int64) bool {
	if acc.blocked && time.Duration(at-acc.since) >= a.v.rules.BlockDuration {
		acc.blocked = false
		acc.wrong = 0
	}
	return acc.blocked
}

// attempt works out the answer to a password.
func (a *accounts) attempt(at int64, acc *account, password string) string {
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
	acc.wrong, acc.blocked, acc.since = 0, true, at
	return protocol.NowBlocked
}

// answered compares the server's answer with the model's.
func (a *accounts) answered(at int64, s *session, p []byte) {
	got := string(p)
	if got == protocol.Welcome {
		defer func() { s.stage = inSession }()
	}
	acc := s.account
	if acc == nil {
		return
	}
	if acc.unsure || s.epoch != acc.epoch {
		a.settle(s.lastRead, acc, got)
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
		expected += fmt.Sprintf(", %s after the third wrong password", time.Duration(at-acc.since))
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

// settle takes the system's word for an account after a kill left its count
// open. The attempt was read at the given time.
func (a *accounts) settle(read int64, acc *account, got string) {
	if !acc.unsure {
		return
	}
	switch got {
	case protocol.Welcome:
		acc.wrong, acc.blocked, acc.unsure = 0, false, false
		acc.epoch++
	case protocol.NowBlocked:
		acc.wrong, acc.blocked, acc.since, acc.unsure = 0, true, read, false
		acc.epoch++
	}
}

// restarted: the sessions are gone, counts and blocks stay; an attempt without
// an answer may or may not have been counted.
func (a *accounts) restarted() {
	for i := range a.sessions {
		s := &a.sessions[i]
		if s.awaited != "" && s.account != nil {
			s.account.unsure = true
		}
		if s.silent != nil {
			s.silent.unsure = true
		}
		a.sessions[i] = session{}
	}
}
