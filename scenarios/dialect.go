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
}

// wireStep is one step of a conversation.
type wireStep struct {
	Pos  Pos
	Kind string // of stepNames
	step dialect.Step
	Each []entryStep
}

// stepNames has the names of the kinds of steps.
var stepNames = [...]string{
	dialect.Send: "send", dialect.Receive: "recv", dialect.SendInt: "send_int", dialect.ReceiveInt: "recv_int",
	dialect.Pause: "pause", dialect.Each: "each", dialect.Reconnect: "reconnect",
}

// wireStepOf returns a step as a file has it.
func wireStepOf(s dialect.Step) wireStep {
	w := wireStep{Kind: stepNames[s.Kind], step: s}
	for _, inner := range s.Steps {
		w.Each = append(w.Each, entryStep{wireStepOf(inner)})
	}
	return w
}

// entryStep is a step within `each`.
type entryStep struct{ wireStep }

// wireReply is an answer to a login.
type wireReply struct {
	Answer dialect.Template
	Int    *int
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
	templateForm = wireForm("the text of a message, with placeholders such as {user}", dialect.ParseTemplate,
		func(t dialect.Template) *yaml.Node { return wireNode(t.Text) })
	joinForm    = &form{doc: "the text between two entries", scalar: &scalar{parse: parseText, noVariable: true}}
	typedForm   = orList("a line, or a list of lines", &form{doc: "a line", scalar: joinForm.scalar})
	intForm     = wireForm("a whole number, or {n} for the number of entries", parseWireInt, wireIntNode)
	framingForm = wireForm("`raw`, `lines`, `utf`, `bar`, `int4`, `netstring`, `columns N`, `fixed N` or `ends TEXT`",
		parseFraming, framingNode)
	strftimeForm = wireForm("`unix`, or a layout such as %d/%m/%Y %H:%M:%S", parseLayout,
		func(l dialect.Layout) *yaml.Node { return wireNode(goVerbs.Replace(string(l))) })
	tempIDDigitsForm = wholeForm("the number of digits of a TempID, 0 to 100, 0 if it varies", 0, 100)
)

// wireForm returns a form in which a dollar sign has no meaning.
func wireForm[T any](doc string, parse func(string) (T, error), node func(T) *yaml.Node) *form {
	return &form{doc: doc, scalar: &scalar{
		parse: boxed(parse), noVariable: true, node: func(v any) *yaml.Node { return node(v.(T)) },
	}}
}

// parseWireInt parses a number of 4 bytes; nil is the count of entries.
func parseWireInt(text string) (*int, error) {
	if text == "{n}" {
		return nil, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return nil, errExpected
	}
	number := int(n)
	return &number, nil
}

// framingNames has the names of the framings.
var framingNames = [...]string{
	dialect.Raw: "raw", dialect.Lines: "lines", dialect.Columns: "columns", dialect.UTF: "utf", dialect.Bar: "bar",
	dialect.Int4: "int4", dialect.Netstring: "netstring", dialect.Fixed: "fixed", dialect.Ends: "ends",
}

