package authority

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"bluetrace/nodes"
)

// No draw is repeated.
func TestEntropy(t *testing.T) {
	seen := map[uint64]bool{}
	for i := range 1000 {
		n := entropy{}.Uint64()
		if seen[n] {
			t.Fatalf("draw %d: %d came before", i, n)
		}
		seen[n] = true
	}
}

// The limit of blocked names is that of the files too. A batch of which only the attempts were not saved is an error in
// the metrics too.
func TestFolderOfTheAuthority(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t, "phone secret")
	a, _, err := parseArguments([]string{"0", "60", "--dir", dir, "--max-blocked-bytes", "1", "--metrics", "0"})
	if err != nil {
		t.Fatal(err)
	}
	var h authority
	err = h.open(&a, l, &program{stdout: io.Discard, stderr: io.Discard, zone: time.UTC, clock: clock.New()})
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	blocked := func(name byte) []nodes.Record {
		return []nodes.Record{{Kind: nodes.RecordAttempts, Attempts: nodes.Attempts{
			Hash: [16]byte{name}, BlockedUntil: h.clock.Now().Add(time.Minute).UnixNano(), BlockDuration: time.Minute,
		}}}
	}
	inTheWay := filepath.Join(dir, "attempts.txt")
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	issues, attempts := h.Store(blocked(0))
	if n := testutil.ToFloat64(h.metrics.storeErrors); issues != nil || attempts == nil || n != 1 {
		t.Errorf("%v, %v and %v errors in the metrics, want 1 of the attempts", issues, attempts, n)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(h.Store(blocked(1))); err != nil {
		t.Fatal(err)
	}
	var restored []nodes.Record
	err = h.folder.Restore(0, func(r nodes.Record) error {
		restored = append(restored, r)
		return nil
	})
	if err != nil || len(restored) != 1 || restored[0].Attempts.Hash != [16]byte{1} {
		t.Errorf("restored %+v (%v), want the newer name", restored, err)
	}
}
