package sim

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/reports"
	"bluetrace/scenarios"
	"bluetrace/sim/foreign"
)

// The time between two looks at a file or a TempID, at the contact log of a program, which writes it when it likes, and
// at one that must be whole at any time.
const (
	lookPause      = 50 * time.Millisecond
	lookLogPause   = 100 * time.Millisecond
	lookWholePause = 2 * time.Millisecond
)

// lookAgain looks until the part is decided.
func (x *expectation) lookAgain(p part, pause time.Duration, look func()) {
	if !x.isOpen(p) || x.decided {
		return
	}
	if look(); x.isOpen(p) {
		w := x.script.world
		w.Call(w.Now()+pause, func() { x.lookAgain(p, pause, look) })
	}
}

// beginLooks begins the looks of an expectation, except those at a contact log that is to have given entries.
func (x *expectation) beginLooks() {
	holdIfFound := func(p part) {
		if _, found := x.missing(p); found == "" {
			x.hold(p)
		}
	}
	x.lookAgain(storesPart, lookPause, func() { holdIfFound(storesPart) })
	if x.isOpen(busyPart) || x.isOpen(growthPart) {
		x.before, _ = x.usage()
	}
	x.had = slices.Clone(x.script.tempIDs)
	x.lookAgain(tempIDPart, lookPause, func() {
		x.noteTempIDs()
		holdIfFound(tempIDPart)
	})
	x.lookAgain(unbrokenPart, lookWholePause, func() {
		if found := x.unbroken.look(x.script.programs.world.LogLines(uint32(x.expect.Phone))); found != "" {
			x.violate(unbrokenPart, "whole entries in the log of "+x.name(x.screen())+", and none that disappears",
				found)
		}
	})
}

// checkLog compares the contact log with the expected one: once, or that of a program until they are equal.
func (x *expectation) checkLog() {
	if !x.isOpen(logPart) || x.decided {
		return
	}
	if x.script.programs.has(uint32(x.expect.Phone)) {
		x.lookAgain(logPart, lookLogPause, func() {
			ids := x.script.programs.world.Logged(uint32(x.expect.Phone))
			if x.logExpected, x.logFound = x.compareLog(ids); x.logExpected == "" {
				x.hold(logPart)
			}
		})
		return
	}
	log := x.script.world.Log(uint32(x.expect.Phone))
	var ids []string
	for i := range log.Len() {
		ids = append(ids, log.At(i).TempID.String())
	}
	expected, found := x.compareLog(ids)
	switch {
	case expected == "":
		x.hold(logPart)
	case x.expect.Log.Entries >= 0 && log.Len() != x.expect.Log.Entries:
		x.violate(logPart, expected, found+x.agesText(log))
	default:
		x.violate(logPart, expected, found)
	}
}

// compareLog compares the TempIDs of a contact log with the expected ones. It returns empty texts if they are equal.
func (x *expectation) compareLog(ids []string) (expected, found string) {
	l, name := x.expect.Log, x.script.world.Name(uint32(x.expect.Phone))
	if l.Entries >= 0 && len(ids) != l.Entries {
		return fmt.Sprintf("%s in the log of %s", entriesText(l.Entries), name), entriesText(len(ids))
	}
	if l.TempIDs != nil && !slices.EqualFunc(l.TempIDs, ids, scenarios.Pattern.Match) {
		return fmt.Sprintf("TempIDs %s in the log of %s", patternsText(l.TempIDs), name),
			cmp.Or(reports.Quoted(ids), "an empty log")
	}
	return "", ""
}

func entriesText(n int) string { return reports.Plural(uint64(n), "entry", "entries") }

// agesText lists the ages of the entries of a log, the oldest first.
func (x *expectation) agesText(log *nodes.ContactLog) string {
	const shown = 6
	var ages []string
	for i := range min(log.Len(), shown) {
		ages = append(ages, (x.script.world.Now() - log.At(i).Received).String())
	}
	switch {
	case log.Len() == 0:
		return ""
	case log.Len() > shown:
		ages = append(ages, "…")
	}
	return ", received " + strings.Join(ages, ", ") + " ago"
}

