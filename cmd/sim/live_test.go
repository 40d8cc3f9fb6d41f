package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bluetrace/nodes"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// askedLive runs sim run with arguments and returns the live options that the engine
// gets, or nil if it gets none or is not called.
func askedLive(t *testing.T, arguments ...string) (*sim.Live, status, string) {
	t.Helper()
	b := newBench()
	var asked *sim.Live
	b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		asked = o.Live
		return b.engine(ctx, s, o)
	}
	got := b.command(t.Context(), append([]string{"run"}, arguments...))
	return asked, got, b.err.String()
}

func accountsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "accounts.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLiveFlags(t *testing.T) {
	accounts := accountsFile(t, "+61410888888 comp3331\r\n\nzoe a\n")
	if l, got, said := askedLive(t, "held.yaml"); l != nil || got != statusPassed {
		t.Errorf("without --live: %+v, status %d, %s", l, got, said)
	}
	if l, got, said := askedLive(t, "--live", "held.yaml"); l == nil || l.Server != "" || l.Credentials != nil ||
		got != statusPassed {
		t.Errorf("--live: %+v, status %d, %s", l, got, said)
	}
	l, got, said := askedLive(t, "held.yaml", "--live", "--server", "127.0.0.1:13000", "--credentials", accounts)
	if l == nil || got != statusPassed {
		t.Fatalf("--server: %+v, status %d, %s", l, got, said)
	}
	want := []nodes.Credential{{User: "+61410888888", Password: "comp3331"}, {User: "zoe", Password: "a"}}
	if d := cmp.Diff(want, l.Credentials); d != "" || l.Server != "127.0.0.1:13000" {
		t.Errorf("server %q, accounts:\n%s", l.Server, d)
	}
}

func TestLiveFlagsRefused(t *testing.T) {
	accounts := accountsFile(t, "zoe a\n")
	for _, c := range []struct {
		arguments []string
		want      string
	}{
		{[]string{"--server", "x:1"}, "sim: run: --server needs --live, also for a load: other runs start the " +
			"project's own server"},
		{[]string{"--credentials", "f"}, "sim: run: --credentials needs --server: the project's own server takes the " +
			"accounts of the scenario"},
		{[]string{"--live", "--credentials", "f"},
			"sim: run: --credentials needs --server: the project's own server takes the accounts of the scenario"},
		{[]string{"--live", "--server", "x:1"},
			"sim: run: --server needs --credentials FILE, the accounts of that server"},
		{[]string{"--live", "--server", "x", "--credentials", accounts},
			`sim: run: invalid --server "x": must be HOST:PORT`},
		{[]string{"--live", "--server", "x:65536", "--credentials", accounts},
			`sim: run: invalid --server "x:65536": the port "65536" must be 1 to 65535`},
		{[]string{"--live", "--server", "x:0", "--credentials", accounts},
			`sim: run: invalid --server "x:0": the port "0" must be 1 to 65535`},
		{[]string{"--live", "--server=", "--credentials", accounts}, "sim: run: --server needs a value"},
		{[]string{"--live", "--server", "x:1", "--credentials", "absent"},
			"sim: opening the credentials: open absent: no such file or directory"},
		{[]string{"--live", "--dialect", accounts}, `:1:1: the file is "zoe a"; expected a dialect`},
	} {
		l, got, said := askedLive(t, append(c.arguments, "held.yaml")...)
		line, _, _ := strings.Cut(said, "\n")
		if l != nil || got != statusInvalid || !strings.HasSuffix(line, c.want) {
			t.Errorf("%q: status %d, said\n%s\nwant\n%s", c.arguments, got, said, c.want)
		}
	}
}

// TestCredentialsRefused checks that the message names the file and the line, and
// holds nothing that may be a password.
func TestCredentialsRefused(t *testing.T) {
	const notOne, atEnd, noUser = "it is not a username, one space and a password", "it ends with a space",
		"the username is empty, longer than 1024 bytes, or has a space or an unprintable character"
	for text, want := range map[string]string{
		"": "accounts.txt: this is an empty file; expected accounts, one a " +
			"line: a username, one space and a password",
		"PK\x03\x04": "accounts.txt: this is a zip archive; expected accounts, one a " +
			"line: a username, one space and a password",
		"\ufeff\r\n \t\n": "accounts.txt: it has no account: one is a username, one space " +
			"and a password, on a line of its own",
		"zoe Secret\nyanSecret\x1b\n":         "accounts.txt:2: " + notOne,
		"zoe  Secret\n":                       "accounts.txt:1: " + notOne,
		"zoe Secret Secret\n":                 "accounts.txt:1: " + notOne,
		"\ufeffzoe Secret\r\n\r\nyan\tSecret": "accounts.txt:3: " + notOne,
		"zoe Secret  \r\n":                    "accounts.txt:1: " + atEnd,
		" Secret\n":                           "accounts.txt:1: " + noUser,
		"Sec\x00ret Secret\n": "accounts.txt:1: it has a NUL byte: the file is UTF-16 or no " +
			"text; save it as UTF-8",
		"zoe a\n\nyan b\nzoe Secret\n":              "accounts.txt:4: it has the username of line 1 again",
		"zoe " + strings.Repeat("Secret", 1<<20):    "accounts.txt:1: the password is longer than 1024 bytes",
		strings.Repeat(" ", 1<<20) + "zoe Secret\n": "accounts.txt:1: " + notOne,
	} {
		l, got, said := askedLive(t, "--live", "--server", "x:1", "--credentials", accountsFile(t, text), "held.yaml")
		line, _, _ := strings.Cut(said, "\n")
		if l != nil || got != statusInvalid || !strings.HasSuffix(line, "/"+want) ||
			strings.Contains(strings.ToLower(said), "secret") {
			t.Errorf("%.40q: status %d, said\n%s\nwant\n%s", text, got, said, want)
		}
	}
}

