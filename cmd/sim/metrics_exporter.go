package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"golang.org/x/net/netutil"
)

// exporter serves the metrics of runs, and those of this process, over HTTP.
type exporter struct {
	listener net.Listener
	http     http.Server
	served   chan error

	mu   sync.Mutex
	runs prometheus.Gatherers
	last chan struct{} // closed when the metrics were read after the end; nil: it is not over
	read bool          // last is closed
}

// Limits for one who asks for metrics.
const (
	scrapeTimeout   = 10 * time.Second
	scrapesAtOnce   = 4
	scrapersMax     = 8 // connections; more wait until one is closed
	scraperIdle     = 30 * time.Second
	scrapeHeaderMax = 16 << 10
	scrapeEnd       = 200 * time.Millisecond // for scrapes under way at the end
)

func export(address string) (*exporter, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serving metrics at %q: %w", address, err)
	}
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e := &exporter{listener: l, served: make(chan error, 1), runs: prometheus.Gatherers{process}}
	metrics := promhttp.HandlerFor(prometheus.GathererFunc(e.gather), promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTimeout,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		last := e.ending()
		metrics.ServeHTTP(w, r)
		if last && r.Method == http.MethodGet {
			e.wasRead()
		}
	})
	e.http = http.Server{
		Handler: mux, ReadTimeout: scrapeTimeout, WriteTimeout: 2 * scrapeTimeout, IdleTimeout: scraperIdle,
		MaxHeaderBytes: scrapeHeaderMax, ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { e.served <- e.http.Serve(netutil.LimitListener(l, scrapersMax)) }()
	return e, nil
}

func (e *exporter) address() net.Addr { return e.listener.Addr() }

// add serves the metrics of one more run; those of the runs before it stay.
func (e *exporter) add(g prometheus.Gatherer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.runs = append(e.runs, g)
}

func (e *exporter) gather() ([]*dto.MetricFamily, error) {
	e.mu.Lock()
	runs := e.runs
	e.mu.Unlock()
	return runs.Gather()
}

func (e *exporter) ending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last != nil
}

func (e *exporter) wasRead() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.read {
		e.read = true
		close(e.last)
	}
}

// linger waits until somebody who asked after this call has read the metrics,
// or it is too late, or ctx is cancelled.
func (e *exporter) linger(ctx context.Context, tooLate <-chan time.Time) {
	e.mu.Lock()
	e.last = make(chan struct{})
	last := e.last
	e.mu.Unlock()
	select {
	case <-last:
	case <-tooLate:
	case <-ctx.Done():
	}
}

func (e *exporter) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeEnd)
	defer cancel()
	if e.http.Shutdown(ctx) != nil {
		_ = e.http.Close() // whoever is still asking hears no more
	}
	if err := <-e.served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
