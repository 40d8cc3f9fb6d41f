package socket

import (
	"errors"
	"fmt"
	"time"
)

// closeGrace bounds, in real time, what Close gives the peers to take their
// answers and to end, and the output to take its lines.
const closeGrace = 250 * time.Millisecond

// ErrUnsaved is why Close failed: the disk did not answer in time.
var ErrUnsaved = errors.New("the disk does not answer")

// Close ends the server with nothing lost: what is to be stored is stored, then
// every session ends; each peer gets what is unsent and the end of file. It
// returns the first error of closing the listener, when every goroutine has
// ended. The lock must not be held.
//
// After CloseTimeout it waits no longer for a goroutine that is stuck in a file,
// and breaks what is left: with ErrUnsaved if something was to be stored.
func (s *Server) Close() error {
	ended := make(chan error, 1)
	go func() { ended <- s.closeWhole() }()
	var timeUp <-chan time.Time
	if limit := s.config.CloseTimeout; limit > 0 {
		timer := s.real.Timer(limit)
		defer timer.Stop()
		timeUp = timer.C
	}
	var err error
	select {
	case err = <-ended:
	case <-timeUp:
		err = s.giveUp()
	}
	s.printer.close(s.real, closeGrace)
	return err
}

// giveUp breaks what Close waits for in vain.
func (s *Server) giveUp() error {
	s.lock.Lock()
	unsaved := s.storing || len(s.queue) > 0
	s.abandon()
	s.lock.Unlock()
	err := s.stop()
	if unsaved {
		return errors.Join(fmt.Errorf("%w: what was asked for last is not saved, and nobody was told that it is", ErrUnsaved), err)
	}
	return err
}

func (s *Server) closeWhole() error {
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
	s.tasks.Wait()
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
	s.abandon()
	s.lock.Unlock()
	_ = s.stop() // nobody hears of it: a killed process has no errors
	s.tasks.Wait()
	s.printer.kill(s.real, closeGrace)
}

// abandon breaks every connection, and no machine call comes after it; the lock is
// held.
func (s *Server) abandon() {
	s.phase = killed
	s.alarm.off()
	s.printer.release()
	s.queue = nil
	for _, x := range s.alive {
		if x.poll == nil {
			closeQuietly(x.tcp)
		}
		x.goOn()
	}
	s.stored.Broadcast() // to a Close under way
}

// stop ends the goroutines that accept and store.
func (s *Server) stop() error {
	s.stopping.Do(func() {
		close(s.ended)
		for _, p := range s.polls {
			p.close()
		}
	})
	err := s.config.Listener.Close()
	if isClosed(err) {
		return nil
	}
	return err
}
