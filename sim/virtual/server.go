package virtual

import (
	"fmt"
	"math/rand/v2"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/sim/world"
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
	memory    *files.Memory // nil: what reaches the disk is not kept
	folder    *files.Server // in memory, of this life
	key       rand.PCG      // of unknown names, as it was at first
	life      uint32        // how often it was started
}

// store is a Store that is on its way to the disk.
type store struct {
	id      nodes.StoreID
	conn    nodes.Conn
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
	if _, err := nodes.NewServer(h.settings); err != nil {
		return fmt.Errorf("building the server: %w", err)
	}
	return nil
}

// startServer makes a new machine and feeds it what is on the disk.
func (w *World) startServer() {
	h := &w.host
	w.openFolder()
	m, err := nodes.NewServer(h.settings)
	if err != nil {
		panic(fmt.Sprintf("virtual: settings that were good are refused: %v", err))
	}
	h.machine, h.wakeAt = m, never
	h.life++
	m.SetCredentials(h.credentials)
	w.restore()
	m.Start(w.time(), &h.out)
	w.serverActs()
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
	w.noteText(restarted, nobody, nobody, 0, 0, "is killed")
	h.machine = nil
	h.memory.Kill()
	w.watcher.ServerRestarted(w.now)
	for c := range w.conns {
		if cn := &w.conns[c]; cn.used && cn.serverOpen {
			cn.serverOpen, cn.byServer = false, true
			cn.up.inbox = cn.up.inbox[:0]
			w.Counts.Sessions.Closed++
			w.send(uint32(c), true, nil, false, true)
		}
	}
	if down <= 0 {
		w.comeBack()
		return
	}
	w.Call(time.Duration(w.now)+down, w.comeBack)
}

func (w *World) comeBack() {
	w.noteText(restarted, nobody, nobody, 0, 0, "is started again")
	w.startServer()
}

func (w *World) wakeServer() {
	h := &w.host
	h.wakeAt = never
	if h.machine == nil {
		return
	}
	h.machine.Wake(w.time(), &h.out)
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
	if d, ok := h.machine.NextWake(); ok && int64(d) < h.wakeAt {
		if int64(d) <= w.now {
			panic(fmt.Sprintf("virtual: the server wants to be woken at %s, and it is %s: it has not done what is due",
				world.Seconds(int64(d)), world.Seconds(w.now)))
		}
		h.wakeAt = int64(d)
		w.queue.push(h.wakeAt, 0, kindWakeServer, nobody, 0)
	}
}

func (w *World) serverAct(e *nodes.ServerEffect) {
	c := uint32(e.Conn)
	switch e.Kind {
	case nodes.EffectSend:
		cn := &w.conns[c]
		if !cn.serverOpen {
			return
		}
		w.noteText(serverSent, nobody, cn.phone, w.conns[c].serial, uint64(len(e.Bytes)), string(e.Bytes))
		w.watcher.ServerSent(w.now, e.Conn, e.Bytes)
		cn.sends = append(cn.sends, len(e.Bytes))
		w.send(c, true, e.Bytes, false, false)
	case nodes.EffectClose:
		w.serverCloses(c)
	case nodes.EffectPrint:
		w.noteText(serverPrinted, nobody, nobody, 0, 0, e.Text)
		w.watcher.ServerPrinted(w.now, e.Text)
		w.story.ServerPrinted(e.Text)
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
	*s = store{id: e.Store, conn: e.Conn, life: h.life, records: append(s.records[:0], e.Records...)}
	h.lastStore = max(h.lastStore, w.now+int64(h.diskDelay.Draw(&h.disk)))
	w.queue.push(h.lastStore, inputClass, kindStored, 0, slot)
}

func (w *World) storedOnDisk(slot uint32) {
	h := &w.host
	s := &h.stores[slot]
	h.storeFree = append(h.storeFree, slot)
	if s.life != h.life || h.machine == nil {
		return // the server that asked was killed before this reached the disk
	}
	err := w.keep(s.records)
	w.note(stored, nobody, nobody, uint64(s.id), uint64(len(s.records)))
	c := uint32(s.conn)
	h.machine.Stored(w.time(), s.id, err, &h.out)
	w.serverActs()
	if int(c) < len(w.conns) && w.conns[c].used {
		w.feedServer(c)
	}
}

func (w *World) decided(e *nodes.ServerEffect) {
	w.Counts.Decided(&e.Event)
	cn := &w.conns[e.Conn]
	w.story.Decided(cn.phone, cn.raw, &e.Event)
}
