package sim

import (
	"fmt"
	"time"

	"bluetrace/nodes"
	"bluetrace/scenarios"
)

// runStep carries out a step that no script waits for.
func (r *run) runStep(s *scenarios.Step) {
	st := &step{Step: s, index: -1, program: uint32(s.Phone), stage: settled}
	r.commands.record(*s)
	if why := r.act(st); why != "" {
		panic(fmt.Sprintf("sim: an adversary cannot %s: %s", s.Text, why))
	}
}

func (st *step) looksOnly() bool {
	return st.Login == nil && st.Password == nil && st.Do == nil && st.Forge == nil &&
		st.Datagrams == nil && st.TCP == nil && st.Restart == nil && st.Fault == nil
}

// act does what the step says; it answers why it cannot.
func (r *run) act(st *step) string {
	who := uint32(st.Phone)
	switch {
	case st.Login != nil:
		return r.actLogin(st)
	case st.Password != nil:
		if !r.atPassword(st) {
			return fmt.Sprintf("%s waits for no password: it is %s", r.world.Name(who), r.world.Stage(who))
		}
		r.world.Type(st.program, r.passwordText(who, *st.Password))
	case st.Do != nil:
		return r.actCommand(st, who)
	case st.Forge != nil:
		r.forger.sendBeacon(st.Forge, &st.forge, who)
	case st.Datagrams != nil:
		for _, to := range st.Datagrams.To {
			r.forger.sendDatagrams(who, uint32(to), st.Datagrams.Port, st.Datagrams.Send, st.Datagrams.Gap)
		}
	case st.TCP != nil:
		return r.actTCP(st, who)
	case st.Restart != nil:
		r.world.RestartServer(st.Restart.Down)
		r.tookEffect(st)
	case st.Fault != nil:
		r.faults.schedule(st.Fault, r.world.Now())
		r.tookEffect(st)
	}
	return ""
}

func (r *run) actCommand(st *step, who uint32) string {
	c := st.Do
	switch c.Verb {
	case scenarios.VerbLogin:
		r.commands.login(who)
		return ""
	case scenarios.VerbBeacon:
		if _, ok := r.world.TempID(who); !ok && len(st.waits) == 0 {
			return r.world.Name(who) + " has no TempID to send: it has downloaded none"
		}
		r.commands.sendBeacons(who, c)
		return ""
	case scenarios.VerbType:
		for range c.Count {
			r.world.Type(who, c.Text)
		}
		r.tookEffect(st)
		return ""
	}
	stage := r.world.Stage(who)
	if stage != nodes.StageReady && stage != nodes.StageBusy {
		return fmt.Sprintf("%s is not at its prompt: it is %s", r.world.Name(who), stage)
	}
	if c.Verb == scenarios.VerbUpload {
		r.tookEffect(st) // the phone fixes at this moment what it uploads
	}
	for range c.Count {
		r.world.Type(who, string(c.Verb))
	}
	return ""
}

// actTCP speaks to the server byte for byte.
func (r *run) actTCP(st *step, who uint32) string {
	t := st.TCP
	w := r.world
	if t.Connect {
		w.RawOpen(who)
	} else if !w.RawIsOpen(who) {
		return fmt.Sprintf("%s has no open connection for tcp: write connect: true first", w.Name(who))
	}
	for i, text := range t.Send {
		p := []byte(r.commands.fill(who, text))
		st.toRead += len(p)
		last := i == len(t.Send)-1
		if i == 0 || t.Gap == 0 {
			w.RawSend(who, p)
			r.endTCP(st, who, last)
			continue
		}
		w.Call(w.Now()+time.Duration(i)*t.Gap, func() {
			if w.RawIsOpen(who) {
				w.RawSend(who, p)
				r.endTCP(st, who, last)
			}
		})
	}
	if len(t.Send) == 0 {
		r.endTCP(st, who, true)
		r.tookEffect(st)
	}
	return ""
}

func (r *run) endTCP(st *step, who uint32, last bool) {
	if last && (st.TCP.Close || st.TCP.Reset) {
		r.world.RawEnd(who, st.TCP.Reset)
	}
}

const noOperation = nodes.Operation(255)

// operation is what the step has its phone's program do.
func (st *step) operation() nodes.Operation {
	switch {
	case st.Login != nil && st.Login.Kind != "half", st.Password != nil:
		return nodes.OpLogin
	case st.Do == nil:
		return noOperation
	}
	switch st.Do.Verb {
	case scenarios.VerbLogin:
		return nodes.OpLogin
	case scenarios.VerbDownload:
		return nodes.OpDownload
	case scenarios.VerbUpload:
		return nodes.OpUpload
	case scenarios.VerbLogout:
		return nodes.OpLogout
	}
	return noOperation
}
