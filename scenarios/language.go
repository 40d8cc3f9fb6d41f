package scenarios

import "math"

// language is the whole language: every key, what may stand under it, what it
// means and what it is when it is not written. The parser, its messages and
// the JSON Schema are made from it.
func language() *shape {
	return &shape{doc: "a scenario: `name`, `phones`, `script` and so on", mapping: &mapping{fields: []field{
		{name: "name", doc: "What the scenario is called in reports.", is: fileNameWord(), required: true},
		{name: "about", doc: "What it shows, in a sentence.", is: anyText("a text")},
		{name: "manual", doc: "true: left out when a whole folder is run.", is: truth("`true` or `false`"), def: "false"},
		{name: "seed", doc: "What all chance of the run is drawn from.", is: whole("a whole number", 0, math.MaxUint64), def: "1"},
		{name: "start", doc: "What clocks in the scenario's zone show when the run begins.", is: wallTimeWord(), def: "01/01/2026 00:00:00"},
		{name: "zone", doc: "The IANA time zone of the server and the phones.", is: zoneWord(), def: "UTC"},
		{name: "length", doc: "How long the run lasts. Without it: until the script is done and every trace has ended.", is: positiveWord()},
		{name: "vars", doc: "The file's variables and their values unless --set gives others; ${NAME} stands for the value.", is: varsShape()},
		{name: "server", doc: "Settings of the health authority's server.", is: serverShape()},
		{name: "network", doc: "How the transports behave.", is: networkShape()},
		{name: "phones", doc: "Who takes part.", is: orList("a list of phones, each with a `name`", phoneShape()), required: true},
		{name: "contacts", doc: "Who is near whom. Kinds add up.", is: contactsShape()},
		{name: "routine", doc: "What phones do by themselves.", is: orList("a list of routines", routineShape())},
		{name: "script", doc: "What happens, step by step.", is: &shape{doc: "a list of steps", list: stepShape()}},
		{name: "faults", doc: "What goes wrong; of several that could answer the first does.", is: orList("a list of faults", faultShape())},
		{name: "adversaries", doc: "Phones that do what no honest program does.", is: orList("a list of adversaries", adversaryShape())},
		{name: "load", doc: "A load: phones that arrive at a rate, on real sockets and the real clock.", is: loadShape()},
		{name: "invariants", doc: "true: the invariants, which every run is held to, are all that is checked.", is: onlyTrue()},
		{name: "expect", doc: "What must hold of the whole run.", is: orList("a comparison such as beacons.valid > 1000, or a list of them", expectationWord())},
		{name: "thresholds", doc: "What must hold of a metric, in k6's grammar; delays in milliseconds.", is: thresholdsShape()},
	}}}
}

func varsShape() *shape {
	value := anyText("a text or a number")
	value.scalar.noVariable = true
	return &shape{doc: "variables, each with its value", mapping: &mapping{
		open: value, key: varName, keyDoc: "a variable's name, of letters, digits and _",
	}}
}

func serverShape() *shape {
	disk := &shape{doc: "`delay`", mapping: &mapping{fields: []field{
		{name: "delay", doc: "From the asking to save to the being saved.", is: delayWord(), def: "0s"},
	}}}
	return &shape{doc: "settings of the server", mapping: &mapping{fields: []field{
		{name: "block_duration", doc: "How long three wrong passwords in a row block an account.", is: durationWord(), def: "60s"},
		{name: "tempid_lifetime", doc: "From a TempID's start to its expiry, in whole seconds.", is: lifetimeWord(), def: "15m"},
		{name: "login_timeout", doc: "How long a connection may take to log in.", is: positiveWord(), def: "2m"},
		{name: "idle_timeout", doc: "How long a session may say nothing.", is: positiveWord(), def: "1h"},
		{name: "max_upload", doc: "The most lines of one upload, three an entry.", is: whole("a whole number of lines, 3 to 9999999", 3, 9_999_999), def: "300000"},
		{name: "disk", doc: "The server's disk.", is: disk},
	}}}
}

