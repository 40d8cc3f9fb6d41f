// Package scraping serves metrics over HTTP, at GET /metrics, and bounds what
// those who ask for them may cost.
package scraping

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// Limits for one who asks.
const (
	timeout     = 10 * time.Second
	atOnce      = 4
	connections = 8 // more wait until one is closed
	idle        = 30 * time.Second
	headerMax   = 16 << 10
	endLimit    = 200 * time.Millisecond // for what is under way at the end
)

// Server listens until it is closed.
type Server struct {
	listener net.Listener
	http     http.Server
	ended    chan error
}

// Handler answers with the metrics, in the form that is asked for.
func Handler(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g,
		promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: atOnce, Timeout: timeout})
}

// Listen serves metrics at an address HOST:PORT. The error is that of net.Listen.
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

// Address is where it listens.
func (s *Server) Address() net.Addr { return s.listener.Addr() }

// Close ends it; whoever is still asking a little later hears no more.
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
