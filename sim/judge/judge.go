// Package judge judges programs of other implementations: it runs each rule of scenarios.RuleTexts alone, on fresh
// processes in fresh folders, and gives marks. The rules are scenarios, which package sim runs on real sockets.
package judge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/reports"
	"bluetrace/reports/marks"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/foreign"
)

// Programs are the programs of a submission.
type Programs struct {
	// Server and Client are shell commands; {port}, {block} and {udp} are replaced. One of them may be empty, and then
	// its rules are not judged. Build runs before, once; it may be empty.
	Server, Client, Build string
	Folder                string // of the programs, which is copied for each run
}

// Config describes one submission, and how it is judged.
type Config struct {
	Programs
	Name string // of the submission, for the sheet
	Key  string // for the sheet
	// Remote is a server that runs already, which is judged instead of the programs; nil for none.
	Remote *Remote
	// Dialect is that of the programs. Learn asks to learn it from them.
	Dialect *dialect.Dialect
	Learn   bool

	Rules  []scenarios.RuleText
	Only   []int           // numbers of the rules that are run; nil for all
	Points map[int]float64 // by the number of a rule; rules without any are not run; nil for the rules' own
	Strict bool            // a difference that the specification allows is a failure
	Block  time.Duration   // the block duration that servers are asked for
	Seed   uint64          // of accounts and values
	Hide   []string        // folders that programs must not read
	// Slots limits the runs at a time, also of several Judges: each run sends a value, and receives one at its end.
	// Rules in real time that take minutes need no slot.
	Slots chan struct{}
	// Hasten is how many times faster the clock of programs is for the rules about minutes, where that works; 0 for
	// real time. Quick leaves these rules out.
	Hasten int
	Quick  bool
	// Retention of contact logs and Lifetime of TempIDs are those with which the programs are started; 0 for those of
	// the course. With short ones the rules about them take little time: they run in real time, also if Quick is set.
	Retention, Lifetime time.Duration

	Clock clock.Clock // the real one

	// Repeat returns the command that repeats one rule.
	Repeat func(folder string, number int) string
	// Progress is called at each step with a description, one call at a time. It may be nil.
	Progress func(doing string)
}

// judgement is the state of a Judge.
type judgement struct {
	Config
	given   string // the folder of the submission; Config.Folder is the copy in which it was built
	sandbox foreign.Config
	rate    int  // of hastened clocks; 0 for real time
	form    int  // of foreign.LineForms, with which the wire was learned
	learned bool // the dialect was learned, with a login
	// oneLength reports that the learned login works only with passwords of the length with which it was learned.
	oneLength bool
	accounts  foreign.LineForm
	notes     []string
	problem   string      // of the server: the reason for which no rule of it can be judged
	refuses   bool        // the server refuses the right password, with each form of credentials.txt
	buffers   atomic.Bool // a program prints to a terminal, and not to a pipe
	mu        sync.Mutex
	done      int // rules
}

