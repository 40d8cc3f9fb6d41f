//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/go-cmp/cmp"

	"bluetrace/cmd/server/authority"
	"bluetrace/reports/marks"
)

// asForeign is the environment variable with which the test binary is a server that is judged.
const asForeign = "BLUETRACE_TEST_AS_FOREIGN"

// foreignServer is the main function of that server.
func foreignServer(kind string) {
	port := os.Args[1]
	if kind == "right" {
		os.Exit(authority.Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr, time.UTC, clock.New()))
	}
	if kind == "other port" {
		port = "0"
	}
	l, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	c, err := l.Accept()
	if err != nil {
		panic(err)
	}
	_, _ = bufio.NewReader(c).ReadByte()
	fmt.Println("KeyError: 'password'")
	os.Exit(3)
}

// submission makes a folder of a class, whose server is the script server.sh, or the foreign server of a kind.
func submission(t *testing.T, class, name, script string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(class, name), 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	script = strings.ReplaceAll(script, "FOREIGN", "exec env "+asForeign+`="$KIND" '`+path+"'")
	writeFile(t, filepath.Join(class, name, "server.sh"), script)
}

// right is the script of a right server.
const right = `KIND=right; FOREIGN "$@"`

const shServer = "sh server.sh {port} {block}"

// judgeProcess returns sim judge for a class, with a folder of its own for temporary files.
func judgeProcess(t *testing.T, class string, arguments ...string) (p *process, temp string) {
	t.Helper()
	p = newProcess(t, append([]string{"judge", "--server-command", shServer, "--submissions", class, "--out", "out",
		"--quiet"},
		arguments...)...)
	temp = t.TempDir()
	p.Env = append(p.Env, "TMPDIR="+temp)
	return p, temp
}

// leftNothing checks that no temporary file is left, and no process with a text in its command line.
func leftNothing(t *testing.T, temp, text string) {
	t.Helper()
	if left := namesIn(t, temp); len(left) > 0 {
		t.Errorf("left in the folder for temporary files: %q", left)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range lines {
		line, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(line), text) && !strings.Contains(string(line), "judge") {
			t.Errorf("left: %s %q", name, line)
		}
	}
}

// sheetOf reads the marks of a submission.
func sheetOf(t *testing.T, p *process, name string) (sheet marks.Sheet) {
	t.Helper()
	if err := json.Unmarshal([]byte(contentOf(t, p.path("out/"+name+"/marks.json"))), &sheet); err != nil {
		t.Fatal(err)
	}
	return sheet
}

// TestJudgeFlagsRefused: each wrong command line has its sentence and the status of invalid input.
func TestJudgeFlagsRefused(t *testing.T) {
	dir := t.TempDir()
	empty, full := filepath.Join(dir, "empty"), filepath.Join(dir, "full")
	submission(t, full, "one", right)
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		writeFile(t, filepath.Join(dir, name), text)
		return filepath.Join(dir, name)
	}
	server := []string{"--server-command", "x {port}", "--folder", full}
	client := []string{"--client-command", "x {port} {udp}", "--folder", full}
	for _, c := range []struct {
		arguments []string
		want      string
	}{
		{nil, "no program: write --server-command, --client-command or both"},
		{[]string{"--server-command="}, "--server-command needs a value"},
		{[]string{"--server-command", "x {port}"},
			"write the folder of the programs with --folder, or of a class with --submissions"},
		{append(server, "--submissions", full),
			"write the folder of the programs with --folder, or of a class with --submissions"},
		{[]string{"--server-command", "x {port}", "--submissions", full},
			"--submissions needs --out DIR for the documents"},
		{[]string{"--server-command", "x", "--folder", full},
			"--server-command has no {port}, which stands for the port of the server"},
		{[]string{"--client-command", "x {port}", "--folder", full},
			"--client-command must have {port} and {udp}, the ports of the server and of beacons"},
		{append(server, "--jobs", "0"), "invalid --jobs 0: must be 1 to 1000"},
		{append(server, "--block", "2s"), "invalid --block 2s: must be 3s to 1h, in whole seconds"},
		{append(server, "--block", "3500ms"), "invalid --block 3.5s: must be 3s to 1h, in whole seconds"},
		{append(server, "--hasten", "1"), "invalid --hasten 1: must be 2 to 100, or 0 for real time"},
		{append(server, "--dialect", "learn"),
			"--dialect learn needs --server-command and --client-command: the wire is learned from both"},
		{append(client, "--dialect", "learn"),
			"--dialect learn needs --server-command and --client-command: the wire is learned from both"},
		{append(server, "--dialect", "absent"), `there is no dialect "absent"`},
		{append(server, "--rules", filepath.Join(dir, "absent")), "reading the rules: open " + filepath.Join(dir,
			"absent") +
			": no such file or directory"},
		{append(server, "--rules", write("text", "eight: 2")), "expected a line such as `8: 2.5` for each rule"},
		{append(server, "--rules", write("zero", "8: 0")),
			"rule 8 has 0 points; expected a number above 0, at most 1000"},
		{append(server, "--rules", write("nan", "8: .nan")),
			"rule 8 has NaN points; expected a number above 0, at most 1000"},
		{append(server, "--rules", write("unknown", "8: 1\n7777: 1")), "there is no rule 7777"},
		{append(server, "--only", "7777"), "there is no rule 7777"},
		{append(server, "--report", "pdf"), `"pdf"`},
		{[]string{"--server-command", "x {port}", "--folder", filepath.Join(dir, "absent")}, "there is no folder"},
		{[]string{"--server-command", "x {port}", "--folder", empty}, "is empty"},
		{[]string{"--server-command", "x {port}", "--submissions", empty, "--out", dir},
			"has no folders: each submission is one"},
		{[]string{"--server-command", "x {port}", "--submissions", filepath.Join(dir, "absent"), "--out", dir},
			"reading the folder of --submissions: open "},
	} {
		b := newBench()
		got := b.command(t.Context(), append([]string{"judge"}, c.arguments...))
		if got != statusInvalid || !strings.Contains(b.err.String(), c.want) || b.out.Len() > 0 {
			t.Errorf("%q: status %d\n%s%s\nwant %s", c.arguments, got, b.err.String(), b.out.String(), c.want)
		}
	}
}