// patternsText lists texts in quotes, and expressions as they are written.
func patternsText(ps []scenarios.Pattern) string {
	var texts []string
	for _, p := range ps {
		if p.Re != nil {
			texts = append(texts, p.String())
		} else {
			texts = append(texts, strconv.Quote(p.Text))
		}
	}
	return strings.Join(texts, ", ")
}

// brokenLog finds that a contact log is read between two parts of a change.
type brokenLog struct {
	ids int // in the log at the last look
}

var longNumber = regexp.MustCompile(`\d{12,}`)

// look compares the lines of a log that have TempIDs with those of the last look. It returns the difference that a
// whole log does not have, or "".
func (b *brokenLog) look(lines []string) (found string) {
	ids := 0
	for _, line := range lines {
		ids += len(longNumber.FindAllString(line, -1))
	}
	if ids < b.ids {
		return fmt.Sprintf("%s, and %d before", entriesText(ids), b.ids)
	}
	b.ids = ids
	if n := len(lines); n > 1 && len(strings.Fields(lines[n-1])) < len(strings.Fields(lines[0])) {
		return "the last line is " + quoted(lines[n-1:])
	}
	return ""
}

// stored describes the line of tempIDs.txt that the server must have for the phone's TempID. found is empty if there is
// one.
func (x *expectation) stored() (expected, found string) {
	w, user := x.script.world, x.script.accounts[x.expect.Phone].user
	b, ok := w.TempID(x.screen())
	id := b.TempID.String()
	expected = fmt.Sprintf("a line of tempIDs.txt with the user %s and the TempID %s", user, id)
	if x.expect.Lifetime > 0 {
		expected += fmt.Sprintf(", and with a start and an expiry that are %s apart, around the present",
			x.expect.Lifetime)
	}
	if !ok {
		return fmt.Sprintf("a line of tempIDs.txt with the user %s and its TempID", user), "the phone has no TempID"
	}
	text, err := issuedFile(x.script.server, x.script.folder)
	if err != nil {
		return expected, "there is no such file"
	}
	for line := range bytes.Lines(text) {
		line := strings.TrimSpace(string(line))
		fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" ,;\t|!", r) })
		if !slices.Contains(fields, id) || !slices.Contains(fields, user) {
			continue
		}
		if x.expect.Lifetime == 0 || livesAround(line, w.Wall(), x.expect.Lifetime) {
			return expected, ""
		}
		return expected, "the line " + quoted([]string{line})
	}
	return expected, "it has " + lastLines(strings.Split(strings.TrimSpace(string(text)), "\n"))
}

// issuedFile returns the tempIDs.txt of a server that the run has started, or else of this project's own server in
// virtual time. Both may be nil.
func issuedFile(started *startedServer, own *files.Memory) ([]byte, error) {
	switch {
	case started != nil:
		return os.ReadFile(filepath.Join(started.folder, "tempIDs.txt"))
	case own != nil:
		return own.ReadFile("tempIDs.txt")
	}
	return nil, os.ErrNotExist
}

// wireTimes finds the times of a line in the layouts that implementations use.
var wireTimes = regexp.MustCompile(`\d{1,4}[-/]\d{1,2}[-/]\d{1,4}[ T,]+\d{1,2}:\d{2}:\d{2}`)

// livesAround reports whether a line has two times that are lifetime apart, to a second, with the present between them.
func livesAround(line string, now time.Time, lifetime time.Duration) bool {
	found := wireTimes.FindAllString(line, -1)
	const slack = 2 * time.Second
	for _, layout := range []string{
		"2/1/2006 15:04:05", "2006-1-2 15:04:05", "1/2/2006 15:04:05", "2-1-2006 15:04:05", "2006/1/2 15:04:05",
	} {
		var times []time.Time
		for _, text := range found {
			fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" T,", r) })
			text = strings.Join(fields, " ")
			if t, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
				times = append(times, t)
			}
		}
		if len(times) < 2 {
			continue
		}
		start, expiry := times[0], times[1]
		apart := (expiry.Sub(start) - lifetime).Abs()
		if apart <= time.Second && start.Before(now.Add(slack)) && expiry.After(now) {
			return true
		}
	}
	return false
}