// Judge judges one submission. The error is that of ctx, or of a rule or the disk.
func Judge(ctx context.Context, c Config) (sheet *marks.Sheet, err error) {
	began := c.Clock.Now()
	j := &judgement{Config: c, given: c.Folder}
	sheet = &marks.Sheet{Submission: c.Name, Seed: c.Seed, Key: c.Key}
	remove, err := j.prepare(ctx)
	defer func() {
		if e := remove(); e != nil && err == nil {
			sheet, err = nil, e
		}
	}()
	if err == nil {
		err = j.understand(ctx)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	broken, ok := errors.AsType[*problem](err)
	if err != nil && !ok {
		return nil, err
	}
	rules, err := j.rules()
	if err != nil {
		return nil, err
	}
	if ok {
		sheet.Problem = broken.Error()
		for _, s := range rules {
			sheet.Results = append(sheet.Results, j.result(s.Rule))
		}
		return sheet, nil
	}
	if j.Dialect != nil {
		sheet.Dialect = j.Dialect.Name
	}
	sheet.Results = j.runAll(ctx, rules)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if j.buffers.Load() {
		j.notes = append(j.notes, "a program prints to a pipe only when its buffer is full: rules about its output ran on "+
			"a terminal")
	}
	sheet.Notes, sheet.Problem = j.notes, problemOf(sheet, j.problem)
	sheet.Seconds = j.Clock.Since(began).Round(time.Millisecond).Seconds()
	return sheet, nil
}

// Plan returns a sheet whose rules did not run, each with the reason: that it would run, or why not.
func Plan(c Config) (*marks.Sheet, error) {
	j := &judgement{Config: c, given: c.Folder}
	if c.Learn { // it may learn everything
		steps := []dialect.Step{{}}
		j.Dialect = &dialect.Dialect{Name: "learned", Download: steps, Upload: steps, Logout: steps, Beacon: steps}
	}
	if _, err := foreign.FindFaketime(); err == nil {
		j.rate = c.Hasten
	}
	rules, err := j.rules()
	if err != nil {
		return nil, err
	}
	sheet := &marks.Sheet{Submission: c.Name, Seed: c.Seed, Planned: true, Problem: "This is the plan: nothing was run."}
	longest := 0.0
	for _, s := range rules {
		r := j.result(s.Rule)
		if r.Reason = j.lacks(s); r.Reason == "" {
			length := plannedLength(s, c.Block)
			r.Seconds = length.Seconds()
			if j.isSlow(s) {
				longest = max(longest, r.Seconds)
			} else {
				sheet.Seconds += r.Seconds / float64(max(1, cap(c.Slots)))
			}
			r.Reason = fmt.Sprintf("it would run, for about %s", length.Round(time.Second))
		}
		sheet.Results = append(sheet.Results, r)
	}
	sheet.Seconds = max(sheet.Seconds, longest)
	sheet.Notes = []string{
		fmt.Sprintf("the rules would take about %.0f s, and learning the wire about 20 s", sheet.Seconds),
	}
	return sheet, nil
}

// plannedLength estimates the time that a rule takes if it passes.
func plannedLength(s *scenarios.Scenario, block time.Duration) time.Duration {
	length := 1500*time.Millisecond + time.Duration(len(s.Script))*150*time.Millisecond
	for i := range s.Script {
		length = max(length, s.Script[i].At.Offset+2*time.Second)
	}
	for _, name := range []string{"RETENTION", "GAP", "LATE", "LIFE", "AFTER"} {
		d, _ := time.ParseDuration(s.Vars[name]) // 0 without such a variable
		length += d
	}
	if _, waits := s.Vars["BLOCK"]; waits {
		length += block
	}
	return max(length, s.Length)
}

// runAll runs rules, several at a time. Those that wait for a block begin first.
func (j *judgement) runAll(ctx context.Context, rules []*scenarios.Scenario) []marks.Result {
	order := make([]int, len(rules))
	for i := range rules {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if j.Remote != nil {
			a, b = b, a // the accounts last longer if blocks come late
		}
		return cmp.Compare(plannedLength(rules[b], j.Block), plannedLength(rules[a], j.Block))
	})
	results := make([]marks.Result, len(rules))
	var work sync.WaitGroup
	for _, i := range order {
		if j.Remote != nil {
			results[i] = j.judge(ctx, rules[i])
			j.ended(len(rules))
			continue
		}
		slow := j.isSlow(rules[i])
		if !slow {
			j.Slots <- struct{}{}
		}
		work.Go(func() {
			results[i] = j.judge(ctx, rules[i])
			if !slow {
				<-j.Slots
			}
			j.ended(len(rules))
		})
	}
	work.Wait()
	return results
}

// ended notes the end of one of so many rules.
func (j *judgement) ended(rules int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done++
	j.progress(fmt.Sprintf("%d of %d rules", j.done, rules))
}

func (j *judgement) progress(doing string) {
	if j.Progress != nil {
		j.Progress(doing)
	}
}

