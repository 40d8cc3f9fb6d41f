package nodes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
)

const prompt = "? input the command: "

// Rows of the table in PROTOCOL.md section 4.
func TestCommands(t *testing.T) {
	tests := []struct{ typed, before, after string }{ // before and after the first download
		{"Beacon 127.0.0.1 14000", textNoTempID, "(send beacon)"},
		{"Beacon ::1 1", textNoTempID, "(send beacon)"},
		{"Beacon 127.0.0.1 65535", textNoTempID, "(send beacon)"},
		{"Beacon", textBadBeacon, textBadBeacon},
		{"Beacon ", textBadBeacon, textBadBeacon},
		{"Beacon 127.0.0.1", textBadBeacon, textBadBeacon},
		{"Beacon 127.0.0.1 ", textBadBeacon, textBadBeacon},
		{"Beacon 127.0.0.1 abc", textBadBeacon, textBadBeacon},
		{"Beacon 127.0.0.1 0", textBadBeacon, textBadBeacon},
		{"Beacon 127.0.0.1 -1", textBadBeacon, textBadBeacon},
		{"Beacon 127.0.0.1 65536", textBadBeacon, textBadBeacon},
		{"Beacon 127.0.0.1 14000 x", textBadBeacon, textBadBeacon},
		{"Beacon 127.0.0 14000", textBadBeacon, textBadBeacon},
		{"Beacon fe80::1%eth0 14000", textBadBeacon, textBadBeacon},
		{"Beacon localhost 14000", textBadBeacon, textBadBeacon},
		{"beacon 127.0.0.1 14000", textBadCommand, textBadCommand},
		{"Beacons", textBadCommand, textBadCommand},
		{"download_tempID", textBadCommand, textBadCommand},
		{" Download_tempID", textBadCommand, textBadCommand},
		{"Log out", textBadCommand, textBadCommand},
		{"", textBadCommand, textBadCommand},
	}
	for _, e := range tests {
		t.Run(fmt.Sprintf("%q", e.typed), func(t *testing.T) {
			r := newPhoneRig(t, nil).ready()
			same(t, e.typed, r.typed(e.typed), e.before, prompt)
			r.typed("Download_tempID")
			r.read(someID)
			same(t, e.typed, r.typed(e.typed), e.after, prompt)
		})
	}
}

// The TempID of a phone starts at the second in which the answer arrived.
func TestDownload(t *testing.T) {
	r := newPhoneRig(t, nil).ready()
	_, ok := r.p.TempID()
	equal(t, "has one", ok, false)
	same(t, "typed", r.at(time.Second).typed("Download_tempID"), "> Download_tempID")
	equal(t, "stage", r.p.Stage(), StageBusy)
	same(t, "in pieces", r.at(1500*time.Millisecond).read(someID[:3]))
	same(t, "answer", r.at(2999999999).read(someID[3:]), "TempID:\n"+someID, "download: ok", prompt)
	equal(t, "began", r.done[1].Began, time.Second)
	b, ok := r.p.TempID()
	equal(t, "has one", ok, true)
	equal(t, "beacon", fmt.Sprint(b.TempID, " ", b.Start, " ", b.Expiry),
		someID+" 30/07/2020 16:58:14 30/07/2020 17:13:14")
}

func TestDownloadUnanswered(t *testing.T) {
	r := newPhoneRig(t, nil).ready()
	r.at(time.Second).typed("Download_tempID")
	equal(t, "limit", r.next(), 11*time.Second)
	same(t, "no answer; the session goes on", r.at(11*time.Second).wake(), textNoAnswer, "download: no answer", prompt)
	same(t, "the answer after all", r.read(someID))
	_, ok := r.p.TempID()
	equal(t, "has one", ok, false)
	r.typed("Download_tempID")
	same(t, "strange", r.read("1"+someID[:10]+"x"), `strange answer from the server: "18207159277x"`, "(close)",
		"download: strange answer")
}

