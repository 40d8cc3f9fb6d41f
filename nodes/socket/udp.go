package socket

import (
	"errors"
	"net"
	"time"

	"bluetrace/protocol"
)

const (
	// receiveBuffer is the size in bytes of the receive buffer that the phone requests.
	// minReceiveBuffer is the smallest size that it requests.
	receiveBuffer    = 4 << 20
	minReceiveBuffer = 128 << 10
	// batchSize is the largest number of datagrams that are read at once and handled
	// under one lock.
	batchSize = 64
	// MaxDatagram is the length in bytes to which a longer datagram is cut. Each part
	// of a beacon is shorter, also in the dialects.
	MaxDatagram = 4 * 64

	// maxReadErrors is the number of reads in a row that may fail before the receiver
	// pauses for readPause after each.
	maxReadErrors = 100
	readPause     = 100 * time.Millisecond
)

// datagrams holds the result of one read of a UDP socket.
type datagrams interface {
	// read waits for at least one datagram and returns their number.
	read() (n int, err error)
	// at returns datagram i, which is valid until the next read.
	at(i int) (from protocol.Address, b []byte)
}

// receive passes datagrams to the machine until the socket is closed. It continues after
// an error of a read, for example an ICMP message about a datagram that the phone sent.
func (p *Phone) receive() {
	defer p.recoverPanic()
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
		if failures >= maxReadErrors {
			select {
			case <-p.ending:
				return
			case <-p.config.Clock.After(readPause):
			}
		}
	}
}

// take passes n datagrams to the machine under one lock, all with the same now.
func (p *Phone) take(in datagrams, n int) {
	p.config.Lock.Lock()
	defer p.config.Lock.Unlock()
	if p.ended {
		return
	}
	now := p.now()
	for i := range n {
		from, b := in.at(i)
		p.config.Observer.Datagram(now, from.AddrPort(), b)
		if t := p.config.Beacons; t != nil {
			if b = t.Receive(now, from, b); b == nil {
				continue
			}
		}
		p.machine.Datagram(now, from, b, &p.out)
		p.carryOut(now)
	}
	p.arm(now)
}

// requestBuffer requests a receive buffer, and a smaller one if the kernel refuses. Some
// kernels accept the request, but grant less.
func requestBuffer(conn *net.UDPConn) {
	for size := receiveBuffer; size >= minReceiveBuffer; size /= 2 {
		if conn.SetReadBuffer(size) == nil {
			return
		}
	}
}
