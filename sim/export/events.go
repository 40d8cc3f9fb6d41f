package export

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"time"
	"unicode/utf8"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/sim/event"
)

// Row is one event as a JSON object. docs/EVENTS.md describes the fields. A field that the kind does not set is left
// out.
type Row struct {
	At   int64  `json:"at"`   // nanoseconds from time zero of the run
	Wall string `json:"wall"` // the wall time of At, in the zone of the scenario
	Kind string `json:"kind"`
	Node string `json:"node"`
	Peer string `json:"peer,omitempty"`

	Conn   uint64 `json:"conn,omitempty"`
	Number uint64 `json:"number,omitempty"`
	Size   int    `json:"size,omitempty"`
	Due    *int64 `json:"due,omitempty"`
	Sent   *int64 `json:"sent,omitempty"`
	Count  *int   `json:"count,omitempty"`
	Left   *int   `json:"left,omitempty"`

	Text  string `json:"text,omitempty"`
	Bytes string `json:"bytes,omitempty"` // valid UTF-8
	Hex   string `json:"hex,omitempty"`   // other bytes
	Error string `json:"error,omitempty"`

	TempID string `json:"tempid,omitempty"`
	Start  string `json:"start,omitempty"`
	Expiry string `json:"expiry,omitempty"`
	Valid  *bool  `json:"valid,omitempty"`

	Operation string `json:"operation,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
	Decision  string `json:"decision,omitempty"`
	User      string `json:"user,omitempty"`
	Resolved  *int   `json:"resolved,omitempty"`
	Fault     string `json:"fault,omitempty"`

	Scripted bool `json:"scripted,omitempty"`
	Copy     bool `json:"copy,omitempty"`
	InFlight bool `json:"in_flight,omitempty"`
	Instant  bool `json:"instant,omitempty"`
}

// kinds are the names of the kinds. A kind without a name repeats others, or is about the state of a machine.
var kinds = [event.Kinds]string{
	event.BeaconSent: "beacon_sent", event.DatagramChanged: "datagram_changed", event.DatagramSent: "datagram_sent",
	event.DatagramLost: "datagram_lost", event.DatagramDelivered: "datagram_delivered",
	event.BeaconJudged: "beacon_judged", event.EntriesExpired: "entries_expired",
	event.Connecting: "connecting", event.Connected: "connected", event.ConnectRefused: "connect_refused",
	event.Accepted: "accepted", event.PhoneSent: "phone_sent", event.PhoneRead: "phone_read",
	event.PhoneEnded: "phone_ended", event.ServerSent: "server_sent", event.ServerRead: "server_read",
	event.ServerEnded: "server_ended", event.HungUp: "hung_up",
	event.ProgramOpened: "program_opened", event.LineTyped: "line_typed", event.PhonePrinted: "phone_printed",
	event.OperationDone: "operation_done", event.ServerPrinted: "server_printed", event.ServerDecided: "server_decided",
	event.StoreAsked: "store_asked", event.StoreDone: "store_done", event.LogWritten: "log_written",
	event.FileRepaired: "file_repaired", event.ProgramStatus: "program_status", event.PhoneStopped: "phone_stopped",
	event.PhoneStarted: "phone_started", event.ServerStopped: "server_stopped", event.ServerStarted: "server_started",
	event.ClockSet: "clock_set", event.FaultBegins: "fault_begins", event.FaultEnds: "fault_ends",
	event.FaultApplied: "fault_applied",
}

// Run describes the run whose events are written.
type Run struct {
	Names []string  // of the phones and programs, by event.Node
	Start time.Time // wall time at time zero, in the zone of the scenario
}

// name returns the name of a node.
func (r *Run) name(n event.Node) string {
	if int(n) < len(r.Names) {
		return r.Names[n]
	}
	return "server"
}

// Events writes one JSON object for each event of a run, one in a line.
type Events struct {
	run  Run
	json *json.Encoder
	err  error
}

// NewEvents returns a writer of events to w.
func NewEvents(run Run, w io.Writer) *Events {
	e := &Events{run: run, json: json.NewEncoder(inert{w})}
	e.json.SetEscapeHTML(false)
	return e
}

// inert is an output of JSON without a character that a terminal may interpret.
type inert struct{ io.Writer }

// Write writes a whole object.
func (w inert) Write(p []byte) (int, error) {
	if !bytes.ContainsFunc(p, func(r rune) bool { return r >= 0x7f }) {
		return w.Writer.Write(p)
	}
	_, err := w.Writer.Write(reports.EscapeJSON(p))
	return len(p), err
}

// Subscribe writes the events of the stream from now on.
func (e *Events) Subscribe(s *event.Stream) {
	for k, name := range kinds {
		if name != "" {
			s.On(event.Kind(k), e.write)
		}
	}
}

func (e *Events) write(ev *event.Event) {
	if e.err == nil {
		row := e.run.row(ev)
		e.err = e.json.Encode(&row)
	}
}

// wallLayout is RFC 3339 with nanoseconds.
const wallLayout = "2006-01-02T15:04:05.000000000Z07:00"

// row returns an event as a row. It reads only the fields that the kind sets: a world reuses its Event.
func (r *Run) row(e *event.Event) Row {
	row := Row{At: int64(e.At), Wall: r.Start.Add(e.At).Format(wallLayout), Kind: kinds[e.Kind], Node: r.name(e.Node)}
	switch e.Kind {
	case event.BeaconSent:
		row.setPeer(r, e.Peer)
		row.setBeacon(e.Raw)
	case event.BeaconJudged:
		row.setPeer(r, e.Peer)
		row.setVerdict(e)
	case event.DatagramSent, event.DatagramLost, event.DatagramDelivered:
		row.setDatagram(r, e)
	case event.EntriesExpired:
		row.Count, row.Left = pointer(e.Count), pointer(e.Left)
	case event.Connecting, event.Connected, event.ConnectRefused, event.HungUp, event.PhoneSent, event.PhoneRead,
		event.PhoneEnded, event.Accepted, event.ServerSent, event.ServerRead, event.ServerEnded, event.ServerDecided:
		row.Conn, row.Scripted = e.Conn, e.Scripted
		row.setConnection(r, e)
	case event.OperationDone:
		row.Operation, row.Outcome = e.Phone.Op.String(), e.Phone.Outcome.String()
		row.Sent = pointer(int64(e.Phone.Began))
		if e.Phone.Op == nodes.OpUpload {
			row.Count = pointer(e.Phone.Entries)
		}
	case event.StoreAsked:
		row.Count = pointer(len(e.Records))
	case event.StoreDone:
		row.Number, row.Count = e.Number, pointer(len(e.Records))
		if e.Err != nil {
			row.Error = e.Err.Error()
		}
	case event.LogWritten:
		row.Count = pointer(len(e.Stored))
	case event.ServerStopped:
		row.Count = pointer(e.Count)
	case event.FaultBegins, event.FaultEnds:
		row.Number, row.Fault, row.Text = e.Number, string(e.Fault), e.Text
		row.Instant = e.Kind == event.FaultBegins && e.Instant
	case event.FaultApplied:
		row.setPeer(r, e.Peer)
		row.Number, row.Fault, row.Text = e.Number, string(e.Fault), e.Text
	case event.ClockSet:
		row.Text = time.Unix(0, e.Clock.Wall).In(r.Start.Location()).Format(wallLayout)
	case event.LineTyped, event.PhonePrinted, event.ServerPrinted, event.FileRepaired, event.ProgramStatus,
		event.PhoneStopped:
		row.Text = e.Text
	}
	return row
}

// setDatagram sets the fields of a datagram.
func (row *Row) setDatagram(r *Run, e *event.Event) {
	row.setPeer(r, e.Peer)
	row.Number, row.Size = e.Number, e.Size
	switch e.Kind {
	case event.DatagramSent:
		if row.Copy = e.Copy; e.Due != event.DueUnknown {
			row.Due = pointer(int64(e.Due))
		}
	case event.DatagramLost:
		row.InFlight = e.InFlight
	}
}

// setConnection sets the fields of a connection beside its number.
func (row *Row) setConnection(r *Run, e *event.Event) {
	switch e.Kind {
	case event.PhoneSent, event.PhoneRead:
		row.setBytes(e.Bytes)
	case event.PhoneEnded:
		row.Text = e.Text
	case event.Accepted:
		row.setPeer(r, e.Peer)
	case event.ServerSent, event.ServerRead:
		row.setPeer(r, e.Peer)
		row.setBytes(e.Bytes)
	case event.ServerEnded:
		row.setPeer(r, e.Peer)
		row.Text = e.Text
	case event.ServerDecided:
		row.setPeer(r, e.Peer)
		row.setDecision(e.Decision)
	}
}

func pointer[T any](v T) *T { return &v }

func (row *Row) setPeer(r *Run, peer event.Node) {
	if peer != event.NoPeer {
		row.Peer = r.name(peer)
	}
}

func (row *Row) setBytes(b []byte) {
	row.Size = len(b)
	if utf8.Valid(b) {
		row.Bytes = string(b)
	} else {
		row.Hex = hex.EncodeToString(b)
	}
}

// setBeacon sets the fields of a beacon (PROTOCOL.md section 3), as they are on the wire.
func (row *Row) setBeacon(raw *[protocol.BeaconSize]byte) {
	if !utf8.Valid(raw[:]) {
		row.Hex = hex.EncodeToString(raw[:])
		return
	}
	row.TempID = string(protocol.Part(raw, 0))
	row.Start, row.Expiry = string(protocol.Part(raw, 1)), string(protocol.Part(raw, 2))
}

// setVerdict sets the verdict of a phone on a beacon, or on datagrams that are none.
func (row *Row) setVerdict(e *event.Event) {
	row.Valid = pointer(e.Phone.Err == nil && !e.Phone.OutOfTurn)
	if e.SentKnown {
		row.Sent = pointer(int64(e.Sent))
	}
	switch {
	case e.Phone.OutOfTurn:
		row.Error = "no beacon"
		return
	case e.Phone.Err != nil:
		row.Error = e.Phone.Err.Error()
	}
	row.setBeacon(&e.Phone.Raw)
}

func (row *Row) setDecision(d *nodes.ServerEvent) {
	row.Decision, row.User, row.Text = d.Kind.String(), d.User, d.Reason
	switch d.Kind {
	case nodes.EventIssued:
		row.TempID = d.TempID.String()
	case nodes.EventUploadDone:
		row.Count, row.Resolved = pointer(d.Entries), pointer(d.Resolved)
	}
}
