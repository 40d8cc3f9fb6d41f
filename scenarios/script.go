package scenarios

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"bluetrace/scenarios/fault"
)

// keys is the table of a step. The keys from `login` to `fault` are its actions, of which it has at most one.
func (s *Step) keys() []key {
	commands := commandKeys(func(w *writer) []Command { return w.commands })
	commands[0].renumber = func(n *renumbering) bool {
		if s.Do == nil {
			return true
		}
		do, ok := n.command(*s.Do)
		s.Do = &do
		return ok
	}
	return []key{
		to("at", nil, timeReferenceForm, "The time of the step; of a login, when its password is sent. Without it, "+
			"when the step before has settled.").encodedBy(s.encodeAt),
		to("phone", &s.Phone, phoneForm, "The phone that acts."),
		{name: "login", doc: "A login on a new connection.", section: loginForm,
			decode: s.decodeLogin, encode: s.encodeLogin},
		to("password", &s.Password, textForm("`right`, `wrong` or a password"),
			"A password that is typed at the prompt: right, wrong, or the text itself."),
		commands[0], commands[1], commands[2],
		one("forge", &s.Forge, sectionOf[Forge]("", "a beacon: `to`, and the parts that differ from an honest one"),
			"A beacon that the phone's own program would not send."),
		one("datagrams", &s.Datagrams, sectionOf[Datagrams]("", "datagrams: `to` and `send`"),
			"These bytes over UDP, one datagram each."),
		one("tcp", &s.TCP, sectionOf[TCP]("", "the use of the connection: `connect`, `send`, `close` or `reset`"),
			"Bytes for the server, on a connection of its own."),
		one("restart", &s.Restart, sectionOf[Restart]("", "a mapping such as {down: 5s}"),
			"The server is killed and starts again from its files."),
		one("fault", &s.Fault, faultForm, "Any fault, from the time of the step."),
		to("as", &s.As, nameForm, "The label of the time at which the step took effect on the node that decided it."),
		to("before", &s.Before, positiveForm, "The step takes place only if its time is before this time, from the "+
			"start of the run."),
		to("optional", &s.Optional, onlyTrueForm, "The step is skipped if it cannot be done at its time. Its "+
			"expectations count if it took place."),
		to("need", &s.Need, onlyTrueForm, "Of a rule: if the step fails, the rule is not judged."),
		{name: "expect", doc: "The expected effects of the step.", section: func() *form {
			return orList("an expected effect such as {reply: …}, or a list of such",
				sectionForm[StepExpect]("stepexpect", "an expected effect of the step, such as {reply: …}"))
		}, renumber: func(n *renumbering) bool {
			s.Expect = renumberAll[StepExpect](n, s.Expect)
			return true
		}, encode: s.encodeExpect},
	}
}

// actions are the keys of a step of which it has at most one.
var actions = []string{"login", "password", "do", "forge", "datagrams", "tcp", "restart", "fault"}

// stepForm returns the form of a step. It suggests `fault` for a kind of fault that is written as an action.
func stepForm() *form {
	f := sectionForm[Step]("step", "a step such as {at: 5s, phone: owner, login: right}")
	f.mapping.synonyms = synonyms{}
	for _, k := range fault.Kinds() {
		f.mapping.synonyms[string(k)] = fmt.Sprintf("`fault: {%s: …}`", k)
	}
	return f
}

// scriptKey is the key `script`. Its decoder splits a step with several commands into one step for each.
func scriptKey(script *[]Step) key {
	return key{
		name: "script", doc: "The actions of the run, step by step.",
		section: func() *form { return &form{doc: "a list of steps", list: stepForm()} },
		decode: func(b *builder, root *value) {
			v := root.child("script")
			b.inScript = true
			defer func() { b.inScript = false }()
			for _, e := range v.elements() {
				step := Step{Phone: -1, At: b.labels.when(e, len(*script), b.s.Length)}
				decodeSection(b, e, &step)
				*script = append(*script, step.split(b, e)...)
			}
			b.labels.checkCycles(*script)
			b.refuseEmpty(root, "script")
		},
		encode: func(w *writer) *yaml.Node {
			var list []*yaml.Node
			for i := 0; i < len((*script)); {
				n := commandsTogether((*script)[i:])
				list = append(list, w.steps((*script)[i:i+n], i == 0))
				i += n
			}
			return sections(list)
		},
	}
}

