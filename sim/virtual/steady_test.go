package virtual_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/check"
	"bluetrace/sim/event"
	"bluetrace/sim/prefetch"
	"bluetrace/sim/virtual"
	"bluetrace/sim/world"
)

// crowd is a world of phones that send beacons periodically, with the invariants of
// a run.
type crowd struct {
	world   *virtual.World
	records *world.Records
	phones  uint32
	broken  []check.Violation
}

// Each phone sends its beacon to others phones, once a period.
const (
	others = 4
	period = 10 * second
)

func newCrowd(tb testing.TB, phones int, form protocol.Form, retention time.Duration) *crowd {
	tb.Helper()
	c := &crowd{phones: uint32(phones)}
	settings := nodes.DefaultPhoneSettings()
	settings.Form, settings.Retention = form, retention
	rules := check.Rules{
		Start: start, Location: time.UTC, BlockDuration: time.Minute, Lifetime: 15 * time.Minute,
		Accounts: make(map[string]string, phones), Retention: make([]time.Duration, phones),
	}
	config := virtual.Config{
		Seed: 1, Start: start, Zone: settings.Zone, Server: nodes.DefaultServerSettings(),
		TCP: virtual.TCP{Delay: virtual.Delay{Min: 10 * ms, Max: 40 * ms}},
		UDP: virtual.UDP{Delay: virtual.Delay{Min: ms, Max: 5 * ms}},
	}
	for i := range phones {
		name, password := fmt.Sprintf("phone-%d", i), fmt.Sprintf("comp%d", i)
		config.Phones = append(config.Phones, virtual.PhoneConfig{Name: name, Settings: &settings})
		config.Credentials = append(config.Credentials, nodes.Credential{User: name, Password: password})
		rules.Accounts[name], rules.Retention[i] = password, retention
	}
	violated := func(v check.Violation) { c.broken = append(c.broken, v) }
	config.Events, config.Tick = &event.Stream{}, c.Tick
	c.records = world.NewRecords(nil, nil)
	c.records.Subscribe(config.Events)
	invariants := check.New(rules, violated)
	invariants.Subscribe(config.Events)
	config.Prefetchers = []prefetch.Prefetcher{invariants}
	w, err := virtual.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	c.world = w
	return c
}

// Tick sends the beacon of one phone to the phones after it.
func (c *crowd) Tick(who, _ uint32) {
	var near [others]uint32
	for k := range near {
		near[k] = (who + uint32(k) + 1) % c.phones
	}
	c.world.SendBeacons(who, near[:])
	c.world.Tick(c.world.Now()+period, who, 0)
}

// logIn logs in all phones within ten seconds, and downloads a TempID for each.
func (c *crowd) logIn(tb testing.TB) {
	for who := range c.phones {
		c.world.Call(time.Duration(who)*period/time.Duration(c.phones), func() {
			c.world.Open(who)
			c.world.Type(who, c.world.Name(who))
			c.world.Type(who, fmt.Sprintf("comp%d", who))
			c.world.Type(who, protocol.CommandDownload)
		})
	}
	c.until(tb, 15*second)
	if got := c.records.Totals().TempIDs.Issued; got != uint64(c.phones) {
		tb.Fatalf("%d TempIDs issued, want %d", got, c.phones)
	}
}

func (c *crowd) beacon() {
	for who := range c.phones {
		c.world.Tick(c.world.Now()+time.Duration(who)*period/time.Duration(c.phones), who, 0)
	}
}

func (c *crowd) until(tb testing.TB, at time.Duration) {
	if err := c.world.Run(context.Background(), at, nil); err != nil {
		tb.Fatal(err)
	}
	if len(c.broken) > 0 {
		tb.Fatalf("%+v does not hold", c.broken[0])
	}
}

