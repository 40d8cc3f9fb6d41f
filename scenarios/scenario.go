// Package scenarios is the language of scenarios: it reads a YAML file, checks it, and returns a Scenario or every
// mistake of the file. It also writes scenarios, reduces them to some of their phones, and reads recorded contacts.
// It does not depend on the simulation.
package scenarios

import (
	"regexp"
	"time"
)

// Pos is a position in a scenario file. Lines and columns count from 1.
type Pos struct {
	Line, Col int
}

// Scenario is one checked file. Every name is resolved and every default is filled in.
type Scenario struct {
	File  string // the name given by the caller
	Name  string
	About string
	Seed  uint64
	// Start is the wall-clock time at time zero of the run, in Unix seconds.
	Start  int64
	Zone   *time.Location
	Length time.Duration // 0: until the script is done and the traces have ended
	Manual bool          // skipped when a whole folder is run

	Vars map[string]string // the value of every ${NAME}, after --set
	Hash string            // a hash of the file's text and of Vars, in hexadecimal digits
	// Written holds the positions of `start`, `zone` and the keys of `server` and `network` that the file has, by
	// their path such as network.tcp.delay.
	Written map[string]Pos

	Server      Server
	Network     Network
	Phones      []PhoneGroup
	Contacts    Contacts
	Routine     []Routine
	Script      []Step
	Faults      []Fault // if several apply, the first one does
	Adversaries []Adversary
	Load        *Traffic // nil if the file has no load
	Expect      []Expectation
	Thresholds  []Threshold
}

// Server holds the settings of the health authority's server.
type Server struct {
	BlockDuration  time.Duration
	TempIDLifetime time.Duration
	LoginTimeout   time.Duration
	IdleTimeout    time.Duration
	MaxUpload      int          // lines of one upload
	DiskDelay      Distribution // from a Store to its Stored (package nodes)
}

// Distribution is a delay: a constant (Min == Max), uniform between Min and
// Max, or exponential with the mean Mean (then Min and Max are zero).
type Distribution struct {
	Min, Max time.Duration
	Mean     time.Duration
}

// Network holds the settings of the two transports.
type Network struct {
	TCP TCPNetwork
	UDP UDPNetwork
}

// TCPNetwork holds the settings of TCP. Its bytes always arrive, in order.
type TCPNetwork struct {
	Delay Distribution
	// Split is the most bytes of a piece. Each send is cut into pieces, each with its own delay and read. 0: as sent.
	Split int
	// Join is the time from the first unread byte to the read, which takes every byte that has come since. 0: at
	// once.
	Join time.Duration
}

// UDPNetwork loses each datagram with probability Lose and delays the others.
type UDPNetwork struct {
	Delay Distribution
	Lose  float64 // 0 to 1
}

// Form is the form of a beacon on the wire.
type Form string

// The two forms (PROTOCOL.md section 3).
const (
	FormSplit  Form = "split"
	FormSingle Form = "single"
)

// PhoneGroup is one entry of `phones`: Count phones with the same settings. If the count was written, they are called
// name-1 to name-Count; else the one phone is called name.
type PhoneGroup struct {
	Pos     Pos
	Name    string
	Counted bool // count was written
	Count   int
	// Account is "own" (each phone has its own account), "none" (no account: the phone only receives beacons), or the
	// name of the phone whose account it shares.
	Account string
	// User and Password belong to the account of a group of one phone. If they are empty, they are generated from the
	// phone's number.
	User, Password string
	Retention      time.Duration
	Form           Form
	PasswordPause  time.Duration
}

// Contacts determines the phones that are near each other. The kinds add up: two phones are near each other if any
// kind has them near each other.
type Contacts struct {
	Everyone []Everyone
	Lists    []List
	Desks    []Desks
	Visits   []Visits
	Mixing   []Mixing
	Trace    []Trace
}