// split returns one step for each command of a step. Each but the first begins when the one before has settled; the
// expectations belong to the last.
func (s Step) split(b *builder, v *value) []Step {
	commands := decodeCommands(v, b)
	s.Expect = s.expectations(b, v, commands)
	if len(commands) == 0 {
		return []Step{s}
	}
	var steps []Step
	for i, c := range commands {
		one := s
		if i > 0 {
			one.At = When{Pos: s.At.Pos, AfterPrevious: true}
		}
		if i < len(commands)-1 {
			one.As, one.Expect = "", nil
		}
		if s.Phone >= 0 {
			b.needAccount(c.Pos, c.Verb, []int{s.Phone})
		}
		if c.Verb == VerbLogin {
			one.Login = &Login{Pos: c.Pos, Kind: "right"}
		} else {
			one.Do = &c
		}
		steps = append(steps, one)
	}
	return steps
}

// check checks that a step has at most one action and names a phone if the action needs one.
func (s *Step) check(b *builder, v *value) {
	found := slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return !v.has(a) })
	switch {
	case len(found) > 1:
		b.add(v.keyPos(found[1]), "a step has one action, and this one has %s; expected one of them", backquoted(found))
	case len(found) == 0 && !v.has("expect") && !v.has("as") && v.complete():
		b.add(v.pos, "the step does nothing; expected one of %s, or `expect`", backquoted(actions))
	}
	if ownTime := s.At.Label == "" && !s.At.AfterPrevious; ownTime && s.Before > 0 && s.At.Offset >= s.Before {
		b.add(v.keyPos("before"), "`before` is %s, and the time of the step is %s: it would never take place; "+
			"expected a later time", s.Before, s.At.Offset)
	}
	if v.has("restart") && v.has("phone") {
		b.add(v.keyPos("phone"), "`restart` is an action of the server; expected no `phone` here")
	}
	if v.has("fault") && v.has("phone") {
		b.add(v.keyPos("phone"), "`fault` names the affected nodes itself; expected no `phone` here")
	}
	for _, a := range found {
		if a != "restart" && a != "fault" && !v.has("phone") {
			b.add(v.keyPos(a), "missing phone: say which phone does this; write `phone` and the name of one phone")
			break
		}
	}
	if s.Forge != nil {
		s.Forge.complete(b, v.child("forge"), s.Phone)
	}
	for _, t := range v.child("tcp").child("send").elements() {
		checkPlaceholders(t, b, s.Phone)
	}
	if len(found) == 1 {
		b.refuse(v.child("fault"), []string{"offset", "drift"},
			"`%s` holds for the whole run; expected it under `faults`, or `step` here")
	}
	s.checkLoginLead(b, v)
}

// loginForm returns the form of a login: its kind alone, or a mapping.
func loginForm() *form {
	f := sectionForm[Login]("", "")
	kind := f.mapping.key("kind").is
	f.doc, f.scalar = kind.doc+", or a mapping with `user` and `password`", kind.scalar
	return f
}

var loginKindForm = oneOf("", nil, "right", "wrong", "unknown", "half")

func (l *Login) keys() []key {
	return []key{
		to("user", &l.User, textForm("a username"), "This username instead of the phone's own."),
		to("password", &l.Password, textForm("a password"), "This password instead of the phone's own."),
		to("kind", &l.Kind, loginKindForm,
			"half: the username alone; unknown: a username without an account.").or("right"),
	}
}

// decodeLogin decodes `login`, and checks that the login has a username.
func (s *Step) decodeLogin(b *builder, section *value) {
	v := section.child("login")
	if v == nil {
		return
	}
	l := &Login{Pos: v.pos, Kind: v.text}
	if v.kind == yaml.MappingNode {
		b.decode(v, l.keys())
	}
	if l.Kind == "half" && l.Password != "" {
		b.add(v.keyPos("password"), "a half login types no password; expected no such key here")
	}
	if l.Kind == "unknown" && l.User != "" {
		b.add(v.keyPos("user"), "an unknown login draws a username without an account; expected no such key here")
	}
	if s.Phone >= 0 && l.User == "" && l.Kind != "unknown" && b.groupOf(s.Phone).Account == "none" {
		b.add(v.pos, "phone `%s` has no account; expected `unknown`, or a mapping with `user` and `password`",
			b.roster.name(s.Phone))
	}
	s.Login = l
}

