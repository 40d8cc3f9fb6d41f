package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
)

// hang is the time limit of a wait. It is no statement about speed.
const hang = 30 * time.Second

const user, password = "+61410888888", "comp3331"

// startTime is the time of a rig's clock.
var startTime = time.Date(2026, 11, 23, 6, 36, 3, 0, time.UTC)

func utc() *protocol.Zone { return protocol.NewZone(time.UTC) }

// memoryDisk is a disk that accepts every record and stores none.
type memoryDisk struct{}

func (memoryDisk) Store([]nodes.Record) (issues, attempts error) { return nil, nil }

// served is a server on the loopback with one account.
type served struct {
	*socket.Server
	port string

	mu   sync.Mutex
	seen string // all bytes that phones have sent
}

func startServer(t testing.TB, c clock.Clock) *served {
	t.Helper()
	s := &served{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	settings := nodes.DefaultServerSettings()
	settings.Entropy = rand.NewPCG(1, 2)
	s.Server, err = socket.NewServer(socket.ServerConfig{
		Settings: settings, Listener: l, Disk: memoryDisk{}, Inline: true, Clock: c, Origin: c.Now(),
		Lock:     &sync.Mutex{},
		Observer: s,
		Credentials: func() ([]nodes.Credential, bool) {
			return []nodes.Credential{{User: user, Password: password}},
				true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- s.Serve() }()
	t.Cleanup(func() {
		s.Close()
		if err := <-over; err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	_, s.port, _ = net.SplitHostPort(l.Addr().String())
	return s
}

func (s *served) Read(_ nodes.Now, _ nodes.Conn, p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen += string(p)
}

func (s *served) Accepted(nodes.Now, nodes.Conn, netip.AddrPort)         {}
func (s *served) Ended(nodes.Now, nodes.Conn)                            {}
func (s *served) Effect(nodes.Now, *nodes.ServerEffect)                  {}
func (s *served) Stored(nodes.Now, nodes.StoreID, []nodes.Record, error) {}

// reads waits until the bytes from phones end with text.
func (s *served) reads(t testing.TB, text string) {
	t.Helper()
	for end := time.Now().Add(hang); ; yield() {
		s.mu.Lock()
		seen := s.seen
		s.mu.Unlock()
		if strings.HasSuffix(seen, text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the server read %q, and waits for %q at its end", seen, text)
		}
	}
}

// freePort returns a UDP port that was free a moment ago.
func freePort(t testing.TB) string {
	t.Helper()
	u := udpSocket(t)
	_, port, _ := net.SplitHostPort(u.LocalAddr().String())
	u.Close()
	return port
}

func udpSocket(t testing.TB) *net.UDPConn {
	t.Helper()
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

// clientRig is a program in this process with a simulated user.
type clientRig struct {
	t       testing.TB
	server  *served
	keys    *io.PipeWriter
	screen  lockedBuffer
	errors  lockedBuffer
	signals chan os.Signal
	udp     string
	log     string
	over    chan status
	exits   chan int
	status  status
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// startRig starts the program on pipes.
func startRig(t testing.TB, c clock.Clock, server *served) *clientRig {
	t.Helper()
	keys, writer := io.Pipe()
	s := &clientRig{t: t, server: server, keys: writer, signals: make(chan os.Signal, 1), udp: freePort(t),
		over:  make(chan status, 1),
		exits: make(chan int, 1), log: filepath.Join(t.TempDir(), "contacts.txt")}
	p := program{stdin: keys, stdout: &s.screen, stderr: &s.errors, console: openConsole, signals: s.signals, clock: c,
		zone: utc(), exit: func(n int) { s.exits <- n }}
	arguments := []string{"--password-pause=0s", "127.0.0.1", server.port, s.udp, "--contact-log", s.log,
		"--host=127.0.0.1"}
	go func() { s.over <- p.command(arguments) }()
	t.Cleanup(func() {
		writer.Close()
		keys.Close()
	})
	return s
}

// awaits waits until the screen ends with text.
func (s *clientRig) awaits(text string) {
	s.t.Helper()
	for end := time.Now().Add(hang); ; yield() {
		if strings.HasSuffix(s.screen.String(), text) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("the screen does not end with %q:\n%s\nerrors: %s", text, s.screen.String(), s.errors.String())
		}
	}
}

// yield lets other goroutines run.
func yield() { <-time.After(50 * time.Microsecond) }

// types types a line and echoes it on the screen.
func (s *clientRig) types(line string) {
	s.t.Helper()
	fmt.Fprintf(&s.screen, "%s\n", line)
	s.pipes(line + "\n")
}

// pipes writes text to the input without an echo.
func (s *clientRig) pipes(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.keys, text); err != nil {
		s.t.Fatal(err)
	}
}

// name types the username and waits until the server has read it alone.
func (s *clientRig) name() {
	s.t.Helper()
	s.pipes(user + "\n")
	s.server.reads(s.t, user)
}

// ends waits for the end of the program.
func (s *clientRig) ends(want status) {
	s.t.Helper()
	select {
	case s.status = <-s.over:
		if s.status != want {
			s.t.Errorf("status %d, want %d; errors: %s", s.status, want, s.errors.String())
		}
	case <-time.After(hang):
		s.t.Fatalf("the program does not end; the screen:\n%s", s.screen.String())
	}
}

// hears sends a beacon to the program's phone.
func (s *clientRig) hears(parts ...string) {
	s.t.Helper()
	u := udpSocket(s.t)
	for _, part := range parts {
		if _, err := u.WriteToUDPAddrPort([]byte(part), netip.MustParseAddrPort("127.0.0.1:"+s.udp)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func expect[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// mocked returns a clock that stands still at startTime.
func mocked() *clock.Mock {
	m := clock.NewMock()
	m.Set(startTime)
	return m
}
