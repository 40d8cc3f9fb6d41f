package check

import (
	"fmt"
	"slices"
	"time"

	"bluetrace/nodes"
)

// count is what a server has of a name, in its memory or on its disk.
type count struct {
	wrong   int
	blocked bool
	since   time.Duration // of the block, by the server's clock
	until   int64         // its end on the wall, for a server that is started again
}

// state is what an account may have come to. A kill may leave several open; each
// answer leaves those that it fits.
type state struct {
	count
	// disk is what a restart may find: the first, which was surely saved, or one of
	// those behind it, which are being saved or could not be.
	disk    []saving
	answers []answer // that must come
}

// saving is what the disk was told of an attempt; nth is 0 for what was there at
// the start.
type saving struct {
	count
	nth int
}

type answer struct {
	nth  int
	text string // "" is none
}

// begun are the states of an account that has at least one.
func (acc *account) begun() []state {
	if len(acc.states) == 0 {
		acc.states = []state{foundOnDisk(count{})}
	}
	return acc.states
}

func foundOnDisk(c count) state { return state{count: c, disk: []saving{{count: c}}} }

// only leaves the states that fit; false: none does, and all stay.
func (a *accounts) only(acc *account, fits func(*state) bool) bool {
	fit := make([]state, 0, 1)
	for i := range acc.states {
		if fits(&acc.states[i]) {
			fit = append(fit, acc.states[i])
		}
	}
	if len(fit) == 0 {
		return false
	}
	acc.states = fit
	return true
}

// done forgets an answer that nobody awaits any more.
func (acc *account) done(nth int) {
	for i := range acc.states {
		st := &acc.states[i]
		st.answers = slices.DeleteFunc(st.answers, func(w answer) bool { return w.nth == nth })
	}
}

// unsaid: where the account is blocked, what came joined is a name that nobody
// has, and gets no answer.
func (acc *account) unsaid(nth int) {
	for i := range acc.states {
		if st := &acc.states[i]; st.blocked {
			st.answers[len(st.answers)-1] = answer{nth, ""}
		}
	}
}

// answered: an attempt is on the disk before its answer goes out, unless it could
// not be saved (PROTOCOL.md section 2).
func (acc *account) answered(nth int) {
	if nth > acc.unsaved {
		acc.saved(nth)
	}
}

// saved: the disk has what it was told of an attempt, and nothing older.
func (acc *account) saved(nth int) {
	for i := range acc.states {
		st := &acc.states[i]
		last := 0
		for last+1 < len(st.disk) && st.disk[last+1].nth <= nth {
			last++
		}
		st.disk = slices.Delete(st.disk, 0, last)
	}
}

// settle forgets what makes no difference.
func (acc *account) settle() {
	var some []state
	for i := range acc.states {
		st := &acc.states[i]
		if !slices.ContainsFunc(some, st.same) {
			some = append(some, *st)
		}
	}
	acc.states = some
	if len(some) == 1 && some[0].count == (count{}) && len(some[0].disk) == 1 && some[0].disk[0].count == (count{}) && len(some[0].answers) == 0 {
		acc.states = nil
	}
}

func (st *state) same(other state) bool {
	return st.count == other.count && slices.Equal(st.disk, other.disk) && slices.Equal(st.answers, other.answers)
}

// restarted: the sessions are gone. Of each account the next server finds
// something that its disk may have.
func (a *accounts) restarted() {
	clear(a.sessions)
	for _, acc := range a.known {
		acc.restart()
	}
	for _, acc := range a.unknown {
		acc.restart()
	}
	a.stores, a.failed, a.tried = nil, nil, nil
}

func (acc *account) restart() {
	var found []state
	for i := range acc.states {
		for _, d := range acc.states[i].disk {
			if !slices.ContainsFunc(found, func(st state) bool { return st.count == d.count }) {
				found = append(found, foundOnDisk(d.count))
			}
		}
	}
	acc.states, acc.unsaved = found, 0
	acc.settle()
}

// started: blocks go on by wall time, with what is left of them, never less than
// nothing nor more than a whole one (PROTOCOL.md section 1, Two clocks).
func (a *accounts) started(at int64) {
	for _, acc := range a.known {
		a.resume(at, acc)
	}
	for _, acc := range a.unknown {
		a.resume(at, acc)
	}
}

func (a *accounts) resume(at int64, acc *account) {
	full, now := a.v.rules.BlockDuration, a.clock.ElapsedAt(at)
	for i := range acc.states {
		if c := &acc.states[i].count; c.blocked {
			left := min(max(time.Duration(c.until-a.clock.WallAt(at)), 0), full)
			c.since = now - (full - left)
		}
	}
}

// storing is an attempt that is on its way to the disk.
type storing struct {
	account *account // nil: it is not followed
	nth     int
}

// storeAsked follows what the server wants saved: the attempt that was read last.
func (a *accounts) storeAsked(records []nodes.Record) {
	for i := range records {
		r := &records[i].Attempts
		if records[i].Kind != nodes.RecordAttempts {
			continue
		}
		s := storing{account: a.tried}
		if r.Known {
			s.account = a.known[r.User]
		}
		if s.account != nil {
			s.nth = s.account.attempts
		}
		a.stores = append(a.stores, s)
	}
}

// storeDone follows what came of it. What could not be saved goes with the next
// that is saved, of whichever name.
func (a *accounts) storeDone(records []nodes.Record, err error) {
	for i := range records {
		if records[i].Kind != nodes.RecordAttempts || len(a.stores) == 0 {
			continue
		}
		s := a.stores[0]
		a.stores = a.stores[1:]
		if err != nil {
			a.fails(s)
			continue
		}
		for _, acc := range a.failed {
			acc.saved(acc.unsaved)
			acc.unsaved = 0
		}
		a.failed = a.failed[:0]
		if s.account != nil {
			s.account.saved(s.nth)
		}
	}
}

func (a *accounts) fails(s storing) {
	if s.account == nil {
		return
	}
	if s.account.unsaved == 0 {
		a.failed = append(a.failed, s.account)
	}
	s.account.unsaved = s.nth
}

// storeAnswered: whoever waits for an attempt to be saved has been answered.
func (a *accounts) storeAnswered(at int64, s *session) {
	if s.stage != atPassword || s.account == nil || s.nth == 0 {
		return
	}
	a.v.times[PasswordsAnswered]++
	none := func(st *state) bool { return a.due(at, st, s.nth) == "" }
	if !a.only(s.account, none) {
		a.v.violate(PasswordsAnswered, at, -1, fmt.Sprintf("%q to %s", a.due(at, &s.account.states[0], s.nth), s.name), "no answer")
	}
}
