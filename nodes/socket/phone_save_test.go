package socket

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// diskLog is a ContactFile in memory that the test reads.
type diskLog struct {
	mu       sync.Mutex
	left     []nodes.StoredContact // by an earlier program
	received []nodes.StoredContact
	writes   []string // the log's text
	fail     error
	gate     chan struct{} // not nil: each write takes one from it
}

func (d *diskLog) Stored() []nodes.StoredContact { return d.left }

func (d *diskLog) Add(k nodes.StoredContact) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.received = append(d.received, k)
}

func (d *diskLog) Write(log *nodes.ContactLog) error {
	if d.gate != nil {
		<-d.gate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes = append(d.writes, string(log.AppendText(nil)))
	return d.fail
}

func (d *diskLog) written() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.writes)
}

func (d *diskLog) failing(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = err
}

func lines(ids ...string) string {
	text := ""
	for _, id := range ids {
		text += id + "\n23/11/2026 06:36:03\n23/11/2026 06:51:03\n"
	}
	return text
}

func id(i int) string { return someTempID[:19] + string(rune('0'+i)) }

func newSavingRig(t *testing.T, d *diskLog) *phoneRig {
	t.Helper()
	return newPhoneRig(t, func(_ *phoneRig, c *PhoneConfig) { c.Log = d })
}

func (r *phoneRig) awaitWrites(d *diskLog, want ...string) {
	r.t.Helper()
	r.until("writes", func() bool { return len(d.written()) >= len(want) && !r.phone.saver.Writing() })
	if got := d.written(); !slices.Equal(got, want) {
		r.t.Fatalf("the disk got %q, want %q", got, want)
	}
}

// The first change is written at once, and the changes of the next second
// together.
func TestPhoneSavesOnceASecond(t *testing.T) {
	d := &diskLog{}
	r := newSavingRig(t, d)
	r.awaitWrites(d, "")
	r.mock.Add(time.Second)
	r.hear(beacon(id(1)))
	r.awaitWrites(d, "", lines(id(1)))
	r.hear(beacon(id(2)), beacon(id(3)))
	r.until("received", func() bool { return r.phone.Machine().Log().Len() == 3 })
	r.mock.Add(time.Second - 1)
	r.awaitWrites(d, "", lines(id(1)))
	r.mock.Add(1)
	r.awaitWrites(d, "", lines(id(1)), lines(id(1), id(2), id(3)))
	r.mock.Add(3*time.Minute - time.Second)
	r.awaitWrites(d, "", lines(id(1)), lines(id(1), id(2), id(3)), "")
	expect(t, "received", len(d.received), 3)
	expect(t, "the first", d.received[0], nodes.StoredContact{
		Beacon: protocol.Beacon{TempID: protocol.TempID([]byte(id(1))),
			Start: localTime(t, "23/11/2026 06:36:03"), Expiry: localTime(t, "23/11/2026 06:51:03")},
		Received: startTime.Add(time.Second).UnixNano()})
}

func localTime(t testing.TB, text string) protocol.LocalTime {
	t.Helper()
	l, err := protocol.ParseTime([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A beacon without its fourth part is written to disk like any other.
func TestPhoneSavesABeaconWithoutItsVersion(t *testing.T) {
	d := &diskLog{}
	r := newSavingRig(t, d)
	r.awaitWrites(d, "")
	r.hear(split(beacon(someTempID))[:3]...)
	r.until("three parts", func() bool { return r.seen.datagrams == 3 })
	r.mock.Add(250 * time.Millisecond)
	r.until("the verdict", func() bool { return r.phone.Machine().Log().Len() == 1 })
	r.mock.Add(750 * time.Millisecond)
	r.awaitWrites(d, "", lines(someTempID))
}

// Entries of an earlier program stay in the log. Those past their retention leave
// the disk at the start.
func TestPhoneRestoresItsLog(t *testing.T) {
	d := &diskLog{}
	for i, age := range []time.Duration{181 * time.Second, 180 * time.Second, 179 * time.Second, time.Second} {
		d.left = append(d.left, nodes.StoredContact{Beacon: protocol.Beacon{TempID: protocol.TempID([]byte(id(i))),
			Start: localTime(t, "23/11/2026 06:36:03"), Expiry: localTime(t, "23/11/2026 06:51:03")},
			Received: startTime.Add(-age).UnixNano()})
	}
	r := newSavingRig(t, d)
	r.awaitWrites(d, lines(id(2), id(3)))
	r.mock.Add(time.Second)
	r.saw("the older one", "expired 1")
	r.awaitWrites(d, lines(id(2), id(3)), lines(id(3)))
	expect(t, "passed to the disk again", len(d.received), 0)
}

// A failure of the disk is printed once, the write is repeated every second, and
// the first success is printed.
func TestPhonePrintsADiskFailure(t *testing.T) {
	d := &diskLog{fail: errors.New("writing \"log\": no space left on device")}
	r := newSavingRig(t, d)
	r.saw("printed", `the contact log is not saved: writing "log": no space left on device; it is tried again every `+
		`second`)
	tries := []string{""}
	for range 3 {
		r.awaitWrites(d, tries...)
		r.mock.Add(time.Second)
		tries = append(tries, "")
	}
	r.awaitWrites(d, tries...)
	r.locked(func() { expect(t, "printed again", len(r.seen.events), 0) })
	d.failing(nil)
	r.mock.Add(time.Second)
	r.saw("it works", "the contact log is saved again")
	r.mock.Add(time.Minute)
	r.awaitWrites(d, "", "", "", "", "")
}

// A slow disk delays neither the phone nor other events. Close waits until the
// last write is complete.
func TestPhoneSavesAtClose(t *testing.T) {
	d := &diskLog{gate: make(chan struct{}, 9)}
	r := newSavingRig(t, d)
	r.until("the first write", func() bool { return r.phone.saver.Writing() })
	r.hear(beacon(id(1)))
	r.saw("while the disk is busy", verdict(id(1), "06:36:03"))
	r.mock.Add(3 * time.Minute)
	r.saw("and expiry goes on", "expired 1")
	r.hear(beacon(id(2)))
	r.saw("the second", verdict(id(2), "06:39:03"))
	closed := make(chan error)
	go func() { closed <- r.phone.Close() }()
	r.until("closing", func() bool { return r.phone.ended })
	expect(t, "written meanwhile", len(d.written()), 0)
	d.gate <- struct{}{}
	d.gate <- struct{}{}
	expect(t, "error", <-closed, nil)
	expect(t, "writes", len(d.written()), 2)
	expect(t, "the last", d.written()[1], lines(id(2)))
	expect(t, "received", len(d.received), 2)
}

func TestPhonePrintsAFailedSaveAtClose(t *testing.T) {
	d := &diskLog{fail: errors.New("no")}
	r := newSavingRig(t, d)
	err := r.phone.Close()
	if !errors.Is(err, d.fail) || err.Error() != "saving the contact log: no" {
		t.Errorf("error %v", err)
	}
	expect(t, "again", r.phone.Close(), nil)
}

func TestPhoneKilledSavesNothing(t *testing.T) {
	d := &diskLog{}
	r := newSavingRig(t, d)
	r.awaitWrites(d, "")
	r.hear(beacon(id(1)))
	r.saw("heard", verdict(id(1), "06:36:03"))
	r.phone.Kill()
	r.mock.Add(time.Second)
	expect(t, "writes", len(d.written()), 1)
}
