package check

import (
	"fmt"
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// tempIDs is the model of the issued TempIDs.
type tempIDs struct {
	v      *Invariants
	issues map[protocol.TempID]issue
}

// issue is one TempID that the server has issued.
type issue struct {
	owner              string
	read, sent         int64 // times at which the server read the request and sent the answer
	readWall, sentWall int64 // the same times by the server's wall clock, Unix nanoseconds
}

// issued follows a TempID that leaves the server.
func (t *tempIDs) issued(at int64, id protocol.TempID, is issue) {
	t.v.evaluated[IssuedOnce]++
	if first, twice := t.issues[id]; twice {
		t.v.violate(IssuedOnce, at, -1,
			fmt.Sprintf("a TempID other than that of %s at %s s", first.owner, event.Seconds(first.sent)),
			fmt.Sprintf("%s again, for %s", id, is.owner))
	}
	t.issues[id] = is
}

// printed compares the block that the server prints for an upload with the issues.
func (t *tempIDs) printed(at int64, text string) {
	if !strings.HasPrefix(text, uploadHead) {
		return
	}
	lines := strings.Split(text, "\n")[1:]
	var expected []issue
	for len(lines) >= linesPerEntry && lines[0] != uploadCheck {
		if len(lines[0]) == protocol.TempIDSize {
			if is, ok := t.issues[protocol.TempID([]byte(lines[0]))]; ok {
				expected = append(expected, is)
			}
		}
		lines = lines[linesPerEntry:]
	}
	if len(lines) == 0 || lines[0] != uploadCheck {
		return // an incomplete upload resolves nothing
	}
	lines = lines[1:]
	for _, is := range expected {
		t.v.evaluated[ResolvesToOwner]++
		found := "nothing"
		if len(lines) >= 3 {
			if t.describes(is, lines) {
				lines = lines[3:]
				continue
			}
			found = strings.Join(lines[:3], ", ")
		}
		t.v.violate(ResolvesToOwner, at, -1,
			is.owner+", "+t.wireTime(is.sentWall, 0)+", "+t.wireTime(is.sentWall, t.v.rules.Lifetime), found)
		return
	}
	if len(lines) > 0 {
		t.v.evaluated[ResolvesToOwner]++
		t.v.violate(ResolvesToOwner, at, -1, "nothing for a TempID that was never issued", strings.Join(lines, ", "))
	}
}

// describes reports whether three lines are the owner, the start and the expiry of an
// issue. The server made the record between the request and the answer. If its clock was
// stepped in between, the wall time of the record counts from either of the two.
func (t *tempIDs) describes(is issue, lines []string) bool {
	if lines[0] != is.owner {
		return false
	}
	took := is.sent - is.read
	return t.madeBetween(is.readWall, is.readWall+took, lines) || t.madeBetween(is.sentWall-took, is.sentWall, lines)
}

// madeBetween reports whether the second and the third line are the start and the
// expiry of a record that was made between two times of the wall clock.
func (t *tempIDs) madeBetween(from, to int64, lines []string) bool {
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

// wireLayout is the layout of a time on the wire (PROTOCOL.md section 1).
const wireLayout = "02/01/2006 15:04:05"

// wireTime formats a wall time in Unix nanoseconds, plus a duration.
func (t *tempIDs) wireTime(wall int64, plus time.Duration) string {
	return time.Unix(floorDiv(wall, int64(time.Second)), 0).Add(plus).In(t.v.rules.Location).Format(wireLayout)
}

// survived checks that a server that has read its files resolves every issued TempID.
// Of those that it does not resolve, survived reports the one that was sent first.
func (t *tempIDs) survived(at int64, resolve func(protocol.TempID) (nodes.Issue, bool)) {
	var first protocol.TempID
	firstFound := ""
	for id, is := range t.issues {
		t.v.evaluated[TempIDsOutlive]++
		found := t.unresolved(id, is, resolve)
		if found == "" {
			continue
		}
		other := t.issues[first]
		if firstFound == "" || is.sent < other.sent || is.sent == other.sent && id.String() < first.String() {
			first, firstFound = id, found
		}
	}
	if firstFound != "" {
		is := t.issues[first]
		expected := fmt.Sprintf("%s of %s, sent at %s s", first, is.owner, event.Seconds(is.sent))
		t.v.violate(TempIDsOutlive, at, -1, expected, firstFound)
	}
}

// unresolved describes the difference between an issue and its record. It returns "" if
// there is none.
func (t *tempIDs) unresolved(id protocol.TempID, is issue, resolve func(protocol.TempID) (nodes.Issue, bool)) string {
	got, ok := resolve(id)
	start, expiry := t.wireTime(got.Start*int64(time.Second), 0), t.wireTime(got.Expiry*int64(time.Second), 0)
	switch {
	case !ok:
		return "it is lost"
	case got.User != is.owner:
		return "it is of " + got.User
	case !t.describes(is, []string{got.User, start, expiry}):
		return fmt.Sprintf("it is from %s to %s", start, expiry)
	}
	return ""
}