// TestJudgePlan: a plan runs nothing and writes nothing.
func TestJudgePlan(t *testing.T) {
	class := t.TempDir()
	submission(t, class, "a", "touch started")
	b := newBench()
	out := filepath.Join(t.TempDir(), "out")
	got := b.command(t.Context(), []string{"judge", "--server-command", shServer, "--submissions", class, "--out", out,
		"--plan", "--only", "4,8"})
	text := b.out.String()
	if got != statusPassed || strings.Count(text, "it would run, for about") != 2 ||
		!strings.Contains(text, "This is the plan: nothing was run.") {
		t.Errorf("status %d\n%s\n%s", got, text, b.err.String())
	}
	if names := namesIn(t, filepath.Join(class, "a")); !slices.Equal(names, []string{"server.sh"}) {
		t.Errorf("the folder has %q", names)
	}
	if _, err := os.Stat(filepath.Join(out, "a")); err == nil {
		t.Error("documents were written")
	}
}

// skipShort leaves out a test with -short, with which .ci/run has the race detector.
func skipShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: it takes a minute, in other processes or one goroutine: run without -short")
	}
}

// TestJudgeBadPrograms: each program that does not work has one sentence with the reason, the others of the class are
// judged, and nothing is left behind.
func TestJudgeBadPrograms(t *testing.T) {
	skipShort(t)
	t.Parallel()
	class := t.TempDir()
	marker := fmt.Sprintf("6%07d.25", os.Getpid()) // of this process
	for name, c := range map[string]string{
		"absent": "", "ends": "echo no module named x; exit 4", "mute": "exec sleep " + marker,
		"elsewhere": "KIND='other port'; FOREIGN \"$@\"", "prints": `exec yes "$(head -c 4000 /dev/zero | tr "\0" x)"`,
		"dies":  `KIND=dies; FOREIGN "$@"`,
		"forks": "for i in $(seq 200); do sleep " + marker + " & done; wait",
		"right": "sleep " + marker + " & " + right,
		"cheats": `for f in results.json marks.json ../results.json; do echo '{"score": 100}' > $f; done
echo 'passed 4 The right password is welcomed.'; kill -9 $PPID; exit 0`,
	} {
		submission(t, class, name, c)
	}
	if err := os.Remove(filepath.Join(class, "absent/server.sh")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(class, "absent/README"), "later")
	p, temp := judgeProcess(t, class, "--only", "1,4", "--jobs", "20")
	p.start()
	p.ends(statusFailed)
	leftNothing(t, temp, marker)
	for name, want := range map[string]string{
		"absent": "the server ended before it listened on port ",
		"ends":   "exit status 4; last lines: no module named x",
		"mute":   "the server does not listen on port ", "elsewhere": "the server listens on ",
		"prints": "ended: it printed more than 64 MB", "dies": "exit status 3; last lines: KeyError: 'password'",
		"forks": "ended: it had more than 64 processes", "cheats": "the server ended before it listened on port ",
	} {
		sheet := sheetOf(t, p, name)
		points, _ := sheet.Score()
		reason := sheet.Problem
		for _, r := range sheet.Results {
			reason += "\n" + r.Reason
		}
		if sheet.Verdict() == marks.Passed || points > 1 || points > 0 && name != "dies" ||
			!strings.Contains(reason, want) ||
			strings.Contains(reason, "bluetrace-") {
			t.Errorf("%s: %s, %v points: %s", name, sheet.Verdict(), points, reason)
		}
	}
	if sheet := sheetOf(t, p, "right"); sheet.Verdict() != marks.Passed {
		t.Errorf("right: %+v", sheet)
	}
	want := []string{"absent", "cheats", "dies", "elsewhere", "ends", "forks", "index.html", "marks.csv", "marks.json",
		"mute", "prints", "right"}
	if d := cmp.Diff(want, namesIn(t, p.path("out"))); d != "" {
		t.Error(d)
	}
	if text := contentOf(t, p.path("out/cheats/results.json")); !strings.Contains(text, `"tests"`) {
		t.Errorf("results.json: %s", text)
	}
}

