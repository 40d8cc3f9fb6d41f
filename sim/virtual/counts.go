package virtual

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
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

// Delays hold nanoseconds of virtual time, with three significant digits.
type Delays struct {
	Beacon, Login, TempID, Upload, Logout *hdrhistogram.Histogram
}

func newDelays() Delays {
	h := func() *hdrhistogram.Histogram {
		return hdrhistogram.New(1, int64(24*time.Hour), 3)
	}
	return Delays{h(), h(), h(), h(), h()}
}

func record3(h *hdrhistogram.Histogram, d int64) {
	if h.RecordValue(min(max(d, 0), h.HighestTrackableValue())) != nil {
		panic(fmt.Sprintf("virtual: a delay of %d ns is outside 0 to %d", d, h.HighestTrackableValue()))
	}
}
