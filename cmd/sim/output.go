package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"bluetrace/reports"
	"bluetrace/reports/filetype"
	"bluetrace/reports/page"
	"bluetrace/reports/runpage"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// output writes the results of a command.
type output struct {
	*program
	inputs       []input // files that must not be overwritten
	worst        status
	diskFailed   bool // a file could not be written; no more are written
	stdoutFailed bool // nothing more is printed to standard output
}

// toStdout prints to standard output. It reports the first error, after which
// nothing more is printed.
func (o *output) toStdout(write func(io.Writer) error) {
	if o.stdoutFailed {
		return
	}
	if err := write(o.stdout); err != nil {
		o.stdoutFailed = true
		o.raise(o.fail(fmt.Errorf("printing to standard output: %w", err), "", statusError))
	}
}

// raise sets the exit status to s unless it is larger already.
func (o *output) raise(s status) { o.worst = max(o.worst, s) }

// writeFile writes a file of --out, whole or not at all, unless overwriting it was
// refused with an error. It reports whether the file was written. It reports the
// first error of the disk, after which no other file is written.
func (o *output) writeFile(path string, refused error, write func(io.Writer) error) bool {
	if o.diskFailed {
		return false
	}
	if refused != nil {
		o.raise(o.fail(refused, "", statusInvalid))
		return false
	}
	err := reports.WriteFile(path, write)
	if err == nil {
		return true
	}
	hint := noMoreReports
	if errors.Is(err, syscall.ENOSPC) {
		hint = "free some space, or name another folder with --out; " + hint
	}
	o.diskFails(err, hint)
	return false
}

const noMoreReports = "no further report was written"

// diskFails reports an error of the disk, after which no file is written.
func (o *output) diskFails(err error, hint string) {
	o.diskFailed = true
	o.raise(o.fail(err, hint, statusError))
}

// report writes the files of a run, whose names begin with name, and then prints its
// chosen forms: the reader of standard output may be gone. If everything goes to files,
// it still prints the verdict.
func (r *runCommand) report(run *reports.Run, name string) {
	text, quiet := r.forms.has("text") || r.out != "", r.quiet || !r.forms.has("text")
	r.showEnd(run, name)
	if r.out != "" {
		for _, p := range plotsOf(run, name) {
			run.Plots = append(run.Plots, p.file)
		}
		if hasPage(run) {
			run.Page = name + pageEnd
		}
		r.writeFiles(run, name)
	}
	r.runs = append(r.runs, run)
	if text {
		r.toStdout(func(w io.Writer) error {
			if r.printed && !quiet {
				if _, err := io.WriteString(w, "\n"); err != nil {
					return err
				}
			}
			return reports.Text(w, run, reports.TextOptions{Color: r.colour && !r.noColor, Quiet: quiet})
		})
	}
	r.printed = text
	if r.forms.has("json") && r.out == "" {
		r.toStdout(func(w io.Writer) error { return reports.JSON(w, []*reports.Run{run}) })
	}
	if r.forms.has("html") && r.out == "" {
		r.toStdout(func(w io.Writer) error { return runpage.Write(w, run) })
	}
	run.Scene = nil // it is large
}

// finish writes the report about all runs. After several texts, it prints the number of their verdicts.
func (r *runCommand) finish() {
	junit := func(w io.Writer) error { return reports.JUnit(w, r.runs, r.sets...) }
	switch {
	case r.out != "":
		r.writeReport(junitFile, junit)
		r.writeReport(indexFile, func(w io.Writer) error { return writeIndex(w, r.runs, r.program) })
	case r.forms.has("junit"):
		r.toStdout(junit)
	}
	if (r.forms.has("text") || r.out != "") && len(r.runs)+r.notBegun > 1 {
		r.toStdout(func(w io.Writer) error {
			gap := "\n"
			if r.quiet || !r.forms.has("text") || !r.printed {
				gap = ""
			}
			_, err := fmt.Fprintf(w, "%s%s\n", gap, reports.Sum(r.runs, r.notBegun))
			return err
		})
	}
}

