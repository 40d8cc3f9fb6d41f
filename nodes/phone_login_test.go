package nodes

import (
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
)

func TestPhonePausesBetweenUsernameAndPassword(t *testing.T) {
	r := newPhoneRig(t, nil)
	equal(t, "stage", r.p.Stage(), StageOffline)
	same(t, "open", r.open(), "(connect)", "? Username: ")
	equal(t, "stage", r.p.Stage(), StageConnecting)
	same(t, "connected", r.connected())
	equal(t, "stage", r.p.Stage(), StageAtUsername)
	same(t, "username", r.at(time.Second).typed(alice), "> "+alice, "? Password: ")
	equal(t, "stage", r.p.Stage(), StageAtPassword)
	same(t, "password", r.typed(alicePassword))
	equal(t, "stage", r.p.Stage(), StageWaitingLogin)
	equal(t, "due", r.next(), 1050*time.Millisecond)
	same(t, "a nanosecond before", r.at(1050*time.Millisecond-1).wake())
	same(t, "after the pause", r.at(1050*time.Millisecond).wake(), "> "+alicePassword)
	same(t, "half an answer", r.read(welcome[:9]))
	same(t, "answer", r.at(2*time.Second).read(welcome[9:]), welcome, "login: ok", "? input the command: ")
	equal(t, "began", r.done[0].Began, 1050*time.Millisecond)
	equal(t, "stage", r.p.Stage(), StageReady)
	equal(t, "nothing is due", r.next(), -1)
}

func TestPasswordIsSentAtOnceAfterThePause(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.open()
	same(t, "typed before the connection is there", r.typed(alice), "? Password: ")
	same(t, "and the password", r.typed(alicePassword))
	same(t, "connected", r.at(time.Second).connected(), "> "+alice)
	same(t, "due", r.at(1050*time.Millisecond).wake(), "> "+alicePassword)
	same(t, "wrong", r.read(tryAgain), tryAgain, "login: wrong password", "? Password: ")
	equal(t, "stage", r.p.Stage(), StageAtPassword)
	same(t, "the password alone, at once", r.typed("second"), "> second")
	same(t, "wrong", r.read(tryAgain), tryAgain, "login: wrong password", "? Password: ")
	equal(t, "began", r.done[1].Began, 1050*time.Millisecond)

	late := newPhoneRig(t, nil)
	late.open()
	late.connected()
	late.typed(alice)
	same(t, "typed at the end of the pause", late.at(50*time.Millisecond).typed(alicePassword), "> "+alicePassword)
}

// Some servers send the second text for the third wrong password too.
func TestEitherBlockedTextIsTheEnd(t *testing.T) {
	for _, text := range []string{protocol.NowBlocked, protocol.IsBlocked} {
		r := newPhoneRig(t, func(s *PhoneSettings) { s.PasswordPause = 0 })
		r.open()
		r.connected()
		r.typed(alice)
		same(t, "no pause", r.typed("bad"), "> bad")
		same(t, "answer", r.read(text), text, "(close)", "login: blocked")
		equal(t, "stage", r.p.Stage(), StageOffline)
		same(t, "the server closes too", r.closed())
		same(t, "again", r.open(), "(connect)", "? Username: ")
	}
}

func TestPhoneTriesOnceMoreWithALongerPause(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.open()
	r.connected()
	r.typed(alice)
	r.typed(alicePassword)
	r.at(50 * time.Millisecond).wake()
	limit := 10050 * time.Millisecond
	same(t, "a nanosecond before the limit", r.at(limit-1).wake())
	same(t, "at the limit", r.at(limit).read(welcome), "(close)", "(connect)")
	equal(t, "stage", r.p.Stage(), StageWaitingLogin)
	same(t, "connected", r.connected(), "> "+alice)
	same(t, "not after the short pause", r.at(limit+50*time.Millisecond).wake())
	same(t, "after the long one", r.at(limit+500*time.Millisecond).wake(), "> "+alicePassword)
	same(t, "no answer again", r.at(limit+10500*time.Millisecond).wake(), "no answer from the server", "(close)",
		"login: no answer")
	equal(t, "began with the first try", r.done[0].Began, 50*time.Millisecond)
	equal(t, "stage", r.p.Stage(), StageOffline)
	equal(t, "nothing is due", r.next(), -1)
}

// The beginning of an answer on the first connection is no part of the answer on the second.
func TestTheSecondConnectionBeginsANewAnswer(t *testing.T) {
	r := newPhoneRig(t, func(s *PhoneSettings) { s.PasswordPause, s.RetryPause = 0, 0 })
	r.open()
	r.connected()
	r.typed(alice)
	r.typed(alicePassword)
	same(t, "half an answer", r.read(welcome[:9]))
	same(t, "at the limit", r.at(10*time.Second).wake(), "(close)", "(connect)")
	same(t, "connected", r.connected(), "> "+alice, "> "+alicePassword)
	same(t, "a whole answer", r.read(welcome), welcome, "login: ok", "? input the command: ")
}

