package load

import (
	"bufio"
	"encoding/csv"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bluetrace/nodes/socket/epoll"
	"bluetrace/scenarios"
)

// Settings of BenchmarkCeiling: as many connections as `redis-benchmark -c 50`
// has, and a rate that the generator cannot reach.
const (
	ceilingPhones = 50
	ceilingRounds = 5
	tooFast       = 150_000 // arrivals a second
)

// rates are the results of one kind, round by round.
type rates struct{ perSecond, perCore []float64 }

func (r *rates) add(n float64, in, used time.Duration) {
	r.perSecond = append(r.perSecond, n/in.Seconds())
	r.perCore = append(r.perCore, n/used.Seconds())
}

func (r *rates) report(b *testing.B, name string) {
	if len(r.perSecond) > 0 {
		b.ReportMetric(middle(r.perSecond), name+"/s")
		b.ReportMetric(middle(r.perCore), name+"/s/core")
		b.ReportMetric(slices.Max(r.perCore), name+"/s/core-best")
	}
}

// BenchmarkCeiling measures the generator's highest rate: operations per second,
// and per second of its own processor time (user and system). The yardsticks are
// redis-benchmark with its own server, and a bare loop that sends and receives a
// datagram. All take turns, since the speed of the machine varies. The results are
// the median of the rounds, and the best one.
func BenchmarkCeiling(b *testing.B) {
	phones := benched(ceilingPhones, "", scenarios.Traffic{}).Phones
	server := startServer(b, phones, "--no-fsync").Address
	redis := startRedis(b)
	n := max(1000, b.N/ceilingRounds)
	var downloads, beacons, incrs, bare rates
	for range ceilingRounds {
		saturate(b, server, scenarios.VerbDownload, n, &downloads)
		if redis != "" {
			redisIncr(b, redis, n, &incrs)
		}
		saturate(b, server, scenarios.VerbBeacon, 2*n, &beacons)
		bareDatagrams(b, 2*n, &bare)
	}
	b.ReportMetric(0, "ns/op")
	downloads.report(b, "downloads")
	incrs.report(b, "INCRs")
	beacons.report(b, "beacons")
	bare.report(b, "bare-datagrams")
}

// saturate makes about n operations as fast as possible.
func saturate(b *testing.B, server string, verb scenarios.Verb, n int, r *rates) {
	b.Helper()
	t := mixed(verb, tooFast, 5*n)
	t.WarmUp = 0
	c := benched(ceilingPhones, server, t)
	before, _ := c.OwnUsage()
	m, err := Run(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	after, _ := c.OwnUsage() // logging in is less than a hundredth of it
	done := m.Report(c.Traffic).All.OK
	r.add(float64(done), m.Length, after.User+after.System-before.User-before.System)
}

// bareDatagrams sends and receives n datagrams, one at a time.
func bareDatagrams(b *testing.B, n int, r *rates) {
	b.Helper()
	fd, address, err := epoll.Kernel().BindUDP(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	out, in := make([]byte, 59), make([]byte, 60)
	began := time.Now()
	for range n {
		if err := unix.Sendto(fd, out, 0, to); err != nil {
			b.Fatal(err)
		}
		if _, _, err := unix.Recvfrom(fd, in, 0); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(began)
	r.add(float64(n), took, took)
}

// startRedis starts a Redis that stores nothing, and returns its port, or "" if
// Redis is not installed.
func startRedis(b *testing.B) (port string) {
	b.Helper()
	for _, program := range []string{"redis-server", "redis-benchmark"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Logf("SKIPPED: the yardstick Redis: %v (apt-get install redis-server)", err)
			return ""
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	port = strconv.Itoa(int(l.Addr().(*net.TCPAddr).AddrPort().Port()))
	l.Close()
	startReady(b, "--port", port, "--bind", "127.0.0.1", "--dir", b.TempDir(), "--save", "", "--appendonly", "no")
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

// redisIncr makes n INCR with redis-benchmark.
func redisIncr(b *testing.B, port string, n int, r *rates) {
	b.Helper()
	c := exec.CommandContext(b.Context(), "redis-benchmark", "-h", "127.0.0.1", "-p", port, "-t", "incr",
		"-c", strconv.Itoa(ceilingPhones), "-n", strconv.Itoa(n), "--csv")
	table, err := c.Output()
	if err != nil {
		b.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(table))).ReadAll()
	if err != nil || len(rows) == 0 || len(rows[len(rows)-1]) < 2 {
		b.Fatalf("redis-benchmark printed %q: %v", table, err)
	}
	rate, err := strconv.ParseFloat(rows[len(rows)-1][1], 64)
	if err != nil {
		b.Fatal(err)
	}
	r.add(float64(n), time.Duration(float64(n)/rate*float64(time.Second)),
		c.ProcessState.UserTime()+c.ProcessState.SystemTime())
}
