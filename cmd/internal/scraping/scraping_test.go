package scraping

import (
	"bufio"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestConnectionsAreBounded: with as many connections as there may be another one is
// not answered until one of them is closed.
func TestConnectionsAreBounded(t *testing.T) {
	var answers atomic.Int64
	e, err := Listen("127.0.0.1:0", Handler(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		answers.Add(1)
		return nil, nil
	})))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	asked := make([]net.Conn, 0, connections+1)
	for range connections + 1 {
		c, err := net.Dial("tcp", e.Address().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		asked = append(asked, c)
	}
	answered := func(c net.Conn) error {
		if _, err := c.Write([]byte("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			return err
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		return r.Body.Close()
	}
	last := asked[connections]
	if _, err := last.Write([]byte("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for i, c := range asked[:connections] {
		if err := answered(c); err != nil {
			t.Errorf("connection %d of %d: %v", i+1, connections, err)
		}
	}
	if n := answers.Load(); n != connections {
		t.Errorf("%d connections were answered, want %d: the last one has to wait", n, connections)
	}
	asked[0].Close()
	if r, err := http.ReadResponse(bufio.NewReader(last), nil); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("after another was closed: %v, %v", r, err)
	} else if err := r.Body.Close(); err != nil {
		t.Error(err)
	}
	for name, d := range map[string]time.Duration{"a request": e.http.ReadTimeout, "an answer": e.http.WriteTimeout, "another request": e.http.IdleTimeout} {
		if d <= 0 || d > time.Minute {
			t.Errorf("a connection may wait %v for %s", d, name)
		}
	}
}
