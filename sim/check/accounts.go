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

	clock world.NodeClock // the server's
	// failing: what an unknown name came to could not be saved, so that a crash
	// forgets it.
	failing bool
}

// account is what the model knows of one name.
type account struct {
	password string
	exists   bool
	wrong    int
	blocked  bool
	since    time.Duration // of the block, by the server's clock
	until    int64         // its end on the wall, for a server that is started again
	// asked counts writes that are under way, unsaved says that the last one failed.
	asked   int
	unsaved bool
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
	readWall int64 // by the server's clock
	// silent is the account on which a joined username and password was counted
	// without an answer.
	silent *account
	whole  string // the joined read of what was perhaps no welcome
	upload uploading
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
			a.joined(at, s)
		}
		s.account = a.named(s.name)
	case atPassword:
		if s.whole != "" { // there was no answer
			s.name, s.whole = s.whole, ""
			s.account = a.named(s.name)
		}
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
		right := s.name[n:] == acc.password
		switch {
		case free && right:
			s.refused(acc)
			s.name = s.name[:n]
			s.account = acc
			s.awaited = a.attempt(at, acc, acc.password)
			s.epoch = acc.epoch
		case free:
			a.attempt(at, acc, "")
			s.silent = acc
		case right && acc.unsure: // the block may not have been saved: the answer tells
			s.refused(acc)
			s.name = s.name[:n]
		}
		return
	}
}

// refused keeps the read by which a session is known if its right password was
// not looked at, which nobody can tell before the next read or answer.
func (s *session) refused(acc *account) {
	if acc.unsure {
		s.whole = s.name
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
		a.block(read, acc)
		acc.unsure = false
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
	for _, acc := range a.known {
		acc.forget(acc.unsaved)
	}
	for _, acc := range a.unknown {
		acc.forget(a.failing)
	}
}

// forget: of what was not saved, nobody knows what the disk has.
func (acc *account) forget(unsaved bool) {
	if acc.asked > 0 || unsaved {
		acc.unsure = true
	}
	acc.asked, acc.unsaved = 0, false
}

// started: blocks go on by wall time, with what is left of them, never less than
// nothing nor more than a whole one (PROTOCOL.md section 1, Two clocks).
func (a *accounts) started(at int64) {
	a.failing = false
	for _, acc := range a.known {
		a.resume(at, acc)
	}
	for _, acc := range a.unknown {
		a.resume(at, acc)
	}
}

func (a *accounts) resume(at int64, acc *account) {
	if !acc.blocked {
		return
	}
	full := a.v.rules.BlockDuration
	left := min(max(time.Duration(acc.until-a.clock.WallAt(at)), 0), full)
	acc.since = a.clock.ElapsedAt(at) - (full - left)
}

// stores follows what the server saves of its accounts: begun, or done with an
// error.
func (a *accounts) stores(records []nodes.Record, begun bool, err error) {
	for i := range records {
		r := &records[i]
		if r.Kind != nodes.RecordAttempts {
			continue
		}
		acc := a.known[r.Attempts.User]
		switch {
		case !r.Attempts.Known || acc == nil:
			a.failing = a.failing || err != nil
		case begun:
			acc.asked++
		default:
			acc.asked = max(acc.asked-1, 0)
			acc.unsaved = err != nil
		}
	}
}