func TestCommandsWithoutAServer(t *testing.T) {
	r := newPhoneRig(t, nil).ready()
	r.typed("Download_tempID")
	same(t, "closed", r.closed(), textLost, "(close)", "download: connection lost")
	for _, e := range []struct{ typed, op string }{
		{"Download_tempID", "download"}, {"Upload_contact_log", "upload"}, {"log out", "logout"},
	} {
		t.Run(e.typed, func(t *testing.T) {
			same(t, e.typed, r.at(time.Minute).typed(e.typed), textNotConnected, e.op+": connection lost")
			equal(t, "began", r.done[len(r.done)-1].Began, time.Minute)
		})
	}
	same(t, "beacon", r.typed("Beacon 127.0.0.1 1"), textNoTempID)
	idle := newPhoneRig(t, nil).ready()
	same(t, "closed at the prompt", idle.closed(), textLost, "(close)")
}

func TestLogOut(t *testing.T) {
	for _, typed := range []string{"log out", "logout"} {
		r := newPhoneRig(t, nil).ready()
		same(t, typed, r.at(time.Second).typed(typed), "> log out", "you have logged out", "(close)", "logout: ok")
		equal(t, "began", r.done[1].Began, time.Second)
		equal(t, "stage", r.p.Stage(), StageLoggedOut)
		same(t, "a line typed now is ignored", r.typed("Download_tempID"))
		heard := r.deliver(sender, whole(utc(), someID, 0, 15*time.Minute))
		equal(t, "beacons are still received", len(heard) == 1 && heard[0].Err == nil, true)
		equal(t, "and kept", r.p.Log().Len(), 1)
		same(t, "the end of input", r.inputEnded(), "(quit)")
	}
}

func TestTypedAheadWaitsForThePrompt(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.open()
	for _, line := range []string{alice, alicePassword, "Download_tempID", "whatsthedate", "Download_tempID", "log out",
		"ignored"} {
		r.typed(line)
	}
	same(t, "end of input", r.inputEnded())
	same(t, "connected", r.connected(), "> "+alice)
	same(t, "pause", r.at(50*time.Millisecond).wake(), "> "+alicePassword)
	same(t, "welcome", r.read(welcome), welcome, "login: ok", prompt, "> Download_tempID")
	same(t, "first", r.read(someID), "TempID:\n"+someID, "download: ok", prompt, textBadCommand, prompt,
		"> Download_tempID")
	same(t, "second", r.read(someID), "TempID:\n"+someID, "download: ok", prompt, "> log out", "you have logged out",
		"(close)",
		"logout: ok", "(quit)")
}

func TestTypedAheadIsLimited(t *testing.T) {
	r := newPhoneRig(t, nil).ready()
	r.typed("Download_tempID")
	for range 64 {
		same(t, "kept", r.typed("x"))
	}
	same(t, "the 65th", r.typed("x"), textQueueFull)
	equal(t, "effects", len(r.read(someID)), 3+64*2)
	equal(t, "nothing is held at rest", r.p.program.session == nil, true)
}

// An upload has the entries of the log at the command, including those that expire
// during the upload.
func TestUpload(t *testing.T) {
	r := newPhoneRig(t, nil).ready()
	for i := range 2 {
		r.at(time.Duration(i+1) * time.Second)
		r.deliver(sender, whole(utc(), someID[:19]+string(rune('1'+i)), 0, 15*time.Minute))
	}
	r.at(181*time.Second - 1)
	same(t, "typed", r.typed("Upload_contact_log"), "> Upload_contact_log")
	same(t, "expires", r.at(182*time.Second).wake())
	equal(t, "the log is empty now", r.p.Log().Len(), 0)
	same(t, "count", r.read("1"), "> 6")
	var lines []string
	for i := range 6 {
		said := r.at(time.Duration(190+5*i) * time.Second).read("1")
		if len(said) != 2 || said[0] != "> "+said[1] {
			t.Fatalf("line %d: %q", i, said)
		}
		lines = append(lines, said[1])
	}
	same(t, "last answer", r.read("1"), "upload: ok", prompt)
	same(t, "lines", lines, someID[:19]+"1", "30/07/2020 16:58:12", "30/07/2020 17:13:12",
		someID[:19]+"2", "30/07/2020 16:58:12", "30/07/2020 17:13:12")
	done := r.done[len(r.done)-1]
	equal(t, "entries", done.Entries, 2)
	equal(t, "began", done.Began, 181*time.Second-1)
}

func TestUploadOfAnEmptyLog(t *testing.T) {
	r := newPhoneRig(t, nil).ready()
	r.typed("Upload_contact_log")
	same(t, "count", r.read("1"), "> 0")
	same(t, "end", r.read("1"), "upload: ok", prompt)
}

