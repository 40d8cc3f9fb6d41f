package swarm

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"bluetrace/protocol"
	"bluetrace/scenarios"
	"bluetrace/scenarios/fault"
)

// healing limits the contents of a scenario to the time before the heal. It collects the effects that may still show
// after the heal.
type healing struct {
	s  *scenarios.Scenario
	at time.Duration // the time of the heal
	// actions is the time after the heal within which steps that count from a label may still act.
	actions time.Duration
	// backlog is the time after the heal within which a slow path may still deliver queued datagrams.
	backlog     time.Duration
	corrections []scenarios.Fault // steps of clocks, at the heal, to the right time
}

// capped returns the smaller of d and most. A d of 0 stands for no end: then capped returns most.
func capped(d, most time.Duration) time.Duration {
	if d == 0 || d > most {
		return most
	}
	return d
}

// scriptEnd returns the time of the last step with a time of its own, or the length of the scenario if that is later.
func scriptEnd(s *scenarios.Scenario) time.Duration {
	last := s.Length
	for i := range s.Script {
		if at := s.Script[i].At; at.Label == "" {
			last = max(last, at.Offset)
		}
	}
	return last
}

// boundRoutines ends every routine at the heal and removes those that begin later.
func (h *healing) boundRoutines() {
	var left []scenarios.Routine
	for _, r := range h.s.Routine {
		if r.From >= h.at {
			continue
		}
		if r.Within > 0 {
			r.Within = max(min(r.Within, h.at-r.From), 1)
		} else {
			r.Until = capped(r.Until, h.at)
		}
		left = append(left, r)
	}
	h.s.Routine = left
}

// boundScript keeps the steps whose nominal time is before the heal, makes them optional and drops their expectations.
// A step without a time of its own does not take place if its time comes at the heal or later.
func (h *healing) boundScript() {
	at := nominalTimes(h.s.Script)
	removed := map[string]bool{} // labels
	for i, st := range h.s.Script {
		if at[i] >= h.at && st.As != "" {
			removed[st.As] = true
		}
	}
	var left []scenarios.Step
	for i, st := range h.s.Script {
		if at[i] >= h.at || removed[st.At.Label] {
			continue
		}
		if st.Fault != nil {
			h.boundStepFault(&st, at[i])
		}
		if st.Expect, st.Optional = nil, true; st.As == "" && !st.HasAction() {
			continue
		}
		end := at[i] + stepLength(&st)
		// A step with a time of its own begins at that time. Another step may begin just before the heal.
		if st.At.Label == "" && !st.At.AfterPrevious {
			end -= h.at
		} else {
			st.Before = capped(st.Before, h.at)
		}
		h.actions = max(h.actions, end)
		left = append(left, st)
	}
	h.s.Script = left
}

// nominalTimes returns the time at which each step begins if no step takes longer than its stepLength.
func nominalTimes(script []scenarios.Step) []time.Duration {
	at := make([]time.Duration, len(script))
	byLabel := map[string]int{}
	for i := range script {
		byLabel[script[i].As] = i
	}
	for range script { // a label may be defined below the step that counts from it
		same := true
		for i := range script {
			before := at[i]
			switch w := script[i].At; {
			case w.AfterPrevious && i > 0:
				at[i] = at[i-1] + stepLength(&script[i-1])
			case w.Label != "":
				at[i] = at[byLabel[w.Label]] + w.Offset
			default:
				at[i] = w.Offset
			}
			same = same && at[i] == before
		}
		if same {
			break
		}
	}
	return at
}

// stepLength returns the duration that the keys of a step define, such as the gaps between its datagrams. It returns 0
// if they define none.
func stepLength(st *scenarios.Step) time.Duration {
	switch {
	case st.TCP != nil:
		return time.Duration(len(st.TCP.Send)) * st.TCP.Gap
	case st.Datagrams != nil:
		return time.Duration(len(st.Datagrams.Send)) * st.Datagrams.Gap
	case st.Forge != nil:
		return protocol.Parts * st.Forge.Gap
	case st.Restart != nil:
		return st.Restart.Down
	case st.Fault != nil:
		return st.Fault.For
	}
	return 0
}

// boundStepFault ends the fault of a step that begins at the given time by the heal. It removes a fault of a clock if
// its time is unknown, because the clock could then not be corrected at the heal.
func (h *healing) boundStepFault(st *scenarios.Step, at time.Duration) {
	f := *st.Fault
	if f.Kind == fault.Clock {
		if st.At.Label != "" || st.At.AfterPrevious {
			st.Fault = nil
			return
		}
		f.Chance = 1
		h.correctClock(&f)
	} else if !f.Instant() {
		f.For = capped(f.For, h.at-at)
	}
	f.At, f.Every, f.Until = 0, 0, 0
	h.limitBacklog(&f)
	f.Text = h.s.StepFaultText(&f)
	st.Fault = &f
}

