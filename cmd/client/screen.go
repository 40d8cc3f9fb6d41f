package main

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// screenLimit is the number of bytes that may wait for a slow terminal. While more
	// bytes wait, received beacons are kept, but not shown.
	screenLimit = 1 << 20
	// flushLimit is the time limit for the last output of the program.
	flushLimit = 250 * time.Millisecond
)

// screen is a queue of text and questions for a console. With it, a blocked terminal does
// not block the phone, and the order of text and questions is kept.
type screen struct {
	console   console
	questions chan question // read by client.read; closed when run returns
	ended     chan struct{} // closed when run returns

	mu      sync.Mutex
	more    sync.Cond // signals a new part, or closed
	parts   []part
	waiting int // number of bytes in parts
	skipped int // number of beacons that were not shown since the last report
	closed  bool
	err     error // of the output
}

// part is a text to show or, if text is nil, a question.
type part struct {
	text     []byte
	apart    bool // the text begins on a new line
	question question
}

func newScreen(c console) *screen {
	s := &screen{console: c, questions: make(chan question, 1), ended: make(chan struct{})}
	s.more.L = &s.mu
	return s
}

// show queues whole lines. It copies text. If apart is true, the text does not answer a typed line,
// and so begins on a new line.
func (s *screen) show(text []byte, apart bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(text, apart)
}

// showBeacon queues the lines of a received beacon, unless too many bytes wait.
func (s *screen) showBeacon(text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting > screenLimit {
		s.skipped++
		return
	}
	s.reportSkipped()
	s.add(text, false)
}

// reportSkipped queues a line with the number of beacons that were not shown.
func (s *screen) reportSkipped() {
	if s.skipped > 0 {
		n := s.skipped
		s.skipped = 0
		s.add(fmt.Appendf(nil, "%d beacons are not shown: the output was too slow\n", n), false)
	}
}

// ask queues a question.
func (s *screen) ask(prompt string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts = append(s.parts, part{question: questionOf(prompt)})
	s.more.Signal()
}

// add appends text to the queue. If apart is true, the text begins on a new line.
func (s *screen) add(text []byte, apart bool) {
	if len(text) == 0 || s.closed {
		return
	}
	s.waiting += len(text)
	if n := len(s.parts); n > 0 && s.parts[n-1].text != nil && !apart {
		s.parts[n-1].text = append(s.parts[n-1].text, text...)
	} else {
		s.parts = append(s.parts, part{text: bytes.Clone(text), apart: apart})
	}
	s.more.Signal()
}

// run passes the queue to the console until close. It calls broken with an error of the
// console, and returns.
func (s *screen) run(broken func(error)) {
	defer close(s.ended)
	defer close(s.questions)
	defer restoreOnPanic(s.console)
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

// next waits for a part and returns it. It returns false after close and the last part.
func (s *screen) next() (part, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.parts) == 0 {
		if s.skipped > 0 {
			s.reportSkipped()
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

// fail ends the screen after an error of the output.
func (s *screen) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.parts = true, nil
	if s.err == nil {
		s.err = err
	}
	s.more.Signal()
}

// close waits until the rest of the queue is shown, for at most flushLimit. It returns the
// error of the output.
func (s *screen) close() error {
	s.mu.Lock()
	s.closed = true
	s.more.Signal()
	s.mu.Unlock()
	if !awaitBriefly(s.ended) {
		return errors.New("the output is blocked: its last lines are lost")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
