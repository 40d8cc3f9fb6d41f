package nodes

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func (r *serverRig) next() time.Duration {
	at, ok := r.s.NextWake()
	if !ok {
		return -1
	}
	return at
}

func TestLoginTimeout(t *testing.T) {
	r := newServerRig(t, nil)
	equal(t, "nothing to wait for", r.next(), -1)
	r.accept(0)
	r.at(time.Second).accept(1)
	equal(t, "two minutes after the accept", r.next(), 2*time.Minute)
	same(t, "input does not prolong it", r.at(119*time.Second).read(0, alice))
	same(t, "a nanosecond before", r.at(2*time.Minute-1).wake())
	same(t, "at the limit", r.at(2*time.Minute).wake(), "a session did not log in within 2m0s", "0> FIN")
	equal(t, "reason", r.lastEvent(EventSessionEnded), ServerEvent{Kind: EventSessionEnded, User: alice,
		Reason: ReasonLoginTimeout})
	equal(t, "the other", r.next(), 121*time.Second)
	// A deadline comes before an input that arrives at the same time.
	same(t, "a name at its limit", r.at(121*time.Second).read(1, alice), "a session did not log in within 2m0s",
		"1> FIN")
	equal(t, "nothing is left", r.next(), -1)
}

func TestIdleTimeout(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	r.at(time.Second).login(1, bob, bobPassword)
	equal(t, "an hour after the welcome", r.next(), time.Hour)
	r.at(10*time.Second).read(0, "noise")
	equal(t, "the other one now", r.next(), time.Hour+time.Second)
	same(t, "at the limit", r.at(time.Hour+time.Second).wake(), bob+": nothing received for 1h0m0s", bob+" logout",
		"1> FIN")
	same(t, "a nanosecond before", r.at(time.Hour+10*time.Second-1).read(0, "noise"), alice+`: no command: "noise"`)
	same(t, "in the middle of an upload", r.read(0, "Upload_contact_log"), "0> 1")
	same(t, "all that ends", r.at(2*time.Hour+10*time.Second-1).wake(), alice+": nothing received for 1h0m0s",
		alice+": incomplete upload: no count of lines", alice+" logout", "0> FIN")
}

// The list of deadlines keeps its order for any sequence of operations.
func TestDeadlinesStayInOrder(t *testing.T) {
	r := newServerRig(t, nil)
	for c := range Conn(6) {
		r.at(time.Duration(c)*time.Second).login(c, alice, alicePassword)
	}
	r.at(10*time.Second).read(2, "x")
	r.at(11 * time.Second).eof(0)
	r.at(12 * time.Second).eof(5)
	r.at(13*time.Second).read(1, "x")
	r.at(14 * time.Second).accept(0)
	var got []time.Duration
	for {
		at, ok := r.s.NextWake()
		if !ok {
			break
		}
		got = append(got, at)
		r.at(at).wake()
	}
	want := []time.Duration{2*time.Minute + 14*time.Second, time.Hour + 3*time.Second, time.Hour + 4*time.Second,
		time.Hour + 10*time.Second, time.Hour + 13*time.Second}
	equal(t, "number of deadlines", len(got), len(want))
	for i := range min(len(got), len(want)) {
		equal(t, "deadline", got[i], want[i])
	}
}

// Beyond the limit, the oldest session that is not logged in is closed.
func TestMaxConnections(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.MaxConnections = 3 })
	r.accept(0, 1)
	r.login(2, alice, alicePassword)
	r.at(time.Second).accept(3)
	equal(t, "the oldest", r.closed[0], true)
	equal(t, "the next", r.closed[1] || r.closed[2] || r.closed[3], false)
	equal(t, "reason", r.lastEvent(EventSessionEnded), ServerEvent{Kind: EventSessionEnded, Reason: ReasonTooMany})
	equal(t, "it may be used again", r.s.Reading(0), false)
	r.read(1, alice)
	same(t, "welcome", r.read(1, alicePassword), "1> "+welcome, "users: "+alice)
	for c, want := range []bool{false, true, true, false} {
		equal(t, "logged in", r.s.connection(Conn(c)).loggedIn(), want)
	}
	r.read(3, bob)
	r.read(3, bobPassword)
	r.eof(2)
	r.accept(2)
	equal(t, "there is room again", r.closed[2], false)
}

