package reports

import (
	"time"

	"bluetrace/reports/counts"
)

// Scene holds the course of a run for its page: samples of its counts, and the events around failures and named
// moments. Its size does not depend on the length of the run.
type Scene struct {
	Source  string        // text of the scenario
	Start   time.Time     // wall time at time zero, in the zone of the scenario
	Build   Build         // of the program that ran the scenario
	Samples []Sample      // at equal distances, except the last one
	Bands   []Band        // by the time of their beginning
	Moments []Moment      // by time
	Length  time.Duration // time of the end of the run, from time zero
	// Contacts is the contact graph at the end.
	Contacts *Contacts
	// Recorded is the number of events that the digest and the trace have.
	Recorded uint64
	// MoreMoments and MoreBands are numbers of those that were left out.
	MoreMoments, MoreBands int
}

// Sample holds the counts of a run until a time, without the events at that time.
type Sample struct {
	At time.Duration
	counts.Counts
	Faults int // in force
}

// BandKind is the kind of a Band.
type BandKind string

// The kinds of bands.
const (
	FaultBand BandKind = "fault"
	BlockBand BandKind = "block" // of an account
	DownBand  BandKind = "down"  // a program does not run
)

// Band is a state that lasts.
type Band struct {
	Kind     BandKind
	From, To time.Duration
	Node     string // empty if the band concerns the whole run
	Text     string
}

// Moment is a failure or a named moment of the script, with the events around it.
type Moment struct {
	At     time.Duration
	Failed bool
	Of     string // of a failure: Check.Place or, without one, Check.Name; else the label
	Events []SceneEvent
	// Contacts is the contact graph at the time At.
	Contacts *Contacts
}

// Contacts is the contact graph at one time: who heard whom, by the entries of the contact logs.
type Contacts struct {
	At     time.Duration
	Phones []string  // in the order of the scenario
	Heard  []Contact // by To, then by From
	All    int       // phones and programs of the run, of which Phones are some
	// Unknown is the number of entries in the logs of Phones whose sender is not known.
	Unknown int
}

// Contact is an edge of a contact graph: phone To has valid entries of phone From in its log. From and To are indices
// of Contacts.Phones.
type Contact struct{ From, To, Entries int }

// EventKind is the kind of a SceneEvent.
type EventKind string

// The kinds of events.
const (
	DatagramSent   EventKind = "datagram sent"
	DatagramCame   EventKind = "datagram"
	DatagramLost   EventKind = "loss"
	BytesSent      EventKind = "bytes sent"
	BytesCame      EventKind = "bytes"
	ConnectionMark EventKind = "connection"
	BeaconMark     EventKind = "beacon"
	ValidMark      EventKind = "valid"
	InvalidMark    EventKind = "invalid"
	ExpiryMark     EventKind = "expiry"
	PrintMark      EventKind = "print"
	StatusMark     EventKind = "status" // such as "is killed"
	DiskMark       EventKind = "disk"
	FaultMark      EventKind = "fault"
)

// Alteration is the effect of a fault on a datagram that is not lost.
type Alteration string

// The alterations.
const (
	Duplicated Alteration = "duplicate"
	Corrupted  Alteration = "corrupted"
	Truncated  Alteration = "truncated"
	Reordered  Alteration = "reordered"
	Delayed    Alteration = "delayed"
)

// SceneEvent is one event around a moment.
type SceneEvent struct {
	At     time.Duration
	Kind   EventKind
	Node   string
	Peer   string // the other node; empty if there is none
	Number uint64 // of the datagram or the connection; 0 for another kind
	Bytes  string // of BytesSent and BytesCame
	Text   string // the line of the trace, without the time
	// Altered is the effect of a fault on a sent datagram, such as Duplicated; empty if there is none.
	Altered Alteration
}
