package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// uploads is the model of what becomes of an upload: once its last line was
// acknowledged, the server tells of it whole, at that instant.
type uploads struct {
	v    *Invariants
	owed []owed
}

// owed is an upload whose last acknowledgement was sent.
type owed struct {
	at      int64
	name    string
	entries int
}

// uploading is one under way, as far as it can be told from reads that are one
// message each.
type uploading struct {
	asked bool // the command was the last that was read
	acks  int  // that are still to come, with that of the count; 0: none is under way
	lines int
}

const linesOfEntry = 3

// read follows what the server reads of a session.
func (u *uploads) read(at int64, s *session, p []byte) {
	u.overdue(at)
	text := string(p)
	switch n, err := strconv.Atoi(text); {
	case text == protocol.CommandUpload:
		s.upload = uploading{asked: true}
	case s.upload.asked && err == nil && n >= 0 && n%linesOfEntry == 0:
		s.upload = uploading{acks: n + 1, lines: n}
	case s.upload.asked:
		s.upload = uploading{}
	}
}

// sent follows what the server sends in a session.
func (u *uploads) sent(at int64, s *session, p []byte) {
	u.overdue(at)
	if s.upload.acks == 0 || string(p) != protocol.Ack {
		return
	}
	if s.upload.acks--; s.upload.acks == 0 {
		u.v.times[UploadsWhole]++
		u.owed = append(u.owed, owed{at, s.name, s.upload.lines / linesOfEntry})
	}
}

// printed takes an upload that is told of whole off the list.
func (u *uploads) printed(at int64, text string) {
	u.overdue(at)
	head, _, whole := strings.Cut(text, "\n"+uploadCheck)
	name, told := strings.CutPrefix(head, uploadHead)
	if !whole || !told {
		return
	}
	name, _, _ = strings.Cut(name, "\n")
	entries := strings.Count(head, "\n") / linesOfEntry
	u.owed = slices.DeleteFunc(u.owed, func(o owed) bool { return o.name == name && o.entries == entries })
}

// overdue: what was acknowledged to its end before now has been told of.
func (u *uploads) overdue(at int64) {
	if len(u.owed) == 0 {
		return
	}
	if o := u.owed[0]; o.at < at {
		u.v.violate(UploadsWhole, at, -1, fmt.Sprintf("the %d entries of %s, whose last line was acknowledged at %s s", o.entries, o.name, world.Seconds(o.at)), "nothing")
	}
}
