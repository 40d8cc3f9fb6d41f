package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"bluetrace/cmd/internal/scraping"
)

// exporter serves the metrics of runs, and those of this process, over HTTP.
type exporter struct {
	*scraping.Server

	mu   sync.Mutex
	runs prometheus.Gatherers
	last chan struct{} // closed when the metrics were read after the end; nil: it is not over
	read bool          // last is closed
}

func export(address string) (*exporter, error) {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e := &exporter{runs: prometheus.Gatherers{process}}
	metrics := scraping.Handler(prometheus.GathererFunc(e.gather))
	var err error
	e.Server, err = scraping.Listen(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last := e.ending()
		metrics.ServeHTTP(w, r)
		if last && r.Method == http.MethodGet {
			e.wasRead()
		}
	}))
	if err != nil {
		return nil, fmt.Errorf("serving metrics at %q: %w", address, err)
	}
	return e, nil
}

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
