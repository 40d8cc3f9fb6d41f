package scene

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/reports"
	"bluetrace/reports/counts"
	"bluetrace/sim/event"
)

// rig is a stream with a recorder and a count of accepted connections, and a collector of both.
type rig struct {
	stream event.Stream
	*Collector
}

func newRig(l Limits) *rig {
	r := &rig{}
	recorder, totals := event.NewRecorder([]string{"anna", "ben"}, nil), &counts.Counts{}
	r.Collector = New(Run{Recorder: recorder, Totals: totals, Names: []string{"anna", "ben"}, Block: time.Minute,
		Log: func(event.Node) *nodes.ContactLog { return &nodes.ContactLog{} }}, l)
	r.Subscribe(&r.stream)
	recorder.Subscribe(&r.stream)
	r.stream.On(event.Accepted, func(*event.Event) { totals.Sessions.Opened++ })
	return r
}

func (r *rig) emit(at time.Duration, e event.Event) {
	e.At = at
	r.stream.Emit(&e)
}

func (r *rig) accept(at time.Duration) {
	r.emit(at, event.Event{Kind: event.Accepted, Node: event.Server, Peer: 0, Conn: 1})
}

func (r *rig) print(at time.Duration, node event.Node, text string) {
	r.emit(at, event.Event{Kind: event.PhonePrinted, Node: node, Peer: event.NoPeer, Text: text})
}

func TestSamplesAreThinnedOut(t *testing.T) {
	l := DefaultLimits()
	l.Samples = 8
	r := newRig(l)
	for i := range 1000 {
		r.accept(time.Duration(i) * time.Second)
	}
	list := r.Scene(1000 * time.Second).Samples
	if len(list) < 4 || len(list) > 10 {
		t.Fatalf("%d samples", len(list))
	}
	for i, s := range list[:len(list)-1] {
		if s.At != time.Duration(i)*list[1].At {
			t.Errorf("sample %d is at %v, the first at %v", i, s.At, list[1].At)
		}
		if want := uint64((s.At + time.Second - 1) / time.Second); s.Sessions.Opened != want {
			t.Errorf("sample %d at %v has %d sessions, want %d", i, s.At, s.Sessions.Opened, want)
		}
	}
	if last := list[len(list)-1]; last.At != 1000*time.Second || last.Sessions.Opened != 1000 {
		t.Errorf("the last sample is %v with %d sessions", last.At, last.Sessions.Opened)
	}
}

func TestMomentsHaveEventsOnBothSides(t *testing.T) {
	l := DefaultLimits()
	l.Before, l.After, l.Failures = 2, 2, 1
	r := newRig(l)
	for i := range 5 {
		r.print(time.Duration(i), 0, strconv.Itoa(i))
		r.print(time.Duration(i), 1, "of ben")
	}
	r.Failed("file:3:1", 4, -1, 0)
	r.Failed("file:4:1", 4, 0)
	r.Named("label", 4)
	for i := range 5 {
		r.print(time.Duration(10+i), 0, strconv.Itoa(10+i))
	}
	s := r.Scene(time.Hour)
	if len(s.Moments) != 2 || s.MoreMoments != 1 {
		t.Fatalf("%d moments, %d left out, want 2 and 1", len(s.Moments), s.MoreMoments)
	}
	for i, want := range [][]string{
		{`anna: prints "3"`, `anna: prints "4"`, `anna: prints "10"`, `anna: prints "11"`},
		{`anna: prints "4"`, `ben: prints "of ben"`, `anna: prints "10"`, `anna: prints "11"`},
	} {
		var got []string
		for _, e := range s.Moments[i].Events {
			got = append(got, e.Text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("moment %d has %q, want %q", i, got, want)
		}
	}
	if !s.Moments[0].Failed || s.Moments[1].Failed || s.Moments[1].Of != "label" || s.Recorded != 15 {
		t.Errorf("the scene is %+v", s)
	}
}

// TestLaterEventsAreFetchedInTime checks that the recorder still has the events after a moment, however many follow.
func TestLaterEventsAreFetchedInTime(t *testing.T) {
	r := newRig(DefaultLimits())
	r.Failed("x", 0, 0)
	r.print(1, 0, "first")
	for i := range 10_000 {
		r.accept(time.Duration(2 + i))
	}
	if s := r.Scene(time.Hour); len(s.Moments[0].Events) == 0 || s.Moments[0].Events[0].Text != `anna: prints "first"` {
		t.Errorf("the events are %v", s.Moments[0].Events)
	}
}

func TestEventsAfterTheWindowAreLeftOut(t *testing.T) {
	r := newRig(DefaultLimits())
	r.Failed("x", 0, 0)
	r.print(10*time.Second, 0, "in")
	r.print(10*time.Second+1, 0, "out")
	if s := r.Scene(time.Hour); len(s.Moments[0].Events) != 1 {
		t.Errorf("the events are %v", s.Moments[0].Events)
	}
}

func TestBands(t *testing.T) {
	l := DefaultLimits()
	l.Bands = 4
	r := newRig(l)
	at := func(k event.Kind, at time.Duration, e event.Event) {
		e.Kind = k
		r.emit(at, e)
	}
	at(event.FaultBegins, 1, event.Event{Node: event.Server, Peer: event.NoPeer, Number: 1, Text: "lose"})
	at(event.FaultBegins, 2, event.Event{Node: event.Server, Peer: event.NoPeer, Number: 2, Instant: true})
	at(event.ServerStopped, 3, event.Event{Node: event.Server})
	at(event.PhoneStopped, 4, event.Event{Node: 1})
	at(event.PhoneStarted, 5, event.Event{Node: 1})
	at(event.FaultEnds, 6, event.Event{Node: event.Server, Peer: event.NoPeer, Number: 1})
	at(event.ServerDecided, 7, event.Event{Node: event.Server,
		Decision: &nodes.ServerEvent{Kind: nodes.EventBlockBegan, User: "anna"}})
	at(event.ServerDecided, 8, event.Event{Node: event.Server,
		Decision: &nodes.ServerEvent{Kind: nodes.EventBlockBegan, User: "ben"}})
	s := r.Scene(time.Second)
	want := []reports.Band{
		{Kind: reports.FaultBand, From: 1, To: 6, Text: "fault 1: lose"},
		{Kind: reports.DownBand, From: 3, To: time.Second, Node: "server", Text: "server is down"},
		{Kind: reports.DownBand, From: 4, To: 5, Node: "ben", Text: "ben is down"},
		{Kind: reports.BlockBand, From: 7, To: time.Second, Node: "server", Text: `"anna" is blocked for 1m0s`},
	}
	if !slices.Equal(s.Bands, want) || s.MoreBands != 1 || s.Samples[len(s.Samples)-1].Faults != 0 {
		t.Errorf("%d bands left out: %+v", s.MoreBands, s.Bands)
	}
}

// BenchmarkTick measures the cost of an event that needs no sample.
func BenchmarkTick(b *testing.B) {
	r := newRig(DefaultLimits())
	r.due = time.Hour
	e := event.Event{Kind: event.BeaconSent}
	for b.Loop() {
		r.tick(&e)
	}
}