func TestBrokenUploadIsNotRetried(t *testing.T) {
	begin := func() *phoneRig {
		r := newPhoneRig(t, nil).ready()
		r.deliver(sender, whole(utc(), someID, 0, 15*time.Minute))
		r.at(time.Second).typed("Upload_contact_log")
		r.read("1")
		r.read("1")
		return r
	}
	r := begin()
	same(t, "closed", r.closed(), textLostUpload, "(close)", "upload: connection lost")
	r = begin()
	same(t, "a nanosecond before the limit", r.at(11*time.Second-1).wake())
	same(t, "no answer", r.at(11*time.Second).wake(), textNoAnswer, "(close)", "upload: no answer")
	r = begin()
	same(t, "strange", r.read("2"), `strange answer from the server: "2"`, "(close)", "upload: strange answer")
	equal(t, "offline", r.p.Stage(), StageOffline)
	r = begin()
	same(t, "opened again", r.open(), "upload: connection lost", "(close)", "(connect)", "? Username: ")
}

func TestPhoneSettingsAreRefused(t *testing.T) {
	bad := []struct {
		change func(*PhoneSettings)
		want   string
	}{
		{func(s *PhoneSettings) { s.Retention = 0 },
			"invalid retention 0s: must be above 0"},
		{func(s *PhoneSettings) { s.PasswordPause = -1 },
			"invalid password pause -1ns: must be 0 or more"},
		{func(s *PhoneSettings) { s.RetryPause = 0 },
			"invalid retry pause 0s: must be at least the password pause"},
		{func(s *PhoneSettings) { s.JoinLogin = true },
			"invalid password pause 50ms: must be 0 for a joined login"},
		{func(s *PhoneSettings) { s.AnswerLimit = 0 },
			"invalid answer limit 0s: must be above 0"},
		{func(s *PhoneSettings) { s.TempIDLifetime = 1 },
			"invalid TempID lifetime 1ns: must be whole seconds above 0"},
		{func(s *PhoneSettings) { s.MaxEntries = -1 },
			"invalid limit of log entries -1: must be 1 or more, or 0 for none"},
		{func(s *PhoneSettings) { s.Form = 7 },
			"invalid form of beacons 7: must be split or single"},
		{func(s *PhoneSettings) { s.Zone = nil },
			"invalid zone <nil>: must be set"},
	}
	for _, b := range bad {
		s := DefaultPhoneSettings()
		b.change(&s)
		if err := s.Validate(); err == nil || err.Error() != "phone settings: "+b.want {
			t.Errorf("got %v, want %q", err, b.want)
		}
	}
	equal(t, "the smallest", PhoneSettings{Retention: 1, AnswerLimit: 1, TempIDLifetime: time.Second, JoinLogin: true,
		Form: protocol.Single, Zone: utc()}.Validate(), nil)
}

// Bytes of a peer cannot forge a verdict or a control sequence.
func TestMalformedFieldsArePrintedQuoted(t *testing.T) {
	r := newPhoneRig(t, nil)
	text := "The beacon is valid." + "\x1b[2J\n23456789012345" + "31/02/2020 10:00:00" + "1"
	equal(t, "heard", len(r.deliver(sender, text)), 1)
	want := `"The beacon is valid."` + "\n" + `"\x1b[2J\n23456789012345"` + "\n" + `"31/02/2020 10:00:00"` +
		"\nCurrent time is:\n30/07/2020 16:58:12\nThe beacon is invalid.\n"
	equal(t, "terminal", r.terminal.String(), want)
	r.terminal.Reset()
	r.deliver(sender, strings.Repeat("x", 30))
	equal(t, "not even a beacon's length", r.terminal.String(), "The beacon is invalid.\n")
	equal(t, "kept", r.p.Log().Len(), 0)
	equal(t, "parts", len(protocol.Part(&[protocol.BeaconSize]byte{}, 0)), 20)
}

// An outbox is reused: nothing of an earlier verdict remains.
func TestABrokenBeaconHasNoVersion(t *testing.T) {
	r := newPhoneRig(t, nil)
	r.deliver(sender, whole(utc(), someID, 0, 15*time.Minute))
	got := r.deliver(sender, "x")
	equal(t, "broken, without a version", got[0].OutOfTurn && !got[0].HasVersion, true)
}
