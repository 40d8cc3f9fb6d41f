package nodes

import (
	"testing"
	"time"

	"bluetrace/protocol"
)

const (
	welcome  = protocol.Welcome
	tryAgain = protocol.TryAgain
	blocks   = protocol.NowBlocked + "|FIN"
	refused  = protocol.IsBlocked + "|FIN"
)

func TestLoginAnswersAndLines(t *testing.T) {
	r := newServerRig(t, nil)
	r.s.Start(r.now, &r.out)
	same(t, "start", r.runEffects(), "I am listening")
	r.accept(0)
	same(t, "username", r.read(0, alice))
	same(t, "wrong password", r.read(0, "bad"), "0> "+tryAgain)
	same(t, "right password", r.read(0, alicePassword), "0> "+welcome, "users: "+alice)
	same(t, "log out", r.read(0, "log out"), alice+" logout", "0> FIN")
	equal(t, "reading after the end", r.s.Reading(0), false)
}

// A block begins at the third wrong password and lasts exactly its duration.
func TestBlockBoundaries(t *testing.T) {
	for _, block := range []time.Duration{time.Nanosecond, time.Second, time.Minute} {
		r := newServerRig(t, func(s *ServerSettings) { s.BlockDuration = block })
		began := 2 * time.Second
		equal(t, "first", r.at(0).tryLogin(0, alice, "bad"), tryAgain)
		equal(t, "second, another connection", r.at(time.Second).tryLogin(1, alice, "bad"), tryAgain)
		equal(t, "third", r.at(began).tryLogin(2, alice, "bad"), blocks)
		equal(t, "block began", r.lastEvent(EventBlockBegan), ServerEvent{Kind: EventBlockBegan, User: alice})
		equal(t, "at its beginning", r.tryLogin(3, alice, alicePassword), refused)
		equal(t, "another account", r.tryLogin(4, bob, bobPassword), welcome)
		equal(t, "a nanosecond before its end", r.at(began+block-1).tryLogin(5, alice, alicePassword), refused)
		equal(t, "at its end", r.at(began+block).tryLogin(6, alice, alicePassword), welcome)
	}
}

func TestCountOfWrongPasswords(t *testing.T) {
	type try struct {
		user, password string
		want           string
	}
	const nobody = "+61400000000"
	tests := map[string][]try{
		"right at the third": {{alice, "a", tryAgain}, {alice, "b", tryAgain}, {alice, alicePassword, welcome},
			{alice, "c", tryAgain}, {alice, "d", tryAgain}, {alice, "e", blocks}},
		"each account has its own": {{alice, "a", tryAgain}, {bob, "a", tryAgain}, {alice, "b", tryAgain},
			{bob, "b", tryAgain}, {alice, "c", blocks}, {bob, bobPassword, welcome}},
		"another's password": {{alice, bobPassword, tryAgain}, {alice, alicePassword, welcome}},
		"unknown name": {{nobody, "a", tryAgain}, {nobody, alicePassword, tryAgain}, {nobody, "", ""},
			{nobody, "c", blocks}, {nobody, "d", refused}, {alice, alicePassword, welcome}},
		"part of a password": {{alice, alicePassword[:7], tryAgain}, {alice, alicePassword + "1", tryAgain},
			{alice, alicePassword, welcome}},
	}
	for title, list := range tests {
		t.Run(title, func(t *testing.T) {
			r := newServerRig(t, nil)
			for i, e := range list {
				c := Conn(i)
				if e.want == "" { // a connection that ends after the username
					r.accept(c)
					r.read(c, e.user)
					equal(t, "end of file", sent(r.eof(c)), "FIN")
					continue
				}
				equal(t, title, r.tryLogin(c, e.user, e.password), e.want)
			}
		})
	}
}

func TestRefusalsDoNotProlongABlock(t *testing.T) {
	r := newServerRig(t, nil)
	for i := range 3 {
		r.tryLogin(Conn(i), alice, "bad")
	}
	for i := 1; i < 60; i++ {
		equal(t, "during the block", r.at(time.Duration(i)*time.Second).tryLogin(5, alice, "bad"), refused)
	}
	equal(t, "no more than three were counted", r.count(EventWrongPassword), 3)
	equal(t, "records", len(r.stored), 3)
	// The end of the block resets the count.
	r.at(time.Minute)
	equal(t, "first after", r.tryLogin(6, alice, "bad"), tryAgain)
	equal(t, "second after", r.tryLogin(7, alice, "bad"), tryAgain)
	equal(t, "third after", r.tryLogin(8, alice, "bad"), blocks)
}

