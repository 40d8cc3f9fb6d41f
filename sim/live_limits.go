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

// refuseLive returns an error that lists every part of the scenario that a live run
// cannot do, or nil if there is none.
func refuseLive(s *scenarios.Scenario, o *Live) error {
	l := limits{scenario: s, started: o.Command != ""}
	l.network()
	l.faults()
	l.programs()
	if o.mock == nil {
		l.times()
		l.sockets(o)
		l.begin(o)
	}
	if o.isRemote() {
		l.remote(o)
	}
	for i := range s.Script {
		if o.hasRealTime(s) {
			l.writtenTimes(&s.Script[i])
		}
	}
	l.refuse(!o.isRemote() && !hasPrograms(s) && o.Dialect != nil && s.Load == nil, s.Phones[0].Pos,
		"a dialect needs --server, --server-command or a phone with a `program`: the project's own server and phones "+
			"speak the protocol of docs/PROTOCOL.md")
	return l.error()
}

// limits collects the parts that a live run cannot do.
type limits struct {
	scenario *scenarios.Scenario
	started  bool // the run starts a server of another implementation
	found    []scenarios.Mistake
}

func (l *limits) add(at scenarios.Pos, format string, args ...any) {
	l.found = append(l.found, scenarios.Mistake{File: l.scenario.File, Pos: at, Message: "live: " +
		fmt.Sprintf(format, args...)})
}

// refuse adds a part that a live run cannot do, if the scenario has it.
func (l *limits) refuse(has bool, at scenarios.Pos, format string, args ...any) {
	if has {
		l.add(at, format, args...)
	}
}

func (l *limits) error() error {
	if len(l.found) == 0 {
		return nil
	}
	slices.SortStableFunc(l.found, func(a, b scenarios.Mistake) int {
		return cmp.Or(a.Pos.Line-b.Pos.Line, a.Pos.Col-b.Pos.Col)
	})
	var lines []string
	for _, f := range l.found {
		lines = append(lines, f.String())
	}
	place, first, _ := strings.Cut(slices.Compact(lines)[0], ": ")
	lines[0] = first
	return &Invalid{Place: place, Err: errors.New(strings.Join(slices.Compact(lines), "\n"))}
}

// network refuses settings that split or join a stream, since a scenario depends on
// them. It accepts delays: those of the real network replace them.
func (l *limits) network() {
	n := &l.scenario.Network.TCP
	l.refuse(n.Split > 0, l.scenario.Written["network.tcp.split"], "real sockets cannot be forced to split a stream; "+
		"send the parts with `tcp`")
	l.refuse(n.Join > 0, l.scenario.Written["network.tcp.join"], "real sockets cannot be forced to join sends; "+
		"send the joined bytes with `tcp`")
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
		l.refuse(st.At.Offset%realResolution != 0, st.At.Pos,
			"the time is finer than %s, the resolution of a live run; "+
				"put the fraction of a second into a variable, and round it with --set", realResolution)
		for k := range st.Expect {
			e := &st.Expect[k]
			l.refuse(e.Within%realResolution != 0, e.Pos, "`within` is finer than %s, the resolution of a live run",
				realResolution)
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
	have := openFiles()
	l.refuse(have > 0 && need > have, l.scenario.Phones[0].Pos, "%d phones need %d file descriptors, and this process "+
		"may have %d; allow more with: ulimit -n %d", len(names), need, have, need)
}

// begin refuses a start that the clock of a live run cannot show, since its distance
// from the present exceeds a time.Duration.
func (l *limits) begin(o *Live) {
	const reach = 250 * 365 * 24 * time.Hour
	away := time.Until(time.Unix(l.scenario.Start, 0))
	l.refuse(!o.hasRealTime(l.scenario) && (away > reach || away < -reach), l.scenario.Written["start"],
		"the start is more than 250 years away, out of the range of a clock")
}

// remote refuses what a run against a remote server cannot do or observe: settings of
// the server and restarts, exact times, and expectations or thresholds on anything but
// the server's answers.
func (l *limits) remote(o *Live) {
	s := l.scenario
	for path, at := range s.Written {
		given := path == "server.disk" || path == "server.block_duration" && strings.Contains(o.Command, "{block}")
		l.refuse(strings.HasPrefix(path, "server.") && !given, at,
			"`%s` is a setting of a remote server, which this run cannot change",
			strings.TrimPrefix(path, "server."))
	}
	for i := range s.Script {
		st := &s.Script[i]
		if st.Restart != nil && o.Command == "" {
			l.add(st.Restart.Pos, "a remote server cannot be restarted")
		}
		for k := range st.Expect {
			l.unobservable(&st.Expect[k], o)
		}
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
		t := &s.Thresholds[i]
		l.refuse(t.Metric == "uploads.resolved", t.Pos, "`%s` is known to the remote server only", t.Metric)
	}
}

// unobservable refuses expectations on the output and the decisions of a remote server.
func (l *limits) unobservable(e *scenarios.StepExpect, o *Live) {
	l.refuse(o.Command == "" && (len(e.ServerPrints) > 0 || e.ServerPrintsNothing), e.Pos,
		"the output of a remote server is not visible")
	l.refuse((e.Stores || e.Lifetime > 0) && o.Command == "", e.Pos,
		"the files of a remote server are not visible; start it with --server-command")
	l.refuse(e.Resolved != nil, e.Pos, "the number of entries that a remote server resolves is not visible")
}

var wireTimeForm = regexp.MustCompile(`\d\d/\d\d/\d{4} `)

// writtenTimes refuses literal times where other programs take part: the time is the real
// one and not `start`.
func (l *limits) writtenTimes(st *scenarios.Step) {
	const why = "a time is written literally, but the other programs have the real time"
	if f := st.Forge; f != nil && (f.Start.Text != "" || f.Expiry.Text != "") {
		l.add(f.Pos, why)
	}
	texts := func(at scenarios.Pos, texts []string) {
		l.refuse(slices.ContainsFunc(texts, wireTimeForm.MatchString), at, why)
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