// encodeLogin returns the kind of the login alone where that is enough.
func (s *Step) encodeLogin(w *writer) *yaml.Node {
	switch {
	case s.Login == nil:
		return nil
	case s.Login.User == "" && s.Login.Password == "":
		return plainNode(s.Login.Kind)
	}
	return w.mapping(s.Login.keys(), "")
}

// keys is the table of `forge`. Keys that are not written have the values of an honest beacon.
func (f *Forge) keys() []key {
	return []key{
		to("to", &f.To, phonesForm, "The phones that receive it.").need(),
		to("copy", &f.Copy, phoneForm, "The TempID and the times are those of the last download of this phone; keys "+
			"that are written win."),
		to("tempid", &f.TempID, textForm("a TempID, or any text"), "The first part; random unless written or copied."),
		to("start", &f.Start, wireTimeForm, "The second part; now unless written or copied.").
			writtenIf(func(*writer) bool { return f.Start.Set && (f.Copy >= 0 || f.Start != WireTime{Set: true}) }),
		to("expiry", &f.Expiry, wireTimeForm, "The third part; 15m unless written or copied.").
			writtenIf(func(w *writer) bool {
				return f.Expiry.Set && (f.Copy >= 0 || f.Expiry != WireTime{Set: true,
					Offset: w.s.Server.TempIDLifetime})
			}),
		to("version", &f.Version, textForm("a version, or any text"), "The fourth part.").or("1"),
		to("form", &f.Form, wireFormForm, "Four datagrams or one; the form of the phone's beacons unless written.").
			writtenIf(func(w *writer) bool {
				return f.Form != "" && (w.step.Phone < 0 || f.Form != w.groupOf(w.step.Phone).Form)
			}),
		to("port", &f.Port, portForm, "The source port; the phone's own unless written."),
		to("omit", &f.Omit, orList("a part, 1 to 4, or a list of parts", wholeForm("a part, 1 to 4", 1, 4)),
			"Parts that are not sent; of the split form only."),
		to("gap", &f.Gap, durationForm, "The time between parts; of the split form only.").or("0s"),
	}
}

// complete fills in the fields that depend on the phone and on the settings, and checks the rest.
func (f *Forge) complete(b *builder, v *value, phone int) {
	if !v.has("copy") {
		f.Start.Set = true
		if !f.Expiry.Set {
			f.Expiry = WireTime{Set: true, Offset: b.s.Server.TempIDLifetime}
		}
	}
	if f.Form == "" && phone >= 0 {
		f.Form = b.groupOf(phone).Form
	}
	slices.Sort(f.Omit)
	f.Omit = slices.Compact(f.Omit)
	if len(f.Omit) == 4 {
		b.add(v.keyPos("omit"), "all four parts are omitted: nothing would be sent")
	}
	if f.Form == FormSingle {
		b.refuse(v, []string{"omit", "gap"},
			"`%s` belongs to the split form, and this beacon is single; write `form: split`")
	}
}

// maxDatagram is the most bytes of a UDP datagram over IPv4.
const maxDatagram = 65507

func (d *Datagrams) keys() []key {
	return []key{
		to("to", &d.To, phonesForm, "The phones that receive them.").need(),
		bytesKey("send", &d.Send, "The bytes of the datagrams.").need(),
		to("port", &d.Port, portForm, "The source port; the phone's own unless written."),
		to("gap", &d.Gap, durationForm, "The time between datagrams.").or("0s"),
	}
}

// check refuses datagrams that are longer than maxDatagram, and an empty list.
func (d *Datagrams) check(b *builder, v *value) {
	for i, s := range v.child("send").elements() {
		if len(d.Send[i]) > maxDatagram {
			b.add(s.pos, "a datagram of %d bytes; UDP over IPv4 carries at most %d", len(d.Send[i]), maxDatagram)
		}
	}
	b.refuseEmpty(v, "send")
}

// bytesKey is a key with texts that are sent as they are.
func bytesKey(name string, into *[]string, doc string) key {
	return to(name, into, rawBytesForm, doc).encodedBy(func(*writer) *yaml.Node {
		return orNothing(flowList(*into, bytesNode))
	})
}

