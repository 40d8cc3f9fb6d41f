package world

import "bluetrace/nodes"

// Counts of the run so far.
type Counts struct {
	Beacons   Beacons
	Datagrams Datagrams
	Sessions  struct{ Opened, Closed uint64 }
	Logins    struct{ Welcomed, Wrong, Blocked, Refused uint64 }
	TempIDs   struct{ Issued uint64 }
	Uploads   struct{ Complete, Broken, Entries, Resolved uint64 }
}

// Beacons counts them: Delivered = Valid + Invalid are those a receiver judged.
type Beacons struct {
	Sent, Delivered, Valid, Invalid, Kept, Expired uint64
}

// Datagrams counts them: Sent = Delivered + Lost + InFlight, always.
type Datagrams struct {
	Sent, Delivered, Lost, InFlight uint64
}

// PhoneCounts are the counts of one phone.
type PhoneCounts struct {
	Sent, Valid, Invalid uint64
	AgeMax               int64 // nanoseconds: the greatest age of an entry after any event
}

// Decided counts what the server decided.
func (n *Counts) Decided(e *nodes.ServerEvent) {
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
