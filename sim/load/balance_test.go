package load

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
	"bluetrace/sim/check"
)

// mishaps is a load with every outcome: answers, refusals, broken connections,
// timeouts, dropped arrivals, lost beacons and sessions that do not end.
func mishaps() (*fake, Config) {
	f := newFake()
	f.lose = func(n int) bool { return n%10 == 0 }
	f.breaks = func(message string, at time.Duration) bool {
		return message == protocol.CommandDownload && int(at/time.Second)%4 == 3
	}
	f.refuses = func(at time.Duration) bool { return at > 5*time.Second && at < 5300*time.Millisecond }
	f.stall = func(message string, at time.Duration) time.Duration {
		if message == protocol.CommandUpload && at > 6*time.Second && at < 6500*time.Millisecond {
			return at + 3*time.Second
		}
		if at > 9900*time.Millisecond {
			return at + 1500*time.Millisecond
		}
		return 0
	}
	load := steady(20, 8*time.Second, scenarios.VerbLogin, scenarios.VerbDownload, scenarios.VerbBeacon,
		scenarios.VerbUpload, scenarios.VerbLogout)
	load.Timeout, load.MaxInFlight, load.Entries = 2*time.Second, 8, 1
	c := faked(f, 30, load)
	c.Traffic.GracefulStop = time.Second
	c.Meter = reports.NewMeter("", "")
	return f, c
}

// TestFiguresBalance: the figures of a run with every outcome agree with each other, and
// have the sizes that the faults of the server give them.
func TestFiguresBalance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := mishaps()
		m := ran(t, c)
		l := m.Report(c.Traffic)
		if check := m.BalanceCheck(c.Traffic, l); check.Verdict != reports.Passed || check.Evaluations < 100 {
			t.Errorf("%+v", check)
		}
		a := &m.Arrivals
		if a.Due != 160 || a.Dropped == 0 || a.OK == 0 || a.Failed == 0 || a.Unknown == 0 || a.Open == 0 ||
			a.OK+a.Failed+a.Unknown+a.Open != a.Started {
			t.Errorf("arrivals: %+v", a)
		}
		waited := m.tallies[1].waited[Upload].Load()
		if k := &m.figures.kinds[Upload]; waited == 0 || k.response.Count() != int64(k.outcomes[OK]+waited) {
			t.Errorf("uploads: %v, %d response times, %d without an answer in time", k.outcomes,
				k.response.Count(), waited)
		}
	})
}

// TestFiguresThatDoNotBalance: each way to count wrongly is found.
func TestFiguresThatDoNotBalance(t *testing.T) {
	for name, spoil := range map[string]func(*Measurement, *Config){
		"a time is not recorded": func(m *Measurement, _ *Config) {
			k := &m.figures.kinds[Login]
			n := k.response.Count()
			k.response = stats.Histogram{}
			for range n - 1 {
				k.response.Record(int64(time.Millisecond))
			}
		},
		"a time is missing in its second": func(m *Measurement, _ *Config) {
			clear(m.figures.kinds[TempID].serviceSeconds[0])
		},
		"an operation is not counted": func(m *Measurement, _ *Config) { m.figures.kinds[Logout].outcomes[OK]-- },
		"an operation is counted twice": func(m *Measurement, _ *Config) {
			m.figures.kinds[Connect].outcomes[Failed]++
		},
		"a beacon is not counted": func(m *Measurement, _ *Config) { m.Beacons.Received-- },
		"a session is not counted": func(m *Measurement, _ *Config) {
			m.tallies[1].sessions[OK].Add(^uint64(0))
		},
		"an arrival is not counted": func(m *Measurement, _ *Config) { m.Arrivals.Due-- },
		"a dropped arrival began": func(m *Measurement, _ *Config) {
			m.Arrivals.Started++
			m.Arrivals.Dropped--
		},
		"the warm-up is measured": func(_ *Measurement, c *Config) { c.Traffic.WarmUp += time.Second },
		"a stage is too short": func(_ *Measurement, c *Config) {
			c.Traffic.Stages[0].Duration += time.Second
		},
		"the metrics have one more":       func(m *Measurement, _ *Config) { m.meters[Login].Ended(reports.OutcomeOK) },
		"the metrics have one more time":  func(m *Measurement, _ *Config) { m.meters[Login].Took(0, 0) },
		"the metrics have one more lag":   func(m *Measurement, _ *Config) { m.meters[Upload].Lagged(0) },
		"the metrics have other arrivals": func(m *Measurement, _ *Config) { m.phase.Failed.Add(1) },
	} {
		synctest.Test(t, func(t *testing.T) {
			_, c := mishaps()
			m := ran(t, c)
			spoil(m, &c)
			check := m.BalanceCheck(c.Traffic, m.Report(c.Traffic))
			if check.Verdict != reports.Failed || check.Found == "" || check.Kind != reports.InvariantCheck {
				t.Errorf("%s: %+v", name, check)
			}
		})
	}
}

