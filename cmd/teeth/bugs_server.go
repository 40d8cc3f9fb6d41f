package main

// loginBugs are about passwords and blocks (PROTOCOL.md section 2).
func loginBugs() []bug {
	const accounts, attempt, connection, server, stored = "nodes/accounts.go", "nodes/attempt.go", "nodes/connection.go", "nodes/server.go", "nodes/stored.go"
	return []bug{
		{name: "two wrong passwords block", file: attempt, by: "blocking",
			old: "a.wrong < s.settings.Attempts", new: "a.wrong < s.settings.Attempts-1"},
		{name: "only four wrong passwords block", file: attempt, by: "blocking",
			old: "a.wrong < s.settings.Attempts", new: "a.wrong < s.settings.Attempts+1"},
		{name: "a block is a nanosecond short", file: attempt, by: "blocking",
			old: "later(now.Elapsed, s.settings.BlockDuration)", new: "later(now.Elapsed, s.settings.BlockDuration-1)"},
		{name: "a block is a nanosecond long", file: attempt, by: "blocking",
			old: "later(now.Elapsed, s.settings.BlockDuration)", new: "later(now.Elapsed, s.settings.BlockDuration+1)"},
		{name: "counts and blocks end with the connection", file: connection, by: "blocking",
			old: "user := x.name.user", new: "user := x.name.user; delete(s.accounts.known, user)"},
		{name: "a new connection sets every count to zero", file: connection, by: "blocking",
			old: "x.stage = connAtUsername", new: "x.stage = connAtUsername; for _, a := range s.accounts.known { a.wrong = 0 }"},
		{name: "all accounts share one count and one block", file: accounts, by: "blocking",
			old: "if !n.known {", new: "if n != nil {"},
		{name: "an attempt prolongs a block", file: attempt, by: "blocking",
			old: "return verdictRefused", new: "a.until = later(now.Elapsed, s.settings.BlockDuration); return verdictRefused"},
		{name: "passwords are looked at during a block", file: attempt, by: "blocking",
			old: "if a.blockedAt(now.Elapsed) {", new: "if a.blockedAt(now.Elapsed) && !s.accounts.right(n, password) {"},
		{name: "attempts during a block are counted", file: attempt, by: "blocking",
			old: "return verdictRefused", new: "a.wrong++; return verdictRefused"},
		{name: "a right password does not set the count to zero", file: attempt, by: "blocking",
			old: "a.wrong = 0", new: "a.wrong += 0"},
		{name: "the end of a block does not set the count to zero", file: attempt, by: "blocking",
			old: "attempts{blocked: true,", new: "attempts{blocked: true, wrong: a.wrong - 1,"},
		{name: "wrong passwords of unknown names are not counted", file: accounts, by: "blocking",
			old: "return a.unknown.of(n.hash)", new: "return &attempts{}"},
		{name: "an end of file instead of a password is a wrong one", file: connection, by: "blocking",
			old: "s.end(c, ReasonEOF, out)", new: "if x := &s.connections[c]; x.stage == connAtPassword { s.decide(now, &x.name, nil) }; s.end(c, ReasonEOF, out)"},
		{name: "a right password joined to its name is not answered", file: attempt, by: "joined-and-split",
			old: "x.name = n\n\t\ts.welcome(now, c, out)", new: "x.name = n"},
		{name: "a wrong password joined to its name is answered", file: attempt, by: "joined-and-split",
			old: "pending{}, out)", new: "pending{answer: protocol.TryAgain}, out)"},
		{name: "a wrong password joined to its name is not counted", file: attempt, by: "joined-and-split",
			old: "&n, v, ReasonJoined, out)", new: "&n, v, ReasonJoined, out); if v == verdictWrong { s.accounts.of(&n).wrong-- }"},
		{name: "a restart forgets counts and blocks", file: server, by: "blocking",
			old: "return s.accounts.restore(now, &r.Attempts)", new: "return nil"},
		{name: "a restart forgets counts", file: accounts, by: "blocking",
			old: "*t = attempts{wrong: r.Wrong}", new: "*t = attempts{}"},
		{name: "a restart begins a block anew", file: accounts, by: "blocking",
			old: "remainder(r.BlockedUntil, now.Wall, r.BlockDuration)", new: "r.BlockDuration"},
		{name: "a restart makes a block a nanosecond longer", file: stored, by: "blocking",
			old: "now.Wall + int64(r.BlockDuration)", new: "now.Wall + int64(r.BlockDuration) + 1"},
	}
}

