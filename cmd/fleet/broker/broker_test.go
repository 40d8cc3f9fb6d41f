package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bluetrace/cmd/fleet/chunks"
	"bluetrace/sim/swarm"
)

func connect(t *testing.T, a Access) *Conn {
	t.Helper()
	c, err := Connect(a, "test", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestChunksAndResultsSurviveTheEngine sends a chunk, starts the engine again, and takes it. A result that is sent twice
// with one number comes once; a chunk that is released comes again.
func TestChunksAndResultsSurviveTheEngine(t *testing.T) {
	folder := t.TempDir()
	s, a, err := Serve("127.0.0.1:0", "", folder)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	c := connect(t, a)
	if err := c.Check(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.AskStatus(ctx, Status{}); !errors.Is(err, ErrNoCoordinator) {
		t.Errorf("without a coordinator: %v", err)
	}
	r, err := c.NewRun(ctx, "r1", []byte("spec"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	one := chunks.Chunk{ID: 1, Kind: chunks.Seeds, Seeds: swarm.Range{First: 1, Last: 9}}
	if err := r.Send(ctx, one); err != nil {
		t.Fatal(err)
	}
	if second, _, err := Serve("127.0.0.1:0", "", folder); err == nil {
		second.Close()
		t.Error("a second engine in the folder")
	} else if !strings.Contains(err.Error(), "another engine uses") {
		t.Error(err)
	}
	s.Close()
	address, _ := strings.CutPrefix(a.URL, "nats://")
	s, b, err := Serve(address, "", folder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if b != a {
		t.Errorf("the access is now %+v, was %+v", b, a)
	}
	w := connect(t, a)
	if queued, err := r.Queued(ctx); err == nil && !queued[1] { // this connection may not be back yet
		t.Errorf("queued: %v, %v", queued, err)
	}
	if text, err := w.Spec(ctx, "r1"); err != nil || string(text) != "spec" {
		t.Errorf("%q, %v", text, err)
	}
	task, err := w.Next(ctx, "r1", 5*time.Second)
	if err != nil || task == nil || task.Chunk != one {
		t.Fatalf("%+v, %v", task, err)
	}
	if err := task.Release(0); err != nil {
		t.Fatal(err)
	}
	if task, err = w.Next(ctx, "r1", 5*time.Second); err != nil || task == nil {
		t.Fatalf("after its release: %+v, %v", task, err)
	}
	result := &chunks.Result{Run: "r1", Chunk: 1, Worker: "w", Summary: json.RawMessage(`{}`)}
	for _, attempt := range []string{"0", "0", "1"} {
		if err := w.SendResult(ctx, result, attempt); err != nil {
			t.Fatal(err)
		}
	}
	if err := task.Done(ctx); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d := <-r.Results
		if d.Result.Chunk != 1 || d.Result.Worker != "w" || d.Ack() != nil {
			t.Errorf("%+v", d.Result)
		}
	}
	if queued, err := r.Queued(ctx); err != nil || len(queued) != 0 {
		t.Errorf("queued: %v, %v", queued, err)
	}
	go func() {
		for q := range r.Statuses {
			_ = q.Answer(Answer{Run: "r1"})
		}
	}()
	if got, err := w.AskStatus(ctx, Status{Worker: "w"}); err != nil || got.Run != "r1" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := w.NewRun(ctx, "r2", nil, time.Minute); err == nil || err.Error() != "this engine has the run r1: one at a time" {
		t.Errorf("a second run: %v", err)
	}
	if err := r.Remove(ctx); err != nil {
		t.Error(err)
	}
	if _, err := w.Next(ctx, "r1", time.Second); !errors.Is(err, ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}

// TestTokenIsNeeded also checks that the token and the access are private files.
func TestTokenIsNeeded(t *testing.T) {
	folder := t.TempDir()
	s, a, err := Serve("127.0.0.1:0", "", folder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if len(a.Token) < 20 {
		t.Errorf("the token is %q", a.Token)
	}
	stranger := a
	stranger.Token = "another"
	if _, err := Connect(stranger, "test", func(string) {}); err == nil || !strings.Contains(err.Error(), "Authorization") {
		t.Errorf("with another token: %v", err)
	}
	path := filepath.Join(folder, "join")
	if err := WriteAccess(path, a); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, filepath.Join(folder, "token")} {
		if stat, err := os.Stat(path); err != nil || stat.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, stat.Mode(), err)
		}
	}
}

// TestOnlyThePinnedCertificateIsAccepted shakes hands with the right pin and with another one.
func TestOnlyThePinnedCertificateIsAccepted(t *testing.T) {
	folder := t.TempDir()
	server, pin, err := certificate(folder, "host")
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := certificate(folder, "host"); err != nil || again != pin {
		t.Errorf("the second time the pin is %s, was %s, %v", again, pin, err)
	}
	for _, want := range []string{pin, strings.Repeat("0", len(pin))} {
		a, b := net.Pipe()
		go func() { _ = tls.Server(a, server).Handshake() }()
		client := pinned(want)
		client.ServerName = "host"
		err := tls.Client(b, client).Handshake()
		if (err == nil) != (want == pin) {
			t.Errorf("with the pin %s: %v", want, err)
		}
		_, _ = a.Close(), b.Close()
	}
}

// TestPipe carries long writes in both directions in their order, up to the end.
func TestPipe(t *testing.T) {
	s, a, err := Serve("127.0.0.1:0", "", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	here, there := connect(t, a), connect(t, a)
	open := func(c *Conn, coordinator bool) *Pipe {
		p, err := c.OpenPipe("r", Seat{3}, coordinator, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, two := open(here, true), open(there, false)
	text := []byte(strings.Repeat("0123456789", 200_000))
	go func() {
		if _, err := two.Write(text); err != nil {
			t.Error(err)
		}
		two.End()
	}()
	if got, err := io.ReadAll(one); err != nil || !bytes.Equal(got, text) {
		t.Errorf("%d bytes of %d, or others: %v", len(got), len(text), err)
	}
	one.sent++ // a message is lost
	if _, err := one.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Read(make([]byte, 1)); err == nil || err.Error() != "the engine lost a message" {
		t.Error(err)
	}
	silent, err := here.OpenPipe("r", Seat{4}, true, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil || err.Error() != "no message for 1ms" {
		t.Error(err)
	}
	one.Close()
	if _, err := one.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after Close: %v", err)
	}
}

// TestOneRunAtATime refuses a load beside a run, and the reverse.
func TestOneRunAtATime(t *testing.T) {
	s, a, err := Serve("127.0.0.1:0", "", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	l, err := connect(t, a).NewLoad(ctx)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for q := range l.Statuses {
			_ = q.Answer(Answer{Run: "load-1"})
		}
	}()
	c := connect(t, a)
	if _, err := c.NewRun(ctx, "r", nil, time.Minute); err == nil || err.Error() != "this engine has the run load-1: one at a time" {
		t.Error(err)
	}
	if _, err := c.NewLoad(ctx); err == nil {
		t.Error("a second load was begun")
	}
}
