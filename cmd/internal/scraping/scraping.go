// Package scraping serves metrics over HTTP, at GET /metrics, and limits the
// resources that its clients can use.
package scraping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Limits of the server.
const (
	timeout     = 10 * time.Second
	atOnce      = 4 // requests; above it the answer is 503
	connections = 8 // more wait until one is closed
	idle        = 30 * time.Second
	headerMax   = 16 << 10
	endLimit    = 200 * time.Millisecond // for open requests when the server closes
)

// Server serves metrics until it is closed.
type Server struct {
	listener net.Listener
	http     http.Server
	ended    chan error
}

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

// Listen starts to serve metrics at an address HOST:PORT. It returns the error of
// net.Listen.
func Listen(address string, metrics http.Handler) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	s := &Server{listener: l, ended: make(chan error, 1)}
	s.http = http.Server{
		Handler: mux, ReadTimeout: timeout, WriteTimeout: 2 * timeout, IdleTimeout: idle,
		MaxHeaderBytes: headerMax, ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { s.ended <- s.http.Serve(netutil.LimitListener(l, connections)) }()
	return s, nil
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
