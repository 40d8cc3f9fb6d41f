package main

// ruleMutants is the table of the bugs that a rule of the judge must find, alone in its group.
func ruleMutants() []mutant {
	all := append(loginRuleMutants(), sessionRuleMutants()...)
	return append(all, phoneRuleMutants()...)
}

// sameTempID are the dialects in which a download returns the same TempID while it is valid.
var sameTempID = []string{"bar", "lines"}

// loginRuleMutants returns bugs of accounts, passwords and blocks.
func loginRuleMutants() []mutant {
	const login, server = "nodes/login.go", "nodes/server.go"
	return []mutant{
		{name: "passwords have at most 15 characters", rules: []int{3}, file: login,
			old: "return same && ok && n.known", new: "return same && ok && n.known && len(password) < 16"},
		{name: "the right password is refused", rules: []int{4}, file: login,
			old: "return same && ok && n.known", new: "return same && !ok && n.known"},
		{name: "the case of passwords is ignored", rules: []int{5}, file: login,
			old: "sha256.Sum256(password)", new: "sha256.Sum256(bytes.ToLower(password))",
			also: []edit{
				{login, "sha256.Sum256([]byte(c.Password))", "sha256.Sum256(bytes.ToLower([]byte(c.Password)))"},
				{login, "\t\"crypto/hmac\"\n", "\t\"bytes\"\n\t\"crypto/hmac\"\n"},
			}},
		{name: "a wrong password ends the session", rules: []int{6}, file: login,
			old: "s.send(p.conn, protocol.TryAgain, out)", new: "s.end(p.conn, ReasonEOF, out)"},
		{name: "the third password is wrong", rules: []int{7}, file: login,
			old: "if s.accounts.isRight(n, password) {", new: "if a.wrong < 2 && s.accounts.isRight(n, password) {"},
		{name: "a hundred wrong passwords block", rules: []int{8}, file: login,
			old: "a.wrong < s.settings.Attempts", new: "a.wrong < 100"},
		{name: "the second wrong password blocks", rules: []int{9}, file: login,
			old: "a.wrong < s.settings.Attempts", new: "a.wrong+1 < s.settings.Attempts"},
		{name: "the fourth wrong password blocks", rules: []int{9}, file: login,
			old: "a.wrong < s.settings.Attempts", new: "a.wrong-1 < s.settings.Attempts"},
		{name: "the password that blocks is called wrong", rules: []int{10}, file: login,
			old: "pending{answer: protocol.NowBlocked}, out)", new: "pending{answer: protocol.TryAgain}, out)"},
		{name: "a block takes half its time", rules: []int{11}, file: login,
			old: "later(now.Elapsed, s.settings.BlockDuration)", new: "later(now.Elapsed, s.settings.BlockDuration/2)"},
		{name: "a block takes thrice its time", rules: []int{13}, file: login,
			old: "later(now.Elapsed, s.settings.BlockDuration)", new: "later(now.Elapsed, 3*s.settings.BlockDuration)"},
		{name: "a refused attempt begins the block anew", rules: []int{14}, file: login,
			old: "return verdictRefused",
			new: "a.until = max(a.until, later(now.Elapsed, s.settings.BlockDuration)); return verdictRefused"},
		{name: "a block is one of all accounts", rules: []int{16}, file: login,
			old: "if a.blockedAt(now.Elapsed) {",
			new: "for _, o := range s.accounts.known { if o.blockedAt(now.Elapsed) { return verdictRefused } }\n" +
				"\tif a.blockedAt(now.Elapsed) {"},
		{name: "a block ends the sessions of its account", rules: []int{17}, file: login,
			old: "case verdictBlocks:\n\t\ts.storeAttempts",
			new: "case verdictBlocks:\n\t\tfor i := range s.sessions.connections { if o := Conn(i); o != c && " +
				"s.sessions.isOpen(o) && s.connection(o).loggedIn() && s.connection(o).name.user == n.user { " +
				"s.end(o, ReasonBlocked, out) } }\n\t\ts.storeAttempts"},
		{name: "a right password keeps the count of wrong ones", rules: []int{18}, file: login,
			old: "a.wrong, a.stale = 0, true", new: "a.wrong, a.stale = a.wrong, true"},
		{name: "an end in place of a password is three wrong ones", rules: []int{20}, file: server,
			unless: []string{"lines"}, // there each password has a connection of its own
			old:    "s.end(c, ReasonEOF, out)",
			new: "if x := s.connection(c); x.stage == connAtPassword { for range 3 { " +
				"s.decide(now, &x.name, nil) } }\n\ts.end(c, ReasonEOF, out)"},
		{name: "an unknown name removes all accounts", rules: []int{21}, file: login,
			old: "x.name = s.accounts.nameOf(read)",
			new: "if x.name = s.accounts.nameOf(read); !x.name.known { s.accounts.passwords = nil }"},
		{name: "there are at most four sessions", rules: []int{22}, file: login,
			old: "s.expect(c, connAtCommand, protocol.ExpectCommand)\n\ts.waitIdle(now, c)",
			new: "n := 0; for i := range s.sessions.connections { if s.sessions.isOpen(Conn(i)) && " +
				"s.connection(Conn(i)).loggedIn() { n++ } }; if n == 4 { s.end(c, ReasonTooMany, out); return }\n" +
				"\ts.expect(c, connAtCommand, protocol.ExpectCommand)\n\ts.waitIdle(now, c)"},
		{name: "an account has at most one session", rules: []int{23}, file: login,
			old: "s.expect(c, connAtCommand, protocol.ExpectCommand)\n\ts.waitIdle(now, c)",
			new: "for i := range s.sessions.connections { if o := Conn(i); s.sessions.isOpen(o) && s.connection(o)." +
				"loggedIn() && s.connection(o).name.user == user { s.end(c, ReasonTooMany, out); return } }\n" +
				"\ts.expect(c, connAtCommand, protocol.ExpectCommand)\n\ts.waitIdle(now, c)"},
	}
}

