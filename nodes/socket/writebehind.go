package socket

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"bluetrace/nodes"
)

// WriteBehind is a Disk for a Server with Inline. Store returns at once, and a goroutine
// writes the records afterwards. Records that are not written when the program is killed
// are lost. Close writes them.
//
// Records that the disk refuses are kept, and written again and again. Until that succeeds,
// Store refuses further issues, so that the memory for them is bounded.
type WriteBehind struct {
	disk    Disk
	report  func(string)
	lock    sync.Mutex
	more    *sync.Cond // queue, writing or closed has changed
	queue   []nodes.Record
	spare   []nodes.Record
	writing bool
	closed  bool
	issues  error // of the last write; nil if it succeeded
	failed  error // of the last write, for any record; nil if it succeeded
	real    clock.Clock
	closing chan struct{} // closed by Close
	ended   chan struct{}
}

const (
	// maxBehind is the number of records beyond which Store waits for the disk.
	maxBehind = 1 << 16
	// writeBehindPause is the real time between two writes, so that each has many
	// records.
	writeBehindPause = time.Millisecond
	// writeBehindRetry is the real time from a failed write to the next.
	writeBehindRetry = 100 * time.Millisecond
)

// NewWriteBehind returns a WriteBehind that writes to disk. Nothing else may use disk until
// Close. It calls report with a line about the first failure in a row, and about the first
// success after a failure.
func NewWriteBehind(disk Disk, report func(string)) *WriteBehind {
	b := &WriteBehind{
		disk: disk, report: report, real: RealClock(), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	b.more = sync.NewCond(&b.lock)
	go b.write()
	return b
}

// Store queues records. It refuses issues, with the error of the disk, while the disk
// refuses earlier ones.
func (b *WriteBehind) Store(records []nodes.Record) (issues, attempts error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	for b.writing && len(b.queue) >= maxBehind {
		b.more.Wait()
	}
	if isIssue := func(r nodes.Record) bool { return r.Kind == nodes.RecordIssue }; b.issues != nil {
		if slices.ContainsFunc(records, isIssue) {
			issues = b.issues
		}
		records = slices.DeleteFunc(slices.Clone(records), isIssue)
	}
	b.queue = append(b.queue, records...)
	b.more.Broadcast()
	return issues, nil
}

// Close writes the records that wait, and returns after the last write. The error means
// that the disk refused issues, which are lost, or did not answer within limit. In the
// second case it is ErrUnsaved. Store must not be called afterwards.
func (b *WriteBehind) Close(limit time.Duration) error {
	b.lock.Lock()
	b.closed = true
	close(b.closing)
	b.more.Broadcast()
	b.lock.Unlock()
	timeUp := b.real.Timer(limit)
	defer timeUp.Stop()
	select {
	case <-timeUp.C:
		return fmt.Errorf("%w: the last TempIDs and blocks are not saved", ErrUnsaved)
	case <-b.ended:
	}
	lost := 0
	for _, r := range b.queue {
		if r.Kind == nodes.RecordIssue {
			lost++
		}
	}
	if lost == 0 {
		return nil // the disk keeps attempts that it refused
	}
	return fmt.Errorf("%d TempIDs that phones have are not saved: %w", lost, b.failed)
}

// write is the goroutine. After Close it ends with the first write that fails.
func (b *WriteBehind) write() {
	defer close(b.ended)
	b.lock.Lock()
	defer b.lock.Unlock()
	for {
		for len(b.queue) == 0 && !b.closed {
			b.more.Wait()
		}
		batch, last := b.queue, b.closed
		if len(batch) == 0 {
			return
		}
		b.queue, b.writing = b.spare[:0], true
		b.lock.Unlock()
		issues, attempts := b.disk.Store(batch)
		b.lock.Lock()
		pause := b.wrote(batch, issues, attempts)
		if last && b.failed != nil {
			return
		}
		b.lock.Unlock()
		select {
		case <-b.real.After(pause):
		case <-b.closing:
		}
		b.lock.Lock()
	}
}

// wrote puts the records of a batch that the disk refused back at the front of the queue.
// It returns the time until the next write. The lock is held.
func (b *WriteBehind) wrote(batch []nodes.Record, issues, attempts error) (pause time.Duration) {
	was := b.failed
	b.writing, b.issues, b.failed = false, issues, errors.Join(issues, attempts)
	b.more.Broadcast()
	if b.failed == nil {
		clear(batch)
		b.spare = batch
		if was != nil {
			b.report("all records are saved now")
		}
		return writeBehindPause
	}
	kept := slices.DeleteFunc(batch, func(r nodes.Record) bool {
		return issues == nil || r.Kind != nodes.RecordIssue
	})
	if attempts != nil { // the disk keeps them
		kept = append(kept, nodes.Record{Kind: nodes.RecordUnsaved})
	}
	b.queue, b.spare = append(kept, b.queue...), nil
	if was == nil {
		b.report(fmt.Sprintf("records of answers that were sent could not be saved: %v; it is tried again", b.failed))
	}
	return writeBehindRetry
}
