package socket

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"bluetrace/protocol"
)

const (
	// receiveBuffer is what is asked of the kernel for datagrams that wait; less
	// than leastBuffer is not worth asking for.
	receiveBuffer = 4 << 20
	leastBuffer   = 128 << 10
	// batchSize is how many datagrams are taken at once, and handled under one
	// lock.
	batchSize = 64
	// MaxDatagram is the length to which a longer datagram is cut. No part of a
	// beacon is that long.
	MaxDatagram = 2 * 64

	// patience is how many reads in a row may fail at once; then the receiver
	// waits between two reads.
	patience  = 100
	pauseRead = 100 * time.Millisecond
)

// datagrams is what one read of a UDP socket gave.
type datagrams interface {
	// read waits for at least one and returns how many came.
	read() (n int, err error)
	// at is datagram i, valid until the next read.
	at(i int) (from protocol.Address, b []byte)
}

// receive brings datagrams to the machine until the socket is closed. An error
// of a read (such as an ICMP message about something that was sent) is no reason
// to stop.
func (p *Phone) receive() {
	defer p.crashing()
	defer p.running.Done()
	p.receiveFrom(newDatagrams(p.config.UDP))
}

func (p *Phone) receiveFrom(in datagrams) {
	for failures := 0; ; {
		n, err := in.read()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			failures++
		default:
			failures = 0
			p.take(in, n)
		}
		if failures >= patience && !p.rest() {
			return
		}
	}
}

// rest waits a little before the next read; false: the phone has ended.
func (p *Phone) rest() bool {
	select {
	case <-p.ending:
		return false
	case <-p.config.Clock.After(pauseRead):
		return true
	}
}

// take handles n datagrams under one lock, as of one moment.
func (p *Phone) take(in datagrams, n int) {
	p.config.Lock.Lock()
	defer p.config.Lock.Unlock()
	if p.ended {
		return
	}
	now := p.now()
	for i := range n {
		from, b := in.at(i)
		if p.config.Observer != nil {
			p.config.Observer.Datagram(now, from.AddrPort(), b)
		}
		p.machine.Datagram(now, from, b, &p.out)
		p.carryOut(now)
	}
	p.arm(now)
}

// askForBuffer takes what it can get: some kernels give less than was asked for,
// others refuse.
func askForBuffer(conn *net.UDPConn) {
	for size := receiveBuffer; size >= leastBuffer; size /= 2 {
		if conn.SetReadBuffer(size) == nil {
			return
		}
	}
}

// ReceiveBuffer is how many bytes the kernel granted for datagrams that wait, by
// its own account; 0: it does not say.
func (p *Phone) ReceiveBuffer() int {
	return grantedBuffer(p.config.UDP)
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
