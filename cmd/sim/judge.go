package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/spf13/pflag"

	"bluetrace/reports"
	"bluetrace/reports/marks"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/foreign"
	"bluetrace/sim/judge"
)

// judgeCommand is one call of sim judge.
type judgeCommand struct {
	output
	judge.Config        // of each submission, without the submission itself
	server       string // HOST:PORT of a server that runs already
	credentials  string // its accounts
	submissions  string // folder of a class; empty for one submission
	dialect      string // name, file or learnDialect
	dialectText  []byte // of the dialect, unless it is learned
	rules        string // course, strict or a file
	hidden       []int
	jobs         int
	plan         bool
	again        bool // judge submissions that an earlier call has judged
	out          string
	forms        *formsFlag
	quiet        bool
	noColor      bool
}

// learnDialect is the value of --dialect for a dialect that is learned from the programs themselves.
const learnDialect = "learn"

const judgeAbout = `Judges programs of other implementations: a server, a phone, or both. Each rule of docs/JUDGE.md ` +
	`runs
alone, against fresh processes in a fresh copy of the folder, and gets a mark.`

func (j *judgeCommand) define(set *pflag.FlagSet) {
	set.StringVar(&j.Server, "server-command", "",
		"start a server with the shell command `CMD`; {port} and {block} are replaced")
	set.StringVar(&j.server, "server", "",
		"judge the server that runs at `HOST:PORT`; its files and output are not seen")
	set.StringVar(&j.credentials, "credentials", "",
		"the accounts of --server, in the form of its credentials `FILE`")
	set.StringVar(&j.Client, "client-command", "",
		"start a phone with the shell command `CMD`; {port} and {udp} are replaced")
	set.StringVar(&j.Folder, "folder", "", "the folder `DIR` of the programs, which is copied for each rule")
	set.StringVar(&j.submissions, "submissions", "", "judge a class: each folder in `DIR` is a submission")
	set.StringVar(&j.Build, "build", "", "run the shell command `CMD` in a copy of the folder first")
	set.StringVar(&j.dialect, "dialect", "", "the wire of the programs: learn, a `NAME` of sim dialect list, or a "+
		"file (default learn, or seed for a server alone)")
	set.StringVar(&j.rules, "rules", "course", "`RULES`: course; strict, without allowed differences; or a file with "+
		"the numbers and points of rules")
	set.IntSliceVar(&j.Only, "only", nil, "run the rules with these `NUMBERS` only, separated by commas")
	set.DurationVar(&j.Block, "block", 4*time.Second, "ask servers for blocks of this `DURATION`")
	set.IntVar(&j.Hasten, "hasten", 20, "hasten the clock of the programs `N` times for the rules about minutes, if "+
		"libfaketime works here; 0: real time")
	set.DurationVar(&j.Retention, "retention", 3*time.Minute, "the phone was started with this `DURATION` of "+
		"entries in its contact log; 30s and less are awaited in real time")
	set.DurationVar(&j.Lifetime, "lifetime", 15*time.Minute, "the server was started with this `DURATION` of TempIDs; "+
		"30s and less are awaited in real time")
	set.BoolVar(&j.Quick, "quick", false, "leave out the rules about minutes")
	set.Uint64Var(&j.Seed, "seed", 1, "draw accounts and values from the seed `N`")
	set.IntVar(&j.jobs, "jobs", 2*runtime.NumCPU(), "run `N` rules at a time")
	set.BoolVar(&j.plan, "plan", false, "list the rules that would run, and the time that they take")
	set.BoolVar(&j.again, "again", false, "with --submissions: also judge those whose marks are in --out")
	set.StringVar(&j.out, "out", "", "write every document to the folder `DIR`")
	set.IntSliceVar(&j.hidden, "hidden", nil, "do not show the rules with these `NUMBERS` to students of Gradescope")
	var names []string
	for _, d := range marks.Documents() {
		names = append(names, d.Name)
	}
	j.forms = defineForms(set, append(names, "csv")...)
	set.BoolVar(&j.quiet, "quiet", false, "print no progress")
	defineNoColor(set, &j.noColor)
}

