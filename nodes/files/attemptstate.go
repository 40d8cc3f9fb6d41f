package files

import (
	"maps"
	"slices"

	"bluetrace/nodes"
)

// maxUnknown is how many names without an account are kept, as in the server's
// memory (PROTOCOL.md section 2).
const maxUnknown = 65_536

// attemptState is the last state of every name, as attempts.txt has it or would
// have it.
type attemptState struct {
	known   map[string]nodes.Attempts
	unknown map[[16]byte]nodes.Attempts
	order   [][16]byte // of unknown, by first attempt; a ring once it is full
	oldest  int
}

func newAttemptState() attemptState {
	return attemptState{known: map[string]nodes.Attempts{}, unknown: map[[16]byte]nodes.Attempts{}}
}

// put replaces the state of one name; of the unknown ones, the oldest goes.
func (s *attemptState) put(a *nodes.Attempts) {
	if a.Known {
		if a.Wrong == 0 && a.BlockedUntil == 0 {
			delete(s.known, a.User)
			return
		}
		s.known[a.User] = *a
		return
	}
	if _, ok := s.unknown[a.Hash]; !ok {
		s.makeRoom(a.Hash)
	}
	s.unknown[a.Hash] = *a
}

func (s *attemptState) makeRoom(hash [16]byte) {
	if len(s.order) < maxUnknown {
		s.order = append(s.order, hash)
		return
	}
	delete(s.unknown, s.order[s.oldest])
	s.order[s.oldest] = hash
	s.oldest = (s.oldest + 1) % maxUnknown
}

// last is the state of the name that a is about; false: it is forgotten.
func (s *attemptState) last(n attemptName) (nodes.Attempts, bool) {
	if !n.known {
		a, ok := s.unknown[n.hash]
		return a, ok
	}
	a, ok := s.known[n.user]
	if !ok {
		a = nodes.Attempts{Known: true, User: n.user}
	}
	return a, true
}

// attemptName is whom an Attempts is about.
type attemptName struct {
	known bool
	user  string
	hash  [16]byte
}

func nameOf(a *nodes.Attempts) attemptName {
	return attemptName{known: a.Known, user: a.User, hash: a.Hash}
}

func (s *attemptState) len() int { return len(s.known) + len(s.unknown) }

// each hands out every state: the known names in their order, the unknown ones
// from the oldest on.
func (s *attemptState) each(do func(*nodes.Attempts) error) error {
	for _, user := range slices.Sorted(maps.Keys(s.known)) {
		a := s.known[user]
		if err := do(&a); err != nil {
			return err
		}
	}
	for i := range s.order {
		a := s.unknown[s.order[(s.oldest+i)%len(s.order)]]
		if err := do(&a); err != nil {
			return err
		}
	}
	return nil
}
