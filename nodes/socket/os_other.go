//go:build !linux

package socket

import (
	"net"

	"bluetrace/protocol"
)

// oneByOne reads one datagram at a time.
type oneByOne struct {
	conn  *net.UDPConn
	from  protocol.Address
	bytes [MaxDatagram]byte
	n     int
}

func newDatagrams(conn *net.UDPConn) datagrams { return &oneByOne{conn: conn} }

func (o *oneByOne) read() (int, error) {
	n, from, err := o.conn.ReadFromUDPAddrPort(o.bytes[:])
	if err != nil && n == 0 {
		return 0, err
	}
	o.from, o.n = protocol.AddressOf(from), n
	return 1, nil
}

func (o *oneByOne) at(int) (protocol.Address, []byte) { return o.from, o.bytes[:o.n] }