// problem is a reason for which nothing of a submission can be judged.
type problem struct{ text string }

func (p *problem) Error() string { return p.text }

// unknownWire ends the reason for which a server was not judged.
const unknownWire = ". If a user can log in by hand, its messages have a form that was not understood: describe them " +
	"in a dialect (docs/JUDGE.md)"

// setProblem sets the reason for which no rule of the server can be judged. wire reports whether its messages are the
// reason.
func (j *judgement) setProblem(reason string, wire bool) {
	if j.problem = "the server could not be judged: " + reason; wire {
		j.problem += unknownWire
	}
}

// problemOf returns the reason for which nothing of a submission was judged, or "".
func problemOf(s *marks.Sheet, server string) string {
	judged := func(r marks.Result) bool { return r.Mark != marks.NotJudged }
	switch {
	case server != "":
		return server
	case slices.ContainsFunc(s.Results, judged):
		return ""
	case len(s.Results) > 0:
		return s.Results[0].Reason
	}
	return "there is no rule to judge"
}

// rules parses the rules of the given programs and the chosen numbers.
func (j *judgement) rules() (list []*scenarios.Scenario, err error) {
	for _, text := range j.Rules {
		s, err := j.parse(text)
		if err != nil {
			return nil, err
		}
		if s.Rule == nil {
			return nil, fmt.Errorf("%s: the file has no `rule`", text.File)
		}
		if s.Rule.Of != "phone" && j.Server == "" && j.Remote == nil || s.Rule.Of != "server" && j.Client == "" {
			continue // of a program that is not judged
		}
		if points, ok := j.Points[s.Rule.Number]; ok {
			s.Rule.Points = points
		} else if j.Points != nil {
			continue
		}
		if j.Only == nil || slices.Contains(j.Only, s.Rule.Number) {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b *scenarios.Scenario) int { return a.Rule.Number - b.Rule.Number })
	return list, nil
}

// parse parses a rule with the values of this judgement.
func (j *judgement) parse(text scenarios.RuleText) (*scenarios.Scenario, error) {
	stream := sim.Stream(j.Seed, text.File, "accounts")
	draws := rand.New(&stream)
	vars := map[string]string{
		"BLOCK": j.Block.String(), "CLIENT": j.Client,
		"CLIENT_BAD": withoutArguments(j.Client), "SERVER_BAD": withoutArguments(j.Server),
	}
	for _, name := range []string{"ANNA", "BEN", "CARA", "DAN", "EVE"} {
		vars[name] = fmt.Sprintf("4%08d", draws.IntN(1e8))
	}
	j.setMinutes(vars)
	s, err := scenarios.Parse(text.File, text.Text, scenarios.Options{Vars: vars, SpareVars: true})
	if err != nil {
		return nil, err
	}
	if !strings.Contains(j.Server, "{block}") {
		delete(s.Written, "server.block_duration") // it is part of the command
	}
	s.Seed = j.Seed
	for i := range s.Phones {
		p := &s.Phones[i]
		if p.Account != "own" {
			continue
		}
		p.User = cmp.Or(p.User, fmt.Sprintf("+614%08d", draws.IntN(1e8)))
		p.Password = cmp.Or(p.Password, fmt.Sprintf("Pass%05dx", draws.IntN(1e5))) // as long as those of sim/learn
	}
	return s, nil
}

// withoutArguments returns a command without the arguments that are replaced.
func withoutArguments(command string) string {
	return strings.TrimSpace(strings.NewReplacer("{port}", "", "{block}", "", "{udp}", "").Replace(command))
}

// result returns the result of a rule that was not run.
func (j *judgement) result(rule *scenarios.Rule) marks.Result {
	return marks.Result{
		Number: rule.Number, Title: rule.Title, Source: rule.Source, Group: rule.Group, Of: rule.Of,
		Points: rule.Points, Mark: marks.NotJudged, Repeat: j.Repeat(j.given, rule.Number),
	}
}

