package scenarios

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"bluetrace/scenarios/fault"
)

// Options are settings of the caller that replace those of the file.
type Options struct {
	Vars map[string]string // --set NAME=VALUE
	// SpareVars accepts values of variables that the file does not use, and UsedElsewhere those of variables with these
	// names.
	SpareVars     bool
	UsedElsewhere map[string]bool
	Seed          *uint64 // --seed; nil if the file's seed is used
}

// Load reads and checks a scenario file. The error is a *Mistakes if the file is no scenario; else it wraps the
// operating system's error.
func Load(path string, o Options) (*Scenario, error) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &notFound{path, err}
	}
	if err != nil {
		return nil, fmt.Errorf("reading scenario: %w", err)
	}
	return Parse(path, text, o)
}

// readFile reads a file up to a length that document refuses: maxFile and one byte, after a byte order mark.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxFile+4))
}

// Parse checks the text of a scenario. Messages name the file; the relative path of a trace begins at its folder. The
// error is a *Mistakes with every mistake.
func Parse(file string, text []byte, o Options) (*Scenario, error) {
	c := &mistakeList{file: file}
	root := document(c, text)
	if root == nil {
		return nil, c.err()
	}
	c.name = topLevel(root, "name")
	plain := withLineFeeds(text)
	r := &reader{
		mistakeList: c, text: plain, vars: newVariables(root, o.Vars),
		valuesLeft: maxValues, bytesLeft: maxTexts, programLeft: maxProgram,
	}
	v := r.read(root, language(), "the file", 0)
	if v == nil || r.valuesLeft <= 0 {
		c.addLookalike(plain)
		return nil, c.err() // the rest of the file is not checked
	}
	r.vars.reportUnused(c, o)
	s := build(c, v, file)
	if c.total > 0 {
		c.addLookalike(plain)
		return nil, c.err()
	}
	s.Vars = r.vars.resolved()
	s.Text = string(plain)
	s.Hash = hashOf(text, s.Vars)
	if o.Seed != nil {
		s.Seed = *o.Seed
	}
	return s, nil
}

// hashOf identifies a scenario by the text of its file and the values of its variables.
func hashOf(text []byte, vars map[string]string) string {
	h := sha256.New()
	_, _ = h.Write(text) // a hash returns no error
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		fmt.Fprintf(h, "\x00%s=%s", name, vars[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// builder decodes a file whose form was checked: it resolves names and checks the rules that concern several keys.
type builder struct {
	*mistakeList
	s        *Scenario
	root     *value
	roster   *roster
	labels   *labels
	guests   map[int]bool // phones without an account that log in with a username of the file
	inScript bool         // the script is being decoded
	// accountless holds the first phone of a selection that cannot log in, or -1.
	accountless map[selected]int
}

// build decodes a file whose form was checked into a scenario, and reports further mistakes.
func build(c *mistakeList, v *value, file string) *Scenario {
	b := &builder{
		mistakeList: c, s: &Scenario{File: file, Written: map[string]Pos{}}, root: v, roster: newRoster(c),
		labels: &labels{mistakes: c, step: map[string]int{}}, guests: map[int]bool{}, accountless: map[selected]int{},
	}
	for _, e := range v.keys {
		switch e.key {
		case "start", "zone", "server", "network":
			b.recordWritten(e.key, e)
		}
	}
	b.decode(v, b.s.keys())
	b.checkLength(v)
	b.checkClocks()
	b.checkConditions(v)
	return b.s
}

// recordWritten records the positions of a key and of the keys below it.
func (b *builder) recordWritten(path string, e entry) {
	b.s.Written[path] = e.pos
	if e.val == nil {
		return
	}
	for _, inner := range e.val.keys {
		b.recordWritten(path+"."+inner.key, inner)
	}
}

// refuse reports each of the keys that the section has. The format gets the key, then args.
func (b *builder) refuse(section *value, keys []string, format string, args ...any) {
	for _, key := range keys {
		if section.has(key) {
			b.add(section.keyPos(key), format, append([]any{key}, args...)...)
		}
	}
}

// refuseEmpty reports a list or a mapping without content as the value of a key.
func (b *builder) refuseEmpty(section *value, key string) {
	if v := section.child(key); v.isEmpty() {
		b.add(v.pos, "`%s` is empty; expected %s", key, v.form.doc)
	}
}

// checkPeriod checks the keys `from` and `until`.
func (b *builder) checkPeriod(v *value, from, until time.Duration) {
	if until > 0 && until <= from {
		b.add(v.keyPos("until"), "`until` is %s, which is not after `from`, %s", until, from)
	}
	if b.s.Length > 0 && from >= b.s.Length {
		b.add(v.keyPos("from"), "`from` is %s, when the run is over (length: %s)", from, b.s.Length)
	}
}

// checkLength refuses a run without an end.
func (b *builder) checkLength(v *value) {
	if b.s.Length > 0 || len(b.s.Contacts.Trace) > 0 || v.has("length") || v.has("load") {
		return
	}
	for _, r := range b.s.Routine {
		if r.Every > 0 && r.Until == 0 {
			b.add(r.Pos, "this routine has no end and nothing ends the run; write `length`, or `until` here")
		}
	}
	for _, a := range b.s.Adversaries {
		if a.Every > 0 && a.Until == 0 {
			b.add(a.Pos, "this adversary has no end and nothing ends the run; write `length`, or `until` here")
		}
	}
	if len(b.s.Script) == 0 && !v.has("script") && !v.has("contacts") {
		b.add(v.pos, "missing length of the run: write `length`, a `script` or a trace under `contacts`")
	}
}

// checkConditions refuses a scenario that checks nothing. The invariants check a scenario with faults or adversaries.
func (b *builder) checkConditions(v *value) {
	if v.has("faults") || v.has("adversaries") || v.has("invariants") {
		return
	}
	if v.has("expect") && !v.child("expect").isEmpty() || v.has("thresholds") && !v.child("thresholds").isEmpty() {
		return
	}
	for _, s := range v.child("script").elements() {
		if s.has("expect") || s.has("fault") {
			return
		}
	}
	if v.has("load") {
		b.add(v.pos, "the load checks nothing; write `thresholds`, such as {response_time: [\"p(99)<50\"]}")
		return
	}
	b.add(v.pos, "the scenario checks nothing; write `expect` for a step or for the run, `thresholds`, or "+
		"`invariants: true` if only the invariants are to be checked")
}

// checkClocks refuses faults that together set clocks too far.
func (b *builder) checkClocks() {
	var ahead, back float64
	add := func(f *Fault) {
		if f.Kind != fault.Clock {
			return
		}
		far := float64(f.Offset) + float64(f.Step)*f.repetitions(b.s.Length)
		ahead += max(far, 0)
		back += max(-far, 0)
		if max(ahead, back) > float64(maxClockError) {
			b.add(f.Pos, "with this fault, clocks are set by more than %s in all; expected `offset` and `step`, as "+
				"often as they occur, to add up to no more", maxClockError)
			ahead, back = math.Inf(-1), math.Inf(-1) // report it once
		}
	}
	for i := range b.s.Faults {
		add(&b.s.Faults[i])
	}
	for i := range b.s.Script {
		if f := b.s.Script[i].Fault; f != nil {
			add(f)
		}
	}
}
