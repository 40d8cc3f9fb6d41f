package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// rulesLimit is the time limit of one run of all rules, which takes a second or two.
const rulesLimit = time.Minute

// allDialects is the value of --dialects for all of them.
const allDialects = "all"

// chooseDialects returns the dialects that --dialects names.
func chooseDialects(text string) ([]string, error) {
	names := scenarios.DialectNames()
	if text == allDialects {
		return names, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("invalid --dialects %q: must be all or a number", text)
	}
	return []string{names[n%uint64(len(names))]}, nil
}

// wiresOf returns the dialects in which a mutant is tried: the chosen ones that show it, or else seed.
func (o *options) wiresOf(m *mutant) []string {
	shown := slices.DeleteFunc(slices.Clone(o.wires), func(name string) bool { return slices.Contains(m.unless, name) })
	if len(shown) == 0 {
		return []string{"seed"}
	}
	return shown
}

// ruleJudge judges programs by the rules of the judge.
type ruleJudge struct {
	root    string // of the module
	options *options
	files   map[string]*scenarios.Scenario // by the path from the module's root
	// passes are the files of the rules that the program without a bug passes, by dialect, in order. The others need a
	// process, or a part that the dialect lacks.
	passes map[string][]string
}

// newRuleJudge finds the rules that the program without a bug passes in the dialects of the mutants.
func newRuleJudge(ctx context.Context, root string, o *options, program string) (*ruleJudge, error) {
	rules, err := scenarios.LoadRules(scenarios.Options{})
	if err != nil {
		return nil, err
	}
	j := &ruleJudge{root: root, options: o, files: map[string]*scenarios.Scenario{}, passes: map[string][]string{}}
	for _, s := range rules {
		j.files["scenarios/"+s.File] = s
	}
	all := slices.Sorted(maps.Keys(j.files))
	for i := range o.mutants {
		for _, dialect := range o.wiresOf(&o.mutants[i]) {
			if j.passes[dialect] != nil {
				continue
			}
			broken, err := j.broken(ctx, program, dialect, all)
			if err != nil {
				return nil, err
			}
			j.passes[dialect] = slices.DeleteFunc(slices.Clone(all), func(file string) bool { return broken[file] })
		}
	}
	return j, nil
}

// broken runs the rules of files in a dialect, and returns the files of those that fail or do not run. A rule whose
// precondition fails is not judged, and counts as one that holds.
func (j *ruleJudge) broken(ctx context.Context, program, dialect string, files []string) (map[string]bool, error) {
	arguments := append([]string{"run", "--dialect", dialect, "--report", "json"}, files...)
	_, stdout, stderr, err := runTwice(ctx, rulesLimit, j.root, program, arguments...)
	broken := map[string]bool{}
	for _, file := range files {
		broken[file] = true
	}
	for d := json.NewDecoder(bytes.NewReader(stdout)); err == nil; {
		var run struct {
			File   string          `json:"file"`
			Checks []reports.Check `json:"checks"`
		}
		if err = d.Decode(&run); err == nil {
			broken[run.File] = breaks(j.files[run.File], run.File, run.Checks)
		}
	}
	if !errors.Is(err, io.EOF) || len(stdout) == 0 {
		return nil, fmt.Errorf("running the rules in the dialect %s: %w: %s", dialect, err, bytes.TrimSpace(stderr))
	}
	return broken, nil
}

// breaks reports whether an expectation of a rule failed, and none of its preconditions.
func breaks(rule *scenarios.Scenario, file string, checks []reports.Check) bool {
	needed := map[string]bool{} // by place
	for _, st := range rule.Script {
		for _, e := range st.Expect {
			needed[fmt.Sprintf("%s:%d:%d", file, e.Pos.Line, e.Pos.Col)] = st.Need
		}
	}
	broken := false
	for _, c := range checks {
		switch {
		case c.Kind != reports.ExpectationCheck || c.Verdict == reports.Passed || c.Place == "":
		case needed[c.Place]:
			return false
		default:
			broken = true
		}
	}
	return broken
}

// welcomeRule is the number of the rule that the right password is welcomed. If it fails, the judge judges no later
// rule of the server.
const welcomeRule = 4

// judge returns killed if the mutant's rules failed in each dialect, and no other course rule of that program.
func (j *ruleJudge) judge(ctx context.Context, m *mutant, program string) (outcome, error) {
	for _, dialect := range j.options.wiresOf(m) {
		files, of := slices.Clone(j.passes[dialect]), ""
		for _, file := range files {
			if r := j.files[file].Rule; r.Number == m.rules[0] {
				of = r.Of
			}
		}
		files = slices.DeleteFunc(files, func(file string) bool {
			r := j.files[file].Rule
			later := m.rules[0] == welcomeRule && r.Number > welcomeRule
			own := slices.Contains(m.rules, r.Number)
			return !own && (r.Of != of || r.Group != scenarios.GroupCourse || later)
		})
		if of == "" {
			return untried, fmt.Errorf("without a bug rule %d does not pass in the dialect %s", m.rules[0], dialect)
		}
		broken, err := j.broken(ctx, program, dialect, files)
		if err != nil {
			return untried, err
		}
		var found []int
		for _, file := range files {
			if broken[file] {
				found = append(found, j.files[file].Rule.Number)
			}
		}
		slices.Sort(found)
		switch {
		case len(found) == 0:
			return survives, fmt.Errorf("no rule failed in the dialect %s, want %v", dialect, m.rules)
		case !slices.Equal(found, m.rules):
			return missed, fmt.Errorf("the rules %v failed in the dialect %s, want %v", found, dialect, m.rules)
		}
	}
	return killed, nil
}

// rulesTable prints a row for each mutant, with its rules and the dialects in which it was tried.
type rulesTable struct {
	*printer
	options *options
}

func (t *rulesTable) head() { t.print("%-56s%-7s%s", "planted bug", "rules", "dialects") }

func (t *rulesTable) row(r *result) {
	note := strings.Join(t.options.wiresOf(r.mutant), " ")
	if r.outcome != killed {
		note = strings.ToUpper(string(r.outcome))
	}
	rules := strings.Trim(fmt.Sprint(r.mutant.rules), "[]")
	t.print("%s", truncate(fmt.Sprintf("%-56s%-7s%s", r.mutant.name, rules, note), tableWidth))
}

func (t *rulesTable) foot() { t.print("") }