func networkShape() *shape {
	tcp := &shape{doc: "settings of TCP: `delay`, `split`, `join`", mapping: &mapping{fields: []field{
		{name: "delay", doc: "From a send to its arrival.", is: delayWord(), def: "0s"},
		{name: "split", doc: "Each send is cut into pieces of at most so many bytes, each read alone; 0: as sent.", is: whole("a whole number of bytes, 0 to 1024", 0, 1024), def: "0"},
		{name: "join", doc: "A receiver reads only so long after the first unread byte came, taking all that has come since.", is: durationWord(), def: "0s"},
	}}}
	udp := &shape{doc: "settings of UDP: `delay`, `lose`", mapping: &mapping{fields: []field{
		{name: "delay", doc: "From a send to its arrival.", is: delayWord(), def: "0s"},
		{name: "lose", doc: "The share of datagrams that is lost.", is: percentWord(), def: "0%"},
	}}}
	return &shape{doc: "`tcp`, `udp` or both", mapping: &mapping{fields: []field{
		{name: "tcp", doc: "Between phones and the server.", is: tcp},
		{name: "udp", doc: "Between phones.", is: udp},
	}}}
}

func phoneShape() *shape {
	return &shape{def: "group", doc: "a phone or a group: `name`, and `count` for a group", mapping: &mapping{fields: []field{
		{name: "name", doc: "Of the phone; of a group, whose phones are called name-1, name-2 and so on.", is: name("a name"), required: true},
		{name: "count", doc: "How many phones; without it one, called by the name alone.", is: countWord()},
		{name: "account", doc: "own: each has an account; none: it can only be heard; or the phone whose account is shared.", is: accountWord(), def: "own"},
		{name: "user", doc: "The account's username.", is: credentialWord("a username without blanks")},
		{name: "password", doc: "The account's password.", is: credentialWord("a password without blanks")},
		{name: "retention", doc: "How long a contact stays in the log.", is: positiveWord(), def: "3m"},
		{name: "beacon", doc: "How beacons are sent: four datagrams or one.", is: formWord(), def: "split"},
		{name: "password_pause", doc: "From the username's sending to the password's.", is: durationWord(), def: "50ms"},
	}}}
}

func contactsShape() *shape {
	desks := &shape{doc: "`phones`, `columns` and `reach`", mapping: &mapping{fields: []field{
		{name: "phones", doc: "Who sits there, row by row.", is: phonesWord(), required: true},
		{name: "columns", doc: "Desks in a row.", is: whole("a whole number above 0", 1, maxPhones), required: true},
		{name: "reach", doc: "Near are those whose row and column both differ by at most so many.", is: whole("a whole number above 0", 1, maxPhones), def: "1"},
	}}}
	visits := &shape{doc: "`phone`, `to` and `stay`", mapping: &mapping{fields: []field{
		{name: "phone", doc: "Who goes round.", is: phonesWord(), required: true},
		{name: "to", doc: "Who is visited, drawn at random.", is: phonesWord(), required: true},
		{name: "stay", doc: "How long at each.", is: stayWord(), required: true},
	}}}
	mixing := &shape{doc: "`phones`, `degree` and `dwell`", mapping: &mapping{fields: []field{
		{name: "phones", doc: "Who meets whom at random.", is: phonesWord(), required: true},
		{name: "degree", doc: "How many others each is near at a time, on average.", is: degreeWord(), required: true},
		{name: "dwell", doc: "How long a meeting lasts, on average.", is: positiveWord(), required: true},
	}}}
	trace := &shape{doc: "`file` and `phones`", mapping: &mapping{fields: []field{
		{name: "file", doc: "Recorded contacts in the SocioPatterns form, gzip or plain; a relative path begins at the scenario's folder.", is: pathWord(), required: true},
		{name: "phones", doc: "Who takes the places of the people, in the order in which they first appear.", is: phonesWord(), required: true},
		{name: "classes", doc: "Only contacts of two people of these classes.", is: orList("a class or a list of classes", anyText("a class"))},
		{name: "from", doc: "Where the trace begins, in its own time.", is: traceTimeWord()},
		{name: "until", doc: "Where it ends, in its own time.", is: traceTimeWord()},
	}}}
	groups := &shape{doc: "a list of groups such as [[teacher, pupil-1], [pupil-2, pupil-3]]", list: phonesWord()}
	return &shape{doc: "one or more kinds of contacts", mapping: &mapping{fields: []field{
		{name: "everyone", doc: "Each of these is near each other, always.", is: phonesWord()},
		{name: "lists", doc: "Within each group, each is near each other, always.", is: groups},
		{name: "desks", doc: "A grid of desks.", is: orList("`phones`, `columns` and `reach`, or a list of such", desks)},
		{name: "visits", doc: "Someone who goes from one to the next.", is: orList("`phone`, `to` and `stay`, or a list of such", visits)},
		{name: "mixing", doc: "Random meetings.", is: orList("`phones`, `degree` and `dwell`, or a list of such", mixing)},
		{name: "trace", doc: "Recorded contacts.", is: orList("`file` and `phones`, or a list of such", trace)},
	}}}
}

