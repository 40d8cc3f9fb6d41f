package load

import (
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// At pacedRate operations per second the p99 of the lag should be below a
// millisecond.
const (
	pacedRate   = 20_000
	pacedPhones = 1000
	pacedRound  = 40_000 // operations, two seconds
)

// BenchmarkPacing measures the lag of the generator at 20,000 operations per
// second: downloads from a server that only answers, downloads from the project's
// server, and beacons. The yardstick, in turns with it, is a thread that only
// sleeps until each of as many times. If that is late the machine is busy. The
// results are the median of the rounds, and the best one.
func BenchmarkPacing(b *testing.B) {
	phones := benched(pacedPhones, "", scenarios.Traffic{}).Phones
	b.Run("echo", func(b *testing.B) { benchmarkPacing(b, startEcho(b), nil, scenarios.VerbDownload) })
	b.Run("server", func(b *testing.B) {
		c := startServer(b, phones, "--no-fsync")
		benchmarkPacing(b, c.Address, c, scenarios.VerbDownload)
	})
	b.Run("beacons", func(b *testing.B) {
		c := startServer(b, phones, "--no-fsync")
		benchmarkPacing(b, c.Address, c, scenarios.VerbBeacon)
	})
}

func benchmarkPacing(b *testing.B, address string, child *Child, verb scenarios.Verb) {
	var p50, p99, p999, bare, cpu, serverCPU, rate []float64
	quantile := func(h *hdrhistogram.Histogram, q float64) float64 {
		return float64(h.ValueAtQuantile(q)) / float64(time.Microsecond)
	}
	for left := b.N; left > 0; left -= pacedRound {
		bare = append(bare, quantile(bareSleeper(min(left, pacedRound)), 99))
		c := benched(pacedPhones, address, mixed(verb, pacedRate, min(left, pacedRound)))
		if child != nil {
			c.ServerUsage = child.Usage
		}
		m, err := Run(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		all := m.Report(c.Traffic).All
		perOperation := func(u Usage) float64 {
			return float64((u.User + u.System).Microseconds()) / float64(max(1, all.Count()))
		}
		p50, p99, p999 = append(p50, quantile(all.Lag, 50)), append(p99, quantile(all.Lag, 99)), append(p999,
			quantile(all.Lag, 99.9))
		cpu, serverCPU = append(cpu, perOperation(m.Own)), append(serverCPU, perOperation(m.Server))
		rate = append(rate, float64(all.OK)/m.Length.Seconds())
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(rate), "operations/s")
	b.ReportMetric(middle(p50), "lag-p50-µs")
	b.ReportMetric(middle(p99), "lag-p99-µs")
	b.ReportMetric(slices.Min(p99), "lag-p99-µs-best")
	b.ReportMetric(middle(p999), "lag-p99.9-µs")
	b.ReportMetric(middle(bare), "bare-p99-µs")
	b.ReportMetric(slices.Min(bare), "bare-p99-µs-best")
	b.ReportMetric(middle(cpu), "CPU-µs/operation")
	if child != nil {
		b.ReportMetric(middle(serverCPU), "server-CPU-µs/operation")
	}
}

// middle returns the median.
func middle(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// bareSleeper measures the lag of a thread that only sleeps, at n times of the
// paced rate.
func bareSleeper(n int) *hdrhistogram.Histogram {
	var h stats.Histogram
	onOwnThread(func() {
		began := time.Now()
		for i := range n {
			due := time.Duration(i) * time.Second / pacedRate
			for left := due - time.Since(began); left > 0; left = due - time.Since(began) {
				preciseSleep(left)
			}
			h.Record(int64(time.Since(began) - due))
		}
	})
	return h.HDR()
}
