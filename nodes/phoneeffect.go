package nodes

import (
	"fmt"
	"strings"
	"time"

	"bluetrace/protocol"
)

// PhoneEffectKind is the kind of a PhoneEffect and decides which of its fields
// are set.
type PhoneEffectKind uint8

// Kinds of a PhoneEffect, each with the fields that it sets.
const (
	PhoneConnect    PhoneEffectKind = iota // open the TCP connection to the server
	PhoneSendTCP                           // Bytes, in one write
	PhoneCloseTCP                          // send pending bytes, then close
	PhoneSendBeacon                        // To, Form, Raw
	PhonePrompt                            // Text, without a line end
	PhonePrint                             // Text
	PhoneJudged                            // From, OutOfTurn, Raw, HasVersion, Err, FirstPart, At
	PhoneExpired                           // Expired
	PhoneDone                              // Op, Outcome, Began, Entries
	PhoneQuit                              // the program ends
)

func (k PhoneEffectKind) String() string {
	return protocol.NameOf(k, "connect", "send", "close", "send beacon", "prompt", "print", "judged", "expired", "done",
		"quit")
}

// Operation is a request of a phone to the server.
type Operation uint8

// The operations.
const (
	OpLogin Operation = iota
	OpDownload
	OpUpload
	OpLogout
)

func (o Operation) String() string {
	return protocol.NameOf(o, "login", "download", "upload", "logout")
}

// Outcome is the result of an operation.
type Outcome uint8

// The outcomes.
const (
	OutcomeOK               Outcome = iota
	OutcomeWrongPassword            // the server asks for another password
	OutcomeBlocked                  // the server sent one of the two texts about a block
	OutcomeNoAnswer                 // no answer within AnswerLimit
	OutcomeConnectionLost           // refused, closed, or never established
	OutcomeUnexpectedAnswer         // an answer that the protocol does not have
)

func (o Outcome) String() string {
	return protocol.NameOf(o, "ok", "wrong password", "blocked", "no answer", "connection lost", "strange answer")
}

// PhoneEffect is one action for the host, or one report to it. Fields that
// belong to other kinds have no meaning.
type PhoneEffect struct {
	Kind PhoneEffectKind

	// Fields of PhoneSendBeacon. Raw is the whole encoded beacon. If Form is
	// Split, the host sends its four parts (protocol.Part) in order from one
	// port.
	Form protocol.Form
	To   protocol.Address

	// Fields of PhoneJudged. A nil Err means that the beacon is valid and in the
	// log. Raw has no meaning if OutOfTurn is set.
	OutOfTurn  bool
	HasVersion bool // the fourth part arrived
	From       protocol.Address
	Raw        [protocol.BeaconSize]byte
	Err        error
	FirstPart  time.Duration // elapsed time at which the first part arrived
	At         Now           // time of the verdict

	// Fields of PhoneDone. Began is the elapsed time at which the request was first
	// sent; for a login, the password. If nothing was sent it is the time of the
	// failure.
	Op      Operation
	Outcome Outcome
	Began   time.Duration
	Entries int // number of entries of an upload

	Expired int    // PhoneExpired: number of entries that left the log
	Bytes   []byte // PhoneSendTCP; valid until the phone's next input
	Text    string // PhonePrompt, PhonePrint: one or more lines, without the last line feed
}

// PhoneOutbox collects the effects of inputs in order. The host empties it with Effects
// = Effects[:0] and may then use it again, for any phone.
type PhoneOutbox struct {
	Effects   []PhoneEffect
	assembled []protocol.Assembled
}

// add appends an effect with all other fields zero.
func (o *PhoneOutbox) add(kind PhoneEffectKind) *PhoneEffect {
	o.Effects = append(o.Effects, PhoneEffect{})
	e := &o.Effects[len(o.Effects)-1]
	e.Kind = kind
	return e
}

// addUncleared appends an effect without clearing its other fields, which keep the
// values of an earlier effect. The hot path sets every field of the kind that it adds,
// and saves the time to clear 200 bytes.
func (o *PhoneOutbox) addUncleared(kind PhoneEffectKind) *PhoneEffect {
	n := len(o.Effects)
	if n == cap(o.Effects) {
		return o.add(kind)
	}
	o.Effects = o.Effects[:n+1]
	e := &o.Effects[n]
	e.Kind = kind
	return e
}

