// Package scene observes the course of a run for its page: it samples the counts at equal distances, and keeps the
// events around failures and named moments. Its memory is bounded, whatever the length of the run: samples are
// thinned out, and events come from the recorder, which keeps the last ones anyway.
package scene

import (
	"fmt"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/reports/counts"
	"bluetrace/sim/event"
)

// Limits are the bounds of a scene.
type Limits struct {
	Failures, Labels int           // moments of each kind
	Before, After    int           // events around a moment
	Window           time.Duration // the time after a moment whose events are kept
	Samples          int           // an even number
	Bands            int
}

// DefaultLimits returns the limits of the commands.
func DefaultLimits() Limits {
	return Limits{Failures: 12, Labels: 6, Before: 40, After: 16, Window: 10 * time.Second, Samples: 240, Bands: 300}
}

// MaxEvents is the largest number of events before a moment.
const MaxEvents = 1000

// ShowEvents sets the number of events before a moment, up to MaxEvents, and with it that of the events after it, which
// is two fifths of it.
func (l *Limits) ShowEvents(before int) { l.Before, l.After = before, (2*before+4)/5 }

// waited is the number of recorded events after which the events after a moment are fetched. It is less than those
// that the recorder keeps.
const waited = 1 << 10

// firstWidth is the first distance of two samples. It doubles whenever there are too many, and so becomes 1, 2, 4 and
// more whole seconds.
const firstWidth = time.Second / 512

// Collector collects the scene of one run. A nil Collector collects nothing.
type Collector struct {
	recorder *event.Recorder
	totals   *counts.Counts
	names    []string // of the phones and programs
	block    time.Duration
	limits   Limits
	senders  *senders

	due     time.Duration // the time from which an event needs more than a comparison
	next    time.Duration // of the next sample
	width   time.Duration // between two samples
	inForce int
	scene   reports.Scene
	bands   map[bandKey]int // the bands without an end, as indices
	waiting []waiting
	left    Limits // Failures, Labels and Bands that may still be added
}

// waiting is a moment whose later events have not been fetched.
type waiting struct {
	moment int
	number uint64 // of the first later event
	phones []int
}

// bandKey is the number of a fault or the node that is down.
type bandKey struct {
	kind   reports.BandKind
	number uint64
}

// Run describes the run that is observed.
type Run struct {
	Recorder *event.Recorder
	Totals   *counts.Counts
	Names    []string      // of the phones and programs, by event.Node
	Begin    time.Duration // time of the first event
	Block    time.Duration // duration of a block
	// Log returns the contact log of a phone without any effect on the run.
	Log func(phone event.Node) *nodes.ContactLog
}

// New returns a collector of a run.
func New(r Run, l Limits) *Collector {
	return &Collector{
		recorder: r.Recorder, totals: r.Totals, names: r.Names, block: r.Block, limits: l, left: l,
		due: r.Begin, next: r.Begin, width: firstWidth, bands: map[bandKey]int{},
		senders: newSenders(r.Log, len(r.Names)),
	}
}

// Subscribe observes the events of the stream from now on. It must be called before the counts observe them, because a
// sample has no event of its own time.
func (c *Collector) Subscribe(s *event.Stream) {
	for _, k := range []event.Kind{
		event.BeaconSent, event.BeaconJudged, event.DatagramLost, event.EntriesExpired, event.Accepted,
		event.ServerRead, event.ServerEnded, event.RemoteOpened, event.RemoteClosed, event.ServerStopped,
		event.FaultBegins, event.FaultEnds,
	} {
		s.On(k, c.tick)
	}
	s.On(event.BeaconSent, c.senders.sent)
	s.On(event.FaultBegins, func(e *event.Event) {
		if !e.Instant {
			c.inForce++
			c.begin(bandKey{reports.FaultBand, e.Number}, "", e.At, fmt.Sprintf("fault %d: %s", e.Number, e.Text))
		}
	})
	s.On(event.FaultEnds, func(e *event.Event) {
		c.inForce--
		c.end(bandKey{reports.FaultBand, e.Number}, e.At)
	})
	for began, ended := range map[event.Kind]event.Kind{
		event.PhoneStopped: event.PhoneStarted, event.ServerStopped: event.ServerStarted,
	} {
		s.On(began, func(e *event.Event) {
			c.begin(bandKey{reports.DownBand, uint64(e.Node)}, c.name(e.Node), e.At, c.name(e.Node)+" is down")
		})
		s.On(ended, func(e *event.Event) { c.end(bandKey{reports.DownBand, uint64(e.Node)}, e.At) })
	}
	s.On(event.ServerDecided, func(e *event.Event) {
		if e.Decision.Kind == nodes.EventBlockBegan {
			text := fmt.Sprintf("%q is blocked for %v", e.Decision.User, c.block)
			c.band(reports.Band{Kind: reports.BlockBand, From: e.At, To: e.At + c.block, Node: "server", Text: text})
		}
	})
}

// tick takes the samples that are due before an event.
func (c *Collector) tick(e *event.Event) {
	if e.At >= c.due {
		c.sampleUntil(e.At)
		c.fetch(e.At)
	}
}

func (c *Collector) sampleUntil(at time.Duration) {
	for ; at >= c.next; c.next += c.width {
		list := append(c.scene.Samples, reports.Sample{At: c.next, Counts: *c.totals, Faults: c.inForce})
		if len(list) > c.limits.Samples {
			for i := range len(list)/2 + 1 {
				list[i] = list[2*i]
			}
			list = list[:len(list)/2+1]
			c.width *= 2
		}
		c.scene.Samples = list
	}
	c.due = c.next
}

