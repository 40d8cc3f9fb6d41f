package nodes

import (
	"fmt"
	"math"

	"bluetrace/protocol"
)

// pending is a promise that waits for the disk.
type pending struct {
	conn   Conn
	user   string // whose record it is; empty: a name without an account
	answer string // one of the texts of a login, or empty: none
	issue  Issue
	issues bool // the promise is issue, not answer
}

// store asks the host for one record; the session waits until it is answered.
func (s *Server) store(c Conn, r Record, p pending, out *ServerOutbox) {
	s.lastStore++
	p.conn = c
	s.pending[s.lastStore] = p
	s.connections[c].storing = s.lastStore
	out.Effects = append(out.Effects, ServerEffect{Kind: EffectStore, Conn: c, Store: s.lastStore, Records: []Record{r}})
}

// storeAttempts stores the whole state of a name as memory has it now.
func (s *Server) storeAttempts(now Now, c Conn, n *name, p pending, out *ServerOutbox) {
	a := s.accounts.of(n)
	r := Attempts{Known: n.known, User: n.user, Hash: n.hash, Wrong: a.wrong}
	if a.blocked {
		r.BlockDuration = s.settings.BlockDuration
		r.BlockedUntil = now.Wall + int64(r.BlockDuration)
		if r.BlockedUntil < now.Wall {
			r.BlockedUntil = math.MaxInt64
		}
	}
	p.user = n.user
	s.store(c, Record{Kind: RecordAttempts, Attempts: r}, p, out)
}

// storeReset stores that a name has no wrong passwords and no block, for whoever is
// to be welcomed then. Until that is saved it waits for every right password.
func (s *Server) storeReset(now Now, c Conn, n *name, out *ServerOutbox) {
	s.storeAttempts(now, c, n, pending{answer: protocol.Welcome}, out)
	s.accounts.of(n).cleared = s.lastStore
}

// Stored answers an EffectStore: its records are durable, or err says why not.
// Attempts count in memory either way and their answer goes out; a TempID that
// could not be stored reaches nobody. It panics on an id that is not waited for.
func (s *Server) Stored(now Now, id StoreID, err error, out *ServerOutbox) {
	s.begin(now, out)
	p, ok := s.pending[id]
	if !ok {
		panic(fmt.Sprintf("store %d: stored, but nothing waits for it (last: %d)", id, s.lastStore))
	}
	delete(s.pending, id)
	waits := s.open(p.conn) && s.connections[p.conn].storing == id
	if waits {
		s.connections[p.conn].storing = 0
	}
	if p.issues {
		s.issued(p, err, waits, out)
	} else {
		if a := s.accounts.known[p.user]; err == nil && a != nil && a.cleared == id {
			a.stale, a.cleared = false, 0
		}
		s.attempted(now, p, err, waits, out)
	}
	s.advance(now, p.conn, out)
}

// attempted sends the answer to a login.
func (s *Server) attempted(now Now, p pending, err error, waits bool, out *ServerOutbox) {
	if err != nil {
		whose := p.user
		if whose == "" {
			whose = "an unknown name"
		}
		out.print(fmt.Sprintf("attempts of %s could not be saved: %v", whose, err))
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

// welcomeUnlessBlocked: while the disk was busy, other connections may have
// blocked the account, and nobody is welcomed during a block.
func (s *Server) welcomeUnlessBlocked(now Now, c Conn, out *ServerOutbox) {
	x := &s.connections[c]
	if !s.accounts.of(&x.name).blockedAt(now.Elapsed) {
		s.welcome(now, c, out)
		return
	}
	out.event(c, ServerEvent{Kind: EventRefused, User: x.name.user, Reason: ReasonBlocked})
	s.send(c, protocol.IsBlocked, out)
	s.end(c, ReasonBlocked, out)
}
