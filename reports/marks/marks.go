// Package marks writes the marks that `sim judge` gives to programs: as text, JSON, JUnit, HTML, CSV, and in the forms
// of Gradescope and check50.
package marks

// Mark is the result of one rule.
type Mark string

// The marks.
const (
	Passed    Mark = "passed"
	Failed    Mark = "failed"
	NotJudged Mark = "not judged" // a precondition was not met; Result.Reason has it
	Unstable  Mark = "unstable"   // the rule failed in one run and passed in another
	// Allowed is a difference that the specification allows; Result.Reason names it.
	Allowed Mark = "allowed difference"
)

// Sheet has the marks of one submission. Its JSON form is stable: a later version only adds names.
type Sheet struct {
	Submission string `json:"submission"` // the name of its folder
	// Problem is one sentence if the submission could not be judged, with the reason; "" otherwise.
	Problem string   `json:"problem,omitempty"`
	Dialect string   `json:"dialect,omitempty"` // the name of its dialect, or "learned"
	Notes   []string `json:"notes,omitempty"`   // what was found on the way, such as the form of credentials.txt
	Results []Result `json:"results"`           // in the order of their numbers
	Seed    uint64   `json:"seed"`
	// Key is a hash of everything on which the marks depend: programs, rules and settings.
	Key     string  `json:"key,omitempty"`
	Seconds float64 `json:"seconds"` // the duration of the judgement
	// Planned marks a plan: no rule was run. Seconds, and those of its results, are estimates.
	Planned bool `json:"planned,omitempty"`
}

// Result is the result of one rule.
type Result struct {
	Number int     `json:"number"`
	Title  string  `json:"title"`  // what the program must do
	Source string  `json:"source"` // the section that asks for it
	Group  string  `json:"group"`  // course, robustness or advice
	Of     string  `json:"of"`     // server, phone or both
	Points float64 `json:"points"` // for a pass
	Mark   Mark    `json:"mark"`
	// Reason is a sentence for the author of the program. It is empty with Passed.
	Reason   string    `json:"reason,omitempty"`
	Attempts []Attempt `json:"attempts,omitempty"` // the runs of the rule that explain the mark
	Repeat   string    `json:"repeat"`             // the command that repeats exactly this rule
	Seconds  float64   `json:"seconds"`
}

// Attempt is one run of a rule.
type Attempt struct {
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures,omitempty"` // "expected …, because …; came …"
	Lines    []Line   `json:"lines,omitempty"`    // bytes and output in the order of time
	Files    []File   `json:"files,omitempty"`    // of the program's folder after the run
}

// Line is a message, a line of output or a line of input.
type Line struct {
	AtSeconds float64 `json:"at_seconds"` // from the start of the run
	From      string  `json:"from"`       // such as anna, the server
	To        string  `json:"to"`         // such as the server, the screen
	Text      string  `json:"text"`       // bytes of a message as a quoted string; else a line
}

// File is a file of the program's folder.
type File struct {
	Name   string `json:"name"`
	Before string `json:"before,omitempty"` // the beginning of its text before the run
	After  string `json:"after"`
}

// Score returns the points for the results, and the most that there are. A mark that is neither Passed nor Allowed
// gives none. The most does not depend on the marks.
func (s *Sheet) Score() (points, most float64) {
	for i := range s.Results {
		r := &s.Results[i]
		if r.Group == "advice" {
			continue
		}
		most += r.Points
		if r.Mark == Passed || r.Mark == Allowed {
			points += r.Points
		}
	}
	return points, most
}

// Class has the marks of several submissions.
type Class struct {
	Sheets []*Sheet `json:"sheets"` // in the order of their names
}
