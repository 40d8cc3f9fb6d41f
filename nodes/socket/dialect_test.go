package socket

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/scenarios"
)

// TestTranslatedOnSockets: a phone that writes the messages of PROTOCOL.md gets the answers of a server that reads
// them, although they speak another dialect on the way.
func TestTranslatedOnSockets(t *testing.T) {
	for _, name := range scenarios.DialectNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := scenarios.LoadDialect(name)
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t, nil)
			l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			s := ServeDialect(l, &d.Dialect, r.at, clock.New(), func(text string) { t.Error(text) })
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			dial := func() (*net.TCPConn, error) { return net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr)) }
			conn, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			var outcomes []dialect.Outcome
			c := Translate(conn, &d.Dialect, clock.New(), dial, TranslatedObserver{Wire: func(bool, []byte) {},
				Effect: func(e dialect.Effect) {
					switch e.Kind {
					case dialect.Attempted:
						outcomes = append(outcomes, e.Outcome)
					case dialect.Misunderstood:
						t.Error(e.Text)
					}
				}})
			ask := func(text string) string {
				t.Helper()
				if _, err := c.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
				if text == userA {
					return ""
				}
				b := make([]byte, protocol.MaxMessage)
				n, err := c.Read(b)
				if err != nil {
					t.Fatalf("the answer to %q: %v", text, err)
				}
				return string(b[:n])
			}
			ask(userA)
			if got := ask("wrong"); got != protocol.TryAgain {
				t.Fatalf("a wrong password: %q", got)
			}
			if got := ask(passwordA); got != protocol.Welcome {
				t.Fatalf("the right password: %q", got)
			}
			if want := []dialect.Outcome{dialect.Wrong, dialect.Welcome}; !slices.Equal(outcomes, want) {
				t.Errorf("outcomes %v, want %v", outcomes, want)
			}
			id := ask(protocol.CommandDownload)
			if len(id) != 20 || strings.Trim(id, "0123456789") != "" {
				t.Errorf("a TempID: %q", id)
			}
			now := time.Now().UTC()
			for _, text := range []string{
				protocol.CommandUpload, "3", id, now.Format("02/01/2006 15:04:05"),
				now.Add(time.Minute).Format("02/01/2006 15:04:05"),
			} {
				if got := ask(text); got != protocol.Ack {
					t.Fatalf("the answer to %q: %q", text, got)
				}
			}
			if _, err := c.Write([]byte(protocol.CommandLogout)); err != nil {
				t.Fatal(err)
			}
			r.awaitOutput(userA + " logout")
			if out := r.output.String(); !strings.Contains(out, "Contact log checking\n"+userA+"\n") {
				t.Errorf("the upload is not resolved:\n%s", out)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTranslatedEnds: a phone that hangs up after a wrong password reads the end of the stream, although its next attempt
// would have used another connection.
func TestTranslatedEnds(t *testing.T) {
	d, err := scenarios.LoadDialect("lines") // a connection for each attempt
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		b := make([]byte, 100)
		_, _ = conn.Read(b)
		_, _ = conn.Write([]byte("Invalid Username or Password. Please try again\n"))
		_ = conn.Close()
	}()
	conn, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	c := Translate(conn, &d.Dialect, clock.New(), nil, TranslatedObserver{
		Wire: func(bool, []byte) {}, Effect: func(dialect.Effect) {},
	})
	defer func() { _ = c.Close() }()
	for _, text := range []string{userA, "wrong"} {
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, protocol.MaxMessage)
	if n, err := c.Read(b); err != nil || string(b[:n]) != protocol.TryAgain {
		t.Fatalf("%q, %v", b[:n], err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Log(err) // the server has closed its side
	}
	if n, err := c.Read(b); n > 0 || err == nil {
		t.Errorf("%q after the end", b[:n])
	}
}
