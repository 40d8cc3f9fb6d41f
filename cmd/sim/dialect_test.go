package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"bluetrace/scenarios"
)

// TestDialectCommands: the dialects are listed, printed and checked, and a file with a mistake is refused.
func TestDialectCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte("name: mine\nlogin: [send: '{user} {password}']\n"+
		"again: [send: '{password}']\noutcomes: {welcome: a, wrong: a}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	codes, err := scenarios.DialectText("codes")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line     string
		want     status
		out, err string
	}{
		{"list", statusPassed, "\ncodes       A word and a code after a colon", ""},
		{"show codes", statusPassed, string(codes), ""},
		{"check codes", statusPassed, "ok  codes\n  > \"login:user:wrong\"\n  < \"login:1\"\n", ""},
		{"check " + file, statusInvalid, "  > \"user wrong\"\n",
			"mine.yaml: a conversation in this dialect does not work: login: expected that the phone"},
		{"check absent", statusInvalid, "", `there is no dialect "absent"`},
		{"shew", statusInvalid, "", `unknown command "shew"`},
		{"serve codes", statusInvalid, "", "write the server's address: --server HOST:PORT"},
		{"learn --server-command x", statusInvalid, "", "write both commands: --server-command and --client-command"},
		{"learn --server-command false --client-command true --folder " + t.TempDir(), statusError, "",
			"the server ended before it listened on port"},
	} {
		b := newBench()
		got := b.command(t.Context(), append([]string{"dialect"}, strings.Fields(c.line)...))
		if got != c.want || !strings.Contains(b.out.String(), c.out) || !strings.Contains(b.err.String(), c.err) {
			t.Errorf("dialect %s: status %d, want %d\n%s\n%s", c.line, got, c.want, b.out.String(), b.err.String())
		}
	}
}

// TestDialectServe: a phone that speaks a dialect reaches the server with the messages of PROTOCOL.md, and an interrupt
// ends the command with success.
func TestDialectServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	read, write := io.Pipe()
	b := newBench()
	b.stdout = write
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan status, 1)
	go func() { ended <- b.command(ctx, []string{"dialect", "serve", "--server", l.Addr().String(), "codes"}) }()
	line := make([]byte, 200)
	n, err := read.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	at := regexp.MustCompile(`127\.0\.0\.1:\d+`).Find(line[:n])
	phone, err := net.Dial("tcp", string(at))
	if err != nil {
		t.Fatalf("%q: %v", line[:n], err)
	}
	defer phone.Close()
	if _, err := io.WriteString(phone, "login:zoe:secret"); err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	got := make([]byte, len("zoesecret"))
	if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, []byte("zoesecret")) {
		t.Errorf("the server reads %q, %v", got, err)
	}
	cancel()
	if got := <-ended; got != statusPassed {
		t.Errorf("status %d: %s", got, b.err.String())
	}
}

// TestVirtualDialect: a run in virtual time takes a dialect, and the command that repeats it names it.
func TestVirtualDialect(t *testing.T) {
	b := newBench()
	got := b.command(t.Context(), []string{"run", "--dialect", "lines", "../../scenarios/rules/server/07-two-wrong.yaml"})
	if got != statusPassed || !strings.Contains(b.out.String(), " run --seed 5 --dialect lines ") {
		t.Errorf("status %d\n%s\n%s", got, b.out.String(), b.err.String())
	}
}
