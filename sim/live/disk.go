package live

import (
	"errors"
	"time"

	"bluetrace/nodes"
	"bluetrace/nodes/files"
	"bluetrace/nodes/socket"
)

var _ socket.Disk = (*disk)(nil)

// disk is the server's folder behind a delay on the world's clock.
type disk struct {
	host    *serverHost
	folder  *files.Server
	last    time.Duration // stores reach the disk in their order
	dues    []due
	waits   bool // a Store waits for the clock
	dying   bool // the server is being killed
	killed  bool // with the server
	hurried bool // nobody waits for the clock any more
}

// due is when a request reaches the disk.
type due struct {
	records int
	at      time.Duration
}

var errKilled = errors.New("the server was killed")

// asked takes a request that the disk will get; the lock is held.
func (d *disk) asked(records int) {
	w := d.host.world
	if w.config.DiskDelay == nil {
		return
	}
	d.last = max(d.last, w.now+w.config.DiskDelay())
	d.dues = append(d.dues, due{records, d.last})
}

// Store is called without the lock.
func (d *disk) Store(records []nodes.Record) (issues, attempts error) {
	if !d.wait(len(records)) {
		return errKilled, errKilled
	}
	return d.folder.Store(records)
}

// wait returns when it is the turn of the requests, which have so many records,
// and the clock has come to the time of the last of them; false: the server was
// killed before.
func (d *disk) wait(records int) bool {
	w := d.host.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.awaitTurn(w.host.storing)
	at := w.now
	for records > 0 && len(d.dues) > 0 {
		records -= d.dues[0].records
		at = d.dues[0].at
		d.dues = d.dues[1:]
	}
	if at > w.now && !d.hurried {
		d.waits = true
		w.call(at, false, func() { d.waits = false; w.happened.Broadcast() })
		w.happened.Broadcast()
	}
	// Of a server that is being killed the Store fails once nobody hears of it.
	for !d.killed && (d.waits || d.dying) {
		w.happened.Wait()
	}
	return !d.killed
}
