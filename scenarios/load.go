package scenarios

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"time"

	yaml "go.yaml.in/yaml/v4"
)

// Options are what the caller gives beside the file.
type Options struct {
	Vars map[string]string // --set NAME=VALUE
	Seed *uint64           // --seed; nil: the file's
}

// Load reads and checks a scenario file. The error is a *Mistakes when the file
// was read but is no scenario, else it wraps the operating system's.
func Load(path string, o Options) (*Scenario, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &notThere{path, err}
	}
	if err != nil {
		return nil, fmt.Errorf("reading scenario: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile+4))
	if err != nil {
		return nil, fmt.Errorf("reading scenario: %w", err)
	}
	return Parse(path, text, o)
}

// Parse checks a scenario that file names in messages; a trace's relative path
// begins at its folder. The error is a *Mistakes with every mistake found.
func Parse(file string, text []byte, o Options) (*Scenario, error) {
	c := &complaints{file: file}
	root := document(c, text)
	if root == nil {
		return nil, c.err()
	}
	r := &reader{complaints: c, text: text, vars: newVariables(root, o.Vars), left: maxValues, leftBytes: maxTexts}
	v := r.read(root, language(), "the file", 0)
	if v == nil || r.left <= 0 {
		return nil, c.err() // of a file that was not read to its end nothing else is worth saying
	}
	r.vars.unused(c)
	s := build(c, v, file)
	if err := c.err(); err != nil {
		return nil, err
	}
	s.Vars = r.vars.resolved()
	s.Hash = sumOf(text, s.Vars)
	if o.Seed != nil {
		s.Seed = *o.Seed
	}
	return s, nil
}

// builder resolves the names of a file whose form was checked.
type builder struct {
	*complaints
	s       *Scenario
	roster  *roster
	moments map[string]int // name -> index into the script
	names   []string       // of the moments, in order
	forms   []faultForm    // made once: a file may have very many faults
	guests  map[int]bool   // phones without an account that log in with a written name
	// accountless is the first phone of a selection that cannot log in, or -1
	accountless map[selected]int
}

func build(c *complaints, v *value, file string) *Scenario {
	b := &builder{
		complaints: c, roster: newRoster(), moments: map[string]int{}, forms: faultKinds(), guests: map[int]bool{}, accountless: map[selected]int{},
		s: &Scenario{
			File: file, Name: get[string](v, "name"), About: get[string](v, "about"), Manual: get[bool](v, "manual"),
			Seed: get[uint64](v, "seed"), Zone: get[*time.Location](v, "zone"), Length: duration(v, "length"),
		},
	}
	b.written(v)
	b.start(v)
	b.server(v.at("server"))
	b.network(v.at("network"))
	b.phones(v.at("phones"))
	b.contacts(v.at("contacts"))
	b.script(v.at("script"))
	b.routines(v.at("routine"))
	b.faults(v.at("faults"))
	b.adversaries(v.at("adversaries"))
	b.traffic(v.at("load"), v)
	b.expectations(v.at("expect"))
	b.thresholds(v.at("thresholds"))
	b.length(v)
	b.clockRange()
	b.checksSomething(v)
	return b.s
}

func duration(v *value, key string) time.Duration { return get[time.Duration](v, key) }

// section is a mapping that was left out: every key has its default.
func section(v, parent *value, s *shape) *value {
	if v != nil {
		return v
	}
	p := Pos{}
	if parent != nil {
		p = parent.pos
	}
	return &value{pos: p, shape: s, kind: yaml.MappingNode}
}

// part is the mapping under key, empty when it was not written.
func part(v *value, key string) *value {
	return section(v.at(key), v, v.shape.mapping.field(key).is)
}

func (b *builder) start(v *value) {
	wall := get[time.Time](v, "start")
	b.startRange(v.at("start"), wall)
	start, err := inZone(wall, b.s.Zone)
	b.s.Start = start
	if err == nil || b.s.Zone == nil {
		return
	}
	if at := v.at("start"); at != nil {
		b.at(at.pos, "`start` is %s: %v; expected a time that clocks show", quoted(at.text), err)
		return
	}
	b.at(v.keyPos("zone"), "the run begins at %s unless `start` is written: %v", v.shape.mapping.field("start").def, err)
}

func lifetimeWord() *shape {
	s := positiveWord()
	s.def, s.doc = "", "a duration of whole seconds such as 15m"
	s.scalar.parse = func(t string) (any, error) {
		d, err := parsePositive(t)
		if err == nil && d%time.Second != 0 {
			err = errors.New("times on the wire have whole seconds")
		}
		return d, err
	}
	return s
}

func (b *builder) server(v *value) {
	v = section(v, nil, serverShape())
	b.s.Server = Server{
		BlockDuration:  duration(v, "block_duration"),
		TempIDLifetime: duration(v, "tempid_lifetime"),
		LoginTimeout:   duration(v, "login_timeout"),
		IdleTimeout:    duration(v, "idle_timeout"),
		MaxUpload:      int(get[uint64](v, "max_upload")),
		DiskDelay:      get[Distribution](part(v, "disk"), "delay"),
	}
}

func (b *builder) network(v *value) {
	v = section(v, nil, networkShape())
	tcp, udp := part(v, "tcp"), part(v, "udp")
	b.s.Network = Network{
		TCP: TCPNetwork{Delay: get[Distribution](tcp, "delay"), Split: int(get[uint64](tcp, "split")), Join: duration(tcp, "join")},
		UDP: UDPNetwork{Delay: get[Distribution](udp, "delay"), Lose: get[float64](udp, "lose")},
	}
}

// length refuses a run without an end, and what lies behind it.
func (b *builder) length(v *value) {
	if b.s.Length > 0 {
		return
	}
	if len(b.s.Contacts.Trace) > 0 || v.has("length") || v.has("load") {
		return
	}
	for _, r := range b.s.Routine {
		if r.Every > 0 && r.Until == 0 {
			b.at(r.Pos, "this routine goes on for ever and nothing ends the run; write `length`, or `until` here")
		}
	}
	for _, a := range b.s.Adversaries {
		if a.Every > 0 && a.Until == 0 {
			b.at(a.Pos, "this adversary goes on for ever and nothing ends the run; write `length`, or `until` here")
		}
	}
	if len(b.s.Script) == 0 && !v.has("script") && !v.has("contacts") {
		b.at(v.pos, "nothing says how long the run lasts; write `length`, a `script` or a trace under `contacts`")
	}
}

// checksSomething refuses a scenario that says nothing of what must come of it.
// What goes wrong in one with faults or adversaries is the invariants' to find.
func (b *builder) checksSomething(v *value) {
	if v.has("faults") || v.has("adversaries") || v.has("invariants") {
		return
	}
	if v.has("expect") && !v.at("expect").empty() || v.has("thresholds") && !v.at("thresholds").empty() {
		return
	}
	for _, s := range v.at("script").each() {
		if s.has("expect") || s.has("fault") {
			return
		}
	}
	if v.has("load") {
		b.at(v.pos, "the load checks nothing; write `thresholds`, such as {response_time: [\"p(99)<50\"]}")
		return
	}
	b.at(v.pos, "the scenario checks nothing; write `expect` for a step or for the run, `thresholds`, or `invariants: true` when those alone are to be watched")
}

var fileNameForm = regexp.MustCompile(fileNamePattern)

const fileNamePattern = `^[A-Za-z0-9][A-Za-z0-9._-]*$`

// fileNameWord is the scenario's name, which its reports bear as a file's.
func fileNameWord() *shape {
	return formed("", "a name of letters, digits, -, _ and . (reports are named after it)", fileNamePattern, func(t string) (any, error) {
		if !fileNameForm.MatchString(t) || len(t) > 100 {
			return nil, errExpected
		}
		return t, nil
	})
}
