package marks

import (
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// Seen listens to one run, beside those whom the world tells already.
type Seen struct {
	Counts Counts

	block  time.Duration
	start  int64 // wall time of time zero, Unix nanoseconds
	zone   *time.Location
	phones map[uint32]*phoneSeen
	blocks map[string]int64 // world's time of the beginning of each account's last block
	names  map[nodes.Conn]string
	server world.NodeClock
	saving int
	downAt int64 // when the server went down
	// cuts are in force, the first of them since cutAt.
	cuts  int
	cutAt int64
	// guessed is who had an account blocked, broken whose upload has just broken off.
	guessed map[string]guesser
	broken  map[uint32]bool
}

// guesser is somebody who types passwords: a phone's program, or a script that
// speaks to the server itself.
type guesser struct {
	phone uint32
	raw   bool
}

// phoneSeen is what is remembered of a phone.
type phoneSeen struct {
	clock    *world.NodeClock // nil: the world's
	kept     map[protocol.TempID]bool
	last     int64 // the last verdict, on a beacon of sender
	sender   uint32
	received int64 // the last valid one
	durable  int   // entries that its disk was last said to hold
	written  int64
	brokenAt int64 // when an upload broke off
}

// Settings of the run that is listened to.
type Settings struct {
	Start         int64 // Unix seconds
	Zone          *time.Location
	BlockDuration time.Duration
}

// New listens to one run.
func New(s Settings) *Seen {
	start := s.Start * int64(time.Second)
	return &Seen{block: s.BlockDuration, start: start, zone: s.Zone, phones: map[uint32]*phoneSeen{},
		blocks: map[string]int64{}, names: map[nodes.Conn]string{}, server: world.NodeClock{Wall: start},
		guessed: map[string]guesser{}, broken: map[uint32]bool{}}
}

// Between stands between a world and those whom it tells (sim.Options.Listen).
func (s *Seen) Between(w world.Watcher, st world.Story) (world.Watcher, world.Story) {
	return &watching{w, s}, &telling{st, s}
}

// watching and telling are what a world tells to.
type (
	watching struct {
		world.Watcher
		seen *Seen
	}
	telling struct {
		world.Story
		seen *Seen
	}
)

func (s *Seen) mark(m Mark) { s.Counts[m]++ }

func (s *Seen) phone(who uint32) *phoneSeen {
	p := s.phones[who]
	if p == nil {
		p = &phoneSeen{kept: map[protocol.TempID]bool{}, sender: world.Nobody, brokenAt: -1}
		s.phones[who] = p
	}
	return p
}
