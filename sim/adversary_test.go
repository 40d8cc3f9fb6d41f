package sim

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bluetrace/protocol"
	"bluetrace/scenarios"
)

// allAdversaries is a scenario for adversaries. Phones 0 and 1 are honest, 2 is ghost without an account, and 3 is
// liar.
const allAdversaries = `name: adversaries
length: 2m
start: 30/07/2020 09:00:00
invariants: true
phones: [{name: a}, {name: b}, {name: ghost, account: none}, {name: liar}]
routine:
  - {phones: a, within: 1s, do: [login, Download_tempID]}
  - {phones: a, every: 5s, from: 10s, do: Beacon, to: b}
`

const ghost, liar = 2, 3

// attacksOf counts the actions of a phone that only adversaries do.
func (w *watchedRun) attacksOf(phone int) []command {
	return slices.DeleteFunc(slices.Clone(w.commands),
		func(c command) bool { return c.step.Phone != phone || c.step.Text == "login" })
}

// runAdversary runs allAdversaries with one more adversary and requires that every check holds.
func runAdversary(t *testing.T, adversary string) *watchedRun {
	t.Helper()
	w := watch(t, parse(t, allAdversaries+"adversaries: ["+adversary+"]\n"))
	for _, c := range w.Checks {
		if c.Verdict != "passed" {
			t.Errorf("%s: %s; expected %s, found %s", adversary, c.Name, c.Expected, c.Found)
		}
	}
	return w
}

// TestPeriodOfAdversaries checks from, until, every and jitter.
func TestPeriodOfAdversaries(t *testing.T) {
	all := runAdversary(t, "{hold: server, by: ghost, every: 5s, jitter: 20%, from: 20s, until: 70s}").attacksOf(ghost)
	for i, c := range all {
		if c.at < 20*time.Second || c.at >= 70*time.Second {
			t.Errorf("it acts at %s, want from 20 s to before 70 s", c.at)
		}
		if i > 0 && (c.at-all[i-1].at < 4*time.Second || c.at-all[i-1].at > 6*time.Second) {
			t.Errorf("it acts %s after the time before, want 4 to 6 s", c.at-all[i-1].at)
		}
	}
	if n := len(all); n < 8 || n > 13 || all[0].at >= 25*time.Second {
		t.Errorf("it acted %d times in 50 s, every 5 s, first at %s", n, all[0].at)
	}
}

func TestForge(t *testing.T) {
	w := runAdversary(t, "{forge: [a, b], by: ghost, every: 250ms}")
	all, omitted := w.attacksOf(ghost), 0
	for _, c := range all {
		f := c.step.Forge
		if f == nil || !slices.Equal(f.To, []int{0, 1}) || f.Copy != -1 || len(f.TempID) != protocol.TempIDSize {
			t.Fatalf("it did %+v, want a beacon of its own to a and b", c.step)
		}
		omitted += len(f.Omit)
	}
	if n := len(all); n < 470 || omitted == 0 || omitted == n || w.Beacons.Valid < 24+50 || w.Beacons.Invalid < 50 {
		t.Errorf("%d forged, %d with a part left out; %d valid and %d invalid, want some of each", n, omitted,
			w.Beacons.Valid, w.Beacons.Invalid)
	}
}

func TestFlood(t *testing.T) {
	w := runAdversary(t, "{flood: b, by: ghost, every: 100ms, until: 1m}")
	lengths := map[int]bool{}
	for _, c := range w.attacksOf(ghost) {
		d := c.step.Datagrams
		if d == nil || !slices.Equal(d.To, []int{1}) || len(d.Send) != 1 || len(d.Send[0]) < 1 || len(d.Send[0]) > 120 {
			t.Fatalf("it did %+v, want one datagram to b", c.step)
		}
		lengths[len(d.Send[0])] = true
	}
	if len(lengths) < 90 || w.Beacons.Kept != uint64(22) {
		t.Errorf("%d lengths of datagrams; b kept %d beacons, want a's 22", len(lengths), w.Beacons.Kept)
	}
}

