package sim

import (
	"fmt"
	"strings"
	"time"

	"bluetrace/scenarios"
	"bluetrace/sim/world"
)

// commands carries out commands that script, routines and adversaries share, and reports each one to an observer.
type commands struct {
	world    world.World
	scenario *scenarios.Scenario
	contacts *contacts
	accounts []account
	fail     func(error) // ends the run with an error
	// observe receives each command as a step with the same effect (Options.Commanded); nil if there is no observer.
	observe func(at time.Duration, st scenarios.Step)
	owners  *owners
	dests   []uint32 // scratch space of sendBeacons
}

// Limits of one command. Each beacon is four events and four datagrams in transit.
const (
	maxBeaconsPerCommand = 1 << 20
	bytesPerBeacon       = 4 * (24 + 112)
)

// sendBeacons sends the beacon of a phone to the phones that a command names.
func (cs *commands) sendBeacons(phone uint32, c *scenarios.Command) {
	to := cs.dests[:0]
	if c.Contacts {
		for _, m := range cs.contacts.of[phone] {
			to = append(to, m.peer)
		}
	}
	for _, t := range c.To {
		to = append(to, uint32(t))
	}
	cs.dests = to
	if n := len(to) * c.Count; n > maxBeaconsPerCommand {
		cs.fail(&Invalid{cs.scenario.Place(c.Pos), fmt.Errorf(
			"%d times to %d phones are %d beacons in one instant, which need about %d MiB; at most %d",
			c.Count, len(to), n, n*bytesPerBeacon>>20, maxBeaconsPerCommand)})
		return
	}
	if cs.observe != nil && len(to) > 0 {
		cs.recordBeacon(phone, c, to)
	}
	for range c.Count {
		cs.world.SendBeacons(phone, to)
	}
}

// login connects a phone and types its user name and password.
func (cs *commands) login(phone uint32) {
	a := cs.accounts[phone]
	cs.open(phone)
	cs.typeLine(phone, a.user)
	cs.typeLine(phone, a.password)
}

// open starts a session of a program.
func (cs *commands) open(program uint32) {
	cs.owners.enter(program, "")
	cs.world.Open(program)
}

// typeLine types a line at the prompt of a program.
func (cs *commands) typeLine(program uint32, line string) {
	cs.owners.enter(program, line)
	cs.world.Type(program, line)
}

// typeCommand types a command at the prompt of a program, as often as it says.
func (cs *commands) typeCommand(program uint32, c *scenarios.Command) {
	text := string(c.Verb)
	if c.Verb == scenarios.VerbType {
		text = c.Text
	}
	for range c.Count {
		cs.typeLine(program, text)
	}
}

// record reports a command that is carried out now as a step that begins its lead before its time. A step is optional
// unless it is a mandatory step of the script.
func (cs *commands) record(st scenarios.Step, lead time.Duration) {
	if cs.observe == nil {
		return
	}
	now := cs.world.Now()
	st.At = scenarios.When{Pos: st.Pos, Offset: now + lead}
	st.As, st.Expect = "", nil
	acting := cs.owners.acting
	st.Optional = acting == nil || acting.Optional
	if st.TCP != nil && cs.accounts[st.Phone].user == "" { // {user} has no value in a file
		st.TCP = cs.filled(&st)
	}
	cs.observe(now, st)
}

// filled returns the TCP action of a step with the placeholders of its texts replaced.
// Texts that are then empty are left out.
func (cs *commands) filled(st *scenarios.Step) *scenarios.TCP {
	t := *st.TCP
	t.Send = nil
	for _, text := range st.TCP.Send {
		if text = cs.fill(uint32(st.Phone), text); text != "" {
			t.Send = append(t.Send, text)
		}
	}
	return &t
}

// recordLogin reports a login whose connection is opened now. The time of the step is that of its password.
func (cs *commands) recordLogin(phone uint32, c *scenarios.Command) {
	login := &scenarios.Login{Pos: c.Pos, Kind: "right"}
	cs.record(scenarios.Step{Pos: c.Pos, Text: string(c.Verb), Phone: int(phone), Login: login},
		cs.scenario.LoginLead(int(phone)))
}

// recordBeacon reports a beacon to its receivers. A phone without a TempID sends none.
func (cs *commands) recordBeacon(phone uint32, c *scenarios.Command, to []uint32) {
	if _, ok := cs.world.TempID(phone); !ok {
		return
	}
	one := scenarios.Command{Pos: c.Pos, Verb: scenarios.VerbBeacon, Count: c.Count}
	for _, t := range to {
		one.To = append(one.To, int(t))
	}
	cs.record(scenarios.Step{Pos: c.Pos, Text: string(c.Verb), Phone: int(phone), Do: &one}, 0)
}

// fill replaces {user}, {password}, {wrong} and {tempid} in a text for the wire by the values of a phone.
func (cs *commands) fill(phone uint32, text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	a := cs.accounts[phone]
	id := ""
	if b, ok := cs.world.TempID(phone); ok {
		id = b.TempID.String()
	}
	return strings.NewReplacer("{user}", a.user, "{password}", a.password,
		"{wrong}", a.wrong(), "{tempid}", id).Replace(text)
}
