package protocol

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestLoginReplies(t *testing.T) {
	tests := []struct {
		feeds []string
		want  []Reply
	}{
		{[]string{"Welcome to the BlueTrace Simulator!"}, []Reply{ReplyWelcome}},
		{[]string{"Invalid Password. Please try again"}, []Reply{ReplyTryAgain}},
		{[]string{"Invalid Password. Your account has been blocked. Please try again later"}, []Reply{ReplyNowBlocked}},
		{[]string{"Your account is blocked due to multiple login failures. Please try again later"}, []Reply{ReplyIsBlocked}},
		{[]string{"Invalid Password. ", "Your account has been blocked. Please try again", " later"},
			[]Reply{NoReply, NoReply, ReplyNowBlocked}},
		{[]string{"Invalid Password. P", "", "lease try again"}, []Reply{NoReply, NoReply, ReplyTryAgain}},
		{[]string{"I", "nvalid Password. Please try again", "Welcome to the BlueTrace Simulator!"},
			[]Reply{NoReply, ReplyTryAgain, ReplyWelcome}},
		{[]string{"Welcome to the BlueTrace Simulator!\nand more"}, []Reply{ReplyWelcome}},
		{[]string{""}, []Reply{NoReply}},
		{[]string{"welcome to the BlueTrace Simulator!"}, []Reply{ReplyUnexpected}},
		{[]string{"Welcome to the BlueTrace Emulator!"}, []Reply{ReplyUnexpected}},
		{[]string{"Invalid Password. ", "Zzz"}, []Reply{NoReply, ReplyUnexpected}},
		{[]string{"1"}, []Reply{ReplyUnexpected}},
		{[]string{"Welc", "Your account", "Welcome to the BlueTrace Simulator!"}, []Reply{NoReply, ReplyUnexpected, ReplyWelcome}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%.60q", test.feeds), func(t *testing.T) {
			var r ReplyReader
			var got []Reply
			for _, p := range test.feeds {
				got = append(got, r.Login([]byte(p)))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q: %v, want %v", test.feeds, got, test.want)
			}
		})
	}
}

func TestTempIDReplies(t *testing.T) {
	tests := []struct {
		feeds []string
		id    string
		want  Reply
	}{
		{[]string{"97975110528337390463"}, "97975110528337390463", ReplyTempID},
		{[]string{"9797", "", "5110528337390463"}, "97975110528337390463", ReplyTempID},
		{[]string{"97975110528337390463\n"}, "97975110528337390463", ReplyTempID},
		{[]string{"9797511052833739046397975110528337390463"}, "97975110528337390463", ReplyTempID},
		{strings.Split("97975110528337390463", ""), "97975110528337390463", ReplyTempID},
		{[]string{"1"}, "", NoReply},
		{[]string{"9797511052833739046"}, "", NoReply},
		{[]string{"9797511052833739046x"}, "", ReplyUnexpected},
		{[]string{"97", "Welcome"}, "", ReplyUnexpected},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%.60q", test.feeds), func(t *testing.T) {
			var r ReplyReader
			var id TempID
			var reply Reply
			for i, p := range test.feeds {
				if id, reply = r.TempID([]byte(p)); i < len(test.feeds)-1 && reply != NoReply {
					t.Errorf("%q: %v after %d reads", test.feeds, reply, i+1)
				}
			}
			if reply != test.want || strings.Trim(id.String(), "\x00") != test.id {
				t.Errorf("%q: %q, %v, want %q, %v", test.feeds, id, reply, test.id, test.want)
			}
		})
	}
}

func TestAckReplies(t *testing.T) {
	for text, want := range map[string]Reply{
		"1": ReplyAck, "11": ReplyAck, "1\n": ReplyAck, "": NoReply, "0": ReplyUnexpected, "\n1": ReplyUnexpected,
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			var r ReplyReader
			if got := r.Ack([]byte(text)); got != want {
				t.Errorf("Ack(%q) = %v, want %v", text, got, want)
			}
		})
	}
}

// The beginning of one answer is never part of the next.
func TestReplyReaderStartsAfresh(t *testing.T) {
	var r ReplyReader
	r.Login([]byte("Your account is blocked due to"))
	if id, reply := r.TempID([]byte("97975110528337390463")); reply != ReplyTempID {
		t.Errorf("after half a login answer: %q, %v", id, reply)
	}
	r.TempID([]byte("12345"))
	if reply := r.Login([]byte(Welcome)); reply != ReplyWelcome {
		t.Errorf("after half a TempID: %v", reply)
	}
	r.TempID([]byte("12345"))
	if reply := r.Ack([]byte("1")); reply != ReplyAck {
		t.Errorf("after half a TempID: %v", reply)
	}
	r.TempID([]byte("12345"))
	r.Reset()
	if r != (ReplyReader{}) {
		t.Errorf("Reset leaves %v", r)
	}
}

func TestNamesOfKinds(t *testing.T) {
	if ReplyNowBlocked.String() != "now blocked" || Reply(99).String() != "unknown" ||
		Skipped.String() != "skipped" || MessageKind(99).String() != "unknown" ||
		ExpectLine.String() != "line" || Expectation(99).String() != "unknown" {
		t.Error("a kind has another name")
	}
}

// An answer gives the same reply for any split into reads.
func FuzzReplyReader(f *testing.F) {
	for _, text := range []string{Welcome, TryAgain, NowBlocked, IsBlocked, "97975110528337390463", "1", "Invalid Password. X"} {
		f.Add([]byte(text), []byte{0, 5, 17})
	}
	f.Fuzz(func(t *testing.T, text, sizes []byte) {
		var whole, pieces ReplyReader
		reads := cut(text, sizes)
		wantLogin, gotLogin := whole.Login(text), NoReply
		for _, p := range reads {
			if gotLogin == NoReply {
				gotLogin = pieces.Login(p)
			}
		}
		if gotLogin != wantLogin {
			t.Fatalf("Login of %q: cut %v, in one read %v", text, gotLogin, wantLogin)
		}
		if gotLogin != NoReply && gotLogin != ReplyUnexpected && !strings.HasPrefix(string(text), loginTexts[gotLogin]) {
			t.Fatalf("Login of %q: %v", text, gotLogin)
		}
		whole, pieces = ReplyReader{}, ReplyReader{}
		wantID, wantReply := whole.TempID(text)
		var gotID TempID
		gotReply := NoReply
		for _, p := range reads {
			if gotReply == NoReply {
				gotID, gotReply = pieces.TempID(p)
			}
		}
		if gotID != wantID || gotReply != wantReply {
			t.Fatalf("TempID of %q: cut %q, %v, in one read %q, %v", text, gotID, gotReply, wantID, wantReply)
		}
		if wantReply == ReplyTempID && wantID.String() != string(text[:TempIDSize]) {
			t.Fatalf("TempID of %q: %q", text, wantID)
		}
		// No order of methods on one reader panics.
		for i, p := range reads {
			switch {
			case i%2 == 0:
				pieces.Login(p)
			case len(sizes)%2 == 0:
				pieces.TempID(p)
			default:
				pieces.Ack(p)
			}
		}
	})
}