func TestGuess(t *testing.T) {
	w := runAdversary(t, "{guess: [a, b], by: ghost, every: 2s}")
	victims, near := map[string]int{}, 0
	for _, c := range w.attacksOf(ghost) {
		s := c.step.TCP
		if s == nil || !s.Connect || !s.Close || len(s.Send) < 2 || len(s.Send) > 5 {
			t.Fatalf("it did %+v, want a name and up to four passwords", c.step)
		}
		victims[s.Send[0]]++
		for _, p := range s.Send[1:] {
			if !strings.HasPrefix(p, "guess") {
				near++
			}
		}
	}
	if near == 0 {
		t.Error("no guess is nearly right")
	}
	if len(victims) != 2 || w.Logins.Blocked == 0 || w.Logins.Refused == 0 {
		t.Errorf("guesses at %v, %d blocked, %d refused", victims, w.Logins.Blocked, w.Logins.Refused)
	}
}

// TestGuessesAreWrong checks that no guess is the password, and that some differ from it in one character.
func TestGuessesAreWrong(t *testing.T) {
	for _, password := range []string{"comp3331", "UPPER", "a", "7"} {
		near := map[string]bool{}
		for n := range 1000 {
			g := guess(password, n)
			if g == password || g == "" {
				t.Errorf("%q is guessed as %q", password, g)
			}
			if !strings.HasPrefix(g, "guess") {
				near[g] = true
			}
		}
		if len(near) < 3 || !near[password+"x"] {
			t.Errorf("the guesses of %q that are nearly right are %v", password, near)
		}
	}
}

func TestGarbage(t *testing.T) {
	w := runAdversary(t, "{garbage: server, by: ghost, every: 500ms}")
	closed, reset, open, sent := 0, 0, 0, 0
	for _, c := range w.attacksOf(ghost) {
		s := c.step.TCP
		if s == nil || !s.Connect || s.Close && s.Reset {
			t.Fatalf("it did %+v, want a connection with bytes", c.step)
		}
		sent += len(s.Send)
		switch {
		case s.Close:
			closed++
		case s.Reset:
			reset++
		default:
			open++
		}
	}
	if sent < 2*(closed+reset+open) || closed < 50 || reset < 20 || open < 20 || w.Logins.Welcomed != 1 {
		t.Errorf("%d sent, %d closed, %d reset, %d left open, %d welcomed", sent, closed, reset, open,
			w.Logins.Welcomed)
	}
}

func TestHold(t *testing.T) {
	w := runAdversary(t, "{hold: server, by: ghost, every: 1s}")
	for _, c := range w.attacksOf(ghost) {
		if s := c.step.TCP; s == nil || !s.Connect || len(s.Send) > 0 || s.Close || s.Reset {
			t.Fatalf("it did %+v, want a connection and nothing on it", c.step)
		}
	}
	if w.Sessions.Opened < 119 || w.Sessions.Closed > 1 {
		t.Errorf("%d sessions opened and %d closed, want about 120 held", w.Sessions.Opened, w.Sessions.Closed)
	}
}

// TestFalseUploads checks that no invented TempID resolves, and every overheard one does.
func TestFalseUploads(t *testing.T) {
	issued := func(w *watchedRun) (ids []string) {
		for _, m := range regexp.MustCompile(`server -> a: c\d+ "(\d{20})"`).FindAllStringSubmatch(w.trace, -1) {
			ids = append(ids, m[1])
		}
		return ids
	}
	for _, kind := range []string{"invented", "foreign"} {
		w := runAdversary(t, "{upload: "+kind+", by: liar, every: 10s}")
		all := w.attacksOf(liar)
		ids := issued(w)
		entries := 0
		for _, c := range all {
			s := c.step.TCP.Send
			n, err := strconv.Atoi(s[3])
			if !slices.Equal(s[:3], []string{"{user}", "{password}", "Upload_contact_log"}) || err != nil ||
				n != len(s)-4 || n == 0 || n%3 != 0 {
				t.Fatalf("it sent %q, want an upload", s)
			}
			for i := 4; i < len(s); i += 3 {
				if known := slices.Contains(ids, s[i]); known != (kind == "foreign") {
					t.Errorf("%s: it uploads %s, and a was given %v", kind, s[i], ids)
				}
				entries++
			}
		}
		resolved := uint64(0)
		if kind == "foreign" {
			resolved = w.Uploads.Entries
		}
		if len(all) < 9 || w.Uploads.Complete < 9 || w.Uploads.Entries > uint64(entries) ||
			w.Uploads.Resolved != resolved {
			t.Errorf("%s: %d uploads of %d entries; %+v", kind, len(all), entries, w.Uploads)
		}
	}
}

