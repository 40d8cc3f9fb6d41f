package world

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/nodes"
)

// Delays are those of each operation.
type Delays struct {
	Beacon, Login, TempID, Upload, Logout Durations
}

// Durations holds nanoseconds of the world's time, with three significant digits, up
// to 24 hours. The zero value is empty.
//
// A histogram takes 300 KiB, more than all else of a short run, and most of the
// runs of a swarm are never asked for it: it is made of the first values when
// they are many, or when it is asked for.
type Durations struct {
	first []int64
	all   *hdrhistogram.Histogram // nil: not made
}

const (
	longestDelay = int64(24 * time.Hour)
	firstDelays  = 1 << 13
)

// Add records a delay; what lies outside 0 to 24 hours counts as its nearest end.
func (d *Durations) Add(ns int64) {
	ns = min(max(ns, 0), longestDelay)
	switch {
	case d.all != nil:
		d.record(ns)
	case len(d.first) < firstDelays:
		d.first = append(d.first, ns)
	default:
		d.Histogram()
		d.record(ns)
	}
}

func (d *Durations) record(ns int64) {
	if d.all.RecordValue(ns) != nil {
		panic(fmt.Sprintf("world: a delay of %d ns is outside 0 to %d", ns, longestDelay))
	}
}

// Count is how many were recorded.
func (d *Durations) Count() int64 {
	if d.all != nil {
		return d.all.TotalCount()
	}
	return int64(len(d.first))
}

// Histogram is of all that were recorded, and of those to come.
func (d *Durations) Histogram() *hdrhistogram.Histogram {
	if d.all == nil {
		d.all = hdrhistogram.New(1, longestDelay, 3)
		for _, ns := range d.first {
			d.record(ns)
		}
		d.first = nil
	}
	return d.all
}

// Done adds how long an operation took that ended at the given elapsed time; one
// without an answer has no delay.
func (d *Delays) Done(now int64, e *nodes.PhoneEffect) {
	if e.Outcome == nodes.OutcomeNoAnswer || e.Outcome == nodes.OutcomeConnectionLost {
		return
	}
	switch took := now - int64(e.Began); e.Op {
	case nodes.OpLogin:
		d.Login.Add(took)
	case nodes.OpDownload:
		d.TempID.Add(took)
	case nodes.OpUpload:
		d.Upload.Add(took)
	case nodes.OpLogout:
		d.Logout.Add(took)
	}
}
