package scenarios

import (
	"testing"
	"time"

	"bluetrace/scenarios/fault"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var noTexts = cmp.Options{noPlaces, cmpopts.IgnoreFields(Fault{}, "Text"), cmpopts.IgnoreFields(Adversary{}, "Text"),
	cmpopts.IgnoreFields(Step{}, "Text")}

// TestFaults and the tests below have the phones a, group-1 to group-3, and mute, which has no account.
func TestFaults(t *testing.T) {
	all := Nodes{Any: true}
	a, group, server := Nodes{Phones: []int{0}}, Nodes{Phones: []int{1, 2, 3}}, Nodes{Server: true}
	range200 := Distribution{Min: 200 * time.Millisecond, Max: time.Second}
	for _, c := range []struct {
		text string
		want Fault
	}{
		{"{lose: 30%, from: group, to: a, at: 10s, for: 5s}",
			Fault{Kind: fault.Lose, At: 10 * time.Second, For: 5 * time.Second, Chance: 0.3, From: group, To: a}},
		{"{lose: 0%}", Fault{Kind: fault.Lose, From: all, To: all}},
		{"{delay: 200ms..1s, chance: 10%, from: group, skip: 2, count: 3}",
			Fault{Kind: fault.Delay, Chance: 0.1, From: group, To: all, Delay: range200, Skip: 2, Count: 3}},
		{"{delay: exp 1s, transport: tcp, from: [server], to: [a, group]}",
			Fault{Kind: fault.Delay, Chance: 1, From: server, To: Nodes{Phones: []int{0, 1, 2, 3}},
				Delay: Distribution{Mean: time.Second}, Stream: true}},
		{"{duplicate: 5%, transport: udp}", Fault{}},
		{"{duplicate: 1.1%}", Fault{Kind: fault.Duplicate, Chance: 0.011, From: all, To: all}},
		{"{reorder: 10%, by: 200ms..1s}", Fault{Kind: fault.Reorder, Chance: 0.1, From: all, To: all, Delay: range200}},
		{"{corrupt: 2%, byte: 17}", Fault{Kind: fault.Corrupt, Chance: 0.02, From: all, To: all, Bytes: 17}},
		{"{corrupt: 100%}", Fault{Kind: fault.Corrupt, Chance: 1, From: all, To: all}},
		{"{truncate: 2%, left: 0}", Fault{Kind: fault.Truncate, Chance: 0.02, From: all, To: all}},
		{"{truncate: 2%}", Fault{Kind: fault.Truncate, Chance: 0.02, From: all, To: all, Bytes: -1}},
		{"{cut: group-1, at: 1s, for: 30s}",
			Fault{Kind: fault.Cut, At: time.Second, For: 30 * time.Second, Chance: 1, Of: Nodes{Phones: []int{1}},
				From: all}},
		{"{cut: server, from: [group-1, group-2], one_way: out}",
			Fault{Kind: fault.Cut, Chance: 1, Of: server, From: Nodes{Phones: []int{1, 2}}, OneWay: "out"}},
		{"{slow: 2000, room: 8000, transport: tcp, to: server}",
			Fault{Kind: fault.Slow, Chance: 1, From: all, To: server, Stream: true, Bytes: 2000, Room: 8000}},
		{"{pieces: 3, of: group}", Fault{Kind: fault.Pieces, Chance: 1, Of: group, Bytes: 3}},
		{"{join: 50ms}", Fault{Kind: fault.Join, Chance: 1, Of: all, Delay: Distribution{Min: 50 * time.Millisecond,
			Max: 50 * time.Millisecond}}},
		{"{reset: a, at: 2s}", Fault{Kind: fault.Reset, At: 2 * time.Second, Chance: 1, Of: a}},
		{"{reset: a, at: 2s, every: 5s}", Fault{Kind: fault.Reset, At: 2 * time.Second, Every: 5 * time.Second,
			Chance: 1, Of: a}},
		{"{reset: a, chance: 1%, for: 5s, count: 1}", Fault{Kind: fault.Reset, For: 5 * time.Second, Chance: 0.01,
			Count: 1, Of: a}},
		{"{half_close: a, at: 2s}", Fault{Kind: fault.HalfClose, At: 2 * time.Second, Chance: 1, Of: a}},
		{"{stall: [server, mute]}", Fault{Kind: fault.Stall, Chance: 1, Of: Nodes{Server: true, Phones: []int{4}}}},
		{"{refuse: group, chance: 50%, skip: 1}", Fault{Kind: fault.Refuse, Chance: 0.5, Skip: 1, Of: group}},
		{"{time_out: group}", Fault{Kind: fault.TimeOut, Chance: 1, Of: group}},
		{"{crash: server, for: 2s, every: 5s, until: 9s}",
			Fault{Kind: fault.Crash, For: 2 * time.Second, Every: 5 * time.Second, Until: 9 * time.Second, Chance: 1,
				Of: server, Unsynced: "lost"}},
		{"{crash: [server, group], unsynced: torn, chance: 50%}",
			Fault{Kind: fault.Crash, Chance: 0.5, Of: Nodes{Server: true, Phones: []int{1, 2, 3}}, Unsynced: "torn"}},
		{"{switch_off: a}", Fault{Kind: fault.SwitchOff, Chance: 1, Of: a}},
		{`{pause: "*"}`, Fault{Kind: fault.Pause, Chance: 1, Of: Nodes{Phones: []int{0, 1, 2, 3, 4}}}},
		{"{leave: a, for: 1s}", Fault{Kind: fault.Leave, For: time.Second, Chance: 1, Of: a}},
		{"{disk: server, is: full}", Fault{Kind: fault.Disk, Chance: 1, Of: server, Disk: "full"}},
		{"{disk: a, is: slow, delay: 200ms..1s, chance: 50%, count: 9}", Fault{Kind: fault.Disk, Chance: 0.5, Count: 9,
			Of: a, Disk: "slow", Delay: range200}},
		{"{clock: a, offset: -2m, drift: -200.5}", Fault{Kind: fault.Clock, Chance: 1, Of: a, Offset: -2 * time.Minute,
			Drift: -200.5}},
		{"{clock: server, step: -1h, at: 10s}", Fault{Kind: fault.Clock, At: 10 * time.Second, Chance: 1, Of: server,
			Step: -time.Hour}},
	} {
		t.Run(c.text, func(t *testing.T) {
			if c.want.Kind == "" {
				if _, err := Parse("f", []byte(completed("faults: ["+c.text+"]\n")), Options{}); err == nil {
					t.Error("the fault is taken")
				}
				return
			}
			got := parsed(t, "faults: ["+c.text+"]\n", Options{})
			if diff := cmp.Diff([]Fault{c.want}, got.Faults, noTexts); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFaultsOfSteps(t *testing.T) {
	got := parsed(t, `script:
  - {at: 1s, phone: a, login: right, as: in, optional: true}
  - {at: in + 1s, fault: {crash: server, at: 1s, for: 2s}, as: down, expect: {server_prints: I am listening}}
  - {fault: {clock: a, step: 5s}}
`, Options{})
	want := []Step{
		{At: When{Offset: time.Second}, Phone: 0, As: "in", Login: &Login{Kind: "right"}, Optional: true},
		{At: When{Label: "in", Offset: time.Second}, Phone: -1, As: "down",
			Fault: &Fault{Kind: fault.Crash, At: time.Second, For: 2 * time.Second, Chance: 1, Of: Nodes{Server: true},
				Unsynced: "lost"},
			Expect: []StepExpect{{Within: 10 * time.Second, Phone: -1,
				ServerPrints: []Pattern{{Text: "I am listening"}}}}},
		{At: When{AfterPrevious: true}, Phone: -1, Fault: &Fault{Kind: fault.Clock, Chance: 1,
			Of: Nodes{Phones: []int{0}}, Step: 5 * time.Second}},
	}
	if diff := cmp.Diff(want, got.Script, noTexts); diff != "" {
		t.Error(diff)
	}
	if text := got.Script[1].Fault.Text; text != "crash: server, at: 1s, for: 2s" {
		t.Errorf("the fault's text is %q", text)
	}
}

func TestAdversaries(t *testing.T) {
	got := parsed(t, `adversaries:
  - {replay: group, by: mute, to: a, after: 0s..4m, chance: 20%, from: 1s, until: 20s}
  - {replay: "*", by: mute, to: "*"}
  - {forge: a, by: mute, every: 5s, jitter: 50%}
  - {flood: [a, mute], by: group, every: 10ms}
  - {guess: group, by: mute, every: 1s}
  - {garbage: server, by: mute, every: 1s, from: 30s}
  - {upload: foreign, by: a, every: 1m}
  - {upload: invented, by: group-2, every: 1m}
  - {hold: server, by: mute, every: 1s}
`, Options{})
	a, group, mute, all := []int{0}, []int{1, 2, 3}, []int{4}, []int{0, 1, 2, 3, 4}
	want := []Adversary{
		{Kind: AdversaryReplay, By: mute, Of: group, To: a, After: Distribution{Max: 4 * time.Minute}, Chance: 0.2,
			From: time.Second, Until: 20 * time.Second},
		{Kind: AdversaryReplay, By: mute, Of: all, To: all, Chance: 1},
		{Kind: AdversaryForge, By: mute, To: a, Every: 5 * time.Second, Jitter: 0.5},
		{Kind: AdversaryFlood, By: group, To: []int{0, 4}, Every: 10 * time.Millisecond},
		{Kind: AdversaryGuess, By: mute, Of: group, Every: time.Second},
		{Kind: AdversaryGarbage, By: mute, Every: time.Second, From: 30 * time.Second},
		{Kind: AdversaryUpload, By: a, Every: time.Minute},
		{Kind: AdversaryUpload, By: []int{2}, Every: time.Minute, Invented: true},
		{Kind: AdversaryHold, By: mute, Every: time.Second},
	}
	if diff := cmp.Diff(want, got.Adversaries, noTexts); diff != "" {
		t.Error(diff)
	}
}

// TestScenariosWithoutExpectations checks that a scenario may have no expectations if it has faults, adversaries or
// `invariants`.
func TestScenariosWithoutExpectations(t *testing.T) {
	const rest = "name: t\nlength: 1m\nphones: [{name: a}]\n"
	for _, c := range []struct {
		text  string
		taken bool
	}{
		{"", false},
		{"script: [{at: 1s, phone: a, login: right, optional: true}]\n", false},
		{"invariants: true\n", true},
		{"faults: [{lose: 5%}]\n", true},
		{"adversaries: [{hold: server, by: a, every: 1s}]\n", true},
		{"script: [{at: 1s, fault: {crash: server}}]\n", true},
	} {
		_, err := Parse("f", []byte(rest+c.text), Options{})
		if (err == nil) != c.taken {
			t.Errorf("%q: %v", c.text, err)
		}
	}
	s, err := Parse("f", []byte(rest+"invariants: true\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if text, want := string(s.AppendYAML(nil)), "name: t\nseed: 1\nlength: 1m\n\nphones:\n  - {name: "+
		"a}\n\ninvariants: true\n"; text != want {
		t.Errorf("written as\n%s\nwant\n%s", text, want)
	}
}
