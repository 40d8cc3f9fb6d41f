package check

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// uploads is the model of what becomes of an upload: once its last line was
// acknowledged, the server tells of it whole, at that instant.
type uploads struct {
	v      *Invariants
	owed   []owed
	latest nodes.Conn // the last one on which anything was acknowledged
	// told counts, by how many entries they have, the uploads that the server told
	// of whole and no phone has taken for done yet.
	told map[int]int
}

// Uploaded follows an upload of so many entries that a phone takes for done: the
// server has told of one.
func (v *Invariants) Uploaded(at int64, phone uint32, entries int) {
	u := &v.uploads
	if u.told[entries] == 0 {
		v.times[UploadsWhole]++
		v.violate(UploadsWhole, at, int(phone), "the server told of an upload of "+entriesText(entries), "only the phone takes it for done")
		return
	}
	u.told[entries]--
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
	acks  int32 // that are still to come, with that of the count; 0: none is under way
	lines int32
	asked bool // the command was the last that was read
}

const linesOfEntry = 3

// read follows what the server reads of a session.
func (u *uploads) read(at int64, s *session, p []byte) {
	u.overdue(at)
	text := string(p)
	switch n, err := strconv.Atoi(text); {
	case s.upload.acks > 0: // of its lines, whatever they say
	case text == protocol.CommandUpload:
		s.upload = uploading{asked: true}
	case s.upload.asked && err == nil && n >= 0 && n < math.MaxInt32 && n%linesOfEntry == 0:
		s.upload = uploading{acks: int32(n) + 1, lines: int32(n)}
	case s.upload.asked:
		s.upload = uploading{}
	}
}

// sent follows what the server sends in a session.
func (u *uploads) sent(at int64, conn nodes.Conn, s *session, p []byte) {
	u.overdue(at)
	if string(p) != protocol.Ack {
		s.acked = 0
		return
	}
	s.acked++
	u.latest = conn
	if s.upload.acks == 0 {
		return
	}
	if s.upload.acks--; s.upload.acks == 0 {
		u.v.times[UploadsWhole]++
		u.owed = append(u.owed, owed{at, s.name, int(s.upload.lines) / linesOfEntry})
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
	if u.told == nil {
		u.told = map[int]int{}
	}
	u.told[entries]++
	if i := slices.IndexFunc(u.owed, func(o owed) bool { return o.name == name && o.entries == entries }); i >= 0 {
		u.owed = slices.Delete(u.owed, i, i+1)
	}
	u.acknowledged(at, name, entries)
}

// acknowledged: of an upload that is told of whole, the command, the count and
// every line were acknowledged in one session.
func (u *uploads) acknowledged(at int64, name string, entries int) {
	need := 2 + entries*linesOfEntry
	enough := func(s session) bool { return s.stage == inSession && s.name == name && s.acked >= need }
	all := u.v.accounts.sessions
	i := int(u.latest)
	if i >= len(all) || !enough(all[i]) {
		i = slices.IndexFunc(all, enough)
	}
	if i >= 0 {
		all[i].acked -= need
		return
	}
	u.v.times[UploadsWhole]++
	u.v.violate(UploadsWhole, at, -1, fmt.Sprintf("no word of an upload of %s before its %d lines are acknowledged", name, need-2), "it is told of whole")
}

// overdue: what was acknowledged to its end before now has been told of.
func (u *uploads) overdue(at int64) {
	if len(u.owed) == 0 {
		return
	}
	if o := u.owed[0]; o.at < at {
		u.v.violate(UploadsWhole, at, -1, fmt.Sprintf("an upload of %s by %s, whose last line was acknowledged at %s s, is told of", entriesText(o.entries), o.name, world.Seconds(o.at)), "nothing")
	}
}
