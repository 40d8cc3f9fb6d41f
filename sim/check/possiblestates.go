package check

import (
	"maps"
	"slices"
	"time"
)

// account is the model of one name. After a kill of the server the contents of its
// disk can be uncertain, so an account has a set of possible states. Each answer
// of the server narrows the set.
type account struct {
	password string
	exists   bool
	attempts int // number of attempts so far; attempts are numbered from 1
	// unsaved is the last attempt that could not be saved; 0 if there is none.
	unsaved int
	// states are the possible states. An empty list stands for the initial state: no wrong
	// password is counted, nothing is being saved, and no answer is awaited.
	states []state
}

// count is the record of wrong passwords, in memory or on disk.
type count struct {
	wrong   int
	blocked bool
	since   time.Duration // begin of the block by the server's clock
	until   int64         // end of the block by wall time, for a restarted server
}

// state is one possible state of an account.
type state struct {
	count
	// disk lists the counts that a restart may find. The first is saved for certain;
	// the others are being saved or could not be saved.
	disk    []storedCount
	answers map[int]string // by attempt: answers that the server has not sent yet; "" if it sends none
}

// storedCount is the count after an attempt; attempt 0 is before the first one.
type storedCount struct {
	count
	attempt int
}

// accepts reports whether a password is the right one.
func (acc *account) accepts(password string) bool { return acc.exists && password == acc.password }

// open returns the states, at least one.
func (acc *account) open() []state {
	if len(acc.states) == 0 {
		acc.states = []state{stateOnDisk(count{})}
	}
	return acc.states
}

// stateOnDisk returns the state of a server that has just read the count from its disk.
func stateOnDisk(c count) state {
	return state{count: c, disk: []storedCount{{count: c}}, answers: map[int]string{}}
}

// restrict removes the states that do not fit. It keeps all and returns false if
// none fits.
func (acc *account) restrict(fits func(*state) bool) bool {
	fitting := make([]state, 0, 1)
	for i := range acc.states {
		if fits(&acc.states[i]) {
			fitting = append(fitting, acc.states[i])
		}
	}
	if len(fitting) == 0 {
		return false
	}
	acc.states = fitting
	return true
}

// removeAnswer removes the awaited answer to an attempt.
func (acc *account) removeAnswer(attempt int) {
	for i := range acc.states {
		delete(acc.states[i].answers, attempt)
	}
}

// dropAnswer removes the expected reply to an attempt in states where the account
// is blocked: there the server treats the joined name and password as an unknown
// user name.
func (acc *account) dropAnswer(attempt int) {
	for i := range acc.states {
		if st := &acc.states[i]; st.blocked {
			st.answers[attempt] = ""
		}
	}
}

// sentAnswer handles the answer to an attempt. Before the server answers, the attempt is
// on disk or could not be saved (PROTOCOL.md section 2).
func (acc *account) sentAnswer(attempt int) {
	if attempt > acc.unsaved {
		acc.saved(attempt)
	}
}

// saved handles an attempt that is now on disk: a restart can no longer find an older
// count.
func (acc *account) saved(attempt int) {
	for i := range acc.states {
		st := &acc.states[i]
		last := 0
		for last+1 < len(st.disk) && st.disk[last+1].attempt <= attempt {
			last++
		}
		st.disk = slices.Delete(st.disk, 0, last)
	}
}

// simplify merges equal states, and drops the last one if it is the initial state.
func (acc *account) simplify() {
	var distinct []state
	for i := range acc.states {
		st := &acc.states[i]
		if !slices.ContainsFunc(distinct, st.equals) {
			distinct = append(distinct, *st)
		}
	}
	acc.states = distinct
	if len(distinct) == 1 && distinct[0].isInitial() {
		acc.states = nil
	}
}

func (st *state) isInitial() bool {
	return st.count == (count{}) && len(st.disk) == 1 && st.disk[0].count == (count{}) && len(st.answers) == 0
}

func (st *state) equals(other state) bool {
	return st.count == other.count && slices.Equal(st.disk, other.disk) && maps.Equal(st.answers, other.answers)
}

// restart replaces the states by one for each count that the disk may hold.
func (acc *account) restart() {
	var found []state
	for i := range acc.states {
		for _, d := range acc.states[i].disk {
			if !slices.ContainsFunc(found, func(st state) bool { return st.count == d.count }) {
				found = append(found, stateOnDisk(d.count))
			}
		}
	}
	acc.states, acc.unsaved = found, 0
	acc.simplify()
}