// fetch fetches the later events of moments that are far enough in the past.
func (c *Collector) fetch(now time.Duration) {
	c.waiting = slices.DeleteFunc(c.waiting, func(w waiting) bool {
		m := &c.scene.Moments[w.moment]
		if now <= m.At+c.limits.Window && c.recorder.Number() < w.number+waited {
			return false
		}
		for _, e := range c.recorder.First(w.number, c.limits.After, w.phones) {
			if e.At <= m.At+c.limits.Window {
				m.Events = append(m.Events, c.event(&e))
			}
		}
		return true
	})
	if len(c.waiting) > 0 {
		c.due = now
	}
}

// Failed keeps the events around a failure, which is now. of is the place or the name of the check. The events concern
// any of the phones, or all phones if there are none.
func (c *Collector) Failed(of string, now time.Duration, phones ...int) {
	if c != nil {
		c.mark(reports.Moment{At: now, Of: of, Failed: true}, phones, &c.left.Failures)
	}
}

// Named keeps the events around a named moment, which is now.
func (c *Collector) Named(label string, now time.Duration, phones ...int) {
	if c != nil {
		c.mark(reports.Moment{At: now, Of: label}, phones, &c.left.Labels)
	}
}

func (c *Collector) mark(m reports.Moment, phones []int, left *int) {
	if *left == 0 {
		c.scene.MoreMoments++
		return
	}
	*left--
	phones = slices.DeleteFunc(phones, func(phone int) bool { return phone < 0 })
	for _, e := range c.recorder.Last(c.limits.Before, phones) {
		m.Events = append(m.Events, c.event(&e))
	}
	m.Contacts = c.contacts(m.At, phones)
	c.waiting = append(c.waiting, waiting{len(c.scene.Moments), c.recorder.Number(), phones})
	c.scene.Moments = append(c.scene.Moments, m)
	c.due = m.At
}

// begin adds a band that has no end yet.
func (c *Collector) begin(key bandKey, node string, at time.Duration, text string) {
	if c.band(reports.Band{Kind: key.kind, From: at, To: -1, Node: node, Text: text}) {
		c.bands[key] = len(c.scene.Bands) - 1
	}
}

// band adds a band. It reports false if there are too many.
func (c *Collector) band(b reports.Band) bool {
	if c.left.Bands == 0 {
		c.scene.MoreBands++
		return false
	}
	c.left.Bands--
	c.scene.Bands = append(c.scene.Bands, b)
	return true
}

func (c *Collector) end(key bandKey, at time.Duration) {
	if i, ok := c.bands[key]; ok {
		c.scene.Bands[i].To = at
		delete(c.bands, key)
	}
}

// Scene returns the scene of the run, which has ended.
func (c *Collector) Scene(end time.Duration) *reports.Scene {
	for c.sampleUntil(end - 1); len(c.waiting) > 0; {
		c.fetch(1<<63 - 1)
	}
	for _, i := range c.bands {
		c.scene.Bands[i].To = end
	}
	for i := range c.scene.Bands {
		c.scene.Bands[i].To = min(c.scene.Bands[i].To, end)
	}
	s := c.scene
	s.Samples = append(s.Samples, reports.Sample{At: end, Counts: *c.totals, Faults: c.inForce})
	s.Length, s.Recorded, s.Contacts = end, c.recorder.Number(), c.contacts(end, nil)
	return &s
}

func (c *Collector) name(n event.Node) string {
	if int(n) < len(c.names) {
		return c.names[n]
	}
	return "server"
}

// kinds are the kinds of events on the page.
var kinds = [event.Kinds]reports.EventKind{
	event.BeaconSent: reports.BeaconMark, event.DatagramSent: reports.DatagramSent,
	event.DatagramLost: reports.DatagramLost, event.DatagramDelivered: reports.DatagramCame,
	event.EntriesExpired: reports.ExpiryMark, event.Connecting: reports.ConnectionMark,
	event.Accepted: reports.ConnectionMark, event.Connected: reports.ConnectionMark,
	event.ConnectRefused: reports.ConnectionMark, event.PhoneSent: reports.BytesSent,
	event.PhoneRead: reports.BytesCame, event.PhoneEnded: reports.ConnectionMark,
	event.ServerSent: reports.BytesSent, event.ServerRead: reports.BytesCame,
	event.ServerEnded: reports.ConnectionMark, event.ServerPrinted: reports.PrintMark,
	event.StoreDone: reports.DiskMark, event.ProgramStatus: reports.StatusMark,
	event.PhonePrinted: reports.PrintMark, event.FaultBegins: reports.FaultMark,
	event.FaultEnds: reports.FaultMark, event.FaultApplied: reports.FaultMark,
	event.BeaconJudged: reports.ValidMark,
}

// alterations are the effects of the kinds of faults on a datagram.
var alterations = map[string]reports.Alteration{
	"duplicate": reports.Duplicated, "corrupt": reports.Corrupted, "truncate": reports.Truncated,
	"reorder": reports.Reordered, "delay": reports.Delayed, "slow": reports.Delayed,
}

// event returns a recorded event for the page.
func (c *Collector) event(e *event.Recorded) reports.SceneEvent {
	s := reports.SceneEvent{At: e.At, Kind: kinds[e.Kind], Node: c.name(e.Node), Number: e.Number, Text: e.Line,
		Altered: alterations[string(e.Fault)]}
	if e.Peer != event.NoPeer {
		s.Peer = c.name(e.Peer)
	}
	switch e.Kind {
	case event.PhoneSent, event.PhoneRead:
		s.Peer, s.Bytes = c.name(event.Server), e.Text
	case event.ServerSent, event.ServerRead:
		s.Bytes = e.Text
	case event.BeaconJudged:
		if e.Invalid {
			s.Kind = reports.InvalidMark
		}
	}
	return s
}
