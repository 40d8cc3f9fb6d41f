package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"bluetrace/protocol/dialect"
)

//go:embed dialects/*.yaml
var shippedDialects embed.FS

// Dialect is one checked file of a dialect.
type Dialect struct {
	About string
	dialect.Dialect

	login, again, download, upload, logout []wireStep
}

// wireStep is one step of a conversation.
type wireStep struct {
	Pos                 Pos
	Kind                string
	Send, Receive       dialect.Template
	SendInt, ReceiveInt wireInt
	Pause               time.Duration
	Each                []entryStep
	Reconnect           bool
}

// entryStep is a step within `each`.
type entryStep struct{ wireStep }

// wireInt is a number of 4 bytes; nil is the count of entries.
type wireInt struct{ number *int }

// wireReply is an answer to a login.
type wireReply struct {
	Answer dialect.Template
	Int    *wireInt
}

// DialectNames returns the names of the dialects that are part of the program.
func DialectNames() []string {
	files, err := fs.Glob(shippedDialects, "dialects/*.yaml")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	return files
}

// DialectText returns the text of the dialect of a name that DialectNames has, else that of a file.
func DialectText(name string) ([]byte, error) {
	if text, err := shippedDialects.ReadFile("dialects/" + name + ".yaml"); err == nil {
		return text, nil
	}
	text, err := readFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no dialect %q; the dialects of the program are %s", err, name,
			strings.Join(DialectNames(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("reading dialect: %w", err)
	}
	return text, nil
}

// LoadDialect reads and checks the dialect of DialectText. The error is a *Mistakes if the text is no dialect.
func LoadDialect(name string) (*Dialect, error) {
	text, err := DialectText(name)
	if err != nil {
		return nil, err
	}
	return ParseDialect(name, text)
}

// ParseDialect checks the text of a dialect. The error is a *Mistakes with every mistake. The zone of its times is UTC.
func ParseDialect(file string, text []byte) (*Dialect, error) {
	c := &mistakeList{file: file}
	root := document(c, text)
	if root == nil {
		return nil, c.err()
	}
	r := &reader{
		mistakeList: c, text: withLineFeeds(text), vars: newVariables(root, nil),
		valuesLeft: maxValues, bytesLeft: maxTexts, programLeft: maxProgram,
	}
	d := &Dialect{Dialect: dialect.Dialect{Zone: time.UTC, Lifetime: 15 * time.Minute}}
	v := r.read(root, sectionForm[Dialect]("dialect", "a dialect"), "the file", 0)
	if v == nil || c.total > 0 {
		return nil, c.err()
	}
	decodeSection(&builder{mistakeList: c, s: &Scenario{}, root: v}, v, d)
	if c.total > 0 {
		return nil, c.err()
	}
	return d, nil
}

var (
	templateForm = &form{doc: "the text of a message, with placeholders such as {user}", scalar: &scalar{
		parse: boxed(dialect.ParseTemplate), noVariable: true,
	}}
	joinForm = &form{doc: "the text between two entries", scalar: &scalar{parse: parseText, noVariable: true}}
	intForm  = &form{doc: "a whole number, or {n} for the number of entries", scalar: &scalar{
		parse: boxed(parseWireInt), noVariable: true,
	}}
	framingForm = &form{doc: "`raw`, `lines`, `utf`, `bar` or `columns N`", scalar: &scalar{
		parse: boxed(parseFraming), noVariable: true,
	}}
	strftimeForm = &form{doc: "`unix`, or a layout such as %d/%m/%Y %H:%M:%S", scalar: &scalar{
		parse: boxed(parseLayout), noVariable: true,
	}}
	tempIDDigitsForm = wholeForm("the number of digits of a TempID, 0 to 100, 0 if it varies", 0, 100)
)

func parseWireInt(text string) (wireInt, error) {
	if text == "{n}" {
		return wireInt{}, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return wireInt{}, errExpected
	}
	number := int(n)
	return wireInt{&number}, nil
}

func parseFraming(text string) (dialect.Framing, error) {
	if width, ok := strings.CutPrefix(text, "columns "); ok {
		n, err := strconv.Atoi(width)
		if err != nil || n < 1 || n > 1024 {
			return dialect.Framing{}, errors.New("the width of the length is 1 to 1024 bytes")
		}
		return dialect.Framing{Kind: dialect.Columns, Size: n}, nil
	}
	kind, ok := map[string]dialect.FramingKind{
		"raw": dialect.Raw, "lines": dialect.Lines, "utf": dialect.UTF, "bar": dialect.Bar,
	}[text]
	if !ok {
		return dialect.Framing{}, errExpected
	}
	return dialect.Framing{Kind: kind}, nil
}

// layoutVerbs replaces the conversions of strftime by those of Go's package time.
var layoutVerbs = strings.NewReplacer("%Y", "2006", "%m", "01", "%d", "02", "%H", "15", "%M", "04", "%S", "05",
	"%y", "06", "%%", "%")

func parseLayout(text string) (dialect.Layout, error) {
	if text == string(dialect.Unix) {
		return dialect.Unix, nil
	}
	for _, verb := range []string{"%Y", "%m", "%d", "%H", "%M", "%S"} {
		if !strings.Contains(text, verb) {
			return "", fmt.Errorf("it lacks %s", verb)
		}
	}
	return dialect.Layout(layoutVerbs.Replace(text)), nil
}

// keys is the table of a dialect.
func (d *Dialect) keys() []key {
	steps := func() *form {
		return &form{doc: "a list of steps such as [send: '{user}', pause: 300ms, send: '{password}']",
			list: sectionForm[wireStep]("step", "a step such as {send: '{user}'}")}
	}
	outcome := func(name string, o dialect.Outcome, doc string) key {
		return to(name, nil, repliesForm(), doc).decodedBy(func(b *builder, section *value) {
			for _, v := range section.child(name).elements() {
				d.Outcomes[o] = append(d.Outcomes[o], new(wireReply).decode(b, v))
			}
		})
	}
	return []key{
		to("name", &d.Name, fileNameForm, "The name of the dialect.").need(),
		to("about", &d.About, anyTextForm, "The properties of the wire, in one sentence."),
		to("client", &d.Client, framingForm, "How the phone marks the ends of its messages.").or("raw"),
		to("server", &d.Server, framingForm, "How the server marks the ends of its messages.").or("raw"),
		many("login", &d.login, steps, "The first attempt to log in on a connection.").need(),
		many("again", &d.again, steps, "Another attempt after a wrong password.").need(),
		inner("outcomes", "The answers of the server to an attempt. Of several texts, a server made from the dialect "+
			"sends the first.", "answers by outcome",
			outcome("welcome", dialect.Welcome, "The login is accepted.").need(),
			outcome("wrong", dialect.Wrong, "The password is wrong.").need(),
			outcome("now_blocked", dialect.NowBlocked, "The attempt has blocked the account."),
			outcome("blocked", dialect.Blocked, "The account was blocked before."),
			outcome("unknown", dialect.Unknown, "The name has no account."),
			outcome("already", dialect.Already, "The account is logged in already.")).need(),
		many("download", &d.download, steps, "The request for a TempID."),
		many("upload", &d.upload, steps, "The upload of the contact log."),
		many("logout", &d.logout, steps, "The end of the session."),
		to("entry", &d.Entry, templateForm, "One entry of {entries}."),
		to("join", &d.Join, joinForm, "The text between two entries of {entries}."),
		to("times", &d.Times, strftimeForm, "The layout of {start}, {expiry} and {now}.").or("%d/%m/%Y %H:%M:%S"),
		to("tempid_digits", &d.TempIDDigits, tempIDDigitsForm, "The number of digits of a TempID.").or("20"),
		to("same_tempid", &d.SameTempID, trueFalseForm, "true: a download returns the same TempID while it is valid.").
			or("false"),
	}
}

// keys is the table of a step. Its first keys are the kinds.
func (s *wireStep) keys() []key { return append(s.plainKeys(), s.eachKey()) }

func (s *wireStep) plainKeys() []key {
	return []key{
		kindKey("send", &s.Send, templateForm, "The phone sends a message."),
		kindKey("recv", &s.Receive, templateForm, "The server sends a message."),
		kindKey("send_int", &s.SendInt, intForm, "The phone sends a number of 4 bytes."),
		kindKey("recv_int", &s.ReceiveInt, intForm, "The server sends a number of 4 bytes."),
		kindKey("pause", &s.Pause, positiveForm, "The phone waits."),
		kindKey("reconnect", &s.Reconnect, onlyTrueForm, "The phone opens another connection."),
	}
}

func (s *wireStep) eachKey() key {
	steps := func() *form {
		return &form{doc: "a list of steps", list: sectionForm[entryStep]("step", "a step such as {send: '{tempid}'}")}
	}
	return many("each", &s.Each, steps, "Steps for each entry of the contact log.").kind()
}

// keys is the table of a step for one entry.
func (s *entryStep) keys() []key { return s.plainKeys() }

// keys is the table of an answer.
func (r *wireReply) keys() []key {
	return []key{
		to("text", &r.Answer, templateForm, "The message.").need(),
		to("int", &r.Int, intForm, "A number of 4 bytes after it."),
	}
}

// repliesForm returns the form of the answers for one outcome.
func repliesForm() *form {
	one := sectionForm[wireReply]("wirereply", "the text of an answer, or an answer such as {text: wrong, int: 1}")
	one.scalar = templateForm.scalar
	return orList("the text of an answer, or a list of them", one)
}

// decode returns the answer that v describes.
func (r *wireReply) decode(b *builder, v *value) dialect.Reply {
	if v.kind == yaml.ScalarNode {
		return dialect.Reply{{Kind: dialect.Receive, Text: v.got.(dialect.Template)}}
	}
	decodeSection(b, v, r)
	reply := dialect.Reply{{Kind: dialect.Receive, Text: r.Answer}}
	if r.Int != nil {
		reply = append(reply, dialect.Step{Kind: dialect.ReceiveInt, Int: r.Int.number})
	}
	return reply
}

// check builds the steps, and reports mistakes about several keys.
func (d *Dialect) check(b *builder, v *value) {
	for _, c := range []struct {
		name  string
		from  []wireStep
		into  *[]dialect.Step
		needs []string
	}{
		{"login", d.login, &d.Login, []string{"{user}", "{password}"}},
		{"again", d.again, &d.Again, []string{"{password}"}},
		{"download", d.download, &d.Download, []string{"{tempid}"}},
		{"upload", d.upload, &d.Upload, nil},
		{"logout", d.logout, &d.Logout, nil},
	} {
		*c.into = plainSteps(c.from)
		for _, name := range c.needs {
			if v.has(c.name) && !mentions(*c.into, name) {
				b.add(v.keyPos(c.name), "`%s` has no %s", c.name, name)
			}
		}
	}
}

// check refuses steps for each entry that do not begin with a message of the phone: a server that does not know the
// number of entries would not find their end.
func (s *wireStep) check(b *builder, _ *value) {
	if s.Kind == "each" && len(s.Each) > 0 && s.Each[0].Kind != "send" {
		b.add(s.Each[0].Pos, "the first step of `each` is `%s`; expected `send`", s.Each[0].Kind)
	}
}

func plainSteps(list []wireStep) (steps []dialect.Step) {
	for _, s := range list {
		steps = append(steps, s.plain())
	}
	return steps
}

// plain returns the step as the translator knows it.
func (s *wireStep) plain() dialect.Step {
	switch s.Kind {
	case "send":
		return dialect.Step{Kind: dialect.Send, Text: s.Send}
	case "recv":
		return dialect.Step{Kind: dialect.Receive, Text: s.Receive}
	case "send_int":
		return dialect.Step{Kind: dialect.SendInt, Int: s.SendInt.number}
	case "recv_int":
		return dialect.Step{Kind: dialect.ReceiveInt, Int: s.ReceiveInt.number}
	case "pause":
		return dialect.Step{Kind: dialect.Pause, Pause: s.Pause}
	case "reconnect":
		return dialect.Step{Kind: dialect.Reconnect}
	}
	each := dialect.Step{Kind: dialect.Each}
	for _, inner := range s.Each {
		each.Steps = append(each.Steps, inner.plain())
	}
	return each
}

// mentions reports whether a message of the steps has a placeholder.
func mentions(steps []dialect.Step, name string) bool {
	return slices.ContainsFunc(steps, func(s dialect.Step) bool {
		return strings.Contains(s.Text.Text, name) || mentions(s.Steps, name)
	})
}
