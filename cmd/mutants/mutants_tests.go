package main

import "slices"

// testMutants is the table of the mutants that tests must find: bugs in the sockets, in loads and in reports, which
// scenarios in virtual time do not use, and weakened checks, with which a scenario only fails less often.
func testMutants() []mutant {
	in := func(tests string, mutants ...[]mutant) []mutant {
		return group(mutant{tests: tests}, slices.Concat(mutants...))
	}
	return slices.Concat(in("./nodes/socket", socketMutants()), in("./nodes/socket/epoll", epollMutants()),
		in("./nodes/files", realDiskMutants()), in("./sim/check", checkMutants()), in("./sim/load", loadMutants()),
		in("./reports", metricMutants(), reportMutants()), in("./reports/compare", compareMutants()),
		in("./reports/runpage", pageMutants()), in("./reports/chart", []mutant{
			{name: "a chart joins points over missing seconds", file: "reports/chart/draw.go",
				by:  "TestPartsAreInTheirPlaces",
				old: "first := i == 0 || s.Points[i-1].isGap()", new: "first := i == 0"}}))
}

// socketMutants returns mutants of the connections of a server that a poll serves.
func socketMutants() []mutant {
	return group(mutant{file: "nodes/socket/poll.go", by: "TestSessionsInAStorm"}, []mutant{
		{name: "a wake-up without input ends a session",
			old: "case err == nil || !epoll.WouldBlock(err):", new: "case err == nil || err != nil:"},
		{name: "the rest of a short write is lost", old: "x.sending.lengths[0] = size - n", new: "x.sending.empty()"},
		{name: "a short write begins anew",
			old: "x.sending.bytes[at:], x.sending.lengths[i:]\n\t\t\tx.sending.lengths[0] = size - n",
			new: "x.sending.bytes[at-n:], x.sending.lengths[i:]"},
		{name: "a write that would block breaks the session",
			old: "case err != nil && !epoll.WouldBlock(err):", new: "case err != nil:"},
		{name: "the answers after a short write are sent first",
			old: "x.sending.lengths[0] = size - n", new: "_ = size"},
		{name: "input during a wait for the disk is forgotten", by: "TestBytesDuringAStoreAreReadAfterwards",
			old: "x.unread = true\n\t\t\tcontinue", new: "continue"},
		{name: "input longer than one read is not read on", by: "TestMoreThanOneRead",
			old: "x.unread || x.ending || n == len(p.in[i])", new: "x.unread || x.ending"},
		{name: "a broken send does not end the session", by: "TestASessionEndsWhenAPollCannotSend",
			old: "x.over = true\n\t\t\tx.sending.empty()", new: "x.sending.empty()"},
		{name: "a connection stays in its pass", old: "x.taken = false\n\t\tif t", new: "if t"},
	})
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

// realDiskMutants returns mutants of the real disk, which the tests of crashes do not use, and of the order in which
// files reach it.
func realDiskMutants() []mutant {
	const disk, appendFile = "nodes/files/disk.go", "nodes/files/appendfile.go"
	return group(mutant{by: "TestOrderOfSystemCalls"}, []mutant{
		{name: "the names of a real folder are not synced", file: disk,
			old: "errors.Join(WithoutPath(f.Sync()), f.Close())", new: "f.Close()"},
		{name: "a real file is not synced", file: disk, old: "return WithoutPath(f.File.Sync())", new: "return nil"},
		{name: "the content of a real log is not synced", file: "nodes/files/disk_linux.go",
			old: "err := syscall.Fdatasync(int(f.Fd()))", new: "err := error(nil)"},
		{name: "a replacement is synced after its rename", file: appendFile,
			old: "\tif err == nil {\n\t\terr = l.sync(f)\n\t}\n", new: ""},
		{name: "a replaced name is not synced", file: appendFile, old: "err == nil && !l.noSync", new: "false"},
		{name: "a new write-ahead log is not synced", file: "nodes/files/wal.go", old: "err = f.Sync()",
			new: "err = nil"},
	})
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
	return group(mutant{by: histories}, []mutant{
		{name: "a block may last a nanosecond longer", file: accounts,
			old: ">= a.v.rules.BlockDuration", new: "> a.v.rules.BlockDuration"},
		{name: "a block is expected after four wrong passwords", file: accounts,
			old: "wrongBeforeBlock = 3", new: "wrongBeforeBlock = 4"},
		{name: "any answer to a password is expected", file: accounts,
			old: "a.unexpected(at, s, attempt, got)", new: "_ = attempt"},
		{name: "a password without an answer is not noticed", file: accounts, by: anyScenario,
			old: "a.v.evaluated[PasswordsAnswered]++\n",
			new: "a.v.evaluated[PasswordsAnswered]++\n\tif at >= 0 {\n\t\treturn\n\t}\n"},
		{name: "an entry may stay at its retention", file: logs,
			old: "time.Duration(at)-received >= retention", new: "time.Duration(at)-received > retention"},
		{name: "the length of a log is not compared", file: logs,
			old: "if uint32(log.Len()) == p.count {", new: "if p.count < 1<<30 {"},
		{name: "an invalid beacon may be kept", file: logs,
			old: "case valid && why != \"\":", new: "case valid && why != \"\" && at < 0:"},
		{name: "a valid beacon may be refused", file: logs,
			old: "case !valid && why == \"\":", new: "case !valid && why == \"\" && at < 0:"},
		{name: "a beacon that was never sent may be kept", file: logs, by: anyScenario,
			old: "why = \"its sender never sent it\"", new: "_ = sender"},
		{name: "a TempID may be issued twice to one account", file: tempIDs,
			old: "; twice {", new: "; twice && first.owner != is.owner {"},
		{name: "a TempID need not resolve", file: tempIDs,
			old: "found := \"nothing\"", new: "found := \"nothing\"; if len(lines) == 0 { continue }"},
		{name: "a fully acknowledged upload need not be printed", file: uploads, by: anyScenario,
			old: "o.at < at {", new: "o.at < at-1e15 {"},
		{name: "an upload may be printed before its last line", file: uploads, by: anyScenario,
			old: "s.acks >= need }", new: "s.acks >= 0 }"},
		{name: "a datagram may vanish", file: datagrams,
			old: "at > d.latest && d.sentN != d.deliveredN+d.lostN",
			new: "at > d.latest && d.sentN < d.deliveredN+d.lostN"},
		{name: "a datagram may arrive twice", file: datagrams,
			old: "d.deliveredN+d.lostN > d.sentN", new: "d.lostN > d.sentN"},
		{name: "a stored entry may be lost in a restart", file: followed,
			old: "returned[k.TempID]--; returned[k.TempID] < 0", new: "returned[k.TempID]--; returned[k.TempID] < -9"},
		{name: "a command may be sent again", file: programs, by: "TestCommandsSentOnce",
			old: "case c < 0 || p.typed[c] == 0:", new: "case c < 0:"},
		{name: "a given verdict stays due", file: assembly, by: "TestTheRealAssemblerFitsTheModel",
			old: "r.due = slices.Delete(r.due, i, i+1)\n\t\treturn", new: "return"},
		{name: "a verdict may never be given", file: assembly, by: wrong,
			old: "if r.due[i].at+late < now {", new: "if r.due[i].at+late < 0 {"},
		{name: "a verdict may be late", file: assembly, by: wrong,
			old: "now <= d.at+late &&", new: "now <= d.at+late+1e9 &&"},
		{name: "a verdict may mix two sources", file: assembly, by: wrong, old: "d.verdict == foundVerdict(e, d.parts)",
			new: "d.origin == foundVerdict(e, d.parts).origin && d.outOfTurn == e.Phone.OutOfTurn"},
		{name: "a printed line may be missing", file: prints, by: "TestPrintedLines",
			old: "if p.owed != \"\" {", new: "if p.owed == \"-\" {"},
		{name: "a line may be printed without its event", file: prints, by: "TestPrintedLines",
			old: "i := slices.IndexFunc(lines, p.isEvent); i >= 0",
			new: "i := slices.IndexFunc(lines, p.isEvent); i > 9"},
		{name: "a control character may be printed", file: prints, by: "TestPrintedLines",
			old: "r != '\\n' && !unicode.IsPrint(r)", new: "r == 0 && !unicode.IsPrint(r)"},
		{name: "a password may be printed", file: prints, by: "TestPrintedLines",
			old: "if strings.Contains(e.Text, secret) {", new: "if e.Text == secret {"},
		{name: "a program may wait for an answer for ever", file: programs, by: "TestAnswersComeInTime",
			old: "waited > answerLimit+ps.v.rounding(phone)", new: "waited > 1e6*answerLimit"},
	})
}

// loadMutants returns mutants of the open loop and of its figures.
func loadMutants() []mutant {
	const pacing, figures, balance = "sim/load/pacing.go", "sim/load/figures.go", "sim/load/balance.go"
	const share = "sim/load/share.go"
	return group(mutant{by: "TestFiguresBalance"}, []mutant{
		{name: "a dropped arrival is not counted", file: pacing, old: "e.m.Arrivals.Dropped++", new: "_ = sinceBegin"},
		{name: "a session starts when a phone is free, not when due", file: pacing, by: "TestSleepTooLongDropsNothing",
			old: "p.start(s, due)", new: "p.start(s, e.now())"},
		{name: "the last arrival of a load is left out", file: pacing, old: ">= p.total-rounding", new: ">= p.total-1"},
		{name: "a response time begins when it is sent", file: figures, by: "TestStallShowsInResponseTimes",
			old: "return r.Done - r.Due", new: "return r.Done - r.Sent"},
		{name: "broken connections count as quick answers", file: figures,
			old: "return r.Outcome == OK || r.Waited", new: "return r.Outcome != Failed"},
		{name: "operations without an answer have no times", file: figures,
			old: "return r.Outcome == OK || r.Waited", new: "return r.Outcome == OK"},
		{name: "figures that do not agree pass", file: balance, by: "TestFiguresThatDoNotBalance",
			old: "\tif n != m {", new: "\tif n < m {"},
		{name: "an outage begins with its last attempt", file: "sim/load/outage.go", by: "TestServerThatDies",
			old: "if o.err == nil {\n\t\to.since", new: "if err != nil {\n\t\to.since"},
		{name: "a search does not repeat a step that breaks", file: "sim/load/search.go", by: "TestSearchSteps",
			old: "(a == reports.StepGeneratorLimited || !s.next.Confirming)", new: "a == reports.StepGeneratorLimited"},
		{name: "the lost beacons of a generator are not lost", file: share, by: "TestPartsAreAdded",
			old: "\tb.Lost += p.Beacons.Lost\n", new: ""},
		{name: "the metrics add the figures of a generator twice", file: share, by: "TestGeneratorsAreOneLoad",
			old: "before := w.others.Swap(now)", new: "before, _ := merged(nil, 0)\n\tw.others.Store(now)"},
		{name: "the service times of generators are response times", file: share, by: "TestPartsAreAdded",
			old: "k.serviceSeconds, from.ServiceSeconds", new: "k.serviceSeconds, from.ResponseSeconds"},
	})
}

// metricMutants returns mutants of the metrics.
func metricMutants() []mutant {
	const meter, metrics = "reports/meter.go", "reports/metrics.go"
	return group(mutant{file: meter}, []mutant{
		{name: "lost operations are not in the metrics", by: "TestMeterHasTheValuesItWasFed",
			old: "{ o.outcomes[OutcomeUnknown].Add(n) }", new: "{ o.outcomes[OutcomeFailed].Add(n) }"},
		{name: "the service time is in the metrics as response", by: "TestHistoryKeepsFamiliesAndSeriesTogether",
			old: "o.response.Observe(max(0, response)", new: "o.response.Observe(max(0, service)"},
		{name: "a count of the kernel may fall", by: "TestMeterHasTheValuesItWasFed",
			old: "if n <= was || ", new: "if n == was || "},
		{name: "a finished phase stays active", by: "TestMeterShowsARunInVirtualTime",
			old: "if p == active {", new: "if p == active || active == nil {"},
		{name: "open sessions are all that were opened", file: metrics, by: "TestMeterShowsARunInVirtualTime",
			old: "float64(r.Sessions.Opened)-float64(r.Sessions.Closed)", new: "float64(r.Sessions.Opened)"},
		{name: "two metrics of a step have one time", file: metrics, by: "TestHistoryKeepsFamiliesAndSeriesTogether",
			old: "max(ms, h.last+1)", new: "max(ms, h.last)"},
	})
}

// reportMutants returns mutants of the documents and pictures.
func reportMutants() []mutant {
	const text, junit = "reports/text.go", "reports/junit.go"
	return []mutant{
		{name: "the text omits a failed invariant", file: text, by: "TestFailureThatFoundNothingSaysSo",
			old: "Failed {\n\t\t\tany", new: "Failed && c.Kind != InvariantCheck {\n\t\t\tany"},
		{name: "the text counts what was not exercised as held", file: text, by: "TestUnexercisedChecksAreNotOK",
			old: "\t\t\tt.notExercised++", new: "\t\t\tt.held++"},
		{name: "the text of a load omits what failed", file: "reports/loadtext.go", by: "TestTextOfSessions",
			old: "o.Failed+o.Unknown > 0", new: "o.Unknown > 0"},
		{name: "a failed check is no failure in JUnit", file: junit, by: "TestJUnitHasACaseForEachCheck",
			old: "\t\t\ts.Failures++", new: "\t\t\ts.Skipped++"},
		{name: "two runs of one scenario are one JUnit suite", file: junit, by: "TestJUnitKeysAreUnique",
			old: "n := 2; used[strings.ToLower(name)]; n++", new: "n := 2; used[name]; n++"},
		{name: "JUnit has a control character of a peer", file: junit, by: "TestJUnitIsWellFormedWhateverTheTexts",
			old: "\t\tb.WriteString(Escape(line))", new: "\t\tb.WriteString(line)"},
		{name: "JSON has a direction mark of a peer", file: "reports/json.go",
			by:  "TestNothingUnprintableReachesTheTerminal",
			old: "r < 0x7f || strconv.IsPrint(r)", new: "r < 0x7f || r > 0xff || strconv.IsPrint(r)"},
		{name: "a quantile in JSON has too many samples beyond", file: "reports/load.go",
			by:  "TestSamplesBeyondAQuantile",
			old: "* (1 - q) *", new: "* q *"},
	}
}

// pageMutants returns mutants of the page of a load.
func pageMutants() []mutant {
	const charts = "reports/runpage/loadcharts.go"
	return []mutant{
		{name: "a chart of a load omits operations that failed", file: charts, by: "TestADeadServerIsSeen",
			old: "[]uint64{p.Failed, p.Unknown", new: "[]uint64{0, p.Unknown"},
		{name: "a part of a load has its last p99, not the highest", file: charts,
			by:  "TestPagesOfLongLoadsAreSmall",
			old: "p.P99Ms = max(p.P50Ms, s.P50Ms), max(p.P99Ms, s.P99Ms)",
			new: "p.P99Ms = max(p.P50Ms, s.P50Ms), s.P99Ms"},
		{name: "a page has a quantile without a sample beyond it", file: "reports/runpage/load.go",
			by:  "TestFiguresOfALoadEqualTheJSON",
			old: "if q.Beyond > 0 {", new: "if true {"},
	}
}

// compareMutants returns mutants of the comparison.
func compareMutants() []mutant {
	const (
		loads, bootstrap = "reports/compare/loads.go", "reports/compare/bootstrap.go"
		budget, sides    = "reports/compare/budget.go", "reports/compare/compare.go"
	)
	return []mutant{
		{name: "the largest p has the rank of the smallest", file: loads, by: "TestTextAndJSON",
			old: "rank := len(tested) - i", new: "rank := i + 1"},
		{name: "two samples decide a quantile", file: bootstrap, by: "TestNotComparable",
			old: "minSupport = 10 ", new: "minSupport = 2 "},
		{name: "the variance of one side is left out", file: bootstrap, by: "TestBudgetsOfALoad",
			old: "+ b.variance + b.cell", new: "+ b.cell"},
		{name: "the variance between runs is left out", file: bootstrap, by: "TestRunsThatDiffer",
			old: "max(out[i].variance, v)", new: "min(out[i].variance, v)"},
		{name: "a budget is exceeded by its limit", file: budget, by: "TestBudgetsOfALoad",
			old: "return beyond > rounding*", new: "return beyond > -rounding*"},
		{name: "a budget of a fall limits growth", file: budget, by: "TestBudgetsOfALoad",
			old: "if r.falls() {", new: "if false {"},
		{name: "a server that fails more often is held", file: budget, by: "TestUnsuccessfulOperations",
			old: "if r.Verdict == Exceeded {\n\t\t\tl.B", new: "if r.Verdict == NotShown {\n\t\t\tl.B"},
		{name: "a copy of a run counts as a run", file: sides, by: "TestRunsThatAreLeftOut",
			old: "case copied:", new: "case copied && len(copies) > 1e6:"},
		{name: "an invalid load is compared", file: sides, by: "TestRunsThatAreLeftOut",
			old: "case r.Verdict == reports.Invalid:", new: "case r.Verdict == reports.Invalid && len(side) > 9:"},
	}
}
