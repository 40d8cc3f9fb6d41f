// Package epoll wraps the system calls with which one goroutine serves many
// sockets: epoll, eventfd, and socket calls that never block. The calls stand
// behind interfaces, so that a test can replace or fail any of them.
//
// Only Linux has them. Elsewhere NewPoller returns errors.ErrUnsupported, and a
// caller serves each socket by a goroutine of its own.
package epoll

import (
	"io"
	"net/netip"
	"time"
)

// Interest selects the events that a Poller reports for a descriptor.
type Interest uint8

// The interests.
const (
	// Readable reports unread bytes or the peer's end in each call of Wait.
	Readable Interest = iota
	// Writable reports that a connection has been established, or has failed.
	Writable
	// ReadableOnce reports the arrival of bytes or of the peer's end once
	// (edge-triggered).
	ReadableOnce
)

// Poller reports events of many descriptors. All methods are safe for concurrent
// use, except that one goroutine at a time calls Wait.
type Poller interface {
	// Watch begins to report events of fd. Each event has this key, which is >= 0.
	Watch(fd int, key int32, interest Interest) error
	// Rearm replaces key and interest of fd. An event that still applies is reported again.
	Rearm(fd int, key int32, interest Interest) error
	// Forget stops the reports for fd. Closing fd stops them, too.
	Forget(fd int) error
	// Wait blocks until there is at least one event, or Stop was called. It fills
	// events and returns their number. It panics if the kernel refuses the call,
	// which it does only for a programming error.
	Wait(events []Event) (n int, stopped bool)
	// Stop makes the current call of Wait, and each later one, return stopped.
	Stop()
	// Close releases the descriptors of the Poller. Afterwards Stop does nothing, and the
	// other methods return os.ErrClosed. Wait must not be called afterwards.
	Close() error
}

// Stream is a connection that blocks. A TCP connection also has a method CloseWrite.
type Stream interface {
	io.ReadWriteCloser
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// System is the set of system calls. Kernel returns the real ones.
type System interface {
	NewPoller() (Poller, error)

	// Read and Write transfer as many bytes as possible without blocking. The
	// error satisfies WouldBlock if there is nothing to read or no room to write.
	Read(fd int, p []byte) (int, error)
	Write(fd int, p []byte) (int, error)
	Close(fd int) error

	// Duplicate returns a second descriptor of a *net.TCPConn. The runtime's own poller does
	// not watch it. For any other type the error is errors.ErrUnsupported.
	Duplicate(c io.ReadWriteCloser) (fd int, err error)
	// Stream returns a blocking connection for a descriptor, and owns the descriptor from
	// then on.
	Stream(fd int) Stream

	// Connect begins a TCP connection with no delay (TCP_NODELAY). Writable reports that
	// the connection is established or has failed, and ConnectError returns the error.
	Connect(to netip.AddrPort) (fd int, err error)
	ConnectError(fd int) error
	// BindUDP opens a UDP socket at a free port of an IPv4 address.
	BindUDP(ip netip.Addr) (fd int, at netip.AddrPort, err error)
	// SendTo and ReceiveFrom transfer one datagram of a socket of BindUDP.
	SendTo(fd int, to netip.AddrPort, p []byte) error
	ReceiveFrom(fd int, p []byte) (n int, from netip.AddrPort, err error)
}
