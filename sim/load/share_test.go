package load

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/stats"
	"bluetrace/scenarios"
)

// alone is the coordinator of shares that begin at once, with given response times.
type alone struct {
	expected Times
	endAt    time.Duration
	endWhy   string
	last     atomic.Pointer[Part]
}

func (a *alone) Ready(context.Context) (time.Time, error) { return time.Now(), nil }
func (a *alone) Expected() (Times, bool)                  { return a.expected, a.expected != Times{} }
func (a *alone) End() (time.Duration, string)             { return a.endAt, a.endWhy }
func (a *alone) SoFar(p *Part)                            { a.last.Store(p) }

// operation is what a row shows about an operation that does not depend on its phone and its answer.
type operation struct {
	Kind, Phase string
	Due         int64
}

// operationsOf runs a load and returns its operations.
func operationsOf(t *testing.T, run func(*Rows)) (list []operation) {
	t.Helper()
	var text bytes.Buffer
	rows := NewRows(&text, false)
	run(rows)
	rows.Close()
	for d := json.NewDecoder(&text); d.More(); {
		var one operation
		if err := d.Decode(&one); err != nil {
			t.Fatal(err)
		}
		list = append(list, one)
	}
	return list
}

func inOrder(list []operation) []operation {
	slices.SortFunc(list, func(a, b operation) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// shared returns the configuration of a share of a load.
func shared(c Config, s Share, l Leader) Config {
	c.Share, c.Leader = s, l
	c.Phones, c.Traffic = s.Divide(c.Phones, c.Traffic)
	return c
}

func noFailures() uint64 { return 0 }

// TestSharesAreTheWhole: the shares of a load have the operations of the whole at the same times, none twice, also of a
// mix whose operations are drawn, while the rate changes.
func TestSharesAreTheWhole(t *testing.T) {
	rising := func(of scenarios.Traffic) scenarios.Traffic {
		of.Stages = append(of.Stages, scenarios.Stage{Duration: 3 * time.Second, Rate: 71})
		return of
	}
	session := rising(steady(20, 4*time.Second, scenarios.VerbLogin, scenarios.VerbDownload, scenarios.VerbUpload))
	session.Expected = map[string]time.Duration{"connect": ms, "login": 7 * ms, "tempid": 3 * ms}
	mix := rising(steady(37, 3*time.Second))
	mix.Mix = []scenarios.Weight{{Verb: scenarios.VerbDownload, Weight: 3}, {Verb: scenarios.VerbUpload, Weight: 1}}
	for name, traffic := range map[string]scenarios.Traffic{"session": session, "mix": mix} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				whole := operationsOf(t, func(rows *Rows) {
					c := faked(newFake(), 90, traffic)
					c.Rows = rows
					ran(t, c)
				})
				var together []operation
				due, phones, sessions := uint64(0), 0, 0
				for i := range 3 {
					together = append(together, operationsOf(t, func(rows *Rows) {
						c := shared(faked(newFake(), 91, traffic), Share{i, 3}, &alone{})
						c.Rows, c.Traffic.LagBudget = rows, 10*ms
						phones, sessions = phones+len(c.Phones), sessions+c.Traffic.MaxInFlight
						p, err := RunShare(t.Context(), c, noFailures)
						if err != nil || len(p.Unbalanced)+len(p.Overload) > 0 {
							t.Errorf("share %d: %v, %+v", i, err, p)
							return
						}
						due += p.Arrivals.Due
					})...)
				}
				if len(whole) < 300 || !slices.Equal(inOrder(whole), inOrder(together)) {
					t.Errorf("the shares have %d operations, the whole has %d; or they are not equal", len(together), len(whole))
				}
				if phones != 91 || sessions != 91 {
					t.Errorf("the shares have %d phones of 91, and %d sessions in flight of 91", phones, sessions)
				}
			})
		})
	}
}

const ms = time.Millisecond