// A flood of connections from one address closes its own sessions only.
func TestAFloodClosesItsOwnSessions(t *testing.T) {
	addresses := func(list ...string) (all []netip.Addr) {
		for _, a := range list {
			all = append(all, netip.MustParseAddr(a))
		}
		return all
	}
	for _, test := range []struct {
		title        string
		flood, phone []netip.Addr
		survives     bool
	}{
		{"another address", addresses("192.0.2.1"), addresses("192.0.2.2"), true},
		{"the same address", addresses("192.0.2.1"), addresses("192.0.2.1"), false},
		{"the same address in IPv6", addresses("::ffff:192.0.2.1"), addresses("192.0.2.1"), false},
		{"one network of IPv6", addresses("2001:db8::1", "2001:db8::2", "2001:db8::3:4"), addresses("2001:db8:0:1::1"),
			true},
		{"the same network of IPv6", addresses("2001:db8::1", "2001:db8::2"), addresses("2001:db8::3"), false},
		{"two floods", addresses("192.0.2.1", "198.51.100.7"), addresses("192.0.2.2"), true},
		{"a household", addresses("192.0.2.1"), addresses("192.0.2.2", "192.0.2.2", "192.0.2.2"), true},
	} {
		t.Run(test.title, func(t *testing.T) {
			const limit = 10
			r := newServerRig(t, func(s *ServerSettings) { s.MaxConnections = limit })
			r.from = netip.MustParseAddr("203.0.113.9")
			r.login(0, alice, alicePassword)
			phones := Conn(0)
			for _, r.from = range test.phone {
				phones++
				r.accept(phones)
				r.read(phones, bob)
			}
			var free []Conn
			for c := range Conn(limit) {
				free = append(free, 100+c)
			}
			for i := range 20 * limit {
				r.from = test.flood[i%len(test.flood)]
				c := slices.IndexFunc(free, func(c Conn) bool { _, used := r.closed[c]; return !used || r.closed[c] })
				r.accept(free[c])
			}
			for c := Conn(1); c <= phones; c++ {
				equal(t, "the phone's session is closed", r.closed[c], !test.survives)
			}
			equal(t, "the session that is logged in is closed", r.closed[0], false)
			equal(t, "open", r.s.Usage().Sessions, limit)
			if !test.survives {
				return
			}
			r.runEffects()
			same(t, "the phone logs in", r.read(1, bobPassword), "1> "+welcome, "users: "+bob)
			for c := range r.closed {
				r.eof(c)
			}
			equal(t, "addresses that are counted", len(r.s.sessions.sources), 0)
			equal(t, "the largest number", r.s.sessions.most, 0)
		})
	}
}

// If all are logged in, a session of the account with the most sessions is closed.
func TestMaxConnectionsWhenAllAreLoggedIn(t *testing.T) {
	const a, b, carol = alice, bob, "+61411111111"
	for _, test := range []struct {
		title  string
		logins []string
		active []Conn // who sends something, in order
		want   Conn   // who goes for connection 5
	}{
		{title: "no account has two", logins: []string{a, b, carol}, want: 5},
		{title: "one has most", logins: []string{a, b, b, carol}, want: 1},
		{title: "of that one's, the longest idle", logins: []string{a, b, b, b}, active: []Conn{1, 3}, want: 2},
		{title: "two have as many", logins: []string{a, b, b, a}, active: []Conn{0}, want: 1},
		{title: "all of one", logins: []string{a, a, a}, want: 0},
	} {
		t.Run(test.title, func(t *testing.T) {
			r := newServerRig(t, func(s *ServerSettings) { s.MaxConnections = len(test.logins) })
			r.s.SetPasswords(NewPasswords([]Credential{{a, "x"}, {b, "x"}, {carol, "x"}}))
			for i, user := range test.logins {
				r.at(time.Duration(i)*time.Second).login(Conn(i), user, "x")
			}
			for i, c := range test.active {
				r.at(time.Minute+time.Duration(i)*time.Second).read(c, "noise")
			}
			r.runEffects()
			r.at(2 * time.Minute).accept(5)
			for c, closed := range r.closed {
				equal(t, fmt.Sprintf("connection %d is closed", c), closed, c == test.want)
			}
			equal(t, "reason", r.lastEvent(EventSessionEnded).Reason, ReasonTooMany)
		})
	}
}

