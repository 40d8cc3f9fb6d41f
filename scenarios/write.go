package scenarios

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// AppendYAML appends s as a file of the language. The file is the same scenario under the name s.File, except for
// Pos, Text and Vars, whose values are filled in. The path of a trace is relative to the folder of s.File.
//
// s must be one that a file can express: `start` in the second of two hours that clocks show twice is written as the
// first, and a first step without a time as one at 0s.
func (s *Scenario) AppendYAML(dst []byte) []byte {
	w := newWriter(s)
	keys := s.keys()
	for i := range keys {
		k := &keys[i]
		n := w.encode(k, k.name)
		if n == nil {
			continue
		}
		if k.name == "load" || k.name == "contacts" {
			n.Style = 0
		}
		if n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle == 0 || k.name == "invariants" {
			dst = append(dst, '\n')
		}
		text, err := yaml.Dump(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{plainNode(k.name), n}},
			yaml.WithIndent(2), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(lineWidth))
		if err != nil {
			panic(fmt.Sprintf("scenarios: %s cannot be written: %v", k.name, err))
		}
		dst = append(dst, text...)
	}
	return dst
}

// lineWidth is the column after which a line is broken.
const lineWidth = 110

// FaultText returns the Text of f that is read from the file of AppendYAML.
func (s *Scenario) FaultText(f *Fault) string {
	w := newWriter(s)
	return oneLine(w.mapping(keysOf(f), ""))
}

// StepFaultText returns the Text of a step's fault that is read from the file of AppendYAML.
func (s *Scenario) StepFaultText(f *Fault) string {
	w := newWriter(s)
	w.step = &Step{}
	return oneLine(w.mapping(keysOf(f), ""))
}

// AdversaryText returns the Text of a that is read from the file of AppendYAML.
func (s *Scenario) AdversaryText(a *Adversary) string {
	return oneLine(newWriter(s).mapping(keysOf(a), ""))
}

// writer encodes one scenario.
type writer struct {
	s      *Scenario
	roster *roster
	step   *Step // the step that is encoded; nil outside the script
	// commands are those of the encoded steps.
	commands []Command
}

// newWriter returns a writer that names the phones of s.
func newWriter(s *Scenario) *writer {
	w := &writer{s: s, roster: newRoster(nil)}
	for _, g := range s.Phones {
		w.roster.add(g)
	}
	return w
}

// isWritten reports whether the file of the scenario has the key at path.
func (w *writer) isWritten(path string) bool {
	_, ok := w.s.Written[path]
	return ok
}

// groupOf returns the group of a phone.
func (w *writer) groupOf(phone int) *PhoneGroup { return &w.roster.groups[w.roster.groupOf(phone)] }

// mapping encodes a section on one line. path is the path of its key, "" if Written does not contain it.
func (w *writer) mapping(keys []key, path string) *yaml.Node {
	m := flowNode(yaml.MappingNode)
	for i := range keys {
		inner := ""
		if path != "" {
			inner = path + "." + keys[i].name
		}
		if n := w.encode(&keys[i], inner); n != nil {
			put(m, keys[i].name, n)
		}
	}
	return m
}

// put appends a key with its value to a mapping.
func put(m *yaml.Node, key string, n *yaml.Node) { m.Content = append(m.Content, plainNode(key), n) }

// sections encodes a list with a line for each element.
func sections(list []*yaml.Node) *yaml.Node {
	return orNothing(&yaml.Node{Kind: yaml.SequenceNode, Content: list})
}

// flowNode returns a list or a mapping that is written on one line.
func flowNode(kind yaml.Kind, content ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: kind, Style: yaml.FlowStyle, Content: content}
}

// orNothing returns nil in place of an empty list or mapping.
func orNothing(n *yaml.Node) *yaml.Node {
	if len(n.Content) == 0 && n.Kind != yaml.ScalarNode {
		return nil
	}
	return n
}

// mapNodes encodes each element of a list.
func mapNodes[T any](list []T, node func(T) *yaml.Node) []*yaml.Node {
	var nodes []*yaml.Node
	for _, t := range list {
		nodes = append(nodes, node(t))
	}
	return nodes
}

