package main

import (
	"fmt"
	"strings"

	"bluetrace/reports"
	"bluetrace/scenarios"
)

// check reads scenarios and lists their mistakes, all of every file.
func (p *program) check(arguments []string) status {
	set := newFlagSet("check")
	sets := set.StringArray("set", nil, "fill ${NAME} in the scenario: `NAME=VALUE`; may be repeated")
	quiet := set.Bool("quiet", false, "print nothing about scenarios without a mistake")
	help := helpOf(set, "sim check [flags] SCENARIO...", "Reads scenarios and lists their mistakes.") + "\n" + statuses
	if err := set.Parse(arguments); err != nil {
		return p.refuseFlags("check", help, err)
	}
	vars, err := variables(*sets)
	if err != nil {
		return p.refuseFlags("check", help, err)
	}
	files, worst := p.selected(set.Args())
	for _, file := range files {
		s, err := p.load(file, scenarios.Options{Vars: vars})
		switch {
		case err != nil:
			p.complain(err, "")
			worst = max(worst, statusOfLoading(err))
		case !*quiet:
			worst = max(worst, p.print(fmt.Sprintf("ok  %s: %s\n", reports.Escape(file), contents(s))))
		}
	}
	return worst
}

func contents(s *scenarios.Scenario) string {
	phones := 0
	for _, g := range s.Phones {
		phones += g.Count
	}
	return strings.Join([]string{
		reports.Plural(phones, "phone", "phones"), reports.Plural(len(s.Script), "step", "steps"),
		reports.Plural(len(s.Expect), "expectation", "expectations"), reports.Plural(len(s.Thresholds), "threshold", "thresholds"),
	}, ", ")
}
