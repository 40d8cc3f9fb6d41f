package main

import (
	"errors"
	"strings"
	"testing"
)

// slowConsole is a console that blocks until its gate opens.
type slowConsole struct {
	gate  chan error // one for each show
	shown lockedBuffer
	begun chan struct{} // one for each show
}

func newSlowConsole() *slowConsole {
	return &slowConsole{gate: make(chan error, 100), begun: make(chan struct{}, 100)}
}

func (c *slowConsole) show(text []byte, _ bool) error {
	c.begun <- struct{}{}
	err := <-c.gate
	c.shown.Write(text)
	return err
}

func (c *slowConsole) readLine(question) (string, error) { return "", errors.New("no input") }

func (c *slowConsole) restore() {}

// A question is asked after all text before it is shown.
func TestScreenKeepsTheOrder(t *testing.T) {
	c := newSlowConsole()
	s := newScreen(c)
	s.show([]byte("one\n"), false)
	s.showBeacon([]byte("two\n"))
	s.ask("Password: ")
	s.show([]byte("three\n"), false)
	go s.run(func(error) {})
	within(t, c.begun)
	expect(t, "asked early", len(s.questions), 0)
	c.gate <- nil
	q := <-s.questions
	expect(t, "question", q, question{prompt: "Password: ", secret: true})
	expect(t, "shown", c.shown.String(), "one\ntwo\n")
	c.gate <- nil
	expect(t, "error", s.close(), nil)
	expect(t, "shown", c.shown.String(), "one\ntwo\nthree\n")
}

// A blocked terminal costs bounded memory. Skipped beacons are counted, and answers
// to the user are still shown.
func TestSlowTerminal(t *testing.T) {
	c := newSlowConsole()
	s := newScreen(c)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	go s.run(func(error) {})
	s.showBeacon(line)
	within(t, c.begun)
	for range 5000 {
		s.showBeacon(line)
	}
	if s.waiting > screenLimit+len(line) {
		t.Errorf("%d bytes wait", s.waiting)
	}
	s.show([]byte("you have logged out\n"), false)
	for range 3 {
		c.gate <- nil
	}
	within(t, c.begun)
	within(t, c.begun)
	expect(t, "error", s.close(), nil)
	shown := c.shown.String()
	lines := strings.Count(shown, string(line))
	expect(t, "the end", shown[lines*len(line):], "you have logged out\n3975 beacons are not shown: the output was "+
		"too slow\n")
	expect(t, "none is missing", lines+3975, 5001)
}

// A terminal that stays blocked does not prevent the end of the program.
func TestStuckTerminal(t *testing.T) {
	c := newSlowConsole()
	s := newScreen(c)
	s.show([]byte("x\n"), false)
	go s.run(func(error) {})
	within(t, c.begun)
	expect(t, "error", s.close().Error(), "the output is blocked: its last lines are lost")
	c.gate <- nil
	<-s.ended
}

func TestBrokenTerminal(t *testing.T) {
	c := newSlowConsole()
	s := newScreen(c)
	s.show([]byte("x\n"), false)
	c.gate <- outputError(errors.New("broken pipe"))
	broken := make(chan error, 1)
	s.run(func(err error) { broken <- err })
	expect(t, "error", (<-broken).Error(), "writing to the output: broken pipe")
	s.show([]byte("y\n"), false)
	expect(t, "kept", len(s.parts), 0)
	expect(t, "error", s.close().Error(), "writing to the output: broken pipe")
	if _, open := <-s.questions; open {
		t.Error("questions go on")
	}
}
