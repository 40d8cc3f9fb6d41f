package main

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bluetrace/reports"
	"bluetrace/reports/livepage"
	"bluetrace/reports/runpage"
	"bluetrace/scenarios"
	"bluetrace/sim"
)

// Limits of the live page.
const (
	pageEvery    = time.Second      // between two states of the page
	maxStreams   = 8                // browsers that follow at a time; others get 503 and may load the page again
	streamEvents = 600              // of one stream, after which a browser connects again
	eventLimit   = 10 * time.Second // for one event to a slow browser
	keptPages    = 64 << 20         // bytes of the pages of runs that have ended
)

// pageWriter writes a page.
type pageWriter func(io.Writer) error

// pages serves the page of the run in progress at /, and those of the runs that have ended. After the last run, / is
// the final page: that of the run, or the one over all runs.
type pages struct {
	after func(time.Duration) <-chan time.Time

	mu      sync.Mutex
	live    *livepage.Live
	ended   []livepage.Ended
	kept    map[string][]byte // by path, without the slash
	bytes   int               // of kept
	streams map[string]bool   // the numbers of the browsers that follow
	begun   int               // number of streams so far
	awaited map[string]bool   // those that followed at the end, and have not read the final page
	final   []byte            // nil before the end, and if the server does not linger
	over    chan struct{}     // closed after the last run
	read    chan struct{}     // gets a value when a browser has read the final page, or is gone
}

func newPages(after func(time.Duration) <-chan time.Time) *pages {
	return &pages{after: after, live: livepage.New("sim", "No run has begun."), kept: map[string][]byte{},
		streams: map[string]bool{}, over: make(chan struct{}), read: make(chan struct{}, maxStreams)}
}

// routes returns the handlers of the pages.
func (p *pages) routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /{$}":    onlyLocal(p.serveRoot),
		"GET /events": onlyLocal(p.serveEvents),
		"GET /{page}": onlyLocal(p.serveKept),
	}
}

// onlyLocal refuses a request that came over the loopback for a host with a name other than localhost: a web site that
// has its name resolve to the loopback (DNS rebinding) could otherwise read the pages.
func onlyLocal(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil { // without a port
			host = r.Host
		}
		local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		named := net.ParseIP(strings.Trim(host, "[]")) == nil && !strings.EqualFold(host, "localhost")
		if named && local != nil && local.IP.IsLoopback() {
			http.Error(w, "on the loopback, the page is only at http://127.0.0.1 or http://localhost",
				http.StatusMisdirectedRequest)
			return
		}
		next(w, r)
	})
}

// begin shows a run from now on.
func (p *pages) begin(l *livepage.Live) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = l
}

