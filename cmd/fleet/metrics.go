package main

import (
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bluetrace/cmd/internal/scraping"
)

// state are the figures of a run that --metrics serves.
type state struct {
	Run, Line          string
	Workers            []string // each with the chunk that it runs
	Runs, Failed       uint64
	Chunks, Done       int
	Repeated, Causes   int
	Differences        int
	Elapsed            time.Duration
	CanaryFound, Ended bool
}

// board serves the state of a run as metrics for Prometheus, and as a page for a browser.
type board struct {
	*scraping.Server
	mutex sync.Mutex
	state state
}

// boardPage is the page, which a browser loads again every two seconds. It has no script.
var boardPage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8">{{if not .Ended}}<meta http-equiv="refresh" content="2">{{end}}
<meta name="viewport" content="width=device-width"><title>fleet: {{.Run}}</title>
<style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}
progress{width:100%}</style>
<h1>Run {{.Run}}</h1>
<p>{{.Line}}{{if .Ended}}. It has ended.{{end}}</p>
<progress max="{{.Chunks}}" value="{{.Done}}" aria-label="chunks"></progress>
<p>{{.Repeated}} chunks were run twice with the same result, {{.Differences}} with another one.
The planted bug was {{if .CanaryFound}}found{{else}}not found yet{{end}}.</p>
<h2>Workers</h2><ul>{{range .Workers}}<li>{{.}}</li>{{else}}<li>none</li>{{end}}</ul>
</html>
`))

// serveBoard starts to serve at an address.
func serveBoard(address string) (*board, error) {
	b := &board{}
	registry := prometheus.NewRegistry()
	gauge := func(name, help string, value func(s *state) float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "bluetrace_fleet_" + name, Help: help},
			func() float64 { s := b.read(); return value(&s) }))
	}
	gauge("workers", "Workers that gave a sign lately.", func(s *state) float64 { return float64(len(s.Workers)) })
	gauge("chunks", "Chunks that were cut so far.", func(s *state) float64 { return float64(s.Chunks) })
	gauge("chunks_done", "Chunks with a result.", func(s *state) float64 { return float64(s.Done) })
	gauge("chunks_repeated", "Chunks that were run twice, with the same result.",
		func(s *state) float64 { return float64(s.Repeated) })
	gauge("chunks_different", "Chunks that were run twice, with another result.",
		func(s *state) float64 { return float64(s.Differences) })
	gauge("runs", "Runs of seeds in the results.", func(s *state) float64 { return float64(s.Runs) })
	gauge("runs_failed", "Runs that failed.", func(s *state) float64 { return float64(s.Failed) })
	gauge("causes", "Causes of failures.", func(s *state) float64 { return float64(s.Causes) })
	gauge("elapsed_seconds", "Time since the coordinator started.", func(s *state) float64 { return s.Elapsed.Seconds() })
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		s := b.read()
		_ = boardPage.Execute(w, &s) // the browser has left
	})
	var err error
	if b.Server, err = scraping.Listen(address, scraping.Handler(registry),
		map[string]http.Handler{"GET /{$}": page}); err != nil {
		return nil, fmt.Errorf("serving the metrics at %q: %w", address, err)
	}
	return b, nil
}

func (b *board) read() state {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.state
}

// set replaces the state. A board that is nil serves nothing.
func (b *board) set(s state) {
	if b == nil {
		return
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.state = s
}
