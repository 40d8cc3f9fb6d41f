//go:build unix

package judge_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol/dialect"
	"bluetrace/reports/marks"
	"bluetrace/scenarios"
	"bluetrace/sim/judge"
)

// TestMain is also the main function of the programs that the tests judge.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && len(os.Args) != 6 && (os.Args[1] == "server" || os.Args[1] == "phone") {
		if slices.Contains(os.Args, "stays without its arguments") {
			select {}
		}
		fmt.Println("missing arguments")
		os.Exit(2)
	}
	if len(os.Args) == 6 && os.Args[1] == "server" {
		fmt.Println(runServer(os.Args[2], os.Args[3], os.Args[4], os.Args[5]))
		os.Exit(1)
	}
	if len(os.Args) == 6 && os.Args[1] == "phone" {
		var err error
		if os.Args[2] == "own" {
			err = runOwnPhone(os.Args[4], os.Args[5])
		} else {
			err = runPhone(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(leavesNothing(m))
}

// leavesNothing runs the tests with a folder of their own for temporary files. What they leave there is a failure.
func leavesNothing(m *testing.M) int {
	dir, err := os.MkdirTemp("", "judge-test-")
	if err != nil {
		panic(err)
	}
	if err := os.Setenv("TMPDIR", dir); err != nil {
		panic(err)
	}
	status := m.Run()
	left, err := filepath.Glob(filepath.Join(dir, "bluetrace-*"))
	if len(left) > 0 || err != nil {
		fmt.Println("left in the folder for temporary files:", left, err)
		status = 1
	}
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	return status
}

// full reports whether the tests are to try everything, and not the part that the commit chooses.
func full() bool { return os.Getenv("BLUETRACE_FULL") != "" }

// takesTime skips a test of many real processes, unless .ci/run or .ci/nightly asks for it. Several run side by side.
func takesTime(t *testing.T) {
	t.Helper()
	if testing.Short() || os.Getenv("BLUETRACE_COMMIT") == "" && !full() {
		t.Skip("SKIPPED: real programs are judged for minutes: set BLUETRACE_COMMIT=1 for a part, or BLUETRACE_FULL=1")
	}
	t.Parallel()
}

// part returns those of n things that the commit chooses, one of every `of`; all with BLUETRACE_FULL.
func part(t *testing.T, n, of int) (chosen []int) {
	t.Helper()
	hash := os.Getenv("BLUETRACE_COMMIT")
	number, err := strconv.ParseUint(hash, 16, 64)
	if err != nil && hash != "" {
		t.Fatalf("BLUETRACE_COMMIT must be a hexadecimal number: %v", err)
	}
	for i := range n {
		if full() || i%of == int(number%uint64(of)) {
			chosen = append(chosen, i)
		}
	}
	return chosen
}

// slots limits the rules that all tests run at a time: most of the time they wait.
var slots = make(chan struct{}, 16)

// self returns the command of the test binary.
func self(t *testing.T, arguments ...string) string {
	t.Helper()
	path, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"'" + path + "'"}
	for _, a := range arguments {
		words = append(words, "'"+a+"'")
	}
	return strings.Join(words, " ")
}

// dialectOf returns a shipped dialect, or that of ownWire.
func dialectOf(name string) (*dialect.Dialect, error) {
	if name == "own" {
		return loadOwnWire()
	}
	d, err := scenarios.LoadDialect(name)
	if err != nil {
		return nil, err
	}
	d.Zone = time.UTC
	return &d.Dialect, nil
}

// loadDialect returns a shipped dialect.
func loadDialect(t *testing.T, name string) *dialect.Dialect {
	t.Helper()
	d, err := dialectOf(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// rulesOf returns the numbers of the rules of a program. With a group, only those of it.
func rulesOf(t *testing.T, of, group string) (numbers []int) {
	t.Helper()
	rules, err := scenarios.LoadRules(scenarios.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range rules {
		if s.Rule.Of == of && (group == "" || s.Rule.Group == group) {
			numbers = append(numbers, s.Rule.Number)
		}
	}
	return numbers
}

// judged returns the marks of programs. The folder has one file, since an empty one cannot be judged.
func judged(t *testing.T, p judge.Programs, d *dialect.Dialect, only []int) *marks.Sheet {
	t.Helper()
	p.Folder = t.TempDir()
	if err := os.WriteFile(filepath.Join(p.Folder, "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := scenarios.RuleTexts()
	if err != nil {
		t.Fatal(err)
	}
	sheet, err := judge.Judge(t.Context(), judge.Config{
		Programs: p, Name: "rig", Dialect: d, Learn: d == nil, Rules: rules, Only: only, Block: 4 * time.Second, Seed: 1,
		Clock: clock.New(), Slots: slots, Quick: true, Strict: true, Repeat: func(string, int) string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	return sheet
}

// describe returns the marks that are not passes.
func describe(s *marks.Sheet) string {
	var b strings.Builder
	fmt.Fprintln(&b, s.Problem, s.Notes)
	for _, r := range s.Results {
		if r.Mark != marks.Passed {
			fmt.Fprintf(&b, "%d %s: %s\n", r.Number, r.Mark, r.Reason)
			if r.Mark == marks.Failed && len(r.Attempts) > 0 {
				for _, l := range r.Attempts[len(r.Attempts)-1].Lines {
					fmt.Fprintf(&b, "\t%.2f %s -> %s: %s\n", l.AtSeconds, l.From, l.To, l.Text)
				}
			}
		}
	}
	return b.String()
}

// mustPassAll checks that each rule is passed, or not judged for one of the reasons.
func mustPassAll(t *testing.T, s *marks.Sheet, reasons ...string) {
	t.Helper()
	for _, r := range s.Results {
		excused := slices.ContainsFunc(reasons, func(text string) bool { return strings.Contains(r.Reason, text) })
		passed := r.Mark == marks.Passed || r.Mark == marks.Unstable ||
			r.Mark == marks.Allowed && strings.HasPrefix(r.Reason, "it does not apply")
		if !passed && (r.Mark != marks.NotJudged || !excused) {
			t.Errorf("rule %d is %s: %s", r.Number, r.Mark, r.Reason)
		}
	}
	if t.Failed() {
		t.Log(describe(s))
	}
}

// TestRightServers: a right server passes each rule that applies, in each dialect. A commit tries one dialect.
func TestRightServers(t *testing.T) {
	takesTime(t)
	names := scenarios.DialectNames()
	for _, i := range part(t, len(names), len(names)) {
		t.Run(names[i], func(t *testing.T) {
			t.Parallel()
			p := judge.Programs{Server: self(t, "server", names[i], "") + " {port} {block}"}
			mustPassAll(t, judged(t, p, loadDialect(t, names[i]), rulesOf(t, "server", "")),
				"the rule is about the bytes of the wire of docs/PROTOCOL.md", "takes minutes")
		})
	}
}

// TestOwnServer: the server of this project passes each rule.
func TestOwnServer(t *testing.T) {
	takesTime(t)
	p := judge.Programs{Server: "'" + built(t, "server") + "' {port} {block}"}
	mustPassAll(t, judged(t, p, loadDialect(t, "seed"), rulesOf(t, "server", "")), "takes minutes")
}

// built returns the path of a command of this project.
func built(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", path, "bluetrace/cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// fault is a planted fault, and the rule that it fails.
type fault struct {
	name string
	rule int
}

var serverFaults = []fault{
	{"ends at the start", 1},
	{"stays without its arguments", 2},
	{"short passwords only", 3},
	{"refuses right passwords", 4},
	{"ignores the case of passwords", 5},
	{"closes after a wrong password", 6},
	{"the third attempt is refused", 7},
	{"never blocks", 8},
	{"blocks at the second", 9},
	{"blocks at the fourth", 9},
	{"does not tell the block", 10},
	{"blocks for too short a time", 11},
	{"blocks per address", 12},
	{"blocks for thrice the time", 13},
	{"a refused attempt prolongs the block", 14},
	{"two connections block twice", 15},
	{"blocks all accounts", 16},
	{"a block ends sessions", 17},
	{"keeps the count", 18},
	{"counts per connection", 19},
	{"the end of a stream is a wrong password", 20},
	{"an unknown name ends it", 21},
	{"four sessions", 22},
	{"one session of an account", 23},
	{"short TempIDs", 24},
	{"the eighth TempID is short", 25},
	{"counts TempIDs up", 26},
	{"stores no TempIDs", 27},
	{"TempIDs live for half an hour", 28},
	{"an upload ends the session", 30},
	{"prints no owners", 31},
	{"resolves ten entries", 32},
	{"stops at an unknown TempID", 33},
	{"an empty upload ends it", 34},
	{"logs out silently", 35},
	{"a session that was logged out stays", 36},
	{"a broken session stays", 36},
	{"a reset ends it", 37},
	{"an unknown command ends it", 39},
	{"reads whole commands", 40},
	{"forgets TempIDs at a restart", 41},
	{"forgets blocks", 42},
	{"keeps a megabyte of each login", 43},
	{"reads on after the end", 66},
}

// TestServerFaults: each fault of a server fails its rule, and no other one of the group course. Rules that need the
// duty that is broken may be not judged.
func TestServerFaults(t *testing.T) {
	takesTime(t)
	rules := rulesOf(t, "server", "course")
	for _, n := range rulesOf(t, "server", "") {
		elsewhere := n == 29 || n == 38 // the mutants of cmd/mutants --rules have them
		if !elsewhere && !slices.ContainsFunc(serverFaults, func(f fault) bool { return f.rule == n }) {
			t.Errorf("no fault fails rule %d", n)
		}
	}
	for _, i := range part(t, len(serverFaults), 12) {
		f := serverFaults[i]
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			p := judge.Programs{Server: self(t, "server", "seed", f.name) + " {port} {block}"}
			mustFailOnly(t, f, judged(t, p, loadDialect(t, "seed"), append([]int{f.rule}, rules...)))
		})
	}
}

// mustFailOnly checks that a fault fails its rule alone.
func mustFailOnly(t *testing.T, f fault, s *marks.Sheet) {
	t.Helper()
	right := true
	for _, r := range s.Results {
		failed := r.Mark == marks.Failed
		if failed != (r.Number == f.rule) {
			right = false
		}
	}
	if !right {
		t.Errorf("the fault %q must fail rule %d alone:\n%s", f.name, f.rule, describe(s))
	}
}

// TestBuffers: a phone that buffers its output to a pipe has a terminal, and a note tells it.
func TestBuffers(t *testing.T) {
	takesTime(t)
	p := judge.Programs{Client: phoneCommand(t, "buffers its output to a pipe", "3m")}
	s := judged(t, p, loadDialect(t, "seed"), []int{44, 46, 61})
	mustPassAll(t, s)
	const note = "a program prints to a pipe only when its buffer is full: rules about its output ran on a terminal"
	if !slices.Equal(s.Notes, []string{note}) {
		t.Errorf("notes %q", s.Notes)
	}
}

var phoneFaults = []fault{
	{"does not tell the block", 44},
	{"stays after the third wrong password", 45},
	{"shows no TempID", 46},
	{"ignores unknown commands", 47},
	{"sends the TempID alone", 48},
	{"sends other times", 49},
	{"ends at a Beacon without an address", 50},
	{"does not show beacons", 51},
	{"keeps nothing", 51},
	{"takes expired beacons", 52},
	{"allows five seconds", 53},
	{"uploads one entry", 56},
	{"ends at a datagram that is no beacon", 57},
	{"mixes senders", 58},
	{"loses a half-typed command", 59},
	{"logs out silently", 60},
	{"goes on after its input", 61},
	{"writes half a log", 62},
	{"tries again and again", 64},
	{"stays without its arguments", 65},
}

// phoneCommand returns the command of the phone with a fault.
func phoneCommand(t *testing.T, fault, retention string) string {
	return self(t, "phone", fault, retention) + " {port} {udp}"
}

// TestPhoneFaults: each fault of a phone fails its rule, and no other one of the group course. Without a fault the phone
// passes each rule. The rules that take minutes are tried with the client of this
// project (TestPhoneRules of package sim).
func TestPhoneFaults(t *testing.T) {
	takesTime(t)
	seed := loadDialect(t, "seed")
	minutes := func(n int) bool { return n == 54 || n == 55 }
	rules := slices.DeleteFunc(rulesOf(t, "phone", "course"), minutes)
	for _, n := range slices.DeleteFunc(rulesOf(t, "phone", ""), minutes) {
		if !slices.ContainsFunc(phoneFaults, func(f fault) bool { return f.rule == n }) {
			t.Errorf("no fault fails rule %d", n)
		}
	}
	t.Run("right", func(t *testing.T) {
		t.Parallel()
		p := judge.Programs{Client: phoneCommand(t, "", "3m"), Server: self(t, "server", "seed", "") + " {port} {block}"}
		mustPassAll(t, judged(t, p, seed, rulesOf(t, "phone", "")), "takes minutes")
	})
	for _, i := range part(t, len(phoneFaults), 6) {
		f := phoneFaults[i]
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			p := judge.Programs{Client: phoneCommand(t, f.name, "3m")}
			if f.rule == 64 { // it ends the server
				p.Server = self(t, "server", "seed", "") + " {port} {block}"
			}
			mustFailOnly(t, f, judged(t, p, seed, append([]int{f.rule}, rules...)))
		})
	}
}