func (t *TCP) keys() []key {
	return []key{
		to("connect", &t.Connect, onlyTrueForm, "A new connection first; the old one stays open."),
		bytesKey("send", &t.Send, "Texts, one send each; {user}, {password}, {wrong} and {tempid} are replaced.").
			encodedBy(func(*writer) *yaml.Node {
				if len(t.Send) == 0 && (t.Connect || t.Close || t.Reset) {
					return nil
				}
				return flowList(t.Send, bytesNode)
			}),
		to("gap", &t.Gap, durationForm, "The time between sends.").or("0s"),
		to("close", &t.Close, onlyTrueForm, "The sending ends: end of file for the server."),
		to("reset", &t.Reset, onlyTrueForm, "The connection is reset."),
	}
}

// check refuses an entry that does nothing, and one that ends the connection twice.
func (t *TCP) check(b *builder, v *value) {
	if t.Close && t.Reset {
		b.add(v.keyPos("reset"), "`close` and `reset` end the connection in two ways; expected one of them")
	}
	if !slices.ContainsFunc(v.keys, func(e entry) bool { return e.key != "gap" }) {
		b.add(v.pos, "nothing is done on the connection; expected %s", v.form.mapping.alternatives())
	}
}

// placeholders are replaced when the text is sent.
var placeholders = []string{"{user}", "{password}", "{wrong}", "{tempid}"}

// checkPlaceholders refuses an empty text, a mistyped placeholder, and one whose value the phone does not have.
func checkPlaceholders(s *value, b *builder, phone int) {
	if s.text == "" {
		b.add(s.pos, "an empty text sends nothing; expected %s", s.form.doc)
	}
	rest := s.text
	for {
		_, after, ok := strings.Cut(rest, "{")
		word, tail, closed := strings.Cut(after, "}")
		if !ok || !closed {
			return
		}
		rest = tail
		word = "{" + word + "}"
		if near, ok := b.nearest(word, placeholders); ok && near != word && len(word) > 4 {
			b.add(s.pos, "%s is not replaced; did you mean %s?", quoted(word), near)
		}
		needs := word == "{user}" || word == "{password}" || word == "{wrong}"
		if needs && phone >= 0 && b.groupOf(phone).Account == "none" {
			b.add(s.pos, "phone `%s` has no account from which to replace %s", b.roster.name(phone), word)
		}
	}
}

func (r *Restart) keys() []key {
	return []key{to("down", &r.Down, durationForm, "The time for which the server is down.").or("0s")}
}

// commandNames are the commands of a phone's prompt, and `login`.
var commandNames = []string{string(VerbLogin), string(VerbDownload), string(VerbUpload), string(VerbBeacon),
	string(VerbLogout)}

var (
	commandForm  = newCommandForm()
	commandsForm = orList("a command ("+commandForm.doc+") or a list of commands", commandForm)
)

// newCommandForm returns the form of one command. For a text that is not a command but contains a word of one, it
// suggests that command.
func newCommandForm() *form {
	f := oneOf("", nil, append(slices.Clone(commandNames), string(VerbEndInput))...)
	f.doc += ", or {type: …} for any other line"
	exact := f.scalar.parse
	f.scalar.parse = func(t string) (any, error) {
		got, err := exact(t)
		if command, ok := commandWith(t); err != nil && ok {
			return nil, finalMessage{fmt.Errorf("did you mean `%s`?", command)}
		}
		return got, err
	}
	f.mapping = &mapping{keys: []key{
		to("type", nil, textForm("a text"), "A line that is typed as it is.").need(),
		to("half", nil, onlyTrueForm, "The line is not ended: the next one continues it. For a phone with `program`."),
	}}
	return f
}

// commandWith finds the only command that contains the first word of text, as Upload_contact_log contains "upload".
func commandWith(text string) (command string, ok bool) {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" _-", r) })
	if len(words) == 0 || len(words[0]) < 3 {
		return "", false
	}
	for _, c := range commandNames {
		if !strings.Contains(strings.ToLower(c), words[0]) {
			continue
		}
		if ok {
			return "", false
		}
		command, ok = c, true
	}
	return command, ok
}