// Sessions that end are not counted any more.
func TestAnAccountWithOneSessionLeftKeepsIt(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.MaxConnections = 2 })
	r.login(0, alice, alicePassword)
	r.login(1, alice, alicePassword)
	r.eof(1)
	r.login(2, bob, bobPassword)
	r.accept(3)
	equal(t, "the new one goes", r.closed[3], true)
	equal(t, "the others stay", r.closed[0] || r.closed[2], false)
}

// An account whose sessions have ended is none of those that have one session each.
func TestAnAccountWithoutSessionsIsNotCounted(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.MaxConnections = 2 })
	r.login(0, bob, bobPassword)
	r.eof(0)
	r.login(1, alice, alicePassword)
	r.login(2, alice, alicePassword)
	r.accept(3)
	equal(t, "the longest idle of two goes", r.closed[1], true)
	equal(t, "the new one goes", r.closed[3], false)
}

// A deadline comes before every input that arrives at the same time.
func TestDeadlinesComeBeforeInput(t *testing.T) {
	for title, input := range map[string]func(r *serverRig) []string{
		"a connection":  func(r *serverRig) []string { r.accept(3); return r.runEffects() },
		"bytes":         func(r *serverRig) []string { return r.read(1, "x") },
		"its own bytes": func(r *serverRig) []string { return r.read(0, alice) },
		"an end":        func(r *serverRig) []string { return r.eof(1)[:2] },
		"its own end":   func(r *serverRig) []string { return r.eof(0) },
		"a store":       func(r *serverRig) []string { return r.storedAs(1, nil)[:2] },
		"an eviction": func(r *serverRig) []string {
			r.s.EvictSession(r.now, &r.out)
			return r.runEffects()[:2]
		},
	} {
		r := newServerRig(t, nil)
		r.accept(0)
		r.at(time.Second).accept(1)
		r.login(2, bob, bobPassword)
		r.hold = true
		r.read(2, "Download_tempID")
		same(t, title, input(r.at(2*time.Minute)), "a session did not log in within 2m0s", "0> FIN")
	}
}

// Evictions at the limit are printed once, then once per hundred.
func TestEvictionsArePrintedOncePerHundred(t *testing.T) {
	r := newServerRig(t, func(s *ServerSettings) { s.MaxConnections = 1 })
	r.accept(0)
	for i := range 250 {
		r.accept(Conn(1 - i%2))
	}
	var lines []string
	for _, line := range r.runEffects() {
		if !strings.HasSuffix(line, "> FIN") {
			lines = append(lines, line)
		}
	}
	same(t, "lines", lines,
		"1 sessions at once, and no more: of the address with the most that are not logged in, the oldest is closed",
		"1 sessions at once, and no more: 100 were closed so far",
		"1 sessions at once, and no more: 200 were closed so far")
}

// EvictSession closes the least needed session.
func TestEvictSession(t *testing.T) {
	r := newServerRig(t, nil)
	crowded := func() []string {
		r.s.EvictSession(r.now, &r.out)
		return r.runEffects()
	}
	same(t, "no session", crowded())
	r.accept(0, 1)
	r.login(2, alice, alicePassword)
	same(t, "the oldest that is not logged in", crowded(), "0> FIN")
	equal(t, "reason", r.lastEvent(EventSessionEnded).Reason, ReasonTooMany)
	same(t, "the next", crowded(), "1> FIN")
	same(t, "one session of one account", crowded())
	r.login(3, alice, alicePassword)
	same(t, "the longest idle of two", crowded(), alice+" logout", "2> FIN")
}

func TestMisusePanics(t *testing.T) {
	r := newServerRig(t, nil)
	r.accept(0)
	panics := func(want string, f func()) {
		t.Helper()
		defer func() { equal(t, "panic", recover(), any(want)) }()
		f()
	}
	panics("accepting connection 0: it is still in use", func() { r.accept(0) })
	r.login(1, alice, alicePassword)
	r.hold = true
	r.read(1, "Download_tempID")
	panics("reading connection 1: it waits for store 1", func() { r.read(1, "x") })
	same(t, "a connection that never was", r.eof(77))
}

