package load

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"bluetrace/protocol"
	"bluetrace/reports"
	"bluetrace/scenarios"
)

func ran(t *testing.T, c Config) *Measurement {
	t.Helper()
	m, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// near reports whether d is want, within the precision of a histogram and of the
// pacing goroutine's sleep.
func near(d, want time.Duration) bool {
	return d >= want-want/500 && d <= want+want/500+maxSleep
}

// TestStallShowsInResponseTimes tests against coordinated omission: a server that
// answers no logins for two seconds delays every download that was due in that
// time. Their service times do not show it.
func TestStallShowsInResponseTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		const from, until = 5 * time.Second, 7 * time.Second
		f.stall = func(message string, at time.Duration) time.Duration {
			if at >= from && at < until && message[:4] == "user" {
				return until
			}
			return 0
		}
		m := ran(t, faked(f, 100, steady(10, 8*time.Second, scenarios.VerbLogin, scenarios.VerbDownload,
			scenarios.VerbLogout)))
		k := &m.figures.kinds[TempID]
		if k.outcomes != [3]uint64{80, 0, 0} {
			t.Fatalf("downloads: %v ok, failed, unknown; want 80, 0, 0", k.outcomes)
		}
		if got := time.Duration(k.response.HDR().Max()); !near(got, 2*time.Second+time.Millisecond) {
			t.Errorf("the longest response time is %v, want 2s and the time of an answer", got)
		}
		if got := time.Duration(k.service.HDR().Max()); got > 2*time.Millisecond {
			t.Errorf("the longest service time is %v: the stall is none of the downloads' own", got)
		}
		delayed := int64(0)
		for _, bar := range k.response.HDR().Distribution() {
			if bar.From > int64(100*time.Millisecond) {
				delayed += bar.Count
			}
		}
		if delayed != 19 { // logins that were due from 5s on, a tenth of a second apart; the last was 50 ms late or so
			t.Errorf("%d downloads were late by more than 100ms, want 19", delayed)
		}
		if lag := time.Duration(k.lag.HDR().Max()); lag > maxSleep {
			t.Errorf("the generator was late by %v itself", lag)
		}
	})
}

// TestDueTimesAreTheWarmUpsMedians: a server that becomes slower after the warm-up
// is measured with due times of the warm-up.
func TestDueTimesAreTheWarmUpsMedians(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.stall = func(message string, at time.Duration) time.Duration {
			if message[:4] == "user" && at >= 2*time.Second {
				return at + 50*time.Millisecond
			}
			return 0
		}
		m := ran(t, faked(f, 10, steady(10, 5*time.Second, scenarios.VerbLogin, scenarios.VerbDownload)))
		if !m.Frozen[Login] || !near(m.Expected[Login], answerTime) {
			t.Fatalf("expected of a login: %v (frozen: %v), want 1ms", m.Expected[Login], m.Frozen[Login])
		}
		k := &m.figures.kinds[TempID]
		if low, high := time.Duration(k.response.HDR().Min()), time.Duration(k.response.HDR().Max()); !near(low,
			50*time.Millisecond) || !near(high, 50*time.Millisecond) {
			t.Errorf("response times of downloads from %v to %v, want 50ms: 49 late, 1 for the answer", low, high)
		}
		if m.Arrivals != (Arrivals{Due: 50, Started: 50, InFlightMax: 1, OK: 50}) {
			t.Errorf("arrivals: %+v", m.Arrivals)
		}
	})
}

// TestNoAnswerIsUnknown: an operation without an answer is in the figures with the
// time until its timeout. Arrivals without a free phone are counted.
func TestNoAnswerIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		load := steady(10, 3*time.Second, scenarios.VerbLogin, scenarios.VerbDownload)
		load.Timeout = time.Second
		load.MaxInFlight = 5
		load.WarmUp = 0
		load.Expected = map[string]time.Duration{"connect": time.Millisecond, "login": time.Millisecond}
		f.silent = true
		c := faked(f, 10, load)
		c.Meter = reports.NewMeter("", "")
		m := ran(t, c)
		k := &m.figures.kinds[Login]
		if n := c.Meter.Phase("load").Unknown.Value(); n != m.Arrivals.Started {
			t.Errorf("the meter has %d arrivals without an answer, of %d", n, m.Arrivals.Started)
		}
		if k.outcomes[OK] != 0 || k.outcomes[Unknown] != m.Arrivals.Started || m.Arrivals.Started == 0 {
			t.Errorf("logins %v, of %d arrivals", k.outcomes, m.Arrivals.Started)
		}
		if got := time.Duration(k.service.HDR().Min()); !near(got, time.Second) {
			t.Errorf("the shortest waiting is %v, want 1s", got)
		}
		if m.Arrivals.Due != 30 || m.Arrivals.Dropped != 15 || m.Arrivals.InFlightMax != 5 {
			t.Errorf("arrivals: %+v, want 30, of which 15 are dropped: five sessions last a second", m.Arrivals)
		}
		if n := m.figures.kinds[TempID].outcomes; n != [3]uint64{} {
			t.Errorf("downloads after logins without an answer: %v", n)
		}
	})
}