// commandKeys returns the keys `do`, `to` and `times`, which encode a list of commands. `to` and `times` belong to the
// beacons of the list.
func commandKeys(list func(w *writer) []Command) []key {
	beacon := func(w *writer) *Command {
		all := list(w)
		if i := slices.IndexFunc(all, func(c Command) bool { return c.Verb == VerbBeacon }); i >= 0 {
			return &all[i]
		}
		return nil
	}
	return []key{
		{name: "do", doc: "One or more commands that are typed.", is: commandsForm, encode: func(w *writer) *yaml.Node {
			return orNothing(flowList(list(w), encodeCommand))
		}},
		to("to", nil, targetForm, "The receivers of a Beacon: `contacts` or phones.").
			encodedBy(func(w *writer) *yaml.Node {
				switch c := beacon(w); {
				case c == nil:
					return nil
				case c.Contacts:
					return plainNode("contacts")
				default:
					return w.phones(c.To)
				}
			}),
		to("times", nil, timesForm, "The number of beacons.").or("1").encodedBy(func(w *writer) *yaml.Node {
			if c := beacon(w); c != nil && c.Count != 1 {
				return plainNode(strconv.Itoa(c.Count))
			}
			return nil
		}),
	}
}

// encodeCommand returns a command as `do` expresses it.
func encodeCommand(c Command) *yaml.Node {
	if c.Verb == VerbType {
		n := flowNode(yaml.MappingNode, plainNode("type"), textNode(c.Text))
		if c.Half {
			put(n, "half", plainNode("true"))
		}
		return n
	}
	return plainNode(string(c.Verb))
}

// decodeCommands decodes `do` with the keys `to` and `times` beside it.
func decodeCommands(v *value, b *builder) []Command {
	var list []Command
	beacons := false
	for _, c := range v.child("do").elements() {
		cmd := Command{Pos: c.pos, Verb: Verb(c.text), Count: 1}
		switch {
		case c.got == nil:
			cmd.Verb, cmd.Text, cmd.Half = VerbType, got[string](c, "type"), got[bool](c, "half")
		case cmd.Verb == VerbBeacon:
			beacons = true
			cmd.setTarget(b, v)
			if n := got[uint64](v, "times"); n > 0 {
				cmd.Count = int(n)
			}
		}
		list = append(list, cmd)
	}
	do := v.child("do")
	if !beacons && (!v.has("do") || do != nil) {
		b.refuse(v, []string{"to", "times"}, "`%s` belongs to `do: Beacon`; expected no such key here")
	}
	if do != nil && do.kind == yaml.SequenceNode {
		b.refuseEmpty(v, "do")
	}
	return list
}

// setTarget sets the receivers of a Beacon from `to`: the contacts of the phone, or the named phones.
func (cmd *Command) setTarget(b *builder, v *value) {
	to := v.child("to")
	switch {
	case to == nil && !v.has("to"):
		b.add(cmd.Pos, "missing receivers of `Beacon`: write `to: contacts` or `to` and phones beside it")
	case to == nil:
	case to.text == "contacts":
		cmd.Contacts = true
		if b.s.Contacts.isEmpty() {
			b.add(to.pos, "no phones are in contact: the file has no `contacts`; write them, or name phones here")
		}
	default:
		cmd.To = b.roster.selection(to)
	}
}

// The default time limits of an expectation.
const (
	defaultWithin       = 10 * time.Second
	defaultSilentWithin = time.Second
)

var tempIDExpectForm = oneOf("", nil, TempIDFresh, TempIDUnpredictable)

