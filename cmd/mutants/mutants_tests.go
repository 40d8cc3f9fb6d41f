package main

import "slices"

// testMutants is the table of the mutants that tests must find: bugs in the sockets, which scenarios in virtual time do
// not use, and weakened checks, with which a scenario only fails less often.
func testMutants() []mutant {
	return slices.Concat(of("./nodes/socket", socketMutants()), of("./nodes/socket/epoll", epollMutants()),
		of("./nodes/files", realDiskMutants()), of("./sim/check", checkMutants()))
}

// of sets the package whose tests must find the mutants.
func of(pkg string, mutants []mutant) []mutant {
	for i := range mutants {
		mutants[i].tests = pkg
	}
	return mutants
}

// socketMutants returns mutants of the connections of a server that a poll serves.
func socketMutants() []mutant {
	const poll = "nodes/socket/poll.go"
	const storm = "TestSessionsInAStorm"
	return []mutant{
		{name: "a wake-up without input ends a session", file: poll, by: storm,
			old: "case err == nil || !epoll.WouldBlock(err):", new: "case err == nil || err != nil:"},
		{name: "the rest of a short write is lost", file: poll, by: storm,
			old: "x.sending.lengths[0] = size - n", new: "x.sending.empty()"},
		{name: "a short write begins anew", file: poll, by: storm,
			old: "x.sending.bytes[at:], x.sending.lengths[i:]\n\t\t\tx.sending.lengths[0] = size - n",
			new: "x.sending.bytes[at-n:], x.sending.lengths[i:]"},
		{name: "a write that would block breaks the session", file: poll, by: storm,
			old: "case err != nil && !epoll.WouldBlock(err):", new: "case err != nil:"},
		{name: "the answers after a short write are sent first", file: poll, by: storm,
			old: "x.sending.lengths[0] = size - n", new: "_ = size"},
		{name: "input during a wait for the disk is forgotten", file: poll, by: "TestBytesDuringAStoreAreReadAfterwards",
			old: "x.unread = true\n\t\t\tcontinue", new: "continue"},
		{name: "input longer than one read is not read on", file: poll, by: "TestMoreThanOneRead",
			old: "x.unread || x.ending || n == len(p.in[i])", new: "x.unread || x.ending"},
		{name: "a broken send does not end the session", file: poll, by: "TestASessionEndsWhenAPollCannotSend",
			old: "x.over = true\n\t\t\tx.sending.empty()", new: "x.sending.empty()"},
		{name: "a connection stays in its pass", file: poll, by: storm,
			old: "x.taken = false\n\t\tif t", new: "if t"},
	}
}

// epollMutants returns mutants of the system calls.
func epollMutants() []mutant {
	const epoll = "nodes/socket/epoll/epoll_linux.go"
	return []mutant{
		{name: "a signal ends a wait for events", file: epoll, by: "TestWaitContinuesAfterSignals",
			old: "\t\tcase unix.EINTR:\n\t\tdefault:\n\t\t\tpanic(", new: "\t\tdefault:\n\t\t\tpanic("},
		{name: "a stopped poller waits again", file: epoll, by: "TestStopEndsEveryWait",
			old: "stopped = stopped || raw[i].Fd == stopKey", new: "stopped = stopped && raw[i].Fd == stopKey"},
	}
}

// realDiskMutants returns mutants of the real disk, which the tests of crashes do not use, and of the order in which files
// reach it.
func realDiskMutants() []mutant {
	const disk, calls = "nodes/files/disk.go", "TestOrderOfSystemCalls"
	const appendFile, wal = "nodes/files/appendfile.go", "nodes/files/wal.go"
	return []mutant{
		{name: "the names of a real folder are not synced", file: disk, by: calls,
			old: "errors.Join(WithoutPath(f.Sync()), f.Close())", new: "f.Close()"},
		{name: "a real file is not synced", file: disk, by: calls,
			old: "return WithoutPath(f.File.Sync())", new: "return nil"},
		{name: "the content of a real log is not synced", file: "nodes/files/disk_linux.go", by: calls,
			old: "err := syscall.Fdatasync(int(f.Fd()))", new: "err := error(nil)"},
		{name: "a replacement is synced after its rename", file: appendFile, by: calls,
			old: "\tif err == nil {\n\t\terr = l.sync(f)\n\t}\n", new: ""},
		{name: "a replaced name is not synced", file: appendFile, by: calls,
			old: "err == nil && !l.noSync", new: "false"},
		{name: "a new write-ahead log is not synced", file: wal, by: calls,
			old: "err = f.Sync()", new: "err = nil"},
	}
}

