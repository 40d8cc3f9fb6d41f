package virtual_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol"
	"bluetrace/sim/virtual"
)

func TestClockReadsVirtualTime(t *testing.T) {
	sydney, err := time.LoadLocation("Australia/Sydney")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, virtual.Config{Begin: -50 * ms, Zone: protocol.NewZone(sydney)})
	var c clock.Clock = r.Clock()
	const layout = "02/01/2006 15:04:05.999999999 MST"
	read := func(want string) {
		t.Helper()
		if got := c.Now().Format(layout); got != want {
			t.Errorf("the clock reads %s, want %s", got, want)
		}
	}
	read("30/07/2020 18:59:59.95 AEST")
	zero := time.Unix(start, 0)
	if got := c.Until(zero); got != 50*ms {
		t.Errorf("until time zero: %s, want 50ms", got)
	}
	r.until(90*second + 1)
	read("30/07/2020 19:01:30.000000001 AEST")
	if got := c.Since(zero); got != 90*second+1 {
		t.Errorf("since time zero: %s, want 1m30.000000001s", got)
	}
	if got := c.Until(zero); got != -90*second-1 {
		t.Errorf("until time zero: %s, want -1m30.000000001s", got)
	}
	if got := c.Since(c.Now()); got != 0 {
		t.Errorf("since now: %s, want 0s", got)
	}
}

func TestClockRefusesTimers(t *testing.T) {
	c := newRig(t, virtual.Config{}).Clock()
	for name, call := range map[string]func(){
		"After":        func() { c.After(1) },
		"AfterFunc":    func() { c.AfterFunc(1, func() {}) },
		"Sleep":        func() { c.Sleep(1) },
		"Tick":         func() { c.Tick(1) },
		"Ticker":       func() { c.Ticker(1) },
		"Timer":        func() { c.Timer(1) },
		"WithDeadline": func() { c.WithDeadline(context.Background(), time.Time{}) },
		"WithTimeout":  func() { c.WithTimeout(context.Background(), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			func() {
				defer func() {
					want := "virtual.Clock." + name +
						": virtual time has no timers; a state machine returns its next wake-up"
					if got := recover(); got != want {
						t.Errorf("%s panics with %v, want %q", name, got, want)
					}
				}()
				call()
			}()

		})
	}
}

func TestBeginBeforeZero(t *testing.T) {
	r := newRig(t, virtual.Config{Begin: -50 * ms})
	if got := r.Now(); got != -50*ms {
		t.Errorf("the world begins at %s, want -50ms", got)
	}
	var calls []time.Duration
	for _, at := range []time.Duration{0, -20 * ms, -70 * ms, -20*ms + 1} {
		r.Call(at, func() { calls = append(calls, r.Now()) })
	}
	r.Call(-20*ms, func() { r.loginOK(0) })
	r.until(second)
	want := []time.Duration{-50 * ms, -20 * ms, -20*ms + 1, 0}
	if len(calls) != 4 || [4]time.Duration(calls) != [4]time.Duration(want) {
		t.Errorf("calls came at %v, want %v", calls, want)
	}
	if got := r.serverReads; len(got) != 2 || got[0].at != -20*ms || got[0].text != "a" || got[1].at != 30*ms ||
		got[1].text != "pw-a" {
		t.Errorf("the server read %+v, want the name at -20ms and the password at 30ms", got)
	}
	if first, _, _ := strings.Cut(r.trace.String(), "\n"); first != `-0.050000000 server: prints "I am listening"` {
		t.Errorf("the trace begins with %q", first)
	}
}
