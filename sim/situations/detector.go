package situations

import (
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

// Settings are the settings of the observed run.
type Settings struct {
	Start         int64 // wall time of time zero, Unix seconds
	Zone          *time.Location
	BlockDuration time.Duration
}

// Detector observes a run and counts the situations that it reaches.
type Detector struct {
	Counts Counts

	Settings
	phones   map[event.Node]*phone
	blocks   map[string]time.Duration // begin of the last block of each account
	blockers map[string]guesser       // the guesser that caused the last block of each account
	server   event.NodeClock
	stores   int           // writes of the server's disk that are in progress
	downAt   time.Duration // the time at which the server last stopped
	cuts     int           // number of partitions in force
	cutAt    time.Duration // begin of the first partition of those in force
}

// guesser types passwords: the program of a phone, or the script on a connection
// of its own.
type guesser struct {
	phone    event.Node
	scripted bool
}

// phone is the observed state of one phone.
type phone struct {
	clock    *event.NodeClock         // nil if the phone has the clock of the world
	stored   map[protocol.TempID]bool // the TempIDs of its valid beacons
	judgedAt time.Duration            // time of the last verdict
	sender   event.Node               // sender of the beacon of the last verdict
	validAt  time.Duration            // time of the last valid beacon
	durable  int                      // number of entries on its disk after the last write or start
	written  time.Duration            // the time of the last write of its disk
	// broken is true if an upload has just lost its connection. brokenAt is the time
	// at which the phone has handled the loss.
	broken   bool
	brokenAt time.Duration
	dropped  map[uint32]map[uint16]bool // by sender: the ports whose datagrams the phone ignores until a beacon begins
	owed     bool                       // the answer to a download that the phone has given up is still to come
}

// New returns a detector.
func New(s Settings) *Detector {
	return &Detector{
		Settings: s,
		phones:   map[event.Node]*phone{}, blocks: map[string]time.Duration{}, blockers: map[string]guesser{},
		server: event.NodeClock{Wall: s.Start * int64(time.Second)},
	}
}

// Subscribe counts the situations in the events of the stream from now on.
func (d *Detector) Subscribe(s *event.Stream) {
	s.On(event.BeaconJudged, d.judged)
	s.On(event.DatagramDelivered, d.delivered)
	s.On(event.OperationDone, d.operationDone)
	s.On(event.ProgramConnects, func(e *event.Event) { d.phone(e.Node).owed = false })
	s.On(event.Replied, d.replied)
	s.On(event.PhoneStepped, d.phoneStepped)
	s.On(event.LogWritten, d.logWritten)
	s.On(event.PhoneStopped, d.phoneStopped)
	s.On(event.PhoneStarted, d.phoneStarted)
	s.On(event.ClockSet, d.clockSet)
	s.On(event.ServerDecided, d.decided)
	s.On(event.ServerPrinted, func(e *event.Event) {
		d.countIf(strings.HasPrefix(e.Text, "blocked names without an account take more than"), BlockForgotten)
	})
	s.On(event.StoreAsked, func(*event.Event) { d.stores++ })
	s.On(event.StoreDone, d.storeDone)
	s.On(event.ServerStopped, d.serverStopped)
	s.On(event.ServerStarted, d.serverStarted)
	s.On(event.FileRepaired, d.repaired)
	s.On(event.FaultBegins, d.faultBegins)
	s.On(event.FaultEnded, d.faultEnded)
	s.On(event.FaultApplied, d.applied)
}

func (d *Detector) count(s Situation) { d.Counts[s]++ }

// countIf counts a situation if it was reached.
func (d *Detector) countIf(reached bool, s Situation) {
	if reached {
		d.count(s)
	}
}

// countBlockEnds counts a situation for each block that ends after from, up to
// and including to.
func (d *Detector) countBlockEnds(s Situation, from, to time.Duration) {
	for _, since := range d.blocks {
		end := since + d.BlockDuration
		d.countIf(end > from && end <= to, s)
	}
}

// blocked reports whether any account is blocked.
func (d *Detector) blocked(at time.Duration) bool {
	for _, since := range d.blocks {
		if at-since < d.BlockDuration {
			return true
		}
	}
	return false
}

// phone returns the observed state of a phone.
func (d *Detector) phone(node event.Node) *phone {
	p := d.phones[node]
	if p == nil {
		p = &phone{stored: map[protocol.TempID]bool{}, dropped: map[uint32]map[uint16]bool{}, sender: event.NoPeer, brokenAt: -1}
		d.phones[node] = p
	}
	return p
}

// Places of the fields in an encoded beacon.
const (
	startAt   = protocol.TempIDSize
	expiryAt  = startAt + protocol.TimeSize
	versionAt = expiryAt + protocol.TimeSize
)

// timeLayout is the layout of a time on the wire (PROTOCOL.md section 1).
const timeLayout = "02/01/2006 15:04:05"

// judged counts the situations of one verdict. They depend on the time, on the clock of
// the phone and on the beacon that the phone judged before.
func (d *Detector) judged(e *event.Event) {
	if e.Phone.OutOfTurn {
		d.outOfTurn(e)
		return
	}
	p, v := d.phone(e.Node), e.Phone
	if v.At.Wall%int64(time.Second) == 0 {
		switch time.Unix(0, v.At.Wall).In(d.Zone).Format(timeLayout) {
		case string(v.Raw[expiryAt:versionAt]):
			d.count(BeaconAtExpiry)
		case string(v.Raw[startAt:expiryAt]):
			d.count(BeaconAtStart)
		}
	}
	first := e.At - (v.At.Elapsed - v.FirstPart)
	d.countIf(p.sender != event.NoPeer && p.sender != e.Peer && first < p.judgedAt, BeaconsInterleaved)
	p.judgedAt, p.sender = e.At, e.Peer
	if v.Err != nil {
		return
	}
	d.countIf(!v.HasVersion, BeaconWithoutVersion)
	id := protocol.TempID(v.Raw[:protocol.TempIDSize])
	d.countIf(p.stored[id], BeaconKeptTwice)
	p.stored[id] = true
	p.validAt = e.At
	d.countIf(p.clock != nil && !d.validByWorld(e), BeaconByOtherClock)
}

// outOfTurn counts a situation if the phone now ignores more sources of one sender than it keeps: it has then forgotten
// one of them.
func (d *Detector) outOfTurn(e *event.Event) {
	p := d.phone(e.Node)
	ports := p.dropped[e.Peer]
	if ports == nil {
		ports = map[uint16]bool{}
		p.dropped[e.Peer] = ports
	}
	ports[e.Phone.From.Port] = true
	if len(ports) > protocol.MaxSourcesPerAddress {
		clear(ports)
		d.count(SourceForgotten)
	}
}

// delivered follows the first parts: a source of one is not ignored any more.
func (d *Detector) delivered(e *event.Event) {
	if e.Size != protocol.TempIDSize {
		return
	}
	if p := d.phones[e.Node]; p != nil {
		delete(p.dropped[e.Peer], e.Port)
	}
}

// validByWorld reports whether the beacon would be valid by the clock of the world. A
// beacon whose times are not readable counts as valid.
func (d *Detector) validByWorld(e *event.Event) bool {
	start, err := time.ParseInLocation(timeLayout, string(e.Phone.Raw[startAt:expiryAt]), d.Zone)
	if err != nil {
		return true
	}
	expiry, err := time.ParseInLocation(timeLayout, string(e.Phone.Raw[expiryAt:versionAt]), d.Zone)
	now := time.Unix(d.Start, int64(e.At))
	return err != nil || !now.Before(start) && now.Before(expiry)
}

func (d *Detector) operationDone(e *event.Event) {
	if e.Phone.Op == nodes.OpUpload && e.Phone.Outcome == nodes.OutcomeConnectionLost {
		d.phone(e.Node).broken = true
	}
	if e.Phone.Op == nodes.OpDownload && e.Phone.Outcome == nodes.OutcomeNoAnswer {
		d.phone(e.Node).owed = true
	}
}

func (d *Detector) replied(e *event.Event) {
	if p := d.phones[e.Node]; p != nil && p.owed && !e.Scripted && len(e.Bytes) == protocol.TempIDSize {
		p.owed = false
		d.count(OwedAnswer)
	}
}

func (d *Detector) phoneStepped(e *event.Event) {
	if p := d.phones[e.Node]; p != nil && p.broken {
		p.broken, p.brokenAt = false, e.At
	}
}

func (d *Detector) logWritten(e *event.Event) {
	p := d.phone(e.Node)
	p.durable, p.written = len(e.Stored), e.At
}

func (d *Detector) phoneStopped(e *event.Event) {
	p := d.phone(e.Node)
	d.countIf(p.validAt > p.written, LogPartlyLost)
	d.countIf(p.broken || p.brokenAt == e.At, PhoneStoppedInUpload)
	p.broken = false
	clear(p.dropped)
}

func (d *Detector) phoneStarted(e *event.Event) {
	p := d.phone(e.Node)
	d.countIf(e.Log.Len() > 0, EntryOutlivesRestart)
	d.countIf(e.Log.Len() < p.durable, EntryExpiresWhileOff)
	p.durable = e.Log.Len()
}

func (d *Detector) clockSet(e *event.Event) {
	now := e.Clock
	if e.Node != event.Server {
		d.phone(e.Node).clock = &now
		return
	}
	stepped := d.server.WallAt(int64(e.At)) != now.Wall
	d.countIf(stepped && d.blocked(e.At), BlockOverStep)
	d.server = now
}

func (d *Detector) storeDone(e *event.Event) {
	d.stores--
	if e.Err == nil {
		return
	}
	for i := range e.Records {
		if e.Records[i].Kind == nodes.RecordIssue {
			d.count(IssueNotSaved)
		} else {
			d.count(AttemptNotSaved)
		}
	}
}

// decided counts the situations of a decision of the server about a login, an upload or
// the end of a session.
func (d *Detector) decided(e *event.Event) {
	by, v := guesser{e.Peer, e.Scripted}, e.Decision
	switch v.Kind {
	case nodes.EventBlockBegan:
		d.blocks[v.User], d.blockers[v.User] = e.At, by
	case nodes.EventRefused:
		blocker, ok := d.blockers[v.User]
		d.countIf(ok && !e.Scripted && v.User != "" && blocker != by, RefusedOwner)
	case nodes.EventUploadDone:
		d.countIf(v.Resolved < v.Entries, UploadOfForeign)
	case nodes.EventUploadBroken:
		d.brokenUpload(v)
	case nodes.EventSessionEnded:
		d.countIf(v.Reason == nodes.ReasonCount, UploadRefused)
		d.countIf(v.Reason == nodes.ReasonLoginTimeout, LoginTimedOut)
		d.countIf(v.Reason == nodes.ReasonIdleTimeout, SessionIdle)
		d.countIf(v.Reason == nodes.ReasonTooMany, ConnectionsFull)
	}
}

// brokenUpload counts the situation of an upload that ended before its last line. The
// situation depends on the line that the server expected next.
func (d *Detector) brokenUpload(v *nodes.ServerEvent) {
	switch {
	case v.Announced > 0:
		next := [...]Situation{UploadCutAtTempID, UploadCutAtStart, UploadCutAtExpiry}
		d.count(next[v.Lines%len(next)])
		d.countIf(v.Lines == v.Announced-1, UploadCutAtLastLine)
	case v.Reason != nodes.ReasonCount:
		d.count(UploadWithoutCount)
	}
}

func (d *Detector) serverStopped(e *event.Event) {
	d.countIf(d.stores > 0, KilledWhileSaving)
	d.stores, d.downAt = 0, e.At
}

func (d *Detector) serverStarted(e *event.Event) {
	d.countIf(d.blocked(e.At), BlockOverRestart)
	d.countBlockEnds(BlockEndsWhileDown, d.downAt, e.At)
}

func (d *Detector) repaired(e *event.Event) {
	switch e.Repair {
	case event.TornLine:
		d.count(TornLineFound)
	case event.Recovered:
		d.count(WALRestores)
	}
}

func (d *Detector) faultBegins(e *event.Event) {
	if e.Fault == fault.Cut && !e.Instant {
		if d.cuts++; d.cuts == 1 {
			d.cutAt = e.At
		}
	}
}

func (d *Detector) faultEnded(e *event.Event) {
	if e.Fault == fault.Cut {
		if d.cuts--; d.cuts == 0 {
			d.countBlockEnds(BlockEndsDuringCut, d.cutAt, e.At)
		}
	}
}

// applied counts the situations of one effect of a fault.
func (d *Detector) applied(e *event.Event) {
	switch e.Fault {
	case fault.Duplicate:
		d.count(BeaconDoubled)
	case fault.Reorder:
		d.count(BeaconReordered)
	case fault.Corrupt:
		d.count(BeaconCorrupted)
	case fault.Cut:
		d.countIf(d.blocked(e.At), BlockDuringCut)
	case fault.Pause:
		d.countIf(e.Node == event.Server, ServerPaused)
	case fault.Crash:
		d.countIf(e.Amount > 0, PartOfWriteLeft)
	}
}
