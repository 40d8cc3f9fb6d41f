package load

import "net/netip"

// Network is what phones reach the server and each other by. Nothing in it
// waits: what happens is brought to ears, by goroutines of the network, one call
// at a time for each connection and each socket.
type Network interface {
	// Dial begins to open a connection to the server; ear hears what becomes of
	// it. It never calls ear itself.
	Dial(ear ConnHandler) Conn
	// Listen opens the UDP socket of one phone.
	Listen(ear DatagramHandler) (Datagrams, error)
	// Dropped is how many datagrams were thrown away because the buffers of these
	// sockets were full.
	Dropped(addresses map[netip.AddrPort]bool) uint64
	// Close ends the network's goroutines, when every connection and socket is
	// closed. It may be used again.
	Close() error
}

// ConnHandler hears of one connection: that it was opened or not, and then what the
// server sends until the connection ends. After Close of it what is heard means
// nothing.
type ConnHandler interface {
	OnOpen(err error)
	OnData(p []byte) // valid during the call
	OnEnd(err error)
}

// Conn is a connection to the server, or one that is being opened.
type Conn interface {
	// Write sends a message that a socket's buffer has room for.
	Write(p []byte) error
	Close() error
}

// DatagramHandler hears what comes to a UDP socket; p is valid during the call.
type DatagramHandler func(from netip.AddrPort, p []byte)

// Datagrams is the UDP socket of one phone.
type Datagrams interface {
	Address() netip.AddrPort
	Send(to netip.AddrPort, p []byte) error
	Close() error
}

// heardAtOnce is how many bytes are taken of a connection or a datagram at once:
// more than any answer and any part of a beacon has.
const heardAtOnce = 256
