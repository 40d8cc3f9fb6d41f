package nodes

import (
	"encoding/binary"
	"fmt"
	"time"
)

// unsaved schedules the stores of attempts for which no session waits: of attempts that
// get no answer, and of attempts that the host could not store.
type unsaved struct {
	postponed []string // users with attempts that no store was asked for yet
	failed    bool     // the last store of attempts failed
	armed     bool     // there is a next store, at the elapsed time at
	at        time.Duration
}

const (
	// retrySaving is the time from a failed store of attempts to the next try.
	retrySaving = time.Second
	// An attempt without an answer is stored together with the next attempt of any name.
	// Without one it is stored after postponeLeast to postponeLeast + postponeRange.
	postponeLeast = 250 * time.Millisecond
	postponeRange = time.Second
)

func (u *unsaved) arm(at time.Duration) {
	if !u.armed || at < u.at {
		u.armed, u.at = true, at
	}
}

// postpone has the attempts of the known name n stored later. If the disk were written
// now, then the next attempt of the session would wait for it, which would reveal that the
// name exists. The time of the store varies with hash, so that no other session can wait
// for it either.
func (a *accounts) postpone(now Now, n *name, hash [16]byte) {
	if t := a.attemptsOf(n); !t.postponed {
		t.postponed = true
		a.unsaved.postponed = append(a.unsaved.postponed, n.user)
	}
	random := time.Duration(binary.LittleEndian.Uint32(hash[:4]))
	a.unsaved.arm(later(now.Elapsed, postponeLeast+random*postponeRange>>32))
}

// takePostponed returns the records of the attempts that were postponed.
func (a *accounts) takePostponed(now Now) []Record {
	u := &a.unsaved
	if len(u.postponed) == 0 {
		return nil
	}
	records := make([]Record, 0, len(u.postponed)+1)
	for _, user := range u.postponed {
		n := name{user: user, known: true}
		a.attemptsOf(&n).postponed = false
		records = append(records, a.record(now, &n))
	}
	u.postponed, u.armed = nil, u.failed
	return records
}

// finish schedules the next try after the result err of a store of attempts, for which the
// session of c waits. It prints the first success after a failure, and the first failure if
// no session waits.
func (u *unsaved) finish(now Now, c Conn, err error, out *ServerOutbox) {
	switch {
	case err != nil:
		if c == NoConn && !u.failed {
			out.print(fmt.Sprintf("attempts could not be saved: %v", err))
		}
		u.failed = true
		u.arm(later(now.Elapsed, retrySaving))
	case u.failed:
		u.failed, u.armed = false, len(u.postponed) > 0
		out.print("the attempts that could not be saved are saved now")
	}
}