// TestMetricsOfOtherTimes: a metric whose count is right and whose times are not is
// found.
func TestMetricsOfOtherTimes(t *testing.T) {
	m := reports.NewMeter("", "").Phase("load").Operation("login")
	k := &kind{}
	k.outcomes[OK] = 1
	k.response.Record(int64(20 * time.Millisecond))
	k.service.Record(int64(20 * time.Millisecond))
	k.lag.Record(0)
	m.Ended(reports.OutcomeOK)
	m.Took(20*time.Millisecond, 21*time.Millisecond)
	m.Lagged(0)
	b, o := &balance{}, k.times("login")
	b.equalMetrics(&o, m)
	if len(b.broken) != 1 || !strings.HasPrefix(b.broken[0], "sum of the login service times: 0.02 s") &&
		!strings.HasPrefix(b.broken[0], "sum of the login service times: 0.019") {
		t.Errorf("%q", b.broken)
	}
}

// TestQuantilesAreSamples compares every quantile of a report, of a threshold and of a
// second with the sorted samples, from a millisecond to minutes, which differ by more than
// the width of a cell.
func TestQuantilesAreSamples(t *testing.T) {
	draws := rand.New(rand.NewPCG(5, 6))
	for n := 1; n <= 400; n++ {
		samples := make([]time.Duration, n)
		d := float64(time.Millisecond)
		for i := range samples {
			d *= 1.02 + draws.Float64()/50
			samples[i] = time.Duration(d)
		}
		m := &Measurement{warm: newFigures(0), figures: newFigures(0)}
		for _, i := range draws.Perm(n) {
			m.figures.add(&Row{Operation: Login, Done: samples[i]})
		}
		o := m.Report(&scenarios.Traffic{}).All
		is := func(where string, ns float64, q, tolerance float64, rank int) {
			t.Helper()
			if want := float64(samples[min(max(rank, 1), n)-1]); math.Abs(ns-want) > tolerance*want+1 {
				t.Errorf("%s, p%g of %d samples: %v, want sample %d, %v", where, 100*q, n, time.Duration(ns), rank,
					time.Duration(want))
			}
		}
		for _, q := range []float64{.5, .9, .95, .99, .999} {
			rank := int(math.Ceil(q*float64(n) - 1e-9)) // at most 1-q of the samples are above it
			for _, one := range o.Quantiles() {
				if one.Quantile == q {
					is("report", one.Ms*1e6, q, .002, rank)
				}
			}
			value, _, _ := check.Threshold(&scenarios.Threshold{Method: "p", Quantile: 100 * q, Op: "<"},
				check.Sample{Trend: o.Response})
			is("threshold", value*1e6, q, .002, rank)
			all := stats.NewCounts()
			all.Add(m.figures.kinds[Login].responseSeconds[0].Bins())
			cell, _, _ := all.Quantile(q)
			is("second", float64(cell.Top()), q, .016, rank)
		}
	}
}

