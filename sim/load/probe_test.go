package load

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bluetrace/scenarios"
)

// stalledUntil returns a server that answers no request before a time.
func stalledUntil(until time.Duration) *fake {
	f := newFake()
	f.stall = func(string, time.Duration) time.Duration { return until }
	return f
}

func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := faked(newFake(), 5, steady(10, time.Second, scenarios.VerbLogin))
		took, err := Probe(t.Context(), c)
		if err != nil || took != 2*answerTime {
			t.Errorf("%v, %v; want two answers, 2ms", took, err)
		}
		if len(c.Phones) != 5 || c.Traffic.Session == nil {
			t.Error("the caller's configuration was changed")
		}
	})
}

func TestRecoverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := faked(stalledUntil(7*time.Second), 5, steady(10, time.Second, scenarios.VerbLogin))
		if err := Recover(t.Context(), c, 2*answerTime, time.Minute); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("it took %v to see that the server had recovered after 7s", took)
		}
	})
}

func TestRecoverGivesUp(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func() *fake
		want string
	}{
		{"a server that is slow for ever", func() *fake {
			f := newFake()
			f.stall = func(_ string, at time.Duration) time.Duration { return at + 100*time.Millisecond }
			return f
		}, "the server had not recovered 30s later: a login and a download took 200ms, and 2ms before the search"},
		{"one that answers nothing", func() *fake {
			f := newFake()
			f.silent = true
			return f
		}, "the server had not recovered 30s later: logging in phone 1 of 1 (user0) at the server of the load, " +
			"before the load: login: no answer within "},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			err := Recover(t.Context(), faked(c.f(), 5, steady(10, time.Second, scenarios.VerbLogin)), 2*answerTime,
				30*time.Second)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v\nwant %s", c.name, err, c.want)
			}
			if took := time.Since(began); took > 45*time.Second {
				t.Errorf("%s: it gave up after %v", c.name, took)
			}
		})
	}
}
