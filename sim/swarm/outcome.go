package swarm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim"
	"bluetrace/sim/event"
	"bluetrace/sim/situations"
)

// Outcome is the outcome of one seed of one base scenario.
type Outcome struct {
	Base           *scenarios.Scenario
	Plan           Plan
	Verdict        reports.Verdict
	Digest         string
	Events         uint64
	VirtualSeconds float64
	Repeated       bool               // a second run of the seed was compared with the first
	Situations     *situations.Counts // nil if situations were not counted

	Faults      []reports.KindCount
	Adversaries []reports.KindCount
	Invariants  []reports.KindCount // the number of evaluations of each; nil if the run has no result
	// Failures has one failure of each cause, ordered by time. Later failures may be consequences of the first.
	Failures []Failure
}

// Failure is a failed check, or the error of a run that could not finish.
type Failure struct {
	Cause string // equal for failures of one kind
	Check reports.Check
}

// Names of the checks that the swarm itself makes.
const (
	RunEnds         = "the run ends"
	SameRun         = "all runs of a seed are equal"
	FaultsUntilHeal = "no fault begins after the heal"
)

// breaksCause begins the cause of a run that failed with an error.
const breaksCause = "the run breaks: "

// setResult copies the results of a finished run into the outcome.
func (out *Outcome) setResult(r *reports.Run) {
	out.Verdict, out.Digest, out.VirtualSeconds, out.Events = r.Verdict, r.Digest, r.VirtualSeconds, r.Events
	out.Faults, out.Adversaries = r.Faults, r.Adversaries
	out.Failures = newCauseNames(out.Base).failures(r)
	slices.SortStableFunc(out.Failures, func(a, b Failure) int { return compareTimes(&a.Check, &b.Check) })
	for _, name := range sim.Invariants() {
		count := reports.KindCount{Kind: name}
		i := slices.IndexFunc(r.Checks, func(c reports.Check) bool {
			return c.Kind == reports.InvariantCheck && c.Name == name
		})
		if i >= 0 {
			count.Count = r.Checks[i].Evaluations
		}
		out.Invariants = append(out.Invariants, count)
	}
}

// lateFault returns the failure of a run with a fault that begins after the heal: its effects could be taken for a
// failure of liveness.
func (n *causeNames) lateFault(e *event.Event, heal time.Duration) *Failure {
	at := e.At.Seconds()
	c := ownCheck(FaultsUntilHeal, fmt.Sprintf("every fault begins by %v", heal), fmt.Sprintf("%s at %v", e.Text, e.At))
	c.AtSeconds = &at
	return &Failure{FaultsUntilHeal + ": " + n.normalize(e.Text), c}
}

// failures returns the first failed check of each cause, in the order of the checks.
func (n *causeNames) failures(r *reports.Run) []Failure {
	var all []Failure
	for i := range r.Checks {
		c := &r.Checks[i]
		if c.Verdict != reports.Failed {
			continue
		}
		cause := n.causeOf(c)
		if !slices.ContainsFunc(all, func(f Failure) bool { return f.Cause == cause }) {
			all = append(all, Failure{cause, *c})
		}
	}
	return all
}

// addFailure inserts a failure before all others.
func (out *Outcome) addFailure(f Failure) {
	out.Verdict = reports.Failed
	out.Failures = slices.Insert(out.Failures, 0, f)
}

// brokenFailure returns the failure of a run that ended with an error.
func (n *causeNames) brokenFailure(err error) Failure {
	cause := breaksCause + n.normalize(firstLine(err.Error()))
	f := Failure{cause, ownCheck(RunEnds, "a result", err.Error())}
	if b, ok := errors.AsType[*sim.Broken](err); ok {
		f.Cause = breaksCause + n.normalize(firstLine(b.Why))
		f.Check.LastEvents = strings.Split(strings.TrimRight(string(b.Stack), "\n"), "\n")
	}
	return f
}

// limitFailure returns the failure of a run that exceeded a limit.
func limitFailure(e *LimitExceeded) Failure {
	cause := "the run does not end"
	if e.Wall > 0 {
		cause = fmt.Sprintf("the run was not finished in %v of real time", e.Wall)
	}
	return Failure{Cause: cause, Check: ownCheck(RunEnds, "an end", e.Error())}
}

// ownCheck returns a failed check of the swarm itself.
func ownCheck(name, expected, found string) reports.Check {
	return reports.Check{
		Kind: reports.InvariantCheck, Name: name, Verdict: reports.Failed, Evaluations: 1,
		Expected: expected, Found: found,
	}
}

// compareRuns returns the outcome of the first run of a seed, with a failure if the second run differs. It returns nil
// if either run was interrupted.
func (o *Options) compareRuns(ctx context.Context, first, second *Outcome) *Outcome {
	if first == nil || second == nil {
		return nil
	}
	first.Repeated = true
	switch {
	case first.Digest == second.Digest || first.Digest == "": // without a digest the run has a failure of its own
		return first
	case second.Digest == "" && len(second.Failures) > 0:
		f := second.Failures[0]
		f.Check.Found = "in a second run: " + f.Check.Found
		first.addFailure(f)
		return first
	}
	s, _ := Draw(first.Base, first.Plan.Seed)
	found := fmt.Sprintf("digest %s; %s", second.Digest, firstDifference(ctx, s, o.Engine))
	first.addFailure(Failure{"a second run differs", ownCheck(SameRun, "digest "+first.Digest, found)})
	return first
}

// maxTrace is the number of bytes of a trace that firstDifference compares.
const maxTrace = 256 << 20

// errTraceFull ends a run when no more of its trace is needed.
var errTraceFull = errors.New("no more of the trace is needed")

