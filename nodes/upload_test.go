package nodes

import (
	"fmt"
	"strings"
	"testing"
)

const (
	someID    = "82071592779455047519"
	someStart = "01/01/2026 10:00:00"
	someEnd   = "01/01/2026 10:15:00"
)

func TestUploadOfNothing(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	same(t, "command", r.read(0, "Upload_contact_log"), "0> 1")
	same(t, "count", r.read(0, "0"), "0> 1", "received contact log from "+alice+"\nContact log checking")
	equal(t, "event", r.lastEvent(EventUploadDone), ServerEvent{Kind: EventUploadDone, User: alice})
	equal(t, "the session goes on", len(r.download(0)), 20)
}

// The server prints the owner and times of its own record, also for an account
// other than the uploader's, and nothing for a TempID that it never issued.
func TestUploadResolvesIssuedTempIDs(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	r.login(1, bob, bobPassword)
	foreign := r.download(1).String()
	r.read(0, "Upload_contact_log")
	r.read(0, "6")
	lines := []string{foreign, someStart, someEnd, someID, someStart, someEnd}
	var last []string
	for _, line := range lines {
		last = r.read(0, line)
		equal(t, "answer", sent(last), "1")
	}
	same(t, "the last line", last, "0> 1", strings.Join([]string{
		"received contact log from " + alice,
		foreign, someStart, someEnd, someID, someStart, someEnd,
		"Contact log checking",
		bob, "30/07/2020 16:58:12", "30/07/2020 17:13:12",
	}, "\n"))
	equal(t, "event", r.lastEvent(EventUploadDone), ServerEvent{Kind: EventUploadDone, User: alice, Entries: 2,
		Resolved: 1})
}

// TCP may split the lines anywhere: each gets its answer, and the block is the same.
func TestUploadLinesJoinedAndSplit(t *testing.T) {
	lines := someID + someStart + someEnd + someID + someStart + someEnd
	want := "received contact log from " + alice + "\n" + strings.Repeat(someID+"\n"+someStart+"\n"+someEnd+"\n", 2) +
		"Contact log checking"
	for size := 1; size <= len(lines); size++ {
		r := newServerRig(t, nil)
		r.login(0, alice, alicePassword)
		r.read(0, "Upload_contact_log")
		r.read(0, "6")
		var said []string
		for rest := lines; rest != ""; {
			n := min(size, len(rest))
			said = append(said, r.read(0, rest[:n])...)
			rest = rest[n:]
		}
		same(t, fmt.Sprintf("pieces of %d", size), said, "0> 1", "0> 1", "0> 1", "0> 1", "0> 1", "0> 1", want)
	}
}

func TestWrongLinesAreAnsweredQuotedAndNotResolved(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	r.read(0, "Upload_contact_log")
	r.read(0, "3")
	said := r.read(0, "The beacon is valid.31/02/2020 10:00:00users: root\nusers: log out")
	same(t, "said", said, "0> 1", "0> 1", "0> 1", "received contact log from "+alice+"\n"+
		`"The beacon is valid."`+"\n"+`"31/02/2020 10:00:00"`+"\n"+`"users: root\nusers: "`+"\nContact log checking",
		alice+" logout", "0> FIN")
}

func TestWrongCounts(t *testing.T) {
	for count, why := range map[string]string{
		"x":        "it is not 1 to 7 digits",
		"-3":       "it is not 1 to 7 digits",
		"3\n":      "it is not 1 to 7 digits",
		"00000003": "it is not 1 to 7 digits",
		"1":        "it is not a multiple of 3",
		"4":        "it is not a multiple of 3",
		"300003":   "it is above the limit",
		"9999999":  "it is above the limit",
	} {
		t.Run(fmt.Sprintf("%q", count), func(t *testing.T) {
			r := newServerRig(t, nil)
			r.login(0, alice, alicePassword)
			r.read(0, "Upload_contact_log")
			same(t, count, r.read(0, count), fmt.Sprintf("%s: upload refused: %q is no count of lines: %s", alice,
				count, why),
				alice+" logout", "0> FIN")
			equal(t, count, r.lastEvent(EventUploadBroken), ServerEvent{Kind: EventUploadBroken, User: alice,
				Reason: ReasonCount})
		})
	}
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	r.read(0, "Upload_contact_log")
	same(t, "the limit itself", r.read(0, "300000"), "0> 1")
}

