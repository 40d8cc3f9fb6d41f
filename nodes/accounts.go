package nodes

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"time"
)

// Credential is one line of credentials.txt.
type Credential struct{ User, Password string }

// accounts holds who may log in, and the attempts of every name that was tried.
type accounts struct {
	passwords map[string][sha256.Size]byte // of the names that may log in now
	known     map[string]*attempts         // of names that have or had an account; never forgotten
	unknown   unknownNames
	key       [32]byte
}

// attempts is what the server remembers of one name (PROTOCOL.md section 2).
type attempts struct {
	wrong   int // consecutive wrong passwords
	blocked bool
	stale   bool          // the disk may have wrong passwords, or a block, that memory does not have any more
	until   time.Duration // elapsed time of the end of the block
	cleared StoreID       // the store that tells the disk so, while stale; 0: none is under way
}

// blockedAt is true while now < until. The end of a block is fixed when it
// begins, and so is the count at its end: zero.
func (a *attempts) blockedAt(now time.Duration) bool {
	if a.blocked && now >= a.until {
		a.blocked, a.stale = false, true
	}
	return a.blocked
}

// name is what a session knows of whom it talks to.
type name struct {
	user  string // when known
	known bool
	hash  [16]byte // when not known
}

func newAccounts(key [32]byte, maxUnknown int) accounts {
	return accounts{
		passwords: map[string][sha256.Size]byte{},
		known:     map[string]*attempts{},
		unknown:   unknownNames{limit: maxUnknown, index: map[[16]byte]*attempts{}},
		key:       key,
	}
}

// SetCredentials replaces who may log in; of two lines of one user the last
// counts. Attempts and blocks of accounts go on, also of those that vanish and
// come back, and TempIDs of accounts that vanish still resolve.
func (s *Server) SetCredentials(list []Credential) {
	s.accounts.passwords = make(map[string][sha256.Size]byte, len(list))
	for _, c := range list {
		s.accounts.passwords[c.User] = sha256.Sum256([]byte(c.Password))
	}
}

func (a *accounts) has(user []byte) bool {
	_, ok := a.passwords[string(user)]
	return ok
}

// nameOf takes the same time whether the name has an account or not.
func (a *accounts) nameOf(read []byte) name {
	n := a.stranger(read)
	if a.has(read) {
		n = name{user: string(read), known: true}
	}
	return n
}

// stranger is the name of somebody without an account: not kept in clear, since
// people type passwords there.
func (a *accounts) stranger(read []byte) name {
	mac := hmac.New(sha256.New, a.key[:])
	mac.Write(read)
	return name{hash: [16]byte(mac.Sum(nil)[:16])}
}

// of returns the attempts of a name, begun if there are none.
func (a *accounts) of(n *name) *attempts {
	if !n.known {
		return a.unknown.of(n.hash)
	}
	t := a.known[n.user]
	if t == nil {
		t = &attempts{}
		a.known[n.user] = t
	}
	return t
}

// right compares in a time that tells neither how much of a password is right
// nor whether the name exists.
func (a *accounts) right(n *name, password []byte) bool {
	want, ok := a.passwords[n.user]
	got := sha256.Sum256(password)
	same := subtle.ConstantTimeCompare(want[:], got[:]) == 1
	return same && ok && n.known
}

// restore takes what a former server stored. wall is Unix nanoseconds.
func (a *accounts) restore(now Now, r *Attempts) error {
	if r.Wrong < 0 {
		return fmt.Errorf("restoring attempts of %q: %d wrong passwords", r.User, r.Wrong)
	}
	if r.BlockedUntil != 0 && r.BlockDuration <= 0 {
		return fmt.Errorf("restoring attempts of %q: a block of %v", r.User, r.BlockDuration)
	}
	t := a.of(&name{user: r.User, known: r.Known, hash: r.Hash})
	*t = attempts{wrong: r.Wrong}
	if r.BlockedUntil != 0 {
		left := remainder(r.BlockedUntil, now.Wall, r.BlockDuration)
		*t = attempts{blocked: left > 0, stale: left <= 0, until: later(now.Elapsed, left)}
	}
	return nil
}

// remainder is what is left at wall of a duration that ends at until, both Unix
// nanoseconds: never below zero nor above its full length (PROTOCOL.md section
// 1, Two clocks).
func remainder(until, wall int64, full time.Duration) time.Duration {
	if until <= wall {
		return 0
	}
	left := uint64(until) - uint64(wall) // exact, also where int64 would overflow
	return time.Duration(min(left, uint64(full)))
}