// tempIDBugs are about Download_tempID (PROTOCOL.md sections 1 and 2).
func tempIDBugs() []bug {
	const issue = "nodes/issue.go"
	return []bug{
		{name: "a TempID is issued again", file: issue, by: "tempids",
			old: "s.issues[i.TempID] = drawn{Issue: i}", new: "for _, d := range s.issues { i = d.Issue }; s.issues[i.TempID] = drawn{Issue: i}"},
		{name: "a TempID begins with 0", file: "protocol/tempid.go", by: "tempids",
			old: "half/10+drawBelow(src, half-half/10)", new: "drawBelow(src, half/10)"},
		{name: "a TempID lives a second too long", file: issue, by: "tempids",
			old: "Expiry: start + int64(", new: "Expiry: start + 1 + int64("},
		{name: "a TempID lives a second too short", file: issue, by: "tempids",
			old: "Expiry: start + int64(", new: "Expiry: start - 1 + int64("},
		{name: "a new TempID makes the former ones of its owner void", file: issue, by: "tempids",
			old: "i := Issue{", new: "for id, d := range s.issues { if d.User == s.connections[c].name.user { d.stored = false; s.issues[id] = d } }; i := Issue{"},
		{name: "a restart forgets the TempIDs", file: "nodes/server.go", by: "tempids",
			old: "return s.issues.restore(r.Issue)", new: "return nil"},
	}
}

// uploadBugs are about contact logs that reach the server (PROTOCOL.md section 2).
func uploadBugs() []bug {
	const incoming = "nodes/incoming.go"
	return []bug{
		{name: "an uploaded TempID resolves to who uploads it", file: incoming, by: "uploads",
			old: "text = s.appendIssue(text, &i)", new: "i.User = x.name.user; text = s.appendIssue(text, &i)"},
		{name: "only TempIDs of who uploads them resolve", file: incoming, by: "uploads",
			old: "if i, ok := s.Resolve(id); ok {", new: "if i, ok := s.Resolve(id); ok && i.User == x.name.user {"},
		{name: "a TempID that nobody has resolves", file: incoming, by: "uploads",
			old: "if i, ok := s.Resolve(id); ok {", new: "if i, ok := s.Resolve(id); ok || i.User == \"\" {"},
		{name: "the uploaded times are believed", file: incoming, by: "uploads",
			old: "text = s.appendIssue(text, &i)",
			new: `text = fmt.Appendf(text, "\n%s\n%s\n%s", i.User, u.text[at+20:at+39], u.text[at+39:at+58])`},
		{name: "an upload ends one line early", file: incoming, by: "uploads",
			old: "if u.got == u.want {", new: "if u.got == u.want-1 {"},
		{name: "an upload of no entries never ends", file: incoming, by: "uploads",
			old: "if lines == 0 {", new: "if lines < 0 {"},
		{name: "an upload that broke off is resolved", file: incoming, by: "uploads",
			old: "entries = u.got / 3",
			new: "entries = u.got / 3; u.text = u.text[:entries*entrySize]; u.got = 3 * entries; s.uploaded(c, out); return"},
		{name: "the largest count that is allowed is refused", file: incoming, by: "uploads",
			old: "lines > s.settings.MaxUploadLines", new: "lines >= s.settings.MaxUploadLines"},
		{name: "a count that lies does not close the session", file: incoming, by: "uploads",
			old: "s.end(c, ReasonCount, out)", new: "s.expect(c, connAtCommand, protocol.ExpectCommand)"},
		{name: "log out does not end a session", file: "nodes/connection.go",
			old: "s.end(c, ReasonLogout, out)", new: "s.skipped(c, m.Bytes, out)"},
	}
}
