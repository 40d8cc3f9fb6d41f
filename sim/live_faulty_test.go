package sim

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports"
)

// answers starts a server. On each connection it ignores the name, which has nameSize bytes, answers each further read
// with the next of the texts, and closes the connection after the last text.
func answers(t *testing.T, texts ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { answer(c, texts) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return l.Addr().String()
}

// nameSize is the size of the names zoe and yan.
const nameSize = 3

func answer(c net.Conn, texts []string) {
	defer c.Close()
	b := make([]byte, protocol.MaxMessage)
	if _, err := io.ReadFull(c, b[:nameSize]); err != nil { // the kernel may join the name with the password
		return
	}
	for _, text := range texts {
		if _, err := c.Read(b); err != nil {
			return
		}
		if _, err := c.Write([]byte(text)); err != nil {
			return
		}
	}
}

// faulty runs a script with the faulty server at an address.
func faulty(t *testing.T, server, script string) *reports.Run {
	t.Helper()
	return runLive(t, "name: x\nphones: [{name: a}, {name: b}]\nscript:\n"+script,
		Live{Server: server,
			Credentials: []nodes.Credential{{User: "zoe", Password: "p"}, {User: "yan", Password: "q"}}})
}

// found returns the found texts of the failed checks.
func found(r *reports.Run) (found []string) {
	for _, c := range r.Checks {
		if c.Verdict != reports.Passed {
			found = append(found, c.Found)
		}
	}
	return found
}

// TestLiveFaulty checks that a wrong answer of a server is reported byte for byte, and that the run ends.
func TestLiveFaulty(t *testing.T) {
	const (
		login = "  - {at: 0s, phone: a, login: wrong, expect: {reply: Invalid Password. Please try again}}\n"
		fetch = "  - {at: 0s, phone: a, do: [login, Download_tempID], expect: {reply: \"/^[0-9]{20}$/\"}}\n"
		raw   = "  - {at: 0s, phone: a, tcp: {connect: true, send: [\"{user}\", \"{password}\"], gap: 60ms}, expect: " +
			"{replies: [/^Welcome/, \"1\"]}}\n"
		id      = "12345678901234567890"
		offline = "a is not at its prompt: it is offline; "
	)
	for name, c := range map[string]struct {
		texts  []string
		script string
		want   []string
	}{
		"a line feed too many": {[]string{protocol.TryAgain + "\n"}, login,
			[]string{`"` + protocol.TryAgain + `\n"`}},
		"half an answer":            {[]string{protocol.TryAgain[:7]}, login, []string{`"Invalid"`}},
		"a digit too few":           {[]string{protocol.Welcome, id[:19]}, fetch, []string{`"` + id[:19] + `"`}},
		"a digit too many":          {[]string{protocol.Welcome, id + "1"}, fetch, []string{`"` + id + `1"`}},
		"joined, with a line feed":  {[]string{protocol.Welcome + "\n1"}, raw, nil},
		"closed before the welcome": {[]string{""}, fetch, []string{offline + "the server closed the connection"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := faulty(t, answers(t, c.texts...), c.script)
			if got := found(r); !slices.Equal(got, c.want) {
				t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// TestLiveIssuedTwice checks that a TempID that was issued twice is found in the answers.
func TestLiveIssuedTwice(t *testing.T) {
	t.Parallel()
	const id = "12345678901234567890"
	r := faulty(t, answers(t, protocol.Welcome, id), `  - {at: 0s, phone: a, do: [login, Download_tempID], expect: `+
		`{reply: /./}}
  - {phone: b, do: [login, Download_tempID], expect: {reply: /./}}
`)
	if got, want := found(r), []string{id + " again, for b"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// TestLiveWithoutServer checks that there is no run if the first connection is refused, that of a login or of a
// script.
func TestLiveWithoutServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, does := range []string{"login: right", "tcp: {connect: true, send: x}"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a bound on a hang
		defer cancel()
		_, err := Run(ctx, parse(t,
			"name: x\nlength: 1h\nphones: [{name: a}]\nscript: [{at: 0s, phone: a, "+does+", expect: {reply: /./}}]\n"),
			Options{Live: &Live{Server: address, Credentials: []nodes.Credential{{User: "zoe", Password: "p"}}}})
		if want := `cannot connect to the remote server "` + address + `": connection refused`; err == nil ||
			err.Error() != want {
			t.Errorf("%s: %v\nwant %s", does, err, want)
		}
	}
}

// TestLiveForeignServer checks that there is no run if the first answer shows that the server speaks another wire.
func TestLiveForeignServer(t *testing.T) {
	t.Parallel()
	server := answers(t, "login:9")
	s := parse(t, "name: x\nphones: [{name: a}]\nscript: [{at: 0s, phone: a, login: right, expect: {reply: /./}}]\n")
	_, err := Run(t.Context(), s, Options{Live: &Live{Server: server,
		Credentials: []nodes.Credential{{User: "zoe", Password: "p"}}}})
	want := "the server at " + server + " does not speak the protocol of docs/PROTOCOL.md: strange answer from the " +
		`server: "login:9" (--dialect names another one)`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// TestLabelThatIsNeverSet checks that a step whose label is never set fails when the time of the labelled step is
// over, and that the run ends.
func TestLabelThatIsNeverSet(t *testing.T) {
	r, err := Run(t.Context(), parse(t, `name: x
phones: [{name: a}, {name: b}]
script:
  - {at: 0s, phone: a, do: login}
  - {at: 1s, phone: b, do: Beacon, to: a, as: heard, expect: {phone: a, prints: The beacon is valid.}}
  - {at: heard + 1s, phone: a, expect: {log: 1}}
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	checks := checksOf(&r.Run, reports.ExpectationCheck)
	last := checks[len(checks)-1]
	const want = "skipped because of line 5: its label heard was never set; the step at line 5 took no effect"
	if last.Verdict != reports.Skipped || last.Found != want || *last.AtSeconds != 11 || r.Ended != 11*time.Second {
		t.Errorf("%s at %v s, the run ended at %s", last.Found, *last.AtSeconds, r.Ended)
	}
}

// TestSeconds checks that a time has no more digits than its nanoseconds.
func TestSeconds(t *testing.T) {
	if got := seconds(5_924_701_652); got != 5.924701652 {
		t.Errorf("%v", got)
	}
}

// TestLiveServerCommand checks a server that the run starts: its accounts and block duration are those of the scenario,
// its output is seen, and its end fails the run with its last lines.
func TestLiveServerCommand(t *testing.T) {
	t.Parallel()
	s := parse(t, `name: x
server: {block_duration: 1s}
phones: [{name: a}]
script:
  - {at: 0s, phone: a, login: right, expect: {reply: /^Welcome/, server_prints: "/^users: /"}}
  - {at: 1s, phone: a, do: Download_tempID, expect: {reply: "/^[0-9]{20}$/"}}
`)
	server := "'" + os.Args[0] + "' " + asServer + " {port} {block} --host 127.0.0.1"
	for command, want := range map[string]string{
		server: "",
		// The server ends after the login.
		"mkfifo out; " + server + ` > out & while read l; do echo "$l"; case "$l" in users:*) exit 4;; esac; done ` +
			`< out`: "exit " +
			"status 4; last lines: ",
	} {
		r, err := Run(t.Context(), s, Options{Live: &Live{Command: command}})
		if err != nil {
			t.Fatal(err)
		}
		c := r.Run.Checks[0]
		if want == "" && (r.Run.Verdict != reports.Passed || c.Verdict != reports.Passed) {
			t.Errorf("%s: %v, %q", command, r.Run.Verdict, found(&r.Run))
		}
		if c.Name != "the server of --server-command runs to the end" || !strings.HasPrefix(c.Found, want) {
			t.Errorf("%s: %+v", command, c)
		}
	}
}
