package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

// causes finds the reasons why connections ended and why steps could not take place.
type causes struct {
	script    *script
	restart   *step // the last one
	restarted time.Duration
	// before has, by phone, the last step of each kind on which others depend.
	before map[dependency]*step
}

// dependency is a kind of steps of a phone: those that log in, that download or, with noOperation, that open a
// connection of the script.
type dependency struct {
	phone int
	kind  nodes.Operation
}

// acted records a step that has acted or was refused.
func (c *causes) acted(st *step) {
	switch {
	case st.Login != nil, st.Password != nil:
		c.before[dependency{st.Phone, nodes.OpLogin}] = st
	case st.TCP != nil && st.TCP.Connect:
		c.before[dependency{st.Phone, noOperation}] = st
	case st.operation() == nodes.OpDownload:
		c.before[dependency{st.Phone, nodes.OpDownload}] = st
	case st.Restart != nil:
		c.restart, c.restarted = st, c.script.world.Now()
	}
}

// endsConnections are the kinds of faults that may end the connections of their nodes.
var endsConnections = []fault.Kind{
	fault.Reset, fault.HalfClose, fault.Refuse, fault.TimeOut, fault.Crash, fault.SwitchOff,
}

// ofEnd returns the last fault or restart that may have ended a connection of a phone now, as the end of a sentence. It
// returns "" if there is none. byPhone reports that the phone closed the connection.
func (c *causes) ofEnd(phone event.Node, byPhone bool) (text string) {
	last := time.Duration(math.MinInt64)
	now, linger := c.script.world.Now(), c.script.effectLimit()
	add := func(at, lasts time.Duration, format string, args ...any) {
		if at >= last && at <= now && now <= at+lasts+linger {
			last, text = at, ", because of "+fmt.Sprintf(format, args...)
		}
	}
	if st := c.restart; st != nil && !byPhone {
		add(c.restarted, st.Restart.Down, "the restart at line %d", st.Pos.Line)
	}
	for i := range c.script.faults.requested {
		f := &c.script.faults.requested[i]
		of, kinds := c.script.faults.nodes(f.Of), endsConnections
		if byPhone {
			of.Server, kinds = false, []fault.Kind{fault.Crash, fault.SwitchOff}
		}
		// A fault that begins now may stop the phone before its effect is reported.
		if slices.Contains(kinds, f.Kind) && (of.Has(phone) || of.Has(event.Server)) &&
			(f.hadEffect || f.began == now) {
			add(f.began, f.For, "the fault at line %d (%s)", f.Pos.Line, f.Text)
		}
	}
	return text
}

// ofRefusal returns the earlier step because of which a step cannot take place, or nil, and the reason in full.
func (c *causes) ofRefusal(st *step, why string) (blamed *step, reason string) {
	p, s := c.script.owners.programs[st.program], st.session
	of := c.script.labelled[st.At.Label]
	switch {
	case of != nil && !of.effect.known:
		p, blamed, s = nil, of, of.session
		why += fmt.Sprintf("; the step at line %d took no effect", of.Pos.Line)
	case st.Login != nil:
	case st.TCP != nil:
		if p, blamed = nil, c.before[dependency{st.Phone, noOperation}]; blamed != nil {
			s = blamed.session
		}
	case st.sendsBeacon():
		blamed = c.before[dependency{st.Phone, nodes.OpDownload}]
	case st.Do != nil, st.Password != nil:
		blamed = c.before[dependency{st.Phone, nodes.OpLogin}]
	}
	if s == nil && p != nil {
		s = p.session
	}
	if blamed != nil && blamed.result.succeeded {
		blamed = nil // its session has ended since
	}
	if blamed != nil && blamed.Optional {
		why += fmt.Sprintf("; the optional step at line %d did not succeed", blamed.Pos.Line)
	}
	switch {
	case p != nil && p.off:
		why += "; its program does not run" + c.ofEnd(st.program, true)
	case s != nil && s.ended != "":
		why += "; " + s.ended
	}
	return blamed, why
}
