package main

// beaconMutants returns mutants of a beacon's validity and of times on the wire
// (PROTOCOL.md sections 1 and 3).
func beaconMutants() []mutant {
	const localTime, zone = "protocol/localtime.go", "protocol/zone.go"
	return group(mutant{file: "protocol/beacon.go", by: "invalid-beacons"}, []mutant{
		{name: "a beacon is valid a second before its start", old: "if t < span.Start {", new: "if t < span.Start-1 {"},
		{name: "the start of a beacon is exclusive", old: "if t < span.Start {", new: "if t <= span.Start {"},
		{name: "the expiry of a beacon is inclusive", old: "if t >= span.Expiry {", new: "if t > span.Expiry {"},
		{name: "a beacon expires a second early", old: "if t >= span.Expiry {", new: "if t >= span.Expiry-1 {"},
		{name: "the time of a verdict is rounded up to the second",
			old: "t := UnixSeconds(wall)", new: "t := UnixSeconds(wall + 999_999_999)"},
		{name: "the version of a beacon is ignored",
			old: "version && raw[versionAt] != Version", new: "version && raw[versionAt] == 0"},
		{name: "a beacon whose version never came is invalid",
			old: "version && raw[versionAt] != Version", new: "(!version || raw[versionAt] != Version)"},
		{name: "a TempID may have letters", old: "!allDigits((*[TempIDSize]byte)(&b.TempID))", new: "false"},
		{name: "a TempID may have a colon", file: "protocol/tempid.go",
			old: "w&high == zeros && (w+sixes)&high == zeros",
			new: "w&high == zeros && (w+sixes-0x0101010101010101)&high == zeros"},
		{name: "24:00:00 is a time", file: localTime, old: "hour > 23", new: "hour > 24"},
		{name: "31 February is a day", file: localTime,
			old: "day > 28 && day > monthDays(year, month)", new: "day > 31"},
		{name: "there is a month 13", file: localTime, old: "month > 12", new: "month > 13"},
		{name: "2100 has a 29 February", file: localTime, old: "(year%100 != 0 || year%400 == 0)", new: "true"},
		{name: "2200 has a 29 February", file: localTime, old: "year%400 == 0", new: "year%200 == 0"},
		{name: "2400 has no 29 February", file: localTime,
			old: "(year%100 != 0 || year%400 == 0)", new: "year%100 != 0"},
		{name: "a time may have any separators", file: localTime,
			old: "x := word ^ pattern", new: "x := (word ^ pattern) & 0x0f_0f_00_0f_0f_00_0f_0f"},
		{name: "in a repeated hour the longest lifetime is chosen", file: zone, by: "daylight-saving",
			old: "life < bestLife ||", new: "life > bestLife ||"},
		{name: "in a repeated hour the earlier equal lifetime is chosen", file: zone, by: "daylight-saving",
			old: "&& this.Contains(wall)", new: "&& !this.Contains(this.Start*1_000_000_000)"},
		{name: "a local time that daylight saving skips is accepted", file: zone, by: "daylight-saving",
			old: "u < p.from || u >= p.until", new: "u < p.from"},
		{name: "an offset west of Greenwich counts as one east", file: zone, by: "west",
			old: "return Span{int64(start) - offset, int64(expiry) - offset}, nil",
			new: "offset = max(offset, -offset); return Span{int64(start) - offset, int64(expiry) - offset}, nil"},
		{name: "a wall time before 1970 is rounded up", file: zone, by: "before-1970",
			old: "if wall%int64(time.Second) < 0 {", new: "if wall > 0 && wall%int64(time.Second) < 0 {"},
	})
}

