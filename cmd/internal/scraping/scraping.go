// Package scraping serves metrics over HTTP, at GET /metrics, and pages, and limits the resources that its clients can
// use.
package scraping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of the server.
const (
	timeout     = 10 * time.Second
	atOnce      = 4  // requests; above it the answer is 503
	connections = 64 // above it, one without a request in progress is closed
	idle        = 30 * time.Second
	headerMax   = 16 << 10
	endLimit    = 200 * time.Millisecond // for open requests when the server closes
)

// Server serves metrics until it is closed.
type Server struct {
	listener net.Listener
	http     http.Server
	ended    chan error

	mu   sync.Mutex
	open []client // the oldest first
}

// client is a connection.
type client struct {
	conn    net.Conn
	working bool // the request is complete, and the answer is not
}

// clientKey is the key of the connection in the context of a request.
type clientKey struct{}

// ParseAddress reads the value of a flag --metrics: HOST:PORT or a port. Without a
// host it returns an address on the loopback.
func ParseAddress(text string) (string, error) {
	host, port := "", text
	if _, err := strconv.ParseUint(text, 10, 16); err != nil {
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", fmt.Errorf("invalid --metrics %q: must be HOST:PORT or a port", text)
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("invalid --metrics %q: the port %q must be 0 to 65535", text, port)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Handler returns a handler that writes the metrics in the format that the client
// accepts.
func Handler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g,
		promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: atOnce, Timeout: timeout})
}

// Listen starts to serve metrics at an address HOST:PORT, and pages by patterns of http.ServeMux, of which there may be
// none. It returns the error of net.Listen.
func Listen(address string, metrics http.Handler, pages map[string]http.Handler) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	for pattern, page := range pages {
		mux.Handle(pattern, page)
	}
	s := &Server{listener: l, ended: make(chan error, 1)}
	s.http = http.Server{
		Handler: s.mark(mux), ReadTimeout: timeout, WriteTimeout: 2 * timeout, IdleTimeout: idle,
		MaxHeaderBytes: headerMax, ErrorLog: log.New(io.Discard, "", 0), ConnState: s.follow,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, clientKey{}, c)
		},
	}
	go func() { s.ended <- s.http.Serve(l) }()
	return s, nil
}

// follow follows which connections are open. For each one above the limit it closes the
// oldest whose request is not complete, so that slow clients cannot keep others out. If
// there is none, it closes the oldest.
func (s *Server) follow(c net.Conn, state http.ConnState) {
	if state == http.StateIdle {
		s.setWorking(c, false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.open = append(s.open, client{conn: c})
		if len(s.open) > connections {
			i := max(0, slices.IndexFunc(s.open, func(c client) bool { return !c.working }))
			_ = s.open[i].conn.Close() // the server notices it
			s.open = slices.Delete(s.open, i, i+1)
		}
	case http.StateClosed:
		s.open = slices.DeleteFunc(s.open, func(x client) bool { return x.conn == c })
	}
}

// mark marks the connections whose request is complete. follow removes the mark once
// the answer is sent, which is after the handler has returned.
func (s *Server) mark(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := r.Context().Value(clientKey{}).(net.Conn)
		s.setWorking(c, true)
		next.ServeHTTP(w, r)
	})
}

func (s *Server) setWorking(c net.Conn, working bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.open, func(x client) bool { return x.conn == c }); i >= 0 {
		s.open[i].working = working
	}
}

// Address returns the address at which the server listens.
func (s *Server) Address() net.Addr { return s.listener.Addr() }

// Close stops the server. Requests that are still open after 200 ms are cut off.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
