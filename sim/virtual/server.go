package virtual

import (
	"fmt"
	"math/rand/v2"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/sim/event"
)

// serverHost hosts the server's machine and its disk.
type serverHost struct {
	machine     *nodes.Server // nil while it is down
	settings    nodes.ServerSettings
	credentials []nodes.Credential
	out         nodes.ServerOutbox
	wakeAt      int64

	entropy   rand.PCG
	disk      rand.PCG
	diskDelay Delay
	lastStore int64 // stores reach the disk in their order
	stores    []store
	storeFree []uint32
	asked     []uint32      // the stores that are on their way, in their order
	memory    *files.Memory // nil: what reaches the disk is not kept
	folder    *files.Server // in memory, of this life
	key       rand.PCG      // of unknown names, as it was at first
	life      uint32        // how often it was started
	failures  int           // of its disk
}

// store is a Store that is on its way to the disk.
type store struct {
	id      nodes.StoreID
	conn    nodes.Conn
	serial  uint64 // of the connection
	life    uint32
	records []nodes.Record
}

func (h *serverHost) init(c Config) error {
	h.entropy = Stream(c.Seed, "server", "TempIDs")
	h.disk = Stream(c.Seed, "server", "disk")
	h.diskDelay = c.DiskDelay
	h.memory = c.Folder
	h.settings = c.Server
	h.settings.Entropy = &h.entropy
	h.settings.Zone = c.Zone
	h.key = Stream(c.Seed, "server", "key of unknown names")
	key := bytesOf{h.key}
	_, _ = key.Read(h.settings.NameKey[:]) // it never fails
	h.credentials = c.Credentials
	if err := h.settings.Validate(); err != nil {
		return fmt.Errorf("building the server: %w", err)
	}
	return nil
}

// startServer makes a new machine and feeds it what is on the disk.
func (w *World) startServer() error {
	h := &w.host
	if err := w.openFolder(); err != nil {
		return fmt.Errorf("opening its files: %w", err)
	}
	m, err := nodes.NewServer(h.settings)
	if err != nil {
		panic(fmt.Sprintf("virtual: settings that were good are refused: %v", err))
	}
	m.SetCredentials(h.credentials)
	if err := w.restore(m); err != nil {
		return fmt.Errorf("reading its files: %w", err)
	}
	h.machine, h.wakeAt = m, never
	if h.life++; h.life > 1 {
		w.emit.serverStarted(m.Resolve)
	}
	w.printNotes()
	m.Start(w.time(nobody), &h.out)
	w.serverActs()
	return nil
}

// RestartServer stops the server as a kill would: connections break, what was
// not on the disk is gone. It comes back after down.
func (w *World) RestartServer(down time.Duration) {
	h := &w.host
	if h.memory == nil {
		panic("virtual: RestartServer in a world that was built without a Folder")
	}
	if h.machine == nil {
		return
	}
	w.killServer()
	if down <= 0 {
		w.comeBack()
		return
	}
	w.Call(time.Duration(w.now)+down, w.comeBack)
}

// killServer ends the server's program: its connections break.
func (w *World) killServer() {
	h := &w.host
	w.emit.text(event.ProgramStatus, event.Server, "is killed")
	h.machine = nil
	if h.memory != nil {
		h.memory.Kill()
	}
	w.emit.serverStopped(w.sessions())
	for c := range w.conns {
		if cn := &w.conns[c]; cn.used && cn.serverOpen {
			cn.serverOpen, cn.byServer = false, true
			cn.up.inbox = cn.up.inbox[:0]
			cn.backlog = false
			w.send(uint32(c), true, nil, false, true)
		}
	}
}

// sessions returns the number of connections that the server has accepted and not
// closed.
func (w *World) sessions() int {
	n := 0
	for c := range w.conns {
		if cn := &w.conns[c]; cn.used && cn.serverOpen && !cn.backlog {
			n++
		}
	}
	return n
}

// startAgain is how long after a server that could not start it is tried again.
const startAgain = time.Second

func (w *World) comeBack() {
	if w.faults != nil && w.staysDown() {
		return
	}
	w.emit.text(event.ProgramStatus, event.Server, "is started again")
	err := w.startServer()
	if err == nil {
		return
	}
	if w.faults == nil {
		panic(fmt.Sprintf("virtual: the server in memory does not start: %v", err))
	}
	w.emit.text(event.ProgramStatus, event.Server, "does not start: "+err.Error())
	w.host.memory.Kill()
	w.Call(time.Duration(w.now)+startAgain, w.comeBack)
}

