package main

import (
	"context"
	"errors"
	"net/netip"
	"sync"

	"bluetrace/nodes"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
)

// textAlone is said when the server is gone and the person was logged in.
const textAlone = "beacons are still sent and received; start the client again to log in"

// textPause is said when a login got no answer: the server may take username and
// password as one.
const textPause = "is the server running? if so, start the client again with a longer --password-pause"

// client stands between a phone and the person who uses it: it shows what the
// phone says, and reads a line whenever the phone has asked for one. Without a
// server the phone no longer asks: then the client does, with the last prompt, and
// after log out with none. It watches the phone with the lock held.
type client struct {
	lock   sync.Mutex
	phone  *socket.Phone
	zone   *protocol.Zone
	screen *screen
	over   chan status // the first one counts

	typist   sync.WaitGroup
	asked    bool   // a line is being read, or about to be
	prompt   string // the phone's last
	opened   bool
	loggedIn bool // once
	alone    bool // textAlone was said
	ending   bool // the program is about to end by itself
	text     []byte
}

func newClient(c console, zone *protocol.Zone) *client {
	return &client{zone: zone, screen: newScreen(c), over: make(chan status, 1)}
}

// start opens the phone's session, and begins to read.
func (c *client) start() {
	go c.screen.run(func(error) { c.end(failed) })
	c.typist.Add(1)
	go c.read()
	c.lock.Lock()
	defer c.lock.Unlock()
	c.opened = true
	c.phone.Open()
}

// wait answers how the program ends.
func (c *client) wait(asked context.Context) status {
	select {
	case <-asked.Done():
		return ended
	case s := <-c.over:
		return s
	}
}

// finish shows what is still to be shown. A line that is being read stays
// unread.
func (c *client) finish() error { return c.screen.close() }

// end has the program end with s, unless it ends already.
func (c *client) end(s status) {
	select {
	case c.over <- s:
	default:
	}
}

// read types for the person, one line for each question.
func (c *client) read() {
	defer c.typist.Done()
	defer restoring(c.screen.console)
	for q := range c.screen.questions {
		line, err := c.screen.console.readLine(q)
		c.lock.Lock()
		c.asked = false
		if errors.Is(err, errOutput) {
			c.screen.fail(err)
			c.end(failed)
			c.lock.Unlock()
			return
		}
		if err != nil {
			c.phone.InputEnded()
			c.lock.Unlock()
			return
		}
		c.phone.Type(line)
		c.lock.Unlock()
	}
}

// ask has the next line read, after a prompt.
func (c *client) ask(prompt string) {
	if c.asked || c.ending {
		return // what is being typed answers both
	}
	c.asked = true
	c.screen.ask(prompt)
}

// Effect is of socket.PhoneObserver.
func (c *client) Effect(_ nodes.Now, e *nodes.PhoneEffect) {
	switch e.Kind {
	case nodes.PhonePrompt:
		c.prompt = e.Text
		c.ask(e.Text)
	case nodes.PhonePrint, nodes.PhoneSendBeacon:
		c.text = e.AppendText(c.text[:0], c.zone)
		if e.IsConnectionMessage() {
			c.screen.showApart(c.text)
		} else {
			c.screen.show(c.text)
		}
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

// done ends the program when a login has failed for good: a new try is a new
// start.
func (c *client) done(e *nodes.PhoneEffect) {
	switch {
	case e.Op != nodes.OpLogin || e.Outcome == nodes.OutcomeWrongPassword:
	case e.Outcome == nodes.OutcomeOK:
		c.loggedIn = true
	default:
		if e.Outcome == nodes.OutcomeNoAnswer {
			c.screen.show([]byte(textPause + "\n"))
		}
		c.ending = true
		c.end(failed)
	}
}

// Stepped is of socket.PhoneObserver.
func (c *client) Stepped(nodes.Now, *nodes.ContactLog) {
	if !c.opened || c.ending {
		return
	}
	switch c.phone.Machine().Stage() {
	case nodes.StageOffline:
		if c.loggedIn && !c.alone {
			c.alone = true
			c.screen.show([]byte(textAlone + "\n"))
		}
		c.ask(c.prompt)
	case nodes.StageLoggedOut:
		c.ask("")
	}
}

// The rest of socket.PhoneObserver tells a person nothing.

// Connected is of socket.PhoneObserver.
func (c *client) Connected(nodes.Now, netip.AddrPort) {}

// ConnectFailed is of socket.PhoneObserver.
func (c *client) ConnectFailed(nodes.Now, string) {}

// Read is of socket.PhoneObserver.
func (c *client) Read(nodes.Now, []byte) {}

// Closed is of socket.PhoneObserver.
func (c *client) Closed(nodes.Now) {}

// Datagram is of socket.PhoneObserver.
func (c *client) Datagram(nodes.Now, netip.AddrPort, []byte) {}
