package live

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// udp holds the UDP addresses of the phones and the datagrams in flight. The kernel neither numbers datagrams nor
// reports losses. A received datagram is therefore identified by its addresses, its length and its contents, and the
// datagrams sent before it on the same path, whose order the kernel keeps, count as lost.
type udp struct {
	schedule *scheduler
	emit     *event.Emitter
	configs  []PhoneConfig

	addresses []protocol.Address          // by phone
	phones    map[protocol.Address]uint32 // by the address of each socket
	extra     map[source]*net.UDPConn
	inFlight  map[path][]datagram // the oldest first
	sent      uint64              // datagrams sent so far
}

// source is an additional socket of a phone. A script chooses its number.
type source struct {
	phone  uint32
	number uint16
}

// path is the path from one socket to a phone.
type path struct {
	from protocol.Address
	to   uint32
}

// datagram is a datagram in flight.
type datagram struct {
	sent   time.Duration
	number uint64 // among the datagrams of the run, from 1
	size   int    // bytes
	sum    uint64 // hash of the bytes that a receiver reads
}

func hashOf(p []byte) uint64 { return xxhash.Sum64(p[:min(len(p), socket.MaxDatagram)]) }

// bind opens the socket of the next phone. The socket of a phone that is a program only reserves a port: bind closes it
// and returns nil.
func (u *udp) bind(isProgram bool) (*net.UDPConn, error) {
	conn, err := listenUDP()
	if err != nil {
		return nil, err
	}
	address := protocol.AddressOf(addressOf(conn.LocalAddr()))
	u.phones[address] = uint32(len(u.addresses))
	u.addresses = append(u.addresses, address)
	if isProgram {
		return nil, conn.Close()
	}
	return conn, nil
}

func listenUDP() (*net.UDPConn, error) {
	return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

// addressOf returns the address of a TCP or UDP socket.
func addressOf(a net.Addr) netip.AddrPort {
	var p netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		p = a.AddrPort()
	case *net.TCPAddr:
		p = a.AddrPort()
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// phoneAt returns the phone that has a socket with this address, or event.NoPeer.
func (u *udp) phoneAt(a *protocol.Address) event.Node {
	if phone, ok := u.phones[*a]; ok {
		return phone
	}
	return event.NoPeer
}

// send records that a phone sends a datagram. It is called before the datagram is passed to the kernel.
func (u *udp) send(at time.Duration, phone uint32, from, to *protocol.Address, p []byte) {
	u.sent++
	d := datagram{at, u.sent, len(p), hashOf(p)}
	dest := u.phoneAt(to)
	if dest == event.NoPeer {
		u.emit.DatagramLost(phone, dest, from.Port, to, d.number, p)
		return
	}
	k := path{*from, dest}
	u.inFlight[k] = append(u.inFlight[k], d)
	u.emit.DatagramSent(phone, dest, from.Port, d.number, p, event.DueUnknown, "")
}

// receive records the receipt of a datagram and returns it as it was sent. It returns false for a datagram that was
// not sent in this world.
func (u *udp) receive(k path, p []byte) (datagram, bool) {
	pending, sum := u.inFlight[k], hashOf(p)
	i := slices.IndexFunc(pending, func(d datagram) bool {
		return min(d.size, socket.MaxDatagram) == len(p) && d.sum == sum
	})
	if i < 0 {
		return datagram{}, false
	}
	sender := u.phones[k.from]
	for _, lost := range pending[:i] {
		u.emit.DatagramLostInFlight(sender, k.to, lost.number, lost.size)
	}
	d := pending[i]
	if rest := pending[i+1:]; len(rest) > 0 {
		u.inFlight[k] = rest
	} else {
		delete(u.inFlight, k)
	}
	u.emit.DatagramDelivered(k.to, sender, k.from.Port, d.number, d.size, sum)
	return d, true
}

// sendFromExtra sends a datagram of a script from an additional socket of a phone.
func (u *udp) sendFromExtra(s source, to *protocol.Address, b []byte) error {
	conn, err := u.extraSocket(s)
	if err != nil {
		return fmt.Errorf("binding an additional UDP socket of %s: %w", u.configs[s.phone].Name, err)
	}
	from := protocol.AddressOf(addressOf(conn.LocalAddr()))
	u.send(u.schedule.now, s.phone, &from, to, b)
	if _, err = conn.WriteToUDPAddrPort(b, to.AddrPort()); err != nil {
		return fmt.Errorf("sending a datagram of a script: %w", err)
	}
	return nil
}

// extraSocket returns the additional socket, which it opens on first use.
func (u *udp) extraSocket(s source) (*net.UDPConn, error) {
	if conn := u.extra[s]; conn != nil {
		return conn, nil
	}
	conn, err := listenUDP()
	if err != nil {
		return nil, err
	}
	u.extra[s] = conn
	u.phones[protocol.AddressOf(addressOf(conn.LocalAddr()))] = s.phone
	return conn, nil
}

// count returns the number of datagrams in flight.
func (u *udp) count() int {
	n := 0
	for _, pending := range u.inFlight {
		n += len(pending)
	}
	return n
}

// work yields the datagrams in flight as unfinished work.
func (u *udp) work(yield func(uint64, string) bool) {
	for k, pending := range u.inFlight {
		if !yield(0, fmt.Sprintf("%d datagrams from %s to %s", len(pending), k.from, u.configs[k.to].Name)) {
			return
		}
	}
}

// close closes the additional sockets. The hosts close those of the phones.
func (u *udp) close() error {
	var errs []error
	for _, conn := range u.extra {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}