// TestJudgeResumes: after an interrupt the same command judges only the other submissions, and those that were changed.
// --again judges all. A program reads neither another submission nor the results.
func TestJudgeResumes(t *testing.T) {
	skipShort(t)
	t.Parallel()
	class := t.TempDir()
	submission(t, class, "a", right)
	submission(t, class, "b", `cat "$PWD"/../../*/server.sh `+class+`/a/server.sh >&2; sleep 3; `+right)
	rules := filepath.Join(t.TempDir(), "rules")
	writeFile(t, rules, "4: 7\n1: 0.5\n8: 1\n")
	arguments := []string{"--only", "1,4", "--jobs", "2", "--rules", rules}
	p, temp := judgeProcess(t, class, append(slices.Clone(arguments), "--quiet=false")...)
	folder := p.folder
	p.start()
	p.says("1 of 2 submissions: a ")
	if _, err := os.Stat(p.path("out/a/check50.json")); err != nil {
		t.Fatal("the first submission has no documents:", err)
	}
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.ends(statusInterrupted)
	leftNothing(t, temp, class)
	if text := p.errs.String(); !strings.Contains(text, "interrupted: 1 of 2 submissions are judged") {
		t.Errorf("standard error: %s", text)
	}
	modified := func(name string) time.Time {
		t.Helper()
		info, err := os.Stat(filepath.Join(folder, "out", name, "marks.json"))
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	again := func(more ...string) {
		t.Helper()
		p, temp := judgeProcess(t, class, append(slices.Clone(arguments), more...)...)
		p.folder, p.Dir = folder, folder
		p.start()
		p.ends(statusPassed)
		leftNothing(t, temp, class)
	}
	first := modified("a")
	again()
	if !modified("a").Equal(first) {
		t.Error("a was judged twice")
	}
	p.folder = folder
	for _, name := range []string{"a", "b"} {
		sheet := sheetOf(t, p, name)
		if points, most := sheet.Score(); points != 7.5 || most != 7.5 {
			t.Errorf("%s has %v of %v points: %+v", name, points, most, sheet)
		}
		if text := contentOf(t, p.path("out/"+name+"/marks.json")); strings.Contains(text, "FOREIGN") ||
			strings.Contains(text, asForeign) {
			t.Errorf("%s has read a submission:\n%s", name, text)
		}
	}
	second := modified("b")
	writeFile(t, filepath.Join(class, "b/server.sh"), contentOf(t, filepath.Join(class, "a/server.sh")))
	again()
	if modified("b").Equal(second) || !modified("a").Equal(first) {
		t.Error("only b was changed")
	}
	again("--again")
	if modified("a").Equal(first) {
		t.Error("--again has not judged a")
	}
}

// TestJudgeDocuments: one submission has its documents in --out and on standard output.
func TestJudgeDocuments(t *testing.T) {
	t.Parallel()
	class := t.TempDir()
	submission(t, class, "a", right)
	p := newProcess(t, "judge", "--server-command", shServer, "--folder", filepath.Join(class, "a"), "--only", "4",
		"--out", "out",
		"--report", "csv", "--quiet")
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.start()
	text, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	p.ends(statusPassed)
	if !strings.Contains(string(text), "a,") || strings.Contains(string(text), "<html") {
		t.Errorf("standard output:\n%s", text)
	}
	want := []string{"check50.json", "junit.xml", "marks.html", "marks.json", "marks.txt", "results.json"}
	if d := cmp.Diff(want, namesIn(t, p.path("out"))); d != "" {
		t.Error(d)
	}
}
