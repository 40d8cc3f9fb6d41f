package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/scenarios"
)

// runUnscripted carries out a step of an adversary, which has no expectations and no label.
func (sc *script) runUnscripted(s *scenarios.Step) {
	st := &step{Step: s, index: -1, program: uint32(s.Phone), stage: settled}
	sc.commands.record(*s, 0)
	if why := sc.act(st); why != "" {
		panic(fmt.Sprintf("sim: an adversary cannot %s: %s", s.Text, why))
	}
}

// act carries out the action of a step. It returns the reason why it cannot, or "".
func (sc *script) act(st *step) string {
	who := uint32(st.Phone)
	if st.ofProgram {
		return sc.typeAtProgram(st)
	}
	switch {
	case st.Login != nil:
		return sc.typePasswordOfLogin(st)
	case st.Password != nil:
		if !sc.findPasswordPrompt(st) {
			return fmt.Sprintf("%s waits for no password: it is %s", sc.world.Name(who), sc.world.Stage(who))
		}
		sc.commands.typeLine(st.program, sc.passwordText(who, *st.Password))
	case st.Do != nil:
		return sc.runCommand(st, who)
	case st.Forge != nil:
		sc.forger.sendBeacon(st.Forge, &st.forge, who)
	case st.Datagrams != nil:
		for _, to := range st.Datagrams.To {
			sc.forger.sendDatagrams(who, uint32(to), st.Datagrams.Port, st.Datagrams.Send, st.Datagrams.Gap)
		}
	case st.TCP != nil:
		return sc.sendBytes(st, who)
	case st.Restart != nil:
		sc.causes.acted(st)
		sc.world.RestartServer(st.Restart.Down)
		sc.takeEffect(st)
	case st.Fault != nil:
		sc.faults.schedule(st.Fault, sc.world.Now())
		sc.takeEffect(st)
	}
	return ""
}

// runCommand carries out a command of the phone's program.
func (sc *script) runCommand(st *step, who uint32) string {
	c := st.Do
	switch c.Verb {
	case scenarios.VerbLogin:
		sc.commands.login(who)
		return ""
	case scenarios.VerbBeacon:
		if _, ok := sc.world.TempID(who); !ok && (st.Optional || len(st.expectations) == 0) {
			return sc.world.Name(who) + " has no TempID to send: it has downloaded none"
		}
		sc.commands.sendBeacons(who, c)
		return ""
	case scenarios.VerbType:
		sc.commands.typeCommand(who, c)
		sc.takeEffect(st)
		return ""
	}
	stage := sc.world.Stage(who)
	if stage != nodes.StageReady && stage != nodes.StageBusy {
		return fmt.Sprintf("%s is not at its prompt: it is %s", sc.world.Name(who), stage)
	}
	if c.Verb == scenarios.VerbUpload {
		sc.takeEffect(st) // the phone decides now which entries it uploads
	}
	sc.commands.typeCommand(who, c)
	return ""
}

// sendBytes sends the bytes of a step on a connection that the script drives itself.
func (sc *script) sendBytes(st *step, who uint32) string {
	t := st.TCP
	w := sc.world
	if !t.Connect && !w.RawIsOpen(who) {
		return fmt.Sprintf("%s has no open connection for tcp: write connect: true first", w.Name(who))
	}
	sc.owners.joinRaw(st)
	if t.Connect {
		w.RawOpen(who)
	}
	end := func(last bool) {
		if last && (t.Close || t.Reset) {
			if st.session != nil {
				st.session.ender = st
			}
			w.RawEnd(who, t.Reset)
		}
	}
	for i, text := range t.Send {
		p := []byte(sc.commands.fill(who, text))
		st.toRead += len(p)
		send := func() {
			if s := st.session; s != nil {
				s.queued = append(s.queued, st)
			}
			w.RawSend(who, p)
			end(i == len(t.Send)-1)
		}
		if i == 0 || t.Gap == 0 {
			send()
			continue
		}
		w.Call(w.Now()+time.Duration(i)*t.Gap, func() {
			if w.RawIsOpen(who) && (st.session == nil || st.session == sc.owners.raw[who]) {
				send()
			}
		})
	}
	if len(t.Send) == 0 {
		end(true)
		sc.takeEffect(st)
	}
	return ""
}

const noOperation = nodes.Operation(255)