// Everyone is a selection of phones that are always near each other.
type Everyone struct {
	Pos    Pos
	Phones []int // indexes into PhoneNames
}

// List is a group of phones that are always near each other.
type List struct {
	Pos    Pos
	Phones []int
}

// Desks places phones row by row on a grid. Two phones are near each other if their rows and their columns differ by
// at most Reach.
type Desks struct {
	Pos            Pos
	Phones         []int
	Columns, Reach int
}

// Visits is a phone that goes from one of To to the next, in random order, and stays at each for a time drawn
// uniformly from Stay.
type Visits struct {
	Pos   Pos
	Phone int
	To    []int
	Stay  Distribution
}

// Mixing lets phones meet at random. Each phone is near Degree others at a time on average. The duration of a meeting
// is exponential with the mean Dwell.
type Mixing struct {
	Pos    Pos
	Phones []int
	Degree float64
	Dwell  time.Duration
}

// Trace replays recorded contacts in the SocioPatterns form. The people of the trace are mapped to Phones in the
// order in which they first appear.
type Trace struct {
	Pos     Pos
	File    string // relative paths begin at the scenario's folder
	Phones  []int
	Classes []string // of both people; empty: every class
	// From and Until select a part of the trace, in seconds of its own time. Time zero of the run is From or, without
	// it, 20 s before the time of the first line.
	From, Until       int64
	HasFrom, HasUntil bool
}

// Routine is a recurring action of a selection of phones.
type Routine struct {
	Pos    Pos
	Phones []int
	// Exactly one of Every and Within is set. Within: once, at a time drawn uniformly from [From, From+Within].
	// Every: repeatedly, first at a time drawn uniformly from [From, From+Every), each period drawn uniformly from
	// Every±Jitter.
	Every, Within time.Duration
	Jitter        float64       // 0 to 1
	From, Until   time.Duration // Until 0: to the end of the run
	Do            []Command
}

// Command is a command that is typed at a prompt.
type Command struct {
	Pos  Pos
	Verb Verb
	Text string // the whole line, for VerbType
	// Contacts and To are the receivers of a Beacon: the phones that are near at that time, or these phones.
	Contacts bool
	To       []int
	Count    int
}

// Verb is a command of the phone, or a login with the right password.
type Verb string

// The verbs.
const (
	VerbLogin    Verb = "login"
	VerbDownload Verb = "Download_tempID"
	VerbUpload   Verb = "Upload_contact_log"
	VerbBeacon   Verb = "Beacon"
	VerbLogout   Verb = "log out"
	VerbType     Verb = "type" // any other line, as it is
)

// When is the time of a step.
type When struct {
	Pos Pos
	// AfterPrevious is true if `at` was not written: the step begins when the one before has settled, that is when
	// its expectations held or failed.
	AfterPrevious bool
	Label         string // of the step from which Offset counts; "" is the start of the run
	Offset        time.Duration
}

// Step is one entry of `script`. At most one action is set. A step without an action only checks expectations.
type Step struct {
	Pos   Pos
	Text  string // the step on one line, for reports
	At    When
	Phone int // the phone that acts, or -1
	As    string

	Login     *Login
	Password  *string // "right", "wrong", or the text itself
	Do        *Command
	Forge     *Forge
	Datagrams *Datagrams
	TCP       *TCP
	Restart   *Restart
	Fault     *Fault

	// Optional states that the step is skipped if it cannot be done at its time, and that its expectations do not
	// fail.
	Optional bool

	Expect []StepExpect
}

// Login types a username and, unless its kind is half, a password, on a new connection.
type Login struct {
	Pos      Pos
	Kind     string // right, wrong, unknown, half
	Password string // instead of the phone's own; "": not written
	User     string // instead of the phone's own; "": not written
}

