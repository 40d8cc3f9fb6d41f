package nodes

import (
	"testing"
	"time"
)

const (
	download = "Download_tempID"
	upload   = "Upload_contact_log"
	lateID   = "10000000000000000001" // begins like the acknowledgement of an upload
)

// owing returns a phone whose download was sent at 1 s and was not answered by 11 s. Of its answer, the digits of
// arrived
// were read before.
func owing(t *testing.T, arrived string) *phoneRig {
	t.Helper()
	r := newPhoneRig(t, nil).ready()
	same(t, "download", r.at(time.Second).typed(download), "> "+download)
	same(t, "the beginning of the answer", r.at(5*time.Second).read(arrived))
	same(t, "a nanosecond before the limit", r.at(11*time.Second-1).wake())
	same(t, "at the limit", r.at(11*time.Second).wake(), "no answer from the server", "download: no answer",
		"? input the command: ")
	return r
}

// PROTOCOL.md section 4: the answer that an unanswered download leaves owed answers no later command.
func TestAnOwedAnswerAnswersNoLaterCommand(t *testing.T) {
	const noAnswer = "no answer from the server"
	downloaded := []string{"TempID:\n" + someID, "download: ok", "? input the command: "}
	t.Run("it arrives at the prompt", func(t *testing.T) {
		r := owing(t, "")
		same(t, "late", r.at(12*time.Second).read(lateID))
		r.p.Beacon(r.now, sender, &r.out)
		same(t, "it is dropped", r.runEffects(), textNoTempID)
		same(t, "upload", r.typed(upload), "> "+upload)
		same(t, "the acknowledgement of the command", r.read("1"), "> 0")
		same(t, "that of the count", r.read("1"), "upload: ok", "? input the command: ")
		same(t, "download", r.typed(download), "> "+download)
		same(t, "answer", r.read(someID), downloaded...)
	})
	t.Run("it arrives during an upload", func(t *testing.T) {
		r := owing(t, "")
		r.typed(upload)
		same(t, "late, and begins with 1", r.read(lateID))
		same(t, "the acknowledgement of the command", r.read("1"), "> 0")
		same(t, "that of the count", r.read("1"), "upload: ok", "? input the command: ")
	})
	t.Run("the first digit arrives alone", func(t *testing.T) {
		r := owing(t, "")
		r.typed(upload)
		for i := range lateID {
			same(t, "a digit", r.read(lateID[i:i+1]))
		}
		same(t, "the acknowledgement of the command", r.read("1"), "> 0")
	})
	t.Run("in one read with the next answer", func(t *testing.T) {
		r := owing(t, "")
		r.typed(upload)
		same(t, "both", r.read(lateID+"1"), "> 0")
		r = owing(t, "")
		r.typed(download)
		same(t, "both", r.read(lateID+someID), downloaded...)
	})
	t.Run("half of it arrived before the limit", func(t *testing.T) {
		r := owing(t, lateID[:7])
		r.typed(download)
		same(t, "the other half, and a piece of the next", r.read(lateID[7:]+someID[:3]))
		same(t, "the rest", r.read(someID[3:]), downloaded...)
		r = owing(t, lateID[:19])
		r.typed(upload)
		same(t, "the last digit, which is 1", r.read("1"))
		same(t, "the acknowledgement", r.read("1"), "> 0")
	})
	t.Run("the newer download is unanswered too", func(t *testing.T) {
		for _, arrives := range []string{"", lateID[:1], lateID, lateID + someID[:19]} {
			r := owing(t, "")
			r.at(12 * time.Second).typed(download)
			same(t, "owed: "+arrives, r.at(20*time.Second).read(arrives))
			same(t, "a nanosecond before its limit", r.at(22*time.Second-1).wake())
			same(t, "at its limit", r.at(22*time.Second).wake(), noAnswer, "(close)", "download: no answer")
			equal(t, "stage", r.p.Stage(), StageOffline)
		}
	})
	t.Run("the newer upload is unanswered", func(t *testing.T) {
		r := owing(t, "")
		r.at(12 * time.Second).typed(upload)
		same(t, "19 of 20 digits", r.at(20*time.Second).read(lateID[:19]))
		same(t, "at its limit", r.at(22*time.Second).wake(), noAnswer, "(close)", "upload: no answer")
	})
	t.Run("an answered download owes nothing", func(t *testing.T) {
		r := owing(t, "")
		r.at(12 * time.Second).typed(download)
		same(t, "both", r.read(lateID+someID), downloaded...)
		r.at(20 * time.Second).typed(download)
		same(t, "back at its prompt", r.at(30*time.Second).wake(), noAnswer, "download: no answer",
			"? input the command: ")
	})
	t.Run("typed ahead", func(t *testing.T) {
		r := newPhoneRig(t, nil).ready()
		r.at(time.Second).typed(download)
		r.typed(upload)
		same(t, "at the limit", r.at(11*time.Second).wake(), noAnswer, "download: no answer", "? input the command: ",
			"> "+upload)
		same(t, "late", r.read(lateID))
		same(t, "acknowledged", r.read("1"), "> 0")
	})
	t.Run("it is no TempID", func(t *testing.T) {
		for _, typed := range []string{"", download, upload} {
			r := owing(t, "")
			want := []string{`strange answer from the server: "12x"`, "(close)"}
			if typed != "" {
				r.typed(typed)
				want = append(want, map[string]string{download: "download", upload: "upload"}[typed]+": strange answer")
			}
			same(t, "with "+typed, r.read("12x"), want...)
		}
	})
	t.Run("log out", func(t *testing.T) {
		r := owing(t, "")
		same(t, "log out", r.typed("log out"), "> log out", "you have logged out", "(close)", "logout: ok")
		same(t, "late", r.read(lateID))
	})
	t.Run("a new connection owes nothing", func(t *testing.T) {
		r := owing(t, "")
		same(t, "closed", r.closed(), "the server closed the connection", "(close)")
		r.ready()
		r.typed(download)
		same(t, "answer", r.read(someID), downloaded...)
		r = owing(t, lateID[:1])
		r.open()
		r.connected()
		r.typed(alice)
		r.typed(alicePassword)
		r.at(12 * time.Second).wake()
		same(t, "the welcome is read", r.read(welcome), welcome, "login: ok", "? input the command: ")
	})
	t.Run("another program takes the session", func(t *testing.T) {
		first, r := owing(t, lateID[:1]), newPhoneRig(t, nil)
		r.now = first.now
		r.p.TakeSession(&first.p)
		r.typed(download)
		same(t, "both", r.read(lateID[1:]+someID), downloaded...)
	})
	t.Run("digits that were not asked for", func(t *testing.T) {
		r := newPhoneRig(t, nil).ready()
		same(t, "at the prompt", r.read(lateID))
		r.typed(download)
		same(t, "answer", r.read(someID), downloaded...)
	})
}