// sessionRuleMutants returns bugs of TempIDs, uploads and the ends of sessions.
func sessionRuleMutants() []mutant {
	const server, tempIDs, upload = "nodes/server.go", "nodes/tempids.go", "nodes/upload.go"
	return []mutant{
		// Rule 27 then has no TempID of 20 digits to look for and is not judged.
		{name: "a TempID has 19 digits", rules: []int{24}, file: tempIDs,
			old: "s.send(p.conn, i.TempID.String(), out)", new: "s.send(p.conn, i.TempID.String()[:19], out)"},
		{name: "the eighth TempID has 19 digits", rules: []int{25}, file: tempIDs, unless: sameTempID,
			old: "s.send(p.conn, i.TempID.String(), out)",
			new: "id := i.TempID.String(); if s.tempIDs.len() == 8 { id = id[:19] }; s.send(p.conn, id, out)"},
		{name: "a TempID is stored nowhere", rules: []int{27}, file: tempIDs,
			old: "[]Record{{Kind: RecordIssue, Issue: i}}", new: "nil"},
		{name: "a TempID lives for 30 minutes", rules: []int{28}, file: tempIDs,
			old: "Expiry: start + int64(s.", new: "Expiry: start + 900 + int64(s."},
		{name: "an account has the same TempID for ever", rules: []int{29}, file: tempIDs,
			old: "TempID: s.draw(),",
			new: "TempID: protocol.TempID([]byte(\"100000000\" + s.connection(c).name.user[1:])),"},
		{name: "an upload ends the session", rules: []int{30}, file: upload,
			old: "Entries: u.got / 3, Resolved: resolved})",
			new: "Entries: u.got / 3, Resolved: resolved}); s.end(c, ReasonEOF, out)"},
		{name: "the owners of uploaded TempIDs are not printed", rules: []int{31}, file: upload,
			old: "dst = append(append(dst, '\\n'), i.User...)", new: "dst = append(dst, '\\n')"},
		{name: "an upload resolves ten entries", rules: []int{32}, file: upload,
			old: "if i, ok := s.Resolve(id); ok {", new: "if i, ok := s.Resolve(id); ok && resolved < 10 {"},
		{name: "an unknown TempID ends the contact check", rules: []int{33}, file: upload,
			old: "resolved++\n\t\t}", new: "resolved++\n\t\t} else {\n\t\t\tbreak\n\t\t}"},
		{name: "an upload without entries ends the session", rules: []int{34}, file: upload,
			unless: []string{"codes"}, // there it is no message
			old:    "if lines == 0 {", new: "if lines == 0 { s.end(c, ReasonCount, out); return }\n\tif lines == 0 {"},
		{name: "the server does not tell a logout", rules: []int{35}, file: server,
			old: "out.print(user + \" logout\")", new: "out.print(\"\")"},
		{name: "a user who has logged out cannot come back", rules: []int{36}, file: server,
			old: "s.end(c, ReasonLogout, out)",
			new: "delete(s.accounts.passwords, s.connection(c).name.user); s.end(c, ReasonLogout, out)"},
		{name: "an end before the name ends all sessions", rules: []int{37}, file: server,
			old: "s.end(c, ReasonEOF, out)",
			new: "if s.connection(c).stage == connAtUsername { for i := range s.sessions.connections { " +
				"if o := Conn(i); o != c && s.sessions.isOpen(o) { s.end(o, ReasonEOF, out) } } }\n" +
				"\ts.end(c, ReasonEOF, out)"},
		{name: "a name with a zero byte removes all accounts", rules: []int{38}, file: "nodes/login.go",
			old: "s.expect(c, connAtPassword, protocol.ExpectPassword)\n",
			new: "s.expect(c, connAtPassword, protocol.ExpectPassword)\n" +
				"\tif read[0] == 0 { s.accounts.passwords = nil }\n"},
	}
}

