package socket

import (
	"time"
)

// closeGrace bounds, in real time, what Close gives the peers to take their
// answers and to end, and the output to take its lines.
const closeGrace = 250 * time.Millisecond

// Close ends the server with nothing lost: what is to be stored is stored, then
// every session ends; each peer gets what is unsent and the end of file. It
// returns the first error of closing the listener, when every goroutine has
// ended. The lock must not be held.
func (s *Server) Close() error {
	s.lock.Lock()
	if s.phase != serving {
		s.lock.Unlock()
		s.tasks.Wait()
		return nil
	}
	s.phase = closing
	s.printer.release()
	for _, x := range s.alive {
		x.hurry()
	}
	s.awaitDisk()
	if s.phase == closing {
		s.endSessions()
		s.awaitDisk() // for commands that had waited behind others
	}
	s.alarm.off()
	s.lock.Unlock()
	err := s.stop()
	s.printer.close(s.real, closeGrace)
	return err
}

// awaitDisk waits until nothing is to be stored; the lock is held, and free
// meanwhile.
func (s *Server) awaitDisk() {
	for s.storing || len(s.queue) > 0 {
		s.stored.Wait()
	}
}

// endSessions tells the machine that every session is over; the lock is held.
func (s *Server) endSessions() {
	t := s.now()
	for _, x := range s.conns {
		if x != nil {
			s.hangUp(t, x)
		}
	}
	s.wake()
}

// Kill ends the server as a SIGKILL would: connections break, nothing that waits
// is stored, sent or printed. When it returns nothing reaches the disk any more,
// and every goroutine has ended. The lock must not be held.
func (s *Server) Kill() {
	s.lock.Lock()
	if s.phase == killed {
		s.lock.Unlock()
		s.tasks.Wait()
		return
	}
	was := s.phase
	s.phase = killed
	s.alarm.off()
	s.printer.release()
	s.queue = nil
	for _, x := range s.alive {
		closeQuietly(x.tcp)
		x.goOn()
	}
	s.stored.Broadcast() // to a Close under way
	s.lock.Unlock()
	if was == serving {
		_ = s.stop() // nobody hears of it: a killed process has no errors
	}
	s.tasks.Wait()
	s.printer.kill(s.real, closeGrace)
}

// stop ends the goroutines that accept and store, and waits for all.
func (s *Server) stop() error {
	close(s.ended)
	err := s.config.Listener.Close()
	s.tasks.Wait()
	if isClosed(err) {
		return nil
	}
	return err
}