// TestPartsMergeWithoutLoss: the merged figures of shares are those of all their samples, and agree with each other.
func TestPartsMergeWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traffic := steady(60, 5*time.Second, scenarios.VerbLogin, scenarios.VerbDownload)
		traffic.Expected = map[string]time.Duration{"connect": ms, "login": ms}
		var parts []*Part
		pooled := &kind{}
		for i := range 3 {
			f := newFake()
			f.stall = func(message string, at time.Duration) time.Duration {
				if message == "Download_tempID" {
					return at + time.Duration(i*i*int(at%7))*ms/100
				}
				return 0
			}
			c := shared(faked(f, 90, traffic), Share{i, 3}, &alone{})
			m := ran(t, c)
			p := m.part(true)
			p.Length = m.Length
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			read := &Part{}
			if err := json.Unmarshal(text, read); err != nil {
				t.Fatal(err)
			}
			parts = append(parts, read)
			pooled.merge(&m.figures.kinds[TempID])
		}
		all, err := merged(parts, 1)
		if err != nil {
			t.Fatal(err)
		}
		if all.Arrivals.Due != 300 || all.Arrivals.Started != 300 {
			t.Errorf("arrivals %+v, want 300", all.Arrivals)
		}
		got := &all.figures.kinds[TempID]
		if !got.response.HDR().Equals(pooled.response.HDR()) || !got.lag.HDR().Equals(pooled.lag.HDR()) {
			t.Errorf("merged response times %v, pooled %v", got.response.HDR().Distribution(), pooled.response.HDR().Distribution())
		}
		if b := all.balanced(&traffic, all.Report(&traffic)); len(b.broken) > 0 || b.evaluated < 40 {
			t.Errorf("%d equations, broken: %q", b.evaluated, b.broken)
		}
		all.tallies[1].begun[TempID].Add(1)
		if b := all.balanced(&traffic, all.Report(&traffic)); len(b.broken) != 1 {
			t.Errorf("an operation without an end: broken %q", b.broken)
		}
	})
}

// TestPartsKeepTheTimesApart: the response, the service time and the lag of an operation stay those of the part.
func TestPartsKeepTheTimesApart(t *testing.T) {
	m := measured(10)
	all, err := merged([]*Part{m.part(true)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, want := &all.figures.kinds[Login], &m.figures.kinds[Login]
	if !got.response.HDR().Equals(want.response.HDR()) || !got.service.HDR().Equals(want.service.HDR()) ||
		!got.lag.HDR().Equals(want.lag.HDR()) {
		t.Errorf("response %v, service %v, lag %v", got.response.HDR().Max(), got.service.HDR().Max(),
			got.lag.HDR().Max())
	}
	if got, want := all.figures.histograms(), m.figures.histograms(); !reflect.DeepEqual(got, want) {
		t.Errorf("second by second: %+v, want %+v", got, want)
	}
}

// TestShareEndsWhenAllDo: a share ends at the time that its coordinator gives, and not at the end of its schedule.
func TestShareEndsWhenAllDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traffic := steady(30, time.Hour, scenarios.VerbLogin)
		c := shared(faked(newFake(), 90, traffic), Share{1, 3}, &alone{expected: Times{ms, ms}, endAt: 6 * time.Second, endWhy: "login.p99"})
		p, err := RunShare(t.Context(), c, noFailures)
		if err != nil || len(p.Unbalanced) > 0 {
			t.Fatal(err, p)
		}
		if p.Length < 4*time.Second || p.Length > 4*time.Second+10*ms || p.Arrivals.Due < 40 || p.Arrivals.Due > 41 {
			t.Errorf("it ended after %v with %d arrivals, want 4s and 40", p.Length, p.Arrivals.Due)
		}
	})
}

// TestShareNeedsExpectedTimes: a share whose coordinator gives no response times in time ends with an error.
func TestShareNeedsExpectedTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traffic := steady(30, time.Hour, scenarios.VerbLogin, scenarios.VerbDownload)
		l := &alone{}
		p, err := RunShare(t.Context(), shared(faked(newFake(), 90, traffic), Share{1, 3}, l), noFailures)
		if _, is := errors.AsType[lateExpected](err); !is {
			t.Errorf("%+v, %v", p, err)
		}
		if p := l.last.Load(); p == nil || p.Phases[0].Operations[Login].Outcomes[OK] < 5 || p.At < time.Second {
			t.Errorf("the figures before the end of the warm-up: %+v", p)
		}
	})
}

// given are generators with given figures: each part follows a second after the one before, and the last is that of the
// end.
type given []*Part