// judge runs one rule, again if it fails, and gives the mark.
func (j *judgement) judge(ctx context.Context, s *scenarios.Scenario) marks.Result {
	began := j.Clock.Now()
	rule := s.Rule
	r := j.result(rule)
	if r.Reason = j.lacks(s); r.Reason != "" || ctx.Err() != nil {
		if strings.HasPrefix(r.Reason, doesNotApply) {
			r.Mark = marks.Allowed
		}
		return r
	}
	runs := 3
	if j.isSlow(s) {
		runs = 2
	}
	var passed, failed int
	for range runs {
		run := j.attempt(ctx, s)
		if ctx.Err() != nil {
			return r
		}
		r.Reason = ""
		switch {
		case run.err != nil:
			r.Reason = run.err.Error()
			if rule.Number == 1 {
				failed++
				r.Attempts = append(r.Attempts, marks.Attempt{Failures: []string{r.Reason}})
			}
		case run.unmet != "":
			r.Reason = run.unmet
			r.Attempts = append(r.Attempts, run.Attempt)
		case run.Passed:
			passed++
		default:
			failed++
			r.Attempts = append(r.Attempts, run.Attempt)
		}
		if passed > 0 || run.err != nil && j.problem != "" { // the handshake was the run before
			break
		}
	}
	if passed+failed > 0 {
		r.Mark, r.Reason = markOf(rule, j.Strict, passed, failed, r.Attempts)
	}
	r.Seconds = j.Clock.Since(began).Round(time.Millisecond).Seconds()
	return r
}

// markOf returns the mark of a rule that was run.
func markOf(rule *scenarios.Rule, strict bool, passed, failed int, attempts []marks.Attempt) (marks.Mark, string) {
	switch {
	case failed == 0:
		return marks.Passed, ""
	case passed > 0:
		return marks.Unstable, fmt.Sprintf("it failed %s and then passed: %s", times(failed), failure(attempts))
	case rule.Allowed != "" && !strict:
		return marks.Allowed, rule.Allowed
	}
	return marks.Failed, failure(attempts)
}

// failure returns the first failure of the last run that failed.
func failure(attempts []marks.Attempt) string { return attempts[len(attempts)-1].Failures[0] }

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return "twice"
}

// welcomeRule is the number of the rule that the right password is welcomed.
const welcomeRule = 4

// lacks returns the reason for which a rule cannot be judged, or "".
func (j *judgement) lacks(s *scenarios.Scenario) string {
	rule := s.Rule
	switch {
	case rule.Of != "phone" && rule.Number > 2 && j.problem != "":
		return j.problem // documents do not repeat it
	case rule.Of != "phone" && rule.Number > welcomeRule && j.refuses:
		return fmt.Sprintf("the server refuses the right password (rule %d)", welcomeRule)
	}
	for _, need := range rule.Needs {
		// A phone that has its own server needs no dialect for it.
		own := rule.Of == "phone" && j.Server != "" && slices.Contains([]string{"download", "upload", "logout"}, need)
		switch {
		case need != "hastened":
		case j.isShort(s):
			continue
		case j.isSlow(s) && !j.Quick && j.awaited(s) > longestWait:
			return fmt.Sprintf("it takes %v in real time, and the clock is not hastened here; start the server with a "+
				"shorter lifetime of TempIDs, and name it with --lifetime", j.awaited(s))
		}
		if !own && !j.has(need) {
			if need == "split" || need == "seed" {
				return doesNotApply + needNames[need]
			}
			return "not available here: " + needNames[need]
		}
	}
	return ""
}

// doesNotApply begins the reason for which a rule is not about a program.
const doesNotApply = "it does not apply: "

