package socket

import (
	"bluetrace/nodes"
	"bluetrace/protocol"
)

// carryOut does what the machine's last call asked for.
func (p *Phone) carryOut(now nodes.Now) {
	for i := range p.out.Effects {
		p.do(now, &p.out.Effects[i])
	}
	p.out.Effects = p.out.Effects[:0]
	if p.config.Observer != nil {
		p.config.Observer.Stepped(now, p.machine.Log())
	}
}

func (p *Phone) do(now nodes.Now, e *nodes.PhoneEffect) {
	if p.config.Observer != nil {
		p.config.Observer.Effect(now, e)
	}
	switch e.Kind {
	case nodes.PhoneJudged:
		p.keep(now, e)
	case nodes.PhoneExpired:
		p.changed(now)
	case nodes.PhoneSendBeacon:
		p.sendBeacon(now, e)
	case nodes.PhoneConnect:
		p.connect()
	case nodes.PhoneSendTCP:
		if p.link != nil {
			p.link.send(e.Bytes)
		}
	case nodes.PhoneCloseTCP:
		p.hangUp()
	}
}

// say shows a line of the host's own on the phone's terminal.
func (p *Phone) say(now nodes.Now, line string) {
	if p.config.Observer != nil {
		p.config.Observer.Effect(now, &nodes.PhoneEffect{Kind: nodes.PhonePrint, Text: line})
	}
}

// sendBeacon sends one datagram, or four in their order from the one socket
// (PROTOCOL.md section 3).
func (p *Phone) sendBeacon(now nodes.Now, e *nodes.PhoneEffect) {
	to := e.To.AddrPort()
	if e.Form == protocol.Single {
		p.sent(now, p.SendDatagram(to, e.Raw[:]))
		return
	}
	for i := range protocol.Parts {
		if err := p.SendDatagram(to, protocol.Part(&e.Raw, i)); err != nil {
			p.sent(now, err)
			return
		}
	}
}

// sent tells the person when the network would not take a beacon.
func (p *Phone) sent(now nodes.Now, err error) {
	if err != nil {
		p.say(now, "can't send the beacon: "+Reason(err))
	}
}
