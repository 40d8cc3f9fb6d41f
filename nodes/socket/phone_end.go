package socket

import "fmt"

// Close hangs up, saves the contact log and closes the UDP socket. It returns
// when every goroutine of the phone has ended, within 300 ms of real time plus
// what the disk takes; the error is the disk's. Called without the lock.
func (p *Phone) Close() error {
	if !p.end(true) || p.saver.file == nil {
		return nil
	}
	p.config.Lock.Lock()
	received := p.snapshot()
	p.config.Lock.Unlock()
	if err := p.saver.write(received); err != nil {
		return fmt.Errorf("saving the contact log: %w", err)
	}
	return nil
}

// Kill ends the phone as a SIGKILL would: nothing is saved, nothing more is
// sent, and nothing reaches the disk once it returns. Called without the lock.
func (p *Phone) Kill() { p.end(false) }

// end stops everything and waits; false: it had ended before.
func (p *Phone) end(orderly bool) bool {
	p.config.Lock.Lock()
	first := !p.ended
	if first && orderly {
		p.input(p.machine.Wake) // what is due leaves the log
	}
	if first {
		close(p.ending)
	}
	p.ended = true
	p.wake.off()
	p.saver.again.off()
	var links []*phoneLink
	for l := range p.links {
		links = append(links, l)
		if orderly {
			l.hangUp(closeLimit)
		} else {
			l.breakOff()
		}
	}
	p.link = nil
	p.config.Lock.Unlock()
	closeQuietly(p.config.UDP)
	for _, l := range links {
		<-l.ended
	}
	p.running.Wait()
	return first
}
