package nodes

import (
	"strings"
	"testing"
	"time"
)

// Rows of the table "When TCP joins or splits messages" in PROTOCOL.md section 2.

func TestUsernameAndPasswordInOneRead(t *testing.T) {
	r := newServerRig(t, nil)
	r.s.SetPasswords(NewPasswords([]Credential{{alice, alicePassword}, {alice + "1", "x"}, {bob, bobPassword}}))
	r.accept(0)
	same(t, "right", r.read(0, alice+alicePassword), "0> "+welcome, "users: "+alice)

	r.accept(1)
	same(t, "the longest name counts", r.read(1, alice+"1x"), "1> "+welcome, "users: "+alice+"1")

	r.accept(2)
	same(t, "wrong: counted, not answered", r.read(2, alice+"bad"))
	equal(t, "not stored yet", len(r.stored), 0)
	equal(t, "event", r.lastEvent(EventWrongPassword), ServerEvent{Kind: EventWrongPassword, User: alice,
		Reason: ReasonJoined})
	same(t, "continues as after an unknown name", r.read(2, alicePassword), "2> "+tryAgain)
	equal(t, "stored", r.stored[0].Attempts, Attempts{Known: true, User: alice, Wrong: 1})
	equal(t, "stored", r.stored[1].Attempts.Known, false)

	r.accept(3)
	same(t, "a right one stores the reset first", r.read(3, alice+alicePassword), "3> "+welcome, "users: "+alice)
	equal(t, "reset", r.stored[2].Attempts, Attempts{Known: true, User: alice})
}

func TestJoinedWrongPasswordsBlockSilently(t *testing.T) {
	r := newServerRig(t, nil)
	for c := range Conn(3) {
		r.accept(c)
		same(t, "joined", r.read(c, alice+"bad"))
	}
	equal(t, "began", r.count(EventBlockBegan), 1)
	equal(t, "event", r.lastEvent(EventBlockBegan), ServerEvent{Kind: EventBlockBegan, User: alice,
		Reason: ReasonJoined})
	r.accept(3)
	same(t, "during the block, the right one", r.read(3, alice+alicePassword))
	equal(t, "event", r.lastEvent(EventRefused), ServerEvent{Kind: EventRefused, User: alice, Reason: ReasonJoined})
	same(t, "continues as after an unknown name", r.read(3, alicePassword), "3> "+tryAgain)
	equal(t, "was not counted", r.count(EventWrongPassword), 4)
	equal(t, "at the end", r.at(time.Minute-1).tryLogin(4, alice, alicePassword), refused)
	r.at(time.Minute).accept(5)
	same(t, "after it", r.read(5, alice+alicePassword), "5> "+welcome, "users: "+alice)
}

func TestPasswordIsOneRead(t *testing.T) {
	r := newServerRig(t, nil)
	r.accept(0)
	r.read(0, alice)
	same(t, "its first half", r.read(0, alicePassword[:4]), "0> "+tryAgain)
	same(t, "its second half", r.read(0, alicePassword[4:]), "0> "+tryAgain)
}

func TestCommandsJoinedAndSplit(t *testing.T) {
	const id = "<id>"
	tests := []struct {
		title string
		reads []string
		want  string // sends and closes; <id> is 20 digits
	}{
		{"in two pieces", []string{"Download_", "tempID"}, id},
		{"byte by byte", strings.Split("Download_tempID", ""), id},
		{"twice in one read", []string{"Download_tempIDDownload_tempID"}, id + "|" + id},
		{"one and a half", []string{"Download_tempIDUpload_cont", "act_log", "0"}, id + "|1|1"},
		{"with its count", []string{"Upload_contact_log0"}, "1|1"},
		{"log out twice", []string{"log outlog out"}, "FIN"},
		{"logout", []string{"logout"}, "FIN"},
		{"log, then out", []string{"log", " out"}, "FIN"},
		{"bytes after log out are ignored", []string{"log outDownload_tempID"}, "FIN"},
		{"a line feed after a command", []string{"Download_tempID\n", "Download_tempID\n"}, id + "|" + id},
		{"noise", []string{"hello"}, ""},
		{"noise around a command", []string{"xxDownload_tempIDyy"}, id},
		{"noise that ends in the beginning of a command", []string{"xxlog", "out"}, "FIN"},
	}
	for _, e := range tests {
		t.Run(e.title, func(t *testing.T) {
			r := newServerRig(t, nil)
			r.login(0, alice, alicePassword)
			var said []string
			for _, p := range e.reads {
				said = append(said, r.read(0, p)...)
			}
			got := sent(said)
			for _, rec := range r.stored {
				got = strings.Replace(got, rec.Issue.TempID.String(), id, 1)
			}
			equal(t, "answers", got, e.want)
			equal(t, "open", r.s.Reading(0), !strings.Contains(e.want, "FIN"))
		})
	}
}

func TestSkippedBytesAreReportedQuoted(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	same(t, "skipped", r.read(0, "\x1b[2Jusers: root\n"), alice+`: no command: "\x1b[2Jusers: root\n"`)
	equal(t, "event", r.lastEvent(EventSkipped), ServerEvent{Kind: EventSkipped, User: alice, Entries: 16})
}
