package marks

import (
	"fmt"
	"strings"
)

// hostile has everything that a program might print to disturb a document.
const hostile = "\x1b[31mred\x1b]0;title\a </script></style><script>alert(1)</script> ]]> <!-- & \"'` " +
	"\xff\xfe \u202egnp\u2066 \u0000 {{.}} =cmd()"

// sample returns a sheet with every mark and every field. Each text of a program is hostile.
func sample() *Sheet {
	long := strings.Repeat("x", 100000)
	lines := []Line{
		{0.001, "the server", "the screen", "listening on 14001 " + hostile},
		{0.502, "anna", "the server", `"anna"`},
	}
	for i := range 30 {
		lines = append(lines, Line{1 + float64(i)/10, "the server", "anna", fmt.Sprintf("\"answer %d\"", i)})
	}
	lines = append(lines, Line{4.25, "the server", "anna", long}, Line{4.5, "the server", "anna", hostile})
	files := []File{
		{Name: "credentials.txt", Before: "anna comp3331\n", After: "anna comp3331\n"},
		{Name: "log " + hostile, After: hostile},
	}
	repeat := "sim judge --folder team-07 --server-command 'python3 server.py {port} {block}' --seed 1 --only 8"
	return &Sheet{
		Submission: "team-07", Dialect: "learned", Seed: 1, Seconds: 32.25,
		Notes: []string{"credentials.txt was given with CRLF line ends: the server does not start with LF", hostile},
		Results: []Result{
			{Number: 1, Title: "the server starts with the arguments of the assignment", Source: "section 3.1",
				Group: "course", Of: "server", Points: 1, Mark: Passed, Repeat: repeat, Seconds: 0.75},
			{Number: 4, Title: "the right password is welcomed", Source: "section 3.2", Group: "course", Of: "server",
				Points: 2, Mark: Passed, Repeat: repeat},
			{Number: 5, Title: "letter case matters in names and passwords", Source: "section 3.2", Group: "course",
				Of: "server", Points: 1, Mark: Passed, Repeat: repeat},
			{Number: 8, Title: "the third wrong password in a row blocks the account", Source: "section 3.2",
				Group: "course", Of: "server", Points: 2, Mark: Failed,
				Reason: "The account was not blocked after three wrong passwords.",
				Attempts: []Attempt{
					{Failures: []string{
						`expected the right password from a new connection is refused, because the account is ` +
							`blocked for the duration of the argument (section 3.2); came "Welcome, ` +
							`because; came ` + hostile + `"`},
						Lines: lines, Files: files},
					{Failures: []string{"expected a refusal; came " + long}, Lines: lines[:2]},
				},
				Repeat: repeat, Seconds: 3.5},
			{Number: 13, Title: "the block ends in time", Source: "section 3.2", Group: "course", Of: "server",
				Points: 2, Mark: Unstable, Reason: "The block ended in time in one run only.",
				Attempts: []Attempt{
					{Failures: []string{"expected a welcome 1.2 s after the end of the block, because a block lasts " +
						"as long as its argument (section 3.2); came \"Your account is blocked\""}, Lines: lines[2:9]},
					{Passed: true, Lines: lines[2:11]},
				}, Repeat: repeat},
			{Number: 24, Title: "a TempID has 20 digits", Source: "section 4.1", Group: "course", Of: "server",
				Points: 1, Mark: Allowed, Reason: "The TempID begins with a zero. " + hostile, Repeat: repeat},
			{Number: 29, Title: "a new TempID is issued after the old one has expired", Source: "section 4.1",
				Group: "course", Of: "server", Points: 2, Mark: NotJudged,
				Reason: "The clock of this program could not be hastened. " + hostile, Repeat: repeat},
			{Number: 39, Title: "an unknown command does no harm", Source: "section 4.4", Group: "robustness",
				Of: "server", Points: 0.5, Mark: Failed, Reason: hostile, Repeat: repeat},
			{Number: 48, Title: "Beacon sends TempID, start, expiry and version", Source: "section 5.1",
				Group: "course", Of: "phone", Points: 3, Mark: Passed, Repeat: repeat},
			{Number: 14, Title: "wrong passwords during a block do not prolong it " + hostile, Source: "good practice",
				Group: "advice", Of: "server", Points: 1, Mark: Failed, Reason: "The block was prolonged.",
				Attempts: []Attempt{{Failures: []string{"the block ended 2 s late"}}}, Repeat: repeat},
		},
	}
}

// sampleClass returns four submissions, not in order, one of them with a problem and without results.
func sampleClass() *Class {
	good := sample()
	good.Submission, good.Notes = "=good team #1?", nil
	for i := range good.Results {
		r := &good.Results[i]
		if r.Number != 8 {
			r.Mark, r.Reason, r.Attempts = Passed, "", nil
		}
	}
	shouting := sample()
	shouting.Submission = "javascript:alert(1)"
	return &Class{Sheets: []*Sheet{
		sample(),
		good,
		{Submission: "Broken <b>", Problem: "The server has ended: exit status 1, last line " + hostile, Seed: 1},
		shouting,
	}}
}
