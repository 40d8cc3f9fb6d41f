package authority

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

// exporter serves metrics over HTTP, in Prometheus' text form.
type exporter struct {
	listener net.Listener
	http     http.Server
	ended    chan error
}

// Limits for one who asks for metrics.
const (
	scrapeTimeout   = 10 * time.Second
	scrapesAtOnce   = 4
	scrapersMax     = 8 // connections; more wait until one is closed
	scraperIdle     = 30 * time.Second
	scrapeHeaderMax = 16 << 10
	scrapeEnd       = 200 * time.Millisecond // for scrapes under way when the server ends
)

func export(address string, g prometheus.Gatherer) (*exporter, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, listenError("--metrics", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: scrapesAtOnce, Timeout: scrapeTimeout,
	}))
	e := &exporter{listener: l, ended: make(chan error, 1)}
	e.http = http.Server{
		Handler: mux, ReadTimeout: scrapeTimeout, WriteTimeout: 2 * scrapeTimeout, IdleTimeout: scraperIdle,
		MaxHeaderBytes: scrapeHeaderMax, ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { e.ended <- e.http.Serve(netutil.LimitListener(l, scrapersMax)) }()
	return e, nil
}

func (e *exporter) address() net.Addr { return e.listener.Addr() }

func (e *exporter) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeEnd)
	defer cancel()
	if e.http.Shutdown(ctx) != nil {
		_ = e.http.Close() // whoever is still asking hears no more
	}
	if err := <-e.ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
