package live

import (
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/nodes/socket"
	"bluetrace/protocol"
	"bluetrace/sim/event"
)

// serverHost is the server inside the process, through all its lives.
type serverHost struct {
	world    *World
	address  string
	listener net.Listener // bound, until a server takes it
	entropy  *rand.ChaCha8
	server   *socket.Server // nil: it is down, or elsewhere
	disk     *disk
	started  bool     // once at least
	starting bool     // it does not say yet that it listens
	conns    []*link  // by nodes.Conn
	stores   []uint64 // the turn of each Store that is under way
}

func (h *serverHost) bind(w *World) error {
	h.world = w
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // it never fails
	h.entropy = rand.NewChaCha8(seed)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for the phones: %w", err)
	}
	h.listener, h.address = l, l.Addr().String()
	w.server = h.address
	return nil
}

// startServer makes a server of what is on the disk.
func (w *World) startServer() {
	h := &w.host
	if err := h.start(); err != nil {
		w.fail(fmt.Errorf("starting the server: %w", err))
	}
}

func (h *serverHost) start() (err error) {
	w := h.world
	if h.listener == nil {
		if h.listener, err = net.Listen("tcp4", h.address); err != nil {
			return err
		}
	}
	folder, err := files.OpenServer(w.config.Folder, files.ServerOptions{Zone: w.config.Zone, Entropy: crand.Reader})
	if err != nil {
		return err
	}
	d := &disk{host: h, folder: folder}
	settings := w.config.Server
	settings.Entropy, settings.Zone, settings.NameKey = h.entropy, w.config.Zone, folder.NameKey()
	c := socket.ServerConfig{
		Settings: settings, Listener: &listener{h.listener, d}, Disk: d,
		Clock: w.config.Clock, Origin: w.origin, Lock: &w.mu, Observer: h,
		Credentials: func() ([]nodes.Credential, bool) { return w.config.Credentials, false },
	}
	issued := map[protocol.TempID]nodes.Issue{}
	c.Restore = func(take func(nodes.Record) error) error {
		return folder.Restore(w.config.Clock.Now().UnixNano(), func(r nodes.Record) error {
			if r.Kind == nodes.RecordIssue {
				issued[r.Issue.TempID] = r.Issue
			}
			return take(r)
		})
	}
	s, err := socket.NewServer(c)
	if err != nil {
		return errors.Join(err, folder.Close())
	}
	if h.started {
		o := w.event(event.ServerStarted, event.Server, event.NoPeer)
		o.Resolve = func(id protocol.TempID) (nodes.Issue, bool) {
			i, ok := issued[id]
			return i, ok
		}
		w.stream.Emit(o)
	}
	h.started = true
	h.server, h.disk, h.listener, h.starting, h.stores = s, d, nil, true, nil
	w.running.Go(func() {
		if err := s.Serve(); err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.fail(err)
		}
	})
	return nil
}

// RestartServer stops the server as a kill would. It comes back after down. The
// lock is given up meanwhile, so that it may only be called from a Call.
func (w *World) RestartServer(down time.Duration) {
	h := &w.host
	if h.server == nil {
		return
	}
	w.emitText(event.ProgramStatus, event.Server, event.NoPeer, "is killed")
	s, d := h.server, h.disk
	h.server, h.starting, d.dying = nil, false, true
	w.happened.Broadcast()
	w.mu.Unlock()
	s.Kill()
	err := d.folder.Close()
	w.mu.Lock()
	h.disk = nil
	if err != nil {
		w.fail(fmt.Errorf("giving up the files of the killed server: %w", err))
	}
	o := w.event(event.ServerStopped, event.Server, event.NoPeer)
	for l := range w.links {
		if l.serverOpen {
			o.Count++
		}
	}
	w.stream.Emit(o)
	for l := range w.links {
		if l.serverOpen {
			l.serverOpen, l.byServer = false, true
		}
		if l.dialled {
			l.killed = true
			l.down.endTurn = w.nextTurn()
		}
		w.forget(l)
	}
	if down <= 0 {
		w.comeBack()
		return
	}
	w.Call(w.now+down, w.comeBack)
}

func (w *World) comeBack() {
	w.emitText(event.ProgramStatus, event.Server, event.NoPeer, "is started again")
	w.startServer()
}

// hurry lets the disk take at once what waits for the clock, at the end of the
// world.
func (h *serverHost) hurry() {
	if h.disk != nil {
		h.disk.hurried, h.disk.waits = true, false
	}
}

// close is called without the lock.
func (h *serverHost) close() error {
	var errs []error
	if h.listener != nil {
		errs = append(errs, h.listener.Close())
	}
	if h.server != nil {
		errs = append(errs, h.server.Close())
	}
	if h.disk != nil {
		errs = append(errs, h.disk.folder.Close())
	}
	return errors.Join(errs...)
}

// reading says whether the server takes bytes of the connection.
func (h *serverHost) reading(c nodes.Conn) bool {
	return h.server != nil && h.server.Machine().Reading(c)
}

// awaited is what the server has under way beside its connections.
func (h *serverHost) awaited(now time.Duration) string {
	if h.server == nil {
		return ""
	}
	if h.starting {
		return "the server's start"
	}
	if at, ok := h.server.Machine().NextWake(); ok && at <= now {
		return fmt.Sprintf("the server's wake-up at %s", at)
	}
	return ""
}

// storing is what the disk was asked for; what waits there for the clock may.
func (h *serverHost) storing() (turn uint64, what string) {
	if h.server == nil || len(h.stores) == 0 || h.disk.waits {
		return 0, ""
	}
	return h.stores[0], fmt.Sprintf("%d stores", len(h.stores))
}
