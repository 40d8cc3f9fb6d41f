package check

import (
	"errors"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

var errDisk = errors.New("no space left on device")

// clock sets the server's clocks: elapsed and wall are ahead of those of the world
// by these durations.
func (w *rig) clock(at, elapsed, wall time.Duration, ppm float64) {
	w.ClockSet(int64(at), event.Server, at+elapsed, start*int64(second)+int64(at+wall), ppm)
}

// restarts kills the server, and starts another one.
func (w *rig) restarts(killed, started time.Duration) {
	w.ServerStopped(int64(killed))
	w.ServerStarted(int64(started), func(protocol.TempID) (nodes.Issue, bool) { return nodes.Issue{}, false })
}

func attemptsOf(user string) []nodes.Record {
	return []nodes.Record{{Kind: nodes.RecordAttempts, Attempts: nodes.Attempts{Known: user != "", User: user}}}
}