// TestLiveRepeats checks that the command that repeats a live run is live.
func TestLiveRepeats(t *testing.T) {
	f := &runFlags{onSockets: true, server: "127.0.0.1:13000", credentials: "my accounts.txt", sets: []string{"A=1"}}
	want := "sim run --seed 7 --live --server 127.0.0.1:13000 --credentials 'my accounts.txt' --set A=1 x.yaml"
	if got := repeatCommand("sim", 7, f, "x.yaml"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// TestLiveRun runs the whole command over sockets.
func TestLiveRun(t *testing.T) {
	t.Parallel() // it waits for a second of the real clock
	file := filepath.Join(t.TempDir(), "short.yaml")
	text := "name: short\nlength: 1s\nphones: [{name: a}, {name: b}]\n" +
		"script: [{at: 0s, phone: a, datagrams: {to: b, send: x}, expect: {phone: b, prints: The beacon is " +
		"invalid.}}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench()
	b.program.find, b.program.load, b.program.engine = scenarios.Find, scenarios.Load, sim.Run
	if got := b.command(t.Context(), []string{"run", "--live", "--report", "text,json", file}); got != statusPassed {
		t.Fatalf("status %d\n%s%s", got, b.out.String(), b.err.String())
	}
	for _, want := range []string{"PASSED  short: 3 checks held, 8 not exercised\n", " live, on real sockets\n",
		"\n  \"world\": \"live\",\n", "run --seed 1 --live "} {
		if !strings.Contains(b.out.String(), want) {
			t.Errorf("no %q in\n%s", want, b.out.String())
		}
	}
	for _, no := range []string{"digest", "virtual in", "per virtual second,"} {
		if strings.Contains(b.out.String(), no) {
			t.Errorf("%q in\n%s", no, b.out.String())
		}
	}
}

func TestLoadFlags(t *testing.T) {
	b := newBench()
	var asked *sim.Load
	b.ownServer = []string{"sim", "load-server"}
	b.program.load = func(string, scenarios.Options) (*scenarios.Scenario, error) {
		return &scenarios.Scenario{Name: "x", Load: &scenarios.Traffic{}}, nil
	}
	b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		asked = o.Load
		return b.engine(ctx, s, o)
	}
	b.command(t.Context(), []string{"run", "--duration", "90s", "--rate", "2.5", "held.yaml"})
	if d := cmp.Diff(&sim.Load{Program: []string{"sim", "load-server"}, Duration: 90 * time.Second, Rate: 2.5},
		asked); d != "" {
		t.Errorf("%s\n%s", d, b.err.String())
	}
	want := "sim run --seed 7 --duration 1m30s --rate 2.5 x.yaml"
	f := &runFlags{}
	f.load = sim.Load{Duration: 90 * time.Second, Rate: 2.5}
	if got := repeatCommand("sim", 7, f, "x.yaml"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestLoadFlagsRefused(t *testing.T) {
	for _, c := range []struct{ flag, want string }{
		{"--duration=0s", "sim: run: invalid --duration 0s: must be above 0"},
		{"--rate=-1", "sim: run: invalid --rate -1: must be above 0 and at most 1000000"},
		{"--rate=NaN", "sim: run: invalid --rate NaN: must be above 0 and at most 1000000"},
		{"--rate=5", "--duration and --rate need a file with `load`"},
	} {
		t.Run(c.flag, func(t *testing.T) {
			_, got, said := askedLive(t, c.flag, "held.yaml")
			if line, _, _ := strings.Cut(said, "\n"); got != statusInvalid || !strings.HasSuffix(line, c.want) {
				t.Errorf("%s: status %d, said\n%s\nwant\n%s", c.flag, got, said, c.want)
			}
		})
	}
}
