package virtual

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/sim/event"
	"bluetrace/sim/world"
)

// serverHost runs the server's machine: it gives it its inputs and carries out its
// effects, and keeps its files.
type serverHost struct {
	parts

	machine     *nodes.Server // nil while it is down
	settings    nodes.ServerSettings
	credentials []nodes.Credential
	out         nodes.ServerOutbox
	wakeAt      int64  // time of the wake-up that counts
	life        uint32 // number of starts

	entropy   rand.PCG
	key       rand.PCG // start of the stream of the key of unknown names
	diskDelay Delay
	diskNoise rand.PCG // draws of diskDelay
	lastStore int64    // time at which the last store reaches the disk; stores keep their order
	stores    pool[store]
	pending   []uint32      // slots of the stores in flight, in their order
	folder    *files.Server // of this life; nil if nothing is stored
	unsynced  bool          // the planted bug of Config.Unsynced
}

// store is a Store of the server on its way to the disk.
type store struct {
	id      nodes.StoreID
	conn    nodes.Conn
	number  uint64 // of the connection
	life    uint32 // of the server
	records []nodes.Record
}

func (h *serverHost) init(c *Config) error {
	h.entropy = Stream(c.Seed, "server", "TempIDs")
	h.diskNoise = Stream(c.Seed, "server", "disk")
	h.diskDelay = c.DiskDelay
	h.settings = c.Server
	h.settings.Entropy = &h.entropy
	h.settings.Zone = c.Zone
	h.key = Stream(c.Seed, "server", "key of unknown names")
	h.unsynced = c.Unsynced
	key := streamReader{h.key}
	_, _ = key.Read(h.settings.NameKey[:]) // it never fails
	h.credentials = c.Credentials
	if err := h.settings.Validate(); err != nil {
		return fmt.Errorf("building the server: %w", err)
	}
	return nil
}

// start starts a machine with the records of the server's files.
func (h *serverHost) start() error {
	if err := h.openFolder(); err != nil {
		return fmt.Errorf("opening its files: %w", err)
	}
	m, err := nodes.NewServer(h.settings)
	if err != nil {
		panic(fmt.Sprintf("virtual: settings that were good are refused: %v", err))
	}
	m.SetPasswords(nodes.NewPasswords(h.credentials))
	if err := h.restore(m); err != nil {
		return fmt.Errorf("reading its files: %w", err)
	}
	h.machine, h.wakeAt = m, never
	if h.life++; h.life > 1 {
		h.emit.ServerStarted(m.Resolve)
	}
	h.printNotes()
	m.Start(h.now(), &h.out)
	h.act()
	return nil
}

func (h *serverHost) now() nodes.Now { return h.clocks.read(event.Server) }

// walSize is the size in bytes of the server's write-ahead log: a few hundred
// TempIDs, so that a run fills it and begins it anew.
const walSize = 16 << 10

// attemptsSlack is the number of unneeded lines that attempts.txt may have: few, so
// that a run rewrites it.
const attemptsSlack = 32

// openFolder opens the server's files, if it has any, with the code for a real disk.
func (h *serverHost) openFolder() error {
	memory := h.disks.server
	if memory == nil {
		return nil
	}
	memory.SetTime(h.now().Wall)
	folder, err := files.OpenServer(memory, files.ServerOptions{
		Zone: h.clocks.zone, Entropy: &streamReader{h.key}, WALSize: walSize, AttemptsSlack: attemptsSlack,
		MaxBlocked: h.settings.MaxBlockedNames(), NoSync: h.unsynced,
	})
	if err != nil {
		return err
	}
	h.folder, h.settings.NameKey = folder, folder.NameKey()
	return nil
}

// restore gives a machine the records of the server's files.
func (h *serverHost) restore(m *nodes.Server) error {
	if h.folder == nil {
		return nil
	}
	now := h.now()
	return h.folder.Restore(now.Wall, func(r nodes.Record) error { return m.Restore(now, r) })
}

