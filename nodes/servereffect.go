package nodes

import (
	"time"

	"bluetrace/protocol"
)

// Conn identifies one TCP connection of the server. The host assigns small dense
// numbers and reuses one only after its EffectClose.
type Conn uint32

// NoConn is the Conn of an EffectStore for which no session waits.
const NoConn = ^Conn(0)

// StoreID identifies one EffectStore.
type StoreID uint64

// ServerEffectKind is the kind of a ServerEffect and decides which of its fields
// are set.
type ServerEffectKind uint8

// Kinds of a ServerEffect, each with the fields that it sets.
const (
	EffectSend  ServerEffectKind = iota // Conn, Bytes: send in one write
	EffectClose                         // Conn: send pending bytes, then close; exactly one for every session
	EffectPrint                         // Text
	EffectStore                         // Conn or NoConn, Store, Records: store durably, then call Stored
	EffectEvent                         // Conn, Event
)

func (k ServerEffectKind) String() string {
	return protocol.NameOf(k, "send", "close", "print", "store", "event")
}

// ServerEffect is one action for the host, or one report to it.
type ServerEffect struct {
	Kind    ServerEffectKind
	Conn    Conn
	Bytes   []byte // valid until the server's next input
	Text    string // one or more lines joined by line feeds, without the last line feed
	Store   StoreID
	Records []Record // one issue, or one or more of the other kinds; all are stored, or none
	Event   ServerEvent
}

// ServerOutbox collects effects in order. The host empties it with
// Effects = Effects[:0] and may use it again.
type ServerOutbox struct {
	Effects []ServerEffect
}

// ServerEventKind is the kind of a ServerEvent.
type ServerEventKind uint8

// Kinds of a ServerEvent. All set User; each comment names the other fields that are set.
const (
	EventLoggedIn      ServerEventKind = iota // no other; the welcome was sent
	EventWrongPassword                        // Reason or "": the attempt counts; comes before EventBlockBegan too
	EventBlockBegan                           // Reason or "": the attempt begins a block
	EventRefused                              // Reason: an attempt during a block
	EventIssued                               // TempID: it is stored, so that it resolves
	EventNotIssued                            // TempID: it could not be stored
	EventUploadDone                           // Entries, Resolved
	EventUploadBroken                         // Entries: complete ones that arrived; Lines, Announced, Reason
	EventSkipped                              // Entries: number of bytes that were no command
	EventSessionEnded                         // Reason
)

func (k ServerEventKind) String() string {
	return protocol.NameOf(k, "logged in", "wrong password", "block began", "refused", "issued", "not issued",
		"upload done", "upload broken", "skipped", "session ended")
}

// Reasons of a ServerEvent.
const (
	ReasonLogout       = "logout"        // the session sent log out
	ReasonEOF          = "end of file"   // the peer closed the connection, or it broke
	ReasonLoginTimeout = "login timeout" // not logged in within LoginTimeout
	ReasonIdleTimeout  = "idle timeout"  // no input for IdleTimeout
	ReasonBlocked      = "blocked"       // the account is blocked
	ReasonCount        = "bad count"     // an upload announced an invalid count
	ReasonTooMany      = "too many"      // MaxConnections is reached, and the session was least needed (Accept)
	ReasonUploadBytes  = "uploads"       // MaxUploadBytes is reached, and its upload was the largest
	ReasonJoined       = "joined"        // a username and a wrong password in one read, not answered
)

// ServerEvent reports a decision of the server, for metrics and checks.
type ServerEvent struct {
	Kind     ServerEventKind
	User     string // empty for a name without an account
	TempID   protocol.TempID
	Entries  int    // of an upload; for EventSkipped, a number of bytes
	Resolved int    // entries whose TempID this server issued
	Reason   string // one of the reasons above, or empty
	// Lines is the number of lines that arrived of an incomplete upload. Announced is
	// the number that its count announced, or 0 if the upload ended before its count.
	Lines, Announced int
}

func (o *ServerOutbox) print(text string) {
	o.Effects = append(o.Effects, ServerEffect{Kind: EffectPrint, Text: text})
}

func (o *ServerOutbox) event(c Conn, e ServerEvent) {
	o.Effects = append(o.Effects, ServerEffect{Kind: EffectEvent, Conn: c, Event: e})
}

// RecordKind is the kind of a Record.
type RecordKind uint8

// Kinds of a Record, each with the field of the same name.
const (
	RecordIssue RecordKind = iota
	RecordAttempts
	RecordUnsaved // no field: all attempts that could not be stored
)

// Record is one line of a file of the server, which survives a restart. RecordUnsaved
// stands for lines that the host has been asked to store before, and could not. Also
// without such a record, the host stores them together with any RecordAttempts.
type Record struct {
	Kind     RecordKind
	Issue    Issue    // if Kind is RecordIssue
	Attempts Attempts // if Kind is RecordAttempts
}

// Issue is one TempID that the server issued. The times are those of the server's
// clock.
type Issue struct {
	User          string
	TempID        protocol.TempID
	Start, Expiry int64 // Unix seconds
}

// Attempts is the complete state of one name after an attempt. A later record of the
// same name replaces an earlier one.
type Attempts struct {
	Known bool     // the name has or had an account
	User  string   // if Known
	Hash  [16]byte // if not Known: the keyed hash of the name
	// Wrong is the number of consecutive wrong passwords, 0 after a block began.
	Wrong int
	// BlockedUntil is the end of the block in Unix nanoseconds, or 0 without a
	// block.
	BlockedUntil int64
	// BlockDuration is the full length of the block, the upper bound of its
	// remainder.
	BlockDuration time.Duration
}