// TestBrokenConnectionsHaveNoTimes: a server that closes each connection without an
// answer is not a quick one.
func TestBrokenConnectionsHaveNoTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.breaks = func(message string, at time.Duration) bool {
			return strings.HasPrefix(message, "user") && at > 3*time.Second
		}
		load := steady(10, 4*time.Second, scenarios.VerbLogin, scenarios.VerbDownload)
		c := faked(f, 10, load)
		m := ran(t, c)
		k := &m.figures.kinds[Login]
		if k.outcomes != [3]uint64{10, 0, 30} || k.response.Count() != 10 || k.service.Count() != 10 ||
			k.lag.Count() != 40 {
			t.Errorf("logins: %v, %d response times, %d service times, %d lags", k.outcomes, k.response.Count(),
				k.service.Count(), k.lag.Count())
		}
		line := m.Report(c.Traffic).Timeline
		if s := line[3]; s.Unknown != 10 || s.Failed != 0 || line[2].Unknown != 0 {
			t.Errorf("the timeline: %+v", line)
		}
	})
}

// TestServerThatDies: connections that are refused to the end are reported with the time
// of the first, which the dying server reset, and do not count as lag of the generator.
func TestServerThatDies(t *testing.T) {
	for _, until := range []time.Duration{time.Hour, 6500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.refuses = func(at time.Duration) bool { return at >= 5*time.Second && at < until }
			f.resets.Store(true)
			c := faked(f, 100, steady(10, 8*time.Second, scenarios.VerbLogin))
			m := ran(t, c)
			want, failed := "connection refused since 5.0 s", uint64(50)
			if until < time.Hour {
				want, failed = "", 15
			}
			k := &m.figures.kinds[Connect]
			if m.Outage != want || k.outcomes != [3]uint64{80 - failed, failed, 0} ||
				k.lag.Count() != int64(80-failed) {
				t.Errorf("refused until %v: %q, connects %v, %d lags", until, m.Outage, k.outcomes, k.lag.Count())
			}
			o := m.Report(c.Traffic).Outage
			if (o != nil) != (want != "") || o != nil && (o.Text != want || o.SinceSeconds < 5 || o.SinceSeconds > 5.1) {
				t.Errorf("refused until %v: the report has the outage %+v", until, o)
			}
		})
	}
}

// TestReloginsOfManyPhones: while a server is away, the phones of a mix try to connect a
// limited number of times.
func TestReloginsOfManyPhones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		var attempts atomic.Int64
		f.refuses = func(at time.Duration) bool { attempts.Add(1); return at > time.Second }
		f.breaks = func(_ string, at time.Duration) bool { return at > time.Second }
		load := scenarios.Traffic{StartRate: 1000, Stages: []scenarios.Stage{{Duration: 3 * time.Second, Rate: 1000}},
			Mix: []scenarios.Weight{{Verb: scenarios.VerbDownload, Weight: 1}}}
		m := ran(t, faked(f, 1000, load))
		if n := attempts.Load() - 1000; n > 23*maxRelogins || m.Outage == "" {
			t.Errorf("%d attempts of 1000 phones while the server was away for 2s and a graceful stop of 20s, "+
				"outage %q",
				n, m.Outage)
		}
	})
}

