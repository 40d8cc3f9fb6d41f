package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bluetrace/protocol"
	"bluetrace/protocol/dialect"
	"bluetrace/scenarios"
	"bluetrace/sim/event"
	"bluetrace/sim/foreign"
	"bluetrace/sim/world"
)

// programWorld is a world in which phones can be programs of other implementations.
type programWorld interface {
	world.World
	// Address returns the UDP address of a phone.
	Address(phone uint32) protocol.Address
	// Input writes a text to the standard input of a program, and then ends it if end is set. The event LineTyped
	// follows.
	Input(phone uint32, text string, end bool)
	// Logged returns the TempIDs in the contact log of a program, in their order.
	Logged(phone uint32) []string
	// LogLines returns the lines of that contact log with TempIDs.
	LogLines(phone uint32) []string
	// Usage returns the use of resources by a program.
	Usage(phone uint32) (foreign.Usage, error)
}

// programs are the phones of a run that are programs of other implementations.
type programs struct {
	world programWorld // nil if there are none
	is    []bool       // by phone; nil if there are none
	typed dialect.Typed
	ended map[uint32]string // the reasons of the programs that have ended
}

// newPrograms finds the programs among the phones of a scenario. o is nil if the scenario is only checked.
func newPrograms(s *scenarios.Scenario, o *Live) programs {
	p := programs{ended: map[uint32]string{}}
	if !hasPrograms(s) {
		return p
	}
	for _, g := range groupsOf(s) {
		p.is = append(p.is, g.Program != "")
	}
	if o != nil && o.Dialect != nil {
		p.typed = o.Dialect.Typed
	}
	return p
}

// has reports whether a phone is such a program. An additional program of another phone is none.
func (p *programs) has(phone uint32) bool { return int(phone) < len(p.is) && p.is[phone] }

// typeAtProgram types the lines of a step at a program of another implementation. It returns the reason why it cannot,
// or "". The step takes effect when the last line is written.
func (sc *script) typeAtProgram(st *step) string {
	if ended := sc.programs.ended[st.program]; ended != "" {
		return ended
	}
	lines, end := sc.linesOf(st), ""
	switch c := st.Do; {
	case c != nil && c.Verb == scenarios.VerbEndInput:
		lines = []string{""}
	case c == nil || !c.Half:
		end = "\n"
	}
	st.toRead = len(lines)
	for _, line := range lines {
		sc.owners.enter(st.program, line)
		sc.programs.world.Input(st.program, line+end, end == "" && line == "")
	}
	return ""
}

// lineTyped handles that a line of a step was written.
func (sc *script) lineTyped(p *program, e *event.Event) {
	if !sc.programs.has(e.Node) || len(p.lines) == 0 {
		return
	}
	if st := p.lines[len(p.lines)-1].step; st != nil {
		if st.toRead--; st.toRead == 0 {
			sc.takeEffect(st)
		}
	}
}

// linesOf returns the lines that a step types: those of the dialect, or the words of the course specification.
func (sc *script) linesOf(st *step) (lines []string) {
	typed, c := &sc.programs.typed, st.Do
	switch {
	case st.Login != nil:
		return sc.loginLines(st.program, st.Login)
	case st.Password != nil:
		return []string{sc.passwordText(st.program, *st.Password)}
	case c.Verb == scenarios.VerbLogin:
		return sc.loginLines(st.program, &scenarios.Login{Kind: "right"})
	case c.Verb == scenarios.VerbDownload:
		lines = filled(typed.Download, []string{protocol.CommandDownload})
	case c.Verb == scenarios.VerbUpload:
		lines = filled(typed.Upload, []string{protocol.CommandUpload})
	case c.Verb == scenarios.VerbLogout:
		lines = filled(typed.Logout, []string{protocol.CommandLogoutJoined})
	case c.Verb == scenarios.VerbBeacon:
		for _, to := range c.To {
			at := sc.programs.world.Address(uint32(to)).AddrPort()
			lines = append(lines, filled(typed.Beacon, []string{"Beacon {ip} {port}"},
				"{ip}", at.Addr().String(), "{port}", strconv.Itoa(int(at.Port())))...)
		}
	default:
		lines = []string{c.Text}
	}
	one := lines
	for range c.Count - 1 {
		lines = append(lines, one...)
	}
	return lines
}

// loginLines returns the lines of a login. A half one ends before the password.
func (sc *script) loginLines(who uint32, l *scenarios.Login) []string {
	lines := sc.programs.typed.Login
	if len(lines) == 0 {
		lines = []string{"{user}", "{password}"}
	}
	at := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, "{password}") })
	if l.Kind == "half" && at >= 0 {
		lines = lines[:at]
	}
	return filled(lines, nil, "{user}", sc.userName(who, l), "{password}", sc.loginPassword(who, l))
}

// filled returns the lines of the dialect, or those of the course if it has none, with their placeholders replaced.
func filled(own, course []string, values ...string) (lines []string) {
	if len(own) == 0 {
		own = course
	}
	for _, line := range own {
		lines = append(lines, strings.NewReplacer(values...).Replace(line))
	}
	return lines
}

