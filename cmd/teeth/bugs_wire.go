package main

// wireBugs are about the texts of TCP, and about messages that it joins or
// splits (PROTOCOL.md section 2).
func wireBugs() []bug {
	const grammar, replies, messages = "protocol/grammar.go", "protocol/replies.go", "protocol/messages.go"
	return []bug{
		{name: "the welcome ends with a full stop", file: messages,
			old: "Welcome to the BlueTrace Simulator!", new: "Welcome to the BlueTrace Simulator."},
		{name: "logout in one word is no command", file: grammar,
			old: "{CommandLogoutJoined, Logout},", new: `{"logoff", Logout},`},
		{name: "a name and a password in one read are one name", file: grammar, by: "joined-and-split",
			old: "if known(read) {", new: "if known != nil {"},
		{name: "of two names that begin a login the shorter counts", file: grammar, by: "joined-and-split",
			old: "for n := len(read) - 1; n > 0; n-- {", new: "for n := 1; n < len(read); n++ {"},
		{name: "the beginning of a command is no command", file: grammar, by: "joined-and-split",
			old: "return 0, 0, true", new: "return 0, 0, false"},
		{name: "several commands in one read are answered once", file: grammar, by: "joined-and-split",
			old: "return r.take(kind, length), true", new: "return r.take(kind, len(b)), true"},
		{name: "a command behind bytes that are none is lost", file: grammar, by: "joined-and-split",
			old: "return r.take(Skipped, skip), true", new: "return r.take(Skipped, len(b)), true"},
		{name: "one byte is skipped at a time", file: grammar, by: "joined-and-split",
			old: "return r.take(Skipped, skip), true", new: "return r.take(Skipped, 1), true"},
		{name: "a count need not be a multiple of 3", file: grammar, by: "uploads",
			old: "if lines%3 != 0 {", new: "if lines < 0 {"},
		{name: "a count may have eight digits", file: grammar, by: "uploads",
			old: "len(b) > 7", new: "len(b) > 8"},
		{name: "the first piece of a login's answer is taken for all", file: replies, by: "in-pieces",
			old: "if n == len(rest) {", new: "if n > 0 {"},
		{name: "the first piece of a TempID is taken for all", file: replies, by: "in-pieces",
			old: "if r.n < TempIDSize {", new: "if r.n < 1 {"},
		{name: "what a peer sent is printed raw", file: "protocol/quote.go",
			old: "if ok {", new: "if ok || len(field) > 0 {"},
	}
}