func parseFraming(text string) (f dialect.Framing, err error) {
	word, value, valued := strings.Cut(text, " ")
	kind := slices.Index(framingNames[:], word)
	f.Kind = dialect.FramingKind(max(kind, 0))
	sized, ends := f.Kind == dialect.Columns || f.Kind == dialect.Fixed, f.Kind == dialect.Ends
	switch {
	case kind < 0, valued != (sized || ends), ends && value == "":
		return f, errExpected
	case sized:
		if f.Size, err = strconv.Atoi(value); err != nil || f.Size < 1 || f.Size > 1024 {
			return f, errors.New("the width is 1 to 1024 bytes")
		}
	}
	if ends {
		f.End = value
	}
	return f, nil
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
	form := func() *form {
		return &form{doc: "a list of steps such as [send: '{user}', pause: 300ms, send: '{password}']",
			list: sectionForm[wireStep]("step", "a step such as {send: '{user}'}")}
	}
	steps := func(name string, into *[]dialect.Step, doc string, needs ...string) key {
		var list []wireStep
		k := many(name, &list, form, doc)
		decode := k.decode
		return k.decodedBy(func(b *builder, section *value) {
			decode(b, section)
			for _, s := range list {
				*into = append(*into, s.step)
			}
			if name == "beacon" {
				checkBeacon(list, b, section)
			}
			for _, need := range needs {
				if section.has(name) && !mentions(*into, need) {
					b.add(section.keyPos(name), "`%s` has no %s", name, need)
				}
			}
		}).encodedBy(func(w *writer) *yaml.Node {
			for _, s := range *into {
				list = append(list, wireStepOf(s))
			}
			return orNothing(flowNode(yaml.SequenceNode, sectionNodes(w, list)...))
		})
	}
	reply := sectionForm[wireReply]("wirereply",
		"the text of an answer, or an answer such as {text: wrong, int: 1}")
	reply.scalar = templateForm.scalar
	replies := orList("the text of an answer, or a list of them", reply)
	outcome := func(name string, o dialect.Outcome, doc string) key {
		return to(name, nil, replies, doc).decodedBy(func(b *builder, section *value) {
			for _, v := range section.child(name).elements() {
				d.Outcomes[o] = append(d.Outcomes[o], new(wireReply).decode(b, v))
			}
		}).encodedBy(func(*writer) *yaml.Node { return orNothing(flowList(d.Outcomes[o], replyNode)) })
	}
	return []key{
		to("name", &d.Name, fileNameForm, "The name of the dialect.").need(),
		to("about", &d.About, anyTextForm, "The properties of the wire, in one sentence."),
		to("client", &d.Client, framingForm, "How the phone marks the ends of its messages.").or("raw"),
		to("server", &d.Server, framingForm, "How the server marks the ends of its messages.").or("raw"),
		steps("login", &d.Login, "The first attempt to log in on a connection.", "{user}", "{password}").need(),
		steps("again", &d.Again, "Another attempt after a wrong password.", "{password}").need(),
		inner("outcomes", "The answers of the server to an attempt. Of several texts, a server made from the dialect "+
			"sends the first.", "answers by outcome",
			outcome("welcome", dialect.Welcome, "The login is accepted.").need(),
			outcome("wrong", dialect.Wrong, "The password is wrong.").need(),
			outcome("now_blocked", dialect.NowBlocked, "The attempt has blocked the account."),
			outcome("blocked", dialect.Blocked, "The account was blocked before."),
			outcome("unknown", dialect.Unknown, "The name has no account."),
			outcome("already", dialect.Already, "The account is logged in already.")).need(),
		steps("download", &d.Download, "The request for a TempID.", "{tempid}"),
		steps("upload", &d.Upload, "The upload of the contact log."),
		steps("logout", &d.Logout, "The end of the session."),
		steps("beacon", &d.Beacon, "The datagrams of a beacon: `send` by its sender, `recv` the answer of "+
			"its receiver before the next one. The default is the form of PROTOCOL.md section 3.", "{tempid}"),
		to("beacon_times", &d.BeaconTimes, strftimeForm,
			"The layout of the times of a beacon. The default is `times`."),
		inner("typed", "The lines that a user types at the phone. Without one of these keys it is the word of the "+
			"course specification.", "lines by command",
			to("login", &d.Typed.Login, typedForm, "To log in: '{user}' and '{password}' unless written."),
			to("download", &d.Typed.Download, typedForm, "To get a TempID: Download_tempID."),
			to("upload", &d.Typed.Upload, typedForm, "To upload the contact log: Upload_contact_log."),
			to("beacon", &d.Typed.Beacon, typedForm, "To send a beacon: 'Beacon {ip} {port}'."),
			to("logout", &d.Typed.Logout, typedForm, "To log out: logout.")),
		to("files", &d.Files, orList("the name of a file, or a list of names", fileNameForm),
			"Files that must exist, empty, before the server starts."),
		to("entry", &d.Entry, templateForm, "One entry of {entries}."),
		to("join", &d.Join, joinForm, "The text between two entries of {entries}."),
		to("times", &d.Times, strftimeForm, "The layout of {start}, {expiry} and {now}.").or("%d/%m/%Y %H:%M:%S"),
		to("tempid_digits", &d.TempIDDigits, tempIDDigitsForm, "The number of digits of a TempID.").or("20"),
		to("same_tempid", &d.SameTempID, trueFalseForm, "true: a download returns the same TempID while it is valid.").
			or("false"),
	}
}

// keys is the table of a step. Its first keys are the kinds.
func (s *wireStep) keys() []key {
	steps := func() *form {
		return &form{doc: "a list of steps", list: sectionForm[entryStep]("step", "a step such as {send: '{tempid}'}")}
	}
	return append(s.plainKeys(), many("each", &s.Each, steps, "Steps for each entry of the contact log.").kind())
}

func (s *wireStep) plainKeys() []key {
	return []key{
		kindKey("send", &s.step.Text, templateForm, "The phone sends a message."),
		kindKey("recv", &s.step.Text, templateForm, "The server sends a message."),
		kindKey("send_int", &s.step.Int, intForm, "The phone sends a number of 4 bytes."),
		kindKey("recv_int", &s.step.Int, intForm, "The server sends a number of 4 bytes."),
		kindKey("pause", &s.step.Pause, positiveForm, "The phone waits."),
		kindKey("reconnect", nil, onlyTrueForm, "The phone opens another connection.").
			encodedBy(func(*writer) *yaml.Node { return plainNode("true") }),
	}
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

// decode returns the answer that v describes.
func (r *wireReply) decode(b *builder, v *value) []dialect.Step {
	if v.kind == yaml.ScalarNode {
		return []dialect.Step{{Kind: dialect.Receive, Text: v.got.(dialect.Template)}}
	}
	decodeSection(b, v, r)
	reply := []dialect.Step{{Kind: dialect.Receive, Text: r.Answer}}
	if v.has("int") {
		reply = append(reply, dialect.Step{Kind: dialect.ReceiveInt, Int: r.Int})
	}
	return reply
}

// checkBeacon refuses a beacon that is not one of datagrams, the first of its sender.
func checkBeacon(list []wireStep, b *builder, section *value) {
	for _, s := range list {
		if s.Kind != "send" && s.Kind != "recv" {
			b.add(s.Pos, "a step of `beacon` is a datagram; expected `send` or `recv`")
		}
	}
	if len(list) > 0 && list[0].Kind != "send" {
		b.add(section.keyPos("beacon"), "`beacon` begins with a datagram of its sender; expected `send`")
	}
}

// check completes the step. It refuses steps for each entry that do not begin with a message of the phone: a server
// that does not know the number of entries would not find their end.
func (s *wireStep) check(b *builder, _ *value) {
	s.step.Kind = dialect.StepKind(slices.Index(stepNames[:], s.Kind))
	for _, inner := range s.Each {
		s.step.Steps = append(s.step.Steps, inner.step)
	}
	if s.Kind == "each" && len(s.Each) > 0 && s.Each[0].Kind != "send" {
		b.add(s.Each[0].Pos, "the first step of `each` is `%s`; expected `send`", s.Each[0].Kind)
	}
}

// mentions reports whether a message of the steps has a placeholder.
func mentions(steps []dialect.Step, name string) bool {
	return slices.ContainsFunc(steps, func(s dialect.Step) bool {
		return strings.Contains(s.Text.Text, name) || mentions(s.Steps, name)
	})
}
