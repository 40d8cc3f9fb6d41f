package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/livepage"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

var pageAt = regexp.MustCompile(`(?m)^the run as a page at (http://\S+/)$`)

// TestThePageIsServedWhileARunLasts: the page has the run's progress, and those of earlier runs are still served.
func TestThePageIsServedWhileARunLasts(t *testing.T) {
	b := newBench()
	engine := b.program.engine
	b.program.engine = func(ctx context.Context, s *scenarios.Scenario, o sim.Options) (*sim.Result, error) {
		if !o.Scene {
			t.Error("the run is not asked for its scene")
		}
		at := sim.Progress{At: 5 * time.Second, Length: 20 * time.Second, Doing: "line 3: {at: 6s}",
			Run: func() *reports.Run { return &reports.Run{Scenario: s.Name} },
			Checks: func() []reports.Check {
				return []reports.Check{{Kind: reports.ThresholdCheck, Name: "beacon_delay: p(95)<6", Verdict: reports.Passed}}
			}}
		o.Progress(at)
		url := pageAt.FindStringSubmatch(b.err.String())[1]
		body, contentType := get(t, url, "")
		for _, want := range []string{"<title>running: " + s.Name, "25 %, 5s of 20s", "line 3", "beacon_delay"} {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s: the page has no %q", s.Name, want)
			}
		}
		if contentType != "text/html; charset=utf-8" {
			t.Error(contentType)
		}
		if s.Name == "failed" {
			if !strings.Contains(string(body), `<a href="./held.html">`) {
				t.Errorf("no link to the run before")
			}
			if body, _ := get(t, url+"held.html", ""); !strings.Contains(string(body), "<title>passed: 1 check held: held") {
				t.Errorf("the page of the run before: %.300s", body)
			}
		}
		return engine(ctx, s, o)
	}
	if got := b.command(t.Context(), strings.Fields("run --metrics 0 held.yaml failed.yaml")); got != statusFailed {
		t.Fatalf("status %d: %s", got, b.err.String())
	}
}

// TestPagesOfTheLoopbackHaveALocalHost: a web site cannot read them under a name that leads to the loopback.
func TestPagesOfTheLoopbackHaveALocalHost(t *testing.T) {
	loopback, network := &net.TCPAddr{IP: net.IPv6loopback}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}
	for _, c := range []struct {
		host  string
		local net.Addr
		want  int
	}{
		{"127.0.0.1:9090", loopback, 200}, {"[::1]:9090", loopback, 200}, {"[::1]", loopback, 200},
		{"LocalHost:9090", loopback, 200}, {"evil.example:9090", loopback, 421}, {"evil.example", loopback, 421},
		{"localhost.evil.example", loopback, 421}, {"", loopback, 421}, {"ci.example:9090", network, 200},
	} {
		for pattern, handler := range newPages(time.After).routes() {
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), http.LocalAddrContextKey, c.local))
			cancel() // the stream of events ends at once
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
			r.Host = c.host
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if refused := w.Code == http.StatusMisdirectedRequest; refused != (c.want == 421) {
				t.Errorf("%s of the host %q at %v: status %d", pattern, c.host, c.local, w.Code)
			}
		}
	}
}

// follow opens the stream of events of pages.
func follow(t *testing.T, p *pages) (events chan string) {
	t.Helper()
	reader, writer := io.Pipe()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil)
	go func() {
		defer writer.Close()
		p.serveEvents(&streamed{header: http.Header{}, Writer: writer}, request)
	}()
	events = make(chan string)
	go func() {
		defer close(events)
		var event strings.Builder
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			if lines.Text() != "" {
				event.WriteString(lines.Text() + "\n")
				continue
			}
			events <- event.String()
			event.Reset()
		}
	}()
	return events
}

// streamed is the answer to a request, as a stream.
type streamed struct {
	io.Writer
	header http.Header
}

func (s *streamed) Header() http.Header              { return s.header }
func (s *streamed) WriteHeader(int)                  {}
func (s *streamed) Flush()                           {}
func (s *streamed) SetReadDeadline(time.Time) error  { return nil }
func (s *streamed) SetWriteDeadline(time.Time) error { return nil }

