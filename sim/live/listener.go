package live

import (
	"net"
	"time"

	"bluetrace/nodes/socket"
)

// listener gives a connection to the server once it is known whose it is.
type listener struct {
	net.Listener
	disk *disk
}

// Close is what the server calls when nothing reaches its machine any more: only
// then a killed one may hear that a Store of its has failed.
func (l *listener) Close() error {
	w := l.disk.host.world
	w.mu.Lock()
	l.disk.killed = !l.disk.hurried
	w.happened.Broadcast()
	w.mu.Unlock()
	return l.Listener.Close()
}

// strangerLimit is how long, in real time, a connection may come from nobody
// before it counts as a stranger's.
const strangerLimit = 250 * time.Millisecond

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := l.disk.host.world
	w.mu.Lock()
	defer w.mu.Unlock()
	over := false
	limit := socket.RealClock().AfterFunc(strangerLimit, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		over = true
		w.happened.Broadcast()
	})
	defer limit.Stop()
	for from := addressOf(c.RemoteAddr()); w.byTCP[from] == nil && !over && !w.closing; {
		w.happened.Wait()
	}
	if known := w.byTCP[addressOf(c.RemoteAddr())]; known != nil {
		c = w.inTurn(c, func() (*flow, uint64, string) {
			turn, what := w.upward(known)
			return &known.up, turn, what
		}, false)
	}
	return c, nil
}
