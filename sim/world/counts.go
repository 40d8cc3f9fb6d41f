package world

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/nodes"
)

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

// Delays hold nanoseconds of the world's time, with three significant digits.
type Delays struct {
	Beacon, Login, TempID, Upload, Logout *hdrhistogram.Histogram
}

// NewDelays makes empty ones, which reach to 24 hours.
func NewDelays() Delays {
	h := func() *hdrhistogram.Histogram {
		return hdrhistogram.New(1, int64(24*time.Hour), 3)
	}
	return Delays{h(), h(), h(), h(), h()}
}

// Done adds how long an operation took that ended at the given elapsed time; one
// without an answer has no delay.
func (d *Delays) Done(now int64, e *nodes.PhoneEffect) {
	if e.Outcome == nodes.OutcomeNoAnswer || e.Outcome == nodes.OutcomeConnectionLost {
		return
	}
	switch took := now - int64(e.Began); e.Op {
	case nodes.OpLogin:
		AddDelay(d.Login, took)
	case nodes.OpDownload:
		AddDelay(d.TempID, took)
	case nodes.OpUpload:
		AddDelay(d.Upload, took)
	case nodes.OpLogout:
		AddDelay(d.Logout, took)
	}
}

// AddDelay records nanoseconds; what lies outside the histogram counts as its
// nearest end.
func AddDelay(h *hdrhistogram.Histogram, ns int64) {
	if h.RecordValue(min(max(ns, 0), h.HighestTrackableValue())) != nil {
		panic(fmt.Sprintf("world: a delay of %d ns is outside 0 to %d", ns, h.HighestTrackableValue()))
	}
}
