package swarm

import (
	"fmt"
	"time"

	"bluetrace/protocol"
	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
)

// userActions draws commands at random times. In half of the scenarios some of them are followed by a fault.
func (g *generator) userActions() {
	if len(g.withAccount) == 0 {
		return
	}
	n, withFault := g.IntN(4*min(len(g.withAccount), 12)), 0
	faultsFollow := g.oneIn(2)
	for range n {
		phone, at := g.anyWithAccount(), g.between(0, g.plan.Heal-time.Millisecond)
		st := g.drawAction()
		st.Phone, st.At.Offset, st.Optional = phone, at, true
		if faultsFollow && g.oneIn(2) {
			withFault++
			st.As = fmt.Sprintf("action-%d", withFault)
		}
		g.s.Script = append(g.s.Script, *st)
		if st.As != "" {
			g.faultAfterAction(st)
		}
	}
	if n > 0 {
		g.note("user actions: %d, of which %d are followed by a fault", n, withFault)
	}
}

// drawAction draws a step with a login or a command.
func (g *generator) drawAction() *scenarios.Step {
	if g.oneIn(3) {
		return login(oneOf(g, "right", "right", "wrong", "wrong", "half", "unknown"))
	}
	st := command(oneOf(g,
		scenarios.VerbDownload, scenarios.VerbDownload, scenarios.VerbUpload, scenarios.VerbUpload,
		scenarios.VerbBeacon, scenarios.VerbLogout), nil)
	if st.Do.Verb == scenarios.VerbBeacon {
		st.Do.Count += g.IntN(20) / 19
		st.Do.To = []int{g.IntN(g.phones)}
	}
	return st
}

// login returns a step with a login of the given kind. A wrong password does not contain the right one: the server
// could otherwise read the right one as a piece of the wrong one.
func login(kind string) *scenarios.Step {
	l := &scenarios.Login{Kind: kind}
	if kind == "wrong" {
		l.Password = "mistaken"
	}
	return &scenarios.Step{Login: l, Text: "login: " + kind}
}

// command returns a step with one command. to has the receivers of a beacon.
func command(v scenarios.Verb, to []int) *scenarios.Step {
	return &scenarios.Step{Do: &scenarios.Command{Verb: v, To: to, Count: 1}, Text: "do: " + string(v)}
}

// faultAfterAction appends a step with a fault that begins shortly after an action, so that it hits the action in
// progress or just completed.
func (g *generator) faultAfterAction(action *scenarios.Step) {
	f := scenarios.Fault{Chance: 1, Of: phoneNode(action.Phone)}
	kinds := []fault.Kind{
		fault.Crash, fault.Crash, fault.Reset, fault.Cut, fault.Pause,
		fault.Stall, fault.HalfClose, fault.SwitchOff, fault.Disk,
	}
	f.Kind = oneOf(g, kinds...)
	within := oneOf(g, 10*time.Millisecond, 300*time.Millisecond, 3*time.Second)
	if action.Do != nil && action.Do.Verb == scenarios.VerbUpload { // it takes many round trips
		f.Kind = oneOf(g, kinds[:4]...)
		within = oneOf(g, 200*time.Millisecond, time.Second, 5*time.Second)
	}
	if f.Kind != fault.SwitchOff && g.oneIn(2) {
		f.Of = serverNode()
	}
	f.For = g.between(time.Millisecond, oneOf(g, 50*time.Millisecond, time.Second, 20*time.Second))
	switch f.Kind {
	case fault.Crash:
		f.Unsynced = g.unsynced()
	case fault.Cut:
		f.From = anyNode()
	case fault.Disk:
		g.diskFault(&f)
	case fault.Reset, fault.HalfClose:
		f.For = 0
	}
	st := scenarios.Step{Phone: -1, Optional: true, Fault: &f, Before: g.plan.Heal}
	st.At = scenarios.When{Label: action.As, Offset: g.between(0, within)}
	f.Text = g.s.StepFaultText(&f)
	st.Text = f.Text
	g.s.Script = append(g.s.Script, st)
	g.heal.actions = max(g.heal.actions, st.At.Offset+f.For)
}

// sequences adds sequences of actions with a fault at a critical point in each. Some bugs need a fault followed by
// certain actions, and actions that are drawn independently seldom come in that order.
func (g *generator) sequences() {
	if len(g.withAccount) == 0 || !g.oneIn(4) {
		return
	}
	for range 1 + g.IntN(2) {
		s := sequence{g: g, phone: g.anyWithAccount(), gap: oneOf(g, time.Second, 2*time.Second, 4*time.Second)}
		s.gap = min(s.gap, g.plan.Heal/maxSequence)
		s.at = g.between(0, g.plan.Heal-maxSequence*s.gap)
		kind := []struct {
			name string
			draw func()
		}{
			{"wrong passwords", s.wrongPasswords}, {"welcomes", s.welcomes},
			{"downloads", s.downloads}, {"beacons", s.beacons}, {"pieces of answers", s.pieces},
		}[g.IntN(5)]
		g.note("sequence: %s of %s, one every %v from %v", kind.name, g.names[s.phone], s.gap, s.at)
		kind.draw()
	}
}

// maxSequence is the maximum number of gaps in a sequence.
const maxSequence = 16

// sequence is a sequence of actions of one phone, with equal gaps between them.
type sequence struct {
	g     *generator
	phone int
	at    time.Duration // of the next action
	gap   time.Duration
}

// addStep appends a step and advances to the next.
func (s *sequence) addStep(st *scenarios.Step) {
	st.Optional, st.At = true, scenarios.When{Offset: s.at}
	s.g.s.Script = append(s.g.s.Script, *st)
	s.at += s.gap
}

