package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// outage records the connection attempts that failed since the last one that
// succeeded. The zero value has none.
type outage struct {
	mu    sync.Mutex
	err   error         // of the last attempt: a server that dies resets the first; nil if there is none
	since time.Duration // begin of the first attempt, in the time of the run
	last  time.Duration // end of the last one
	ever  bool          // a connection succeeded
}

// leastOutage is the shortest outage that is reported if a connection succeeded before.
const leastOutage = time.Second

// add records an attempt with its begin and its end. A lack of descriptors or ports of
// this machine is not recorded, because the server has no part in it.
func (o *outage) add(begin, end time.Duration, err error) {
	if isResourceFailure(err) {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil {
		o.err, o.ever = nil, true
		return
	}
	if o.err == nil {
		o.since = begin
	}
	o.err, o.last = err, end
}

// lasting describes an outage that lasts, with its begin; "" if there is none, or only for a moment.
func (o *outage) lasting() (text string, since time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil || o.ever && o.last-o.since < leastOutage {
		return "", 0
	}
	since = max(0, o.since)
	return fmt.Sprintf("%s since %.1f s", reasonOf(o.err), since.Seconds()), since
}

// reasonOf returns the reason of a failed connection without addresses.
func reasonOf(err error) string {
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		return name.Err
	}
	if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() {
		return "no answer"
	}
	return err.Error()
}

// Reach connects to the server at host:port once, before a load that would have to end
// without an answer, and returns its IP address and port. timeout limits the attempt.
func Reach(ctx context.Context, server string, timeout time.Duration) (address string, err error) {
	dialer := net.Dialer{Timeout: timeout}
	c, err := dialer.DialContext(ctx, "tcp", server)
	switch {
	case ctx.Err() != nil:
		return "", &Interrupted{"connecting to the server at " + server}
	case err != nil:
		return "", fmt.Errorf("connecting to the server at %s: %s; start it, or name another one with --server",
			server, reasonOf(err))
	}
	return c.RemoteAddr().String(), c.Close()
}
