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

// Scenario is one checked file. Every name is resolved and every default is filled in. Phones are given by their
// indexes into PhoneNames. Times count from the start of the run unless a field states otherwise. No duration of a file
// is longer than ten years.
type Scenario struct {
	File  string // the name given by the caller
	Name  string // the scenario's name in reports
	About string // its purpose, or ""
	Seed  uint64 // seeds all randomness of the run
	// Start is the wall-clock time at time zero of the run, in Unix seconds. Its year is 1700 to 2200.
	Start int64
	Zone  *time.Location // of the server and the phones
	// Length is the duration of the run. If it is 0, the run ends when the script is done and every contact trace has
	// been replayed.
	Length time.Duration
	Manual bool  // skipped when a whole folder is run
	Rule   *Rule // nil if the file is no rule of the judge

	Vars map[string]string // the value of every ${NAME}, after --set
	Text string            // of the file
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

// Server holds the settings of the health authority's server (PROTOCOL.md section 2).
type Server struct {
	// BlockDuration is the time for which three wrong passwords in a row block an account. It may be 0.
	BlockDuration  time.Duration
	TempIDLifetime time.Duration // from the start to the expiry of a TempID; whole seconds, above 0
	LoginTimeout   time.Duration // the time that a connection has to log in; above 0
	IdleTimeout    time.Duration // the time that a session may be silent; above 0
	MaxUpload      int           // the most lines of one upload, three an entry; 3 to 9,999,999
	MaxConnections int           // the most sessions at a time; 0 for no limit
	MaxBlocked     int           // the most bytes of blocked names without an account; above 0
	DiskDelay      Distribution  // from a Store to its Stored (package nodes)
}

// Distribution is the distribution of a delay, never negative: a constant (Min == Max), uniform between Min and Max,
// or exponential with the mean Mean (then Min and Max are zero). The zero value is no delay.
type Distribution struct {
	Min, Max time.Duration
	Mean     time.Duration
}

// Network holds the settings of the two transports.
type Network struct {
	TCP TCPNetwork
	UDP UDPNetwork
}

// TCPNetwork holds the settings of TCP between phones and the server. Unless a fault breaks the connection, all bytes
// arrive in order.
type TCPNetwork struct {
	Delay Distribution // from a send to its arrival
	// Split is the most bytes of a piece, 1 to 1024. Each send is cut into pieces, each with its own delay and read.
	// 0 leaves sends as they are.
	Split int
	// Join is the time from the arrival of the first unread byte to the read, which takes every byte that has arrived
	// by then. If it is 0, bytes are read on arrival.
	Join time.Duration
}

// UDPNetwork holds the settings of UDP between phones. Datagrams may overtake each other.
type UDPNetwork struct {
	Delay Distribution // from a send to its arrival
	Lose  float64      // the probability that a datagram is lost; 0 to 1
}

// Form is the form of a beacon on the wire.
type Form string

// The two forms (PROTOCOL.md section 3).
const (
	FormSplit  Form = "split"
	FormSingle Form = "single"
)

// PhoneGroup is one entry of `phones`: Count phones with the same settings. If the count was written, they are called
// name-1 to name-Count; else the one phone is called name. PhoneName returns these names.
type PhoneGroup struct {
	Pos     Pos
	Name    string
	Counted bool // count was written
	Count   int  // 1 to 2,000,000; all groups together have no more phones
	// Account is "own" (each phone has its own account), "none" (no account: the phone only receives beacons), or the
	// name of the phone whose account it shares.
	Account string
	// User and Password belong to the account of a group of one phone. If they are empty, they are generated from the
	// phone's number.
	User, Password string
	Retention      time.Duration // the time for which a contact stays in the log; above 0
	Form           Form          // of the phone's beacons
	PasswordPause  time.Duration // from sending the username to sending the password
	Address        string        // 127.x.y.z, from which it connects; "" for any. Live runs only.
	// Program is the shell command that starts the phone, a program of another implementation; "" for a phone of this
	// project. Live runs only.
	Program string
}

// Contacts determines the phones that are near each other. The kinds add up: two phones are near each other if any
// kind has them near each other.
type Contacts struct {
	Everyone []List
	Lists    []List
	Desks    []Desks
	Visits   []Visits
	Mixing   []Mixing
	Trace    []Trace
}

// List is a group of phones that are always near each other.
type List struct {
	Pos    Pos
	Phones []int // indexes into PhoneNames; at least two
}

// Desks places phones row by row on a grid. Two phones are near each other if their rows and their columns differ by
// at most Reach.
type Desks struct {
	Pos     Pos
	Phones  []int
	Columns int // desks in a row; above 0
	Reach   int // in rows and columns; above 0
}

// Visits is a phone that goes from one of To to the next, in random order, and stays at each for a time drawn
// uniformly from Stay.
type Visits struct {
	Pos   Pos
	Phone int          // the visitor
	To    []int        // the visited phones
	Stay  Distribution // a constant or a range
}

// Mixing lets phones meet at random. Each phone is near Degree others at a time on average. The duration of a meeting
// is exponential with the mean Dwell.
type Mixing struct {
	Pos    Pos
	Phones []int
	Degree float64       // above 0, and at most the number of the other phones
	Dwell  time.Duration // above 0
}

// Trace replays recorded contacts in the SocioPatterns form. The people of the trace are mapped to Phones in the
// order in which they first appear. A TraceReader reads the file.
type Trace struct {
	Pos     Pos
	File    string // the path; a relative path of the file was joined to the folder of the scenario
	Phones  []int
	Classes []string // of both people; empty: every class
	// From and Until select a part of the trace, in seconds of its own time. Time zero of the run is From or, without
	// it, one interval before the time of the first line.
	From, Until       int64
	HasFrom, HasUntil bool
	// Interval is the duration of the contact of one line, in whole seconds. 0 stands for TraceInterval.
	Interval time.Duration
}

// Routine is a recurring action of a selection of phones.
type Routine struct {
	Pos    Pos
	Phones []int
	// Every is the mean period of a repeated action, 0 for a single one. The first action is at a time drawn
	// uniformly from [From, From+Every). Each later period is drawn uniformly from Every*(1-Jitter) to
	// Every*(1+Jitter).
	Every time.Duration
	// Within applies if Every is 0: the action happens once, at a time drawn uniformly from [From, From+Within].
	Within      time.Duration
	Jitter      float64       // 0 to 1
	From, Until time.Duration // an Until of 0 is the end of the run
	Do          []Command     // one after the other; at least one
}

// Command is a command that is typed at a phone's prompt.
type Command struct {
	Pos  Pos
	Verb Verb
	Text string // the whole line, for VerbType
	Half bool   // of VerbType: the line is not ended. For a phone that is a program of another implementation
	// Contacts and To are the receivers of a Beacon: the phones that are near at that time, or these phones.
	Contacts bool
	To       []int
	Count    int // the number of beacons to each receiver; 1 to 1,000,000
}

// Verb is a command of the phone, or a login with the correct password. Its value is the text at the prompt, except
// for VerbLogin and VerbType.
type Verb string

// The verbs.
const (
	VerbLogin    Verb = "login"
	VerbDownload Verb = "Download_tempID"
	VerbUpload   Verb = "Upload_contact_log"
	VerbBeacon   Verb = "Beacon"
	VerbLogout   Verb = "log out"
	VerbType     Verb = "type" // any other line, as it is
	// VerbEndInput ends the standard input of a phone that is a program of another implementation.
	VerbEndInput Verb = "end input"
)

// When is the time of a step: a time relative to the start of the run, to a label, or to the end of the step before.
type When struct {
	Pos Pos
	// AfterPrevious is true if `at` was not written: the step begins when the one before has settled, which is when
	// its expectations held or failed.
	AfterPrevious bool
	Label         string        // of the step from which Offset counts; "" is the start of the run
	Offset        time.Duration // negative for a time before the label
}

// Step is one entry of `script`. At most one action is set. A step without an action only checks expectations.
type Step struct {
	Pos   Pos
	Text  string // the step on one line, for reports
	At    When   // of a login: the time at which the password is sent
	Phone int    // the phone that acts, or -1
	As    string // the label of the time at which the step took effect, or ""
	// Before is the time of the run before which the step must begin. A step that would begin later does not take
	// place.
	// 0 is no such time.
	Before time.Duration

	Login     *Login
	Password  *string // "right", "wrong", or the text itself
	Do        *Command
	Forge     *Forge
	Datagrams *Datagrams
	TCP       *TCP
	Restart   *Restart
	Fault     *Fault

	// Optional is true if the step is skipped when it cannot be done at its time. Its expectations count if it took
	// place.
	Optional bool

	// Need is true if the rule of the scenario is not judged when the step fails.
	Need bool

	Expect []StepExpect // the expected effects
}

// HasAction reports whether the step does something. A step without an action has expectations or a label only.
func (st *Step) HasAction() bool {
	return st.Login != nil || st.Password != nil || st.Do != nil || st.Forge != nil ||
		st.Datagrams != nil || st.TCP != nil || st.Restart != nil || st.Fault != nil
}

// Login types a username and, unless its kind is half, a password, on a new connection.
type Login struct {
	Pos      Pos
	Kind     string // right, wrong, unknown, half
	Password string // instead of the phone's own; "": not written
	User     string // instead of the phone's own; "": not written
}

// Forge sends a beacon that the phone's own program would not send (PROTOCOL.md section 3).
type Forge struct {
	Pos Pos
	To  []int
	// Copy is the phone from whose last download the TempID and the times are copied, or -1. Fields of the file take
	// precedence.
	Copy    int
	TempID  string // "": random
	Start   WireTime
	Expiry  WireTime
	Version string // default "1"
	Form    Form
	Port    int           // source port, 1 to 65535; 0 is the phone's own
	Omit    []int         // parts 1 to 4 that are not sent (split only)
	Gap     time.Duration // between parts
}

// WireTime is a time of a forged beacon: relative to the time of sending, or a text that is sent as it is.
type WireTime struct {
	Set    bool          // false if the file does not give the time
	Offset time.Duration // from the time of sending; negative for the past
	Text   string        // sent as it is; if it is "", Offset is used
}

// Datagrams sends texts over UDP, each to every phone of To as one datagram.
type Datagrams struct {
	Pos  Pos
	To   []int
	Send []string      // at most 65,507 bytes each
	Port int           // source port, 1 to 65535; 0 is the phone's own
	Gap  time.Duration // between two datagrams
}

// TCP sends bytes to the server on a connection that the phone's program does not use. In the texts {user},
// {password}, {wrong} and {tempid} (of the phone's last download) are replaced. One text is one send.
type TCP struct {
	Pos     Pos
	Connect bool // open a new connection first (the old one is left open)
	Send    []string
	Gap     time.Duration // between two sends
	Close   bool          // half-close after the sends: end of file for the server
	Reset   bool          // reset the connection after the sends
}

// Restart kills the server and starts it again from its files.
type Restart struct {
	Pos  Pos
	Down time.Duration // from the kill to the start
}

// Pattern is an expected line: a text, or a regular expression between slashes.
type Pattern struct {
	Pos  Pos
	Text string         // as written, with the slashes of a regular expression
	Re   *regexp.Regexp // nil if the line must equal Text
}

// Match reports whether line equals the text or matches the regular expression, which is not anchored.
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
	Closed              *bool     // true if the server must close the connection, false if it must not
	Prints              []Pattern // lines on the phone's screen, in this order, from the step on
	PrintsNothing       bool
	ServerPrints        []Pattern
	ServerPrintsNothing bool       // nothing in the server's output, from the step on
	Log                 *LogExpect // at the instant of the step
	Entries             *int       // the entries of the upload; nil if any number is accepted
	Resolved            *int       // those that the server resolves; nil if any number is accepted
	// Stores is true if a line of the server's tempIDs.txt must have the phone's user and TempID; with Lifetime also a
	// start and an expiry so far apart, to a second.
	Stores   bool
	Lifetime time.Duration // 0: any
	// Ends is true if the phone, a program of another implementation, must end, and false if it must not.
	Ends        *bool
	TempID      string  // TempIDFresh, TempIDUnpredictable, or "" for any
	Busy        float64 // the most CPU time of the program until Within, as a share of one core; 0: any
	Growth      float64 // the most growth of memory and threads of the program until Within, as a share; 0: any
	LogUnbroken bool    // until Within the log of the program must lose no entry and have no half one
}