// TestTimeoutIsOfEachAnswer: a timeout counts from the sending of its own request,
// even if the phone's alarm was set for an earlier one.
func TestTimeoutIsOfEachAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.stall = func(message string, at time.Duration) time.Duration {
			if message == protocol.CommandUpload {
				return at + 5*time.Second
			}
			return at + 600*time.Millisecond
		}
		load := steady(1, time.Second, scenarios.VerbLogin, scenarios.VerbDownload, scenarios.VerbUpload)
		load.WarmUp, load.Timeout = 0, time.Second
		load.Expected = map[string]time.Duration{"connect": 0, "login": 0, "tempid": 0}
		m := ran(t, faked(f, 1, load))
		f.running.Wait()
		for o, want := range map[Operation]time.Duration{Login: 600 * time.Millisecond, TempID: 600 * time.Millisecond,
			Upload: time.Second} {
			k := &m.figures.kinds[o]
			if got := time.Duration(k.service.HDR().Max()); k.service.HDR().TotalCount() != 1 || !near(got, want) {
				t.Errorf("%s took %v, want %v", scenarios.LoadOperations[o], got, want)
			}
		}
		if n := m.figures.kinds[TempID].outcomes; n != [3]uint64{1, 0, 0} {
			t.Errorf("downloads ok, failed, unknown: %v; want one that is ok", n)
		}
		if n := m.figures.kinds[Upload].outcomes; n != [3]uint64{0, 0, 1} {
			t.Errorf("uploads ok, failed, unknown: %v; want one that is unknown", n)
		}
	})
}

// TestBrokenMixComesBack: a phone of a mix whose connection breaks logs in again,
// unmeasured, before it is free.
func TestBrokenMixComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.breaks = func(message string, at time.Duration) bool {
			return message == protocol.CommandDownload && at > 500*time.Millisecond && at < 600*time.Millisecond
		}
		load := scenarios.Traffic{StartRate: 100, Stages: []scenarios.Stage{{Duration: 3 * time.Second, Rate: 100}},
			Mix: []scenarios.Weight{{Verb: scenarios.VerbDownload, Weight: 1}}}
		c := faked(f, 20, load)
		m := ran(t, c)
		n := m.figures.kinds[TempID].outcomes
		if n[Unknown] == 0 || n[Unknown] > 10 || n[OK]+n[Unknown] != m.Arrivals.Started || m.Arrivals.Dropped != 0 {
			t.Errorf("downloads ok, failed, unknown: %v of %+v; want no more than the ten that were due while "+
				"the server broke connections", n, m.Arrivals)
		}
		if n := m.figures.kinds[Login].outcomes; n != [3]uint64{} {
			t.Errorf("logins are not part of a mix: %v", n)
		}
	})
}

// TestBeaconsAreCounted counts lost, doubled and late beacons.
func TestBeaconsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.lose = func(n int) bool { return n%10 == 0 }
		f.twice = func(n int) bool { return n%7 == 0 }
		load := steady(20, 5*time.Second, scenarios.VerbLogin, scenarios.VerbDownload, scenarios.VerbBeacon,
			scenarios.VerbUpload)
		load.Beacons, load.Entries, load.WarmUp = 4, 3, 0
		load.Expected = map[string]time.Duration{"connect": time.Millisecond, "login": time.Millisecond,
			"tempid": time.Millisecond}
		c := faked(f, 30, load)
		c.Meter = reports.NewMeter("", "")
		m := ran(t, c)
		// Of 400 every tenth is lost; every seventh, unless it is lost, comes twice.
		// the fake network drops one a socket
		want := Beacons{Sent: 400, Received: 360, Lost: 40, Doubled: 57 - 5, Dropped: 30}
		if m.Beacons != want {
			t.Errorf("beacons %+v, want %+v", m.Beacons, want)
		}
		if n := c.Meter.Beacons().Lost.Value(); n != 40 {
			t.Errorf("the meter has %d lost beacons, want 40", n)
		}
		if k := &m.figures.kinds[Beacon]; k.outcomes != [3]uint64{360, 0, 40} || k.response.HDR().TotalCount() != 360 {
			t.Errorf("beacons as operations: %v, %d times", k.outcomes, k.response.HDR().TotalCount())
		}
		if k := &m.figures.kinds[Upload]; k.outcomes[OK] != 100 || !near(time.Duration(k.service.HDR().Max()),
			11*answerTime) {
			t.Errorf("uploads: %v, the longest %v; want 100 of 11 answers each",
				k.outcomes, time.Duration(k.service.HDR().Max()))
		}
	})
}