func (w *World) wakeServer() {
	h := &w.host
	h.wakeAt = never
	if h.machine == nil || w.faults != nil && w.faults.node(nobody).paused > 0 {
		return
	}
	h.machine.Wake(w.time(nobody), &h.out)
	w.serverActs()
}

// serverActs carries out what the server's machine asked for, and arms its
// next wake-up.
func (w *World) serverActs() {
	h := &w.host
	for i := range h.out.Effects {
		w.serverAct(&h.out.Effects[i])
	}
	h.out.Effects = h.out.Effects[:0]
	if h.machine == nil {
		return
	}
	w.armServer()
}

// armServer puts the server's next wake-up in the queue, unless it is there.
func (w *World) armServer() {
	h := &w.host
	d, ok := h.machine.NextWake()
	if !ok {
		return
	}
	at := int64(d)
	if w.clocks != nil {
		at = w.clock1(nobody).When(d)
	}
	if at >= h.wakeAt {
		return
	}
	if at <= w.now {
		panic(fmt.Sprintf("virtual: the server wants to be woken at %s, and it is %s: it has not done what is due",
			event.Seconds(at), event.Seconds(w.now)))
	}
	h.wakeAt = at
	w.queue.push(at, 0, kindWakeServer, nobody, 0)
}

func (w *World) serverPrints(text string) {
	w.emit.text(event.ServerPrinted, event.Server, text)
}

func (w *World) serverAct(e *nodes.ServerEffect) {
	c := uint32(e.Conn)
	switch e.Kind {
	case nodes.EffectSend:
		cn := &w.conns[c]
		if !cn.serverOpen {
			return
		}
		w.emit.serverBytes(event.ServerSent, cn, e.Conn, e.Bytes)
		cn.sends = append(cn.sends, len(e.Bytes))
		w.send(c, true, e.Bytes, false, false)
	case nodes.EffectClose:
		w.serverCloses(c)
	case nodes.EffectPrint:
		w.serverPrints(e.Text)
	case nodes.EffectStore:
		w.store(e)
	case nodes.EffectEvent:
		w.decided(e)
	}
}

// store sends records to the disk.
func (w *World) store(e *nodes.ServerEffect) {
	h := &w.host
	var slot uint32
	if n := len(h.storeFree); n > 0 {
		slot = h.storeFree[n-1]
		h.storeFree = h.storeFree[:n-1]
	} else {
		slot = uint32(len(h.stores))
		h.stores = append(h.stores, store{})
	}
	s := &h.stores[slot]
	*s = store{id: e.Store, conn: e.Conn, serial: w.conns[e.Conn].serial, life: h.life, records: append(s.records[:0], e.Records...)}
	at := w.now + int64(h.diskDelay.Draw(&h.disk))
	if w.faults != nil {
		at += w.diskSlowed(nobody)
	}
	h.lastStore = max(h.lastStore, at)
	h.asked = append(h.asked, slot)
	w.emit.storeAsked(s.records)
	w.queue.push(h.lastStore, inputClass, kindStored, 0, slot)
}

func (w *World) storedOnDisk(slot uint32) {
	h := &w.host
	s := &h.stores[slot]
	h.storeFree = append(h.storeFree, slot)
	h.asked = h.asked[:copy(h.asked, h.asked[1:])]
	if s.life != h.life || h.machine == nil {
		return // the server that asked was killed before this reached the disk
	}
	if w.faults != nil {
		w.beginWriting(nobody)
	}
	err := w.keep(s.records)
	if err != nil {
		w.writeFailed(nobody, err)
	}
	w.emit.storeDone(s, err)
	done := *s
	if w.faults != nil && w.holds(nobody, func() { w.answerStore(&done, err) }) {
		return
	}
	w.answerStore(&done, err)
}

// answerStore tells the server what became of a Store.
func (w *World) answerStore(s *store, err error) {
	h, c := &w.host, uint32(s.conn)
	h.machine.Stored(w.time(nobody), s.id, err, &h.out)
	w.serverActs()
	if cn := &w.conns[c]; cn.serverOpen && cn.serial == s.serial {
		w.emit.storeAnswered(s.conn)
	}
	if w.faults != nil && h.machine != nil {
		w.printNotes()
	}
	if int(c) < len(w.conns) && w.conns[c].used {
		w.feedServer(c)
	}
}

func (w *World) decided(e *nodes.ServerEffect) {
	w.emit.serverDecided(&w.conns[e.Conn], &e.Event)
}
