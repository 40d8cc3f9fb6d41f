package scenarios

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"

	"bluetrace/protocol/dialect"
)

// DialectYAML returns a file of the language from which ParseDialect reads d, with the sentence about. It returns an
// error if the file cannot express d: it has no name, or its texts are not UTF-8.
func DialectYAML(d *dialect.Dialect, about string) ([]byte, error) {
	w := &writer{s: &Scenario{}}
	file := &Dialect{About: about, Dialect: *d}
	var text []byte
	for _, k := range file.keys() {
		n := w.encode(&k, "")
		if n == nil {
			continue
		}
		if k.name == "outcomes" {
			n.Style = 0
		}
		line, err := yaml.Dump(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{plainNode(k.name), n}},
			yaml.WithIndent(2), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(lineWidth))
		if err != nil {
			return nil, fmt.Errorf("writing `%s`: %w", k.name, err)
		}
		text = append(text, line...)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("a message is not UTF-8")
	}
	if _, err := ParseDialect(d.Name, text); err != nil {
		return nil, fmt.Errorf("the file of the dialect cannot be read: %w", err)
	}
	return text, nil
}

// wireNode encodes a text of the wire, in which a dollar sign has no meaning.
func wireNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if plainText.MatchString(text) && !notText.MatchString(text) && !notInFlow.MatchString(text) {
		return n
	}
	if n.Style = yaml.SingleQuotedStyle; strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// wireIntNode encodes a number of 4 bytes.
func wireIntNode(number *int) *yaml.Node {
	if number == nil {
		return wireNode("{n}")
	}
	return plainNode(fmt.Sprint(*number))
}

// replyNode encodes an answer to a login: a message, and perhaps a number after it.
func replyNode(r []dialect.Step) *yaml.Node {
	text := wireNode(r[0].Text.Text)
	if len(r) == 1 {
		return text
	}
	m := flowNode(yaml.MappingNode)
	put(m, "text", text)
	put(m, "int", wireIntNode(r[1].Int))
	return m
}

// framingNode encodes a framing.
func framingNode(f dialect.Framing) *yaml.Node {
	text := framingNames[f.Kind]
	switch f.Kind {
	case dialect.Columns, dialect.Fixed:
		text += fmt.Sprintf(" %d", f.Size)
	case dialect.Ends:
		text += " " + f.End
	}
	return wireNode(text)
}

// goVerbs replaces the conversions of Go's package time by those of strftime.
var goVerbs = strings.NewReplacer("%", "%%", "2006", "%Y", "01", "%m", "02", "%d", "15", "%H", "04", "%M", "05", "%S",
	"06", "%y")