// TestRecordsOutlastTheBuffer: of 200 beacons a second that each of two phones sends, 100
// are on their way at a time, fewer than the buffer of a socket holds. All are measured.
func TestRecordsOutlastTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.later = func(int) time.Duration { return 500 * time.Millisecond }
		m := ran(t, faked(f, 2, mixed(scenarios.VerbBeacon, 400, 400)))
		if b := m.Beacons; b.Sent != 400 || b.Received != 400 || b.Late != 0 {
			t.Errorf("beacons %+v, want 400 sent and received", b)
		}
	})
}

// TestReceptionContinues: beacons are received for two seconds after the last one was
// sent. Those that arrive more than a second after their sending are late.
func TestReceptionContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.later = func(n int) time.Duration {
			return []time.Duration{10 * time.Millisecond, 1990 * time.Millisecond, 2500 * time.Millisecond}[n%3]
		}
		load := scenarios.Traffic{StartRate: 30, Stages: []scenarios.Stage{{Duration: 100 * time.Millisecond,
			Rate: 30}},
			Mix: []scenarios.Weight{{Verb: scenarios.VerbBeacon, Weight: 1}}}
		m := ran(t, faked(f, 3, load))
		// the fake network drops one a socket
		if want := (Beacons{Sent: 3, Received: 2, Lost: 1, Late: 1, Dropped: 3}); m.Beacons != want {
			t.Errorf("%+v, want %+v", m.Beacons, want)
		}
	})
}

// TestMix: the weights determine the shares of the operations, and phones stay
// logged in.
func TestMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := scenarios.Traffic{StartRate: 100, Stages: []scenarios.Stage{{Duration: 10 * time.Second, Rate: 100}},
			Mix: []scenarios.Weight{{Verb: scenarios.VerbDownload, Weight: 1}, {Verb: scenarios.VerbBeacon, Weight: 3}}}
		m := ran(t, faked(newFake(), 10, load))
		downloads, beacons := m.figures.kinds[TempID].outcomes[OK], m.figures.kinds[Beacon].outcomes[OK]
		if downloads+beacons != 1000 || downloads < 200 || downloads > 300 {
			t.Errorf("%d downloads and %d beacons, want 1000 in all, about 250 downloads", downloads, beacons)
		}
		if n := m.figures.kinds[Login].outcomes; n != [3]uint64{} {
			t.Errorf("logins are not part of a mix: %v", n)
		}
	})
}

// TestSleepTooLongDropsNothing: a generator that is late sends every operation,
// and reports its lag.
func TestSleepTooLongDropsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := steady(1000, 3*time.Second, scenarios.VerbLogin)
		load.WarmUp, load.Expected = 0, map[string]time.Duration{"connect": time.Millisecond}
		c := faked(newFake(), 100, load)
		const late = 7 * time.Millisecond
		c.Sleep = func(d time.Duration) { time.Sleep(d + late) } // virtual time of synctest
		m := ran(t, c)
		if m.Arrivals.Due != 3000 || m.Arrivals.Started != 3000 || m.figures.kinds[Login].outcomes[OK] != 3000 {
			t.Errorf("%+v, logins %v; want 3000", m.Arrivals, m.figures.kinds[Login].outcomes)
		}
		if got := time.Duration(m.figures.kinds[Connect].lag.HDR().Max()); got < late-time.Millisecond ||
			got > late+time.Millisecond {
			t.Errorf("the generator says that it was late by %v, want about %v", got, late)
		}
	})
}

// TestInterruptedRun: an interrupted run keeps its figures, and every goroutine
// ends (or the bubble fails).
func TestInterruptedRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := steady(10, time.Hour, scenarios.VerbLogin, scenarios.VerbDownload, scenarios.VerbBeacon)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(7050*time.Millisecond, cancel)
		m, err := Run(ctx, faked(newFake(), 10, load))
		if err != nil {
			t.Fatal(err)
		}
		if !m.Interrupted || m.Arrivals.Due != 51 {
			t.Errorf("interrupted: %v, arrivals %+v; want 51 in 5.05s", m.Interrupted, m.Arrivals)
		}
	})
}