func (g given) Size() int                              { return 1 }
func (g given) Prepare(context.Context, *Config) error { return nil }
func (g given) Begin(time.Time)                        {}
func (g given) Expect(Times)                           {}
func (g *given) Figures() ([]*Part, error) {
	now := (*g)[0]
	if len(*g) > 1 {
		*g = (*g)[1:]
	}
	return []*Part{now}, nil
}
func (g given) Collect(context.Context, time.Duration, string) ([]*Part, error) {
	return []*Part{g[len(g)-1]}, nil
}

// TestMetricsOfParts: the metrics of beacons are the last figures of the measured part, also of those that came late,
// twice, malformed, or not at all.
func TestMetricsOfParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traffic := steady(20, 6*time.Second, scenarios.VerbLogin, scenarios.VerbDownload, scenarios.VerbBeacon)
		traffic.Expected = map[string]time.Duration{"connect": ms, "login": ms, "tempid": ms}
		part := func(n uint64) *Part {
			p := &Part{Beacons: Beacons{Sent: 9 * n, Received: 8 * n, Late: 3 * n, Doubled: 2 * n, Malformed: n, Dropped: 4 * n}}
			for i := range p.Phases {
				beacons := &p.Phases[i].Operations[Beacon]
				for range 8 * n {
					beacons.Service.Record(int64(5 * ms))
					beacons.Outcomes[OK]++
				}
			}
			return p
		}
		c := faked(newFake(), 90, traffic)
		c.Generators, c.Meter = &given{part(0), part(1), part(3), part(4)}, reports.NewMeter("", "")
		if _, err := Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		b := c.Meter.Beacons()
		got := []uint64{b.Sent.Value(), b.Received.Value(), b.Late.Value(), b.Doubled.Value(), b.Malformed.Value(),
			b.Dropped.Value(), 0}
		families, err := c.Meter.Gatherer().Gather()
		for _, f := range families {
			if f.GetName() == "bluetrace_beacon_delay_seconds" && err == nil {
				got[6] = f.Metric[0].Histogram.GetSampleCount()
			}
		}
		if want := []uint64{36, 32, 12, 8, 4, 16, 32}; !slices.Equal(got, want) {
			t.Errorf("sent, received, late, doubled, malformed, dropped, delays: %v, want %v", got, want)
		}
	})
}

// TestOutageOfWarmUp: the error of a warm-up without an answer has the outage that the generators saw.
func TestOutageOfWarmUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := faked(newFake(), 90, steady(20, 6*time.Second, scenarios.VerbLogin, scenarios.VerbDownload))
		c.Generators = &given{{Outage: "connection refused since 0.1 s"}}
		_, err := Run(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "(none was tried; connection refused since 0.1 s)") {
			t.Error(err)
		}
	})
}

// slow is a coordinator that takes five seconds for figures.
type slow struct {
	alone
	taking, most, parts atomic.Int32
}

func (s *slow) SoFar(*Part) {
	s.parts.Add(1)
	if n := s.taking.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	time.Sleep(5 * time.Second) // virtual time of synctest
	s.taking.Add(-1)
}

// TestFiguresInOrder: a share sends its figures one after the other, so that later ones never come before earlier ones.
func TestFiguresInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &slow{alone: alone{expected: Times{ms, ms}}}
		c := shared(faked(newFake(), 90, steady(30, 20*time.Second, scenarios.VerbLogin)), Share{1, 3}, l)
		if _, err := RunShare(t.Context(), c, noFailures); err != nil || l.most.Load() != 1 || l.parts.Load() < 4 {
			t.Errorf("%v; %d times, %d at once", err, l.parts.Load(), l.most.Load())
		}
	})
}

