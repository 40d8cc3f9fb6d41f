package files

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"bluetrace/nodes"
	"bluetrace/protocol"
)

// manyIssues is a file with a number of lines, of a thousand users, with one issue
// every 20 s up to startWall.
type manyIssues struct {
	lines, size int
	width       int
	zone        *protocol.Zone
	line        []byte
	at          int // of which line is held
}

func newManyIssues(lines int, zone *protocol.Zone) *manyIssues {
	f := &manyIssues{lines: lines, zone: zone, at: -1}
	f.hold(0)
	f.width = len(f.line)
	f.size = lines * f.width
	return f
}

func (f *manyIssues) hold(i int) {
	if i == f.at {
		return
	}
	start := startWall/second - int64(f.lines-i)*20
	r := nodes.Issue{User: fmt.Sprintf("+6141%07d", i%1000), TempID: tempID(i), Start: start, Expiry: start + 900}
	var err error
	if f.line, err = appendIssue(f.line[:0], &r, f.zone); err != nil {
		panic(err)
	}
	f.at = i
}

// ReadAt generates the bytes, so that ten million lines need no memory.
func (f *manyIssues) ReadAt(p []byte, at int64) (int, error) {
	n := 0
	for n < len(p) {
		i := (int(at) + n) / f.width
		if i >= f.lines {
			return n, io.EOF
		}
		f.hold(i)
		n += copy(p[n:], f.line[(int(at)+n)%f.width:])
	}
	return n, nil
}

// BenchmarkRestore reads tempIDs.txt from memory and counts its records.
func BenchmarkRestore(b *testing.B) {
	for _, name := range []string{"UTC", "Australia/Sydney"} {
		b.Run(strings.ReplaceAll(name, "/", "-"), func(b *testing.B) {
			loc, err := time.LoadLocation(name)
			if err != nil {
				b.Fatal(err)
			}
			const lines = 200_000
			zone := protocol.NewZone(loc)
			f := newManyIssues(lines, zone)
			text := make([]byte, f.size)
			if _, err := f.ReadAt(text, 0); err != nil && err != io.EOF {
				b.Fatal(err)
			}
			m := NewMemory()
			m.WriteFile(tempIDsName, text, 0o644)
			o := options()
			o.Zone = zone
			s, err := OpenServer(m, o)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(f.size))
			for b.Loop() {
				n := 0
				if err := s.Restore(startWall, func(nodes.Record) error { n++; return nil }); err != nil || n != lines {
					b.Fatalf("%d records, %v, %q", n, err, s.Notes())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
		})
	}
}

func BenchmarkStore(b *testing.B) {
	folders := []struct {
		name   string
		fs     func() FS
		noSync bool
	}{
		{"memory", func() FS { return NewMemory() }, false},
		{"disk", func() FS { return Disk(b.TempDir()) }, false},
		{"disk-nosync", func() FS { return Disk(b.TempDir()) }, true},
	}
	for _, folder := range folders {
		for _, n := range []int{1, 50} {
			b.Run(fmt.Sprintf("%s/%d", folder.name, n), func(b *testing.B) {
				o := options()
				o.NoSync = folder.noSync
				s, err := OpenServer(folder.fs(), o)
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				var records []nodes.Record
				for i := range n {
					records = append(records, issue(alice, i))
				}
				b.ReportAllocs()
				for b.Loop() {
					store(b, s, records...)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
			})
		}
	}
}

// One entry arrives and one leaves with every Write.
func BenchmarkContactLogWrite(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := openLog(b, NewMemory())
			var all []nodes.StoredContact
			for i := range n {
				all = append(all, entry(i, int64(i)))
				l.Add(all[i])
			}
			write(b, l, all...)
			b.ReportAllocs()
			for i := n; b.Loop(); i++ {
				b.StopTimer()
				all = append(all[1:], entry(i, int64(i)))
				log := logOf(all...)
				b.StartTimer()
				l.Add(all[n-1])
				if err := l.Write(log); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/entry")
		})
	}
}
