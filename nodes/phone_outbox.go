package nodes

import (
	"time"

	"bluetrace/protocol"
)

// PhoneEffectKind says which fields of a PhoneEffect are meant.
type PhoneEffectKind uint8

// Kinds of a PhoneEffect, with the fields that each has.
const (
	PhoneConnect    PhoneEffectKind = iota // open the TCP connection to the server
	PhoneSendTCP                           // Bytes: one send
	PhoneCloseTCP                          // send what is unsent, then close
	PhoneSendBeacon                        // To, Form, Raw
	PhonePrompt                            // Text, without a line end
	PhonePrint                             // Text
	PhoneJudged                            // From, Broken, Raw, Version, Err, First, At
	PhoneExpired                           // Expired
	PhoneDone                              // Op, Outcome, Began, Entries
	PhoneQuit                              // the program ends
)

func (k PhoneEffectKind) String() string {
	return nameOf(int(k), "connect", "send", "close", "send beacon", "prompt", "print", "judged", "expired", "done", "quit")
}

// Operation is one of the things a phone asks of the server.
type Operation uint8

// The operations.
const (
	OpLogin Operation = iota
	OpDownload
	OpUpload
	OpLogout
)

func (o Operation) String() string {
	return nameOf(int(o), "login", "download", "upload", "logout")
}

// Outcome is how an operation ended.
type Outcome uint8

// The outcomes.
const (
	OutcomeOK               Outcome = iota
	OutcomeWrongPassword            // the server asks for another password
	OutcomeBlocked                  // either blocked text came
	OutcomeNoAnswer                 // none within the answer limit
	OutcomeConnectionLost           // refused, closed, or never there
	OutcomeUnexpectedAnswer         // an answer that this protocol does not have
)

func (o Outcome) String() string {
	return nameOf(int(o), "ok", "wrong password", "blocked", "no answer", "connection lost", "strange answer")
}

// PhoneEffect is one thing for the host to do or to know.
type PhoneEffect struct {
	Kind PhoneEffectKind // the fields of other kinds mean nothing

	// PhoneSendBeacon. Raw is the whole encoded beacon; when Form is split the
	// host sends its four parts (protocol.Part) in order from one port.
	Form protocol.Form
	To   protocol.Address

	// PhoneJudged. Err nil: valid, and now in the log. Broken: Raw means nothing.
	// Version false: the fourth part never came.
	OutOfTurn  bool
	HasVersion bool
	From       protocol.Address
	Raw        [protocol.BeaconSize]byte
	Err        error
	FirstPart  time.Duration // elapsed time of its first part
	At         Now           // of the verdict

	// PhoneDone. Began is the elapsed time at which the request was sent; of a
	// login: the password.
	Op      Operation
	Outcome Outcome
	Began   time.Duration
	Entries int // of an upload

	Expired int    // PhoneExpired: entries that left the log
	Bytes   []byte // PhoneSendTCP; valid until the phone's next call
	Text    string // PhonePrompt, PhonePrint: one or more lines, without the last \n
}

// PhoneOutbox collects effects in order. The host empties it with
// Effects = Effects[:0] and may use it again, for any phone.
type PhoneOutbox struct {
	Effects   []PhoneEffect
	assembled []protocol.Assembled
}

// add appends an empty effect in place.
func (o *PhoneOutbox) add(kind PhoneEffectKind) *PhoneEffect {
	o.Effects = append(o.Effects, PhoneEffect{})
	e := &o.Effects[len(o.Effects)-1]
	e.Kind = kind
	return e
}

// addHot appends an effect whose fields are not emptied: these are large, and
// the hot path sets each field that its kind has.
func (o *PhoneOutbox) addHot(kind PhoneEffectKind) *PhoneEffect {
	n := len(o.Effects)
	if n == cap(o.Effects) {
		return o.add(kind)
	}
	o.Effects = o.Effects[:n+1]
	e := &o.Effects[n]
	e.Kind = kind
	return e
}

func (o *PhoneOutbox) print(text string) { o.add(PhonePrint).Text = text }

func (o *PhoneOutbox) prompt(text string) { o.add(PhonePrompt).Text = text }

func (o *PhoneOutbox) done(op Operation, outcome Outcome, began time.Duration, entries int) {
	e := o.add(PhoneDone)
	e.Op, e.Outcome, e.Began, e.Entries = op, outcome, began, entries
}
