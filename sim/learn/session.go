package learn

import (
	"encoding/binary"
	"regexp"
	"slices"
	"strings"
	"time"

	"bluetrace/protocol/dialect"
)

// Session is the record of one phone program: the lines that were typed, and the bytes between it and its server.
type Session struct {
	User      string
	Passwords []string          // in the order in which they were typed
	Expected  []dialect.Outcome // of the attempt with each password
	Events    []Event           // in order of time
}

// Event is one observation.
type Event struct {
	At    time.Time
	Kind  EventKind
	Conn  int     // of ToServer and ToPhone: the number of the connection
	Bytes []byte  // of ToServer and ToPhone, as one read returned them
	Begin Command // of Typed: the command that the line begins
}

// EventKind is the kind of an Event.
type EventKind uint8

// The kinds of events.
const (
	ToServer EventKind = iota // the phone sent Bytes
	ToPhone                   // the server sent Bytes
	Typed                     // a command was typed
)

// Command is a command of a user.
type Command uint8

// The commands.
const (
	Login Command = iota
	Download
	Upload
	Logout
)

// Datagram is one datagram of a beacon.
type Datagram struct {
	At         time.Time
	FromSender bool // else it is an answer of the receiver
	Bytes      []byte
}

// message is one message of a conversation.
type message struct {
	at     time.Time
	conn   int
	up     bool // sent by the phone
	joined bool // of single bytes: it may be several messages
	text   string
	number *int // of a number of 4 bytes; text is then empty
}

// kind returns the kind of the step that has the message.
func (m *message) kind() dialect.StepKind {
	switch {
	case m.number != nil && m.up:
		return dialect.SendInt
	case m.number != nil:
		return dialect.ReceiveInt
	case m.up:
		return dialect.Send
	}
	return dialect.Receive
}

// conversation is the part of a session that belongs to one command. Those of all logins are one.
type conversation struct {
	session  *Session
	command  Command
	messages []message
}

// split cuts a session into the conversations of its commands.
func (s *Session) split(client, server dialect.Framing) (parts []conversation) {
	last := conversation{session: s}
	typed := s.Events
	for _, m := range s.messages(client, server) {
		for ; len(typed) > 0 && (typed[0].Kind != Typed || m.at.After(typed[0].At)); typed = typed[1:] {
			if typed[0].Kind == Typed && typed[0].Begin != Login {
				parts = append(parts, last)
				last = conversation{session: s, command: typed[0].Begin}
			}
		}
		last.messages = append(last.messages, m)
	}
	return append(parts, last)
}

// messages returns the messages of a session in order of time.
func (s *Session) messages(client, server dialect.Framing) (all []message) {
	for _, f := range s.flows() {
		framing := server
		if f.up {
			framing = client
		}
		found, _ := f.messages(framing)
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b message) int { return a.at.Compare(b.at) })
	return all
}

// flow holds the bytes of one direction of a connection.
type flow struct {
	conn        int
	up          bool
	chunks      []chunk
	interrupted bool // the next chunk is a first one
}

// chunk holds the bytes of one read.
type chunk struct {
	at     time.Time
	bytes  []byte
	first  bool // the other side has sent, or a command was typed, since the chunk before
	joined bool // from several reads
}

// flows returns the flows of a session, in the order in which they began.
func (s *Session) flows() (all []*flow) {
	for _, e := range s.Events {
		up := e.Kind == ToServer
		for _, f := range all {
			f.interrupted = f.interrupted || e.Kind == Typed || f.conn == e.Conn && f.up != up
		}
		if e.Kind == Typed {
			continue
		}
		at := slices.IndexFunc(all, func(f *flow) bool { return f.conn == e.Conn && f.up == up })
		if at < 0 {
			at, all = len(all), append(all, &flow{conn: e.Conn, up: up, interrupted: true})
		}
		f := all[at]
		f.chunks = append(f.chunks, chunk{at: e.At, bytes: e.Bytes, first: f.interrupted})
		f.interrupted = false
	}
	return all
}

// groups returns the chunks joined between which the other side did not send. If singles is true, it joins only those
// that were sent byte by byte.
func (f *flow) groups(singles bool) (list []chunk) {
	for _, c := range f.chunks {
		n := len(list) - 1
		if c.first || singles && (len(c.bytes) > 1 || c.at.Sub(list[n].at) >= byteTime) {
			c.bytes = slices.Clip(c.bytes)
			list = append(list, c)
			continue
		}
		list[n] = chunk{at: c.at, bytes: append(list[n].bytes, c.bytes...), joined: true}
	}
	return list
}

// byteTime is the longest time between bytes of one message that a phone sends byte by byte.
const byteTime = 5 * time.Millisecond

