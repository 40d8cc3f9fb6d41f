package socket

import (
	"sync"
	"time"

	"github.com/benbjohnson/clock"
)

// alarm calls ring, with the lock held, when the earliest time that it was set
// to has come. It may ring for nothing: ring asks the machine again. All methods
// are called with the lock held.
type alarm struct {
	clock clock.Clock
	lock  sync.Locker
	ring  func()

	timer *clock.Timer  // nil: not armed
	at    time.Duration // elapsed time for which it is armed
	era   uint64        // of the timer; one that was superseded does nothing
}

// set arms the alarm for at, both times elapsed, unless it rings before.
func (a *alarm) set(now, at time.Duration) {
	if a.timer != nil {
		if a.at <= at {
			return
		}
		a.timer.Stop()
	}
	a.era++
	era := a.era
	a.at = at
	a.timer = a.clock.AfterFunc(at-now, func() {
		a.lock.Lock()
		defer a.lock.Unlock()
		if a.era == era {
			a.timer = nil
			a.ring()
		}
	})
}

// off disarms it.
func (a *alarm) off() {
	a.era++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}