// printNotes prints the defects that the server found in its files. Without faults
// there are none.
func (h *serverHost) printNotes() {
	if h.folder == nil {
		return
	}
	for _, note := range h.folder.Notes() {
		if !h.faults.begun {
			panic("virtual: the server does not understand its own files: " + note.Text)
		}
		h.emit.fileRepaired(event.Server, note)
		h.print(note.Text)
	}
}

// write writes records to the server's files, if it has any.
func (h *serverHost) write(records []nodes.Record) error {
	if h.folder == nil {
		return nil
	}
	h.disks.server.SetTime(h.now().Wall)
	return errors.Join(h.folder.Store(records))
}

// restart kills a server that runs, and starts it again after down.
func (h *serverHost) restart(down time.Duration) {
	if h.disks.server == nil {
		panic("virtual: RestartServer in a world that was built without a Folder")
	}
	if h.machine == nil {
		return
	}
	h.kill()
	if down <= 0 {
		h.comeBack()
		return
	}
	h.scheduler.call(h.scheduler.now+int64(down), h.comeBack)
}

// kill ends the server's program: its connections break.
func (h *serverHost) kill() {
	h.emit.Text(event.ProgramStatus, event.Server, "is killed")
	h.machine = nil
	if h.disks.server != nil {
		h.disks.server.Kill()
	}
	h.emit.ServerStopped(h.tcp.sessions())
	h.tcp.resetSessions()
}

// comeBack starts the server again, unless a fault keeps it down.
func (h *serverHost) comeBack() {
	if h.faults.begun && h.states.keepsServerDown() {
		return
	}
	h.emit.Text(event.ProgramStatus, event.Server, "is started again")
	err := h.start()
	if err == nil {
		return
	}
	if !h.faults.begun {
		panic(fmt.Sprintf("virtual: the server in memory does not start: %v", err))
	}
	h.emit.Text(event.ProgramStatus, event.Server, "does not start: "+err.Error())
	h.disks.server.Kill()
	h.scheduler.call(h.scheduler.now+int64(retryStart), h.comeBack)
}

// wake handles a wake-up from the queue.
func (h *serverHost) wake() {
	h.wakeAt = never
	if h.faults.begun && h.states.isPaused(event.Server) {
		return // resume wakes it
	}
	h.resume()
}

// resume wakes the server if it runs.
func (h *serverHost) resume() {
	if h.machine == nil {
		return
	}
	h.machine.Wake(h.now(), &h.out)
	h.act()
}

// act carries out the effects of the server's machine, and schedules its next
// wake-up.
func (h *serverHost) act() {
	for i := range h.out.Effects {
		h.carryOut(&h.out.Effects[i])
	}
	h.out.Effects = h.out.Effects[:0]
	if h.machine != nil {
		h.arm()
	}
}

// arm schedules the server's next wake-up, unless one as early is in the queue.
func (h *serverHost) arm() {
	next, ok := h.machine.NextWake()
	if !ok {
		return
	}
	at := h.clocks.when(event.Server, next)
	if at >= h.wakeAt {
		return
	}
	if at <= h.scheduler.now {
		panic(fmt.Sprintf("virtual: the server wants to be woken at %s, and it is %s: it has not done what is due",
			event.Seconds(at), event.Seconds(h.scheduler.now)))
	}
	h.wakeAt = at
	h.scheduler.wakeUp(at, wakeServer, event.Server)
}

// rearm schedules the next wake-up anew after a change of the server's clock.
func (h *serverHost) rearm() {
	if h.machine != nil {
		h.wakeAt = never
		h.arm()
	}
}

func (h *serverHost) print(text string) { h.emit.Text(event.ServerPrinted, event.Server, text) }

func (h *serverHost) carryOut(e *nodes.ServerEffect) {
	switch c := uint32(e.Conn); e.Kind {
	case nodes.EffectSend:
		h.tcp.sendToPhone(c, e.Bytes)
	case nodes.EffectClose:
		h.tcp.closeServerSide(c)
	case nodes.EffectPrint:
		h.print(e.Text)
	case nodes.EffectStore:
		h.store(e)
	case nodes.EffectEvent:
		h.emit.ServerDecided(&h.tcp.conns[c].Connection, &e.Event)
	}
}

