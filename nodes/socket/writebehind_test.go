package socket

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bluetrace/nodes"
)

// behindDisk is a disk that refuses the records of a kind while its error is set.
type behindDisk struct {
	mu               sync.Mutex
	issues, attempts error
	delay            time.Duration // of each Store
	records          []nodes.Record
	calls            int
	most             int // records of one call
}

func (d *behindDisk) Store(records []nodes.Record) (issues, attempts error) {
	time.Sleep(d.delay) // virtual time of synctest
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	d.most = max(d.most, len(records))
	for _, r := range records {
		if r.Kind == nodes.RecordIssue && d.issues == nil || r.Kind == nodes.RecordAttempts && d.attempts == nil {
			d.records = append(d.records, r)
		}
	}
	return d.issues, d.attempts
}

// set sets the errors of the next calls, and returns the number of calls so far.
func (d *behindDisk) set(issues, attempts error) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.issues, d.attempts = issues, attempts
	return d.calls
}

func (d *behindDisk) starts() (list []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.records {
		list = append(list, r.Issue.Start)
	}
	return list
}

// behindRig is a WriteBehind in a bubble of synctest.
type behindRig struct {
	*WriteBehind
	disk  *behindDisk
	mu    sync.Mutex
	lines []string
}

func newBehindRig() *behindRig {
	r := &behindRig{disk: &behindDisk{}}
	r.WriteBehind = NewWriteBehind(r.disk, func(line string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lines = append(r.lines, line)
	})
	return r
}

func (r *behindRig) store(t *testing.T, want error, starts ...int64) {
	t.Helper()
	var records []nodes.Record
	for _, n := range starts {
		records = append(records, nodes.Record{Issue: nodes.Issue{Start: n}})
	}
	if issues, attempts := r.Store(records); !errors.Is(issues, want) || attempts != nil {
		t.Errorf("storing %v: got %v, %v, want %v", starts, issues, attempts, want)
	}
}

func (r *behindRig) has(t *testing.T, starts ...int64) {
	t.Helper()
	if got := r.disk.starts(); !slices.Equal(got, starts) {
		t.Errorf("on the disk: %v, want %v", got, starts)
	}
}

// While the disk is busy Store returns at once, and the queued records are written
// together.
func TestBehindAnswersFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newBehindRig()
		r.disk.delay = time.Second
		r.store(t, nil, 1)
		synctest.Wait()
		r.store(t, nil, 2, 3)
		r.store(t, nil, 4)
		r.has(t)
		time.Sleep(3 * time.Second) // virtual time of synctest
		r.has(t, 1, 2, 3, 4)
		if r.disk.calls != 2 {
			t.Errorf("%d writes, want two", r.disk.calls)
		}
		r.store(t, nil, 5)
		if err := r.Close(time.Minute); err != nil {
			t.Error(err)
		}
		r.has(t, 1, 2, 3, 4, 5)
	})
}

// Records that were acknowledged and that a full disk refuses are kept, and written as
// soon as there is room. Meanwhile further issues are refused.
func TestBehindAFullDisk(t *testing.T) {
	full := errors.New("no space left")
	synctest.Test(t, func(t *testing.T) {
		r := newBehindRig()
		r.disk.set(full, nil)
		r.store(t, nil, 1, 2) // the failure is not known yet
		synctest.Wait()
		before := r.disk.set(full, nil)
		for range 100 {
			r.store(t, full, 3)
		}
		time.Sleep(10 * time.Second) // virtual time of synctest
		if n := r.disk.set(full, nil) - before; n < 50 || n > 101 {
			t.Errorf("%d tries in 10 s, want about 100", n)
		}
		if r.disk.most != 2 {
			t.Errorf("a try had %d records, want the two that wait", r.disk.most)
		}
		r.disk.set(nil, nil)
		time.Sleep(writeBehindRetry + time.Millisecond) // virtual time of synctest
		r.has(t, 1, 2)
		r.store(t, nil, 4)
		if err := r.Close(time.Minute); err != nil {
			t.Error(err)
		}
		r.has(t, 1, 2, 4)
		want := "records of answers that were sent could not be saved: no space left; it is tried again|all records " +
			"are saved now"
		if got := strings.Join(r.lines, "|"); got != want {
			t.Errorf("reported %q, want %q", got, want)
		}
	})
}

// An orderly end writes what a full disk refused, or is an error with the number of lost
// TempIDs.
func TestBehindCloseOnAFullDisk(t *testing.T) {
	full := errors.New("no space left")
	for _, room := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newBehindRig()
			r.disk.set(full, nil)
			r.store(t, nil, 1, 2)
			synctest.Wait()
			if room {
				r.disk.set(nil, nil)
			}
			err := r.Close(time.Minute)
			if room {
				if err != nil {
					t.Error(err)
				}
				r.has(t, 1, 2)
			} else if err == nil || err.Error() != "2 TempIDs that phones have are not saved: no space left" {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A disk that does not answer does not block the end.
func TestBehindCloseOnAStoppedDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newBehindRig()
		r.disk.delay = time.Hour
		r.store(t, nil, 1)
		began := time.Now()
		if err := r.Close(time.Second); !errors.Is(err, ErrUnsaved) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
		<-r.ended
	})
}

// Attempts are accepted on a full disk, which keeps them; it is asked again until they are
// saved. Issues are accepted meanwhile if the disk takes them.
func TestBehindRefusedAttempts(t *testing.T) {
	full := errors.New("no space left")
	attempts := []nodes.Record{{Kind: nodes.RecordAttempts}}
	synctest.Test(t, func(t *testing.T) {
		r := newBehindRig()
		r.disk.set(nil, full)
		r.Store(attempts)
		synctest.Wait()
		before := r.disk.set(nil, full)
		r.store(t, nil, 1)
		time.Sleep(time.Second) // virtual time of synctest
		r.has(t, 1)
		if n := r.disk.set(nil, full) - before; n < 5 || n > 11 {
			t.Errorf("%d tries in a second, want about 10", n)
		}
		if r.disk.most > 2 {
			t.Errorf("a try had %d records", r.disk.most)
		}
		if err := r.Close(time.Minute); err != nil {
			t.Error(err)
		}
	})
}
