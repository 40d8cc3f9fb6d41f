package check

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// Lines of the block that the server prints for an upload (PROTOCOL.md section 2).
const (
	uploadHead  = "received contact log from "
	uploadCheck = "Contact log checking"
)

const linesPerEntry = 3

// uploads is the model of uploads: once the last line of an upload is acknowledged,
// the server prints it completely in the same instant, and it prints nothing else.
type uploads struct {
	v      *Invariants
	owed   []owedUpload
	latest nodes.Conn // of the last acknowledgement
	conn   uint64     // number of that connection
	// underWay are the connections with an upload of which the server has acknowledged a part.
	underWay      map[uint64]bool
	whole, broken uint64 // uploads that were printed completely, and that ended before
	// complete counts the uploads, by their number of entries, that the server printed
	// completely and that no phone has reported as done.
	complete map[int]int
}

// owedUpload is an upload that is fully acknowledged and not printed yet.
type owedUpload struct {
	at      int64
	name    string
	entries int
}

// uploading is the upload that is in progress in a session. It is recognized if the
// server reads the command, the count and each line by themselves.
type uploading struct {
	acks  int32 // acknowledgements to come, including that of the count; 0 if there is no upload
	lines int32 // the number that the count announced
	asked bool  // the last read was the command
}

// read follows bytes that the server reads in a session.
func (u *uploads) read(at int64, s *session, p []byte) {
	u.checkOwed(at)
	text := string(p)
	switch n, err := strconv.Atoi(text); {
	case s.upload.acks > 0: // a line, whatever it contains
	case text == protocol.CommandUpload:
		s.upload = uploading{asked: true}
	case s.upload.asked && err == nil && n >= 0 && n < math.MaxInt32 && n%linesPerEntry == 0:
		s.upload = uploading{acks: int32(n) + 1, lines: int32(n)}
	case s.upload.asked:
		s.upload = uploading{}
	}
}

// sent follows an answer of the server in a session.
func (u *uploads) sent(e *event.Event, s *session) {
	at := int64(e.At)
	u.checkOwed(at)
	if string(e.Bytes) != protocol.Ack {
		s.acks = 0
		return
	}
	s.acks++
	u.latest, u.conn, u.underWay[e.Conn] = e.Slot, e.Conn, true
	if s.upload.acks == 0 {
		return
	}
	if s.upload.acks--; s.upload.acks == 0 {
		u.v.evaluated[UploadsWhole]++
		u.owed = append(u.owed, owedUpload{at, s.name, int(s.upload.lines) / linesPerEntry})
	}
}

// printed handles a text that the server prints. It may be a complete upload.
func (u *uploads) printed(at int64, text string) {
	u.checkOwed(at)
	head, _, complete := strings.Cut(text, "\n"+uploadCheck)
	name, isUpload := strings.CutPrefix(head, uploadHead)
	if !complete || !isUpload {
		return
	}
	u.whole++
	delete(u.underWay, u.conn)
	name, _, _ = strings.Cut(name, "\n")
	entries := strings.Count(head, "\n") / linesPerEntry
	u.complete[entries]++
	printed := func(o owedUpload) bool { return o.name == name && o.entries == entries }
	if i := slices.IndexFunc(u.owed, printed); i >= 0 {
		u.owed = slices.Delete(u.owed, i, i+1)
	}
	u.checkAcknowledged(at, name, entries)
}

// checkAcknowledged checks that the command, the count and every line of a printed
// upload were acknowledged in one session.
func (u *uploads) checkAcknowledged(at int64, name string, entries int) {
	need := 2 + entries*linesPerEntry
	enough := func(s session) bool { return s.stage == inSession && s.name == name && s.acks >= need }
	all := u.v.accounts.sessions
	i := int(u.latest)
	if i >= len(all) || !enough(all[i]) {
		i = slices.IndexFunc(all, enough)
	}
	if i >= 0 {
		all[i].acks -= need
		return
	}
	u.v.evaluated[UploadsWhole]++
	u.v.violate(UploadsWhole, at, -1,
		fmt.Sprintf("nothing printed of an upload of %s before its %d lines are acknowledged", name, need-2),
		"it is printed completely")
}

// checkOwed reports an upload that was fully acknowledged before now and has not been
// printed.
func (u *uploads) checkOwed(at int64) {
	if len(u.owed) == 0 {
		return
	}
	if o := u.owed[0]; o.at < at {
		expected := fmt.Sprintf("the server prints an upload of %s by %s, whose last line was acknowledged at %s s",
			entriesText(o.entries), o.name, event.Seconds(o.at))
		u.v.violate(UploadsWhole, at, -1, expected, "nothing")
	}
}

// ended handles the end of a session.
func (u *uploads) ended(e *event.Event) {
	if e.Closed && u.underWay[e.Conn] {
		u.broken++
		delete(u.underWay, e.Conn)
	}
}

// stopped handles the end of the server's program.
func (u *uploads) stopped() {
	u.owed = u.owed[:0]
	u.broken += uint64(len(u.underWay))
	clear(u.underWay)
}

// compare compares the model with the counts of the world. A world without acknowledgements does not observe
// its server.
func (u *uploads) compare(at int64, n world.Uploads) {
	if u.whole+u.broken == 0 && len(u.underWay) == 0 {
		return
	}
	u.v.evaluated[UploadsBalance]++
	if n.Complete != u.whole || n.Broken != u.broken {
		u.v.violate(UploadsBalance, at, -1,
			fmt.Sprintf("%d complete, %d broken, %d under way", u.whole, u.broken, len(u.underWay)),
			fmt.Sprintf("%d complete, %d broken", n.Complete, n.Broken))
	}
}

// done handles an operation that a phone reports as done. If it is an upload, the server must have printed one
// of that many
// entries.
func (u *uploads) done(e *event.Event) {
	entries := e.Phone.Entries
	if e.Phone.Op != nodes.OpUpload || e.Phone.Outcome != nodes.OutcomeOK {
		return
	}
	if u.complete[entries] == 0 {
		u.v.evaluated[UploadsWhole]++
		u.v.violate(UploadsWhole, int64(e.At), int(e.Node),
			"the server printed an upload of "+entriesText(entries), "only the phone reports it as done")
		return
	}
	u.complete[entries]--
}