// The expectations of a TempID.
const (
	TempIDFresh         = "fresh"         // the phone has a TempID that it did not have before
	TempIDUnpredictable = "unpredictable" // those of the run do not differ by a constant
)

// LogExpect is the expected content of a phone's contact log at the instant of the step.
type LogExpect struct {
	Pos     Pos
	Entries int       // -1: any number
	TempIDs []Pattern // in order of arrival; nil: any
}

// Expectation is one line of the run's `expect`: a comparison of two sums, which holds or fails at the end of the run.
type Expectation struct {
	Pos   Pos
	Text  string // as written, for reports
	Left  Sum
	Op    string // == != < <= > >=
	Right Sum
	// Durations reports that the sides are durations. Their values are in seconds.
	Durations bool
}

// Sum is a sum of products of the same unit: counts, or seconds.
type Sum struct {
	Terms []Term
}

// Term is one operand with the sign before it.
type Term struct {
	// Sign is + or -, with which a product begins, or * or /, with which it continues. That of the first term is +.
	Sign    byte
	Operand Operand
}

// Operand is a number or a value of the run. Durations are in seconds.
type Operand struct {
	Number   float64
	Duration bool  // Number was written as a duration
	Path     *Path // nil if the operand is Number
}

// Path names a value of the run: a counter of the whole run, a value of a labelled step, or a value of phones.
type Path struct {
	Text string // as written
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

// Threshold is a condition on one metric, in k6's grammar, such as p(99) < 250.
type Threshold struct {
	Pos      Pos
	Metric   string  // a name of Metrics or, with a load, of LoadMetrics
	Text     string  // the condition as written
	Method   string  // avg, min, max, med, p, count, rate
	Quantile float64 // of the method p: 0 to 100
	Op       string  // == != < <= > >=
	Value    float64 // milliseconds for a trend; else in the unit of the metric's Doc
	// Abort ends a load if the condition does not hold, from Delay after the warm-up on.
	Abort bool
	Delay time.Duration
}