// TestPartsAreAdded: each figure of the parts is in the sum once, in its second.
func TestPartsAreAdded(t *testing.T) {
	text := func(cells ...stats.Cell) string {
		second := stats.Second{}
		for _, c := range cells {
			second[c]++
		}
		return encode([]stats.Second{second})[0]
	}
	a, b := &Part{Name: "a"}, &Part{Name: "b"}
	a.Arrivals, b.Arrivals = Arrivals{Due: 5, Started: 3, Dropped: 2, InFlightMax: 4}, Arrivals{Due: 1, Started: 1, InFlightMax: 1}
	a.Beacons = Beacons{Sent: 64, Received: 32, Lost: 16, Doubled: 8, Late: 4, Malformed: 2, Dropped: 1}
	b.Beacons = Beacons{Sent: 640, Received: 320, Lost: 160, Doubled: 80, Late: 40, Malformed: 20, Dropped: 10}
	a.HasOwn, a.Processors, a.Own, a.Length, a.InFlight = true, 2, Usage{User: 3, System: 5}, 9, 1
	b.HasOwn, b.Processors, b.Own, b.Length, b.InFlight = true, 4, Usage{User: 1, System: 1}, 7, 2
	a.Phases[1].Arrivals, b.Phases[1].Arrivals = [][2]uint32{{2, 1}, {3, 2}}, [][2]uint32{{0, 0}, {1, 1}}
	a.Phases[1].NotOK, b.Phases[1].NotOK = [][Unknown + 1]uint32{{}, {Failed: 1}}, [][Unknown + 1]uint32{{Unknown: 1}, {Failed: 2}}
	a.Phases[1].Lags, b.Phases[1].Lags = []string{text(1), text(2)}, []string{"", text(2, 3)}
	a.Phases[1].Operations[Login].ResponseSeconds = []string{text(4)}
	b.Phases[1].Operations[Login].ServiceSeconds = []string{text(), text(5)}
	all, err := merged([]*Part{a, b}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Arrivals{Due: 6, Started: 4, Dropped: 2, InFlightMax: 5}); all.Arrivals != want {
		t.Errorf("arrivals %+v, want %+v", all.Arrivals, want)
	}
	if want := (Beacons{Sent: 704, Received: 352, Lost: 176, Doubled: 88, Late: 44, Malformed: 22, Dropped: 11}); all.Beacons != want {
		t.Errorf("beacons %+v, want %+v", all.Beacons, want)
	}
	if all.processors != 6 || all.Own.User != 4 || all.Own.System != 6 || all.Length != 9 || all.inFlight != 3 || !all.HasOwn {
		t.Errorf("%v processors, use %+v, length %v, in flight %d", all.processors, all.Own, all.Length, all.inFlight)
	}
	login := &all.figures.kinds[Login]
	got := fmt.Sprint(all.arrivals[1], all.figures.notOK, all.figures.lagSeconds, login.responseSeconds, login.serviceSeconds)
	if want := "[{2 1} {4 3}] [[0 0 1] [0 3 0]] [map[1:1] map[2:2 3:1]] [map[4:1]] [map[] map[5:1]]"; got != want {
		t.Errorf("seconds %s\nwant    %s", got, want)
	}
	b.HasOwn = false
	if all, err := merged([]*Part{a, b}, 1); err != nil || all.HasOwn {
		t.Error("the use of all is known without that of one")
	}
}

// TestPartsAreJudged: a generator that was the bottleneck, whose figures do not agree, or that lost the server, is named.
func TestPartsAreJudged(t *testing.T) {
	traffic := steady(30, time.Second, scenarios.VerbLogin)
	a, b := &Part{Name: "a", ClockError: 5 * ms}, &Part{Name: "b", ClockError: 5*ms + 1, Outage: "refused", OutageAt: 7}
	b.Overload, b.Unbalanced = []string{"late"}, []string{"1 is not 2"}
	m := &Measurement{figures: newFigures(0), warm: newFigures(0), parts: []*Part{a, b}, Interrupted: true}
	if why := m.Overloads(5 * ms); len(why) != 2 || why[0] != "the generator b: late" || !strings.Contains(why[1], "generator b may") {
		t.Errorf("overloads %q", why)
	}
	if broken := m.balanced(&traffic, m.Report(&traffic)).broken; len(broken) != 1 || broken[0] != "the generator b: 1 is not 2" {
		t.Errorf("broken %q", broken)
	}
	if text, since := outageOf(m.parts); text != "refused, at 1 of 2 generators" || since != 7 {
		t.Errorf("outage %q, %v", text, since)
	}
	a.Outage = "no answer"
	if text, _ := outageOf(m.parts); text != "no answer" {
		t.Errorf("outage of both %q", text)
	}
}