func (o *PhoneOutbox) send(text string) { o.add(PhoneSendTCP).Bytes = []byte(text) }

func (o *PhoneOutbox) done(op Operation, outcome Outcome, began time.Duration, entries int) {
	e := o.add(PhoneDone)
	e.Op, e.Outcome, e.Began, e.Entries = op, outcome, began, entries
}

// Texts of a phone's terminal (PROTOCOL.md sections 3 and 4).
const (
	promptUsername = "Username: "
	promptPassword = "Password: "
	promptCommand  = "input the command: "

	textNoTempID    = "you do not have valid tempid"
	textBadBeacon   = "can't send the beacon"
	textBadCommand  = "Error. Invalid command"
	textLoggedOut   = "you have logged out"
	textValid       = "The beacon is valid."
	textInvalid     = "The beacon is invalid."
	textCurrentTime = "Current time is:"

	textNoConnection = "cannot connect to the server: "
	textUnexpected   = "strange answer from the server: "
	textNoAnswer     = "no answer from the server"
	textLost         = "the server closed the connection"
	textLostUpload   = "the connection ended in the middle of the upload"
	textNotConnected = "not connected to the server: start the client again to log in"
	textTooLong      = "what was typed is longer than a message of 1024 bytes"
	textQueueFull    = "too many lines typed ahead: this one is dropped"
)

// Contact returns the entry of the contact log for a PhoneJudged with a nil Err.
func (e *PhoneEffect) Contact() StoredContact {
	raw := e.Raw
	raw[protocol.BeaconSize-1] = protocol.Version // the fourth part may never have come
	b, err := protocol.DecodeBeacon(raw[:])
	if err != nil {
		panic(fmt.Sprintf("a valid beacon %q: %v", e.Raw, err))
	}
	return StoredContact{Beacon: b, Received: e.At.Wall}
}

// AppendText appends the lines that a terminal shows of a PhoneSendBeacon, PhonePrint
// or PhoneJudged, each with a line feed. It appends nothing for other kinds. Times are
// shown as local times of z. Malformed fields of a beacon are quoted.
func (e *PhoneEffect) AppendText(dst []byte, z *protocol.Zone) []byte {
	switch e.Kind {
	case PhonePrint:
		return append(append(dst, e.Text...), '\n')
	case PhoneSendBeacon:
		return appendFields(dst, &e.Raw)
	case PhoneJudged:
		return e.appendVerdict(dst, z)
	}
	return dst
}

// IsConnectionMessage reports whether the effect is a PhonePrint about the
// connection to the server, which is not a reply to a typed line.
func (e *PhoneEffect) IsConnectionMessage() bool {
	if e.Kind != PhonePrint {
		return false
	}
	switch e.Text {
	case textNoAnswer, textLost, textLostUpload:
		return true
	}
	return strings.HasPrefix(e.Text, textNoConnection) || strings.HasPrefix(e.Text, textUnexpected)
}

func (e *PhoneEffect) appendVerdict(dst []byte, z *protocol.Zone) []byte {
	if e.OutOfTurn {
		return append(dst, textInvalid+"\n"...)
	}
	dst = appendFields(dst, &e.Raw)
	dst = append(dst, textCurrentTime+"\n"...)
	dst = append(z.Local(e.At.Unix()).Append(dst), '\n')
	if e.Err != nil {
		return append(dst, textInvalid+"\n"...)
	}
	return append(dst, textValid+"\n"...)
}

// appendFields appends the TempID, the start and the expiry of a beacon, a line
// each.
func appendFields(dst []byte, raw *[protocol.BeaconSize]byte) []byte {
	dst = append(appendTempID(dst, protocol.Part(raw, 0)), '\n')
	dst = append(appendTime(dst, protocol.Part(raw, 1)), '\n')
	return append(appendTime(dst, protocol.Part(raw, 2)), '\n')
}

func appendTempID(dst, field []byte) []byte {
	_, err := protocol.ParseTempID(field)
	return protocol.AppendField(dst, field, err == nil)
}

func appendTime(dst, field []byte) []byte {
	_, err := protocol.ParseTime(field)
	return protocol.AppendField(dst, field, err == nil)
}
