package socket

// A connection that is logged in and has no answer unsent is watched by a poll,
// where there is one (poll_linux.go), and has no goroutine. Whoever makes a
// machine call that concerns it takes it, as one of a pass of many: what a pass
// has taken no other touches, and it is let go when all is sent. One that must be
// waited for, to take its answers or for its farewell, gets a goroutine back.

// claim takes the watched ones of the woken into a pass, and leaves the others.
// The lock is held.
func (s *Server) claim(pass []*conn) []*conn {
	others := s.woken[:0]
	for _, x := range s.woken {
		if x.poll == nil {
			others = append(others, x)
			continue
		}
		if !x.taken {
			x.taken = true
			pass = append(pass, x)
		}
	}
	clear(s.woken[len(others):])
	s.woken = others
	return pass
}

// settle sends what a pass and the woken have to be sent, and lets them go. The
// lock is held, and free when it returns the emptied pass.
func (s *Server) settle(pass []*conn) []*conn {
	for {
		for _, x := range pass {
			if x.over && s.phase == serving && !x.closed {
				s.hangUp(s.now(), x)
			}
		}
		pass = s.letGo(s.claim(pass))
		s.wake()
		s.lock.Unlock()
		if len(pass) == 0 {
			return pass
		}
		for _, x := range pass {
			x.sendNow()
		}
		s.lock.Lock()
	}
}

// letGo returns those of a pass that have something to be sent. The lock is held.
func (s *Server) letGo(pass []*conn) (busy []*conn) {
	busy = pass[:0]
	for _, x := range pass {
		t := x.turn()
		if t == toEnd || t == toVanish || x.slow {
			x.leave()
			continue
		}
		if len(x.sending.lengths) > 0 {
			busy = append(busy, x)
			continue
		}
		x.taken = false
		if t == toRead && x.unread {
			x.unread = false
			x.poll.again(x)
		}
	}
	clear(pass[len(busy):])
	return busy
}

// sendNow sends each answer by itself, as long as there is room for it.
func (x *conn) sendNow() {
	at := 0
	for i, size := range x.sending.lengths {
		n, err := writeNow(x.descriptor, x.sending.bytes[at:at+size])
		at += n
		switch {
		case err != nil && !wouldWait(err):
			x.over = true
			x.sending.empty()
			return
		case n < size:
			x.slow = true
			x.sending.sent(i, at)
			return
		}
	}
	x.sending.empty()
}

// join leaves a connection to a poll; its goroutine ends. False: it goes on.
func (x *conn) join() bool {
	s := x.server
	if len(s.polls) == 0 || x.slow || !x.known {
		return false
	}
	tcp := x.tcp
	descriptor, ok := descriptorOf(tcp)
	if !ok {
		x.slow = true
		return false
	}
	if !x.watched(descriptor) {
		closeDescriptor(descriptor)
		return false
	}
	closeQuietly(tcp)
	return true
}

func (x *conn) watched(descriptor int) bool {
	s := x.server
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.phase != serving || x.closed || len(x.unsent.lengths) > 0 {
		return false
	}
	p := s.polls[int(x.number)%len(s.polls)]
	if p.watch(x, descriptor) != nil {
		x.slow = true
		return false
	}
	x.tcp, x.in = nil, nil
	x.poll, x.descriptor = p, descriptor
	return true
}

// leave gives a watched connection a goroutine that looks what there is to do.
// The lock is held.
func (x *conn) leave() {
	x.tcp = x.poll.release(x)
	x.poll, x.taken = nil, false
	if x.closed {
		x.hurry()
	}
	x.server.tasks.Add(1)
	go x.run()
}
