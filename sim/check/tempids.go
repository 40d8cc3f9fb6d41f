package check

import (
	"fmt"
	"strings"
	"time"

	"bluetrace/protocol"
	"bluetrace/sim/world"
)

// tempIDs is the model of what the server gave out.
type tempIDs struct {
	v      *Invariants
	owners map[protocol.TempID]issue
}

// issue is one TempID as it was seen on the wire: asked for at read, answered
// at sent.
type issue struct {
	owner      string
	read, sent int64
	// What the server's wall clock showed at both, Unix nanoseconds.
	readWall, sentWall int64
}

func (t *tempIDs) init(v *Invariants) {
	t.v = v
	t.owners = map[protocol.TempID]issue{}
}

// sent follows an answer within a session.
func (t *tempIDs) sent(at int64, s *session, p []byte) {
	if len(p) != protocol.TempIDSize {
		return
	}
	t.issued(at, protocol.TempID(p), issue{s.name, s.lastRead, at, s.readWall, t.v.accounts.clock.WallAt(at)})
}

func (t *tempIDs) issued(at int64, id protocol.TempID, is issue) {
	t.v.times[IssuedOnce]++
	if was, twice := t.owners[id]; twice {
		t.v.violate(IssuedOnce, at, -1, fmt.Sprintf("a TempID other than that of %s at %s s", was.owner, world.Seconds(was.sent)),
			fmt.Sprintf("%s again, for %s", id, is.owner))
	}
	t.owners[id] = is
}

const (
	uploadHead  = "received contact log from "
	uploadCheck = "Contact log checking"
)

// printed compares the block that the server prints for an upload with who was
// given each TempID, and when.
func (t *tempIDs) printed(at int64, text string) {
	if !strings.HasPrefix(text, uploadHead) {
		return
	}
	lines := strings.Split(text, "\n")[1:]
	var expected []issue
	for len(lines) >= 3 && lines[0] != uploadCheck {
		var id protocol.TempID
		if copy(id[:], lines[0]) == protocol.TempIDSize && len(lines[0]) == protocol.TempIDSize {
			if is, ok := t.owners[id]; ok {
				expected = append(expected, is)
			}
		}
		lines = lines[3:]
	}
	if len(lines) == 0 || lines[0] != uploadCheck {
		return // an upload that broke off resolves nothing
	}
	lines = lines[1:]
	for _, is := range expected {
		t.v.times[ResolvesToOwner]++
		found := "nothing"
		if len(lines) >= 3 {
			if t.describes(is, lines) {
				lines = lines[3:]
				continue
			}
			found = strings.Join(lines[:3], ", ")
		}
		t.v.violate(ResolvesToOwner, at, -1, is.owner+", "+t.wireTime(is.sentWall, 0)+", "+t.wireTime(is.sentWall, t.v.rules.Lifetime), found)
		return
	}
	if len(lines) > 0 {
		t.v.times[ResolvesToOwner]++
		t.v.violate(ResolvesToOwner, at, -1, "nothing for a TempID that was never issued", strings.Join(lines, ", "))
	}
}

// describes says whether three lines are the owner, start and expiry of an
// issue. The record was made between the read and the answer.
func (t *tempIDs) describes(is issue, lines []string) bool {
	if lines[0] != is.owner {
		return false
	}
	took := is.sent - is.read
	return t.between(is.readWall, is.readWall+took, lines) || t.between(is.sentWall-took, is.sentWall, lines)
}

// between says whether the lines are the start and expiry of a record that was
// made in that time of the wall clock. A clock that is stepped has two such times.
func (t *tempIDs) between(from, to int64, lines []string) bool {
	for wall := from; ; wall += int64(time.Second) {
		wall = min(wall, to)
		if lines[1] == t.wireTime(wall, 0) && lines[2] == t.wireTime(wall, t.v.rules.Lifetime) {
			return true
		}
		if wall == to {
			return false
		}
	}
}

const wireLayout = "02/01/2006 15:04:05"

// wireTime writes a wall time, Unix nanoseconds, later by plus.
func (t *tempIDs) wireTime(wall int64, plus time.Duration) string {
	return time.Unix(floorDiv(wall, int64(time.Second)), 0).Add(plus).In(t.v.rules.Location).Format(wireLayout)
}
