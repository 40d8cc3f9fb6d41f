package socket

import (
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
)

// WriteBehind is a Disk that answers first and writes afterwards, in a goroutine of
// its own: for a Server with Inline. What it had not written yet when the program
// is killed is lost; Close writes it.
//
// After an error it goes to the disk at once, until that works again, so that
// nothing is promised that a full disk cannot hold.
type WriteBehind struct {
	disk Disk
	lock sync.Mutex
	more *sync.Cond // the queue, writing, failed or closed has changed

	queue, spare []nodes.Record
	writing      bool
	failed       bool
	closed       bool
	real         clock.Clock
	ended        chan struct{}
}

// mostBehind is how many records may wait: then who asks waits with them.
const mostBehind = 1 << 16

// pauseBehind lies between two writes, in real time.
const pauseBehind = time.Millisecond

// NewWriteBehind begins to write to disk, which nobody else may use until Close.
func NewWriteBehind(disk Disk) *WriteBehind {
	b := &WriteBehind{disk: disk, real: clock.New(), ended: make(chan struct{})}
	b.more = sync.NewCond(&b.lock)
	go b.write()
	return b
}

// Store takes records to be written soon. Its errors are those of the disk, and
// only come while that does not work.
func (b *WriteBehind) Store(records []nodes.Record) (issues, attempts error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	for b.writing && (b.failed || len(b.queue) >= mostBehind) {
		b.more.Wait()
	}
	if !b.failed && !b.closed {
		b.queue = append(b.queue, records...)
		b.more.Broadcast()
		return nil, nil
	}
	issues, attempts = b.disk.Store(records)
	b.failed = issues != nil || attempts != nil
	return issues, attempts
}

// Close writes what is left. Store must not be called any more.
func (b *WriteBehind) Close() {
	b.lock.Lock()
	b.closed = true
	b.more.Broadcast()
	b.lock.Unlock()
	<-b.ended
}

func (b *WriteBehind) write() {
	defer close(b.ended)
	b.lock.Lock()
	defer b.lock.Unlock()
	for {
		for len(b.queue) == 0 && !b.closed {
			b.more.Wait()
		}
		if len(b.queue) == 0 {
			return
		}
		batch := b.queue
		b.queue, b.writing = b.spare[:0], true
		b.lock.Unlock()
		issues, attempts := b.disk.Store(batch)
		clear(batch)
		b.lock.Lock()
		b.spare, b.writing = batch, false
		b.failed = issues != nil || attempts != nil
		b.more.Broadcast()
		if !b.closed {
			b.lock.Unlock()
			b.real.Sleep(pauseBehind) // so that many are written at once
			b.lock.Lock()
		}
	}
}