// assemblerMutants returns mutants of beacons in four datagrams (PROTOCOL.md
// section 3).
func assemblerMutants() []mutant {
	return group(mutant{file: "protocol/assembler.go", by: "invalid-beacons"}, []mutant{
		{name: "split beacons of all senders are mixed",
			old: "r := a.known.find(from)", new: "r := a.known.all.oldest"},
		{name: "split beacons of two ports of one address are mixed",
			old: "r := a.known.find(from)", new: "from.Port = 7; r := a.known.find(from)"},
		{name: "a beacon in one datagram is ignored", by: anyScenario,
			old: "case len(p) == BeaconSize:", new: "case false:"},
		{name: "the wait for the version is a nanosecond too long",
			old: "250 * time.Millisecond", new: "250*time.Millisecond + 1"},
		{name: "the wait for the version is a nanosecond too short",
			old: "250 * time.Millisecond", new: "250*time.Millisecond - 1"},
		{name: "an incomplete beacon is dropped a nanosecond late",
			old: "first + ForgetAfter", new: "first + ForgetAfter + 1"},
		{name: "an incomplete beacon is dropped a nanosecond early",
			old: "first + ForgetAfter", new: "first + ForgetAfter - 1"},
		{name: "three parts are dropped when the next beacon starts",
			old: "out = a.judge(r, out)\n\t\ta.known.renew", new: "a.known.renew"},
		{name: "three parts are dropped after 1 s without a verdict",
			old: "r != none && a.known.at(r).third+JudgeAfter == a.next",
			new: "r != none && a.known.at(r).third+JudgeAfter == a.next && a.next != " +
				"a.known.at(a.known.begun.oldest).first+ForgetAfter"},
		{name: "three parts are dropped when a whole beacon comes",
			old: "out = a.judge(r, out)\n\t\ta.known.remove(r)\n\t\ta.schedule()\n\t}\n\treturn",
			new: "a.known.remove(r)\n\t\ta.schedule()\n\t}\n\treturn"},
		{name: "an incomplete beacon continues after a whole one",
			old: "if r != none && a.known.at(r).state != dropped {\n\t\tout",
			new: "if r != none && a.known.at(r).state == threeParts {\n\t\tout"},
		{name: "a whole beacon ends the dropping of its sender's parts",
			old: "if r != none && a.known.at(r).state != dropped {\n\t\tout", new: "if r != none {\n\t\tout"},
		{name: "datagrams of more than 60 bytes are ignored", old: "out = a.Wake(now, out)\n\tr :=",
			new: "out = a.Wake(now, out)\n\tif len(p) > 60 {\n\t\treturn out\n\t}\n\tr :="},
		{name: "a datagram of 21 bytes counts as a TempID",
			old: "case len(p) == TempIDSize:", new: "case len(p) == TempIDSize || len(p) == TempIDSize+1:"},
		{name: "a part out of turn is not reported",
			old: "return append(out, Assembled{From: from, OutOfTurn: true, FirstPart: first})",
			new: "_ = first; return out"},
		{name: "every part out of turn is reported", old: "case a.known.at(r).state == dropped:", new: "case false:"},
		{name: "after a part out of turn a sender is ignored for good", old: "a.known.renew(r, onePart)",
			new: "if a.known.at(r).state == dropped { return out }; a.known.renew(r, onePart)"},
	})
}

// wireMutants returns mutants of the messages on TCP, also of messages that TCP
// joins or splits (PROTOCOL.md section 2).
func wireMutants() []mutant {
	const replies, messages = "protocol/replies.go", "protocol/messages.go"
	return group(mutant{file: "protocol/grammar.go", by: "joined-and-split"}, []mutant{
		{name: "the welcome ends with a full stop", file: messages, by: anyScenario,
			old: "Welcome to the BlueTrace Simulator!", new: "Welcome to the BlueTrace Simulator."},
		{name: "logout in one word is not a command", by: anyScenario,
			old: "{CommandLogoutJoined, Logout},", new: `{"logoff", Logout},`},
		{name: "a name and a password in one read count as one name",
			old: "if known(read) {", new: "if known != nil {"},
		{name: "the shorter of two matching user names is chosen",
			old: "for n := len(read) - 1; n > 0; n-- {", new: "for n := 1; n < len(read); n++ {"},
		{name: "the first part of a split command is skipped", old: "return 0, 0, true", new: "return 0, 0, false"},
		{name: "several commands in one read are answered once",
			old: "return r.message(kind, length), true", new: "return r.message(kind, len(b)), true"},
		{name: "a command behind unknown bytes is lost",
			old: "return r.message(Skipped, skip), true", new: "return r.message(Skipped, len(b)), true"},
		{name: "unknown bytes are skipped one at a time",
			old: "return r.message(Skipped, skip), true", new: "return r.message(Skipped, 1), true"},
		{name: "a count need not be a multiple of 3", by: "uploads", first: "uploads:99",
			old: "if lines%3 != 0 {", new: "if lines < 0 {"},
		{name: "a count may have eight digits", by: "uploads", old: "len(b) > 7", new: "len(b) > 8"},
		{name: "the first piece of a login's answer counts as the whole", file: replies, by: "in-pieces",
			old: "if n == len(rest) {", new: "if n > 0 {"},
		{name: "the first piece of a TempID counts as the whole", file: replies, by: "in-pieces",
			old: "if r.n < TempIDSize {", new: "if r.n < 1 {"},
		{name: "bytes from a peer are printed without escaping", file: messages, by: anyScenario,
			old: "if ok {", new: "if ok || len(field) > 0 {"},
	})
}

