package scenarios

import (
	"embed"
	"fmt"
	"io/fs"

	yaml "go.yaml.in/yaml/v4"
)

// Rule is a rule of `sim judge`. The scenario that has it is run alone, and its checks decide the rule.
type Rule struct {
	Pos    Pos
	Number int     // of docs/JUDGE.md; 1 to 999
	Title  string  // what the program must do, in one sentence for its author
	Source string  // the section that asks for it
	Group  string  // one of the group constants
	Points float64 // 0 to 1000
	Of     string  // the judged program: server, phone or both
	// Needs lists what the rule needs of the dialect or the machine, such as "download". Without it the rule is not
	// judged.
	Needs []string
	// Allowed names the difference that a failure of the rule is, where the specification allows one; "" if it allows
	// none.
	Allowed string
}

// The groups of rules.
const (
	GroupCourse     = "course"     // the words of the specification
	GroupRobustness = "robustness" // harm by input that a right peer does not send
	GroupAdvice     = "advice"     // good practice
)

var pointsForm = &form{doc: "a number above 0 such as 2 or 0.5", scalar: &scalar{parse: boxed(parseReal)}}

// keys is the table of `rule`.
func (r *Rule) keys() []key {
	needs := oneOf("", nil, "download", "upload", "logout", "beacon", "output",
		"address", "hastened", "server", "split", "seed", "terminal", "lengths")
	return []key{
		to("number", &r.Number, wholeForm("a whole number, 1 to 999", 1, 999), "The number in docs/JUDGE.md.").need(),
		to("title", &r.Title, anyTextForm, "What the program must do, in one sentence for its author.").need(),
		to("source", &r.Source, anyTextForm, "The section that asks for it.").or("course specification"),
		to("group", &r.Group, oneOf("", nil, GroupCourse, GroupRobustness, GroupAdvice), "The group.").or("course"),
		to("points", &r.Points, pointsForm, "The points for a pass.").or("1"),
		to("of", &r.Of, oneOf("", nil, "server", "phone", "both"), "The judged program.").or("server"),
		to("needs", &r.Needs, orList("a need, or a list of needs", needs), "Without these the rule is not judged."),
		to("allowed", &r.Allowed, anyTextForm, "The name of the difference, if the specification allows a failure."),
	}
}

//go:embed rules/*/*.yaml
var shippedRules embed.FS

// RuleText is the file of a rule.
type RuleText struct {
	File string
	Text []byte
}

// RuleTexts returns the rules that are part of the program.
func RuleTexts() (list []RuleText, err error) {
	files, err := fs.Glob(shippedRules, "rules/*/*.yaml")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, f := range files {
		text, err := shippedRules.ReadFile(f)
		if err != nil {
			return nil, err
		}
		list = append(list, RuleText{f, text})
	}
	return list, nil
}

// LoadRules reads and checks the rules of RuleTexts. Values of variables go to the files that use them. The error is a
// *Mistakes.
func LoadRules(o Options) (rules []*Scenario, err error) {
	texts, err := RuleTexts()
	if err != nil {
		return nil, err
	}
	o.SpareVars = true
	for _, text := range texts {
		s, err := Parse(text.File, text.Text, o)
		if err != nil {
			return nil, err
		}
		rules = append(rules, s)
	}
	return rules, nil
}

// LoadPoints reads a file with the points of rules: a YAML mapping of their numbers to numbers above 0.
func LoadPoints(file string) (map[int]float64, error) {
	text, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the rules: %w", err)
	}
	points := map[int]float64{}
	if err := yaml.Unmarshal(text, &points); err != nil {
		return nil, fmt.Errorf("%s: expected a line such as `8: 2.5` for each rule, its number and its points: %w",
			file, err)
	}
	for number, p := range points {
		if number < 1 || !(p > 0 && p <= 1000) {
			return nil, fmt.Errorf("%s: rule %d has %v points; expected a number above 0, at most 1000",
				file, number, p)
		}
	}
	return points, nil
}
