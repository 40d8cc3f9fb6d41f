package world

import (
	"io"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports/counts"
	"bluetrace/reports/stats"
	"bluetrace/sim/event"
)

// Records are the records of every run: those of the recorder, counts and delays.
type Records struct {
	*event.Recorder
	counts Counts
	delays Delays
	// uploads are the connections with an upload under way: the server has acknowledged a part of it.
	uploads map[uint64]bool
	sentOn  uint64                   // the connection on which a phone sent last
	logouts map[uint64]time.Duration // by connection: the time of the logout that is to end it
}

// NewRecords returns the records of a run whose phones have these names. The trace is written to trace, unless it
// is nil.
func NewRecords(names []string, trace io.Writer) *Records {
	return &Records{
		Recorder: event.NewRecorder(names, trace), uploads: map[uint64]bool{}, logouts: map[uint64]time.Duration{},
	}
}

// Subscribe subscribes the records to the kinds of events that they observe.
func (r *Records) Subscribe(s *event.Stream) {
	r.Recorder.Subscribe(s)
	r.countEvents(s)
	r.measureDelays(s)
}

// Totals returns the counts of the run so far.
func (r *Records) Totals() *Counts { return &r.counts }

// Latencies returns the delays of the run so far.
func (r *Records) Latencies() *Delays { return &r.delays }

// Counts is counts.Counts.
type Counts = counts.Counts

// Datagrams is counts.Datagrams.
type Datagrams = counts.Datagrams

// Uploads is counts.Uploads.
type Uploads = counts.Uploads

// PhoneCounts are the counts of one phone.
type PhoneCounts struct {
	Sent, Valid, Invalid uint64 // beacons sent, and beacons received by their verdict
	AgeMax               int64  // greatest age of a log entry after any event, in nanoseconds
}

// countEvents counts the events of the stream from now on.
func (r *Records) countEvents(s *event.Stream) {
	n := &r.counts
	s.On(event.BeaconSent, func(*event.Event) { n.Beacons.Sent++ })
	s.On(event.DatagramSent, func(*event.Event) {
		n.Datagrams.Sent++
		n.Datagrams.InFlight++
	})
	s.On(event.DatagramLost, func(e *event.Event) {
		n.Datagrams.Lost++
		if e.InFlight {
			n.Datagrams.InFlight--
		} else {
			n.Datagrams.Sent++
		}
	})
	s.On(event.DatagramDelivered, func(*event.Event) {
		n.Datagrams.Delivered++
		n.Datagrams.InFlight--
	})
	s.On(event.BeaconJudged, func(e *event.Event) {
		n.Beacons.Delivered++
		if e.Phone.OutOfTurn || e.Phone.Err != nil {
			n.Beacons.Invalid++
		} else {
			n.Beacons.Valid++
			n.Beacons.Kept++
		}
	})
	s.On(event.EntriesExpired, func(e *event.Event) { n.Beacons.Expired += uint64(e.Count) })
	s.On(event.Accepted, func(*event.Event) { n.Sessions.Opened++ })
	s.On(event.RemoteOpened, func(*event.Event) { n.Sessions.Opened++ })
	s.On(event.ServerEnded, func(e *event.Event) {
		if e.Closed {
			n.Sessions.Closed++
		}
	})
	s.On(event.RemoteClosed, func(*event.Event) { n.Sessions.Closed++ })
	s.On(event.ServerSent, func(e *event.Event) {
		if string(e.Bytes) == protocol.Ack {
			r.uploads[e.Conn] = true
		}
	})
	s.On(event.ServerStopped, func(e *event.Event) {
		n.Sessions.Closed += uint64(e.Count)
		n.Uploads.Broken += uint64(len(r.uploads))
		clear(r.uploads)
	})
	s.On(event.ServerDecided, func(e *event.Event) {
		countDecision(n, e.Decision)
		if k := e.Decision.Kind; k == nodes.EventUploadDone || k == nodes.EventUploadBroken {
			delete(r.uploads, e.Conn)
		}
	})
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

// Delays are the histograms of the delay of each operation, in nanoseconds of the world's time.
type Delays struct {
	Beacon, Login, TempID, Upload, Logout stats.Histogram
}

// measureDelays measures the delays of the stream from now on. The delay of a beacon runs from the sending of its first
// datagram to the verdict. That of a logout runs until the server has closed the connection or, with a remote server,
// until the phone sees that.
func (r *Records) measureDelays(s *event.Stream) {
	s.On(event.BeaconJudged, func(e *event.Event) {
		if e.SentKnown && !e.Phone.OutOfTurn {
			r.delays.Beacon.Record(int64(e.At - e.Sent))
		}
	})
	s.On(event.PhoneSent, func(e *event.Event) { r.sentOn = e.Conn })
	s.On(event.OperationDone, r.done)
	s.On(event.ServerEnded, r.ended)
	s.On(event.HungUp, r.ended)
	s.On(event.ServerStopped, func(*event.Event) { clear(r.logouts) })
}

// done records the delay of an operation that has ended. An operation without an answer of the protocol has no delay.
func (r *Records) done(e *event.Event) {
	switch e.Phone.Outcome {
	case nodes.OutcomeNoAnswer, nodes.OutcomeConnectionLost, nodes.OutcomeUnexpectedAnswer:
		return
	}
	switch delay := int64(e.At - e.Phone.Began); e.Phone.Op {
	case nodes.OpLogin:
		r.delays.Login.Record(delay)
	case nodes.OpDownload:
		r.delays.TempID.Record(delay)
	case nodes.OpUpload:
		r.delays.Upload.Record(delay)
	case nodes.OpLogout:
		r.logouts[r.sentOn] = e.At
	}
}

// ended records the delay of a logout whose connection has ended. A stream of the phone that ended before the
// server had
// read the logout gives none.
func (r *Records) ended(e *event.Event) {
	began, ok := r.logouts[e.Conn]
	if ok && (e.Closed || e.Kind == event.HungUp) {
		r.delays.Logout.Record(int64(e.At - began))
	}
	delete(r.logouts, e.Conn)
}