// usage returns the use of resources by the program of the expectation's phone, else by that of the server, and the
// name of the program.
func (x *expectation) usage() (u foreign.Usage, name string) {
	sc := x.script
	var err error
	switch {
	case x.expect.Phone >= 0 && sc.programs.has(uint32(x.expect.Phone)):
		name = "the program of " + x.name(uint32(x.expect.Phone))
		u, err = sc.programs.world.Usage(uint32(x.expect.Phone))
	case sc.server != nil:
		name = "the server"
		u, err = sc.server.program.Usage()
	}
	if err != nil {
		return foreign.Usage{}, name // another system than Linux
	}
	return u, name
}

// The growth that a runtime needs by itself is no violation.
const (
	spareMemory  = 4 << 20
	spareThreads = 4
)

// compareUse decides a part about the use of resources at the deadline. A program that has ended uses none.
func (x *expectation) compareUse(p part) {
	now, name := x.usage()
	percent := func(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }
	if p == busyPart {
		if share := float64(now.CPU-x.before.CPU) / float64(x.expect.Within); share >= x.expect.Busy {
			x.violate(p, fmt.Sprintf("%s uses less than %s of a core for %s", name, percent(x.expect.Busy),
				x.expect.Within), percent(share))
		}
		x.hold(p)
		return
	}
	grown := func(before, now, spare int64) bool {
		return float64(now) > float64(before+spare)*(1+x.expect.Growth)
	}
	if grown(x.before.Memory, now.Memory, spareMemory) ||
		grown(int64(x.before.Threads), int64(now.Threads), spareThreads) {
		text := func(u foreign.Usage) string {
			return fmt.Sprintf("%.1f MB and %s", float64(u.Memory)/(1<<20),
				reports.Plural(uint64(u.Threads), "thread", "threads"))
		}
		x.violate(p, fmt.Sprintf("%s grows by at most %s from %s in %s", name, percent(x.expect.Growth), text(x.before),
			x.expect.Within), text(now))
	}
	x.hold(p)
}

// noteTempIDs adds the TempIDs that phones of this project have now.
func (x *expectation) noteTempIDs() {
	sc := x.script
	for program := range uint32(len(sc.accounts)) {
		if sc.programs.has(program) {
			continue
		}
		if b, ok := sc.world.TempID(program); ok && !slices.Contains(sc.tempIDs, b.TempID.String()) {
			sc.tempIDs = append(sc.tempIDs, b.TempID.String())
		}
	}
}

// minTempIDs is the number of TempIDs without which nothing is known about their differences.
const minTempIDs = 4

// tempID describes the expected TempID. found is empty if the phone has it.
func (x *expectation) tempID() (expected, found string) {
	if x.expect.TempID == scenarios.TempIDFresh {
		expected = "a TempID of " + x.name(x.screen()) + " that no phone had before"
		b, ok := x.script.world.TempID(x.screen())
		switch {
		case !ok:
			return expected, "it has none"
		case slices.Contains(x.had, b.TempID.String()):
			return expected, b.TempID.String()
		}
		return expected, ""
	}
	expected = "TempIDs that do not differ by a constant"
	ids := x.script.tempIDs
	if len(ids) < minTempIDs {
		return fmt.Sprintf("at least %d TempIDs", minTempIDs), reports.Plural(uint64(len(ids)), "TempID", "TempIDs")
	}
	var steps []string
	for i := range len(ids) - 1 {
		before, ok := new(big.Int).SetString(ids[i], 10)
		after, ok2 := new(big.Int).SetString(ids[i+1], 10)
		if !ok || !ok2 {
			return expected, "" // no numbers
		}
		steps = append(steps, after.Sub(after, before).String())
	}
	if len(slices.Compact(steps)) > 1 {
		return expected, ""
	}
	return expected, strings.Join(ids[:minTempIDs], ", ")
}