// TestThresholdEndsTheLoad: a threshold with `abort` ends the load after its delay, also
// if it has no sample, and the sessions that began may end.
func TestThresholdEndsTheLoad(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  func(*fake)
		delay  time.Duration
		length time.Duration // of the measured part
	}{
		{"no fault", func(*fake) {}, 0, time.Minute},
		{"slow", func(f *fake) {
			f.stall = func(_ string, at time.Duration) time.Duration { return at + 100*time.Millisecond }
		}, 0, time.Second},
		{"slow, with a delay", func(f *fake) {
			f.stall = func(_ string, at time.Duration) time.Duration { return at + 100*time.Millisecond }
		}, 5 * time.Second, 5 * time.Second},
		{"refused", func(f *fake) { f.refuses = func(time.Duration) bool { return true } }, 0, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			c.fault(f)
			load := steady(10, time.Minute, scenarios.VerbLogin)
			load.WarmUp, load.Expected = 0, map[string]time.Duration{"connect": time.Millisecond}
			s := &scenarios.Scenario{Load: &load, Thresholds: []scenarios.Threshold{{Metric: "login.response_time",
				Text: "max<50", Method: "max", Op: "<", Value: 50},
				{Metric: "response_time", Text: "max<50", Method: "max", Op: "<", Value: 50, Abort: true,
					Delay: c.delay}}}
			config := faked(f, 100, load)
			config.Judge = func(l *reports.Load, at time.Duration) Status { return ThresholdStatus(s, l, at) }
			m := ran(t, config)
			l := m.Report(config.Traffic)
			if off := m.Length - c.length; off < 0 || off > 100*time.Millisecond || m.Interrupted {
				t.Errorf("%s: %v long, want %v", c.name, m.Length, c.length)
			}
			if m.Arrivals.Open > 0 || m.BalanceCheck(config.Traffic, l).Verdict != reports.Passed {
				t.Errorf("%s: %+v, %+v", c.name, m.Arrivals, m.BalanceCheck(config.Traffic, l))
			}
			found := Checks(s, l, false)[1]
			if ended := c.length < time.Minute; (m.Aborted == "response_time: max<50") != ended ||
				(found.Verdict == reports.Failed) != ended ||
				strings.Contains(found.Found, "it ended the load after ") != ended {
				t.Errorf("%s: aborted by %q: %+v", c.name, m.Aborted, found)
			}
		})
	}
}

// TestEveryOperationMustSucceed: a load in which one kind of operation never succeeds
// does not pass, unless a threshold decides.
func TestEveryOperationMustSucceed(t *testing.T) {
	s := &scenarios.Scenario{Load: &scenarios.Traffic{Session: []scenarios.Verb{scenarios.VerbLogin,
		scenarios.VerbDownload}}}
	report := func(logins, downloads int) *reports.Load {
		m := &Measurement{warm: newFigures(0), figures: newFigures(0)}
		m.Arrivals.Due = 9
		for o, n := range map[Operation]int{Connect: 9, Login: logins, TempID: downloads} {
			for range n {
				m.figures.add(&Row{Operation: o, Outcome: OK})
			}
		}
		m.figures.add(&Row{Operation: Login, Outcome: Unknown})
		return m.Report(s.Load)
	}
	last := func(l *reports.Load) reports.Check {
		all := Checks(s, l, false)
		return all[len(all)-1]
	}
	for _, c := range []struct {
		logins, downloads int
		want              string
	}{{8, 8, ""}, {8, 0, "tempid: none was tried"}, {0, 0, "login: 0 of 1, tempid: none was tried"}} {
		if got := last(report(c.logins, c.downloads)); got.Found != c.want ||
			(got.Verdict == reports.Failed) != (c.want != "") {
			t.Errorf("%d logins, %d downloads: %+v", c.logins, c.downloads, got)
		}
	}
	if got := last(EmptyReport(s.Load)); got.Verdict != reports.Failed || got.Found != "no arrival was due" {
		t.Errorf("nothing happened: %+v", got)
	}
	s.Thresholds = []scenarios.Threshold{{Metric: "operations_ok", Text: "rate>0.9", Method: "rate", Op: ">",
		Value: .9}}
	if got := Checks(s, report(8, 0), false); got[0].Found != "0.944444" ||
		got[len(got)-1].Kind != reports.ThresholdCheck {
		t.Errorf("with a threshold: %+v", got)
	}
	s.Load = &scenarios.Traffic{Mix: []scenarios.Weight{{Verb: scenarios.VerbDownload, Weight: 9},
		{Verb: scenarios.VerbUpload, Weight: 1}}}
	s.Thresholds = nil
	if got := last(report(8, 3)); got.Verdict != reports.Passed {
		t.Errorf("a mix that never drew an upload: %+v", got)
	}
}