func (j *judgeCommand) check(set *pflag.FlagSet) error {
	err := cmp.Or(refuseEmpty(set, "server-command", "client-command", "folder", "submissions", "dialect", "rules",
		"out", "server", "credentials"), checkServer(j.server))
	if err != nil {
		return err
	}
	remote := j.server != ""
	switch {
	case remote != (j.credentials != ""):
		return errors.New("--server and --credentials need each other: the accounts of the server that runs")
	case remote && (j.Server != "" || j.Client != "" || j.Folder != "" || j.submissions != "" || j.Build != ""):
		return errors.New("--server judges a server that runs already; expected no program, folder and build beside it")
	case !remote && j.Server == "" && j.Client == "":
		return errors.New("no program: write --server-command, --client-command or both")
	case !remote && (j.Folder == "") == (j.submissions == ""):
		return errors.New("write the folder of the programs with --folder, or of a class with --submissions")
	case j.submissions != "" && j.out == "":
		return errors.New("--submissions needs --out DIR for the documents")
	case j.jobs < 1 || j.jobs > 1000:
		return fmt.Errorf("invalid --jobs %d: must be 1 to 1000", j.jobs)
	case j.Block < 3*time.Second || j.Block > time.Hour || j.Block%time.Second != 0:
		return fmt.Errorf("invalid --block %v: must be 3s to 1h, in whole seconds", j.Block)
	case j.Hasten < 0 || j.Hasten > 100 || j.Hasten == 1:
		return fmt.Errorf("invalid --hasten %d: must be 2 to 100, or 0 for real time", j.Hasten)
	case j.Retention < 8*time.Second || j.Retention > time.Hour:
		return fmt.Errorf("invalid --retention %v: must be 8s to 1h", j.Retention)
	case j.Lifetime < 2*time.Second || j.Lifetime > time.Hour || j.Lifetime%time.Second != 0:
		return fmt.Errorf("invalid --lifetime %v: must be 2s to 1h, in whole seconds", j.Lifetime)
	case j.Server != "" && !strings.Contains(j.Server, "{port}"):
		return errors.New("--server-command has no {port}, which stands for the port of the server")
	case j.Client != "" && (!strings.Contains(j.Client, "{port}") || !strings.Contains(j.Client, "{udp}")):
		return errors.New("--client-command must have {port} and {udp}, the ports of the server and of beacons")
	case j.dialect == learnDialect && (j.Server == "" || j.Client == ""):
		return errors.New("--dialect learn needs --server-command and --client-command: the wire is learned from both")
	case j.dialect == "" && j.Server != "" && j.Client != "":
		j.dialect = learnDialect
	case j.dialect == "":
		j.dialect = "seed"
	}
	return nil
}

// run judges the submissions and writes the documents.
func (j *judgeCommand) run(ctx context.Context) (worst status) {
	if err := j.complete(ctx); err != nil {
		return j.fail(err, "", statusOfFinding(err))
	}
	folders, err := j.folders()
	if err != nil {
		return j.fail(err, "", statusInvalid)
	}
	if err := makeFolder(j.out); err != nil {
		return j.fail(err, "name a writable folder with --out", statusError)
	}
	remove, err := j.hideFolders()
	if err != nil {
		return j.fail(err, "", statusError)
	}
	defer func() {
		remove()
		worst = j.worst
	}()
	if j.plan {
		folders = folders[:1] // it is the same for all
	}
	class := &marks.Class{Sheets: j.judgeAll(ctx, folders)}
	for _, sheet := range class.Sheets {
		if sheet.Planned {
			continue
		}
		j.raise(map[marks.Mark]status{
			marks.Passed: statusPassed, marks.Failed: statusFailed, marks.NotJudged: statusError,
		}[sheet.Verdict()])
	}
	j.report(class)
	return j.worst
}

// hideFolders hides from programs what they must not read: the submissions of others, all results, the rules of a file,
// and the copies of all submissions, which get a folder of their own. The function that it returns removes that folder.
func (j *judgeCommand) hideFolders() (remove func(), err error) {
	if j.plan {
		return func() {}, nil
	}
	home, _ := os.UserHomeDir() // "" where there is none
	for _, path := range []string{j.submissions, j.out, j.rules, home} {
		if path == "" || path == "course" || path == "strict" {
			continue
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, err
		}
		j.Hide = append(j.Hide, path)
	}
	copies, err := os.MkdirTemp("", "bluetrace-judge-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the copies: %w", err)
	}
	j.Hide = append(j.Hide, copies)
	return func() {
		if err := foreign.RemoveFolder(copies); err != nil {
			j.raise(j.fail(fmt.Errorf("removing the copies: %w", err), "", statusError))
		}
	}, os.Setenv("TMPDIR", copies) // os.TempDir reads it; where it does not, the copies are beside each other
}