// checkMutants returns weakened invariants and thresholds.
func checkMutants() []mutant {
	const (
		accounts, logs, tempIDs = "sim/check/accounts.go", "sim/check/logs.go", "sim/check/tempids.go"
		uploads, datagrams      = "sim/check/uploads.go", "sim/check/datagrams.go"
		followed, programs      = "sim/check/followedlog.go", "sim/check/programs.go"
		assembly, prints        = "sim/check/assembly.go", "sim/check/prints.go"
	)
	const histories, wrong = "TestHistories", "TestTheModelFindsWrongVerdicts"
	return []mutant{
		{name: "a block may last a nanosecond longer", file: accounts, by: histories,
			old: ">= a.v.rules.BlockDuration", new: "> a.v.rules.BlockDuration"},
		{name: "a block is expected after four wrong passwords", file: accounts, by: histories,
			old: "wrongBeforeBlock = 3", new: "wrongBeforeBlock = 4"},
		{name: "any answer to a password is expected", file: accounts, by: histories,
			old: "a.unexpected(at, s, attempt, got)", new: "_ = attempt"},
		{name: "a password without an answer is not noticed", file: accounts,
			old: "a.v.evaluated[PasswordsAnswered]++\n", new: "a.v.evaluated[PasswordsAnswered]++\n\tif at >= 0 {\n\t\treturn\n\t}\n"},
		{name: "an entry may stay at its retention", file: logs, by: histories,
			old: "time.Duration(at)-received >= retention", new: "time.Duration(at)-received > retention"},
		{name: "the length of a log is not compared", file: logs, by: histories,
			old: "if uint32(log.Len()) == p.count {", new: "if p.count < 1<<30 {"},
		{name: "an invalid beacon may be kept", file: logs, by: histories,
			old: "case valid && why != \"\":", new: "case valid && why != \"\" && at < 0:"},
		{name: "a valid beacon may be refused", file: logs, by: histories,
			old: "case !valid && why == \"\":", new: "case !valid && why == \"\" && at < 0:"},
		{name: "a beacon that was never sent may be kept", file: logs,
			old: "why = \"its sender never sent it\"", new: "_ = sender"},
		{name: "a TempID may be issued twice to one account", file: tempIDs, by: histories,
			old: "; twice {", new: "; twice && first.owner != is.owner {"},
		{name: "a TempID need not resolve", file: tempIDs, by: histories,
			old: "found := \"nothing\"", new: "found := \"nothing\"; if len(lines) == 0 { continue }"},
		{name: "a fully acknowledged upload need not be printed", file: uploads,
			old: "o.at < at {", new: "o.at < at-1e15 {"},
		{name: "an upload may be printed before its last line", file: uploads,
			old: "s.acks >= need }", new: "s.acks >= 0 }"},
		{name: "a datagram may vanish", file: datagrams, by: histories,
			old: "at > d.latest && d.sentN != d.deliveredN+d.lostN", new: "at > d.latest && d.sentN < d.deliveredN+d.lostN"},
		{name: "a datagram may arrive twice", file: datagrams, by: histories,
			old: "d.deliveredN+d.lostN > d.sentN", new: "d.lostN > d.sentN"},
		{name: "a stored entry may be lost in a restart", file: followed, by: histories,
			old: "returned[k.TempID]--; returned[k.TempID] < 0", new: "returned[k.TempID]--; returned[k.TempID] < -9"},
		{name: "a command may be sent again", file: programs, by: "TestCommandsSentOnce",
			old: "case c < 0 || p.typed[c] == 0:", new: "case c < 0:"},
		{name: "a given verdict stays due", file: assembly, by: "TestTheRealAssemblerFitsTheModel",
			old: "r.due = slices.Delete(r.due, i, i+1)\n\t\treturn", new: "return"},
		{name: "a verdict may never be given", file: assembly, by: wrong,
			old: "if r.due[i].at+late < now {", new: "if r.due[i].at+late < 0 {"},
		{name: "a verdict may be late", file: assembly, by: wrong,
			old: "now <= d.at+late &&", new: "now <= d.at+late+1e9 &&"},
		{name: "a verdict may mix two sources", file: assembly, by: wrong,
			old: "d.verdict == foundVerdict(e, d.parts)",
			new: "d.origin == foundVerdict(e, d.parts).origin && d.outOfTurn == e.Phone.OutOfTurn"},
		{name: "a printed line may be missing", file: prints, by: "TestPrintedLines",
			old: "if p.owed != \"\" {", new: "if p.owed == \"-\" {"},
		{name: "a line may be printed without its event", file: prints, by: "TestPrintedLines",
			old: "i := slices.IndexFunc(lines, p.isEvent); i >= 0", new: "i := slices.IndexFunc(lines, p.isEvent); i > 9"},
		{name: "a control character may be printed", file: prints, by: "TestPrintedLines",
			old: "r != '\\n' && !unicode.IsPrint(r)", new: "r == 0 && !unicode.IsPrint(r)"},
		{name: "a password may be printed", file: prints, by: "TestPrintedLines",
			old: "if strings.Contains(e.Text, secret) {", new: "if e.Text == secret {"},
		{name: "a program may wait for an answer for ever", file: programs, by: "TestAnswersComeInTime",
			old: "waited > answerLimit+ps.v.rounding(phone)", new: "waited > 1e6*answerLimit"},
	}
}