// TestEventsOfTheLivePage: each event is a whole page. The last one is the page with the verdict or, if the server
// lingers, the request to load the final page.
func TestEventsOfTheLivePage(t *testing.T) {
	for _, lingers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newPages(time.After)
			events := follow(t, p)
			if e := <-events; !strings.HasPrefix(e, "event: message\ndata: <!DOCTYPE html>\ndata: <html") ||
				!strings.Contains(e, "No run has begun.") {
				t.Errorf("the first event: %.200s", e)
			}
			p.begin(livepage.New("lesson", ""))
			began := time.Now()
			if e := <-events; !strings.Contains(e, "<title>running: lesson") || time.Since(began) != pageEvery {
				t.Errorf("after %v: %.300s", time.Since(began), e)
			}
			run := &reports.Run{Scenario: "lesson", Verdict: reports.Failed, Error: "it broke", Scene: &reports.Scene{}}
			if _, err := p.end(run, "lesson"); err != nil {
				t.Fatal(err)
			}
			if n, err := p.finish(nil, lingers); n != 1 || err != nil {
				t.Errorf("%d streams, %v", n, err)
			}
			e := <-events
			for strings.HasPrefix(e, "event: message") { // of the same instant
				e = <-events
			}
			if lingers && !strings.HasPrefix(e, "event: report\n") ||
				!lingers && (!strings.HasPrefix(e, "event: end\n") || !strings.Contains(e, "failed: it broke")) {
				t.Errorf("lingers %v: the last event: %.300s", lingers, e)
			}
			if _, more := <-events; more {
				t.Error("the stream does not end")
			}
			if linked := p.ended[0].Page != ""; linked != lingers {
				t.Errorf("lingers %v: a link to the report: %v", lingers, linked)
			}
			if text, final, err := p.state(); err != nil || final != lingers || !strings.Contains(string(text), "it broke") {
				t.Errorf("final %v, %v: %.300s", final, err, text)
			}
		})
	}
}

// TestStreamsAreBounded: so many browsers may follow at a time, each for a bounded time.
func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPages(time.After)
		var first chan string
		for i := range maxStreams {
			events := follow(t, p)
			<-events
			if i == 0 {
				first = events
				continue
			}
			go func() {
				for range events { // as a browser reads them
				}
			}()
		}
		w := httptest.NewRecorder()
		p.serveEvents(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("one more stream: status %d", w.Code)
		}
		n := 1
		for range first {
			n++
		}
		if n != streamEvents {
			t.Errorf("a stream of %d events, want %d", n, streamEvents)
		}
		again := follow(t, p) // a browser connects again
		if e := <-again; !strings.HasPrefix(e, "event: message") {
			t.Errorf("after the end of a stream, another one begins with %q", e)
		}
		go func() {
			for range again {
			}
		}()
		if _, err := p.finish(nil, false); err != nil {
			t.Error(err)
		}
	})
}

// TestLingerWaitsForBrowsers: with browsers that follow, the server waits until each has read the final page or is
// gone, and for the metrics only if they were read before. Another reader of the page is no such browser.
func TestLingerWaitsForBrowsers(t *testing.T) {
	for _, scraped := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := &exporter{pages: newPages(time.After), finalRead: make(chan struct{})}
			e.scraped.Store(scraped)
			all := []chan string{follow(t, e.pages), follow(t, e.pages)}
			gone, writer := io.Pipe()
			go e.pages.serveEvents(&streamed{header: http.Header{}, Writer: writer},
				httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", nil))
			synctest.Wait()
			n, err := e.pages.finish(nil, true)
			if n != 3 || err != nil {
				t.Fatalf("%d browsers follow, %v", n, err)
			}
			ended := make(chan struct{})
			go func() {
				e.linger(t.Context(), n, nil)
				close(ended)
			}()
			isEnded := func() bool {
				synctest.Wait()
				select {
				case <-ended:
					return true
				default:
					return false
				}
			}
			read := func(query string) {
				if isEnded() {
					t.Error("it ends before the browsers have read the page")
				}
				w := httptest.NewRecorder()
				e.pages.serveRoot(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+query, nil))
				if w.Code != http.StatusOK {
					t.Error(w.Code)
				}
			}
			for range 3 {
				read("")
			}
			for _, events := range all {
				for event := range events {
					if number, ok := strings.CutPrefix(event, "event: report\ndata: "); ok {
						read("?follower=" + strings.TrimSpace(number))
						read("?follower=" + strings.TrimSpace(number)) // again
					}
				}
			}
			if isEnded() {
				t.Error("it does not wait for the third browser")
			}
			gone.Close()
			if isEnded() == scraped {
				t.Errorf("scraped %v: ended %v", scraped, isEnded())
			}
			close(e.finalRead)
			<-ended
		})
	}
}
