package main

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// screenLimit is how many bytes may wait for a slow terminal; above it beacons
	// are received and kept, but not shown.
	screenLimit = 1 << 20
	// flushLimit is what a terminal gets at the end to take what waits.
	flushLimit = 250 * time.Millisecond
)

// screen brings text and questions to a console in their order, so that a
// terminal that takes nothing never holds the phone up.
type screen struct {
	console   console
	questions chan question // for the one who reads; closed at the end
	ended     chan struct{}

	mu      sync.Mutex
	more    sync.Cond
	parts   []part
	waiting int // bytes in parts
	left    int // beacons that are not shown
	closed  bool
	err     error
}

// part is text to show or, if that is nil, a question.
type part struct {
	text     []byte
	apart    bool // text stands on lines of its own
	question question
}

func newScreen(c console) *screen {
	s := &screen{console: c, questions: make(chan question, 1), ended: make(chan struct{})}
	s.more.L = &s.mu
	return s
}

// show queues whole lines, of which it keeps no part.
func (s *screen) show(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(text)
}

// showApart is show for what answers nothing that was typed.
func (s *screen) showApart(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.waiting += len(text)
	s.parts = append(s.parts, part{text: append([]byte{}, text...), apart: true})
	s.more.Signal()
}

// showBeacon is show for what may come without an end.
func (s *screen) showBeacon(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting > screenLimit {
		s.left++
		return
	}
	s.sayWhatIsLeft()
	s.add(text)
}

func (s *screen) sayWhatIsLeft() {
	if s.left > 0 {
		n := s.left
		s.left = 0
		s.add(fmt.Appendf(nil, "%d beacons are not shown: the output was too slow\n", n))
	}
}

// ask queues a question.
func (s *screen) ask(prompt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, part{question: questionOf(prompt)})
	s.more.Signal()
}

func (s *screen) add(text []byte) {
	if len(text) == 0 || s.closed {
		return
	}
	s.waiting += len(text)
	if n := len(s.parts); n > 0 && s.parts[n-1].text != nil {
		s.parts[n-1].text = append(s.parts[n-1].text, text...)
	} else {
		s.parts = append(s.parts, part{text: append([]byte{}, text...)})
	}
	s.more.Signal()
}

// run shows until close; broken is called when the console takes nothing more.
func (s *screen) run(broken func(error)) {
	defer close(s.ended)
	defer close(s.questions)
	defer restoring(s.console)
	for {
		p, ok := s.next()
		if !ok {
			return
		}
		if p.text == nil {
			s.questions <- p.question
			continue
		}
		if err := s.console.show(p.text, p.apart); err != nil {
			s.fail(err)
			broken(err)
			return
		}
	}
}

// next waits for a part; false: there is none, and none will come.
func (s *screen) next() (part, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.parts) == 0 {
		if s.left > 0 {
			s.sayWhatIsLeft()
			continue
		}
		if s.closed {
			return part{}, false
		}
		s.more.Wait()
	}
	p := s.parts[0]
	s.parts = s.parts[1:]
	s.waiting -= len(p.text)
	return p, true
}

// fail ends the screen: the output takes no more.
func (s *screen) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.parts = true, nil
	if s.err == nil {
		s.err = err
	}
	s.more.Signal()
}

// close shows what waits, if the console takes it within flushLimit.
func (s *screen) close() error {
	s.mu.Lock()
	s.closed = true
	s.more.Signal()
	s.mu.Unlock()
	limit := time.NewTimer(flushLimit)
	defer limit.Stop()
	select {
	case <-s.ended:
	case <-limit.C:
		return errors.New("the output took no more: what was to be shown at the end is lost")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
