package load

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/scenarios"
)

// pacedRate is what the pacing is held to: the p99 of the lag is below a
// millisecond at this many operations a second.
const pacedRate = 20_000

func BenchmarkPacing(b *testing.B) {
	const phones = 1000
	b.Run("echo", func(b *testing.B) {
		c := benched(phones, startEcho(b), mixed(scenarios.VerbDownload, pacedRate, b.N))
		benchmarkPacing(b, c)
	})
	b.Run("server", func(b *testing.B) {
		c := benched(phones, "", mixed(scenarios.VerbDownload, pacedRate, b.N))
		child := startServer(b, c.Phones, "--no-fsync")
		c.Network, c.ServerUse = &Sockets{Server: child.Address}, child.Use
		benchmarkPacing(b, c)
	})
	b.Run("beacons", func(b *testing.B) {
		c := benched(phones, "", mixed(scenarios.VerbBeacon, pacedRate, b.N))
		child := startServer(b, c.Phones, "--no-fsync")
		c.Network, c.ServerUse = &Sockets{Server: child.Address}, child.Use
		benchmarkPacing(b, c)
	})
}

func stolen() (steal, all float64) {
	raw, _ := os.ReadFile("/proc/stat")
	for i, f := range strings.Fields(strings.SplitN(string(raw), "\n", 2)[0])[1:] {
		n, _ := strconv.ParseFloat(f, 64)
		all += n
		if i == 7 {
			steal = n
		}
	}
	return
}

func benchmarkPacing(b *testing.B, c Config) {
	s0, a0 := stolen()
	defer func() {
		s1, a1 := stolen()
		b.ReportMetric(100*(s1-s0)/(a1-a0), "%steal")
	}()
	m, err := Run(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	all := m.Report(c.Traffic).All
	if n := m.Arrivals.Due; n != m.Arrivals.Started || all.OK != n {
		b.Logf("arrivals %+v, of which %d were answered", m.Arrivals, all.OK)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(all.Count())/m.Length.Seconds(), "operations/s")
	quantile := func(h *hdrhistogram.Histogram, q float64) float64 {
		return float64(h.ValueAtQuantile(q)) / float64(time.Microsecond)
	}
	b.ReportMetric(quantile(all.Lag, 50), "lag-p50-µs")
	b.ReportMetric(quantile(all.Lag, 99), "lag-p99-µs")
	b.ReportMetric(quantile(all.Lag, 99.9), "lag-p99.9-µs")
	b.ReportMetric(quantile(all.Response, 99), "response-p99-µs")
	perOperation := func(u Use) float64 {
		return float64((u.User + u.System).Microseconds()) / float64(all.Count())
	}
	b.ReportMetric(perOperation(m.Own), "µs-CPU/op")
	b.ReportMetric(perOperation(m.Server), "server-µs-CPU/op")
}