func (s *sequence) addLogin(phone int, kind string) {
	st := login(kind)
	st.Phone = phone
	s.addStep(st)
}

func (s *sequence) addCommand(v scenarios.Verb, to []int) {
	st := command(v, to)
	st.Phone = s.phone
	s.addStep(st)
}

// repeat calls do between least and most times.
func (s *sequence) repeat(least, most int, do func()) {
	for range least + s.g.IntN(most-least+1) {
		do()
	}
}

// addDiskFault lets the server's disk fail during the next steps, either every operation or only one or two.
func (s *sequence) addDiskFault(steps int) {
	f := scenarios.Fault{Kind: fault.Disk, Chance: 1, Of: serverNode()}
	f.At, f.For = max(s.at-s.gap/2, 0), time.Duration(steps)*s.gap
	f.Disk = oneOf(s.g, "full", "failing", "fsync")
	if f.Disk != "full" && s.g.oneIn(2) {
		f.Count = 1 + s.g.IntN(2)
	}
	s.g.addFault(f)
}

// addCrash crashes a node between two steps.
func (s *sequence) addCrash(of scenarios.Nodes, at time.Duration, unsynced string) {
	f := scenarios.Fault{Kind: fault.Crash, Chance: 1, Of: of, At: at, Unsynced: unsynced}
	f.For = s.g.between(time.Millisecond, s.gap/2)
	s.g.addFault(f)
}

// wrongPasswords logs in with wrong passwords of a name that the server cannot save, then with another name that it can
// save, and crashes the server. Wrong passwords counted before the crash must count after it.
func (s *sequence) wrongPasswords() {
	wrong := func() { s.addLogin(s.phone, "wrong") }
	s.repeat(0, 1, wrong)
	failed := 1 + s.g.IntN(2)
	s.addDiskFault(failed)
	for range failed {
		wrong()
	}
	s.repeat(0, 2, func() { s.addLogin(s.g.anyWithAccount(), oneOf(s.g, "wrong", "right", "unknown")) })
	s.addCrash(serverNode(), s.at, s.g.unsynced())
	s.at += s.gap
	for range 3 {
		wrong()
	}
}

// welcomes logs in while the server's disk is slow, and crashes the server before the disk has the record that the
// answer waits for.
func (s *sequence) welcomes() {
	wrong := func() { s.addLogin(s.phone, "wrong") }
	s.repeat(1, 2, wrong)
	slow := scenarios.Fault{Kind: fault.Disk, Chance: 1, Of: serverNode(), At: s.at - s.gap/2, For: 4 * s.gap}
	slow.Disk, slow.Delay = "slow", constantDelay(3*s.gap)
	s.g.addFault(slow)
	s.repeat(1, 2, func() { s.addLogin(s.phone, "right") })
	s.addCrash(serverNode(), s.at, s.g.unsynced())
	s.at += s.gap
	s.repeat(1, 3, wrong)
}

// downloads downloads TempIDs before, during and after a failure of the server's disk, and crashes the server.
func (s *sequence) downloads() {
	download := func() { s.addCommand(scenarios.VerbDownload, nil) }
	s.addLogin(s.phone, "right")
	s.repeat(1, 3, download)
	failed := 1 + s.g.IntN(2)
	s.addDiskFault(failed)
	for range failed {
		download()
	}
	s.repeat(0, 2, download)
	s.addCrash(serverNode(), s.at, s.g.unsynced())
}

// beacons sends pairs of beacons to a phone and crashes the phone while it writes one of them to its disk, four times.
func (s *sequence) beacons() {
	if s.g.phones < 2 {
		return
	}
	to := s.g.IntN(s.g.phones - 1)
	if to >= s.phone {
		to++
	}
	s.addLogin(s.phone, "right")
	s.addCommand(scenarios.VerbDownload, nil)
	beacon := func() { s.addCommand(scenarios.VerbBeacon, []int{to}) }
	for range 4 {
		beacon()
		s.at -= s.gap - s.g.between(time.Millisecond, min(s.gap, time.Second)/2)
		at := s.at
		beacon() // it waits for the write of the next second
		s.addCrash(phoneNode(to), at+s.g.between(time.Millisecond, min(s.gap, time.Second)/2), "torn")
		s.at += s.gap
	}
}

// pieces downloads TempIDs whose answers the network cuts into pieces. Some of the pieces arrive when the phone has
// already given up the wait, and its next commands have been sent.
func (s *sequence) pieces() {
	s.addLogin(s.phone, "right")
	f := scenarios.Fault{Kind: fault.Pieces, Chance: 1, Of: phoneNode(s.phone), At: s.at - s.gap/2, For: 2 * s.gap}
	f.Bytes = 1 + s.g.IntN(protocol.TempIDSize-1)
	s.g.addFault(f)
	f.Kind, f.Bytes, f.Of = fault.Delay, 0, scenarios.Nodes{}
	f.Stream, f.From, f.To = true, serverNode(), phoneNode(s.phone)
	f.Chance, f.Delay = oneOf(s.g, 0.1, 0.3, 0.6), constantDelay(s.g.between(8*time.Second, 16*time.Second))
	s.g.addFault(f)
	s.addCommand(scenarios.VerbDownload, nil)
	s.at += s.g.between(8*time.Second, min(14*time.Second, 12*s.gap)) // about the limit of an answer
	s.repeat(1, 2, func() { s.addCommand(oneOf(s.g, scenarios.VerbDownload, scenarios.VerbUpload), nil) })
}
