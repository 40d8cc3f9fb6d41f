package load

import (
	"errors"
	"fmt"
	"time"
)

// enteringAtOnce is how many phones of a mix log in at a time.
const enteringAtOnce = 128

// prepare logs the phones of a mix in.
func (e *engine) prepare() error {
	if e.Traffic.Session != nil {
		return nil
	}
	e.expected.Store(&[operations]time.Duration{})
	results := make(chan error, len(e.phones))
	tick := e.Clock.Ticker(time.Millisecond)
	defer tick.Stop()
	for begun, ended := 0, 0; ended < len(e.phones); {
		for begun < len(e.phones) && begun-ended < enteringAtOnce {
			p, n := e.phones[begun], begun+1
			begun++
			p.mu.Lock()
			p.enter(func(ok bool) {
				if ok {
					results <- nil
				} else {
					results <- fmt.Errorf("logging in phone %d of %d, before the load: %w", n, len(e.phones), errNotEntered)
				}
			})
			p.mu.Unlock()
		}
		select {
		case err := <-results:
			if err != nil {
				return err
			}
			ended++
		case <-tick.C: // for those that pause in their login
			e.schedule.due(e.now())
		case <-e.ctx.Done():
			return e.ctx.Err()
		}
	}
	return nil
}

var errNotEntered = errors.New("it was not welcomed, or got no TempID")

// enter logs a phone of a mix in, unmeasured.
func (p *phone) enter(entered func(ok bool)) {
	p.start(session{script: p.scripts.entrance, entered: entered}, p.now())
}

// reconnectAfter is the pause before a phone of a mix tries again.
const reconnectAfter = 100 * time.Millisecond

// reenter logs a phone of a mix in again until it succeeds; then it is free.
func (p *phone) reenter(due time.Duration) {
	p.hangUp()
	p.start(session{script: p.scripts.entrance, entered: func(ok bool) {
		if ok || p.stopping.Load() {
			p.release(p)
			return
		}
		p.reenter(p.now() + reconnectAfter)
	}}, due)
}
