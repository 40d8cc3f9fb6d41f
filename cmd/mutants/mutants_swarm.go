package main

import "slices"

// swarmMutants returns the second table: mutants that survive the library because
// only faults reveal them. sim swarm must find each.
func swarmMutants() []mutant {
	return slices.Concat(diskMutants(), journalMutants(), clockMutants(), storingMutants(),
		connectionMutants(), datagramMutants())
}

// diskMutants returns mutants of the server's files, which show after a crash or a
// disk fault (PROTOCOL.md section 2).
func diskMutants() []mutant {
	const server, wal, tempIDs, appendFile = "nodes/files/server.go", "nodes/files/wal.go",
		"nodes/files/tempids.go", "nodes/files/appendfile.go"
	return []mutant{
		{name: "TempIDs are not synced", file: server,
			old: "name: tempIDsName, noSync: o.NoSync}", new: "name: tempIDsName, noSync: true}"},
		{name: "attempts are not synced", file: server,
			old: "name: attemptsName, noSync: o.NoSync}", new: "name: attemptsName, noSync: true}"},
		{name: "the write-ahead log is not synced", file: wal,
			old: "err = a.f.SyncContent()", new: "err = nil"},
		{name: "the write-ahead log is trusted after a failed fsync", file: wal,
			old: "err = a.f.SyncContent()", new: "_ = a.f.SyncContent()"},
		{name: "the write-ahead log is not read after a crash", file: tempIDs,
			old: "if err != nil || len(left.lines)+len(left.beyond) == 0 {",
			new: "if err != nil || len(left.lines)+len(left.beyond) >= 0 {"},
		{name: "a rewritten file lacks the unsynced lines", file: tempIDs,
			old: "_, err = w.Write(t.unsynced)\n\t\treturn err", new: "return nil"},
		{name: "a failed fsync counts as a success", file: appendFile,
			old: "return f.Sync()", new: "_ = f.Sync()\n\treturn nil"},
		{name: "a new file's name is not synced", file: appendFile,
			old: "err = l.fs.SyncNames()", new: "err = nil"},
	}
}

// journalMutants returns mutants of the contact log's recovery when a phone restarts
// (PROTOCOL.md section 3).
func journalMutants() []mutant {
	const restore, contactLog, journal = "nodes/phone.go", "nodes/files/contactlog.go", "nodes/files/contactlogread.go"
	const clamped = "least = max(least, full-remainder(end, now.Wall, full))"
	return group(mutant{file: restore}, []mutant{
		{name: "a restarted phone loses its log", old: "if age[i] >= full {", new: "if age[i] >= 0 {"},
		{name: "at a start an entry counts as received just now", old: clamped, new: "_, least = end, 0"},
		{name: "the age of an entry at a start is not bounded",
			old: clamped, new: "_, least = end, time.Duration(now.Wall-stored[i].Received)"},
		{name: "the log is written without its journal", file: contactLog,
			old: "if err := l.writeJournal(); err != nil {", new: "if err := error(nil); err != nil {"},
		{name: "the journal is not synced", file: contactLog,
			old: "name: name + journalSuffix}", new: "name: name + journalSuffix, noSync: true}"},
		{name: "a torn line discards the journal", file: journal,
			old: "case !t.whole:\n", new: "case !t.whole:\n\t\t\tl.known = nil\n"},
		{name: "a torn line is trusted if it can be parsed", file: journal,
			old: "case !t.whole:\n", new: "case !t.whole && err != nil:\n"},
	})
}

// clockMutants returns mutants that show when a clock is stepped (PROTOCOL.md
// section 1, Two clocks).
func clockMutants() []mutant {
	const phone, login, tempIDs, server = "nodes/phone.go", "nodes/login.go", "nodes/tempids.go", "nodes/server.go"
	field := edit{phone, "\treportedFull bool", "\treportedFull, offKnown bool\n\toff time.Duration"}
	ageing := func(name, comparison string) mutant {
		return mutant{name: name, file: phone,
			old: "if n := p.log.expire(",
			new: "off := time.Duration(now.Wall) - now.Elapsed\n\tif p.offKnown && off " + comparison + ` p.off {
		for i := range p.log.n {
			p.log.ring[p.log.index(i)].received -= int64(off - p.off)
		}
		if p.log.n > 0 {
			p.log.oldest = p.log.ring[p.log.head].received
		}
	}
	p.off, p.offKnown = off, true
	if n := p.log.expire(`, also: []edit{field}}
	}
	return []mutant{
		ageing("a forward clock step shortens an entry's retention", ">"),
		ageing("a backward clock step extends an entry's retention", "<"),
		{name: "a phone does not notice that its clock was set", file: phone,
			old: "b, err := protocol.Judge(",
			new: "if !p.offKnown {\n\t\t\tp.off, p.offKnown = time.Duration(now.Wall)-now.Elapsed, true\n\t\t}\n\t\t" +
				"b, err := protocol.Judge(",
			also: []edit{field, {phone, "p.settings.Zone, now.Wall)", "p.settings.Zone, int64(p.off+now.Elapsed))"}}},
		{name: "a server does not notice that its clock was set", file: tempIDs,
			old: "start := now.Unix()", new: "start := Now{Wall: s.off + int64(now.Elapsed)}.Unix()",
			also: []edit{{server, "lastStore   StoreID", "lastStore   StoreID\n\toff int64"},
				{server, "s.runDue(now, out)\n\tout.print(\"I am", "s.off = now.Wall - int64(now.Elapsed)\n\t" +
					"s.runDue(now, out)\n\tout.print(\"I am"}}},
		{name: "a block runs on the wall clock", file: login,
			old: "blocked bool", new: "blocked bool\n\toff time.Duration",
			also: []edit{
				{login, "// blockedAt reports", `func (a *attempts) follow(now Now) {
	off := time.Duration(now.Wall) - now.Elapsed
	if a.blocked {
		a.until -= off - a.off
	}
	a.off = off
}

// blockedAt reports`},
				{login, "until: later(now.Elapsed, left)}", "until: later(now.Elapsed, left), off: " +
					"time.Duration(now.Wall) - now.Elapsed}"},
				{login, "if a.blockedAt(now.Elapsed) {", "a.follow(now)\n\tif a.blockedAt(now.Elapsed) {"},
				{login, "return verdictBlocks", "a.follow(now)\n\ta.until = later(now.Elapsed, " +
					"s.settings.BlockDuration)\n\treturn verdictBlocks"},
			}},
		{name: "the remaining block at a start is not bounded", file: login,
			old: "left := remainder(r.BlockedUntil, now.Wall, r.BlockDuration)",
			new: "left := time.Duration(r.BlockedUntil - now.Wall)"},
	}
}