// programEnded handles the end of a program. It prints nothing more.
func (sc *script) programEnded(e *event.Event) {
	if !sc.programs.has(e.Node) {
		return
	}
	sc.programs.ended[e.Node] = e.Text
	for _, x := range sc.screens[e.Node] {
		x.programEnded(e.Text)
	}
}

func hasPrograms(s *scenarios.Scenario) bool {
	return slices.ContainsFunc(s.Phones, func(g scenarios.PhoneGroup) bool { return g.Program != "" })
}

// refusePrograms returns an error if a run without real sockets and a real clock has a phone that is a program, or a
// step for one.
func refusePrograms(s *scenarios.Scenario) error {
	for i := range s.Phones {
		if g := &s.Phones[i]; g.Program != "" {
			return &Invalid{s.Place(g.Pos), fmt.Errorf(
				"phone %s: `program` needs a live run (--live), since another program has the real time",
				g.Name)}
		}
	}
	l := limits{scenario: s}
	l.stepsOfPrograms(func(int) bool { return false })
	return l.error()
}

// programs refuses what a program of another implementation cannot do, or does not show.
func (l *limits) programs() {
	s := l.scenario
	groups := groupsOf(s)
	is := func(phone int) bool { return phone >= 0 && groups[phone].Program != "" }
	l.stepsOfPrograms(is)
	for i := range s.Routine {
		for _, phone := range s.Routine[i].Phones {
			l.refuse(is(phone), s.Routine[i].Pos, "a routine needs phones of this project, and `%s` has a `program`",
				groups[phone].Name)
		}
	}
	for i := range s.Expect {
		for _, t := range terms(&s.Expect[i]) {
			p := t.Operand.Path
			if p == nil || p.Field == "log" {
				continue
			}
			for _, phone := range p.Phones {
				l.refuse(is(phone), s.Expect[i].Pos,
					"`%s` is not visible: `%s` has a `program`", p.Text, groups[phone].Name)
			}
		}
	}
}

// stepsOfPrograms refuses steps that need the other kind of phone. isProgram reports whether a phone is a program.
func (l *limits) stepsOfPrograms(isProgram func(phone int) bool) {
	for i := range l.scenario.Script {
		st := &l.scenario.Script[i]
		switch c := st.Do; {
		case isProgram(st.Phone):
			l.stepOfProgram(st)
		case c != nil && (c.Verb == scenarios.VerbEndInput || c.Half):
			l.add(c.Pos, "this needs a phone with a `program`, which has a standard input")
		case st.Forge != nil && isProgram(st.Forge.Copy):
			l.add(st.Forge.Pos, "the TempID of a phone with a `program` is not known; expected another phone at `copy`")
		}
		for k := range st.Expect {
			e := &st.Expect[k]
			l.refuse(e.Ends != nil && !isProgram(e.Phone), e.Pos,
				"`ends` needs a phone with a `program`, whose process can end")
			l.refuse(e.LogUnbroken && !isProgram(e.Phone), e.Pos,
				"`log_unbroken` needs a phone with a `program`, whose file can be read during a change")
			l.refuse((e.Busy > 0 || e.Growth > 0) && !isProgram(e.Phone) && !l.started, e.Pos,
				"`busy` and `growth` need a live run with a phone that has a `program`, or with "+
					"--server-command")
			l.refuse(e.TempID != "" && isProgram(e.Phone), e.Pos,
				"`tempid` is not visible: the phone has a `program`; expected `prints`")
		}
	}
}

// stepOfProgram refuses the actions and expectations that a program does not have. Its user types, and sees its screen,
// its contact log and its end.
func (l *limits) stepOfProgram(st *scenarios.Step) {
	switch {
	case st.Forge != nil:
		l.add(st.Forge.Pos, "a phone with a `program` sends its own beacons; forge them from another phone")
	case st.Datagrams != nil:
		l.add(st.Datagrams.Pos, "a phone with a `program` sends its own datagrams; send these from another phone")
	case st.TCP != nil:
		l.add(st.TCP.Pos, "a phone with a `program` has its own connection; use `tcp` of another phone")
	case st.Do != nil && st.Do.Contacts:
		l.add(st.Do.Pos, "a phone with a `program` types an address; name the receivers at `to`")
	}
	for k := range st.Expect {
		e := &st.Expect[k]
		for _, one := range []struct {
			key     string
			written bool
		}{
			{"reply", len(e.Replies) > 0}, {"silent", e.NoReply}, {"closed", e.Closed != nil},
			{"entries", e.Entries != nil}, {"resolved", e.Resolved != nil},
		} {
			l.refuse(one.written, e.Pos,
				"`%s` is not visible: the phone has a `program`, of which a run sees the screen, the "+
					"contact log and the end; expected `prints`, `log` or `ends`", one.key)
		}
	}
}