// loginMutants returns mutants of passwords and blocks (PROTOCOL.md section 2).
func loginMutants() []mutant {
	const server = "nodes/server.go"
	return group(mutant{file: "nodes/login.go", by: "blocking"}, []mutant{
		{name: "two wrong passwords block",
			old: "a.wrong < s.settings.Attempts", new: "a.wrong < s.settings.Attempts-1"},
		{name: "only four wrong passwords block", first: "blocking:36",
			old: "a.wrong < s.settings.Attempts", new: "a.wrong < s.settings.Attempts+1"},
		{name: "a block is a nanosecond short",
			old: "later(now.Elapsed, s.settings.BlockDuration)", new: "later(now.Elapsed, s.settings.BlockDuration-1)"},
		{name: "a block is a nanosecond long",
			old: "later(now.Elapsed, s.settings.BlockDuration)", new: "later(now.Elapsed, s.settings.BlockDuration+1)"},
		{name: "counts and blocks end with the connection", file: server, first: "blocking:38",
			old: "user := x.name.user", new: "user := x.name.user; delete(s.accounts.known, user)"},
		{name: "a new connection resets every count", file: server, old: "s.limitSessions(c, out)\n",
			new: "s.limitSessions(c, out); for _, a := range s.accounts.known { a.wrong = 0 }\n"},
		{name: "all accounts share one count and one block", old: "if !n.known {", new: "if n != nil {"},
		{name: "an attempt prolongs a block", first: "blocking:39", old: "return verdictRefused",
			new: "a.until = later(now.Elapsed, s.settings.BlockDuration); return verdictRefused"},
		{name: "passwords are checked during a block", old: "if a.blockedAt(now.Elapsed) {",
			new: "if a.blockedAt(now.Elapsed) && !s.accounts.isRight(n, password) {"},
		{name: "attempts during a block are counted",
			old: "return verdictRefused", new: "a.wrong++; return verdictRefused"},
		{name: "a correct password does not reset the count", first: "blocking:79",
			old: "a.wrong, a.stale = 0, true", new: "a.stale = true"},
		{name: "the end of a block does not reset the count",
			old: "attempts{blocked: true,", new: "attempts{blocked: true, wrong: a.wrong - 1,"},
		{name: "wrong passwords of unknown names are not counted",
			old: "return a.unknown.attemptsOf(n.hash)", new: "return &attempts{}"},
		{name: "an end of file in place of a password counts as wrong", file: server, old: "s.end(c, ReasonEOF, out)",
			new: "if x := s.connection(c); x.stage == connAtPassword { s.decide(now, &x.name, nil) }; s.end(c, " +
				"ReasonEOF, out)"},
		{name: "a correct password joined to its name is not answered", by: "joined-and-split",
			old: "x.name = n\n\t\ts.welcome(now, c, out)", new: "x.name = n"},
		{name: "a wrong password joined to its name is answered", by: "joined-and-split",
			old: "s.accounts.postpone(now, &n, x.name.hash)",
			new: "s.storeAttempts(now, c, &n, pending{answer: protocol.TryAgain}, out)"},
		{name: "a wrong password joined to its name is not counted", by: "joined-and-split",
			old: "&n, v, ReasonJoined, out)",
			new: "&n, v, ReasonJoined, out); if v == verdictWrong { s.accounts.attemptsOf(&n).wrong-- }"},
		{name: "a restart forgets counts and blocks", file: server,
			old: "return s.accounts.restore(now, &r.Attempts)", new: "return nil"},
		{name: "a restart forgets counts", old: "*t = attempts{wrong: r.Wrong}", new: "*t = attempts{}"},
		{name: "a restart extends a block to its full length",
			old: "remainder(r.BlockedUntil, now.Wall, r.BlockDuration)", new: "r.BlockDuration"},
		{name: "a restart makes a block a nanosecond longer",
			old: "now.Wall + int64(t.until-now.Elapsed)", new: "now.Wall + int64(t.until-now.Elapsed) + 1"},
		{name: "the stored end of a block is truncated to the second",
			old: "now.Wall + int64(t.until-now.Elapsed)", new: "now.Wall - now.Wall%1e9 + int64(t.until-now.Elapsed)"},
		{name: "the reset by a joined correct password is not saved", by: "joined-and-split",
			old: "x.name = n\n\t\ts.storeReset(now, c, &n, out)", new: "x.name = n\n\t\ts.welcome(now, c, out)"},
		{name: "a block is announced before it is on disk", by: "slow-disk",
			old: "s.storeAttempts(now, c, &n, pending{answer: protocol.NowBlocked}, out)",
			new: "s.storeAttempts(now, c, &n, pending{}, out); s.send(c, protocol.NowBlocked, out); s.end(c, " +
				"ReasonBlocked, out)"},
		{name: "a wrong password is answered before it is on disk", by: "slow-disk",
			old: "s.storeAttempts(now, c, &n, pending{answer: protocol.TryAgain}, out)",
			new: "s.storeAttempts(now, c, &n, pending{}, out); s.send(c, protocol.TryAgain, out)"},
		{name: "an answer is awaited for twice the limit", file: "nodes/program.go", by: "held-back",
			first: "held-back:18",
			old:   "later(now.Elapsed, g.phone.settings.AnswerLimit)",
			new:   "later(now.Elapsed, 2*g.phone.settings.AnswerLimit)"},
		{name: "a login prints no line", by: anyScenario, old: "out.print(\"users: \" + user)", new: "_ = user"},
		{name: "a login prints its line twice", by: anyScenario,
			old: "out.print(\"users: \" + user)", new: "out.print(\"users: \" + user); out.print(\"users: \" + user)"},
		{name: "a logout prints no line", file: server, by: anyScenario,
			old: "out.print(user + \" logout\")", new: "_ = user"},
		{name: "a right password is printed", by: anyScenario, old: "case verdictRight:\n\t\ts.welcome(now, c, out)",
			new: "case verdictRight:\n\t\tout.print(n.user + \" has \" + string(password)); s.welcome(now, c, out)"},
		{name: "a wrong password is printed", by: anyScenario, old: "case verdictWrong:\n\t\ts.storeAttempts",
			new: "case verdictWrong:\n\t\tout.print(n.user + \" has not \" + string(password)); s.storeAttempts"},
		{name: "a user blocked during a wait for the disk is welcomed", by: "slow-disk",
			old: "!s.accounts.attemptsOf(&x.name).blockedAt(now.Elapsed)", new: "x != nil"},
		{name: "the delay of a second password begins with the first", file: "nodes/program.go",
			old: "g.session.password, g.session.passwordSent = \"\", false", new: "g.session.password = \"\""},
	})
}