// The block is checked at every attempt, also on a connection that was opened,
// and had its username, before it began.
func TestBlockReachesOpenConnections(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(9, alice, alicePassword)
	r.accept(0, 1)
	r.read(0, alice)
	r.read(1, alice)
	r.read(0, "a")
	r.read(0, "b")
	equal(t, "third", sent(r.read(0, "c")), blocks)
	equal(t, "right one elsewhere", sent(r.read(1, alicePassword)), refused)
	equal(t, "a session that is logged in goes on", len(r.download(9)), protocol.TempIDSize)
}

func TestEndOfFileIsNoAttempt(t *testing.T) {
	r := newServerRig(t, nil)
	r.tryLogin(0, alice, "a")
	r.tryLogin(1, alice, "b")
	r.eof(1)
	for range 5 {
		r.accept(2)
		r.read(2, alice)
		same(t, "end of file", r.eof(2), "2> FIN")
	}
	equal(t, "right one", r.tryLogin(3, alice, alicePassword), welcome)
}

func TestUnknownNamesAreLimited(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.MaxUnknownNames = 3 })
	names := []string{"n0", "n1", "n2"}
	for _, n := range names {
		equal(t, "first", r.tryLogin(0, n, "x"), tryAgain)
		r.eof(0)
		equal(t, "second", r.tryLogin(0, n, "x"), tryAgain)
		r.eof(0)
	}
	equal(t, "a fourth name", r.tryLogin(0, "n3", "x"), tryAgain)
	r.eof(0)
	equal(t, "n0 was the oldest and is forgotten", r.tryLogin(0, "n0", "x"), tryAgain)
	r.eof(0)
	equal(t, "n2 is still kept", r.tryLogin(0, "n2", "x"), blocks)
	equal(t, "kept", len(r.s.accounts.unknown.index), 3)
	for i := range 100 {
		r.tryLogin(0, string(rune('a'+i%26))+string(rune('a'+i/26)), "x")
		r.eof(0)
	}
	equal(t, "kept after many", len(r.s.accounts.unknown.index), 3)
	equal(t, "known accounts stay", r.tryLogin(1, alice, alicePassword), welcome)
}

// Unknown names are removed in the order in which they were first tried.
func TestTheOldestUnknownNameIsRemoved(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.MaxUnknownNames = 3 })
	for _, n := range []string{"n0", "n1", "n2", "n3", "n4"} {
		for range 2 {
			equal(t, n, r.tryLogin(0, n, "x"), tryAgain)
			r.eof(0)
		}
	}
	for _, n := range []string{"n2", "n3", "n4"} {
		equal(t, n+" is one of the newest three", r.tryLogin(0, n, "x"), blocks)
	}
	equal(t, "n1 went after n0", r.tryLogin(0, "n1", "x"), tryAgain)
	r.eof(0)
	equal(t, "n2 went for n1", r.tryLogin(0, "n2", "x"), tryAgain)
	equal(t, "n4 stays", r.tryLogin(1, "n4", "x"), refused)
}

func TestUnknownNamesAreNeitherPrintedNorStored(t *testing.T) {
	r := newServerRig(t, nil)
	for i := range 3 {
		for _, line := range r.login(Conn(i), "hunter2", "x") {
			if line != "0> "+tryAgain && line != "1> "+tryAgain && line != "2> "+protocol.NowBlocked && line != "2> FIN" {
				t.Errorf("said %q", line)
			}
		}
	}
	for _, rec := range r.stored {
		if rec.Attempts.User != "" || rec.Attempts.Known || rec.Attempts.Hash == [16]byte{} {
			t.Errorf("stored %+v", rec.Attempts)
		}
	}
	for _, e := range r.events {
		equal(t, "user of event", e.User, "")
	}
}

func TestCredentialsAreReplaced(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	id := r.download(0)
	r.tryLogin(1, alice, "a")
	r.tryLogin(2, alice, "b")
	r.s.SetCredentials([]Credential{{bob, "new"}})
	equal(t, "a vanished account", r.tryLogin(3, alice, alicePassword), tryAgain)
	equal(t, "the old password", r.tryLogin(4, bob, bobPassword), tryAgain)
	equal(t, "the new one", r.tryLogin(5, bob, "new"), welcome)
	issue, ok := r.s.Resolve(id)
	equal(t, "TempIDs still resolve", ok && issue.User == alice, true)
	r.s.SetCredentials([]Credential{{alice, alicePassword}})
	equal(t, "back again, with its count", r.tryLogin(6, alice, "c"), blocks)
}
