package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"

	"bluetrace/reports/filetype"
)

// maxFile is the size limit of a scenario file, in bytes.
const maxFile = 4 << 20

// document parses the text of a file as one YAML document. It returns nil after a mistake.
func document(c *mistakeList, text []byte) *yaml.Node {
	switch format := filetype.Of(text); format {
	case "":
	case filetype.UTF16:
		c.add(Pos{1, 1}, "the file is UTF-16 text; save it as UTF-8")
		return nil
	default:
		c.add(Pos{1, 1}, "this is %s; expected a scenario, which is UTF-8 text", format)
		return nil
	}
	if len(bytes.TrimPrefix(text, []byte(byteOrderMark))) > maxFile {
		c.add(Pos{}, "the file is larger than %d MiB, the most a scenario may have", maxFile>>20)
		return nil
	}
	text = withLineFeeds(text)
	if !printable(c, text) {
		return nil
	}
	hidden, restore := hideSeparators(text)
	root := loadDocument(c, text, hidden)
	if root != nil && restore != nil {
		restoreNode(root, restore)
	}
	return root
}

// withLineFeeds returns the text of a file without its byte order mark, with LF as its only end of a line.
func withLineFeeds(text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	if bytes.IndexByte(text, '\r') < 0 {
		return text
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
}

// hideSeparators replaces the characters at which YAML 1.1, but not 1.2 (section 5.4), ends a line: the library follows
// 1.1. Each becomes a private character that the text does not have. restore reverses this; it is nil if the text has
// no such character.
func hideSeparators(text []byte) (hidden []byte, restore *strings.Replacer) {
	var forth, back []string
	private := '\ue000'
	for _, separator := range []string{"\u0085", "\u2028", "\u2029"} {
		if !bytes.Contains(text, []byte(separator)) {
			continue
		}
		for bytes.ContainsRune(text, private) {
			private++
		}
		forth, back = append(forth, separator, string(private)), append(back, string(private), separator)
		private++
	}
	if forth == nil {
		return text, nil
	}
	return []byte(strings.NewReplacer(forth...).Replace(string(text))), strings.NewReplacer(back...)
}

func restoreNode(n *yaml.Node, restore *strings.Replacer) {
	n.Value = restore.Replace(n.Value)
	for _, c := range n.Content {
		restoreNode(c, restore)
	}
}

// loadDocument returns the root of the one YAML document of a text, or nil after a mistake. hidden is the text for the
// library.
func loadDocument(c *mistakeList, text, hidden []byte) *yaml.Node {
	loader, err := yaml.NewLoader(bytes.NewReader(hidden))
	if err != nil {
		c.add(Pos{}, "reading YAML: %v", err)
		return nil
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err != nil && !errors.Is(err, io.EOF) {
		complainOfYAML(c, text, err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		c.add(Pos{second.Line, second.Column}, "a second document begins here; a file holds one scenario")
	case !errors.Is(err, io.EOF):
		complainOfYAML(c, text, err)
		return nil
	}
	if len(first.Content) == 0 {
		c.add(Pos{1, 1}, "the file holds nothing; a scenario begins with `name: …`")
		return nil
	}
	return first.Content[0]
}

// printable returns false and reports a mistake if the file contains a byte that is not text. The YAML library would
// refuse such a byte without a position.
func printable(c *mistakeList, text []byte) bool {
	line, col := 1, 1
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			c.add(Pos{line, col}, "byte 0x%02x is no UTF-8; a scenario is UTF-8 text", text[i])
			return false
		case r < ' ' && r != '\t' && r != '\n', r == 0x7f, 0xfffe <= r && r <= 0xffff, 0x80 <= r &&
			r < 0xa0 && r != 0x85:
			c.add(Pos{line, col}, "found the control character %U; in a text between double quotes it can be written "+
				"\\x%02X", r, r)
			return false
		}
		i += size
		col++
		if r == '\n' {
			line, col = line+1, 1
		}
	}
	return true
}

// lookalike matches a character that looks like a blank where YAML wants one: in the indentation, or after a colon, a
// comma, a dash or a bracket.
var lookalike = regexp.MustCompile(`(?:^ *(?:- *)?|[:,{}\[\]] *)([\x{85}\x{a0}\x{1680}\x{2000}-\x{200b}\x{2028}` +
	`\x{2029}\x{202f}\x{205f}\x{2060}\x{3000}\x{feff}])`)

// addLookalike reports the first character of a text that stands for a blank, outside of quotes and comments.
func (c *mistakeList) addLookalike(text []byte) {
	for i, line := range strings.Split(string(text), "\n") {
		at := lookalike.FindStringSubmatchIndex(line)
		if at == nil {
			continue
		}
		before := line[:at[2]]
		comment := strings.HasPrefix(strings.TrimLeft(line, " "), "#") || strings.Contains(before, " #")
		if comment || strings.Count(before, `"`)%2 == 1 || strings.Count(before, "'")%2 == 1 {
			continue
		}
		found, _ := utf8.DecodeRuneInString(line[at[2]:])
		c.add(Pos{i + 1, utf8.RuneCountInString(before) + 1},
			"found %U where YAML wants a blank, which looks like it; replace the character, here and in the rest of "+
				"the file", found)
		return
	}
}

// complainOfYAML reports an error of the YAML library as a mistake at its position, with the likely reason.
func complainOfYAML(c *mistakeList, text []byte, err error) {
	c.addLookalike(text)
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		c.add(Pos{}, "reading YAML: %s", plain(err.Error()))
		return
	}
	p := Pos{le.Mark.Line, le.Mark.Column}
	if p.Line < 1 || p.Col < 1 {
		p = Pos{}
	}
	found := plain(le.Message)
	if le.ContextMsg != "" {
		found = plain(le.ContextMsg) + ": " + found
		if m := le.ContextMark; m.Line > 0 && m.Line != p.Line {
			found += fmt.Sprintf(" (it begins in line %d)", m.Line)
		}
	}
	c.add(p, "this is no YAML: %s%s", found, hint(text, p, le))
}