// storingMutants returns mutants of answers that wait for a slow, full or failing
// disk (PROTOCOL.md section 2).
func storingMutants() []mutant {
	return group(mutant{file: "nodes/login.go"}, []mutant{
		{name: "a TempID that could not be saved is issued", file: "nodes/tempids.go",
			old: "if err != nil {\n\t\tout.print(", new: "if err != nil && !waits {\n\t\tout.print("},
		{name: "a wrong password that could not be saved is not counted", old: "out.print(fmt.Sprintf(\"attempts of",
			new: "if a := s.accounts.known[p.user]; a != nil && a.wrong > 0 {\n\t\t\ta.wrong--\n\t\t}\n\t\t" +
				"out.print(fmt.Sprintf(\"attempts of"},
		{name: "a failed save of one name replaces that of another", file: "nodes/files/attempts.go",
			old: "append(t.unsaved, nameOfAttempts(&r.Attempts))", new: "[]attemptName{nameOfAttempts(&r.Attempts)}"},
		{name: "a welcome precedes a reset that another session awaits",
			old: "a.wrong, a.stale = 0, true", new: "a.wrong, a.stale = 0, false"},
		{name: "a password that could not be saved is not answered",
			old: "if !waits {\n\t\treturn\n\t}\n\tswitch", new: "if !waits || err != nil {\n\t\treturn\n\t}\n\tswitch"},
		{name: "a session outlives its connection", file: "nodes/server.go",
			old: "if s.sessions.isOpen(c) {\n\t\ts.end(c, ReasonEOF, out)",
			new: "if s.sessions.isOpen(c) && s.connection(c).upload == nil {\n\t\ts.end(c, ReasonEOF, out)"},
	})
}

// connectionMutants returns mutants of connections that break, stall or are slow
// (PROTOCOL.md sections 2 and 4).
func connectionMutants() []mutant {
	const unanswered = "cannot go on.\n\t\tg.end(now, OutcomeNoAnswer, textNoAnswer, out)"
	return group(mutant{file: "nodes/program.go"}, []mutant{
		{name: "an interrupted upload counts as done", old: "text := textLost\n",
			new: "text := textLost\n\tif g.uploading() && g.session.upload.sent > 1 {\n\t\tg.end(now, OutcomeOK, " +
				"textLostUpload, out)\n\t\treturn\n\t}\n"},
		{name: "an upload line without an answer is sent again", old: unanswered,
			new: "cannot go on.\n\t\tif u := g.session.upload; u.sent > 1 {\n\t\t\t" +
				"out.send(u.line(u.sent-2))\n\t\t\tg.awaitAnswer(now)\n\t\t\treturn\n\t\t}\n\t\tg.end(now, " +
				"OutcomeNoAnswer, textNoAnswer, out)"},
		{name: "an upload without an answer is started again",
			old: unanswered, new: "cannot go on.\n\t\tg.startUpload(now, g.phone.log.entries(), out)"},
		{name: "half of a TempID ends the wait", old: "if reply != protocol.ReplyTempID {\n",
			new: "if reply != protocol.ReplyTempID {\n\t\tif reply == protocol.NoReply {\n\t\t\tg.timer = " +
				"timerNone\n\t\t}\n"},
		{name: "a phone loses its TempID with its connection",
			old: "text := textLost\n", new: "text := textLost\n\tg.phone.hasTempID = false\n"},
	})
}

// datagramMutants returns mutants of lost, duplicated and late datagrams
// (PROTOCOL.md section 3).
func datagramMutants() []mutant {
	return []mutant{
		{name: "a part from an unknown sender joins another's beacon", file: "protocol/assembler.go",
			old: "\tdefault:\n\t\treturn a.outOfTurn(now,",
			new: "\tcase r == none && len(p) == TimeSize && a.known.begun.oldest != none && " +
				"a.known.at(a.known.begun.oldest).awaits(TimeSize):\n\t\treturn a.addPart(now, p, " +
				"a.known.begun.oldest, out)\n\tdefault:\n\t\treturn a.outOfTurn(now,"},
	}
}
