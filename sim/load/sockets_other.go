//go:build !linux

package load

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// Sockets is the real network.
type Sockets struct {
	Server string // host:port
	// ResourceFailures counts connections that this machine had no file descriptor or no
	// port for.
	ResourceFailures atomic.Uint64

	once sync.Once
	plain
}

// Dial begins to open a TCP connection.
func (s *Sockets) Dial(ear ConnHandler) Conn {
	s.once.Do(func() {
		s.open = func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", s.Server)
			if wanting(err) {
				s.ResourceFailures.Add(1)
			}
			return c, err
		}
	})
	return s.plain.Dial(ear)
}