// accept hands the machine a connection. Its effects wait for act.
func (h *serverHost) accept(c nodes.Conn) { h.machine.Accept(h.now(), c, netip.Addr{}, &h.out) }

// reads reports whether the machine reads the connection.
func (h *serverHost) reads(c nodes.Conn) bool { return h.machine != nil && h.machine.Reading(c) }

// read hands the machine bytes of a connection. Its effects wait for act.
func (h *serverHost) read(c nodes.Conn, p []byte) { h.machine.Read(h.now(), c, p, &h.out) }

// eof hands the machine the end of a phone's stream.
func (h *serverHost) eof(c nodes.Conn) {
	h.machine.EOF(h.now(), c, &h.out)
	h.act()
}

// store sends records to the disk.
func (h *serverHost) store(e *nodes.ServerEffect) {
	slot := h.stores.take()
	s := h.stores.at(slot)
	*s = store{
		id: e.Store, conn: e.Conn, life: h.life, records: append(s.records[:0], e.Records...),
	}
	if e.Conn != nodes.NoConn {
		s.number = h.tcp.conns[e.Conn].Number
	}
	at := h.scheduler.now + int64(h.diskDelay.Draw(&h.diskNoise)) + h.disks.delay(event.Server)
	h.lastStore = max(h.lastStore, at)
	h.pending = append(h.pending, slot)
	h.emit.StoreAsked(s.records)
	h.scheduler.input(h.lastStore, storeDue, 0, slot)
}

// finishStore writes the records of a store.
func (h *serverHost) finishStore(slot uint32) {
	s := h.stores.at(slot)
	h.stores.put(slot)
	h.pending = h.pending[:copy(h.pending, h.pending[1:])]
	if s.life != h.life || h.machine == nil {
		return // the server that asked was killed before
	}
	h.disks.beginWriting(event.Server)
	err := h.write(s.records)
	if err != nil {
		h.disks.writeFailed(event.Server, err)
	}
	h.emit.StoreDone(s.id, s.records, err)
	done := *s
	if h.faults.begun && h.states.deferred(event.Server, func() { h.answerStore(&done, err) }) {
		return
	}
	h.answerStore(&done, err)
}

// answerStore hands the machine the result of a store.
func (h *serverHost) answerStore(s *store, err error) {
	h.machine.Stored(h.now(), s.id, err, &h.out)
	h.act()
	c, waits := uint32(s.conn), s.conn != nodes.NoConn
	if waits && h.tcp.conns[c].serverOpen && h.tcp.conns[c].Number == s.number {
		e := h.emit.Next(event.StoreAnswered, event.Server, event.NoPeer)
		e.Slot = s.conn
		h.emit.Stream.Emit(e)
	}
	if h.faults.begun && h.machine != nil {
		h.printNotes()
	}
	if waits && h.tcp.conns[c].used {
		h.tcp.readServer(c)
	}
}

// interruptedStore returns the write that a crash of the server interrupts, or nil.
func (h *serverHost) interruptedStore() func() {
	for _, slot := range h.pending {
		if s := h.stores.at(slot); s.life == h.life {
			return func() { _ = h.write(s.records) } // no program is left to handle its error
		}
	}
	return nil
}

// holds returns the state that the server and its host hold. It returns false while
// the server is down or paused.
func (h *serverHost) holds() (world.ServerHolds, bool) {
	if h.machine == nil || h.faults.begun && h.states.isPaused(event.Server) {
		return world.ServerHolds{}, false
	}
	held := world.ServerHolds{
		Usage: h.machine.Usage(), Connections: h.tcp.sessions(), DiskFailures: h.faults.serverDiskFailures,
	}
	for _, slot := range h.pending {
		if h.stores.at(slot).life == h.life {
			held.UnansweredStores++
		}
	}
	if h.disks.server != nil {
		held.AttemptsFile = h.disks.server.Size("attempts.txt")
	}
	return held, true
}