// needNames has a description of each need of a rule.
var needNames = map[string]string{
	"download": "the dialect does not describe how a TempID is downloaded",
	"upload":   "the dialect does not describe how a contact log is uploaded",
	"logout":   "the dialect does not describe how a phone logs out",
	"beacon":   "the form of a beacon is not known",
	"output":   "the output and the files of the server are not visible",
	"address":  "this machine has no address 127.0.0.2",
	"terminal": "this system has no terminals for programs",
	"lengths":  "the wire was learned for passwords of one length",
	"hastened": "it takes minutes, and --quick leaves it out",
	"server":   "there is no command of a server",
	"split":    "a beacon is one datagram",
	"seed":     "the rule is about the bytes of the wire of docs/PROTOCOL.md",
}

// has reports whether a need of a rule is met.
func (j *judgement) has(need string) bool {
	d := j.Dialect
	switch need {
	case "download":
		return d != nil && len(d.Download) > 0
	case "upload":
		return d != nil && len(d.Upload) > 0
	case "logout":
		return d != nil && len(d.Logout) > 0
	case "beacon":
		return d != nil && (j.problem == "" || d.Beacon != nil)
	case "output", "server":
		return j.Server != ""
	case "address":
		l, err := net.Listen("tcp", "127.0.0.2:0")
		return err == nil && l.Close() == nil && (j.Remote == nil || j.Remote.isLocal())
	case "hastened":
		return !j.Quick
	case "lengths":
		return !j.oneLength
	case "terminal":
		return runtime.GOOS == "linux"
	case "seed":
		return d != nil && d.Name == "seed"
	case "split":
		return d != nil && (d.Name == "seed" || len(d.Beacon) > 1)
	}
	return false
}

// attempt is one run of a rule.
type attempt struct {
	marks.Attempt
	unmet   string // the precondition that was not met, or ""
	wrong   bool   // a login was answered as wrong
	refused bool   // the same, and none was welcome
	mute    bool   // no program printed a line
	err     error  // the run was not possible
}

// attempt runs a rule once. A rule that fails without a printed line runs again on a terminal, because many runtimes
// buffer the output to a pipe. One about an upload runs again with a server of this project.
func (j *judgement) attempt(ctx context.Context, s *scenarios.Scenario) attempt {
	if j.Remote == nil {
		terminal := slices.Contains(s.Rule.Needs, "terminal") || j.buffers.Load()
		a := j.run(ctx, s, j.Server, terminal)
		if !a.Passed && a.err == nil && (a.mute || j.buffers.Load()) && !terminal {
			if again := j.run(ctx, s, j.Server, true); again.err == nil && !again.mute {
				j.buffers.Store(true)
				a = again
			}
		}
		if !a.Passed && j.showsUpload(s) {
			if again := j.run(ctx, s, "", terminal); again.Passed {
				return again
			}
		}
		return a
	}
	own, release, err := j.lease(ctx, s)
	if err != nil {
		return attempt{err: err}
	}
	defer release()
	return j.run(ctx, own, j.Server, false)
}

// showsUpload reports whether a rule is about the entries that a phone uploads, and the dialect describes the upload:
// then a server of this project shows the entries, where that of the submission may print the owners only.
func (j *judgement) showsUpload(s *scenarios.Scenario) bool {
	return s.Rule.Of == "phone" && slices.Contains(s.Rule.Needs, "upload") && j.Server != "" && j.problem == "" &&
		j.Dialect != nil && len(j.Dialect.Upload) > 0
}

