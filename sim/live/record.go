package live

import (
	"io"
	"time"

	"bluetrace/sim/world"
)

// keptEvents is how many of the last events are kept for reports.
const keptEvents = 1 << 11

// ledger keeps the last events and writes the trace.
type ledger struct {
	recent []world.Event
	next   uint64 // how many there were
	trace  io.Writer
	line   []byte
	err    error // the first error of the trace
}

func (l *ledger) init(trace io.Writer) {
	l.recent = make([]world.Event, keptEvents)
	l.trace = trace
}

// note records an event of the moment that is being handled.
func (w *World) note(what world.What, who, peer uint32, a, b uint64, text string) {
	l := &w.ledger
	e := &l.recent[l.next%keptEvents]
	*e = world.Event{At: int64(w.now), A: a, B: b, Text: text, Who: who, Peer: peer, What: what}
	l.next++
	if l.trace == nil || l.err != nil {
		return
	}
	l.line = append(e.AppendText(l.line[:0], w.names), '\n')
	if _, l.err = l.trace.Write(l.line); l.err != nil {
		w.happened.Broadcast()
	}
}

func (w *World) history() *world.History {
	l := &w.ledger
	kept := min(l.next, keptEvents)
	return &world.History{Names: w.names, Len: int(kept), At: func(i int) world.Event {
		return l.recent[(l.next-kept+uint64(i))%keptEvents]
	}}
}

// Recent renders the last events that concern a phone.
func (w *World) Recent(phone, n int) []string { return w.history().Recent(phone, n) }

// Since renders the events from a time on that concern any of the phones.
func (w *World) Since(from time.Duration, phones []int, n int) []string {
	return w.history().Since(from, phones, n)
}

// TraceError is the first error of writing the trace.
func (w *World) TraceError() error { return w.ledger.err }
