package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/benbjohnson/clock"
)

// Each wrong argument gets one line that says what is wrong and how it is used.
func TestWrongArguments(t *testing.T) {
	tests := []struct{ arguments, says string }{
		{"", "there are three arguments, not 0"},
		{"127.0.0.1 13000", "there are three arguments, not 2"},
		{"127.0.0.1 13000 14000 15000", "there are three arguments, not 4"},
		{"127.0.0 13000 14000", `the server_IP "127.0.0" is no IP address`},
		{"256.0.0.1 13000 14000", `the server_IP "256.0.0.1" is no IP address`},
		{"a/b 13000 14000", `the server_IP "a/b" is no IP address`},
		{"127.0.0.1 abc 14000", `the server_port "abc" is no number from 1 to 65535`},
		{"127.0.0.1 0 14000", `the server_port "0" is no number from 1 to 65535`},
		{"127.0.0.1 13000 65536", `the client_udp_port "65536" is no number from 1 to 65535`},
		{"127.0.0.1 13000 +1", `the client_udp_port "+1" is no number from 1 to 65535`},
		{"127.0.0.1 13000 14000 --beacon both", `--beacon "both" is neither split nor single`},
		{"--host here 127.0.0.1 13000 14000", `--host "here" is no IP address`},
		{"127.0.0.1 --retention 0s 13000 14000", "--retention 0s is not positive"},
		{"127.0.0.1 13000 14000 --password-pause -1ms", "--password-pause -1ms is negative"},
		{"127.0.0.1 13000 14000 --contact-log=", "--contact-log names no file"},
		{"127.0.0.1 13000 14000 --contact-log=folder/", "--contact-log names no file"},
		{"127.0.0.1 13000 14000 --retention soon", `invalid argument "soon" for "--retention" flag: must be a duration like "30s" or "5m"`},
		{"127.0.0.1 13000 14000 --nope", "unknown flag: --nope"},
	}
	for _, e := range tests {
		var out, errors lockedBuffer
		p := program{stdout: &out, stderr: &errors}
		expect(t, e.arguments, p.command(strings.Fields(e.arguments)), wrong)
		expect(t, e.arguments, errors.String(), "client: "+e.says+"; usage: "+usage+"\n")
		expect(t, e.arguments, out.String(), "")
	}
}

func TestOptions(t *testing.T) {
	o, _, err := parse([]string{"--retention=5s", "::1", "13000", "--beacon", "single", "14000", "--password-pause", "2s", "--host", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "server", o.server, "[::1]:13000")
	expect(t, "udp", o.udp.String(), "127.0.0.1:14000")
	expect(t, "retention", o.settings.Retention.String(), "5s")
	expect(t, "form", o.settings.Form.String(), "single")
	expect(t, "the longer pause", o.settings.LongPause.String(), "2s")
	o, _, err = parse([]string{"localhost", "13000", "14000"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "server", o.server, "localhost:13000")
	expect(t, "udp", o.udp.String(), "[::]:14000")
	expect(t, "log", o.contactLog, "z5272202_contactlog.txt")
	expect(t, "retention", o.settings.Retention.String(), "3m0s")
	expect(t, "form", o.settings.Form.String(), "split")
}

func TestHelp(t *testing.T) {
	var out, errors lockedBuffer
	p := program{stdout: &out, stderr: &errors}
	expect(t, "status", p.command([]string{"--help"}), ended)
	for _, part := range []string{usage, "--contact-log", "--retention", "--beacon", "--host", "--password-pause", "Exit status"} {
		expect(t, part, strings.Contains(out.String(), part), true)
	}
}

// What cannot be had ends the program with one sentence.
func TestCannotStart(t *testing.T) {
	server := startServer(t, clock.New())
	first := sitDown(t, clock.New(), server)
	first.awaits("Username: ")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := strings.TrimPrefix(l.Addr().String(), "127.0.0.1:")
	l.Close()
	tests := []struct{ server, udp, log, says string }{
		{server.port, first.udp, "", "the UDP port " + first.udp + " is in use: choose another client_udp_port"},
		{server.port, "", first.log, `another client uses the contact log "` + first.log + `"; give this one another file`},
		{nobody, "", "", "cannot connect to the server at 127.0.0.1:" + nobody + ": connection refused; is it running there?"},
	}
	for _, e := range tests {
		var out, errors lockedBuffer
		p := program{stdin: strings.NewReader(""), stdout: &out, stderr: &errors, console: openConsole, clock: clock.New(), zone: utc()}
		if e.udp == "" {
			e.udp = freePort(t)
		}
		if e.log == "" {
			e.log = t.TempDir() + "/log.txt"
		}
		expect(t, e.says, p.command([]string{"127.0.0.1", e.server, e.udp, "--host=127.0.0.1", "--contact-log", e.log}), failed)
		expect(t, "errors", errors.String(), "client: "+e.says+"\n")
		expect(t, "output", out.String(), "")
	}
	first.keys.Close()
	first.ends(ended)
}

// The second signal does not wait for the first to be done.
func TestTwoSignals(t *testing.T) {
	exits := make(chan int, 1)
	signals := make(chan os.Signal)
	s := newStopper(signals, func() { exits <- 1 })
	restored := false
	s.before(func() { restored = true })
	signals <- syscall.SIGTERM
	<-s.asked.Done()
	signals <- syscall.SIGINT
	expect(t, "exit status", <-exits, 1)
	expect(t, "restored", restored, true)
	s.end()
}
