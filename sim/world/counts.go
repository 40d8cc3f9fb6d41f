package world

import (
	"bluetrace/nodes"
	"bluetrace/reports/counts"
)

// Counts is counts.Counts.
type Counts = counts.Counts

// Datagrams is counts.Datagrams.
type Datagrams = counts.Datagrams

// PhoneCounts are the counts of one phone.
type PhoneCounts struct {
	Sent, Valid, Invalid uint64
	AgeMax               int64 // nanoseconds: the greatest age of an entry after any event
}

// countDecision counts a decision of the server.
func countDecision(n *Counts, e *nodes.ServerEvent) {
	switch e.Kind {
	case nodes.EventLoggedIn:
		n.Logins.Welcomed++
	case nodes.EventWrongPassword:
		n.Logins.Wrong++
	case nodes.EventBlockBegan:
		n.Logins.Blocked++
	case nodes.EventRefused:
		n.Logins.Refused++
	case nodes.EventIssued:
		n.TempIDs.Issued++
	case nodes.EventUploadDone:
		n.Uploads.Complete++
		n.Uploads.Entries += uint64(e.Entries)
		n.Uploads.Resolved += uint64(e.Resolved)
	case nodes.EventUploadBroken:
		n.Uploads.Broken++
	}
}