// writeIndex writes the page over all runs of a call.
func writeIndex(w io.Writer, runs []*reports.Run, p *program) error {
	words := []string{p.name}
	for _, one := range p.arguments {
		words = append(words, shellQuoted(one))
	}
	facts := []page.Fact{
		{Name: "command", Text: strings.Join(words, " "), Code: true},
		{Name: "written", Text: p.now().Format("2006-01-02 15:04:05 MST")},
		{Name: "build", Text: version()},
	}
	if len(p.skipped) > 0 {
		facts = append(facts, page.Fact{Name: "skipped (manual)", Text: strings.Join(p.skipped, ", ")})
	}
	return runpage.WriteIndex(w, runs, facts)
}

// junitFile holds the test cases of all scenarios.
const junitFile = "junit.xml"

// indexFile is the page over all scenarios.
const indexFile = "index" + pageEnd

// Suffixes of the names of a scenario's files.
const (
	textEnd       = ".txt"
	jsonEnd       = ".json"
	pageEnd       = ".html"
	metricsEnd    = ".openmetrics.txt"
	stepsEnd      = ".steps.openmetrics.txt" // of --step
	timePlotEnd   = ".time.svg"
	searchPlotEnd = ".search.svg"
)

// hasPage reports whether a run has a page.
func hasPage(run *reports.Run) bool { return run.Scene != nil || run.Load != nil }

// reportFiles returns the names of all reports that a scenario may have, also from an earlier version.
func reportFiles(name string) []string {
	return []string{name + textEnd, name + jsonEnd, name + pageEnd, name + metricsEnd, name + stepsEnd,
		name + timePlotEnd, name + searchPlotEnd,
		name + ".time.png", name + ".search.png"} // of earlier versions
}

func (r *runCommand) writeFiles(run *reports.Run, name string) {
	r.writeReport(name+textEnd, func(w io.Writer) error { return reports.Text(w, run, reports.TextOptions{}) })
	r.writeReport(name+jsonEnd, func(w io.Writer) error { return reports.JSON(w, []*reports.Run{run}) })
	if hasPage(run) {
		r.writeReport(run.Page, func(w io.Writer) error { return runpage.Write(w, run) })
	}
	r.writeReport(name+metricsEnd, func(w io.Writer) error { return reports.WriteMetrics(w, run) })
	for _, p := range plotsOf(run, name) {
		r.writeReport(p.file, func(w io.Writer) error { return p.draw(w, run) })
	}
	if r.history != nil {
		r.writeReport(name+stepsEnd, r.history.OpenMetrics)
	}
}

// manifestFile is the file in the folder of --out that holds its manifest.
const manifestFile = ".manifest"

// manifest records which scenario file gave which reports of a folder. Reports can
// therefore be removed when their scenario cannot be read any more. Its file has a line
// for each change: the name of the reports and the quoted path of the scenario,
// relative to the folder. Several processes may append to it.
type manifest struct {
	folder  string
	sources map[string]string // the path, by the name of the reports
}

