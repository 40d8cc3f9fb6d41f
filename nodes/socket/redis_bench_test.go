package socket

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// redis is the second yardstick: INCR by `redis-benchmark -c 50` on a server of
// its own.
type redis struct{ port string }

// startRedis starts a Redis that stores each change before its answer, or stores
// nothing. It returns nil if Redis is not installed.
func startRedis(b *testing.B, durable bool) *redis {
	b.Helper()
	for _, program := range []string{"redis-server", "redis-benchmark"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Logf("SKIPPED: the yardstick Redis: %v (apt-get install redis-server)", err)
			return nil
		}
	}
	r := &redis{freePort(b)}
	args := []string{"--port", r.port, "--bind", "127.0.0.1", "--dir", b.TempDir(), "--save", "", "--appendonly", "no"}
	if durable {
		args = append(args, "--appendonly", "yes", "--appendfsync", "always")
	}
	startReady(b, args...)
	return r
}

// incr returns the number of INCR per second, measured with n of them.
func (r *redis) incr(b *testing.B, n int) float64 {
	b.Helper()
	got, err := exec.CommandContext(b.Context(), "redis-benchmark", "-h", "127.0.0.1", "-p", r.port,
		"-t", "incr", "-c", strconv.Itoa(benchPhones), "-n", strconv.Itoa(n), "--csv").Output()
	if err != nil {
		b.Fatal(err)
	}
	rate, err := incrRate(string(got))
	if err != nil {
		b.Fatalf("redis-benchmark: %v:\n%s", err, got)
	}
	return rate
}

func freePort(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// startReady starts a Redis and waits until it reports that it accepts connections.
func startReady(b *testing.B, args ...string) {
	b.Helper()
	server := exec.Command("redis-server", args...)
	output, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Process.Kill(); server.Wait() })
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go io.Copy(io.Discard, output) // it ends with the server
			return
		}
	}
	b.Fatalf("redis-server ended before it accepted connections: %v", lines.Err())
}

// incrRate parses the requests per second in the table of redis-benchmark.
func incrRate(table string) (float64, error) {
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if len(row) > 1 && row[0] == "INCR" {
			return strconv.ParseFloat(row[1], 64)
		}
	}
	return 0, fmt.Errorf("no row of INCR: %w", io.ErrUnexpectedEOF)
}
