package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/benbjohnson/clock"
)

// Each wrong argument gets one line with the error and the usage.
func TestWrongArguments(t *testing.T) {
	tests := []struct{ arguments, says string }{
		{"", "server_IP, server_port and client_udp_port are missing"},
		{"127.0.0.1", "server_port and client_udp_port are missing"},
		{"127.0.0.1 13000", "client_udp_port is missing"},
		{"127.0.0.1 13000 14000 15000", "expected server_IP, server_port and client_udp_port, found 4 arguments"},
		{"127.0.0.1 13000 -5", `invalid client_udp_port "-5": must be 1 to 65535`},
		{"127.0.0.1 13000 14000 -contact-log x", `"-contact-log" has one dash: the flag is --contact-log`},
		{"127.0.0.1 13000 14000 -x", `unknown flag "-x": --help lists the flags`},
		{"[127.0.0.1] 13000 14000", `invalid server_IP "[127.0.0.1]": must be an IP address or a name`},
		{"127.0.0 13000 14000", `invalid server_IP "127.0.0": must be an IP address or a name`},
		{"256.0.0.1 13000 14000", `invalid server_IP "256.0.0.1": must be an IP address or a name`},
		{"a/b 13000 14000", `invalid server_IP "a/b": must be an IP address or a name`},
		{"127.0.0.1 abc 14000", `invalid server_port "abc": must be 1 to 65535`},
		{"127.0.0.1 0 14000", `invalid server_port "0": must be 1 to 65535`},
		{"127.0.0.1 13000 65536", `invalid client_udp_port "65536": must be 1 to 65535`},
		{"127.0.0.1 13000 +1", `invalid client_udp_port "+1": must be 1 to 65535`},
		{"127.0.0.1 13000 14000 --beacon both", `invalid --beacon "both": must be split or single`},
		{"--host here 127.0.0.1 13000 14000", `invalid --host "here": must be an IP address`},
		{"127.0.0.1 --retention 0s 13000 14000", "invalid --retention 0s: must be above 0"},
		{"127.0.0.1 13000 14000 --password-pause -1ms", "invalid --password-pause -1ms: must not be negative"},
		{"127.0.0.1 13000 14000 --contact-log=", "--contact-log needs the name of a file"},
		{"127.0.0.1 13000 14000 --contact-log=folder/", "--contact-log needs the name of a file"},
		{"127.0.0.1 13000 14000 --retention soon", `invalid argument "soon" for "--retention" flag: must be a ` +
			`duration like "30s" or "5m"`},
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
	o, _, err := parse([]string{"--retention=5s", "::1", "13000", "--beacon", "single", "14000", "--password-pause",
		"2s", "--host", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "server", o.server, "[::1]:13000")
	expect(t, "udp", o.udp.String(), "127.0.0.1:14000")
	expect(t, "retention", o.settings.Retention.String(), "5s")
	expect(t, "form", o.settings.Form.String(), "single")
	expect(t, "the longer pause", o.settings.RetryPause.String(), "2s")
	o, _, err = parse([]string{"[::1]", "13000", "14000", "--host", "[::1]"})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "server with brackets", o.server, "[::1]:13000")
	expect(t, "host with brackets", o.udp.String(), "[::1]:14000")
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
	for _, part := range []string{usage, "--contact-log FILE", "--retention D", "--beacon FORM", "--host IP",
		"--password-pause D", "Exit status",
		"  server_IP  ", "  server_port  ", "  client_udp_port  ", "  Download_tempID  ", "  Beacon IP PORT  ",
		"  Upload_contact_log  ", "  log out  "} {
		expect(t, part, strings.Contains(out.String(), part), true)
	}
	for _, word := range []string{"help", "-h"} {
		var again lockedBuffer
		p := program{stdout: &again, stderr: &errors}
		expect(t, word, p.command([]string{word}), ended)
		expect(t, word, again.String(), out.String())
	}
	expect(t, "errors", errors.String(), "")
}

// full is a writer that fails.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

func TestHelpThatCannotBePrinted(t *testing.T) {
	var errors lockedBuffer
	p := program{stdout: full{}, stderr: &errors}
	expect(t, "status", p.command([]string{"--help"}), failed)
	expect(t, "errors", errors.String(), "client: writing to the output: no space left on device\n")
}

// A resource that cannot be opened ends the program with one sentence.
func TestCannotStart(t *testing.T) {
	server := startServer(t, clock.New())
	first := startRig(t, clock.New(), server)
	first.awaits("Username: ")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := strings.TrimPrefix(l.Addr().String(), "127.0.0.1:")
	l.Close()
	folder := t.TempDir()
	accounts, link, dangling, circle := folder+"/credentials.txt", folder+"/link.txt", folder+"/dangling.txt",
		folder+"/circle.txt"
	const text = "+61410888888 comp3331\n"
	if err := errors.Join(os.WriteFile(accounts, []byte(text), 0o600), os.Symlink(first.log, link),
		os.Symlink(link, dangling), os.Symlink(circle, circle)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ server, udp, log, says string }{
		{server.port, first.udp, "", "the UDP port " + first.udp + " is in use: use another client_udp_port"},
		{server.port, "", first.log, `another client uses the contact log "` + first.log +
			`"; name another file with --contact-log`},
		{server.port, "", link, `another client uses the contact log "` + first.log +
			`"; name another file with --contact-log`},
		{server.port, "", dangling, `another client uses the contact log "` + first.log +
			`"; name another file with --contact-log`},
		{server.port, "", accounts, `"` + accounts +
			`" is no contact log: its line 1 is no part of an entry (TempID, start and expiry on three lines); name ` +
			`another file with --contact-log`},
		{server.port, "", folder, `"` + folder + `" is no contact log: it is no regular file; name another file with ` +
			`--contact-log`},
		{server.port, "", folder + "/none/log.txt", `the folder "` + folder +
			`/none" of the contact log does not exist; name another file with --contact-log`},
		{server.port, "", circle, `the contact log "` + circle +
			`" is a circle of links; name another file with --contact-log`},
		{nobody, "", "", "cannot connect to the server at 127.0.0.1:" + nobody +
			": connection refused; is it running there?"},
	}
	for _, e := range tests {
		var out, said lockedBuffer
		p := program{stdin: strings.NewReader(""), stdout: &out, stderr: &said, console: openConsole,
			clock: clock.New(), zone: utc()}
		if e.udp == "" {
			e.udp = freePort(t)
		}
		if e.log == "" {
			e.log = t.TempDir() + "/log.txt"
			defer func() {
				if names, err := os.ReadDir(filepath.Dir(e.log)); err != nil || len(names) != 0 {
					t.Errorf("%s: there is %v (%v)", e.says, names, err)
				}
			}()
		}
		expect(t, e.says, p.command([]string{"127.0.0.1", e.server, e.udp, "--host=127.0.0.1", "--contact-log", e.log}),
			failed)
		expect(t, "errors", said.String(), "client: "+e.says+"\n")
		expect(t, "output", out.String(), "")
	}
	expect(t, "the accounts", file(t, accounts), text)
	names, err := os.ReadDir(folder)
	if err != nil || len(names) != 4 {
		t.Errorf("beside the accounts and the links there is something: %v (%v)", names, err)
	}
	first.keys.Close()
	first.ends(ended)
}

// A terminal that closes may send several SIGHUP: they do not make the end disorderly.
func TestRepeatedHangups(t *testing.T) {
	exits := make(chan int, 1)
	signals := make(chan os.Signal)
	s := newStopper(signals, func() { exits <- 1 })
	for range 3 {
		signals <- syscall.SIGHUP
		<-s.asked.Done()
	}
	expect(t, "exits", len(exits), 0)
	signals <- syscall.SIGTERM
	expect(t, "exit status", <-exits, 1)
	s.end()
}

// The second signal exits at once, while the program ends after the first.
func TestTwoSignals(t *testing.T) {
	exits := make(chan int, 1)
	signals := make(chan os.Signal)
	s := newStopper(signals, func() { exits <- 1 })
	restored := false
	s.beforeExit(func() { restored = true })
	signals <- syscall.SIGTERM
	<-s.asked.Done()
	signals <- syscall.SIGINT
	expect(t, "exit status", <-exits, 1)
	expect(t, "restored", restored, true)
	s.end()
}