// flowList encodes a list on one line; a list of one element as the element.
func flowList[T any](list []T, node func(T) *yaml.Node) *yaml.Node {
	return oneOrList(mapNodes(list, node))
}

// oneOrList returns the only node, or a list of all.
func oneOrList(nodes []*yaml.Node) *yaml.Node {
	if len(nodes) == 1 {
		return nodes[0]
	}
	return flowNode(yaml.SequenceNode, nodes...)
}

// plainNode encodes a number, a duration or another text that needs no quotes.
func plainNode(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

var (
	plainText = regexp.MustCompile(`^[\pL/^(_$][\pL\pN _./^$+*()|!?;=<>%&'~,:"…{}\[\]-]*$`)
	notText   = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n|~)$`)
	notInFlow = regexp.MustCompile(`[,\[\]{}]|: |:$| $| #`)
	notInLine = regexp.MustCompile(`: |:$| $| #`)
)

// textNode encodes a text within a mapping on one line, with quotes if YAML or an editor could misread it. $${ keeps
// ${ from being a variable.
func textNode(text string) *yaml.Node {
	text = strings.ReplaceAll(text, "${", "$${")
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if !plainText.MatchString(text) || notText.MatchString(text) || notInFlow.MatchString(text) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// lineNode encodes a text that is not within a mapping on one line.
func lineNode(text string) *yaml.Node {
	n := textNode(text)
	if plainText.MatchString(n.Value) && !notText.MatchString(n.Value) && !notInLine.MatchString(n.Value) {
		n.Style = 0
	}
	return n
}

// bytesNode encodes bytes for the wire; as base64 if they are no text.
func bytesNode(text string) *yaml.Node {
	if !utf8.ValidString(text) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!binary",
			Value: base64.StdEncoding.EncodeToString([]byte(text))}
	}
	return textNode(text)
}

// manyNames is the number of names above which all phones are written as a pattern.
const manyNames = 4

// names returns the shortest names of a selection.
func (w *writer) names(phones []int) []string {
	var names []string
	for i := 0; i < len(phones); {
		g := w.roster.groupOf(phones[i])
		group, first := &w.roster.groups[g], w.roster.first[g]
		n := 0
		for i+n < len(phones) && n < group.Count && phones[i+n] == first+n {
			n++
		}
		if group.Counted && n == group.Count {
			names = append(names, group.Name)
			i += n
			continue
		}
		names = append(names, w.roster.name(phones[i]))
		i++
	}
	if len(names) > manyNames && len(phones) == w.roster.total && slices.IsSorted(phones) {
		return []string{"*"}
	}
	return names
}

// phones encodes a selection of phones.
func (w *writer) phones(phones []int) *yaml.Node { return flowList(w.names(phones), textNode) }

// phone encodes the name of one phone.
func (w *writer) phone(phone int) *yaml.Node { return textNode(w.roster.name(phone)) }

// nodes encodes a set of nodes, the server first.
func (w *writer) nodes(n Nodes) *yaml.Node {
	names := w.names(n.Phones)
	if n.Server {
		names = append([]string{serverName}, names...)
	}
	return flowList(names, textNode)
}

// visits encodes the visits of several phones to the same phones as one entry.
func (w *writer) visits(all []Visits) (list []*yaml.Node) {
	for i := 0; i < len(all); {
		first, phones := all[i], []int{all[i].Phone}
		for i++; i < len(all) && all[i].Stay == first.Stay && !slices.Contains(phones, all[i].Phone) &&
			slices.Equal(all[i].To, first.To); i++ {
			phones = append(phones, all[i].Phone)
		}
		n := w.mapping(first.keys(), "")
		n.Content[1] = w.phones(phones)
		list = append(list, n)
	}
	return list
}