// judgeAll judges submissions, several at a time, and writes the documents of each at its end. It returns the sheets in
// the order of the folders, without those that could not be judged or were not because of an interrupt.
func (j *judgeCommand) judgeAll(ctx context.Context, folders []string) []*marks.Sheet {
	sheets := make([]*marks.Sheet, len(folders))
	free := make(chan struct{}, max(1, j.jobs/2))
	var work sync.WaitGroup
	var mu sync.Mutex // output, and the line of progress
	line := newProgress(j.stderr, j.columns, j.now)
	done := 0
	for i, folder := range folders {
		free <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		own := j.Config
		own.Folder, own.Name, own.Key = folder, filepath.Base(folder), j.key(folder)
		own.Progress = func(doing string) {
			mu.Lock()
			defer mu.Unlock()
			if now := j.now(); !j.quiet && j.terminal {
				line.drawNow(now, fmt.Sprintf("%d of %d submissions  %s  %s  %s", done, len(folders),
					reports.Escape(own.Name), reports.Escape(doing), now.Sub(line.started).Round(time.Second)))
			}
		}
		work.Go(func() {
			defer func() { <-free }()
			sheet, err := j.judgeOne(ctx, own)
			mu.Lock()
			defer mu.Unlock()
			line.clear()
			if done++; err != nil && ctx.Err() == nil {
				j.raise(j.fail(fmt.Errorf("%s: %w", own.Name, err), "", statusOfRunning(err)))
			}
			if sheets[i] = sheet; sheet != nil && !j.quiet && !j.terminal && len(folders) > 1 {
				points, most := sheet.Score()
				fmt.Fprintf(j.stderr, "%d of %d submissions: %s %s, %g of %g points\n", done, len(folders),
					reports.Escape(own.Name), sheet.Verdict(), points, most)
			}
		})
	}
	work.Wait()
	sheets = slices.DeleteFunc(sheets, func(s *marks.Sheet) bool { return s == nil })
	if ctx.Err() != nil {
		j.raise(j.fail(fmt.Errorf("interrupted: %d of %d submissions are judged", len(sheets), len(folders)),
			"with --submissions the same command goes on with the others", statusInterrupted))
	}
	return sheets
}

// judgeOne judges one submission and writes its documents, unless an earlier call has judged it in the same way.
func (j *judgeCommand) judgeOne(ctx context.Context, c judge.Config) (*marks.Sheet, error) {
	if j.plan {
		return judge.Plan(c)
	}
	if sheet := j.judged(c); sheet != nil {
		return sheet, nil
	}
	sheet, err := judge.Judge(ctx, c)
	if err != nil {
		return nil, err
	}
	j.write(sheet)
	return sheet, nil
}

// complete completes the configuration, and reads the rules and the dialect.
func (j *judgeCommand) complete(ctx context.Context) (err error) {
	j.Slots, j.Clock, j.Repeat = make(chan struct{}, j.jobs), clock.New(), j.repeat
	j.Strict, j.Learn = j.rules == "strict", j.dialect == learnDialect
	if j.server != "" {
		j.Remote = &judge.Remote{Live: &sim.Live{Server: j.server}}
		if j.Remote.Live.Credentials, err = awaitFile(ctx, j.credentials, readCredentials); err != nil {
			return err
		}
	}
	if j.Rules, err = scenarios.RuleTexts(); err != nil {
		return err
	}
	if j.rules != "course" && j.rules != "strict" {
		if j.Points, err = awaitFile(ctx, j.rules, scenarios.LoadPoints); err != nil {
			return err
		}
	}
	if err := j.knowsRules(); err != nil || j.Learn {
		return err
	}
	if j.dialectText, err = awaitFile(ctx, j.dialect, scenarios.DialectText); err != nil {
		return err
	}
	d, err := scenarios.ParseDialect(j.dialect, j.dialectText)
	if err != nil {
		return err
	}
	d.Zone = time.UTC
	j.Dialect = &d.Dialect
	return nil
}

// knowsRules returns an error if a number of the flags is that of no rule.
func (j *judgeCommand) knowsRules() error {
	rules, err := scenarios.LoadRules(scenarios.Options{})
	if err != nil {
		return err
	}
	for _, n := range slices.Concat(j.Only, j.hidden, slices.Sorted(maps.Keys(j.Points))) {
		if !slices.ContainsFunc(rules, func(s *scenarios.Scenario) bool { return s.Rule.Number == n }) {
			return fmt.Errorf("there is no rule %d", n)
		}
	}
	return nil
}