// run runs a rule once, with the accounts of its phones. server is the command of the server, or "" for one of this
// project. terminal connects the programs with a terminal.
func (j *judgement) run(ctx context.Context, s *scenarios.Scenario, server string, terminal bool) attempt {
	e := newEvidence(s)
	sandbox := j.sandbox
	sandbox.Terminal = terminal
	if j.isHastened(s) {
		sandbox.Hasten, sandbox.Epoch = j.rate, j.Clock.Now()
	}
	live := &sim.Live{
		Command: server, Dialect: j.Dialect, Folder: j.Folder, Sandbox: sandbox,
		Accounts: j.accounts, Wire: e.wire, Ended: e.files,
	}
	if r := j.Remote; r != nil {
		live = &sim.Live{Server: r.Live.Server, Credentials: r.Live.Credentials, Dialect: j.Dialect, Wire: e.wire}
	}
	result, err := sim.Run(ctx, s, sim.Options{Live: live, Subscribe: e.subscribe})
	if err != nil {
		return attempt{err: plainReason(err)}
	}
	logins := &result.Run.Logins
	a := attempt{
		wrong: logins.Wrong > 0, refused: logins.Welcomed == 0 && logins.Wrong > 0, mute: !e.printed.Load(),
	}
	held, ended := 0, ""
	for i := range result.Run.Checks {
		c := &result.Run.Checks[i]
		counts := c.Kind == reports.ExpectationCheck
		switch {
		case !counts:
		case c.Verdict == reports.Passed:
			held++
		case s.Rule.Of == "phone" && c.Name == sim.ServerRuns:
			a.unmet = cmp.Or(a.unmet, "the server of the phone has ended: "+c.Found)
		case c.Place == "": // the check that the server runs to the end
			ended = "the server has ended: " + c.Found
			a.Failures = slices.Insert(a.Failures, 0, ended)
		case needed(s, c):
			a.unmet = cmp.Or(a.unmet, "a precondition did not hold: "+failureText(c))
		default:
			a.Failures = append(a.Failures, failureText(c))
		}
	}
	if a.unmet != "" && ended != "" {
		a.unmet += "; " + ended
	}
	a.Passed = len(a.Failures) == 0 && a.unmet == "" && held > 0
	if !a.Passed && len(a.Failures) == 0 {
		a.Failures = []string{cmp.Or(a.unmet, "nothing was checked")}
	}
	if !a.Passed {
		a.Lines, a.Files = e.lines(), e.after
	}
	return a
}

// plainReason returns an error without the place in the file of a rule.
func plainReason(err error) error {
	if invalid, ok := errors.AsType[*sim.Invalid](err); ok {
		return invalid.Err
	}
	return err
}

// needed reports whether a check belongs to a precondition.
func needed(s *scenarios.Scenario, c *reports.Check) bool {
	for i := range s.Script {
		st := &s.Script[i]
		for k := range st.Expect {
			if st.Need && c.Place == s.Place(st.Expect[k].Pos) {
				return true
			}
		}
	}
	return false
}

// failureText is a sentence about a failed check.
func failureText(c *reports.Check) string {
	if c.Verdict == reports.Skipped {
		return "the step did not take place: " + c.Found
	}
	at := ""
	if c.AtSeconds != nil {
		at = fmt.Sprintf("after %.1f s: ", *c.AtSeconds)
	}
	return fmt.Sprintf("expected %s; came %s%s", plain(c.Expected), at, plain(cmp.Or(c.Found, "nothing")))
}

// classes has the words for the texts of answers in rules. The program under test has texts of its own.
var classes = strings.NewReplacer(
	"the reply /^Welcome/ to ", "a welcome for the phone ",
	"the reply /^Welcome|already/ to ", "a welcome, or the answer that the account is logged in, for the phone ",
	"the reply /try again$/ to ", "the answer that the password is wrong, for the phone ",
	"the reply /again/ to ", "the answer that the password is wrong, for the phone ",
	"the reply /is blocked/ to ", "the answer that the account is blocked, for the phone ",
	"the reply /blocked/ to ", "the answer that the account is blocked now, for the phone ",
	"the reply /^[0-9]{20}$/ to ", "a TempID of 20 digits for the phone ",
	"the reply /^[0-9]+$/ to ", "a TempID for the phone ",
	strconv.Quote(protocol.Welcome), "a welcome",
	strconv.Quote(protocol.TryAgain), "the answer that the password is wrong",
	strconv.Quote(protocol.NowBlocked), "the answer that the account is blocked now",
	strconv.Quote(protocol.IsBlocked), "the answer that the account is blocked",
)

func plain(text string) string { return classes.Replace(text) }