// hint returns the likely reason of an error of the YAML library.
func hint(text []byte, p Pos, le *yaml.LoadError) string {
	rest := restOfLine(text, p)
	before := strings.TrimSuffix(restOfLine(text, Pos{p.Line, 1}), rest)
	notFound := strings.Contains(le.Message, "did not find expected")
	notAllowed := strings.Contains(le.Message, "mapping values are not allowed")
	switch {
	case strings.HasPrefix(rest, "\t"):
		return "; found a tab where YAML wants blanks"
	case strings.HasPrefix(rest, "`"), strings.HasPrefix(rest, "@"), strings.HasPrefix(rest, "%"):
		return fmt.Sprintf("; a text that begins with %q needs quotes", rest[:1])
	case strings.Contains(le.Message, "did not find expected ',' or"):
		return flowHint(before, rest, strings.Contains(le.Message, "'}'"))
	case notFound && strings.ContainsAny(rest[:min(1, len(rest))], "}]"):
		return fmt.Sprintf("; this %s is one too many", rest[:1])
	case notFound && strings.TrimSpace(before) == "", notAllowed && keyAlone.MatchString(before):
		return "; check the indentation: keys of one mapping, and the - of one list, begin in the same column"
	case notAllowed:
		return "; a text with a colon and a blank in it needs quotes"
	case strings.Contains(le.ContextMsg, "scanning an alias"), strings.Contains(le.Message, "unknown anchor"):
		return "; a text that begins with * needs quotes"
	case strings.Contains(le.ContextMsg, "scanning an anchor"):
		return "; a text that begins with & needs quotes"
	}
	return ""
}

// keyAlone matches the text before the first colon of a line that begins with a key.
var keyAlone = regexp.MustCompile(`^ *(- +)?[A-Za-z_]+$`)

// flowHint returns the likely reason why a mapping between braces, or a list between brackets, ends between before
// and rest.
func flowHint(before, rest string, braces bool) string {
	where := "brackets"
	if braces {
		where = "braces"
	}
	switch {
	case strings.HasPrefix(rest, "{") && strings.HasSuffix(before, "$"):
		return "; a ${NAME} between " + where + " needs quotes"
	case strings.HasPrefix(rest, ":"):
		return "; a text with a comma in it, or with a colon and a blank, needs quotes between " + where
	case strings.HasPrefix(rest, "{"), strings.HasPrefix(rest, "["):
		return fmt.Sprintf("; a text with a comma or a %s in it needs quotes between %s", rest[:1], where)
	}
	return ""
}

// plain replaces the unprintable characters of a message of the YAML library, which may quote the file.
func plain(message string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, message)
}

// restOfLine returns the text of the file from p to the end of the line.
func restOfLine(text []byte, p Pos) string {
	for range p.Line - 1 {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return ""
		}
		text = text[i+1:]
	}
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	for range p.Col - 1 {
		_, size := utf8.DecodeRune(text)
		text = text[size:]
	}
	return string(text)
}