// keys is the table of an expected effect. `reply` and `replies` share a field.
func (e *StepExpect) keys() []key {
	count := func(several bool) func(*writer) bool {
		return func(*writer) bool { return len(e.Replies) > 0 && (len(e.Replies) > 1) == several }
	}
	return []key{
		to("phone", &e.Phone, phoneForm, "The phone whose screen or log is observed; the step's own phone unless "+
			"written.").
			writtenIf(func(w *writer) bool { return e.Phone >= 0 && e.Phone != w.step.Phone }),
		to("reply", &e.Replies, expectedForm, "The answer of the server.").writtenIf(count(false)),
		to("replies", &e.Replies, orList("a list of texts or /regular expressions/", expectedForm),
			"The answers of the server, one by one.").writtenIf(count(true)),
		to("silent", &e.NoReply, onlyTrueForm, "The server does not answer."),
		to("closed", &e.Closed, trueFalseForm, "true: the server closes the connection; false: it does not."),
		to("prints", &e.Prints, linesForm, "Lines on the phone's screen, in this order, from the step on."),
		to("prints_nothing", &e.PrintsNothing, onlyTrueForm, "Nothing new on the phone's screen."),
		to("server_prints", &e.ServerPrints, linesForm,
			"Lines of the server's output, in this order, from the step on."),
		to("server_prints_nothing", &e.ServerPrintsNothing, onlyTrueForm, "Nothing new in the server's output."),
		{name: "log", doc: "The content of the phone's contact log at the instant of the step.", section: logExpectForm,
			decode: func(b *builder, section *value) { e.Log = decodeLog(section.child("log"), b) },
			encode: e.encodeLog},
		to("entries", &e.Entries, amountForm, "Of an upload: the number of entries."),
		to("resolved", &e.Resolved, amountForm, "Of an upload: the number of entries that the server resolved."),
		to("stores", &e.Stores, onlyTrueForm, "A line of the server's tempIDs.txt has the phone's user and TempID."),
		to("lifetime", &e.Lifetime, positiveForm, "That line has a start and an expiry so far apart, to a second, and "+
			"the present is between them."),
		to("ends", &e.Ends, trueFalseForm, "true: the phone, a program of another implementation, ends; false: it "+
			"does not."),
		to("tempid", &e.TempID, tempIDExpectForm, "fresh: the phone has a TempID that it did not have before; "+
			"unpredictable: those of the run, at least 4, do not differ by a constant."),
		to("busy", &e.Busy, percentForm, "The program of the phone, else of the server, uses less than this share of "+
			"one core until `within`."),
		to("growth", &e.Growth, percentForm, "Memory and threads of the program of the phone, else of the server, "+
			"grow by at most this share until `within`."),
		to("log_unbroken", &e.LogUnbroken, onlyTrueForm, "Until `within` the contact log of the phone, a program of "+
			"another implementation, loses no entry and has no half one."),
		to("within", &e.Within, positiveForm, "The time limit; 10s unless written, 1s for silent, prints_nothing, "+
			"server_prints_nothing, busy, growth, log_unbroken and `ends: false`.").
			writtenIf(func(*writer) bool { return e.Within != e.defaultWithin() }),
	}
}

// defaultWithin returns the time limit of an expectation without `within`: longer for an effect than for silence.
func (e *StepExpect) defaultWithin() time.Duration {
	measures := e.Busy > 0 || e.Growth > 0 || e.LogUnbroken
	if measures || e.NoReply || e.PrintsNothing || e.ServerPrintsNothing || e.Ends != nil && !*e.Ends {
		return defaultSilentWithin
	}
	return defaultWithin
}

// logExpectForm returns the form of an expected contact log: a number of entries, or a mapping.
func logExpectForm() *form {
	f := sectionForm[LogExpect]("", "a number of entries, or a mapping with `entries` and `tempids`")
	f.scalar = amountForm.scalar
	return f
}

func (l *LogExpect) keys() []key {
	return []key{
		to("entries", &l.Entries, amountForm, "The number of entries.").
			writtenIf(func(*writer) bool { return l.Entries >= 0 }),
		to("tempids", &l.TempIDs, patternsForm, "The TempIDs, in order of arrival.").writtenIf(always),
	}
}

// decodeLog returns the expected contact log, or nil if there is none.
func decodeLog(v *value, b *builder) *LogExpect {
	switch {
	case v == nil:
		return nil
	case v.kind != yaml.MappingNode:
		return &LogExpect{Pos: v.pos, Entries: int(v.got.(uint64))}
	}
	l := &LogExpect{Pos: v.pos, Entries: -1}
	b.decode(v, l.keys())
	if v.isEmpty() {
		b.add(v.pos, "`log` asks nothing; expected %s", v.form.doc)
	}
	if v.has("entries") && l.TempIDs != nil && l.Entries != len(l.TempIDs) {
		b.add(v.keyPos("entries"), "`entries` is %d, and `tempids` lists %d", l.Entries, len(l.TempIDs))
	}
	return l
}

