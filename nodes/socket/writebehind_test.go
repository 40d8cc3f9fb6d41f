package socket

import (
	"errors"
	"sync"
	"testing"

	"bluetrace/nodes"
)

// gatedDisk is a disk whose Store returns when the test releases it, with the
// test's errors.
type gatedDisk struct {
	lock    sync.Mutex
	records int
	begun   chan int // records of a Store that has begun
	ends    chan error
}

func newGatedDisk() *gatedDisk { return &gatedDisk{begun: make(chan int), ends: make(chan error)} }

func (d *gatedDisk) Store(records []nodes.Record) (issues, attempts error) {
	d.begun <- len(records)
	err := <-d.ends
	if err == nil {
		d.lock.Lock()
		d.records += len(records)
		d.lock.Unlock()
	}
	return err, nil
}

func (d *gatedDisk) stored() int {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.records
}

func store(t *testing.T, b *WriteBehind, n int, want error) {
	t.Helper()
	if issues, attempts := b.Store(make([]nodes.Record, n)); !errors.Is(issues, want) || attempts != nil {
		t.Errorf("storing %d records: got %v, %v, want %v", n, issues, attempts, want)
	}
}

// While the disk is busy Store returns at once, and the queued records are written
// together.
func TestBehindAnswersFirst(t *testing.T) {
	d := newGatedDisk()
	b := NewWriteBehind(d)
	store(t, b, 1, nil)
	first := <-d.begun
	store(t, b, 2, nil)
	store(t, b, 3, nil)
	d.ends <- nil
	second := <-d.begun
	d.ends <- nil
	b.Close()
	if first != 1 || second != 5 || d.stored() != 6 {
		t.Errorf("%d, then %d records, %d in all; want 1, then 5, 6", first, second, d.stored())
	}
}

// Close writes the records that wait.
func TestBehindCloseWrites(t *testing.T) {
	d := newGatedDisk()
	b := NewWriteBehind(d)
	store(t, b, 4, nil)
	closed := make(chan struct{})
	go func() { b.Close(); close(closed) }()
	<-d.begun
	select {
	case <-closed:
		t.Fatal("closed before the disk had it")
	default:
	}
	d.ends <- nil
	<-closed
	if d.stored() != 4 {
		t.Errorf("%d records on the disk, want 4", d.stored())
	}
}

// After an error Store returns only once the records are on disk, until a write
// succeeds.
func TestBehindAFullDisk(t *testing.T) {
	full := errors.New("no space left")
	d := newGatedDisk()
	b := NewWriteBehind(d)
	store(t, b, 1, nil) // the failure is not known yet
	<-d.begun
	d.ends <- full
	waitFailed(b)
	for _, end := range []error{full, nil} {
		go func() { <-d.begun; d.ends <- end }()
		store(t, b, 2, end)
	}
	store(t, b, 3, nil) // behind again, without waiting
	if n := <-d.begun; n != 3 {
		t.Errorf("%d records, want 3", n)
	}
	d.ends <- nil
	b.Close()
	if d.stored() != 5 {
		t.Errorf("%d records on the disk, want 5", d.stored())
	}
}

func waitFailed(b *WriteBehind) {
	b.lock.Lock()
	defer b.lock.Unlock()
	for !b.failed {
		b.more.Wait()
	}
}
