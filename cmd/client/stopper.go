package main

import (
	"context"
	"os"
	"sync"
)

// stopper ends the program in order when it is asked the first time, by a signal
// or by Ctrl-C, and at once the second time.
type stopper struct {
	asked  context.Context // done when it was asked
	cancel context.CancelFunc
	atOnce func()
	over   chan struct{}

	mu   sync.Mutex
	last func() // before atOnce
}

func newStopper(signals <-chan os.Signal, atOnce func()) *stopper {
	s := &stopper{atOnce: atOnce, over: make(chan struct{}), last: func() {}}
	s.asked, s.cancel = context.WithCancel(context.Background())
	go func() {
		for {
			select {
			case <-signals:
				s.ask()
			case <-s.over:
				return
			}
		}
	}()
	return s
}

// before has f called before the program ends at once.
func (s *stopper) before(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = f
}

func (s *stopper) ask() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked.Err() != nil {
		s.last()
		s.atOnce()
	}
	s.cancel()
}

// end lets go of the signals.
func (s *stopper) end() {
	s.cancel()
	close(s.over)
}