// TestNoAllocationPerBeacon checks that a beacon costs no allocation in the steady
// state, with all invariants.
func TestNoAllocationPerBeacon(t *testing.T) {
	phones := 200
	if testing.Short() {
		phones = 40
	}
	for _, form := range []protocol.Form{protocol.Split, protocol.Single} {
		t.Run(form.String(), func(t *testing.T) {
			c := newCrowd(t, phones, form, 20*second)
			c.logIn(t)
			c.beacon()
			at := 11 * time.Minute // the queue has gone round its wheel twice
			c.until(t, at)
			before := c.records.Totals().Beacons
			allocs := testing.AllocsPerRun(5, func() {
				at += period
				c.until(t, at)
			})
			beacons := (c.records.Totals().Beacons.Valid - before.Valid) / 6 // one run warms up
			if beacons != uint64(phones)*others {
				t.Errorf("%s: %d valid beacons in a period, want %d", form, beacons, phones*others)
			}
			if c.records.Totals().Beacons.Expired == before.Expired {
				t.Errorf("%s: no entry expired: this is no steady state", form)
			}
			if allocs != 0 {
				t.Errorf("%s: %g allocations for %d beacons, want none", form, allocs, beacons)
			}

		})
	}
}

// heap returns the size of the live heap in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemory checks the memory of a phone, at most 1 KiB at rest, and of a log
// entry, at most 64 bytes, with the invariants. A phone that is logged in takes
// more: its session, account and TempID at the server, on the server's disk and in
// the invariants.
func TestMemory(t *testing.T) {
	crowds := map[protocol.Form]int{protocol.Single: 20_000, protocol.Split: 4_000}
	if testing.Short() {
		crowds = map[protocol.Form]int{protocol.Single: 5_000, protocol.Split: 4_000}
	}
	for form, phones := range crowds {
		t.Run(form.String(), func(t *testing.T) {
			each := func(bytes int64) float64 { return float64(bytes) / float64(phones) }
			empty := heap()
			one := newCrowd(t, 1, form, 3*time.Minute)
			fixed := heap() - empty
			runtime.KeepAlive(one)

			empty = heap()
			c := newCrowd(t, phones, form, 3*time.Minute)
			rest := each(heap() - empty - fixed)
			c.logIn(t)
			online := each(heap() - empty - fixed)
			t.Logf("%s: %.0f bytes a phone at rest, %.0f logged in", form, rest, online)
			if rest > 1024 || rest < 100 || online > 2048 {
				t.Errorf("%s: %.0f bytes a phone at rest and %.0f logged in, want at most 1024 (and no fewer than a "+
					"phone's fields) and 2048", form, rest, online)
			}

			// Memory for sending is allocated with the first beacons, before the entries.
			c.beacon()
			c.until(t, 15*second+period)
			some, kept := heap(), c.records.Totals().Beacons.Kept
			c.until(t, 3*time.Minute)
			grown := heap() - some
			entries := c.records.Totals().Beacons.Kept - kept
			if entries < uint64(phones)*others*14 || c.records.Totals().Beacons.Expired != 0 {
				t.Fatalf("%s: %d entries more, %d expired", form, entries, c.records.Totals().Beacons.Expired)
			}
			perEntry := float64(grown) / float64(entries)
			t.Logf("%s: %.1f bytes an entry", form, perEntry)
			if perEntry > 64 || perEntry < 40 {
				t.Errorf("%s: %.1f bytes a log entry, want at most 64 (and no fewer than an entry's fields)", form,
					perEntry)
			}
			runtime.KeepAlive(c)

		})
	}
}

// BenchmarkBeacons measures one beacon in the steady state, with all invariants.
func BenchmarkBeacons(b *testing.B) {
	for _, form := range []protocol.Form{protocol.Split, protocol.Single} {
		b.Run(form.String(), func(b *testing.B) {
			const phones = 2000
			c := newCrowd(b, phones, form, 3*time.Minute)
			c.logIn(b)
			c.beacon()
			at := 5 * time.Minute
			c.until(b, at)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += phones * others {
				at += period
				c.until(b, at)
			}
		})
	}
}
