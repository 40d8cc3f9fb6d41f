package files

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// plainFile is a memoryFile that copies everything.
type plainFile struct {
	data, durable []byte
	unsynced      []change
}

func (p *plainFile) write(b []byte, at int64) {
	p.data = overwritten(bytes.Clone(p.data), b, at)
	p.unsynced = append(p.unsynced, change{bytes: bytes.Clone(b), at: at, cut: -1})
}

func (p *plainFile) truncate(size int64) {
	p.data = bytes.Clone(p.data[:size])
	p.unsynced = append(p.unsynced, change{cut: size})
}

// crash makes the first n steps durable.
func (p *plainFile) crash(n int, zeros bool) {
	for _, c := range p.unsynced {
		left := min(n, c.steps())
		n -= left
		switch {
		case left == 0:
		case c.cut >= 0:
			p.durable = bytes.Clone(p.durable[:min(c.cut, int64(len(p.durable)))])
		default:
			b := c.bytes[:left]
			if zeros {
				b = make([]byte, left)
			}
			p.durable = overwritten(bytes.Clone(p.durable), b, c.at)
		}
	}
	p.unsynced = nil
}

func (p *plainFile) lose() {
	for i := range p.unsynced {
		p.unsynced[i].bytes = make([]byte, len(p.unsynced[i].bytes))
	}
}

// A file with shared memory behaves like one with copies, in every state and after
// any crash.
func TestSharedMemoryEqualsCopies(t *testing.T) {
	for seed := range uint64(300) {
		src := rand.New(rand.NewPCG(seed, 1))
		var f memoryFile
		var p plainFile
		for range 40 {
			b := make([]byte, src.IntN(9))
			for i := range b {
				b[i] = byte('a' + src.IntN(26))
			}
			size := len(p.data)
			switch src.IntN(12) {
			case 0:
				at := src.Int64N(int64(max(1, size)))
				f.write(b, at)
				p.write(b, at)
			case 1:
				to := src.Int64N(int64(size + 1))
				f.truncate(to)
				p.truncate(to)
			case 2, 3, 4:
				f.sync()
				p.crash(f.steps()+1<<20, false)
			case 5:
				f.lose()
				p.lose()
			case 6:
				n, zeros := src.IntN(f.steps()+1), src.IntN(2) == 0
				f.crash(n, zeros)
				p.crash(n, zeros)
				p.data = bytes.Clone(p.durable)
			default:
				f.write(b, int64(size))
				p.write(b, int64(size))
			}
			if !bytes.Equal(f.data, p.data) || !bytes.Equal(f.durable, p.durable) ||
				f.steps() != (&memoryFile{unsynced: p.unsynced}).steps() {
				t.Fatalf("seed %d: data %q, durable %q, %d steps; plain: %q, %q", seed, f.data, f.durable, f.steps(),
					p.data, p.durable)
			}
		}
	}
}

// A file that replaces another reuses its memory, and no other file does.
func TestMemoryOfARemovedFileIsReused(t *testing.T) {
	m := NewMemory()
	replace := func(text string) File {
		f, err := m.Create("x.new", 0o644)
		must(t, err)
		mustWrite(t, f, text)
		must(t, f.Sync(), m.Rename("x.new", "x"))
		return f
	}
	old := replace("first")
	next := replace("second")
	must(t, old.Close())
	equal(t, "one that a crash may bring back", m.spare == nil, true)
	must(t, m.SyncNames())
	reader, err := m.Open("x")
	must(t, err)
	last := replace("third")
	must(t, m.SyncNames(), last.Close(), next.Close())
	equal(t, "one that is read", m.spare == nil, true)
	must(t, reader.Close())
	equal(t, "one that is gone", m.spare != nil, true)
	must(t, replace("4").Close())
	m.Crash()
	equal(t, "x", content(t, m, "x"), "third")
}