// tempIDMutants returns mutants of Download_tempID (PROTOCOL.md sections 1 and 2).
func tempIDMutants() []mutant {
	return group(mutant{file: "nodes/tempids.go", by: "tempids"}, []mutant{
		{name: "a TempID is issued again", old: "s.tempIDs.put(drawn{Issue: i})",
			new: "i.TempID = protocol.TempID([]byte(\"12345678901234567890\")); if d, ok := " +
				"s.tempIDs.get(i.TempID); ok { i = d.Issue }; s.tempIDs.put(drawn{Issue: i})"},
		{name: "a download prints no TempID", by: anyScenario,
			old: "TempID:\\n\" + i.TempID.String())", new: "TempID:\\n\")"},
		{name: "a TempID begins with 0", file: "protocol/tempid.go", first: "tempids:29",
			old: "half/10+drawBelow(src, half-half/10)", new: "drawBelow(src, half/10)"},
		{name: "a TempID lives a second too long",
			old: "Expiry: start + int64(s.", new: "Expiry: start + 1 + int64(s."},
		{name: "a TempID lives a second too short",
			old: "Expiry: start + int64(s.", new: "Expiry: start - 1 + int64(s."},
		{name: "a new TempID invalidates earlier ones of its owner", first: "tempids:52", old: "i := Issue{",
			new: "for t := range s.tempIDs.tables { for k := range s.tempIDs.tables[t].entries { if e := " +
				"&s.tempIDs.tables[t].entries[k]; !e.isFree() && s.tempIDs.unpack(protocol.TempID{}, e).User == " +
				"s.connection(c).name.user { e[2] &^= 8 } } }; i := Issue{"},
		{name: "a TempID is sent before it is on disk", by: "slow-disk", old: "issue: i, isIssue: true}, out)",
			new: "issue: i, isIssue: true}, out); s.send(c, i.TempID.String(), out); s.connection(c).storing = 0"},
		{name: "a TempID is printed before it is on disk", by: "slow-disk", old: "s.tempIDs.put(drawn{Issue: i})\n",
			new: "s.tempIDs.put(drawn{Issue: i}); out.print(\"TempID:\\n\" + i.TempID.String())\n"},
		{name: "a restart forgets the TempIDs", file: "nodes/server.go",
			old: "return s.tempIDs.restore(r.Issue)", new: "return nil"},
	})
}

