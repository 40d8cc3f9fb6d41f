package scene

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports/counts"
	"bluetrace/sim/event"
)

// crowd is a collector of phones in a row, each of which has heard the two before it: the nearer one twice.
type crowd struct {
	*Collector
	stream event.Stream
	logs   []*nodes.ContactLog
}

func tempID(n int) (id protocol.TempID) {
	copy(id[:], fmt.Sprintf("%020d", n))
	return id
}

func (c *crowd) send(phone event.Node, id protocol.TempID) {
	var raw [protocol.BeaconSize]byte
	copy(raw[:], id[:])
	c.stream.Emit(&event.Event{Kind: event.BeaconSent, Node: phone, Peer: event.NoPeer, Raw: &raw})
}

// logOf returns a log with these TempIDs, as a program that is started again has it.
func logOf(ids ...protocol.TempID) *nodes.ContactLog {
	var stored []nodes.StoredContact
	for _, id := range ids {
		stored = append(stored, nodes.StoredContact{Beacon: protocol.Beacon{TempID: id}, Received: 1})
	}
	settings := nodes.DefaultPhoneSettings()
	p := &nodes.Phone{}
	p.Init(&settings)
	p.Restore(nodes.Now{Wall: 1}, stored)
	return p.Log()
}

func newCrowd(phones int) *crowd {
	c := &crowd{}
	names := make([]string, phones)
	for i := range names {
		names[i] = fmt.Sprintf("phone-%d", i)
		var ids []protocol.TempID
		for _, of := range []int{i - 1, i - 1, i - 2} {
			if of >= 0 {
				ids = append(ids, tempID(of))
			}
		}
		c.logs = append(c.logs, logOf(ids...))
	}
	c.Collector = New(Run{Recorder: event.NewRecorder(names, nil), Totals: &counts.Counts{}, Names: names,
		Log: func(phone event.Node) *nodes.ContactLog { return c.logs[phone] }}, DefaultLimits())
	c.Subscribe(&c.stream)
	for i := range phones {
		c.send(event.Node(i), tempID(i))
	}
	return c
}

func TestContactsOfFewPhones(t *testing.T) {
	c := newCrowd(3)
	c.logs[0] = logOf(tempID(77)) // which no phone has sent
	g := c.Scene(time.Hour).Contacts
	got := fmt.Sprint(g.Phones, g.Heard, g.Unknown, g.All, g.At)
	if want := "[phone-0 phone-1 phone-2] [{0 1 2} {0 2 1} {1 2 2}] 1 3 1h0m0s"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestContactsOfManyPhonesAreThoseNearby: those of a moment, then those that they heard.
func TestContactsOfManyPhonesAreThoseNearby(t *testing.T) {
	c := newCrowd(1000)
	c.Failed("x", 0, int(event.Server), 500)
	c.logs[700] = logOf(tempID(699), tempID(699), tempID(699), tempID(698))
	s := c.Scene(time.Hour)
	for i, last := range []int{500, 700} {
		g := s.Contacts
		if i == 0 {
			g = s.Moments[0].Contacts
		}
		var want []string
		for phone := last - maxPhones + 1; phone <= last; phone++ {
			want = append(want, fmt.Sprintf("phone-%d", phone))
		}
		if !slices.Equal(g.Phones, want) || g.All != 1000 || len(g.Heard) != 2*maxPhones-3 {
			t.Errorf("%d edges of %q, want those up to %s", len(g.Heard), g.Phones, want[len(want)-1])
		}
	}
}

// TestSendersAreBounded: a phone that forges many TempIDs costs no more memory, and the last TempIDs stay known.
func TestSendersAreBounded(t *testing.T) {
	c := newCrowd(2)
	for i := range 3 * minTempIDs {
		c.send(1, tempID(1000+i))
	}
	last := tempID(1000 + 3*minTempIDs - 1)
	c.send(0, last) // a copy: the first sender counts
	if n := len(c.senders.first); n > minTempIDs {
		t.Errorf("%d TempIDs are kept", n)
	}
	c.logs[0] = logOf(tempID(0), last)
	if got := fmt.Sprint(c.Scene(1).Contacts.Heard); got != "[{0 0 1} {1 0 1} {0 1 2}]" {
		t.Errorf("the edges are %s", got)
	}
}
