package judge

import (
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/reports/marks"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// TestMinutes: the rules about minutes follow the durations with which the programs were started.
func TestMinutes(t *testing.T) {
	for _, c := range []struct {
		config Config
		rate   int
		want   map[string]string
	}{
		{Config{}, 0, map[string]string{
			"RETENTION": "3m0s", "EARLY": "5s", "LATE": "20s", "GAP": "40s", "LIFE": "15m0s", "AFTER": "1m0s", "LIFETIME": "15m0s",
		}},
		{Config{}, 20, map[string]string{
			"RETENTION": "9s", "EARLY": "250ms", "LATE": "1s", "GAP": "2s", "LIFE": "45s", "AFTER": "3s", "LIFETIME": "15m0s",
		}},
		{Config{Retention: 10 * time.Second, Lifetime: 10 * time.Second}, 20, map[string]string{
			"RETENTION": "10s", "EARLY": "1s", "LATE": "2s", "GAP": "6s", "LIFE": "10s", "AFTER": "2s", "LIFETIME": "10s",
		}},
	} {
		j := &judgement{Config: c.config, rate: c.rate}
		got := map[string]string{}
		if j.setMinutes(got); !maps.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.config, got, c.want)
		}
	}
}

// testServer is a server of PROTOCOL.md that reads name and password as separate messages. It blocks an account for
// block after three wrong passwords.
type testServer struct {
	block   time.Duration
	earlier string // an account that is blocked from the first attempt on, as if by an earlier run
	mu      sync.Mutex
	wrong   map[string]int
	blocked map[string]time.Time
}

func (s *testServer) answer(user, password string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, tried := s.blocked[user]; user == s.earlier && !tried {
		s.blocked[user] = time.Now().Add(s.block)
	}
	if time.Now().Before(s.blocked[user]) {
		return protocol.IsBlocked
	}
	if password == "pw" && strings.HasPrefix(user, "u") {
		s.wrong[user] = 0
		return protocol.Welcome
	}
	if s.wrong[user]++; s.wrong[user] < 3 {
		return protocol.TryAgain
	}
	s.wrong[user], s.blocked[user] = 0, time.Now().Add(s.block)
	return protocol.NowBlocked
}

func (s *testServer) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	b := make([]byte, 1024)
	n, err := c.Read(b)
	user := string(b[:n])
	for err == nil {
		if n, err = c.Read(b); err == nil {
			_, err = c.Write([]byte(s.answer(user, string(b[:n]))))
		}
	}
}

// TestRemote: the rules of a server that runs get accounts that are not blocked, and wait for the end of a block if
// there are no others. The block of an earlier run and an account that the server refuses are noted.
func TestRemote(t *testing.T) {
	const block = 3 * time.Second
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := &testServer{
		block: block, earlier: "u1", wrong: map[string]int{"u2": 2}, blocked: map[string]time.Time{},
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	rules, err := scenarios.RuleTexts()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := scenarios.LoadDialect("seed")
	if err != nil {
		t.Fatal(err)
	}
	judge := func(address string, users ...string) *marks.Sheet {
		live := &sim.Live{Server: address}
		for _, u := range users {
			live.Credentials = append(live.Credentials, nodes.Credential{User: u, Password: "pw"})
		}
		sheet, err := Judge(t.Context(), Config{
			Clock:  clock.New(),
			Remote: &Remote{Live: live}, Dialect: &seed.Dialect, Rules: rules, Only: []int{1, 4, 8, 16, 22},
			Block: block, Quick: true, Repeat: func(string, int) string { return "" },
		})
		if err != nil {
			t.Fatal(err)
		}
		return sheet
	}
	sheet := judge(l.Addr().String(), "u1", "x", "u2", "u3")
	want := map[int]marks.Mark{
		1: marks.NotJudged, 4: marks.Passed, 8: marks.Passed, 16: marks.Passed, 22: marks.NotJudged,
	}
	for _, r := range sheet.Results {
		if r.Mark != want[r.Number] {
			t.Errorf("rule %d: %v, want %v: %s", r.Number, r.Mark, want[r.Number], r.Reason)
		}
	}
	notes := strings.Join(sheet.Notes, "\n")
	for _, note := range []string{
		"the account u1 was refused before the first rule that needs it: an earlier run may have blocked it",
		"the server refuses the right password of x",
	} {
		if strings.Count(notes, note) != 1 {
			t.Errorf("no note %q in %s", note, notes)
		}
	}
	_ = l.Close()
	if sheet := judge(l.Addr().String(), "u1", "u2"); !strings.Contains(sheet.Problem, "cannot connect to the remote server") {
		t.Errorf("problem %q", sheet.Problem)
	}
}

// TestAccountsAfterWrongPasswords: an account is tried again after each step that may have typed a wrong password.
func TestAccountsAfterWrongPasswords(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		step scenarios.Step
		want bool
	}{
		{scenarios.Step{}, false}, {scenarios.Step{TCP: &scenarios.TCP{}}, true},
		{scenarios.Step{Login: &scenarios.Login{Kind: "right"}}, false},
		{scenarios.Step{Login: &scenarios.Login{Kind: "wrong"}}, true},
		{scenarios.Step{Login: &scenarios.Login{Kind: "right", Password: "x"}}, true},
		{scenarios.Step{Password: text("right")}, false}, {scenarios.Step{Password: text("x")}, true},
	} {
		s := &scenarios.Scenario{Script: []scenarios.Step{{}, c.step, {}}}
		if got := typesWrongPasswords(s); got != c.want {
			t.Errorf("%+v: %v, want %v", c.step, got, c.want)
		}
	}
}

// TestMarks: the mark follows from the runs that passed and failed, with the failure of the last.
func TestMarks(t *testing.T) {
	list := []marks.Attempt{{Failures: []string{"a"}}, {Failures: []string{"b", "c"}}}
	for _, c := range []struct {
		allowed        string
		strict         bool
		passed, failed int
		want           marks.Mark
		reason         string
	}{
		{"why", false, 1, 0, marks.Passed, ""},
		{"why", false, 1, 1, marks.Unstable, "it failed once and then passed: b"},
		{"", true, 1, 2, marks.Unstable, "it failed twice and then passed: b"},
		{"why", false, 0, 3, marks.Allowed, "why"},
		{"why", true, 0, 3, marks.Failed, "b"},
		{"", false, 0, 3, marks.Failed, "b"},
	} {
		got, reason := markOf(&scenarios.Rule{Allowed: c.allowed}, c.strict, c.passed, c.failed, list)
		if got != c.want || reason != c.reason {
			t.Errorf("%+v: %v, %q", c, got, reason)
		}
	}
}

// TestNothingChecked: a rule of which nothing was checked does not pass.
func TestNothingChecked(t *testing.T) {
	j := &judgement{Config: Config{Clock: clock.New()}}
	s, err := j.parse(scenarios.RuleText{File: "x.yaml", Text: []byte("name: x\nrule: {number: 1, title: Nothing.}\n" +
		"phones: [{name: anna}]\nscript: [{at: 0s, phone: anna, login: right}]\ninvariants: true\n")})
	if err != nil {
		t.Fatal(err)
	}
	run := j.run(t.Context(), s, "", false)
	if run.Passed || run.err != nil || len(run.Failures) != 1 || run.Failures[0] != "nothing was checked" {
		t.Errorf("%+v", run)
	}
}
