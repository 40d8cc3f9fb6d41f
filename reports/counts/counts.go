// Package counts defines the counts of a run and the table that names them. The
// text, JSON and OpenMetrics reports, comparisons and the names of the scenario
// language are made from the table. A new count is a field and a row here, its
// event in sim/world/measures.go, and a line of docs/RESULTS.md and docs/METRICS.md.
package counts

import (
	"encoding/json"
	"strings"
)

// Counts are the counts of one run.
type Counts struct {
	Beacons   Beacons   `json:"beacons"`
	Datagrams Datagrams `json:"datagrams"`
	Sessions  Sessions  `json:"sessions"`
	Logins    Logins    `json:"logins"`
	TempIDs   TempIDs   `json:"tempids"`
	Uploads   Uploads   `json:"uploads"`
}

// Beacons counts beacons. Delivered = Valid + Invalid are those that a receiver
// judged.
type Beacons struct {
	Sent      uint64 `json:"sent"`
	Delivered uint64 `json:"delivered"`
	Valid     uint64 `json:"valid"`
	Invalid   uint64 `json:"invalid"`
	Kept      uint64 `json:"kept"`
	Expired   uint64 `json:"expired"`
}

// Datagrams counts UDP datagrams: Sent = Delivered + Lost + InFlight at any time.
type Datagrams struct {
	Sent      uint64 `json:"sent"`
	Delivered uint64 `json:"delivered"`
	Lost      uint64 `json:"lost"`
	InFlight  uint64 `json:"in_flight"`
}

// Sessions counts TCP connections that the server accepted.
type Sessions struct {
	Opened uint64 `json:"opened"`
	Closed uint64 `json:"closed"`
}

// Logins counts answers to passwords, and blocks that began.
type Logins struct {
	Welcomed uint64 `json:"welcomed"`
	Wrong    uint64 `json:"wrong"`
	Blocked  uint64 `json:"blocked"`
	Refused  uint64 `json:"refused"`
}

// TempIDs counts those that the server issued.
type TempIDs struct {
	Issued uint64 `json:"issued"`
}

// Uploads counts uploads, and the entries of the complete ones.
type Uploads struct {
	Complete uint64 `json:"complete"`
	Broken   uint64 `json:"broken"`
	Entries  uint64 `json:"entries"`
	Resolved uint64 `json:"resolved"`
	// ResolvedUnknown is set if only the server knows Resolved, and that is remote.
	ResolvedUnknown bool `json:"-"`
}

// MarshalJSON omits Resolved if it is unknown.
func (u Uploads) MarshalJSON() ([]byte, error) {
	type all Uploads
	if !u.ResolvedUnknown {
		return json.Marshal(all(u))
	}
	return json.Marshal(struct {
		all
		Resolved *uint64 `json:"resolved,omitempty"`
	}{all: all(u)})
}

// Row describes one count.
type Row struct {
	// Name is the path in the JSON report and the name in the scenario language,
	// such as beacons.sent.
	Name   string
	Metric string // in OpenMetrics; several rows may share one, with an Outcome each
	Help   string // of the metric; empty if it is Doc as a sentence
	// Doc documents the value in the scenario language; empty if the language has no
	// such value.
	Doc string
	// Outcome is the value of the metric's label outcome; empty if it has none.
	Outcome string
	Gauge   bool // the metric may fall; otherwise it is a counter

	field func(*Counts) *uint64
}

// Group is the part of Name before the dot: a line of the text report.
func (r *Row) Group() string {
	group, _, _ := strings.Cut(r.Name, ".")
	return group
}

// Column is the part of Name after the dot, in words: the title in the text report.
func (r *Row) Column() string {
	_, column, _ := strings.Cut(r.Name, ".")
	return strings.ReplaceAll(column, "_", " ")
}

// MetricHelp returns the help text of the metric.
func (r *Row) MetricHelp() string {
	if r.Help != "" {
		return r.Help
	}
	return strings.ToUpper(r.Doc[:1]) + r.Doc[1:] + "."
}

// Of returns the value of the row's count.
func (r *Row) Of(c *Counts) uint64 { return *r.field(c) }

// IsKnown reports whether the run knows the row's count.
func (r *Row) IsKnown(c *Counts) bool {
	return r.Name != "uploads.resolved" || !c.Uploads.ResolvedUnknown
}

// Value returns the count with a name. It reports false if there is none.
func (c *Counts) Value(name string) (n uint64, ok bool) {
	for i := range rows {
		if rows[i].Name == name {
			return rows[i].Of(c), true
		}
	}
	return 0, false
}

// Rows returns the table, the rows of a group one after the other.
func Rows() []Row { return rows }

const (
	judged  = "bluetrace_beacons_judged_total"
	logins  = "bluetrace_logins_total"
	uploads = "bluetrace_uploads_total"

	judgedHelp  = "Beacons by the receiver's verdict."
	loginsHelp  = "Login attempts by the server's answer."
	uploadsHelp = "Uploads by how they ended."
)