// folders returns the folders of the submissions in the order of their names.
func (j *judgeCommand) folders() (list []string, err error) {
	if j.server != "" {
		return []string{j.server}, nil
	}
	if j.submissions == "" {
		j.Folder, err = filepath.Abs(j.Folder)
		return []string{j.Folder}, errors.Join(err, judge.CheckFolder(j.Folder))
	}
	root, err := filepath.Abs(j.submissions)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of --submissions: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			list = append(list, filepath.Join(root, e.Name()))
		}
	}
	if out, err := filepath.Abs(j.out); err == nil { // results of an earlier call
		list = slices.DeleteFunc(list, func(path string) bool { return path == out })
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the folder %q has no folders: each submission is one", j.submissions)
	}
	return list, nil
}

// key returns a hash of everything on which the marks of a submission depend: the flags, the rules and the files.
func (j *judgeCommand) key(folder string) string {
	h := sha256.New()
	fmt.Fprintln(h, version(), j.Server, j.Client, j.Build, j.dialect, j.rules, j.Only, j.Block, j.Seed, j.Hasten,
		j.Quick, j.Retention, j.Lifetime, j.Points)
	fmt.Fprintf(h, "%q", j.dialectText)
	for _, r := range j.Rules {
		fmt.Fprintf(h, "%s %q", r.File, r.Text)
	}
	// A file that cannot be read is an error of the copy that the judge makes.
	_ = filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil //nolint:nilerr // see above
		}
		fmt.Fprintln(h, path)
		f, err := os.Open(path)
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		_, _ = io.Copy(h, f)
		return f.Close()
	})
	return hex.EncodeToString(h.Sum(nil))
}

// judged returns the sheet of a submission that an earlier call has judged in the same way, or nil.
func (j *judgeCommand) judged(c judge.Config) *marks.Sheet {
	if j.submissions == "" || j.again {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(j.documents(c.Name), "marks.json"))
	sheet := &marks.Sheet{}
	if err != nil || json.Unmarshal(text, sheet) != nil || sheet.Key != c.Key {
		return nil
	}
	return sheet
}

// write writes the documents of one submission to the folder of --out, of a class to a folder there for the submission.
func (j *judgeCommand) write(s *marks.Sheet) {
	if j.out == "" || j.plan {
		return
	}
	folder := j.documents(s.Submission)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		j.diskFails(fmt.Errorf("making a folder in --out: %w", err), noMoreReports)
		return
	}
	for _, d := range marks.Documents(j.hidden...) {
		j.writeFile(filepath.Join(folder, d.File), nil, func(w io.Writer) error { return d.Write(w, s) })
	}
}

// documents returns the folder of the documents of a submission.
func (j *judgeCommand) documents(submission string) string {
	if j.submissions == "" {
		return j.out
	}
	return filepath.Join(j.out, submission)
}

// report prints the chosen forms, and writes the documents of a class.
func (j *judgeCommand) report(c *marks.Class) {
	if j.plan || j.submissions == "" {
		for _, s := range c.Sheets {
			j.print(s)
		}
		return
	}
	for _, d := range marks.ClassDocuments() {
		j.writeFile(filepath.Join(j.out, d.File), nil, func(w io.Writer) error { return d.Write(w, c) })
	}
	var b strings.Builder
	for _, s := range c.Sheets {
		points, most := s.Score()
		fmt.Fprintf(&b, "%-30s %-10s %g of %g points  %s\n", reports.Escape(s.Submission), s.Verdict(), points, most,
			reports.Escape(s.Problem))
	}
	fmt.Fprintf(&b, "\nThe documents are in %s: index.html has the matrix, marks.csv the marks.\n",
		reports.Escape(j.out))
	j.toStdout(func(w io.Writer) error {
		_, err := io.WriteString(w, b.String())
		return err
	})
}

// print prints the chosen forms of one submission.
func (j *judgeCommand) print(s *marks.Sheet) {
	for _, d := range marks.Documents(j.hidden...) {
		switch {
		case !j.forms.has(d.Name):
		case d.Name == "text":
			j.toStdout(func(w io.Writer) error { return marks.WriteText(w, s, j.colour && !j.noColor) })
		default:
			j.toStdout(func(w io.Writer) error { return d.Write(w, s) })
		}
	}
	if j.forms.has("csv") {
		j.toStdout(func(w io.Writer) error { return marks.WriteCSV(w, &marks.Class{Sheets: []*marks.Sheet{s}}) })
	}
}