// firstDifference runs a scenario twice more and describes the first trace line in which the runs differ. A line begins
// with its virtual time.
func firstDifference(ctx context.Context, s *scenarios.Scenario, run Engine) string {
	var trace traceBuffer
	if _, err := run(ctx, s, sim.Options{Trace: &trace}); err != nil && !errors.Is(err, errTraceFull) {
		return "a run with a trace failed: " + firstLine(err.Error())
	}
	c := traceComparer{want: trace.Bytes()}
	_, err := run(ctx, s, sim.Options{Trace: &c})
	switch {
	case c.difference != "":
		return "the first event that differs: " + c.difference
	case err != nil && !errors.Is(err, errTraceFull):
		return "a run with a trace failed: " + firstLine(err.Error())
	case len(c.want) > 0:
		return "one run ends where the other continues: " + firstLine(string(c.want))
	}
	return "two more runs, with a trace, were equal"
}

// traceBuffer keeps the first maxTrace bytes of a trace.
type traceBuffer struct{ bytes.Buffer }

func (b *traceBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxTrace {
		return 0, errTraceFull
	}
	return b.Buffer.Write(p)
}

// traceComparer compares a trace with another one line by line, and ends the run at the first difference.
type traceComparer struct {
	want       []byte // the rest of the other trace
	partial    []byte // the beginning of the current line
	difference string // both lines, separated by " | "; empty if the traces are equal so far
}

func (c *traceComparer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		line, after, complete := bytes.Cut(rest, []byte("\n"))
		c.partial = append(c.partial, line...)
		if rest = after; !complete {
			break
		}
		want, left, _ := bytes.Cut(c.want, []byte("\n"))
		if !bytes.Equal(want, c.partial) {
			c.difference = fmt.Sprintf("%s | %s", want, c.partial)
			return 0, errTraceFull
		}
		c.want, c.partial = left, c.partial[:0]
	}
	return len(p), nil
}

// causeNames derives causes from failed checks. It knows the names of the phones of a base scenario, which are not
// part of a cause.
type causeNames struct{ phones *regexp.Regexp }

func newCauseNames(base *scenarios.Scenario) *causeNames {
	words := []string{regexp.QuoteMeta(mallory)}
	for _, group := range base.Phones {
		word := regexp.QuoteMeta(group.Name)
		if group.Counted {
			word += "-[0-9]+"
		}
		words = append(words, word)
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) })
	return &causeNames{regexp.MustCompile(`(?: to )?\b(?:` + strings.Join(words, "|") + `)\b(?: \(program [0-9]+\))?`)}
}

// normalize replaces the phones of a text, and everything that the function normalize replaces.
func (n *causeNames) normalize(text string) string {
	return normalize(n.phones.ReplaceAllStringFunc(text, func(name string) string {
		if strings.HasPrefix(name, " to ") {
			return ""
		}
		return "…"
	}))
}

// livenessCause begins the cause of a step that failed after the heal.
const livenessCause = "liveness: "

// causeOf returns the cause of a failed check: its name and the value found, without the parts that differ between
// seeds. The same failure of another seed has the same cause.
func (n *causeNames) causeOf(c *reports.Check) string {
	found := cmp.Or(n.normalize(c.Found), "nothing")
	if c.Kind == reports.InvariantCheck {
		return c.Name + ": " + found
	}
	return livenessCause + stepAction(c.Name) + ": " + found
}

// stepAction returns the action of a liveness step from its text, without its time, its phone and its expectation.
func stepAction(step string) string {
	_, action, ok := strings.Cut(step, "phone: ")
	if ok {
		_, action, ok = strings.Cut(action, ", ")
	}
	if !ok {
		return normalize(step)
	}
	action, _, _ = strings.Cut(action, ", ")
	return action
}

var (
	durations     = regexp.MustCompile(`\b([0-9.]+(ns|µs|ms|h|m|s))+\b`)
	numbers       = regexp.MustCompile(`-?[0-9]+([.:/]+[0-9]+)*`)
	constantTexts = regexp.MustCompile(`^"[A-Za-z ,.!'-]{8,}"$`) // quoted texts that are the same in every run
	quotedTexts   = regexp.MustCompile(`"(\\.|[^"\\])*"`)
	repetitions   = regexp.MustCompile(`([#…])(?:(?:, | and | )[#…])+`)
	singular      = regexp.MustCompile(`# entry\b`)
)

// maxCause is the length in bytes to which the value found is cut in a cause.
const maxCause = 160

// normalize returns the first line of a text with its numbers, times and variable quoted texts replaced.
func normalize(text string) string {
	text = quotedTexts.ReplaceAllStringFunc(firstLine(text), func(quoted string) string {
		if constantTexts.MatchString(quoted) {
			return quoted
		}
		return "…"
	})
	text = durations.ReplaceAllString(text, "#")
	text = numbers.ReplaceAllString(text, "#")
	text = strings.ReplaceAll(text, "+#", "…")
	text = singular.ReplaceAllString(text, "# entries")
	text = repetitions.ReplaceAllString(text, "$1")
	if len(text) > maxCause {
		text = strings.ToValidUTF8(text[:maxCause], "") + "…"
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// maxFileName is the length in bytes to which FileName cuts a name.
const maxFileName = 60

var otherThanWords = regexp.MustCompile(`[^a-z0-9]+`)

// FileName returns the name, without an extension, of a file for a cause: lower-case letters, digits and single dashes.
func FileName(cause string) string {
	name := strings.Trim(otherThanWords.ReplaceAllString(strings.ToLower(cause), "-"), "-")
	return strings.TrimRight(name[:min(len(name), maxFileName)], "-")
}