// Forge sends a beacon that the phone's own program would not send.
type Forge struct {
	Pos Pos
	To  []int
	// Copy is the phone from whose last download the TempID and the times are copied, or -1. Fields that are written
	// win.
	Copy    int
	TempID  string // "": random
	Start   WireTime
	Expiry  WireTime
	Version string // default "1"
	Form    Form
	Port    int           // source port; 0: the phone's own
	Omit    []int         // parts 1 to 4 that are not sent (split only)
	Gap     time.Duration // between parts
}

// WireTime is a time of a forged beacon: relative to now, or a text that is sent as it is.
type WireTime struct {
	Set    bool
	Offset time.Duration
	Text   string // sent as it is; "": Offset is used
}

// Datagrams sends bytes over UDP, one datagram each.
type Datagrams struct {
	Pos  Pos
	To   []int
	Send []string
	Port int
	Gap  time.Duration
}

// TCP sends bytes to the server on a connection that the phone's program does not use. In the texts {user},
// {password}, {wrong} and {tempid} (of the phone's last download) are replaced. One text is one send.
type TCP struct {
	Pos     Pos
	Connect bool // open a new connection first (the old one is left open)
	Send    []string
	Gap     time.Duration
	Close   bool // half-close after the sends: end of file for the server
	Reset   bool
}

// Restart kills the server and starts it again from its files.
type Restart struct {
	Pos  Pos
	Down time.Duration
}

// Pattern is an expected line: a text, or /a regular expression/.
type Pattern struct {
	Pos  Pos
	Text string
	Re   *regexp.Regexp // nil if the line must equal Text
}

// Match reports whether line is the expected one.
func (p Pattern) Match(line string) bool {
	if p.Re != nil {
		return p.Re.MatchString(line)
	}
	return line == p.Text
}

func (p Pattern) String() string { return p.Text }

// StepExpect is an expected effect of a step. Replies, prints and closed may come up to and in the instant of Within;
// silence must last up to it; Log is checked when the step takes effect.
type StepExpect struct {
	Pos    Pos
	Within time.Duration // above 0
	Phone  int           // the phone whose screen or log is observed

	Replies             []Pattern // the answers of the server, one for each send
	NoReply             bool
	Closed              *bool
	Prints              []Pattern // lines on the phone's screen, in this order, from the step on
	PrintsNothing       bool
	ServerPrints        []Pattern
	ServerPrintsNothing bool       // nothing in the server's output, from the step on
	Log                 *LogExpect // at the instant of the step
	Entries             *int       // of the upload
	Resolved            *int
}

// LogExpect is the expected content of a phone's contact log at the instant of the step.
type LogExpect struct {
	Pos     Pos
	Entries int       // -1: any number
	TempIDs []Pattern // in order of arrival; nil: any
}

// Expectation is one line of the run's `expect`.
type Expectation struct {
	Pos   Pos
	Text  string
	Left  Sum
	Op    string // == != < <= > >=
	Right Sum
}

// Sum is a sum of operands.
type Sum struct {
	Terms []Term
}

// Term is one operand with its sign.
type Term struct {
	Negative bool
	Operand  Operand
}

// Operand is a number (counts; durations in seconds) or a value of the run.
type Operand struct {
	Number float64
	Path   *Path // nil if the operand is Number
}

// Path names a value of the run.
type Path struct {
	Text string
	// Counter is a name of Counters, such as beacons.valid.
	Counter string
	// Step and Field are a value of a labelled step, such as upload.entries.
	Step  int // index into Script, or -1
	Field string
	// Phones and Field are a value of phones, such as log or log.age_max. With more than one phone the comparison
	// must hold for each.
	Phones []int
	// At is the label of the step at whose time the value is taken; "" is the end of the run.
	At string
}

// Threshold is a condition on one metric, in k6's grammar.
type Threshold struct {
	Pos      Pos
	Metric   string // a name of Metrics
	Text     string
	Method   string  // avg, min, max, med, p, count, rate
	Quantile float64 // for p: 0 to 100
	Op       string
	Value    float64 // milliseconds for delays
}