// uploadMutants returns mutants of uploads of contact logs (PROTOCOL.md section 2).
func uploadMutants() []mutant {
	return group(mutant{file: "nodes/upload.go", by: "uploads"}, []mutant{
		{name: "an uploaded TempID resolves to its uploader",
			old: "text = s.appendIssue(text, &i)", new: "i.User = x.name.user; text = s.appendIssue(text, &i)"},
		{name: "only the uploader's own TempIDs resolve",
			old: "if i, ok := s.Resolve(id); ok {", new: "if i, ok := s.Resolve(id); ok && i.User == x.name.user {"},
		{name: "an unknown TempID resolves", first: "uploads:63",
			old: "if i, ok := s.Resolve(id); ok {", new: "if i, ok := s.Resolve(id); ok || i.User == \"\" {"},
		{name: "the uploaded times are trusted", old: "text = s.appendIssue(text, &i)",
			new: `text = fmt.Appendf(text, "\n%s\n%s\n%s", i.User, u.text[at+20:at+39], u.text[at+39:at+58])`},
		{name: "an upload ends one line early", old: "if u.got == u.want {", new: "if u.got == u.want-1 {"},
		{name: "an upload of no entries never ends", old: "if lines == 0 {", new: "if lines < 0 {"},
		{name: "an upload of no entries is answered three times", old: "x.upload = &incoming{want: lines}",
			new: "x.upload = &incoming{want: lines}; if lines == 0 { s.send(c, protocol.Ack, out) }"},
		{name: "the owner of a TempID is printed before the upload ends", old: "u.got++",
			new: "u.got++; if i, ok := s.Resolve(protocol.TempID(append(b, make([]byte, 20)...)[:20])); ok { " +
				"out.print(i.User) }"},
		{name: "an interrupted upload is resolved", first: "uploads:141",
			old: "e.Entries, e.Lines, e.Announced = u.got/3, u.got, u.want",
			new: "n := u.got / 3; u.text = u.text[:n*entrySize]; u.got = 3 * n; s.finishUpload(c, out); return"},
		{name: "the largest permitted count is refused",
			old: "lines > s.settings.MaxUploadLines", new: "lines >= s.settings.MaxUploadLines"},
		{name: "a wrong count does not close the session",
			old: "s.end(c, ReasonCount, out)", new: "s.expect(c, connAtCommand, protocol.ExpectCommand)"},
		{name: "an idle session ends without its logout", file: "nodes/server.go", by: "silence",
			old: "if x.loggedIn() {\n\t\tout.print(user",
			new: "if x.loggedIn() && reason != ReasonIdleTimeout {\n\t\tout.print(user"},
		{name: "log out does not end a session", file: "nodes/server.go", by: anyScenario,
			old: "s.end(c, ReasonLogout, out)", new: "s.reportSkipped(c, m.Bytes, out)"},
	})
}

// logMutants returns mutants of the contact log (PROTOCOL.md sections 1 and 3).
func logMutants() []mutant {
	const phone, contactLog = "nodes/phone.go", "nodes/contactlog.go"
	retention := func(name, change string) mutant {
		return mutant{name: name, file: phone, by: "expiry",
			old: "*p = Phone{settings: s}", new: "t := *s; t.Retention " + change + "; *p = Phone{settings: &t}"}
	}
	return group(mutant{file: phone}, []mutant{
		retention("an entry is kept for 179 s", "-= 1e9"),
		retention("an entry is kept for 181 s", "+= 1e9"),
		retention("an entry expires a nanosecond early", "-= 1"),
		retention("an entry expires a nanosecond late", "+= 1"),
		{name: "an expiring entry removes others with its TempID", file: contactLog, by: "expiry", first: "expiry:29",
			old: "now-time.Duration(l.oldest) >= retention {",
			new: "(now-time.Duration(l.oldest) >= retention || expired > 0 && l.ring[l.head].id == " +
				"l.ring[(int(l.head)+len(l.ring)-1)%len(l.ring)].id) {"},
		{name: "a TempID received twice is one entry", by: "expiry", old: "p.log.push(&b, now.Elapsed)",
			new: "if n := p.log.Len(); n == 0 || p.log.At(n-1).TempID != b.TempID { p.log.push(&b, now.Elapsed) }"},
		{name: "an entry is as old as the first part of its beacon",
			old: "p.log.push(&b, now.Elapsed)", new: "p.log.push(&b, a.FirstPart)"},
		{name: "a beacon is judged by the time of its first part",
			old: "p.settings.Zone, now.Wall)", new: "p.settings.Zone, now.Wall-int64(now.Elapsed-a.FirstPart))"},
		{name: "an invalid beacon is kept", by: "invalid-beacons",
			old: "e.Err = err\n\t\t\tcontinue", new: "e.Err = err"},
		{name: "a beacon whose version never came is not kept", by: "invalid-beacons",
			old: "p.log.push(&b, now.Elapsed)", new: "if a.HasVersion { p.log.push(&b, now.Elapsed) }"},
	})
}