// operation returns the operation of the phone's program that the step causes.
func (st *step) operation() nodes.Operation {
	switch {
	case st.ofProgram:
		return noOperation
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

// lead returns the time by which a step begins before its given time. A login connects and sends its user name one
// pause before its password, whose time is the time of the step.
func (sc *script) lead(st *step) time.Duration {
	if st.Login == nil || st.ofProgram {
		return 0
	}
	return sc.scenario.LoginLead(st.Phone)
}

// connectFor opens the connection of a login and schedules its user name and its password. It does not connect if the
// phone's program already waits for another password.
func (sc *script) connectFor(st *step, at time.Duration) {
	kind := st.Login.Kind
	again := sc.world.Stage(st.program) == nodes.StageAtPassword && !sc.loggingIn[st.program]
	if !again || kind == "half" || kind == "unknown" || st.Login.User != "" {
		if !sc.findFreeProgram(st) {
			sc.refuse(st, "every program of this phone has a login under way")
			return
		}
		sc.loggingIn[st.program] = true
		sc.as(st, func() { sc.commands.open(st.program) })
		name := at - sc.lead(st) + 2*sc.scenario.Network.TCP.Delay.Longest() // when the connection is open
		if kind == "half" {
			name = at
		}
		sc.world.Call(name, func() {
			sc.as(st, func() { sc.commands.typeLine(st.program, sc.userName(uint32(st.Phone), st.Login)) })
		})
	}
	sc.world.Call(at, func() { sc.beginStep(st) })
}

// findFreeProgram assigns to the step a program of its phone that has no login in progress. It returns false if there
// is none.
func (sc *script) findFreeProgram(st *step) bool {
	if sc.isFree(st.program) {
		return true
	}
	for _, program := range sc.extraOf[st.Phone] {
		if sc.isFree(program) {
			st.program = program
			sc.using[program] = append(sc.using[program], st)
			return true
		}
	}
	return false
}

func (sc *script) isFree(program uint32) bool {
	return !sc.loggingIn[program] && sc.world.Stage(program) != nodes.StageWaitingLogin
}

// userName returns the user name that a login of a phone types.
func (sc *script) userName(who uint32, l *scenarios.Login) string {
	switch {
	case l.User != "":
		return l.User
	case l.Kind == "unknown":
		return "nobody-" + sc.world.Name(who)
	}
	return sc.accounts[who].user
}

// loginPassword returns the password that a login of a phone types.
func (sc *script) loginPassword(who uint32, l *scenarios.Login) string {
	kind := "wrong"
	if l.Kind == "right" {
		kind = "right"
	}
	return cmp.Or(l.Password, sc.passwordText(who, kind))
}

// passwordText returns the password of a kind: "right", "wrong", or the password itself.
func (sc *script) passwordText(who uint32, kind string) string {
	switch kind {
	case "right":
		return sc.accounts[who].password
	case "wrong":
		return sc.accounts[who].wrong()
	}
	return kind
}

// typePasswordOfLogin types the password of a login whose connection is open.
func (sc *script) typePasswordOfLogin(st *step) string {
	l := st.Login
	sc.loggingIn[st.program] = false
	if sc.world.Stage(st.program) == nodes.StageOffline {
		return sc.world.Name(st.program) + " has no connection to log in on: it was refused, or has ended"
	}
	if l.Kind == "half" {
		sc.takeEffect(st)
		return ""
	}
	sc.commands.typeLine(st.program, sc.loginPassword(uint32(st.Phone), l))
	return ""
}

// findPasswordPrompt assigns to the step the program of its phone that waits for a password, the one that was started
// last if there are several. It returns false if there is none.
func (sc *script) findPasswordPrompt(st *step) bool {
	for _, program := range slices.Backward(sc.extraOf[st.Phone]) {
		if sc.world.Stage(program) == nodes.StageAtPassword {
			st.program = program
			sc.using[program] = append(sc.using[program], st)
			return true
		}
	}
	return sc.world.Stage(st.program) == nodes.StageAtPassword
}

// takeOver lets the phone's own program continue with the session of an additional program that has logged in.
func (sc *script) takeOver(program uint32) {
	who := uint32(sc.extra[int(program)-len(sc.accounts)])
	if st := sc.world.Stage(who); st != nodes.StageOffline && st != nodes.StageLoggedOut {
		return
	}
	sc.world.TakeOver(who, program)
	for _, st := range sc.using[program] {
		if st.program = who; st.stage == began {
			sc.watch(st)
		}
	}
	sc.using[program] = nil
}
