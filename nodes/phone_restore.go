package nodes

import (
	"time"

	"bluetrace/protocol"
)

// Kept is an entry of a contact log as it survives a restart of the phone.
type StoredContact struct {
	TempID        protocol.TempID
	Start, Expiry protocol.LocalTime
	Received      int64 // wall time of the verdict, Unix nanoseconds
}

// Restore gives a phone what an earlier program of it had kept, in order of
// arrival; it is called once, after Init and before any input. The retention of
// an entry goes on by wall time: what is left of it is never below zero nor above
// its full length, nor more than what is left of an entry that arrived later
// (PROTOCOL.md section 1, Two clocks). What is past it is dropped, and so are the
// oldest beyond MaxEntries. It panics
// when the phone has received something already.
func (p *Phone) Restore(now Now, kept []StoredContact) {
	if p.log.Len() > 0 {
		panic("restoring a contact log: it has entries already")
	}
	full := p.settings.Retention
	age := make([]time.Duration, len(kept))
	least := time.Duration(0)
	for i := len(kept) - 1; i >= 0; i-- {
		least = max(least, full-remainder(int64(later(time.Duration(kept[i].Received), full)), now.Wall, full))
		age[i] = least
	}
	for i := range kept {
		if age[i] >= full {
			continue
		}
		if limit := p.settings.MaxEntries; limit > 0 && p.log.Len() == limit {
			p.log.dropOldest()
		}
		k := &kept[i]
		p.log.push(&protocol.Beacon{TempID: k.TempID, Start: k.Start, Expiry: k.Expiry}, now.Elapsed-age[i])
	}
}
