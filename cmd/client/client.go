package main

import (
	"errors"
	"sync"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
)

// textOffline is shown after the loss of the connection of a logged-in user.
const textOffline = "beacons are still sent and received; start the client again to log in"

// textPause is shown if a login gets no answer. A possible cause is that the server has
// read username and password as one message.
const textPause = "is the server running? if so, start the client again with a longer --password-pause"

// client connects a phone with its user. It is the phone's observer: it shows the phone's
// output, and reads a line when the phone prompts for one. A phone that is offline or
// logged out prompts no more. Then the client asks for lines itself, with the last prompt
// of a phone that is offline, and without a prompt after log out.
type client struct {
	socket.IgnorePhone
	lock   sync.Mutex
	phone  *socket.Phone
	zone   *protocol.Zone
	screen *screen
	over   chan status // the first status ends the program

	asked    bool   // a line is being read, or is about to be
	prompt   string // the phone's last prompt
	opened   bool   // start has opened the session
	loggedIn bool   // a login has succeeded
	offline  bool   // textOffline was shown
	ending   bool   // the program is about to end by itself
	text     []byte
}

// start opens the phone's session and starts to read lines.
func (c *client) start() {
	go c.screen.run(func(error) { c.end(failed) })
	go c.read()
	c.lock.Lock()
	defer c.lock.Unlock()
	c.opened = true
	c.phone.Open()
}

// end makes the program end with the status s, unless it is ending already.
func (c *client) end(s status) {
	select {
	case c.over <- s:
	default:
	}
}

// read reads a line for each question and passes it to the phone.
func (c *client) read() {
	defer restoreOnPanic(c.screen.console)
	for q := range c.screen.questions {
		line, err := c.screen.console.readLine(q)
		c.lock.Lock()
		c.asked = false
		switch {
		case errors.Is(err, errOutput):
			c.screen.fail(err)
			c.end(failed)
		case err != nil:
			c.phone.InputEnded()
		default:
			c.phone.Type(line)
		}
		c.lock.Unlock()
		if err != nil {
			return
		}
	}
}

// ask reads the next line, with a prompt, unless a line is being read already.
func (c *client) ask(prompt string) {
	if c.asked || c.ending {
		return // the line that is being typed answers this question, too
	}
	c.asked = true
	c.screen.ask(prompt)
}

// Effect implements socket.PhoneObserver: it shows the phone's output.
func (c *client) Effect(_ nodes.Now, e *nodes.PhoneEffect) {
	switch e.Kind {
	case nodes.PhonePrompt:
		c.prompt = e.Text
		c.ask(e.Text)
	case nodes.PhonePrint, nodes.PhoneSendBeacon:
		c.text = e.AppendText(c.text[:0], c.zone)
		c.screen.show(c.text, e.IsConnectionMessage())
	case nodes.PhoneJudged:
		c.text = e.AppendText(c.text[:0], c.zone)
		c.screen.showBeacon(c.text)
	case nodes.PhoneDone:
		c.done(e)
	case nodes.PhoneQuit:
		c.ending = true
		c.end(ended)
	}
}

// done ends the program if a login has failed for good.
func (c *client) done(e *nodes.PhoneEffect) {
	switch {
	case e.Op != nodes.OpLogin || e.Outcome == nodes.OutcomeWrongPassword:
	case e.Outcome == nodes.OutcomeOK:
		c.loggedIn = true
	default:
		if e.Outcome == nodes.OutcomeNoAnswer {
			c.screen.show([]byte(textPause+"\n"), false)
		}
		c.ending = true
		c.end(failed)
	}
}

// Stepped implements socket.PhoneObserver: it asks for a line if the phone is offline or
// logged out.
func (c *client) Stepped(nodes.Now, *nodes.ContactLog) {
	if !c.opened || c.ending {
		return
	}
	switch c.phone.Machine().Stage() {
	case nodes.StageOffline:
		if c.loggedIn && !c.offline {
			c.offline = true
			c.screen.show([]byte(textOffline+"\n"), false)
		}
		c.ask(c.prompt)
	case nodes.StageLoggedOut:
		c.ask("")
	}
}