func TestBrokenUploads(t *testing.T) {
	tests := []struct {
		title string
		reads []string
		want  string
		ended ServerEvent
	}{
		{"before the count", nil, ": incomplete upload: no count of lines", ServerEvent{}},
		{"after the count", []string{"6"}, ": incomplete upload: 0 of 6 lines", ServerEvent{Announced: 6}},
		{"in the middle of a line", []string{"6", someID, someStart, someEnd, someID, "01/0"},
			": incomplete upload: 4 of 6 lines\n" + someID + "\n" + someStart + "\n" + someEnd + "\n" + someID +
				"\n\"01/0\"",
			ServerEvent{Entries: 1, Lines: 4, Announced: 6}},
	}
	for _, e := range tests {
		t.Run(e.title, func(t *testing.T) {
			r := newServerRig(t, nil)
			r.login(0, alice, alicePassword)
			r.read(0, "Upload_contact_log")
			for _, p := range e.reads {
				r.read(0, p)
			}
			same(t, "end of file", r.eof(0), alice+e.want, alice+" logout", "0> FIN")
			e.ended.Kind, e.ended.User, e.ended.Reason = EventUploadBroken, alice, ReasonEOF
			equal(t, "event", r.lastEvent(EventUploadBroken), e.ended)
			equal(t, "nothing is resolved", r.count(EventUploadDone), 0)
		})
	}
}

// A broken upload does not reveal the owner of a TempID.
func TestABrokenUploadNamesNoOwner(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	r.login(1, bob, bobPassword)
	issued := r.download(1).String()
	r.read(0, "Upload_contact_log")
	r.read(0, "6")
	for _, line := range []string{issued, someStart, someEnd, issued} {
		same(t, "the answer is all", r.read(0, line), "0> 1")
	}
	same(t, "end of file", r.eof(0),
		alice+": incomplete upload: 4 of 6 lines\n"+strings.Join([]string{issued, someStart, someEnd, issued}, "\n"),
		alice+" logout", "0> FIN")
}

// Incomplete uploads use no more memory than the limit: the largest is closed, and the
// others go on.
func TestMaxUploadBytes(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.MaxUploadBytes = 194 })
	r.login(0, alice, alicePassword)
	r.login(1, bob, bobPassword)
	for _, c := range []Conn{0, 1} {
		r.read(c, "Upload_contact_log")
		r.read(c, "9")
	}
	entry := someID + someStart + someEnd
	r.read(0, entry+entry) // 116 bytes
	r.read(1, entry+someID)
	equal(t, "at the limit", r.closed[0] || r.closed[1], false)
	same(t, "the line beyond", r.read(1, someStart),
		"more than 194 bytes of uploads under way: the largest, of "+alice+", is closed",
		alice+": incomplete upload: 6 of 9 lines\n"+
			strings.TrimSuffix(strings.Repeat(someID+"\n"+someStart+"\n"+someEnd+"\n", 2), "\n"),
		alice+" logout", "0> FIN", "1> 1")
	equal(t, "event", r.lastEvent(EventUploadBroken), ServerEvent{Kind: EventUploadBroken, User: alice, Entries: 2,
		Reason: ReasonUploadBytes, Lines: 6, Announced: 9})
	r.read(1, someEnd+entry)
	equal(t, "the other is whole", r.lastEvent(EventUploadDone), ServerEvent{Kind: EventUploadDone, User: bob,
		Entries: 3})
	for range 3 { // what is over takes no room
		r.read(1, "Upload_contact_log")
		r.read(1, "9")
		r.read(1, entry+entry+entry)
	}
	equal(t, "uploads", r.count(EventUploadDone), 4)
	r.read(1, "Upload_contact_log")
	r.read(1, "9")
	r.read(1, entry+entry)
	r.eof(1)
	equal(t, "bytes of uploads in progress", r.s.uploadBytes, 0)
	r.login(2, alice, alicePassword)
	r.read(2, "Upload_contact_log")
	r.read(2, "12")
	r.read(2, entry+entry+entry+someID)
	said := r.read(2, someStart)
	equal(t, "the line of the largest upload gets no answer", sent(said), "FIN")
	equal(t, "usage", r.s.Usage(), Usage{})
}

func TestALongBrokenUploadIsNotShownWhole(t *testing.T) {
	broken := func(entries int) string {
		r := newServerRig(t, nil)
		r.login(0, alice, alicePassword)
		r.read(0, "Upload_contact_log")
		r.read(0, "6000")
		for range entries {
			r.read(0, someID+someStart+someEnd)
		}
		return r.eof(0)[0]
	}
	equal(t, "the longest that is shown whole", broken(1000), alice+": incomplete upload: 3000 of 6000 lines"+
		strings.Repeat("\n"+someID+"\n"+someStart+"\n"+someEnd, 1000))
	said := broken(1002)
	equal(t, "head", strings.HasPrefix(said, alice+": incomplete upload: 3006 of 6000 lines\n"+someID+"\n"), true)
	equal(t, "tail", strings.HasSuffix(said, someEnd+"\n(6 more lines)"), true)
	equal(t, "lines", strings.Count(said, "\n"), 3001)
}