func TestLoginsThatFail(t *testing.T) {
	start := func() *phoneRig {
		r := newPhoneRig(t, nil)
		r.open()
		return r
	}
	r := start()
	r.at(time.Second).p.ConnectFailed(r.now, "connection refused", &r.out)
	same(t, "refused", r.runEffects(), "cannot connect to the server: connection refused", "login: connection lost")
	equal(t, "nothing was sent: began with the failure", r.done[0].Began, time.Second)

	r = start()
	r.connected()
	r.typed(alice)
	same(t, "closed", r.at(time.Second).closed(), "the server closed the connection", "(close)",
		"login: connection lost")
	equal(t, "no password was sent: began with the failure", r.done[0].Began, time.Second)

	r = start()
	r.connected()
	r.typed(alice)
	r.typed("x")
	r.at(time.Second).wake()
	r.read(tryAgain)
	r.at(2 * time.Second).closed()
	equal(t, "began with the first password", r.done[0].Began, time.Second)
	equal(t, "no second password was sent: began with the failure", r.done[1].Began, 2*time.Second)

	r = start()
	r.connected()
	r.typed(alice)
	r.typed("x")
	r.at(time.Second).wake()
	same(t, "strange", r.read("hello\x1b"), `strange answer from the server: "hello\x1b"`, "(close)",
		"login: strange answer")

	r = start()
	r.connected()
	same(t, "a welcome before any password", r.read(welcome), `strange answer from the server: "`+welcome+`"`,
		"(close)",
		"login: strange answer")

	r = start()
	same(t, "no username", r.typed(""), "? Username: ")
	same(t, "too long", r.typed(strings.Repeat("x", 1025)), "what was typed is longer than a message of 1024 bytes",
		"? Username: ")
	same(t, "the longest", r.typed(strings.Repeat("x", 1024)), "? Password: ")
	same(t, "no password", r.typed(""), "? Password: ")
	same(t, "the end of input", r.inputEnded(), "(close)", "(quit)")
}

func TestASecondProgramTakesTheSession(t *testing.T) {
	first := newPhoneRig(t, nil).ready()
	r := newPhoneRig(t, nil)
	first.typed("Download_tempID")
	r.p.TakeSession(&first.p)
	equal(t, "the limit of the answer", r.next(), first.now.Elapsed+10*time.Second)
	same(t, "answer", r.read(someID), "TempID:\n"+someID, "download: ok", "? input the command: ")
	equal(t, "the first is offline", first.p.Stage(), StageOffline)
	equal(t, "and waits for nothing", first.next(), -1)
	same(t, "and does nothing at the end of the connection", first.closed())
	same(t, "and keeps no line", first.typed("Beacon ::1 1"), textNoTempID)
	same(t, "and closes nothing when it starts again", first.open(), "(connect)", "? Username: ")
}

// A load generator has phones that differ in their settings only.
func TestLoadSettings(t *testing.T) {
	joined := func(s *PhoneSettings) { s.PasswordPause, s.JoinLogin = 0, true }
	t.Run("username and password in one write", func(t *testing.T) {
		r := newPhoneRig(t, joined)
		r.open()
		same(t, "connected", r.connected())
		same(t, "username", r.typed(alice), "? Password: ")
		same(t, "password", r.at(time.Second).typed(alicePassword), "> "+alice+alicePassword)
		same(t, "wrong", r.read(tryAgain), tryAgain, "login: wrong password", "? Password: ")
		equal(t, "began", r.done[0].Began, time.Second)
		same(t, "the password alone", r.typed(alicePassword), "> "+alicePassword)
		same(t, "answer", r.read(welcome), welcome, "login: ok", "? input the command: ")
	})
	t.Run("typed before the connection", func(t *testing.T) {
		r := newPhoneRig(t, joined)
		r.open()
		r.typed(alice)
		r.typed(alicePassword)
		same(t, "connected", r.at(time.Second).connected(), "> "+alice+alicePassword)
		same(t, "no answer", r.at(11*time.Second).wake(), "(close)", "(connect)")
		same(t, "the second connection", r.connected(), "> "+alice+alicePassword)
	})
	t.Run("no retry", func(t *testing.T) {
		r := newPhoneRig(t, func(s *PhoneSettings) { s.NoRetry, s.AnswerLimit = true, time.Second })
		r.open()
		r.connected()
		r.typed(alice)
		r.typed(alicePassword)
		same(t, "password", r.at(50*time.Millisecond).wake(), "> "+alicePassword)
		same(t, "a nanosecond before the limit", r.at(1050*time.Millisecond-1).wake())
		same(t, "at the limit", r.at(1050*time.Millisecond).wake(), "no answer from the server", "(close)",
			"login: no answer")
	})
	t.Run("quiet, with entries of the caller", func(t *testing.T) {
		r := newPhoneRig(t, func(s *PhoneSettings) { s.PasswordPause, s.Quiet = 0, true })
		same(t, "open", r.open(), "(connect)")
		r.connected()
		r.typed(alice)
		r.typed(alicePassword)
		same(t, "welcome", r.read(welcome), "login: ok")
		same(t, "download", r.typed("Download_tempID"), "> Download_tempID")
		same(t, "TempID", r.read(someID), "download: ok")
		r.p.Upload(r.now, []Contact{{Beacon: protocol.Beacon{TempID: protocol.TempID([]byte(someID))}}}, &r.out)
		same(t, "upload", r.runEffects(), "> Upload_contact_log")
		same(t, "count", r.read("1"), "> 3")
		same(t, "TempID", r.read("1"), "> "+someID)
		same(t, "start", r.read("1"), "> 01/01/1970 00:00:00")
		same(t, "expiry", r.read("1"), "> 01/01/1970 00:00:00")
		same(t, "end", r.read("1"), "upload: ok")
		equal(t, "entries", r.done[len(r.done)-1].Entries, 1)
	})
	t.Run("a joined login has no pause", func(t *testing.T) {
		s := DefaultPhoneSettings()
		s.JoinLogin = true
		if err := s.Validate(); err == nil {
			t.Error("a pause of 50 ms was accepted")
		}
	})
}