var rows = []Row{
	{Name: "beacons.sent", Metric: "bluetrace_beacons_sent_total", Doc: "beacons that phones sent",
		field: func(c *Counts) *uint64 { return &c.Beacons.Sent }},
	{Name: "beacons.delivered", Metric: "bluetrace_beacons_delivered_total",
		Doc: "beacons that were judged by a receiver", Help: "Beacons that a receiver judged.",
		field: func(c *Counts) *uint64 { return &c.Beacons.Delivered }},
	{Name: "beacons.valid", Metric: judged, Outcome: "valid", Doc: "of those, judged valid", Help: judgedHelp,
		field: func(c *Counts) *uint64 { return &c.Beacons.Valid }},
	{Name: "beacons.invalid", Metric: judged, Outcome: "invalid",
		Doc: "of those, judged invalid (a part out of turn counts as one)", Help: judgedHelp,
		field: func(c *Counts) *uint64 { return &c.Beacons.Invalid }},
	{Name: "beacons.kept", Metric: "bluetrace_beacons_kept_total", Doc: "entries written to contact logs",
		field: func(c *Counts) *uint64 { return &c.Beacons.Kept }},
	{Name: "beacons.expired", Metric: "bluetrace_beacons_expired_total",
		Doc:   "entries that reached their retention and went",
		Help:  "Contact log entries that reached their retention.",
		field: func(c *Counts) *uint64 { return &c.Beacons.Expired }},
	{Name: "datagrams.sent", Metric: "bluetrace_datagrams_sent_total", Doc: "UDP datagrams sent",
		field: func(c *Counts) *uint64 { return &c.Datagrams.Sent }},
	{Name: "datagrams.delivered", Metric: "bluetrace_datagrams_delivered_total",
		Doc: "UDP datagrams that reached a phone", field: func(c *Counts) *uint64 { return &c.Datagrams.Delivered }},
	{Name: "datagrams.lost", Metric: "bluetrace_datagrams_lost_total", Doc: "UDP datagrams that the network lost",
		field: func(c *Counts) *uint64 { return &c.Datagrams.Lost }},
	{Name: "datagrams.in_flight", Metric: "bluetrace_datagrams_in_flight", Gauge: true,
		Help:  "UDP datagrams under way when the run ended.",
		field: func(c *Counts) *uint64 { return &c.Datagrams.InFlight }},
	{Name: "sessions.opened", Metric: "bluetrace_sessions_opened_total",
		Doc:   "TCP connections that the server accepted",
		field: func(c *Counts) *uint64 { return &c.Sessions.Opened }},
	{Name: "sessions.closed", Metric: "bluetrace_sessions_closed_total", Doc: "TCP connections that ended",
		field: func(c *Counts) *uint64 { return &c.Sessions.Closed }},
	{Name: "logins.welcomed", Metric: logins, Outcome: "welcomed", Doc: "logins answered with the welcome",
		Help: loginsHelp, field: func(c *Counts) *uint64 { return &c.Logins.Welcomed }},
	{Name: "logins.wrong", Metric: logins, Outcome: "wrong",
		Doc: "passwords answered as wrong, the third of a row included", Help: loginsHelp,
		field: func(c *Counts) *uint64 { return &c.Logins.Wrong }},
	{Name: "logins.blocked", Metric: "bluetrace_account_blocks_total", Doc: "blocks that began",
		Help:  "Blocks that began after wrong passwords in a row.",
		field: func(c *Counts) *uint64 { return &c.Logins.Blocked }},
	{Name: "logins.refused", Metric: logins, Outcome: "refused", Doc: "logins refused because of a block",
		Help: loginsHelp, field: func(c *Counts) *uint64 { return &c.Logins.Refused }},
	{Name: "tempids.issued", Metric: "bluetrace_tempids_issued_total", Doc: "TempIDs that the server issued",
		field: func(c *Counts) *uint64 { return &c.TempIDs.Issued }},
	{Name: "uploads.complete", Metric: uploads, Outcome: "complete", Doc: "uploads that arrived whole",
		Help: uploadsHelp, field: func(c *Counts) *uint64 { return &c.Uploads.Complete }},
	{Name: "uploads.broken", Metric: uploads, Outcome: "broken", Doc: "uploads that broke off or were refused",
		Help: uploadsHelp, field: func(c *Counts) *uint64 { return &c.Uploads.Broken }},
	{Name: "uploads.entries", Metric: "bluetrace_upload_entries_total", Doc: "entries of the complete uploads",
		Help:  "Contact log entries in complete uploads.",
		field: func(c *Counts) *uint64 { return &c.Uploads.Entries }},
	{Name: "uploads.resolved", Metric: "bluetrace_upload_entries_resolved_total",
		Doc:   "of those, entries whose TempID the server issued",
		Help:  "Uploaded entries whose TempID the server issued.",
		field: func(c *Counts) *uint64 { return &c.Uploads.Resolved }},
}