func TestServerSettingsAreRefused(t *testing.T) {
	bad := []struct {
		change func(*ServerSettings)
		want   string
	}{
		{func(s *ServerSettings) { s.BlockDuration = 0 },
			"invalid block duration 0s: must be above 0"},
		{func(s *ServerSettings) { s.TempIDLifetime = 1500 * time.Millisecond },
			"invalid TempID lifetime 1.5s: must be whole seconds above 0"},
		{func(s *ServerSettings) { s.LoginTimeout = -1 },
			"invalid login timeout -1ns: must be above 0"},
		{func(s *ServerSettings) { s.IdleTimeout = 0 },
			"invalid idle timeout 0s: must be above 0"},
		{func(s *ServerSettings) { s.Attempts = 0 },
			"invalid number of attempts before a block 0: must be 1 or more"},
		{func(s *ServerSettings) { s.MaxUploadLines = -1 },
			"invalid limit of upload lines -1: must be 0 to 9999999"},
		{func(s *ServerSettings) { s.MaxUploadLines = 10_000_000 },
			"invalid limit of upload lines 10000000: must be 0 to 9999999"},
		{func(s *ServerSettings) { s.MaxConnections = -1 },
			"invalid limit of connections -1: must be 1 or more, or 0 for none"},
		{func(s *ServerSettings) { s.MaxUploadBytes = -1 },
			"invalid limit of upload bytes -1: must be 1 or more, or 0 for none"},
		{func(s *ServerSettings) { s.MaxUnknownNames = 0 },
			"invalid limit of unknown names 0: must be 1 or more"},
		{func(s *ServerSettings) { s.MaxBlockedBytes = 0 },
			"invalid limit of bytes of blocked names 0: must be 1 or more"},
		{func(s *ServerSettings) { s.Zone = nil },
			"invalid zone <nil>: must be set"},
		{func(s *ServerSettings) { s.Entropy = nil },
			"invalid entropy <nil>: must be a source of randomness"},
	}
	for _, b := range bad {
		s := DefaultServerSettings()
		s.Entropy = &constantSource{list: []uint64{1}}
		b.change(&s)
		_, err := NewServer(s)
		if err == nil || err.Error() != "server settings: "+b.want {
			t.Errorf("got %v, want %q", err, b.want)
		}
	}
}

// The smallest and the largest valid settings of a server.
func TestServerSettingsAtTheirLimits(t *testing.T) {
	s := ServerSettings{BlockDuration: 1, TempIDLifetime: time.Second, LoginTimeout: 1, IdleTimeout: 1, Attempts: 1,
		MaxUnknownNames: 1, MaxBlockedBytes: 1, Zone: utc(), Entropy: &constantSource{}}
	equal(t, "the smallest", s.Validate(), nil)
	equal(t, "blocked names", s.MaxBlockedNames(), 1)
	s.MaxUploadLines, s.MaxBlockedBytes = 9_999_999, 3*UnknownNameBytes-1
	equal(t, "the most lines of an upload", s.Validate(), nil)
	equal(t, "blocked names", s.MaxBlockedNames(), 2)
}

// The default settings are the values of PROTOCOL.md.
func TestDefaultSettings(t *testing.T) {
	s := DefaultServerSettings()
	s.Zone = nil
	equal(t, "server", s, ServerSettings{BlockDuration: 60 * time.Second, TempIDLifetime: 900 * time.Second,
		LoginTimeout: 120 * time.Second, IdleTimeout: 3600 * time.Second, Attempts: 3, MaxUploadLines: 300_000,
		MaxUploadBytes: 268_435_456, MaxUnknownNames: 65_536, MaxBlockedBytes: 134_217_728})
	p := DefaultPhoneSettings()
	p.Zone = nil
	equal(t, "phone", p, PhoneSettings{Retention: 180 * time.Second, PasswordPause: 50 * time.Millisecond,
		RetryPause: 500 * time.Millisecond, AnswerLimit: 10 * time.Second, TempIDLifetime: 900 * time.Second})
}
