package virtual_test

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"bluetrace/protocol"
	"bluetrace/sim/virtual"
)

// busy runs a world with logins, beacons, a restart and an upload.
func busy(t *testing.T, seed uint64, payload string, trace io.Writer) *rig {
	t.Helper()
	r := &rig{t: t}
	if trace == nil {
		trace = &r.trace
	}
	if trace == io.Discard {
		trace = nil
	}
	r.build(virtual.Config{
		Seed:      seed,
		Begin:     -10 * ms,
		DiskDelay: virtual.Delay{Max: 3 * ms},
		TCP:       virtual.TCP{Delay: virtual.Delay{Min: ms, Max: 30 * ms}, Split: 9},
		UDP:       virtual.UDP{Delay: virtual.Delay{Mean: 5 * ms}, Lose: 0.2},
	}, trace)
	for who := range uint32(3) {
		r.Call(0, func() { r.loginOK(who) })
		r.Call(second, func() { r.Type(who, protocol.CommandDownload) })
	}
	for i := range 20 {
		r.Call(2*second+10*ms, func() { r.SendBeacons(uint32(i%3), []uint32{uint32(i+1) % 3}) })
	}
	r.Call(3*second, func() { r.SendDatagram(0, 1, 20000, []byte(payload)) })
	r.Call(4*second, func() { r.Type(1, protocol.CommandUpload) })
	r.Call(20*second, func() { r.RestartServer(second) })
	r.until(200 * second)
	return r
}

var sixteen = regexp.MustCompile(`^[0-9a-f]{16}$`)

func TestSameConfigurationSameRun(t *testing.T) {
	one, two := busy(t, 5, "some bytes", nil), busy(t, 5, "some bytes", nil)
	if one.trace.Len() < 2000 || one.trace.String() != two.trace.String() {
		t.Errorf("two traces of %d and %d bytes differ", one.trace.Len(), two.trace.Len())
	}
	if d := one.Digest(); d != two.Digest() || !sixteen.MatchString(d) {
		t.Errorf("digests %q and %q, want the same 16 hexadecimal digits", d, two.Digest())
	}
	if one.Events() != two.Events() || *one.Totals() != *two.Totals() {
		t.Errorf("%d events %+v, and %d events %+v", one.Events(), one.Totals(), two.Events(), two.Totals())
	}
	if one.Digest() != one.Digest() {
		t.Error("asking for the digest changes it")
	}
}

func TestDigestDoesNotDependOnTheTrace(t *testing.T) {
	with, without := busy(t, 5, "some bytes", nil), busy(t, 5, "some bytes", io.Discard)
	if without.trace.Len() != 0 || with.trace.Len() == 0 {
		t.Fatal("the second run was to have no trace")
	}
	if with.Digest() != without.Digest() {
		t.Errorf("digest %s with a trace, %s without", with.Digest(), without.Digest())
	}
}

func TestDigestSeesOneByte(t *testing.T) {
	base := busy(t, 5, "some bytes", io.Discard).Digest()
	for name, other := range map[string]string{
		"another payload":        busy(t, 5, "some bytez", io.Discard).Digest(),
		"a payload one longer":   busy(t, 5, "some bytes ", io.Discard).Digest(),
		"a payload that is gone": busy(t, 5, "", io.Discard).Digest(),
		"another seed":           busy(t, 6, "some bytes", io.Discard).Digest(),
	} {
		if other == base {
			t.Errorf("%s has the same digest %s", name, base)
		}
	}
	// a payload that a datagram does not hold itself
	long := strings.Repeat("x", 5000)
	if busy(t, 5, long, io.Discard).Digest() == busy(t, 5, long[1:]+"y", io.Discard).Digest() {
		t.Error("the last byte of a long datagram is not in the digest")
	}
}

// TestDigestSeesAPassword checks that one byte of a TCP stream changes the digest.
func TestDigestSeesAPassword(t *testing.T) {
	digest := func(password string) string {
		r := newRig(t, virtual.Config{})
		r.login(0, password)
		r.until(second)
		return r.Digest()
	}
	if digest("wrong-1") != digest("wrong-1") {
		t.Error("the same password has two digests")
	}
	if digest("wrong-1") == digest("wrong-2") {
		t.Error("two passwords have one digest")
	}
}

type fullDisk struct{ room int }

func (f *fullDisk) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// TestTraceThatCannotBeWritten checks that the run goes on and keeps the first
// error.
func TestTraceThatCannotBeWritten(t *testing.T) {
	full := busy(t, 5, "some bytes", &fullDisk{room: 1000})
	if got := full.TraceError(); got != io.ErrShortWrite {
		t.Errorf("the trace's error is %v, want %v", got, io.ErrShortWrite)
	}
	if ok := busy(t, 5, "some bytes", nil); ok.TraceError() != nil || ok.Digest() != full.Digest() {
		t.Errorf("a trace that could be written: error %v, digest %s; want none and %s", ok.TraceError(), ok.Digest(),
			full.Digest())
	}
}

// TestRecentEvents checks that Recent returns the last events of a phone, the oldest
// first.
func TestRecentEvents(t *testing.T) {
	r := busy(t, 5, "some bytes", nil)
	lines := strings.Split(strings.TrimSuffix(r.trace.String(), "\n"), "\n")
	if got, want := strings.Join(r.Recent(-1, 5), "\n"), strings.Join(lines[len(lines)-5:], "\n"); got != want {
		t.Errorf("the last five events are\n%s\nwant\n%s", got, want)
	}
	got := r.Recent(2, 4)
	if len(got) != 4 {
		t.Fatalf("%d events of c, want 4", len(got))
	}
	for i, line := range got {
		if !regexp.MustCompile(`\bc:|\bof c\b|-> c:|<- c:`).MatchString(line) {
			t.Errorf("%q does not concern c", line)
		}
		if i > 0 && got[i-1] > line && len(got[i-1]) == len(line) {
			t.Errorf("%q stands after %q", line, got[i-1])
		}
	}
}
