package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bluetrace/nodes"
)

const (
	someTempID = "99033999094940624829"
	fields     = someTempID + "\n23/11/2026 06:36:03\n23/11/2026 06:51:03\n"
	verdict    = fields + "Current time is:\n23/11/2026 06:36:03\nThe beacon is valid.\n"
)

func beacon() []string {
	return []string{someTempID, "23/11/2026 06:36:03", "23/11/2026 06:51:03", "1"}
}

// The terminal shows the same words in the same order as a recording of another
// implementation.
func TestTheRecordedTerminal(t *testing.T) {
	recorded, err := os.ReadFile("../../nodes/testdata/terminal.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(recorded), "\n")
	text, _, _ = strings.Cut(text, "-- the program stays")
	text = strings.ReplaceAll(text, "127.0.0.1 23050", "127.0.0.1 PORT")

	server := startServer(t, mocked())
	s := startRig(t, mocked(), server)
	friend := udpSocket(t)
	_, friendPort, _ := net.SplitHostPort(friend.LocalAddr().String())
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		for _, prompt := range []string{"Username: ", "Password: ", "input the command: "} {
			if typed, ok := strings.CutPrefix(line, prompt); ok {
				s.awaits(prompt)
				s.types(strings.ReplaceAll(typed, "PORT", friendPort))
				if prompt == "Username: " {
					server.reads(t, typed)
				}
			}
		}
	}
	s.awaits("you have logged out\n")
	got := s.screen.String()
	_, id, _ := strings.Cut(got, "TempID:\n")
	got = strings.ReplaceAll(strings.ReplaceAll(got, id[:20], someTempID), friendPort, "PORT")
	if diff := cmp.Diff(text, got); diff != "" {
		t.Errorf("the terminal (-recorded +ours):\n%s", diff)
	}
	s.keys.Close()
	s.ends(ended)
	expect(t, "errors", s.errors.String(), "")
}

// A beacon begins on a new line, also behind a prompt and after log out.
func TestBeaconsBetweenPrompts(t *testing.T) {
	server := startServer(t, mocked())
	s := startRig(t, mocked(), server)
	s.awaits("Username: ")
	s.hears(beacon()...)
	s.awaits("Username: \n" + verdict)
	s.name()
	s.awaits(verdict + "Password: ")
	s.pipes(password + "\n")
	s.awaits("Password: Welcome to the BlueTrace Simulator!\ninput the command: ")
	s.pipes("log out\n")
	s.awaits("input the command: you have logged out\n")
	s.hears(beacon()...)
	s.awaits("you have logged out\n" + verdict)
	s.pipes("Download_tempID\nwhatever\n")
	s.hears("x")
	s.awaits("The beacon is valid.\nThe beacon is invalid.\n")
	s.signals <- syscall.SIGTERM
	s.ends(ended)
	expect(t, "the log", file(t, s.log), fields+fields)
	expect(t, "errors", s.errors.String(), "")
}

func file(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Piped input is read line by line, one for each prompt. No line is lost, and the end
// of input ends the client.
func TestPipedInput(t *testing.T) {
	server := startServer(t, mocked())
	s := startRig(t, mocked(), server)
	const many = 500
	s.pipes("\n" + user + "\r\n")
	server.reads(t, user)
	s.pipes(strings.Repeat("y", 1<<20) + "\nwrong\n" + password + "\n" +
		strings.Repeat("Download_tempID\n", many) + "last line without an end")
	s.keys.Close()
	s.ends(ended)
	got := s.screen.String()
	expect(t, "the login", strings.HasPrefix(got, "Username: Username: Password: what was typed is longer than a "+
		"message of 1024 bytes\n"+
		"Password: Invalid Password. Please try again\nPassword: Welcome to the BlueTrace Simulator!\ninput the "+
		"command: TempID:\n"), true)
	expect(t, "downloads", strings.Count(got, "TempID:\n"), many)
	expect(t, "the end", strings.HasSuffix(got, "input the command: Error. Invalid command\ninput the command: \n"),
		true)
}

// A login that failed for good ends the program.
func TestBlocked(t *testing.T) {
	server := startServer(t, mocked())
	s := startRig(t, mocked(), server)
	s.name()
	s.pipes("1\n2\n3\n")
	s.ends(failed)
	const again = "Password: Invalid Password. Please try again\n"
	expect(t, "the screen", s.screen.String(),
		"Username: "+again+again+"Password: Invalid Password. Your account has been blocked. Please try again later\n")
	s = startRig(t, mocked(), server)
	s.name()
	s.pipes(password + "\n")
	s.ends(failed)
	expect(t, "during the block", s.screen.String(),
		"Username: Password: Your account is blocked due to multiple login failures. Please try again later\n")
}

// Without its server the phone continues and reports that once.
func TestConnectionLoss(t *testing.T) {
	server := startServer(t, mocked())
	s := startRig(t, mocked(), server)
	s.name()
	s.pipes(password + "\n")
	s.awaits("input the command: ")
	server.Close()
	const said = "the server closed the connection\nbeacons are still sent and received; start the client again to " +
		"log in\n"
	s.awaits("input the command: \n" + said)
	s.pipes("Download_tempID\n")
	s.awaits(said + "not connected to the server: start the client again to log in\ninput the command: ")
	s.hears(beacon()...)
	s.awaits("input the command: \n" + verdict)
	s.pipes("Beacon 127.0.0.1 1\n")
	s.awaits(verdict + "you do not have valid tempid\ninput the command: ")
	s.keys.Close()
	s.ends(ended)
	expect(t, "the log", file(t, s.log), fields)
}

// Before the login, the loss of the server ends the program.
func TestConnectionLossBeforeTheLogin(t *testing.T) {
	server := startServer(t, mocked())
	s := startRig(t, mocked(), server)
	s.awaits("Username: ")
	server.Close()
	s.ends(failed)
	expect(t, "the screen", s.screen.String(), "Username: \nthe server closed the connection\n")
}

// unresponsiveServer starts a server that accepts connections and never answers.
func unresponsiveServer(t *testing.T) *served {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &served{}
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 100)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					s.Read(nodes.Now{}, 0, b[:n])
				}
			}()
		}
	}()
	return s
}

// A login without an answer gets a message on a new line, with a remedy.
func TestNoAnswer(t *testing.T) {
	server, c := unresponsiveServer(t), mocked()
	s := startRig(t, c, server)
	s.name()
	s.pipes(password + "\n")
	server.reads(t, user+password)
	c.Add(10 * time.Second)
	server.reads(t, user+password+user) // the second attempt
	c.Add(500 * time.Millisecond)
	server.reads(t, user+password+user+password)
	c.Add(10 * time.Second)
	s.ends(failed)
	expect(t, "the screen", s.screen.String(), "Username: Password: \nno answer from the server\n"+
		"is the server running? if so, start the client again with a longer --password-pause\n")
	expect(t, "errors", s.errors.String(), "")
}
