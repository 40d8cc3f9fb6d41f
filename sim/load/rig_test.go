package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/cmd/server/authority"
	"bluetrace/protocol"
	"bluetrace/scenarios"
)

// Benchmarks start the test program again as a process of its own, with this
// variable set to one of these roles.
const (
	asVariable = "BLUETRACE_TEST_AS"
	asServer   = "server" // the project's
	asEcho     = "echo"   // one that gives the right answers and does nothing else
	asPhones   = "phones" // a generator whose memory is measured
)

func TestMain(m *testing.M) {
	switch os.Getenv(asVariable) {
	case "":
		os.Exit(m.Run())
	case asServer:
		stop := make(chan os.Signal, 2)
		signal.Notify(stop, syscall.SIGTERM)
		os.Exit(authority.Run(authority.UntilSignal(stop, time.Now, func() { os.Exit(1) }), os.Args[1:], os.Stdout,
			os.Stderr, time.UTC,
			clock.New()))
	case asEcho:
		exit(echo(os.Stdout))
	case asPhones:
		exit(hold(os.Stdin, os.Stdout))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// echo is the yardstick of a server: it answers each message by its first byte, at
// once. It prints its address, and ends with its standard input.
func echo(out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent process ends
		_ = l.Close()                        // which ends the loop below
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return nil //nolint:nilerr // closed: the end
		}
		go echoOne(c)
	}
}

func echoOne(c net.Conn) {
	defer c.Close()
	p := make([]byte, 64)
	for {
		n, err := c.Read(p)
		if err != nil {
			return
		}
		answer := protocol.Welcome
		switch string(p[:n]) {
		case protocol.CommandDownload:
			answer = "12345678901234567890"
		case protocol.CommandLogout:
			return
		}
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
	}
}

// startEcho starts the yardstick as a process.
func startEcho(b testing.TB) (address string) {
	b.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), asVariable+"="+asEcho)
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := c.Wait(); err != nil {
			b.Error(err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// startServer starts the project's server with accounts for the phones.
func startServer(b testing.TB, phones []Phone, flags ...string) *Child {
	b.Helper()
	b.Setenv(asVariable, asServer)
	var accounts []string
	for _, p := range phones {
		accounts = append(accounts, p.User+" "+p.Password)
	}
	s := scenarios.Server{BlockDuration: time.Minute, TempIDLifetime: 15 * time.Minute, LoginTimeout: time.Minute,
		IdleTimeout: time.Hour, MaxUpload: 3000, MaxBlocked: 1 << 20}
	c, err := StartChild(b.Context(), clock.New(), append([]string{os.Args[0]}, flags...), s, len(phones)+32, accounts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := c.Stop(); err != nil {
			b.Error(err)
		}
	})
	return c
}

// benched returns a configuration of a number of phones on real sockets.
func benched(phones int, address string, t scenarios.Traffic) Config {
	t.MaxInFlight, t.Timeout, t.GracefulStop = phones, 10*time.Second, 10*time.Second
	t.Beacons = max(1, t.Beacons)
	c := Config{Traffic: &t, Seed: 1, Clock: clock.New(), Network: &Sockets{Server: address}, OwnUsage: func() (Usage,
		bool) {
		return UsageOf(os.Getpid())
	}}
	for i := range phones {
		c.Phones = append(c.Phones, Phone{User: fmt.Sprintf("phone%d", i), Password: "secret", Single: true})
	}
	return c
}

// mixed returns a mix of one operation at a rate, for the time of n operations,
// after a warm-up of a second.
func mixed(verb scenarios.Verb, rate float64, n int) scenarios.Traffic {
	length := time.Duration(float64(n) / rate * float64(time.Second))
	return scenarios.Traffic{StartRate: rate, WarmUp: time.Second, Mix: []scenarios.Weight{{Verb: verb, Weight: 1}},
		Stages: []scenarios.Stage{{Duration: length, Rate: rate}}}
}
