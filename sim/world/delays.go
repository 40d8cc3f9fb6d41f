package world

import (
	"bluetrace/nodes"
	"bluetrace/reports/stats"
)

// Delays are the delays of each operation, in nanoseconds of the world's time.
type Delays struct {
	Beacon, Login, TempID, Upload, Logout stats.Histogram
}

// Done adds how long an operation took that ended at the given elapsed time; one
// without an answer has no delay.
func (d *Delays) Done(now int64, e *nodes.PhoneEffect) {
	if e.Outcome == nodes.OutcomeNoAnswer || e.Outcome == nodes.OutcomeConnectionLost {
		return
	}
	switch took := now - int64(e.Began); e.Op {
	case nodes.OpLogin:
		d.Login.Record(took)
	case nodes.OpDownload:
		d.TempID.Record(took)
	case nodes.OpUpload:
		d.Upload.Record(took)
	case nodes.OpLogout:
		d.Logout.Record(took)
	}
}
