package nodes

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"bluetrace/protocol"
)

// The index behaves like a map, also for TempIDs that an entry cannot hold.
func TestTempIDIndexIsAMap(t *testing.T) {
	src := rand.NewPCG(1, 2)
	rnd := rand.New(src)
	var x tempIDIndex
	model := map[protocol.TempID]drawn{}
	ids := []protocol.TempID{
		protocol.TempID([]byte("00000000000000000000")),
		protocol.TempID([]byte("99999999999999999999")),
		protocol.TempID([]byte("18446744073709551615")), // 2^64-1
		protocol.TempID([]byte("18446744073709551616")), // 2^64
		protocol.TempID([]byte("36893488147419103232")), // 2^65
		protocol.TempID([]byte("00000000000000000001")),
	}
	for len(ids) < 20_000 {
		ids = append(ids, protocol.DrawTempID(src))
	}
	starts := []int64{earliestIssue, -1, 0, 1_600_000_000, 1<<36 + earliestIssue, latestIssue - 1}
	lifetimes := []int64{1, 900, lifetimeMask, lifetimeMask + 1, 1 << 40}
	for range 60_000 {
		d := drawn{
			Issue: Issue{
				User:   fmt.Sprint("user", rnd.IntN(500)),
				TempID: ids[rnd.IntN(len(ids)-1)+1], // the first stays out
				Start:  starts[rnd.IntN(len(starts))],
			},
			stored: rnd.IntN(2) == 0,
		}
		d.Expiry = d.Start + lifetimes[rnd.IntN(len(lifetimes))]
		x.put(d)
		model[d.TempID] = d
	}
	for _, id := range ids {
		want, ok := model[id]
		got, found := x.get(id)
		if found != ok || got != want {
			t.Fatalf("TempID %s: got %+v, %v, want %+v, %v", id, got, found, want, ok)
		}
	}
	if _, found := x.get(ids[0]); found {
		t.Errorf("TempID %s is found, and was never put", ids[0])
	}
	odd := 0
	for id := range x.unpacked {
		if e := x.unpacked[id]; e.Expiry-e.Start <= lifetimeMask {
			odd++
		}
	}
	if odd == len(x.unpacked) {
		t.Error("nothing was too long for an entry: the test shows nothing")
	}
}

// A growing table keeps all entries and stays between 7/10 and 7/8 full.
func TestTempIDIndexIsFull(t *testing.T) {
	const n = 300_000
	src := rand.NewPCG(3, 4)
	var x tempIDIndex
	for range n {
		x.put(drawn{Issue: Issue{User: "u", TempID: protocol.DrawTempID(src), Start: 0, Expiry: 900}, stored: true})
	}
	equal(t, "beside the tables", len(x.unpacked), 0)
	places := 0
	for i := range x.tables {
		places += len(x.tables[i].entries)
	}
	bytes := places * int(unsafe.Sizeof(indexEntry{}))
	if x.len() != n || bytes > 29*n {
		t.Errorf("%d TempIDs in %d bytes, want %d in at most %d", x.len(), bytes, n, 29*n)
	}
}

// The answers of one input use the memory of those of the input before.
func TestAnswersUseTheSameMemory(t *testing.T) {
	r := newServerRig(t, nil)
	r.login(0, alice, alicePassword)
	for range 1000 {
		r.download(0)
	}
	if n := cap(r.s.scratch); n > 256 {
		t.Errorf("%d bytes are kept for answers", n)
	}
}

// The cost of an upload for each TempID is the same with ten and ten million.
func BenchmarkResolve(b *testing.B) {
	for _, n := range []int{10, 10_000, 10_000_000} {
		if testing.Short() && n > 10_000 {
			continue
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			src := rand.NewPCG(5, 6)
			var x tempIDIndex
			asked := make([]protocol.TempID, min(n, 4096))
			for i := range n {
				id := protocol.DrawTempID(src)
				x.put(drawn{Issue: Issue{User: "+61410888888", TempID: id, Start: 0, Expiry: 900}, stored: true})
				asked[i%len(asked)] = id
			}
			places := 0
			for i := range x.tables {
				places += cap(x.tables[i].entries)
			}
			b.ResetTimer()
			for i := 0; b.Loop(); i++ {
				if _, ok := x.get(asked[i%len(asked)]); !ok {
					b.Fatal("a TempID is gone")
				}
			}
			b.ReportMetric(float64(places*int(unsafe.Sizeof(indexEntry{})))/float64(n), "B/TempID")
		})
	}
}
