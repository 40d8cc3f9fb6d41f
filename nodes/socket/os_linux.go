package socket

import (
	"net"

	"golang.org/x/net/ipv4"

	"bluetrace/protocol"
)

// batch reads many datagrams with one recvmmsg.
type batch struct {
	conn     *ipv4.PacketConn // reads from an IPv6 socket, too: the kernel fills in the addresses
	messages [batchSize]ipv4.Message
	bytes    [batchSize][MaxDatagram]byte
}

func newDatagrams(conn *net.UDPConn) datagrams {
	b := &batch{conn: ipv4.NewPacketConn(conn)}
	for i := range b.messages {
		b.messages[i].Buffers = [][]byte{b.bytes[i][:]}
	}
	return b
}

func (b *batch) read() (int, error) { return b.conn.ReadBatch(b.messages[:], 0) }

func (b *batch) at(i int) (protocol.Address, []byte) {
	m := &b.messages[i]
	from := protocol.Address{}
	if a, ok := m.Addr.(*net.UDPAddr); ok {
		from.Port = uint16(a.Port)
		copy(from.IP[:], a.IP.To16())
	}
	return from, b.bytes[i][:m.N]
}
