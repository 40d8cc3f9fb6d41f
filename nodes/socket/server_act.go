package socket

import (
	"fmt"

	"bluetrace/nodes"
)

// carryOut does what the machine asked for in its last call at now, and arms the
// alarm. The lock is held. What it has for conns other than the running one
// waits for wake.
func (s *Server) carryOut(now nodes.Now) {
	for {
		for i := range s.out.Effects {
			e := &s.out.Effects[i]
			if s.config.Observer != nil {
				s.config.Observer.Effect(now, e)
			}
			s.act(e)
		}
		s.out.Effects = s.out.Effects[:0]
		if len(s.inline) == 0 {
			break
		}
		s.storeInline(now)
	}
	if at, ok := s.machine.NextWake(); ok {
		s.alarm.set(now.Elapsed, at)
	}
}

func (s *Server) act(e *nodes.ServerEffect) {
	switch e.Kind {
	case nodes.EffectSend:
		x := s.conns[e.Conn]
		x.unsent.add(e.Bytes)
		s.touched(x)
	case nodes.EffectClose:
		x := s.conns[e.Conn]
		s.conns[e.Conn] = nil
		s.free = append(s.free, e.Conn)
		x.close()
		s.touched(x)
	case nodes.EffectPrint:
		s.printer.add(e.Text)
	case nodes.EffectStore:
		s.store(e)
	case nodes.EffectEvent:
		if e.Event.Kind == nodes.EventLoggedIn {
			s.conns[e.Conn].loggedIn = true
		}
	default:
		panic(fmt.Sprintf("socket: effect of kind %d", e.Kind))
	}
}

// touched remembers that there is something to do for a conn that neither the
// running goroutine nor a pass looks at anyway.
func (s *Server) touched(x *conn) {
	if x == nil || x == s.running || x.taken {
		return
	}
	if n := len(s.woken); n > 0 && s.woken[n-1] == x {
		return
	}
	s.woken = append(s.woken, x)
}

// wake lets the touched conns go on.
func (s *Server) wake() {
	for i, x := range s.woken {
		x.goOn()
		s.woken[i] = nil
	}
	s.woken = s.woken[:0]
}
