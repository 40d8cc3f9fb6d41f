package nodes

import "bluetrace/protocol"

// Conn names one TCP connection of the server. The host gives small dense
// numbers, and uses one again only after its EffectClose.
type Conn uint32

// StoreID names one request to the disk.
type StoreID uint64

// ServerEffectKind says which fields of a ServerEffect are meant.
type ServerEffectKind uint8

// Kinds of a ServerEffect, with the fields that each has.
const (
	EffectSend  ServerEffectKind = iota // Conn, Bytes: one send
	EffectClose                         // Conn: send what is unsent, then close; exactly one for every session
	EffectPrint                         // Text
	EffectStore                         // Conn, Store, Records: make durable, then call Stored
	EffectEvent                         // Conn, Event
)

func (k ServerEffectKind) String() string {
	return nameOf(int(k), "send", "close", "print", "store", "event")
}

// ServerEffect is one thing for the host to do.
type ServerEffect struct {
	Kind    ServerEffectKind
	Conn    Conn
	Bytes   []byte // valid until the server's next call
	Text    string // one or more whole lines joined by \n, without the last \n
	Store   StoreID
	Records []Record // all or nothing
	Event   ServerEvent
}

// ServerOutbox collects effects in order. The host empties it with
// Effects = Effects[:0] and may use it again.
type ServerOutbox struct {
	Effects []ServerEffect
}

// ServerEventKind says what happened.
type ServerEventKind uint8

// Kinds of a ServerEvent, with the fields that each has beside User.
const (
	EventLoggedIn      ServerEventKind = iota // the welcome went out
	EventWrongPassword                        // counted; also before EventBlockBegan
	EventBlockBegan                           // at the moment from which the block lasts
	EventRefused                              // an attempt during a block
	EventIssued                               // TempID: durable, and resolves
	EventNotIssued                            // TempID: could not be saved
	EventUploadDone                           // Entries, Resolved
	EventUploadBroken                         // Entries: complete ones that arrived; Lines, Announced, Reason
	EventSkipped                              // Entries: bytes that were no command
	EventSessionEnded                         // Reason
)

func (k ServerEventKind) String() string {
	return nameOf(int(k), "logged in", "wrong password", "block began", "refused", "issued", "not issued",
		"upload done", "upload broken", "skipped", "session ended")
}

// Reasons of a ServerEvent.
const (
	ReasonLogout       = "logout"        // a session ended by its own command
	ReasonEOF          = "end of file"   // the peer ended, or the connection broke
	ReasonLoginTimeout = "login timeout" // not logged in within LoginTimeout
	ReasonIdleTimeout  = "idle timeout"  // no input for IdleTimeout
	ReasonBlocked      = "blocked"       // the account is blocked
	ReasonCount        = "bad count"     // an upload announced no count it may have
	ReasonTooMany      = "too many"      // there was no room for another, and it was least needed (Accept)
	ReasonUploadBytes  = "uploads"       // MaxUploadBytes is reached, and its upload was the largest
	ReasonJoined       = "joined"        // a name and a wrong password in one read: not answered
)

// ServerEvent is the host's view of what the server decided, for metrics and
// checks.
type ServerEvent struct {
	Kind     ServerEventKind
	User     string // names with an account only
	TempID   protocol.TempID
	Entries  int
	Resolved int
	Reason   string // one of the constants, or empty
	// Lines of Announced lines of an upload arrived; Announced is 0 if the upload ended
	// before its count.
	Lines, Announced int
}

// nameOf is names[i], or its number when there is none.
func nameOf(i int, names ...string) string {
	if i < len(names) {
		return names[i]
	}
	return "unknown"
}
