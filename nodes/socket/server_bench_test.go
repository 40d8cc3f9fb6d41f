package socket

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/protocol"
)

// benchPhones is the number of connections that send requests at the same time, as
// in `redis-benchmark -c 50`.
const benchPhones = 50

// countedDisk counts the records that are stored together.
type countedDisk struct {
	Disk
	stores, records atomic.Int64
}

func (d *countedDisk) Store(records []nodes.Record) (issues, attempts error) {
	d.stores.Add(1)
	d.records.Add(int64(len(records)))
	return d.Disk.Store(records)
}

// systemRandom draws from the source that the program uses.
type systemRandom struct{ buffer []byte }

func (s *systemRandom) Uint64() uint64 {
	if len(s.buffer) == 0 {
		s.buffer = make([]byte, 512)
		rand.Read(s.buffer)
	}
	n := binary.LittleEndian.Uint64(s.buffer)
	s.buffer = s.buffer[8:]
	return n
}

// newBenchRig starts a server like the program's, in a folder of its own, without
// output and observer.
func newBenchRig(b *testing.B, noSync bool) (*rig, *countedDisk) {
	b.Helper()
	o := files.ServerOptions{Zone: protocol.NewZone(time.UTC), NoSync: noSync, Entropy: rand.Reader}
	folder, err := files.OpenServer(files.Disk(b.TempDir()), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := folder.Close(); err != nil {
			b.Error(err)
		}
	})
	d := &countedDisk{Disk: folder}
	var disk Disk = d
	if noSync {
		behind := NewWriteBehind(d, func(string) {})
		b.Cleanup(func() {
			if err := behind.Close(time.Minute); err != nil {
				b.Error(err)
			}
		})
		disk = behind
	}
	return newRig(b, func(_ *rig, c *ServerConfig) {
		c.Clock = clock.New()
		c.Disk = disk
		c.Observer = nil
		c.Output = io.Discard
		c.Settings.Entropy = &systemRandom{}
		c.Inline = noSync
	}), d
}

// exchange sends a request and reads an answer of a known size.
func exchange(c net.Conn, request, answer []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	_, err := io.ReadFull(c, answer)
	return err
}

// BenchmarkDownload measures Download_tempID on 50 connections. The yardsticks are
// the echoes of a bare Go server with the same client and message sizes, and the
// INCRs of Redis with its own client if it is installed. The three take turns,
// since the speed of the machine varies. The result is the median of the rounds.
func BenchmarkDownload(b *testing.B) {
	for _, row := range []struct {
		name   string
		noSync bool
	}{{"durable", false}, {"not_durable", true}} {
		b.Run(row.name, func(b *testing.B) {
			r, d := newBenchRig(b, row.noSync)
			bare := echo(b)
			var yardstick *redis
			n := b.N / downloadRounds
			if n >= 1000 && !testing.Short() { // else too few to compare
				yardstick = startRedis(b, !row.noSync)
			}
			var downloads, echoes, incrs, ofEcho, ofRedis []float64
			for range downloadRounds {
				rate := leanAsk(b, r.at, userA+passwordA, len(protocol.Welcome), protocol.CommandDownload,
					protocol.TempIDSize, max(n, 1))
				bareRate := leanAsk(b, bare, "", 0, strings.Repeat("e", protocol.TempIDSize), protocol.TempIDSize,
					max(n, 1))
				downloads, echoes, ofEcho = append(downloads, rate), append(echoes, bareRate), append(ofEcho,
					rate/bareRate)
				if yardstick != nil {
					redisRate := yardstick.incr(b, n)
					incrs, ofRedis = append(incrs, redisRate), append(ofRedis, rate/redisRate)
				}
			}
			b.ReportMetric(float64(d.records.Load())/float64(max(1, d.stores.Load())), "records/store")
			b.ReportMetric(median(downloads), "downloads/s")
			b.ReportMetric(median(echoes), "echoes/s")
			b.ReportMetric(median(ofEcho), "of-echo")
			if yardstick != nil {
				b.ReportMetric(median(incrs), "INCRs/s")
				b.ReportMetric(median(ofRedis), "of-redis")
			}
		})
	}
}

const downloadRounds = 7

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// echo is the yardstick: a bare Go server that returns its input.
func echo(b *testing.B) (at string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go echoOne(c)
		}
	}()
	return l.Addr().String()
}

func echoOne(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 1024)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// BenchmarkSessions measures whole sessions of 50 phones at the same time:
// connect, username, a pause of 1 ms, password, one durable TempID, log out, end
// of file.
func BenchmarkSessions(b *testing.B) {
	r, _ := newBenchRig(b, false)
	var left atomic.Int64
	left.Store(int64(b.N))
	var done sync.WaitGroup
	b.ResetTimer()
	for range benchPhones {
		done.Go(func() {
			for left.Add(-1) >= 0 {
				if err := session(r.at); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sessions/s")
}

func session(at string) error {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, userA); err != nil {
		return err
	}
	// the pause of a client between name and password; the server sends nothing to wait for
	time.Sleep(time.Millisecond)
	welcome := make([]byte, len(protocol.Welcome))
	if err := exchange(c, []byte(passwordA), welcome); err != nil {
		return fmt.Errorf("logging in: %q: %w", welcome, err)
	}
	if err := exchange(c, []byte(protocol.CommandDownload), make([]byte, protocol.TempIDSize)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, protocol.CommandLogout); err != nil {
		return err
	}
	if n, err := c.Read(welcome); n != 0 || err != io.EOF {
		return fmt.Errorf("%d bytes (%w) after log out", n, err)
	}
	return nil
}

// BenchmarkUpload measures 1,000 entries of one phone, with an answer to each line
// before the next, by a client in a process of its own.
func BenchmarkUpload(b *testing.B) {
	const entries = 1000
	r, _ := newBenchRig(b, false)
	b.ReportMetric(leanUpload(b, r.at, userA+passwordA, entries, b.N), "entries/s")
}

// BenchmarkJoinedProbe measures the cost of learning that a name exists, as docs/PROGRAMS.md
// gives it: three wrong passwords in one read with the name, and one in a read of its own.
func BenchmarkJoinedProbe(b *testing.B) {
	names := make([]nodes.Credential, b.N)
	for i := range names {
		names[i] = nodes.Credential{User: fmt.Sprintf("+614%08d", i), Password: "secret"}
	}
	r := newRig(b, func(_ *rig, c *ServerConfig) {
		c.Clock, c.Output = clock.New(), io.Discard
		c.Credentials = func() ([]nodes.Credential, bool) { return names, false }
	})
	for i := range b.N {
		for range 3 {
			p := r.dial()
			p.say(names[i].User + "x")
			p.CloseWrite()
			p.hearEnd()
		}
		p := r.dial()
		p.piece(names[i].User)
		p.say("x")
		if answer, _ := io.ReadAll(p); string(answer) != protocol.IsBlocked {
			b.Fatalf("answered %q", answer)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "names/s")
}
