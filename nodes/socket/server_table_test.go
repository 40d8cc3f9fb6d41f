package socket

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// upload returns the lines of an upload with the TempID id.
func uploadOf(id protocol.TempID) []string {
	return []string{id.String(), "23/11/2026 06:32:38", "23/11/2026 06:47:38"}
}

// PROTOCOL.md section 2, "When TCP joins or splits messages", row by row.
func TestJoinedAndSplitReads(t *testing.T) {
	for _, row := range []struct {
		name   string
		do     func(p *peer)
		output string // lines of the server at the end, without "I am listening"
	}{{
		name: "username and the right password in one read",
		do: func(p *peer) {
			p.say(userA + passwordA)
			p.hear(protocol.Welcome)
		},
		output: "users: +61410888888\n",
	}, {
		name: "username and a wrong password in one read are counted and not answered",
		do: func(p *peer) {
			p.piece(userA + "nonsense")
			p.say("nonsense") // as after an unknown username
			p.hear(protocol.TryAgain)
			for range 2 {
				q := p.rig.dial()
				q.piece(userA)
				q.say("wrong")
				if q.has(protocol.NowBlocked) {
					return // the third of this account, with the one that was not answered
				}
			}
			p.t.Error("three wrong passwords did not block the account")
		},
	}, {
		name: "a password that is the beginning of the right one is not waited for",
		do: func(p *peer) {
			p.piece(userA)
			p.say(passwordA[:4])
			p.hear(protocol.TryAgain)
		},
	}, {
		name: "a command in two pieces",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.piece("Download_")
			p.say("tempID")
			p.tempID()
		},
	}, {
		name: "two commands in one read",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say("Download_tempIDDownload_tempID")
			if a, b := p.tempID(), p.tempID(); a == b {
				p.t.Errorf("TempID %s was issued twice", a)
			}
		},
	}, {
		name: "a download and the log out behind it",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say("Download_tempIDlog out")
			p.tempID()
			p.hearEnd()
		},
	}, {
		name: "log out twice in one read is one",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say("log outlog out")
			p.hearEnd()
		},
		output: "users: +61410888888\n+61410888888 logout\n",
	}, {
		name: "logout",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say("logout")
			p.hearEnd()
		},
		output: "users: +61410888888\n+61410888888 logout\n",
	}, {
		name: "upload lines joined in one read",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say(protocol.CommandUpload)
			p.hear("1")
			p.say("3")
			p.hear("1")
			p.say(strings.Join(uploadOf(protocol.TempID([]byte("82071592779455047519"))), ""))
			p.hear("111")
			p.say(protocol.CommandLogout)
			p.hearEnd()
		},
		output: "users: +61410888888\nreceived contact log from +61410888888\n82071592779455047519\n" +
			"23/11/2026 06:32:38\n23/11/2026 06:47:38\nContact log checking\n+61410888888 logout\n",
	}, {
		name: "upload lines byte by byte, of a TempID that it issued",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say(protocol.CommandDownload)
			id := p.tempID()
			p.say(protocol.CommandUpload)
			p.hear("1")
			p.say("3")
			p.hear("1")
			for _, line := range uploadOf(id) {
				for i := range line {
					p.piece(line[i : i+1])
				}
				p.hear("1")
			}
			p.rig.awaitOutput("Contact log checking\n+61410888888\n23/11/2026 06:32:38\n23/11/2026 06:47:38\n")
		},
	}, {
		name: "an upload of nothing",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say(protocol.CommandUpload)
			p.hear("1")
			p.say("0")
			p.hear("1")
			p.say(protocol.CommandDownload)
			p.tempID()
		},
	}, {
		name: "bytes that are no command are skipped",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say("Hello\nDownload_tempID\n")
			p.tempID()
			p.say(protocol.CommandDownload)
			p.tempID()
			p.rig.awaitOutput(`+61410888888: no command: "Hello\n"`)
		},
	}, {
		name: "a count that is not a multiple of 3 closes the session",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say(protocol.CommandUpload)
			p.hear("1")
			p.say("4")
			p.hearEnd()
			p.rig.awaitOutput(`+61410888888: upload refused: "4"`)
		},
	}, {
		name: "the connection ends in the middle of an upload",
		do: func(p *peer) {
			p.login(userA, passwordA)
			p.say(protocol.CommandUpload)
			p.hear("1")
			p.say("6")
			p.hear("1")
			p.say("82071592779455047519")
			p.hear("1")
			p.Close()
			p.rig.awaitOutput("+61410888888: incomplete upload: 1 of 6 lines\n82071592779455047519\n")
		},
	}, {
		name: "the end of file after a wrong password is none",
		do: func(p *peer) {
			for range 3 {
				q := p.rig.dial()
				q.piece(userA)
				q.CloseWrite()
				q.hearEnd()
			}
			p.login(userA, passwordA)
		},
	}} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, nil)
			row.do(r.dial())
			r.awaitOutput("I am listening\n" + row.output)
		})
	}
}

// has reads an answer, and reports whether it is text.
func (p *peer) has(text string) bool {
	p.t.Helper()
	b := make([]byte, 1024)
	n, err := p.Read(b)
	if err != nil {
		p.t.Fatalf("reading an answer: %v", err)
	}
	return string(b[:n]) == text
}

// A block of 60 seconds ends exactly at its boundary, over a real socket with a
// mock clock.
func TestABlockLastsToItsNanosecond(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.piece(userA)
	for _, answer := range []string{protocol.TryAgain, protocol.TryAgain, protocol.NowBlocked} {
		p.say("wrong")
		p.hear(answer)
	}
	p.hearEnd()
	r.mock.Add(time.Minute - 1)
	p = r.dial()
	p.piece(userA)
	p.say(passwordA)
	p.hear(protocol.IsBlocked)
	p.hearEnd()
	r.dial().login(userB, passwordB) // another account is not affected
	p = r.dial()
	p.piece(userA) // during the block
	r.mock.Add(1)
	p.say(passwordA)
	p.hear(protocol.Welcome)
}

func TestServerOutput(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial()
	p.login(userA, passwordA)
	p.say(protocol.CommandDownload)
	id := p.tempID()
	p.say(protocol.CommandLogout)
	p.hearEnd()
	r.awaitOutput("logout")
	want := fmt.Sprintf("I am listening\nusers: %[1]s\nuser: %[1]s\nTempID:\n%[2]s\n%[1]s logout\n", userA, id)
	if got := r.output.String(); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	start := r.mock.Now().Unix()
	issue := nodes.Issue{User: userA, TempID: id, Start: start, Expiry: start + 900}
	if got := r.disk.kept(); len(got) != 1 || got[0].Issue != issue {
		t.Errorf("stored %+v, want %+v", got, issue)
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	if got, ok := r.server.Machine().Resolve(id); !ok || got != issue {
		t.Errorf("resolves to %+v, %v", got, ok)
	}
	if r.watch.backwards {
		t.Error("an event is earlier than the one before")
	}
}
