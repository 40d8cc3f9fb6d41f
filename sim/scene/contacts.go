package scene

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/sim/event"
)

// Limits of a contact graph.
const (
	maxPhones = 60
	// minTempIDs is the least number of TempIDs whose senders are kept; there are more if there are many phones.
	minTempIDs = 1 << 14
)

// senders finds the sender of an entry in a contact log by its TempID. It keeps the first phone that sent each TempID,
// of the last ones: a phone sends the same TempID for minutes, so most beacons only compare it with the last one.
type senders struct {
	log   func(event.Node) *nodes.ContactLog
	last  []protocol.TempID // by phone
	first map[protocol.TempID]event.Node
}

func newSenders(log func(event.Node) *nodes.ContactLog, phones int) *senders {
	return &senders{log: log, last: make([]protocol.TempID, phones), first: map[protocol.TempID]event.Node{}}
}

// sent adds the TempID of a beacon.
func (s *senders) sent(e *event.Event) {
	last, id := &s.last[e.Node], (*protocol.TempID)(e.Raw[:protocol.TempIDSize])
	if *last == *id {
		return
	}
	*last = *id
	if len(s.first) >= max(minTempIDs, 4*len(s.last)) {
		clear(s.first)
		for phone, id := range slices.Backward(s.last) { // the first phone is added last
			s.first[id] = event.Node(phone)
		}
	}
	if _, known := s.first[*id]; !known {
		s.first[*id] = e.Node
	}
}

// heard is a sender and the number of its entries in a contact log.
type heard struct {
	from    event.Node
	entries int
}

// heardBy returns the senders of the entries in the log of a phone, those of most entries first, and the number of
// entries whose sender is not known.
func (s *senders) heardBy(phone event.Node) (list []heard, unknown int) {
	log, entries := s.log(phone), map[event.Node]int{}
	for i := range log.Len() {
		if from, ok := s.first[log.At(i).TempID]; ok {
			entries[from]++
		} else {
			unknown++
		}
	}
	for _, from := range slices.Sorted(maps.Keys(entries)) {
		list = append(list, heard{from, entries[from]})
	}
	slices.SortStableFunc(list, func(a, b heard) int { return cmp.Compare(b.entries, a.entries) })
	return list, unknown
}

// contacts returns the contact graph now. If there are too many phones, it has those of phones or, if there are none,
// the one with the longest log, and then those that they heard, directly or through others.
func (c *Collector) contacts(now time.Duration, phones []int) *reports.Contacts {
	var chosen []event.Node
	add := func(phone event.Node) {
		if len(chosen) < maxPhones && !slices.Contains(chosen, phone) {
			chosen = append(chosen, phone)
		}
	}
	all := event.Node(len(c.names))
	for _, phone := range phones {
		if event.Node(phone) < all { // a step without a phone has the number of the server
			add(event.Node(phone))
		}
	}
	if all <= maxPhones {
		for phone := range all {
			add(phone)
		}
	} else if len(chosen) == 0 {
		longest := event.Node(0)
		for phone := range all {
			if c.senders.log(phone).Len() > c.senders.log(longest).Len() {
				longest = phone
			}
		}
		add(longest)
	}
	g := &reports.Contacts{At: now, All: int(all)}
	of := map[event.Node][]heard{}
	for i := 0; i < len(chosen); i++ { // the list grows
		list, unknown := c.senders.heardBy(chosen[i])
		of[chosen[i]] = list
		g.Unknown += unknown
		for _, h := range list {
			add(h.from)
		}
	}
	slices.Sort(chosen)
	for to, phone := range chosen {
		g.Phones = append(g.Phones, c.names[phone])
		slices.SortFunc(of[phone], func(a, b heard) int { return cmp.Compare(a.from, b.from) })
		for _, h := range of[phone] {
			if from, ok := slices.BinarySearch(chosen, h.from); ok {
				g.Heard = append(g.Heard, reports.Contact{From: from, To: to, Entries: h.entries})
			}
		}
	}
	return g
}
