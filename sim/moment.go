package sim

import (
	"slices"
	"time"

	"bluetrace/nodes"
	"bluetrace/scenarios"
	"bluetrace/sim/event"
)

// moment is when a step took effect.
type moment struct {
	at    time.Duration
	known bool
}

// tookEffect fixes the moment of a step, and begins those that wait for it.
func (r *run) tookEffect(st *step) {
	if st.moment.known || st.stage == settled {
		return
	}
	now := r.world.Now()
	st.moment = moment{now, true}
	for _, w := range st.waits {
		w.lookAtEffect(r)
	}
	if st.As != "" {
		r.moments[st.As] = st.moment
		r.takeValues(st.As)
		for i := range r.steps {
			if next := &r.steps[i]; next.At.Label == st.As && next.stage == waiting {
				r.schedule(next, now+next.At.Offset)
			}
		}
	}
	r.progress(st)
}

// scriptDone: a phone's program is through with an operation.
func (r *run) scriptDone(phone uint32, e *nodes.PhoneEffect) {
	for _, st := range r.open {
		if st.program != phone || st.result.answered || st.operation() != e.Op {
			continue
		}
		st.result.answered = true
		st.result.delay = r.world.Now() - e.Began
		st.result.lost = slices.Contains([]nodes.Outcome{nodes.OutcomeNoAnswer, nodes.OutcomeConnectionLost, nodes.OutcomeUnexpectedAnswer}, e.Outcome)
		r.progress(st)
		break
	}
	if int(phone) >= len(r.accounts) && e.Op == nodes.OpLogin && e.Outcome == nodes.OutcomeOK {
		r.world.Call(r.world.Now(), func() { r.takeOver(phone) })
	}
}

// decided follows a decision of the server about a session of the phone.
func (r *run) decided(phone uint32, raw bool, e *nodes.ServerEvent) {
	for _, st := range slices.Clone(r.open) {
		if st.stage != began || st.program != phone || raw != (st.TCP != nil) {
			continue
		}
		if e.Kind == nodes.EventUploadDone && !st.result.upload && (raw || st.operation() == nodes.OpUpload) {
			st.result.upload, st.result.entries, st.result.resolved = true, e.Entries, e.Resolved
			for _, w := range st.waits {
				w.uploaded(r)
			}
			r.progress(st)
		}
		// What is decided after the program was through with a step is of another,
		// but a program waits for no answer to its logout.
		late := st.result.answered && st.operation() != nodes.OpLogout
		if !raw && !late && decides(e.Kind, st.operation()) {
			r.tookEffect(st)
		}
	}
}

func decides(k nodes.ServerEventKind, op nodes.Operation) bool {
	switch k {
	case nodes.EventLoggedIn, nodes.EventWrongPassword, nodes.EventBlockBegan, nodes.EventRefused:
		return op == nodes.OpLogin
	case nodes.EventIssued:
		return op == nodes.OpDownload
	case nodes.EventSessionEnded:
		return op == nodes.OpLogout
	}
	return false
}

// tick is a turn of a routine or a change of contacts.
func (r *run) tick(who, arg uint32) {
	if arg&tickKind == tickRoutine {
		r.routines.tick(int(arg), who)
		return
	}
	r.contacts.tick(who, arg)
}

// operationDone follows the end of an operation of a phone.
func (r *run) operationDone(phone uint32, e *nodes.PhoneEffect) {
	r.scriptDone(phone, e)
	if e.Op == nodes.OpUpload && e.Outcome == nodes.OutcomeOK && r.faults.world != nil {
		r.rules.Uploaded(int64(r.world.Now()), phone, e.Entries)
	}
	r.routines.done(phone, e.Outcome == nodes.OutcomeOK)
}

// serverHandled follows n bytes of a scripted connection that the server has handled.
func (r *run) serverHandled(phone uint32, n int) {
	for _, st := range r.open {
		if st.TCP == nil || st.Phone != int(phone) || st.toRead == 0 {
			continue
		}
		if st.toRead -= min(n, st.toRead); st.toRead == 0 {
			r.tookEffect(st)
		}
		return
	}
}

// judged follows the verdict of a receiver. It is about the sender's last step that
// began before the sending, or, if the time of the sending is not known, about its
// first step that waits for a verdict.
func (r *run) judged(e *event.Event) {
	r.adversaries.overhear(e.Peer, e.Phone)
	sender, phone, sent := e.Peer, e.Node, e.Sent
	if !e.SentKnown {
		sent = 0
	}
	var found *step
	for _, st := range r.open {
		if st.moment.known || st.Phone != int(sender) || !st.reaches(int(phone)) {
			continue
		}
		if found == nil || st.at <= sent && st.at >= found.at {
			found = st
		}
	}
	if found != nil {
		r.tookEffect(found)
	}
}

// reaches says whether the step sends something to the phone.
func (st *step) reaches(phone int) bool {
	if st.Do != nil && st.Do.Verb == scenarios.VerbBeacon && st.Do.Contacts {
		return true
	}
	return slices.Contains(st.receivers(), phone)
}

// receivers are the phones that the step names as those it sends to.
func (st *step) receivers() []int {
	switch {
	case st.Do != nil:
		return st.Do.To
	case st.Forge != nil:
		return st.Forge.To
	case st.Datagrams != nil:
		return st.Datagrams.To
	}
	return nil
}
