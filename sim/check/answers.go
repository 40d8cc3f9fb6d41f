package check

import (
	"fmt"
	"time"

	"bluetrace/scenarios/fault"
	"bluetrace/sim/event"
)

// answers is the model of the patience of a program (PROTOCOL.md sections 2 and 4): after each request it reads an
// answer, or tells its user within the limit of one answer that there is none. Half of an answer is none.
type answers struct {
	v     *Invariants
	waits map[event.Node]*wait
}

// wait is the state of one program. Its times are elapsed times of the clock of the phone.
type wait struct {
	named  bool // the program has sent a name on its connection
	awaits bool // its last text has no answer yet
	paused bool // a fault has paused the phone, which then answers late
	since  time.Duration
}

// answerLimit is the time within which an answer must come.
const answerLimit = 10 * time.Second

func (a *answers) subscribe(s *event.Stream) {
	a.waits = map[event.Node]*wait{}
	s.On(event.ProgramConnects, func(e *event.Event) {
		a.told(e)
		a.of(e.Node).named = false
	})
	s.On(event.PhoneSent, func(e *event.Event) {
		if e.Scripted {
			return
		}
		a.told(e)
		w := a.of(e.Node)
		w.awaits, w.named, w.since = w.named, true, a.v.elapsed(int64(e.At), e.Node)
	})
	for _, k := range []event.Kind{event.PhonePrinted, event.OperationDone, event.ProgramOpened} {
		s.On(k, a.told)
	}
	s.On(event.PhoneStopped, func(e *event.Event) { delete(a.waits, e.Node) })
	s.On(event.SessionMoved, func(e *event.Event) {
		moved, paused := *a.of(e.Peer), a.of(e.Node).paused
		*a.of(e.Node), *a.of(e.Peer) = moved, wait{paused: moved.paused}
		a.of(e.Node).paused = paused || moved.paused
	})
	s.On(event.FaultApplied, func(e *event.Event) {
		if e.Fault == fault.Pause && e.Node != event.Server {
			a.of(e.Node).paused = true
		}
	})
}

func (a *answers) of(phone event.Node) *wait {
	w := a.waits[phone]
	if w == nil {
		w = &wait{}
		a.waits[phone] = w
	}
	return w
}

// told handles an event by which the user learns the result of the last request, or by which the program goes on.
func (a *answers) told(e *event.Event) {
	a.check(int64(e.At), e.Node)
	a.of(e.Node).awaits = false
}

// check checks that a program does not wait for longer than the limit.
func (a *answers) check(at int64, phone event.Node) {
	w := a.waits[phone]
	if w == nil || !w.awaits || w.paused {
		return
	}
	a.v.evaluated[AnswersCome]++
	if waited := a.v.elapsed(at, phone) - w.since; waited > answerLimit+a.v.rounding(phone) {
		a.v.violate(AnswersCome, at, int(phone),
			fmt.Sprintf("an answer to the request of %s of its clock, or a message to its user, within %s", w.since, answerLimit),
			fmt.Sprintf("none for %s", waited))
	}
}