// boundFault ends a fault by the heal. It returns false if the fault begins at or after the heal.
func (h *healing) boundFault(f *scenarios.Fault) bool {
	switch {
	case f.At >= h.at:
		return false
	case f.Kind == fault.Clock:
		f.Chance, f.Every, f.Until = 1, 0, 0
	case f.Instant():
		if f.Every > 0 {
			f.Until = capped(f.Until, h.at)
		}
	case f.Every > 0 && h.at-f.For > f.At:
		f.Until = capped(f.Until, h.at-f.For) // no repetition begins that would last longer than to the heal
	default:
		f.Every, f.Until = 0, 0
		f.For = capped(f.For, h.at-f.At)
	}
	return true
}

// limitBacklog limits the queue of a slow path that has no limit, since a long queue could delay datagrams for many
// times the length of the fault. Datagrams that are queued at the end of the fault are still delivered slowly.
func (h *healing) limitBacklog(f *scenarios.Fault) {
	if f.Kind != fault.Slow || f.Stream {
		return
	}
	if f.Room == 0 {
		f.Room = f.Bytes * int(maxQueueDelay/time.Second)
	}
	last := time.Duration(float64(f.Room) / float64(f.Bytes) * float64(time.Second))
	h.backlog = max(h.backlog, last.Truncate(time.Millisecond)+time.Millisecond)
}

// correctClock adds a step to the right time at the heal for clocks that a fault has set wrong. A clock that drifts
// continues to drift from the right time.
func (h *healing) correctClock(wrong *scenarios.Fault) {
	off := clockError(wrong, h.at)
	if off == 0 {
		return
	}
	f := scenarios.Fault{Kind: fault.Clock, Chance: 1, Of: wrong.Of, At: h.at, Step: -off}
	f.Text = h.s.FaultText(&f)
	h.corrections = append(h.corrections, f)
}

// clockError returns the error of a clock at the given time that a fault causes. Drift is in parts per million.
func clockError(f *scenarios.Fault, at time.Duration) time.Duration {
	return f.Offset + f.Step + time.Duration(f.Drift*float64(at)/1e6)
}

// Times of the liveness phase.
const (
	recovery     = 30 * time.Second      // from the heal, for restarts and for programs to notice lost connections
	answerLimit  = 30 * time.Second      // time limit of each expectation
	phoneGap     = 50 * time.Millisecond // between two phones
	maxRound     = 2 * time.Second       // between the first and the last phone
	settlingTime = 5 * time.Second       // from the label that a step counts from to the step
	minLifetime  = 20 * time.Second      // of a TempID, so that it is valid when the beacon arrives
	minIdle      = time.Minute           // idle timeout, so that a session lives until it is used
	minLogin     = 10 * time.Second      // login timeout, besides the delay of the disk
)

// liveness appends the steps of the liveness phase. Every phone with an account logs in, downloads a TempID, sends a
// beacon to a neighbour when the TempID is issued, and uploads its log when the neighbour's beacon is received. The
// phase begins when every fault, block and login left half done is over and every contact log is empty.
func (g *generator) liveness() {
	at := g.plan.Heal + g.heal.actions + g.heal.backlog + recovery + longestState(g.s)
	n := len(g.withAccount)
	gap := min(phoneGap, maxRound/time.Duration(max(n, 1)))
	tempID := []scenarios.Pattern{{Text: "/" + tempIDPattern.String() + "/", Re: tempIDPattern}}
	for i, p := range g.withAccount {
		g.expectStep(p, atOffset("", at+time.Duration(i)*gap), "", login("right"),
			scenarios.StepExpect{Phone: p, Replies: exactly(protocol.Welcome)})
	}
	at += maxRound + answerLimit
	for i, p := range g.withAccount {
		g.expectStep(p, atOffset("", at+time.Duration(i)*gap), issued(i), command(scenarios.VerbDownload, nil),
			scenarios.StepExpect{Phone: p, Replies: tempID})
	}
	entries := 0
	if n > 1 {
		entries = 1
		for i, p := range g.withAccount {
			to := g.withAccount[(i+1)%n]
			g.expectStep(p, atOffset(issued(i), settlingTime), heard(i), command(scenarios.VerbBeacon, []int{to}),
				scenarios.StepExpect{Phone: to, Prints: exactly("The beacon is valid.")})
		}
	}
	for i, p := range g.withAccount {
		ready := issued(i)
		if n > 1 {
			ready = heard((i + n - 1) % n) // the beacon of the neighbour that sends to p
		}
		g.expectStep(p, atOffset(ready, settlingTime), "", command(scenarios.VerbUpload, nil),
			scenarios.StepExpect{Phone: p, Entries: &entries, Resolved: &entries})
	}
	g.s.Length = at + maxRound + 3*answerLimit + 2*settlingTime
	g.note("heals at %v, ends at %v", g.plan.Heal, g.s.Length)
}

// issued is the label of the liveness step in which the i-th phone with an account gets its TempID.
func issued(i int) string { return fmt.Sprintf("live-issued-%d", i+1) }