// messages returns the messages of a flow. ok is false if its bytes do not have the framing.
func (f *flow) messages(framing dialect.Framing) (list []message, ok bool) {
	switch framing.Kind {
	case dialect.Raw:
		for _, c := range f.groups(f.up) {
			list = append(list, message{at: c.at, conn: f.conn, up: f.up, text: string(c.bytes), joined: c.joined})
		}
		return list, true
	case dialect.Bar:
		return f.barMessages()
	}
	var all []byte
	var ends []int // of the chunks
	for _, c := range f.chunks {
		all = append(all, c.bytes...)
		ends = append(ends, len(all))
	}
	for at := 0; at < len(all); {
		m := message{conn: f.conn, up: f.up}
		text, n, ok := framing.Next(all[at:])
		if framing.Kind == dialect.UTF && n == 2 && len(all) >= at+4 { // a number below 65,536, and no empty text
			number := int(binary.BigEndian.Uint32(all[at:]))
			text, n, m.number = nil, 4, &number
		}
		if !ok {
			return list, false
		}
		at += n
		last, _ := slices.BinarySearch(ends, at)
		m.at, m.text = f.chunks[last].at, string(text)
		list = append(list, m)
	}
	return list, true
}

var barHead = regexp.MustCompile(`^[0-9]+\|`)

// barMessages returns the messages of a flow with the framing Bar: each begins with a read, because nothing marks the
// end of a short one.
func (f *flow) barMessages() (list []message, ok bool) {
	for n, c := range f.chunks {
		switch head := barHead.Find(c.bytes); {
		case head != nil:
			list = append(list, message{at: c.at, conn: f.conn, up: f.up, text: string(c.bytes[len(head):])})
		case n == 0:
			return nil, false
		default:
			list[len(list)-1].text += string(c.bytes)
		}
	}
	return list, true
}

// framingOf returns the framing of one side, whose flows are in all sessions.
func framingOf(sessions []*Session, up bool) dialect.Framing {
	var flows []*flow
	var texts []string // those between which the other side did not send
	for _, s := range sessions {
		for _, f := range s.flows() {
			if f.up != up {
				continue
			}
			flows = append(flows, f)
			for _, g := range f.groups(false) {
				texts = append(texts, string(g.bytes))
			}
		}
	}
	if len(flows) > 0 {
		for _, c := range candidates(texts) {
			if fits(flows, texts, c, up) {
				return c
			}
		}
	}
	return dialect.Framing{}
}

var (
	columns = regexp.MustCompile(`^[0-9]+ +`)
	endMark = regexp.MustCompile(`[\x00-\x08\x0e-\x1f;|#$^&%~@]+$`)
)

// candidates returns the framings that texts suggest, the more specific ones first.
func candidates(texts []string) []dialect.Framing {
	first := texts[0]
	var list []dialect.Framing
	if strings.HasSuffix(first, "\r\n") { // a server may insist on both
		list = append(list, dialect.Framing{Kind: dialect.Ends, End: "\r\n"})
	}
	if end := endOfTexts(texts); end != "" {
		list = append(list, dialect.Framing{Kind: dialect.Ends, End: end})
	}
	list = append(list, []dialect.Framing{
		{Kind: dialect.UTF}, {Kind: dialect.Int4}, {Kind: dialect.Netstring}, {Kind: dialect.Bar},
		{Kind: dialect.Lines}, {Kind: dialect.Columns, Size: len(columns.FindString(first))},
	}...)
	size := 0 // the largest that divides the lengths of all texts
	for _, text := range texts {
		for n := len(text); n > 0; {
			size, n = n, size%n
		}
	}
	if strings.HasSuffix(first, " ") && size > 8 && size <= 1024 {
		list = append(list, dialect.Framing{Kind: dialect.Fixed, Size: size})
	}
	if end := endMark.FindString(first); end != "" {
		list = append(list, dialect.Framing{Kind: dialect.Ends, End: end})
	}
	return list
}

// endOfTexts returns the end that all messages of several lines have, from a line feed to a line feed, or "".
func endOfTexts(texts []string) string {
	end := texts[0]
	for _, text := range texts {
		n := 0
		for n < min(len(end), len(text)) && end[len(end)-1-n] == text[len(text)-1-n] {
			n++
		}
		end = end[len(end)-n:]
	}
	at := strings.LastIndex(strings.TrimSuffix(end, "\n"), "\n")
	if at < 0 || !strings.HasSuffix(end, "\n") {
		return ""
	}
	if at > 0 && end[at-1] == '\r' {
		at--
	}
	return end[at:]
}

// fits reports whether the bytes of all flows have the framing. Lines of a server must each be an answer: several
// lines in one answer are a text without marks.
func fits(flows []*flow, texts []string, framing dialect.Framing, up bool) bool {
	some := false
	for _, f := range flows {
		list, ok := f.messages(framing)
		if !ok {
			return false
		}
		some = some || slices.ContainsFunc(list, func(m message) bool { return m.text != "" })
	}
	end := framing.End
	if framing.Kind == dialect.Lines {
		end = "\n"
	}
	for _, text := range texts {
		if !strings.HasSuffix(text, end) || end != "" && !up && strings.Count(text, end) > 1 {
			return false
		}
	}
	return some
}
