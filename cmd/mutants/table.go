package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// tableWidth is how many columns the table has at most.
const tableWidth = 120

// table prints mutants by scenarios: a row a mutant, a column a scenario.
type table struct {
	w         io.Writer
	scenarios []string
	nameWidth int
	err       error // the first of printing
}

func newTable(w io.Writer, mutants []mutant, scenarios []string) *table {
	t := &table{w: w, scenarios: scenarios}
	for _, b := range mutants {
		t.nameWidth = max(t.nameWidth, utf8.RuneCountInString(b.name))
	}
	return t
}

func (t *table) print(format string, arguments ...any) {
	line := fmt.Sprintf(format, arguments...)
	if _, err := fmt.Fprintln(t.w, strings.TrimRight(line, " ")); err != nil && t.err == nil {
		t.err = fmt.Errorf("printing the table: %w", err)
	}
}

// head names the columns.
func (t *table) head() {
	t.print("x: the scenario turned red; !: it panicked or did not end")
	for i, file := range t.scenarios {
		t.print("%3d %s", i+1, scenarioName(file))
	}
	t.print("")
	var numbers strings.Builder
	for i := range t.scenarios {
		fmt.Fprintf(&numbers, "%3d", i+1)
	}
	t.print("%-*s%s  first failure", t.nameWidth, "planted mutant", numbers.String())
}

// row shows one mutant, and beside it the first failure of the scenario that
// guards its rule, or what is wrong.
func (t *table) row(r *result) {
	var marks strings.Builder
	for i := range t.scenarios {
		marks.WriteString("  " + markOf(r.results, i))
	}
	note := strings.ToUpper(string(r.outcome))
	if r.outcome == caught {
		note = t.firstFailure(r)
	}
	line := fmt.Sprintf("%-*s%s  %s", t.nameWidth, r.mutant.name, marks.String(), note)
	t.print("%s", cut(line, tableWidth))
}

func markOf(results []scenarioResult, i int) string {
	if i >= len(results) {
		return " "
	}
	switch results[i].ending {
	case green:
		return "."
	case red:
		return "x"
	default:
		return "!"
	}
}

// firstFailure is that of the guarding scenario, or of the first that noticed.
func (t *table) firstFailure(r *result) string {
	why := ""
	for i, o := range r.results {
		if o.ending == green {
			continue
		}
		if why == "" || scenarioName(t.scenarios[i]) == r.mutant.by {
			why = o.why
		}
	}
	return why
}

// explain says more about every failure.
func (t *table) explain(failures []result) {
	for _, r := range failures {
		t.print("%s: %s: %s: %v", r.outcome, r.mutant.file, r.mutant.name, r.err)
	}
}

// cut shortens a line to so many characters.
func cut(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-3]) + "..."
}
