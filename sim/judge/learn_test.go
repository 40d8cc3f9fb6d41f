//go:build unix

package judge_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol/dialect"
	"bluetrace/reports/marks"
	"bluetrace/scenarios"
	"bluetrace/sim/judge"
)

// ownWire is a wire that no shipped dialect has. The server of the test speaks it by a front, and the phone itself.
var ownWire = []byte(`name: own
client: lines
server: lines
login: [send: 'HI {user}/{password}']
again: [send: 'HI {user}/{password}']
outcomes: {welcome: come in, wrong: no entry, now_blocked: go away, blocked: still locked}
download: [send: NUMBER, recv: 'IS {tempid}|{start}|{expiry}']
upload: [send: 'LIST {n}', each: [send: '* {tempid}|{start}|{expiry}'], recv: got it]
logout: [send: BYE]
beacon: [send: '{tempid}|{start}|{expiry}']
times: '%Y-%m-%d %H:%M:%S'
`)

// runOwnPhone is the main function of a phone with that wire. It shares no code with the dialects.
func runOwnPhone(port, udp string) error {
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	l, err := net.ListenPacket("udp4", "127.0.0.1:"+udp)
	if err != nil {
		return err
	}
	server, in := bufio.NewScanner(c), bufio.NewScanner(os.Stdin)
	ask := func(prompt string) string {
		fmt.Print(prompt)
		if !in.Scan() {
			os.Exit(0)
		}
		return in.Text()
	}
	call := func(line string) string {
		fmt.Fprintln(c, line)
		server.Scan()
		return server.Text()
	}
	user := ask("Username: ")
	for answer := ""; answer != "come in"; {
		if answer = call("HI " + user + "/" + ask("Password: ")); answer == "go away" || answer == "still locked" {
			fmt.Println("blocked:", answer)
			return nil
		}
		fmt.Println(map[string]string{"come in": "Welcome", "no entry": "Invalid password"}[answer])
	}
	log := make(chan string, 100)
	go func() {
		for b := make([]byte, 1000); ; {
			n, _, err := l.ReadFrom(b)
			if err != nil {
				return
			}
			log <- string(b[:n])
			fmt.Println("a valid beacon")
		}
	}()
	own := ""
	for {
		switch words := strings.Fields(ask("> ") + " . ."); words[0] {
		case "Download_tempID":
			own = strings.TrimPrefix(call("NUMBER"), "IS ")
			fmt.Println(own[:20])
		case "Beacon":
			to, err := net.ResolveUDPAddr("udp4", net.JoinHostPort(words[1], words[2]))
			if err == nil {
				_, err = l.WriteTo([]byte(own), to)
			}
			if err != nil {
				fmt.Println(err)
			}
		case "Upload_contact_log":
			n := len(log)
			fmt.Fprintln(c, "LIST", n)
			for range n - 1 {
				fmt.Fprintln(c, "*", <-log)
			}
			fmt.Println(call("* " + <-log))
		case "logout", "log":
			fmt.Fprintln(c, "BYE")
			fmt.Println("you have logged out")
			return nil
		default:
			fmt.Println("Error. Invalid command")
		}
	}
}

// loadOwnWire returns the dialect of ownWire.
func loadOwnWire() (*dialect.Dialect, error) {
	d, err := scenarios.ParseDialect("own.yaml", ownWire)
	if err != nil {
		return nil, err
	}
	d.Zone = time.UTC
	return &d.Dialect, nil
}

// TestLearnedDialect: the rules of a server are judged in a wire that was learned from it and its phone. A right server
// passes, and a planted fault is found.
func TestLearnedDialect(t *testing.T) {
	takesTime(t)
	rules := []int{1, 4, 6, 8, 10, 24, 27, 30, 31, 35}
	for _, f := range []fault{{"", 0}, {"prints no owners", 31}} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			sheet := judged(t, judge.Programs{
				Server: self(t, "server", "own", f.name) + " {port} {block}",
				Client: self(t, "phone", "own", "") + " {port} {udp}",
			}, nil, rules)
			if sheet.Dialect != "learned" {
				t.Fatalf("the dialect is %q: %s", sheet.Dialect, describe(sheet))
			}
			mustFailOnly(t, f, sheet)
			for _, r := range sheet.Results {
				if r.Mark == marks.NotJudged {
					t.Errorf("rule %d is not judged: %s", r.Number, r.Reason)
				}
			}
		})
	}
}
