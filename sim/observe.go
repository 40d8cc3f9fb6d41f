package sim

import "bluetrace/sim/event"

// observed are the kinds of events that the script waits for, and the verdicts that
// the adversaries overhear.
var observed = []event.Kind{
	event.BeaconJudged, event.Replied, event.HungUp, event.ScreenShown, event.OperationDone,
	event.ServerDecided, event.ServerHandled, event.ServerPrinted,
}

// Observe implements event.Observer.
func (r *run) Observe(e *event.Event) {
	switch e.Kind {
	case event.BeaconJudged:
		r.judged(e)
	case event.Replied:
		r.replied(e)
	case event.HungUp:
		for _, w := range r.active {
			if w.listens(e.Node, e.Scripted) {
				w.connectionEnded(r)
			}
		}
	case event.ScreenShown:
		for _, w := range r.active {
			if w.screen() == e.Node && (w.expect.PrintsNothing || len(w.expect.Prints) > 0) {
				w.printed(r, e.Text)
			}
		}
	case event.OperationDone:
		r.operationDone(e.Node, e.Phone)
	case event.ServerDecided:
		r.decided(e.Peer, e.Scripted, e.Decision)
	case event.ServerHandled:
		if e.Scripted {
			r.serverHandled(e.Peer, e.Size)
		}
	case event.ServerPrinted:
		for _, w := range r.active {
			if len(w.expect.ServerPrints) > 0 || w.expect.ServerPrintsNothing {
				w.serverPrinted(r, e.Text)
			}
		}
	}
}

// replied passes one whole answer of the server on to the expectations.
func (r *run) replied(e *event.Event) {
	if r.elsewhere() {
		r.rules.Received(int64(r.world.Now()), r.world.Name(e.Node), e.Bytes)
	}
	for _, w := range r.active {
		if w.listens(e.Node, e.Scripted) {
			w.replied(r, e.Bytes)
		}
	}
}
