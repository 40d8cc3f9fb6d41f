package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/shrink"
	"bluetrace/sim/swarm"
)

// Names of a swarm's files.
const (
	swarmText = "swarm.txt"
	swarmJSON = "swarm.json"
	swarmPage = "swarm" + pageEnd

	drawnPrefix = "drawn-" // the scenario that showed a cause, as a seed drew it
	foundPrefix = "found-" // the same scenario, shrunk
	yamlEnd     = ".yaml"
	markdownEnd = ".md" // of the sequence diagram of a shrunk scenario
)

// summaryFiles returns the paths of the summary, as text, JSON and a page.
func (c *swarmCommand) summaryFiles() []string {
	return []string{
		filepath.Join(c.out, swarmText), filepath.Join(c.out, swarmJSON), filepath.Join(c.out, swarmPage),
	}
}

// prepareFolder makes the folder of --out, unless a file that is read lies where
// one will be written.
func (c *swarmCommand) prepareFolder() status {
	if c.out == "" {
		return statusPassed
	}
	generated, err := c.generatedFiles()
	for _, path := range slices.Concat(generated, c.summaryFiles()) {
		if err == nil {
			err = c.refuseOverwriting(path)
		}
	}
	if err != nil {
		return c.fail(err, "", statusInvalid)
	}
	if err := makeFolder(c.out); err != nil {
		return c.fail(err, "name a writable folder with --out", statusError)
	}
	return statusPassed
}

// removeSummary removes the summary of an earlier swarm, which could be taken for one of
// this swarm, unless a summary is one of the paths that are read.
func (c *swarmCommand) removeSummary(paths []string) {
	for _, path := range paths {
		inputs := []input{{"the result", path}, {"the result", filepath.Join(path, swarmJSON)}}
		for _, file := range c.summaryFiles() {
			if refuseSameFile(inputs, "", file, "") != nil {
				return
			}
		}
	}
	var err error
	for _, file := range c.summaryFiles() {
		err = errors.Join(err, reports.RemoveFile(file))
	}
	if err != nil {
		c.diskFails(err, noMoreReports)
	}
}

// refuseOverwriting returns an error if path is one of the files that are read.
func (c *swarmCommand) refuseOverwriting(path string) error {
	return refuseSameFile(c.inputs, "the result", path, "name another folder with --out")
}

// generatedFiles returns the scenarios and diagrams that an earlier swarm left in the folder.
func (c *swarmCommand) generatedFiles() (paths []string, err error) {
	entries, err := os.ReadDir(c.out)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil // makeFolder reports that it cannot be made
	}
	for _, e := range entries {
		name := e.Name()
		named := strings.HasPrefix(name, drawnPrefix) || strings.HasPrefix(name, foundPrefix)
		ends := filepath.Ext(name) == yamlEnd || filepath.Ext(name) == markdownEnd
		if path := filepath.Join(c.out, name); named && ends && e.Type().IsRegular() && isGenerated(path) {
			paths = append(paths, path)
		}
	}
	return paths, err
}

// isGenerated reports whether a swarm wrote the file.
func isGenerated(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	prefix := make([]byte, swarm.GeneratedPrefixLength)
	_, err = io.ReadFull(f, prefix)
	return err == nil && swarm.IsGenerated(prefix)
}

// removeGenerated removes the scenarios that an earlier swarm left in the folder,
// so that none is mistaken for one of this swarm.
func (c *swarmCommand) removeGenerated() bool {
	paths, err := c.generatedFiles()
	for _, path := range paths {
		err = errors.Join(err, c.refuseOverwriting(path))
		if err == nil {
			err = os.Remove(path)
		}
	}
	if err != nil {
		c.worst = max(c.worst, c.fail(fmt.Errorf("removing the files of an earlier swarm: %w", err), "", statusError))
	}
	return err == nil
}

// freeName returns a name for the files of a cause that no other file has.
func (c *swarmCommand) freeName(names fileNames, cause string) string {
	for {
		name := names.take(swarm.FileName(cause))
		_, drawn := os.Lstat(c.generated(drawnPrefix, name, yamlEnd))
		_, found := os.Lstat(c.generated(foundPrefix, name, yamlEnd))
		_, diagram := os.Lstat(c.generated(foundPrefix, name, markdownEnd))
		if drawn != nil && found != nil && diagram != nil {
			return name
		}
	}
}

