package load

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/protocol"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// The server is stopped for stallFor at the end of every stallEvery.
const (
	stallEvery = 2 * time.Second
	stallFor   = 200 * time.Millisecond
	stallRate  = 1000.0 // operations a second
)

// BenchmarkStall shows coordinated omission on a server that is stopped for a
// tenth of the time. An open loop measures the delay of arrivals at any time. A
// closed loop of ten connections at the same target rate sends nothing while it
// waits, and reports almost no delay. One iteration is one operation of each loop.
func BenchmarkStall(b *testing.B) {
	c := benched(1000, "", mixed(scenarios.VerbDownload, stallRate, b.N))
	child := startServer(b, c.Phones, "--no-fsync")
	c.Network = &Sockets{Server: child.Address}
	stop := stalls(b, child)
	m, err := Run(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	open := m.Report(c.Traffic).All.Response
	closed := closedLoop(b, child.Address, c.Phones[:10], b.N)
	stop()
	b.ReportMetric(0, "ns/op")
	for _, one := range []struct {
		name string
		h    *hdrhistogram.Histogram
	}{{"open", open}, {"closed", closed}} {
		for name, q := range map[string]float64{"p50": 50, "p90": 90, "p95": 95, "p99": 99, "p99.9": 99.9} {
			b.ReportMetric(milliseconds(time.Duration(one.h.ValueAtQuantile(q))), one.name+"-"+name+"-ms")
		}
	}
}

// stalls stops and continues the server until stop is called.
func stalls(b *testing.B, c *Child) (stop func()) {
	over := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(stallEvery - stallFor):
			}
			for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
				if err := c.command.Process.Signal(s); err != nil {
					b.Error(err)
				}
				if s == syscall.SIGSTOP {
					select {
					case <-over: // continue the server at once
					case <-time.After(stallFor):
					}
				}
			}
		}
	})
	return func() {
		close(over)
		running.Wait()
	}
}

// closedLoop makes downloads with a number of phones. Each sends the next one
// after the answer to the one before, not before its time, and measures from the
// sending.
func closedLoop(b *testing.B, address string, phones []Phone, n int) *hdrhistogram.Histogram {
	var mu sync.Mutex
	var h stats.Histogram
	var all sync.WaitGroup
	every := time.Duration(float64(len(phones)) / stallRate * float64(time.Second))
	for _, p := range phones {
		all.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			if err := exchange(c, p.User+p.Password, len(protocol.Welcome)); err != nil {
				b.Error(err)
				return
			}
			next := time.Now()
			for range n / len(phones) {
				time.Sleep(time.Until(next)) // the pace of the closed loop that is measured
				sent := time.Now()
				if err := exchange(c, protocol.CommandDownload, protocol.TempIDSize); err != nil {
					b.Error(err)
					return
				}
				took := time.Since(sent)
				mu.Lock()
				h.Record(int64(took))
				mu.Unlock()
				next = next.Add(every)
				if now := time.Now(); next.Before(now) { // its turn is gone
					next = now
				}
			}
		})
	}
	all.Wait()
	return h.HDR()
}

func exchange(c net.Conn, request string, answer int) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, answer))
	return err
}