// encodeLog returns the expected contact log, as a number where that is enough.
func (e *StepExpect) encodeLog(w *writer) *yaml.Node {
	switch {
	case e.Log == nil:
		return nil
	case e.Log.TempIDs == nil && e.Log.Entries >= 0:
		return plainNode(strconv.Itoa(e.Log.Entries))
	}
	return w.mapping(e.Log.keys(), "")
}

// expectations decodes the expected effects of a step and fills in the phone and the time limit.
func (s *Step) expectations(b *builder, v *value, commands []Command) []StepExpect {
	var list []StepExpect
	for _, e := range v.child("expect").elements() {
		one := StepExpect{}
		decodeSection(b, e, &one)
		if !e.has("phone") {
			one.Phone = s.Phone
		}
		if one.Within == 0 {
			one.Within = one.defaultWithin()
		}
		one.checkEffects(b, e, v, commands)
		list = append(list, one)
	}
	if e := v.child("expect"); e.isEmpty() {
		b.add(e.pos, "`expect` is empty; expected %s", e.form.list.mapping.alternatives())
	}
	return list
}

// checkEffects refuses effects that the step cannot have.
func (*StepExpect) checkEffects(b *builder, e, step *value, commands []Command) {
	isEffect := func(one entry) bool { return one.key != "phone" && one.key != "within" }
	if !slices.ContainsFunc(e.keys, isEffect) && e.complete() {
		b.add(e.pos, "this expects nothing; expected one of %s", backquoted(e.form.mapping.names()))
	}
	for _, pair := range [][2]string{
		{"reply", "replies"}, {"reply", "silent"}, {"replies", "silent"},
		{"prints", "prints_nothing"}, {"server_prints", "server_prints_nothing"},
	} {
		if e.has(pair[0]) && e.has(pair[1]) {
			b.add(e.keyPos(pair[1]), "`%s` and `%s` exclude each other; expected one of them", pair[0], pair[1])
		}
	}
	upload := len(commands) > 0 && commands[len(commands)-1].Verb == VerbUpload
	if !upload && (step.child("do") != nil || !step.has("do")) {
		b.refuse(e, []string{"entries", "resolved"},
			"`%s` belongs to `do: Upload_contact_log`; expected no such key here")
	}
	if !e.has("phone") && !step.has("phone") {
		for _, key := range []string{"prints", "prints_nothing", "log", "log_unbroken", "tempid", "ends"} {
			if e.has(key) {
				b.add(e.keyPos(key), "missing phone of `%s`: write `phone` and the name of one phone", key)
				break
			}
		}
	}
	speaks := step.has("login") || step.has("password") || step.has("do") || step.has("tcp")
	if !speaks {
		b.refuse(e, []string{"reply", "replies", "silent", "closed"}, "`%s` is an answer of the server, and the step "+
			"does not contact it; expected `login`, `password`, `do` or `tcp` beside `expect`")
	}
}

// maxStepText is the most bytes of a step in a report.
const maxStepText = 160

// oneLine writes a step as YAML on one line. A long one is cut.
func oneLine(n *yaml.Node) string {
	var w strings.Builder
	writeFlow(&w, n, 0)
	s := strings.TrimSuffix(strings.TrimPrefix(w.String(), "{"), "}")
	if len(s) > maxStepText {
		s = strings.ToValidUTF8(s[:maxStepText], "") + "..."
	}
	return s
}

// writeFlow appends a node in YAML's flow style. It stops once the text is longer than maxStepText.
func writeFlow(w *strings.Builder, n *yaml.Node, depth int) {
	if w.Len() > maxStepText || depth > maxDepth {
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		writeFlow(w, n.Alias, depth+1)
	case yaml.ScalarNode:
		text := n.Value[:min(len(n.Value), maxStepText)]
		if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 || plain(text) != text {
			text = strconv.QuoteToGraphic(text)
		}
		w.WriteString(text)
	case yaml.SequenceNode, yaml.MappingNode:
		open, end := "[", "]"
		if n.Kind == yaml.MappingNode {
			open, end = "{", "}"
		}
		w.WriteString(open)
		for i, c := range n.Content {
			switch {
			case i == 0:
			case n.Kind == yaml.MappingNode && i%2 == 1:
				w.WriteString(": ")
			case w.Len() > maxStepText:
				return
			default:
				w.WriteString(", ")
			}
			writeFlow(w, c, depth+1)
		}
		w.WriteString(end)
	}
}
