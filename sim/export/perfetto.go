package export

import (
	"io"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"bluetrace/nodes"
	"bluetrace/sim/event"
)

// Perfetto writes a run as a trace of TrackEvents for ui.perfetto.dev. Its messages are
// protos/perfetto/trace/trace_packet.proto and those that it uses. A packet is written at each event, so the memory
// does not grow with the length of the run.
type Perfetto struct {
	run   Run
	block time.Duration
	to    io.Writer
	err   error
	begun bool // a packet was written

	open    map[uint64]event.Node // connections that have not ended
	valid   int64                 // beacons so far
	entries map[event.Node]int64  // in contact logs
}

// The kinds of tracks. The number of a track has its kind in the upper bits.
const (
	nodeTrack = iota + 1
	sessionTrack
	operationTrack
	blockTrack
	faultTrack
	entriesTrack
	validTrack
)

// The types of a TrackEvent.
const (
	sliceBegin = iota + 1
	sliceEnd
	instant
	counter
)

// The numbers of the fields.
const (
	tracePacket = 1

	packetTimestamp  = 8
	packetSequence   = 10
	packetTrackEvent = 11
	packetFlags      = 13
	packetTrack      = 60

	trackNumber  = 1
	trackName    = 2
	trackParent  = 5
	trackCounter = 8

	eventType            = 9
	eventTrack           = 11
	eventName            = 23
	eventCounter         = 30
	eventFlow            = 47
	eventTerminatingFlow = 48
)

// NewPerfetto returns a writer of a trace to w. block is the duration of a block of an account.
func NewPerfetto(run Run, block time.Duration, w io.Writer) *Perfetto {
	p := &Perfetto{run: run, block: block, to: w, open: map[uint64]event.Node{}, entries: map[event.Node]int64{}}
	p.track(track(nodeTrack, uint64(event.Server)), 0, run.name(event.Server), false)
	p.track(track(faultTrack, 0), 0, "faults", false)
	p.track(track(validTrack, 0), 0, "valid beacons", true)
	for i, name := range run.Names {
		node := track(nodeTrack, uint64(i))
		p.track(node, 0, name, false)
		p.track(track(operationTrack, uint64(i)), node, "operations", false)
		p.track(track(entriesTrack, uint64(i)), node, "entries in the log of "+name, true)
	}
	return p
}

func track(kind, number uint64) uint64 { return kind<<56 | number }

// Subscribe writes the events of the stream from now on.
func (p *Perfetto) Subscribe(s *event.Stream) {
	s.On(event.BeaconSent, func(e *event.Event) {
		p.instant(e, "beacon", eventFlow, flow(e.Node, e.Peer, e.At))
	})
	s.On(event.BeaconJudged, p.judged)
	s.On(event.EntriesExpired, func(e *event.Event) { p.setEntries(e, int64(e.Left)) })
	s.On(event.PhoneStarted, func(e *event.Event) { p.setEntries(e, int64(e.Log.Len())) })
	s.On(event.Connecting, p.connecting)
	for _, k := range []event.Kind{event.ConnectRefused, event.PhoneEnded, event.HungUp} {
		s.On(k, p.ended)
	}
	s.On(event.OperationDone, p.operationDone)
	s.On(event.ServerDecided, p.decided)
	s.On(event.FaultBegins, p.faultBegins)
	s.On(event.FaultEnds, func(e *event.Event) { p.event(e.At, sliceEnd, track(faultTrack, e.Number), "", nil) })
	s.On(event.FaultApplied, func(e *event.Event) { p.instant(e, string(e.Fault)+": "+e.Text, 0, 0) })
}

// flow returns the number of the flow of a beacon.
func flow(from, to event.Node, sent time.Duration) uint64 {
	const mix = 0x9e3779b97f4a7c15
	return ((uint64(from)<<32|uint64(to))*mix ^ uint64(sent)) * mix
}

func (p *Perfetto) judged(e *event.Event) {
	name, field, number := "valid beacon", protowire.Number(0), uint64(0)
	switch {
	case e.Phone.OutOfTurn:
		name = "no beacon"
	case e.Phone.Err != nil:
		name = "invalid beacon: " + e.Phone.Err.Error()
	}
	if e.SentKnown && !e.Phone.OutOfTurn {
		field, number = eventTerminatingFlow, flow(e.Peer, e.Node, e.Sent)
	}
	p.instant(e, name, field, number)
	if e.Phone.Err == nil && !e.Phone.OutOfTurn {
		p.valid++
		p.count(e.At, track(validTrack, 0), p.valid)
		p.setEntries(e, p.entries[e.Node]+1)
	}
}

