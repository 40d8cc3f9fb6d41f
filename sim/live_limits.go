package sim

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"bluetrace/scenarios"
)

// realResolution is the precision of a time in a live run.
const realResolution = 10 * time.Millisecond

// unsupported is a part of a scenario that a live run cannot do.
type unsupported struct {
	at   scenarios.Pos
	text string
}

// refuseLive returns an error that lists every part of the scenario that a live run
// cannot do, or nil if there is none.
func refuseLive(s *scenarios.Scenario, o *Live) error {
	l := limits{scenario: s}
	l.network()
	l.faults()
	if o.mock == nil {
		l.times()
		l.sockets(o)
		l.begin(o)
	}
	if o.isRemote() {
		l.remote(o)
	}
	return l.error()
}

// limits collects the parts that a live run cannot do.
type limits struct {
	scenario *scenarios.Scenario
	found    []unsupported
}

func (l *limits) add(at scenarios.Pos, format string, args ...any) {
	l.found = append(l.found, unsupported{at, fmt.Sprintf(format, args...)})
}

func (l *limits) error() error {
	if len(l.found) == 0 {
		return nil
	}
	slices.SortStableFunc(l.found, func(a, b unsupported) int {
		return cmp.Or(a.at.Line-b.at.Line, a.at.Col-b.at.Col)
	})
	var lines []string
	for _, f := range l.found {
		lines = append(lines, fmt.Sprintf("%s: live: %s", placeIn(l.scenario, f.at), f.text))
	}
	place, first, _ := strings.Cut(slices.Compact(lines)[0], ": ")
	lines[0] = first
	return &Invalid{Place: place, Err: errors.New(strings.Join(slices.Compact(lines), "\n"))}
}

// network refuses settings that split or join a stream, since a scenario depends on
// them. It accepts delays: those of the real network replace them.
func (l *limits) network() {
	n := &l.scenario.Network.TCP
	if n.Split > 0 {
		l.add(l.scenario.Written["network.tcp.split"], "real sockets cannot be forced to split a stream; "+
			"send the parts with `tcp`")
	}
	if n.Join > 0 {
		l.add(l.scenario.Written["network.tcp.join"], "real sockets cannot be forced to join sends; "+
			"send the joined bytes with `tcp`")
	}
}

// faults refuses faults, which cannot be injected into real networks, disks and
// clocks.
func (l *limits) faults() {
	for _, f := range faultsOf(l.scenario) {
		l.add(f.Pos, "the fault `%s` needs virtual time", f.Kind)
	}
}

// times refuses times that are too precise for a live run.
func (l *limits) times() {
	for i := range l.scenario.Script {
		st := &l.scenario.Script[i]
		if st.At.Offset%realResolution != 0 {
			l.add(st.At.Pos, "the time is finer than %s, the resolution of a live run; "+
				"put the fraction of a second into a variable, and round it with --set", realResolution)
		}
		for k := range st.Expect {
			if e := &st.Expect[k]; e.Within%realResolution != 0 {
				l.add(e.Pos, "`within` is finer than %s, the resolution of a live run", realResolution)
			}
		}
	}
}

// spareFiles is the number of files of a process that are not of its phones.
const spareFiles = 32

// sockets refuses more phones than the process has file descriptors for. Each has a
// UDP socket and a connection, of which the run's own server holds the other end.
func (l *limits) sockets(o *Live) {
	each := 3
	if o.isRemote() {
		each = 2
	}
	names := l.scenario.PhoneNames()
	need := uint64(each*len(names) + spareFiles)
	if have, ok := openFiles(); ok && need > have {
		at := l.scenario.Phones[0].Pos
		l.add(at, "%d phones need %d file descriptors, and this process may have %d; allow more with: ulimit -n %d",
			len(names), need, have, need)
	}
}

// begin refuses a start that the clock of a live run cannot show, since its distance
// from the present exceeds a time.Duration.
func (l *limits) begin(o *Live) {
	const reach = 250 * 365 * 24 * time.Hour
	away := time.Until(time.Unix(l.scenario.Start, 0))
	if !o.isRemote() && (away > reach || away < -reach) {
		l.add(l.scenario.Written["start"], "the start is more than 250 years away, out of the range of a clock")
	}
}

// remote refuses what a run against a remote server cannot do or observe: settings of
// the server and restarts, exact times, and expectations or thresholds on anything but
// the server's answers.
func (l *limits) remote(o *Live) {
	s := l.scenario
	for path, at := range s.Written {
		given := path == "server.disk" || path == "server.block_duration" && strings.Contains(o.Command, "{block}")
		if strings.HasPrefix(path, "server.") && !given {
			l.add(at, "`%s` is a setting of a remote server, which this run cannot change",
				strings.TrimPrefix(path, "server."))
		}
	}
	for i := range s.Script {
		st := &s.Script[i]
		if st.Restart != nil {
			l.add(st.Restart.Pos, "a remote server cannot be restarted")
		}
		for k := range st.Expect {
			l.unobservable(&st.Expect[k], o)
		}
		l.writtenTimes(st)
	}
	for i := range s.Expect {
		e := &s.Expect[i]
		for _, t := range terms(e) {
			if p := t.Operand.Path; p != nil && (p.Counter == "uploads.resolved" || p.Field == "resolved") {
				l.add(e.Pos, "`%s` is known to the remote server only", p.Text)
			}
		}
	}
	for i := range s.Thresholds {
		if t := &s.Thresholds[i]; t.Metric == "uploads.resolved" {
			l.add(t.Pos, "`%s` is known to the remote server only", t.Metric)
		}
	}
}

// unobservable refuses expectations on the output and the decisions of a remote server.
func (l *limits) unobservable(e *scenarios.StepExpect, o *Live) {
	if o.Command == "" && (len(e.ServerPrints) > 0 || e.ServerPrintsNothing) {
		l.add(e.Pos, "the output of a remote server is not visible")
	}
	if e.Resolved != nil {
		l.add(e.Pos, "the number of entries that a remote server resolves is not visible")
	}
}

var wireTimeForm = regexp.MustCompile(`\d\d/\d\d/\d{4} `)

// writtenTimes refuses literal times with a remote server, where the time is the real
// one and not `start`.
func (l *limits) writtenTimes(st *scenarios.Step) {
	const why = "a time is written literally, but a remote server has the real time"
	if f := st.Forge; f != nil && (f.Start.Text != "" || f.Expiry.Text != "") {
		l.add(f.Pos, why)
	}
	texts := func(at scenarios.Pos, texts []string) {
		if slices.ContainsFunc(texts, wireTimeForm.MatchString) {
			l.add(at, why)
		}
	}
	if st.Datagrams != nil {
		texts(st.Datagrams.Pos, st.Datagrams.Send)
	}
	for k := range st.Expect {
		e := &st.Expect[k]
		for _, p := range slices.Concat(e.Prints, e.Replies) {
			texts(e.Pos, []string{p.Text})
		}
	}
}