// phoneRuleMutants returns bugs of the phone.
func phoneRuleMutants() []mutant {
	const phone, program, beacon = "nodes/phone.go", "nodes/program.go", "protocol/beacon.go"
	return []mutant{
		{name: "a download shows no TempID", rules: []int{46}, file: program,
			old: "g.print(\"TempID:\\n\"+id.String(), out)", new: "g.print(\"TempID:\", out)"},
		{name: "a beacon goes to the next port", rules: []int{48}, file: program,
			old: "to, g.phone.settings.Form, g.phone.beacon",
			new: "to, g.phone.settings.Form, g.phone.beacon\n\te.To.Port++"},
		{name: "a beacon starts an hour late", rules: []int{49}, file: program,
			old: "start := now.Unix()", new: "start := now.Unix() + 3600"},
		{name: "a valid beacon is not kept", rules: []int{51}, file: phone,
			old: "p.log.push(&b, now.Elapsed)", new: "_ = b"},
		{name: "a beacon is valid for a day more", rules: []int{52}, file: beacon,
			old: "if t >= span.Expiry {", new: "if t >= span.Expiry+86400 {"},
		{name: "a beacon is valid for five seconds more", rules: []int{53}, file: beacon,
			old: "if t >= span.Expiry {", new: "if t >= span.Expiry+5 {"},
		{name: "an entry is kept for ten seconds less", rules: []int{54}, file: phone,
			old: "*p = Phone{settings: s}", new: "t := *s; t.Retention -= 10e9; *p = Phone{settings: &t}"},
		{name: "an expiring entry removes all others", rules: []int{55}, file: "nodes/contactlog.go",
			old: "now-time.Duration(l.oldest) >= retention {",
			new: "(expired > 0 || now-time.Duration(l.oldest) >= retention) {"},
		{name: "an upload has at most one entry", rules: []int{56}, file: program,
			old: "&outgoing{entries: entries}", new: "&outgoing{entries: entries[:min(1, len(entries))]}"},
		{name: "parts of a beacon belong to the first sender", rules: []int{58}, file: "protocol/assembler.go",
			old: "r := a.known.find(from)", new: "r := a.known.find(from); r = a.known.all.oldest"},
		{name: "a logout shows nothing", rules: []int{60}, file: program,
			old: "g.print(textLoggedOut, out)", new: "g.print(\"\", out)"},
	}
}
