package load

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
				due, phones := uint64(0), 0
				for i := range 3 {
					together = append(together, operationsOf(t, func(rows *Rows) {
						c := shared(faked(newFake(), 91, traffic), Share{i, 3}, &alone{})
						c.Rows, c.Traffic.LagBudget = rows, 10*ms
						phones += len(c.Phones)
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
				if phones != 91 {
					t.Errorf("the shares have %d phones of 91", phones)
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