// generated returns the path of a file that the swarm writes for a cause. prefix is drawnPrefix or foundPrefix, and end
// yamlEnd or, of a sequence diagram, markdownEnd.
func (c *swarmCommand) generated(prefix, name, end string) string {
	return filepath.Join(c.out, prefix+name+end)
}

// writeBytes writes a file of --out with this content.
func (c *swarmCommand) writeBytes(path string, content []byte) bool {
	return c.writeFile(path, c.refuseOverwriting(path), func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// maxShrinking is the time limit for shrinking all failures, unless --for gives
// another.
const maxShrinking = 5 * time.Minute

// shrinkAll writes, for each cause, the scenario that showed it first, as it was
// drawn and shrunk.
func (c *swarmCommand) shrinkAll(ctx context.Context) {
	if c.out == "" || !c.removeGenerated() {
		return
	}
	names := fileNames{}
	limit := maxShrinking
	if c.limit > 0 {
		limit = c.limit
	}
	until := c.now().Add(limit)
	line := newProgress(c.stderr, c.columns, c.now)
	line.plain = !c.terminal
	defer line.clear()
	all := c.summary.Sorted()
	for i, g := range all {
		base := c.baseOf(g.File)
		name := c.freeName(names, g.Cause)
		path := c.generated(drawnPrefix, name, yamlEnd)
		if !c.writeBytes(path, swarm.DrawnFile(base, g.Seed, path)) {
			return
		}
		g.Drawn = path
		if c.shrink {
			began, number := c.now(), fmt.Sprintf("shrinking %d of %d", i+1, len(all))
			text := func(now time.Time) string {
				return fmt.Sprintf("%s, %v: %s", number, now.Sub(began).Round(time.Second), reports.Escape(g.Cause))
			}
			line.draw(text)
			c.showProgress(number + ": " + g.Cause)
			c.shrinkFailure(ctx, base, g, name, until, func() { line.draw(text) })
		}
	}
	if c.shrink && ctx.Err() != nil && len(all) > 0 {
		c.summary.SetInterrupted("shrinking was interrupted")
	}
}

// shrinkFailure shrinks one failure, within its own time limit and that of all. It calls progress before each run.
func (c *swarmCommand) shrinkFailure(ctx context.Context, base *scenarios.Scenario, g *swarm.Group, name string,
	until time.Time, progress func()) {
	if !c.now().Before(until) {
		g.ShrunkNote = "not shrunk: no time left"
		return
	}
	if own := c.now().Add(c.shrinkTime); own.Before(until) {
		until = own
	}
	path := c.generated(foundPrefix, name, yamlEnd)
	limits := shrink.Options{Expired: func() bool {
		progress()
		return !c.now().Before(until)
	}}
	var shrunk *swarm.Shrunk
	err := ctx.Err()
	if err == nil {
		shrunk, err = swarm.Shrink(ctx, base, g, foundPrefix+name, path, limits)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		g.ShrunkNote = "not shrunk: interrupted"
	case err != nil:
		g.ShrunkNote = "not shrunk: " + err.Error()
	case shrunk == nil:
		g.ShrunkNote = "not shrunk: no smaller run shows it"
	case c.writeBytes(path, shrunk.File):
		g.Shrunk, g.ShrunkNote = path, shrunk.Note
		story := &swarm.Story{Shrunk: shrunk, Repeat: commandLine([]string{c.name, "run"}, nil, path)}
		c.stories[g.Cause] = story
		diagram := c.generated(foundPrefix, name, markdownEnd)
		if text := story.Markdown(g.Cause); text != nil && c.writeBytes(diagram, text) {
			story.Diagram = diagram
		}
	}
}

// baseOf returns the scenario of a file.
func (c *swarmCommand) baseOf(file string) *scenarios.Scenario {
	i := slices.IndexFunc(c.bases, func(s *scenarios.Scenario) bool { return s.File == file })
	return c.bases[max(0, i)]
}

// swarmResult is the result of a swarm that is merged with others.
type swarmResult struct {
	path    string
	summary *swarm.Summary
}

// mergeResults merges the results of other swarms.
func (c *swarmCommand) mergeResults(ctx context.Context, paths []string) status {
	if len(paths) == 0 {
		return c.fail(errors.New("no result was named"),
			"name the JSON files of swarms, or their folders, such as a/swarm.json b", statusInvalid)
	}
	var merged []swarmResult
	var summaries []*swarm.Summary
	for _, path := range paths {
		one, err := await(ctx, []string{path}, func() (swarmResult, error) { return readResult(path, c.stdin) })
		if err != nil {
			return max(c.worst, c.fail(err, "", statusOfFinding(err)))
		}
		for _, other := range merged {
			if err := other.conflict(&one); err != nil {
				return c.fail(err, "", statusInvalid)
			}
		}
		merged, summaries = append(merged, one), append(summaries, one.summary)
		c.inputs = append(c.inputs, input{"the result", one.path})
		c.summary.Build = one.summary.Build
		c.summary.Merge(one.summary)
		if err := c.summary.Validate(); err != nil {
			return c.fail(fmt.Errorf("%s and those before it: %w", one.path, err), "", statusInvalid)
		}
	}
	if err := swarm.MissingParts(summaries); err != nil {
		return c.fail(err, "merge the results of all parts", statusInvalid)
	}
	if s := c.prepareFolder(); s != statusPassed {
		return s
	}
	if s := c.share.shrinkMerged(ctx, c); s != statusPassed {
		return s
	}
	c.finish()
	return c.worst
}

// readResult reads a result, the one in a folder, or that on standard input.
func readResult(path string, stdin io.Reader) (swarmResult, error) {
	if path == standardInput {
		return parseResult(path, stdin)
	}
	if stat, err := os.Stat(path); err == nil && stat.IsDir() {
		folder := path
		path = filepath.Join(path, swarmJSON)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return swarmResult{}, fmt.Errorf("folder %q holds no %s; expected the folder of --out of a swarm", folder,
				swarmJSON)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return swarmResult{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	result, err := parseResult(path, f)
	if err != nil {
		return result, err
	}
	for i := range result.summary.Failures {
		g := &result.summary.Failures[i]
		g.Drawn, g.Shrunk = besideResult(path, g.Drawn), besideResult(path, g.Shrunk)
	}
	return result, nil
}

// parseResult reads the text of a result.
func parseResult(path string, in io.Reader) (swarmResult, error) {
	text, err := textInput(in, "the JSON result of a swarm, which is UTF-8 text")
	var s *swarm.Summary
	if err == nil {
		s, err = swarm.ReadJSON(text)
	}
	if err != nil {
		return swarmResult{}, fmt.Errorf("%s: %w", path, err)
	}
	return swarmResult{path, s}, nil
}

// besideResult returns the file of that name in the folder of a result, which may
// have been moved. If there is none, it returns the path as it was written.
func besideResult(result, file string) string {
	if file == "" {
		return ""
	}
	if here := filepath.Join(filepath.Dir(result), filepath.Base(file)); isFile(here) {
		return here
	}
	return file
}

// conflict returns the reason for which two results cannot be merged, or nil.
func (r *swarmResult) conflict(o *swarmResult) error {
	for _, one := range []*swarmResult{r, o} {
		if b := one.summary.Build; b.Program == "" && (b.Revision == "" || strings.HasSuffix(b.Revision, "+")) {
			return fmt.Errorf("the build %s of %q is not identified, and a seed may give another run in another "+
				"build: run the swarms again with one program", b, one.path)
		}
	}
	if r.summary.Build != o.summary.Build {
		return fmt.Errorf("%q is of the build %s and %q of the build %s, where a seed may give another run: merge "+
			"results of one build",
			r.path, r.summary.Build, o.path, o.summary.Build)
	}
	if err := r.summary.PartConflict(o.summary); err != nil {
		return fmt.Errorf("%q and %q: %w", r.path, o.path, err)
	}
	if file, seeds, twice := r.summary.Overlap(o.summary); twice {
		return fmt.Errorf("%q and %q both have the seeds %d-%d of %q, which would count twice: leave one of them out",
			r.path, o.path, seeds.First, seeds.Last, file)
	}
	return nil
}
