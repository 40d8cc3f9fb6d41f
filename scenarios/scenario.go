// Package scenarios is the language in which runs are written: it reads a YAML
// file, checks it, and answers with a Scenario or with every mistake it found.
// It knows no engine.
package scenarios

import (
	"regexp"
	"time"
)

// Pos is a place in a scenario file. Lines and columns count from 1.
type Pos struct {
	Line, Col int
}

// Scenario is one checked file: every name in it resolves, every default is
// filled in.
type Scenario struct {
	File  string // as it was named by the caller
	Name  string
	About string
	Seed  uint64
	// Start is the wall time at which the run's time zero stands, in Unix
	// seconds, already resolved in Zone.
	Start  int64
	Zone   *time.Location
	Length time.Duration // 0: until the script is done (or the trace ends)
	Manual bool          // left out when a whole folder is run

	Vars map[string]string // the value of every ${NAME}, after --set
	Hash string            // a hash of the file's text and of Vars, in hexadecimal digits
	// Written is where `start`, `zone` and the keys of `server` and `network`
	// stand, by their path such as network.tcp.delay.
	Written map[string]Pos

	Server      Server
	Network     Network
	Phones      []PhoneGroup
	Contacts    Contacts
	Routine     []Routine
	Script      []Step
	Faults      []Fault // the first that answers wins
	Adversaries []Adversary
	Load        *Traffic // nil: no load
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
	DiskDelay      Distribution // from a Store to its Stored
}

// Distribution is a delay: a constant (Min == Max), uniform between Min and
// Max, or exponential with the mean Mean (then Min and Max are zero).
type Distribution struct {
	Min, Max time.Duration
	Mean     time.Duration
}

// Network says how the two transports behave.
type Network struct {
	TCP TCPNetwork
	UDP UDPNetwork
}

// TCPNetwork carries bytes that always arrive, in order; only when and in which
// pieces is a setting.
type TCPNetwork struct {
	Delay Distribution
	// Split cuts each send into pieces of at most this many bytes, each with a
	// delay and a read of its own. 0: as sent.
	Split int
	// Join makes a receiver read only this long after the first unread byte
	// came, taking all that has come since. 0: at once.
	Join time.Duration
}

// UDPNetwork loses each datagram with probability Lose, and delays the others.
type UDPNetwork struct {
	Delay Distribution
	Lose  float64 // 0 to 1
}

// Form is how a phone puts its beacons on the wire.
type Form string

// The two forms (PROTOCOL.md section 3).
const (
	FormSplit  Form = "split"
	FormSingle Form = "single"
)

// PhoneGroup is one entry of `phones`: Count phones with the same settings.
// With a count that was written, they are called name-1 … name-Count; without,
// the one phone is called name.
type PhoneGroup struct {
	Pos     Pos
	Name    string
	Counted bool // count was written
	Count   int
	// Account is "own" (each phone has an account of its own), "none" (it has
	// none: it can only be heard), or the name of the phone whose account it
	// shares.
	Account string
	// User and Password of the account; empty: made from the phone's number.
	// Only for a group of one.
	User, Password string
	Retention      time.Duration
	Form           Form
	PasswordPause  time.Duration
}

// Contacts says who is near whom. Kinds add up: two phones are near each other
// when any of the kinds says so.
type Contacts struct {
	Everyone []Everyone
	Lists    []List
	Desks    []Desks
	Visits   []Visits
	Mixing   []Mixing
	Trace    []Trace
}

// Everyone of a selection is near everyone else of it, always.
type Everyone struct {
	Pos    Pos
	Phones []int // indexes into PhoneNames
}

// List is phones of which each is near each other one, always.
type List struct {
	Pos    Pos
	Phones []int
}

// Desks seats phones row by row on a grid; near are those whose row and column
// both differ by at most Reach.
type Desks struct {
	Pos            Pos
	Phones         []int
	Columns, Reach int
}

// Visits has Phone go from one of To to the next, drawn at random, and stay
// uniformly between Stay.Min and Stay.Max at each.
type Visits struct {
	Pos   Pos
	Phone int
	To    []int
	Stay  Distribution
}

// Mixing has Phones meet at random; each is near Degree others at a time on
// average, and a meeting lasts Dwell on average (exponential).
type Mixing struct {
	Pos    Pos
	Phones []int
	Degree float64
	Dwell  time.Duration
}

// Trace replays recorded contacts (SocioPatterns form). People of the trace
// take the places of Phones in the order in which they first appear.
type Trace struct {
	Pos     Pos
	File    string // resolved against the scenario's folder when relative
	Phones  []int
	Classes []string // both people must be of one of these; none: everyone
	// From and Until select a window of the trace's own time in seconds;
	// the run's time zero is the start of the window (From when given, else
	// 20 s before the first line's time).
	From, Until       int64
	HasFrom, HasUntil bool
}

// Routine is what a selection of phones does by itself.
type Routine struct {
	Pos    Pos
	Phones []int
	// Exactly one of Every and Within is set. Within: once, at a moment drawn
	// uniformly from [From, From+Within]. Every: again and again, first at a
	// moment drawn uniformly from [From, From+Every), each period drawn
	// uniformly from Every±Jitter.
	Every, Within time.Duration
	Jitter        float64       // 0 to 1
	From, Until   time.Duration // Until 0: to the end
	Do            []Command
}