// end shows the result of the run that began last, and keeps its page. It returns the path of the page, or "".
func (p *pages) end(run *reports.Run, name string) (path string, err error) {
	var b bytes.Buffer
	if write := pageOf(run); write != nil {
		if err := write(&b, run); err != nil {
			return "", err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := b.Len(); n > 0 && p.bytes+n <= keptPages {
		path = name + pageEnd
		p.kept[path], p.bytes = b.Bytes(), p.bytes+n
	}
	e := livepage.Ended{Name: run.Scenario, Verdict: run.Verdict, Page: path,
		Result: cmp.Or(run.Error, runpage.Result(run))}
	p.live.End(&e, run.Checks)
	p.ended = append(p.ended, e)
	return path, nil
}

// pageOf returns the function that writes the page of a run that has ended, or nil if runs of its kind have none.
func pageOf(run *reports.Run) func(io.Writer, *reports.Run) error {
	if run.Scene != nil || run.Load != nil {
		return runpage.Write
	}
	return nil
}

// finish ends all streams, and returns their number. If the server lingers, their browsers load the final page, that of
// write or, if write is nil, the live page.
func (p *pages) finish(write pageWriter, lingers bool) (streams int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(p.over)
	if !lingers {
		p.ended = slices.Clone(p.ended) // a page that is being written has the old ones
		for i := range p.ended {
			p.ended[i].Page = "" // it is not served any more
		}
		return len(p.streams), nil
	}
	if write == nil {
		write = func(w io.Writer) error { return p.live.Write(w, nil) }
	}
	var b bytes.Buffer
	err = write(&b)
	p.final, p.awaited = b.Bytes(), maps.Clone(p.streams)
	return len(p.streams), err
}

// state returns the page as it is now. final is true if it is the final page.
func (p *pages) state() (text []byte, final bool, err error) {
	p.mu.Lock()
	live, ended, last := p.live, p.ended, p.final
	p.mu.Unlock()
	if last != nil {
		return last, true, nil
	}
	var b bytes.Buffer
	err = live.Write(&b, ended)
	return b.Bytes(), false, err
}

func (p *pages) serveRoot(w http.ResponseWriter, r *http.Request) {
	text, final, err := p.state()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	servePage(w, text)
	if final {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.settle(r.URL.Query().Get("follower"))
	}
}

// settle notes that a browser needs to be waited for no more. The argument is its number, or another text. p.mu must be
// held.
func (p *pages) settle(follower string) {
	if p.awaited[follower] {
		delete(p.awaited, follower)
		p.read <- struct{}{} // it has room for all
	}
}

func (p *pages) serveKept(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	text := p.kept[r.PathValue("page")]
	p.mu.Unlock()
	if text == nil {
		http.NotFound(w, r)
		return
	}
	servePage(w, text)
}

func servePage(w http.ResponseWriter, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "frame-ancestors 'none'")
	_, _ = w.Write(text) // the browser may be gone
}

// serveEvents sends the page once a second, as server-sent events, until the last run is over.
func (p *pages) serveEvents(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	full := len(p.streams) >= maxStreams
	p.begun++
	follower, asked := strconv.Itoa(p.begun), false // whether it was asked to load the final page
	if !full {
		p.streams[follower] = true
	}
	p.mu.Unlock()
	if full {
		http.Error(w, "too many browsers follow this run", http.StatusServiceUnavailable)
		return
	}
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.streams, follower)
		if !asked {
			p.settle(follower)
		}
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	for range streamEvents {
		if !p.sendEvent(w, "message", "") {
			return
		}
		select {
		case <-p.after(pageEvery):
		case <-r.Context().Done():
			return
		case <-p.over:
			p.mu.Lock()
			name := "end"
			if p.final != nil {
				name = "report"
			}
			p.mu.Unlock()
			asked = p.sendEvent(w, name, follower)
			return
		}
	}
}

// sendEvent sends the page as it is now or, with the name report, the number of the browser, with which its script
// loads the final page. It reports false if that was not possible.
func (p *pages) sendEvent(w http.ResponseWriter, name, follower string) bool {
	text := []byte(follower)
	if name != "report" {
		var err error
		if text, _, err = p.state(); err != nil {
			return false
		}
	}
	c := http.NewResponseController(w)
	if errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Now().Add(eventLimit))) != nil {
		return false
	}
	event := "event: " + name + "\ndata: " + strings.ReplaceAll(string(text), "\n", "\ndata: ") + "\n\n"
	_, err := io.WriteString(w, event)
	return err == nil && c.Flush() == nil
}

// course shows the progress of one run on its live page.
type course struct {
	live    *livepage.Live
	updated time.Time
	before  *reports.Load // the figures of the last state
}

func newCourse(s *scenarios.Scenario) *course { return &course{live: livepage.New(s.Name, s.About)} }

// update shows the progress of the run if it is time for it. run is the run so far, or nil for a load.
func (c *course) update(now time.Time, at *sim.Progress, run *reports.Run) {
	if now.Sub(c.updated) < pageEvery {
		return
	}
	c.updated = now
	s := livepage.State{At: at.At, Length: at.Length, Doing: at.Doing}
	switch {
	case at.Load != nil:
		s.Values, s.Facts = livepage.OfLoad(at.Load, c.before)
		c.before = at.Load.SoFar
	case run != nil:
		s.Values, s.Facts = livepage.OfRun(run)
	}
	if at.Checks != nil {
		s.Checks = at.Checks()
	}
	c.live.Update(&s)
}