func routineShape() *shape {
	return &shape{def: "routine", doc: "a routine: `phones`, `every` or `within`, and `do`", mapping: &mapping{fields: []field{
		{name: "phones", doc: "Who does it.", is: phonesWord(), required: true},
		{name: "every", doc: "Again and again, so far apart; the first at random within the first period.", is: positiveWord()},
		{name: "within", doc: "Once, at a random moment of so long a time.", is: durationWord()},
		{name: "jitter", doc: "Each period is drawn from every ± this share.", is: percentWord(), def: "0%"},
		{name: "from", doc: "When it begins, from the start of the run.", is: durationWord(), def: "0s"},
		{name: "until", doc: "When it ends, from the start of the run; without it: at the end of the run.", is: positiveWord()},
		{name: "do", doc: "What is typed, one or more commands.", is: commandsWord(), required: true},
		{name: "to", doc: "Where beacons go: `contacts` or phones.", is: targetWord()},
		{name: "times", doc: "How many beacons at a time.", is: timesWord(), def: "1"},
	}}}
}

func stepShape() *shape {
	return &shape{def: "step", doc: "a step such as {at: 5s, phone: owner, login: right}", mapping: &mapping{other: stepWords(), fields: []field{
		{name: "at", doc: "When; of a login, when its password leaves. Without it: when the step before has settled.", is: whenWord()},
		{name: "phone", doc: "Who acts.", is: onePhoneWord()},
		{name: "as", doc: "Names the moment at which the step took effect on the node that decided it.", is: name("a name")},
		{name: "login", doc: "A login on a new connection.", is: loginShape()},
		{name: "password", doc: "A password typed at the prompt: right, wrong, or the text itself.", is: anyText("`right`, `wrong` or a password")},
		{name: "do", doc: "What is typed, one or more commands.", is: commandsWord()},
		{name: "to", doc: "Where a Beacon goes: `contacts` or phones.", is: targetWord()},
		{name: "times", doc: "How many beacons.", is: timesWord(), def: "1"},
		{name: "forge", doc: "A beacon that the phone's own program would not send.", is: forgeShape()},
		{name: "datagrams", doc: "These bytes over UDP, one datagram each.", is: datagramsShape()},
		{name: "tcp", doc: "The server byte for byte, on a connection of its own.", is: tcpShape()},
		{name: "restart", doc: "The server stops as if it were killed and starts again from what it had stored.", is: restartShape()},
		{name: "fault", doc: "Any fault, from the step's moment on.", is: faultShape()},
		{name: "optional", doc: "What cannot be done at its moment is left out, and what does not come of it is no failure.", is: onlyTrue()},
		{name: "expect", doc: "What must come of it.", is: orList("what must come of it such as {reply: …}, or a list of such", stepExpectShape())},
	}}}
}

func loginShape() *shape {
	s := oneOf("", "right", "wrong", "unknown", "half")
	kind := oneOf("", "right", "wrong", "unknown", "half")
	s.doc += ", or a mapping with `user` and `password`"
	s.mapping = &mapping{fields: []field{
		{name: "kind", doc: "half: the username alone; unknown: a name that nobody has.", is: kind, def: "right"},
		{name: "user", doc: "This name instead of the phone's own.", is: anyText("a username")},
		{name: "password", doc: "This text instead of the phone's password.", is: anyText("a password")},
	}}
	return s
}

func forgeShape() *shape {
	return &shape{doc: "a beacon: `to`, and what is not as it should be", mapping: &mapping{fields: []field{
		{name: "to", doc: "Who hears it.", is: phonesWord(), required: true},
		{name: "copy", doc: "Takes TempID and times from what this phone last downloaded; what is written wins.", is: onePhoneWord()},
		{name: "tempid", doc: "The first part; drawn unless written or copied.", is: anyText("a TempID, or any text")},
		{name: "start", doc: "The second part; now unless written or copied.", is: wireTimeWord()},
		{name: "expiry", doc: "The third part; 15m unless written or copied.", is: wireTimeWord()},
		{name: "version", doc: "The fourth part.", is: anyText("a version, or any text"), def: "1"},
		{name: "form", doc: "Four datagrams or one; as the phone's beacons unless written.", is: formWord()},
		{name: "port", doc: "The source port; the phone's own unless written.", is: portWord()},
		{name: "omit", doc: "Parts that are not sent; of the split form only.", is: orList("a part, 1 to 4, or a list of parts", whole("a part, 1 to 4", 1, 4))},
		{name: "gap", doc: "Between parts; of the split form only.", is: durationWord(), def: "0s"},
	}}}
}

