package scraping

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const request = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

// rig is a server of metrics. Each request waits until the test sends to gate, if it is set.
type rig struct {
	t      *testing.T
	server *Server
	gate   chan struct{}
	begun  chan struct{} // a request waits
}

func newRig(t *testing.T, gate chan struct{}) *rig {
	r := &rig{t: t, gate: gate, begun: make(chan struct{}, 1000)}
	var err error
	r.server, err = Listen("127.0.0.1:0", Handler(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		r.begun <- struct{}{}
		if r.gate != nil {
			<-r.gate
		}
		return nil, nil
	})), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.server.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// dial opens a connection, and sends text.
func (r *rig) dial(text string) net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.server.Address().String())
	if err == nil {
		_, err = io.WriteString(c, text)
	}
	if err == nil {
		err = c.SetDeadline(time.Now().Add(time.Minute))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

func answered(c net.Conn) error {
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		err = errors.New(r.Status)
	}
	return errors.Join(err, r.Body.Close())
}

// open returns the number of connections of the server.
func (r *rig) open() int {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return len(r.server.open)
}

// Clients that send no request, a part of one, or a second one slowly, do not keep a scrape
// out, and the number of connections is bounded.
func TestSlowClientsKeepNoScrapeOut(t *testing.T) {
	for _, text := range []string{"", "G", "GET /metrics HTTP/1.1\r\nHost:", request + "G"} {
		r := newRig(t, nil)
		first := r.dial(text)
		for range 500 {
			c := r.dial(text)
			if text == request+"G" {
				if err := answered(c); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := answered(r.dial(request)); err != nil {
			t.Errorf("a scrape among 500 clients that send %q: %v", text, err)
		}
		if n := r.open(); n > connections {
			t.Errorf("%d connections are open", n)
		}
		if _, err := io.Copy(io.Discard, first); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the first connection is not closed")
		}
	}
}

// A request that is being answered is not closed for another connection.
func TestAnAnswerIsNotInterrupted(t *testing.T) {
	r := newRig(t, make(chan struct{}))
	scrape := r.dial(request)
	<-r.begun
	for range 3 * connections {
		r.dial("G")
	}
	close(r.gate)
	if err := answered(scrape); err != nil {
		t.Error(err)
	}
}

func TestTimeLimits(t *testing.T) {
	r := newRig(t, nil)
	h := &r.server.http
	for name, d := range map[string]time.Duration{"a request": h.ReadTimeout, "an answer": h.WriteTimeout, "another request": h.IdleTimeout} {
		if d <= 0 || d > time.Minute {
			t.Errorf("a connection may wait %v for %s", d, name)
		}
	}
}
