package sim

import (
	"slices"
	"time"

	"bluetrace/nodes"
)

// lead is how long before its moment a step must begin: a login connects and
// sends its username one pause before the password.
func (r *run) lead(st *step) time.Duration {
	if st.Login == nil {
		return 0
	}
	return r.scenario.LoginLead(st.Phone)
}

func (r *run) pause(phone int) time.Duration {
	for _, g := range r.scenario.Phones {
		if phone -= g.Count; phone < 0 {
			return g.PasswordPause
		}
	}
	return 0
}

// connectFor opens the connection of a login, unless the phone's program
// already waits for another password.
func (r *run) connectFor(st *step, at time.Duration) {
	kind := st.Login.Kind
	again := r.world.Stage(st.program) == nodes.StageAtPassword && !r.phones[st.program].opening
	if !again || kind == "half" || kind == "unknown" || st.Login.User != "" {
		if !r.freeProgram(st) {
			r.refuse(st, "every program of this phone has a login under way")
			return
		}
		r.phones[st.program].opening = true
		r.world.Open(st.program)
		name := at - r.pause(st.Phone)
		if kind == "half" {
			name = at
		}
		r.world.Call(name, func() { r.world.Type(st.program, r.userFor(st)) })
	}
	r.world.Call(at, func() { r.beginStep(st) })
}

// freeProgram finds a program of the phone that has no login under way.
func (r *run) freeProgram(st *step) bool {
	if r.free(st.program) {
		return true
	}
	for _, s := range r.extra {
		if s.phone == st.Phone && r.free(s.program) {
			st.program = s.program
			return true
		}
	}
	return false
}

func (r *run) free(program uint32) bool {
	return !r.phones[program].opening && r.world.Stage(program) != nodes.StageWaitingLogin
}

// userFor is the name that a login types.
func (r *run) userFor(st *step) string {
	switch {
	case st.Login.User != "":
		return st.Login.User
	case st.Login.Kind == "unknown":
		return "nobody-" + r.world.Name(uint32(st.Phone))
	}
	return r.accounts[st.Phone].user
}

// takeOver makes the second program of a phone its own, once it is welcomed.
func (r *run) takeOver(program uint32) {
	for _, s := range r.extra {
		if s.program != program {
			continue
		}
		who := uint32(s.phone)
		if st := r.world.Stage(who); st != nodes.StageOffline && st != nodes.StageLoggedOut {
			return
		}
		r.world.TakeOver(who, program)
		for i := range r.steps {
			if r.steps[i].program == program {
				r.steps[i].program = who
			}
		}
	}
}

// atPassword finds the program of the phone that waits for a password: of
// several the one that was started last.
func (r *run) atPassword(st *step) bool {
	for _, s := range slices.Backward(r.extra) {
		if s.phone == st.Phone && r.world.Stage(s.program) == nodes.StageAtPassword {
			st.program = s.program
			return true
		}
	}
	return r.world.Stage(st.program) == nodes.StageAtPassword
}

func (r *run) passwordText(who uint32, kind string) string {
	switch kind {
	case "right":
		return r.accounts[who].password
	case "wrong":
		return "not-" + r.accounts[who].password
	}
	return kind
}

func (r *run) actLogin(st *step) string {
	l := st.Login
	r.phones[st.program].opening = false
	if r.world.Stage(st.program) == nodes.StageOffline {
		return r.world.Name(st.program) + " has no connection to log in on: it was refused, or has ended"
	}
	switch {
	case l.Kind == "half":
		r.tookEffect(st)
	case l.Password != "":
		r.world.Type(st.program, l.Password)
	case l.Kind == "right":
		r.world.Type(st.program, r.passwordText(uint32(st.Phone), "right"))
	default:
		r.world.Type(st.program, r.passwordText(uint32(st.Phone), "wrong"))
	}
	return ""
}