func datagramsShape() *shape {
	return &shape{doc: "datagrams: `to` and `send`", mapping: &mapping{fields: []field{
		{name: "to", doc: "Who hears them.", is: phonesWord(), required: true},
		{name: "send", doc: "Their bytes.", is: bytesWord("a text that is sent as it is"), required: true},
		{name: "port", doc: "The source port; the phone's own unless written.", is: portWord()},
		{name: "gap", doc: "Between datagrams.", is: durationWord(), def: "0s"},
	}}}
}

func tcpShape() *shape {
	return &shape{doc: "what is done on the connection: `connect`, `send`, `close` or `reset`", mapping: &mapping{fields: []field{
		{name: "connect", doc: "A new connection first; the old one stays open.", is: onlyTrue()},
		{name: "send", doc: "Texts, one send each; {user}, {password}, {wrong} and {tempid} are filled in.", is: bytesWord("a text that is sent as it is")},
		{name: "gap", doc: "Between sends.", is: durationWord(), def: "0s"},
		{name: "close", doc: "Ends the sending: end of file for the server.", is: onlyTrue()},
		{name: "reset", doc: "Breaks the connection off.", is: onlyTrue()},
	}}}
}

func restartShape() *shape {
	return &shape{doc: "a mapping such as {down: 5s}", mapping: &mapping{fields: []field{
		{name: "down", doc: "How long the server is away.", is: durationWord(), def: "0s"},
	}}}
}

func stepExpectShape() *shape {
	log := whole("a number of entries, or a mapping with `entries` and `tempids`", 0, math.MaxInt32)
	log.mapping = &mapping{fields: []field{
		{name: "entries", doc: "How many.", is: whole("a number of entries", 0, math.MaxInt32)},
		{name: "tempids", doc: "The TempIDs, in order of arrival.", is: patternsWord("a text, a /regular expression/, or a list of these")},
	}}
	return &shape{def: "stepexpect", doc: "what must come of the step, such as {reply: …}", mapping: &mapping{fields: []field{
		{name: "reply", doc: "What the server answers.", is: patternWord()},
		{name: "replies", doc: "What the server answers, answer by answer.", is: patternsWord("a list of texts or /regular expressions/")},
		{name: "silent", doc: "The server answers nothing.", is: onlyTrue()},
		{name: "closed", doc: "Whether the server closes the connection.", is: truth("`true` or `false`")},
		{name: "phone", doc: "Whose screen or log; the step's own phone unless written.", is: onePhoneWord()},
		{name: "prints", doc: "Lines on the phone's screen, in this order, from the step on.", is: patternsWord("a line, a /regular expression/, or a list of these")},
		{name: "prints_nothing", doc: "Nothing new on the phone's screen.", is: onlyTrue()},
		{name: "server_prints", doc: "Lines of the server's output, in this order, from the step on.", is: patternsWord("a line, a /regular expression/, or a list of these")},
		{name: "server_prints_nothing", doc: "Nothing new in the server's output.", is: onlyTrue()},
		{name: "log", doc: "What the phone's contact log holds at the instant of the step.", is: log},
		{name: "entries", doc: "Of an upload: how many entries.", is: whole("a number of entries", 0, math.MaxInt32)},
		{name: "resolved", doc: "Of an upload: how many entries the server resolved.", is: whole("a number of entries", 0, math.MaxInt32)},
		{name: "within", doc: "How long it may take; 10s unless written, 1s for silent, prints_nothing and server_prints_nothing.", is: positiveWord()},
	}}}
}

func thresholdsShape() *shape {
	names := make([]string, 0, len(Metrics)+len(Counters))
	for _, m := range Metrics {
		names = append(names, m.Name)
	}
	for _, c := range Counters {
		names = append(names, c.Name)
	}
	for _, m := range LoadMetrics() {
		names = append(names, m.Name)
	}
	list := orList("a threshold such as \"p(95)<6\", or a list of them", thresholdWord())
	list.def = "thresholds"
	return &shape{doc: "metrics, each with its thresholds", mapping: &mapping{
		open: list, keyOf: names, keyDoc: "a metric: one of " + backquoted(names),
	}}
}