// heard is the label of the liveness step in which the beacon of the i-th phone with an account is received.
func heard(i int) string { return fmt.Sprintf("live-heard-%d", i+1) }

// atOffset returns the time at an offset from a label; the empty label is the start of the run.
func atOffset(label string, d time.Duration) scenarios.When {
	return scenarios.When{Label: label, Offset: d}
}

var tempIDPattern = regexp.MustCompile("^[0-9]{20}$")

func exactly(line string) []scenarios.Pattern { return []scenarios.Pattern{{Text: line}} }

// expectStep appends a step with an expectation. The label is empty if no other step counts from this one.
func (g *generator) expectStep(
	phone int, at scenarios.When, label string, st *scenarios.Step, e scenarios.StepExpect,
) {
	st.Phone, st.At, st.As = phone, at, label
	st.Text = fmt.Sprintf("at: %v, phone: %s, %s", at, g.names[phone], st.Text)
	e.Within = answerLimit
	st.Expect = []scenarios.StepExpect{e}
	g.s.Script = append(g.s.Script, *st)
}

// longestState returns the longest time for which state from before the heal can remain: a block, a login left half
// done, or an entry of a contact log.
func longestState(s *scenarios.Scenario) time.Duration {
	longest := max(s.Server.BlockDuration, s.Server.LoginTimeout)
	for _, group := range s.Phones {
		longest = max(longest, group.Retention)
	}
	return longest
}

// preconditions returns a function that reports whether a correct program passes the liveness phase of a candidate, a
// smaller form of the drawn scenario: everything is over by the heal, and each step has the steps that it needs.
func preconditions(drawn *scenarios.Scenario, heal time.Duration) func(candidate *scenarios.Scenario) bool {
	longest := longestState(drawn)
	return func(s *scenarios.Scenario) bool {
		if longestState(s) > longest || len(clockErrorsAtHeal(s, heal)) > 0 {
			return false
		}
		for i := range s.Faults {
			if !isOver(&s.Faults[i], heal) {
				return false
			}
		}
		return isPrepared(s)
	}
}

// isPrepared reports whether each liveness step has the steps that it needs: a command has a login of its phone, a
// beacon a download by its sender and a login of its receiver, and an upload with entries a beacon to its phone.
func isPrepared(s *scenarios.Scenario) bool {
	loggedIn, hasTempID, received := map[int]bool{}, map[int]bool{}, map[int]bool{}
	for i := range s.Script {
		st := &s.Script[i]
		switch {
		case len(st.Expect) == 0:
			continue
		case st.Login != nil:
			loggedIn[st.Phone] = true
			continue
		case st.Do == nil:
			continue
		case !loggedIn[st.Phone]:
			return false
		}
		switch st.Do.Verb {
		case scenarios.VerbDownload:
			hasTempID[st.Phone] = true
		case scenarios.VerbBeacon:
			for _, to := range st.Do.To {
				if !hasTempID[st.Phone] || !loggedIn[to] {
					return false
				}
				received[to] = true
			}
		case scenarios.VerbUpload:
			if entries := st.Expect[0].Entries; entries != nil && *entries > 0 && !received[st.Phone] {
				return false
			}
		}
	}
	return true
}

// isOver reports whether a fault is over at the heal.
func isOver(f *scenarios.Fault, heal time.Duration) bool {
	last := f.Window().LastBegin(f.Until)
	switch {
	case f.Every > 0 && f.Until == 0: // it repeats without end
		return false
	case f.Kind == fault.Clock || f.Instant():
		return last <= heal
	}
	return f.For > 0 && last+f.For <= heal
}

// clockErrorsAtHeal returns the error of each clock after the heal, for clocks that are wrong by a microsecond or more.
// The key of the server is -1.
func clockErrorsAtHeal(s *scenarios.Scenario, heal time.Duration) map[int]time.Duration {
	off := map[int]time.Duration{}
	add := func(of *scenarios.Nodes, d time.Duration) {
		for _, phone := range of.Phones {
			off[phone] += d
		}
		if of.Server {
			off[-1] += d
		}
	}
	for i := range s.Faults {
		if f := &s.Faults[i]; f.Kind == fault.Clock {
			add(&f.Of, clockError(f, heal))
		}
	}
	for i := range s.Script {
		if f := s.Script[i].Fault; f != nil && f.Kind == fault.Clock {
			add(&f.Of, f.Step)
		}
	}
	for node, d := range off {
		if d.Abs() < time.Microsecond {
			delete(off, node)
		}
	}
	return off
}

// withoutFaults returns the scenario without its faults and adversaries.
func withoutFaults(s *scenarios.Scenario) *scenarios.Scenario {
	c := *s
	c.Faults, c.Adversaries = nil, nil
	c.Script = slices.DeleteFunc(slices.Clone(s.Script), func(st scenarios.Step) bool { return st.Fault != nil })
	return &c
}