// commandsTogether returns the number of the first steps that one list of commands can express.
func commandsTogether(steps []Step) int {
	commands := []*Command{commandOf(&steps[0])}
	if commands[0] == nil {
		return 1
	}
	n := 1
	for ; n < len(steps); n++ {
		a, b := &steps[n-1], &steps[n]
		c := commandOf(b)
		follows := b.At.AfterPrevious && a.Phone == b.Phone && a.As == "" && len(a.Expect) == 0 &&
			a.Optional == b.Optional && a.Need == b.Need && a.Before == b.Before
		if c == nil || !follows || slices.ContainsFunc(commands, func(d *Command) bool { return !sameTarget(c, d) }) {
			break
		}
		commands = append(commands, c)
	}
	return n
}

// commandOf returns the command of a step as `do` would express it, or nil.
func commandOf(s *Step) *Command {
	if s.Login != nil && s.Login.Kind == "right" && s.Login.User == "" && s.Login.Password == "" {
		return &Command{Verb: VerbLogin}
	}
	return s.Do
}

// sameTarget reports whether two commands can be in one list: its beacons have the same receivers and the same count.
func sameTarget(a, b *Command) bool {
	if a.Verb != VerbBeacon || b.Verb != VerbBeacon {
		return true
	}
	return a.Contacts == b.Contacts && a.Count == b.Count && slices.Equal(a.To, b.To)
}

// steps encodes one entry of the script: a single step, or several steps whose commands are written as one list. The
// first entry always has its time.
func (w *writer) steps(steps []Step, first bool) *yaml.Node {
	one := steps[len(steps)-1]
	w.step, w.commands = &one, nil
	defer func() { w.step = nil }()
	if len(steps) > 1 || one.Do != nil {
		for i := range steps {
			w.commands = append(w.commands, *commandOf(&steps[i]))
		}
		one.Login = nil
	}
	one.At = steps[0].At
	one.At.AfterPrevious = one.At.AfterPrevious && !first
	return w.mapping(one.keys(), "")
}

// encodeAt returns the time of a step, or nil if it follows the step before.
func (s *Step) encodeAt(*writer) *yaml.Node {
	switch {
	case s.At.AfterPrevious:
		return nil
	case s.At.Label != "":
		return textNode(s.At.String())
	}
	return plainNode(s.At.String())
}

// encodeExpect returns the expected effects of a step.
func (s *Step) encodeExpect(w *writer) *yaml.Node {
	return orNothing(oneOrList(mapNodes(s.Expect, w.expectation)))
}

// expectation encodes an expected effect. One without an effect is written with an empty list of lines.
func (w *writer) expectation(e StepExpect) *yaml.Node {
	n := w.mapping(e.keys(), "")
	effects := 0
	for k := range pairs(n) {
		if k.Value != "phone" && k.Value != "within" {
			effects++
		}
	}
	if effects == 0 {
		put(n, "server_prints", flowNode(yaml.SequenceNode))
	}
	return n
}

// comparison returns the text of a comparison. It is made anew if phones or steps have other names by now.
func (w *writer) comparison(e *Expectation) string {
	same := e.Text != ""
	for p := range e.paths() {
		same = same && w.path(p) == p.Text
	}
	if same {
		return e.Text
	}
	return w.sum(e.Left) + " " + e.Op + " " + w.sum(e.Right)
}

// sum returns the text of a sum.
func (w *writer) sum(s Sum) string {
	var b strings.Builder
	for i, t := range s.Terms {
		if i > 0 {
			b.WriteString(" " + string(t.Sign) + " ")
		}
		switch p := t.Operand.Path; {
		case p != nil:
			b.WriteString(w.path(p))
			if p.At != "" {
				b.WriteString(" at " + p.At)
			}
		case t.Operand.Duration:
			b.WriteString(secondsText(t.Operand.Number))
		default:
			b.WriteString(numberText(t.Operand.Number))
		}
	}
	return b.String()
}

// path names a value.
func (w *writer) path(p *Path) string {
	switch {
	case p.Counter != "":
		return p.Counter
	case p.Step >= 0:
		return w.s.Script[p.Step].As + "." + p.Field
	}
	head, _, _ := strings.Cut(p.Text, ".")
	if phones, _ := w.roster.match(head); slices.Equal(phones, p.Phones) {
		return head + "." + p.Field
	}
	if names := w.names(p.Phones); len(names) == 1 {
		return names[0] + "." + p.Field
	}
	return p.Text
}