// phoneMutants returns mutants of the phone's prompt and session (PROTOCOL.md
// sections 2 and 4).
func phoneMutants() []mutant {
	const phone, program = "nodes/phone.go", "nodes/program.go"
	return group(mutant{file: program, by: "tempids"}, []mutant{
		{name: "log out stops the reception of beacons", file: phone, by: "logout", first: "logout:33",
			old: "out.assembled = p.assembler.Datagram(",
			new: "if p.program.stage == StageLoggedOut { return }; out.assembled = p.assembler.Datagram("},
		{name: "log out empties the contact log", by: "logout",
			old: "g.stage = StageLoggedOut", new: "g.stage = StageLoggedOut; g.phone.log = ContactLog{}"},
		{name: "input after log out is answered", by: "logout", first: "logout:50",
			old: "case g.stage == StageLoggedOut:", new: "case g.stage == Stage(99):"},
		{name: "an upload reads the log only when the server answers", by: "uploads",
			old: "lines := 3 * len(u.entries)",
			new: "if u.sent == 0 { u.entries = g.phone.log.entries() }; lines := 3 * len(u.entries)"},
		{name: "an upload announces entries instead of lines", by: "uploads",
			old: "strconv.Itoa(lines)", new: "strconv.Itoa(len(u.entries))"},
		{name: "an upload sends the expiry as the start", by: "uploads",
			old: "return c.Start.String()", new: "return c.Expiry.String()"},
		{name: "a beacon lives a minute too long", first: "tempids:32",
			old: "Local(start + int64(", new: "Local(start + 60 + int64("},
		{name: "a beacon starts a second late", old: "start := now.Unix()", new: "start := now.Unix() + 1"},
		{name: "a phone refuses to send an expired beacon", file: phone, old: "p.program.sendBeacon(to, out)",
			new: "if b, ok := p.TempID(); ok && b.Expiry <= p.settings.Zone.Local(now.Unix()) { " +
				"p.program.print(textNoTempID, out); return }; p.program.sendBeacon(to, out)"},
		{name: "a beacon without a TempID is called malformed", by: anyScenario,
			old: "g.print(textNoTempID, out)", new: "g.print(textBadBeacon, out)"},
		{name: "a beacon may go to port 0", old: "err != nil || port == 0", new: "err != nil"},
		{name: "a beacon may go to port 65536",
			old: "strconv.ParseUint(words[2], 10, 16)", new: "strconv.ParseUint(words[2], 10, 32)"},
		{name: "a phone set to send one datagram sends four", by: anyScenario,
			old: "to, g.phone.settings.Form, g.phone.beacon", new: "to, protocol.Split, g.phone.beacon"},
		{name: "the password follows the username without a pause", by: "held-back",
			old: "later(s.nameAt, pause)", new: "later(s.nameAt, 0*pause)"},
		{name: "a phone does not connect a second time", by: "held-back",
			old: "if s.retried || g.phone.settings.NoRetry {", new: "if s.passwordSent {"},
		{name: "an owed TempID answers the next command", by: "late-answer",
			old: "g.owed = uint8(g.session.replies.MissingDigits())", new: "g.owed = 0"},
		{name: "a phone waits for ever for owed answers", by: "late-answer",
			old: "g.uploading() || g.session.afterOwed", new: "g.uploading()"},
		{name: "a new connection owes the answer of the last", by: "late-answer",
			old: "g.link, g.owed = linkConnecting, 0", new: "g.link = linkConnecting"},
	})
}
