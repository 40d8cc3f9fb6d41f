package nodes

import (
	"time"

	"bluetrace/protocol"
)

// RecordKind says which half of a Record is meant.
type RecordKind uint8

// The two kinds of a Record.
const (
	RecordIssue RecordKind = iota
	RecordAttempts
)

// Record is what survives a restart of the server: one line of a file.
type Record struct {
	Kind     RecordKind
	Issue    Issue    // when Kind is RecordIssue
	Attempts Attempts // when Kind is RecordAttempts
}

// Issue is one TempID that the server gave out, by its own clock.
type Issue struct {
	User          string
	TempID        protocol.TempID
	Start, Expiry int64 // Unix seconds
}

// Attempts is the whole state of one name after an attempt; a later record of
// the same name replaces it.
type Attempts struct {
	Known bool     // the name has or had an account
	User  string   // when Known
	Hash  [16]byte // when not Known: the keyed hash of the name
	// Wrong counts consecutive wrong passwords; 0 when a block began.
	Wrong int
	// BlockedUntil is the end of the block, Unix nanoseconds; 0: none.
	BlockedUntil int64
	// BlockDuration is the full length of that block, above which its remainder
	// never goes.
	BlockDuration time.Duration
}