// readManifest reads the manifest of a folder. A missing file is an empty manifest, and
// a damaged line is ignored.
func readManifest(folder string) (*manifest, error) {
	m := &manifest{folder, map[string]string{}}
	text, err := os.ReadFile(filepath.Join(folder, manifestFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		name, quoted, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		source, err := strconv.Unquote(quoted)
		if err == nil && name == filepath.Base(name) { // a report is in the folder
			m.sources[name] = source
		}
	}
	return m, nil
}

// add records that the reports of a name are from a scenario file.
func (m *manifest) add(name, file string) error {
	source := m.relative(file)
	if m.sources[name] == source {
		return nil
	}
	m.sources[name] = source
	f, err := os.OpenFile(filepath.Join(m.folder, manifestFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err == nil {
		_, err = fmt.Fprintf(f, "%s %q\n", name, source)
		err = errors.Join(err, f.Close())
	}
	return err // it names the file
}

// namesOf returns the names of the reports that a file, or the files directly in a
// folder, gave. They are in order.
func (m *manifest) namesOf(file string) (names []string) {
	source := m.relative(file)
	for name, of := range m.sources {
		if of == source || path.Dir(of) == source {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// relative returns the path of a scenario, relative to the folder.
func (m *manifest) relative(file string) string {
	rel, err := filepath.Rel(absolute(m.folder), absolute(file))
	if err != nil { // another drive
		rel = absolute(file)
	}
	return filepath.ToSlash(rel)
}

// prepareFolder makes the folder of --out and gives the scenarios the names of their
// reports. It removes the reports of earlier calls that could be taken for results of this
// one: junit.xml, those of the scenarios, and those of paths that do not exist any more.
func (r *runCommand) prepareFolder(unread, all []planned) (err error) {
	if r.out == "" {
		return nil
	}
	if err := makeFolder(r.out); err != nil {
		return err
	}
	if r.manifest, err = readManifest(r.out); err != nil {
		return err
	}
	r.removeReports(junitFile, indexFile)
	for _, u := range unread {
		r.dropReports(u.file, "", all...)
	}
	for i := range all {
		p := &all[i]
		if p.scenario != nil {
			p.name = r.names.take(p.scenario.Name)
			r.replaceReports(p)
		} else if mistakes, ok := errors.AsType[*scenarios.Mistakes](p.err); ok {
			r.dropReports(p.file, mistakes.Name)
		} else {
			r.dropReports(p.file, "")
		}
	}
	return nil
}

// dropRefused removes the earlier reports of the scenarios that a refused command line names, where its arguments have
// --out. c is the command that refused them; arguments[0] is its name, or one that is misspelt.
func dropRefused(c *cobra.Command, arguments []string, p *program) {
	command, out := c.Name(), ""
	if similar := c.SuggestionsFor(arguments[0]); len(similar) > 0 {
		command = similar[0]
	}
	var paths []string
	for i := 1; i < len(arguments); i++ {
		switch dir, joined := strings.CutPrefix(arguments[i], "--out="); {
		case joined:
			out = dir
		case arguments[i] == "--out" && i+1 < len(arguments):
			i++
			out = arguments[i]
		default:
			paths = append(paths, arguments[i]) // the manifest has no flag
		}
	}
	o := output{program: p, inputs: scenarioInputs(paths)}
	switch {
	case out == "":
	case command == "swarm":
		(&swarmCommand{output: o, swarmFlags: swarmFlags{out: out}}).removeSummary(paths)
	case command == "run":
		r := &runCommand{output: o, runFlags: runFlags{out: out}, names: fileNames{}}
		var err error
		if r.manifest, err = readManifest(out); err != nil {
			return // the refusal is the reason that the user sees
		}
		r.removeReports(junitFile, indexFile)
		for _, path := range paths {
			r.dropReports(path, "")
		}
	}
}

// replaceReports removes the earlier reports of a scenario that is about to be run, also
// those of the same file and scenario with another number, and records its file.
func (r *runCommand) replaceReports(p *planned) {
	numbered := regexp.MustCompile("^" + fileNames{}.take(p.scenario.Name) + "(-[0-9]+)?$")
	for _, old := range append(r.manifest.namesOf(p.file), p.name) {
		if old == p.name || numbered.MatchString(old) {
			r.removeReports(reportFiles(old)...)
		}
	}
	if err := r.manifest.add(p.name, p.file); err != nil {
		r.diskFails(err, noMoreReports)
	}
}

// dropReports removes the earlier reports of a scenario that is not run: those with its
// name, which is empty if it could not be read, and all that its file or folder gave,
// without those of the files that are run. Their names stay taken, so that the reports of
// other scenarios keep theirs.
func (r *runCommand) dropReports(file, scenario string, run ...planned) {
	names := r.manifest.namesOf(file)
	for _, p := range run {
		ofRun := r.manifest.namesOf(p.file)
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(ofRun, name) })
	}
	if scenario != "" {
		names = append(names, r.names.take(scenario))
	}
	for _, name := range names {
		r.names[strings.ToLower(name)] = true
		r.removeReports(reportFiles(name)...)
	}
}

// removeReports removes files of the folder of --out, except those that are read.
func (r *runCommand) removeReports(files ...string) {
	for _, file := range files {
		if r.diskFailed || r.refuseReports(file) != nil {
			continue
		}
		if err := reports.RemoveFile(filepath.Join(r.out, file)); err != nil {
			r.diskFails(err, noMoreReports)
		}
	}
}

// plot is a picture of a load run, as a file.
type plot struct {
	file string
	draw func(io.Writer, *reports.Run) error
}

// plotsOf returns the pictures of a run, in files whose names begin with name.
func plotsOf(run *reports.Run, name string) (plots []plot) {
	if run.Load == nil {
		return nil
	}
	if run.Load.Search != nil {
		plots = append(plots, plot{name + searchPlotEnd, runpage.WriteSearchPlot})
	}
	return append(plots, plot{name + timePlotEnd, runpage.WriteTimePlot})
}

// writeReport writes a report to the folder of --out. It checks the name again,
// because a scenario that was read later may have added an input.
func (r *runCommand) writeReport(name string, write func(io.Writer) error) {
	r.writeFile(filepath.Join(r.out, name), r.refuseOverwriting(name), write)
}

// fileNames gives each scenario a unique file name. Its keys are the names in use,
// in lower case.
type fileNames map[string]bool

const maxFileName = 100 // bytes, without a number behind it

// take returns a file name for a scenario: letters, digits, _ and - stay, every
// other character becomes -. A name in use, also with other upper-case letters,
// gets a number.
func (n fileNames) take(scenario string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return '-'
	}, scenario)
	safe = strings.TrimLeft(safe[:min(len(safe), maxFileName)], "-")
	if safe == "" {
		safe = "scenario"
	}
	name := safe
	for i := 2; n[strings.ToLower(name)] || strings.EqualFold(name+pageEnd, indexFile); i++ {
		name = safe + "-" + strconv.Itoa(i)
	}
	n[strings.ToLower(name)] = true
	return name
}

// input is a file that the runs read and must not overwrite.
type input struct {
	kind string // such as "the scenario"
	path string
}

func scenarioInputs(files []string) []input {
	inputs := make([]input, 0, len(files))
	for _, file := range files {
		inputs = append(inputs, input{"the scenario", file})
	}
	return inputs
}

// textInput returns an input that must be text. It refuses a file that holds nothing, and one of another format; UTF-16
// is refused by the reader of the text.
func textInput(in io.Reader, expected string) (io.Reader, error) {
	text := bufio.NewReader(in)
	head, err := text.Peek(filetype.HeadBytes)
	format := filetype.Of(head)
	switch {
	case errors.Is(err, syscall.EISDIR):
		format = "a folder"
	case len(head) == 0 && errors.Is(err, io.EOF):
		format = "an empty file"
	}
	if format != "" && format != filetype.UTF16 {
		return nil, fmt.Errorf("this is %s; expected %s", format, expected)
	}
	return text, nil
}

// contactInputs returns the contact traces that s reads.
func contactInputs(s *scenarios.Scenario) []input {
	var inputs []input
	for _, t := range s.Contacts.Trace {
		inputs = append(inputs, input{"the contact trace", t.File})
	}
	return inputs
}

// refuseOverwriting returns an error if a file of events or one of the named reports
// would overwrite an input, or a file of events another one.
func (r *runCommand) refuseOverwriting(reportNames ...string) error {
	others := slices.Clone(r.inputs)
	for _, f := range eventFiles(&sim.Options{}, &r.runFlags) {
		if err := refuseSameFile(others, "the "+f.name, f.path, "name another file with --"+f.name); err != nil {
			return err
		}
		if f.path != os.DevNull {
			others = append(others, input{"the " + f.name, f.path})
		}
	}
	return r.refuseReports(reportNames...)
}

const otherFolder = "name another folder with --out"

// refuseReports returns an error if one of the named reports, or the manifest, would
// overwrite an input or a file of events.
func (r *runCommand) refuseReports(reportNames ...string) error {
	if r.out == "" {
		return nil
	}
	inputs := slices.Clone(r.inputs)
	for _, f := range eventFiles(&sim.Options{}, &r.runFlags) {
		inputs = append(inputs, input{"the " + f.name, f.path})
	}
	for _, name := range append(reportNames, manifestFile) {
		if err := refuseSameFile(inputs, "the report", filepath.Join(r.out, name), otherFolder); err != nil {
			return err
		}
	}
	return nil
}

// refuseSameFile returns an error if path is one of the inputs.
func refuseSameFile(inputs []input, kind, path, advice string) error {
	for _, in := range inputs {
		if sameFile(path, in.path) {
			return fmt.Errorf("%s %q would overwrite %s %q: %s", kind, path, in.kind, in.path, advice)
		}
	}
	return nil
}

// sameFile reports whether two paths name one file, also through links. The file
// need not exist.
func sameFile(a, b string) bool {
	if absolute(a) == absolute(b) {
		return true
	}
	statA, errA := os.Stat(a)
	statB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(statA, statB)
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}
