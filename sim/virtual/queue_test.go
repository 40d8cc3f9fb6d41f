package virtual

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestQueueOrder checks the order by time, class and sequence number.
func TestQueueOrder(t *testing.T) {
	var q queue
	q.push(5, inputClass, tickDue, 0, 10)
	q.push(5, 0, wakePhone, 1, 11)
	q.push(5, inputClass, datagramArrives, 2, 12)
	q.push(-3, inputClass, callDue, 3, 13)
	q.push(5, 0, wakeServer, 4, 14)
	q.push(4, inputClass, tickDue, 5, 15)
	want := []struct {
		at  int64
		k   entryKind
		who uint32
		arg uint32
	}{
		{-3, callDue, 3, 13},
		{4, tickDue, 5, 15},
		{5, wakePhone, 1, 11},
		{5, wakeServer, 4, 14},
		{5, tickDue, 0, 10},
		{5, datagramArrives, 2, 12},
	}
	for i, w := range want {
		if e := q.pop(q.first()); e.at != w.at || e.kind() != w.k || e.who != w.who || e.arg != w.arg {
			t.Errorf("event %d is %+v (kind %d), want %+v", i, e, e.kind(), w)
		}
	}
	if q.len() != 0 {
		t.Errorf("%d events left", q.len())
	}
}

// expected is the queue as a sorted slice, the simplest form of its order.
type expected struct {
	list []listed
	seq  uint32
}

type listed struct {
	at    int64
	input bool
	seq   uint32
}

func (x *expected) push(at int64, input bool) uint32 {
	x.seq++
	x.list = append(x.list, listed{at, input, x.seq})
	return x.seq
}

func (x *expected) pop() listed {
	first := slices.MinFunc(x.list, func(a, b listed) int {
		class := func(l listed) int {
			if l.input {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(class(a), class(b)), cmp.Compare(a.seq, b.seq))
	})
	i := slices.Index(x.list, first)
	x.list = slices.Delete(x.list, i, i+1)
	return first
}

// sameOrder applies the same operations to a queue and a sorted slice. An operation
// has three bytes: it pops the earliest entry, or pushes one at a time from the last
// popped one on.
func sameOrder(t *testing.T, ops []byte) {
	t.Helper()
	var q queue
	var x expected
	now := int64(-1 << 30)
	take := func() {
		want, got := x.pop(), q.pop(q.first())
		if got.at != want.at || got.arg != want.seq {
			t.Fatalf("took event %d at %d, want event %d at %d", got.arg, got.at, want.seq, want.at)
		}
		if got.who != want.seq*7 {
			t.Fatalf("event %d belongs to %d, want %d", got.arg, got.who, want.seq*7)
		}
		now = got.at
	}
	for ; len(ops) >= 3; ops = ops[3:] {
		if ops[0]&3 == 0 && len(x.list) > 0 {
			take()
			continue
		}
		at := now + int64(binary.LittleEndian.Uint16(ops[1:]))<<(ops[0]>>4*3)
		input := ops[0]&8 != 0
		class, k := uint64(0), wakePhone
		if input {
			class, k = inputClass, tickDue
		}
		seq := x.push(at, input)
		q.push(at, class, k, seq*7, seq)
		if q.len() != len(x.list) {
			t.Fatalf("%d events in the queue, want %d", q.len(), len(x.list))
		}
	}
	for len(x.list) > 0 {
		take()
	}
	if q.len() != 0 {
		t.Fatalf("%d events left over", q.len())
	}
}

// TestQueueAgainstSortedSlice checks random operations against a sorted slice.
func TestQueueAgainstSortedSlice(t *testing.T) {
	for seed := range uint64(60) {
		src := rand.New(rand.NewPCG(seed, 1))
		ops := make([]byte, 3*(1+src.IntN(600)))
		for i := range ops {
			ops[i] = byte(src.Uint32())
		}
		for i := 0; i < len(ops); i += 3 {
			switch seed % 4 {
			case 0: // few different times: ties everywhere
				ops[i+1], ops[i+2] = ops[i+1]&1, 0
			case 1: // all within a millisecond
				ops[i] &= 0x1f
			case 2: // at the edges of whatever the queue cuts time into
				ops[i], ops[i+2] = ops[i]&0x0f|0x80, 0
			}
		}
		sameOrder(t, ops)
	}
}

func FuzzQueue(f *testing.F) {
	f.Add([]byte{1, 5, 0, 9, 5, 0, 1, 5, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0xf1, 1, 0, 0x91, 2, 0, 0x89, 2, 0, 0, 0, 0, 0xc9, 9, 9, 0x19, 0, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 3000 {
			ops = ops[:3000]
		}
		sameOrder(t, ops)
	})
}

// BenchmarkQueue measures one push and one pop with 100,000 entries pending within
// 10 s, beside the heap alone.
func BenchmarkQueue(b *testing.B) {
	const pending = 100_000
	b.Run("wheel", func(b *testing.B) {
		var q queue
		src := rand.New(rand.NewPCG(1, 2))
		for range pending {
			q.push(src.Int64N(1e10), inputClass, tickDue, 0, 0)
		}
		b.ReportAllocs()
		for b.Loop() {
			e := q.pop(q.first())
			q.push(e.at+src.Int64N(1e10), inputClass, tickDue, e.who, 0)
		}
	})
	b.Run("heap", func(b *testing.B) {
		var y Yardstick
		src := rand.New(rand.NewPCG(1, 2))
		for range pending {
			y.Push(src.Int64N(1e10))
		}
		b.ReportAllocs()
		for b.Loop() {
			y.Push(y.Pop() + src.Int64N(1e10))
		}
	})
}
