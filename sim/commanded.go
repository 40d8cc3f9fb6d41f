package sim

import (
	"bluetrace/scenarios"
)

// commanded tells what is done now as the step that does the same at this time.
// Whatever the script does not do by itself is optional.
func (r *run) commanded(st scenarios.Step) {
	if r.options.Commanded == nil {
		return
	}
	now := r.world.Now()
	st.At = scenarios.When{Pos: st.Pos, Offset: now}
	st.As, st.Expect = "", nil
	st.Optional = r.acting == nil || r.acting.Optional
	if st.TCP != nil && r.accounts[st.Phone].user == "" { // a file cannot say {user} of it
		st.TCP = r.filled(&st)
	}
	r.options.Commanded(now, st)
}

// filled has what a step sends spelt out.
func (r *run) filled(st *scenarios.Step) *scenarios.TCP {
	t := *st.TCP
	t.Send = nil
	for _, text := range st.TCP.Send {
		if text = r.fill(uint32(st.Phone), text); text != "" {
			t.Send = append(t.Send, text)
		}
	}
	return &t
}

// commandedLogin is a login whose connection is opened now: its moment is that
// of its password.
func (r *run) commandedLogin(who uint32, c *scenarios.Command) {
	st := scenarios.Step{Pos: c.Pos, Text: string(c.Verb), Phone: int(who), Login: &scenarios.Login{Pos: c.Pos, Kind: "right"}}
	st.Optional = true
	now := r.world.Now()
	st.At = scenarios.When{Pos: c.Pos, Offset: now + r.scenario.LoginLead(int(who))}
	r.options.Commanded(now, st)
}

// commandedBeacon is a beacon to those whom it goes to now; a phone without a
// TempID sends none.
func (r *run) commandedBeacon(who uint32, c *scenarios.Command, to []uint32) {
	if _, ok := r.world.TempID(who); !ok {
		return
	}
	one := scenarios.Command{Pos: c.Pos, Verb: scenarios.VerbBeacon, Count: c.Count}
	for _, t := range to {
		one.To = append(one.To, int(t))
	}
	r.commanded(scenarios.Step{Pos: c.Pos, Text: string(c.Verb), Phone: int(who), Do: &one})
}
