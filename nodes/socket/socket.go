// Package socket hosts the state machines of package nodes over real sockets
// and a clock.Clock. A host makes no decision of the protocol: it passes each input and
// each deadline to its machine, and carries out the machine's effects.
//
// A host calls its machine with its lock held, in the order of the clock. Several
// hosts may share one lock. The lock is never held over a read, a write, a dial or
// an fsync that may block. Every deadline of a machine is a timer of the node's
// clock, so that under clock.Mock an hour passes in milliseconds. Limits on the
// network and the kernel are real time, whatever the node's clock.
package socket

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
)

// RealClock returns the machine's clock. It is for limits on the network, the
// kernel and the disk, which take real time even when the node's clock is a mock.
// Everything else takes its time from the clock that it is given.
func RealClock() clock.Clock {
	return clock.New() //nolint:forbidigo // the one place: see above
}

// now reads the clock once for both times of PROTOCOL.md section 1. Elapsed is the time
// since origin.
func now(c clock.Clock, origin time.Time) nodes.Now {
	t := c.Now()
	return nodes.Now{Elapsed: t.Sub(origin), Wall: t.UnixNano()}
}

// alarm calls ring, with the lock held, at the earliest time for which it was set. It may
// call ring earlier: a later deadline does not replace an earlier one. All methods are
// called with the lock held.
type alarm struct {
	clock clock.Clock
	lock  sync.Locker
	ring  func()

	timer *clock.Timer  // nil if the alarm is not armed
	at    time.Duration // elapsed time for which it is armed
	era   uint64        // number of the timer; a timer with an earlier number does nothing
}

// set arms the alarm for the time at, unless it is armed for an earlier time. now is the
// current time. Both are elapsed times.
func (a *alarm) set(now, at time.Duration) {
	if a.timer != nil {
		if a.at <= at {
			return
		}
		a.timer.Stop()
	}
	a.era++
	era := a.era
	a.at = at
	a.timer = a.clock.AfterFunc(at-now, func() {
		a.lock.Lock()
		defer a.lock.Unlock()
		if a.era == era {
			a.timer = nil
			a.ring()
		}
	})
}

// stop disarms the alarm.
func (a *alarm) stop() {
	a.era++
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
}

// signal puts a token into a channel with room for one, unless it holds one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// closeQuietly closes a connection and ignores the error, which would change nothing.
func closeQuietly(c io.Closer) { _ = c.Close() }

// isClosed reports whether err is the error of a listener or a connection that
// was closed on this side.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

// unmapped returns a with an IPv4-mapped IPv6 address as IPv4.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// tcpAddress returns the address of a TCP connection, or the zero value for any
// other kind of address.
func tcpAddress(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return unmapped(tcp.AddrPort())
	}
	return netip.AddrPort{}
}

// Reason describes an error of the network in a few words, without addresses.
func Reason(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		return e.Err.Error()
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "no answer"
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}