// TestReplay checks that an overheard beacon is sent unchanged, to the given phones and after the given delay.
func TestReplay(t *testing.T) {
	w := runAdversary(t, "{replay: a, by: ghost, to: [b, liar], after: 1s..2s, from: 30s, until: 60s}")
	all := w.attacksOf(ghost)
	for _, c := range all {
		f := c.step.Forge
		if f == nil || !slices.Equal(f.To, []int{1, liar}) || f.Start.Text == "" ||
			!strings.Contains(w.trace, "TempID "+f.TempID[:8]+".."+f.TempID[12:]) {
			t.Fatalf("it did %+v, want the beacon of a", c.step)
		}
		if c.at < 31*time.Second || c.at >= 62*time.Second {
			t.Errorf("it is sent again at %s, want 1 to 2 s after one between 30 and 60 s", c.at)
		}
	}
	if len(all) != 6 || w.Beacons.Valid != 22+2*6 {
		t.Errorf("%d of 6 beacons were replayed; %d valid, want %d", len(all), w.Beacons.Valid, 22+2*6)
	}
	none := runAdversary(t, "{replay: b, by: ghost, to: a, after: 1s}").attacksOf(ghost)
	some := runAdversary(t, "{replay: a, by: ghost, to: b, after: 1s, chance: 50%}").attacksOf(ghost)
	if len(none) != 0 || len(some) < 4 || len(some) > 18 {
		t.Errorf("of a phone that sent nothing %d were replayed, and of 22 with a chance of one half %d", len(none),
			len(some))
	}
}

// TestReplaysDoNotFeedOnEachOther checks that a phone replays neither its own beacons nor replayed ones, also
// without a delay.
func TestReplaysDoNotFeedOnEachOther(t *testing.T) {
	for _, c := range []struct {
		name, text string
		replays    uint64 // of 22 beacons of a, each received by b
	}{
		{"itself", "{replay: a, by: a, to: a}", 0},
		{"by way of another", "{replay: [a, ghost], by: ghost, to: b}", 22},
		{"to itself", "{replay: [a, ghost], by: ghost, to: ghost}", 22},
		{"two of one kind", "{replay: [a, ghost, liar], by: [ghost, liar], to: [ghost, liar]}", 44},
		{"two that replay each other",
			"{replay: [a, liar], by: ghost, to: liar}, {replay: [ghost], by: liar, to: ghost}", 22},
		{"beside a forger", "{replay: [ghost, liar], by: ghost, to: liar}, {forge: ghost, by: ghost, every: 1s}", 0},
	} {
		got := uint64(0)
		for _, k := range runAdversary(t, c.text).Adversaries {
			if k.Kind == "replay" {
				got = k.Count
			}
		}
		if got != c.replays {
			t.Errorf("%s: %d replays, want %d", c.name, got, c.replays)
		}
	}
}

// TestAdversariesRepeat checks that the actions of an adversary depend on the seed only.
func TestAdversariesRepeat(t *testing.T) {
	kinds := []string{
		"{forge: b, by: ghost, every: 3s, jitter: 50%}", "{flood: b, by: ghost, every: 3s}",
		"{guess: [a, b], by: ghost, every: 3s}",
		"{garbage: server, by: ghost, every: 3s}", "{hold: server, by: ghost, every: 3s}",
		"{upload: invented, by: liar, every: 3s}",
		"{replay: a, by: ghost, to: b, after: 1s..9s}",
	}
	doings := func(text string, seed, phone int) []command {
		list := watch(t,
			parse(t, fmt.Sprintf("%sseed: %d\nadversaries: [%s]\n", allAdversaries, seed, text))).attacksOf(phone)
		for i := range list {
			list[i].step.Pos, list[i].step.At.Pos, list[i].step.Text = scenarios.Pos{}, scenarios.Pos{}, ""
		}
		return list
	}
	for _, kind := range kinds {
		who := ghost
		if strings.Contains(kind, "by: liar") {
			who = liar
		}
		one := doings(kind, 5, who)
		if len(one) == 0 {
			t.Errorf("%s did nothing", kind)
		}
		if again := doings(kind+", {flood: a, by: b, every: 1s}", 5, who); !reflect.DeepEqual(one, again) {
			t.Errorf("%s does something else beside another adversary", kind)
		}
		if other := doings(kind, 6, who); reflect.DeepEqual(one, other) {
			t.Errorf("%s does the same with another seed", kind)
		}
	}
}