// Command is something that is typed at a prompt.
type Command struct {
	Pos  Pos
	Verb Verb
	Text string // the whole line, for Type
	// To is where a Beacon goes: the phones near by at that moment (Contacts),
	// or these phones.
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

// When is the moment of a step.
type When struct {
	Pos Pos
	// AfterPrevious: no `at` was written; the step begins when the one before
	// it has settled (its expectations held or failed).
	AfterPrevious bool
	Label         string // of the step that it counts from; "" is the start of the run
	Offset        time.Duration
}

// Step is one entry of `script`. At most one verb is set; a step with none
// only looks.
type Step struct {
	Pos   Pos
	Text  string // the step on one line, for reports
	At    When
	Phone int // who acts; -1 when nobody does
	As    string

	Login     *Login
	Password  *string // "right", "wrong", or the text itself
	Do        *Command
	Forge     *Forge
	Datagrams *Datagrams
	TCP       *TCP
	Restart   *Restart
	Fault     *Fault

	// Optional: what cannot be done at its moment is left out, and what does not
	// come of it is no failure.
	Optional bool

	Expect []StepExpect
}

// Login types a username and, unless Half, a password, on a new connection.
type Login struct {
	Pos      Pos
	Kind     string // right, wrong, unknown, half
	Password string // when written out: this text instead
	User     string // when written out: this name instead
}

// Forge sends a beacon that the phone's own program would not send.
type Forge struct {
	Pos Pos
	To  []int
	// Copy takes TempID and times from what this phone last downloaded;
	// -1 when nothing is copied. Fields that are written win.
	Copy    int
	TempID  string // "": drawn
	Start   WireTime
	Expiry  WireTime
	Version string // default "1"
	Form    Form
	Port    int           // source port; 0: the phone's own
	Omit    []int         // parts 1 to 4 that are not sent (split only)
	Gap     time.Duration // between parts
}

// WireTime is a time for a forged beacon: relative to now, or a text that goes
// on the wire as it is.
type WireTime struct {
	Set    bool
	Offset time.Duration
	Text   string // when not empty
}

// Datagrams sends these bytes, one datagram each.
type Datagrams struct {
	Pos  Pos
	To   []int
	Send []string
	Port int
	Gap  time.Duration
}

// TCP speaks to the server byte for byte, on a connection that the phone's
// program does not use. Send texts have {user}, {password}, {wrong} and
// {tempid} (what this phone last downloaded) filled in; one text is one send.
type TCP struct {
	Pos     Pos
	Connect bool // open a new connection first (the old one is left open)
	Send    []string
	Gap     time.Duration
	Close   bool // half-close after the sends: end of file for the server
	Reset   bool
}

// Restart stops the server as if it were killed and starts it again from what
// it had stored.
type Restart struct {
	Pos  Pos
	Down time.Duration
}

// Pattern is an expected line: a text, or /a regular expression/.
type Pattern struct {
	Pos  Pos
	Text string
	Re   *regexp.Regexp // nil: Text, exactly
}

// Match says whether line is what was expected.
func (p Pattern) Match(line string) bool {
	if p.Re != nil {
		return p.Re.MatchString(line)
	}
	return line == p.Text
}

func (p Pattern) String() string { return p.Text }

// StepExpect is what must come of a step. Replies, prints and closed are waited
// for up to and in the instant of Within; silence must last up to it; Log is
// looked at when the step takes effect.
type StepExpect struct {
	Pos    Pos
	Within time.Duration // above 0
	Phone  int           // whose screen or log; the step's own phone unless written

	Replies             []Pattern // what the server answered, send by send
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

// LogExpect is what a phone's contact log holds at the instant of the step.
type LogExpect struct {
	Pos     Pos
	Entries int       // -1: not asked
	TempIDs []Pattern // in order of arrival; nil: not asked
}

// Expectation is one line of the run's `expect`.
type Expectation struct {
	Pos   Pos
	Text  string
	Left  Sum
	Op    string // == != < <= > >=
	Right Sum
}

// Sum is operands joined by + and -.
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
	Path   *Path // nil: Number
}

// Path names a value of the run.
type Path struct {
	Text string
	// Counter is a name of Counters, such as beacons.valid.
	Counter string
	// Step and Field: what a named step came to, such as upload.entries.
	Step  int // index into Script; -1 when none
	Field string
	// Phones and Field: a phone's value, such as log or log.age_max. With more
	// than one phone the comparison must hold for each.
	Phones []int
	// At is the moment at which the value is taken; "" is the end of the run.
	At string
}

// Threshold is one expression of k6's grammar on one metric.
type Threshold struct {
	Pos      Pos
	Metric   string // a name of Metrics
	Text     string
	Method   string  // avg, min, max, med, p, count, rate
	Quantile float64 // for p: 0 to 100
	Op       string
	Value    float64 // milliseconds for delays
}