func (p *Perfetto) setEntries(e *event.Event, n int64) {
	p.entries[e.Node] = n
	p.count(e.At, track(entriesTrack, uint64(e.Node)), n)
}

// connecting begins the slice of a session. Each session has a track of its own, since those of a node may overlap.
func (p *Perfetto) connecting(e *event.Event) {
	p.open[e.Conn] = e.Node
	own := track(sessionTrack, e.Conn)
	p.track(own, track(nodeTrack, uint64(e.Node)), "sessions", false)
	p.event(e.At, sliceBegin, own, "session", nil)
}

func (p *Perfetto) ended(e *event.Event) {
	if _, open := p.open[e.Conn]; open {
		delete(p.open, e.Conn)
		p.event(e.At, sliceEnd, track(sessionTrack, e.Conn), "", nil)
	}
}

// operationDone writes the slice of an operation, such as an upload, after its end: a reader sorts the packets.
func (p *Perfetto) operationDone(e *event.Event) {
	name := e.Phone.Op.String()
	if e.Phone.Outcome != nodes.OutcomeOK {
		name += ": " + e.Phone.Outcome.String()
	}
	own := track(operationTrack, uint64(e.Node))
	p.event(e.Phone.Began, sliceBegin, own, name, nil)
	p.event(e.At, sliceEnd, own, "", nil)
}

// decided writes the slice of a block.
func (p *Perfetto) decided(e *event.Event) {
	if e.Decision.Kind != nodes.EventBlockBegan {
		return
	}
	own := track(blockTrack, e.Conn)
	p.track(own, track(nodeTrack, uint64(event.Server)), "blocks", false)
	p.event(e.At, sliceBegin, own, strings.TrimSuffix("block of "+e.Decision.User, " of "), nil)
	p.event(e.At+p.block, sliceEnd, own, "", nil)
}

func (p *Perfetto) faultBegins(e *event.Event) {
	own := track(faultTrack, e.Number)
	p.track(own, track(faultTrack, 0), "faults", false)
	kind := sliceBegin
	if e.Instant {
		kind = instant
	}
	p.event(e.At, kind, own, e.Text, nil)
}

// instant writes an instant on the track of the event's node. field is that of its flow, or 0.
func (p *Perfetto) instant(e *event.Event, name string, field protowire.Number, flow uint64) {
	var more []byte
	if field != 0 {
		more = protowire.AppendFixed64(protowire.AppendTag(nil, field, protowire.Fixed64Type), flow)
	}
	p.event(e.At, instant, track(nodeTrack, uint64(e.Node)), name, more)
}

func (p *Perfetto) count(at time.Duration, on uint64, value int64) {
	p.event(at, counter, on, "", number(nil, eventCounter, uint64(value)))
}

// event writes a TrackEvent. more are fields of it.
func (p *Perfetto) event(at time.Duration, kind int, on uint64, name string, more []byte) {
	b := number(number(nil, eventType, uint64(kind)), eventTrack, on)
	if name != "" {
		b = text(b, eventName, name)
	}
	packet := number(nil, packetTimestamp, uint64(p.run.Start.Add(at).UnixNano()))
	p.write(message(packet, packetTrackEvent, append(b, more...)))
}

// track writes the descriptor of a track. A track without a parent has parent 0.
func (p *Perfetto) track(own, parent uint64, name string, isCounter bool) {
	b := text(number(nil, trackNumber, own), trackName, name)
	if parent != 0 {
		b = number(b, trackParent, parent)
	}
	if isCounter {
		b = message(b, trackCounter, nil)
	}
	p.write(message(nil, packetTrack, b))
}

// write writes a packet. All packets are one sequence.
func (p *Perfetto) write(packet []byte) {
	packet = number(packet, packetSequence, 1)
	if !p.begun {
		const incrementalStateCleared = 1
		packet = number(packet, packetFlags, incrementalStateCleared)
		p.begun = true
	}
	if p.err == nil {
		_, p.err = p.to.Write(message(nil, tracePacket, packet))
	}
}

func number(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func text(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), strings.ToValidUTF8(s, "\uFFFD"))
}

func message(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}
