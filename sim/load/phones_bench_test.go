package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// held is a request to measure the memory of a process with a number of phones,
// each of which was busy at least once, and its answer.
type held struct {
	Phones  int
	Beacons bool // each has a UDP socket too
	InTurn  bool // sessions follow each other; else every phone stays logged in
	Server  string

	Resident, Heap, Stack int64
}

// hold is that process. It reads the request and writes the answer as JSON.
func hold(in io.Reader, out io.Writer) error {
	var h held
	if err := json.NewDecoder(in).Decode(&h); err != nil {
		return err
	}
	c := benched(h.Phones, h.Server, mixed(scenarios.VerbDownload, float64(h.Phones)/2, 2*h.Phones))
	if h.Beacons {
		c.Traffic.Mix = append(c.Traffic.Mix, scenarios.Weight{Verb: scenarios.VerbBeacon, Weight: 1})
	}
	if h.InTurn {
		c.Traffic.Mix, c.Traffic.MaxInFlight = nil, 100
		c.Traffic.Session = []scenarios.Verb{scenarios.VerbLogin, scenarios.VerbDownload, scenarios.VerbBeacon,
			scenarios.VerbLogout}
		c.Traffic.StartRate, c.Traffic.Stages = 1500,
			[]scenarios.Stage{{Duration: time.Duration(h.Phones) * time.Second / 1500, Rate: 1500}}
	}
	looked := false
	c.Progress = func(at, length time.Duration, _ *reports.LoadNow) {
		if looked || at < length-500*time.Millisecond {
			return
		}
		looked = true
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u, _ := UsageOf(os.Getpid())
		h.Resident, h.Heap, h.Stack = u.PeakBytes, int64(m.HeapInuse), int64(m.StackInuse)
	}
	m, err := Run(context.Background(), c)
	if err != nil {
		return err
	}
	if n := m.Arrivals; n.Dropped > 0 {
		fmt.Fprintf(os.Stderr, "%d arrivals of %d were dropped\n", n.Dropped, n.Due)
	}
	return json.NewEncoder(out).Encode(h)
}

// BenchmarkPhones measures the memory of the generator by its number of phones,
// each number in a process of its own. A phone has two file descriptors with
// beacons, and one without.
func BenchmarkPhones(b *testing.B) {
	for _, h := range []held{{Phones: 1}, {Phones: 2500}, {Phones: 5000}, {Phones: 9900}, {Phones: 19800},
		{Phones: 1, Beacons: true}, {Phones: 2500, Beacons: true}, {Phones: 5000, Beacons: true}, {Phones: 9900,
			Beacons: true},
		{Phones: 19800, Beacons: true, InTurn: true}} {
		name := fmt.Sprintf("sessions/%d", h.Phones)
		if h.Beacons {
			name = fmt.Sprintf("sessions_and_udp/%d", h.Phones)
		}
		if h.InTurn {
			name = fmt.Sprintf("udp_and_sessions_in_turn/%d", h.Phones)
		}
		b.Run(name, func(b *testing.B) {
			if testing.Short() && h.Phones > 2500 {
				b.Skip("SKIPPED: thousands of connections take seconds of two cores: leave out -short")
			}
			h.Server = startServer(b, benched(h.Phones, "", scenarios.Traffic{}).Phones, "--no-fsync").Address
			var got held
			for range b.N {
				got = heldBy(b, h)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(got.Resident)/(1<<20), "peak-RSS-MiB")
			b.ReportMetric(float64(got.Heap)/float64(h.Phones), "heap-B/phone")
			b.ReportMetric(float64(got.Stack)/float64(h.Phones), "stack-B/phone")
			b.ReportMetric(float64(got.Resident)/float64(h.Phones), "RSS-B/phone")
		})
	}
}

func heldBy(b *testing.B, h held) (got held) {
	b.Helper()
	question, err := json.Marshal(h)
	if err != nil {
		b.Fatal(err)
	}
	c := exec.CommandContext(b.Context(), os.Args[0])
	c.Env = append(os.Environ(), asVariable+"="+asPhones)
	c.Stdin, c.Stderr = bytes.NewReader(question), os.Stderr
	answer, err := c.Output()
	if err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		b.Fatal(err)
	}
	return got
}
