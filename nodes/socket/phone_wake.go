package socket

// Wake does what is due at this moment, for a host of many phones that wants to
// look at a log before the clock's timer has come round to it. It must not be
// called from the phone's own observer. The lock is held.
func (p *Phone) Wake() { p.input(p.machine.Wake) }
