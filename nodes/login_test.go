package nodes

import (
	"fmt"
	"slices"
	"strings"
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
	equal(t, "kept", r.s.Usage().UnknownNames, 3)
	for i := range 100 {
		r.tryLogin(0, string(rune('a'+i%26))+string(rune('a'+i/26)), "x")
		r.eof(0)
	}
	equal(t, "kept after many", r.s.Usage().UnknownNames, 4)
	equal(t, "of them blocked", r.s.Usage().BlockedNames, 1)
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
	equal(t, "n2 is blocked and stays", r.tryLogin(0, "n2", "x"), refused)
}

// A blocked name looks the same with an account and without one, whatever other names are
// tried, until its block ends.
func TestABlockedNameLooksTheSameWithoutAnAccount(t *testing.T) {
	for _, user := range []string{alice, "nobody"} {
		r := newServerRig(t, func(s *ServerSettings) { s.MaxUnknownNames = 3 })
		for range 3 {
			r.tryLogin(0, user, "x")
			r.eof(0)
		}
		push := func(prefix string) {
			for i := range 100 {
				for range 1 + i%3 { // some of them are blocked, too
					r.tryLogin(0, fmt.Sprint(prefix, i), "x")
					r.eof(0)
				}
			}
		}
		push("a")
		equal(t, user+" a nanosecond before its end", r.at(time.Minute-1).tryLogin(0, user, "x"), refused)
		push("b")
		for _, want := range []string{tryAgain, tryAgain, blocks} {
			equal(t, user+" from its end on", r.at(time.Minute).tryLogin(0, user, "x"), want)
			r.eof(0)
		}
		if u := r.s.Usage(); u.UnknownNames-u.BlockedNames > 3 {
			t.Errorf("%d names without a block are kept, want 3 at most", u.UnknownNames-u.BlockedNames)
		}
	}
}

// Blocks that have ended take no memory.
func TestEndedBlocksOfUnknownNamesAreRemoved(t *testing.T) {
	r := newServerRig(t, nil)
	for i := range 90 {
		r.tryLogin(0, fmt.Sprint("n", i%30), "x")
		r.eof(0)
	}
	equal(t, "blocked", r.s.Usage(), Usage{UnknownNames: 30, BlockedNames: 30})
	r.at(time.Minute).tryLogin(0, "another", "x")
	r.eof(0)
	equal(t, "after their end", r.s.Usage(), Usage{UnknownNames: 1})
}

// Above the limit of bytes, the oldest blocked name is forgotten, and the server prints it
// once for many.
func TestBlockedUnknownNamesAreLimited(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.MaxBlockedBytes = 2 * UnknownNameBytes })
	var lines []string
	for i := range 3 * forgottenPerLine {
		for range 3 {
			lines = append(lines, r.login(0, fmt.Sprint("n", i), "x")...)
			r.eof(0)
		}
	}
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "0> ") })
	const line = "blocked names without an account take more than 800 bytes: the oldest are forgotten before their " +
		"block ends, "
	same(t, "printed", lines, line+"1 so far", line+"10001 so far", line+"20001 so far")
	equal(t, "the last", r.tryLogin(0, fmt.Sprint("n", 3*forgottenPerLine-1), "x"), refused)
	equal(t, "the last but two", r.tryLogin(1, fmt.Sprint("n", 3*forgottenPerLine-3), "x"), tryAgain)
	equal(t, "kept", r.s.Usage().BlockedNames, 2)
}

// A restart keeps blocks of names without an account for their rest, and drops those that
// have ended.
func TestBlocksOfUnknownNamesSurviveARestart(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.MaxUnknownNames = 1 })
	for i := range 3 {
		r.at(time.Duration(i)*time.Second).tryLogin(0, "nobody", "x")
		r.eof(0)
	}
	again := newServerRig(t, func(s *ServerSettings) { s.MaxUnknownNames = 1 })
	for _, rec := range r.stored {
		if err := again.s.Restore(Now{Wall: startWall + int64(30*time.Second)}, rec); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		again.tryLogin(0, "another", "x")
		again.eof(0)
	}
	equal(t, "a nanosecond before its end", again.at(32*time.Second-1).tryLogin(0, "nobody", "x"), refused)
	equal(t, "at its end", again.at(32*time.Second).tryLogin(0, "nobody", "x"), tryAgain)
	late := newServerRig(t, nil)
	if err := late.s.Restore(Now{Wall: startWall + int64(time.Hour)}, r.stored[2]); err != nil {
		t.Fatal(err)
	}
	equal(t, "of an ended block", late.s.Usage().UnknownNames, 0)
}

func TestUnknownNamesAreNeitherPrintedNorStored(t *testing.T) {
	r := newServerRig(t, nil)
	for i := range 3 {
		for _, line := range r.login(Conn(i), "hunter2", "x") {
			if line != "0> "+tryAgain && line != "1> "+tryAgain && line != "2> "+protocol.NowBlocked &&
				line != "2> FIN" {
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
	r.s.SetPasswords(NewPasswords([]Credential{{bob, "new"}}))
	equal(t, "a vanished account", r.tryLogin(3, alice, alicePassword), tryAgain)
	equal(t, "the old password", r.tryLogin(4, bob, bobPassword), tryAgain)
	equal(t, "the new one", r.tryLogin(5, bob, "new"), welcome)
	issue, ok := r.s.Resolve(id)
	equal(t, "TempIDs still resolve", ok && issue.User == alice, true)
	r.s.SetPasswords(NewPasswords([]Credential{{alice, alicePassword}}))
	equal(t, "back again, with its count", r.tryLogin(6, alice, "c"), blocks)
}
